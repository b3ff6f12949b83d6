/*
 * Weights of classes, --class_weights balanced: those of scikit-learn's compute_class_weight, for
 * which all classes count alike, whatever the number of their rows:
 *
 *   w_c = n / (k n_c)      n rows, of which n_c have class c, and k classes that have any; 0 where
 *                          n_c = 0
 *
 * A batch then counts in its step by the sum of its rows' weights, so that a step of several
 * batches is the weighted mean over all their rows (layers/loss_classes.h).
 */
#ifndef MTS_TRAIN_CLASS_WEIGHTS_H
#define MTS_TRAIN_CLASS_WEIGHTS_H

#include "data/encoded_dataset.h"

/* *out: weight[classes] by the rows, which have classes for targets; freed by mem_free.
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status class_weights_balanced(mts_ctx *ctx, const encoded_dataset *rows,
                                                int64_t classes, float **out);

/* The sum of the weights of index[n] rows. */
double class_weights_sum(const float *weight, const encoded_dataset *rows, const int64_t *index,
                         int64_t n);

#endif
