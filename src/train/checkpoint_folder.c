/* Checkpoints as names in a folder.  See checkpoint_folder.h. */
#include "train/checkpoint_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/output_files.h"

static const char prefix[] = "checkpoint-";
static const char temporary_prefix[] = "tmp-checkpoint-";

enum { NAME_BYTES = 96, STEP_DIGITS_MAX = 15 };

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* How many digits text begins with. */
static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* Where `tag` and decimal digits end the name, or NULL. */
static const char *find_tag(const char *name, const char *tag)
{
    const char *at = strstr(name, tag);
    if (at == NULL)
        return NULL;
    const char *digits = at + strlen(tag);
    const size_t n = count_digits(digits);
    return n > 0 && digits[n] == '\0' ? at : NULL;
}

/* The step in n characters, as it is written into names: without leading zeros; or -1. */
static int64_t parse_step(const char *digits, size_t n)
{
    if (n == 0 || n > STEP_DIGITS_MAX || count_digits(digits) < n || (n > 1 && digits[0] == '0'))
        return -1;
    return (int64_t)strtoll(digits, NULL,
                            10); /* the digits end behind n, or at another character */
}

int64_t checkpoint_folder_step(const char *name)
{
    if (!starts_with(name, prefix))
        return -1;
    const char *digits = name + sizeof prefix - 1;
    return parse_step(digits, strlen(digits));
}

/* Whether name is tmp-checkpoint-<step>-<pid>. */
static bool is_temporary(const char *name)
{
    if (!starts_with(name, temporary_prefix))
        return false;
    const char *digits = name + sizeof temporary_prefix - 1;
    const size_t n = count_digits(digits);
    return parse_step(digits, n) >= 0 && find_tag(digits, "-") == digits + n;
}

/* Whether name is checkpoint-<step>.old-<pid>; plain: the part before ".old". */
static bool is_replaced(const char *name, char plain[NAME_BYTES])
{
    const char *tag = find_tag(name, ".old-");
    if (tag == NULL || tag - name >= NAME_BYTES)
        return false;
    snprintf(plain, NAME_BYTES, "%.*s", (int)(tag - name), name);
    return checkpoint_folder_step(plain) >= 0;
}

mts_status checkpoint_folder_path(mts_ctx *ctx, char **out, const char *dir, int64_t step)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%lld", prefix, (long long)step);
    return path_join(ctx, out, dir, name);
}

mts_status checkpoint_folder_temporary(mts_ctx *ctx, char **out, const char *dir, int64_t step)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s%lld-%ld", temporary_prefix, (long long)step, (long)getpid());
    return path_join(ctx, out, dir, name);
}

mts_status checkpoint_folder_list(mts_ctx *ctx, const char *dir, int64_t first, int64_t last,
                                  int64_t keep, checkpoint_range *range)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    char *path = NULL;
    *range = (checkpoint_range){-1, -1, 0};
    if (!dir_exists(dir))
        return MTS_OK;
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        const int64_t step = checkpoint_folder_step(list.names[i]);
        if (step < 0 || step < first || step > last)
            continue;
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, dir, list.names[i]));
        if (!dir_exists(path))
            continue;
        range->count++;
        if (step > range->newest)
            range->newest = step;
        if (step != keep && (range->oldest < 0 || step < range->oldest))
            range->oldest = step;
    }
cleanup:
    mem_free(path);
    file_list_deinit(&list);
    return st;
}

static mts_status rename_folder(mts_ctx *ctx, const char *from, const char *to)
{
    mts_status st = MTS_OK;
    MTS_CHECK(rename(from, to) == 0, MTS_ERR_IO, "%s: cannot rename to %s: %s", from, to,
              strerror(errno));
cleanup:
    return st;
}

mts_status checkpoint_folder_remove(mts_ctx *ctx, const char *dir, int64_t step)
{
    mts_status st = MTS_OK;
    char *path = NULL, *temporary = NULL;
    bool touched;
    MTS_TRY(checkpoint_folder_path(ctx, &path, dir, step));
    MTS_TRY(checkpoint_folder_temporary(ctx, &temporary, dir, step));
    MTS_TRY(file_remove_tree(ctx, temporary));
    MTS_TRY(rename_folder(ctx, path, temporary));
    st = file_try_remove_tree(ctx, temporary, &touched);
    if (st != MTS_OK && !touched) {
        if (rename(temporary, path) == 0)
            status_prefix(ctx, "%s", path);
        else
            status_prefix(ctx, "the checkpoint is now %s", temporary);
    }
cleanup:
    mem_free(path);
    mem_free(temporary);
    return st;
}

/* name: of a replaced checkpoint.  Put it back under its plain name, unless there is another. */
static mts_status recover_one(mts_ctx *ctx, const char *dir, const char *name, const char *plain)
{
    mts_status st = MTS_OK;
    char *old = NULL, *path = NULL;
    MTS_TRY(path_join(ctx, &old, dir, name));
    MTS_TRY(path_join(ctx, &path, dir, plain));
    if (dir_exists(old) && !dir_exists(path))
        MTS_TRY(rename_folder(ctx, old, path));
cleanup:
    mem_free(old);
    mem_free(path);
    return st;
}

mts_status checkpoint_folder_recover(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    if (!dir_exists(dir))
        return MTS_OK;
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        char plain[NAME_BYTES];
        if (is_replaced(list.names[i], plain))
            MTS_TRY(recover_one(ctx, dir, list.names[i], plain));
    }
cleanup:
    file_list_deinit(&list);
    return st;
}

/* Whether `name` is a temporary of a file that runs write into their output folder. */
static bool is_unfinished_file(const char *name)
{
    char plain[NAME_BYTES];
    const char *tag = find_tag(name, ".tmp-");
    if (tag == NULL || tag - name >= NAME_BYTES)
        return false;
    snprintf(plain, sizeof plain, "%.*s", (int)(tag - name), name);
    return output_files_has_name(plain);
}

/* Remove dir/name if a killed run left it. */
static mts_status clean_one(mts_ctx *ctx, const char *dir, const char *name)
{
    mts_status st = MTS_OK;
    char plain[NAME_BYTES];
    char *path = NULL;
    MTS_TRY(path_join(ctx, &path, dir, name));
    if (is_temporary(name) || is_replaced(name, plain)) {
        if (dir_exists(path))
            MTS_TRY(file_remove_tree(ctx, path));
    } else if (is_unfinished_file(name) && file_exists(path)) {
        MTS_TRY(file_remove(ctx, dir, name));
    }
cleanup:
    mem_free(path);
    return st;
}

mts_status checkpoint_folder_clean(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        const mts_status one = clean_one(st == MTS_OK ? ctx : NULL, dir, list.names[i]);
        if (st == MTS_OK)
            st = one;
    }
cleanup:
    file_list_deinit(&list);
    return st;
}
