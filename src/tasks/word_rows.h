/*
 * Sentences of words as rows of token ids, and the way back from tokens to words.
 *
 * Path: token_classification, word_tags -> word_rows_build -> tokenizer_encode_words for each
 *       sentence -> encoded_dataset.
 *
 * A word has the output of its first token.  One whose first token is behind max_length has none:
 * such words are the last ones of their sentence, and are counted.
 */
#ifndef MTS_TASKS_WORD_ROWS_H
#define MTS_TASKS_WORD_ROWS_H

#include "data/encoded_dataset.h"

/* The tag of a word without tokens where words are predicted, so that the others keep their places.
 */
#define WORD_ROWS_OUTSIDE "O"

/* What becomes rows; borrowed. */
typedef struct word_sentences {
    int64_t n;
    const int64_t *first;     /* [n + 1]: words of sentence i are first[i] ... first[i + 1] - 1 */
    const char *const *words; /* UTF-8 */
    const int32_t *tags;      /* of each word; NULL: rows without targets */
    /* [tag]: of the other tokens of a word with that tag; NULL: TARGET_IGNORED. */
    const int32_t *continued;
    bool leave_out; /* sentences without a target: nothing is learned of them */
} word_sentences;

typedef struct word_options {
    const tokenizer *tokenizer;
    int64_t max_length;                    /* tokens of a row */
    encoded_dataset_progress_fn *progress; /* may be NULL */
    void *user;                            /* of progress */
} word_options;

/* Owns the arrays; freed by word_rows_deinit. */
typedef struct word_rows {
    int32_t *word;   /* [tokens of all rows]: the word of its sentence whose first token it is, from
                      0; -1: another token */
    int64_t *words;  /* [rows]: words that were not cut away */
    int64_t cut;     /* words that were */
    int64_t without; /* words without tokens */
    int64_t left_out;             /* sentences */
    int64_t row_room, token_room; /* while they are built */
} word_rows;

/*
 * *rows: a row for each sentence, with TARGET_TAGS if there are tags; *out: what belongs to it.
 * MTS_ERR_ARGUMENT: of tokenizer_encode_words ("sentence N: ..."); MTS_ERR_INTERRUPTED: progress
 * returned false; MTS_ERR_MEMORY.  Both deinit are safe after failure.
 */
MTS_NODISCARD mts_status word_rows_build(mts_ctx *ctx, const word_sentences *s,
                                         const word_options *options, encoded_dataset *rows,
                                         word_rows *out);
void word_rows_deinit(word_rows *w);

#endif
