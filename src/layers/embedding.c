/* Embedding look-up and its scatter-add.  See embedding.h. */
#include "layers/embedding.h"

#include <assert.h>
#include <string.h>

#include "layers/arithmetic.h"

enum {
    ROW_GRAIN = 32,
    CLEAR_GRAIN = 512,
    SEGMENT = 256,
    DIGIT_BITS = 12,
    DIGITS = 1 << DIGIT_BITS
};

void embedding_init(embedding *e, const char *name, int id, param *table)
{
    *e = (embedding){.name = name, .id = id, .table = table, .padding = -1};
}

typedef struct forward_job {
    exec *ex;
    const embedding *e;
    float *y;
    const int32_t *index;
    bool accumulate;
} forward_job;

static void forward_rows(void *arg, int64_t begin, int64_t end)
{
    const forward_job *job = arg;
    const int64_t cols = job->e->table->cols;
    for (int64_t t = begin; t < end; t++)
        job->ex->arithmetic->embedding->look_up(job->ex, job->y + t * cols, job->index[t], job->e,
                                                job->accumulate);
}

void embedding_forward(exec *ex, float *y, const int32_t *index, int64_t n, embedding *e,
                       bool accumulate)
{
    if (ex->arithmetic->embedding->set != NULL)
        ex->arithmetic->embedding->set(ex, e);
    forward_job job = {ex, e, y, index, accumulate};
    exec_parallel(ex, n, ROW_GRAIN, forward_rows, &job);
    if (!ex->dry)
        param_forget(e->table);
}

void embedding_map_gradient(exec *ex, embedding_gradient *g, const float *dy, int64_t n,
                            int64_t cols, const embedding *e)
{
    *g = (embedding_gradient){.dy = dy, .n = n, .cols = cols};
    if (ex->arithmetic->embedding->map_gradient != NULL)
        ex->arithmetic->embedding->map_gradient(ex, g, e);
}

typedef struct scatter_job {
    const exec *ex;
    const embedding_gradient *g;
    float *grad;
    int64_t padding;
    const uint64_t *order; /* index << 32 | token, sorted */
    const int64_t *start;  /* of each run of equal indices; start[runs] = n */
} scatter_job;

/* Runs of equal indices; a row of the gradient is written by one piece only. */
static void scatter_runs(void *arg, int64_t begin, int64_t end)
{
    const scatter_job *job = arg;
    const int64_t cols = job->g->cols;
    for (int64_t r = begin; r < end; r++) {
        const int64_t row = (int64_t)(job->order[job->start[r]] >> 32);
        float *grad = job->grad + row * cols;
        for (int64_t j = 0; j < cols && row != job->padding; j += SEGMENT) {
            double sum[SEGMENT] = {0};
            const int64_t n = cols - j < SEGMENT ? cols - j : SEGMENT;
            for (int64_t k = job->start[r]; k < job->start[r + 1]; k++)
                job->ex->arithmetic->embedding->add_token(
                    job->ex, sum, job->g, (int64_t)(job->order[k] & UINT32_MAX), j, n);
            for (int64_t i = 0; i < n; i++)
                grad[j + i] += (float)sum[i];
        }
    }
}

/* Rows [begin, end) of the gradient. */
static void clear_rows(void *arg, int64_t begin, int64_t end)
{
    const param *table = arg;
    memset(table->grad + begin * table->cols, 0,
           (size_t)((end - begin) * table->cols) * sizeof(float));
}

/* to[n] = from[n] in the order of DIGIT_BITS bits from shift on; equal ones stay in their order. */
static void sort_by_digit(uint64_t *to, const uint64_t *from, int64_t n, int shift)
{
    uint32_t place[DIGITS + 1] = {0};
    for (int64_t k = 0; k < n; k++)
        place[(from[k] >> shift & (DIGITS - 1)) + 1]++;
    for (int d = 1; d < DIGITS; d++)
        place[d] += place[d - 1];
    for (int64_t k = 0; k < n; k++)
        to[place[from[k] >> shift & (DIGITS - 1)]++] = from[k];
}

/* order[n]: index << 32 | token, by index and then by token; start[runs]: where each run of equal
 * indices begins in it, and n behind the last.  Returns the number of runs. */
static int64_t sort_tokens(uint64_t *order, int64_t *start, const int32_t *index, int64_t n)
{
    int64_t runs = 0;
    for (int64_t t = 0; t < n; t++)
        order[t] = (uint64_t)index[t] << 32 | (uint64_t)t;
    /* start is free until the tokens are sorted */
    sort_by_digit((uint64_t *)start, order, n, 32);
    sort_by_digit(order, (const uint64_t *)start, n, 32 + DIGIT_BITS);
    for (int64_t k = 0; k < n; k++)
        if (k == 0 || order[k] >> 32 != order[k - 1] >> 32)
            start[runs++] = k;
    start[runs] = n;
    return runs;
}

void embedding_backward(exec *ex, const embedding_gradient *g, const int32_t *index, embedding *e)
{
    const size_t mark = exec_mark(ex);
    if (!e->table->trained)
        return;
    scatter_job job = {.ex = ex, .g = g, .grad = e->table->grad, .padding = e->padding};
    uint64_t *order = exec_take(ex, g->n, sizeof(uint64_t));
    int64_t *start = exec_take(ex, g->n + 1, sizeof(int64_t));
    assert(e->table->rows <= INT64_C(1) << 2 * DIGIT_BITS && g->n <= UINT32_MAX);
    if (!ex->accumulate_grads)
        exec_parallel(ex, e->table->rows, CLEAR_GRAIN, clear_rows, e->table);
    job.order = order;
    job.start = start;
    if (!ex->dry)
        exec_parallel(ex, sort_tokens(order, start, index, g->n), 4, scatter_runs, &job);
    exec_release(ex, mark);
}

/* -------------------------------------------------------------------- dynamic fixed point ---- */

/* Columns [j, j + n), n <= SEGMENT, of a row of the table, in memory or read into x. */
static const float *segment_of(const embedding *e, int64_t row, int64_t j, int64_t n,
                               float x[SEGMENT])
{
    const param *table = e->table;
    if (table->value != NULL)
        return table->value + row * table->cols + j;
    param_read(table, row, j, n, x);
    return x;
}

/* The bits of the largest magnitude of a row. */
static uint32_t row_max_bits(const exec *ex, const embedding *e, int64_t row)
{
    const int64_t cols = e->table->cols;
    uint32_t max = 0;
    float x[SEGMENT];
    for (int64_t j = 0; j < cols; j += SEGMENT) {
        const int64_t n = cols - j < SEGMENT ? cols - j : SEGMENT;
        const uint32_t bits = ex->fk->max_abs_bits(segment_of(e, row, j, n, x), n);
        max = bits > max ? bits : max;
    }
    return max;
}

/* The same of the table. */
static uint32_t table_max_bits(const exec *ex, const embedding *e)
{
    const param *table = e->table;
    uint32_t max = 0;
    if (table->value != NULL)
        return exec_max_abs_bits(ex, table->value, table->rows * table->cols);
    for (int64_t row = 0; row < table->rows; row++) {
        const uint32_t bits = row_max_bits(ex, e, row);
        max = bits > max ? bits : max;
    }
    return max;
}

/* The largest magnitude of the table, once after a change of it (tensor mode only). */
static void find_exponent(exec *ex, embedding *e)
{
    if (ex->dry || ex->format.group != GROUP_TENSOR || e->version == ex->weight_version + 1)
        return;
    e->version = ex->weight_version + 1;
    const uint32_t bits = table_max_bits(ex, e);
    e->failed = bits >= FLOAT_INFINITY_BITS;
    if (e->failed)
        exec_report_anomaly(ex, "the weight", e->name);
    else
        e->tensor_exponent = format_unit_exponent(bits, ex->format.weight_bits);
}

/* One table row as mantissas and back, in segments that stay on the stack. */
static void look_up_dfp(exec *ex, float *y, int64_t row, const embedding *e, bool accumulate)
{
    const int64_t cols = e->table->cols;
    float room[SEGMENT];
    int exponent = e->tensor_exponent;
    bool failed = e->failed;
    if (ex->format.group != GROUP_TENSOR) {
        const uint32_t bits = row_max_bits(ex, e, row);
        failed = bits >= FLOAT_INFINITY_BITS;
        if (failed)
            exec_report_anomaly(ex, "the weight", e->name);
        else
            exponent = format_unit_exponent(bits, ex->format.weight_bits);
    }
    quantize_args args = {
        .scale = format_power(-exponent),
        .limit = format_limit(ex->format.weight_bits),
        .stochastic = exec_stochastic_values(ex),
        .key = rng_make_key(ex->seed, ex->weight_version, (uint64_t)e->id, RNG_ROUND_WEIGHT),
    };
    for (int64_t j = 0; j < cols; j += SEGMENT) {
        int16_t q[SEGMENT] = {0};
        const int64_t n = cols - j < SEGMENT ? cols - j : SEGMENT;
        args.first = (uint32_t)(row * cols + j);
        if (!failed)
            ex->fk->quantize_s16(q, segment_of(e, row, j, n, room), n, &args);
        ex->fk->dequantize_s16(y + j, q, n, format_power(exponent), accumulate);
    }
}

/* Blocks do not fit rows of a table: the block mode uses a row's own exponent here. */
static void map_gradient_dfp(exec *ex, embedding_gradient *g, const embedding *e)
{
    const group_kind group = ex->format.group == GROUP_TENSOR ? GROUP_TENSOR : GROUP_ROW;
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)e->id, RNG_ROUND_GRADIENT_DW),
        .stochastic = exec_stochastic_gradients(ex),
        .what = "the output gradient",
        .where = e->name,
    };
    qmatrix_bind(&g->q, &ex->scratch, g->n, g->cols, ex->format.gradient_bits, group);
    qmatrix_map(ex, &g->q, g->dy, g->cols, &args);
}

static void add_token_dfp(const exec *ex, double *sum, const embedding_gradient *g, int64_t t,
                          int64_t j, int64_t n)
{
    const int64_t at = t * g->cols + j;
    const double scale = (double)g->q.scale[g->q.group == GROUP_TENSOR ? 0 : t];
    if (g->q.bits <= 8)
        ex->fk->accumulate_s8(sum, (const int8_t *)g->q.q + at, n, scale);
    else
        ex->fk->accumulate_s16(sum, (const int16_t *)g->q.q + at, n, scale);
}

const embedding_arithmetic embedding_dfp = {
    .set = find_exponent,
    .look_up = look_up_dfp,
    .map_gradient = map_gradient_dfp,
    .add_token = add_token_dfp,
};

/* ------------------------------------------------------------------- fp32, which bf16 uses ---- */

static void look_up_float(exec *ex, float *y, int64_t row, const embedding *e, bool accumulate)
{
    const int64_t cols = e->table->cols;
    float room[SEGMENT];
    for (int64_t j = 0; j < cols; j += SEGMENT) {
        const int64_t n = cols - j < SEGMENT ? cols - j : SEGMENT;
        const float *x = segment_of(e, row, j, n, room);
        if (accumulate)
            ex->fk->accumulate(y + j, x, n);
        else
            memcpy(y + j, x, (size_t)n * sizeof(float));
    }
}

static void add_token_float(const exec *ex, double *sum, const embedding_gradient *g, int64_t t,
                            int64_t j, int64_t n)
{
    (void)ex;
    for (int64_t i = 0; i < n; i++)
        sum[i] += (double)g->dy[t * g->cols + j + i];
}

const embedding_arithmetic embedding_float = {
    .look_up = look_up_float,
    .add_token = add_token_float,
};
