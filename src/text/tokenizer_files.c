/* The tokenizer's files, kept for writing.  See tokenizer_files.h. */
#include "text/tokenizer_files.h"

#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

const char *const *tokenizer_file_names(int *count)
{
    static const char *const names[] = {"vocab.txt",
                                        "tokenizer.json",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "chat_template.jinja"};
    *count = (int)(sizeof names / sizeof names[0]);
    return names;
}

mts_status tokenizer_files_init(mts_ctx *ctx, tokenizer_files *out)
{
    int count;
    (void)tokenizer_file_names(&count);
    *out = (tokenizer_files){0};
    return mem_calloc(ctx, &out->items, (size_t)count, sizeof *out->items, "tokenizer files");
}

mts_status tokenizer_files_read(mts_ctx *ctx, tokenizer_files *out, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    int count;
    const char *const *names = tokenizer_file_names(&count);
    MTS_TRY(tokenizer_files_init(ctx, out));
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

mts_status tokenizer_files_parse(mts_ctx *ctx, const tokenizer_files *files, const char *name,
                                 json_t **out)
{
    const tokenizer_file *file = find_file(files, name);
    *out = NULL;
    return file == NULL ? MTS_OK : json_util_parse_wide(ctx, name, file->bytes, file->count, out);
}

/* The file of that name, which is one of ours, holds text from now on, which is taken over. */
static void put_text(tokenizer_files *files, const char *name, char *text)
{
    const char *const *names;
    int count;
    tokenizer_file *file = find_file(files, name);
    if (file == NULL) {
        file = &files->items[files->count++]; /* there is room for every name */
        names = tokenizer_file_names(&count);
        for (int i = 0; i < count; i++)
            if (strcmp(names[i], name) == 0)
                file->name = names[i];
    }
    mem_free(file->bytes);
    file->bytes = text;
    file->count = strlen(text);
}

mts_status tokenizer_files_put(mts_ctx *ctx, tokenizer_files *files, const char *name,
                               const json_t *root)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    MTS_TRY(json_util_dump(ctx, root, 2, false, &text));
    put_text(files, name, text);
cleanup:
    return st;
}

mts_status tokenizer_files_put_text(mts_ctx *ctx, tokenizer_files *files, const char *name,
                                    const char *text)
{
    mts_status st = MTS_OK;
    char *copy = NULL;
    MTS_TRY(mem_strdup(ctx, &copy, text));
    put_text(files, name, copy);
cleanup:
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
