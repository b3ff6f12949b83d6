/*
 * What a run needs (train/run_need.h), as JSON.
 *
 * Path: mts_model_describe -> describe_memory -> here.
 */
#ifndef MTS_API_DESCRIBE_NEED_H
#define MTS_API_DESCRIBE_NEED_H

#include <jansson.h>

#include "train/run_need.h"

/* A size or a number of something, as an integer of object. */
MTS_NODISCARD mts_status describe_put_bytes(mts_ctx *ctx, json_t *object, const char *key,
                                            uint64_t bytes);

/* Into out: bytes of memory by part, and their sum. */
MTS_NODISCARD mts_status describe_need_memory(mts_ctx *ctx, const run_need *need, json_t *out);

/* Into root, an object each: what of the memory is in files, what is written, and the products of a
 * step.  Opens the tokenizer to see how large it is. */
MTS_NODISCARD mts_status describe_need(mts_ctx *ctx, const run_shape *shape, const run_need *need,
                                       json_t *root);

#endif
