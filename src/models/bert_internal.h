/* What the files of the BERT model share: random streams, and the work from attention to
 * attention. */
#ifndef MTS_MODELS_BERT_INTERNAL_H
#define MTS_MODELS_BERT_INTERNAL_H

#include "models/bert.h"

/* Numbers of random streams: each layer object and each dropout has its own.  They decide the bits
 * of trained models: none is ever renumbered. */
enum {
    STREAM_WORD = MODEL_STREAM_FIRST,
    STREAM_POSITION,
    STREAM_TYPE,
    STREAM_EMBEDDING_NORM,
    STREAM_EMBEDDING_DROPOUT,
    STREAM_PROJECTION = MODEL_STREAM_MORE,
    STREAM_PROJECTED,
    STREAM_PROJECTION_ADAPTER, /* 3: low_rank_streams(1) */
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
    STREAM_QKV_ADAPTER,                          /* 7: low_rank_streams(3) */
    STREAM_OUT_ADAPTER = STREAM_QKV_ADAPTER + 7, /* 3 */
    STREAM_UP_ADAPTER = STREAM_OUT_ADAPTER + 3,  /* 3 */
    STREAM_DOWN_ADAPTER = STREAM_UP_ADAPTER + 3, /* 3 */
    STREAM_PER_LAYER = 32,
};

static inline int bert_stream(int64_t layer, int which)
{
    return (int)(LAYER_STREAM_FIRST + layer * STREAM_PER_LAYER + which);
}

/* Place for what one layer keeps of a batch: its output's layer norm; its input and what attention
 * keeps; what is between attention and output. */
typedef void bert_bind_fn(const bert *model, exec *ex, bert_layer *layer, const sequences *seq,
                          arena *kept);
bert_bind_fn bert_layer_bind_output, bert_layer_bind_input, bert_layer_bind_inner;

/*
 * Rows meet in attention only.  This is the forward from the attention of layer `after` (-1: from
 * the embeddings) to the attention of layer `before` (-1: to the end of layer `after`):
 *
 *   out = the output of layer `after`, from its attention's output `mixed` and its input h
 *   qkv = the projections of out for the attention of layer `before`
 *
 * [tokens][hidden], qkv [tokens][3 hidden].  With after -1, out is input.  mixed and out are what
 * linear_input_source of the context of layer `after` and of x of layer `before` gave.
 */
typedef struct bert_forward_rows {
    bert *model;
    int64_t after, before;
    float *out, *qkv;
    const float *mixed, *h;
    bool again; /* only what the backward of layer `after` needs: no output */
} bert_forward_rows;

void bert_rows_forward(bert_forward_rows *job, exec *ex, int64_t tokens);

/* Compute again what layer `index` kept in its forward, from its input h[tokens][hidden], which is
 * overwritten in the float formats only by what it is.  mixed [tokens][hidden] and qkv [tokens][3
 * hidden] are scratch. */
void bert_layer_again(bert *model, exec *ex, int64_t index, float *h, float *mixed, float *qkv,
                      const sequences *seq);

/* Gradients between the parts of the backward, one set for all layers; in scratch. */
typedef struct bert_gradients {
    float *out;   /* [tokens][hidden]: of the layer's output */
    float *down;  /* [tokens][hidden]: of f */
    float *up;    /* [tokens][intermediate]: of u; room for [tokens][3 hidden] */
    float *h1;    /* [tokens][hidden]: of h1; NULL where layer norm keeps its own copy */
    float *sum1;  /* [tokens][hidden]: of what layer norm 1 normalises */
    float *a;     /* [tokens][hidden]: of a */
    float *mixed; /* [tokens][hidden]: of the attention's output */
    float *qkv;   /* [tokens][3 hidden]: of the attention's input */
    layernorm_gradient norm1, norm2;                /* see layernorm.h */
    linear_gradient of_qkv, of_out, of_up, of_down; /* see linear.h */
} bert_gradients;

/* out: the gradient of the last layer's output, which the backward overwrites. */
void bert_gradients_take(const bert *model, exec *ex, bert_gradients *g, float *out,
                         int64_t tokens);

/* The way back of bert_rows_forward: from g->qkv of layer index + 1 and g->sum1 (or from g->out of
 * the last layer) to g->mixed of layer `index`; with index -1, to g->out of the embeddings.  With
 * it the gradients of layer index + 1's query-key-value parameters. */
void bert_rows_backward(bert *model, exec *ex, int64_t index, const bert_gradients *g,
                        int64_t tokens);

/* bert_rows_backward of layer `index`, the gradients of its other parameters, its attention. */
void bert_layer_backward(bert *model, exec *ex, int64_t index, const bert_gradients *g,
                         const sequences *seq);

/* Whether a gradient reaches the embeddings: beside adapters they are frozen, as a whole. */
static inline bool bert_embeddings_trained(const bert *b)
{
    return b->word_table->trained;
}

/* Whether the gradient of the layers' input is wanted. */
static inline bool bert_input_trained(const bert *b)
{
    return bert_embeddings_trained(b) || b->projection_adapter.count > 0;
}

/* Functions of bert_class and the others (bert_create.c, bert.c); see model.h. */
MTS_NODISCARD mts_status bert_create(mts_ctx *ctx, const model_config *cfg,
                                     const model_options *options, model **out);
void bert_destroy(model *m);
void bert_declare(model *m, param_list *params);
void bert_bind(model *m, exec *ex, arena *packed);
void bert_bind_batch(model *m, exec *ex, const model_input *in, arena *kept);
void bert_forward(model *m, exec *ex, const model_input *in, float *h);
void bert_backward(model *m, exec *ex, const model_input *in, float *dh);

#endif
