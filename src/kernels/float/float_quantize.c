/*
 * Mapping reals to mantissas (dynamic fixed point), and the way back.        FORMATS.md (1) to (3)
 *
 *   v = x * scale;  stochastic: q = floor(v) + [u < v - floor(v)], u uniform in [0,1) with 24 bits
 *                   nearest:    q = round to nearest, ties to even
 *   saturated to |q| <= limit.  v - floor(v) is exact in float for |v| >= 1/2, off by at most 2^-25
 *   below: unbiased to 2^-24 of a unit, but where the largest value of a group saturates.
 *
 * Path: qmatrix_map -> here.  The caller has excluded NaN and infinity.
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include "kernels/float/float_table.h"

uint32_t FK(max_abs_bits)(const float *x, int64_t n)
{
    uint32_t max = 0;
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = float_bits(x[i]) & UINT32_C(0x7fffffff);
        max = bits > max ? bits : max;
    }
    return max;
}

void FK(max_abs_columns)(uint32_t *max_bits, const float *x, float scale, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        uint32_t bits = float_bits(x[j] * scale) & UINT32_C(0x7fffffff);
        max_bits[j] = bits > max_bits[j] ? bits : max_bits[j];
    }
}

uint32_t FK(max_abs_bits_scaled)(const float *x, const float *col_scale, int64_t n)
{
    uint32_t max = 0;
    for (int64_t j = 0; j < n; j++) {
        uint32_t bits = float_bits(x[j] * col_scale[j]) & UINT32_C(0x7fffffff);
        max = bits > max ? bits : max;
    }
    return max;
}

/* Within the limit before rounding: the same mantissa as after it, and every float has one. */
MTS_INLINE float clamp(float v, float limit)
{
    v = v < limit ? v : limit;
    return v > -limit ? v : -limit;
}

MTS_INLINE int32_t round_stochastic(float v, rng_key key, uint32_t i)
{
    int32_t floor_v = (int32_t)v;
    floor_v -= (float)floor_v > v;
    float fraction = v - (float)floor_v;
    return floor_v + (rng_uniform(key, i) < fraction);
}

/* Adding and subtracting 1.5 * 2^23 rounds to nearest even for |v| < 2^22. */
MTS_INLINE int32_t round_nearest(float v)
{
    return (int32_t)((v + 12582912.0f) - 12582912.0f);
}

/* The four loops of one element type: each of (stochastic, col_scale) is a loop of its own. */
#define QUANTIZE_LOOPS(type)                                                                       \
    const float scale = args->scale, limit = (float)args->limit;                                   \
    const float *col = args->col_scale;                                                            \
    const rng_key key = args->key;                                                                 \
    const uint32_t first = args->first;                                                            \
    if (args->stochastic && col == NULL)                                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
            q[i] = (type)round_stochastic(clamp(x[i] * scale, limit), key, first + (uint32_t)i);   \
    else if (args->stochastic)                                                                     \
        for (int64_t i = 0; i < n; i++)                                                            \
            q[i] = (type)round_stochastic(clamp(x[i] * (scale * col[i]), limit), key,              \
                                          first + (uint32_t)i);                                    \
    else if (col == NULL)                                                                          \
        for (int64_t i = 0; i < n; i++)                                                            \
            q[i] = (type)round_nearest(clamp(x[i] * scale, limit));                                \
    else                                                                                           \
        for (int64_t i = 0; i < n; i++)                                                            \
        q[i] = (type)round_nearest(clamp(x[i] * (scale * col[i]), limit))

void FK(quantize_s8)(int8_t *restrict q, const float *restrict x, int64_t n,
                     const quantize_args *args)
{
    QUANTIZE_LOOPS(int8_t);
}

void FK(quantize_s16)(int16_t *restrict q, const float *restrict x, int64_t n,
                      const quantize_args *args)
{
    QUANTIZE_LOOPS(int16_t);
}

void FK(dequantize_s16)(float *restrict y, const int16_t *restrict q, int64_t n, float scale,
                        bool accumulate)
{
    if (accumulate)
        for (int64_t i = 0; i < n; i++)
            y[i] += (float)q[i] * scale;
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (float)q[i] * scale;
}

void FK(multiply_s8)(float *y, const float *x, const int8_t *q, int64_t n, float scale)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * ((float)q[i] * scale);
}

void FK(multiply_s16)(float *y, const float *x, const int16_t *q, int64_t n, float scale)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * ((float)q[i] * scale);
}

void FK(accumulate_s8)(double *restrict acc, const int8_t *restrict q, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++)
        acc[i] += (double)q[i] * scale;
}

void FK(accumulate_s16)(double *restrict acc, const int16_t *restrict q, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++)
        acc[i] += (double)q[i] * scale;
}

void FK(to_bf16)(uint16_t *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t u = float_bits(x[i]);
        uint32_t rounded = (u + UINT32_C(0x7fff) + ((u >> 16) & 1)) >> 16;
        uint32_t quiet_nan = (u >> 16) | 64;
        y[i] = (uint16_t)((u & UINT32_C(0x7fffffff)) > UINT32_C(0x7f800000) ? quiet_nan : rounded);
    }
}

void FK(from_bf16)(float *restrict y, const uint16_t *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = float_from_bits((uint32_t)x[i] << 16);
}
