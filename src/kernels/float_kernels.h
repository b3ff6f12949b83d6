/*
 * Float code that decides training: one C source per operation (kernels/float/), built once per
 * instruction set.  No fused multiply-add, no reassociation: every build returns the same bits.
 *
 * Sums over a row use 16 interleaved lanes, lane l adding elements l, l+16, ... in order, and a
 * fixed tree over the lanes (float_lanes.h).  Sums over rows add rows in order.  Neither depends on
 * threads or on vector width.
 *
 * All pointers are borrowed for the call; sizes n are >= 0; nothing can fail.
 */
#ifndef MTS_KERNELS_FLOAT_KERNELS_H
#define MTS_KERNELS_FLOAT_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "kernels/kernels.h"

/* How reals are mapped to mantissas: q = R(x * scale * col_scale[j]), |q| <= limit.  FORMATS.md (1)
 */
typedef struct quantize_args {
    float scale;            /* power of two */
    const float *col_scale; /* powers of two, one per element, or NULL */
    int32_t limit;          /* 2^(bits-1) - 1 */
    bool stochastic;        /* floor + Bernoulli(fraction); otherwise nearest, ties to even */
    rng_key key;            /* draw of element i: rng_uniform(key, first + i) */
    uint32_t first;
} quantize_args;

/* The adaptive step of AdamW, decoupled weight decay [Loshchilov2019], as torch.optim.AdamW. */
typedef struct adamw_args {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
    float correction1; /* 1 - beta1^t */
    float correction2; /* sqrt(1 - beta2^t) */
    float grad_scale;  /* every gradient is multiplied by this first (clipping) */
} adamw_args;

/*
 * The 256 numbers in [-1, 1] or [0, 1] that an 8-bit code stands for, and how to find the nearest.
 *                                                         FORMATS.md (12), made by dynamic_map_make
 * value   [code], rising
 * rank    A magnitude 0 <= x <= 1 has rank r if it is nearest to the r-th positive number, or to 0
 *         (r = 0); the code is r, or 127 + r and 127 - r where there are signs.  With
 *         b = max(bits of x, DYNAMIC_FIRST << 16):  r = (rank[(b >> 16) - DYNAMIC_FIRST] + b) >> 16
 */
enum {
    DYNAMIC_BLOCK = 256,    /* elements that share a scale */
    DYNAMIC_FIRST = 0x3400, /* upper halves of the bits of 2^-23, below which the rank is 0 ... */
    DYNAMIC_LAST = 0x3f80,  /* ... and of 1 */
    DYNAMIC_BUCKETS = DYNAMIC_LAST - DYNAMIC_FIRST + 1,
};

typedef struct dynamic_map {
    float value[256];
    uint32_t rank[DYNAMIC_BUCKETS];
} dynamic_map;

/* Both moments of AdamW, m = signs.value[code] * max and v = squares.value[code] * max; one max,
 * finite and not negative, for every DYNAMIC_BLOCK elements. */
typedef struct adamw_8bit_maps {
    dynamic_map signs, squares; /* with and without negative numbers */
} adamw_8bit_maps;

typedef struct adamw_8bit_state {
    uint8_t *m, *v;       /* codes[n] */
    float *m_max, *v_max; /* [ceil(n / DYNAMIC_BLOCK)] */
} adamw_8bit_state;

typedef enum activation_kind {
    ACTIVATION_GELU,      /* x Phi(x) */
    ACTIVATION_GELU_TANH, /* the tanh approximation */
    ACTIVATION_RELU,
    ACTIVATION_SILU,
    ACTIVATION_TANH,
} activation_kind;

/* Exact integer statistics of a row of mantissas. */
typedef struct norm_sums {
    int64_t s1, s2; /* sum q, sum q^2 */
    int32_t min, max;
} norm_sums;

typedef struct float_kernels {
    const char *name;

    /* max of the bits of |x[i]|: integer order is float order; >= 0x7f800000 means inf or NaN */
    uint32_t (*max_abs_bits)(const float *x, int64_t n);
    /* max_bits[j] = max(max_bits[j], bits of |x[j] * scale|) */
    void (*max_abs_columns)(uint32_t *max_bits, const float *x, float scale, int64_t n);
    /* bits of max |x[j] * col_scale[j]| */
    uint32_t (*max_abs_bits_scaled)(const float *x, const float *col_scale, int64_t n);
    void (*quantize_s8)(int8_t *q, const float *x, int64_t n, const quantize_args *args);
    void (*quantize_s16)(int16_t *q, const float *x, int64_t n, const quantize_args *args);

    /* c[i][j] = tile[i * nr + j] * row_scale[i] * col_scale[j], + bias[j] if not NULL, or
     * += without bias if accumulate; row stride of c is ldc. */
    void (*tile_store_s32)(float *c, int64_t ldc, const int32_t *tile, int64_t nr, int64_t rows,
                           int64_t cols, const float *row_scale, const float *col_scale,
                           const float *bias, bool accumulate);
    void (*tile_store_f64)(float *c, int64_t ldc, const double *tile, int64_t nr, int64_t rows,
                           int64_t cols, const float *row_scale, const float *col_scale,
                           const float *bias, bool accumulate);
    /* acc[i] = (first ? 0 : acc[i]) + sum of weight[p] * tile[p][i] over p < count (1, 2 or 4),
     * exact while the sums stay below 2^53 */
    void (*tile_add)(double *acc, const int32_t *const *tile, const double *weight, int count,
                     int64_t n, bool first);

    void (*add)(float *y, const float *a, const float *b, int64_t n);
    /* y[i] = keep(i) ? x[i] / (1 - p) : 0, keep(i): rng_draw(key, first + i) >= p 2^32; y may
     * be x */
    void (*dropout)(float *y, const float *x, int64_t n, float p, rng_key key, uint32_t first);
    void (*activation_forward)(float *y, const float *x, int64_t n, activation_kind kind);
    /* y = f(x), slope = f'(x) in one pass; y may be x */
    void (*activation_slope)(float *y, float *slope, const float *x, int64_t n,
                             activation_kind kind);
    /* dx = dy * f'(x); dx may be dy */
    void (*activation_backward)(float *dx, const float *dy, const float *x, int64_t n,
                                activation_kind kind);
    /* p = softmax(scale * s) over one row */
    void (*softmax_forward)(float *p, const float *s, int64_t n, float scale);
    /* ds = scale * p * (dp - sum(dp * p)); ds may be dp */
    void (*softmax_backward)(float *ds, const float *dp, const float *p, int64_t n, float scale);

    /* one row: xhat = (x - mean) * rstd, y = gamma * xhat + beta; returns rstd */
    float (*layernorm_forward)(float *y, float *xhat, const float *x, const float *gamma,
                               const float *beta, int64_t n, float epsilon);
    /* one row: dx = rstd * (dy gamma - mean(dy gamma) - xhat mean(dy gamma xhat)) */
    void (*layernorm_backward)(float *dx, const float *dy, const float *xhat, const float *gamma,
                               float rstd, int64_t n);
    /* Integer layer norm of one row, see layers/layernorm_dfp.c: exact sums of mantissas. */
    void (*norm_sums)(norm_sums *sums, const int16_t *q, int64_t n);
    /* xq[i] = R((n q[i] - s1) * reciprocal * 2^-shift), |xq| <= limit; 32 <= shift <= 47 and the
     * product stays below 2^62; args gives limit, stochastic, key and first */
    void (*norm_divide)(int16_t *xq, const int16_t *q, int64_t n, int64_t s1, int64_t reciprocal,
                        int shift, const quantize_args *args);
    /* y[i] = (gq[i] * xq[i]) * scale + bq[i] * beta_scale */
    void (*norm_affine)(float *y, const int16_t *xq, const int16_t *gq, const int16_t *bq,
                        int64_t n, float scale, float beta_scale);
    /* h = dyq * gq: *h1 = sum h, *h2 = sum h * xq, exact */
    void (*norm_grad_sums)(int64_t *h1, int64_t *h2, const int16_t *dyq, const int16_t *gq,
                           const int16_t *xq, int64_t n);
    /* dx[i] = scale * ((dyq[i] gq[i]) - m1 - xq[i] * m2) */
    void (*norm_grad_input)(float *dx, const int16_t *dyq, const int16_t *gq, const int16_t *xq,
                            int64_t n, float scale, float m1, float m2);
    /* dbeta[j] += dyq[j] * scale_b, dgamma[j] += (dyq[j] * xq[j]) * scale_g, in double */
    void (*norm_grad_params)(double *dgamma, double *dbeta, const int16_t *dyq, const int16_t *xq,
                             int64_t n, double scale_g, double scale_b);

    /* y[j] += x[j] */
    void (*accumulate)(float *y, const float *x, int64_t n);
    /* acc[j] += q[j] * scale, exact while the sums stay below 2^53 units */
    void (*accumulate_s8)(double *acc, const int8_t *q, int64_t n, double scale);
    void (*accumulate_s16)(double *acc, const int16_t *q, int64_t n, double scale);
    /* y[j] = q[j] * scale (+ y[j]) */
    void (*dequantize_s16)(float *y, const int16_t *q, int64_t n, float scale, bool accumulate);

    /* y[j] = x[j] * (q[j] * scale); y may be x */
    void (*multiply_s8)(float *y, const float *x, const int8_t *q, int64_t n, float scale);
    void (*multiply_s16)(float *y, const float *x, const int16_t *q, int64_t n, float scale);

    double (*sum_squares)(const float *x, int64_t n);
    void (*adamw)(float *w, float *m, float *v, const float *g, int64_t n, const adamw_args *args);
    /* adamw on the numbers that the state stands for, whose results are rounded to the nearest of
     * the maps, a magnitude halfway between two to the smaller; an overflow becomes FLT_MAX */
    void (*adamw_8bit)(float *w, const adamw_8bit_state *state, const float *g, int64_t n,
                       const adamw_args *args, const adamw_8bit_maps *maps);
    /* buf = momentum * buf + (g + decay * w); w -= lr * buf (buf = gradient when momentum is 0) */
    void (*sgd)(float *w, float *buf, const float *g, int64_t n, float learning_rate,
                float momentum, float weight_decay, float grad_scale);

    /* round to nearest even, and back */
    void (*to_bf16)(uint16_t *y, const float *x, int64_t n);
    void (*from_bf16)(float *y, const uint16_t *x, int64_t n);
} float_kernels;

extern const float_kernels float_kernels__generic;
extern const float_kernels float_kernels__avx2;   /* x86-64 builds only */
extern const float_kernels float_kernels__avx512; /* x86-64 builds only */

/* The build of the float kernels that goes with an integer family. */
const float_kernels *float_kernels_for(const gemm_family *family);

#endif
