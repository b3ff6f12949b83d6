/* Result files of a run.  See results.h. */
#define _XOPEN_SOURCE 700 /* mkdtemp */
#include "train/results.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "io/peft.h"
#include "network/network_io.h"
#include "train/checkpoint_folder.h"
#include "train/train_state.h"

enum { NAME_BYTES = 64 };

/* The file without which no reader opens a folder, and those beside it. */
typedef struct model_kind {
    const char *mark, *others[2];
} model_kind;

static const model_kind whole = {"config.json", {"model.safetensors", NULL}};
static const model_kind adapter = {PEFT_CONFIG, {PEFT_WEIGHTS, NETWORK_ADAPTER_CONFIG}};

mts_status results_save(mts_ctx *ctx, const char *dir, const char *split, const json_t *values)
{
    mts_status st = MTS_OK;
    char name[64];
    char *path = NULL, *all_path = NULL;
    json_t *all = NULL;
    snprintf(name, sizeof name, "%s_results.json", split);
    MTS_TRY(file_make_dirs(ctx, dir));
    MTS_TRY(path_join(ctx, &path, dir, name));
    MTS_TRY(path_join(ctx, &all_path, dir, "all_results.json"));
    MTS_TRY(json_util_save(ctx, values, path));
    if (file_exists(all_path)) {
        MTS_TRY(json_util_load_object(ctx, all_path, JSON_UTIL_CONFIG_BYTES, &all));
    } else {
        all = json_object();
        MTS_CHECK(all != NULL, MTS_ERR_MEMORY, "out of memory: %s", all_path);
    }
    MTS_CHECK(json_object_update(all, (json_t *)(uintptr_t)values) == 0, MTS_ERR_MEMORY,
              "out of memory: %s", all_path);
    MTS_TRY(json_util_save(ctx, all, all_path));
cleanup:
    json_decref(all);
    mem_free(path);
    mem_free(all_path);
    return st;
}

/* Put every file of the temporary folder but the mark in its place in dir. */
static mts_status move_files(mts_ctx *ctx, const char *temporary, const file_list *list,
                             const char *mark, const char *dir, int64_t *moved)
{
    mts_status st = MTS_OK;
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->names[i], mark) == 0)
            continue;
        MTS_TRY(file_move(ctx, temporary, list->names[i], dir, list->names[i]));
        ++*moved;
    }
cleanup:
    return st;
}

static mts_status remove_others(mts_ctx *ctx, const model_kind *kind, const char *dir)
{
    mts_status st = MTS_OK;
    for (int i = 0; i < 2 && kind->others[i] != NULL; i++)
        MTS_TRY(file_remove(ctx, dir, kind->others[i]));
cleanup:
    return st;
}

/* Take the mark of a model away from dir, if it is there. */
static mts_status take_mark(mts_ctx *ctx, const char *mark, const char *dir, const char *temporary,
                            bool *taken)
{
    mts_status st = MTS_OK;
    char *path = NULL, old_name[NAME_BYTES];
    snprintf(old_name, sizeof old_name, "%s.old", mark);
    MTS_TRY(path_join(ctx, &path, dir, mark));
    if (file_exists(path)) {
        MTS_TRY(file_move(ctx, dir, mark, temporary, old_name));
        *taken = true;
    }
cleanup:
    mem_free(path);
    return st;
}

static void put_mark_back(const char *mark, const char *dir, const char *temporary)
{
    char old_name[NAME_BYTES];
    snprintf(old_name, sizeof old_name, "%s.old", mark);
    mts_status ignored = file_move(NULL, temporary, old_name, dir, mark);
    (void)ignored; /* the first error counts */
}

/*
 * Replace the model or adapter in dir by the one in the folder temporary.  Its mark is taken away
 * first and put in place last, so that a kill at any moment leaves the old one, the new one, or
 * none, but never a mixture; and no adapter stays beside a model that it does not belong to.
 * *moved: files that are in place; after a failure with none the old model is as it was.
 */
static mts_status put_in_place(const run *r, const char *temporary, const char *dir, int64_t *moved)
{
    const model_kind *kind = r->adapter.rank > 0 ? &adapter : &whole;
    const model_kind *other = r->adapter.rank > 0 ? &whole : &adapter;
    /* a resumed run may have the adapter's base there */
    const bool replace = !file_is_same(r->o->model_name_or_path, dir) || kind == &whole;
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    file_list list = {0};
    bool taken = false, other_taken = false;
    *moved = 0;
    MTS_TRY(file_list_dir(ctx, temporary, &list));
    MTS_TRY(take_mark(ctx, kind->mark, dir, temporary, &taken));
    if (replace)
        MTS_TRY(take_mark(ctx, other->mark, dir, temporary, &other_taken));
    MTS_TRY(file_sync_dir(ctx, dir));
    MTS_TRY(move_files(ctx, temporary, &list, kind->mark, dir, moved));
    if (replace)
        MTS_TRY(remove_others(ctx, other, dir));
    MTS_TRY(tokenizer_files_remove_others(ctx, &r->tokenizer_files, dir));
    MTS_TRY(file_sync_dir(ctx, dir));
    MTS_TRY(file_move(ctx, temporary, kind->mark, dir, kind->mark));
    MTS_TRY(file_sync_dir(ctx, dir));
cleanup:
    if (st != MTS_OK && taken && *moved == 0)
        put_mark_back(kind->mark, dir, temporary);
    if (st != MTS_OK && other_taken && *moved == 0)
        put_mark_back(other->mark, dir, temporary);
    file_list_deinit(&list);
    return st;
}

/* All files of the final model into the folder. */
static mts_status write_files(const run *r, const char *temporary)
{
    mts_status st = MTS_OK;
    MTS_TRY(tokenizer_files_write(r->ctx, &r->tokenizer_files, temporary));
    MTS_TRY(run_save_weights(r, temporary));
    MTS_TRY(train_state_save(r, temporary));
cleanup:
    return st;
}

/* Write the model into a new folder below `place`.  *path: that folder, NULL after a failure. */
static mts_status save_below(const run *r, const char *place, char **path)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    bool made = false;
    MTS_TRY(path_join(ctx, path, place, "mantissa-model-XXXXXX"));
    made = mkdtemp(*path) != NULL;
    MTS_CHECK(made, MTS_ERR_IO, "%s: %s", *path, strerror(errno));
    MTS_TRY(write_files(r, *path));
cleanup:
    if (st != MTS_OK) {
        mts_status ignored = made ? file_remove_tree(NULL, *path) : MTS_OK;
        (void)ignored;
        mem_free(*path);
        *path = NULL;
    }
    return st;
}

/* output_dir does not take the trained model, the context's text says why: keep the model where
 * there is room, and say where it is. */
static void rescue_model(run *r)
{
    const char *const places[] = {"/tmp", "/var/tmp"};
    const mts_ctx first = *r->ctx;
    char *path = NULL;
    mts_status st = checkpoint_folder_path(r->ctx, &path, r->o->output_dir, r->state.global_step);
    bool kept = st == MTS_OK && dir_exists(path);
    for (size_t i = 0; !kept && i < sizeof places / sizeof places[0]; i++) {
        mem_free(path);
        path = NULL;
        kept = save_below(r, places[i], &path) == MTS_OK;
    }
    *r->ctx = first;
    if (kept)
        status_prefix(r->ctx, "%s does not take the trained model, it is in %s instead",
                      r->o->output_dir, path);
    else
        status_prefix(r->ctx, "%s does not take the trained model, nor does /tmp or /var/tmp",
                      r->o->output_dir);
    mem_free(path);
}

mts_status results_save_model(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir;
    char *temporary = NULL;
    int64_t moved = 0;
    MTS_TRY(run_check_weights(r, dir));
    MTS_TRY(checkpoint_folder_temporary(ctx, &temporary, dir, r->state.global_step));
    st = file_remove_tree(ctx, temporary); /* of a killed run that had our number */
    if (st == MTS_OK)
        st = file_make_dirs(ctx, temporary);
    if (st == MTS_OK)
        st = write_files(r, temporary);
    if (st == MTS_OK)
        st = put_in_place(r, temporary, dir, &moved);
    if (st != MTS_OK && moved > 0) {
        status_prefix(ctx, "%s is incomplete, the rest of the model is in %s", dir, temporary);
        goto cleanup;
    }
    if (st == MTS_OK)
        st = run_note_failure(r, file_remove_tree(ctx, temporary), "left behind");
    if (st != MTS_OK) {
        mts_status ignored = file_remove_tree(NULL, temporary); /* keep the first error */
        (void)ignored;
        rescue_model(r);
    }
cleanup:
    mem_free(temporary);
    return st;
}
