/*
 * The weight of a linear layer by rows, wherever it is: in memory, or in the file of a frozen base
 * (tensor/param.h).
 *
 * Path: linear_dfp.c, linear_float.c -> here -> param_read, param_forget.
 */
#ifndef MTS_LAYERS_LINEAR_WEIGHT_H
#define MTS_LAYERS_LINEAR_WEIGHT_H

#include "layers/linear.h"

/* Rows that are read at a time: so that they stay in a cache; all of a weight that is in memory. */
int64_t linear_weight_piece(const linear *lin);

/* Rows [first, first + n) as floats [n][in]: those in memory, or read into scratch. */
const float *linear_weight_rows(exec *ex, const linear *lin, int64_t first, int64_t n);

/* The weight was read: until it is again, its pages of the file need no memory. */
void linear_weight_forget(const exec *ex, const linear *lin);

#endif
