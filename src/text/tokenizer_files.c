/* The tokenizer's files, kept for writing.  See tokenizer_files.h. */
#include "text/tokenizer_files.h"

#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

const char *const *tokenizer_file_names(int *count)
{
    static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                        "special_tokens_map.json", "added_tokens.json"};
    *count = (int)(sizeof names / sizeof names[0]);
    return names;
}

mts_status tokenizer_files_read(mts_ctx *ctx, tokenizer_files *out, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    int count;
    const char *const *names = tokenizer_file_names(&count);
    *out = (tokenizer_files){0};
    MTS_TRY(mem_calloc(ctx, &out->items, (size_t)count, sizeof *out->items, "tokenizer files"));
    for (int i = 0; i < count; i++) {
        tokenizer_file *file = &out->items[out->count];
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, dir, names[i]));
        if (!file_exists(path))
            continue;
        MTS_TRY(file_read_all(ctx, path, FILE_BYTES_MAX, &file->bytes, &file->count));
        file->name = names[i];
        out->count++;
    }
cleanup:
    mem_free(path);
    return st;
}

/* The file of that name in the set, or NULL. */
static tokenizer_file *find_file(const tokenizer_files *files, const char *name)
{
    for (int64_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i].name, name) == 0)
            return &files->items[i];
    return NULL;
}

/* object[key] = value; the file gets the text of root.  A file that says so already stays as it is.
 */
static mts_status set_flag(mts_ctx *ctx, tokenizer_file *file, const json_t *root, json_t *object,
                           const char *key, bool value)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    if (json_equal(json_object_get(object, key), value ? json_true() : json_false()))
        return MTS_OK;
    MTS_TRY(json_util_set(ctx, object, key, json_boolean(value)));
    MTS_TRY(json_util_dump(ctx, root, 2, false, &text));
    mem_free(file->bytes);
    file->bytes = text;
    file->count = strlen(text);
cleanup:
    return st;
}

mts_status tokenizer_files_set_lower_case(mts_ctx *ctx, tokenizer_files *files, bool lower_case)
{
    static const char config_name[] = "tokenizer_config.json", json_name[] = "tokenizer.json";
    mts_status st = MTS_OK;
    tokenizer_file *config = find_file(files, config_name), *json = find_file(files, json_name);
    json_t *config_root = NULL, *json_root = NULL;
    if (config == NULL) {
        config = &files->items[files->count]; /* there is room for every name */
        MTS_TRY(mem_strdup(ctx, &config->bytes, "{}"));
        config->count = 2;
        config->name = config_name;
        files->count++;
    }
    MTS_TRY(json_util_parse_wide(ctx, config_name, config->bytes, config->count, &config_root));
    MTS_TRY(set_flag(ctx, config, config_root, config_root, "do_lower_case", lower_case));
    if (json != NULL) {
        MTS_TRY(json_util_parse_wide(ctx, json_name, json->bytes, json->count, &json_root));
        MTS_TRY(set_flag(ctx, json, json_root, json_object_get(json_root, "normalizer"),
                         "lowercase", lower_case));
    }
cleanup:
    json_decref(config_root);
    json_decref(json_root);
    return st;
}

mts_status tokenizer_files_write(mts_ctx *ctx, const tokenizer_files *files, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    file_writer *w = NULL;
    for (int64_t i = 0; i < files->count; i++) {
        const tokenizer_file *file = &files->items[i];
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, dir, file->name));
        MTS_TRY(file_writer_open(ctx, path, &w));
        MTS_TRY(file_writer_write(w, file->bytes, file->count));
        MTS_TRY(file_writer_commit(w));
        file_writer_close(w);
        w = NULL;
    }
cleanup:
    file_writer_close(w);
    mem_free(path);
    return st;
}

mts_status tokenizer_files_remove_others(mts_ctx *ctx, const tokenizer_files *files,
                                         const char *dir)
{
    mts_status st = MTS_OK;
    int count;
    const char *const *names = tokenizer_file_names(&count);
    for (int i = 0; i < count; i++)
        if (find_file(files, names[i]) == NULL)
            MTS_TRY(file_remove(ctx, dir, names[i]));
cleanup:
    return st;
}

void tokenizer_files_deinit(tokenizer_files *files)
{
    for (int64_t i = 0; i < files->count; i++)
        mem_free(files->items[i].bytes);
    mem_free(files->items);
    *files = (tokenizer_files){0};
}
