/* What the files of the decoder share: random streams, and the work from attention to attention. */
#ifndef MTS_MODELS_DECODER_INTERNAL_H
#define MTS_MODELS_DECODER_INTERNAL_H

#include "models/decoder.h"

/* Numbers of random streams.  They decide the bits of trained models: none is ever renumbered. */
enum {
    DECODER_STREAM_WORD = MODEL_STREAM_FIRST,
    DECODER_STREAM_FINAL_NORM,
    DECODER_STREAM_EMBEDDING_NORM,
    DECODER_STREAM_EMBEDDING_DROPOUT,
};
enum {
    DECODER_STREAM_QKV,
    DECODER_STREAM_OUT,
    DECODER_STREAM_GATE_UP,
    DECODER_STREAM_DOWN,
    DECODER_STREAM_NORM1,
    DECODER_STREAM_NORM2,
    DECODER_STREAM_ATTENTION,
    DECODER_STREAM_X,
    DECODER_STREAM_CONTEXT,
    DECODER_STREAM_Y,
    DECODER_STREAM_G,
    DECODER_STREAM_SLOPE,
    DECODER_STREAM_ACT,
    DECODER_STREAM_GATE,
    DECODER_STREAM_QKV_ADAPTER,                                       /* 7: low_rank_streams(3) */
    DECODER_STREAM_OUT_ADAPTER = DECODER_STREAM_QKV_ADAPTER + 7,      /* 3 */
    DECODER_STREAM_GATE_UP_ADAPTER = DECODER_STREAM_OUT_ADAPTER + 3,  /* 5 */
    DECODER_STREAM_DOWN_ADAPTER = DECODER_STREAM_GATE_UP_ADAPTER + 5, /* 3 */
    DECODER_STREAM_PER_LAYER = 32,
};
/* Behind those of all layers: of what came later. */
enum {
    DECODER_STREAM_OUT_NORM,
    DECODER_STREAM_DOWN_NORM,
    DECODER_STREAM_Q_NORM,
    DECODER_STREAM_K_NORM,
    DECODER_STREAM_OUT_DROPOUT,
    DECODER_STREAM_DOWN_DROPOUT,
    DECODER_MORE_STREAMS_PER_LAYER = 8,
};

static inline int decoder_stream(int64_t layer, int which)
{
    return (int)(LAYER_STREAM_FIRST + layer * DECODER_STREAM_PER_LAYER + which);
}
static inline int decoder_more_stream(const decoder *d, int64_t layer, int which)
{
    return decoder_stream(d->base.cfg->num_hidden_layers, 0) +
           (int)layer * DECODER_MORE_STREAMS_PER_LAYER + which;
}

/* Place for what one layer keeps of a batch. */
void decoder_layer_bind(const decoder *d, exec *ex, decoder_layer *layer, const sequences *seq,
                        arena *kept);

/*
 * Rows meet in attention only.  The forward from the attention of layer `after` (-1: from the
 * embeddings) to the attention of layer `before` (-1: to the end of layer `after`):
 *
 *   h    += what layer `after` adds, from its attention's output `mixed`
 *   qkv   = the projections for the attention of layer `before`, before rotation; heads of q and k
 *           normed, if they have norms
 */
typedef struct decoder_forward_rows {
    decoder *model;
    int64_t after, before;
    float *h, *qkv;     /* [tokens][hidden], [tokens][in width] */
    const float *mixed; /* [tokens][out width] */
    float *input;       /* recompute: where h before layer `before` is kept; else NULL */
    bool again;         /* only what the backward of layer `after` needs: h stays */
} decoder_forward_rows;

void decoder_rows_forward(decoder_forward_rows *job, exec *ex, int64_t tokens);

/* What the backward of a norm collects of all rows. */
typedef struct decoder_norm_gradient {
    layernorm_gradient g;
    float *dy; /* [tokens][hidden]; NULL where norms keep their own copy */
} decoder_norm_gradient;

/* Gradients between the parts of the backward, one set for all layers; in scratch. */
typedef struct decoder_gradients {
    float *h;     /* [tokens][hidden]: of the stream that layers add to */
    float *down;  /* [tokens][hidden]: of f, before its norm */
    float *out;   /* [tokens][hidden]: of a, before its norm */
    float *up;    /* [tokens][in width of the MLP's activation] */
    float *mixed; /* [tokens][out width] */
    float *qkv;   /* [tokens][in width] */
    decoder_norm_gradient of_norm1, of_norm2, of_out_norm, of_down_norm;
    head_norm_gradient of_q_norm, of_k_norm;
    linear_gradient of_qkv, of_out, of_up, of_down;
} decoder_gradients;

void decoder_gradients_take(const decoder *d, exec *ex, decoder_gradients *g, float *h,
                            int64_t tokens);

/* The way back of decoder_rows_forward between the attentions of layers index and index + 1; with
 * it the gradients of the parameters in between. */
void decoder_rows_backward(decoder *d, exec *ex, int64_t index, const decoder_gradients *g,
                           int64_t tokens);

/* Functions of decoder_class (decoder_create.c, decoder_declare.c, decoder.c); see model.h. */
MTS_NODISCARD mts_status decoder_create(mts_ctx *ctx, const model_config *cfg,
                                        const model_options *options, model **out);
void decoder_destroy(model *m);
void decoder_declare(model *m, param_list *params);
void decoder_bind(model *m, exec *ex, arena *packed);
void decoder_bind_batch(model *m, exec *ex, const model_input *in, arena *kept);
void decoder_forward(model *m, exec *ex, const model_input *in, float *h);
void decoder_backward(model *m, exec *ex, const model_input *in, float *dh);

#endif
