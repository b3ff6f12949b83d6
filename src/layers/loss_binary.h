/*
 * Binary cross entropy of sets of labels, mean over rows and labels (PyTorch's BCEWithLogitsLoss):
 *
 *   loss = mean over i, k of  max(z, 0) - y z + log(1 + exp(-|z|))      y = 1 if k is in set i
 *   dz   = (sigmoid(z) - y) / (n labels) * scale
 *
 * On one thread, as loss.h.
 */
#ifndef MTS_LAYERS_LOSS_BINARY_H
#define MTS_LAYERS_LOSS_BINARY_H

#include "tensor/exec.h"

/* z[n][labels] against set[n][labels], of 0 and 1.  dz[n][labels] (NULL: not wanted; may not be z).
 * scale multiplies the gradient (1 / accumulation steps). */
double loss_binary_cross_entropy(const exec *ex, float *dz, const float *z, const uint8_t *set,
                                 int64_t n, int64_t labels, float scale);

#endif
