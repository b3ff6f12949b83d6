/*
 * A temporary folder for a test program, files in it, and what is expected of calls.
 *
 * Every function fails the running cmocka test when it cannot do its work.  The macros look at the
 * error text of `ctx`, the mts_ctx of the program.
 */
#ifndef MTS_TESTS_SUPPORT_TEST_FOLDER_H
#define MTS_TESTS_SUPPORT_TEST_FOLDER_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/status.h"

/* The call succeeds. */
#define assert_ok(call)                                                                            \
    do {                                                                                           \
        const mts_status status_ = (call);                                                         \
        if (status_ != MTS_OK)                                                                     \
            fail_msg("%s: %s", mts_status_name(status_), ctx.error);                               \
    } while (0)

/* The call fails with this status, and with a text of one line that holds `part`. */
#define assert_fails(call, status, part)                                                           \
    do {                                                                                           \
        assert_int_equal((call), (status));                                                        \
        if (strstr(ctx.error, (part)) == NULL)                                                     \
            fail_msg("expected \"%s\" in \"%s\"", (part), ctx.error);                              \
        assert_null(strchr(ctx.error, '\n'));                                                      \
    } while (0)

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
