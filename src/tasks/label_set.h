/*
 * Labels of a training file: which ones there are, and the number of each.
 *
 * Path: table_parse -> label_set_collect -> a task's labels -> label_index_find of each row.
 *
 * What a column holds is decided as pandas and datasets decide it for run_glue.py:
 *
 *   all integers                         classes, ascending by value
 *   all numbers, some not integers       regression, no classes
 *   anything else                        classes, ascending by bytes (for UTF-8: by code point)
 *
 * A field of a .csv or .tsv file is a number also with blanks around it, as pandas reads it; a
 * string of JSON is never one.  Blanks around other labels belong to them; but where the labels are
 * known already (evaluation, GLUE), one is also found without those around it, as by ClassLabel of
 * datasets.  do_regression decides what numbers are instead, and then strings of JSON are read,
 * too.
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
    /* Two of them that differ in nothing but blanks around them, which nobody means; -1: none. */
    int64_t twin_a, twin_b;
} label_set;

/*
 * *out: the labels in a column.  do_regression 1: they must be numbers; 0: they are classes; -1:
 * classes unless they are numbers with fractions among them.
 * MTS_ERR_BAD_FILE: a label that is empty or blank, NaN or infinity among numbers, not a number
 * where one must be, fewer than two classes or too many.  MTS_ERR_MEMORY.  deinit is safe after
 * failure.
 */
MTS_NODISCARD mts_status label_set_collect(mts_ctx *ctx, label_set *out, const table *t,
                                           int64_t column, int64_t do_regression);
void label_set_deinit(label_set *set);

/* "a", "b", "c", ... of names[n], for error texts. */
enum { LABEL_LIST_BYTES = 256 };
void label_list_names(char *const *names, int64_t n, char list[LABEL_LIST_BYTES]);

/* A label as a number, blanks around it allowed: as number_parse_integer, number_parse_real. */
bool label_integer(const char *label, int64_t *out);
bool label_real(const char *label, double *out);

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

/* The class of a label: as it is, or else without blanks around it; -1: there is none. */
int64_t label_index_find(const label_index *index, const char *label);

#endif
