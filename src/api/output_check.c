/*
 * mts_check_output of the public header: a result must not be written over what it is made from.
 *
 * Path: cli (predict, tokenize: --output; eval: --output_dir) -> here, before anything is opened.
 * Files are compared by what they are, not by their names: links and other spellings are seen.
 */
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/output_check.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/text_end.h"
#include "options/options.h"
#include "train/output_files.h"

enum { LINKS_MAX = 40, FOLDERS_DEEP = 2 };

/* Whether a reader of a model folder looks at a file of this name. */
static bool is_model_file(const char *name)
{
    return output_files_has_name(name) || text_ends_in(name, ".safetensors") ||
           text_ends_in(name, ".safetensors.index.json") || text_ends_in(name, ".gguf");
}

/* *out: where writing path makes a file: behind links that lead to nothing yet. */
static mts_status follow_links(mts_ctx *ctx, const char *path, char **out)
{
    mts_status st = MTS_OK;
    char target[PATH_MAX], *parent = NULL, *next = NULL;
    ssize_t n = 0;
    MTS_TRY(mem_strdup(ctx, out, path));
    for (int i = 0; i < LINKS_MAX && (n = readlink(*out, target, sizeof target - 1)) > 0; i++) {
        target[n] = '\0';
        if (target[0] == '/') {
            MTS_TRY(mem_strdup(ctx, &next, target));
        } else {
            MTS_TRY(path_parent(ctx, &parent, *out));
            MTS_TRY(path_join(ctx, &next, parent, target));
            mem_free(parent);
            parent = NULL;
        }
        mem_free(*out);
        *out = next;
        next = NULL;
    }
cleanup:
    mem_free(parent);
    return st;
}

static mts_status refuse(mts_ctx *ctx, const char *path, const char *read)
{
    return status_set(ctx, MTS_ERR_ARGUMENT,
                      "%s: the result would be written over %s, which is read: give another file",
                      path, read);
}

/* path is none of the files of folder that a reader of a model looks at, and becomes none. */
static mts_status check_model(mts_ctx *ctx, const char *path, const char *folder)
{
    mts_status st = MTS_OK;
    char *file = NULL, *made = NULL, *parent = NULL;
    const char *slash;
    file_list list = {0};
    MTS_TRY(file_list_dir(ctx, folder, &list));
    for (size_t i = 0; i < list.count; i++) {
        mem_free(file);
        file = NULL;
        MTS_TRY(path_join(ctx, &file, folder, list.names[i]));
        if (is_model_file(list.names[i]) && file_exists(file) && file_is_same(file, path)) {
            st = refuse(ctx, path, file);
            goto cleanup;
        }
    }
    MTS_TRY(follow_links(ctx, path, &made));
    MTS_TRY(path_parent(ctx, &parent, made));
    slash = strrchr(made, '/');
    if (is_model_file(slash == NULL ? made : slash + 1) && file_is_same(parent, folder))
        st = status_set(ctx, MTS_ERR_ARGUMENT,
                        "%s: would be taken for a file of the model in %s: give another file", path,
                        folder);
cleanup:
    mem_free(file);
    mem_free(made);
    mem_free(parent);
    file_list_deinit(&list);
    return st;
}

/* path is no file of folder or of the folders in it, so many levels deep. */
static mts_status check_folder(mts_ctx *ctx, const char *path, const char *folder, int deep)
{
    mts_status st = MTS_OK;
    char *entry = NULL;
    file_list list = {0};
    MTS_TRY(file_list_dir(ctx, folder, &list));
    for (size_t i = 0; st == MTS_OK && i < list.count; i++) {
        mem_free(entry);
        entry = NULL;
        MTS_TRY(path_join(ctx, &entry, folder, list.names[i]));
        if (deep > 1 && dir_exists(entry))
            st = check_folder(ctx, path, entry, deep - 1);
        else if (file_exists(entry) && file_is_same(entry, path))
            st = refuse(ctx, path, entry);
    }
cleanup:
    mem_free(entry);
    file_list_deinit(&list);
    return st;
}

mts_status output_check_data(mts_ctx *ctx, const mts_options *o, const char *path)
{
    const char *const files[] = {o->train_file, o->validation_file, o->test_file};
    if (!file_exists(path)) /* a device or a pipe is written in place */
        return MTS_OK;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i] != NULL && file_is_same(files[i], path))
            return refuse(ctx, path, files[i]);
    if (o->data_dir == NULL || !dir_exists(o->data_dir))
        return MTS_OK;
    return check_folder(ctx, path, o->data_dir, FOLDERS_DEEP);
}

mts_status mts_check_output(mts_ctx *ctx, const mts_options *options, const char *path)
{
    mts_status st = MTS_OK;
    mts_options own;
    MTS_CHECK(path != NULL, MTS_ERR_ARGUMENT, "mts_check_output: path must be given");
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(output_check_data(ctx, &own, path));
    if (own.model_name_or_path != NULL && dir_exists(own.model_name_or_path))
        MTS_TRY(check_model(ctx, path, own.model_name_or_path));
    else if (own.model_name_or_path != NULL && file_is_same(own.model_name_or_path, path))
        st = refuse(ctx, path, own.model_name_or_path);
cleanup:
    return st;
}
