/*
 * The rows of test files as arrays of texts, for a predictor.
 *
 * Path: cmd_predict -> mts_test_rows_open -> test_rows_open -> task_class.texts.
 */
#ifndef MTS_TASKS_TEST_ROWS_H
#define MTS_TASKS_TEST_ROWS_H

#include "tasks/task.h"

/* Owns everything in it; freed by test_rows_close. */
typedef struct test_rows {
    int64_t n;
    const char **text_a; /* text_a[n]: into sets */
    const char **text_b; /* text_b[n], or NULL: single texts */
    dataset sets[TASK_MAX_SETS];
} test_rows;

/*
 * *out: all rows of the test sets that the options name, one set behind the other.
 *
 * head, stored  of the model that will predict, as for task_open; NULL: not known.
 * note, user    told what was taken for text; note may be NULL.
 * Status of task_open and task_class.texts; MTS_ERR_UNSUPPORTED: the task's rows are no texts.
 */
MTS_NODISCARD mts_status test_rows_open(mts_ctx *ctx, const mts_options *o, const char *head,
                                        const json_t *stored, task_note_fn *note, void *user,
                                        test_rows **out);
void test_rows_close(test_rows *rows);

#endif
