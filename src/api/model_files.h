/*
 * What lies beside the weights of a model, for a folder that is made of it.
 *
 * Path: mts_merge, mts_quantize -> here.
 */
#ifndef MTS_API_MODEL_FILES_H
#define MTS_API_MODEL_FILES_H

#include "api/output_folder.h"

struct json_t;

/* Write config.json: json, in which the type of the weights becomes dtype unless that is NULL. */
MTS_NODISCARD mts_status model_files_write_config(mts_ctx *ctx, struct json_t *json,
                                                  const char *dtype, const output_folder *f);

/* Write the tokenizer's files, and of a folder those that go with them (chat template, settings of
 * generation).  base: a folder, or a GGUF file or a folder with one.  The errors of
 * model_tokenizer_open of a GGUF file; MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status model_files_copy(mts_ctx *ctx, const char *base, const output_folder *f);

#endif
