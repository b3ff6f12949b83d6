/*
 * Which columns of a table are the texts and the label.
 *
 * Path: options, the folder of a model or the training file -> column_names -> text_columns_find.
 *
 * Where the texts are not named they are the first known names of (sentence1, sentence2), (premise,
 * hypothesis), (question1, question2), (question, sentence), sentence, text; or else, as
 * run_glue.py does, the first two columns that are neither the label nor a row number ("", "id",
 * "idx", "index"), or the only one.  The label is "label", or else
 * "labels", unless it is named.
 */
#ifndef MTS_TASKS_TEXT_COLUMNS_H
#define MTS_TASKS_TEXT_COLUMNS_H

#include <jansson.h>

#include "data/table_reader.h"
#include "tasks/glue.h"

/* Owns the names; freed by column_names_deinit. */
typedef struct column_names {
    char *texts[2]; /* [0] NULL: not named; [1] NULL with [0] given: single texts */
    char *label;    /* NULL: not named */
    bool texts_stored, label_stored; /* named by the folder of a model, for error texts */
} column_names;

void column_names_deinit(column_names *names);

/* *out: of text_column_names (one name, or two with a comma between) and label_column_name; each
 * may be NULL.  MTS_ERR_ARGUMENT, MTS_ERR_MEMORY; deinit is safe after failure. */
MTS_NODISCARD mts_status column_names_parse(mts_ctx *ctx, const char *texts, const char *label,
                                            column_names *out);

/* Put the names into object, for column_names_recall.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status column_names_store(mts_ctx *ctx, const column_names *names,
                                            json_t *object);

/* Name what is not named yet as `stored` has it, if it does (NULL: nothing).  MTS_ERR_BAD_FILE: it
 * is malformed; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status column_names_recall(mts_ctx *ctx, const json_t *stored,
                                             column_names *names);

/* Positions in one table; -1: none. */
typedef struct text_columns {
    int64_t text_a, text_b, label;
} text_columns;

/*
 * *out: the columns by those names, or by the spellings of the GLUE task unless it is NULL.
 * need_label: it is an error if there is no label column; otherwise one that is there is no text.
 * MTS_ERR_BAD_FILE: a column is missing; MTS_ERR_ARGUMENT: one column for two purposes.
 */
MTS_NODISCARD mts_status text_columns_find(mts_ctx *ctx, const column_names *names,
                                           const glue_task *glue, const table *t, bool need_label,
                                           text_columns *out);

#endif
