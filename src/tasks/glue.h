/*
 * The nine tasks of GLUE as constants: files, columns, labels, metrics.       [Wang2019 table 1]
 *
 * Path: task.c and task_load.c read this table; nothing else knows the tasks.
 * Label names and their order are those of the Hugging Face data set "glue", which models on the
 * hub are trained with.
 */
#ifndef MTS_TASKS_GLUE_H
#define MTS_TASKS_GLUE_H

#include "tasks/metrics.h"

#define GLUE_MAX_LABELS 3
#define GLUE_MAX_NAMES 3 /* spellings of one column */
#define GLUE_MAX_COLUMNS 4
#define GLUE_MAX_SETS 2

/* A column: the names it may have in a header, the official one first; NULL fills the rest. */
typedef struct glue_column {
    const char *names[GLUE_MAX_NAMES];
} glue_column;

typedef struct glue_task {
    const char *name;   /* as run_glue.py spells it: "sst2" */
    const char *folder; /* of the official download: "SST-2" */
    const char *label_names[GLUE_MAX_LABELS];
    int64_t num_labels; /* 1 for regression */
    bool regression;
    metric_kind metric;
    glue_column text_a, text_b, label;    /* text_b without names: single texts */
    const char *dev_files[GLUE_MAX_SETS]; /* the second may be NULL; likewise below */
    const char *test_files[GLUE_MAX_SETS];
    const char *suffixes[GLUE_MAX_SETS]; /* ends of the metrics' keys, as run_glue.py has them */
    /* Columns of a file without header (CoLA's train and dev); NULL if files have one. */
    const char *headerless[GLUE_MAX_COLUMNS];
} glue_task;

/* The task of a name in any case, with or without dashes and underscores; NULL if unknown. */
const glue_task *glue_task_find(const char *name);

#endif
