/*
 * Contracts of the integer GEMM kernels, and the table of families.
 *
 * A product C = A B^T (A[m][k], B[n][k], mantissas of 4..16 bits) is computed as a sum of products
 * of *pieces*, each narrow enough for one int32 micro-kernel:                      FORMATS.md (4)
 *
 *     x = PIECE_ALL(x)                        or        x = 256 * PIECE_HI(x) + PIECE_LO(x)
 *     PIECE_HI(x) = x >> 8 (signed)                     PIECE_LO(x) = x & 255 (unsigned)
 *
 *     C = sum over pieces (p, r), chunks c of the depth:
 *             2^(8 * (hi(p) + hi(r))) * tile(A_p,c  B_r,c)
 *
 * A tile is exact in int32 because the chunk of the depth is short enough (gemm_plan); the sum over
 * pieces and chunks is exact in double because it stays below 2^53 (k < 2^22, asserted where
 * operands are packed).
 *
 * A *kernel* is one struct: packing layout and micro-kernel are one contract, replaced as a whole.
 * A *family* is what one instruction set offers: a kernel for narrow operands (both <= 8 bits) and
 * one for wide ones.  The reference family is plain C and always there.
 */
#ifndef MTS_KERNELS_KERNELS_H
#define MTS_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

typedef enum gemm_piece {
    PIECE_ALL, /* the mantissa itself */
    PIECE_HI,  /* x >> 8, arithmetic: -128..127 */
    PIECE_LO,  /* x & 255: 0..255 */
} gemm_piece;

/*
 * Where packing reads: mantissas with |x| <= 2^(bits-1) - 1, int8 (elem_bytes 1) or int16 (2).
 *   straight:   x(row, depth) = data[row * ld + depth]     reduce along the columns of the source
 *   transposed: x(row, depth) = data[depth * ld + row]     reduce along the rows of the source
 * ld in elements.  Borrowed for the call.
 */
typedef struct pack_source {
    const void *data;
    int64_t ld;
    int elem_bytes;
    bool transposed;
} pack_source;

/*
 * Pack one panel: `width` rows (mr for side A, nr for side B) times padded depth, of one piece.
 *
 * dst    out  panel_bytes (see gemm_panel_bytes), 64-byte aligned; every byte is written, rows >=
 *             `rows` and depths >= `depth` as the value 0.
 * src    in   rows first_row .. first_row+rows-1 (1 <= rows <= width), depths first_depth ..
 *             first_depth+depth-1 (depth >= 1); nothing outside them is read.
 * p      in   which piece of each mantissa to store; PIECE_HI and PIECE_LO from int16 sources only.
 */
typedef void gemm_pack_fn(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                          int64_t first_depth, int64_t depth, gemm_piece p);

/*
 * c[i][j] = sum over depth of a(i, .) * b(j, .) for one tile.
 *
 * c      out  int32 c[mr][nr], dense, 64-byte aligned; overwritten.
 * a, b   in   one packed panel each, packed with the same depth by this kernel's pack_a / pack_b.
 * depth  in   the unpadded depth of the chunk, <= the plan's chunk: the true sums fit int32.
 * Exact:      every kernel returns the bits of the reference.  Reentrant.  Cannot fail.
 */
typedef void gemm_tile_fn(int32_t *restrict c, const void *restrict a, const void *restrict b,
                          int64_t depth);

/*
 * The tiles of one B panel with several A panels, for kernels that gain by it (the B panel is read
 * or converted once for all of them).
 *
 * c            out  int32 c[panels * mr][nr], else like that of gemm_tile_fn.
 * a            in   1 .. strip_panels A panels, panel_bytes apart.
 * b, depth     in   as in gemm_tile_fn.
 */
typedef void gemm_strip_fn(int32_t *restrict c, const void *restrict a, size_t panel_bytes,
                           int64_t panels, const void *restrict b, int64_t depth);

typedef struct gemm_kernel {
    const char *name; /* <op>_<types>_<tile>__<isa> */
    int mr, nr;       /* rows of an A panel, rows (columns of C) of a B panel; both <= 64 */
    int depth_step;   /* the packed depth is padded to a multiple of this */
    int elem_bytes_a; /* of a packed element of side A, B: 1 or 2 */
    int elem_bytes_b;
    size_t header_a; /* bytes in front of each A / B panel that are not elements (corrections) */
    size_t header_b;
    int max_piece_bits; /* 8: operands over 8 bits are packed as PIECE_HI + PIECE_LO on both sides;
                           16: PIECE_ALL, unless the sum of bits is over 25: then side B in two */
    gemm_pack_fn *pack_a, *pack_b;
    gemm_tile_fn *tile[2][2]; /* [a is PIECE_LO][b is PIECE_LO] */
    gemm_strip_fn *strip;     /* of tile[0][0], or NULL */
    int strip_panels;         /* the most that it takes: strip_panels * mr * nr <= 64 * 64 */
} gemm_kernel;

/* Numbers of weights in 4-bit codes, two in a byte, the upper half first: of block b, 64 codes,
 * out[64 b + i] = number[16 b + code i]. */
typedef void look_up_s8_fn(int8_t *out, const uint8_t *codes, const int8_t *number, int64_t blocks);

typedef struct gemm_family {
    const char *name;          /* "ref", "avx2", "avx512vnni", "amx" */
    uint32_t features;         /* CPU_* bits that must all be there (cpu/cpu_features.h) */
    const gemm_kernel *narrow; /* both operands <= 8 bits */
    const gemm_kernel *wide;   /* anything up to 16 x 16 bits */
    size_t block_bytes;        /* of A panels that stay in the L2 cache while B panels pass */
    int piece_rows;            /* most rows that go through a model at a time: 64 or 128 (more
                                   rows: B panels are read less often, but floats leave L2) */
    look_up_s8_fn *look_up_s8;
    void (*thread_begin)(void); /* per-thread state around a run of tiles (AMX: tile */
    void (*thread_end)(void);   /* configuration), or NULL */
} gemm_family;

/* Bytes of one packed panel of side A / B holding `depth` (unpadded); a multiple of 64. */
size_t gemm_panel_bytes_a(const gemm_kernel *kernel, int64_t depth);
size_t gemm_panel_bytes_b(const gemm_kernel *kernel, int64_t depth);

look_up_s8_fn look_up_s8__ref, look_up_s8__avx2;

extern const gemm_family gemm_family_ref;
extern const gemm_family gemm_family_avx2;       /* x86-64 builds only */
extern const gemm_family gemm_family_avx512vnni; /* x86-64 builds only */
extern const gemm_family gemm_family_amx;        /* x86-64 builds only */

/* All families of this build in rising order of preference; *count of them. */
const gemm_family *const *kernels_families(int *count);

/*
 * The family in use: the best one that this processor and system allow, or the one that the
 * environment variable MANTISSA_KERNEL names (an empty one names none).  Decided at the first call
 * that succeeds and kept; any thread may call it.
 * MTS_ERR_ARGUMENT: unknown name.  MTS_ERR_UNSUPPORTED: known, but not possible here (says why).
 */
MTS_NODISCARD mts_status kernels_select(mts_ctx *ctx, const gemm_family **out);

#endif
