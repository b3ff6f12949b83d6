/*
 * What the folder of an adapter says beside its weights: what is computed, and for which labels.
 *
 * Path: run_prepare, predictor_open, mts_test_rows_open -> here.
 */
#ifndef MTS_TRAIN_ADAPTER_FOLDER_H
#define MTS_TRAIN_ADAPTER_FOLDER_H

#include "io/peft.h"
#include "models/model.h"

/* MTS_ERR_ARGUMENT: the folder that is given as the model is that of an adapter, and no model's. */
MTS_NODISCARD mts_status adapter_folder_check_model(mts_ctx *ctx, const char *model_dir);

/*
 * model_load_config of the model in model_dir, as the adapter in adapter_dir (NULL: none) has it.
 * Labels, the head and what is known of the training are those of the adapter: of its
 * NETWORK_ADAPTER_CONFIG if it was made here; if it is PEFT's own, the head is that of its
 * task_type, and a head over texts has a label for each row of the matrix that is saved.
 * Also MTS_ERR_UNSUPPORTED: a task that has no head here.
 */
MTS_NODISCARD mts_status adapter_folder_load_config(mts_ctx *ctx, const char *model_dir,
                                                    const char *adapter_dir, model_config *cfg);

/* How an adapter is computed; c stays owned by the caller, whose targets are borrowed. */
adapter_options adapter_folder_options(const peft_config *c);

#endif
