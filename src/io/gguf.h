/*
 * GGUF files, the model files of llama.cpp: reader.
 *
 *   file   = "GGUF", u32 version, u64 tensors, u64 keys, key[keys], tensor[tensors], padding, data
 *   key    = text name, u32 type, value
 *   value  = an integer, a float, a bool of one byte, a text, or an array:
 *            u32 type of its elements, u64 count, elements
 *   tensor = text name, u32 n, u64 ne[n], u32 element type, u64 offset in the data
 *   text   = u64 bytes, UTF-8 without NUL
 *   data   = the tensors in the order above, each padded to a multiple of the alignment (key
 *            general.alignment, 32 without it), where the data begins, too
 * All numbers are little-endian.  Versions 2 and 3 differ in nothing that is read here.
 * Source: docs/gguf.md and src/gguf.cpp of ggml.
 *
 * The order of dimensions: ne[0] is the one that lies together, the length of a row, so ne is the
 * reverse of what safetensors, PyTorch and numpy call the shape.  Here shape is in their order:
 * the weight of a linear layer has shape [outputs][inputs] and ne = inputs, outputs.
 *
 * Not undone here: llama.cpp reorders the rows of attn_q and attn_k of some architectures.
 *
 * A file is hostile: every rule above is checked before the first key is handed out, memory is
 * taken in proportion to what was read and never to what is claimed, and each violation has its own
 * error text.  Files are read and not mapped (base/file.h), the values of tensors only when they
 * are asked for, by rows, into the memory of the caller; but frozen matrices beside an adapter are
 * mapped (weight_file_store in network/weight_file.h).
 * Not done: big-endian files, arrays of arrays, models in several files, writing.
 * Threads: after open, the reader is constant and may be used by many threads.
 */
#ifndef MTS_IO_GGUF_H
#define MTS_IO_GGUF_H

#include "base/file.h"
#include "io/gguf_types.h"

#define GGUF_DIMS_MAX 4
#define GGUF_NAME_BYTES_MAX 65535
#define GGUF_HEADER_BYTES_MAX ((uint64_t)256 << 20) /* of all before the data */

/* Types of values, by their numbers in files. */
typedef enum gguf_kind {
    GGUF_KIND_U8,
    GGUF_KIND_I8,
    GGUF_KIND_U16,
    GGUF_KIND_I16,
    GGUF_KIND_U32,
    GGUF_KIND_I32,
    GGUF_KIND_F32,
    GGUF_KIND_BOOL,
    GGUF_KIND_TEXT,
    GGUF_KIND_ARRAY,
    GGUF_KIND_U64,
    GGUF_KIND_I64,
    GGUF_KIND_F64,
    GGUF_KIND_COUNT,
} gguf_kind;

/* "u32", "text", "array", ... */
const char *gguf_kind_name(gguf_kind kind);

typedef struct gguf_key {
    const char *name;
    uint64_t place;      /* of the key in the file */
    gguf_kind kind;      /* of the value */
    gguf_kind element;   /* of an array: the type of its elements; otherwise kind */
    uint64_t count;      /* elements of an array; bytes of a text; otherwise 1 */
    const uint8_t *data; /* elements as they are in the file; of a text: with a NUL behind it */
} gguf_key;

/* One tensor: shape[0] x ... x shape[ndim-1], row-major; a row is the last dimension. */
typedef struct gguf_tensor {
    const char *name;
    const char *file; /* its path */
    const gguf_type *type;
    int ndim;                     /* 0 is one element */
    int64_t shape[GGUF_DIMS_MAX]; /* each at least 1 */
    int64_t rows, cols;           /* cols: shape[ndim-1]; rows: the product of the others */
    uint64_t bytes;               /* in the file */
    const file_reader *source;
    uint64_t offset; /* of its data in the file */
    uint64_t place;  /* of its description in the file */
} gguf_tensor;

typedef struct gguf gguf;

/*
 * *out: the keys and tensors of a file.  Free with gguf_close.
 * MTS_ERR_NOT_FOUND, MTS_ERR_IO; MTS_ERR_BAD_FILE: a rule of the format is broken, or the file is
 * cut; MTS_ERR_UNSUPPORTED: another version, big-endian, arrays of arrays, types without a size
 * here, more than 4 dimensions, or more than 256 MiB before the data.
 */
MTS_NODISCARD mts_status gguf_open(mts_ctx *ctx, const char *path, gguf **out);
/* Keys and tensors die with it.  NULL is allowed. */
void gguf_close(gguf *file);

int gguf_version(const gguf *file);

/* ------------------------------------------------------------------------------ tensors ---- */

size_t gguf_tensor_count(const gguf *file);
/* index in [0, count), in byte order of names. */
const gguf_tensor *gguf_tensor_at(const gguf *file, size_t index);
/* NULL if there is none of that name. */
const gguf_tensor *gguf_find_tensor(const gguf *file, const char *name);

/*
 * out[rows * cols]: rows [first, first + rows) as float32 (overwritten, undefined on failure).
 * Nothing is allocated.  MTS_ERR_UNSUPPORTED: a type that gguf_types.h does not decode;
 * MTS_ERR_ARGUMENT: rows that are not there; MTS_ERR_BAD_FILE: an element is NaN or infinite (the
 * text says which); MTS_ERR_IO.
 */
MTS_NODISCARD mts_status gguf_read_rows(mts_ctx *ctx, const gguf_tensor *tensor, int64_t first,
                                        int64_t rows, float *out);

/* --------------------------------------------------------------------------------- keys ---- */

size_t gguf_key_count(const gguf *file);
/* index in [0, count), in byte order of names. */
const gguf_key *gguf_key_at(const gguf *file, size_t index);
/* NULL if there is none of that name. */
const gguf_key *gguf_find_key(const gguf *file, const char *name);
/* MTS_ERR_BAD_FILE "file: key NAME: expected, but absent". */
MTS_NODISCARD mts_status gguf_require_key(mts_ctx *ctx, const gguf *file, const char *name);

/*
 * Typed values.  *value holds the default: it is unchanged if the key is absent.  Otherwise the
 * value must have the type, and min <= value <= max, or MTS_ERR_BAD_FILE:
 * "file: key NAME: expected an integer 1..512, found a text".
 * int: any integer type.  real: f32 or f64, finite.  text: UTF-8 without NUL, owned by file.
 */
MTS_NODISCARD mts_status gguf_find_int(mts_ctx *ctx, const gguf *file, const char *name,
                                       int64_t min, int64_t max, int64_t *value);
MTS_NODISCARD mts_status gguf_find_real(mts_ctx *ctx, const gguf *file, const char *name,
                                        double min, double max, double *value);
MTS_NODISCARD mts_status gguf_find_bool(mts_ctx *ctx, const gguf *file, const char *name,
                                        bool *value);
MTS_NODISCARD mts_status gguf_find_text(mts_ctx *ctx, const gguf *file, const char *name,
                                        const char **value);

/*
 * *array: the array of that name, NULL if it is absent.  MTS_ERR_BAD_FILE: it is none, or its
 * elements are not integers within min..max, floats that are finite, or texts.
 */
MTS_NODISCARD mts_status gguf_find_ints(mts_ctx *ctx, const gguf *file, const char *name,
                                        int64_t min, int64_t max, const gguf_key **array);
MTS_NODISCARD mts_status gguf_find_reals(mts_ctx *ctx, const gguf *file, const char *name,
                                         const gguf_key **array);
MTS_NODISCARD mts_status gguf_find_texts(mts_ctx *ctx, const gguf *file, const char *name,
                                         const gguf_key **array);

/* Element index in [0, count) of what gguf_find_ints and gguf_find_reals gave. */
int64_t gguf_int_at(const gguf_key *array, uint64_t index);
double gguf_real_at(const gguf_key *array, uint64_t index);

/* The texts of what gguf_find_texts gave, one after the other.  False: there are no more.
 * text[bytes] is owned by the file, has no NUL behind it, and may hold any bytes. */
typedef struct gguf_texts {
    const uint8_t *next;
    uint64_t left;
} gguf_texts;

gguf_texts gguf_texts_of(const gguf_key *array);
bool gguf_next_text(gguf_texts *texts, const char **text, size_t *bytes);

#endif
