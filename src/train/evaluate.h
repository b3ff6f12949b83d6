/*
 * Forward passes over the evaluation and test sets of a run, and what their metrics are called.
 *
 * Path: train_run, eval_run -> evaluate_sets, evaluate_predict -> network_predict -> task_class
 *       (scores).
 */
#ifndef MTS_TRAIN_EVALUATE_H
#define MTS_TRAIN_EVALUATE_H

#include "train/run.h"

/* Evaluate all evaluation sets: *results is a new JSON object eval_loss, eval_accuracy, ... */
MTS_NODISCARD mts_status evaluate_sets(run *r, json_t **results);

/* Predict the test sets, into files of output_dir. */
MTS_NODISCARD mts_status evaluate_predict(run *r);

/* Whether the greater of two values of a metric is the better one; key as in the results. */
bool evaluate_greater_is_better(const run *r, const char *key);

/* The key of metric_for_best_model among the results, eval_loss if there is none. */
#define EVALUATE_KEY_BYTES 128
void evaluate_best_key(const run *r, char key[EVALUATE_KEY_BYTES]);

/* MTS_ERR_ARGUMENT: the evaluation sets do not have metric_for_best_model.  Before the first step.
 */
MTS_NODISCARD mts_status evaluate_check_best(run *r);

#endif
