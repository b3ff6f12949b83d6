/*
 * Dropout and sums over whole matrices, element by element, on all threads.     [Srivastava2014]
 *
 *   y = keep(i) ? x / (1 - p) : 0, keep(i) a function of (seed, step, stream, element): the
 *   backward is the same call on the gradient.
 *
 * Outside of training, or with p 0, dropout is a copy.
 */
#ifndef MTS_LAYERS_DROPOUT_H
#define MTS_LAYERS_DROPOUT_H

#include "tensor/exec.h"

/* y = dropout(x), x[0] being element `first` of stream `stream`; y may be x. */
void dropout_apply(exec *ex, float *y, const float *x, int64_t n, int64_t first, float p,
                   int stream);

/* y = dropout(y) + residual */
void dropout_add(exec *ex, float *y, const float *residual, int64_t n, int64_t first, float p,
                 int stream);

/* y = a + b; y may be either. */
void matrix_add(exec *ex, float *y, const float *a, const float *b, int64_t n);

#endif
