/*
 * A tiny language model on disk, for tests of whole runs: a random decoder whose tokens are bytes.
 *
 * Path: tests/cli/make_tiny_task.c -> here -> network_create, network_save.
 */
#ifndef MTS_TESTS_SUPPORT_TINY_DECODER_H
#define MTS_TESTS_SUPPORT_TINY_DECODER_H

#include "base/status.h"

/*
 * The folder dir (made if missing; same bytes each time): config.json, model.safetensors,
 * tokenizer.json (support/byte_tokenizer.h): width 40, 4 heads, 2 of keys and values, 2 layers,
 * intermediate 72, 64 positions.  MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status tiny_decoder_write(mts_ctx *ctx, const char *dir);

/* The same of a ModernBERT, with what is below the outputs of heads: width 40, 4 heads, 3 layers,
 * two of them with windows of 3 tokens on either side, intermediate 36, 96 positions, dropout 0.1.
 */
MTS_NODISCARD mts_status tiny_modernbert_write(mts_ctx *ctx, const char *dir);

#endif
