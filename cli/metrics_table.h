/*
 * Metrics for people.
 */
#ifndef MANTISSA_CLI_METRICS_TABLE_H
#define MANTISSA_CLI_METRICS_TABLE_H

#include <stdbool.h>
#include <stdio.h>

/* "a 1.5  b 2" (at most bytes - 1 characters) of a flat JSON object; "" if it is not one. */
void metrics_format_line(const char *json, char *text, size_t bytes);
/* A heading and a line "  name = value" for each member.  False: the error was printed. */
bool metrics_print_table(FILE *file, const char *heading, const char *json);

/* Those of mts_eval with `ranks`: a line of names, and one for each rank.  False: as above. */
bool metrics_print_ranks(FILE *file, const char *json);

#endif
