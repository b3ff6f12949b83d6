/*
 * BERT with a sequence classification or regression head, forward and backward.  [Devlin2019]
 *
 *   h = dropout(LN(word + position + type))
 *   layer:  a  = attention(h Wqkv + b) Wo + b          h1 = LN(dropout(a) + h)
 *           f  = gelu(h1 Wup + b) Wdown + b            h  = LN(dropout(f) + h1)
 *   head:   z  = dropout(tanh(h[first token] Wp + b)) Wc + b
 *
 * Sequences are concatenated without padding: a padded position is never computed, which changes no
 * number of a real one.
 *
 * Path: train_step -> bert_forward / bert_backward -> linear_forward ...
 */
#ifndef MTS_MODELS_BERT_H
#define MTS_MODELS_BERT_H

#include "layers/attention.h"
#include "layers/embedding.h"
#include "layers/layernorm.h"
#include "layers/linear.h"
#include "layers/nonlinearity.h"
#include "models/param_table.h"

/* A batch as the model sees it; all arrays borrowed for the call. */
typedef struct bert_input {
    sequences seq;
    const int32_t *ids, *type_ids, *positions; /* [seq.tokens] */
} bert_input;

/* The largest batch the model must be ready for. */
typedef struct bert_limits {
    int64_t train_rows, train_tokens; /* 0: no training */
    int64_t eval_rows, eval_tokens;
    int64_t max_length;
    bool recompute; /* keep only the layers' inputs, compute the rest again in the backward
                       ("gradient checkpointing" [Chen2016]): the same bits, less memory */
} bert_limits;

/* Dropout probabilities in force. */
typedef struct bert_dropout {
    float hidden, attention, classifier;
} bert_dropout;

/* Bytes by part; what `mantissa info` prints and bert_create allocates. */
typedef struct bert_plan {
    size_t parameters, gradients, packed_weights, activations, scratch;
} bert_plan;

typedef struct bert_layer {
    linear qkv, out, up, down;
    nonlinearity act;
    layernorm norm1, norm2;
    attention at;
    /* kept from forward to backward */
    linear_input x, context, h1, g;
    attention_state at_state;
    layernorm_state norm1_state, norm2_state;
    nonlinearity_state act_state;
} bert_layer;

typedef struct bert {
    exec ex;
    model_config cfg; /* owned */
    bert_dropout dropout;
    bool recompute; /* bert_limits */
    activation_kind act;
    param_table params;
    embedding word, position, type;
    layernorm embedding_norm;
    bert_layer *layers;
    linear pooler, classifier;
    arena packed, acts;
    char *names; /* names of layers for reports */
    /* kept from forward to backward */
    layernorm_state embedding_norm_state;
    linear_input pooled_in, pooled;
    float *pooler_out; /* [rows][hidden]: before tanh */
} bert;

/* What a model needs, without making it.  format, threads as in the exec that will run it. */
MTS_NODISCARD mts_status bert_plan_make(mts_ctx *ctx, const model_config *cfg,
                                        const num_format *format, int threads,
                                        const bert_limits *limits, bert_plan *plan);

/*
 * *out: a model with all memory for `limits`; parameters are zero until loaded.  Takes over cfg's
 * content on success.  MTS_ERR_MEMORY; MTS_ERR_ARGUMENT / _UNSUPPORTED from kernels_select.
 */
MTS_NODISCARD mts_status bert_create(mts_ctx *ctx, model_config *cfg, const num_format *format,
                                     int threads, uint64_t seed, const bert_dropout *dropout,
                                     const bert_limits *limits, bert **out);
void bert_destroy(bert *model);

/* logits[rows][num_labels].  model->ex.training decides dropout, rounding, and what is kept. */
void bert_forward(bert *model, const bert_input *in, float *logits);

/* All parameter gradients of the last bert_forward (training), from dlogits[rows][num_labels];
 * overwritten or accumulated as model->ex.accumulate_grads says. */
void bert_backward(bert *model, const bert_input *in, const float *dlogits);

/* MTS_ERR_MEMORY if the model took more than was planned: a mistake in the program. */
MTS_NODISCARD mts_status bert_check_memory(mts_ctx *ctx, const bert *model);

/* A parameter changed: packed weights are stale.  Called once per optimizer step. */
void bert_weights_changed(bert *model);

#endif
