/*
 * cmocka with what it includes, and what tests expect of calls.  The macros look at the error text
 * of `ctx`, the mts_ctx of the test program.
 */
#ifndef MTS_TESTS_SUPPORT_TEST_CHECK_H
#define MTS_TESTS_SUPPORT_TEST_CHECK_H

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

#endif
