/*
 * Shared by the files of kernels/float: the name of a function in this build, bit casts, the fixed
 * order of sums, and exp.
 */
#ifndef MTS_KERNELS_FLOAT_LANES_H
#define MTS_KERNELS_FLOAT_LANES_H

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"

/* FK(softmax) is softmax__generic, softmax__avx2 or softmax__avx512 (MTS_ISA comes from CMake). */
#define FK_PASTE(name, isa) name##__##isa
#define FK_EXPAND(name, isa) FK_PASTE(name, isa)
#define FK(name) FK_EXPAND(name, MTS_ISA)

enum { LANES = 16 };

MTS_INLINE uint32_t float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

MTS_INLINE float float_from_bits(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

/* The fixed tree over 16 lanes: halves are added until one value is left. */
MTS_INLINE float lanes_sum(const float *acc)
{
    float t[LANES];
    memcpy(t, acc, sizeof t);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int l = 0; l < width; l++)
            t[l] += t[l + width];
    return t[0];
}

/*
 * e^x, x limited to [-86, 88], relative error below 2e-7; NaN for NaN.
 * x = n ln2 + r, |r| <= ln2/2, a polynomial of degree 6 in r (coefficients of Cephes' expf,
 * Moshier), times 2^n.  Without branches, so that loops over it become vector code.
 * e^-86 leaves room: e^-87 / sqrt(2 pi) would be a denormal number, and a compiler that computes
 * what it then does not select makes every vector wait for one.
 */
MTS_INLINE float float_exp(float x)
{
    float limited = x > -86.0f ? x : -86.0f; /* NaN becomes -86: n is defined */
    limited = limited < 88.0f ? limited : 88.0f;
    /* adding and subtracting 1.5 * 2^23 rounds to an integer */
    float fn = (limited * 1.44269504f + 12582912.0f) - 12582912.0f;
    float r = (limited - fn * 0.693359375f) - fn * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    p = p * float_from_bits((uint32_t)((int32_t)fn + 127) << 23);
    return x == x ? p : x;
}

#endif
