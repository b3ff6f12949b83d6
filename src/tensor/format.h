/*
 * Number formats: what a matrix product works in, and dynamic fixed point in particular.
 *
 *   E   = floor(log2(max |x|)) of the group, clamped to [-100, 127]; an all-zero group: E = 0
 *   e_s = E - (b - 2)                        exponent of one unit
 *   q   = R(x * 2^-e_s), |q| <= 2^(b-1) - 1  x^ = q * 2^e_s     [Tayaranian2023, Ghaffari2022 2.1]
 *
 * FORMATS.md (1), (2).
 */
#ifndef MTS_TENSOR_FORMAT_H
#define MTS_TENSOR_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

typedef enum format_kind {
    FORMAT_FP32,
    FORMAT_BF16,
    FORMAT_DFP, /* dynamic fixed point */
} format_kind;

/* Which elements share one exponent. */
typedef enum group_kind {
    GROUP_TENSOR, /* the paper */
    GROUP_ROW,    /* a token, or an output feature */
    GROUP_COLUMN, /* used inside the row mode: gradients that are reduced along their rows */
    GROUP_BLOCK,  /* squares of GROUP_BLOCK_SIZE, the same for a matrix and its transpose */
} group_kind;

enum { GROUP_BLOCK_SIZE = 64, FORMAT_MIN_BITS = 4, FORMAT_MAX_BITS = 16 };

/* How training rounds reals to mantissas; evaluation rounds to nearest.          FORMATS.md (1) */
typedef enum rounding_kind {
    ROUNDING_NEAREST,
    ROUNDING_STOCHASTIC,
    ROUNDING_MIXED, /* weights and activations to nearest, gradients stochastically */
} rounding_kind;

/* What the scale of a group of values is; gradients, layer norm and embeddings have powers of two
 * always.                                                                       FORMATS.md (1) */
typedef enum scale_kind {
    SCALES_POWER,   /* 2^e_s */
    SCALES_LARGEST, /* max |x| / (2^(b-1) - 1): the largest magnitude is the largest mantissa */
} scale_kind;

typedef struct num_format {
    format_kind kind;
    int weight_bits, activation_bits, gradient_bits; /* linear layers and embeddings */
    int attention_bits;                              /* Q K^T and P V and their gradients */
    int norm_bits;                                   /* layer norm */
    rounding_kind rounding;                          /* in training */
    group_kind group;                                /* tensor, row or block */
    scale_kind scales;                               /* of weights and activations */
    int outlier_bits;        /* of the outlier features of inputs; 0: they are not told apart */
    int outlier_weight_bits; /* of the columns of weights that they meet; 0: weight_bits */
    float outlier_threshold; /* see tensor/outliers.h */
} num_format;

/* Bits of the integer precision named "int8", "int10", "int12" or "int16"; 0 for other names. */
int format_precision_bits(const char *name);

/* The largest mantissa of b bits. */
MTS_INLINE int32_t format_limit(int bits)
{
    return (INT32_C(1) << (bits - 1)) - 1;
}

/* Bytes of a stored mantissa. */
MTS_INLINE int format_elem_bytes(int bits)
{
    return bits <= 8 ? 1 : 2;
}

/* 2^e, -126 <= e <= 127. */
float format_power(int e);

/* e_s of a group from the bit pattern of its max |x| (finite). */
int format_unit_exponent(uint32_t max_abs_bits, int bits);

/* The scale of a group, and what its elements are multiplied with to become mantissas: 1 / scale in
 * float. */
typedef struct format_unit {
    float scale, inverse;
} format_unit;
format_unit format_unit_of(uint32_t max_abs_bits, int bits, scale_kind scales);

#endif
