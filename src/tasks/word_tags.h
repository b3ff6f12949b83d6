/*
 * Tags of the words of sentences that are in memory: what a predictor gives its caller.
 *
 * Path: mts_predictor_tag -> word_tags_encode -> predictor_run_rows -> word_tags_find.
 * Rows are those of the task: word_rows.h.
 */
#ifndef MTS_TASKS_WORD_TAGS_H
#define MTS_TASKS_WORD_TAGS_H

#include "tasks/word_rows.h"

/* One call's sentences; begin with {0}.  Owns everything in it. */
typedef struct word_tags {
    int64_t n;          /* sentences */
    int64_t *first;     /* [n + 1]: words of each */
    char *storage;      /* the sentences, cut into words */
    const char **words; /* [first[n]] */
    encoded_dataset rows;
    word_rows from;
    float *logits; /* [tokens of all rows][labels]: for the model to fill */
    /* when found: */
    mts_tagging *sentences; /* [n], of parts of the arrays */
    const char **tags;      /* [first[n]], borrowed labels */
    double *scores;         /* [first[n]] */
} word_tags;

/* a->rows of n sentences, and room for a->logits.  A sentence is its words with blanks between
 * them; or, if there is a line feed in it, with one behind each word.  MTS_ERR_ARGUMENT: of
 * word_rows_build; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status word_tags_encode(mts_ctx *ctx, word_tags *a, const char *const *sentences,
                                          int64_t n, int64_t labels, const word_options *options);

/* a->sentences from a->logits and the names of the labels, borrowed.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status word_tags_find(mts_ctx *ctx, word_tags *a, char *const *names,
                                        int64_t labels);

/* Free everything; *a is as at the beginning. */
void word_tags_deinit(word_tags *a);

#endif
