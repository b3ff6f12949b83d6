/* ModernBERT by its config.json.  See modernbert.h. */
#include "models/modernbert.h"

#include <string.h>

#include "base/json_util.h"
#include "models/decoder_family.h"
#include "models/decoder_internal.h"
#include "models/decoder_window.h"

enum { POSITIONS = 8192, EVERY = 3, LOCAL = 128, INTERMEDIATE = 1152 }; /* of transformers */

const decoder_names modernbert_names = {
    .words = "model.embeddings.tok_embeddings",
    .embedding_norm = "model.embeddings.norm",
    .layers = "model.layers",
    .final_norm = "model.final_norm",
    .attention = "attn",
    .mlp = "mlp",
    .qkv = {"attn.Wqkv"},
    .qkv_report = "attn.Wqkv",
    .out = "attn.Wo",
    .up = {"mlp.Wi"},
    .up_report = "mlp.Wi",
    .down = "mlp.Wo",
    .norm1 = "attn_norm",
    .norm2 = "mlp_norm",
};

/* ---------------------------------------------------------------------------- the layers ----- */

/* Which layers have a window, and how wide it is. */
static mts_status read_windows(mts_ctx *ctx, const char *file, const json_t *json,
                               decoder_config *out)
{
    mts_status st = MTS_OK;
    int64_t local = LOCAL, every = EVERY, layers = 0;
    bool given;
    MTS_TRY(json_util_int(ctx, file, json, "local_attention", 2, 1 << 30, &local));
    MTS_TRY(json_util_int(ctx, file, json, "global_attn_every_n_layers", 1, 1 << 30, &every));
    MTS_TRY(json_util_int(ctx, file, json, "num_hidden_layers", 1, DECODER_LAYERS_MAX, &layers));
    MTS_TRY(decoder_window_types(ctx, file, json, out->windowed, &given));
    out->window = local / 2;
    for (int64_t l = 0; l < layers && !given; l++)
        out->windowed[l] = l % every != 0;
cleanup:
    return st;
}

mts_status modernbert_read(mts_ctx *ctx, const char *file, const json_t *json, decoder_config *out)
{
    mts_status st = MTS_OK;
    double dropout = 0.0;
    if (out->intermediate == 0)
        out->intermediate = INTERMEDIATE;
    MTS_TRY(json_util_bool(ctx, file, json, "attention_bias", &out->qkv_bias));
    MTS_TRY(json_util_bool(ctx, file, json, "mlp_bias", &out->mlp_bias));
    MTS_TRY(json_util_bool(ctx, file, json, "norm_bias", &out->norm_bias));
    MTS_TRY(json_util_real(ctx, file, json, "embedding_dropout", 0, 1, &dropout));
    MTS_TRY(json_util_real(ctx, file, json, "mlp_dropout", 0, 1, &dropout));
    MTS_CHECK(!json_is_null(json_object_get(json, "local_rope_theta")), MTS_ERR_UNSUPPORTED,
              "%s: local_rope_theta: expected a number, found null", file);
    MTS_TRY(decoder_family_refuse(ctx, file, json, "rope_scaling"));
    MTS_TRY(decoder_family_refuse(ctx, file, json, "sliding_window"));
    out->out_bias = out->qkv_bias;
    out->fused_qkv = out->fused_up = out->layer_norm = true;
    out->bare_first = out->both_ways = out->drops = true;
    MTS_TRY(read_windows(ctx, file, json, out));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- the class ---- */

/* What stands below the outputs of heads; without an error if `check` accepted the file. */
static mts_status read_head(mts_ctx *ctx, const char *file, const json_t *json,
                            first_token_names *names)
{
    mts_status st = MTS_OK;
    const char *pooling = "cls";
    bool bias = false;
    double eps = 1e-5;
    model_act act = MODEL_ACT_GELU;
    MTS_TRY(json_util_string(ctx, file, json, "classifier_pooling", &pooling));
    MTS_CHECK(strcmp(pooling, "cls") == 0 || strcmp(pooling, "mean") == 0, MTS_ERR_UNSUPPORTED,
              "%s: classifier_pooling: expected cls or mean, found \"%.40s\"", file, pooling);
    MTS_TRY(json_util_bool(ctx, file, json, "classifier_bias", &bias));
    MTS_TRY(json_util_bool(ctx, file, json, "norm_bias", &names->norm_bias));
    MTS_TRY(json_util_real(ctx, file, json, "norm_eps", 1e-30, 0.1, &eps));
    MTS_TRY(model_config_read_act(ctx, file, json, "classifier_activation", &act));
    names->mean = strcmp(pooling, "mean") == 0;
    names->no_bias = !bias;
    names->norm_eps = (float)eps;
    names->act = model_act_kind(act);
cleanup:
    return st;
}

static mts_status check(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    decoder_config c;
    first_token_names head = {.dense = NULL};
    MTS_TRY(decoder_config_read(ctx, file, json, &c));
    MTS_TRY(read_head(ctx, file, json, &head));
cleanup:
    return st;
}

static void complete_head(const model_config *cfg, first_token_names *names)
{
    mts_ctx checked = {0};
    if (read_head(&checked, "config.json", cfg->json, names) != MTS_OK)
        *names = modernbert_class.first_token;
}

/* A rate that is absent is 0. */
static double rate_of(const model_config *cfg, const char *key)
{
    const json_t *p = json_object_get(cfg->json, key);
    return json_is_number(p) ? json_number_value(p) : 0.0;
}

static void complete(model_config *cfg)
{
    mts_ctx checked = {0}; /* it was read before, without an error */
    decoder_config c;
    cfg->hidden_dropout_prob = rate_of(cfg, "mlp_dropout");
    cfg->attention_probs_dropout_prob = rate_of(cfg, "attention_dropout");
    cfg->embedding_dropout = rate_of(cfg, "embedding_dropout");
    cfg->classifier_dropout = rate_of(cfg, "classifier_dropout");
    if (!json_is_number(json_object_get(cfg->json, "max_position_embeddings")))
        cfg->max_position_embeddings = POSITIONS;
    if (decoder_config_read(&checked, "config.json", cfg->json, &c) == MTS_OK) {
        cfg->intermediate_size = c.intermediate;
        cfg->hidden_act = c.act;
    }
}

static const char *const model_types[] = {"modernbert", NULL};

const model_class modernbert_class = {
    .name = "ModernBert",
    .model_types = model_types,
    .prefix = "model.",
    .first_token = {.dense = "head.dense",
                    .out = "classifier",
                    .act = ACTIVATION_GELU,
                    .norm = "head.norm",
                    .of_tokens = true},
    .adapts = true,
    .all_linear = "Wqkv,Wi,Wo,dense",
    .tells_outliers = true,
    .check = check,
    .complete = complete,
    .complete_head = complete_head,
    .create = decoder_create,
    .destroy = decoder_destroy,
    .declare = decoder_declare,
    .bind = decoder_bind,
    .bind_batch = decoder_bind_batch,
    .forward = decoder_forward,
    .backward = decoder_backward,
};
