/*
 * RMS norm of each head of Q, or of K, before it is rotated: one gain [head_dim] for all heads, in
 * place in qkv.                                                        [Henry2020, Dehghani2023]
 *
 * The rows of the norm are the heads of the tokens, [tokens heads][head_dim]; FORMATS.md (7).
 */
#ifndef MTS_LAYERS_HEAD_NORM_H
#define MTS_LAYERS_HEAD_NORM_H

#include "layers/layernorm.h"

typedef struct head_norm {
    layernorm norm;        /* n is head_dim; bound by the caller */
    int64_t first, heads;  /* column of the first head in a row of qkv; how many */
    int64_t ld;            /* columns of qkv */
    layernorm_state state; /* kept from forward to backward */
} head_norm;

/* What the backward collects of all tokens for the gain's gradient. */
typedef struct head_norm_gradient {
    layernorm_gradient g;
    float *dy; /* [tokens heads][head_dim]; NULL where norms keep their own copy */
} head_norm_gradient;

/* The place of h->state, for so many tokens. */
void head_norm_bind(const exec *ex, head_norm *h, arena *a, int64_t tokens);

/* qkv[end - begin][ld], in place: the rows of tokens [begin, end). */
void head_norm_forward(exec *ex, float *qkv, int64_t begin, int64_t end, head_norm *h);

void head_norm_gradient_take(exec *ex, head_norm_gradient *g, int64_t tokens, const head_norm *h);
/* dqkv[end - begin][ld], in place. */
void head_norm_backward(exec *ex, float *dqkv, int64_t begin, int64_t end, const head_norm *h,
                        const head_norm_gradient *g);
/* The gain's gradient, of all tokens. */
void head_norm_backward_params(exec *ex, const head_norm_gradient *g, int64_t tokens,
                               const head_norm *h);

#endif
