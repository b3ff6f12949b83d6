/*
 * trainer_state.json: where a run stands, in the fields transformers' Trainer writes.  Their
 * stateful_callbacks hold an object "mantissa" with what an exact resume needs: counters, running
 * sums (as hexadecimal floats, exact) and the options that must not change, by their names.  No
 * other field is added: TrainerState.load_from_json accepts none.
 */
#ifndef MTS_TRAIN_TRAIN_STATE_H
#define MTS_TRAIN_TRAIN_STATE_H

#include "train/run.h"

/* Write dir/trainer_state.json of r->state. */
MTS_NODISCARD mts_status train_state_save(const run *r, const char *dir);

/* Read it into r->state.  MTS_ERR_BAD_FILE: malformed, its counters contradict each other, or of a
 * run with other data, batch size, seed, optimizer, schedule or number format, or of more steps
 * than r has: the text says which.  MTS_ERR_NOT_FOUND: the best checkpoint is gone, and it is to be
 * loaded at the end. */
MTS_NODISCARD mts_status train_state_load(run *r, const char *dir);

#endif
