/* Writing, finding and reading checkpoints.  See checkpoint.h. */
#include "train/checkpoint.h"

#include "train/checkpoint_folder.h"
#include "train/output_files.h"
#include "train/train_state.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "network/network_io.h"

/* *name: a folder in output_dir that is the folder path, by whatever name; "" if there is none. */
static mts_status find_in_output(const run *r, const char *path, char **name)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    char *entry = NULL;
    const char *found = "";
    if (dir_exists(r->o->output_dir))
        MTS_TRY(file_list_dir(r->ctx, r->o->output_dir, &list));
    for (size_t i = 0; i < list.count && found[0] == '\0'; i++) {
        mem_free(entry);
        entry = NULL;
        MTS_TRY(path_join(r->ctx, &entry, r->o->output_dir, list.names[i]));
        if (file_is_same(entry, path))
            found = list.names[i];
    }
    MTS_TRY(mem_strdup(r->ctx, name, found));
cleanup:
    mem_free(entry);
    file_list_deinit(&list);
    return st;
}

/* A run that begins anew replaces the model of its output folder and removes the checkpoints: what
 * it starts from, a model or an adapter, must not be one of them. */
static mts_status check_source_stays(const run *r, const char *source, const char *what)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir;
    char *name = NULL;
    if (source == NULL)
        return MTS_OK;
    MTS_CHECK(!file_is_same(source, dir), MTS_ERR_ARGUMENT,
              "%s is both --output_dir and the %s to start from, which would be lost: give "
              "another --output_dir",
              dir, what);
    MTS_TRY(find_in_output(r, source, &name));
    MTS_CHECK(checkpoint_folder_step(name) < 0, MTS_ERR_ARGUMENT,
              "--overwrite_output_dir would remove %s/%s, the %s to start from: give "
              "--resume_from_checkpoint, or another --output_dir",
              dir, name, what);
cleanup:
    mem_free(name);
    return st;
}

/* Nothing of another run is overwritten unasked. */
static mts_status check_output_free(const run *r, int64_t newest)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir, *name = NULL;
    char checkpoint[64];
    MTS_TRY(check_source_stays(r, r->o->model_name_or_path, "model"));
    MTS_TRY(check_source_stays(r, r->o->adapter_name_or_path, "adapter"));
    MTS_TRY(output_files_find(ctx, dir, &name));
    if (newest >= 0) {
        snprintf(checkpoint, sizeof checkpoint, "checkpoint-%lld", (long long)newest);
        name = checkpoint;
    }
    MTS_CHECK(name == NULL || r->o->overwrite_output_dir, MTS_ERR_ARGUMENT,
              "%s already holds %s: give --overwrite_output_dir, %sor another --output_dir", dir,
              name, newest >= 0 ? "--resume_from_checkpoint last, " : "");
cleanup:
    return st;
}

mts_status checkpoint_find_resume(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    const char *wanted = o->resume_from_checkpoint;
    checkpoint_range range;
    char *name = NULL;
    MTS_TRY(checkpoint_folder_recover(ctx, o->output_dir));
    MTS_TRY(checkpoint_folder_list(ctx, o->output_dir, 0, INT64_MAX, -1, &range));
    r->origin.starts_fresh = true;
    if (wanted != NULL && strcmp(wanted, "last") == 0) {
        MTS_CHECK(range.count > 0, MTS_ERR_NOT_FOUND,
                  "%s: no checkpoint-<step> folder to resume from", o->output_dir);
        MTS_TRY(checkpoint_folder_path(ctx, &r->origin.resume_dir, o->output_dir, range.newest));
        r->origin.starts_fresh = false;
    } else if (wanted != NULL) {
        MTS_CHECK(dir_exists(wanted), MTS_ERR_NOT_FOUND, "%s: no such checkpoint folder", wanted);
        MTS_TRY(mem_strdup(ctx, &r->origin.resume_dir, wanted));
        MTS_TRY(find_in_output(r, wanted, &name));
        r->origin.starts_fresh = name[0] == '\0';
    }
    if (r->origin.starts_fresh)
        MTS_TRY(check_output_free(r, range.newest));
cleanup:
    mem_free(name);
    return st;
}

static st_dtype dtype_of(optimizer_dtype dtype)
{
    switch (dtype) {
    case OPTIMIZER_F32:
        return ST_DTYPE_F32;
    case OPTIMIZER_F64:
        return ST_DTYPE_F64;
    case OPTIMIZER_U8:
        break;
    case OPTIMIZER_I16:
        return ST_DTYPE_I16;
    case OPTIMIZER_I32:
        return ST_DTYPE_I32;
    case OPTIMIZER_I64:
        return ST_DTYPE_I64;
    }
    return ST_DTYPE_U8;
}

static mts_status save_optimizer(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    safetensors_writer *w = NULL;
    MTS_TRY(path_join(ctx, &path, dir, "optimizer.safetensors"));
    MTS_TRY(safetensors_writer_open(ctx, path, &w));
    for (int i = 0; i < optimizer_state_count(r->opt); i++) {
        const optimizer_state state = optimizer_state_at(r->opt, i);
        MTS_TRY(safetensors_writer_add(w, state.name, dtype_of(state.dtype), 1, &state.count,
                                       state.data));
    }
    MTS_TRY(safetensors_writer_commit(w));
cleanup:
    safetensors_writer_close(w);
    mem_free(path);
    return st;
}

static mts_status load_optimizer(run *r, const char *dir)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *path = NULL;
    safetensors *file = NULL;
    MTS_TRY(path_join(ctx, &path, dir, "optimizer.safetensors"));
    MTS_TRY(safetensors_open_file(ctx, path, &file));
    for (int i = 0; i < optimizer_state_count(r->opt); i++) {
        const optimizer_state state = optimizer_state_at(r->opt, i);
        const st_tensor *t;
        MTS_TRY(safetensors_require(ctx, file, state.name, 1, &state.count, &t));
        MTS_TRY(safetensors_read_raw(ctx, t, dtype_of(state.dtype), state.data,
                                     (size_t)state.count *
                                         safetensors_dtype_size(dtype_of(state.dtype))));
    }
    MTS_TRY(optimizer_restored(ctx, r->opt, r->net->params.trained, r->net->params.trained_count));
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}

/* Both files must be of one step.  The optimizer's is its first array. */
static mts_status check_step(run *r, const char *dir)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    int64_t step;
    memcpy(&step, optimizer_state_at(r->opt, 0).data, sizeof step);
    MTS_CHECK(step == r->state.global_step, MTS_ERR_BAD_FILE,
              "%s: optimizer.safetensors is of step %lld, trainer_state.json of step %lld", dir,
              (long long)step, (long long)r->state.global_step);
cleanup:
    return st;
}

mts_status checkpoint_load(run *r, const char *dir)
{
    mts_status st = MTS_OK;
    MTS_TRY(train_state_load(r, dir));
    MTS_TRY(load_optimizer(r, dir));
    MTS_TRY(check_step(r, dir));
    network_set_version(r->net, (uint64_t)r->state.global_step + 1);
cleanup:
    return st;
}

/* Everything of a checkpoint into dir, which exists. */
static mts_status write_files(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    MTS_TRY(run_save_weights(r, dir));
    MTS_TRY(tokenizer_files_write(r->ctx, &r->tokenizer_files, dir));
    MTS_TRY(save_optimizer(r, dir));
    MTS_TRY(train_state_save(r, dir));
cleanup:
    return st;
}

mts_status checkpoint_begin(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir;
    MTS_TRY(run_note_failure(r, checkpoint_folder_clean(ctx, dir), "left by an earlier run"));
    if (!r->origin.starts_fresh)
        return MTS_OK;
    for (;;) {
        checkpoint_range range;
        MTS_TRY(checkpoint_folder_list(ctx, dir, 0, INT64_MAX, -1, &range));
        if (range.count == 0)
            break;
        MTS_TRY(checkpoint_folder_remove(ctx, dir, range.oldest));
    }
    MTS_TRY(output_files_forget_results(ctx, dir));
cleanup:
    return st;
}

/* Remove the oldest checkpoints beyond the limit; later ones, of a former run, are left alone. */
static mts_status rotate(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir;
    const int64_t limit = r->o->save_total_limit, now = r->state.global_step;
    int64_t best = -1;
    if (limit <= 0)
        return MTS_OK;
    if (r->o->load_best_model_at_end && r->state.best_checkpoint != NULL) {
        const char *slash = strrchr(r->state.best_checkpoint, '/');
        best = checkpoint_folder_step(slash == NULL ? r->state.best_checkpoint : slash + 1);
    }
    for (;;) {
        checkpoint_range range;
        MTS_TRY(checkpoint_folder_list(ctx, dir, r->origin.rotate_from, now, best, &range));
        if (range.count <= limit || range.oldest < 0 || range.oldest == now)
            break;
        st = checkpoint_folder_remove(ctx, dir, range.oldest);
        if (st != MTS_OK)
            r->origin.rotate_from =
                range.oldest + 1; /* said once; the newer ones are removed in turn */
        MTS_TRY(run_note_failure(r, st, "an old checkpoint stays"));
    }
cleanup:
    return st;
}

mts_status checkpoint_save(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir;
    char *final = NULL, *temporary = NULL;
    MTS_TRY(checkpoint_folder_path(ctx, &final, dir, r->state.global_step));
    MTS_TRY(run_check_weights(r, final));
    MTS_TRY(checkpoint_folder_temporary(ctx, &temporary, dir, r->state.global_step));
    MTS_TRY(file_make_dirs(ctx, temporary));
    st = write_files(r, temporary);
    if (st == MTS_OK)
        st = file_commit_dir(ctx, temporary, final);
    if (st != MTS_OK) {
        /* keep the first error; the temporary folder holds nothing of value */
        mts_status ignored = file_remove_tree(NULL, temporary);
        (void)ignored;
        goto cleanup;
    }
    run_emit(r, &(mts_event){.kind = MTS_EVENT_CHECKPOINT, .text = final});
    MTS_TRY(run_note_failure(r, rotate(r), "old checkpoints stay"));
cleanup:
    mem_free(final);
    mem_free(temporary);
    return st;
}
