/* adapter_config.json.  See peft.h. */
#include "io/peft.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

enum { RANK_MAX = 4096 };

double peft_scale(const peft_config *c)
{
    return c->alpha / (c->rslora ? sqrt((double)c->rank) : (double)c->rank);
}

void peft_config_deinit(peft_config *c)
{
    mem_free(c->targets);
    *c = (peft_config){0};
}

/* A name among others with commas between: neither is a part of it. */
static mts_status check_target(mts_ctx *ctx, const char *file, const json_t *name)
{
    mts_status st = MTS_OK;
    const char *text = json_string_value(name);
    MTS_CHECK(text != NULL, MTS_ERR_BAD_FILE, "%s: target_modules: expected names, found %s", file,
              json_util_type_name(name));
    MTS_CHECK(text[0] != '\0' && strpbrk(text, ", ") == NULL && strcmp(text, "all-linear") != 0,
              MTS_ERR_BAD_FILE, "%s: target_modules: expected names, found \"%.40s\"", file, text);
cleanup:
    return st;
}

/* *out: the names of a list, with commas between, or "all-linear".  Another text is a pattern. */
static mts_status join_targets(mts_ctx *ctx, const char *file, const json_t *list, char **out)
{
    mts_status st = MTS_OK;
    size_t bytes = 1, used = 0;
    char *text = NULL;
    if (json_is_string(list)) {
        MTS_CHECK(strcmp(json_string_value(list), "all-linear") == 0, MTS_ERR_UNSUPPORTED,
                  "%s: target_modules: expected a list of names or all-linear, found the pattern "
                  "\"%.40s\"",
                  file, json_string_value(list));
        return mem_strdup(ctx, out, json_string_value(list));
    }
    MTS_CHECK(json_is_array(list) && json_array_size(list) > 0, MTS_ERR_BAD_FILE,
              "%s: target_modules: expected names, found %s", file,
              json_is_array(list) ? "none" : json_util_type_name(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        MTS_TRY(check_target(ctx, file, json_array_get(list, i)));
        bytes += json_string_length(json_array_get(list, i)) + 1;
    }
    MTS_TRY(mem_calloc(ctx, &text, bytes, 1, "names of modules"));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        if (i > 0)
            text[used++] = ',';
        memcpy(text + used, json_string_value(item), json_string_length(item));
        used += json_string_length(item);
    }
    *out = text;
    text = NULL;
cleanup:
    mem_free(text);
    return st;
}

/* How A and B begin, or began: only what leaves the model's weights as they are. */
static mts_status check_start(mts_ctx *ctx, const char *file, const json_t *json)
{
    static const char *const known[] = {"gaussian", "eva", "orthogonal"};
    mts_status st = MTS_OK;
    const json_t *value = json_object_get(json, "init_lora_weights");
    bool fits = value == NULL || json_is_null(value) || json_is_boolean(value);
    for (size_t i = 0; i < sizeof known / sizeof known[0] && json_is_string(value); i++)
        fits = fits || strcmp(json_string_value(value), known[i]) == 0;
    MTS_CHECK(fits, MTS_ERR_UNSUPPORTED,
              "%s: init_lora_weights: expected one that leaves the model's weights as they are, "
              "found %s%.40s",
              file, json_is_string(value) ? "" : json_util_type_name(value),
              json_is_string(value) ? json_string_value(value) : "");
cleanup:
    return st;
}

/* What a file may say that changes what is computed; "" stands for false, null, empty. */
static mts_status check_rest(mts_ctx *ctx, const char *file, const json_t *json)
{
    static const char *const off[] = {"use_dora",
                                      "rank_pattern",
                                      "alpha_pattern",
                                      "layers_to_transform",
                                      "layer_replication",
                                      "lora_bias",
                                      "use_bdlora",
                                      "alora_invocation_tokens",
                                      "fan_in_fan_out",
                                      "use_qalora",
                                      "target_parameters",
                                      "exclude_modules",
                                      "trainable_token_indices",
                                      "arrow_config",
                                      "kasa_config",
                                      "monteclora_config",
                                      "velora_config"};
    mts_status st = MTS_OK;
    const char *type = "LORA", *bias = "none";
    MTS_TRY(json_util_string(ctx, file, json, "peft_type", &type));
    MTS_CHECK(strcmp(type, "LORA") == 0, MTS_ERR_UNSUPPORTED,
              "%s: peft_type: expected LORA, found \"%.40s\"", file, type);
    MTS_TRY(json_util_string(ctx, file, json, "bias", &bias));
    MTS_CHECK(strcmp(bias, "none") == 0, MTS_ERR_UNSUPPORTED,
              "%s: bias: expected none, found \"%.40s\"", file, bias);
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        const json_t *value = json_object_get(json, off[i]);
        const bool empty = value == NULL || json_is_null(value) || json_is_false(value) ||
                           (json_is_object(value) && json_object_size(value) == 0) ||
                           (json_is_array(value) && json_array_size(value) == 0);
        MTS_CHECK(empty, MTS_ERR_UNSUPPORTED, "%s: %s is not supported", file, off[i]);
    }
cleanup:
    return st;
}

/* The heads of transformers that PEFT saves whole: of texts, and of answers as spans. */
static const char *const heads[] = {"classifier,score", "qa_outputs",
                                    "pre_classifier,classifier,score"}; /* DistilBERT: PEFT takes
                                                                           the second for both */

/* Whether name is one of those in a text, between commas. */
static bool is_among(const char *names, const char *name)
{
    const size_t n = strlen(name);
    for (const char *word = names; *word != '\0';) {
        const size_t length = strcspn(word, ",");
        if (length == n && strncmp(word, name, n) == 0)
            return true;
        word += length + (word[length] == ',');
    }
    return false;
}

/* Whether all names of the list are among those in a text. */
static bool are_among(const char *names, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        if (name == NULL || !is_among(names, name))
            return false;
    }
    return true;
}

/* *saved: the first head that has all modules which the file names. */
static mts_status load_saved(mts_ctx *ctx, const char *file, const json_t *json, const char **saved)
{
    mts_status st = MTS_OK;
    const json_t *value = json_object_get(json, "modules_to_save");
    const bool none = value == NULL || json_is_null(value) || json_is_false(value) ||
                      (json_is_object(value) && json_object_size(value) == 0);
    MTS_CHECK(none || json_is_array(value), MTS_ERR_UNSUPPORTED,
              "%s: modules_to_save is not supported, unless it is the list of a head's", file);
    if (json_array_size(value) == 0)
        return MTS_OK;
    for (size_t k = 0; k < sizeof heads / sizeof heads[0] && *saved == NULL; k++)
        if (are_among(heads[k], value))
            *saved = heads[k];
    MTS_CHECK(*saved != NULL, MTS_ERR_UNSUPPORTED,
              "%s: modules_to_save is not supported, unless it is classifier and score (with "
              "pre_classifier or without), or qa_outputs",
              file);
cleanup:
    return st;
}

mts_status peft_config_load(mts_ctx *ctx, const char *dir, peft_config *out)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *json = NULL;
    const char *task = "";
    *out = (peft_config){.rank = 8, .alpha = 8};
    MTS_TRY(path_join(ctx, &file, dir, PEFT_CONFIG));
    MTS_TRY(json_util_load_object(ctx, file, JSON_UTIL_CONFIG_BYTES, &json));
    MTS_TRY(check_rest(ctx, file, json));
    MTS_TRY(check_start(ctx, file, json));
    MTS_TRY(json_util_int(ctx, file, json, "r", 1, RANK_MAX, &out->rank));
    MTS_TRY(json_util_real(ctx, file, json, "lora_alpha", 0, 1e9, &out->alpha));
    MTS_TRY(json_util_bool(ctx, file, json, "use_rslora", &out->rslora));
    MTS_TRY(json_util_real(ctx, file, json, "lora_dropout", 0, 1, &out->dropout));
    MTS_TRY(json_util_string(ctx, file, json, "task_type", &task));
    utf8_quote(out->task, sizeof out->task, task);
    MTS_TRY(load_saved(ctx, file, json, &out->saved));
    MTS_TRY(join_targets(ctx, file, json_object_get(json, "target_modules"), &out->targets));
cleanup:
    json_decref(json);
    mem_free(file);
    if (st != MTS_OK)
        peft_config_deinit(out);
    return st;
}

/* object[key] = the names, as a list; "all-linear" stays a text. */
static mts_status put_names(mts_ctx *ctx, json_t *object, const char *key, const char *targets)
{
    mts_status st = MTS_OK;
    json_t *list = NULL;
    if (strcmp(targets, "all-linear") == 0)
        return json_util_set(ctx, object, key, json_string(targets));
    list = json_array();
    MTS_CHECK(list != NULL, MTS_ERR_MEMORY, "out of memory: %s", PEFT_CONFIG);
    for (const char *word = targets; *word != '\0';) {
        const size_t n = strcspn(word, ", ");
        MTS_CHECK(n == 0 || json_array_append_new(list, json_stringn(word, n)) == 0, MTS_ERR_MEMORY,
                  "out of memory: %s", PEFT_CONFIG);
        word += n;
        word += strspn(word, ", ");
    }
    MTS_TRY(json_util_set(ctx, object, key, json_incref(list)));
cleanup:
    json_decref(list);
    return st;
}

mts_status peft_config_save(mts_ctx *ctx, const peft_config *c, const char *base, const char *dir)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *json = json_object();
    MTS_CHECK(json != NULL, MTS_ERR_MEMORY, "out of memory: %s", PEFT_CONFIG);
    MTS_TRY(json_util_set(ctx, json, "peft_type", json_string("LORA")));
    MTS_TRY(json_util_set(ctx, json, "task_type", json_string(c->task)));
    MTS_TRY(json_util_set(ctx, json, "base_model_name_or_path", json_string(base)));
    MTS_TRY(json_util_set(ctx, json, "inference_mode", json_true()));
    MTS_TRY(json_util_set(ctx, json, "r", json_integer(c->rank)));
    MTS_TRY(json_util_set(ctx, json, "lora_alpha",
                          c->alpha == floor(c->alpha) ? json_integer((json_int_t)c->alpha)
                                                      : json_real(c->alpha)));
    MTS_TRY(json_util_set(ctx, json, "lora_dropout", json_real(c->dropout)));
    MTS_TRY(json_util_set(ctx, json, "bias", json_string("none")));
    MTS_TRY(json_util_set(ctx, json, "fan_in_fan_out", json_false()));
    MTS_TRY(json_util_set(ctx, json, "use_rslora", json_boolean(c->rslora)));
    MTS_TRY(put_names(ctx, json, "target_modules", c->targets));
    if (c->saved != NULL)
        MTS_TRY(put_names(ctx, json, "modules_to_save", c->saved));
    MTS_TRY(path_join(ctx, &file, dir, PEFT_CONFIG));
    MTS_TRY(json_util_save(ctx, json, file));
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}
