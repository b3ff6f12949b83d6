/* config.json of a decoder: what all families say alike.  See decoder_config.h. */
#include "models/decoder_config.h"

#include <string.h>

#include "base/json_util.h"
#include "models/decoder_family.h"

enum { HEAD_DIM_MAX = 1024, POSITIONS_MAX = 1 << 30, WORDS_MAX = 1 << 24 };

/* --------------------------------------------------------------------- rotary positions ------ */

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

/* One of rope_parameters: scaling and base, and *share of a head's numbers that turn. */
static mts_status read_parameters(mts_ctx *ctx, const char *file, const json_t *rope,
                                  rope_options *o, double *share)
{
    mts_status st = MTS_OK;
    MTS_TRY(read_scaling(ctx, file, rope, o));
    MTS_TRY(json_util_real(ctx, file, rope, "rope_theta", 1, 1e12, &o->base));
    MTS_TRY(json_util_real(ctx, file, rope, "partial_rotary_factor", 0, 1, share));
cleanup:
    return st;
}

/* rope_parameters, one object for each type of layers; either may be absent or null. */
static mts_status read_by_type(mts_ctx *ctx, const char *file, const json_t *parameters,
                               decoder_config *c, double share[2])
{
    static const char *const types[] = {"full_attention", "sliding_attention"};
    mts_status st = MTS_OK;
    bool found = json_object_size(parameters) == 0;
    for (int k = 0; k < 2; k++) {
        const json_t *rope = json_object_get(parameters, types[k]);
        found = found || rope != NULL;
        if (rope != NULL && !json_is_null(rope))
            MTS_TRY(read_parameters(ctx, file, rope, &c->rope[k], &share[k]));
    }
    MTS_CHECK(found, MTS_ERR_UNSUPPORTED,
              "%s: rope_parameters: expected full_attention and sliding_attention", file);
cleanup:
    return st;
}

/* rope_parameters, the same for all layers. */
static mts_status read_for_all(mts_ctx *ctx, const char *file, const json_t *parameters,
                               decoder_config *c, double share[2])
{
    mts_status st = MTS_OK;
    MTS_CHECK(json_object_get(parameters, "full_attention") == NULL &&
                  json_object_get(parameters, "sliding_attention") == NULL,
              MTS_ERR_UNSUPPORTED,
              "%s: rope_parameters: expected the same for all layers of a model of this type",
              file);
    MTS_TRY(read_parameters(ctx, file, parameters, &c->rope[0], &share[0]));
cleanup:
    return st;
}

static mts_status read_rope(mts_ctx *ctx, const char *file, const json_t *json,
                            const decoder_family *f, decoder_config *c)
{
    mts_status st = MTS_OK;
    const json_t *parameters = json_object_get(json, "rope_parameters");
    const json_t *scaling = json_object_get(json, "rope_scaling");
    double share[2] = {1.0, 1.0};
    int64_t positions = 2048;
    MTS_TRY(
        json_util_int(ctx, file, json, "max_position_embeddings", 1, POSITIONS_MAX, &positions));
    c->rope[0] = (rope_options){.base = f->rope_base,
                                .factor = 1.0,
                                .low_factor = 1.0,
                                .high_factor = 4.0,
                                .original_length = (double)positions};
    c->rope[1] = c->rope[0];
    c->rope[1].base = f->local_rope_base;
    c->local_rope = f->local_rope_base > 0.0;
    MTS_TRY(json_util_real(ctx, file, json, f->rope_key != NULL ? f->rope_key : "rope_theta", 1,
                           1e12, &c->rope[0].base));
    if (c->local_rope)
        MTS_TRY(json_util_real(
            ctx, file, json, f->local_rope_key != NULL ? f->local_rope_key : "rope_local_base_freq",
            1, 1e12, &c->rope[1].base));
    MTS_TRY(json_util_real(ctx, file, json, "partial_rotary_factor", 0, 1, &share[0]));
    share[1] = share[0];
    if (scaling != NULL && !json_is_null(scaling))
        MTS_TRY(read_scaling(ctx, file, scaling, &c->rope[0]));
    if (parameters != NULL && !json_is_null(parameters))
        MTS_TRY((c->local_rope ? read_by_type : read_for_all)(ctx, file, parameters, c, share));
    for (int k = 0; k < 2; k++)
        c->rope[k].dims = c->alibi ? 0 : (int64_t)((double)c->head_dim * share[k]) / 2 * 2;
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- the rest ---- */

static mts_status read_sizes(mts_ctx *ctx, const char *file, const json_t *json,
                             const decoder_family *f, decoder_config *c)
{
    mts_status st = MTS_OK;
    int64_t heads = 1, hidden = 1;
    MTS_TRY(json_util_int(ctx, file, json, "num_attention_heads", 1, 1024, &heads));
    MTS_TRY(json_util_int(ctx, file, json, "hidden_size", 1, 65536, &hidden));
    c->kv_heads = heads;
    c->head_dim = f->head_dim > 0 ? f->head_dim : hidden / heads > 0 ? hidden / heads : 1;
    MTS_TRY(json_util_int(ctx, file, json, "num_key_value_heads", 1, 1024, &c->kv_heads));
    MTS_TRY(json_util_int(ctx, file, json, "head_dim", 1, HEAD_DIM_MAX, &c->head_dim));
    MTS_CHECK(heads % c->kv_heads == 0, MTS_ERR_BAD_FILE,
              "%s: num_key_value_heads: expected a divisor of %lld, the heads, found %lld", file,
              (long long)heads, (long long)c->kv_heads);
    MTS_TRY(json_util_int(ctx, file, json, "intermediate_size", 1, 1 << 20, &c->intermediate));
cleanup:
    return st;
}

/* PyTorch leaves the word of the padding without a gradient: nn.Embedding(padding_idx). */
static mts_status read_padding(mts_ctx *ctx, const char *file, const json_t *json,
                               const decoder_family *f, decoder_config *c)
{
    mts_status st = MTS_OK;
    const json_t *given = json_object_get(json, "pad_token_id");
    int64_t padding = f->padding, words = WORDS_MAX;
    c->padding = NO_PADDING;
    if (f->keeps_padding || json_is_null(given) || (given == NULL && padding == NO_PADDING))
        return MTS_OK;
    MTS_TRY(json_util_int(ctx, file, json, "vocab_size", 1, WORDS_MAX, &words));
    MTS_TRY(json_util_int(ctx, file, json, "pad_token_id", -WORDS_MAX, WORDS_MAX, &padding));
    c->padding = padding < 0 ? padding + words : padding;
cleanup:
    return st;
}

mts_status decoder_config_read(mts_ctx *ctx, const char *file, const json_t *json,
                               decoder_config *out)
{
    mts_status st = MTS_OK;
    const decoder_family *f =
        decoder_family_find(json_string_value(json_object_get(json, "model_type")));
    double eps = f->eps, dropout = 0.0;
    *out = (decoder_config){
        .names = *f->names, .act = f->act, .gated = true, .tied = f->tied, .embedding_scale = 1.0f};
    MTS_TRY(read_sizes(ctx, file, json, f, out));
    MTS_TRY(model_config_read_act(ctx, file, json, f->act_key, &out->act));
    MTS_TRY(json_util_real(ctx, file, json, f->eps_key, 1e-30, 0.1, &eps));
    out->norm_eps = (float)eps;
    MTS_TRY(json_util_bool(ctx, file, json, "tie_word_embeddings", &out->tied));
    MTS_TRY(json_util_real(ctx, file, json, "attention_dropout", 0, 1, &dropout));
    MTS_TRY(read_padding(ctx, file, json, f, out));
    MTS_TRY(f->read(ctx, file, json, out));
    MTS_CHECK(out->intermediate > 0, MTS_ERR_BAD_FILE,
              "%s: intermediate_size: expected, but absent", file);
    MTS_TRY(read_rope(ctx, file, json, f, out));
cleanup:
    return st;
}
