/*
 * The tags of token classification: which ones there are, and the number of each.
 *
 * Path: tagged_file_read -> tag_labels_collect (of the training file) or tag_labels_take (of a
 *       model) -> tag_labels_encode (a number for each word).
 *
 * Texts ascend by bytes, as run_ner.py sorts them.  Where all tags of the training file are whole
 * numbers, they are the classes 0 to the largest.  With a model whose tags have names, a number is
 * one of its classes.
 */
#ifndef MTS_TASKS_TAG_LABELS_H
#define MTS_TASKS_TAG_LABELS_H

#include "data/tagged_file.h"

#define TAG_LABELS_MAX 65536

/* Owns names; freed by tag_labels_deinit. */
typedef struct tag_labels {
    int64_t n; /* 0: not known yet */
    char **names;
    bool numbers; /* the file has numbers */
} tag_labels;

/* *out: the tags of a file.  MTS_ERR_BAD_FILE: fewer than two or too many, a control character in
 * one, a number that is no class; MTS_ERR_MEMORY.  deinit is safe after failure. */
MTS_NODISCARD mts_status tag_labels_collect(mts_ctx *ctx, const char *path, const tagged_set *s,
                                            tag_labels *out);
/* *out: names[n], copied.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tag_labels_take(mts_ctx *ctx, const char *const *names, int64_t n,
                                         tag_labels *out);
void tag_labels_deinit(tag_labels *labels);

/* *same: whether names[n] are those of labels in another order; then labels have that order.
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tag_labels_reorder(mts_ctx *ctx, tag_labels *labels,
                                            const char *const *names, int64_t n, bool *same);

/* *out: the number of the tag of each word, of all sentences; freed by mem_free.  MTS_ERR_BAD_FILE:
 * a tag that is none of labels; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tag_labels_encode(mts_ctx *ctx, const char *path, const tagged_set *s,
                                           const tag_labels *labels, int32_t **out);

/* *out: for each tag that with which a word of it goes on: of B-X that is I-X, where there is one,
 * of all others the tag itself; freed by mem_free.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status tag_labels_continued(mts_ctx *ctx, const tag_labels *labels,
                                              int32_t **out);

#endif
