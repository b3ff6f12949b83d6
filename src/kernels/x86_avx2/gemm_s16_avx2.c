/*
 * The AVX2 family: int16 x int16 -> int32 by vpmaddwd + vpaddd, for narrow and wide operands.
 *
 * Panels: int16 [depth / 2][4 or 24 rows][2]; int8 sources are widened while packing.
 * vpmaddwd sums two products exactly: pieces never reach -32768, so |sum| < 2^31.
 * Not vpmaddubsw: it saturates at int16.
 *
 * 4 x 24: 12 accumulators, 3 vectors of B and one of A are the 16 registers.  A tile of 4 x 16
 * loads 6 times for 8 multiplications, this one 7 times for 12.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "kernels/x86_avx2/pack_panels.h"
#include "kernels/x86_avx2/x86_unroll.h"

enum { MR = 4, NR = 24, LANES = 8, VECTORS = NR / LANES };

static void pack_a__avx2(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                         int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, MR, 2, 0);
}

static void pack_b__avx2(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                         int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, NR, 2, 0);
}

static void gemm_s16s16s32_4x24__avx2(int32_t *restrict c, const void *restrict a,
                                      const void *restrict b, int64_t depth)
{
    const uint8_t *pa = a, *pb = b;
    __m256i acc[MR][VECTORS];
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            acc[i][j] = _mm256_setzero_si256();
    }
    for (int64_t groups = (depth + 1) / 2; groups > 0; groups--) {
        __m256i bv[VECTORS];
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            bv[j] = _mm256_load_si256((const __m256i *)(const void *)(pb + 32 * j));
        X86_UNROLL
        for (int i = 0; i < MR; i++) {
            int32_t pair;
            memcpy(&pair, pa + 4 * i, 4);
            __m256i av = _mm256_set1_epi32(pair);
            X86_UNROLL
            for (int j = 0; j < VECTORS; j++)
                acc[i][j] = _mm256_add_epi32(acc[i][j], _mm256_madd_epi16(av, bv[j]));
        }
        pa += 4 * MR;
        pb += 4 * NR;
    }
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            _mm256_store_si256((__m256i *)(void *)(c + i * NR + j * LANES), acc[i][j]);
    }
}

static const gemm_kernel kernel = {
    .name = "gemm_s16s16s32_4x24__avx2",
    .mr = MR,
    .nr = NR,
    .depth_step = 2,
    .elem_bytes = 2,
    .max_piece_bits = 16,
    .pack_a = pack_a__avx2,
    .pack_b = pack_b__avx2,
    .tile = {{gemm_s16s16s32_4x24__avx2, gemm_s16s16s32_4x24__avx2},
             {gemm_s16s16s32_4x24__avx2, gemm_s16s16s32_4x24__avx2}},
};

const gemm_family gemm_family_avx2 = {
    .name = "avx2",
    .features = CPU_AVX2,
    .narrow = &kernel,
    .wide = &kernel,
};
