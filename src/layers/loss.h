/*
 * Losses over a batch, mean over rows, in float and always on one thread (a batch is small).
 *
 *   classification  loss = -mean log softmax(z)[label]     dz = (softmax(z) - onehot) / n * scale
 *   regression      loss = mean (z - y)^2                  dz = 2 (z - y) / n * scale
 */
#ifndef MTS_LAYERS_LOSS_H
#define MTS_LAYERS_LOSS_H

#include "tensor/exec.h"

/* The loss (in a dry run 0), and dlogits[n][classes] (NULL: not wanted; may not be logits);
 * labels[n] hold class numbers, 0 <= label < classes (asserted).  scale multiplies the gradient (1
 * / accumulation steps). */
double loss_cross_entropy(const exec *ex, float *dlogits, const float *logits, const float *labels,
                          int64_t n, int64_t classes, float scale);

double loss_squared_error(const exec *ex, float *dlogits, const float *logits, const float *labels,
                          int64_t n, float scale);

#endif
