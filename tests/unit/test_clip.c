/* optim/clip: the norm is exact enough, the same on every machine, and names a bad gradient. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "optim/clip.h"
#include "support/test_params.h"

static clip_result clip_with(const float_kernels *fk, int threads, const test_params *t,
                             double max_norm)
{
    exec ex = test_params_exec(fk, threads, 0);
    return clip_gradients(&ex, t->items, t->count, max_norm);
}

static clip_result clip_plain(const test_params *t, double max_norm)
{
    return clip_with(&float_kernels__generic, 1, t, max_norm);
}

static void test_norm_and_factor(void **state)
{
    test_params t = {0};
    (void)state;
    test_params_add(&t, 1, 3, false);
    test_params_add(&t, 2, 1, true);
    memcpy(t.grad, (const float[]){1, -2, 4, 6, -8}, 5 * sizeof(float));
    const clip_result none = clip_plain(&t, 0.0), half = clip_plain(&t, 5.5),
                      wide = clip_plain(&t, 12.0);
    assert_true(none.norm == 11.0 && none.factor == 1.0f && none.bad_param == NULL);
    assert_true(half.norm == 11.0 && half.factor == (float)(5.5 / (11.0 + 1e-6)));
    assert_true(wide.factor == 1.0f);
    memset(t.grad, 0, 5 * sizeof(float));
    const clip_result zero = clip_plain(&t, 1.0);
    assert_true(zero.norm == 0.0 && zero.factor == 1.0f && zero.bad_param == NULL);
    test_params_free(&t);
}

/* More pieces than one batch holds, tiny and huge gradients: against a plain sum. */
static void test_many_pieces(void **state)
{
    test_params t = {0};
    (void)state;
    for (int p = 0; p < 3; p++)
        test_params_add(&t, 2000, 3001, false);
    test_params_fill(t.grad, t.elements, 1e-3f, 5);
    t.grad[t.elements - 1] = 1e30f;
    t.grad[0] = 1e-30f;
    assert_true(clip_plain(&t, 0.0).norm == (double)1e30f);
    t.grad[t.elements - 1] = 0.25f;
    long double sum = 0;
    for (int64_t i = 0; i < t.elements; i++)
        sum += (long double)t.grad[i] * (long double)t.grad[i];
    const double expected = (double)sqrtl(sum);
    assert_true(fabs(clip_plain(&t, 0.0).norm - expected) <= 1e-12 * expected);
    test_params_free(&t);
}

static void test_threads_and_kernels_agree(void **state)
{
    test_params t = test_params_mixed();
    int count;
    const float_kernels *const *fk = test_params_kernels(&count);
    (void)state;
    test_params_fill(t.grad, t.elements, 3.0f, 8);
    const clip_result expected = clip_plain(&t, 1.0);
    for (int k = 0; k < count; k++)
        for (int threads = 1; threads <= 3; threads++) {
            const clip_result found = clip_with(fk[k], threads, &t, 1.0);
            assert_memory_equal(&found.norm, &expected.norm, sizeof found.norm);
            assert_memory_equal(&found.factor, &expected.factor, sizeof found.factor);
        }
    test_params_free(&t);
}

static void test_bad_gradient_is_named(void **state)
{
    test_params t = test_params_mixed();
    (void)state;
    test_params_fill(t.grad, t.elements, 1.0f, 8);
    t.items[4]->grad[0] = -INFINITY;
    clip_result found = clip_plain(&t, 1.0);
    assert_true(isinf(found.norm) && found.factor == 0.0f);
    assert_string_equal(found.bad_param, "p4");
    t.items[3]->grad[70000] = NAN;
    found = clip_plain(&t, 0.0);
    assert_true(isnan(found.norm) && found.factor == 0.0f);
    assert_string_equal(found.bad_param, "p3");
    /* the largest floats are not infinity */
    t.items[3]->grad[70000] = 3.4e38f;
    t.items[4]->grad[0] = -3.4e38f;
    found = clip_plain(&t, 1.0);
    assert_null(found.bad_param);
    assert_true(isfinite(found.norm) && found.factor > 0.0f);
    test_params_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_norm_and_factor),
        cmocka_unit_test(test_many_pieces),
        cmocka_unit_test(test_threads_and_kernels_agree),
        cmocka_unit_test(test_bad_gradient_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
