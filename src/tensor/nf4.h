/*
 * NF4, the 4-bit format of frozen weights, with double quantisation: code for code and bit for bit
 * what bitsandbytes makes and reads on a CPU.                       [Dettmers2023], FORMATS.md (15)
 *
 *   elements    of a matrix [rows][cols], one row behind the other; blocks of NF4_BLOCK of them
 *               have a scale, across the ends of rows; the last block may be shorter
 *   codes       4 bits each, two in a byte: the upper half is the even element
 *   element     nf4_value[code] * scale of its block
 *   scale       the block's largest magnitude: a float; or with double quantisation
 *               nested_map[absmax] * nested_absmax[block / NF4_NESTED_BLOCK] + nested_offset
 *
 * Path: stored_nf4_make -> nf4_quantize, nf4_quantize_scales;
 *       stored_matrix_read -> nf4_dequantize.
 * Threads: everything here works on the caller's memory alone.
 */
#ifndef MTS_TENSOR_NF4_H
#define MTS_TENSOR_NF4_H

#include <stdint.h>

enum {
    NF4_BLOCK = 64,         /* elements that share a scale */
    NF4_NESTED_BLOCK = 256, /* scales that share a scale */
};

/* What each code stands for, rising from -1 to 1; code 7 is 0. */
extern const float nf4_value[16];

/* A matrix in NF4, somewhere in memory: borrowed. */
typedef struct nf4_view {
    int64_t rows, cols;
    const uint8_t *codes;       /* [nf4_code_bytes(rows * cols)] */
    const uint8_t *absmax;      /* [nf4_blocks(rows * cols)]; NULL: the scales are plain_absmax */
    const float *nested_absmax; /* [nf4_nested_blocks(rows * cols)], with absmax; likewise below */
    float nested_offset;
    float nested_map[256];
    const float *plain_absmax; /* [nf4_blocks(rows * cols)]; NULL with double quantisation */
} nf4_view;

/* Blocks, blocks of scales, and bytes of codes of so many elements. */
static inline int64_t nf4_blocks(int64_t elements)
{
    return elements / NF4_BLOCK + (elements % NF4_BLOCK != 0);
}

static inline int64_t nf4_nested_blocks(int64_t elements)
{
    const int64_t blocks = nf4_blocks(elements);
    return blocks / NF4_NESTED_BLOCK + (blocks % NF4_NESTED_BLOCK != 0);
}

static inline int64_t nf4_code_bytes(int64_t elements)
{
    return elements / 2 + elements % 2;
}

/* ----------------------------------------------------------------------------------- read ---- */

/* The scale of a block, 0 <= block < nf4_blocks. */
float nf4_block_scale(const nf4_view *v, int64_t block);

/* out[n]: elements first .. first + n - 1, in fp32.  first + n <= rows * cols. */
void nf4_dequantize(const nf4_view *v, int64_t first, int64_t n, float *out);

/* out[n]: elements first + at[n], at rising, in fp32. */
void nf4_gather(const nf4_view *v, int64_t first, const int32_t *at, int64_t n, float *out);

/* ------------------------------------------------------------------------------- quantise ---- */

/*
 * x[n], finite, a whole number of blocks, or fewer elements where the matrix ends (which then has
 * its own rounding, as there): codes[nf4_code_bytes(n)], absmax[nf4_blocks(n)].
 */
void nf4_quantize(const float *x, int64_t n, uint8_t *codes, float *absmax);

/* absmax alone, of the same x. */
void nf4_find_scales(const float *x, int64_t n, float *absmax);

/*
 * The second level: absmax[blocks], blocks > 0, of a whole matrix becomes codes[blocks],
 * nested[ceil(blocks / NF4_NESTED_BLOCK)] and *offset, the mean.  map: nested_map, rising in
 * [-1, 1], of dynamic_map_make with signs (tensor/dynamic_map.h).
 */
void nf4_quantize_scales(const float *absmax, int64_t blocks, const float map[256], uint8_t *codes,
                         float *nested, float *offset);

#endif
