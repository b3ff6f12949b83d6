/*
 * config.json of a model.  See model_config.h.
 *
 * One table of fields {key, offset, range} drives reading and completing; what is not a plain
 * number (activation, labels, problem type) has a function of its own.
 */
#include "io/model_config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "io/gguf_model.h"
#include "io/quantization_config.h"

enum { LABELS_MAX = 65536, LABEL_TEXT_BYTES = 32 };

typedef struct int_field {
    const char *key;
    size_t offset;
    int64_t min, max;
    bool required, nullable; /* nullable: null is no default */
} int_field;

typedef struct real_field {
    const char *key;
    size_t offset;
    double min, max;
} real_field;

#define FIELD(name) #name, offsetof(model_config, name)

static const int_field int_fields[] = {
    {FIELD(vocab_size), 1, 1 << 24, true, false},
    {FIELD(hidden_size), 1, 65536, true, false},
    {FIELD(num_hidden_layers), 1, 1024, true, false},
    {FIELD(num_attention_heads), 1, 1024, true, false},
    {FIELD(intermediate_size), 1, 1 << 20, false, false},
    {FIELD(max_position_embeddings), 1, 1 << 20, false, false},
    {FIELD(type_vocab_size), 1, 65536, false, false},
    {FIELD(pad_token_id), -(1 << 24), (1 << 24) - 1, false, true},
};

static const real_field real_fields[] = {
    {FIELD(hidden_dropout_prob), 0, 1}, {FIELD(attention_probs_dropout_prob), 0, 1},
    {FIELD(classifier_dropout), 0, 1},  {FIELD(layer_norm_eps), 1e-30, 0.1},
    {FIELD(initializer_range), 0, 10},
};

/* The first name of an activation is the one that is written. */
static const struct {
    const char *name;
    model_act act;
} activations[] = {
    {"gelu", MODEL_ACT_GELU},           {"gelu_new", MODEL_ACT_GELU_TANH},
    {"relu", MODEL_ACT_RELU},           {"gelu_pytorch_tanh", MODEL_ACT_GELU_TANH},
    {"silu", MODEL_ACT_SILU},           {"swish", MODEL_ACT_SILU},
    {"tanh", MODEL_ACT_TANH},           {"gelu_python", MODEL_ACT_GELU},
    {"gelu_fast", MODEL_ACT_GELU_TANH}, {"gelu_accurate", MODEL_ACT_GELU_TANH},
};

static const char *const problem_names[] = {
    [MODEL_PROBLEM_NONE] = NULL,
    [MODEL_PROBLEM_REGRESSION] = "regression",
    [MODEL_PROBLEM_SINGLE_LABEL] = "single_label_classification",
    [MODEL_PROBLEM_MULTI_LABEL] = "multi_label_classification",
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static int64_t *int_at(model_config *cfg, const int_field *field)
{
    return (int64_t *)(void *)((char *)cfg + field->offset);
}

static double *real_at(model_config *cfg, const real_field *field)
{
    return (double *)(void *)((char *)cfg + field->offset);
}

/* ------------------------------------------------------------------------------- labels ---- */

static void free_labels(char **labels, int64_t n)
{
    for (int64_t i = 0; labels != NULL && i < n; i++)
        mem_free(labels[i]);
    mem_free(labels);
}

/* *out: names[n] copied, or LABEL_0 ... if names is NULL. */
static mts_status copy_labels(mts_ctx *ctx, const char *const *names, int64_t n, char ***out)
{
    mts_status st = MTS_OK;
    char **labels = NULL;
    char text[LABEL_TEXT_BYTES];
    MTS_TRY(mem_calloc(ctx, &labels, (size_t)n, sizeof *labels, "labels"));
    for (int64_t i = 0; i < n; i++) {
        snprintf(text, sizeof text, "LABEL_%" PRId64, i);
        MTS_TRY(mem_strdup(ctx, &labels[i], names == NULL ? text : names[i]));
    }
    *out = labels;
    labels = NULL;
cleanup:
    free_labels(labels, n);
    return st;
}

/* A number below n as Python's int() reads it: blanks around it, a plus and zeros before; or -1. */
static int64_t parse_index(const char *text, int64_t n)
{
    static const char blanks[] = " \t\n\r\f\v";
    int64_t value = 0;
    text += strspn(text, blanks);
    text += *text == '+';
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits + strspn(text + digits, blanks)] != '\0')
        return -1;
    for (size_t i = 0; i < digits && value < n; i++)
        value = 10 * value + (text[i] - '0');
    return value < n ? value : -1;
}

/* *out: a new string, the name of a label that is no text, as Python prints it; NULL if it is a
 * list or an object. */
static mts_status name_of_value(mts_ctx *ctx, const json_t *value, json_t **out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    *out = NULL;
    if (json_is_array(value) || json_is_object(value))
        return MTS_OK;
    if (json_is_number(value))
        MTS_TRY(json_util_dump(ctx, value, 0, false, &text));
    else if (json_is_null(value))
        MTS_TRY(mem_strdup(ctx, &text, "None"));
    else
        MTS_TRY(mem_strdup(ctx, &text, json_is_true(value) ? "True" : "False"));
    MTS_TRY(json_util_new_string(ctx, "name of a label", text, out));
cleanup:
    mem_free(text);
    return st;
}

/* Make every value of id2label a string; the map keeps it, and is written so. */
static mts_status name_labels(mts_ctx *ctx, const char *file, json_t *map)
{
    mts_status st = MTS_OK;
    json_t *name = NULL;
    for (void *it = json_object_iter(map); it != NULL; it = json_object_iter_next(map, it)) {
        const json_t *value = json_object_iter_value(it);
        if (json_is_string(value))
            continue;
        MTS_TRY(name_of_value(ctx, value, &name));
        MTS_CHECK(name != NULL, MTS_ERR_BAD_FILE, "%s: id2label: expected names, found %s", file,
                  json_util_type_name(value));
        MTS_CHECK(json_object_iter_set_new(map, it, name) == 0, MTS_ERR_MEMORY,
                  "out of memory: labels");
    }
cleanup:
    return st;
}

/* cfg->labels from id2label {"0": name, ...}.  n different keys below n: all are there. */
static mts_status load_id2label(mts_ctx *ctx, const char *file, json_t *map, model_config *cfg)
{
    mts_status st = MTS_OK;
    const char **names = NULL;
    int64_t n = (int64_t)json_object_size(map);
    char **labels = NULL;
    MTS_CHECK(json_is_object(map) && n >= 1 && n <= LABELS_MAX, MTS_ERR_BAD_FILE,
              "%s: id2label: expected an object of 1..%d labels, found %s of %" PRId64, file,
              LABELS_MAX, json_util_type_name(map), n);
    MTS_TRY(name_labels(ctx, file, map));
    MTS_TRY(mem_calloc(ctx, &names, (size_t)n, sizeof *names, "labels"));
    for (void *it = json_object_iter(map); it != NULL; it = json_object_iter_next(map, it)) {
        const json_t *value = json_object_iter_value(it);
        int64_t index = parse_index(json_object_iter_key(it), n);
        MTS_CHECK(index >= 0, MTS_ERR_BAD_FILE,
                  "%s: id2label: expected the keys 0..%" PRId64 ", found another", file, n - 1);
        MTS_CHECK(names[index] == NULL, MTS_ERR_BAD_FILE,
                  "%s: id2label: expected each of the keys 0..%" PRId64 " once, found %" PRId64
                  " twice",
                  file, n - 1, index);
        names[index] = json_string_value(value);
    }
    MTS_TRY(copy_labels(ctx, names, n, &labels));
    free_labels(cfg->labels, cfg->num_labels);
    cfg->labels = labels;
    cfg->num_labels = n;
cleanup:
    mem_free((void *)names);
    return st;
}

static mts_status load_labels(mts_ctx *ctx, const char *file, model_config *cfg)
{
    mts_status st = MTS_OK;
    json_t *map = json_object_get(cfg->json, "id2label");
    bool given = map != NULL && !json_is_null(map);
    int64_t n = cfg->num_labels;
    char **labels = NULL;
    if (given) {
        MTS_TRY(load_id2label(ctx, file, map, cfg));
        n = cfg->num_labels;
    }
    MTS_TRY(json_util_int(ctx, file, cfg->json, "num_labels", 1, LABELS_MAX, &n));
    MTS_CHECK(!given || n == cfg->num_labels, MTS_ERR_BAD_FILE,
              "%s: num_labels: expected %" PRId64 " as in id2label, found %" PRId64, file,
              cfg->num_labels, n);
    if (!given) {
        MTS_TRY(copy_labels(ctx, NULL, n, &labels));
        free_labels(cfg->labels, cfg->num_labels);
        cfg->labels = labels;
        cfg->num_labels = n;
    }
cleanup:
    return st;
}

/* Put id2label and label2id of names[n] into the object.  They must be distinct and UTF-8. */
static mts_status store_labels(mts_ctx *ctx, json_t *json, char *const *names, int64_t n)
{
    mts_status st = MTS_OK;
    json_t *id2label = json_object(), *label2id = json_object(), *text = NULL;
    char key[LABEL_TEXT_BYTES];
    MTS_CHECK(id2label != NULL && label2id != NULL, MTS_ERR_MEMORY, "out of memory: labels");
    for (int64_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%" PRId64, i);
        MTS_TRY(json_util_new_string(ctx, "name of a label", names[i], &text));
        MTS_CHECK(json_object_get(label2id, names[i]) == NULL, MTS_ERR_ARGUMENT,
                  "label %" PRId64 ": expected a name of its own, found one used before", i);
        MTS_TRY(json_util_set(ctx, label2id, names[i], json_integer(i)));
        MTS_TRY(json_util_set(ctx, id2label, key, json_incref(text)));
        json_decref(text);
        text = NULL;
    }
    MTS_TRY(json_util_set(ctx, json, "id2label", json_incref(id2label)));
    MTS_TRY(json_util_set(ctx, json, "label2id", json_incref(label2id)));
    json_object_del(json, "num_labels"); /* id2label says it */
    json_object_del(json, "_num_labels");
cleanup:
    json_decref(text);
    json_decref(id2label);
    json_decref(label2id);
    return st;
}

mts_status model_config_set_labels(mts_ctx *ctx, model_config *cfg, const char *const *names,
                                   int64_t n, bool regression)
{
    mts_status st = MTS_OK;
    char **labels = NULL;
    model_problem problem = regression ? MODEL_PROBLEM_REGRESSION : MODEL_PROBLEM_SINGLE_LABEL;
    MTS_CHECK(!regression || n == 1, MTS_ERR_ARGUMENT,
              "labels: regression has 1 output, found %" PRId64, n);
    MTS_CHECK(regression || (n >= 2 && n <= LABELS_MAX), MTS_ERR_ARGUMENT,
              "labels: classification needs 2..%d labels, found %" PRId64, LABELS_MAX, n);
    MTS_TRY(copy_labels(ctx, names, n, &labels));
    MTS_TRY(store_labels(ctx, cfg->json, labels, n));
    MTS_TRY(model_config_set_string(ctx, cfg, "problem_type", problem_names[problem]));
    free_labels(cfg->labels, cfg->num_labels);
    cfg->labels = labels;
    cfg->num_labels = n;
    cfg->problem_type = problem;
    labels = NULL;
cleanup:
    free_labels(labels, n);
    return st;
}

mts_status model_config_set_problem(mts_ctx *ctx, model_config *cfg, model_problem problem)
{
    mts_status st = MTS_OK;
    if (problem == MODEL_PROBLEM_NONE)
        json_object_del(cfg->json, "problem_type");
    else
        MTS_TRY(model_config_set_string(ctx, cfg, "problem_type", problem_names[problem]));
    cfg->problem_type = problem;
cleanup:
    return st;
}

bool model_config_is_regression(const model_config *cfg)
{
    return cfg->problem_type == MODEL_PROBLEM_REGRESSION ||
           (cfg->problem_type == MODEL_PROBLEM_NONE && cfg->num_labels == 1);
}

/* --------------------------------------------------------------------------------- load ---- */

mts_status model_config_init(mts_ctx *ctx, model_config *cfg)
{
    mts_status st = MTS_OK;
    *cfg = (model_config){
        .vocab_size = 30522,
        .hidden_size = 768,
        .num_hidden_layers = 12,
        .num_attention_heads = 12,
        .intermediate_size = 3072,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
        .hidden_act = MODEL_ACT_GELU,
        .hidden_dropout_prob = 0.1,
        .attention_probs_dropout_prob = 0.1,
        .classifier_dropout = -1,
        .embedding_dropout = -1,
        .layer_norm_eps = 1e-12,
        .initializer_range = 0.02,
    };
    MTS_TRY(copy_labels(ctx, NULL, 2, &cfg->labels));
    cfg->num_labels = 2;
    cfg->json = json_object();
    MTS_CHECK(cfg->json != NULL, MTS_ERR_MEMORY, "out of memory: model configuration");
cleanup:
    return st;
}

void model_config_deinit(model_config *cfg)
{
    free_labels(cfg->labels, cfg->num_labels);
    json_decref(cfg->json);
    *cfg = (model_config){0};
}

mts_status model_config_expect(mts_ctx *ctx, const char *file, const json_t *json, const char *key,
                               const char *expected)
{
    mts_status st = MTS_OK;
    const char *found = expected;
    char quote[UTF8_QUOTE_BYTES];
    MTS_TRY(json_util_string(ctx, file, json, key, &found));
    utf8_quote(quote, sizeof quote, found);
    MTS_CHECK(strcmp(found, expected) == 0, MTS_ERR_UNSUPPORTED,
              "%s: %s: only \"%s\" is supported, found \"%s\"", file, key, expected, quote);
cleanup:
    return st;
}

mts_status model_config_switch(mts_ctx *ctx, const char *file, json_t *json, const char *key,
                               bool *value)
{
    mts_status st = MTS_OK;
    int64_t number = 0;
    if (json_is_number(json_object_get(json, key))) {
        MTS_TRY(json_util_int(ctx, file, json, key, 0, 1, &number));
        MTS_TRY(json_util_set(ctx, json, key, json_boolean(number == 1)));
    }
    MTS_TRY(json_util_bool(ctx, file, json, key, value));
cleanup:
    return st;
}

/* What the file calls the key. */
static const char *name_of(const model_config_key *keys, const char *key)
{
    for (; keys != NULL && keys->key != NULL; keys++)
        if (strcmp(keys->key, key) == 0)
            return keys->name;
    return key;
}

static mts_status load_numbers(mts_ctx *ctx, const char *file, const model_config_key *keys,
                               model_config *cfg)
{
    mts_status st = MTS_OK;
    for (size_t i = 0; i < COUNT_OF(int_fields); i++) {
        const int_field *f = &int_fields[i];
        const char *name = name_of(keys, f->key);
        if (f->required)
            MTS_TRY(json_util_require(ctx, file, cfg->json, name));
        MTS_TRY(json_util_int(ctx, file, cfg->json, name, f->min, f->max, int_at(cfg, f)));
    }
    for (size_t i = 0; i < COUNT_OF(real_fields); i++) {
        const real_field *f = &real_fields[i];
        const char *name = name_of(keys, f->key);
        MTS_TRY(json_util_real(ctx, file, cfg->json, name, f->min, f->max, real_at(cfg, f)));
    }
    MTS_CHECK(cfg->hidden_size % cfg->num_attention_heads == 0, MTS_ERR_BAD_FILE,
              "%s: %s: expected a multiple of %s %" PRId64 ", found %" PRId64, file,
              name_of(keys, "hidden_size"), name_of(keys, "num_attention_heads"),
              cfg->num_attention_heads, cfg->hidden_size);
    MTS_CHECK(cfg->pad_token_id < cfg->vocab_size && cfg->pad_token_id >= -cfg->vocab_size,
              MTS_ERR_BAD_FILE,
              "%s: pad_token_id: expected below vocab_size %" PRId64 ", found %" PRId64, file,
              cfg->vocab_size, cfg->pad_token_id);
cleanup:
    return st;
}

mts_status model_config_read_act(mts_ctx *ctx, const char *file, const json_t *json,
                                 const char *key, model_act *act)
{
    const char *name = NULL;
    char quote[UTF8_QUOTE_BYTES];
    mts_status st = json_util_string(ctx, file, json, key, &name);
    if (st != MTS_OK || name == NULL)
        return st;
    for (size_t i = 0; i < COUNT_OF(activations); i++) {
        if (strcmp(activations[i].name, name) == 0) {
            *act = activations[i].act;
            return MTS_OK;
        }
    }
    utf8_quote(quote, sizeof quote, name);
    return status_set(ctx, MTS_ERR_UNSUPPORTED,
                      "%s: %s: expected gelu, gelu_new, gelu_pytorch_tanh, relu, silu, swish or "
                      "tanh, found \"%s\"",
                      file, key, quote);
}

static mts_status load_problem_type(mts_ctx *ctx, const char *file, model_config *cfg)
{
    mts_status st = MTS_OK;
    const char *name = NULL;
    char quote[UTF8_QUOTE_BYTES];
    int problem = MODEL_PROBLEM_REGRESSION;
    MTS_TRY(json_util_string(ctx, file, cfg->json, "problem_type", &name));
    if (name == NULL)
        goto cleanup;
    while (problem <= MODEL_PROBLEM_MULTI_LABEL && strcmp(problem_names[problem], name) != 0)
        problem++;
    utf8_quote(quote, sizeof quote, name);
    MTS_CHECK(problem <= MODEL_PROBLEM_MULTI_LABEL, MTS_ERR_BAD_FILE,
              "%s: problem_type: expected regression, single_label_classification or "
              "multi_label_classification, found \"%s\"",
              file, quote);
    cfg->problem_type = (model_problem)problem;
cleanup:
    return st;
}

static mts_status load_architecture(mts_ctx *ctx, const char *file, model_config *cfg)
{
    mts_status st = MTS_OK;
    const json_t *list = json_object_get(cfg->json, "architectures");
    const json_t *first = json_is_string(list) ? list : json_array_get(list, 0);
    MTS_CHECK(list == NULL || json_is_null(list) || json_is_array(list) || first == list,
              MTS_ERR_BAD_FILE, "%s: architectures: expected an array, found %s", file,
              json_util_type_name(list));
    MTS_CHECK(first == NULL || json_is_string(first), MTS_ERR_BAD_FILE,
              "%s: architectures: expected strings, found %s", file, json_util_type_name(first));
    cfg->architecture = json_string_value(first);
cleanup:
    return st;
}

mts_status model_config_check_dir(mts_ctx *ctx, const char *dir)
{
    if (dir_exists(dir) || file_exists(dir))
        return MTS_OK;
    return status_set(
        ctx, MTS_ERR_NOT_FOUND,
        "%s: no such folder; a model is read from a local folder, nothing is downloaded", dir);
}

mts_status model_config_read(mts_ctx *ctx, const char *dir, char **file, json_t **json)
{
    mts_status st = MTS_OK;
    gguf_model model = {0};
    MTS_TRY(model_config_check_dir(ctx, dir));
    MTS_TRY(gguf_model_find(ctx, dir, file));
    if (*file == NULL) {
        MTS_TRY(path_join(ctx, file, dir, "config.json"));
        return json_util_load_wide(ctx, *file, JSON_UTIL_CONFIG_BYTES, json);
    }
    MTS_TRY(gguf_model_open(ctx, *file, &model));
    MTS_TRY(gguf_model_config(ctx, &model, json));
cleanup:
    gguf_model_close(&model);
    return st;
}

mts_status model_config_load(mts_ctx *ctx, const char *dir, model_config_begin_fn *begin,
                             model_config *cfg)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *json = NULL;
    const model_config_key *keys = NULL;
    MTS_TRY(model_config_init(ctx, cfg));
    MTS_TRY(model_config_read(ctx, dir, &file, &json));
    json_decref(cfg->json);
    cfg->json = json;
    if (begin != NULL)
        MTS_TRY(begin(ctx, file, json, &keys));
    MTS_TRY(quantization_config_check(ctx, file, json));
    MTS_TRY(load_numbers(ctx, file, keys, cfg));
    MTS_TRY(model_config_read_act(ctx, file, json, name_of(keys, "hidden_act"), &cfg->hidden_act));
    MTS_TRY(load_problem_type(ctx, file, cfg));
    MTS_TRY(load_architecture(ctx, file, cfg));
    MTS_TRY(load_labels(ctx, file, cfg));
cleanup:
    mem_free(file);
    return st;
}

mts_status model_config_take_head(mts_ctx *ctx, const char *file, const json_t *other,
                                  model_config *cfg)
{
    static const char *const of_head[] = {"architectures", MODEL_CONFIG_SETTINGS};
    static const char *const of_labels[] = {"id2label", "label2id", "num_labels", "problem_type",
                                            "finetuning_task"};
    mts_status st = MTS_OK;
    const bool labels = json_is_object(json_object_get(other, "id2label"));
    for (size_t i = 0; i < COUNT_OF(of_head) + COUNT_OF(of_labels); i++) {
        const bool first = i < COUNT_OF(of_head);
        const char *key = first ? of_head[i] : of_labels[i - COUNT_OF(of_head)];
        json_t *value = json_object_get(other, key);
        if (!first && !labels)
            continue;
        json_object_del(cfg->json, key);
        if (value != NULL)
            MTS_TRY(json_util_set(ctx, cfg->json, key, json_incref(value)));
    }
    MTS_TRY(load_architecture(ctx, file, cfg));
    if (labels) {
        cfg->problem_type = MODEL_PROBLEM_NONE;
        MTS_TRY(load_problem_type(ctx, file, cfg));
        MTS_TRY(load_labels(ctx, file, cfg));
    }
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- save ---- */

mts_status model_config_set_string(mts_ctx *ctx, model_config *cfg, const char *key,
                                   const char *value)
{
    mts_status st = MTS_OK;
    json_t *text = NULL;
    MTS_TRY(json_util_new_string(ctx, key, value, &text));
    MTS_TRY(json_util_set(ctx, cfg->json, key, json_incref(text)));
cleanup:
    json_decref(text);
    return st;
}

/* json[key] = value unless it is there; takes value, and NULL for lack of memory.  What
 * transformers 5 would refuse is replaced: null, and a number of the other type (8.0 for 8). */
static mts_status set_if_absent(mts_ctx *ctx, json_t *json, const char *key, json_t *value)
{
    const json_t *there = json_object_get(json, key);
    const bool other = (json_is_null(there) || (json_is_number(there) && json_is_number(value))) &&
                       json_typeof(there) != json_typeof(value);
    if (value == NULL || there == NULL || other)
        return json_util_set(ctx, json, key, value);
    json_decref(value);
    return MTS_OK;
}

const char *model_config_type(const model_config *cfg)
{
    const json_t *type = json_object_get(cfg->json, "model_type");
    return json_is_string(type) ? json_string_value(type) : "";
}

/* Fields of cfg that the object lacks. */
static mts_status complete_fields(mts_ctx *ctx, const model_config *cfg, json_t *json)
{
    mts_status st = MTS_OK;
    model_config copy = *cfg; /* shallow: for the accessors by offset */
    const char *type = model_config_type(cfg);
    size_t act = 0;
    if (*type != '\0' && strcmp(type, "bert") != 0)
        return MTS_OK; /* the keys and their defaults are BERT's */
    for (size_t i = 0; i < COUNT_OF(int_fields); i++)
        if (!int_fields[i].nullable || !json_is_null(json_object_get(json, int_fields[i].key)))
            MTS_TRY(set_if_absent(ctx, json, int_fields[i].key,
                                  json_integer(*int_at(&copy, &int_fields[i]))));
    for (size_t i = 0; i < COUNT_OF(real_fields); i++) {
        double value = *real_at(&copy, &real_fields[i]);
        MTS_TRY(set_if_absent(ctx, json, real_fields[i].key,
                              value < 0 ? json_null() : json_real(value)));
    }
    while (activations[act].act != cfg->hidden_act)
        act++;
    MTS_TRY(set_if_absent(ctx, json, "hidden_act", json_string(activations[act].name)));
    if (!json_is_object(json_object_get(json, "id2label")))
        MTS_TRY(store_labels(ctx, json, cfg->labels, cfg->num_labels));
    if (cfg->problem_type != MODEL_PROBLEM_NONE)
        MTS_TRY(set_if_absent(ctx, json, "problem_type",
                              json_string(problem_names[cfg->problem_type])));
cleanup:
    return st;
}

mts_status model_config_save(mts_ctx *ctx, const model_config *cfg, const char *model_type,
                             const char *architecture, const char *dir, const char *name)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *json = json_object(); /* a shallow copy: only its own keys are set below */
    bool torch = json_object_get(cfg->json, "torch_dtype") != NULL;
    bool plain = json_object_get(cfg->json, "dtype") != NULL;
    /* not json_copy, which leaves out keys where memory fails */
    MTS_CHECK(json != NULL && json_object_update(json, cfg->json) == 0, MTS_ERR_MEMORY,
              "out of memory: model configuration");
    (void)json_object_del(json, QUANTIZATION_CONFIG); /* the weights are written as floats */
    MTS_TRY(complete_fields(ctx, cfg, json));
    MTS_TRY(set_if_absent(ctx, json, "model_type", json_string(model_type)));
    MTS_TRY(json_util_set(ctx, json, "architectures", json_pack("[s]", architecture)));
    if (torch)
        MTS_TRY(json_util_set(ctx, json, "torch_dtype", json_string("float32")));
    if (plain || !torch)
        MTS_TRY(json_util_set(ctx, json, "dtype", json_string("float32")));
    MTS_TRY(path_join(ctx, &file, dir, name));
    MTS_TRY(json_util_save(ctx, json, file));
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}
