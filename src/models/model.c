/* The table of architectures.  See model.h. */
#include "models/model.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/utf8.h"
#include "models/bert_family.h"
#include "models/decoder.h"

static const model_class *const classes[] = {
    &bert_class,    &roberta_class, &distilbert_class, &electra_class,
    &decoder_class, &gemma3_class,  &falcon_class,
};

enum { CLASSES = sizeof classes / sizeof classes[0] };

const model_class *model_class_find(const char *model_type)
{
    for (int i = 0; i < CLASSES; i++)
        for (const char *const *type = classes[i]->model_types; *type != NULL; type++)
            if (strcmp(*type, model_type) == 0)
                return classes[i];
    return NULL;
}

const model_class *model_class_of_config(const model_config *cfg)
{
    return model_class_find(model_config_type(cfg));
}

enum { TYPES_BYTES = 256 };

/* The model types of all classes, for an error text. */
static void list_types(char types[TYPES_BYTES])
{
    size_t used = 0;
    types[0] = '\0';
    for (int i = 0; i < CLASSES; i++)
        for (const char *const *type = classes[i]->model_types; *type != NULL; type++)
            if (**type != '\0' && used + strlen(*type) + 5 < TYPES_BYTES)
                used += (size_t)snprintf(types + used, TYPES_BYTES - used, "%s\"%s\"",
                                         used == 0 ? "" : ", ", *type);
}

static mts_status check_architecture(mts_ctx *ctx, const char *file, json_t *json,
                                     const model_config_key **keys)
{
    mts_status st = MTS_OK;
    const char *type = "";
    char types[TYPES_BYTES], quote[UTF8_QUOTE_BYTES];
    const model_class *class;
    MTS_TRY(json_util_string(ctx, file, json, "model_type", &type));
    class = model_class_find(type);
    list_types(types);
    MTS_CHECK(class != NULL, MTS_ERR_UNSUPPORTED, "%s: model_type: expected %s, found \"%s\"", file,
              types, utf8_quote(quote, sizeof quote, type));
    MTS_TRY(class->check(ctx, file, json));
    *keys = class->keys;
cleanup:
    return st;
}

mts_status model_load_config(mts_ctx *ctx, const char *dir, model_config *cfg)
{
    mts_status st = MTS_OK;
    const model_class *class;
    MTS_TRY(model_config_load(ctx, dir, check_architecture, cfg));
    class = model_class_of_config(cfg);
    if (class->complete != NULL)
        class->complete(cfg);
    else
        MTS_TRY(json_util_require(ctx, dir, cfg->json, "intermediate_size"));
cleanup:
    return st;
}

int64_t model_max_length(const model_config *cfg)
{
    const model_class *class = model_class_of_config(cfg);
    const bool behind = class != NULL && class->positions_behind_padding;
    return cfg->max_position_embeddings - (behind ? cfg->pad_token_id + 1 : 0);
}

enum { LEAST_PIECE = 32, PIECES_PER_THREAD = 4 };

int64_t model_piece_rows(const exec *ex, int64_t tokens)
{
    if (ex->format.kind != FORMAT_DFP || ex->format.group == GROUP_TENSOR || ex->streams_weights)
        return tokens;
    const int64_t least = ex->format.group == GROUP_BLOCK ? GROUP_BLOCK_SIZE : LEAST_PIECE;
    int64_t rows = ex->family->piece_rows;
    while (ex->threads > 1 && rows > least && tokens < rows * PIECES_PER_THREAD * ex->threads)
        rows /= 2;
    return rows;
}

/* Whether the name of `length` bytes is, or ends behind a point in, this word. */
static bool ends_in_word(const char *name, size_t length, const char *word, size_t n)
{
    return n > 0 && n <= length && strncmp(name + length - n, word, n) == 0 &&
           (n == length || name[length - n - 1] == '.');
}

const char *model_next_target(const char *targets, size_t *bytes)
{
    targets += strspn(targets, ", ");
    *bytes = strcspn(targets, ", ");
    return *bytes == 0 ? NULL : targets;
}

bool model_adapts_module(const adapter_options *o, const char *module)
{
    size_t n;
    if (strcmp(o->targets, "all-linear") == 0)
        return true;
    for (const char *word = o->targets; (word = model_next_target(word, &n)) != NULL; word += n)
        if (ends_in_word(module, strlen(module), word, n))
            return true;
    return false;
}

bool model_target_is_met(const param_list *params, const char *word, size_t bytes)
{
    for (int64_t i = 0; i < params->count; i++) {
        const param *p = params->items[i];
        const char *end = p->part == PARAM_ADAPTER ? strstr(p->name, ".lora_A.") : NULL;
        if (end != NULL && ends_in_word(p->name, (size_t)(end - p->name), word, bytes))
            return true;
    }
    return false;
}

bool model_target_is_saved(const param_list *params, const char *word, size_t bytes)
{
    for (int64_t i = 0; i < params->count; i++) {
        const param *p = params->items[i];
        const char *end = strrchr(p->name, '.'); /* of the module */
        if (p->trained && p->part != PARAM_ADAPTER && end != NULL &&
            ends_in_word(p->name, (size_t)(end - p->name), word, bytes))
            return true;
    }
    return false;
}

activation_kind model_act_kind(model_act act)
{
    switch (act) {
    case MODEL_ACT_GELU:
        return ACTIVATION_GELU;
    case MODEL_ACT_GELU_TANH:
        return ACTIVATION_GELU_TANH;
    case MODEL_ACT_RELU:
        return ACTIVATION_RELU;
    case MODEL_ACT_SILU:
        return ACTIVATION_SILU;
    case MODEL_ACT_TANH:
        return ACTIVATION_TANH;
    }
    return ACTIVATION_GELU;
}
