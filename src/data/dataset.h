/*
 * A data set as text: the rows of one file with their labels as numbers.
 *
 * Path: task_load -> dataset -> encoded_dataset (token ids).
 */
#ifndef MTS_DATA_DATASET_H
#define MTS_DATA_DATASET_H

#include "base/status.h"

/* Owns everything in it; freed by dataset_deinit.  Texts are UTF-8 without NUL. */
typedef struct dataset {
    int64_t n;
    char **text_a; /* text_a[n]: into storage */
    char **text_b; /* text_b[n], or NULL if the rows are single texts */
    float *label;  /* label[n]: class index or finite score; NULL unless has_labels */
    bool has_labels;
    char *storage; /* the texts */
} dataset;

/* *out: arrays for n rows; the texts and labels are the caller's to fill.  MTS_ERR_MEMORY; deinit
 * is safe after failure. */
MTS_NODISCARD mts_status dataset_init(mts_ctx *ctx, dataset *out, int64_t n, bool pairs,
                                      bool has_labels);
void dataset_deinit(dataset *d);

#endif
