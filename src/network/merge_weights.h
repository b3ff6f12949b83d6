/*
 * The weights of a model with an adapter in them, W + s B A, written as a safetensors folder.
 *
 * Every tensor of the base is written, by transformers' name, as it is or converted; of a layer
 * with an adapter each element is, in float32 and in this order,
 *     w + (s * (((b_0 a_0) + b_1 a_1) + ...))          b: a row of B, a: a column of A
 * rounded once to the type it is written in.  A base in 4 bits is unpacked.  Rows are read, added
 * and written by blocks, so what memory is needed depends on the widest row and on one layer, not
 * on the model.
 *
 * Path: mts_merge -> here -> weight_file, peft_adapter, safetensors_writer.
 */
#ifndef MTS_NETWORK_MERGE_WEIGHTS_H
#define MTS_NETWORK_MERGE_WEIGHTS_H

#include "io/peft_adapter.h"
#include "models/model.h"

typedef struct merge_request {
    const char *base; /* folder or GGUF file */
    const peft_adapter *adapter;
    const char *prefix;   /* of its architecture's names, which a folder may lack */
    bool new_head;        /* the adapter's own parameters need not be of the base's shapes: the
                      configuration that is written is the adapter's */
    bool nf4_base;        /* the adapter learned beside the base's layers in 4 bits: those values
                             get it */
    bool as_base;         /* tensors keep their types, those in 4 bits get that of the first float;
                             of a GGUF file: float32 */
    st_dtype dtype;       /* else F32, F16 or BF16 of all floats */
    uint64_t shard_bytes; /* the most of a file's tensors, unless one alone has more */
    const char *dir;      /* exists, and is empty */
    const mts_callbacks *callbacks; /* may be NULL */
} merge_request;

/*
 * Write dir/model.safetensors, or shards and model.safetensors.index.json.
 * MTS_ERR_BAD_FILE: the adapter is of another base, or a value is not finite or too large for
 * dtype; MTS_ERR_UNSUPPORTED: a base whose weights are no numbers; MTS_ERR_INTERRUPTED; the errors
 * of weight_file_open; MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status merge_weights(mts_ctx *ctx, const merge_request *request);

#endif
