/*
 * Text classification and regression: one label for each text or pair of texts.  A task of GLUE by
 * name, or a user's own files.
 *
 * Path: task.c -> text_classification_class; its functions are in
 *         text_classification.c          options to paths and names; the class
 *         text_classification_labels.c   labels: of the files, of a model, and how they fit
 *         text_classification_rows.c     file -> table -> texts and targets -> token ids
 *         text_classification_scores.c   outputs -> metrics, predict_results.txt
 *
 * GLUE: data_dir is the folder of the download (with CoLA/, SST-2/, ...) or of one task.  Columns
 * are found by header name.  A label may be written as its name or as its number in Hugging Face's
 * order.
 *
 * Own files (.csv, .tsv, .jsonl, .json): which columns are which is in text_columns.h.  Before
 * training the training file decides columns and labels (label_set.h) for all files; afterwards the
 * model's folder does.
 */
#ifndef MTS_TASKS_TEXT_CLASSIFICATION_H
#define MTS_TASKS_TEXT_CLASSIFICATION_H

#include "data/dataset.h"
#include "data/table_reader.h"
#include "tasks/glue.h"
#include "tasks/label_kind.h"
#include "tasks/metrics.h"
#include "tasks/task.h"
#include "tasks/text_columns.h"

extern const task_class text_classification_class;

/* Owns the strings and the table; glue is a constant. */
typedef struct text_classification {
    task base;
    const glue_task *glue;  /* NULL for own files */
    int64_t num_labels;     /* outputs of the model: 1 for a score; 0: not known yet */
    char **label_names;     /* [num_labels]; NULL for a score */
    const label_kind *kind; /* what its labels are */
    bool label_by_number;   /* a label may be written as its class index */
    int64_t positive_label; /* class that F1 is about */
    metric_kind metric;     /* for metrics_init */
    column_names columns;
    char *train_path; /* NULL if there is none; likewise below */
    char *eval_paths[TASK_MAX_SETS];
    char *test_paths[TASK_MAX_SETS];
    /* Use the first so many rows; negative: all. */
    int64_t max_train_samples, max_eval_samples, max_predict_samples;
    int64_t do_regression; /* the option: 1, 0, -1 */
    char *label_separator; /* between the labels of a set; NULL: they are arrays */
    double label_bound;    /* a label is in a predicted set where its logit is over it */
    table
        train_table; /* read for its labels, until its rows are taken; without columns: not read */
} text_classification;

/* ------------------------------------------------------------------------------- labels ---- */

/* Take copies of names[n] for the task's labels; a GLUE task's at first. */
MTS_NODISCARD mts_status text_classification_name_labels(mts_ctx *ctx, text_classification *t,
                                                         const char *const *names, int64_t n);
void text_classification_forget_labels(text_classification *t);

/* How the labels of a model fit those of a task that knows its own. */
typedef enum label_match {
    LABELS_FIT,         /* equal in any order and case; or LABEL_0, ...; or one score */
    LABELS_OTHER_NAMES, /* as many, but others */
    LABELS_OTHER_SHAPE, /* another number of them, or a score instead of classes */
} label_match;

/*
 * Before training goes on from a model with labels names[n] (of a kind without names one output,
 * and names is not read): where these are the task's, in any case, the task's labels take the
 * model's order, so that its outputs keep their meaning; otherwise nothing is changed.
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status text_classification_match_labels(mts_ctx *ctx, text_classification *t,
                                                          const char *const *names, int64_t n,
                                                          const label_kind *kind,
                                                          label_match *match);

/*
 * Take over the labels of a fine-tuned model: names[n] (copied) in the order of its outputs, as its
 * config.json has them.  A GLUE task takes its own names in another order or case, and keeps its
 * own for "LABEL_0", "LABEL_1", ...
 * MTS_ERR_ARGUMENT: the model does not fit the task.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status text_classification_take_labels(mts_ctx *ctx, text_classification *t,
                                                         const char *const *names, int64_t n,
                                                         const label_kind *kind);

/* task_class.fit.  Reads the training file of own files. */
MTS_NODISCARD mts_status text_classification_fit(mts_ctx *ctx, task *t, const char *model_dir,
                                                 model_config *cfg, bool train,
                                                 const task_reading *r);

/* --------------------------------------------------------------------------------- rows ---- */

/* *out: the table in a file, by the task's rules for headers.  skip_broken: of GLUE's files, rows
 * with a wrong number of fields are left out, as other loaders do; not where predictions are
 * counted by their row.  Status of file_read_all and table_parse; MTS_ERR_BAD_FILE: no rows. */
MTS_NODISCARD mts_status text_classification_read(mts_ctx *ctx, const text_classification *t,
                                                  const char *path, bool skip_broken, table *out);

/*
 * *out: texts and, but for TASK_TEST, targets of a set.  Notes go to r; note_columns: also which
 * columns of own files are the texts.
 * MTS_ERR_ARGUMENT: there is no such set, or the labels are not known; MTS_ERR_NOT_FOUND, _IO;
 * _BAD_FILE: malformed, no rows, a label that is not one of the task's, a score that is not finite;
 * _MEMORY.
 */
MTS_NODISCARD mts_status text_classification_load(mts_ctx *ctx, text_classification *t,
                                                  task_split split, int64_t set,
                                                  const task_reading *r, bool note_columns,
                                                  dataset *out);

/* task_class.encode, .texts */
MTS_NODISCARD mts_status text_classification_encode(mts_ctx *ctx, task *t, task_split split,
                                                    int64_t set, const task_reading *r,
                                                    encoded_dataset *out);
MTS_NODISCARD mts_status text_classification_texts(mts_ctx *ctx, task *t, int64_t set,
                                                   const task_reading *r, dataset *out);

/* ------------------------------------------------------------------------------- scores ---- */

/* task_class.metrics, .scores_begin, _add, _finish, _close */
int64_t text_classification_metrics(const task *t, int64_t set, task_metric out[TASK_METRICS_MAX]);
MTS_NODISCARD mts_status text_classification_scores_begin(mts_ctx *ctx, const task *t,
                                                          task_split split, int64_t set,
                                                          const encoded_dataset *rows,
                                                          task_scores **out);
MTS_NODISCARD mts_status text_classification_scores_add(mts_ctx *ctx, task_scores *s,
                                                        const batch *b, const int64_t *index,
                                                        const float *outputs);
MTS_NODISCARD mts_status text_classification_scores_finish(mts_ctx *ctx, task_scores *s,
                                                           const char *dir, json_t *metrics);
void text_classification_scores_close(task_scores *s);

#endif
