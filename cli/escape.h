/*
 * Text of unknown origin, printed so that its control characters do nothing.
 *
 * Path: everything that prints -> here.
 */
#ifndef MANTISSA_CLI_ESCAPE_H
#define MANTISSA_CLI_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/*
 * Bytes of the character at text, which is not at its NUL; *valid: whether it is UTF-8.  If not, it
 * is a piece of which a reader makes one U+FFFD: a maximal subpart.  [Unicode 15.0, section 3.9]
 */
size_t escape_character(const char *text, bool *valid);

/* For people: control characters, which could steer a terminal, as '?'. */
void escape_text(FILE *file, const char *text);
/* One TSV field: tabs, line ends and backslashes as \t, \n, \r, \\; other control characters as in
 * JSON, \u001b; what is not UTF-8 as U+FFFD. */
void escape_tsv(FILE *file, const char *text);
/* The same of a text with NUL bytes in it, which are \u0000; likewise escape_json_bytes. */
void escape_tsv_bytes(FILE *file, const char *text, size_t bytes);
void escape_json_bytes(FILE *file, const char *text, size_t bytes);
/* One JSON string with its quotes; what is not UTF-8 as U+FFFD. */
void escape_json(FILE *file, const char *text);

#endif
