/*
 * Element types of GGUF files, and their values as float32.
 *
 * A row of a tensor is a sequence of blocks of one size; every block is decoded by itself.  q is
 * an element's integer, d and m are float16 scales of the block, i counts its elements from 0.  All
 * operations are float32, each rounded once, in the order that is written here:
 *
 *   F32, F16, BF16                                                             one element
 *   Q8_0   d, q[32] int8                        x = q d
 *   Q4_0   d, 16 bytes                          x = d (q - 8)
 *   Q4_1   d, m, 16 bytes                       x = (d q) + m
 *   Q5_0   d, 4 bytes of fifth bits, 16 bytes   x = d (q - 16)
 *   Q5_1   d, m, 4 bytes of fifth bits, 16      x = (d q) + m
 *            the 4 low bits of q: byte i mod 16, low half for i < 16, else high half;
 *            the fifth: bit i of the 4 bytes, a little-endian number
 *   Q4_K   d, m, 12 bytes of scales, 128 bytes  x = ((d s) q) - (m t)            256 elements
 *            q: byte 32 (i / 64) + i mod 32, low half for i mod 64 < 32, else high half;
 *            s and t: numbers of 6 bits for each j = i / 32, of the bytes c:
 *            j < 4: s = c[j] mod 64, t = c[j+4] mod 64;
 *            else s = c[j+4] mod 16 + 16 (c[j-4] / 64), t = c[j+4] / 16 + 16 (c[j] / 64)
 *   Q6_K   128 bytes, 64 bytes, s[16] int8, d   x = (d s) (q - 32)              256 elements
 *            with h = i / 128, r = i mod 128: low 4 bits: of the 128 bytes number
 *            64 h + r mod 64, low half for r < 64, else high half; high 2 bits: of the 64 bytes
 *            number 32 h + r mod 32, from bit 2 (r / 32) on; s number i / 16
 * Source: ggml-common.h and dequantize_row_* in ggml-quants.c of ggml (llama.cpp); bit for bit as
 * gguf.quants.dequantize of the Python package gguf 0.19 (gates/check_gguf.py).
 *
 * Not done: the other types, which are known by name and size.
 */
#ifndef MTS_IO_GGUF_TYPES_H
#define MTS_IO_GGUF_TYPES_H

#include <stddef.h>
#include <stdint.h>

enum {
    GGUF_BLOCK_MAX = 256, /* elements of the largest block */
};

/* Numbers of some types, as files have them. */
enum {
    GGUF_F32 = 0,
    GGUF_F16 = 1,
    GGUF_Q4_0 = 2,
    GGUF_Q4_1 = 3,
    GGUF_Q5_0 = 6,
    GGUF_Q5_1 = 7,
    GGUF_Q8_0 = 8,
    GGUF_Q4_K = 12,
    GGUF_Q6_K = 14,
    GGUF_BF16 = 30,
};

typedef struct gguf_type {
    const char *name;
    uint32_t elements; /* of a block; 0: a type that was taken out of the format, without a size */
    uint32_t bytes;    /* of a block */
    /* out[blocks * elements] of data[blocks * bytes], which must not overlap.  NULL: not done. */
    void (*decode)(const uint8_t *data, int64_t blocks, float *out);
} gguf_type;

/* The type with this number in files; NULL if there is none. */
const gguf_type *gguf_type_find(uint32_t number);

/* "F32, F16, ...": those that can be decoded, for error texts. */
#define GGUF_TYPES_DECODED "F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q4_K or Q6_K"

#endif
