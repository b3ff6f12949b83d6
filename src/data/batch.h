/*
 * A batch: some rows of an encoded data set, one behind the other, without padding.
 *
 * Path: sampler_batch -> batch_fill -> model.
 *
 *   sequence s:  ids[offsets[s]] ... ids[offsets[s + 1] - 1], at positions 0, 1, 2, ...
 */
#ifndef MTS_DATA_BATCH_H
#define MTS_DATA_BATCH_H

#include "data/encoded_dataset.h"

/* The largest batch there can be; known before training, for all that is sized by it. */
typedef struct batch_plan {
    int64_t max_rows;   /* sequences: rows, or those of packed rows */
    int64_t max_tokens; /* of the longest rows together */
    int64_t max_len;    /* of one sequence */
    target_kind kind;   /* of its targets, and their width */
    int64_t width;
    size_t bytes; /* that batch_init allocates */
} batch_plan;

/* Owns the arrays, which have room for the plan; freed by batch_deinit. */
typedef struct batch {
    batch_plan plan;
    int64_t n;            /* sequences in it */
    int64_t total_tokens; /* offsets[n] */
    int64_t max_len;      /* tokens of the longest sequence in it */
    int32_t *ids;         /* ids[total_tokens] */
    int32_t *type_ids;    /* type_ids[total_tokens] */
    int32_t *positions;   /* positions[total_tokens]: place in its sequence, from 0 */
    int64_t *offsets;     /* offsets[n + 1] */
    targets targets;      /* of its rows, if has_targets: the data set has some */
    bool has_targets;
} batch;

/* *out: the plan for batches of up to batch_size rows of e (at least one row).  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status batch_plan_rows(mts_ctx *ctx, batch_plan *out, const encoded_dataset *e,
                                         int64_t batch_size);

/* *out: a plan that holds whatever a or b holds (training and evaluation in one memory).
 * Their targets are of one kind and width, or one of them has none. */
batch_plan batch_plan_union(const batch_plan *a, const batch_plan *b);

/* *b: an empty batch with room for the plan.  MTS_ERR_MEMORY; deinit is safe after failure. */
MTS_NODISCARD mts_status batch_init(mts_ctx *ctx, batch *b, const batch_plan *plan);
void batch_deinit(batch *b);

/* Overwrite b with rows[n] of e, which the plan of b covers (asserted).  Allocates nothing. */
void batch_fill(batch *b, const encoded_dataset *e, const int64_t *rows, int64_t n);

#endif
