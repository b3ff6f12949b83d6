/*
 * One prediction as a line.
 */
#ifndef MANTISSA_CLI_PREDICTION_H
#define MANTISSA_CLI_PREDICTION_H

#include <mantissa/mantissa.h>
#include <stdio.h>

/* The header line of TSV, and a row by its logits[num_labels]. */
void prediction_print_header(FILE *file, const mts_predictor *predictor);
void prediction_print_tsv(FILE *file, const mts_predictor *predictor, const float *logits);
void prediction_print_json(FILE *file, const mts_predictor *predictor, const float *logits);

#endif
