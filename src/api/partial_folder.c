/* A folder that is made over several runs.  See partial_folder.h. */
#include "api/partial_folder.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/text_end.h"

static const char place_ending[] = ".partial", plan_name[] = "plan.json";

mts_status partial_folder_describe(mts_ctx *ctx, const char *path, json_t **out)
{
    mts_status st = MTS_OK;
    struct stat info;
    const char *slash = strrchr(path, '/');
    *out = NULL;
    MTS_CHECK(stat(path, &info) == 0, MTS_ERR_IO, "%s: cannot stat: %s", path, strerror(errno));
    *out = json_pack("[s, I, I, I]", slash == NULL ? path : slash + 1, (json_int_t)info.st_size,
                     (json_int_t)info.st_mtim.tv_sec, (json_int_t)info.st_mtim.tv_nsec);
    MTS_CHECK(*out != NULL, MTS_ERR_MEMORY, "out of memory: description of a file");
cleanup:
    return st;
}

/* Whether a folder holds nothing but temporaries of a plan: its making was stopped at once. */
static mts_status check_no_plan(mts_ctx *ctx, const char *place)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    MTS_TRY(file_list_dir(ctx, place, &list));
    for (size_t i = 0; i < list.count; i++)
        MTS_CHECK(strncmp(list.names[i], plan_name, sizeof plan_name - 1) == 0, MTS_ERR_ARGUMENT,
                  "%s is in the way: it is no unfinished folder of this command (no %s): move it",
                  place, plan_name);
cleanup:
    file_list_deinit(&list);
    return st;
}

/* *same: the plan of what is there.  MTS_ERR_ARGUMENT: the folder is not ours. */
static mts_status read_plan(mts_ctx *ctx, const char *place, json_t *plan, bool *same)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    json_t *there = NULL;
    MTS_CHECK(dir_exists(place), MTS_ERR_ARGUMENT,
              "%s is in the way: expected a folder or nothing, found a file: move it", place);
    MTS_TRY(path_join(ctx, &path, place, plan_name));
    if (file_exists(path)) {
        MTS_TRY(json_util_load_object(ctx, path, JSON_UTIL_CONFIG_BYTES, &there));
        *same = json_equal(there, plan) != 0;
    } else {
        MTS_TRY(check_no_plan(ctx, place));
    }
cleanup:
    json_decref(there);
    mem_free(path);
    return st;
}

/* Remove what was not finished: temporaries of a killed run, and what is written at the end. */
static mts_status keep_finished(mts_ctx *ctx, partial_folder *p, const char *ending)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    if (!dir_exists(p->folder.temporary))
        return MTS_OK;
    MTS_TRY(file_list_dir(ctx, p->folder.temporary, &list));
    for (size_t i = 0; i < list.count; i++) {
        if (text_has_ending(list.names[i], ending))
            p->kept++;
        else
            MTS_TRY(file_remove(ctx, p->folder.temporary, list.names[i]));
    }
cleanup:
    file_list_deinit(&list);
    return st;
}

static mts_status write_plan(mts_ctx *ctx, const partial_folder *p, const json_t *plan)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    MTS_TRY(path_join(ctx, &path, p->place, plan_name));
    MTS_TRY(json_util_save(ctx, plan, path));
cleanup:
    mem_free(path);
    return st;
}

mts_status partial_folder_begin(mts_ctx *ctx, const char *dir, const char *ending, json_t *plan,
                                partial_folder *out)
{
    mts_status st = MTS_OK;
    bool same = false;
    size_t n = strlen(dir);
    *out = (partial_folder){0};
    MTS_TRY(output_folder_check(ctx, dir));
    while (n > 1 && dir[n - 1] == '/')
        n--;
    MTS_TRY(mem_strndup(ctx, &out->folder.dir, dir, n));
    MTS_TRY(mem_calloc(ctx, &out->place, n + sizeof place_ending, 1, "path"));
    memcpy(out->place, dir, n);
    memcpy(out->place + n, place_ending, sizeof place_ending);
    MTS_TRY(path_join(ctx, &out->folder.temporary, out->place, "model"));
    if (access(out->place, F_OK) == 0)
        MTS_TRY(read_plan(ctx, out->place, plan, &same));
    if (same) {
        MTS_TRY(keep_finished(ctx, out, ending));
    } else {
        MTS_TRY(file_remove_tree(ctx, out->place));
        MTS_TRY(file_make_dirs(ctx, out->place));
        MTS_TRY(write_plan(ctx, out, plan));
    }
    out->ours = true;
    MTS_TRY(file_make_dirs(ctx, out->folder.temporary));
cleanup:
    return st;
}

mts_status partial_folder_note(mts_ctx *ctx, const partial_folder *p,
                               const mts_callbacks *callbacks)
{
    char text[80];
    const mts_event event = {.kind = MTS_EVENT_NOTE, .text = text};
    snprintf(text, sizeof text, "going on behind %" PRId64 " finished files of weights", p->kept);
    if (p->kept > 0 && callbacks != NULL && callbacks->on_event != NULL &&
        !callbacks->on_event(callbacks->user, &event))
        return status_set(ctx, MTS_ERR_INTERRUPTED, "interrupted");
    return MTS_OK;
}

bool partial_folder_goes_on(mts_status st)
{
    return st == MTS_ERR_INTERRUPTED || st == MTS_ERR_IO || st == MTS_ERR_MEMORY ||
           st == MTS_ERR_ARGUMENT; /* something stands where the result goes */
}

mts_status partial_folder_commit(mts_ctx *ctx, partial_folder *p)
{
    mts_status st = MTS_OK;
    MTS_TRY(output_folder_check(ctx, p->folder.dir)); /* others may have come meanwhile */
    MTS_TRY(file_commit_dir(ctx, p->folder.temporary, p->folder.dir));
cleanup:
    return st;
}

void partial_folder_close(partial_folder *p, bool keep)
{
    const mts_status ignored = p->ours && !keep ? file_remove_tree(NULL, p->place) : MTS_OK;
    (void)ignored; /* the first error counts */
    mem_free(p->folder.dir);
    mem_free(p->folder.temporary);
    mem_free(p->place);
    *p = (partial_folder){0};
}
