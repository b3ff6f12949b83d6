/*
 * Decoders of the Llama kind without a head, forward and backward.          [Touvron2023, Yang2024]
 *
 *   h = word
 *   layer:  x = RMS(h)     a = attention(rope(x Wqkv + b)) Wo      h += a
 *           y = RMS(h)     f = (silu(y Wgate) * (y Wup)) Wdown     h += f
 *   out = RMS(h)
 *
 * Attention is causal, with keys and values shared by groups of heads.  Llama 1 to 3, SmolLM2,
 * TinyLlama, Mistral (without a window), Qwen2, Qwen2.5.
 * Documents lie one behind the other without seeing each other: a sequence of the batch is one.
 *
 * Path: network_learn -> decoder_forward / decoder_backward (decoder_class) -> linear_forward ...
 */
#ifndef MTS_MODELS_DECODER_H
#define MTS_MODELS_DECODER_H

#include "layers/embedding.h"
#include "layers/gated.h"
#include "layers/layernorm.h"
#include "layers/low_rank.h"
#include "models/decoder_config.h"

extern const model_class decoder_class;

/* Parameters of one layer; those not there are NULL. */
typedef struct decoder_layer_params {
    param *qkv_weight, *qkv_bias; /* of query; key and value lie behind */
    param *out_weight, *out_bias;
    param *gate_weight, *gate_bias; /* up lies behind */
    param *down_weight, *down_bias;
    param *norm1_gamma, *norm2_gamma;
} decoder_layer_params;

typedef struct decoder_layer {
    decoder_layer_params params;
    linear qkv, out, gate_up, down;
    low_rank qkv_adapter, out_adapter, gate_up_adapter, down_adapter; /* count 0: none */
    layernorm norm1, norm2;
    gated gated;
    attention attention;
    /* kept from forward to backward */
    linear_input x, context, y, g;
    attention_state attention_state;
    layernorm_state norm1_state, norm2_state;
    gated_state gated_state;
} decoder_layer;

typedef struct decoder {
    model base;
    decoder_config config;
    param *word_table, *final_gamma;
    embedding word;
    layernorm final_norm;
    decoder_layer *layers; /* [num_hidden_layers] */
    char *names;           /* of layers, for reports */
    layernorm_state final_norm_state;
    rope_table rope;
    float *inputs; /* recompute: [num_hidden_layers][tokens][hidden], h before each layer */
} decoder;

#endif
