/*
 * Attention with linear biases instead of rotary positions: a head with slope m adds m j to the
 * score of token j, before the scores are scaled.  Among what a token sees only differences count,
 * so that is m (j - i) for token i.                                                  [Press2022]
 *
 *   n heads, n a power of two: m[h] = 2^(-8 (h + 1) / n); else those of the power below, and then
 *   every second one of the power above.
 *
 * Slopes and biases are rounded to bfloat16, and j before its product: so transformers computes
 * them, in every format, and models were trained so.
 */
#ifndef MTS_LAYERS_ALIBI_H
#define MTS_LAYERS_ALIBI_H

#include "tensor/exec.h"

/* slope[heads], heads >= 1 */
void alibi_slopes(float *slope, int64_t heads);

/* [length]: what a head adds to the scores of these tokens; from ex->scratch. */
const float *alibi_bias(exec *ex, int64_t length, float slope);

#endif
