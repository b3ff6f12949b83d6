/* What the files of the BERT model share: random stream numbers and float buffers. */
#ifndef MTS_MODELS_BERT_INTERNAL_H
#define MTS_MODELS_BERT_INTERNAL_H

#include "models/bert.h"

/* Numbers of random streams: each layer object and each dropout has its own. */
enum {
    STREAM_WORD = 1,
    STREAM_POSITION,
    STREAM_TYPE,
    STREAM_EMBEDDING_NORM,
    STREAM_EMBEDDING_DROPOUT,
    STREAM_POOLER,
    STREAM_CLASSIFIER,
    STREAM_POOLER_INPUT,
    STREAM_CLASSIFIER_INPUT,
    STREAM_POOLED_DROPOUT,
    STREAM_LAYERS = 32,
};
enum {
    STREAM_QKV,
    STREAM_OUT,
    STREAM_UP,
    STREAM_DOWN,
    STREAM_NORM1,
    STREAM_NORM2,
    STREAM_ATTENTION,
    STREAM_X,
    STREAM_CONTEXT,
    STREAM_H1,
    STREAM_G,
    STREAM_DROPOUT1,
    STREAM_DROPOUT2,
    STREAM_SLOPE,
    STREAM_PER_LAYER = 32,
};

static inline int bert_stream(int64_t layer, int which)
{
    return (int)(STREAM_LAYERS + layer * STREAM_PER_LAYER + which);
}

/* y = dropout(x) with probability p of stream `stream`, x[0] being element `first` of it; y may be
 * x; p 0 or evaluation: a copy. */
void bert_drop(exec *ex, float *y, const float *x, int64_t n, int64_t first, float p, int stream);

/* Bind what one layer keeps of a batch: its output's layer norm; its input and what attention
 * keeps; what is between attention and output. */
typedef void bert_bind_fn(bert *model, bert_layer *layer, const sequences *seq);
bert_bind_fn bert_layer_bind_output, bert_layer_bind_input, bert_layer_bind_inner;

/*
 * The forward from the attention of layer `mix` (-1: from the embeddings) to the attention of layer
 * `project` (-1: to the end of layer `mix`):
 *
 *   out = the output of layer mix, from its attention's output `mixed` and its input h
 *   qkv = the projections of out for layer `project`
 *
 * [tokens][hidden], qkv [tokens][3 hidden].  With mix -1, out is input.  mixed and out are what
 * linear_input_source of layer mix's context and of layer project's x gave.
 */
typedef struct bert_forward_rows {
    bert *model;
    int64_t mix, project;
    float *out, *qkv;
    const float *mixed, *h;
    bool again; /* only what the backward of layer mix needs: no output */
} bert_forward_rows;

void bert_rows_forward(bert_forward_rows *job, int64_t tokens);

/* Compute again what layer `index` kept in its forward, from its input h[tokens][hidden], which is
 * overwritten in the float formats only by what it is.  mixed [tokens][hidden] and qkv [tokens][3
 * hidden] are scratch. */
void bert_layer_again(bert *model, int64_t index, float *h, float *mixed, float *qkv,
                      const sequences *seq);

/* Gradients between the parts of the backward, one set for all layers; in scratch. */
typedef struct bert_gradients {
    float *out;                      /* [tokens][hidden]: of the layer's output */
    float *down, *up;                /* of f, [tokens][hidden]; of u, [tokens][intermediate], with
                                        room for [tokens][3 hidden] */
    float *h1;                       /* of h1; NULL where layer norm keeps its own copy */
    float *sum1;                     /* of what layer norm 1 normalises */
    float *a, *mixed, *qkv;          /* of a, of the attention's output, of its input */
    layernorm_gradient norm1, norm2; /* see layernorm.h */
    linear_gradient of_qkv, of_out, of_up, of_down; /* see linear.h */
} bert_gradients;

void bert_gradients_take(bert *model, bert_gradients *g, int64_t tokens);

/* The way back of bert_rows_forward: from g->qkv of layer index + 1 and g->sum1 (or from g->out of
 * the last layer) to g->mixed of layer `index`; with index -1, to g->out of the embeddings.  With
 * it the gradients of layer index + 1's query-key-value parameters. */
void bert_rows_backward(bert *model, int64_t index, const bert_gradients *g, int64_t tokens);

/* bert_rows_backward of layer `index`, the gradients of its other parameters, its attention. */
void bert_layer_backward(bert *model, int64_t index, const bert_gradients *g, const sequences *seq);

#endif
