/*
 * Text of unknown origin, printed so that its control characters do nothing.
 *
 * Path: everything that prints -> here.
 */
#ifndef MANTISSA_CLI_ESCAPE_H
#define MANTISSA_CLI_ESCAPE_H

#include <stdio.h>

/* For people: control characters, which could steer a terminal, as '?'. */
void escape_text(FILE *file, const char *text);
/* One TSV field: tabs, line ends and backslashes as \t, \n, \r, \\; other control characters as in
 * JSON, \u001b. */
void escape_tsv(FILE *file, const char *text);
/* One JSON string with its quotes. */
void escape_json(FILE *file, const char *text);

#endif
