/*
 * The metrics of GLUE and of generic files, with the values of scikit-learn and scipy.
 *
 * Path: model logits of all evaluation batches -> metrics_add -> metrics_result -> JSON.
 *
 *   accuracy              sum_k tp_k / n
 *   F1 of class k         2 tp_k / (t_k + p_k); 0 if class k neither occurs nor is predicted
 *   macro F1              mean of F1 over the classes that occur or are predicted
 *   Matthews correlation  (c n - sum_k p_k t_k) / sqrt((n^2 - sum_k p_k^2) (n^2 - sum_k t_k^2)),
 *                         c = sum_k tp_k; 0 if the root is 0              [Gorodkin2004 eq. 8]
 *   Pearson correlation   sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2)
 *   Spearman correlation  Pearson of the ranks, ties get their average rank
 *   mean squared error    sum (x - y)^2 / n
 *
 * t_k, p_k: how often class k is the label, the prediction; tp_k: both.  Sums of counts are
 * integers; all else is double, summed in the order of the rows.  A correlation is NaN when it does
 * not exist (fewer than two rows, constant predictions or labels, values that are not finite): as
 * JSON, null.
 */
#ifndef MTS_TASKS_METRICS_H
#define MTS_TASKS_METRICS_H

#include "data/targets.h"

/* Which metrics, in this order, under these names. */
typedef enum metric_kind {
    METRIC_ACCURACY,    /* accuracy                                                 most of GLUE */
    METRIC_ACCURACY_F1, /* accuracy, f1, combined_score                                MRPC, QQP */
    METRIC_MATTHEWS,    /* matthews_correlation                                             CoLA */
    METRIC_CORRELATION, /* pearson, spearmanr, combined_score                              STS-B */
    METRIC_CLASSES,     /* accuracy, f1 (two classes) or f1_macro (more)            generic files */
    METRIC_REGRESSION,  /* mse, pearson, spearmanr                                  generic files */
    METRIC_SETS,        /* accuracy, f1_micro, f1_macro: set_metrics.h              generic files */
} metric_kind;

#define METRIC_LIST_MAX 4
#define METRIC_KEY_BYTES 48

/* Results; key is "eval_" + name + suffix, value may be NaN. */
typedef struct metric_value {
    char key[METRIC_KEY_BYTES];
    double value;
} metric_value;

typedef struct metric_list {
    int64_t n;
    metric_value items[METRIC_LIST_MAX];
} metric_list;

/* Collects predictions and labels; caller's storage, metrics_init/_deinit. */
typedef struct metrics {
    metric_kind kind;
    int64_t num_labels, positive;
    int64_t n, capacity;
    int64_t *label_count, *predicted_count, *correct_count; /* t, p, tp: [num_labels]; classes */
    double *predictions, *labels;                           /* [capacity]; regression */
    double bound;  /* METRIC_SETS: a label is predicted where its logit is over it; 0 unless set */
    int64_t exact; /* sets that were predicted exactly */
} metrics;

/*
 * num_labels  classes, >= 2; ignored for METRIC_CORRELATION and METRIC_REGRESSION.
 * positive    the class of METRIC_ACCURACY_F1 and of f1 with two classes, in [0, num_labels).
 * capacity    rows that metrics_add will be given in all, at most.
 * MTS_ERR_MEMORY; deinit is safe after failure.
 */
MTS_NODISCARD mts_status metrics_init(mts_ctx *ctx, metrics *m, metric_kind kind,
                                      int64_t num_labels, int64_t positive, int64_t capacity);
void metrics_deinit(metrics *m);

/* Whether the kind takes scores (one output per row) and not classes. */
bool metrics_is_regression(metric_kind kind);

/*
 * Add n rows.  logits[n][num_labels]: the prediction is the first largest; a row with a NaN
 * counts as a prediction of class 0.  For regression logits[n][1] is the score, for sets the logit
 * of each label is compared with the bound.  t: of these n rows, TARGET_SCORE for regression,
 * TARGET_SET for sets, otherwise TARGET_CLASS in [0, num_labels).  Borrowed for the call; allocates
 * nothing.
 */
void metrics_add(metrics *m, const float *logits, const targets *t, int64_t n);

/*
 * *out: the metrics of all rows added.  suffix ("" or "_mm") ends the keys.
 * MTS_ERR_ARGUMENT: no rows, or a suffix too long for a key.  MTS_ERR_MEMORY (ranks).
 */
MTS_NODISCARD mts_status metrics_result(mts_ctx *ctx, const metrics *m, const char *suffix,
                                        metric_list *out);

/* names[n]: of the metrics of a kind, in the order of the results, without "eval_" and suffix;
 * returns n. */
int64_t metrics_names(metric_kind kind, int64_t num_labels, const char *names[METRIC_LIST_MAX]);

/* Whether more is better, of such a name. */
bool metrics_greater_is_better(const char *name);

/* The first largest of values[n]; 0 if value 0 is NaN. */
int64_t metrics_first_largest(const float *values, int64_t n);

/* The correlations of x[n] and y[n]; NaN where there is none. */
double metric_pearson(const double *x, const double *y, int64_t n);
MTS_NODISCARD mts_status metric_spearman(mts_ctx *ctx, const double *x, const double *y, int64_t n,
                                         double *out);

#endif
