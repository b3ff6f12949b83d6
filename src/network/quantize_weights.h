/*
 * The weights of a language model in 4 bits, written as a safetensors folder that transformers and
 * bitsandbytes open.                                                               FORMATS.md (15)
 *
 * The matrices of the layers are packed; embeddings, norms, biases and the head stay in bfloat16:
 * what transformers does when it loads a model with load_in_4bit in bfloat16, and what it saves
 * then.
 *
 * Path: mts_quantize -> here -> weight_file, write_weights.h.
 */
#ifndef MTS_NETWORK_QUANTIZE_WEIGHTS_H
#define MTS_NETWORK_QUANTIZE_WEIGHTS_H

#include "base/status.h"

typedef struct quantize_request {
    const char *base;     /* folder or GGUF file */
    uint64_t shard_bytes; /* the most of a file's tensors, unless one matrix has more */
    const char *dir;      /* exists; shards that are there are taken for finished ones */
    int threads;
    const mts_callbacks *callbacks; /* may be NULL */
} quantize_request;

/*
 * Write dir/model.safetensors, or shards and model.safetensors.index.json; each file appears
 * complete.  MTS_ERR_BAD_FILE: a parameter is missing, has another shape, or a number that is not
 * finite or too large; MTS_ERR_UNSUPPORTED: no language model, or already quantized;
 * MTS_ERR_INTERRUPTED; the errors of weight_file_open; MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status quantize_weights(mts_ctx *ctx, const quantize_request *request);

#endif
