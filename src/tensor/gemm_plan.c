/*
 * Which kernel, pieces and chunk of the depth compute a product exactly.  See gemm.h.
 *
 * Bound of one int32 tile: chunk * max|piece of a| * max|piece of b| < 2^31, with
 *   PIECE_ALL of b bits: 2^(b-1) - 1;  PIECE_HI: 128;  PIECE_LO: 255.
 * Bound of the sums in double, partial sums of pieces included: k < 2^22 at 16 x 16 bits.
 */
#include "tensor/gemm.h"

#include <assert.h>

enum { INT16_SUM_OF_BITS = 25 }; /* chunk >= 256 with one piece on each side */

static int64_t largest_piece(int bits, int pieces)
{
    return pieces == 2 ? 255 : format_limit(bits);
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
    const int64_t product =
        largest_piece(bits_a, plan.pieces[GEMM_A]) * largest_piece(bits_b, plan.pieces[GEMM_B]);
    const int64_t limit = by_block ? GROUP_BLOCK_SIZE : 1 << 17;
    int64_t chunk = INT32_MAX / product;
    chunk = chunk < limit ? chunk : limit;
    plan.chunk = chunk / plan.kernel->depth_step * plan.kernel->depth_step;
    assert(plan.chunk > 0);
    return plan;
}
