/*
 * One answer to a question as a line.
 */
#ifndef MANTISSA_CLI_ANSWER_H
#define MANTISSA_CLI_ANSWER_H

#include <mantissa/mantissa.h>
#include <stdio.h>

/* The header line of TSV; ids: lines begin with the question's id. */
void answer_print_header(FILE *file, bool ids);
/* A line of answer a; id may be NULL. */
void answer_print_tsv(FILE *file, const char *id, const char *paragraph, const mts_answer *a);
void answer_print_json(FILE *file, const char *id, const char *paragraph, const mts_answer *a);

#endif
