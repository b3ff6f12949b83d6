/*
 * What a run leaves in output_dir: the model folder and the result files transformers' scripts
 * write (train_results.json, eval_results.json, all_results.json, trainer_state.json).
 */
#ifndef MTS_TRAIN_RESULTS_H
#define MTS_TRAIN_RESULTS_H

#include "train/run.h"

/* Write dir/<split>_results.json = values, and merge values into dir/all_results.json. */
MTS_NODISCARD mts_status results_save(mts_ctx *ctx, const char *dir, const char *split,
                                      const json_t *values);

/*
 * The final model, tokenizer and trainer_state.json into output_dir: written into a temporary
 * folder in it, then put in place.  A failure to write leaves the model that was there, and the new
 * one in the checkpoint of this step, or in a new folder below /tmp or /var/tmp: the text
 * says where.  A kill leaves the old one, the new one, or a folder that no reader opens.  Tokenizer
 * files that the model does not have are removed: readers would prefer them.
 * MTS_ERR_NUMERIC, MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status results_save_model(run *r);

#endif
