/*
 * Cells that hold a set of labels each: in JSON lines an array of strings or of integers, in other
 * files, or in a string of JSON, labels with a separator between them.
 *
 * Path: text_classification_fit -> label_cells_collect (all labels of a training file);
 *       label_kind_set.read -> label_cell_visit (those of a row).
 *
 * A set may be empty: [], or a field of blanks.  A label that stands twice in a cell is refused
 * where its row is read.  Blanks around separated labels do not belong to them.
 */
#ifndef MTS_TASKS_LABEL_CELLS_H
#define MTS_TASKS_LABEL_CELLS_H

#include "data/table_reader.h"
#include "tasks/label_set.h"

/* Whether the cells of a column are to be read as sets: a separator is given, or the first one is
 * an array. */
bool label_cells_hold_sets(const table *t, int64_t column, const char *separator);

/* Called for a label of a cell; it is the callee's for the call.  number: an integer, in its usual
 * spelling if it is JSON's. */
typedef mts_status label_visit_fn(mts_ctx *ctx, void *user, const char *label, bool number);

/*
 * Visit the labels of a cell in their order.  separator: not empty, or NULL: there is none, and the
 * cell must be an array.
 * MTS_ERR_BAD_FILE: the cell is no set, or one of its labels is neither an integer nor a string
 * that is not blank; MTS_ERR_MEMORY; status of visit.
 */
MTS_NODISCARD mts_status label_cell_visit(mts_ctx *ctx, const table *t, int64_t row, int64_t column,
                                          const char *separator, label_visit_fn *visit, void *user);

/*
 * *out: the labels of all cells, each once: integers ascending by value, or strings by bytes.
 * MTS_ERR_BAD_FILE: as above; strings of JSON beside numbers, fewer than two labels or too many.
 * MTS_ERR_MEMORY.  label_set_deinit is safe after failure.
 */
MTS_NODISCARD mts_status label_cells_collect(mts_ctx *ctx, label_set *out, const table *t,
                                             int64_t column, const char *separator);

#endif
