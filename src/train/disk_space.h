/*
 * Whether what a run will write fits on the disk, asked before the first step.
 *
 * Path: run_training -> disk_space_check.
 * Counted are the model files, the optimizer's state in each checkpoint, and how many checkpoints
 * there are at once (save_total_limit); other files are small.
 */
#ifndef MTS_TRAIN_DISK_SPACE_H
#define MTS_TRAIN_DISK_SPACE_H

#include "train/run.h"

/* What a run will write, in bytes. */
typedef struct disk_need {
    uint64_t model, checkpoint;   /* each; a checkpoint holds a model */
    int64_t checkpoints, at_once; /* written in all; of them at most on the disk together */
} disk_need;

/* What the prepared run r needs. */
disk_need disk_space_need(const run *r);

/* The least with which it does not fail: its model, and two checkpoints if it writes more; and what
 * it needs as it is, which is more where checkpoints are kept. */
uint64_t disk_space_least(const disk_need *need);
uint64_t disk_space_whole(const disk_need *need);

/*
 * MTS_ERR_IO, with a text that says how much is missing, if output_dir has room for less than the
 * least (the checkpoints that the run removes first count as free); a note where the whole does not
 * fit.  A file system that does not say how much is free has enough.  Before checkpoint_begin.
 */
MTS_NODISCARD mts_status disk_space_check(run *r);

#endif
