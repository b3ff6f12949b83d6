/*
 * Linear biases of attention.
 *
 *   slopes   against the C library's exp2, for every number of heads; those of falcon-rw
 *   biases   multiples of the slope, all rounded to bfloat16
 */
#include "support/test_check.h"

#include <math.h>

#include "layers/alibi.h"
#include "support/test_model.h"

enum { HEADS_MAX = 200, LENGTH = 1500 };

/* The rule of [Press2022] for any number of heads. */
static double slope_of(int heads, int h)
{
    int power = 1;
    while (2 * power <= heads)
        power *= 2;
    return h < power ? exp2(-8.0 * (h + 1) / power) : exp2(-4.0 * (2 * (h - power) + 1) / power);
}

static void slopes(void **state)
{
    (void)state;
    for (int heads = 1; heads <= HEADS_MAX; heads++) {
        float slope[HEADS_MAX];
        alibi_slopes(slope, heads);
        for (int h = 0; h < heads; h++)
            if (!(fabs((double)slope[h] - slope_of(heads, h)) <= 1e-7 * slope_of(heads, h)))
                fail_msg("%d heads, %d: %g, expected %g", heads, h, (double)slope[h],
                         slope_of(heads, h));
    }
}

/* x rounded to the nearest number of 8 binary digits, halves to even. */
static double to_bf16(double x)
{
    int e;
    const double mantissa = frexp(x, &e);
    return ldexp(rint(ldexp(mantissa, 8)), e - 8);
}

static const float *bias;

static void bind(void *arg)
{
    (void)arg;
}

static void pass(void *arg)
{
    exec *ex = arg;
    const size_t mark = exec_mark(ex);
    bias = alibi_bias(ex, LENGTH, 0.7071067811865475f);
    exec_release(ex, mark);
}

static void biases(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    const double slope = to_bf16(0.7071067811865475);
    exec ex;
    (void)state;
    test_exec_init(&ex, &fp32, 1);
    test_exec_plan(&ex, NULL, bind, pass, &ex);
    pass(&ex);
    for (int j = 0; j < LENGTH; j++)
        assert_true((double)bias[j] == to_bf16(slope * to_bf16(j)));
    assert_true((double)bias[1401] != slope * 1401.0);
    test_exec_deinit(&ex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(slopes), cmocka_unit_test(biases)};
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
