/* Outlier features in the products of a linear layer.  See linear_outliers.h. */
#include "layers/linear_outliers.h"

enum {
    ROW_GRAIN = 64,
    STREAM_ROWS = 1024, /* of a streamed weight at a time: whole panels of every kernel */
};

static gemm_plan plan_for(const exec *ex, int bits_b)
{
    return gemm_plan_make_halves(ex->family, ex->format.outlier_bits, bits_b,
                                 ex->format.group == GROUP_BLOCK);
}

static int column_bits(const num_format *f)
{
    return f->outlier_weight_bits > 0 ? f->outlier_weight_bits : f->weight_bits;
}

void linear_outliers_bind(exec *ex, linear *lin, arena *a)
{
    const num_format *f = &ex->format;
    if (f->outlier_bits == 0)
        return;
    const gemm_plan plan = plan_for(ex, column_bits(f));
    if (lin->listed == &lin->outliers)
        outlier_list_bind(ex, &lin->outliers, a, lin->name, lin->in);
    if (lin->weight->storage == PARAM_STREAMED)
        lin->outlier_weight.plan = plan;
    else
        gemm_operand_bind(&lin->outlier_weight, a, &plan, GEMM_B, lin->out, lin->listed->capacity,
                          f->group == GROUP_BLOCK);
}

/* ------------------------------------------------------------------------------- the input --- */

static bool has_outliers(const exec *ex, const linear_input *in)
{
    return in->outliers != NULL && outlier_count(ex, in->outliers) > 0;
}

void linear_outliers_input_bind(const exec *ex, linear_input *in, arena *a)
{
    if (has_outliers(ex, in))
        qmatrix_bind(&in->outlier, a, in->rows, outlier_count(ex, in->outliers),
                     ex->format.outlier_bits, ex->format.group);
}

const float *linear_outliers_keep(const linear_input *in)
{
    return in->outlier.q == NULL ? NULL : in->outliers->keep;
}

void linear_outliers_input_set(exec *ex, linear_input *in, const float *x)
{
    const size_t mark = exec_mark(ex);
    if (ex->watch_outliers && in->outliers != NULL)
        outlier_list_watch(ex, in->outliers, x, in->rows);
    if (!has_outliers(ex, in))
        return;
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)in->id, RNG_ROUND_OUTLIER),
        .first_row = in->first_row,
        .stochastic = exec_stochastic_values(ex),
        .scales = ex->format.scales,
        .what = "the input",
        .where = in->where,
        .record = layer_record(in->watch, WATCHED_OUTLIERS),
    };
    const int64_t n = in->outlier.cols;
    float *o = exec_take(ex, in->rows * n, sizeof(float));
    outlier_list_gather(ex, in->outliers, o, x, in->rows);
    qmatrix_map(ex, &in->outlier, o, n, &args);
    exec_release(ex, mark);
}

/* ----------------------------------------------------------------------------- the products -- */

typedef struct column_job {
    const linear *lin;
    float *columns;
    int64_t first, n;
} column_job;

/* out[n] = the outlier columns of a row of the weight: parameters that act as one matrix lie one
 * behind the other where they are in memory. */
static void read_row(const linear *lin, int64_t row, int64_t n, float *out)
{
    const int32_t *feature = lin->listed->feature;
    if (lin->weight->storage != PARAM_IN_MEMORY) {
        param_gather(lin->weight, row, feature, n, out);
        return;
    }
    const float *w = lin->weight->value + row * lin->in;
    for (int64_t i = 0; i < n; i++)
        out[i] = w[feature[i]];
}

static void read_columns(void *arg, int64_t begin, int64_t end)
{
    const column_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        read_row(job->lin, job->first + i, job->n, job->columns + i * job->n);
}

/* w[rows][n] = the outlier columns of rows [first, first + rows) of the weight, in scratch. */
static void map_columns(exec *ex, qmatrix *w, int64_t first, int64_t rows, int64_t n,
                        const linear *lin)
{
    const num_format *f = &ex->format;
    const map_args args = {
        .key =
            rng_make_key(ex->seed, ex->weight_version, (uint64_t)lin->id, RNG_ROUND_OUTLIER_WEIGHT),
        .first_row = first,
        .stochastic = exec_stochastic_values(ex),
        .scales = f->scales,
        .what = "the weight",
        .where = lin->name,
    };
    column_job job = {lin, exec_take(ex, rows * n, sizeof(float)), first, n};
    exec_parallel(ex, rows, ROW_GRAIN, read_columns, &job);
    qmatrix_bind(w, &ex->scratch, rows, n, column_bits(f), f->group);
    qmatrix_map(ex, w, job.columns, n, &args);
}

void linear_outliers_weight_set(exec *ex, linear *lin)
{
    const int64_t n = ex->format.outlier_bits > 0 ? outlier_count(ex, lin->listed) : 0;
    const size_t mark = exec_mark(ex);
    qmatrix w;
    if (n == 0)
        return;
    map_columns(ex, &w, 0, lin->out, n, lin);
    gemm_operand_shorten(&lin->outlier_weight, n);
    gemm_operand_fill(ex, &lin->outlier_weight, &w, false);
    exec_release(ex, mark);
}

/* The same product with columns that are read and packed for it, some rows of the weight after the
 * others: those of a streamed weight would be a copy of a sixteenth of it. */
static void stream_forward(exec *ex, float *y, const gemm_operand *a, const linear *lin)
{
    const int64_t n = outlier_count(ex, lin->listed);
    for (int64_t first = 0; first < lin->out; first += STREAM_ROWS) {
        const size_t mark = exec_mark(ex);
        const int64_t left = lin->out - first, rows = left < STREAM_ROWS ? left : STREAM_ROWS;
        qmatrix w;
        gemm_operand b;
        map_columns(ex, &w, first, rows, n, lin);
        gemm_pack(ex, &b, &ex->scratch, &lin->outlier_weight.plan, GEMM_B, &w, false);
        if (!ex->dry)
            gemm_run(ex, y + first, lin->out, a, &b, NULL, true);
        exec_release(ex, mark);
        if (ex->dry)
            break; /* the first rows take the most */
    }
}

void linear_outliers_forward(exec *ex, float *y, const linear_input *x, const linear *lin)
{
    gemm_operand a;
    if (!has_outliers(ex, x))
        return;
    const size_t mark = exec_mark(ex);
    gemm_pack(ex, &a, &ex->scratch, &lin->outlier_weight.plan, GEMM_A, &x->outlier, false);
    if (lin->weight->storage == PARAM_STREAMED)
        stream_forward(ex, y, &a, lin);
    else
        gemm_run(ex, y, lin->out, &a, &lin->outlier_weight, NULL, true);
    exec_release(ex, mark);
}

/* dy folded with the exponents of the outliers' rows: their own map.  See linear.h. */
static void map_folded(exec *ex, qmatrix *q, const float *dy, const linear_input *x,
                       const linear *lin)
{
    const map_args args = {
        .row_mul = x->outlier.scale,
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)lin->id, RNG_ROUND_OUTLIER_GRADIENT),
        .first_row = x->first_row,
        .stochastic = exec_stochastic_gradients(ex),
        .what = "the output gradient",
        .where = lin->name,
    };
    qmatrix_bind(q, &ex->scratch, x->rows, lin->out, ex->format.gradient_bits, GROUP_COLUMN);
    qmatrix_map(ex, q, dy, lin->out, &args);
}

typedef struct spread_job {
    const outlier_list *list;
    const float *from; /* [count][out] */
    float *grad;       /* [out][cols] */
    int64_t out;
} spread_job;

static void spread_rows(void *arg, int64_t begin, int64_t end)
{
    const spread_job *job = arg;
    const outlier_list *list = job->list;
    for (int64_t o = begin; o < end; o++)
        for (int64_t i = 0; i < list->count; i++)
            job->grad[o * list->cols + list->feature[i]] += job->from[i * job->out + o];
}

void linear_outliers_weight_gradient(exec *ex, const float *dy, const qmatrix *gradient,
                                     const linear_input *x, const linear *lin)
{
    const size_t mark = exec_mark(ex);
    qmatrix folded;
    gemm_operand a, b;
    if (!has_outliers(ex, x))
        return;
    const gemm_plan plan = plan_for(ex, ex->format.gradient_bits);
    /* Few rows on side A, so that little of a panel is padding. */
    spread_job job = {x->outliers, NULL, lin->weight->grad, lin->out};
    float *c = exec_take(ex, x->outlier.cols * lin->out, sizeof(float));
    job.from = c;
    if (ex->format.group == GROUP_ROW) {
        map_folded(ex, &folded, dy, x, lin);
        gradient = &folded;
    }
    gemm_pack(ex, &a, &ex->scratch, &plan, GEMM_A, &x->outlier, true);
    gemm_pack(ex, &b, &ex->scratch, &plan, GEMM_B, gradient, true);
    gemm_run(ex, c, lin->out, &a, &b, NULL, false);
    exec_parallel(ex, lin->out, ROW_GRAIN, spread_rows, &job);
    exec_release(ex, mark);
}
