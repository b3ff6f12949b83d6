/*
 * Token classification: a tag for each word of a sentence (names, parts of speech, chunks), as
 * run_ner.py trains and evaluates it.
 *
 * Path: task.c -> token_classification_class; its functions are in
 *         token_classification.c          options to paths; files to rows; the class
 *         token_classification_scores.c   outputs -> metrics (entity_metrics.h), predictions.txt
 *
 * Files have sentences of words with tags, in JSON or in columns (data/tagged_file.h).  They are
 * asked for by --task_name ner, by their form (tagged_file_is), or by a model of this kind
 * (evaluation, prediction).
 *
 * Only the first token of a word has its tag; the others, and the special tokens, are not counted.
 * With label_all_tokens the others of a word have its tag too, those of B-X the tag I-X where there
 * is one, and as in run_ner.py they are counted like words, also in the metrics.  Words behind
 * max_seq_length are not counted, and have no tag in a file of predictions, which the user is told.
 */
#ifndef MTS_TASKS_TOKEN_CLASSIFICATION_H
#define MTS_TASKS_TOKEN_CLASSIFICATION_H

#include "tasks/tag_labels.h"
#include "tasks/task.h"
#include "tasks/text_columns.h"
#include "tasks/word_rows.h"

extern const task_class token_classification_class;

enum { TAG_SPLITS = 3 }; /* one set for each task_split */

/* Owns the paths, names and sets. */
typedef struct token_classification {
    task base;
    char *paths[TAG_SPLITS];         /* by task_split; NULL: none */
    int64_t max_samples[TAG_SPLITS]; /* use the first so many sentences; negative: all */
    column_names columns;            /* of files of JSON: texts[0] words, label tags */
    bool all_tokens;                 /* label_all_tokens */
    tag_labels labels;
    tagged_set train;    /* read for its tags, until its rows are taken */
    word_rows test_rows; /* of TASK_TEST, whose words have a line each; filled by encode */
} token_classification;

/* task_class.metrics, .scores_begin, _add, _finish, _close */
int64_t token_classification_metrics(const task *t, int64_t set, task_metric out[TASK_METRICS_MAX]);
MTS_NODISCARD mts_status token_classification_scores_begin(mts_ctx *ctx, const task *t,
                                                           task_split split, int64_t set,
                                                           const encoded_dataset *rows,
                                                           task_scores **out);
MTS_NODISCARD mts_status token_classification_scores_add(mts_ctx *ctx, task_scores *s,
                                                         const batch *b, const int64_t *index,
                                                         const float *outputs);
MTS_NODISCARD mts_status token_classification_scores_finish(mts_ctx *ctx, task_scores *s,
                                                            const char *dir, json_t *metrics);
void token_classification_scores_close(task_scores *s);

#endif
