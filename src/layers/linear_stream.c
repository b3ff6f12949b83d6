/* Weights that are read in every product.  See linear_stream.h. */
#include "layers/linear_stream.h"

#include <assert.h>

enum {
    SEGMENT = 4 * STORED_COLS, /* columns that are read at a time */
    ROW_GRAIN = 4,
    PANEL_BYTES = 1 << 20, /* of mantissas: with their packed copy they stay in a cache */
    PANEL_MULTIPLE = 64,   /* of the rows of a panel: whole panels of every kernel */
};

/* ------------------------------------------------------------------------------- scales ------ */

typedef struct scale_job {
    exec *ex;
    const linear *lin;
} scale_job;

static void scale_rows(void *arg, int64_t begin, int64_t end)
{
    const scale_job *job = arg;
    const linear *lin = job->lin;
    float x[SEGMENT];
    for (int64_t i = begin; i < end; i++) {
        uint32_t max = 0;
        for (int64_t j = 0; j < lin->in; j += SEGMENT) {
            const int64_t n = lin->in - j < SEGMENT ? lin->in - j : SEGMENT;
            param_read(lin->weight, i, j, n, x);
            const uint32_t bits = job->ex->fk->max_abs_bits(x, n);
            max = bits > max ? bits : max;
        }
        if (max >= FLOAT_INFINITY_BITS)
            exec_report_anomaly(job->ex, "the weight", lin->name);
        const num_format *f = &job->ex->format;
        lin->row_scale[i] = max >= FLOAT_INFINITY_BITS
                                ? 1.0f
                                : format_unit_of(max, f->weight_bits, f->scales).scale;
    }
}

void linear_stream_set(exec *ex, linear *lin)
{
    scale_job job = {ex, lin};
    assert(ex->format.group == GROUP_ROW);
    exec_parallel(ex, lin->out, ROW_GRAIN, scale_rows, &job);
}

/* ------------------------------------------------------------------------------- panels ------ */

/* w = rows [first, first + w->rows), columns [col, col + w->cols) of the weight. */
typedef struct expand_job {
    exec *ex;
    const linear *lin;
    qmatrix *w;
    int64_t first, col;
} expand_job;

static void expand_rows(void *arg, int64_t begin, int64_t end)
{
    const expand_job *job = arg;
    const exec *ex = job->ex;
    const linear *lin = job->lin;
    const int64_t cols = job->w->cols;
    const bool narrow = job->w->bits <= 8;
    quantize_args args = {
        .limit = format_limit(ex->format.weight_bits),
        .stochastic = exec_stochastic_values(ex),
        .key = rng_make_key(ex->seed, ex->weight_version, (uint64_t)lin->id, RNG_ROUND_WEIGHT),
    };
    float x[SEGMENT];
    for (int64_t i = begin; i < end; i++) {
        const int64_t row = job->first + i;
        int8_t *q = (int8_t *)job->w->q + i * cols; /* narrow */
        args.scale = 1.0f / lin->row_scale[row];    /* as format_unit_of */
        if (narrow && param_map_s8(ex, lin->weight, row, job->col, cols, &args, q))
            continue;
        for (int64_t j = 0; j < cols; j += SEGMENT) {
            const int64_t n = cols - j < SEGMENT ? cols - j : SEGMENT;
            param_read(lin->weight, row, job->col + j, n, x);
            args.first = (uint32_t)(row * lin->in + job->col + j);
            if (narrow)
                ex->fk->quantize_s8(q + j, x, n, &args);
            else
                ex->fk->quantize_s16((int16_t *)job->w->q + i * cols + j, x, n, &args);
        }
    }
}

/* Mantissas of part of the weight, in scratch. */
static void expand(exec *ex, qmatrix *w, const linear *lin, int64_t first, int64_t rows,
                   int64_t col, int64_t cols)
{
    expand_job job = {ex, lin, w, first, col};
    qmatrix_bind(w, &ex->scratch, rows, cols, ex->format.weight_bits, GROUP_ROW);
    if (ex->dry)
        return;
    for (int64_t i = 0; i < rows; i++)
        w->scale[i] = lin->row_scale[first + i];
    exec_parallel(ex, rows, ROW_GRAIN, expand_rows, &job);
}

/* How many of `total` rows (or columns) of `length` mantissas make a panel. */
static int64_t panel_of(int64_t total, int64_t length, int64_t multiple)
{
    const int64_t fit = PANEL_BYTES / length / multiple * multiple;
    const int64_t n = fit < multiple ? multiple : fit;
    return n < total ? n : total;
}

void linear_stream_forward(exec *ex, float *y, const gemm_operand *a, const float *bias,
                           const linear *lin)
{
    const int64_t panel = panel_of(lin->out, lin->in, PANEL_MULTIPLE);
    if (!ex->dry)
        param_read_ahead(lin->weight, lin->out, false);
    for (int64_t first = 0; first < lin->out; first += panel) {
        const size_t mark = exec_mark(ex);
        const int64_t n = lin->out - first < panel ? lin->out - first : panel;
        qmatrix w;
        gemm_operand b;
        expand(ex, &w, lin, first, n, 0, lin->in);
        gemm_pack(ex, &b, &ex->scratch, &lin->straight.plan, GEMM_B, &w, false);
        if (!ex->dry)
            gemm_run(ex, y + first, lin->out, a, &b, bias == NULL ? NULL : bias + first, false);
        exec_release(ex, mark);
        if (ex->dry)
            break; /* the first panel takes the most */
    }
}

void linear_stream_input_gradient(exec *ex, float *dx, const gemm_operand *a, const linear *lin)
{
    const int64_t panel = panel_of(lin->in, lin->out, STORED_COLS);
    if (!ex->dry)
        param_read_ahead(lin->weight, lin->out, true);
    for (int64_t col = 0; col < lin->in; col += panel) {
        const size_t mark = exec_mark(ex);
        const int64_t n = lin->in - col < panel ? lin->in - col : panel;
        qmatrix w;
        gemm_operand b;
        expand(ex, &w, lin, 0, lin->out, col, n);
        gemm_pack(ex, &b, &ex->scratch, &lin->transposed.plan, GEMM_B, &w, true);
        if (!ex->dry)
            gemm_run(ex, dx + col, lin->in, a, &b, NULL, false);
        exec_release(ex, mark);
        if (ex->dry)
            break;
    }
}
