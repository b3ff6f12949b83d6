/*
 * Dropout of an input that is mapped already, as an adapter has it (low_rank.h): the numbers of the
 * working format that are dropped become zero, the others stay as they are.
 *
 * Which ones is a function of (seed, step, stream, element), as for layers/dropout.h; the factor
 * 1 / (1 - p) is left to the caller, who has a scale anyway.
 *
 * Path: low_rank_forward, low_rank_backward_params -> linear_input_drop -> linear_forward.
 */
#ifndef MTS_LAYERS_LINEAR_INPUT_DROP_H
#define MTS_LAYERS_LINEAR_INPUT_DROP_H

#include "layers/linear_input.h"

/* The same input with numbers in scratch, of which those that stream `stream` drops with
 * probability p are zero. */
linear_input linear_input_drop(exec *ex, const linear_input *x, float p, int stream);

/* y[rows][cols] = 0 where that input is dropped: the gradient.  first_row: of the part. */
void linear_input_drop_gradient(exec *ex, float *y, int64_t rows, int64_t cols, int64_t first_row,
                                float p, int stream);

#endif
