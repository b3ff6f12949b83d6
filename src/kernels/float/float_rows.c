/*
 * Operations over one row: softmax, layer norm in float, and the integer sums of layer norm.
 *
 *   softmax(s)_i = exp(s_i - max s) / sum_j exp(s_j - max s);   ds = p (dp - sum(dp p))
 *   layer norm [Ba2016]; its integer form is derived in layers/layernorm_dfp.c and FORMATS.md (7).
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include <math.h>

#include "kernels/float/float_table.h"

/* acc over lanes of f(i) for i < n: whole groups of 16 first, then the tail. */
#define LANES_SUM(result, n, expression)                                                           \
    do {                                                                                           \
        float acc_[LANES] = {0};                                                                   \
        int64_t base_ = 0;                                                                         \
        for (; base_ + LANES <= (n); base_ += LANES)                                               \
            for (int l_ = 0; l_ < LANES; l_++) {                                                   \
                const int64_t i = base_ + l_;                                                      \
                acc_[l_] += (expression);                                                          \
            }                                                                                      \
        for (int64_t i = base_; i < (n); i++)                                                      \
            acc_[i - base_] += (expression);                                                       \
        (result) = lanes_sum(acc_);                                                                \
    } while (0)

/* The largest of s[n] by a key that orders integers like their floats: integer maxima become vector
 * code.  NaN is above or below all; a row that holds one becomes NaN in any case. */
static float row_max(const float *s, int64_t n)
{
    int32_t max = INT32_MIN;
    for (int64_t i = 0; i < n; i++) {
        const int32_t bits = (int32_t)float_bits(s[i]);
        const int32_t key = bits ^ ((bits >> 31) & INT32_MAX);
        max = key > max ? key : max;
    }
    return float_from_bits((uint32_t)(max ^ ((max >> 31) & INT32_MAX)));
}

void FK(softmax_forward)(float *p, const float *s, int64_t n, float scale)
{
    const float max = row_max(s, n);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        p[i] = float_exp((s[i] - max) * scale);
    float sum;
    LANES_SUM(sum, n, p[i]);
    const float inverse = 1.0f / sum;
    for (int64_t i = 0; i < n; i++)
        p[i] *= inverse;
}

void FK(softmax_backward)(float *ds, const float *dp, const float *p, int64_t n, float scale)
{
    float dot;
    LANES_SUM(dot, n, dp[i] * p[i]);
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        ds[i] = p[i] * (dp[i] - dot) * scale;
}

float FK(layernorm_forward)(float *y, float *xhat, const float *x, const float *gamma,
                            const float *beta, int64_t n, float epsilon)
{
    float sum, squares;
    LANES_SUM(sum, n, x[i]);
    const float mean = sum / (float)n;
    LANES_SUM(squares, n, (x[i] - mean) * (x[i] - mean));
    const float rstd = 1.0f / sqrtf(squares / (float)n + epsilon);
    for (int64_t i = 0; i < n; i++) {
        float h = (x[i] - mean) * rstd;
        xhat[i] = h;
        y[i] = gamma[i] * h + beta[i];
    }
    return rstd;
}

void FK(layernorm_backward)(float *dx, const float *dy, const float *xhat, const float *gamma,
                            float rstd, int64_t n)
{
    float h1, h2;
    LANES_SUM(h1, n, dy[i] * gamma[i]);
    LANES_SUM(h2, n, dy[i] * gamma[i] * xhat[i]);
    const float m1 = h1 / (float)n, m2 = h2 / (float)n;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] = rstd * (dy[i] * gamma[i] - m1 - xhat[i] * m2);
}

float FK(rmsnorm_forward)(float *y, float *xhat, const float *x, const float *gamma, int64_t n,
                          float epsilon)
{
    float squares;
    LANES_SUM(squares, n, x[i] * x[i]);
    const float rstd = 1.0f / sqrtf(squares / (float)n + epsilon);
    for (int64_t i = 0; i < n; i++) {
        float h = x[i] * rstd;
        xhat[i] = h;
        y[i] = gamma[i] * h;
    }
    return rstd;
}

void FK(rmsnorm_backward)(float *dx, const float *dy, const float *xhat, const float *gamma,
                          float rstd, int64_t n)
{
    float h2;
    LANES_SUM(h2, n, dy[i] * gamma[i] * xhat[i]);
    const float m2 = h2 / (float)n;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] = rstd * (dy[i] * gamma[i] - xhat[i] * m2);
}

void FK(rotate)(float *restrict x, const float *restrict cos, const float *restrict sin, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float a = x[i], b = x[n + i];
        x[i] = a * cos[i] - b * sin[i];
        x[n + i] = b * cos[i] + a * sin[i];
    }
}

void FK(rotate_back)(float *restrict x, const float *restrict cos, const float *restrict sin,
                     int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const float a = x[i], b = x[n + i];
        x[i] = a * cos[i] + b * sin[i];
        x[n + i] = b * cos[i] - a * sin[i];
    }
}

void FK(norm_sums)(norm_sums *sums, const int16_t *q, int64_t n)
{
    int64_t a = 0, b = 0;
    int32_t min = INT16_MAX, max = INT16_MIN;
    for (int64_t i = 0; i < n; i++) {
        int32_t v = q[i];
        a += v;
        b += v * v;
        min = v < min ? v : min;
        max = v > max ? v : max;
    }
    *sums = (norm_sums){a, b, min, max};
}

void FK(norm_divide)(int16_t *xq, const int16_t *q, int64_t n, int64_t s1, int64_t reciprocal,
                     int shift, const quantize_args *args)
{
    const int64_t half = INT64_C(1) << (shift - 1);
    const int64_t limit = args->limit;
#pragma omp simd
    for (int64_t i = 0; i < n; i++) {
        int64_t value = (n * q[i] - s1) * reciprocal;
        uint32_t draw = rng_draw(args->key, args->first + (uint32_t)i);
        int64_t noise = args->stochastic ? (int64_t)((uint64_t)draw << (shift - 32)) : half;
        int64_t rounded = (value + noise) >> shift;
        rounded = rounded > limit ? limit : rounded;
        xq[i] = (int16_t)(rounded < -limit ? -limit : rounded);
    }
}

void FK(norm_affine)(float *restrict y, const int16_t *restrict xq, const int16_t *restrict gq,
                     const int16_t *restrict bq, int64_t n, float scale, float beta_scale)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((int32_t)gq[i] * xq[i]) * scale + (float)bq[i] * beta_scale;
}

void FK(norm_grad_sums)(int64_t *h1, int64_t *h2, const int16_t *dyq, const int16_t *gq,
                        const int16_t *xq, int64_t n)
{
    int64_t a = 0, b = 0;
    for (int64_t i = 0; i < n; i++) {
        int32_t h = (int32_t)dyq[i] * gq[i];
        a += h;
        b += (int64_t)h * xq[i];
    }
    *h1 = a;
    *h2 = b;
}

void FK(norm_grad_input)(float *restrict dx, const int16_t *restrict dyq,
                         const int16_t *restrict gq, const int16_t *restrict xq, int64_t n,
                         float scale, float m1, float m2)
{
    for (int64_t i = 0; i < n; i++)
        dx[i] = ((float)((int32_t)dyq[i] * gq[i]) - m1 - (float)xq[i] * m2) * scale;
}

void FK(norm_grad_params)(double *restrict dgamma, double *restrict dbeta,
                          const int16_t *restrict dyq, const int16_t *restrict xq, int64_t n,
                          double scale_g, double scale_b)
{
    for (int64_t j = 0; j < n; j++) {
        dgamma[j] += (double)((int32_t)dyq[j] * xq[j]) * scale_g;
        dbeta[j] += (double)dyq[j] * scale_b;
    }
}
