/*
 * What a run needs, said before it takes anything: memory by part, files, work; and whether the
 * machine has that.
 *
 * Path: mts_model_describe -> run_need_make; run_prepare -> run_need_check -> run_need_make.
 */
#ifndef MTS_TRAIN_RUN_NEED_H
#define MTS_TRAIN_RUN_NEED_H

#include "network/network.h"

/* Of which run; all borrowed. */
typedef struct run_shape {
    const mts_options *o; /* completed */
    const model_config *cfg;
    const head_class *head;
    const char *dir; /* of the model */
    bool training;
    network_limits limits;
} run_shape;

typedef struct run_need {
    network_plan net;
    size_t optimizer; /* its state */
    size_t memory;    /* all of this, but what is mapped */
    uint64_t file;    /* bytes of the trained parameters, which are written */
} run_need;

/* *out: what such a run needs, but for the cache of --generate_answers.  The errors of
 * run_adapter_config, network_plan_make. */
MTS_NODISCARD mts_status run_need_make(mts_ctx *ctx, const run_shape *shape, run_need *out);

/*
 * MTS_ERR_MEMORY if it needs more than the machine has free, with one line that says how much, and
 * which options would make it fit; MTS_OK with --skip_memory_check, or where the system does not
 * say what is free.  whole: the limits are those of the run, not the least there can be.
 */
MTS_NODISCARD mts_status run_need_check(mts_ctx *ctx, const run_shape *shape, bool whole);

#endif
