/*
 * Decoders without a head, forward and backward.          [Touvron2023, Yang2024, Almazrouei2023]
 *
 *   h = word
 *   layer:  x = N(h)     a = attention(rope(x Wqkv + b)) Wo      h += a
 *           y = N(h)     f = (act(y Wgate) * (y Wup)) Wdown      h += f
 *   out = N(h)
 *
 * Attention is causal, with keys and values shared by groups of heads.  Documents lie one behind
 * the other without seeing each other: a sequence of the batch is one.
 *
 *   Llama 1 to 3, SmolLM2, TinyLlama, Qwen2 and 2.5   as above, N the RMS norm
 *   Mistral, Qwen2 and 3   windows of attention, in all layers or some
 *   Qwen3, Gemma 3         q and k of each head are normed before they are rotated
 *   Gemma 3                a and f are normed before they are added; norms have the gain 1 + gamma;
 *                          words are scaled; layers with a window have other rotary positions
 *   Falcon                 N the layer norm, f = act(y Wup) Wdown, Wqkv one matrix; in most of them
 *                          a and f are of the same h (parallel), in the others rope is ALiBi
 *
 * Path: network_learn -> decoder_forward / decoder_backward (decoder_class) -> linear_forward ...
 * What a variant is, decoder_config says; how config.json says it, decoder_family.
 */
#ifndef MTS_MODELS_DECODER_H
#define MTS_MODELS_DECODER_H

#include "layers/embedding.h"
#include "layers/gated.h"
#include "layers/head_norm.h"
#include "layers/low_rank.h"
#include "models/decoder_config.h"

/* They differ in names: of classes in transformers, of the table of words. */
extern const model_class decoder_class, gemma3_class, falcon_class;

/* Parameters of one layer's linear layers; those not there are NULL. */
typedef struct decoder_layer_params {
    param *qkv_weight, *qkv_bias; /* of query; key and value lie behind */
    param *out_weight, *out_bias;
    param *up_weight, *up_bias; /* of the gate, if there is one; up lies behind */
    param *down_weight, *down_bias;
} decoder_layer_params;

/* A norm over the hidden size. */
typedef struct decoder_norm {
    param *gamma, *beta; /* gamma NULL: there is no such norm; beta NULL: it has none */
    layernorm norm;
    layernorm_state state; /* kept from forward to backward */
} decoder_norm;

/* A dropout of its own stream; p 0: none. */
typedef struct decoder_dropout {
    float p;
    int stream;
} decoder_dropout;

typedef struct decoder_layer {
    decoder_layer_params params;
    linear qkv, out, up, down;
    low_rank qkv_adapter, out_adapter, up_adapter, down_adapter; /* count 0: none */
    decoder_norm norm1, norm2;                 /* of what attention and MLP read */
    decoder_norm out_norm, down_norm;          /* of what they add */
    decoder_dropout out_dropout, down_dropout; /* of a, and of what down multiplies */
    param *q_gamma, *k_gamma;                  /* NULL: heads have no norms */
    head_norm q_norm, k_norm;
    gated gated;
    attention attention;
    const rope_table *rope;
    /* kept from forward to backward */
    linear_input x, context, y, g;
    attention_state attention_state;
    gated_state gated_state;
} decoder_layer;

typedef struct decoder {
    model base;
    decoder_config config;
    param *word_table;
    embedding word;
    decoder_norm embedding_norm, final_norm;
    decoder_dropout embedding_dropout;
    decoder_layer *layers; /* [num_hidden_layers] */
    char *names;           /* of layers, for reports */
    float *slopes;         /* [num_attention_heads], of ALiBi; NULL: none */
    rope_table rope[2];    /* as config.rope */
    float *inputs;         /* recompute: [num_hidden_layers][tokens][hidden], h before each layer */
} decoder;

#endif
