/*
 * The AVX2 family: int16 x int16 -> int32 by vpmaddwd + vpaddd, for narrow and wide operands.
 * vpmaddwd sums two products exactly: pieces never reach -32768, so |sum| < 2^31.  Not vpmaddubsw:
 * it saturates at int16.
 *
 * Tiles of 4 x 24: 12 accumulators, 3 vectors of B and one of A are the 16 registers.  A tile of
 * 4 x 16 loads 6 times for 8 multiplications, this one 7 times for 12.
 *
 *     wide      A: int16 [depth / 2][4 rows][2]       B: int16 [depth / 2][24 rows][2]
 *     narrow    A: int16 [depth / 4][2][4 rows][2]    B: int8 [depth / 4][24 rows][4]
 *
 * Narrow panels of B are half as large in memory, and are widened on their way into the first-level
 * cache, 384 depths at a time, once for all panels of A in a strip.  Widening shifts the even and
 * the odd bytes of each group of 4 depths into int16 of their own, so the pairs that vpmaddwd sums
 * are depths (0, 2) and (1, 3) of a group, on both sides.
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "kernels/x86_avx2/pack_panels.h"
#include "kernels/x86_avx2/x86_unroll.h"

enum {
    MR = 4,
    NR = 24,
    LANES = 8,
    VECTORS = NR / LANES,
    TILE = MR * NR,
    PART = 384, /* depths of B that are widened at a time: 18 KB */
    STRIP_PANELS =
        16,          /* with those 6 KB of tiles, and 3 KB of a panel of A: the first-level cache */
    A_PAIR = MR * 4, /* bytes of two depths of a panel of A, */
    B_PAIR = NR * 4, /* of a panel of B, */
    B_QUAD = NR * 4, /* and of four depths of a narrow panel of B */
};

static void pack_a_wide__avx2(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                              int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, MR, 2, 0);
}

static void pack_b_wide__avx2(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                              int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, NR, 2, 0);
}

static void pack_b_narrow__avx2(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                                int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, NR, 1, 0);
}

/* Depths 0 and 2, 1 and 3 of each group of 4 int8. */
MTS_INLINE __m256i even_depths(__m256i x)
{
    return _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8);
}

MTS_INLINE __m256i odd_depths(__m256i x)
{
    return _mm256_srai_epi16(x, 8);
}

/* Packs int8 into the upper half of the panel and widens them from there to the front. */
static void pack_a_narrow__avx2(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                                int64_t first_depth, int64_t depth, gemm_piece p)
{
    const int64_t groups = (depth + 3) / 4;
    uint8_t *out = dst, *half = out + groups * 2 * A_PAIR / 2;
    pack_job job = pack_begin(src, first_row, rows, first_depth, depth, p, MR);
#define PACK_CALL(src_bytes, p)                                                                    \
    pack_job_panel((void *)half, &job, src->transposed, p, MR, 1, src_bytes, 0)
    PACK_DISPATCH(src, p, PACK_CALL);
#undef PACK_CALL
    for (int64_t g = 0; g < groups; g++) {
        const __m128i x = _mm_loadu_si128((const void *)(half + g * A_PAIR));
        const __m256i both = _mm256_broadcastsi128_si256(x);
        const __m256i wide =
            _mm256_blend_epi32(even_depths(both), odd_depths(both), 0xf0); /* even, then odd */
        _mm256_storeu_si256((void *)(out + g * 2 * A_PAIR), wide);
    }
    const size_t bytes = (size_t)(groups * 2 * A_PAIR);
    memset(out + bytes, 0, (64 - bytes % 64) % 64);
}

/* c[4][24] = or += the sums of `pairs` pairs of depths.  Not inlined: gcc 12 would keep
 * accumulators in memory. */
static MTS_NOINLINE void gemm_s16s16s32_pairs__avx2(int32_t *restrict c, const uint8_t *restrict pa,
                                                    const uint8_t *restrict pb, int64_t pairs,
                                                    bool add)
{
    __m256i acc[MR][VECTORS];
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            acc[i][j] = add ? _mm256_load_si256((const void *)(c + i * NR + j * LANES))
                            : _mm256_setzero_si256();
    }
    for (; pairs > 0; pairs--) {
        __m256i bv[VECTORS];
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            bv[j] = _mm256_load_si256((const void *)(pb + 4 * LANES * j));
        X86_UNROLL
        for (int i = 0; i < MR; i++) {
            int32_t pair;
            memcpy(&pair, pa + 4 * i, 4);
            __m256i av = _mm256_set1_epi32(pair);
            X86_UNROLL
            for (int j = 0; j < VECTORS; j++)
                acc[i][j] = _mm256_add_epi32(acc[i][j], _mm256_madd_epi16(av, bv[j]));
        }
        pa += A_PAIR;
        pb += B_PAIR;
    }
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            _mm256_store_si256((void *)(c + i * NR + j * LANES), acc[i][j]);
    }
}

static void gemm_s16s16s32_4x24__avx2(int32_t *restrict c, const void *restrict a,
                                      const void *restrict b, int64_t depth)
{
    gemm_s16s16s32_pairs__avx2(c, a, b, (depth + 1) / 2, false);
}

/* wide[groups][2][24 rows][2] of b[groups][24 rows][4]. */
static void widen(uint8_t *restrict wide, const uint8_t *restrict b, int64_t groups)
{
    for (int64_t g = 0; g < groups; g++, b += B_QUAD, wide += 2 * B_PAIR) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++) {
            const __m256i x = _mm256_load_si256((const void *)(b + 4 * LANES * j));
            _mm256_store_si256((void *)(wide + 4 * LANES * j), even_depths(x));
            _mm256_store_si256((void *)(wide + B_PAIR + 4 * LANES * j), odd_depths(x));
        }
    }
}

/* Bring `bytes` bytes to the second-level cache.  May be past the end: never faults. */
MTS_INLINE void prefetch(const uint8_t *at, int64_t bytes)
{
    for (int64_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)at + i, _MM_HINT_T1);
}

/* While a part of B is multiplied, the next one is fetched: it may be the first of the next panel,
 * which lies behind this one. */
static void gemm_s16s8s32_strip_4x24__avx2(int32_t *restrict c, const void *restrict a,
                                           size_t panel_bytes, int64_t panels,
                                           const void *restrict b, int64_t depth)
{
    MTS_ALIGN64 uint8_t wide[PART / 2 * B_PAIR];
    const uint8_t *pb = b;
    for (int64_t at = 0; at < depth; at += PART) {
        const int64_t groups = (pack_min(depth - at, PART) + 3) / 4;
        const uint8_t *pa = (const uint8_t *)a + at / 2 * A_PAIR;
        widen(wide, pb, groups);
        pb += groups * B_QUAD;
        const int64_t slice = (groups * B_QUAD / panels + 63) / 64 * 64;
        for (int64_t i = 0; i < panels; i++, pa += panel_bytes) {
            prefetch(pb + i * slice, slice);
            gemm_s16s16s32_pairs__avx2(c + i * TILE, pa, wide, 2 * groups, at > 0);
        }
    }
}

static void gemm_s16s8s32_4x24__avx2(int32_t *restrict c, const void *restrict a,
                                     const void *restrict b, int64_t depth)
{
    gemm_s16s8s32_strip_4x24__avx2(c, a, 0, 1, b, depth);
}

static const gemm_kernel narrow = {
    .name = "gemm_s16s8s32_4x24__avx2",
    .mr = MR,
    .nr = NR,
    .depth_step = 4,
    .elem_bytes_a = 2,
    .elem_bytes_b = 1,
    .max_piece_bits = 16,
    .pack_a = pack_a_narrow__avx2,
    .pack_b = pack_b_narrow__avx2,
    .tile = {{gemm_s16s8s32_4x24__avx2, NULL}, {NULL, NULL}},
    .strip_panels = STRIP_PANELS,
    .strip = gemm_s16s8s32_strip_4x24__avx2,
};

static const gemm_kernel wide = {
    .name = "gemm_s16s16s32_4x24__avx2",
    .mr = MR,
    .nr = NR,
    .depth_step = 2,
    .elem_bytes_a = 2,
    .elem_bytes_b = 2,
    .max_piece_bits = 16,
    .pack_a = pack_a_wide__avx2,
    .pack_b = pack_b_wide__avx2,
    .tile = {{gemm_s16s16s32_4x24__avx2, gemm_s16s16s32_4x24__avx2},
             {gemm_s16s16s32_4x24__avx2, gemm_s16s16s32_4x24__avx2}},
};

const gemm_family gemm_family_avx2 = {
    .name = "avx2",
    .features = CPU_AVX2,
    .narrow = &narrow,
    .wide = &wide,
    .block_bytes = 512 << 10,
    .piece_rows = 64,
    .look_up_s8 = look_up_s8__avx2,
};
