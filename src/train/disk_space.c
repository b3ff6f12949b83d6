/* Room on the disk.  See disk_space.h. */
#define _XOPEN_SOURCE 700 /* lstat */
#include "train/disk_space.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/disk_room.h"
#include "base/file.h"
#include "train/checkpoint_folder.h"

#define SMALL_FILES (UINT64_C(1) << 20) /* configuration, tokenizer, log of one folder */

/* How many checkpoints the run will write from where it stands. */
static int64_t count_checkpoints(const run *r)
{
    const char *strategy = r->o->save_strategy;
    const int64_t from = r->state.global_step, to = r->steps.total;
    const int64_t every = strcmp(strategy, "epoch") == 0 ? r->steps.per_epoch : r->steps.save;
    if (strcmp(strategy, "no") == 0 || from >= to)
        return 0;
    return to / every - from / every + (to % every != 0);
}

disk_need disk_space_need(const run *r)
{
    disk_need n = {.checkpoints = count_checkpoints(r)};
    const int64_t limit = r->o->save_total_limit;
    for (int64_t i = 0; i < r->net->params.count; i++) {
        const param *p = r->net->params.items[i];
        if (r->adapter.rank == 0 || p->trained)
            n.model += (uint64_t)p->rows * (uint64_t)p->cols * sizeof(float);
    }
    n.model += SMALL_FILES;
    n.checkpoint = n.model;
    for (int i = 0; i < optimizer_state_count(r->opt); i++) {
        const optimizer_state state = optimizer_state_at(r->opt, i);
        n.checkpoint += (uint64_t)state.count * optimizer_dtype_bytes(state.dtype);
    }
    /* A new one is complete before the oldest goes; the best one may be kept beside the last. */
    n.at_once = n.checkpoints;
    if (limit > 0 && n.at_once > limit + 1)
        n.at_once = limit + 1 + (limit == 1 && r->o->load_best_model_at_end);
    if (n.at_once > n.checkpoints)
        n.at_once = n.checkpoints;
    return n;
}

uint64_t disk_space_whole(const disk_need *n)
{
    return n->model + (uint64_t)n->at_once * n->checkpoint;
}

uint64_t disk_space_least(const disk_need *n)
{
    const int64_t few = n->at_once < 2 ? n->at_once : 2;
    return n->model + (uint64_t)few * n->checkpoint;
}

/* The bytes of the files in dir, which are removed with it. */
static mts_status measure_folder(mts_ctx *ctx, const char *dir, uint64_t *bytes)
{
    mts_status st = MTS_OK;
    struct stat info;
    char *path = NULL;
    file_list list = {0};
    MTS_TRY(file_list_dir(ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, dir, list.names[i]));
        if (lstat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1)
            *bytes += (uint64_t)info.st_size;
    }
cleanup:
    mem_free(path);
    file_list_deinit(&list);
    return st;
}

/* *bytes: of the checkpoints that a run which begins anew removes from output_dir. */
static mts_status measure_old(const run *r, uint64_t *bytes)
{
    mts_status st = MTS_OK;
    const char *dir = r->o->output_dir;
    char *path = NULL;
    file_list list = {0};
    *bytes = 0;
    if (!r->origin.starts_fresh)
        return MTS_OK;
    MTS_TRY(file_list_dir(r->ctx, dir, &list));
    for (size_t i = 0; i < list.count; i++) {
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(r->ctx, &path, dir, list.names[i]));
        if (checkpoint_folder_step(list.names[i]) >= 0 && dir_exists(path))
            MTS_TRY(measure_folder(r->ctx, path, bytes));
    }
cleanup:
    mem_free(path);
    file_list_deinit(&list);
    return st;
}

mts_status disk_space_check(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *dir = r->o->output_dir;
    const disk_need need = disk_space_need(r);
    const uint64_t least = disk_space_least(&need), whole = disk_space_whole(&need);
    uint64_t room = disk_room(dir), old = 0;
    char has[DISK_ROOM_TEXT_BYTES], wants[DISK_ROOM_TEXT_BYTES];
    if (room >= whole)
        return MTS_OK;
    MTS_TRY(measure_old(r, &old));
    room += old;
    MTS_CHECK(room >= least, MTS_ERR_IO,
              "%s: the disk has room for %s, less than the %s of the model%s: make room, or give "
              "another --output_dir%s",
              dir, disk_room_text(has, room), disk_room_text(wants, least),
              need.at_once > 1    ? " and two checkpoints"
              : need.at_once == 1 ? " and a checkpoint"
                                  : "",
              need.at_once > 0 ? ", or --save_strategy no" : "");
    if (room < whole)
        run_note(r,
                 "%s: the disk has room for %s, the model and %lld checkpoints will need %s: give "
                 "--save_total_limit, or make room",
                 dir, disk_room_text(has, room), (long long)need.at_once,
                 disk_room_text(wants, whole));
cleanup:
    return st;
}
