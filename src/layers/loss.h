/*
 * Losses over a batch, mean over what counts, in float and always on one thread (a batch is small).
 *
 *   cross entropy   loss = -mean log softmax(z)[index]     dz = (softmax(z) - onehot) / n * scale
 *   squared error   loss = mean (z - y)^2                  dz = 2 (z - y) / n * scale
 */
#ifndef MTS_LAYERS_LOSS_H
#define MTS_LAYERS_LOSS_H

#include "tensor/exec.h"

/*
 * z[n][classes] against index[n], each below classes (asserted); a negative one does not count: its
 * gradient is zero, and n above is the number of the others.  dz[n][classes] (NULL: not wanted; may
 * not be z).  scale multiplies the gradient (1 / accumulation steps).  0 if none counts.
 */
double loss_cross_entropy(const exec *ex, float *dz, const float *z, const int32_t *index,
                          int64_t n, int64_t classes, float scale);

/* One row of it over a vocabulary: p[classes] is softmax(z) when it is called, and its gradient
 * times weight when it returns.  The loss, not weighted. */
double loss_of_probabilities(float *p, int64_t index, int64_t classes, float weight);

/* z[n] against y[n]; dz[n] as above. */
double loss_squared_error(const exec *ex, float *dz, const float *z, const float *y, int64_t n,
                          float scale);

#endif
