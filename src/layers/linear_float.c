/* Linear layer in fp32 and bfloat16.  See linear.h, arithmetic.h. */
#include "layers/arithmetic.h"

#include <assert.h>

#include "layers/linear_weight.h"
#include "tensor/float_gemm.h"

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

/* y += b in every row */
static void add_bias(exec *ex, float *y, int64_t rows, const linear *lin)
{
    if (lin->bias == NULL)
        return;
    bias_job job = {ex, y, lin->bias->value, lin->out};
    exec_parallel(ex, rows, 16, add_bias_rows, &job);
}

static void check_gradient(exec *ex, const float *dy, int64_t rows, const linear *lin)
{
    exec_check_finite(ex, dy, rows * lin->out, "the output gradient", lin->name);
}

/* ---------------------------------------------------------------------------------- fp32 ---- */

static void input_bind_fp32(const exec *ex, linear_input *in, arena *a)
{
    (void)ex;
    in->f = arena_take(a, (size_t)(in->rows * in->cols), sizeof(float));
}

/* x was written in place: linear_input_source. */
static void input_set_fp32(exec *ex, linear_input *in, const float *x)
{
    assert(x == in->f);
    exec_check_finite(ex, x, in->rows * in->cols, "the input", in->where);
}

static void forward_fp32(exec *ex, float *y, const linear_input *x, const linear *lin)
{
    const int64_t piece = linear_weight_piece(lin);
    for (int64_t first = 0; first < lin->out; first += piece) {
        const size_t mark = exec_mark(ex);
        const int64_t n = lin->out - first < piece ? lin->out - first : piece;
        const float *w = linear_weight_rows(ex, lin, first, n);
        if (!ex->dry)
            float_gemm(ex, y + first, lin->out, x->f, lin->in, false, w, lin->in, true, x->rows, n,
                       lin->in, false);
        exec_release(ex, mark);
        if (ex->dry)
            break; /* the first piece takes the most */
    }
    add_bias(ex, y, x->rows, lin);
}

static void input_gradient_fp32(exec *ex, float *dx, const float *dy, const linear_input *x,
                                const linear *lin)
{
    const int64_t piece = linear_weight_piece(lin);
    for (int64_t first = 0; first < lin->out; first += piece) {
        const size_t mark = exec_mark(ex);
        const int64_t n = lin->out - first < piece ? lin->out - first : piece;
        const float *w = linear_weight_rows(ex, lin, first, n);
        if (!ex->dry)
            float_gemm(ex, dx, lin->in, dy + first, lin->out, false, w, lin->in, false, x->rows,
                       lin->in, n, first > 0);
        exec_release(ex, mark);
        if (ex->dry)
            break;
    }
}

static void weight_gradient_fp32(exec *ex, const linear_sums *g, const float *dy,
                                 const linear_input *x, const linear *lin)
{
    (void)g;
    check_gradient(ex, dy, x->rows, lin);
    float_gemm(ex, lin->weight->grad, lin->in, dy, lin->out, true, x->f, lin->in, false, lin->out,
               lin->in, x->rows, ex->accumulate_grads);
}

const linear_arithmetic linear_fp32 = {
    .input_bind = input_bind_fp32,
    .input_set = input_set_fp32,
    .forward = forward_fp32,
    .input_gradient = input_gradient_fp32,
    .weight_gradient = weight_gradient_fp32,
};

/* ------------------------------------------------------------------------------ bfloat16 ---- */

static void input_bind_bf16(const exec *ex, linear_input *in, arena *a)
{
    (void)ex;
    in->bf16 = arena_take(a, (size_t)(in->rows * in->cols), sizeof(uint16_t));
}

static void input_set_bf16(exec *ex, linear_input *in, const float *x)
{
    exec_check_finite(ex, x, in->rows * in->cols, "the input", in->where);
    bf16_convert(ex, in->bf16, x, in->rows * in->cols);
}

static void weight_bind_bf16(exec *ex, linear *lin, arena *a)
{
    (void)ex;
    lin->bf16 = arena_take(a, (size_t)(lin->out * lin->in), sizeof(uint16_t));
}

static void weight_set_bf16(exec *ex, linear *lin)
{
    const int64_t piece = linear_weight_piece(lin);
    for (int64_t first = 0; first < lin->out; first += piece) {
        const size_t mark = exec_mark(ex);
        const int64_t n = lin->out - first < piece ? lin->out - first : piece;
        const float *w = linear_weight_rows(ex, lin, first, n);
        if (!ex->dry)
            bf16_convert(ex, lin->bf16 + first * lin->in, w, n * lin->in);
        exec_release(ex, mark);
        if (ex->dry)
            break; /* the first piece takes the most */
    }
    linear_weight_forget(ex, lin);
}

/* dy in scratch, rounded. */
static uint16_t *gradient_bf16(exec *ex, const float *dy, int64_t rows, const linear *lin)
{
    uint16_t *g = exec_take(ex, rows * lin->out, sizeof(uint16_t));
    bf16_convert(ex, g, dy, rows * lin->out);
    return g;
}

static void forward_bf16(exec *ex, float *y, const linear_input *x, const linear *lin)
{
    bf16_gemm(ex, y, x->bf16, false, lin->bf16, true, x->rows, lin->out, lin->in, false);
    add_bias(ex, y, x->rows, lin);
}

static void input_gradient_bf16(exec *ex, float *dx, const float *dy, const linear_input *x,
                                const linear *lin)
{
    const uint16_t *g = gradient_bf16(ex, dy, x->rows, lin);
    bf16_gemm(ex, dx, g, false, lin->bf16, false, x->rows, lin->in, lin->out, false);
}

static void weight_gradient_bf16(exec *ex, const linear_sums *sums, const float *dy,
                                 const linear_input *x, const linear *lin)
{
    (void)sums;
    check_gradient(ex, dy, x->rows, lin);
    const uint16_t *g = gradient_bf16(ex, dy, x->rows, lin);
    bf16_gemm(ex, lin->weight->grad, g, true, x->bf16, false, lin->out, lin->in, x->rows,
              ex->accumulate_grads);
}

const linear_arithmetic linear_bf16 = {
    .input_bind = input_bind_bf16,
    .input_set = input_set_bf16,
    .weight_bind = weight_bind_bf16,
    .weight_set = weight_set_bf16,
    .forward = forward_bf16,
    .input_gradient = input_gradient_bf16,
    .weight_gradient = weight_gradient_bf16,
};
