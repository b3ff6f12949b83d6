/*
 * What outlier features add to the products of a linear layer in dynamic fixed point.
 *
 *   x = r + o      o: the outlier features of the input (tensor/outliers.h), r: the others
 *   forward     y  = r^ W^^T + o^ Wo^^T + b        Wo: their columns of W, mapped by themselves
 *   backward    dW = G^^T r^, and in the columns of the outliers G^^T o^
 *               dX = G^ W^, as without them
 * o^ has outlier_bits and exponents of its own, in the same groups as r^.       [Ghaffari2024]
 *                                                                             FORMATS.md (13)
 * Path: linear_dfp.c -> here -> gemm_run with gemm_plan_make_halves.
 */
#ifndef MTS_LAYERS_LINEAR_OUTLIERS_H
#define MTS_LAYERS_LINEAR_OUTLIERS_H

#include "layers/linear.h"

/* Storage for the list of the layer's input and the packed columns of its weight, unless it is
 * streamed; nothing if the format does not tell outliers apart. */
void linear_outliers_bind(exec *ex, linear *lin, arena *a);

/* Storage for the outliers of a batch. */
void linear_outliers_input_bind(const exec *ex, linear_input *in, arena *a);

/* Map the outliers of x[rows][cols], and watch x. */
void linear_outliers_input_set(exec *ex, linear_input *in, const float *x);

/* What the map of the others multiplies features by: 0 for outliers; NULL: there are none. */
const float *linear_outliers_keep(const linear_input *in);

/* Map and pack the columns of the weight, unless it is streamed: then each product does it. */
void linear_outliers_weight_set(exec *ex, linear *lin);

/* y += o^ Wo^^T */
void linear_outliers_forward(exec *ex, float *y, const linear_input *x, const linear *lin);

/* dW += G^^T o^ in the columns of the outliers, which the product of the others has left alone or
 * set to zero.  gradient: dy as that product had it, where exponents are not folded. */
void linear_outliers_weight_gradient(exec *ex, const float *dy, const qmatrix *gradient,
                                     const linear_input *x, const linear *lin);

#endif
