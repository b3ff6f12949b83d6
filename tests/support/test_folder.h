/*
 * A temporary folder for a test program, and files in it.
 *
 * Every function fails the running cmocka test when it cannot do its work.
 */
#ifndef MTS_TESTS_SUPPORT_TEST_FOLDER_H
#define MTS_TESTS_SUPPORT_TEST_FOLDER_H

#include "support/test_check.h"

/* Fixtures of cmocka, of a group or of each test: an empty folder below TMPDIR or /tmp; it is
 * removed with all in it. */
int folder_open(void **state);
int folder_close(void **state);

/* The folder, and the path of name in it: one of four buffers in turn. */
const char *folder_root(void);
const char *folder_at(const char *name);

/* Write a file of the folder.  Not synced: some tests do this many thousand times. */
void folder_put(const char *name, const void *content, size_t bytes);
void folder_put_text(const char *name, const char *text);

#endif
