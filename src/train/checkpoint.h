/*
 * Checkpoints: output_dir/checkpoint-N, complete or not there.
 *
 *   model.safetensors, config.json, tokenizer files    a folder transformers opens
 *   optimizer.safetensors                              the optimizer's state, as it is in memory
 *   trainer_state.json                                 train_state, and what must stay equal
 *
 * A checkpoint is written into a temporary folder, synced, and renamed: a kill at any moment leaves
 * the previous ones untouched.  Random draws depend on step counters only (rng.h), so the numbers
 * in the checkpoint are all the state there is: a resumed run gives the bits of an uninterrupted
 * one.
 */
#ifndef MTS_TRAIN_CHECKPOINT_H
#define MTS_TRAIN_CHECKPOINT_H

#include "train/run.h"

/*
 * Set r->resume_dir from --resume_from_checkpoint ("last": the newest checkpoint of output_dir),
 * and r->starts_fresh unless it is one of output_dir.  A run that begins anew in its folder forgets what is
 * there: that is refused without --overwrite_output_dir, and where the model to start from would be
 * lost.  MTS_ERR_ARGUMENT, _NOT_FOUND, _IO, _MEMORY.
 */
MTS_NODISCARD mts_status checkpoint_find_resume(run *r);

/* Before the first step: clear away what killed runs left in output_dir (what cannot be removed is
 * noted), and, when this run begins anew, checkpoints and results of the run that it overwrites.
 * MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status checkpoint_begin(run *r);

/* Write checkpoint-<global_step>, then remove the oldest ones beyond save_total_limit (never the
 * best one when it is to be loaded at the end); one that cannot be removed is noted, and no longer
 * counts.  MTS_ERR_NUMERIC: the weights are not finite; nothing was written.  MTS_ERR_IO,
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status checkpoint_save(run *r);

/* Optimizer and train_state from dir; the weights are loaded by run_prepare.
 * MTS_ERR_BAD_FILE: the checkpoint belongs to another run (says what differs). */
MTS_NODISCARD mts_status checkpoint_load(run *r, const char *dir);

#endif
