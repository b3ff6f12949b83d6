/*
 * mts_export of the public header: the first ranks of an adapter, as PEFT's folder or as a GGUF
 * file.
 *
 * Path: cli/cmd_export.c -> mts_export -> peft_adapter_save, gguf_adapter_save.
 */
#include <string.h>
#include <unistd.h>

#include "api/output_folder.h"
#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "io/gguf_adapter.h"
#include "io/model_config.h"
#include "network/network_io.h"
#include "options/options.h"
#include "text/tokenizer_files.h"

#define GGUF_NAME "adapter_model.gguf"

/* ------------------------------------------------------------------------------- PEFT's ---- */

/* What lies beside an adapter: how it was trained, the tokenizer. */
static mts_status copy_others(mts_ctx *ctx, const output_folder *f, const char *from)
{
    mts_status st = MTS_OK;
    int count;
    const char *const *names = tokenizer_file_names(&count);
    MTS_TRY(output_folder_copy(ctx, f, from, NETWORK_ADAPTER_CONFIG));
    for (int i = 0; i < count; i++)
        MTS_TRY(output_folder_copy(ctx, f, from, names[i]));
cleanup:
    return st;
}

static mts_status export_peft(mts_ctx *ctx, const mts_options *o, const peft_adapter *adapter)
{
    mts_status st = MTS_OK;
    output_folder f = {0};
    MTS_TRY(output_folder_begin(ctx, o->output_dir, &f));
    MTS_TRY(peft_adapter_save(ctx, adapter, o->adapter_name_or_path, f.temporary));
    MTS_TRY(copy_others(ctx, &f, o->adapter_name_or_path));
    MTS_TRY(output_folder_commit(ctx, &f));
cleanup:
    output_folder_close(&f);
    return st;
}

/* --------------------------------------------------------------------------------- GGUF ---- */

/* *out: base_model_name_or_path of the adapter. */
static mts_status stored_base(mts_ctx *ctx, const char *dir, char **out)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    const char *name = "";
    json_t *json = NULL;
    MTS_TRY(path_join(ctx, &file, dir, PEFT_CONFIG));
    MTS_TRY(json_util_load_object(ctx, file, JSON_UTIL_CONFIG_BYTES, &json));
    MTS_TRY(json_util_string(ctx, file, json, "base_model_name_or_path", &name));
    MTS_CHECK(file_exists(name) || dir_exists(name), MTS_ERR_NOT_FOUND,
              "%s: base_model_name_or_path: \"%.200s\" is not there: give --model_name_or_path",
              file, name);
    MTS_TRY(mem_strdup(ctx, out, name));
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}

/* The configuration of the base: of the model that is given; else of what a training wrote beside
 * the adapter; else of the model that the adapter names. */
static mts_status find_base(mts_ctx *ctx, const mts_options *o, json_t **json, char **name)
{
    mts_status st = MTS_OK;
    char *beside = NULL, *stored = NULL;
    if (o->model_name_or_path != NULL)
        return model_config_read(ctx, o->model_name_or_path, name, json);
    MTS_TRY(path_join(ctx, &beside, o->adapter_name_or_path, NETWORK_ADAPTER_CONFIG));
    if (file_exists(beside)) {
        MTS_TRY(json_util_load_wide(ctx, beside, JSON_UTIL_CONFIG_BYTES, json));
        MTS_TRY(mem_strdup(ctx, name, beside));
    } else {
        MTS_TRY(stored_base(ctx, o->adapter_name_or_path, &stored));
        MTS_TRY(model_config_read(ctx, stored, name, json));
    }
cleanup:
    mem_free(beside);
    mem_free(stored);
    return st;
}

/* Into a new file: a model may be what is in its place. */
static mts_status export_file(mts_ctx *ctx, const mts_options *o, const peft_adapter *adapter,
                              const char *path)
{
    mts_status st = MTS_OK;
    json_t *base = NULL;
    char *name = NULL;
    MTS_CHECK(access(path, F_OK) != 0, MTS_ERR_ARGUMENT,
              "%s is already there: give another --output_dir", path);
    MTS_TRY(find_base(ctx, o, &base, &name));
    MTS_TRY(gguf_adapter_save(ctx, adapter, base, name, path));
cleanup:
    json_decref(base);
    mem_free(name);
    return st;
}

static mts_status export_gguf(mts_ctx *ctx, const mts_options *o, const peft_adapter *adapter)
{
    mts_status st = MTS_OK;
    output_folder f = {0};
    char *path = NULL, *parent = NULL;
    if (options_name_gguf(o->output_dir)) {
        MTS_TRY(path_parent(ctx, &parent, o->output_dir));
        MTS_TRY(file_make_dirs(ctx, parent));
        MTS_TRY(export_file(ctx, o, adapter, o->output_dir));
        goto cleanup;
    }
    MTS_TRY(output_folder_begin(ctx, o->output_dir, &f));
    MTS_TRY(path_join(ctx, &path, f.temporary, GGUF_NAME));
    MTS_TRY(export_file(ctx, o, adapter, path));
    MTS_TRY(output_folder_commit(ctx, &f));
cleanup:
    output_folder_close(&f);
    mem_free(path);
    mem_free(parent);
    return st;
}

mts_status mts_export(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    mts_options own;
    peft_adapter adapter = {0};
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_export(ctx, &own));
    MTS_TRY(peft_adapter_open(ctx, own.adapter_name_or_path, own.rank, &adapter));
    if (options_exports_gguf(&own))
        MTS_TRY(export_gguf(ctx, &own, &adapter));
    else
        MTS_TRY(export_peft(ctx, &own, &adapter));
cleanup:
    peft_adapter_close(&adapter);
    return st;
}
