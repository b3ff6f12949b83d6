/*
 * base/rng: fixed values, the bijection, uniformity, and independence of neighbouring streams.
 *
 * Statistics are of a fixed set of numbers, so a bound of 5 sigma can be missed by a bad generator
 * only, never by bad luck in a later run.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"

enum { COUNT = 1 << 18 };

/* Values by a separate program from the formulas in rng.h: the streams are part of the format. */
static void fixed_values(void **state)
{
    (void)state;
    assert_int_equal(rng_splitmix64(0), UINT64_C(0xe220a8397b1dcdaf)); /* [Steele2014] */
    const rng_key key = rng_make_key(1, 2, 3, RNG_ROUND_GRADIENT_DX);
    assert_int_equal(key.a, UINT32_C(0x31cea458));
    assert_int_equal(key.b, UINT32_C(0xc4792766));
    assert_int_equal(rng_draw(key, 0), UINT32_C(0xc2146efa));
    assert_int_equal(rng_draw(key, 4000000000u), UINT32_C(0x0a94ac6b));
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* One key, a million indices: no draw occurs twice (of random draws, about 128 would). */
static void bijection(void **state)
{
    uint32_t *draws = NULL;
    (void)state;
    const int64_t n = INT64_C(1) << 20;
    assert_int_equal(mem_calloc(NULL, &draws, (size_t)n, sizeof *draws, "draws"), MTS_OK);
    const rng_key key = rng_make_key(5, 6, 7, RNG_DROPOUT);
    for (int64_t i = 0; i < n; i++)
        draws[i] = rng_draw(key, (uint32_t)i * 4001u);
    qsort(draws, (size_t)n, sizeof *draws, compare_u32);
    for (int64_t i = 1; i < n; i++)
        assert_true(draws[i - 1] < draws[i]);
    mem_free(draws);
}

static void uniform_range(void **state)
{
    const rng_key key = rng_make_key(9, 0, 0, RNG_INIT);
    double sum = 0.0, squares = 0.0;
    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        const float u = rng_uniform(key, i);
        assert_true(u >= 0.0f && u < 1.0f);
        assert_true(u * 16777216.0f == floorf(u * 16777216.0f));
        sum += (double)u - 0.5;
        squares += ((double)u - 0.5) * ((double)u - 0.5);
    }
    assert_true(fabs(sum / COUNT) < 5.0 * sqrt(1.0 / 12.0 / COUNT));
    assert_true(fabs(squares / COUNT - 1.0 / 12.0) < 5.0 * sqrt(1.0 / 180.0 / COUNT));
}

/* Chi-square of the top and the bottom byte: 255 degrees of freedom. */
static void bytes_uniform(void **state)
{
    (void)state;
    for (uint64_t step = 0; step < 8; step++) {
        int64_t top[256] = {0}, low[256] = {0};
        const rng_key key = rng_make_key(1, step, 40, RNG_ROUND_WEIGHT);
        for (uint32_t i = 0; i < COUNT; i++) {
            const uint32_t x = rng_draw(key, i);
            top[x >> 24]++;
            low[x & 255]++;
        }
        double chi_top = 0.0, chi_low = 0.0;
        for (int b = 0; b < 256; b++) {
            const double expected = COUNT / 256.0;
            chi_top += ((double)top[b] - expected) * ((double)top[b] - expected) / expected;
            chi_low += ((double)low[b] - expected) * ((double)low[b] - expected) / expected;
        }
        assert_true(fabs(chi_top - 255.0) < 5.0 * sqrt(2.0 * 255.0));
        assert_true(fabs(chi_low - 255.0) < 5.0 * sqrt(2.0 * 255.0));
    }
}

/* Correlation of u(a, i) with u(b, i + lag) in sigma. */
static double correlation(rng_key a, rng_key b, uint32_t lag)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < COUNT; i++)
        sum += ((double)rng_uniform(a, i) - 0.5) * ((double)rng_uniform(b, i + lag) - 0.5);
    return sum * 12.0 / sqrt((double)COUNT);
}

/* Streams that differ in one of seed, step, tensor, use; and one stream against itself, later. */
static void independence(void **state)
{
    const rng_key key = rng_make_key(3, 10, 20, RNG_ROUND_ACTIVATION);
    const rng_key others[] = {
        rng_make_key(4, 10, 20, RNG_ROUND_ACTIVATION),
        rng_make_key(3, 11, 20, RNG_ROUND_ACTIVATION),
        rng_make_key(3, 10, 21, RNG_ROUND_ACTIVATION),
        rng_make_key(3, 10, 20, RNG_ROUND_GRADIENT_DX),
        rng_make_key(10, 3, 20, RNG_ROUND_ACTIVATION),
    };
    (void)state;
    for (size_t k = 0; k < sizeof others / sizeof others[0]; k++)
        for (uint32_t lag = 0; lag < 3; lag++)
            assert_true(fabs(correlation(key, others[k], lag)) < 5.0);
    for (uint32_t lag = 1; lag < 70; lag++)
        assert_true(fabs(correlation(key, key, lag)) < 5.0);
    for (uint32_t lag = 128; lag < 5000; lag *= 2)
        assert_true(fabs(correlation(key, key, lag)) < 5.0);
}

/* One element over steps: its draws are uniform too (rounding errors of a weight cancel in time).
 */
static void over_steps(void **state)
{
    (void)state;
    for (uint32_t element = 0; element < 5; element++) {
        double sum = 0.0, product = 0.0, last = 0.0;
        for (uint64_t step = 0; step < COUNT / 4; step++) {
            const rng_key key = rng_make_key(1, step, 33, RNG_ROUND_WEIGHT);
            const double u = (double)rng_uniform(key, element) - 0.5;
            sum += u;
            product += u * last;
            last = u;
        }
        const double n = COUNT / 4;
        assert_true(fabs(sum) < 5.0 * sqrt(n / 12.0));
        assert_true(fabs(product) < 5.0 * sqrt(n) / 12.0);
    }
}

/* A change of one bit of the index changes half of the draw's bits. */
static void avalanche(void **state)
{
    const rng_key key = rng_make_key(8, 1, 1, RNG_DROPOUT);
    (void)state;
    for (int bit = 0; bit < 32; bit++) {
        int64_t changed = 0;
        for (uint32_t i = 0; i < 4096; i++) {
            uint32_t x = rng_draw(key, i * 9973u) ^ rng_draw(key, (i * 9973u) ^ (1u << bit));
            for (; x != 0; x &= x - 1)
                changed++;
        }
        const double share = (double)changed / (4096.0 * 32.0);
        assert_true(fabs(share - 0.5) < 0.02);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fixed_values),  cmocka_unit_test(bijection),
        cmocka_unit_test(uniform_range), cmocka_unit_test(bytes_uniform),
        cmocka_unit_test(independence),  cmocka_unit_test(over_steps),
        cmocka_unit_test(avalanche),
    };
    printf("seed: fixed\n");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
