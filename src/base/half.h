/*
 * The two 16-bit floats of model files as float32, which holds each of their values exactly.
 *
 * bfloat16 is the upper half of a float32.  float16 (IEEE 754 binary16: sign, 5 bits of exponent
 * with bias 15, 10 bits of mantissa): a normal number keeps its mantissa and moves its exponent by
 * 127 - 15; a subnormal one is mantissa * 2^-24; infinity and NaN keep sign and mantissa.
 *
 * Path: used by io, for what it reads.
 */
#ifndef MTS_BASE_HALF_H
#define MTS_BASE_HALF_H

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

MTS_INLINE float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

MTS_INLINE float float_of_bf16(uint32_t half)
{
    return float_of_bits(half << 16);
}

MTS_INLINE float float_of_f16(uint32_t half)
{
    const uint32_t sign = (half & 0x8000u) << 16, mantissa = half & 1023u;
    uint32_t exponent = half >> 10 & 31u;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    exponent = exponent == 31 ? 255 : exponent + 127 - 15;
    return float_of_bits(sign | exponent << 23 | mantissa << 13);
}

#endif
