/* Linear layer, forward and backward.  See linear.h. */
#include "layers/linear.h"

#include <string.h>

#include "tensor/float_gemm.h"

enum { STRIP = 64 }; /* columns of one bias-gradient job */

static gemm_plan plan_for(const exec *ex, int bits_a, int bits_b)
{
    return gemm_plan_make(ex->family, bits_a, bits_b, ex->format.group == GROUP_BLOCK);
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

size_t linear_scratch(const exec *ex, int64_t rows, int64_t out, int64_t in)
{
    const num_format *f = &ex->format;
    if (f->kind == FORMAT_FP32)
        return 0;
    if (f->kind == FORMAT_BF16)
        return arena_need((size_t)(rows * out), sizeof(uint16_t)) +
               bf16_gemm_scratch(rows, out, in);
    const bool by_block = f->group == GROUP_BLOCK;
    const gemm_plan forward = plan_for(ex, f->activation_bits, f->weight_bits);
    const gemm_plan dx = plan_for(ex, f->gradient_bits, f->weight_bits);
    const gemm_plan dw = plan_for(ex, f->gradient_bits, f->activation_bits);
    const size_t weight = qmatrix_bytes(out, in, f->weight_bits, f->group);
    const group_kind by_column = f->group == GROUP_ROW ? GROUP_COLUMN : f->group;
    return weight + gemm_operand_bytes(&forward, GEMM_A, rows, in, by_block) +
           qmatrix_bytes(rows, out, f->gradient_bits, f->group) +
           qmatrix_bytes(rows, out, f->gradient_bits, by_column) +
           gemm_operand_bytes(&dx, GEMM_A, rows, out, by_block) +
           gemm_operand_bytes(&dw, GEMM_A, out, rows, by_block) +
           gemm_operand_bytes(&dw, GEMM_B, in, rows, by_block) +
           2 * arena_need((size_t)(out + in), sizeof(float));
}

/* Map and pack the weight for both of its products, once per optimizer step. */
static void pack_weight(exec *ex, linear *lin)
{
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
    if (f->kind == FORMAT_DFP) {
        pack_weight(ex, lin);
        gemm_operand a;
        gemm_pack(ex, &a, &ex->scratch, &lin->straight.plan, GEMM_A, &x->q, false);
        gemm_run(ex, y, lin->out, &a, &lin->straight, lin->bias->value, false);
    } else {
        if (f->kind == FORMAT_BF16) {
            pack_weight(ex, lin);
            bf16_gemm(ex, y, x->bf16, false, lin->bf16, true, x->rows, lin->out, lin->in, false);
        } else {
            float_gemm(y, lin->out, x->f, lin->in, false, lin->weight->value, lin->in, true,
                       x->rows, lin->out, lin->in, false);
        }
        bias_job job = {ex, y, lin->bias->value, x->rows, lin->out};
        exec_parallel(ex, x->rows, 16, add_bias_rows, &job);
    }
    exec_release(ex, mark);
}

/* Map the gradient for one of its products; see linear.h for the folding. */
static void map_gradient(exec *ex, qmatrix *g, const float *dy, const linear *lin, rng_use use,
                         group_kind group, const float *row_mul, const float *col_mul, int64_t rows)
{
    qmatrix_bind(g, &ex->scratch, rows, lin->out, ex->format.gradient_bits, group);
    const map_args args = {
        .row_mul = row_mul,
        .col_mul = col_mul,
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)lin->id, use),
        .stochastic = exec_stochastic(ex),
        .what = "the output gradient",
        .where = lin->name,
    };
    qmatrix_map(ex, g, dy, lin->out, &args);
}

static void backward_integer(exec *ex, float *dx, const float *dy, const activation *x, linear *lin)
{
    const num_format *f = &ex->format;
    const bool by_row = f->group == GROUP_ROW;
    const gemm_plan dw_plan = plan_for(ex, f->gradient_bits, f->activation_bits);
    qmatrix g, g_dw;
    gemm_operand a, b;
    if (dx != NULL || !by_row)
        map_gradient(ex, &g, dy, lin, RNG_ROUND_GRADIENT_DX, f->group, NULL,
                     by_row ? lin->row_scale : NULL, x->rows);
    if (dx != NULL) {
        /* forward: Y = X W^T */
        gemm_pack(ex, &a, &ex->scratch, &lin->transposed.plan, GEMM_A, &g, false);
        gemm_run(ex, dx, lin->in, &a, &lin->transposed, NULL, false);
    }
    if (by_row)
        map_gradient(ex, &g_dw, dy, lin, RNG_ROUND_GRADIENT_DW, GROUP_COLUMN, x->q.scale, NULL,
                     x->rows);
    gemm_pack(ex, &a, &ex->scratch, &dw_plan, GEMM_A, by_row ? &g_dw : &g, true);
    gemm_pack(ex, &b, &ex->scratch, &dw_plan, GEMM_B, &x->q, true);
    gemm_run(ex, lin->weight->grad, lin->in, &a, &b, NULL, ex->accumulate_grads);
}

static void backward_bf16(exec *ex, float *dx, const float *dy, const activation *x, linear *lin)
{
    uint16_t *g = exec_take(ex, x->rows * lin->out, sizeof(uint16_t));
    ex->fk->to_bf16(g, dy, x->rows * lin->out);
    if (dx != NULL)
        bf16_gemm(ex, dx, g, false, lin->bf16, false, x->rows, lin->in, lin->out, false);
    bf16_gemm(ex, lin->weight->grad, g, true, x->bf16, false, lin->out, lin->in, x->rows,
              ex->accumulate_grads);
}

static void backward_fp32(exec *ex, float *dx, const float *dy, const activation *x, linear *lin)
{
    if (dx != NULL)
        float_gemm(dx, lin->in, dy, lin->out, false, lin->weight->value, lin->in, false, x->rows,
                   lin->in, lin->out, false);
    float_gemm(lin->weight->grad, lin->in, dy, lin->out, true, x->f, lin->in, false, lin->out,
               lin->in, x->rows, ex->accumulate_grads);
}

void linear_backward(exec *ex, float *dx, const float *dy, const activation *x, linear *lin)
{
    const size_t mark = exec_mark(ex);
    if (ex->format.kind == FORMAT_DFP)
        backward_integer(ex, dx, dy, x, lin);
    else if (ex->format.kind == FORMAT_BF16)
        backward_bf16(ex, dx, dy, x, lin);
    else
        backward_fp32(ex, dx, dy, x, lin);
    if (ex->format.kind != FORMAT_DFP)
        exec_check_finite(ex, dy, x->rows * lin->out, "the output gradient", lin->name);
    exec_release(ex, mark);

    /* forward: y[t] = ... + b */
    bias_job job = {ex, lin->bias->grad, dy, x->rows, lin->out};
    exec_parallel(ex, lin->out, STRIP, sum_columns, &job);
}
