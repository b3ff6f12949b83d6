/*
 * One head of one sequence, forward and backward.  See attention.h.
 *
 * A head_matrix is a small matrix in the working format; what it holds and how two are multiplied
 * is in attention_dfp.c and attention_float.c, so the formulas are written once.
 */
#include <math.h>
#include <string.h>

#include "layers/arithmetic.h"

static head_matrix matrix(attention_head *hd, const head_source *from)
{
    return hd->ex->arithmetic->attention->matrix(hd, from);
}

static head_matrix kept_part(attention_head *hd, int which)
{
    return hd->ex->arithmetic->attention->kept_part(hd, which);
}

/* c = op(a) op(b)^T in the sense of gemm.h: reduce along the columns (STRAIGHT) or rows of each. */
static void multiply(attention_head *hd, float *c, int64_t ldc, const head_matrix *a, direction da,
                     const head_matrix *b, direction db)
{
    hd->ex->arithmetic->attention->multiply(hd, c, ldc, a, da, b, db);
}

static float logit_scale(const attention_head *hd)
{
    return 1.0f / sqrtf((float)hd->dh);
}

/* y = dropout of x [L][L] of this head, the same in forward and backward; y may be x. */
static void drop(const attention_head *hd, float *y, const float *x)
{
    const exec *ex = hd->ex;
    const float p = ex->training ? hd->job->attn->dropout : 0.0f;
    const int64_t n = hd->length * hd->length;
    if (p <= 0.0f) {
        if (y != x)
            exec_copy(ex, y, x, (size_t)n * sizeof(float));
        return;
    }
    if (ex->dry)
        return;
    const uint64_t tensor = (uint64_t)hd->job->attn->id << 32 |
                            (uint64_t)(hd->sequence * hd->job->attn->heads + hd->head);
    ex->fk->dropout(y, x, n, p, rng_make_key(ex->seed, ex->step, tensor, RNG_DROPOUT), 0);
}

/* Each row p = softmax(p / sqrt(dh)). */
static void softmax_forward(const attention_head *hd, float *p)
{
    const int64_t l = hd->length;
    for (int64_t i = 0; i < l && !hd->ex->dry; i++)
        hd->ex->fk->softmax_forward(p + i * l, p + i * l, l, logit_scale(hd));
}

/* The gradient of its argument, from d of its result p, in d. */
static void softmax_backward(const attention_head *hd, float *d, const float *p)
{
    const int64_t l = hd->length;
    for (int64_t i = 0; i < l && !hd->ex->dry; i++)
        hd->ex->fk->softmax_backward(d + i * l, d + i * l, p + i * l, l, logit_scale(hd));
}

/* p = softmax(Q K^T / sqrt(dh)), [L][L]. */
static void probabilities(attention_head *hd, float *p, const head_matrix *q, const head_matrix *k)
{
    multiply(hd, p, hd->length, q, STRAIGHT, k, STRAIGHT);
    softmax_forward(hd, p);
}

/* D as a head_matrix: the rows of different tokens differ much in size. */
static head_matrix dropped_probabilities(attention_head *hd, const float *d)
{
    return matrix(hd, &(head_source){.x = d,
                                     .ldx = hd->length,
                                     .cols = hd->length,
                                     .stream = STREAM_P,
                                     .what = "the probabilities",
                                     .by_row = true});
}

void attention_head_forward(attention_head *hd)
{
    const attention_job *job = hd->job;
    const int64_t l = hd->length, width = job->attn->width;
    head_matrix part[PARTS];
    for (int i = PART_Q; i <= PART_V; i++)
        part[i] = hd->ex->arithmetic->attention->part(
            hd, i, job->in + hd->first * 3 * width + i * width + hd->head * hd->dh);
    float *p = exec_take(hd->ex, l * l, sizeof(float));
    probabilities(hd, p, &part[PART_Q], &part[PART_K]);
    drop(hd, p, p);
    const head_matrix dropped = dropped_probabilities(hd, p);
    /* O = D V */
    multiply(hd, job->out + hd->first * width + hd->head * hd->dh, width, &dropped, STRAIGHT,
             &part[PART_V], TRANSPOSED);
}

void attention_head_backward(attention_head *hd)
{
    const attention_job *job = hd->job;
    const int64_t l = hd->length, width = job->attn->width, ld = 3 * width;
    const head_matrix q = kept_part(hd, PART_Q), k = kept_part(hd, PART_K),
                      v = kept_part(hd, PART_V);
    float *p = exec_take(hd->ex, l * l, sizeof(float));
    float *d = exec_take(hd->ex, l * l, sizeof(float));
    float *dq = job->out + hd->first * ld + hd->head * hd->dh, *dk = dq + width, *dv = dk + width;

    probabilities(hd, p, &q, &k);
    drop(hd, d, p);
    const head_matrix dropped = dropped_probabilities(hd, d);
    head_source out = {.x = job->in + hd->first * width + hd->head * hd->dh,
                       .ldx = width,
                       .cols = hd->dh,
                       .stream = STREAM_DO,
                       .what = "the output gradient",
                       .by_row = true};
    const head_matrix g = matrix(hd, &out);
    head_matrix folded = g; /* with the scales of the rows of D, over which dV = D^T dO adds */
    if (dropped.view.row_scale != NULL) {
        out.stream = STREAM_DO_FOLDED;
        out.by_row = false;
        out.row_mul = dropped.view.row_scale;
        folded = matrix(hd, &out);
    }
    /* forward: O = D V */
    multiply(hd, dv, ld, &dropped, TRANSPOSED, &folded, TRANSPOSED);
    multiply(hd, d, l, &g, STRAIGHT, &v, STRAIGHT);
    /* forward: D = dropout(P), P = softmax(S / sqrt(dh)) */
    drop(hd, d, d);
    softmax_backward(hd, d, p);
    const head_matrix ds = matrix(
        hd, &(head_source){
                .x = d, .ldx = l, .cols = l, .stream = STREAM_DS, .what = "the score gradient"});
    /* forward: S = Q K^T */
    multiply(hd, dq, ld, &ds, STRAIGHT, &k, TRANSPOSED);
    multiply(hd, dk, ld, &ds, TRANSPOSED, &q, TRANSPOSED);
}
