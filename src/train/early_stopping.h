/*
 * Early stopping, as transformers' EarlyStoppingCallback: training ends when the metric for the
 * best model has not become better, by more than a threshold, in so many evaluations one behind the
 * other.
 *
 * Path: train_run.c: each evaluation -> early_stopping_note; train_loop -> early_stopping_due.
 * trainer_state.json has it under stateful_callbacks, in transformers' own form, beside which is
 * the best value so far as a hexadecimal text.
 */
#ifndef MTS_TRAIN_EARLY_STOPPING_H
#define MTS_TRAIN_EARLY_STOPPING_H

#include <jansson.h>

#include "base/status.h"

struct run;

/* A member of train_state. */
typedef struct early_stopping {
    int64_t evaluations; /* done */
    int64_t count;       /* the last so many without a better value */
    bool has_best;       /* of all evaluations, whether or not a checkpoint was written */
    double best;
} early_stopping;

/* An evaluation gave this value, NaN if there is none. */
void early_stopping_note(struct run *r, double value, bool greater_is_better);

/* Whether training is to end here. */
bool early_stopping_due(const struct run *r);

/* Put into, and read from, the object stateful_callbacks; nothing where there is no early stopping.
 * file: for error texts.  MTS_ERR_MEMORY; MTS_ERR_BAD_FILE. */
MTS_NODISCARD mts_status early_stopping_put(const struct run *r, json_t *callbacks);
MTS_NODISCARD mts_status early_stopping_load(struct run *r, const char *file,
                                             const json_t *callbacks);

#endif
