/*
 * Rows of language modelling while they are collected: ids, and which of them are to be predicted.
 *
 * Path: language_rows, chat_rows -> here -> encoded_dataset.
 */
#ifndef MTS_TASKS_ROW_BUILDER_H
#define MTS_TASKS_ROW_BUILDER_H

#include "data/encoded_dataset.h"

/* Rows grow as they come.  Freed by row_builder_deinit; what was finished belongs to `rows`. */
typedef struct row_builder {
    mts_ctx *ctx;
    encoded_dataset *rows;
    int32_t *target; /* [tokens], like rows->ids */
    int64_t tokens, token_room, row_room;
    int64_t left_out;   /* rows of which nothing is learned */
    int64_t max_length; /* tokens of a row */
} row_builder;

/* Collect into *out, rows of at most max_length tokens.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status row_builder_init(mts_ctx *ctx, row_builder *b, encoded_dataset *out,
                                          int64_t max_length);
void row_builder_deinit(row_builder *b);

/*
 * One row of the first max_length of ids[n]; those with learned[i] (NULL: all), but the first, are
 * to be predicted.  A row of which nothing is then learned is left out and counted.
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status row_builder_add(row_builder *b, const int32_t *ids, const bool *learned,
                                         int64_t n);

/* Make the data set of what was collected.  path: for the error text.  MTS_ERR_BAD_FILE: no rows;
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status row_builder_finish(row_builder *b, const char *path);

#endif
