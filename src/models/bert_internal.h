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
    STREAM_PER_LAYER = 32,
};

static inline int bert_stream(int64_t layer, int which)
{
    return (int)(STREAM_LAYERS + layer * STREAM_PER_LAYER + which);
}

/* y = dropout(x) with probability p of stream `stream`; y may be x; p 0 or evaluation: a copy. */
void bert_drop(bert *model, float *y, const float *x, int64_t n, float p, int stream);

/* Bind what one layer keeps for a batch of `tokens` in `rows` sequences. */
void bert_layer_bind(bert *model, bert_layer *layer, int64_t tokens, int64_t rows);

/* out = layer(h); h is what activation_source(&layer->x) gave.  [tokens][hidden] */
void bert_layer_forward(bert *model, int64_t index, float *out, const float *h,
                        const sequences *seq);

/* dh[tokens][hidden]: on entry dL/d(out), on return dL/d(h). */
void bert_layer_backward(bert *model, int64_t index, float *dh, const sequences *seq);

#endif
