/*
 * The weights of a language model, written as a safetensors folder that transformers opens: in
 * bfloat16, or with matrices in NF4 with double quantisation as bitsandbytes has them.
 *                                                                                  FORMATS.md (15)
 * Every number is rounded to bfloat16 first.  A matrix is taken by blocks of rows, one that is
 * packed twice, first for its scales: memory does not grow with the model.  The work on a block is
 * done on all threads; what is written does not depend on their number.
 *
 * Path: quantize_weights, random_weights -> here -> tensor/nf4.h, safetensors_writer.
 */
#ifndef MTS_NETWORK_WRITE_WEIGHTS_H
#define MTS_NETWORK_WRITE_WEIGHTS_H

#include "base/status.h"
#include "tensor/exec.h"
#include "tensor/param.h"

/* A parameter that is written. */
typedef struct weights_item {
    char name[PARAM_NAME_BYTES];
    const char *file, *tensor; /* where its numbers are, for error texts; borrowed */
    int64_t index;             /* among all, for the source */
    bool packed;               /* in NF4 */
    bool vector;               /* one dimension; rows is 1 */
    int64_t rows, cols;
} weights_item;

/* That of p, the parameter number index: packed if it can be, without file and tensor. */
weights_item weights_item_of(const param *p, int64_t index);

typedef struct weights_request {
    weights_item *items; /* [count]; they are sorted by name */
    int64_t count;
    /* values[rows][cols]: rows [first, first + rows) of the item, on all threads of ex */
    mts_status (*read)(mts_ctx *ctx, const exec *ex, void *source, const weights_item *item,
                       int64_t first, int64_t rows, float *values);
    void *source;
    bool rounded; /* what read gives is rounded to bfloat16 and finite */
    int threads;
    uint64_t shard_bytes;           /* the most of a file's tensors, unless one matrix has more */
    const char *dir;                /* exists; shards that are there are taken for finished ones */
    const char *doing;              /* of the events: "quantizing" */
    const mts_callbacks *callbacks; /* may be NULL */
} weights_request;

/*
 * Write dir/model.safetensors, or shards and model.safetensors.index.json; each file appears
 * complete.  MTS_ERR_BAD_FILE: a number is not finite or too large; MTS_ERR_INTERRUPTED; what read
 * returns; MTS_ERR_IO, also if the disk has no room for all of it; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status weights_write(mts_ctx *ctx, const weights_request *request);

#endif
