/*
 * A tokenizer without a vocabulary of its own, for models that have no texts behind them: each byte
 * is a token, its number the id, and the next id is the special token BYTE_TOKENIZER_SPECIAL.
 *
 * Path: mts_synth -> here; read by bpe_class as any byte-level BPE.
 */
#ifndef MTS_TEXT_BYTE_TOKENIZER_JSON_H
#define MTS_TEXT_BYTE_TOKENIZER_JSON_H

#include "base/status.h"

struct json_t;

#define BYTE_TOKENIZER_SPECIAL "<|endoftext|>"

enum { BYTE_TOKENIZER_SPECIAL_ID = 256 };

/* *out: what tokenizer.json holds, for the tokenizers library.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status byte_tokenizer_json(mts_ctx *ctx, struct json_t **out);

/* *out: what tokenizer_config.json holds, for transformers.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status byte_tokenizer_config_json(mts_ctx *ctx, struct json_t **out);

#endif
