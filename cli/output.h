/*
 * Result files: standard output, or a file that appears when it is complete.
 */
#ifndef MANTISSA_CLI_OUTPUT_H
#define MANTISSA_CLI_OUTPUT_H

#include <mantissa/mantissa.h>
#include <stdio.h>

/* A file that appears under its name only when it is complete, or standard output. */
typedef struct output {
    FILE *file;
    const char *path; /* borrowed; NULL: standard output */
    char *target;     /* owned; path, or where the link path leads */
    char *temp;       /* owned; NULL: written in place (a device, a pipe) */
} output;

/*
 * Refuse a path that is read: a data file of the options, `input`, or standard input where
 * reads_lines and input is NULL; or that is a file of the model.  Before anything is opened; path
 * NULL: standard output.  The exit status; the error was printed.
 */
int output_check(mts_ctx *ctx, const mts_options *options, const char *path, const char *input,
                 bool reads_lines);

/* False: the error was printed; o may be closed.  Likewise below. */
bool output_open(output *o, const char *path);
bool output_commit(output *o);
/* Close; what was not committed is removed. */
void output_close(output *o);

#endif
