/*
 * The names of checkpoints in an output folder, and what a killed run leaves beside them.
 *
 *   checkpoint-<step>                 complete
 *   tmp-checkpoint-<step>-<pid>       being written, or being removed: of no value
 *   checkpoint-<step>.old-<pid>       complete, replaced by file_commit_dir at this moment
 *   <file>.tmp-<pid>                  a file of output_files.h that was not finished (file_writer)
 *
 * Numbers are digits, a step without leading zeros.  Other names (checkpoint-best.old-2024) are the
 * user's.
 *
 * Path: checkpoint.c -> here -> base/file.
 * Not done: two runs that write into one folder at the same time.
 */
#ifndef MTS_TRAIN_CHECKPOINT_FOLDER_H
#define MTS_TRAIN_CHECKPOINT_FOLDER_H

#include "base/status.h"

/* The complete checkpoints of a folder; a file of such a name is none. */
typedef struct checkpoint_range {
    int64_t newest; /* steps; -1: none */
    int64_t oldest; /* of those that may be removed; -1: none */
    int64_t count;
} checkpoint_range;

/* The step of a folder name "checkpoint-<step>", or -1. */
int64_t checkpoint_folder_step(const char *name);

/* *out: dir/checkpoint-<step>; dir/tmp-checkpoint-<step>-<pid>.  Free with mem_free. */
MTS_NODISCARD mts_status checkpoint_folder_path(mts_ctx *ctx, char **out, const char *dir,
                                                int64_t step);
MTS_NODISCARD mts_status checkpoint_folder_temporary(mts_ctx *ctx, char **out, const char *dir,
                                                     int64_t step);

/* The checkpoints of dir from step `first` to `last`; keep (or -1): one that counts, but is not
 * `oldest`.  A folder that does not exist has none.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status checkpoint_folder_list(mts_ctx *ctx, const char *dir, int64_t first,
                                                int64_t last, int64_t keep,
                                                checkpoint_range *range);

/* Remove a checkpoint: a kill meanwhile leaves it whole, or not under its name; likewise a failure.
 */
MTS_NODISCARD mts_status checkpoint_folder_remove(mts_ctx *ctx, const char *dir, int64_t step);

/* Put checkpoint-<step>.old-<pid> back where checkpoint-<step> is missing: the run that replaced it
 * was killed between two renames. */
MTS_NODISCARD mts_status checkpoint_folder_recover(mts_ctx *ctx, const char *dir);

/* Remove what killed runs left in dir.  Nothing that is not named as above is touched.  What cannot
 * be removed stays: all else is removed, and the first failure is returned. */
MTS_NODISCARD mts_status checkpoint_folder_clean(mts_ctx *ctx, const char *dir);

#endif
