/* Checkpoints as names in a folder.  See checkpoint_folder.h. */
#include "train/checkpoint_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static const char prefix[] = "checkpoint-";
static const char temporary_prefix[] = "tmp-checkpoint-";

enum { NAME_BYTES = 96, STEP_DIGITS_MAX = 15 };

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Where `tag` and decimal digits end the name, or NULL. */
static const char *find_tag(const char *name, const char *tag)
{
    const char *at = strstr(name, tag);
    if (at == NULL)
        return NULL;
    const char *digits = at + strlen(tag);
    const size_t n = strspn(digits, "0123456789");
    return n > 0 && digits[n] == '\0' ? at : NULL;
}

int64_t checkpoint_folder_step(const char *name)
{
    if (!starts_with(name, prefix))
        return -1;
    const char *digits = name + sizeof prefix - 1;
    const size_t n = strlen(digits);
    if (n == 0 || n > STEP_DIGITS_MAX || strspn(digits, "0123456789") != n)
        return -1;
    return (int64_t)strtoll(digits, NULL, 10);
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

mts_status checkpoint_folder_list(mts_ctx *ctx, const char *dir, int64_t last, int64_t keep,
                                  checkpoint_range *range)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    *range = (checkpoint_range){-1, -1, 0};
    if (!dir_exists(dir))
        return MTS_OK;
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        const int64_t step = checkpoint_folder_step(list.names[i]);
        if (step < 0 || step > last)
            continue;
        range->count++;
        if (step > range->newest)
            range->newest = step;
        if (step != keep && (range->oldest < 0 || step < range->oldest))
            range->oldest = step;
    }
cleanup:
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
    MTS_TRY(checkpoint_folder_path(ctx, &path, dir, step));
    MTS_TRY(checkpoint_folder_temporary(ctx, &temporary, dir, step));
    MTS_TRY(file_remove_tree(ctx, temporary));
    MTS_TRY(rename_folder(ctx, path, temporary));
    st = file_remove_tree(ctx, temporary);
    if (st == MTS_ERR_UNSUPPORTED && rename(temporary, path) != 0) /* nothing was removed */
        status_prefix(ctx, "the checkpoint is now %s", temporary);
cleanup:
    mem_free(path);
    mem_free(temporary);
    return st;
}

/* name: "checkpoint-<step>.old-<pid>".  Put it back, or leave it if it was replaced. */
static mts_status recover_one(mts_ctx *ctx, const char *dir, const char *name, const char *tag)
{
    mts_status st = MTS_OK;
    char *old = NULL, *path = NULL;
    char plain[NAME_BYTES];
    snprintf(plain, sizeof plain, "%.*s", (int)(tag - name), name);
    if (checkpoint_folder_step(plain) < 0)
        return MTS_OK;
    MTS_TRY(path_join(ctx, &old, dir, name));
    MTS_TRY(path_join(ctx, &path, dir, plain));
    if (!dir_exists(path))
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
        const char *tag = find_tag(list.names[i], ".old-");
        if (tag != NULL)
            MTS_TRY(recover_one(ctx, dir, list.names[i], tag));
    }
cleanup:
    file_list_deinit(&list);
    return st;
}

/* Whether `name` is a temporary of a file that runs write into their output folder. */
static bool is_unfinished_file(const char *name)
{
    static const char *const starts[] = {"model.safetensors", "config.json",     "metrics.jsonl",
                                         "trainer_state",     "all_results",     "train_results",
                                         "eval_results",      "predict_results", "vocab.txt",
                                         "tokenizer",         "special_tokens",  "added_tokens"};
    if (find_tag(name, ".tmp-") == NULL)
        return false;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        if (starts_with(name, starts[i]))
            return true;
    return false;
}

mts_status checkpoint_folder_clean(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    char *path = NULL;
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        const char *name = list.names[i];
        const bool folder = starts_with(name, temporary_prefix) ||
                            (starts_with(name, prefix) && find_tag(name, ".old-") != NULL);
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, dir, name));
        if (folder && dir_exists(path))
            MTS_TRY(file_remove_tree(ctx, path));
        else if (is_unfinished_file(name) && file_exists(path))
            MTS_CHECK(unlink(path) == 0, MTS_ERR_IO, "%s: cannot remove: %s", path,
                      strerror(errno));
    }
cleanup:
    mem_free(path);
    file_list_deinit(&list);
    return st;
}
