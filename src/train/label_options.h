/*
 * Options that have a meaning for some kinds of labels only.
 *
 * Path: run_prepare, predictor_open -> label_options_check, once the head is known.
 */
#ifndef MTS_TRAIN_LABEL_OPTIONS_H
#define MTS_TRAIN_LABEL_OPTIONS_H

#include "heads/head.h"

/* MTS_ERR_ARGUMENT: an option that this head knows nothing of. */
MTS_NODISCARD mts_status label_options_check(mts_ctx *ctx, const mts_options *o,
                                             const head_class *of);

#endif
