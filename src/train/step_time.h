/*
 * How long a step of a run will take: measured on the model's first layers.
 *
 * The network is made with one layer and with two, of the numbers in its file; forward and backward
 * of one batch of random tokens are timed with each, after a pass that packs weights and finds
 * outliers; the fastest of three counts.  With t1 and t2 seconds a model of L equal layers takes
 *     t1 + (L - 1) (t2 - t1)
 * What it leaves out: the optimizer, reading rows, and that a base larger than memory is read
 * again.
 *
 * Path: mts_model_describe with options.calibrate -> here -> network_learn.
 */
#ifndef MTS_TRAIN_STEP_TIME_H
#define MTS_TRAIN_STEP_TIME_H

#include "train/run_need.h"

/* *seconds: of a batch of shape->limits, times the batches of a step.  The errors of
 * network_create, network_load and network_check. */
MTS_NODISCARD mts_status step_time_measure(mts_ctx *ctx, const run_shape *shape, double *seconds);

#endif
