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
    float scale;            /* the inverse of the group's scale */
    const float *col_scale; /* a factor for each element, or NULL */
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
#define FLOAT_KERNEL(type, kernel, arguments) type(*kernel) arguments;
#include "kernels/float_kernel_list.h"
} float_kernels;

extern const float_kernels float_kernels__generic;
extern const float_kernels float_kernels__avx2;   /* x86-64 builds only */
extern const float_kernels float_kernels__avx512; /* x86-64 builds only */

/* The build of the float kernels that goes with an integer family. */
const float_kernels *float_kernels_for(const gemm_family *family);

#endif
