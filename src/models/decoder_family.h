/*
 * The families of decoders: how each names its parameters and its keys of config.json, and what
 * those it leaves out mean (transformers' defaults).
 *
 * To add a family: one row in decoder_family.c, its model_type in decoder.c.
 */
#ifndef MTS_MODELS_DECODER_FAMILY_H
#define MTS_MODELS_DECODER_FAMILY_H

#include "models/decoder_config.h"

enum { NO_PADDING = -1 };

typedef struct decoder_family {
    const char *model_type;
    const decoder_names *names;
    /* keys of config.json, and the values of those that are absent */
    const char *act_key, *eps_key;
    const char *rope_key, *local_rope_key; /* NULL: rope_theta, rope_local_base_freq */
    model_act act;
    double eps;
    int64_t head_dim;                  /* 0: hidden_size / num_attention_heads */
    double rope_base, local_rope_base; /* the latter 0: layers with a window have no other */
    bool tied;
    int64_t padding;    /* pad_token_id; NO_PADDING: null */
    bool keeps_padding; /* whatever that is, its word has a gradient */
    /* The rest: *out has the above, sizes and rotary positions. */
    mts_status (*read)(mts_ctx *ctx, const char *file, const struct json_t *json,
                       decoder_config *out);
} decoder_family;

/* MTS_ERR_UNSUPPORTED if the key has a value other than null. */
MTS_NODISCARD mts_status decoder_family_refuse(mts_ctx *ctx, const char *file,
                                               const struct json_t *json, const char *key);

/* Of this model_type; of one that is not here, or NULL: Llama's. */
const decoder_family *decoder_family_find(const char *model_type);

#endif
