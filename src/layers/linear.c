/* Linear layer, forward and backward.  See linear.h. */
#include "layers/linear.h"

#include <assert.h>
#include <string.h>

#include "tensor/float_gemm.h"

enum { STRIP = 256 }; /* columns of one piece of the bias gradient */

static gemm_plan plan_for(const exec *ex, int bits_a, int bits_b)
{
    return gemm_plan_make(ex->family, bits_a, bits_b, ex->format.group == GROUP_BLOCK);
}

/* Groups of the gradient in dW = G^T X; see linear.h for the folding. */
static group_kind params_group(const num_format *f)
{
    return f->group == GROUP_ROW ? GROUP_COLUMN : f->group;
}

void linear_bind(exec *ex, linear *lin, arena *a, const char *name, int id, param *weight,
                 param *bias, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    *lin = (linear){.name = name, .id = id, .out = out, .in = in, .weight = weight, .bias = bias};
    if (f->kind == FORMAT_BF16)
        lin->bf16 = arena_take(a, (size_t)(out * in), sizeof(uint16_t));
    if (f->kind != FORMAT_DFP)
        return;
    const bool by_block = f->group == GROUP_BLOCK;
    const gemm_plan forward = plan_for(ex, f->activation_bits, f->weight_bits);
    const gemm_plan backward = plan_for(ex, f->gradient_bits, f->weight_bits);
    gemm_operand_bind(&lin->straight, a, &forward, GEMM_B, out, in, by_block);
    gemm_operand_bind(&lin->transposed, a, &backward, GEMM_B, in, out, by_block);
    lin->row_scale = arena_take(a, (size_t)out, sizeof(float));
}

void linear_prepare(exec *ex, linear *lin)
{
    if (ex->format.kind == FORMAT_FP32)
        return;
    if (lin->version == ex->weight_version + 1 &&
        lin->version_stochastic == exec_stochastic_values(ex))
        return;
    lin->version = ex->weight_version + 1;
    lin->version_stochastic = exec_stochastic_values(ex);
    const num_format *f = &ex->format;
    if (f->kind == FORMAT_BF16) {
        bf16_convert(ex, lin->bf16, lin->weight->value, lin->out * lin->in);
        return;
    }
    const size_t mark = exec_mark(ex);
    qmatrix w;
    qmatrix_bind(&w, &ex->scratch, lin->out, lin->in, f->weight_bits, f->group);
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->weight_version, (uint64_t)lin->id, RNG_ROUND_WEIGHT),
        .stochastic = exec_stochastic_values(ex),
        .what = "the weight",
        .where = lin->name,
    };
    qmatrix_map(ex, &w, lin->weight->value, lin->in, &args);
    gemm_operand_fill(ex, &lin->straight, &w, false);
    gemm_operand_fill(ex, &lin->transposed, &w, true);
    if (f->group == GROUP_ROW)
        exec_copy(ex, lin->row_scale, w.scale, (size_t)lin->out * sizeof(float));
    exec_release(ex, mark);
}

typedef struct bias_job {
    const exec *ex;
    float *y;
    const float *bias;
    int64_t cols;
} bias_job;

static void add_bias_rows(void *arg, int64_t begin, int64_t end)
{
    const bias_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->ex->fk->accumulate(job->y + i * job->cols, job->bias, job->cols);
}

void linear_forward(exec *ex, float *y, const activation *x, linear *lin)
{
    const num_format *f = &ex->format;
    const size_t mark = exec_mark(ex);
    linear_prepare(ex, lin);
    if (f->kind == FORMAT_DFP) {
        gemm_operand a;
        gemm_pack(ex, &a, &ex->scratch, &lin->straight.plan, GEMM_A, &x->q, false);
        gemm_run(ex, y, lin->out, &a, &lin->straight, lin->bias->value, false);
    } else {
        if (f->kind == FORMAT_BF16)
            bf16_gemm(ex, y, x->bf16, false, lin->bf16, true, x->rows, lin->out, lin->in, false);
        else
            float_gemm(ex, y, lin->out, x->f, lin->in, false, lin->weight->value, lin->in, true,
                       x->rows, lin->out, lin->in, false);
        bias_job job = {ex, y, lin->bias->value, lin->out};
        exec_parallel(ex, x->rows, 16, add_bias_rows, &job);
    }
    exec_release(ex, mark);
}

/* ------------------------------------------------------------------------------ backward ---- */

static int64_t sums_of(int64_t rows)
{
    return (rows + LINEAR_SUM_ROWS - 1) / LINEAR_SUM_ROWS;
}

static bool folds_rows(const num_format *f)
{
    return f->kind == FORMAT_DFP && f->group == GROUP_ROW;
}

void linear_gradient_take(exec *ex, linear_gradient *g, int64_t rows, int64_t out)
{
    *g = (linear_gradient){.bias_sums = exec_take(ex, sums_of(rows) * out, sizeof(float))};
    if (!folds_rows(&ex->format))
        return;
    g->col_max = exec_take(ex, out, sizeof(uint32_t));
    exec_clear(ex, g->col_max, (size_t)out * sizeof(uint32_t));
}

typedef struct collect_job {
    const exec *ex;
    const linear_gradient *g;
    const float *dy;
    const activation *x;
    int64_t out;
} collect_job;

static void collect_rows(void *arg, int64_t begin, int64_t end)
{
    const collect_job *job = arg;
    const int64_t n = job->out;
    const float *dy = job->dy + begin * n;
    float *sum = job->g->bias_sums + (job->x->first_row + begin) / LINEAR_SUM_ROWS * n;
    memcpy(sum, dy, (size_t)n * sizeof(float));
    for (int64_t i = 1; i < end - begin; i++)
        job->ex->fk->accumulate(sum, dy + i * n, n);
    if (job->g->col_max != NULL)
        qmatrix_column_max(job->ex, job->g->col_max, dy, n, end - begin, n,
                           job->x->q.scale + begin);
}

void linear_collect(exec *ex, const linear_gradient *g, const float *dy, const activation *x,
                    const linear *lin)
{
    collect_job job = {ex, g, dy, x, lin->out};
    assert(x->first_row % LINEAR_SUM_ROWS == 0);
    exec_parallel(ex, x->rows, LINEAR_SUM_ROWS, collect_rows, &job);
}

static map_args gradient_args(const exec *ex, const activation *x, const linear *lin, rng_use use)
{
    return (map_args){
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)lin->id, use),
        .first_row = x->first_row,
        .stochastic = exec_stochastic_gradients(ex),
        .what = "the output gradient",
        .where = lin->name,
    };
}

/* The gradient as dX = G W takes it. */
static void map_for_input(exec *ex, qmatrix *q, const float *dy, const activation *x,
                          const linear *lin)
{
    const num_format *f = &ex->format;
    map_args args = gradient_args(ex, x, lin, RNG_ROUND_GRADIENT_DX);
    args.col_mul = folds_rows(f) ? lin->row_scale : NULL;
    qmatrix_bind(q, &ex->scratch, x->rows, lin->out, f->gradient_bits, f->group);
    qmatrix_map(ex, q, dy, lin->out, &args);
}

/* The gradient as dW = G^T X takes it: one map for both products but in exponents by row. */
static void map_for_params(exec *ex, qmatrix *q, const linear_gradient *g, const float *dy,
                           const activation *x, const linear *lin)
{
    const num_format *f = &ex->format;
    if (!folds_rows(f)) {
        map_for_input(ex, q, dy, x, lin);
        return;
    }
    map_args args = gradient_args(ex, x, lin, RNG_ROUND_GRADIENT_DW);
    args.row_mul = x->q.scale;
    args.col_max = g->col_max;
    qmatrix_bind(q, &ex->scratch, x->rows, lin->out, f->gradient_bits, params_group(f));
    qmatrix_map(ex, q, dy, lin->out, &args);
}

void linear_backward_input(exec *ex, float *dx, const float *dy, const activation *x,
                           const linear *lin)
{
    /* forward: Y = X W^T */
    const num_format *f = &ex->format;
    const int64_t rows = x->rows;
    const size_t mark = exec_mark(ex);
    if (f->kind == FORMAT_DFP) {
        qmatrix q;
        gemm_operand a;
        map_for_input(ex, &q, dy, x, lin);
        gemm_pack(ex, &a, &ex->scratch, &lin->transposed.plan, GEMM_A, &q, false);
        gemm_run(ex, dx, lin->in, &a, &lin->transposed, NULL, false);
    } else if (f->kind == FORMAT_BF16) {
        uint16_t *b = exec_take(ex, rows * lin->out, sizeof(uint16_t));
        bf16_convert(ex, b, dy, rows * lin->out);
        bf16_gemm(ex, dx, b, false, lin->bf16, false, rows, lin->in, lin->out, false);
    } else {
        float_gemm(ex, dx, lin->in, dy, lin->out, false, lin->weight->value, lin->in, false, rows,
                   lin->in, lin->out, false);
    }
    exec_release(ex, mark);
}

static void weight_gradient(exec *ex, const linear_gradient *g, const float *dy,
                            const activation *x, const linear *lin)
{
    const num_format *f = &ex->format;
    float *dw = lin->weight->grad;
    if (f->kind == FORMAT_DFP) {
        const gemm_plan plan = plan_for(ex, f->gradient_bits, f->activation_bits);
        qmatrix q;
        gemm_operand a, b;
        map_for_params(ex, &q, g, dy, x, lin);
        gemm_pack(ex, &a, &ex->scratch, &plan, GEMM_A, &q, true);
        gemm_pack(ex, &b, &ex->scratch, &plan, GEMM_B, &x->q, true);
        gemm_run(ex, dw, lin->in, &a, &b, NULL, ex->accumulate_grads);
        return;
    }
    exec_check_finite(ex, dy, x->rows * lin->out, "the output gradient", lin->name);
    if (f->kind == FORMAT_BF16) {
        uint16_t *b = exec_take(ex, x->rows * lin->out, sizeof(uint16_t));
        bf16_convert(ex, b, dy, x->rows * lin->out);
        bf16_gemm(ex, dw, b, true, x->bf16, false, lin->out, lin->in, x->rows,
                  ex->accumulate_grads);
    } else {
        float_gemm(ex, dw, lin->in, dy, lin->out, true, x->f, lin->in, false, lin->out, lin->in,
                   x->rows, ex->accumulate_grads);
    }
}

typedef struct sum_job {
    const exec *ex;
    const linear_gradient *g;
    float *grad;
    int64_t sums, cols;
} sum_job;

static void add_sums(void *arg, int64_t begin, int64_t end)
{
    const sum_job *job = arg;
    const float *sum = job->g->bias_sums + begin;
    float total[STRIP] = {0};
    for (int64_t s = 0; s < job->sums; s++)
        job->ex->fk->accumulate(total, sum + s * job->cols, end - begin);
    if (job->ex->accumulate_grads)
        job->ex->fk->accumulate(job->grad + begin, total, end - begin);
    else
        memcpy(job->grad + begin, total, (size_t)(end - begin) * sizeof(float));
}

void linear_backward_params(exec *ex, const linear_gradient *g, const float *dy,
                            const activation *x, const linear *lin)
{
    const size_t mark = exec_mark(ex);
    weight_gradient(ex, g, dy, x, lin);
    exec_release(ex, mark);

    /* forward: y[t] = ... + b */
    sum_job job = {ex, g, lin->bias->grad, sums_of(x->rows), lin->out};
    exec_parallel(ex, lin->out, STRIP, add_sums, &job);
    if (g->col_max != NULL)
        exec_clear(ex, g->col_max, (size_t)lin->out * sizeof(uint32_t));
}

void linear_backward(exec *ex, float *dx, const float *dy, const activation *x, const linear *lin)
{
    linear_gradient g;
    const size_t mark = exec_mark(ex);
    linear_gradient_take(ex, &g, x->rows, lin->out);
    linear_collect(ex, &g, dy, x, lin);
    if (dx != NULL)
        linear_backward_input(ex, dx, dy, x, lin);
    linear_backward_params(ex, &g, dy, x, lin);
    exec_release(ex, mark);
}
