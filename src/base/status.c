/* Errors: the text of the last error of a context.  See status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* One line of UTF-8, whatever a file's bytes brought into the text, and where a width in the format
 * cut it. */
static void make_plain(char *text)
{
    size_t bad = 0;
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    while (!utf8_is_valid(text, strlen(text), &bad))
        text[bad] = '?';
}

mts_status status_set(mts_ctx *ctx, mts_status status, const char *fmt, ...)
{
    if (ctx == NULL)
        return status;
    va_list args;
    va_start(args, fmt);
    const int n = vsnprintf(ctx->error, sizeof ctx->error, fmt, args);
    va_end(args);
    if (n >= (int)sizeof ctx->error)
        ctx->error[utf8_whole(ctx->error, sizeof ctx->error - 1)] = '\0';
    make_plain(ctx->error);
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
    size_t length = strlen(ctx->error);
    length = length <= room ? length : utf8_whole(ctx->error, room);
    memcpy(text + n, ": ", 2);
    memcpy(text + n + 2, ctx->error, length);
    text[(size_t)n + 2 + length] = '\0';
    memcpy(ctx->error, text, (size_t)n + 3 + length);
    make_plain(ctx->error);
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
