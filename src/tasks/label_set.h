/*
 * Labels of a training file: which ones there are, and the number of each.
 *
 * Path: table_reader -> label_set -> task_spec (num_labels, label_names) -> task_load (class
 * index). The rules are those of run_glue.py on a column as pandas or arrow would type it: all
 * integers                        classes, ascending by value all numbers, at least one not an
 *   integer (or regression was asked)   regression, no classes
 *   anything else                       classes, ascending by bytes (for UTF-8: by code point)
 */
#ifndef MTS_TASKS_LABEL_SET_H
#define MTS_TASKS_LABEL_SET_H

#include "data/table_reader.h"

#define LABEL_SET_MAX 65536

/* Owns names; freed by label_set_deinit. */
typedef struct label_set {
    bool regression;
    int64_t n;    /* 0 for regression, otherwise 2..LABEL_SET_MAX */
    char **names; /* names[n] */
} label_set;

/*
 * *out: the labels in a column.  do_regression 1: they must be numbers; 0: they are classes; -1:
 * classes unless they are numbers with fractions among them.
 * MTS_ERR_BAD_FILE: an empty label, NaN or infinity among numbers, not a number where one must be,
 * fewer than two classes or too many.  MTS_ERR_MEMORY.  deinit is safe after failure.
 */
MTS_NODISCARD mts_status label_set_collect(mts_ctx *ctx, label_set *out, const table *t,
                                           int64_t column, int64_t do_regression);
void label_set_deinit(label_set *set);

/* Finds a class by its name in O(log n).  Borrows the names. */
typedef struct label_entry {
    const char *name;
    int64_t index;
} label_entry;

typedef struct label_index {
    int64_t n;
    label_entry *sorted; /* sorted[n] by name */
    bool integers;       /* all names are integers as usually spelled: "01" finds "1" */
} label_index;

/* names[n], no two alike; borrowed until deinit. */
MTS_NODISCARD mts_status label_index_init(mts_ctx *ctx, label_index *out, char *const *names,
                                          int64_t n);
void label_index_deinit(label_index *index);

/* The class of a label, or -1. */
int64_t label_index_find(const label_index *index, const char *label);

#endif
