/*
 * The tokenizer of a model, wherever that is: in a transformers folder or in a GGUF file.
 *
 * Path: run_prepare, predictor_open, mts_tokenizer_open -> here -> tokenizer_open, or
 *       gguf_tokenizer_make and tokenizer_open_json.
 */
#ifndef MTS_TRAIN_MODEL_TOKENIZER_H
#define MTS_TRAIN_MODEL_TOKENIZER_H

#include "text/tokenizer.h"
#include "text/tokenizer_files.h"

/*
 * *out: the tokenizer of the model at path.  *files (may be NULL; tokenizer_files_deinit in every
 * case): the files that a folder with this tokenizer has; of a GGUF file those made of it.
 * The errors of tokenizer_open, gguf_model_find, gguf_model_open and gguf_tokenizer_make.
 */
MTS_NODISCARD mts_status model_tokenizer_open(mts_ctx *ctx, const char *path, tokenizer **out,
                                              tokenizer_files *files);

#endif
