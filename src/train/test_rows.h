/*
 * The rows of test files as arrays of texts, for a predictor.
 *
 * Path: cmd_predict -> mts_test_rows_open -> test_rows_open -> task_load_test.
 */
#ifndef MTS_TRAIN_TEST_ROWS_H
#define MTS_TRAIN_TEST_ROWS_H

#include "data/task.h"

/* Owns everything in it; freed by test_rows_close. */
typedef struct test_rows {
    int64_t n;
    const char **text_a; /* text_a[n]: into sets */
    const char **text_b; /* text_b[n], or NULL: single texts */
    dataset sets[TASK_MAX_SETS];
} test_rows;

/*
 * *out: all rows of the test sets that the options name, one set behind the other.  Notes go to
 * callbacks (may be NULL).  Status of task_resolve and task_load_test.
 */
MTS_NODISCARD mts_status test_rows_open(mts_ctx *ctx, const mts_options *o,
                                        const mts_callbacks *callbacks, test_rows **out);
void test_rows_close(test_rows *rows);

#endif
