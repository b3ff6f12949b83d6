/* Models to be made.  See synth_shapes.h. */
#include "api/synth_shapes.h"

#include <string.h>

#include "base/json_util.h"
#include "text/byte_tokenizer_json.h"

typedef struct synth_shape {
    const char *name, *config;
} synth_shape;

#define FALCON                                                                                     \
    "\"architectures\": [\"FalconForCausalLM\"], \"model_type\": \"falcon\", \"alibi\": false,"    \
    "\"apply_residual_connection_post_layernorm\": false, \"attention_dropout\": 0.0,"             \
    "\"bias\": false, \"hidden_dropout\": 0.0, \"initializer_range\": 0.02,"                       \
    "\"layer_norm_epsilon\": 1e-05, \"multi_query\": true, \"parallel_attn\": true,"               \
    "\"use_cache\": true, \"tie_word_embeddings\": true, "
#define LLAMA                                                                                      \
    "\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\","                        \
    "\"hidden_act\": \"silu\", \"initializer_range\": 0.02, \"rms_norm_eps\": 1e-06,"              \
    "\"max_position_embeddings\": 2048, \"use_cache\": true, \"tie_word_embeddings\": false, "

/* As the models' own files say, but for the tokens of their tokenizers.  The tiny ones have the
 * same kinds of layers, for tests. */
static const synth_shape shapes[] = {
    {"falcon-40b", "{" FALCON "\"new_decoder_architecture\": true, \"hidden_size\": 8192,"
                   "\"num_attention_heads\": 128, \"num_kv_heads\": 8, \"num_hidden_layers\": 60,"
                   "\"vocab_size\": 65024}"},
    {"falcon-7b", "{" FALCON "\"new_decoder_architecture\": false, \"hidden_size\": 4544,"
                  "\"num_attention_heads\": 71, \"num_hidden_layers\": 32, \"vocab_size\": 65024}"},
    {"falcon-tiny", "{" FALCON "\"new_decoder_architecture\": true, \"hidden_size\": 64,"
                    "\"num_attention_heads\": 8, \"num_kv_heads\": 2, \"num_hidden_layers\": 2,"
                    "\"vocab_size\": 512}"},
    {"llama-7b",
     "{" LLAMA "\"hidden_size\": 4096, \"intermediate_size\": 11008, \"num_attention_heads\": 32,"
     "\"num_key_value_heads\": 32, \"num_hidden_layers\": 32, \"vocab_size\": 32000}"},
    {"llama-tiny",
     "{" LLAMA "\"hidden_size\": 40, \"intermediate_size\": 72, \"num_attention_heads\": 4,"
     "\"num_key_value_heads\": 4, \"num_hidden_layers\": 2, \"vocab_size\": 512}"},
};

static const synth_shape *find_shape(const char *name)
{
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (strcmp(shapes[i].name, name) == 0)
            return &shapes[i];
    return NULL;
}

mts_status synth_shape_config(mts_ctx *ctx, const char *name, int64_t layers, json_t **config)
{
    mts_status st = MTS_OK;
    const synth_shape *shape = find_shape(name);
    json_t *json = NULL;
    *config = NULL;
    MTS_CHECK(shape != NULL, MTS_ERR_ARGUMENT, "no model is like %s", name);
    MTS_TRY(json_util_parse(ctx, shape->name, shape->config, strlen(shape->config), &json));
    if (layers > 0)
        MTS_TRY(json_util_set(ctx, json, "num_hidden_layers", json_integer(layers)));
    MTS_TRY(json_util_set(ctx, json, "bos_token_id", json_integer(BYTE_TOKENIZER_SPECIAL_ID)));
    MTS_TRY(json_util_set(ctx, json, "eos_token_id", json_integer(BYTE_TOKENIZER_SPECIAL_ID)));
    *config = json;
    json = NULL;
cleanup:
    json_decref(json);
    return st;
}
