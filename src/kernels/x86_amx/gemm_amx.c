/*
 * The AMX family: 8-bit pieces of either sign, tiles of 16 rows x 64 bytes, by tdpb{ss,su,us,uu}d.
 *
 * One micro-kernel computes 32 x 32 from 2 x 2 tiles.  A k-step is 64 depths = 2 KB of each side:
 *
 *     A panel: [depth / 64][2 halves][16 rows][64 depths]
 *     B panel: [depth / 64][2 halves][16 groups][16 rows of B][4 depths]
 *
 * so that both sides are read as one contiguous stream.  The k-loop prefetches both, 4 k-steps
 * ahead, in four portions, one behind each multiplication: in one clump the prefetches fill the
 * load queue and the tile loads wait.
 *
 * Operands over 8 bits come as PIECE_HI (signed) and PIECE_LO (unsigned), see kernels.h.
 *
 * Does not configure the tiles: thread_begin does, once per thread and run of tiles.
 */
#include "kernels/kernels.h"

#include <immintrin.h>

#include "cpu/cpu_features.h"
#include "kernels/x86_avx2/pack_panels.h"
#include "kernels/x86_avx2/x86_unroll.h"

enum {
    HALF = 16,              /* rows of one tile */
    SIZE = 2 * HALF,        /* rows of a panel */
    STEP = 64,              /* depths of one k-step */
    HALF_BYTES = 64 * HALF, /* one tile */
    STEP_BYTES = 2 * HALF_BYTES,
    GROUPS = STEP / 4,
    AHEAD = 4 * STEP_BYTES, /* how far the k-loop prefetches */
};

/* ------------------------------------------------------------------------------ packing ---- */

MTS_INLINE void pack_job_a(uint8_t *restrict dst, const pack_job *job, bool transposed,
                           gemm_piece p, int src_bytes)
{
    uint32_t lines[GROUPS][SIZE];
    for (int64_t d = 0; d < job->depth; d += STEP, dst += STEP_BYTES) {
        if (!transposed) {
            pack_convert_block(dst, job, d, p, SIZE, 1, src_bytes);
            continue;
        }
        for (int g = 0; g < GROUPS; g++)
            pack_group_line(lines[g], job, 0, job->rows, d + 4 * g, p, SIZE, 1, src_bytes, 0);
        pack_transpose((uint32_t *)(void *)dst, GROUPS, (const uint8_t *)lines, sizeof lines[0],
                       SIZE, GROUPS, 0);
    }
}

static void pack_a__amx(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                        int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_job job = pack_begin(src, first_row, rows, first_depth, depth, p, SIZE);
#define PACK_CALL(src_bytes, p) pack_job_a(dst, &job, src->transposed, p, src_bytes)
    PACK_DISPATCH(src, p, PACK_CALL);
#undef PACK_CALL
}

/* One k-step of side B from a transposed source: each half is a small panel of its own. */
MTS_INLINE void pack_step_b_transposed(uint32_t *restrict dst, const pack_job *job, int64_t d,
                                       gemm_piece p, int src_bytes)
{
    for (int64_t first = 0; first < SIZE; first += HALF) {
        int64_t rows = pack_min(job->rows - first, HALF);
        if (rows < 0)
            rows = 0;
        for (int g = 0; g < GROUPS; g++, dst += HALF)
            pack_group_line(dst, job, first, rows, d + 4 * g, p, HALF, 1, src_bytes, 0);
    }
}

MTS_INLINE void pack_job_b(uint32_t *restrict dst, const pack_job *job, bool transposed,
                           gemm_piece p, int src_bytes)
{
    uint8_t block[STEP_BYTES];
    const bool in_place = src_bytes == 1 && p == PIECE_ALL && job->rows == SIZE;
    for (int64_t d = 0; d < job->depth; d += STEP, dst += STEP_BYTES / 4) {
        const uint8_t *rows = block;
        int64_t stride = PACK_ROW_BYTES;
        if (transposed) {
            pack_step_b_transposed(dst, job, d, p, src_bytes);
            continue;
        }
        if (in_place && job->depth - d >= STEP) {
            rows = job->in + d;
            stride = job->line;
        } else {
            pack_convert_block(block, job, d, p, SIZE, 1, src_bytes);
        }
        for (int h = 0; h < 2; h++)
            pack_transpose(dst + h * (HALF_BYTES / 4), HALF, rows + h * HALF * stride, stride,
                           GROUPS, HALF, 0);
    }
}

static void pack_b__amx(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                        int64_t first_depth, int64_t depth, gemm_piece p)
{
    pack_job job = pack_begin(src, first_row, rows, first_depth, depth, p, SIZE);
#define PACK_CALL(src_bytes, p) pack_job_b(dst, &job, src->transposed, p, src_bytes)
    PACK_DISPATCH(src, p, PACK_CALL);
#undef PACK_CALL
}

/* -------------------------------------------------------------------------------- tiles ---- */

typedef enum sign_pair {
    SIGNED_SIGNED,
    SIGNED_UNSIGNED,
    UNSIGNED_SIGNED,
    UNSIGNED_UNSIGNED,
} sign_pair;

/* Tiles: 0..3 accumulate the 2 x 2 result, 4 and 5 hold A, 6 and 7 hold B.  Numbers of tiles must
 * be literals, hence a macro. */
#define MULTIPLY(signs, c, a, b)                                                                   \
    do {                                                                                           \
        if ((signs) == SIGNED_SIGNED)                                                              \
            _tile_dpbssd(c, a, b);                                                                 \
        else if ((signs) == SIGNED_UNSIGNED)                                                       \
            _tile_dpbsud(c, a, b);                                                                 \
        else if ((signs) == UNSIGNED_SIGNED)                                                       \
            _tile_dpbusd(c, a, b);                                                                 \
        else                                                                                       \
            _tile_dpbuud(c, a, b);                                                                 \
    } while (0)

/* A quarter of the next k-step but three, of both sides.  May run past the end: never faults. */
MTS_INLINE void prefetch_quarter(const uint8_t *a, const uint8_t *b, int quarter)
{
    const int bytes = STEP_BYTES / 4;
    X86_UNROLL
    for (int i = quarter * bytes; i < (quarter + 1) * bytes; i += 64) {
        _mm_prefetch((const char *)a + AHEAD + i, _MM_HINT_T0);
        _mm_prefetch((const char *)b + AHEAD + i, _MM_HINT_T0);
    }
}

MTS_INLINE void compute_tile(int32_t *restrict c, const void *restrict panel_a,
                             const void *restrict panel_b, int64_t depth, sign_pair signs)
{
    const uint8_t *a = panel_a, *b = panel_b;
    __asm__ volatile("" ::: "memory"); /* gcc 12: tile loads do not say that they read memory */
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (; depth > 0; depth -= STEP, a += STEP_BYTES, b += STEP_BYTES) {
        _tile_loadd(6, b, 64);
        _tile_loadd(4, a, 64);
        MULTIPLY(signs, 0, 4, 6);
        prefetch_quarter(a, b, 0);
        _tile_loadd(7, b + HALF_BYTES, 64);
        MULTIPLY(signs, 1, 4, 7);
        prefetch_quarter(a, b, 1);
        _tile_loadd(5, a + HALF_BYTES, 64);
        MULTIPLY(signs, 2, 5, 6);
        prefetch_quarter(a, b, 2);
        MULTIPLY(signs, 3, 5, 7);
        prefetch_quarter(a, b, 3);
    }
    _tile_stored(0, c, 4 * SIZE);
    _tile_stored(1, c + HALF, 4 * SIZE);
    _tile_stored(2, c + HALF * SIZE, 4 * SIZE);
    _tile_stored(3, c + HALF * SIZE + HALF, 4 * SIZE);
    __asm__ volatile("" ::: "memory");
}

static void gemm_s8s8s32_32x32__amx(int32_t *restrict c, const void *restrict a,
                                    const void *restrict b, int64_t depth)
{
    compute_tile(c, a, b, depth, SIGNED_SIGNED);
}

static void gemm_s8u8s32_32x32__amx(int32_t *restrict c, const void *restrict a,
                                    const void *restrict b, int64_t depth)
{
    compute_tile(c, a, b, depth, SIGNED_UNSIGNED);
}

static void gemm_u8s8s32_32x32__amx(int32_t *restrict c, const void *restrict a,
                                    const void *restrict b, int64_t depth)
{
    compute_tile(c, a, b, depth, UNSIGNED_SIGNED);
}

static void gemm_u8u8s32_32x32__amx(int32_t *restrict c, const void *restrict a,
                                    const void *restrict b, int64_t depth)
{
    compute_tile(c, a, b, depth, UNSIGNED_UNSIGNED);
}

/* -------------------------------------------------------------- tile state of a thread ---- */

/* The 64 bytes that ldtilecfg reads. */
typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} tile_config;

_Static_assert(sizeof(tile_config) == 64, "ldtilecfg reads 64 bytes");

/* Constant data, not a local: gcc 12 tells the optimiser that only 8 bytes of it are read, so
 * stores to the rest of a local one are deleted. */
static const tile_config full_tiles = {
    .palette = 1,
    .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
    .rows = {HALF, HALF, HALF, HALF, HALF, HALF, HALF, HALF},
};

static void configure_tiles(void)
{
    _tile_loadconfig(&full_tiles);
}

static void release_tiles(void)
{
    _tile_release();
}

static const gemm_kernel narrow = {
    .name = "gemm_s8s8s32_32x32__amx",
    .mr = SIZE,
    .nr = SIZE,
    .depth_step = STEP,
    .elem_bytes_a = 1,
    .elem_bytes_b = 1,
    .max_piece_bits = 8,
    .pack_a = pack_a__amx,
    .pack_b = pack_b__amx,
    .tile = {{gemm_s8s8s32_32x32__amx, NULL}, {NULL, NULL}},
};

static const gemm_kernel wide = {
    .name = "gemm_p8p8s32_32x32__amx",
    .mr = SIZE,
    .nr = SIZE,
    .depth_step = STEP,
    .elem_bytes_a = 1,
    .elem_bytes_b = 1,
    .max_piece_bits = 8,
    .pack_a = pack_a__amx,
    .pack_b = pack_b__amx,
    .tile = {{gemm_s8s8s32_32x32__amx, gemm_s8u8s32_32x32__amx},
             {gemm_u8s8s32_32x32__amx, gemm_u8u8s32_32x32__amx}},
};

const gemm_family gemm_family_amx = {
    .name = "amx",
    .features = CPU_AVX2 | CPU_F16C | CPU_AVX512 | CPU_AVX512_VNNI | CPU_AMX_INT8,
    .narrow = &narrow,
    .wide = &wide,
    .block_bytes = 1 << 20,
    .piece_rows = 128,
    .look_up_s8 = look_up_s8__avx2,
    .thread_begin = configure_tiles,
    .thread_end = release_tiles,
};
