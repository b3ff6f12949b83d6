/*
 * mts_merge of the public header: a model with an adapter in its weights, as transformers' folder.
 *
 * Path: cli/cmd_merge.c -> mts_merge -> merge_weights.
 */
#include <string.h>

#include "api/model_files.h"
#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "io/gguf_model.h"
#include "io/quantization_config.h"
#include "network/merge_weights.h"
#include "network/network_io.h"
#include "options/options.h"
#include "train/settings.h"

/* *json: of an adapter with a head of its own what lies beside it and describes the model with that
 * head, if there is such a file; in the type of the base. */
static mts_status take_new_head(mts_ctx *ctx, const char *adapter, json_t **json, bool *found)
{
    static const char *const keys[] = {"dtype", "torch_dtype"};
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *other = NULL;
    *found = false;
    MTS_TRY(path_join(ctx, &file, adapter, NETWORK_ADAPTER_CONFIG));
    if (!file_exists(file))
        goto cleanup;
    MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &other));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *type = json_object_get(*json, keys[i]);
        if (type != NULL)
            MTS_TRY(json_util_set(ctx, other, keys[i], json_incref(type)));
        else
            json_object_del(other, keys[i]);
    }
    /* what is merged is in floats */
    json_object_del(json_object_get(other, SETTINGS_KEY), "base_bits");
    json_decref(*json);
    *json = other;
    other = NULL;
    *found = true;
cleanup:
    json_decref(other);
    mem_free(file);
    return st;
}

/* *four: whether the adapter learned beside a base in 4 bits, as its folder says. */
static mts_status read_base_bits(mts_ctx *ctx, const char *adapter, bool *four)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    const char *bits;
    json_t *json = NULL;
    MTS_TRY(path_join(ctx, &file, adapter, NETWORK_ADAPTER_CONFIG));
    if (!file_exists(file))
        goto cleanup;
    MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &json));
    bits = json_string_value(json_object_get(json_object_get(json, SETTINGS_KEY), "base_bits"));
    *four = bits != NULL && strcmp(bits, "4") == 0;
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}

/* Configuration and tokenizer of a folder; the request's prefix (constant) and new_head. */
static mts_status write_of_folder(mts_ctx *ctx, const mts_options *o, const char *dtype,
                                  const output_folder *f, merge_request *request)
{
    const char *base = o->model_name_or_path;
    mts_status st = MTS_OK;
    char *file = NULL;
    const char *type = "";
    const model_class *class = NULL;
    json_t *json = NULL;
    MTS_TRY(path_join(ctx, &file, base, "config.json"));
    MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &json));
    MTS_TRY(json_util_string(ctx, file, json, "model_type", &type));
    class = model_class_find(type);
    request->prefix = class != NULL ? class->prefix : "";
    MTS_TRY(quantization_config_check(ctx, file, json));
    json_object_del(json, QUANTIZATION_CONFIG); /* what is written is unpacked */
    if (request->adapter->saved_count > 0)
        MTS_TRY(take_new_head(ctx, o->adapter_name_or_path, &json, &request->new_head));
    MTS_TRY(model_files_write_config(ctx, json, dtype, f));
    MTS_TRY(model_files_copy(ctx, base, f));
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}

static mts_status write_of_gguf(mts_ctx *ctx, const char *file, const char *dtype,
                                const output_folder *f)
{
    mts_status st = MTS_OK;
    gguf_model m = {0};
    json_t *json = NULL;
    MTS_TRY(gguf_model_open(ctx, file, &m));
    MTS_TRY(gguf_model_config(ctx, &m, &json));
    MTS_TRY(model_files_write_config(ctx, json, dtype != NULL ? dtype : "float32", f));
    MTS_TRY(model_files_copy(ctx, file, f));
cleanup:
    json_decref(json);
    gguf_model_close(&m);
    return st;
}

/* Of a word of --dtype. */
static st_dtype st_type(const char *word)
{
    if (strcmp(word, "bfloat16") == 0)
        return ST_DTYPE_BF16;
    return strcmp(word, "float16") == 0 ? ST_DTYPE_F16 : ST_DTYPE_F32;
}

static mts_status write_folder(mts_ctx *ctx, const mts_options *o, const mts_callbacks *callbacks,
                               const peft_adapter *adapter, const output_folder *f)
{
    mts_status st = MTS_OK;
    const char *dtype = strcmp(o->dtype, "auto") == 0 ? NULL : o->dtype;
    char *file = NULL;
    merge_request request = {.base = o->model_name_or_path,
                             .prefix = "",
                             .adapter = adapter,
                             .as_base = dtype == NULL,
                             .dtype = st_type(o->dtype),
                             .dir = f->temporary,
                             .callbacks = callbacks};
    if (o->base_bits != NULL)
        request.nf4_base = options_has_4bit_base(o);
    else
        MTS_TRY(read_base_bits(ctx, o->adapter_name_or_path, &request.nf4_base));
    MTS_TRY(options_parse_size(ctx, "max_shard_size", o->max_shard_size, &request.shard_bytes));
    MTS_TRY(gguf_model_find(ctx, o->model_name_or_path, &file));
    if (file != NULL)
        MTS_TRY(write_of_gguf(ctx, file, dtype, f));
    else
        MTS_TRY(write_of_folder(ctx, o, dtype, f, &request));
    MTS_TRY(merge_weights(ctx, &request));
cleanup:
    mem_free(file);
    return st;
}

mts_status mts_merge(mts_ctx *ctx, const mts_options *options, const mts_callbacks *callbacks)
{
    mts_status st = MTS_OK;
    mts_options own;
    peft_adapter adapter = {0};
    output_folder f = {0};
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_merge(ctx, &own));
    MTS_TRY(model_config_check_dir(ctx, own.model_name_or_path));
    MTS_TRY(peft_adapter_open(ctx, own.adapter_name_or_path, own.rank, &adapter));
    MTS_TRY(output_folder_begin(ctx, own.output_dir, &f));
    MTS_TRY(write_folder(ctx, &own, callbacks, &adapter, &f));
    MTS_TRY(output_folder_commit(ctx, &f));
cleanup:
    output_folder_close(&f);
    peft_adapter_close(&adapter);
    return st;
}
