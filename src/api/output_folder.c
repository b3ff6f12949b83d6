/* A folder that appears complete or not at all.  See output_folder.h. */
#include "api/output_folder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

enum { PIECE_BYTES = 1 << 16, SUFFIX_BYTES = 32 };

mts_status output_folder_check(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    const bool there = access(dir, F_OK) == 0;
    MTS_CHECK(!there || dir_exists(dir), MTS_ERR_ARGUMENT,
              "%s: expected a folder or nothing, found a file: give another --output_dir", dir);
    if (there)
        MTS_TRY(file_list_dir(ctx, dir, &list));
    MTS_CHECK(list.count == 0, MTS_ERR_ARGUMENT,
              "%s already holds %.200s: give another --output_dir", dir, list.names[0]);
cleanup:
    file_list_deinit(&list);
    return st;
}

mts_status output_folder_begin(mts_ctx *ctx, const char *dir, output_folder *out)
{
    mts_status st = MTS_OK;
    size_t n = strlen(dir);
    *out = (output_folder){0};
    MTS_TRY(output_folder_check(ctx, dir));
    while (n > 1 && dir[n - 1] == '/')
        n--;
    MTS_TRY(mem_strndup(ctx, &out->dir, dir, n));
    MTS_TRY(mem_calloc(ctx, &out->temporary, n + SUFFIX_BYTES, 1, "path"));
    snprintf(out->temporary, n + SUFFIX_BYTES, "%s.tmp-%ld", out->dir, (long)getpid());
    MTS_TRY(file_remove_tree(ctx, out->temporary)); /* of a killed process that had our number */
    MTS_TRY(file_make_dirs(ctx, out->temporary));
    out->made = true;
cleanup:
    return st;
}

mts_status output_folder_commit(mts_ctx *ctx, output_folder *f)
{
    mts_status st = MTS_OK;
    MTS_TRY(output_folder_check(ctx, f->dir)); /* others may have come meanwhile */
    MTS_TRY(file_commit_dir(ctx, f->temporary, f->dir));
    f->made = false;
cleanup:
    return st;
}

void output_folder_close(output_folder *f)
{
    const mts_status ignored = f->made ? file_remove_tree(NULL, f->temporary) : MTS_OK;
    (void)ignored; /* the first error counts */
    mem_free(f->dir);
    mem_free(f->temporary);
    *f = (output_folder){0};
}

mts_status output_folder_copy(mts_ctx *ctx, const output_folder *f, const char *from,
                              const char *name)
{
    mts_status st = MTS_OK;
    char *source = NULL, *target = NULL;
    uint8_t *piece = NULL;
    file_reader r = {0};
    file_writer *w = NULL;
    MTS_TRY(path_join(ctx, &source, from, name));
    if (!file_exists(source))
        goto cleanup;
    MTS_TRY(path_join(ctx, &target, f->temporary, name));
    MTS_TRY(mem_calloc(ctx, &piece, PIECE_BYTES, 1, "piece of a file"));
    MTS_TRY(file_reader_open(ctx, source, &r));
    MTS_TRY(file_writer_open(ctx, target, &w));
    for (size_t done = 0; done < r.bytes;) {
        const size_t left = r.bytes - done, bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
        MTS_TRY(file_reader_read(ctx, &r, done, piece, bytes));
        MTS_TRY(file_writer_write(w, piece, bytes));
        done += bytes;
    }
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    file_reader_close(&r);
    mem_free(source);
    mem_free(target);
    mem_free(piece);
    return st;
}
