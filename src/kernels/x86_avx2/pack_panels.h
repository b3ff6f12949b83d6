/*
 * Packing into panels of dwords, shared by the x86 families (all of them have AVX2); each of their
 * files includes it and compiles it with its own instruction set.
 *
 * A *group* is one dword: 4 bytes or 2 int16 of consecutive depths of one row.  A panel is
 *
 *     uint32 [groups][width]          groups = padded depth / (4 / element bytes)
 *
 *     transposed source:  one source line per depth holds the rows side by side, so a line of
 *                         the panel is 4 (or 2) source lines interleaved
 *     straight source:    goes by blocks of 16 groups, [width][16 dwords]; a block is read in
 *                         place, or converted first where types differ or rows or depths are
 *                         missing, and leaves as its transpose, [16][width] dwords
 *
 * Every dword is xored with `flip` on its way out: 0x80808080 turns s8 into u8 = s8 + 128.
 *
 * All functions are inlined into a caller that passes width, elem_bytes, src_bytes, p and flip as
 * constants; what looks like a branch on them is none.
 */
#ifndef MTS_KERNELS_X86_AVX2_PACK_PANELS_H
#define MTS_KERNELS_X86_AVX2_PACK_PANELS_H

#include <assert.h>
#include <immintrin.h>
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/x86_avx2/x86_unroll.h"

enum {
    PACK_GROUPS = 16,                 /* of one block */
    PACK_ROW_BYTES = 4 * PACK_GROUPS, /* packed bytes of one row in a block */
    PACK_MAX_WIDTH = 64,              /* rows of a panel */
};

/* What the caller of a gemm_pack_fn asked for, from first_row and first_depth on. */
typedef struct pack_job {
    const uint8_t *in;   /* element (first_row, first_depth) of the source */
    int64_t line;        /* bytes from one source line to the next */
    int64_t rows, depth; /* that exist */
} pack_job;

MTS_INLINE pack_job pack_begin(const pack_source *src, int64_t first_row, int64_t rows,
                               int64_t first_depth, int64_t depth, gemm_piece p, int width)
{
    int64_t at =
        src->transposed ? first_depth * src->ld + first_row : first_row * src->ld + first_depth;
    assert(rows >= 1 && rows <= width && width <= PACK_MAX_WIDTH && depth >= 1);
    assert(p == PIECE_ALL || src->elem_bytes == 2);
    (void)p, (void)width;
    return (pack_job){(const uint8_t *)src->data + at * src->elem_bytes, src->ld * src->elem_bytes,
                      rows, depth};
}

MTS_INLINE int64_t pack_min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Element i of a source line as the bits of a packed element, in the low 8 or 16 bits. */
MTS_INLINE uint32_t pack_element(const uint8_t *line, int64_t i, int elem_bytes, int src_bytes,
                                 gemm_piece p)
{
    int16_t x;
    if (src_bytes == 1)
        x = (int8_t)line[i];
    else
        memcpy(&x, line + 2 * i, 2);
    int y = p == PIECE_HI ? x >> 8 : x;
    return (uint32_t)y & (elem_bytes == 1 || p == PIECE_LO ? 0xffu : 0xffffu);
}

/* pack_element of elements i .. i+n-1, n = 8 or 4 (then the upper four lanes mean nothing). */
MTS_INLINE __m256i pack_elements(const uint8_t *line, int64_t i, int n, int elem_bytes,
                                 int src_bytes, gemm_piece p)
{
    const void *at = line + i * src_bytes;
    __m128i raw;
    int32_t four_bytes;
    if (n * src_bytes == 16) {
        raw = _mm_loadu_si128(at);
    } else if (n * src_bytes == 8) {
        raw = _mm_loadl_epi64(at);
    } else {
        memcpy(&four_bytes, at, 4);
        raw = _mm_cvtsi32_si128(four_bytes);
    }
    __m256i x = src_bytes == 1 ? _mm256_cvtepi8_epi32(raw) : _mm256_cvtepi16_epi32(raw);
    if (p == PIECE_HI)
        x = _mm256_srai_epi32(x, 8);
    return _mm256_and_si256(x, _mm256_set1_epi32(elem_bytes == 1 || p == PIECE_LO ? 0xff : 0xffff));
}

/* ------------------------------------------------------------------- transposed source ---- */

/* Groups of rows r .. r+n-1 (n = 8 or 4), from one source line per depth, the first one lowest. */
MTS_INLINE __m256i pack_interleave_vector(const uint8_t *const *lines, int64_t r, int n,
                                          int elem_bytes, int src_bytes, gemm_piece p,
                                          uint32_t flip)
{
    __m256i x = _mm256_set1_epi32((int)flip);
    for (int i = 0; i < 4 / elem_bytes; i++) {
        __m256i e = pack_elements(lines[i], r, n, elem_bytes, src_bytes, p);
        x = _mm256_xor_si256(x, _mm256_slli_epi32(e, 8 * elem_bytes * i));
    }
    return x;
}

/* out[r] = the group of row r, for r < rows. */
MTS_INLINE void pack_interleave(uint32_t *restrict out, const uint8_t *const *lines, int64_t rows,
                                int elem_bytes, int src_bytes, gemm_piece p, uint32_t flip)
{
    int64_t r = 0;
    for (; r + 8 <= rows; r += 8) {
        __m256i x = pack_interleave_vector(lines, r, 8, elem_bytes, src_bytes, p, flip);
        _mm256_storeu_si256((void *)(out + r), x);
    }
    if (r + 4 <= rows) {
        __m256i x = pack_interleave_vector(lines, r, 4, elem_bytes, src_bytes, p, flip);
        _mm_storeu_si128((void *)(out + r), _mm256_castsi256_si128(x));
        r += 4;
    }
    for (; r < rows; r++) {
        uint32_t x = flip;
        for (int i = 0; i < 4 / elem_bytes; i++)
            x ^= pack_element(lines[i], r, elem_bytes, src_bytes, p) << (8 * elem_bytes * i);
        out[r] = x;
    }
}

/* One line [width] of the panel: the group that begins at depth d (which may be past the end), of
 * `rows` rows (0..width) from row first_row of the job on, then zeros. */
MTS_INLINE void pack_group_line(uint32_t *restrict out, const pack_job *job, int64_t first_row,
                                int64_t rows, int64_t d, gemm_piece p, int width, int elem_bytes,
                                int src_bytes, uint32_t flip)
{
    static const uint8_t zeros[2 * PACK_MAX_WIDTH];
    const int per_group = 4 / elem_bytes;
    const uint8_t *lines[4] = {zeros, zeros, zeros, zeros};
    const uint8_t *in = job->in + first_row * src_bytes;
    for (int i = 0; i < per_group; i++)
        lines[i] = d + i < job->depth ? in + (d + i) * job->line : zeros;
    if (rows == width) {
        pack_interleave(out, lines, width, elem_bytes, src_bytes, p, flip);
        return;
    }
    pack_interleave(out, lines, rows, elem_bytes, src_bytes, p, flip);
    for (int64_t r = rows; r < width; r++)
        out[r] = flip;
}

/* --------------------------------------------------------------------- straight source ---- */

/* Convert n consecutive elements to packed elements. */
MTS_INLINE void pack_convert(uint8_t *restrict out, const uint8_t *restrict in, int64_t n,
                             int elem_bytes, int src_bytes, gemm_piece p)
{
    for (int64_t i = 0; i < n; i++) {
        uint16_t x = (uint16_t)pack_element(in, i, elem_bytes, src_bytes, p);
        if (elem_bytes == 1)
            out[i] = (uint8_t)x;
        else
            memcpy(out + 2 * i, &x, 2);
    }
}

/* out[width][64 bytes]: the block that begins at depth d, zeros where the source has ended. */
MTS_INLINE void pack_convert_block(uint8_t *restrict out, const pack_job *job, int64_t d,
                                   gemm_piece p, int width, int elem_bytes, int src_bytes)
{
    const int full = PACK_ROW_BYTES / elem_bytes;
    int64_t n = pack_min(job->depth - d, full);
    for (int64_t r = 0; r < job->rows; r++, out += PACK_ROW_BYTES) {
        const uint8_t *row = job->in + r * job->line + d * src_bytes;
        if (n == full) {
            pack_convert(out, row, full, elem_bytes, src_bytes, p);
        } else {
            pack_convert(out, row, n, elem_bytes, src_bytes, p);
            memset(out + n * elem_bytes, 0, (size_t)((full - n) * elem_bytes));
        }
    }
    memset(out, 0, (size_t)((width - job->rows) * PACK_ROW_BYTES));
}

/* x[i] lane j becomes x[j] lane i. */
MTS_INLINE void pack_transpose8(__m256i x[8])
{
    __m256i y[8];
    X86_UNROLL
    for (int i = 0; i < 8; i += 2) { /* pairs of rows, dword by dword */
        y[i] = _mm256_unpacklo_epi32(x[i], x[i + 1]);
        y[i + 1] = _mm256_unpackhi_epi32(x[i], x[i + 1]);
    }
    X86_UNROLL
    for (int i = 0; i < 8; i += 4) { /* four rows: columns 0|4, 1|5, 2|6, 3|7 */
        x[i] = _mm256_unpacklo_epi64(y[i], y[i + 2]);
        x[i + 1] = _mm256_unpackhi_epi64(y[i], y[i + 2]);
        x[i + 2] = _mm256_unpacklo_epi64(y[i + 1], y[i + 3]);
        x[i + 3] = _mm256_unpackhi_epi64(y[i + 1], y[i + 3]);
    }
    X86_UNROLL
    for (int i = 0; i < 4; i++) {
        y[i] = _mm256_permute2x128_si256(x[i], x[i + 4], 0x20);
        y[i + 4] = _mm256_permute2x128_si256(x[i], x[i + 4], 0x31);
    }
    X86_UNROLL
    for (int i = 0; i < 8; i++)
        x[i] = y[i];
}

/* dst[g][r] = dword g of row r, for g < groups, r < width; the rows are `stride` bytes apart. */
MTS_INLINE void pack_transpose(uint32_t *restrict dst, int64_t dst_stride, const uint8_t *rows,
                               int64_t stride, int64_t groups, int width, uint32_t flip)
{
    int64_t g = 0;
    for (; width % 8 == 0 && g + 8 <= groups; g += 8) {
        for (int64_t r = 0; r < width; r += 8) {
            __m256i x[8];
            X86_UNROLL
            for (int i = 0; i < 8; i++)
                x[i] = _mm256_loadu_si256((const void *)(rows + (r + i) * stride + 4 * g));
            pack_transpose8(x);
            X86_UNROLL
            for (int i = 0; i < 8; i++)
                _mm256_storeu_si256((void *)(dst + (g + i) * dst_stride + r),
                                    _mm256_xor_si256(x[i], _mm256_set1_epi32((int)flip)));
        }
    }
    for (; g < groups; g++) {
        for (int64_t r = 0; r < width; r++) {
            uint32_t x;
            memcpy(&x, rows + r * stride + 4 * g, 4);
            dst[g * dst_stride + r] = x ^ flip;
        }
    }
}

/* ------------------------------------------------------------------------- whole panel ---- */

MTS_INLINE void pack_job_panel(uint32_t *restrict dst, const pack_job *job, bool transposed,
                               gemm_piece p, int width, int elem_bytes, int src_bytes,
                               uint32_t flip)
{
    const int per_group = 4 / elem_bytes, per_block = PACK_ROW_BYTES / elem_bytes;
    uint8_t block[PACK_ROW_BYTES * PACK_MAX_WIDTH];
    if (transposed) {
        for (int64_t d = 0; d < job->depth; d += per_group, dst += width)
            pack_group_line(dst, job, 0, job->rows, d, p, width, elem_bytes, src_bytes, flip);
        return;
    }
    const bool in_place = src_bytes == elem_bytes && p == PIECE_ALL;
    for (int64_t d = 0; d < job->depth; d += per_block) {
        int64_t n = pack_min(job->depth - d, per_block), groups = (n + per_group - 1) / per_group;
        if (in_place && job->rows == width && n == per_block) {
            pack_transpose(dst, width, job->in + d * src_bytes, job->line, groups, width, flip);
        } else {
            pack_convert_block(block, job, d, p, width, elem_bytes, src_bytes);
            pack_transpose(dst, width, block, PACK_ROW_BYTES, groups, width, flip);
        }
        dst += groups * width;
    }
}

/* Call `call(src_bytes, piece)` with both as constants; int8 sources are never split. */
#define PACK_DISPATCH(src, p, call)                                                                \
    do {                                                                                           \
        if ((src)->elem_bytes == 1)                                                                \
            call(1, PIECE_ALL);                                                                    \
        else if ((p) == PIECE_ALL)                                                                 \
            call(2, PIECE_ALL);                                                                    \
        else if ((p) == PIECE_HI)                                                                  \
            call(2, PIECE_HI);                                                                     \
        else                                                                                       \
            call(2, PIECE_LO);                                                                     \
    } while (0)

/*
 * Pack one panel of uint32 [groups][width] and fill it up with zeros to a multiple of 64 bytes.
 * The arguments up to p are those of gemm_pack_fn.
 */
MTS_INLINE void pack_panel(void *dst, const pack_source *src, int64_t first_row, int64_t rows,
                           int64_t first_depth, int64_t depth, gemm_piece p, int width,
                           int elem_bytes, uint32_t flip)
{
    const int per_group = 4 / elem_bytes;
    size_t bytes = (size_t)((depth + per_group - 1) / per_group * width) * 4;
    pack_job job = pack_begin(src, first_row, rows, first_depth, depth, p, width);
#define PACK_CALL(src_bytes, constant_p)                                                           \
    pack_job_panel(dst, &job, src->transposed, constant_p, width, elem_bytes, src_bytes, flip)
    PACK_DISPATCH(src, p, PACK_CALL);
#undef PACK_CALL
    memset((uint8_t *)dst + bytes, 0, (64 - bytes % 64) % 64);
}

#endif
