/*
 * What config.json says of a decoder beside model_config: which variant of decoder.h it is.  A
 * variant is numbers and switches here; the layers know no model_type.
 *
 * Path: decoder_class.check and decoder_create -> decoder_config_read -> decoder_family.read.
 * What transformers 4 and 5 write is read: rope_theta or rope_parameters, rope_scaling with "type"
 * or "rope_type"; windows as sliding_window with layer_types or what came before these.
 * partial_rotary_factor is obeyed, which transformers' classes of these families pass over.
 */
#ifndef MTS_MODELS_DECODER_CONFIG_H
#define MTS_MODELS_DECODER_CONFIG_H

#include "layers/rope.h"
#include "models/model.h"

enum { DECODER_LAYERS_MAX = 1024 };

/* Names of parameters, without ".weight"; of those of a layer what follows "<layers>.3.". */
typedef struct decoder_names {
    const char *words, *layers, *final_norm;
    const char *embedding_norm;              /* of the words; NULL: none */
    const char *attention, *mlp;             /* modules, for reports */
    const char *qkv[3], *out, *up[2], *down; /* fused or without a gate: the first alone */
    const char *qkv_report, *up_report;      /* all of them together */
    const char *norm1, *norm2;               /* norm2 NULL: norm1's parameters again */
    const char *out_norm, *down_norm;        /* of what attention and MLP add; NULL: none */
    const char *q_norm, *k_norm;             /* of the heads of Q and K; NULL: none */
} decoder_names;

typedef struct decoder_config {
    decoder_names names;
    int64_t kv_heads, head_dim, intermediate;
    model_act act;
    bool fused_qkv, fused_up; /* q, k and v, and gate and up, are one module in files */
    bool grouped_qkv;         /* the rows of q, k and v are groups of heads (attention.grouped) */
    bool gated;               /* MLP: act(gate) * up; else act(up) */
    bool parallel;            /* the MLP has the layer's input, not what attention adds to it */
    bool bare_first;          /* the first layer has no norm1 */
    bool both_ways;           /* attention is not causal */
    bool drops;               /* words, a and what the MLP multiplies last have dropout */
    bool qkv_bias, out_bias, mlp_bias; /* of q, k, v; of o; of the MLP */
    bool tied;                         /* outputs over the vocabulary by the table of words */
    bool layer_norm, norm_bias;        /* layer norms, with a beta; else RMS norms */
    float norm_eps, norm_offset;       /* the gain is norm_offset + gamma */
    int64_t padding;                   /* the word without a gradient; below 0: none */
    float embedding_scale;             /* words are multiplied by it; 1: they are not */
    float attention_scale;             /* as attention.scale */
    bool alibi;                        /* instead of rotary positions */
    int64_t window;                    /* of the layers that have one */
    bool windowed[DECODER_LAYERS_MAX];
    bool local_rope;      /* layers with a window have rotary positions of their own */
    rope_options rope[2]; /* of all layers; of those, if local_rope */
} decoder_config;

/*
 * *out: of the configuration of an architecture that decoder.h lists.
 * MTS_ERR_BAD_FILE: a type or range; MTS_ERR_UNSUPPORTED: what would be computed otherwise.
 */
MTS_NODISCARD mts_status decoder_config_read(mts_ctx *ctx, const char *file,
                                             const struct json_t *json, decoder_config *out);

#endif
