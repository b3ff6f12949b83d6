/*
 * Question answering: the part of a paragraph that answers a question, as in SQuAD 1.1 and 2.0 and
 * as run_qa.py trains and evaluates it.
 *
 * Path: task.c -> question_answering_class; its functions are in
 *         question_answering.c          options to paths and rules; files to rows; the class
 *         question_answering_scores.c   outputs -> answers, metrics and files of predictions
 *
 * Files are JSON in the forms of squad_json.h: by --task_name squad or squad_v2 those of data_dir
 * (train-v1.1.json, dev-v1.1.json; train-v2.0.json, dev-v2.0.json), or own files.  Own files
 * without a task name are recognised by their form or by --version_2_with_negative.
 * max_train_samples, ... count questions.
 */
#ifndef MTS_TASKS_QUESTION_ANSWERING_H
#define MTS_TASKS_QUESTION_ANSWERING_H

#include "tasks/question_windows.h"
#include "tasks/task.h"

extern const task_class question_answering_class;

enum { QUESTION_SPLITS = 3 }; /* one set for each task_split */

/* A set that is evaluated or predicted: what stands behind the rows. */
typedef struct question_set {
    squad_set questions;
    question_windows windows;
} question_set;

/* Owns the paths and sets. */
typedef struct question_answering {
    task base;
    char *paths[QUESTION_SPLITS];         /* by task_split; NULL: none */
    int64_t max_samples[QUESTION_SPLITS]; /* use the first so many questions; negative: all */
    int64_t overlap;                      /* doc_stride */
    answer_rules rules;
    question_set sets[QUESTION_SPLITS]; /* filled by encode, but for TASK_TRAIN */
} question_answering;

/* task_class.metrics, .scores_begin, _add, _finish, _close */
int64_t question_answering_metrics(const task *t, int64_t set, task_metric out[TASK_METRICS_MAX]);
MTS_NODISCARD mts_status question_answering_scores_begin(mts_ctx *ctx, const task *t,
                                                         task_split split, int64_t set,
                                                         const encoded_dataset *rows,
                                                         task_scores **out);
MTS_NODISCARD mts_status question_answering_scores_add(mts_ctx *ctx, task_scores *s, const batch *b,
                                                       const int64_t *index, const float *outputs);
MTS_NODISCARD mts_status question_answering_scores_finish(mts_ctx *ctx, task_scores *s,
                                                          const char *dir, json_t *metrics);
void question_answering_scores_close(task_scores *s);

#endif
