/* Inputs of linear layers in the working number format.  See activation.h. */
#include "layers/activation.h"

#include <assert.h>
#include <string.h>

enum { COPY_GRAIN = 1 << 14 };

#include "tensor/float_gemm.h"

void activation_bind(activation *act, arena *a, const num_format *format, int64_t rows,
                     int64_t cols)
{
    act->rows = rows;
    act->cols = cols;
    switch (format->kind) {
    case FORMAT_FP32:
        act->f = arena_take(a, (size_t)(rows * cols), sizeof(float));
        break;
    case FORMAT_BF16:
        act->bf16 = arena_take(a, (size_t)(rows * cols), sizeof(uint16_t));
        break;
    case FORMAT_DFP:
        qmatrix_bind(&act->q, a, rows, cols, format->activation_bits, format->group);
        break;
    }
}

activation activation_rows(const activation *act, int64_t begin, int64_t end)
{
    activation part = *act;
    part.rows = end - begin;
    part.first_row = act->first_row + begin;
    if (act->f != NULL)
        part.f += begin * act->cols;
    if (act->bf16 != NULL)
        part.bf16 += begin * act->cols;
    if (act->q.q != NULL)
        part.q = qmatrix_rows(&act->q, begin, end);
    return part;
}

float *activation_source(const exec *ex, activation *act, float *scratch)
{
    return ex->format.kind == FORMAT_FP32 ? act->f : scratch;
}

void activation_set(exec *ex, activation *act, const float *x)
{
    if (ex->format.kind == FORMAT_FP32) {
        assert(x == act->f);
        exec_check_finite(ex, x, act->rows * act->cols, "the input", act->where);
    } else if (ex->format.kind == FORMAT_BF16) {
        exec_check_finite(ex, x, act->rows * act->cols, "the input", act->where);
        bf16_convert(ex, act->bf16, x, act->rows * act->cols);
    } else {
        const map_args args = {
            .key = rng_make_key(ex->seed, ex->step, (uint64_t)act->id, RNG_ROUND_ACTIVATION),
            .first_row = act->first_row,
            .stochastic = exec_stochastic_values(ex),
            .what = "the input",
            .where = act->where,
        };
        qmatrix_map(ex, &act->q, x, act->cols, &args);
    }
}

typedef struct copy_job {
    float *to;
    const float *from;
} copy_job;

static void copy_piece(void *arg, int64_t begin, int64_t end)
{
    const copy_job *job = arg;
    memcpy(job->to + begin, job->from + begin, (size_t)(end - begin) * sizeof(float));
}

void activation_copy(exec *ex, activation *act, const float *x)
{
    if (ex->format.kind == FORMAT_FP32) {
        copy_job job = {act->f, x};
        exec_parallel(ex, act->rows * act->cols, COPY_GRAIN, copy_piece, &job);
        x = act->f;
    }
    activation_set(ex, act, x);
}
