/* The families of decoders.  See decoder_family.h. */
#include "models/decoder_family.h"

#include <math.h>
#include <string.h>

#include "base/json_util.h"
#include "models/decoder_window.h"
#include "models/modernbert.h"

/* What those that came after Llama name as it does. */
#define LLAMA_NAMES                                                                                \
    .words = "model.embed_tokens", .layers = "model.layers", .final_norm = "model.norm",           \
    .attention = "self_attn", .mlp = "mlp",                                                        \
    .qkv = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"},                           \
    .qkv_report = "self_attn.qkv_proj", .out = "self_attn.o_proj",                                 \
    .up = {"mlp.gate_proj", "mlp.up_proj"}, .up_report = "mlp.gate_up_proj",                       \
    .down = "mlp.down_proj", .norm1 = "input_layernorm"

static const decoder_names llama_names = {LLAMA_NAMES, .norm2 = "post_attention_layernorm"};

static const decoder_names qwen3_names = {
    LLAMA_NAMES,
    .norm2 = "post_attention_layernorm",
    .q_norm = "self_attn.q_norm",
    .k_norm = "self_attn.k_norm",
};

static const decoder_names gemma3_names = {
    LLAMA_NAMES,
    .norm2 = "pre_feedforward_layernorm",
    .out_norm = "post_attention_layernorm",
    .down_norm = "post_feedforward_layernorm",
    .q_norm = "self_attn.q_norm",
    .k_norm = "self_attn.k_norm",
};

static const decoder_names falcon_names = {
    .words = "transformer.word_embeddings",
    .layers = "transformer.h",
    .final_norm = "transformer.ln_f",
    .attention = "self_attention",
    .mlp = "mlp",
    .qkv = {"self_attention.query_key_value"},
    .qkv_report = "self_attention.query_key_value",
    .out = "self_attention.dense",
    .up = {"mlp.dense_h_to_4h"},
    .up_report = "mlp.dense_h_to_4h",
    .down = "mlp.dense_4h_to_h",
    .norm1 = "input_layernorm",
};

/* ------------------------------------------------------------------------- what Llama says ---- */

static mts_status read_biases(mts_ctx *ctx, const char *file, const json_t *json,
                              decoder_config *out)
{
    mts_status st = MTS_OK;
    MTS_TRY(json_util_bool(ctx, file, json, "attention_bias", &out->qkv_bias));
    out->out_bias = out->qkv_bias;
cleanup:
    return st;
}

static mts_status read_llama(mts_ctx *ctx, const char *file, const json_t *json,
                             decoder_config *out)
{
    mts_status st = MTS_OK;
    MTS_TRY(read_biases(ctx, file, json, out));
    MTS_TRY(json_util_bool(ctx, file, json, "mlp_bias", &out->mlp_bias));
    MTS_TRY(decoder_window_none(ctx, file, json));
cleanup:
    return st;
}

static mts_status read_mistral(mts_ctx *ctx, const char *file, const json_t *json,
                               decoder_config *out)
{
    return decoder_window_everywhere(ctx, file, json, out);
}

static mts_status read_qwen2(mts_ctx *ctx, const char *file, const json_t *json,
                             decoder_config *out)
{
    out->qkv_bias = true;
    return decoder_window_of_last_layers(ctx, file, json, out);
}

static mts_status read_qwen3(mts_ctx *ctx, const char *file, const json_t *json,
                             decoder_config *out)
{
    mts_status st = MTS_OK;
    MTS_TRY(read_biases(ctx, file, json, out));
    MTS_TRY(decoder_window_of_last_layers(ctx, file, json, out));
cleanup:
    return st;
}

/* -------------------------------------------------------------------------------- Gemma 3 ---- */

mts_status decoder_family_refuse(mts_ctx *ctx, const char *file, const json_t *json,
                                 const char *key)
{
    mts_status st = MTS_OK;
    const json_t *value = json_object_get(json, key);
    MTS_CHECK(value == NULL || json_is_null(value), MTS_ERR_UNSUPPORTED,
              "%s: %s: expected null, found %s", file, key, json_util_type_name(value));
cleanup:
    return st;
}

static mts_status read_gemma3(mts_ctx *ctx, const char *file, const json_t *json,
                              decoder_config *out)
{
    mts_status st = MTS_OK;
    int64_t hidden = 2304;
    double scalar = 256.0;
    bool both_ways = false;
    MTS_TRY(read_biases(ctx, file, json, out));
    MTS_TRY(json_util_int(ctx, file, json, "hidden_size", 1, 65536, &hidden));
    MTS_TRY(json_util_real(ctx, file, json, "query_pre_attn_scalar", 1e-6, 1e9, &scalar));
    MTS_TRY(decoder_family_refuse(ctx, file, json, "final_logit_softcapping"));
    MTS_TRY(decoder_family_refuse(ctx, file, json, "attn_logit_softcapping"));
    MTS_TRY(json_util_bool(ctx, file, json, "use_bidirectional_attention", &both_ways));
    MTS_CHECK(!both_ways, MTS_ERR_UNSUPPORTED,
              "%s: use_bidirectional_attention: expected false, found true", file);
    out->norm_offset = 1.0f;
    out->embedding_scale = (float)sqrt((double)hidden);
    out->attention_scale = (float)(1.0 / sqrt(scalar));
    MTS_TRY(decoder_window_by_pattern(ctx, file, json, out));
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- Falcon ---- */

/* The norms' names, by how many a layer has before attention and MLP. */
static mts_status read_falcon_norms(mts_ctx *ctx, const char *file, const json_t *json,
                                    bool new_kind, decoder_config *out)
{
    mts_status st = MTS_OK;
    int64_t norms = new_kind ? 2 : 1;
    MTS_TRY(json_util_int(ctx, file, json, "num_ln_in_parallel_attn", 1, 2, &norms));
    MTS_CHECK(!new_kind || out->parallel, MTS_ERR_UNSUPPORTED,
              "%s: parallel_attn: expected true with new_decoder_architecture", file);
    MTS_CHECK(norms == 1 || new_kind || !out->parallel, MTS_ERR_UNSUPPORTED,
              "%s: num_ln_in_parallel_attn: expected 1 without new_decoder_architecture, found 2",
              file);
    if (!out->parallel) {
        out->names.norm2 = "post_attention_layernorm";
    } else if (norms == 2) {
        out->names.norm1 = "ln_attn";
        out->names.norm2 = "ln_mlp";
    }
cleanup:
    return st;
}

static mts_status read_falcon_heads(mts_ctx *ctx, const char *file, const json_t *json,
                                    bool new_kind, decoder_config *out)
{
    mts_status st = MTS_OK;
    bool one = true;
    int64_t heads = 71, hidden = 4544, kv_heads;
    MTS_TRY(json_util_int(ctx, file, json, "num_attention_heads", 1, 1024, &heads));
    MTS_TRY(json_util_int(ctx, file, json, "hidden_size", 1, 65536, &hidden));
    MTS_TRY(json_util_bool(ctx, file, json, "multi_query", &one));
    kv_heads = heads;
    MTS_TRY(json_util_int(ctx, file, json, "num_kv_heads", 1, 1024, &kv_heads));
    MTS_CHECK(new_kind || one || kv_heads == heads, MTS_ERR_UNSUPPORTED,
              "%s: num_kv_heads: expected %lld, the heads, without new_decoder_architecture and "
              "multi_query, found %lld",
              file, (long long)heads, (long long)kv_heads);
    out->kv_heads = !new_kind && one ? 1 : kv_heads;
    out->head_dim = hidden / heads > 0 ? hidden / heads : 1;
    out->intermediate = 4 * hidden;
    MTS_TRY(json_util_int(ctx, file, json, "ffn_hidden_size", 1, 1 << 20, &out->intermediate));
    MTS_CHECK(heads % out->kv_heads == 0, MTS_ERR_BAD_FILE,
              "%s: num_kv_heads: expected a divisor of %lld, the heads, found %lld", file,
              (long long)heads, (long long)out->kv_heads);
cleanup:
    return st;
}

static mts_status read_falcon(mts_ctx *ctx, const char *file, const json_t *json,
                              decoder_config *out)
{
    mts_status st = MTS_OK;
    bool new_kind = false, bias = false;
    double hidden_dropout = 0.0, attention_dropout = 0.0;
    MTS_TRY(json_util_bool(ctx, file, json, "new_decoder_architecture", &new_kind));
    MTS_TRY(json_util_bool(ctx, file, json, "bias", &bias));
    MTS_TRY(json_util_bool(ctx, file, json, "alibi", &out->alibi));
    out->parallel = true;
    MTS_TRY(json_util_bool(ctx, file, json, "parallel_attn", &out->parallel));
    MTS_TRY(json_util_real(ctx, file, json, "hidden_dropout", 0, 1, &hidden_dropout));
    MTS_TRY(json_util_real(ctx, file, json, "attention_dropout", 0, 1, &attention_dropout));
    MTS_CHECK(hidden_dropout == 0.0 && attention_dropout == 0.0, MTS_ERR_UNSUPPORTED,
              "%s: hidden_dropout, attention_dropout: expected 0, found %g and %g", file,
              hidden_dropout, attention_dropout);
    out->qkv_bias = out->out_bias = out->mlp_bias = bias;
    out->fused_qkv = out->grouped_qkv = true;
    out->layer_norm = out->norm_bias = true;
    out->gated = false;
    MTS_TRY(read_falcon_heads(ctx, file, json, new_kind, out));
    MTS_TRY(read_falcon_norms(ctx, file, json, new_kind, out));
    MTS_TRY(decoder_window_none(ctx, file, json));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------ the table ---- */

#define LLAMA_KEYS                                                                                 \
    .act_key = "hidden_act", .eps_key = "rms_norm_eps", .act = MODEL_ACT_SILU, .padding = NO_PADDING

static const decoder_family families[] = {
    {.model_type = "llama",
     .names = &llama_names,
     LLAMA_KEYS,
     .eps = 1e-6,
     .rope_base = 1e4,
     .read = read_llama},
    {.model_type = "mistral",
     .names = &llama_names,
     LLAMA_KEYS,
     .eps = 1e-6,
     .rope_base = 1e4,
     .read = read_mistral},
    {.model_type = "qwen2",
     .names = &llama_names,
     LLAMA_KEYS,
     .eps = 1e-6,
     .rope_base = 1e4,
     .read = read_qwen2},
    {.model_type = "qwen3",
     .names = &qwen3_names,
     LLAMA_KEYS,
     .eps = 1e-6,
     .head_dim = 128,
     .rope_base = 1e4,
     .read = read_qwen3},
    {.model_type = "gemma3_text",
     .names = &gemma3_names,
     .act_key = "hidden_activation",
     .act = MODEL_ACT_GELU_TANH,
     .eps_key = "rms_norm_eps",
     .eps = 1e-6,
     .head_dim = 256,
     .rope_base = 1e6,
     .local_rope_base = 1e4,
     .tied = true,
     .padding = 0,
     .read = read_gemma3},
    {.model_type = "falcon",
     .names = &falcon_names,
     .act_key = "activation",
     .act = MODEL_ACT_GELU,
     .eps_key = "layer_norm_epsilon",
     .eps = 1e-5,
     .rope_base = 1e4,
     .tied = true,
     .keeps_padding = true,
     .read = read_falcon},
    {.model_type = "modernbert",
     .names = &modernbert_names,
     .act_key = "hidden_activation",
     .act = MODEL_ACT_GELU,
     .eps_key = "norm_eps",
     .eps = 1e-5,
     .rope_key = "global_rope_theta",
     .local_rope_key = "local_rope_theta",
     .rope_base = 16e4,
     .local_rope_base = 1e4,
     .tied = true,
     .padding = 50283,
     .read = modernbert_read},
};

const decoder_family *decoder_family_find(const char *model_type)
{
    for (size_t i = 0; model_type != NULL && i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i].model_type, model_type) == 0)
            return &families[i];
    return &families[0];
}
