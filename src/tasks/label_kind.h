/*
 * What the labels of texts are: one class, one score, or a set of labels.
 *
 * Path: text_classification -> label_kind.read (targets of a row from its cell), .predict (outputs
 *       to a prediction), .write (a line of predict_results.txt).
 * To add a kind: one file with a label_kind, one row in label_kind.c.
 */
#ifndef MTS_TASKS_LABEL_KIND_H
#define MTS_TASKS_LABEL_KIND_H

#include "base/file.h"
#include "data/table_reader.h"
#include "data/targets.h"
#include "io/model_config.h"
#include "tasks/label_set.h"
#include "tasks/metrics.h"

struct text_classification;

/* A column of labels.  Borrows everything. */
typedef struct label_source {
    const struct text_classification *task;
    const label_index *index; /* of the task's names; of a kind without names empty */
    const table *rows;
    int64_t column;
} label_source;

typedef struct label_kind {
    const char *head;      /* name of the head_class */
    model_problem problem; /* problem_type of config.json */
    target_kind target;
    metric_kind metric; /* of own files; GLUE's tasks have their own */
    bool named;         /* a name for each output; else one output without a name */
    const char *noun;   /* for notes, behind the number of names: "classes"; else "a number" */

    /* The targets of a row from its cell.  MTS_ERR_BAD_FILE: it is no label of the task. */
    mts_status (*read)(mts_ctx *ctx, const label_source *from, int64_t row, targets *out);
    /* The prediction outputs[num_labels] as targets of a row. */
    void (*predict)(const struct text_classification *t, const float *outputs, int64_t row,
                    targets *out);
    /* Row `row` of such predictions as one field of a line. */
    mts_status (*write)(mts_ctx *ctx, const struct text_classification *t, const targets *predicted,
                        int64_t row, file_writer *file);
} label_kind;

/* The rows of the table, one file each; label_kind.c lists them. */
extern const label_kind label_kind_class, label_kind_score, label_kind_set;

/* The kind of the labels that a model gives texts. */
const label_kind *label_kind_of_model(const model_config *cfg);

/* The number of the label that text names, by its name or, where the labels have none of their own,
 * by its number; -1: there is none. */
int64_t label_kind_find_class(const struct text_classification *t, const label_index *index,
                              const char *text);

/* The logit whose probability, its sigmoid, is p. */
double label_kind_bound(double p);

#endif
