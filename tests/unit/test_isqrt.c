/* tensor/isqrt against the definition of a square root, at every kind of border. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/test_model.h"
#include "tensor/isqrt.h"

static void check_floor(uint64_t v)
{
    const uint64_t r = isqrt_floor(v);
    assert_true(r * r <= v);
    assert_true((r + 1) * (r + 1) > v);
}

static void small_values(void **state)
{
    (void)state;
    for (uint64_t v = 0; v < 100000; v++)
        check_floor(v);
}

/* Around every power of two and around squares. */
static void borders(void **state)
{
    test_random r = test_random_make("borders");
    (void)state;
    for (int k = 2; k < 63; k++)
        for (int d = -2; d <= 2; d++)
            check_floor((UINT64_C(1) << k) + (uint64_t)d);
    for (int i = 0; i < 20000; i++) {
        const uint64_t root = 2 + (test_random_bits(&r) >> (34 + test_random_below(&r, 28)));
        assert_int_equal(isqrt_floor(root * root), root);
        assert_int_equal(isqrt_floor(root * root - 1), root - 1);
        assert_int_equal(isqrt_floor(root * root + 2 * root), root);
        check_floor(test_random_bits(&r) >> (1 + test_random_below(&r, 60)));
    }
    check_floor((UINT64_C(1) << 63) - 1);
}

/* r <= sqrt(v) 2^half_shift < r + 1 and r >= 2^29. */
static void check_scaled(int64_t v)
{
    int half_shift = -1;
    const int64_t root = isqrt_scaled(v, &half_shift);
    assert_in_range(half_shift, 0, 31);
    assert_true(root >= INT64_C(1) << 29);
    const uint64_t r = (uint64_t)root, shifted = (uint64_t)v << (2 * half_shift);
    assert_true(shifted >> (2 * half_shift) == (uint64_t)v); /* nothing was lost */
    assert_true(r * r <= shifted && shifted < (r + 1) * (r + 1));
}

static void scaled(void **state)
{
    test_random r = test_random_make("scaled");
    (void)state;
    for (int64_t v = 1; v < 20000; v++)
        check_scaled(v);
    for (int k = 1; k < 63; k++)
        for (int d = -1; d <= 1; d++)
            check_scaled((INT64_C(1) << k) + d);
    check_scaled(INT64_MAX);
    for (int i = 0; i < 20000; i++)
        check_scaled(1 + (int64_t)(test_random_bits(&r) >> (2 + test_random_below(&r, 60))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_values),
        cmocka_unit_test(borders),
        cmocka_unit_test(scaled),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
