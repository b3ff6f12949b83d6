/* Linear layer, forward and backward.  See linear.h. */
#include "layers/linear.h"

#include <string.h>

#include "tensor/float_gemm.h"

enum { STRIP = 64 }; /* columns of one bias-gradient job */

static gemm_plan plan_for(const exec *ex, int bits_a, int bits_b)
{
    return gemm_plan_make(ex->family, bits_a, bits_b, ex->format.group == GROUP_BLOCK);
}

/* Groups of the gradient in dW = G^T X; see linear.h for the folding. */
static group_kind params_group(const num_format *f)
{
    return f->group == GROUP_ROW ? GROUP_COLUMN : f->group;
}

size_t linear_bytes(const exec *ex, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    if (f->kind == FORMAT_FP32)
        return 0;
    if (f->kind == FORMAT_BF16)
        return arena_need((size_t)(out * in), sizeof(uint16_t));
    const bool by_block = f->group == GROUP_BLOCK;
    const gemm_plan forward = plan_for(ex, f->activation_bits, f->weight_bits);
    const gemm_plan backward = plan_for(ex, f->gradient_bits, f->weight_bits);
    return gemm_operand_bytes(&forward, GEMM_B, out, in, by_block) +
           gemm_operand_bytes(&backward, GEMM_B, in, out, by_block) +
           arena_need((size_t)out, sizeof(float));
}

void linear_bind(exec *ex, linear *lin, arena *a, const char *name, int id, param *weight,
                 param *bias, int64_t out, int64_t in)
{
    const size_t bytes = linear_bytes(ex, out, in);
    *lin = (linear){.name = name, .id = id, .out = out, .in = in, .weight = weight, .bias = bias};
    lin->storage = (arena){arena_take(a, bytes, 1), bytes, 0};
}

size_t linear_prepare_scratch(const exec *ex, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    return f->kind == FORMAT_DFP ? qmatrix_bytes(out, in, f->weight_bits, f->group) : 0;
}

size_t linear_forward_scratch(const exec *ex, int64_t rows, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    if (f->kind == FORMAT_FP32)
        return 0;
    if (f->kind == FORMAT_BF16)
        return bf16_gemm_scratch(rows, out, in);
    const gemm_plan plan = plan_for(ex, f->activation_bits, f->weight_bits);
    return gemm_operand_bytes(&plan, GEMM_A, rows, in, f->group == GROUP_BLOCK);
}

size_t linear_backward_input_scratch(const exec *ex, int64_t rows, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    if (f->kind == FORMAT_FP32)
        return 0;
    if (f->kind == FORMAT_BF16)
        return arena_need((size_t)(rows * out), sizeof(uint16_t)) +
               bf16_gemm_scratch(rows, out, in);
    const gemm_plan plan = plan_for(ex, f->gradient_bits, f->weight_bits);
    return qmatrix_bytes(rows, out, f->gradient_bits, f->group) +
           gemm_operand_bytes(&plan, GEMM_A, rows, out, f->group == GROUP_BLOCK);
}

static size_t params_scratch(const exec *ex, int64_t rows, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    if (f->kind != FORMAT_DFP)
        return linear_backward_input_scratch(ex, rows, out, in);
    const gemm_plan plan = plan_for(ex, f->gradient_bits, f->activation_bits);
    const bool by_block = f->group == GROUP_BLOCK;
    return qmatrix_bytes(rows, out, f->gradient_bits, params_group(f)) +
           arena_need((size_t)out, sizeof(float)) + arena_need((size_t)out, sizeof(uint32_t)) +
           gemm_operand_bytes(&plan, GEMM_A, out, rows, by_block) +
           gemm_operand_bytes(&plan, GEMM_B, in, rows, by_block);
}

size_t linear_scratch(const exec *ex, int64_t rows, int64_t out, int64_t in)
{
    const size_t parts[] = {
        linear_prepare_scratch(ex, out, in),
        linear_forward_scratch(ex, rows, out, in),
        linear_backward_input_scratch(ex, rows, out, in),
        params_scratch(ex, rows, out, in),
    };
    size_t most = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        most = parts[i] > most ? parts[i] : most;
    return most;
}

void linear_prepare(exec *ex, linear *lin)
{
    if (ex->format.kind == FORMAT_FP32)
        return;
    if (lin->version == ex->weight_version + 1 && lin->version_training == ex->training)
        return;
    lin->version = ex->weight_version + 1;
    lin->version_training = ex->training;
    lin->storage.used = 0;
    const num_format *f = &ex->format;
    if (f->kind == FORMAT_BF16) {
        lin->bf16 = arena_take(&lin->storage, (size_t)(lin->out * lin->in), sizeof(uint16_t));
        ex->fk->to_bf16(lin->bf16, lin->weight->value, lin->out * lin->in);
        return;
    }
    const size_t mark = exec_mark(ex);
    qmatrix w;
    qmatrix_bind(&w, &ex->scratch, lin->out, lin->in, f->weight_bits, f->group);
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->weight_version, (uint64_t)lin->id, RNG_ROUND_WEIGHT),
        .stochastic = exec_stochastic(ex),
        .what = "the weight",
        .where = lin->name,
    };
    qmatrix_map(ex, &w, lin->weight->value, lin->in, &args);
    const gemm_plan forward = plan_for(ex, f->activation_bits, f->weight_bits);
    const gemm_plan backward = plan_for(ex, f->gradient_bits, f->weight_bits);
    gemm_pack(ex, &lin->straight, &lin->storage, &forward, GEMM_B, &w, false);
    gemm_pack(ex, &lin->transposed, &lin->storage, &backward, GEMM_B, &w, true);
    lin->row_scale = arena_take(&lin->storage, (size_t)lin->out, sizeof(float));
    if (f->group == GROUP_ROW)
        memcpy(lin->row_scale, w.scale, (size_t)lin->out * sizeof(float));
    exec_release(ex, mark);
}

typedef struct bias_job {
    const exec *ex;
    float *y; /* forward: rows to add the bias to; backward: the bias gradient */
    const float *x;
    int64_t rows, cols;
} bias_job;

static void add_bias_rows(void *arg, int64_t begin, int64_t end)
{
    const bias_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->ex->fk->accumulate(job->y + i * job->cols, job->x, job->cols);
}

static void sum_columns(void *arg, int64_t begin, int64_t end)
{
    const bias_job *job = arg;
    float sum[STRIP] = {0};
    for (int64_t t = 0; t < job->rows; t++)
        job->ex->fk->accumulate(sum, job->x + t * job->cols + begin, end - begin);
    if (job->ex->accumulate_grads)
        job->ex->fk->accumulate(job->y + begin, sum, end - begin);
    else
        memcpy(job->y + begin, sum, (size_t)(end - begin) * sizeof(float));
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
            float_gemm(y, lin->out, x->f, lin->in, false, lin->weight->value, lin->in, true,
                       x->rows, lin->out, lin->in, false);
        bias_job job = {ex, y, lin->bias->value, x->rows, lin->out};
        exec_parallel(ex, x->rows, 16, add_bias_rows, &job);
    }
    exec_release(ex, mark);
}

static map_args gradient_args(const exec *ex, const linear *lin, rng_use use, int64_t first_row)
{
    return (map_args){
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)lin->id, use),
        .first_row = first_row,
        .stochastic = exec_stochastic(ex),
        .what = "the output gradient",
        .where = lin->name,
    };
}

/* The gradient as dX = G W takes it. */
static void map_for_input(exec *ex, qmatrix *g, const float *dy, int64_t rows, int64_t first_row,
                          const linear *lin)
{
    const num_format *f = &ex->format;
    map_args args = gradient_args(ex, lin, RNG_ROUND_GRADIENT_DX, first_row);
    args.col_mul = f->group == GROUP_ROW ? lin->row_scale : NULL;
    qmatrix_bind(g, &ex->scratch, rows, lin->out, f->gradient_bits, f->group);
    qmatrix_map(ex, g, dy, lin->out, &args);
}

/* The gradient as dW = G^T X takes it: one map for both products but in exponents by row. */
static void map_for_params(exec *ex, qmatrix *g, const float *dy, const activation *x,
                           const linear *lin)
{
    const num_format *f = &ex->format;
    if (f->group != GROUP_ROW) {
        map_for_input(ex, g, dy, x->rows, 0, lin);
        return;
    }
    map_args args = gradient_args(ex, lin, RNG_ROUND_GRADIENT_DW, 0);
    args.row_mul = x->q.scale;
    qmatrix_bind(g, &ex->scratch, x->rows, lin->out, f->gradient_bits, params_group(f));
    qmatrix_map(ex, g, dy, lin->out, &args);
}

void linear_backward_input(exec *ex, float *dx, const float *dy, int64_t rows, int64_t first_row,
                           const linear *lin)
{
    /* forward: Y = X W^T */
    const num_format *f = &ex->format;
    const size_t mark = exec_mark(ex);
    if (f->kind == FORMAT_DFP) {
        qmatrix g;
        gemm_operand a;
        map_for_input(ex, &g, dy, rows, first_row, lin);
        gemm_pack(ex, &a, &ex->scratch, &lin->transposed.plan, GEMM_A, &g, false);
        gemm_run(ex, dx, lin->in, &a, &lin->transposed, NULL, false);
    } else if (f->kind == FORMAT_BF16) {
        uint16_t *g = exec_take(ex, rows * lin->out, sizeof(uint16_t));
        ex->fk->to_bf16(g, dy, rows * lin->out);
        bf16_gemm(ex, dx, g, false, lin->bf16, false, rows, lin->in, lin->out, false);
    } else {
        float_gemm(dx, lin->in, dy, lin->out, false, lin->weight->value, lin->in, false, rows,
                   lin->in, lin->out, false);
    }
    exec_release(ex, mark);
}

static void weight_gradient(exec *ex, const float *dy, const activation *x, const linear *lin)
{
    const num_format *f = &ex->format;
    float *dw = lin->weight->grad;
    if (f->kind == FORMAT_DFP) {
        const gemm_plan plan = plan_for(ex, f->gradient_bits, f->activation_bits);
        qmatrix g;
        gemm_operand a, b;
        map_for_params(ex, &g, dy, x, lin);
        gemm_pack(ex, &a, &ex->scratch, &plan, GEMM_A, &g, true);
        gemm_pack(ex, &b, &ex->scratch, &plan, GEMM_B, &x->q, true);
        gemm_run(ex, dw, lin->in, &a, &b, NULL, ex->accumulate_grads);
        return;
    }
    exec_check_finite(ex, dy, x->rows * lin->out, "the output gradient", lin->name);
    if (f->kind == FORMAT_BF16) {
        uint16_t *g = exec_take(ex, x->rows * lin->out, sizeof(uint16_t));
        ex->fk->to_bf16(g, dy, x->rows * lin->out);
        bf16_gemm(ex, dw, g, true, x->bf16, false, lin->out, lin->in, x->rows,
                  ex->accumulate_grads);
    } else {
        float_gemm(dw, lin->in, dy, lin->out, true, x->f, lin->in, false, lin->out, lin->in,
                   x->rows, ex->accumulate_grads);
    }
}

void linear_backward_params(exec *ex, const float *dy, const activation *x, const linear *lin)
{
    const size_t mark = exec_mark(ex);
    weight_gradient(ex, dy, x, lin);
    exec_release(ex, mark);

    /* forward: y[t] = ... + b */
    bias_job job = {ex, lin->bias->grad, dy, x->rows, lin->out};
    exec_parallel(ex, lin->out, STRIP, sum_columns, &job);
}

void linear_backward(exec *ex, float *dx, const float *dy, const activation *x, const linear *lin)
{
    if (dx != NULL)
        linear_backward_input(ex, dx, dy, x->rows, x->first_row, lin);
    linear_backward_params(ex, dy, x, lin);
}
