/*
 * Tasks: from files to encoded rows with targets, and from a head's outputs to scores and files.
 *
 * Path: mts_options -> task_open -> task_class.fit (labels: which head) -> encode -> training;
 *       network_predict -> scores_add -> scores_finish.
 * To add a task: one file with a task_class, one row in task.c.
 *
 * The trainer calls the functions of t->class in this order:
 *
 *   open                         options are known, nothing is read yet
 *   input                        what must not be written over
 *   fit                          labels; before training they are put into the model's config
 *   encode                       each set once
 *   metrics                      which keys an evaluation will have
 *   scores_begin, _add (each batch), _finish, _close      any number of times
 *   store                        whenever a folder is written
 *   close
 */
#ifndef MTS_TASKS_TASK_H
#define MTS_TASKS_TASK_H

#include <jansson.h>

#include "data/batch.h"
#include "data/dataset.h"
#include "io/model_config.h"
#include "text/tokenizer.h"

typedef enum task_split {
    TASK_TRAIN, /* one set */
    TASK_EVAL,  /* with targets as far as the files have them */
    TASK_TEST,  /* without targets */
} task_split;

/* Tells the user one line. */
typedef void task_note_fn(void *user, const char *text);

/* How a task's data is read. */
typedef struct task_reading {
    const tokenizer *tokenizer;
    int64_t max_length; /* tokens of a row */
    int threads;
    encoded_dataset_progress_fn *progress; /* may be NULL */
    task_note_fn *note;                    /* may be NULL */
    void *user;                            /* of progress and note */
} task_reading;

enum { TASK_METRIC_BYTES = 48, TASK_METRICS_MAX = 16, TASK_MAX_SETS = 2 };

/* The key of a metric without "eval_", and which of two values is the better one. */
typedef struct task_metric {
    char name[TASK_METRIC_BYTES];
    bool greater_is_better;
} task_metric;

typedef struct task_class task_class;

/* What every task has; first member of the struct of each kind. */
typedef struct task {
    const task_class *class;
    /* Set by fit: */
    const char *head;  /* name of the head_class */
    bool other_labels; /* before training: the model's head is for other labels than the data ... */
    char why[192];     /* ... which are these, for a note: 'other labels ("a", ...) than the data
                          ("b", ...)' */
} task;

/* Collects a head's outputs on one set; first member of the struct of each kind. */
typedef struct task_scores {
    const task_class *class;
} task_scores;

struct task_class {
    const char *name; /* "text_classification" */
    /* Names of the files it may write into the output folder; NULL behind the last. */
    const char *const *result_files;
    /* max_seq_length where the options do not say, and the model has so many positions. */
    int64_t usual_length;
    bool documents; /* the options of rows of language models have a meaning for it */
    bool tags;      /* a class for each token: dropout is that of the heads for tokens */
    bool answers; /* the options of question answering have a meaning for it: a folder keeps them */

    /*
     * Whether these options ask for this task.  head: name of the head of the model that is
     * evaluated; before training that which such a model has usually, or NULL.  The first class of
     * the table that says so is taken.
     */
    bool (*wanted)(const mts_options *o, const char *head);

    /* *out: as task_open.  close frees it; it is not NULL. */
    mts_status (*open)(mts_ctx *ctx, const mts_options *o, const json_t *stored, task **out);
    void (*close)(task *t);

    /*
     * Agree on labels with the model of cfg, which was read from model_dir (for texts).  train: the
     * task's own labels are put into cfg, in the model's order where they are the same; otherwise
     * they are taken from there.  Sets t->head.  The training file is read here, if it decides.
     * MTS_ERR_ARGUMENT, MTS_ERR_UNSUPPORTED: the model does not fit the task.
     */
    mts_status (*fit)(mts_ctx *ctx, task *t, const char *model_dir, model_config *cfg, bool train,
                      const task_reading *r);

    /* How many sets there are of a split, 0 if no such file was given; end of the metrics' keys and
     * of the names of files of a set: "", or "_mm" for the second set of MNLI. */
    int64_t (*sets)(const task *t, task_split split);
    const char *(*suffix)(const task *t, int64_t set);
    /* Input file number i = 0, 1, ... of all splits, or NULL behind the last. */
    const char *(*input)(const task *t, int64_t i);

    /* *out: the rows of a set, targets included; encoded_dataset_deinit is safe after failure. */
    mts_status (*encode)(mts_ctx *ctx, task *t, task_split split, int64_t set,
                         const task_reading *r, encoded_dataset *out);
    /* *out: the texts of a test set, for a predictor that is given texts; needs no fit.  NULL: rows
     * of this task are no texts or pairs of them.  Of r only note and user are used. */
    mts_status (*texts)(mts_ctx *ctx, task *t, int64_t set, const task_reading *r, dataset *out);

    /* Put into object what evaluation and prediction must know of the training: columns, ... */
    mts_status (*store)(mts_ctx *ctx, const task *t, json_t *object);

    /* out[n]: the metrics of a set, with its suffix; returns n, at most TASK_METRICS_MAX. */
    int64_t (*metrics)(const task *t, int64_t set, task_metric out[TASK_METRICS_MAX]);

    /* split: TASK_EVAL or TASK_TEST.  t and rows are borrowed until scores_close. */
    mts_status (*scores_begin)(mts_ctx *ctx, const task *t, task_split split, int64_t set,
                               const encoded_dataset *rows, task_scores **out);
    /* outputs [units][width] of the head for the rows index[b->n] of the set, which are in the
     * batch b. */
    mts_status (*scores_add)(mts_ctx *ctx, task_scores *s, const batch *b, const int64_t *index,
                             const float *outputs);
    /* TASK_EVAL: put the metrics into `metrics` (keys "eval_...", NaN and infinity as null); files
     * go into dir unless it is NULL.  TASK_TEST: the predictions into files of dir; metrics is
     * NULL. */
    mts_status (*scores_finish)(mts_ctx *ctx, task_scores *s, const char *dir, json_t *metrics);
    void (*scores_close)(task_scores *s);
};

/*
 * *out: the task that the options ask for, owned by the caller (task_close).
 *
 * head    of the model that is evaluated or predicts ("classification", ...); before training the
 *         one that such a model has usually (model_class.usual_head), or NULL
 * stored  what `store` put into the folder of that model; borrowed for the call; NULL: nothing, or
 *         before training.
 * MTS_ERR_ARGUMENT: unknown names, nothing to read, options that contradict each other;
 * MTS_ERR_BAD_FILE: stored is malformed; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status task_open(mts_ctx *ctx, const mts_options *o, const char *head,
                                   const json_t *stored, task **out);
void task_close(task *t); /* NULL is allowed */

/* The class that task_open takes; it always is one. */
const task_class *task_class_of(const mts_options *o, const char *head);
/* Class number i, or NULL behind the last. */
const task_class *task_class_at(int i);

/* object[key] = value, or null where it is NaN or infinite: for metrics.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status task_put_number(mts_ctx *ctx, json_t *object, const char *key,
                                         double value);

#endif
