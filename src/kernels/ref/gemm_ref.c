/*
 * The reference family: plain C, for every processor, and the bits that all other families return.
 *
 *     c[i][j] = sum over d of a[i][d] * b[j][d]
 *
 * Panel (both sides): int16 [8 rows][depth padded to 16], zeros where there is no source.
 *
 * A whole training run must be possible with it, so the sum is int32 (the chunk of the depth makes
 * that exact, see kernels.h; the test compares with int64), and the inner loop has a constant
 * length, which compilers turn into the multiply-add of the base instruction set at -O2.
 */
#include "kernels/kernels.h"

#include <assert.h>

enum { TILE = 8, STEP = 16 };

static int64_t padded_depth(int64_t depth)
{
    return (depth + STEP - 1) / STEP * STEP;
}

static int source_value(const pack_source *src, int64_t row, int64_t depth)
{
    int64_t at = src->transposed ? depth * src->ld + row : row * src->ld + depth;
    if (src->elem_bytes == 1)
        return ((const int8_t *)src->data)[at];
    return ((const int16_t *)src->data)[at];
}

static int16_t piece_of(int x, gemm_piece p)
{
    if (p == PIECE_HI)
        return (int16_t)(x >= 0 ? x / 256 : -((255 - x) / 256)); /* floor(x / 256) */
    if (p == PIECE_LO)
        return (int16_t)((x + 65536) % 256);
    return (int16_t)x;
}

static void pack__ref(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                      int64_t first_depth, int64_t depth, gemm_piece p)
{
    int16_t *out = dst;
    int64_t padded = padded_depth(depth);
    assert(rows >= 1 && rows <= TILE && depth >= 1);
    assert(p == PIECE_ALL || src->elem_bytes == 2);
    for (int64_t r = 0; r < TILE; r++) {
        for (int64_t d = 0; d < padded; d++) {
            int x = 0;
            if (r < rows && d < depth)
                x = source_value(src, first_row + r, first_depth + d);
            out[r * padded + d] = piece_of(x, p);
        }
    }
}

static int32_t dot(const int16_t *restrict a, const int16_t *restrict b, int64_t padded)
{
    int32_t sum = 0;
    for (int64_t first = 0; first < padded; first += STEP)
        for (int d = 0; d < STEP; d++)
            sum += a[first + d] * b[first + d];
    return sum;
}

static void gemm_s16s16s32_8x8__ref(int32_t *restrict c, const void *restrict a,
                                    const void *restrict b, int64_t depth)
{
    const int16_t *rows_a = a, *rows_b = b;
    int64_t padded = padded_depth(depth);
    for (int64_t i = 0; i < TILE; i++)
        for (int64_t j = 0; j < TILE; j++)
            c[i * TILE + j] = dot(rows_a + i * padded, rows_b + j * padded, padded);
}

static const gemm_kernel kernel = {
    .name = "gemm_s16s16s32_8x8__ref",
    .mr = TILE,
    .nr = TILE,
    .depth_step = STEP,
    .elem_bytes_a = 2,
    .elem_bytes_b = 2,
    .max_piece_bits = 16,
    .pack_a = pack__ref,
    .pack_b = pack__ref,
    .tile = {{gemm_s16s16s32_8x8__ref, gemm_s16s16s32_8x8__ref},
             {gemm_s16s16s32_8x8__ref, gemm_s16s16s32_8x8__ref}},
};

const gemm_family gemm_family_ref = {
    .name = "ref",
    .features = 0,
    .narrow = &kernel,
    .wide = &kernel,
    .block_bytes = 512 << 10,
    .piece_rows = 64,
    .look_up_s8 = look_up_s8__ref,
};
