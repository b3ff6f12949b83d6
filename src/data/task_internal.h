/* Shared by task.c, task_columns.c and task_load.c. */
#ifndef MTS_DATA_TASK_INTERNAL_H
#define MTS_DATA_TASK_INTERNAL_H

#include "data/table_reader.h"
#include "data/task.h"

/* The columns of one table that a task uses; -1: none. */
typedef struct task_columns {
    int64_t text_a, text_b, label;
} task_columns;

/* *out: the table in a file, by the spec's rules for headers.  Status of file_read_all and
 * table_parse; MTS_ERR_BAD_FILE: no rows. */
MTS_NODISCARD mts_status task_read_table(mts_ctx *ctx, const task_spec *spec, const char *path,
                                         table *out);

/* *out: the columns for the spec.  need_label: it is an error if there is no label column.
 * MTS_ERR_BAD_FILE: a column is missing; MTS_ERR_ARGUMENT: one column for two purposes. */
MTS_NODISCARD mts_status task_pick_columns(mts_ctx *ctx, const task_spec *spec, const table *t,
                                           bool need_label, task_columns *out);

#endif
