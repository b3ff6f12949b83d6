/*
 * GGUF files made piece by piece, for tests: what is put is what the file holds, right or wrong.
 * See io/gguf.h for the format.
 */
#ifndef MTS_TESTS_SUPPORT_GGUF_BYTES_H
#define MTS_TESTS_SUPPORT_GGUF_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "io/gguf.h"

typedef struct gguf_bytes {
    uint8_t data[16384];
    size_t size;
} gguf_bytes;

/* Begin anew: "GGUF", the version and the counts. */
void gguf_start(gguf_bytes *b, uint32_t version, uint64_t tensors, uint64_t keys);
/* The lowest `bytes` bytes of value. */
void gguf_put_int(gguf_bytes *b, uint64_t value, size_t bytes);
void gguf_put_bytes(gguf_bytes *b, const void *data, size_t bytes);
/* A length and the text. */
void gguf_put_text(gguf_bytes *b, const char *text);
/* Name and type of a key; its value follows. */
void gguf_put_key(gguf_bytes *b, const char *name, gguf_kind kind);
/* Keys as a whole. */
void gguf_put_u32(gguf_bytes *b, const char *name, uint32_t value);
void gguf_put_f32(gguf_bytes *b, const char *name, float value);
void gguf_put_name(gguf_bytes *b, const char *name, const char *value);
/* Name, type and count of an array; its elements follow. */
void gguf_put_array(gguf_bytes *b, const char *name, gguf_kind element, uint64_t count);
/* A tensor of two dimensions; of ne[1] == 0 of one. */
void gguf_put_tensor(gguf_bytes *b, const char *name, uint64_t ne0, uint64_t ne1, uint32_t type,
                     uint64_t offset);
/* Zeros up to a multiple of alignment. */
void gguf_pad(gguf_bytes *b, size_t alignment);

/*
 * A whole file with a key of each type, arrays of them, and a tensor t.TYPE of each type that is
 * decoded: two rows, gguf_block, and the same with bits 0 and 4 of bytes 4 to bytes - 3 changed.
 * No padding is behind the last one.
 */
void gguf_make_valid(gguf_bytes *b, uint32_t version);

enum { GGUF_BLOCK_BYTES = 256 };

/*
 * The bytes of one block of a type; of F32, F16 and BF16 8 bytes.  Byte i is 37 i + 11 type + 5
 * modulo 256, but the scales are 0.0123 and -0.5, and bit 6 of odd bytes of F32, F16 and BF16 is 0,
 * so that all is finite.  Returns how many bytes there are.
 */
size_t gguf_block(uint32_t type, uint8_t out[GGUF_BLOCK_BYTES]);

#endif
