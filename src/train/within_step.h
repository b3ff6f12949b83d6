/*
 * Where a step is, told to who watches the run: steps of large models take minutes.
 *
 * Path: train_loop -> network_listen; network_learn -> within_step_tell -> run_emit.
 */
#ifndef MTS_TRAIN_WITHIN_STEP_H
#define MTS_TRAIN_WITHIN_STEP_H

#include "train/run.h"

/* A network_place_fn; user: the run, whose `within` and counters say the rest. */
void within_step_tell(void *user, const network_place *place);

#endif
