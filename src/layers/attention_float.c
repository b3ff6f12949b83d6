/* The small matrices inside attention in fp32 and bfloat16.  See attention_internal.h. */
#include "layers/arithmetic.h"
#include "tensor/float_gemm.h"

static void state_bind(const exec *ex, attention_state *state, arena *a, const attention *attn,
                       int64_t tokens, int64_t count)
{
    (void)ex, (void)count;
    state->qkv = arena_take(a, (size_t)(tokens * attention_in_width(attn)), sizeof(float));
}

static void multiply(attention_head *hd, float *c, int64_t ldc, const head_matrix *a, direction da,
                     const head_matrix *b, direction db, bool add)
{
    const bool ta = da == TRANSPOSED, tb = db == TRANSPOSED;
    const int64_t m = ta ? a->view.cols : a->view.rows, k = ta ? a->view.rows : a->view.cols;
    const int64_t n = tb ? b->view.cols : b->view.rows;
    float_gemm(hd->ex, c, ldc, a->f, a->view.ld, ta, b->f, b->view.ld, !tb, m, n, k, add);
}

/* Q, K or V of the head, in qkv. */
static head_source part_source(const attention_head *hd, const float *x)
{
    return (head_source){
        .x = x, .ldx = attention_in_width(hd->job->attn), .rows = hd->length, .cols = hd->dh};
}

static const float *kept_floats(const attention_head *hd, int which)
{
    const int64_t ld = attention_in_width(hd->job->attn);
    return hd->job->state->qkv + hd->first * ld + part_column(hd, which);
}

/* ---------------------------------------------------------------------------------- fp32 ---- */

/* The floats are borrowed. */
static head_matrix matrix_fp32(attention_head *hd, const head_source *from)
{
    (void)hd;
    return (head_matrix){.view = {.rows = from->rows, .cols = from->cols, .ld = from->ldx},
                         .f = from->x};
}

static head_matrix part_fp32(attention_head *hd, int which, const float *x)
{
    const head_source from = part_source(hd, x);
    (void)which;
    return matrix_fp32(hd, &from);
}

static head_matrix kept_part_fp32(attention_head *hd, int which)
{
    return part_fp32(hd, which, kept_floats(hd, which));
}

const attention_arithmetic attention_fp32 = {
    .state_bind = state_bind,
    .part = part_fp32,
    .kept_part = kept_part_fp32,
    .matrix = matrix_fp32,
    .multiply = multiply,
};

/* ------------------------------------------------------------------------------ bfloat16 ---- */

/* The bfloat16 values of a source, as floats in scratch. */
static const float *round_to_bf16(attention_head *hd, const head_source *from)
{
    exec *ex = hd->ex;
    float *f = exec_take(ex, from->rows * from->cols, sizeof(float));
    for (int64_t i = 0; i < from->rows && !ex->dry; i++) {
        uint16_t row[512];
        for (int64_t j = 0; j < from->cols; j += 512) {
            const int64_t n = from->cols - j < 512 ? from->cols - j : 512;
            ex->fk->to_bf16(row, from->x + i * from->ldx + j, n);
            ex->fk->from_bf16(f + i * from->cols + j, row, n);
        }
    }
    return f;
}

static head_matrix matrix_bf16(attention_head *hd, const head_source *from)
{
    return (head_matrix){.view = {.rows = from->rows, .cols = from->cols, .ld = from->cols},
                         .f = round_to_bf16(hd, from)};
}

static head_matrix part_bf16(attention_head *hd, int which, const float *x)
{
    const head_source from = part_source(hd, x);
    (void)which;
    return matrix_bf16(hd, &from);
}

static head_matrix kept_part_bf16(attention_head *hd, int which)
{
    return part_bf16(hd, which, kept_floats(hd, which));
}

const attention_arithmetic attention_bf16 = {
    .state_bind = state_bind,
    .part = part_bf16,
    .kept_part = kept_part_bf16,
    .matrix = matrix_bf16,
    .multiply = multiply,
};
