/* The tokenizer's files, kept for writing.  See tokenizer_files.h. */
#include "train/tokenizer_files.h"

#include "base/file.h"
#include "base/memory.h"
#include "text/wordpiece.h"

#define FILE_BYTES_MAX ((size_t)1 << 30)

mts_status tokenizer_files_read(mts_ctx *ctx, tokenizer_files *out, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    int count;
    const char *const *names = wordpiece_file_names(&count);
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

void tokenizer_files_deinit(tokenizer_files *files)
{
    for (int64_t i = 0; i < files->count; i++)
        mem_free(files->items[i].bytes);
    mem_free(files->items);
    *files = (tokenizer_files){0};
}
