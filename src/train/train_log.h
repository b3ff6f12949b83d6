/*
 * The log of a run: JSON lines in metrics_file, the same objects in trainer_state.json's
 * log_history (keys sorted, so that the lines of a resumed run are those of an uninterrupted one).
 */
#ifndef MTS_TRAIN_TRAIN_LOG_H
#define MTS_TRAIN_TRAIN_LOG_H

#include "train/run.h"

/* Begin the metrics file: the lines of r->state.log_history (those of a resumed run), nothing else.
 */
MTS_NODISCARD mts_status train_log_open(run *r);

/* Append an object with the present step and epoch; takes over the reference, also on failure. */
MTS_NODISCARD mts_status train_log_add(run *r, json_t *object);

#endif
