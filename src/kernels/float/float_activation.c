/*
 * Element-wise float operations: activations and their derivatives, dropout, additions.
 *
 *   gelu(x)  = x Phi(x),  Phi(x) = (1 + erf(x / sqrt 2)) / 2      [Hendrycks2016]
 *   gelu'(x) = Phi(x) + x phi(x),  phi(x) = exp(-x^2/2) / sqrt(2 pi)
 *   erf by a rational minimax approximation on [-4, 4] (degree 13 / 8, coefficients as in Eigen).
 *
 * Accuracy against double is a test (tests/unit/test_float_kernels.c).
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include "kernels/float/float_table.h"

MTS_INLINE float float_erf(float x)
{
    float c = x > 4.0f ? 4.0f : x;
    c = c < -4.0f ? -4.0f : c;
    float z = c * c;
    float p = -2.72614225801306e-10f;
    p = p * z + 2.77068142495902e-08f;
    p = p * z + -2.10102402082508e-06f;
    p = p * z + -5.69250639462346e-05f;
    p = p * z + -7.34990630326855e-04f;
    p = p * z + -2.95459980854025e-03f;
    p = p * z + -1.60960333262415e-02f;
    float q = -1.45660718464996e-05f;
    q = q * z + -2.13374055278905e-04f;
    q = q * z + -1.68282697438203e-03f;
    q = q * z + -7.37332916720468e-03f;
    q = q * z + -1.42647390514189e-02f;
    return c * p / q;
}

/* tanh(x) = 1 - 2 / (exp(2x) + 1), odd; a short series where that cancels. */
MTS_INLINE float float_tanh(float x)
{
    float a = x < 0.0f ? -x : x;
    a = a > 20.0f ? 20.0f : a;
    float big = 1.0f - 2.0f / (float_exp(2.0f * a) + 1.0f);
    float z = a * a;
    float small = a + a * z * (-0.33333333f + z * (0.13333333f + z * -0.053968254f));
    float t = a < 0.15f ? small : big;
    return x < 0.0f ? -t : t;
}

MTS_INLINE float float_sigmoid(float x)
{
    float a = x < 0.0f ? -x : x;
    float e = a > 86.0f ? 0.0f : float_exp(-a); /* float_exp stops at -86; 0 times anything is 0 */
    float s = 1.0f / (1.0f + e);
    return x < 0.0f ? e * s : s;
}

MTS_INLINE float gelu_phi(float x)
{
    return 0.5f + 0.5f * float_erf(x * 0.70710678f);
}

MTS_INLINE float gelu(float x)
{
    return x * gelu_phi(x);
}

/* Where the slopes of both gelus have reached 0 or 1; farther out x * x would overflow. */
MTS_INLINE float gelu_range(float x)
{
    x = x < 20.0f ? x : 20.0f;
    return x > -20.0f ? x : -20.0f;
}

MTS_INLINE float gelu_grad(float x)
{
    x = gelu_range(x);
    return gelu_phi(x) + x * (0.39894228f * float_exp(-0.5f * x * x));
}

MTS_INLINE float gelu_tanh(float x)
{
    float t = float_tanh(0.79788456f * (x + 0.044715f * x * x * x));
    return 0.5f * x * (1.0f + t);
}

MTS_INLINE float gelu_tanh_grad(float x)
{
    x = gelu_range(x);
    float t = float_tanh(0.79788456f * (x + 0.044715f * x * x * x));
    float inner = 0.79788456f * (1.0f + 0.134145f * x * x);
    return 0.5f * (1.0f + t) + 0.5f * x * (1.0f - t * t) * inner;
}

MTS_INLINE float relu(float x)
{
    return x > 0.0f ? x : 0.0f;
}

MTS_INLINE float relu_grad(float x)
{
    return x > 0.0f ? 1.0f : 0.0f;
}

MTS_INLINE float silu(float x)
{
    return x * float_sigmoid(x);
}

MTS_INLINE float silu_grad(float x)
{
    float s = float_sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

MTS_INLINE float tanh_grad(float x)
{
    float t = float_tanh(x);
    return 1.0f - t * t;
}

/* "omp simd": input and output may be the same array, which is no dependence between elements. */
#define FORWARD_LOOP(f) _Pragma("omp simd") for (int64_t i = 0; i < n; i++) y[i] = f(x[i])
#define BACKWARD_LOOP(f) _Pragma("omp simd") for (int64_t i = 0; i < n; i++) dx[i] = dy[i] * f(x[i])

#define SLOPE_LOOP(f, df)                                                                          \
    _Pragma("omp simd") for (int64_t i = 0; i < n; i++)                                            \
    {                                                                                              \
        const float v = x[i];                                                                      \
        y[i] = f(v);                                                                               \
        slope[i] = df(v);                                                                          \
    }

void FK(activation_forward)(float *y, const float *x, int64_t n, activation_kind kind)
{
    switch (kind) {
    case ACTIVATION_GELU:
        FORWARD_LOOP(gelu);
        break;
    case ACTIVATION_GELU_TANH:
        FORWARD_LOOP(gelu_tanh);
        break;
    case ACTIVATION_RELU:
        FORWARD_LOOP(relu);
        break;
    case ACTIVATION_SILU:
        FORWARD_LOOP(silu);
        break;
    case ACTIVATION_TANH:
        FORWARD_LOOP(float_tanh);
        break;
    }
}

void FK(activation_slope)(float *y, float *slope, const float *x, int64_t n, activation_kind kind)
{
    switch (kind) {
    case ACTIVATION_GELU:
        SLOPE_LOOP(gelu, gelu_grad);
        break;
    case ACTIVATION_GELU_TANH:
        SLOPE_LOOP(gelu_tanh, gelu_tanh_grad);
        break;
    case ACTIVATION_RELU:
        SLOPE_LOOP(relu, relu_grad);
        break;
    case ACTIVATION_SILU:
        SLOPE_LOOP(silu, silu_grad);
        break;
    case ACTIVATION_TANH:
        SLOPE_LOOP(float_tanh, tanh_grad);
        break;
    }
}

void FK(activation_backward)(float *dx, const float *dy, const float *x, int64_t n,
                             activation_kind kind)
{
    switch (kind) {
    case ACTIVATION_GELU:
        BACKWARD_LOOP(gelu_grad);
        break;
    case ACTIVATION_GELU_TANH:
        BACKWARD_LOOP(gelu_tanh_grad);
        break;
    case ACTIVATION_RELU:
        BACKWARD_LOOP(relu_grad);
        break;
    case ACTIVATION_SILU:
        BACKWARD_LOOP(silu_grad);
        break;
    case ACTIVATION_TANH:
        BACKWARD_LOOP(tanh_grad);
        break;
    }
}

void FK(dropout)(float *y, const float *x, int64_t n, float p, rng_key key, uint32_t first)
{
    const uint32_t threshold = (uint32_t)((double)p * 4294967296.0);
    const float keep_scale = 1.0f / (1.0f - p);
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        float scaled = x[i] * keep_scale;
        y[i] = rng_draw(key, first + (uint32_t)i) >= threshold ? scaled : 0.0f;
    }
}

void FK(add)(float *y, const float *a, const float *b, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

void FK(multiply)(float *y, const float *a, const float *b, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] * b[i];
}

void FK(accumulate)(float *restrict y, const float *restrict x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += x[i];
}
