/*
 * Which kernel, pieces and chunk of the depth compute a product exactly.  See gemm.h.
 *
 * Bound of one int32 tile: chunk * max|piece of a| * max|piece of b| < 2^31, with
 *   PIECE_ALL of b bits: 2^(b-1) - 1;  PIECE_HI: 128;  PIECE_LO: 255.
 * Bound of the sums in double, partial sums of pieces included: k < 2^22 at 16 x 16 bits.
 */
#include "tensor/gemm.h"

#include <assert.h>

enum {
    INT16_SUM_OF_BITS = 25,  /* chunk >= 256 with one piece on each side */
    HALVES_SUM_OF_BITS = 27, /* chunk >= 64: a block, and a step of any kernel */
};

static int64_t largest_piece(int bits, int pieces)
{
    return pieces == 2 ? 255 : format_limit(bits);
}

/* The deepest tile that is exact if terms are this large at most. */
static int64_t exact_chunk(const gemm_kernel *kernel, int64_t term, bool by_block)
{
    const int64_t limit = by_block ? GROUP_BLOCK_SIZE : 1 << 17;
    int64_t chunk = INT32_MAX / term;
    chunk = chunk < limit ? chunk : limit;
    return chunk / kernel->depth_step * kernel->depth_step;
}

gemm_plan gemm_plan_make(const gemm_family *family, int bits_a, int bits_b, bool by_block)
{
    assert(bits_a >= FORMAT_MIN_BITS && bits_a <= FORMAT_MAX_BITS);
    assert(bits_b >= FORMAT_MIN_BITS && bits_b <= FORMAT_MAX_BITS);
    gemm_plan plan = {.kernel = family->narrow, .pieces = {1, 1}};
    if (bits_a > 8 || bits_b > 8) {
        plan.kernel = family->wide;
        if (plan.kernel->max_piece_bits == 8) {
            plan.pieces[GEMM_A] = bits_a > 8 ? 2 : 1;
            plan.pieces[GEMM_B] = bits_b > 8 ? 2 : 1;
        } else if (bits_a + bits_b > INT16_SUM_OF_BITS) {
            plan.pieces[GEMM_B] = 2;
        }
    }
    const int64_t term =
        largest_piece(bits_a, plan.pieces[GEMM_A]) * largest_piece(bits_b, plan.pieces[GEMM_B]);
    plan.chunk = exact_chunk(plan.kernel, term, by_block);
    assert(plan.chunk > 0);
    return plan;
}

gemm_plan gemm_plan_make_halves(const gemm_family *family, int bits_a, int bits_b, bool by_block)
{
    assert(bits_a > 8 && bits_a < FORMAT_MAX_BITS);
    const bool fits = bits_b < FORMAT_MAX_BITS && bits_a + bits_b <= HALVES_SUM_OF_BITS;
    if (!fits || family->narrow->max_piece_bits != 8)
        return gemm_plan_make(family, bits_a, bits_b, by_block);
    gemm_plan plan = {.kernel = family->narrow, .pieces = {2, 1}, .half_bits = {bits_a - 8, 0}};
    if (bits_b > 8) {
        plan.pieces[GEMM_B] = 2;
        plan.half_bits[GEMM_B] = bits_b - 8;
    }
    /* The joined sum is that of whole mantissas; each half's is smaller. */
    const int64_t term = (int64_t)format_limit(bits_a) * format_limit(bits_b);
    plan.chunk = exact_chunk(plan.kernel, term, by_block);
    assert(plan.chunk > 0);
    return plan;
}
