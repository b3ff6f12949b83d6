/*
 * What config.json says of a decoder beside model_config: heads of keys and values, norms, rotary
 * positions, biases.
 *
 * Path: decoder_class.check and decoder_create -> decoder_config_read.
 * What transformers 4 and 5 write is read: rope_theta or rope_parameters, rope_scaling with "type"
 * or "rope_type".
 */
#ifndef MTS_MODELS_DECODER_CONFIG_H
#define MTS_MODELS_DECODER_CONFIG_H

#include "layers/rope.h"
#include "models/model.h"

typedef struct decoder_config {
    int64_t kv_heads, head_dim;
    float norm_eps;
    bool qkv_bias, out_bias, mlp_bias; /* of q, k, v; of o; of gate, up, down */
    bool tied;                         /* outputs over the vocabulary by the table of words */
    rope_options rope;
} decoder_config;

/*
 * *out: of the configuration of an architecture that decoder.h lists.
 * MTS_ERR_BAD_FILE: a type or range; MTS_ERR_UNSUPPORTED: what would be computed otherwise.
 */
MTS_NODISCARD mts_status decoder_config_read(mts_ctx *ctx, const char *file,
                                             const struct json_t *json, decoder_config *out);

#endif
