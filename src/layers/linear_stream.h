/*
 * Products of a linear layer in dynamic fixed point with a weight that is not packed: one panel of
 * it after the other is read from its file, mapped, packed and multiplied.
 *
 *   forward   panels of rows of W      Y[:, panel]  = Xq Wq[panel, :]^T
 *   dX        panels of columns of W   dX[:, panel] = Gq Wq[:, panel]
 *
 * Only the scales of the rows are kept.  The mantissas, and so the results, are those of a packed
 * weight, bit for bit.  Every panel is used for all rows of the input, so a model with such weights
 * does not go through its layers piece by piece (exec.streams_weights).
 * Exponents by row only.
 *
 * Path: linear_dfp.c -> here -> stored_matrix_read, gemm_run.
 */
#ifndef MTS_LAYERS_LINEAR_STREAM_H
#define MTS_LAYERS_LINEAR_STREAM_H

#include "layers/linear.h"

/* lin->row_scale, of the whole weight. */
void linear_stream_set(exec *ex, linear *lin);

/* y[rows][out] = a W^T + bias (or NULL); a: the packed input. */
void linear_stream_forward(exec *ex, float *y, const gemm_operand *a, const float *bias,
                           const linear *lin);

/* dx[rows][in] = a W; a: the packed gradient, folded with row_scale. */
void linear_stream_input_gradient(exec *ex, float *dx, const gemm_operand *a, const linear *lin);

#endif
