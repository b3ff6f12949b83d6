/*
 * What heads over all tokens have between the hidden states and their loss:
 *
 *   z[t] = dropout(h[t]) W + b, W [width][hidden]; some architectures have
 *                               dropout(N(act(h[t] Wd + bd))) for dropout(h[t])
 *
 * with N(act(...)) of head_transform.h where first_token_names.of_tokens says so.
 *
 * Path: head_class.learn, predict of tokens.c and spans.c -> token_outputs_forward,
 *       token_outputs_backward.
 */
#ifndef MTS_HEADS_TOKEN_OUTPUTS_H
#define MTS_HEADS_TOKEN_OUTPUTS_H

#include "heads/head_transform.h"

typedef struct token_outputs {
    float dropout;            /* of h[t], in training; behind a transform it is head.dropout */
    head_transform transform; /* where the architecture has it */
    param *weight, *bias;
    linear out;
    linear_input in; /* [tokens][hidden], kept from forward to backward */
} token_outputs;

/* As functions of head_class; dropout is set before.  The width is head_class.width, the name of W
 * and b head_class_outputs. */
void token_outputs_declare(head *h, token_outputs *o, param_list *params);
void token_outputs_bind(head *h, token_outputs *o, exec *ex, arena *packed);
void token_outputs_bind_batch(head *h, token_outputs *o, exec *ex, const model_input *in,
                              arena *kept);

/* z[tokens][width] from x[tokens][hidden] */
void token_outputs_forward(head *h, token_outputs *o, exec *ex, float *z, const float *x);
/* dx[tokens][hidden] from dz[tokens][width], and the gradients of the parameters. */
void token_outputs_backward(head *h, token_outputs *o, exec *ex, float *dx, const float *dz);

#endif
