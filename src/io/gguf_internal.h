/*
 * What the files of the GGUF reader share.  See gguf.h.
 */
#ifndef MTS_IO_GGUF_INTERNAL_H
#define MTS_IO_GGUF_INTERNAL_H

#include "io/gguf.h"

struct gguf {
    char *path;
    file_reader source;
    uint32_t version;
    uint8_t *header; /* bytes of the file from its beginning: what of it was read */
    char *names;     /* of keys and tensors, and texts of keys, each with a NUL */
    gguf_key *keys;
    size_t key_count, key_room;
    gguf_tensor *tensors;
    size_t tensor_count, tensor_room;
};

enum { GGUF_PART_BYTES = 128 };

/* Where the reader stands while it opens a file. */
typedef struct gguf_parser {
    mts_ctx *ctx;
    gguf *file;
    size_t at, loaded;          /* next byte; bytes that header holds */
    char part[GGUF_PART_BYTES]; /* what is read, for error texts: "key general.name" */
} gguf_parser;

/* Make the next bytes of the file be in header, behind `at`.  MTS_ERR_BAD_FILE: there are not so
 * many; MTS_ERR_UNSUPPORTED: the header becomes too large. */
MTS_NODISCARD mts_status gguf_load(gguf_parser *p, uint64_t bytes);
/* Take a number. */
MTS_NODISCARD mts_status gguf_take_u32(gguf_parser *p, uint32_t *value);
MTS_NODISCARD mts_status gguf_take_u64(gguf_parser *p, uint64_t *value);
/* Take the name of a key or tensor (`kind`) and make it p->part.  MTS_ERR_BAD_FILE: it is empty,
 * too long, not UTF-8, or holds control characters. */
MTS_NODISCARD mts_status gguf_take_name(gguf_parser *p, const char *kind);

/* Bytes of an element; 0 for texts and arrays. */
size_t gguf_kind_size(gguf_kind kind);

/* Take the description of a tensor: all but its place in the data, which becomes its offset. */
MTS_NODISCARD mts_status gguf_take_tensor(gguf_parser *p, gguf_tensor *t);
/* Place the tensors, in the order of the file, in the data, which begins at the first multiple of
 * alignment from byte header_bytes on. */
MTS_NODISCARD mts_status gguf_place_tensors(mts_ctx *ctx, gguf *file, uint64_t header_bytes,
                                            uint64_t alignment);

#endif
