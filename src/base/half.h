/*
 * The two 16-bit floats of model files as float32, which holds each of their values exactly, and
 * back, rounded to nearest, halves to even.
 *
 * bfloat16 is the upper half of a float32.  float16 (IEEE 754 binary16: sign, 5 bits of exponent
 * with bias 15, 10 bits of mantissa): a normal number keeps its mantissa and moves its exponent by
 * 127 - 15; a subnormal one is mantissa * 2^-24; infinity and NaN keep sign and mantissa.
 *
 * Path: used by io, for what it reads and writes.
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

MTS_INLINE uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* bits >> n, rounded to nearest, halves to even; 0 < n < 32. */
MTS_INLINE uint32_t half_round_shift(uint32_t bits, int n)
{
    const uint32_t kept = bits >> n, rest = bits & ((1u << n) - 1u), middle = 1u << (n - 1);
    return kept + (rest > middle || (rest == middle && (kept & 1u) != 0));
}

/* Of a value that is finite.  What is too large becomes infinity. */
MTS_INLINE uint16_t bf16_of_float(float value)
{
    return (uint16_t)half_round_shift(bits_of_float(value), 16);
}

MTS_INLINE uint16_t f16_of_float(float value)
{
    const uint32_t bits = bits_of_float(value), sign = bits >> 16 & 0x8000u;
    const uint32_t magnitude = bits & 0x7fffffffu, exponent = magnitude >> 23;
    uint32_t half = 0;
    if (exponent >= 127 + 16) /* from 2^16 on */
        half = 0x7c00u;
    else if (exponent >=
             127 - 14) /* what rounds up over the last mantissa gets the next exponent */
        half = half_round_shift(magnitude - ((127u - 15u) << 23), 13);
    else if (exponent >= 127 - 25) /* subnormal: a multiple of 2^-24 */
        half = half_round_shift((magnitude & 0x7fffffu) | 0x800000u, (int)(126u - exponent));
    return (uint16_t)(sign | half);
}

#endif
