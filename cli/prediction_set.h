/*
 * The set of labels that a model predicts whose labels do not exclude each other.
 */
#ifndef MANTISSA_CLI_PREDICTION_SET_H
#define MANTISSA_CLI_PREDICTION_SET_H

#include <mantissa/mantissa.h>
#include <stdio.h>

/* A JSON number, or null for what JSON cannot write. */
void prediction_print_number(FILE *file, double value);

/* JSON arrays, by logits[num_labels]: the labels of the set, and their probabilities. */
void prediction_print_set(FILE *file, const mts_predictor *predictor, const float *logits);
void prediction_print_set_scores(FILE *file, const mts_predictor *predictor, const float *logits);

#endif
