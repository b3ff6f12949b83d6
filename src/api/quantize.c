/*
 * mts_quantize of the public header: a language model with its layers in 4 bits, as transformers
 * and bitsandbytes have it.
 *
 * Path: cli/cmd_quantize.c -> mts_quantize -> quantize_weights.
 */
#include <string.h>

#include "api/model_files.h"
#include "api/partial_folder.h"
#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/text_end.h"
#include "io/gguf_model.h"
#include "io/quantization_config.h"
#include "network/quantize_weights.h"
#include "models/model.h"
#include "options/options.h"
#include "train/settings.h"

static const char weights[] = ".safetensors";

/* Note the files of a folder that decide what the weights become. */
static mts_status describe_folder(mts_ctx *ctx, const char *base, json_t *files)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    json_t *file = NULL;
    char *path = NULL;
    MTS_TRY(file_list_dir(ctx, base, &list));
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        if (!text_has_ending(name, weights) && !text_has_ending(name, ".json"))
            continue;
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, base, name));
        MTS_TRY(partial_folder_describe(ctx, path, &file));
        MTS_TRY(json_util_set(ctx, files, name, file));
    }
cleanup:
    file_list_deinit(&list);
    mem_free(path);
    return st;
}

/* *plan: what must be the same for a run to go on with another one's files. */
static mts_status make_plan(mts_ctx *ctx, const mts_options *o, uint64_t shard_bytes, json_t **plan)
{
    mts_status st = MTS_OK;
    char *gguf_file = NULL;
    json_t *files = json_object(), *file = NULL;
    MTS_CHECK(files != NULL, MTS_ERR_MEMORY, "out of memory: plan");
    MTS_TRY(gguf_model_find(ctx, o->model_name_or_path, &gguf_file));
    if (gguf_file != NULL) {
        MTS_TRY(partial_folder_describe(ctx, gguf_file, &file));
        MTS_TRY(json_util_set(ctx, files, "gguf", file));
    } else {
        MTS_TRY(describe_folder(ctx, o->model_name_or_path, files));
    }
    *plan = json_pack("{s:s, s:I, s:O}", "version", MTS_VERSION, "shard_bytes",
                      (json_int_t)shard_bytes, "files", files);
    MTS_CHECK(*plan != NULL, MTS_ERR_MEMORY, "out of memory: plan");
cleanup:
    json_decref(files);
    mem_free(gguf_file);
    return st;
}

/* config.json of the base, which says how the weights are packed. */
static mts_status write_config(mts_ctx *ctx, const char *base, const output_folder *f)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *json = NULL, *quantization = NULL;
    MTS_TRY(model_config_read(ctx, base, &file, &json));
    MTS_TRY(quantization_config_make(ctx, &quantization));
    MTS_TRY(json_util_set(ctx, json, QUANTIZATION_CONFIG, quantization));
    MTS_TRY(model_files_write_config(ctx, json, "bfloat16", f));
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}

mts_status mts_quantize(mts_ctx *ctx, const mts_options *options, const mts_callbacks *callbacks)
{
    mts_status st = MTS_OK;
    mts_options own;
    quantize_request request = {.callbacks = callbacks};
    partial_folder p = {0};
    json_t *plan = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_quantize(ctx, &own));
    MTS_TRY(model_config_check_dir(ctx, own.model_name_or_path));
    MTS_TRY(options_parse_size(ctx, "max_shard_size", own.max_shard_size, &request.shard_bytes));
    MTS_TRY(make_plan(ctx, &own, request.shard_bytes, &plan));
    MTS_TRY(partial_folder_begin(ctx, own.output_dir, weights, plan, &p));
    MTS_TRY(partial_folder_note(ctx, &p, callbacks));
    request.base = own.model_name_or_path;
    request.dir = p.folder.temporary;
    request.threads = settings_threads(&own);
    MTS_TRY(quantize_weights(ctx, &request));
    MTS_TRY(write_config(ctx, own.model_name_or_path, &p.folder));
    MTS_TRY(model_files_copy(ctx, own.model_name_or_path, &p.folder));
    MTS_TRY(partial_folder_commit(ctx, &p));
cleanup:
    partial_folder_close(&p, partial_folder_goes_on(st));
    json_decref(plan);
    return st;
}
