/*
 * AdamW with both moments in 8 bits [Dettmers2022], one block of the state after the other:
 *
 *   m = signs.value[code] max;  v likewise;  the step of FK(adamw);
 *   max = largest |m|;  code = that of the number nearest to m / max            FORMATS.md (12)
 *
 * A block's floats live on the stack; weights, gradients and codes are read and written once.
 * A code is found without search or branch: the upper half of the bits of a magnitude chooses an
 * entry, one addition compares its lower half with the bound there (tensor/dynamic_map.c).
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include "kernels/float/float_table.h"

static const uint32_t magnitude_bits = UINT32_C(0x7fffffff);
static const uint32_t largest_bits = UINT32_C(0x7f7fffff); /* of FLT_MAX */

static void decode(float *restrict x, const uint8_t *restrict code, int64_t n, float max,
                   const float *restrict value)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = value[code[i]] * max;
}

/* The new max of a block; an infinite one, or that of NaN, is cut to FLT_MAX. */
static float block_max(const float *x, int64_t n)
{
    const uint32_t bits = FK(max_abs_bits)(x, n);
    return float_from_bits(bits < largest_bits ? bits : largest_bits);
}

/* What a block's numbers are divided by. */
static float divisor(float max)
{
    return max > 0.0f ? max : 1.0f;
}

/* Ranks of |x[i] / by|, of those above 1 that of 1.  Only the middle loop is not vector code. */
static void find_ranks(uint32_t r[DYNAMIC_BLOCK], const float *restrict x, int64_t n, float by,
                       const uint32_t *restrict rank)
{
    const uint32_t first = (uint32_t)DYNAMIC_FIRST << 16, last = (uint32_t)DYNAMIC_LAST << 16;
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = float_bits(x[i] / by) & magnitude_bits;
        const uint32_t raised = bits > first ? bits : first;
        r[i] = raised < last ? raised : last;
    }
    for (int64_t i = 0; i < n; i++)
        r[i] += rank[(r[i] >> 16) - DYNAMIC_FIRST];
    for (int64_t i = 0; i < n; i++)
        r[i] >>= 16;
}

static void encode_signed(uint8_t *restrict code, const float *restrict x, int64_t n, float by,
                          const uint32_t *restrict rank)
{
    uint32_t ranks[DYNAMIC_BLOCK];
    find_ranks(ranks, x, n, by, rank);
    for (int64_t i = 0; i < n; i++) {
        const uint32_t negative = float_bits(x[i]) >> 31;
        const uint32_t r = ranks[i] - (negative & (ranks[i] >> 7)); /* -1 is not in the map */
        code[i] = (uint8_t)(127 + (negative != 0 ? 0 - r : r));
    }
}

static void encode_unsigned(uint8_t *restrict code, const float *restrict x, int64_t n, float by,
                            const uint32_t *restrict rank)
{
    uint32_t ranks[DYNAMIC_BLOCK];
    find_ranks(ranks, x, n, by, rank);
    for (int64_t i = 0; i < n; i++)
        code[i] = (uint8_t)ranks[i];
}

void FK(adamw_8bit)(float *w, const adamw_8bit_state *state, const float *g, int64_t n,
                    const adamw_args *args, const adamw_8bit_maps *maps)
{
    float m[DYNAMIC_BLOCK], v[DYNAMIC_BLOCK];
    for (int64_t begin = 0, block = 0; begin < n; begin += DYNAMIC_BLOCK, block++) {
        const int64_t count = n - begin < DYNAMIC_BLOCK ? n - begin : DYNAMIC_BLOCK;
        uint8_t *m_code = state->m + begin, *v_code = state->v + begin;
        decode(m, m_code, count, state->m_max[block], maps->signs.value);
        decode(v, v_code, count, state->v_max[block], maps->squares.value);
        FK(adamw)(w + begin, m, v, g + begin, count, args);
        const float m_max = block_max(m, count), v_max = block_max(v, count);
        encode_signed(m_code, m, count, divisor(m_max), maps->signs.rank);
        encode_unsigned(v_code, v, count, divisor(v_max), maps->squares.rank);
        state->m_max[block] = m_max;
        state->v_max[block] = v_max;
    }
}
