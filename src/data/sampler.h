/*
 * The order of the rows in an epoch.
 *
 * Path: encoded_dataset -> sampler_set_epoch -> sampler_batch -> batch_fill.
 * An order is a pure function of (kind, number or lengths of rows, batch size, seed, epoch): to
 * resume, the number of batches done is enough.
 *
 *   SAMPLER_SEQUENTIAL  0, 1, ..., n - 1
 *   SAMPLER_RANDOM      Fisher-Yates [Knuth1997 algorithm 3.4.2P]: for i = n - 1 ... 1 swap rows i
 *                       and j = u_i mod (i + 1), u_i 64 bits of rng.h for element i
 *   SAMPLER_BY_LENGTH   that order, cut into pieces of (up to 50) batches; each piece is sorted by
 *                       falling length (rows of one length stay in order), and the longest row of
 *                       all goes to the front, so that the largest batch comes first.  As
 *                       LengthGroupedSampler of transformers does.
 */
#ifndef MTS_DATA_SAMPLER_H
#define MTS_DATA_SAMPLER_H

#include "data/encoded_dataset.h"

typedef enum sampler_kind {
    SAMPLER_SEQUENTIAL,
    SAMPLER_RANDOM,
    SAMPLER_BY_LENGTH,
} sampler_kind;

/* Caller's storage, sampler_init/_deinit.  Borrows the rows. */
typedef struct sampler {
    sampler_kind kind;
    const encoded_dataset *rows;
    int64_t batch_size;
    uint64_t seed;
    int64_t *order;               /* order[n] of the epoch */
    int64_t *piece, *length_ends; /* scratch of the sort by length: [n], [max_len + 1] */
} sampler;

/*
 * rows        borrowed until deinit; 1 to 2^31 - 1 of them.
 * batch_size  >= 1.
 * The epoch is 0.  MTS_ERR_ARGUMENT: number of rows or batch size; MTS_ERR_MEMORY; deinit is safe
 * after failure.
 */
MTS_NODISCARD mts_status sampler_init(mts_ctx *ctx, sampler *s, const encoded_dataset *rows,
                                      sampler_kind kind, int64_t batch_size, uint64_t seed);
void sampler_deinit(sampler *s);

/* Put the rows into the order of an epoch (>= 0).  Allocates nothing. */
void sampler_set_epoch(sampler *s, int64_t epoch);

/* Batches in an epoch: n / batch_size, rounded up. */
int64_t sampler_batch_count(const sampler *s);

/* Rows of batch `index` of the epoch: *n of them (the last batch may be short), owned by the
 * sampler, valid until sampler_set_epoch. */
const int64_t *sampler_batch(const sampler *s, int64_t index, int64_t *n);

#endif
