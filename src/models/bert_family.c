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
    {.class = &roberta_class, .names = {BERT_NAMES("roberta.")}},
    {.class = &distilbert_class,
     .names = {.words = "distilbert.embeddings.word_embeddings",
               .positions = "distilbert.embeddings.position_embeddings",
               .norm = "distilbert.embeddings.LayerNorm",
               .layers = "distilbert.transformer.layer",
               .qkv = {"attention.q_lin", "attention.k_lin", "attention.v_lin"},
               .out = "attention.out_lin",
               .norm1 = "sa_layer_norm",
               .up = "ffn.lin1",
               .down = "ffn.lin2",
               .norm2 = "output_layer_norm",
               .attention = "attention",
               .qkv_report = "attention.qkv_lin"}},
    {.class = &electra_class,
     .names = {BERT_NAMES("electra."), .projection = "electra.embeddings_project"}},
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
              "%s: is_decoder, add_cross_attention: only an encoder is supported", file);
cleanup:
    return st;
}

/* Positions are counted from that of the padding on. */
static mts_status check_roberta(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    int64_t padding = 1, positions = 512;
    const json_t *given = json_object_get(json, "pad_token_id");
    MTS_TRY(check(ctx, file, json));
    MTS_CHECK(!json_is_null(given), MTS_ERR_UNSUPPORTED,
              "%s: pad_token_id: expected a number, found null: positions are counted from it",
              file);
    MTS_TRY(json_util_int(ctx, file, json, "pad_token_id", 0, 1 << 24, &padding));
    MTS_TRY(json_util_int(ctx, file, json, "max_position_embeddings", 1, 1 << 20, &positions));
    MTS_CHECK(padding + 1 < positions, MTS_ERR_BAD_FILE,
              "%s: max_position_embeddings: expected more than pad_token_id %lld and one, found "
              "%lld",
              file, (long long)padding, (long long)positions);
cleanup:
    return st;
}

static void complete_roberta(model_config *cfg)
{
    if (json_object_get(cfg->json, "pad_token_id") == NULL)
        cfg->pad_token_id = 1;
}

/* Keys of BERT's that do not lie in DistilBERT's config.json under their own names. */
static const model_config_key distilbert_keys[] = {
    {"hidden_size", "dim"},
    {"num_hidden_layers", "n_layers"},
    {"num_attention_heads", "n_heads"},
    {"intermediate_size", "hidden_dim"},
    {"hidden_act", "activation"},
    {"hidden_dropout_prob", "dropout"},
    {"attention_probs_dropout_prob", "attention_dropout"},
    {"classifier_dropout", "seq_classif_dropout"},
    {NULL, NULL},
};

/* Sinusoidal positions are a table in the file, as others are. */
static mts_status check_distilbert(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    bool sinusoidal = false;
    double dropout = 0.0;
    MTS_TRY(check(ctx, file, json));
    MTS_TRY(model_config_switch(ctx, file, json, "sinusoidal_pos_embds", &sinusoidal));
    MTS_TRY(json_util_real(ctx, file, json, "qa_dropout", 0, 1, &dropout));
cleanup:
    return st;
}

/* There are no types, and no eps but that of the class. */
static void complete_distilbert(model_config *cfg)
{
    const json_t *p = json_object_get(cfg->json, "qa_dropout");
    cfg->answers_dropout = json_is_number(p) ? json_number_value(p) : 0.1;
    if (cfg->classifier_dropout < 0)
        cfg->classifier_dropout = 0.2;
    cfg->layer_norm_eps = 1e-12;
    cfg->type_vocab_size = 2;
}

enum { ELECTRA_EMBEDDING = 128, ELECTRA_INTERMEDIATE = 1024 };

static mts_status check_electra(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    int64_t width = ELECTRA_EMBEDDING;
    MTS_TRY(check(ctx, file, json));
    MTS_TRY(json_util_int(ctx, file, json, "embedding_size", 1, 65536, &width));
cleanup:
    return st;
}

static void complete_electra(model_config *cfg)
{
    if (!json_is_number(json_object_get(cfg->json, "intermediate_size")))
        cfg->intermediate_size = ELECTRA_INTERMEDIATE;
}

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
static const char *const roberta_types[] = {"roberta", NULL};
static const char *const distilbert_types[] = {"distilbert", NULL};
static const char *const electra_types[] = {"electra", NULL};

const model_class bert_class = {
    .name = "Bert",
    .model_types = bert_types,
    .prefix = "bert.",
    .first_token = {.dense = "bert.pooler.dense", .out = "classifier", .act = ACTIVATION_TANH},
    .all_linear = "query,key,value,dense",
    .check = check,
    BERT_FUNCTIONS,
};

const model_class roberta_class = {
    .name = "Roberta",
    .model_types = roberta_types,
    .prefix = "roberta.",
    .first_token = {.dense = "classifier.dense",
                    .out = "classifier.out_proj",
                    .act = ACTIVATION_TANH,
                    .drops_input = true},
    .positions_behind_padding = true,
    .all_linear = "query,key,value,dense",
    .check = check_roberta,
    .complete = complete_roberta,
    BERT_FUNCTIONS,
};

const model_class distilbert_class = {
    .name = "DistilBert",
    .model_types = distilbert_types,
    .prefix = "distilbert.",
    .first_token = {.dense = "pre_classifier",
                    .out = "classifier",
                    .act = ACTIVATION_RELU,
                    .saved = "pre_classifier,classifier,score",
                    .own_dropout = true},
    .all_linear = "q_lin,k_lin,v_lin,out_lin,lin1,lin2",
    .keys = distilbert_keys,
    .check = check_distilbert,
    .complete = complete_distilbert,
    BERT_FUNCTIONS,
};

const model_class electra_class = {
    .name = "Electra",
    .model_types = electra_types,
    .prefix = "electra.",
    .first_token = {.dense = "classifier.dense",
                    .out = "classifier.out_proj",
                    .act = ACTIVATION_GELU,
                    .drops_input = true},
    .all_linear = "query,key,value,dense,embeddings_project",
    .check = check_electra,
    .complete = complete_electra,
    BERT_FUNCTIONS,
};
