/*
 * A data set as text: the rows of one file with their targets.
 *
 * Path: task_load -> dataset -> encoded_dataset (token ids).
 */
#ifndef MTS_DATA_DATASET_H
#define MTS_DATA_DATASET_H

#include "data/targets.h"

/* Owns everything in it; freed by dataset_deinit.  Texts are UTF-8 without NUL. */
typedef struct dataset {
    int64_t n;
    char **text_a;         /* text_a[n]: into storage */
    char **text_b;         /* text_b[n], or NULL if the rows are single texts */
    targets targets;       /* of the rows; TARGET_NONE: texts without labels */
    char *storage;         /* the texts */
    char *text_columns[2]; /* names of the columns of the texts; [1] NULL: single texts */
    /* Own .tsv files: rows with a field in double quotes, which are part of the text there, and the
     * line of the first of them. */
    int64_t quoted_rows, quoted_line;
} dataset;

/* *out: arrays for n rows; the texts and targets (of this kind, TARGET_CLASS or TARGET_SCORE, or
 * TARGET_NONE) are the caller's to fill.  MTS_ERR_MEMORY; deinit is safe after failure. */
MTS_NODISCARD mts_status dataset_init(mts_ctx *ctx, dataset *out, int64_t n, bool pairs,
                                      target_kind kind);
void dataset_deinit(dataset *d);

/* text[bytes]: one line for the user about the quoted rows of the file at path; false: there are
 * none. */
bool dataset_quotes_note(const dataset *d, const char *path, char *text, size_t bytes);

#endif
