/* The families of encoders with BERT's layers.  See bert_family.h. */
#include "models/bert_family.h"

#include <jansson.h>
#include <string.h>

#include "base/json_util.h"
#include "models/bert_internal.h"

/* What those that came after BERT name as it does. */
#define BERT_NAMES(prefix)                                                                         \
    .words = prefix "embeddings.word_embeddings",                                                  \
    .positions = prefix "embeddings.position_embeddings",                                          \
    .types = prefix "embeddings.token_type_embeddings", .norm = prefix "embeddings.LayerNorm",     \
    .layers = prefix "encoder.layer",                                                              \
    .qkv = {"attention.self.query", "attention.self.key", "attention.self.value"},                 \
    .out = "attention.output.dense", .norm1 = "attention.output.LayerNorm",                        \
    .up = "intermediate.dense", .down = "output.dense", .norm2 = "output.LayerNorm",               \
    .attention = "attention.self", .qkv_report = "attention.self.query_key_value"

static const bert_family families[] = {
    {.class = &bert_class, .names = {BERT_NAMES("bert.")}},
};

enum { FAMILIES = sizeof families / sizeof families[0] };

const bert_family *bert_family_find(const char *model_type)
{
    const model_class *class = model_class_find(model_type);
    for (int i = 0; i < FAMILIES; i++)
        if (families[i].class == class)
            return &families[i];
    return &families[0];
}

/* ------------------------------------------------------------------------------ config.json -- */

/* An encoder with absolute positions. */
static mts_status check(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    bool is_decoder = false, cross_attention = false;
    MTS_TRY(model_config_expect(ctx, file, json, "position_embedding_type", "absolute"));
    MTS_TRY(model_config_switch(ctx, file, json, "is_decoder", &is_decoder));
    MTS_TRY(model_config_switch(ctx, file, json, "add_cross_attention", &cross_attention));
    MTS_CHECK(!is_decoder && !cross_attention, MTS_ERR_UNSUPPORTED,
              "%s: is_decoder, add_cross_attention: only a BERT encoder is supported", file);
cleanup:
    return st;
}

enum { ELECTRA_EMBEDDING = 128 };

int64_t bert_embedding_size(const bert_family *family, const model_config *cfg)
{
    const json_t *width = json_object_get(cfg->json, "embedding_size");
    if (family->names.projection == NULL)
        return cfg->hidden_size;
    return json_is_number(width) ? (int64_t)json_number_value(width) : ELECTRA_EMBEDDING;
}

/* -------------------------------------------------------------------------------- classes ---- */

/* What all of them share. */
#define BERT_FUNCTIONS                                                                             \
    .adapts = true, .create = bert_create, .destroy = bert_destroy, .declare = bert_declare,       \
    .bind = bert_bind, .bind_batch = bert_bind_batch, .forward = bert_forward,                     \
    .backward = bert_backward

static const char *const bert_types[] = {"bert", "", NULL}; /* early files say nothing */
const model_class bert_class = {
    .name = "Bert",
    .model_types = bert_types,
    .prefix = "bert.",
    .first_token = {"bert.pooler.dense", "classifier", ACTIVATION_TANH},
    .all_linear = "query,key,value,dense",
    .check = check,
    BERT_FUNCTIONS,
};
