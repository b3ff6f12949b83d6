/*
 * The tensors that a model is read from: of a transformers folder, or of a GGUF file.
 *
 * Path: network_check_weights, network_load -> here -> io/safetensors.h, io/nf4_tensors.h,
 *       io/gguf_model.h.
 * Parameters are asked for by their names in transformers.  A tensor in 4 bits counts as what it
 * stands for: its shape is that of the matrix, and its values are read as floats.
 */
#ifndef MTS_NETWORK_WEIGHT_FILE_H
#define MTS_NETWORK_WEIGHT_FILE_H

#include "io/gguf_model.h"
#include "io/nf4_tensors.h"
#include "io/safetensors.h"
#include "tensor/stored_matrix.h"

/* One of the two is open. */
typedef struct weight_file {
    safetensors *folder;
    nf4_tensors nf4; /* those of the folder */
    gguf_model gguf; /* file NULL: not this */
    char *path;      /* of the GGUF file */
} weight_file;

typedef struct weight_tensor {
    size_t index; /* of the file's tensors, in byte order of names */
    const char *name;
    const char *file; /* it is in, its path */
    int ndim;
    const int64_t *shape;
} weight_tensor;

/* Open what the model at path has.  In every case give *out to weight_file_close.  The errors of
 * safetensors_open_dir, nf4_tensors_open, gguf_model_find and gguf_model_open. */
MTS_NODISCARD mts_status weight_file_open(mts_ctx *ctx, const char *path, weight_file *out);
void weight_file_close(weight_file *f);

size_t weight_file_count(const weight_file *f);
weight_tensor weight_file_at(const weight_file *f, size_t index);
/* *out: the tensor of a parameter; prefix: what names in a folder may lack.  False: none. */
bool weight_file_find(const weight_file *f, const char *parameter, const char *prefix,
                      weight_tensor *out);
/* Whether the tensor is no weight of any model, and nobody misses it: buffers, parts of others. */
bool weight_file_is_buffer(const weight_file *f, const weight_tensor *t);

/* MTS_ERR_UNSUPPORTED: its values are of a type that cannot be read. */
MTS_NODISCARD mts_status weight_file_check(mts_ctx *ctx, const weight_file *f,
                                           const weight_tensor *t);
/* The matrix in 4 bits that it is, or NULL. */
const nf4_tensor *weight_file_nf4(const weight_file *f, const weight_tensor *t);
/* out: rows [first, first + rows) of it, a row being its last dimension, by their numbers in
 * transformers; of a vector the whole, with first 0 and rows 1.  MTS_ERR_UNSUPPORTED: it is in 4
 * bits.  Errors as below. */
MTS_NODISCARD mts_status weight_file_read_rows(mts_ctx *ctx, const weight_file *f,
                                               const weight_tensor *t, int64_t first, int64_t rows,
                                               float *out);
/* out[n]: its values, n of them.  The errors of safetensors_read_f32, nf4_tensor_read and
 * gguf_model_read. */
MTS_NODISCARD mts_status weight_file_read(mts_ctx *ctx, const weight_file *f,
                                          const weight_tensor *t, float *out, int64_t n);

/* What weight_file_store takes for a matrix: bytes of the file, and bytes in memory. */
typedef struct weight_storage {
    size_t mapped, memory;
    bool quantised; /* it is in 4 bits */
} weight_storage;

weight_storage weight_file_storage(const weight_file *f, const weight_tensor *t);

/* *out: the tensor, a matrix, as it lies in its file; it does not need f any more.  Its values are
 * those of weight_file_read, but that NaN and infinity are not found.  MTS_ERR_UNSUPPORTED: its
 * type; MTS_ERR_BAD_FILE, MTS_ERR_IO. */
MTS_NODISCARD mts_status weight_file_store(mts_ctx *ctx, const weight_file *f,
                                           const weight_tensor *t, stored_matrix *out);

#endif
