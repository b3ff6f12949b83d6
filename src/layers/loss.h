/*
 * Losses over a batch, mean over rows, in float and always on one thread (a batch is small).
 *
 *   classification  loss = -mean log softmax(z)[label]     dz = (softmax(z) - onehot) / n * scale
 *   regression      loss = mean (z - y)^2                  dz = 2 (z - y) / n * scale
 */
#ifndef MTS_LAYERS_LOSS_H
#define MTS_LAYERS_LOSS_H

#include "tensor/exec.h"

/* dlogits[n][classes] (NULL: not wanted; may not be logits) and the loss; labels[n]: classes,
 * 0 <= label < classes (asserted).  scale multiplies the gradient (1 / accumulation
 * steps). */
double loss_cross_entropy(const exec *ex, float *dlogits, const float *logits,
                          const int32_t *labels, int64_t n, int64_t classes, float scale);

/* The same of one output a row, and the scores[n] that are wanted. */
double loss_squared_error(float *dlogits, const float *logits, const float *scores, int64_t n,
                          float scale);

#endif
