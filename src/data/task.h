/*
 * Tasks: what is learned from which files.  A task of GLUE by name, or a user's own files.
 *
 * Path: mts_options -> task_resolve -> task_spec (num_labels, names, metric: the model's head)
 *       -> task_load_train / _eval / _test -> dataset.
 *
 * GLUE: data_dir is the folder of the download (with CoLA/, SST-2/, ...) or of one task.  Columns
 * are found by header name.  A label may be written as its name or as its number in Hugging Face's
 * order.
 *
 * Own files (.csv, .tsv, .jsonl, .json): the label column is label_column_name, or "label"; the
 * texts are text_column_names, or the first known names of (sentence1, sentence2), (premise,
 * hypothesis), (question1, question2), (question, sentence), sentence, text; or else, as
 * run_glue.py does, the first two columns that are neither the label nor a row number ("", "id",
 * "idx", "index"), or the only one.  The training file decides columns and labels (label_set.h) for
 * all files.
 *
 * Malformed rows are errors, also in the official files (the official QQP training file has some):
 * the text says which line to mend.
 */
#ifndef MTS_DATA_TASK_H
#define MTS_DATA_TASK_H

#include "data/dataset.h"
#include "data/glue_task.h"

/* Evaluation sets, and likewise test sets: MNLI has two. */
#define TASK_MAX_SETS GLUE_MAX_SETS

/* Owns the strings it holds, by task_deinit; glue is a constant. */
typedef struct task_spec {
    char *name;            /* "sst2", ...; "custom" for own files */
    const glue_task *glue; /* NULL for own files */
    int64_t num_labels;    /* outputs of the model: 1 for regression; 0: not known yet */
    char **label_names;    /* label_names[num_labels]; NULL for regression */
    bool regression;
    bool label_by_number;   /* a label may be written as its class index */
    int64_t positive_label; /* class that F1 is about */
    metric_kind metric;     /* for metrics_init */
    char *text_columns[2];  /* NULL: see above; [1] NULL with [0] given: single texts */
    char *label_column;     /* NULL: as the task has it, or "label" */
    char *train_path;       /* NULL if there is none; likewise below */
    char *eval_paths[TASK_MAX_SETS];
    char *test_paths[TASK_MAX_SETS];
    /* Use the first so many rows; negative: all. */
    int64_t max_train_samples, max_eval_samples, max_predict_samples;
} task_spec;

/*
 * *out: the task that task_name, data_dir, the files and the columns of options ask for.  Own
 * files: reads the training file for columns and labels; without one, num_labels is 0 until
 * task_set_labels.  GLUE: reads nothing.  deinit is safe after failure.
 * MTS_ERR_ARGUMENT: unknown task, nothing to read, options that contradict each other;
 * MTS_ERR_NOT_FOUND, _IO, _BAD_FILE of the training file; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status task_resolve(mts_ctx *ctx, const mts_options *options, task_spec *out);
void task_deinit(task_spec *spec);

/*
 * Take over the labels of a fine-tuned model: names[n] (copied) in the order of its outputs, as its
 * config.json has them; regression: one output, names is not read.  A GLUE task takes its own names
 * in another order or case, and keeps its own for "LABEL_0", "LABEL_1", ...
 * MTS_ERR_ARGUMENT: the model does not fit the task.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status task_set_labels(mts_ctx *ctx, task_spec *spec, const char *const *names,
                                         int64_t n, bool regression);

/* How the labels of a model fit those of a task that knows its own. */
typedef enum task_match {
    TASK_MATCH_FITS,  /* equal in any order and case; or LABEL_0, ...; or one score */
    TASK_MATCH_NAMES, /* as many, but others */
    TASK_MATCH_SHAPE, /* another number of them, or a score instead of classes */
} task_match;

/*
 * Before training goes on from a model with these labels (as for task_set_labels): where the names
 * are the task's, in any case, the task's classes take the model's order, so that its outputs keep
 * their meaning; otherwise nothing is changed.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status task_match_labels(mts_ctx *ctx, task_spec *spec, const char *const *names,
                                           int64_t n, bool regression, task_match *match);

/*
 * *out: the training rows, with labels.
 * MTS_ERR_ARGUMENT: no such file in the spec, or labels not known; MTS_ERR_NOT_FOUND, _IO;
 * _BAD_FILE: malformed, no rows, a label that is not one of the task's, a score that is not finite;
 * _MEMORY.
 */
MTS_NODISCARD mts_status task_load_train(mts_ctx *ctx, const task_spec *spec, dataset *out);

/* How many sets there are: 2 for MNLI, otherwise 1, or 0 if no such file was given. */
int64_t task_eval_count(const task_spec *spec);
int64_t task_test_count(const task_spec *spec);

/* End of the keys of metrics on set `index`, constant: "", or "_mm" for the second set of MNLI. */
const char *task_set_suffix(const task_spec *spec, int64_t index);

/* *out: rows of evaluation set `index`, with labels.  Status as task_load_train. */
MTS_NODISCARD mts_status task_load_eval(mts_ctx *ctx, const task_spec *spec, int64_t index,
                                        dataset *out);

/* *out: rows of test set `index`, without labels: a label column is not read.  Status as above. */
MTS_NODISCARD mts_status task_load_test(mts_ctx *ctx, const task_spec *spec, int64_t index,
                                        dataset *out);

#endif
