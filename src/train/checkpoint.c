/* Writing, finding and reading checkpoints.  See checkpoint.h. */
#include "train/checkpoint.h"

#include "train/train_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "models/bert_io.h"

static const char folder_prefix[] = "checkpoint-";

/* The step of a folder name "checkpoint-<step>", or -1. */
static int64_t step_of(const char *name)
{
    if (strncmp(name, folder_prefix, sizeof folder_prefix - 1) != 0)
        return -1;
    const char *digits = name + sizeof folder_prefix - 1;
    const size_t n = strlen(digits);
    if (n == 0 || n > 15 || strspn(digits, "0123456789") != n)
        return -1;
    return (int64_t)strtoll(digits, NULL, 10);
}

/* The newest and oldest checkpoint of a folder; -1: none. */
typedef struct checkpoint_range {
    int64_t newest, oldest, count;
} checkpoint_range;

/* skip: a step that counts but is not to be the oldest (the best checkpoint), or -1. */
static mts_status list_checkpoints(mts_ctx *ctx, const char *dir, int64_t skip,
                                   checkpoint_range *range)
{
    mts_status st = MTS_OK;
    file_list list = {0};
    *range = (checkpoint_range){-1, -1, 0};
    if (!dir_exists(dir))
        return MTS_OK;
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        const int64_t step = step_of(list.names[i]);
        if (step < 0)
            continue;
        range->count++;
        if (step > range->newest)
            range->newest = step;
        if (step != skip && (range->oldest < 0 || step < range->oldest))
            range->oldest = step;
    }
cleanup:
    file_list_deinit(&list);
    return st;
}

static mts_status checkpoint_path(mts_ctx *ctx, char **out, const char *dir, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "%s%lld", folder_prefix, (long long)step);
    return path_join(ctx, out, dir, name);
}

mts_status checkpoint_find_resume(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    const char *wanted = o->resume_from_checkpoint;
    checkpoint_range range;
    char *result = NULL;
    MTS_TRY(list_checkpoints(ctx, o->output_dir, -1, &range));
    if (wanted == NULL) {
        MTS_TRY(path_join(ctx, &result, o->output_dir, "model.safetensors"));
        MTS_CHECK(o->overwrite_output_dir || (range.count == 0 && !file_exists(result)),
                  MTS_ERR_ARGUMENT,
                  "%s already holds a training run: give --overwrite_output_dir, "
                  "--resume_from_checkpoint last, or another --output_dir",
                  o->output_dir);
    } else if (strcmp(wanted, "last") == 0) {
        MTS_CHECK(range.count > 0, MTS_ERR_NOT_FOUND,
                  "%s: no checkpoint-<step> folder to resume from", o->output_dir);
        MTS_TRY(checkpoint_path(ctx, &r->resume_dir, o->output_dir, range.newest));
    } else {
        MTS_CHECK(dir_exists(wanted), MTS_ERR_NOT_FOUND, "%s: no such checkpoint folder", wanted);
        MTS_TRY(mem_strdup(ctx, &r->resume_dir, wanted));
    }
cleanup:
    mem_free(result);
    return st;
}

mts_status checkpoint_copy_tokenizer(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    char *from = NULL, *to = NULL;
    int count;
    const char *const *names = wordpiece_file_names(&count);
    for (int i = 0; i < count; i++) {
        mem_free(from);
        mem_free(to);
        from = to = NULL;
        MTS_TRY(path_join(r->ctx, &from, r->model_dir, names[i]));
        MTS_TRY(path_join(r->ctx, &to, dir, names[i]));
        if (file_exists(from) && strcmp(from, to) != 0)
            MTS_TRY(file_copy(r->ctx, from, to));
    }
cleanup:
    mem_free(from);
    mem_free(to);
    return st;
}

static st_dtype dtype_of(optimizer_dtype dtype)
{
    switch (dtype) {
    case OPTIMIZER_F32:
        return ST_DTYPE_F32;
    case OPTIMIZER_F64:
        return ST_DTYPE_F64;
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
    MTS_TRY(optimizer_restored(ctx, r->opt, r->model->params.items, r->model->params.count));
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}

mts_status checkpoint_load(run *r, const char *dir)
{
    mts_status st = MTS_OK;
    MTS_TRY(train_state_load(r, dir));
    MTS_TRY(load_optimizer(r, dir));
    r->model->ex.weight_version = (uint64_t)r->state.global_step + 1;
cleanup:
    return st;
}

/* Everything of a checkpoint into dir, which exists. */
static mts_status write_files(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    MTS_TRY(bert_save(r->ctx, r->model, dir));
    MTS_TRY(checkpoint_copy_tokenizer(r, dir));
    MTS_TRY(save_optimizer(r, dir));
    MTS_TRY(train_state_save(r, dir));
cleanup:
    return st;
}

/* Remove the oldest checkpoints beyond the limit. */
static mts_status rotate(const run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const int64_t limit = r->o->save_total_limit;
    int64_t best = -1;
    char *path = NULL;
    if (limit <= 0)
        return MTS_OK;
    if (r->o->load_best_model_at_end && r->state.best_checkpoint != NULL) {
        const char *slash = strrchr(r->state.best_checkpoint, '/');
        best = step_of(slash == NULL ? r->state.best_checkpoint : slash + 1);
    }
    for (;;) {
        checkpoint_range range;
        MTS_TRY(list_checkpoints(ctx, r->o->output_dir, best, &range));
        if (range.count <= limit || range.oldest < 0 || range.oldest == range.newest)
            break;
        MTS_TRY(checkpoint_path(ctx, &path, r->o->output_dir, range.oldest));
        MTS_TRY(file_remove_tree(ctx, path));
        mem_free(path);
        path = NULL;
    }
cleanup:
    mem_free(path);
    return st;
}

mts_status checkpoint_save(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *final = NULL, *temporary = NULL;
    char name[64];
    MTS_TRY(checkpoint_path(ctx, &final, r->o->output_dir, r->state.global_step));
    snprintf(name, sizeof name, "tmp-%s%lld-%ld", folder_prefix, (long long)r->state.global_step,
             (long)getpid());
    MTS_TRY(path_join(ctx, &temporary, r->o->output_dir, name));
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
    MTS_TRY(rotate(r));
cleanup:
    mem_free(final);
    mem_free(temporary);
    return st;
}
