/*
 * The tags of a sentence's words as a line.
 */
#ifndef MANTISSA_CLI_TAGGING_H
#define MANTISSA_CLI_TAGGING_H

#include <mantissa/mantissa.h>
#include <stdio.h>

/* The header line of TSV. */
void tagging_print_header(FILE *file);

/* Tag n sentences, as mts_predictor_tag takes them, and print a line for each: TSV or JSON. */
mts_status tagging_predict(FILE *file, mts_predictor *predictor, const char *const *sentences,
                           int64_t n, bool json);

#endif
