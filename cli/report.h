/*
 * What the command says of errors, and its exit status.
 *
 * Path: all other files of the command -> here -> standard error.
 */
#ifndef MANTISSA_CLI_REPORT_H
#define MANTISSA_CLI_REPORT_H

#include <mantissa/mantissa.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_INTERRUPTED = 130 };

#if defined(__GNUC__)
#define CLI_PRINTF __attribute__((format(printf, 1, 2)))
#else
#define CLI_PRINTF
#endif

/* One line on standard error, "mantissa: error: " before it; control characters become '?'. */
void cli_error(const char *fmt, ...) CLI_PRINTF;

/* One line on standard error, "note: " before it. */
void cli_note(const char *fmt, ...) CLI_PRINTF;

/* The exit status for a library status; prints the context's error text unless MTS_OK. */
int cli_report(const mts_ctx *ctx, mts_status status);

#endif
