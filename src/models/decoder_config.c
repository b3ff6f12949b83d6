/* config.json of a decoder.  See decoder_config.h. */
#include "models/decoder_config.h"

#include <string.h>

#include "base/json_util.h"

enum { HEAD_DIM_MAX = 1024, POSITIONS_MAX = 1 << 30 };

/* What the families differ in where config.json does not say it: transformers' defaults. */
typedef struct family {
    const char *model_type;
    bool qkv_bias;
    double rope_theta;
} family;

static const family families[] = {
    {"llama", false, 1e4},
    {"mistral", false, 1e4},
    {"qwen2", true, 1e4},
};

static const family *family_of(const json_t *json)
{
    const char *type = json_string_value(json_object_get(json, "model_type"));
    for (size_t i = 0; type != NULL && i < sizeof families / sizeof families[0]; i++)
        if (strcmp(families[i].model_type, type) == 0)
            return &families[i];
    return &families[0];
}

/* rope: an object of config.json that may hold the kind of scaling and its numbers. */
static mts_status read_scaling(mts_ctx *ctx, const char *file, const json_t *rope, rope_options *o)
{
    mts_status st = MTS_OK;
    const char *type = "default", *old = NULL;
    MTS_CHECK(json_is_object(rope), MTS_ERR_BAD_FILE, "%s: rope_scaling: expected an object", file);
    MTS_TRY(json_util_string(ctx, file, rope, "type", &old)); /* before rope_type was its name */
    if (old != NULL)
        type = old;
    MTS_TRY(json_util_string(ctx, file, rope, "rope_type", &type));
    MTS_TRY(json_util_real(ctx, file, rope, "factor", 1, 1e6, &o->factor));
    MTS_TRY(json_util_real(ctx, file, rope, "low_freq_factor", 1e-6, 1e6, &o->low_factor));
    MTS_TRY(json_util_real(ctx, file, rope, "high_freq_factor", 1e-6, 1e6, &o->high_factor));
    MTS_TRY(json_util_real(ctx, file, rope, "original_max_position_embeddings", 1, POSITIONS_MAX,
                           &o->original_length));
    if (strcmp(type, "linear") == 0)
        o->scaling = ROPE_LINEAR;
    else if (strcmp(type, "llama3") == 0)
        o->scaling = ROPE_LLAMA3;
    else
        MTS_CHECK(strcmp(type, "default") == 0, MTS_ERR_UNSUPPORTED,
                  "%s: rope_scaling: expected default, linear or llama3, found \"%.40s\"", file,
                  type);
    MTS_CHECK(o->scaling != ROPE_LLAMA3 || o->high_factor > o->low_factor, MTS_ERR_BAD_FILE,
              "%s: rope_scaling: expected high_freq_factor above low_freq_factor", file);
cleanup:
    return st;
}

static mts_status read_rope(mts_ctx *ctx, const char *file, const json_t *json, decoder_config *c)
{
    mts_status st = MTS_OK;
    const json_t *parameters = json_object_get(json, "rope_parameters");
    const json_t *scaling = json_object_get(json, "rope_scaling");
    double partial = 1.0;
    c->rope = (rope_options){.base = family_of(json)->rope_theta,
                             .factor = 1.0,
                             .low_factor = 1.0,
                             .high_factor = 4.0,
                             .original_length = 8192};
    MTS_TRY(json_util_real(ctx, file, json, "rope_theta", 1, 1e12, &c->rope.base));
    MTS_TRY(json_util_real(ctx, file, json, "partial_rotary_factor", 0, 1, &partial));
    if (scaling != NULL && !json_is_null(scaling))
        MTS_TRY(read_scaling(ctx, file, scaling, &c->rope));
    if (parameters != NULL && !json_is_null(parameters)) {
        MTS_TRY(read_scaling(ctx, file, parameters, &c->rope));
        MTS_TRY(json_util_real(ctx, file, parameters, "rope_theta", 1, 1e12, &c->rope.base));
        MTS_TRY(json_util_real(ctx, file, parameters, "partial_rotary_factor", 0, 1, &partial));
    }
    c->rope.dims = (int64_t)((double)c->head_dim * partial) / 2 * 2;
cleanup:
    return st;
}

/* What these architectures may say and this code does not do. */
static mts_status check_rest(mts_ctx *ctx, const char *file, const json_t *json)
{
    mts_status st = MTS_OK;
    bool use_window = true;
    int64_t positions = 2048, window = 0;
    double dropout = 0.0;
    MTS_TRY(json_util_bool(ctx, file, json, "use_sliding_window", &use_window));
    MTS_TRY(json_util_int(ctx, file, json, "sliding_window", 0, POSITIONS_MAX, &window));
    MTS_TRY(
        json_util_int(ctx, file, json, "max_position_embeddings", 1, POSITIONS_MAX, &positions));
    MTS_TRY(json_util_real(ctx, file, json, "attention_dropout", 0, 1, &dropout));
    if (strncmp(family_of(json)->model_type, "qwen", 4) == 0 &&
        json_object_get(json, "use_sliding_window") == NULL)
        use_window = false;
    MTS_CHECK(!use_window || window == 0 || window >= positions, MTS_ERR_UNSUPPORTED,
              "%s: sliding_window: windows of attention are not supported, found %lld of %lld "
              "positions",
              file, (long long)window, (long long)positions);
cleanup:
    return st;
}

mts_status decoder_config_read(mts_ctx *ctx, const char *file, const json_t *json,
                               decoder_config *out)
{
    mts_status st = MTS_OK;
    const family *f = family_of(json);
    int64_t heads = 1, hidden = 1;
    double eps = 1e-6;
    *out = (decoder_config){.qkv_bias = f->qkv_bias};
    MTS_TRY(json_util_int(ctx, file, json, "num_attention_heads", 1, 1024, &heads));
    MTS_TRY(json_util_int(ctx, file, json, "hidden_size", 1, 65536, &hidden));
    out->kv_heads = heads;
    out->head_dim = hidden / heads > 0 ? hidden / heads : 1;
    MTS_TRY(json_util_int(ctx, file, json, "num_key_value_heads", 1, 1024, &out->kv_heads));
    MTS_TRY(json_util_int(ctx, file, json, "head_dim", 1, HEAD_DIM_MAX, &out->head_dim));
    MTS_CHECK(heads % out->kv_heads == 0, MTS_ERR_BAD_FILE,
              "%s: num_key_value_heads: expected a divisor of %lld, the heads, found %lld", file,
              (long long)heads, (long long)out->kv_heads);
    MTS_TRY(json_util_real(ctx, file, json, "rms_norm_eps", 1e-30, 0.1, &eps));
    out->norm_eps = (float)eps;
    if (!f->qkv_bias) {
        MTS_TRY(json_util_bool(ctx, file, json, "attention_bias", &out->qkv_bias));
        out->out_bias = out->qkv_bias;
    }
    MTS_TRY(json_util_bool(ctx, file, json, "mlp_bias", &out->mlp_bias));
    MTS_TRY(json_util_bool(ctx, file, json, "tie_word_embeddings", &out->tied));
    MTS_TRY(read_rope(ctx, file, json, out));
    MTS_TRY(check_rest(ctx, file, json));
cleanup:
    return st;
}
