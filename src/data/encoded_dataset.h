/*
 * A data set as token ids: all rows one behind the other, without padding.
 *
 * Path: dataset -> encoded_dataset_build (tokenizer, all threads) -> sampler, batch.
 *
 *   row r:  ids[offsets[r]] ... ids[offsets[r + 1] - 1]
 *
 * A packed row (packing.h) has several sequences one behind another, which do not see each other.
 */
#ifndef MTS_DATA_ENCODED_DATASET_H
#define MTS_DATA_ENCODED_DATASET_H

#include "data/dataset.h"
#include "data/targets.h"
#include "text/tokenizer.h"

/* Owns everything in it; freed by encoded_dataset_deinit. */
typedef struct encoded_dataset {
    int64_t n;
    int64_t *offsets;  /* offsets[n + 1], ascending from 0; the last is the number of tokens */
    int32_t *ids;      /* ids[offsets[n]] */
    int32_t *type_ids; /* type_ids[offsets[n]]: 0 or 1 */
    targets targets;   /* of all rows; TARGET_NONE: texts without labels */
    int64_t max_len;   /* tokens of the longest row */
    /* Packed rows; NULL: each row is one sequence. */
    int64_t *sequences;      /* [first_sequence[n] + 1]: where each begins, then all tokens */
    int64_t *first_sequence; /* [n + 1]: of each row */
    int64_t max_sequence;    /* tokens of the longest sequence */
    int64_t cut;             /* rows that had more than max_length tokens */
} encoded_dataset;

/* Called from the thread that called the builder, between blocks of rows and at the end; returns
 * false to stop. */
typedef bool encoded_dataset_progress_fn(void *user, int64_t done, int64_t total);

/*
 * *out: the rows, each as [CLS] a [SEP] (b [SEP]), cut to max_length tokens; without targets, which
 * are the caller's to put in.
 *
 * rows, tok     borrowed for the call.
 * num_threads   >= 1 OpenMP threads; the result does not depend on it.
 * progress      may be NULL.
 * Status: of tokenizer_encode for the first row that fails ("row N: ...", N from 1);
 * MTS_ERR_INTERRUPTED: progress returned false; MTS_ERR_MEMORY.  deinit is safe after failure.
 */
MTS_NODISCARD mts_status encoded_dataset_build(mts_ctx *ctx, encoded_dataset *out, text_rows rows,
                                               const tokenizer *tok, int64_t max_length,
                                               int64_t num_threads,
                                               encoded_dataset_progress_fn *progress, void *user);

void encoded_dataset_deinit(encoded_dataset *e);

/* Tokens of a row, and its sequences. */
int64_t encoded_dataset_length(const encoded_dataset *e, int64_t row);
int64_t encoded_dataset_sequences(const encoded_dataset *e, int64_t row);

#endif
