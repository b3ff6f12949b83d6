/* Errors and notes on standard error.  See report.h. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "escape.h"

void cli_error(const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    /* on a terminal a progress bar may be on the line */
    fputs(isatty(STDERR_FILENO) == 1 ? "\r\x1b[Kmantissa: error: " : "mantissa: error: ", stderr);
    escape_text(stderr, text);
    fputc('\n', stderr);
}

void cli_note(const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    fputs("note: ", stderr);
    escape_text(stderr, text);
    fputc('\n', stderr);
}

int cli_report(const mts_ctx *ctx, mts_status status)
{
    if (status == MTS_OK)
        return EXIT_OK;
    const char *text = mts_error_text(ctx);
    cli_error("%s", text[0] != '\0' ? text : mts_status_name(status));
    return status == MTS_ERR_ARGUMENT ? EXIT_USAGE : EXIT_FAILED;
}
