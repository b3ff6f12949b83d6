/*
 * Low-rank adapters of a model's linear layers: declared beside their weights, and bound to them.
 * What every architecture does the same way.
 *
 * Path: model_class.declare, head_class.declare -> adapted_layer_declare;
 *       model_class.bind, head_class.bind -> adapted_layer_bind.
 */
#ifndef MTS_MODELS_ADAPTED_LAYER_H
#define MTS_MODELS_ADAPTED_LAYER_H

#include "layers/low_rank.h"
#include "models/model.h"

/* A linear layer whose weight is made of these modules, one behind the other; all borrowed. */
typedef struct adapted_layer {
    const char *path;           /* what the modules' names begin with: "model.layers.3." */
    const char *const *modules; /* [count]: "self_attn.q_proj", ... */
    const int64_t *outs;        /* [count]: outputs of each */
    int count;                  /* 1..LOW_RANK_PARTS */
    int64_t in;
} adapted_layer;

/* *lr: a part for each module that is among the targets; none with rank 0.  Declares the a's behind
 * each other, then the b's: "<path><module>.lora_A.weight". */
void adapted_layer_declare(const adapter_options *o, low_rank *lr, const adapted_layer *layer,
                           param_list *list);

/* low_rank_bind, where lr has a part; first_id: of low_rank_streams(modules) streams. */
void adapted_layer_bind(exec *ex, low_rank *lr, linear *lin, arena *packed, int first_id);

#endif
