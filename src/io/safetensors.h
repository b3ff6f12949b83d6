/*
 * safetensors files: reader of one file or a sharded folder, and writer.
 *
 *   file   = u64 n (little-endian), header[n], data
 *   header = JSON {"__metadata__": {text: text}, name: {"dtype", "shape", "data_offsets": [b, e]}}
 *            padded with spaces so that data begins at a multiple of 8
 *   data   = the tensors without gap or overlap, row-major, little-endian
 * Source: the format description and the Rust implementation of the safetensors library.
 *
 * Path: models and checkpoints load and store parameters through this.
 * A file is hostile: every rule above is checked before the first tensor is handed out, and each
 * violation has its own error text.  Not done: the 8-, 6- and 4-bit float types (unsupported).
 * Threads: after open, the reader is constant and may be used by many threads.
 */
#ifndef MTS_IO_SAFETENSORS_H
#define MTS_IO_SAFETENSORS_H

#include "base/file.h"

#define ST_DIMS_MAX 8
#define ST_HEADER_BYTES_MAX ((size_t)100000000) /* as the safetensors library */

/* Element types in the library's order, which is also the order of tensors in a written file
 * (descending, hence each tensor is aligned to its element). */
typedef enum st_dtype {
    ST_DTYPE_BOOL,
    ST_DTYPE_U8,
    ST_DTYPE_I8,
    ST_DTYPE_I16,
    ST_DTYPE_U16,
    ST_DTYPE_F16,
    ST_DTYPE_BF16,
    ST_DTYPE_I32,
    ST_DTYPE_U32,
    ST_DTYPE_F32,
    ST_DTYPE_F64,
    ST_DTYPE_I64,
    ST_DTYPE_U64,
    ST_DTYPE_COUNT,
} st_dtype;

/* Bytes of an element, and the name in files ("F32", "BF16", ...). */
size_t safetensors_dtype_size(st_dtype dtype);
const char *safetensors_dtype_name(st_dtype dtype);

/* Writes all elements of a tensor, row-major, into file. */
typedef mts_status safetensors_write_fn(void *user, file_writer *file);

/* One tensor: shape[0] x ... x shape[ndim-1], row-major; ndim 0 is one element. */
typedef struct st_tensor {
    const char *name;
    const char *file; /* path of the file it is in */
    st_dtype dtype;
    int ndim;
    int64_t shape[ST_DIMS_MAX];
    int64_t count; /* elements: product of shape */
    size_t bytes;
    const file_reader *source;   /* of a file that is read: where its elements are, */
    uint64_t offset;             /* and from which byte on */
    const void *data;            /* of a file that is written: its elements, */
    safetensors_write_fn *write; /* or what writes them, with this */
    void *user;
} st_tensor;

typedef struct safetensors safetensors;

/*
 * *out: the tensors of a file; of a folder: of model.safetensors, or else of all shards that
 * model.safetensors.index.json names.  Free with safetensors_close.
 * MTS_ERR_NOT_FOUND, MTS_ERR_IO; MTS_ERR_BAD_FILE: a rule of the format or of the index is broken;
 * MTS_ERR_UNSUPPORTED: an unknown element type, more than 8 dimensions, or only a PyTorch pickle.
 */
MTS_NODISCARD mts_status safetensors_open_file(mts_ctx *ctx, const char *path, safetensors **out);
MTS_NODISCARD mts_status safetensors_open_dir(mts_ctx *ctx, const char *dir, safetensors **out);
/* Tensors die with it.  NULL is allowed. */
void safetensors_close(safetensors *file);

size_t safetensors_count(const safetensors *file);
/* index in [0, count), in byte order of names. */
const st_tensor *safetensors_at(const safetensors *file, size_t index);
/* NULL if there is none of that name. */
const st_tensor *safetensors_find(const safetensors *file, const char *name);

/* *out: the tensor `name` of this shape[ndim].  MTS_ERR_BAD_FILE: absent, or of another shape. */
MTS_NODISCARD mts_status safetensors_require(mts_ctx *ctx, const safetensors *file,
                                             const char *name, int ndim, const int64_t *shape,
                                             const st_tensor **out);

/*
 * out[count]: an F32, F16 or BF16 tensor, converted exactly (overwritten, undefined on failure).
 * MTS_ERR_UNSUPPORTED: another type; MTS_ERR_ARGUMENT: count is not the tensor's;
 * MTS_ERR_BAD_FILE: an element is NaN or infinite (the text says which); MTS_ERR_IO.
 */
MTS_NODISCARD mts_status safetensors_read_f32(mts_ctx *ctx, const st_tensor *tensor, float *out,
                                              int64_t count);
/* The same of elements [first, first + count), in the order of the file; MTS_ERR_ARGUMENT: the
 * tensor does not have them. */
MTS_NODISCARD mts_status safetensors_read_part(mts_ctx *ctx, const st_tensor *tensor, int64_t first,
                                               int64_t count, float *out);

/* Write the elements as they are, piece by piece.  MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status safetensors_copy(mts_ctx *ctx, const st_tensor *tensor, file_writer *file);

/* out[bytes]: the elements as they are.  MTS_ERR_BAD_FILE: another dtype or size; MTS_ERR_IO. */
MTS_NODISCARD mts_status safetensors_read_raw(mts_ctx *ctx, const st_tensor *tensor, st_dtype dtype,
                                              void *out, size_t bytes);

/* Set tensor's count and bytes from dtype, ndim (0..8), shape.  MTS_ERR_BAD_FILE: they overflow. */
MTS_NODISCARD mts_status safetensors_measure(mts_ctx *ctx, st_tensor *tensor);

/* ------------------------------------------------------------------------------- writer ---- */

/*
 * Declare all tensors, then commit writes them in one pass, atomically (file_writer), with metadata
 * {"format": "pt"}: the same bytes as the library's save_file(tensors, path, {"format": "pt"}).
 * ctx is borrowed until close.
 */
typedef struct safetensors_writer safetensors_writer;

MTS_NODISCARD mts_status safetensors_writer_open(mts_ctx *ctx, const char *path,
                                                 safetensors_writer **out);
/*
 * Declare a tensor; data (shape's product of dtype elements, contiguous) is borrowed until commit;
 * it may be NULL if there are none.  name is copied; UTF-8 without control characters.
 * MTS_ERR_ARGUMENT: name, ndim or shape is not allowed.
 */
MTS_NODISCARD mts_status safetensors_writer_add(safetensors_writer *w, const char *name,
                                                st_dtype dtype, int ndim, const int64_t *shape,
                                                const void *data);
/* The same of a tensor that is not in memory: commit calls write, which writes bytes of the
 * context's own, and as many as the tensor has, or else it is MTS_ERR_ARGUMENT. */
MTS_NODISCARD mts_status safetensors_writer_add_stream(safetensors_writer *w, const char *name,
                                                       st_dtype dtype, int ndim,
                                                       const int64_t *shape,
                                                       safetensors_write_fn *write, void *user);
/* MTS_ERR_ARGUMENT: two tensors have one name, or the header exceeds 100 MB; MTS_ERR_IO. */
MTS_NODISCARD mts_status safetensors_writer_commit(safetensors_writer *w);
/* NULL is allowed. */
void safetensors_writer_close(safetensors_writer *w);

#endif
