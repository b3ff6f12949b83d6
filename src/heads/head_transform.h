/*
 * What some heads have between hidden states and outputs, row by row:
 *
 *   y = N(act(x Wd + bd))          N a layer norm, where the architecture has one  [Devlin2019 4.1]
 *
 * Names, activation function and which parts there are: first_token_names of models/model.h.
 *
 * Path: head_class.learn, predict -> head_transform_forward, head_transform_backward.
 */
#ifndef MTS_HEADS_HEAD_TRANSFORM_H
#define MTS_HEADS_HEAD_TRANSFORM_H

#include "heads/head.h"
#include "layers/layernorm.h"
#include "layers/low_rank.h"

typedef struct head_transform {
    param *weight, *bias, *gamma, *beta; /* NULL: not there, but for weight */
    linear dense;
    low_rank adapter; /* without a part: none */
    layernorm norm;
    /* kept from forward to backward */
    linear_input in;
    float *out; /* [rows][hidden]: before the activation function */
    layernorm_state norm_state;
} head_transform;

/* As functions of head_class. */
void head_transform_declare(head *h, head_transform *t, param_list *params);
void head_transform_bind(head *h, head_transform *t, exec *ex, arena *packed);
void head_transform_bind_batch(head *h, head_transform *t, exec *ex, int64_t rows, arena *kept);

/* y[rows][hidden] from x[rows][hidden], which linear_input_source of t->in gave. */
void head_transform_forward(head *h, head_transform *t, exec *ex, float *y, const float *x);
/* dx[rows][hidden] from dy, which is overwritten, and the gradients of the parameters. */
void head_transform_backward(head *h, head_transform *t, exec *ex, float *dx, float *dy);

/* A name without the architecture's prefix, for reports. */
const char *head_short_name(const head *h, const char *name);

#endif
