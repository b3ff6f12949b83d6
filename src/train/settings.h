/*
 * What options and config.json together say: number format, dropout, threads.
 *
 * Path: train_run / eval_run / predictor_open -> here, before anything is allocated.
 */
#ifndef MTS_TRAIN_SETTINGS_H
#define MTS_TRAIN_SETTINGS_H

#include "data/sampler.h"
#include "models/model.h"
#include "optim/optimizer.h"
#include "tasks/task.h"
#include "text/tokenizer.h"

/* Fill in what options leave to the model: outliers, scales and widths, by its architecture; with
 * an adapter, 4 bits of a base that is in 4 bits. */
void settings_complete(mts_options *o, const model_config *cfg);

/* The number format of checked and completed options.  Widths that are not given follow
 * --precision, but layer norm has 16 bits. */
num_format settings_format(const mts_options *o);

/* The word of --scales. */
const char *settings_scales_name(scale_kind scales);

/* Where the matrices of a model beside an adapter are kept. */
param_storage settings_base_storage(const mts_options *o);

/* The order of the rows in training. */
sampler_kind settings_sampler(const mts_options *o);

/* The options by which a run goes: what they leave to the model or to another option is filled in
 * (widths, length, dropout).  Strings are shared. */
mts_options settings_effective(const mts_options *o, const model_config *cfg);

/* The key of config.json under which a fine-tuned folder keeps the options that evaluation needs to
 * know of its training (OPTION_STORED), and what the task keeps beside them. */
#define SETTINGS_KEY MODEL_CONFIG_SETTINGS

/* Put them into cfg, the effective ones. */
MTS_NODISCARD mts_status settings_store(mts_ctx *ctx, const mts_options *o, const task *t,
                                        model_config *cfg);

/* Tokens that a text is cut to: max_seq_length, or if that is 0 the task's usual length, or
 * the model's positions if these are fewer.  A length that was given may be too large for the
 * model.  head: as for task_open. */
int64_t settings_max_length(const mts_options *o, const model_config *cfg, const char *head);

/* A probability below 1 as a float below 1: 1 / (1 - p) must be finite. */
float settings_dropout_float(double p);

/* Dropout of config.json, replaced where an option says otherwise. */
dropout_rates settings_dropout(const mts_options *o, const model_config *cfg);

/* The same of embeddings, where the architecture tells theirs from the hidden states'. */
float settings_embedding_dropout(const mts_options *o, const model_config *cfg);

/* The optimizer that checked options ask for. */
optimizer_options settings_optimizer(const mts_options *o);

/* MTS_ERR_ARGUMENT unless batches of so many tokens can be multiplied; which: "train" or "eval",
 * the batch size that the text names. */
MTS_NODISCARD mts_status settings_check_tokens(mts_ctx *ctx, int64_t tokens, const char *which);

/* MTS_ERR_BAD_FILE unless the model has a word for each token; dir: of the model, for texts. */
MTS_NODISCARD mts_status settings_check_vocabulary(mts_ctx *ctx, const tokenizer *tok,
                                                   const model_config *cfg, const char *dir);

/* MTS_ERR_ARGUMENT unless the model has a position for each token of a row. */
MTS_NODISCARD mts_status settings_check_length(mts_ctx *ctx, int64_t max_length,
                                               const model_config *cfg);

/* MTS_ERR_BAD_FILE, _ARGUMENT, _UNSUPPORTED unless the model has a word for each token, a position
 * for each place and a type for each text of the rows; dir: of the model, for texts. */
MTS_NODISCARD mts_status settings_check_rows(mts_ctx *ctx, const tokenizer *tok, int64_t max_length,
                                             const model_config *cfg, const char *dir);

/* num_threads, or all processors this process may use. */
int settings_threads(const mts_options *o);

#endif
