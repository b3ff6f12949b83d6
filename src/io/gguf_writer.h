/*
 * Writer of GGUF files (the format: gguf.h), version 3, with the usual alignment of 32.
 *
 *   gguf_writer_open, gguf_writer_put_... for each key, gguf_writer_add for each tensor,
 *   gguf_writer_commit: the file appears complete or not at all (file_writer).
 *
 * Keys and tensors come into the file in the order in which they were given.  The elements of a
 * tensor are written by a function of the caller's, so that no tensor need be in memory as a whole.
 *
 * Path: gguf_adapter_save -> here.
 * Not done: arrays, and kinds of keys that no file written here has: each is one function more.
 */
#ifndef MTS_IO_GGUF_WRITER_H
#define MTS_IO_GGUF_WRITER_H

#include "io/gguf.h"

typedef struct gguf_writer gguf_writer;

/* Writes all rows of a tensor into file, as they are to lie there. */
typedef mts_status gguf_write_fn(void *user, file_writer *file);

/* ctx is borrowed until close. */
MTS_NODISCARD mts_status gguf_writer_open(mts_ctx *ctx, const char *path, gguf_writer **out);

/* Names are copied, as are values.  MTS_ERR_ARGUMENT: an empty name, one of control characters, or
 * what is not UTF-8, a second key of the name. */
MTS_NODISCARD mts_status gguf_writer_put_text(gguf_writer *w, const char *name, const char *text);
MTS_NODISCARD mts_status gguf_writer_put_f32(gguf_writer *w, const char *name, float value);

/*
 * Declare a tensor shape[0] x ... x shape[ndim-1], row-major, its elements of the type with this
 * number (gguf_types.h).  commit calls write, which writes bytes of the context's own, and as many
 * as the tensor has, or else it is MTS_ERR_ARGUMENT.  MTS_ERR_ARGUMENT: the name, an unknown type,
 * a second tensor of the name, more than GGUF_DIMS_MAX dimensions or none, one below 1, rows that
 * are no whole blocks.
 */
MTS_NODISCARD mts_status gguf_writer_add(gguf_writer *w, const char *name, uint32_t type, int ndim,
                                         const int64_t *shape, gguf_write_fn *write, void *user);

/* MTS_ERR_IO; the status of a write. */
MTS_NODISCARD mts_status gguf_writer_commit(gguf_writer *w);
/* NULL is allowed. */
void gguf_writer_close(gguf_writer *w);

#endif
