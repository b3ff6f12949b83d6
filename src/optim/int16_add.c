/* Unbiased integer addition across exponents.  See int16_add.h. */
#include "optim/int16_add.h"

#include <math.h>

/* |factor * q| < 2^30, so that adding 30 random bits stays below 2^31. */
enum { NEAR_SHIFT = 30, FAR_SHIFT = 60, FACTOR_BITS = 15 };

const int16_factor int16_one = {1, 0};

int16_factor int16_factor_of(double x)
{
    int k;
    int32_t q = (int32_t)lrint(ldexp(frexp(x, &k), FACTOR_BITS));
    int e = k - FACTOR_BITS;
    if (q == 1 << FACTOR_BITS || q == -(1 << FACTOR_BITS)) {
        q /= 2;
        e++;
    }
    return (int16_factor){(int16_t)q, q == 0 ? 0 : e};
}

double int16_factor_value(int16_factor f)
{
    return ldexp((double)f.q, f.e);
}

int int16_fit_exponent(double bound)
{
    int k;
    const double mantissa = frexp(bound, &k); /* bound = mantissa * 2^k, 1/2 <= mantissa < 1 */
    int e = k - 15;
    if (mantissa * 32768.0 > INT16_BOUND)
        e++;
    return bound == 0.0 || e < INT16_MIN_EXPONENT ? INT16_MIN_EXPONENT : e;
}

int16_addend int16_addend_make(int16_factor f, int e, int32_t max, int target, rng_key key,
                               rng_key far_key)
{
    int16_addend addend = {.factor = f.q, .shift = target - (e + f.e), .key = key};
    addend.far_key = far_key;
    if (max == 0 || f.q == 0 || addend.shift > FAR_SHIFT) {
        addend.factor = 0;
    } else if (addend.shift < 0) {
        /* max >= 1 and the product fits, hence so does the factor */
        addend.factor = (int16_t)(f.q * (1 << -addend.shift));
        addend.shift = 0;
    }
    return addend;
}

/* p[i] = floor((p[i] + u[i]) / 2^shift), u of `shift` bits; >> of a negative number is arithmetic.
 */
static void shift_rounded(int32_t *restrict p, int shift, rng_key key, uint32_t first)
{
    const uint32_t mask = (UINT32_C(1) << shift) - 1;
    for (uint32_t i = 0; i < INT16_STRIP; i++)
        p[i] = (p[i] + (int32_t)(rng_draw(key, first + i) & mask)) >> shift;
}

void int16_add_strip(int32_t *restrict sum, const int16_t *restrict q, const int16_addend *addend,
                     uint32_t first)
{
    const int16_t factor = addend->factor;
    int32_t p[INT16_STRIP];
    if (factor == 0)
        return;
    for (int i = 0; i < INT16_STRIP; i++)
        p[i] = (int32_t)factor * (int32_t)q[i];
    if (addend->shift > NEAR_SHIFT) {
        shift_rounded(p, addend->shift - NEAR_SHIFT, addend->far_key, first);
        shift_rounded(p, NEAR_SHIFT, addend->key, first);
    } else if (addend->shift > 0) {
        shift_rounded(p, addend->shift, addend->key, first);
    }
    for (int i = 0; i < INT16_STRIP; i++)
        sum[i] += p[i];
}

int32_t int16_store_strip(int16_t *restrict q, const int32_t *restrict sum)
{
    int32_t max = 0;
    for (int i = 0; i < INT16_STRIP; i++) {
        const int32_t magnitude = sum[i] < 0 ? -sum[i] : sum[i];
        max = magnitude > max ? magnitude : max;
        q[i] = (int16_t)sum[i];
    }
    return max;
}
