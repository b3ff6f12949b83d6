/*
 * What a fine-tuned folder says of its training: mts_options_from_model of the public header.
 *
 * Path: cli (eval, predict) -> here -> mts_options -> mts_eval, mts_predictor_open.
 * train/settings.c (settings_store) writes what is read here.
 */
#include <string.h>

#include "api/options.h"
#include "base/file.h"
#include "base/json_util.h"
#include "train/settings.h"

/* Options point to text that outlives them; that of the file does not. */
static const char *const words[] = {"fp32", "bf16", "int16", "int12", "int10",
                                    "int8", "row",  "block", "tensor"};

/* max_position_embeddings of a config.json that does not say it. */
enum { BERT_POSITIONS = 512 };

static const char *find_word(const char *choices, const char *text)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i], text) == 0 && option_has_choice(choices, text))
            return words[i];
    return NULL;
}

static mts_status take_number(mts_ctx *ctx, const char *file, const json_t *object,
                              const mts_option_info *info, void *field)
{
    int64_t value;
    memcpy(&value, field, sizeof value);
    const mts_status st = json_util_int(ctx, file, object, info->name, (int64_t)info->min,
                                        (int64_t)info->max, &value);
    memcpy(field, &value, sizeof value);
    return st;
}

static mts_status take_choice(mts_ctx *ctx, const char *file, const json_t *object,
                              const mts_option_info *info, void *field)
{
    mts_status st = MTS_OK;
    const char *text = NULL, *word = NULL;
    MTS_TRY(json_util_string(ctx, file, object, info->name, &text));
    if (text == NULL)
        return MTS_OK;
    word = find_word(info->choices, text);
    MTS_CHECK(word != NULL, MTS_ERR_BAD_FILE,
              "%s: " SETTINGS_KEY ": %s: expected one of %s, found '%.40s'", file, info->name,
              info->choices, text);
    memcpy(field, &word, sizeof word);
cleanup:
    return st;
}

static mts_status take_option(mts_ctx *ctx, const char *file, const json_t *object,
                              const char *name, mts_options *options)
{
    const mts_option_info *info = mts_option_find(name);
    void *field = (char *)options + info->offset;
    return (info->type == MTS_OPTION_INT ? take_number : take_choice)(ctx, file, object, info,
                                                                      field);
}

bool mts_option_is_stored(const mts_option_info *info)
{
    for (size_t i = 0; info != NULL && settings_stored[i] != NULL; i++)
        if (strcmp(settings_stored[i], info->name) == 0)
            return true;
    return false;
}

static mts_status take_all(mts_ctx *ctx, const char *file, const json_t *stored,
                           mts_options *options)
{
    mts_status st = MTS_OK;
    for (size_t i = 0; settings_stored[i] != NULL; i++)
        MTS_TRY(take_option(ctx, file, stored, settings_stored[i], options));
cleanup:
    return st;
}

/* What no training run stores: settings that contradict each other, more tokens than positions. */
static mts_status check_stored(mts_ctx *ctx, const char *file, const json_t *root,
                               const json_t *stored)
{
    mts_status st = MTS_OK;
    mts_options alone;
    int64_t positions = BERT_POSITIONS;
    mts_options_default(&alone);
    MTS_TRY(take_all(ctx, file, stored, &alone));
    st = mts_options_check(ctx, &alone);
    if (st != MTS_OK) {
        status_prefix(ctx, "%s: " SETTINGS_KEY, file);
        return st == MTS_ERR_ARGUMENT ? MTS_ERR_BAD_FILE : st;
    }
    MTS_TRY(json_util_int(ctx, file, root, "max_position_embeddings", 1, INT64_MAX, &positions));
    MTS_CHECK(!json_is_integer(json_object_get(stored, "max_seq_length")) ||
                  alone.max_seq_length <= positions,
              MTS_ERR_BAD_FILE,
              "%s: " SETTINGS_KEY
              ": max_seq_length: expected at most max_position_embeddings %lld, "
              "found %lld",
              file, (long long)positions, (long long)alone.max_seq_length);
cleanup:
    return st;
}

mts_status mts_options_from_model(mts_ctx *ctx, mts_options *options, const char *dir)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *root = NULL;
    const json_t *stored = NULL;
    MTS_CHECK(options != NULL && dir != NULL, MTS_ERR_ARGUMENT,
              "mts_options_from_model: options and dir must be given");
    MTS_TRY(model_config_check_dir(ctx, dir));
    MTS_TRY(path_join(ctx, &file, dir, "config.json"));
    MTS_TRY(json_util_load_object(ctx, file, JSON_UTIL_CONFIG_BYTES, &root));
    stored = json_object_get(root, SETTINGS_KEY);
    if (stored != NULL) {
        MTS_CHECK(json_is_object(stored), MTS_ERR_BAD_FILE,
                  "%s: " SETTINGS_KEY ": expected an object, found %s", file,
                  json_util_type_name(stored));
        MTS_TRY(check_stored(ctx, file, root, stored));
        MTS_TRY(take_all(ctx, file, stored, options)); /* as before: does not fail */
    }
cleanup:
    json_decref(root);
    mem_free(file);
    return st;
}
