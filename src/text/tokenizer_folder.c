/* The files of a model folder that say which tokenizer it has.  See tokenizer_folder.h. */
#include "text/tokenizer_folder.h"

#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

mts_status tokenizer_folder_load(mts_ctx *ctx, const char *dir, const char *name, json_t **out)
{
    mts_status st = MTS_OK;
    char *path = NULL, *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    MTS_TRY(path_join(ctx, &path, dir, name));
    if (!file_exists(path))
        goto cleanup;
    MTS_TRY(file_read_all(ctx, path, TOKENIZER_FILE_BYTES_MAX, &text, &bytes));
    MTS_TRY(json_util_parse_wide(ctx, path, text, bytes, out));
cleanup:
    mem_free(path);
    mem_free(text);
    return st;
}

mts_status tokenizer_folder_object(mts_ctx *ctx, const json_t *object, const char *key,
                                   const json_t **out)
{
    mts_status st = MTS_OK;
    const json_t *value = json_object_get(object, key);
    MTS_CHECK(value == NULL || json_is_null(value) || json_is_object(value), MTS_ERR_BAD_FILE,
              "%s: expected an object, found %s", key, json_util_type_name(value));
    *out = json_is_null(value) ? NULL : value;
cleanup:
    return st;
}

/* The kind of model that tokenizer.json says. */
static mts_status find_model(mts_ctx *ctx, tokenizer_folder *folder)
{
    mts_status st = MTS_OK;
    MTS_TRY(tokenizer_folder_object(ctx, folder->json, "model", &folder->model));
    st = json_util_string(ctx, NULL, folder->model, "type", &folder->model_type);
    if (st != MTS_OK)
        status_prefix(ctx, "model");
cleanup:
    if (st != MTS_OK)
        status_prefix(ctx, "%s", folder->source);
    return st;
}

/* The class that a file names, unless one is known already. */
static mts_status find_class(mts_ctx *ctx, tokenizer_folder *folder, const json_t *root,
                             const char *file)
{
    if (folder->class_name != NULL)
        return MTS_OK;
    mts_status st = json_util_string(ctx, NULL, root, "tokenizer_class", &folder->class_name);
    if (st != MTS_OK)
        status_prefix(ctx, "%s/%s", folder->dir, file);
    folder->class_file = file;
    return st;
}

/* chat_template.jinja, if it is there. */
static mts_status read_chat_template(mts_ctx *ctx, tokenizer_folder *folder)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    size_t bytes = 0;
    MTS_TRY(path_join(ctx, &path, folder->dir, "chat_template.jinja"));
    if (!file_exists(path))
        goto cleanup;
    MTS_TRY(file_read_all(ctx, path, TOKENIZER_FILE_BYTES_MAX, &folder->chat_template, &bytes));
    MTS_CHECK(memchr(folder->chat_template, '\0', bytes) == NULL, MTS_ERR_BAD_FILE,
              "%s: expected text, found a NUL byte", path);
cleanup:
    mem_free(path);
    return st;
}

mts_status tokenizer_folder_read(mts_ctx *ctx, const char *dir, tokenizer_folder *out)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    *out = (tokenizer_folder){.dir = dir};
    MTS_TRY(path_join(ctx, &path, dir, "vocab.txt"));
    out->has_vocab_txt = file_exists(path);
    MTS_TRY(path_join(ctx, &out->source, dir, "tokenizer.json"));
    MTS_TRY(tokenizer_folder_load(ctx, dir, "tokenizer.json", &out->json));
    MTS_TRY(find_model(ctx, out));
    MTS_TRY(tokenizer_folder_load(ctx, dir, "tokenizer_config.json", &out->config));
    MTS_TRY(find_class(ctx, out, out->config, "tokenizer_config.json"));
    MTS_TRY(tokenizer_folder_load(ctx, dir, "config.json", &out->model_config));
    MTS_TRY(find_class(ctx, out, out->model_config, "config.json"));
    MTS_TRY(read_chat_template(ctx, out));
cleanup:
    mem_free(path);
    return st;
}

mts_status tokenizer_folder_make(mts_ctx *ctx, const char *source, json_t *json, json_t *config,
                                 tokenizer_folder *out)
{
    mts_status st = MTS_OK;
    *out =
        (tokenizer_folder){.dir = source, .json = json_incref(json), .config = json_incref(config)};
    MTS_TRY(mem_strdup(ctx, &out->source, source));
    MTS_TRY(find_model(ctx, out));
    MTS_TRY(find_class(ctx, out, out->config, "tokenizer_config.json"));
cleanup:
    return st;
}

mts_status tokenizer_folder_put(mts_ctx *ctx, tokenizer_folder *folder, json_t *json)
{
    mts_status st = MTS_OK;
    char *source = NULL;
    MTS_TRY(mem_strdup(ctx, &source, folder->dir));
    mem_free(folder->source);
    folder->source = source;
    folder->json = json_incref(json);
    folder->made = true;
    MTS_TRY(find_model(ctx, folder));
cleanup:
    return st;
}

void tokenizer_folder_deinit(tokenizer_folder *folder)
{
    mem_free(folder->source);
    mem_free(folder->chat_template);
    json_decref(folder->json);
    json_decref(folder->config);
    json_decref(folder->model_config);
    *folder = (tokenizer_folder){0};
}
