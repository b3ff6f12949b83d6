/*
 * Outputs of a text from its first token, what classification and regression have in common:
 *
 *   z = dropout(act(h[first] Wd + bd)) Wo + bo                       [Devlin2019 section 4.1]
 *
 * Names of the parameters, the activation function, and whether h[first] has dropout, too, are the
 * architecture's (first_token_names).
 */
#ifndef MTS_HEADS_FIRST_TOKEN_H
#define MTS_HEADS_FIRST_TOKEN_H

#include "heads/head.h"
#include "layers/low_rank.h"

typedef struct first_token {
    head base;
    param *dense_weight, *dense_bias, *out_weight, *out_bias;
    linear dense, out;
    low_rank dense_adapter; /* without a part: none */
    /* kept from forward to backward */
    linear_input dense_in, out_in;
    float *dense_out; /* [rows][hidden]: before the activation function */
} first_token;

/* Functions for head_class; see head.h. */
int64_t first_token_width(const model_config *cfg);
MTS_NODISCARD mts_status first_token_create(mts_ctx *ctx, head **out);
void first_token_declare(head *h, param_list *params);
void first_token_bind(head *h, exec *ex, arena *packed);
void first_token_bind_batch(head *h, exec *ex, const model_input *in, arena *kept);

/* z[rows][num_labels] from the hidden states x[tokens][hidden]. */
void first_token_forward(head *h, exec *ex, const model_input *in, const float *x, float *z);

/* dx[tokens][hidden] from dz[rows][num_labels]: zero but for first tokens; and the gradients of the
 * parameters. */
void first_token_backward(head *h, exec *ex, const model_input *in, const float *dz, float *dx);

#endif
