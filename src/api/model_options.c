/*
 * What a fine-tuned folder says of its training: mts_options_from_model of the public header.
 *
 * Path: cli (eval, predict) -> here -> mts_options -> mts_eval, mts_predictor_open.
 * train/settings.c (settings_store) writes what is read here.
 */
#include "options/options.h"
#include "base/file.h"
#include "base/json_util.h"
#include "io/gguf_model.h"
#include "network/network_io.h"
#include "train/settings.h"

/* What no training run stores: settings that contradict each other, more tokens than positions. */
static mts_status check_stored(mts_ctx *ctx, const char *file, const json_t *root,
                               const json_t *stored)
{
    mts_status st = MTS_OK;
    mts_options alone;
    model_config standard = {0}; /* for what config.json does not say */
    int64_t positions;
    mts_options_default(&alone);
    st = options_take_json(ctx, stored, OPTION_STORED, &alone);
    if (st == MTS_OK)
        st = mts_options_check(ctx, &alone);
    if (st != MTS_OK) {
        status_prefix(ctx, "%s: " SETTINGS_KEY, file);
        return st == MTS_ERR_ARGUMENT ? MTS_ERR_BAD_FILE : st;
    }
    MTS_TRY(model_config_init(ctx, &standard));
    positions = standard.max_position_embeddings;
    MTS_TRY(json_util_int(ctx, file, root, "max_position_embeddings", 1, INT64_MAX, &positions));
    MTS_CHECK(!json_is_number(json_object_get(stored, "max_seq_length")) ||
                  alone.max_seq_length <= positions,
              MTS_ERR_BAD_FILE,
              "%s: " SETTINGS_KEY
              ": max_seq_length: expected at most max_position_embeddings %lld, "
              "found %lld",
              file, (long long)positions, (long long)alone.max_seq_length);
cleanup:
    model_config_deinit(&standard);
    return st;
}

/* *file: what says how the folder was trained: a model's config.json, or what lies beside an
 * adapter for it. */
static mts_status find_config(mts_ctx *ctx, const char *dir, char **file)
{
    mts_status st = MTS_OK;
    char *of_adapter = NULL;
    MTS_TRY(path_join(ctx, file, dir, "config.json"));
    MTS_TRY(path_join(ctx, &of_adapter, dir, NETWORK_ADAPTER_CONFIG));
    if (!file_exists(*file) && file_exists(of_adapter)) {
        mem_free(*file);
        *file = of_adapter;
        of_adapter = NULL;
    }
cleanup:
    mem_free(of_adapter);
    return st;
}

mts_status mts_options_from_model(mts_ctx *ctx, mts_options *options, const char *dir)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *root = NULL;
    const json_t *stored = NULL;
    mts_options own;
    MTS_CHECK(dir != NULL, MTS_ERR_ARGUMENT, "mts_options_from_model: dir must be given");
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(model_config_check_dir(ctx, dir));
    MTS_TRY(gguf_model_find(ctx, dir, &file));
    if (file != NULL) /* it says nothing of a training */
        goto cleanup;
    MTS_TRY(find_config(ctx, dir, &file));
    MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &root));
    stored = json_object_get(root, SETTINGS_KEY);
    if (stored != NULL) {
        MTS_CHECK(json_is_object(stored), MTS_ERR_BAD_FILE,
                  "%s: " SETTINGS_KEY ": expected an object, found %s", file,
                  json_util_type_name(stored));
        MTS_TRY(check_stored(ctx, file, root, stored));
        MTS_TRY(options_take_json(ctx, stored, OPTION_STORED, &own));
        options_give(&own, options);
    }
cleanup:
    json_decref(root);
    mem_free(file);
    return st;
}
