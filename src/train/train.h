/*
 * Training from the first step to the written folder.
 *
 * Path: cmd_train -> mts_train -> train_run -> train_step -> network_learn -> forward of the
 *       model_class -> linear_forward -> gemm_run -> micro-kernel.  docs/TOUR.md walks it.
 */
#ifndef MTS_TRAIN_TRAIN_H
#define MTS_TRAIN_TRAIN_H

#include "train/run.h"

/* Train (do_train), evaluate (do_eval as resolved in `evaluate`), label the test set (do_predict),
 * and write output_dir.  *results: a new JSON object of the final evaluation, or NULL. */
MTS_NODISCARD mts_status train_run(mts_ctx *ctx, const mts_options *o,
                                   const mts_callbacks *callbacks, bool evaluate, json_t **results);

/* Evaluate a fine-tuned folder; writes eval_results.json if output_dir is given. */
MTS_NODISCARD mts_status eval_run(mts_ctx *ctx, const mts_options *o,
                                  const mts_callbacks *callbacks, json_t **results);

/* What one optimizer step did. */
typedef struct step_result {
    double loss, grad_norm, learning_rate;
    int64_t tokens;
} step_result;

/* One optimizer step: forward and backward of its batches, clipping, update. */
MTS_NODISCARD mts_status train_step(run *r, step_result *result);

#endif
