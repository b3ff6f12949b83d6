/*
 * The AVX512-VNNI family: 8-bit operands by vpdpbusd, wide ones by vpdpwssd.  A tile is 8 rows of A
 * by 32 of B: 16 accumulators hide the latency of the multiply-add, and both sizes divide the usual
 * widths of layers and heads (64, 128, 768), so that little is computed on padding.
 *
 * Narrow: vpdpbusd wants u8 x s8, so side A is stored as u8 = a + 128 and
 *
 *     sum a * b = sum (a + 128) * b - 128 * sum b
 *
 * The last term depends on B only: packing B stores it, one int32 per row, in front of the panel,
 * and the accumulators start from it.  Intermediate sums may wrap mod 2^32; the result is the true
 * one because the true one fits.
 *
 *     A panel: u8    [depth / 4][MR][4]                 B panel: int32 [NR], s8 [depth / 4][NR][4]
 * Wide:
 *     A panel: int16 [depth / 2][MR][2]                 B panel: int16 [depth / 2][NR][2]
 */
#include "kernels/kernels.h"

#include <immintrin.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "kernels/x86_avx2/pack_panels.h"
#include "kernels/x86_avx2/x86_unroll.h"

enum { MR = 8, NR = 32, LANES = 16, VECTORS = NR / LANES };

#define FLIP_SIGNS UINT32_C(0x80808080)

static __m512i load_dwords(const void *p)
{
    return _mm512_load_si512(p);
}

static __m512i broadcast_dword(const void *p)
{
    int32_t x;
    memcpy(&x, p, 4);
    return _mm512_set1_epi32(x);
}

static void pack_a_s8__avx512vnni(void *dst, const pack_source *src, int64_t first_row,
                                  int64_t rows, int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, MR, 1, FLIP_SIGNS);
}

/* header[j] = -128 * sum over depth of b(j, .), mod 2^32, from a packed panel. */
static void store_corrections(int32_t *header, const uint8_t *panel, int64_t groups)
{
    const __m512i v128 = _mm512_set1_epi8((char)-128); /* read as u8: 128 */
    __m512i sum[VECTORS];
    X86_UNROLL
    for (int j = 0; j < VECTORS; j++)
        sum[j] = _mm512_setzero_si512();
    for (; groups > 0; groups--, panel += 4 * NR) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            sum[j] = _mm512_dpbusd_epi32(sum[j], v128, load_dwords(panel + 64 * j));
    }
    X86_UNROLL
    for (int j = 0; j < VECTORS; j++)
        _mm512_store_si512(header + j * LANES, _mm512_sub_epi32(_mm512_setzero_si512(), sum[j]));
}

static void pack_b_s8__avx512vnni(void *dst, const pack_source *src, int64_t first_row,
                                  int64_t rows, int64_t first_depth, int64_t depth, gemm_piece p)
{
    uint8_t *panel = (uint8_t *)dst + sizeof(int32_t) * NR;
    pack_panel(panel, src, first_row, rows, first_depth, depth, p, NR, 1, 0);
    store_corrections(dst, panel, (depth + 3) / 4);
}

static void pack_a_s16__avx512vnni(void *dst, const pack_source *src, int64_t first_row,
                                   int64_t rows, int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, MR, 2, 0);
}

static void pack_b_s16__avx512vnni(void *dst, const pack_source *src, int64_t first_row,
                                   int64_t rows, int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_panel(dst, src, first_row, rows, first_depth, depth, p, NR, 2, 0);
}

static void gemm_s8s8s32_8x32__avx512vnni(int32_t *restrict c, const void *restrict a,
                                          const void *restrict b, int64_t depth)
{
    const uint8_t *pa = a, *pb = b;
    __m512i acc[MR][VECTORS];
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            acc[i][j] = load_dwords(pb + 64 * j);
    }
    pb += sizeof(int32_t) * NR;
    for (int64_t groups = (depth + 3) / 4; groups > 0; groups--) {
        __m512i bv[VECTORS];
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            bv[j] = load_dwords(pb + 64 * j);
        X86_UNROLL
        for (int i = 0; i < MR; i++) {
            __m512i av = broadcast_dword(pa + 4 * i);
            X86_UNROLL
            for (int j = 0; j < VECTORS; j++)
                acc[i][j] = _mm512_dpbusd_epi32(acc[i][j], av, bv[j]);
        }
        pa += 4 * MR;
        pb += 4 * NR;
    }
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            _mm512_store_si512(c + i * NR + j * LANES, acc[i][j]);
    }
}

static void gemm_s16s16s32_8x32__avx512vnni(int32_t *restrict c, const void *restrict a,
                                            const void *restrict b, int64_t depth)
{
    const uint8_t *pa = a, *pb = b;
    __m512i acc[MR][VECTORS];
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            acc[i][j] = _mm512_setzero_si512();
    }
    for (int64_t groups = (depth + 1) / 2; groups > 0; groups--) {
        __m512i bv[VECTORS];
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            bv[j] = load_dwords(pb + 64 * j);
        X86_UNROLL
        for (int i = 0; i < MR; i++) {
            __m512i av = broadcast_dword(pa + 4 * i);
            X86_UNROLL
            for (int j = 0; j < VECTORS; j++)
                acc[i][j] = _mm512_dpwssd_epi32(acc[i][j], av, bv[j]);
        }
        pa += 4 * MR;
        pb += 4 * NR;
    }
    X86_UNROLL
    for (int i = 0; i < MR; i++) {
        X86_UNROLL
        for (int j = 0; j < VECTORS; j++)
            _mm512_store_si512(c + i * NR + j * LANES, acc[i][j]);
    }
}

static const gemm_kernel narrow = {
    .name = "gemm_s8s8s32_8x32__avx512vnni",
    .mr = MR,
    .nr = NR,
    .depth_step = 4,
    .elem_bytes_a = 1,
    .elem_bytes_b = 1,
    .header_b = sizeof(int32_t) * NR,
    .max_piece_bits = 8,
    .pack_a = pack_a_s8__avx512vnni,
    .pack_b = pack_b_s8__avx512vnni,
    .tile = {{gemm_s8s8s32_8x32__avx512vnni, NULL}, {NULL, NULL}},
};

static const gemm_kernel wide = {
    .name = "gemm_s16s16s32_8x32__avx512vnni",
    .mr = MR,
    .nr = NR,
    .depth_step = 2,
    .elem_bytes_a = 2,
    .elem_bytes_b = 2,
    .max_piece_bits = 16,
    .pack_a = pack_a_s16__avx512vnni,
    .pack_b = pack_b_s16__avx512vnni,
    .tile = {{gemm_s16s16s32_8x32__avx512vnni, gemm_s16s16s32_8x32__avx512vnni},
             {gemm_s16s16s32_8x32__avx512vnni, gemm_s16s16s32_8x32__avx512vnni}},
};

const gemm_family gemm_family_avx512vnni = {
    .name = "avx512vnni",
    .features = CPU_AVX2 | CPU_F16C | CPU_AVX512 | CPU_AVX512_VNNI,
    .narrow = &narrow,
    .wide = &wide,
    .block_bytes = 512 << 10,
    .piece_rows = 64,
    .look_up_s8 = look_up_s8__avx2,
};
