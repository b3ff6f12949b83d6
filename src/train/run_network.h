/*
 * What network a run's options ask for: its adapter, and everything else but the sizes of batches.
 *
 * Path: run_prepare -> here -> network_create; run_need.c, which says its memory before;
 *       predictor_open, generator_open -> run_network_adapter.
 */
#ifndef MTS_TRAIN_RUN_NETWORK_H
#define MTS_TRAIN_RUN_NETWORK_H

#include "io/peft.h"
#include "network/network.h"

/* *out: the adapter that is trained (a new one, or that of a folder) or evaluated; rank 0: none.
 * In every case give it to peft_config_deinit.  MTS_ERR_ARGUMENT, MTS_ERR_UNSUPPORTED: the options
 * and the folder do not fit; the errors of peft_config_load. */
MTS_NODISCARD mts_status run_adapter_config(mts_ctx *ctx, const mts_options *o, bool training,
                                            peft_config *out);

/* Of completed options, without limits.  The adapter's strings are borrowed. */
network_options run_network_options(const mts_options *o, const model_config *cfg,
                                    const head_class *kind, const peft_config *adapter,
                                    bool training);

/* Let options have that adapter, without dropout, and the storage of the model beside it; rank 0:
 * nothing.  The adapter's strings are borrowed. */
void run_network_adapter(const mts_options *o, const peft_config *adapter,
                         network_options *options);

#endif
