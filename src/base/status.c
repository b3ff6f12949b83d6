/* Errors: the text of the last error of a context.  See status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

mts_status status_set(mts_ctx *ctx, mts_status status, const char *fmt, ...)
{
    if (ctx == NULL)
        return status;
    va_list args;
    va_start(args, fmt);
    vsnprintf(ctx->error, sizeof ctx->error, fmt, args);
    va_end(args);
    return status;
}

void status_prefix(mts_ctx *ctx, const char *fmt, ...)
{
    if (ctx == NULL)
        return;
    char text[sizeof ctx->error];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n + 3 >= sizeof text)
        return;
    size_t room = sizeof text - (size_t)n - 3;
    text[n] = ':';
    text[n + 1] = ' ';
    strncpy(text + n + 2, ctx->error, room);
    text[(size_t)n + 2 + room] = '\0';
    memcpy(ctx->error, text, sizeof text);
}

const char *mts_status_name(mts_status status)
{
    switch (status) {
    case MTS_OK:
        return "ok";
    case MTS_ERR_ARGUMENT:
        return "bad argument";
    case MTS_ERR_NOT_FOUND:
        return "not found";
    case MTS_ERR_IO:
        return "input/output error";
    case MTS_ERR_BAD_FILE:
        return "bad file";
    case MTS_ERR_UNSUPPORTED:
        return "unsupported";
    case MTS_ERR_MEMORY:
        return "out of memory";
    case MTS_ERR_NUMERIC:
        return "numeric error";
    case MTS_ERR_INTERRUPTED:
        return "interrupted";
    }
    return "unknown status";
}
