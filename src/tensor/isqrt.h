/* Integer square root with as many fractional bits as fit. */
#ifndef MTS_TENSOR_ISQRT_H
#define MTS_TENSOR_ISQRT_H

#include <stdint.h>

/* floor(sqrt(v)), 0 <= v < 2^63: bit by bit, integer arithmetic only. */
uint32_t isqrt_floor(uint64_t v);

/*
 * r with r * 2^-*half_shift <= sqrt(v) < (r + 1) * 2^-*half_shift and r >= 2^29: v >= 1 is shifted
 * up by an even amount first, so the relative error is below 2^-29.
 */
int64_t isqrt_scaled(int64_t v, int *half_shift);

#endif
