/*
 * A tokenizer.json whose tokens are bytes, for tests of language models: the id of a byte is its
 * number, 256 is the special token "<|end|>", 257 is "ab", the only merge.
 */
#ifndef MTS_TESTS_SUPPORT_BYTE_TOKENIZER_H
#define MTS_TESTS_SUPPORT_BYTE_TOKENIZER_H

#include "base/status.h"

enum { BYTE_TOKENIZER_END = 256, BYTE_TOKENIZER_AB, BYTE_TOKENIZER_SIZE };

/* Write dir/tokenizer.json.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status byte_tokenizer_write(mts_ctx *ctx, const char *dir);

#endif
