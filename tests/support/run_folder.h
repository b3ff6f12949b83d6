/*
 * A temporary folder with the tiny task (tiny_task.h), options for runs in it, and comparisons of
 * what the runs wrote.  Every function fails the running cmocka test when it cannot do its work.
 */
#ifndef MTS_TESTS_SUPPORT_RUN_FOLDER_H
#define MTS_TESTS_SUPPORT_RUN_FOLDER_H

#include "base/status.h"

enum { RUN_PATH_BYTES = 4096 };

typedef struct run_path {
    char text[RUN_PATH_BYTES];
} run_path;

/* The context of the test program, from run_folder_open to run_folder_close. */
extern mts_ctx *ctx;

/* Group fixtures of cmocka: the folder, below TMPDIR or the present one, and the context. */
int run_folder_open(void **state);
int run_folder_close(void **state);

/* Fail with the context's text unless st is MTS_OK. */
void run_folder_require(mts_status st);

/* folder/name, printf style. */
run_path run_folder_path(const char *name, ...) MTS_PRINTF(1, 2);

/* Defaults, and: the tiny model and data, 24 tokens, 4 rows in a batch, one thread, a log line for
 * each step.  The strings live as long as the folder. */
mts_options run_folder_options(void);

/* Whether both files are there and have the same bytes. */
bool run_folder_same(const char *a, const char *b);
/* Fail unless dir/name is the same in both folders. */
void run_folder_assert_same(const char *dir_a, const char *dir_b, const char *name);
/* Likewise for model, optimizer, configuration and vocabulary of two checkpoints. */
void run_folder_assert_checkpoint(const char *dir_a, const char *dir_b);

/* How many names in dir begin with prefix. */
int run_folder_count(const char *dir, const char *prefix);

#endif
