/*
 * Cross entropy with weights of classes and smoothed labels, as PyTorch's CrossEntropyLoss(weight,
 * label_smoothing) and, without weights, transformers' LabelSmoother.  q = softmax(z), y the class
 * of a row, C classes, e the smoothing, w their weights (without any: 1):
 *
 *   loss = sum over rows of [ (1 - e) w_y (-log q_y) + e / C sum_c w_c (-log q_c) ] / D
 *   dz_c = [ (1 - e) w_y (q_c - (c = y)) + e / C (q_c sum_k w_k - w_c) ] / D * scale
 *   D    = sum over rows of w_y
 *
 * On one thread, as loss.h.
 */
#ifndef MTS_LAYERS_LOSS_CLASSES_H
#define MTS_LAYERS_LOSS_CLASSES_H

#include "tensor/exec.h"

/* Zeros: the plain cross entropy. */
typedef struct loss_options {
    float label_smoothing;     /* e: 0 to below 1 */
    const float *class_weight; /* w[classes], not negative; borrowed; NULL: all 1 */
} loss_options;

/* As loss_cross_entropy, and with zeros the same bits; each index is a class.  0 if D is 0. */
double loss_classes(const exec *ex, float *dz, const float *z, const int32_t *index, int64_t n,
                    int64_t classes, float scale, const loss_options *o);

#endif
