/*
 * Adding numbers of different exponents in integers, without bias: the arithmetic of sgd_int16.
 *
 *   sum[i] += R(factor * q[i] * 2^-shift)        R(x) = floor(x + u), u uniform in [0, 1)
 *
 * An addend is an int16 mantissa times a 16-bit factor: an int32 product, brought to the sum's
 * exponent by one right shift [Ghaffari2022].  u has `shift` random bits, so that E[R(x)] = x
 * exactly.  A shift over 30 is done in two roundings with independent draws; over 60 every product
 * is below 2^-30 of a unit and the addend is left out.
 *
 * Works on strips of a fixed length: loops of a constant count, which compilers turn into vectors.
 */
#ifndef MTS_OPTIM_INT16_ADD_H
#define MTS_OPTIM_INT16_ADD_H

#include <stdint.h>

#include "base/rng.h"

enum {
    INT16_STRIP = 256,
    INT16_BOUND = 32760,       /* planned magnitude of a sum; the rest of int16 is for round-ups */
    INT16_MIN_EXPONENT = -114, /* of one unit: q * 2^e is a normal float ...  */
    INT16_MAX_EXPONENT = 113,  /* ... and a finite one */
};

/* q * 2^e: 0, or 2^14 <= |q| < 2^15.  int16_one is not normalised: its products are exact. */
typedef struct int16_factor {
    int16_t q;
    int e;
} int16_factor;

extern const int16_factor int16_one;

/* x to the nearest of 15 bits (relative error <= 2^-15); |x| < 2^100. */
int16_factor int16_factor_of(double x);
double int16_factor_value(int16_factor f);

/* The smallest e >= INT16_MIN_EXPONENT with bound <= INT16_BOUND * 2^e; bound >= 0, finite. */
int int16_fit_exponent(double bound);

typedef struct int16_addend {
    int16_t factor; /* 0: nothing to add */
    int shift;      /* 0: exact */
    rng_key key;
    rng_key far_key; /* of the first of two roundings, when shift > 30 */
} int16_addend;

/*
 * The addend f * q[i] * 2^e, |q[i]| <= max, for a sum with unit 2^target.  The caller has chosen
 * target so that max * |f| * 2^e <= INT16_BOUND * 2^target (int16_fit_exponent).
 */
int16_addend int16_addend_make(int16_factor f, int e, int32_t max, int target, rng_key key,
                               rng_key far_key);

/* The formula above, i in [0, INT16_STRIP); draw of element i: first + i. */
void int16_add_strip(int32_t *restrict sum, const int16_t *restrict q, const int16_addend *addend,
                     uint32_t first);

/* q[i] = sum[i], which fits; returns max |q[i]|.  i in [0, INT16_STRIP). */
int32_t int16_store_strip(int16_t *restrict q, const int32_t *restrict sum);

#endif
