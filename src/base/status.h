/*
 * Errors: status codes with a text, and the two control-flow macros of the code base.
 *
 * Path: used by everything.  The public half (mts_status, mts_error_text) is in mantissa.h.
 */
#ifndef MTS_BASE_STATUS_H
#define MTS_BASE_STATUS_H

#include "mantissa/mantissa.h"
#include "base/compiler.h"

/* The context: where the text of the last error lives.  One thread at a time. */
struct mts_ctx {
    char error[1024];
};

/* Write the error text (printf style) and return status.  ctx may be NULL: the text is dropped.
 * What does not fit is left out in whole characters; a control character or malformed byte is '?',
 * so the text is one line of UTF-8. */
mts_status status_set(mts_ctx *ctx, mts_status status, const char *fmt, ...) MTS_PRINTF(3, 4);

/* Prefix the present error text with "prefix: ".  For callers that know the file or the layer.  The
 * end of the text makes room, in whole characters; a prefix that leaves no room is dropped. */
void status_prefix(mts_ctx *ctx, const char *fmt, ...) MTS_PRINTF(2, 3);

/* Run call; on failure leave through the label `cleanup` with `st` set.  Needs mts_status st. */
#define MTS_TRY(call)                                                                              \
    do {                                                                                           \
        if ((st = (call)) != MTS_OK)                                                               \
            goto cleanup;                                                                          \
    } while (0)

/* Unless cond holds: set st and the error text, leave through `cleanup`.  Needs ctx and st. */
#define MTS_CHECK(cond, code, ...)                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            st = status_set(ctx, (code), __VA_ARGS__);                                             \
            goto cleanup;                                                                          \
        }                                                                                          \
    } while (0)

#endif
