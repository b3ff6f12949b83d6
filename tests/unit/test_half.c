/*
 * float16 and bfloat16: every one of them becomes a float and comes back; every float in between
 * goes to the nearer one, and halfway to the even one; what is too large becomes infinity.
 */
#include "support/test_check.h"

#include <math.h>

#include "base/half.h"

typedef struct half_kind {
    float (*widen)(uint32_t half);
    uint16_t (*round)(float value);
    uint32_t infinity;
} half_kind;

static float widen_f16(uint32_t half)
{
    return float_of_f16(half);
}

static float widen_bf16(uint32_t half)
{
    return float_of_bf16(half);
}

static uint16_t round_f16(float value)
{
    return f16_of_float(value);
}

static uint16_t round_bf16(float value)
{
    return bf16_of_float(value);
}

static const half_kind kinds[] = {{widen_f16, round_f16, 0x7c00}, {widen_bf16, round_bf16, 0x7f80}};

/* Neighbours lo and lo + 1, and floats between them; both signs. */
static void check_between(const half_kind *kind, uint32_t lo)
{
    const float a = kind->widen(lo);
    /* the last step goes to where the next finite number would be */
    const double b = lo + 1 == kind->infinity ? 2.0 * (double)a - (double)kind->widen(lo - 1)
                                              : (double)kind->widen(lo + 1);
    const float middle = (float)(((double)a + b) / 2);
    const uint32_t even = lo % 2 == 0 ? lo : lo + 1;
    assert_int_equal(kind->round(a), lo);
    assert_int_equal(kind->round(-a), lo | 0x8000u);
    assert_int_equal(kind->round(middle), even);
    assert_int_equal(kind->round(nextafterf(middle, 0.0f)), lo);
    assert_int_equal(kind->round(nextafterf(middle, INFINITY)), lo + 1);
    assert_int_equal(kind->round(-middle), even | 0x8000u);
}

static void nearest(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++)
        for (uint32_t lo = 0; lo < kinds[k].infinity; lo++)
            check_between(&kinds[k], lo);
}

static void too_large(void **state)
{
    (void)state;
    assert_int_equal(f16_of_float(65519.99f), 0x7bff);
    assert_int_equal(f16_of_float(65520.0f), 0x7c00);
    assert_int_equal(f16_of_float(-1e30f), 0xfc00);
    assert_int_equal(f16_of_float(65537.0f), 0x7c00);
    assert_int_equal(f16_of_float(131071.0f), 0x7c00);
    assert_int_equal(bf16_of_float(3.4028235e38f), 0x7f80);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nearest), cmocka_unit_test(too_large)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
