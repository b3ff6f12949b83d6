/*
 * A data set as text: rows of one or two texts, with their targets.
 *
 * Path: a task reads its files -> dataset -> encoded_dataset (token ids).
 */
#ifndef MTS_DATA_DATASET_H
#define MTS_DATA_DATASET_H

#include "data/targets.h"

/* Owns everything in it; freed by dataset_deinit.  Texts are UTF-8 without NUL. */
typedef struct dataset {
    int64_t n;
    const char **text_a; /* text_a[n]: into storage */
    const char **text_b; /* text_b[n], or NULL if the rows are single texts */
    const char **ids;    /* ids[n]: names of the rows, into storage; NULL: they have none */
    targets targets;     /* of the rows; TARGET_NONE: texts without labels */
    char *storage;       /* the texts */
} dataset;

/* The texts alone, borrowed. */
typedef struct text_rows {
    int64_t n;
    const char *const *text_a; /* text_a[n] */
    const char *const *text_b; /* text_b[n], or NULL: single texts */
} text_rows;

/* *out: arrays for n rows; the texts and targets are the caller's to fill: of a kind that has one
 * for each row, of this width if it is TARGET_SET, or TARGET_NONE; ids is NULL.  MTS_ERR_MEMORY;
 * deinit is safe after failure. */
MTS_NODISCARD mts_status dataset_init(mts_ctx *ctx, dataset *out, int64_t n, bool pairs,
                                      target_kind kind, int64_t width);
void dataset_deinit(dataset *d);

text_rows dataset_rows(const dataset *d);

#endif
