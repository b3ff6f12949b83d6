/*
 * Metrics of sets of labels, with the values of scikit-learn to the last digit.
 *
 * Path: metrics.c, for METRIC_SETS.
 *
 *   accuracy   sets that are predicted exactly / n            (accuracy_score)
 *   micro F1   2 sum_k tp_k / sum_k (t_k + p_k)               (f1_score, average="micro")
 *   macro F1   mean over all labels k of 2 tp_k / (t_k + p_k) (average="macro")
 *
 * t_k, p_k: in how many sets, and predicted ones, label k is; tp_k: in both.  0 / 0 is 0.
 */
#ifndef MTS_TASKS_SET_METRICS_H
#define MTS_TASKS_SET_METRICS_H

#include "tasks/metrics.h"

/* Count n rows, as metrics_add; a label is predicted where its logit is over m->bound. */
void set_metrics_add(metrics *m, const float *logits, const targets *t, int64_t n);

/* accuracy, f1_micro, f1_macro of all rows added, of which there is one at least. */
void set_metrics_values(const metrics *m, double values[METRIC_LIST_MAX]);

#endif
