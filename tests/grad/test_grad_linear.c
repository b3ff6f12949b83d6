/*
 * The linear layer's backward: float against finite differences, integers against float.
 *
 *   fp32      every element of dX, dW, db against central differences of L = sum C Y
 *   integers  signal-to-noise ratio against fp32 by width, group and rounding: each bit is worth
 *             6.02 dB, so the bounds are those of 8 bits plus 6 dB for each bit more
 *   frozen    a parameter that is not trained is passed over
 *   mean      of dW and dX over many steps of stochastic rounding: the fp32 gradient
 *   mixed     rounding: Y as of nearest rounding, bit for bit; the mean of dW and dX is that of
 *             the rounded X and W
 *
 * With outlier features, too; what they add is in test_grad_outliers.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/linear_case.h"

enum { STEPS = 2000, WIDTH = 15 }; /* of the test of the mean */

/* A format that tells outliers apart. */
static num_format with_outliers(num_format format)
{
    format.outlier_bits = 12;
    return format;
}

/* Some outlier features, where the format tells them apart. */
static void set_some_outliers(linear_case *c)
{
    static const int32_t feature[] = {0, 3, 13};
    if (c->ex.format.outlier_bits > 0)
        linear_case_set_outliers(c, feature, 3);
}

static double loss(void *arg)
{
    linear_case *c = arg;
    linear_case_forward(c);
    return test_dot(c->y, c->dy, c->rows * c->out);
}

static void differences(void **state)
{
    linear_case c;
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    linear_case_init(&c, NULL, &format, 9, 13, 21);
    test_random r = test_random_make("large gradient");
    test_fill_normal(&r, c.dy, c.rows * c.out, 0.0, 1.0);
    linear_case_run(&c);
    test_assert_gradient("dX", loss, &c, c.x, c.dx, c.rows * c.in, 0.25f, 1e-4, 2e-5);
    test_assert_gradient("dW", loss, &c, c.weight.value, c.weight.grad, c.out * c.in, 0.25f, 1e-4,
                         2e-5);
    test_assert_gradient("db", loss, &c, c.bias.value, c.bias.grad, c.out, 0.25f, 1e-4, 2e-5);
    linear_case_deinit(&c);
}

/* Parameter gradients of a second micro-batch are added; dX may be unwanted. */
static void accumulation(void **state)
{
    const num_format formats[] = {test_format_float(FORMAT_FP32),
                                  test_format_float(FORMAT_BF16),
                                  test_format_dfp(12, GROUP_TENSOR, false),
                                  test_format_dfp(12, GROUP_ROW, false),
                                  test_format_dfp(12, GROUP_BLOCK, false),
                                  with_outliers(test_format_dfp(8, GROUP_TENSOR, false)),
                                  with_outliers(test_format_dfp(8, GROUP_ROW, false)),
                                  with_outliers(test_format_dfp(8, GROUP_BLOCK, false))};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        linear_case c;
        linear_case_init(&c, NULL, &formats[f], 70, 67, 130);
        set_some_outliers(&c);
        const int64_t n = c.out * c.in;
        linear_case_run(&c);
        float *once = test_floats(n), *once_b = test_floats(c.out);
        memcpy(once, c.weight.grad, (size_t)n * sizeof *once);
        memcpy(once_b, c.bias.grad, (size_t)c.out * sizeof *once_b);
        c.ex.accumulate_grads = true;
        linear_backward(&c.ex, NULL, c.dy, &c.act, &c.lin);
        for (int64_t i = 0; i < n; i++)
            assert_true(fabs((double)c.weight.grad[i] - 2.0 * (double)once[i]) <=
                        1e-5 * fabs((double)once[i]) + 1e-6);
        for (int64_t i = 0; i < c.out; i++)
            assert_true(c.bias.grad[i] == 2.0f * once_b[i]);
        mem_free(once);
        mem_free(once_b);
        linear_case_deinit(&c);
    }
}

/* A parameter that is not trained has no gradient: nothing is written for it, and the rest has the
 * bits as if it were, in a second batch too. */
static void frozen(void **state)
{
    const num_format formats[] = {
        test_format_float(FORMAT_FP32),         test_format_float(FORMAT_BF16),
        test_format_dfp(8, GROUP_TENSOR, true), test_format_dfp(8, GROUP_ROW, true),
        test_format_dfp(8, GROUP_BLOCK, true),  with_outliers(test_format_dfp(8, GROUP_ROW, true))};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        for (int which = 1; which <= 3; which++) {
            linear_case a, b;
            linear_case_init(&a, NULL, &formats[f], 70, 67, 66);
            linear_case_init(&b, NULL, &formats[f], 70, 67, 66);
            set_some_outliers(&a);
            set_some_outliers(&b);
            float *weight = b.weight.grad, *bias = b.bias.grad;
            b.weight.trained = (which & 1) == 0;
            b.bias.trained = (which & 2) == 0;
            b.weight.grad = b.weight.trained ? weight : NULL;
            b.bias.grad = b.bias.trained ? bias : NULL;
            for (int batch = 0; batch < 2; batch++) {
                linear_case_run(&a);
                linear_case_run(&b);
                test_assert_same("dX", b.dx, a.dx, 70 * 66);
                if (b.weight.grad != NULL)
                    test_assert_same("dW", weight, a.weight.grad, 67 * 66);
                if (b.bias.grad != NULL)
                    test_assert_same("db", bias, a.bias.grad, 67);
                a.ex.step = b.ex.step = 1;
                a.ex.accumulate_grads = b.ex.accumulate_grads = true;
            }
            for (int64_t i = 0; b.weight.grad == NULL && i < b.out * b.in; i++)
                assert_true(weight[i] == 0.0f);
            for (int64_t i = 0; b.bias.grad == NULL && i < b.out; i++)
                assert_true(bias[i] == 0.0f);
            b.weight.grad = weight;
            b.bias.grad = bias;
            linear_case_deinit(&a);
            linear_case_deinit(&b);
        }
}

typedef struct snr {
    double y, dx, dw;
} snr;

static snr measure(const num_format *format, int64_t rows, int64_t out, int64_t in)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    linear_case a, b;
    linear_case_init(&a, NULL, format, rows, out, in);
    linear_case_init(&b, NULL, &fp32, rows, out, in);
    linear_case_run(&a);
    linear_case_run(&b);
    const snr s = {test_snr_db(a.y, b.y, rows * out), test_snr_db(a.dx, b.dx, rows * in),
                   test_snr_db(a.weight.grad, b.weight.grad, out * in)};
    test_assert_same("db", a.bias.grad, b.bias.grad, out); /* sums the floats in every format */
    linear_case_deinit(&a);
    linear_case_deinit(&b);
    return s;
}

/* Bounds in dB at 8 bits, two to three below what is measured. */
static const struct noise_bound {
    group_kind group;
    bool stochastic;
    double y, dx, dw;
} noise_bounds[] = {
    {GROUP_TENSOR, false, 29.5, 31.5, 31.5}, {GROUP_TENSOR, true, 26.5, 28.5, 28.5},
    {GROUP_ROW, false, 35.5, 35.5, 35},      {GROUP_ROW, true, 32.5, 32.5, 32},
    {GROUP_BLOCK, false, 32, 32, 32},        {GROUP_BLOCK, true, 29, 29, 29},
};

static void noise(void **state)
{
    static const int widths[] = {4, 8, 10, 12, 16};
    (void)state;
    for (size_t i = 0; i < sizeof noise_bounds / sizeof noise_bounds[0]; i++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
            const struct noise_bound *b = &noise_bounds[i];
            const num_format f = test_format_dfp(widths[w], b->group, b->stochastic);
            /* at 4 bits saturation counts: the limit is 7 of 8 units */
            const double more = 6.02 * (widths[w] - 8) - (widths[w] == 4 ? 2.0 : 0.0);
            const snr s = measure(&f, 150, 96, 200);
            printf("  %s %s, %d bits\n", test_group_name(b->group),
                   b->stochastic ? "stochastic" : "nearest", widths[w]);
            test_assert_at_least("Y", s.y, b->y + more, "dB");
            test_assert_at_least("dX", s.dx, b->dx + more, "dB");
            test_assert_at_least("dW", s.dw, b->dw + more, "dB");
        }
}

static void bfloat16(void **state)
{
    const num_format f = test_format_float(FORMAT_BF16);
    (void)state;
    const snr s = measure(&f, 150, 96, 200);
    test_assert_at_least("Y", s.y, 50, "dB");
    test_assert_at_least("dX", s.dx, 50, "dB");
    test_assert_at_least("dW", s.dw, 50, "dB");
}

/* Sums for mean and variance of each element. */
typedef struct moments {
    int64_t n, count;
    double *sum, *squares;
} moments;

static void moments_init(moments *m, int64_t n)
{
    *m = (moments){n, 0, test_alloc(n, sizeof(double)), test_alloc(n, sizeof(double))};
}

static void moments_add(moments *m, const float *x)
{
    m->count++;
    for (int64_t i = 0; i < m->n; i++) {
        m->sum[i] += (double)x[i];
        m->squares[i] += (double)x[i] * (double)x[i];
    }
}

/* No element's mean may be 5 sigma off, and the mean square of the deviations is about sigma^2. */
static void moments_check(moments *m, const char *what, const float *expected)
{
    double chi = 0.0, worst = 0.0;
    for (int64_t i = 0; i < m->n; i++) {
        const double k = (double)m->count, mean = m->sum[i] / k;
        const double variance = (m->squares[i] / k - mean * mean) / k;
        const double off = (mean - (double)expected[i]) / sqrt(variance + 1e-30);
        worst = fabs(off) > worst ? fabs(off) : worst;
        chi += off * off;
    }
    chi /= (double)m->n;
    printf("  %-8s mean of %lld steps: worst of %lld elements %.2f sigma, mean square %.3f\n", what,
           (long long)m->count, (long long)m->n, worst, chi);
    assert_true(worst < 5.0);
    assert_true(chi > 0.5 && chi < 1.8); /* elements of a row share noise: wider than chi-square */
    mem_free(m->sum);
    mem_free(m->squares);
}

/* Take out what saturates: a group whose largest magnitude is in the last unit of its octave maps
 * it to the limit, the one place where the mapping is biased.  FORMATS.md (1) */
static void keep_off_the_limit(float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int exponent;
        if (fabs(frexp((double)x[i], &exponent)) > 0.87)
            x[i] *= 0.85f;
    }
}

static void keep_case_off_the_limit(linear_case *c)
{
    keep_off_the_limit(c->x, c->rows * c->in);
    keep_off_the_limit(c->dy, c->rows * c->out);
    keep_off_the_limit(c->weight.value, c->out * c->in);
}

/* E[dW] and E[dX] over steps are those of `expected`, in fp32. */
static void check_means(linear_case *c, linear_case *expected)
{
    moments dw, dx;
    linear_case_run(expected);
    moments_init(&dw, c->out * c->in);
    moments_init(&dx, c->rows * c->in);
    for (int step = 0; step < STEPS; step++) {
        c->ex.step = c->ex.weight_version = (uint64_t)step;
        linear_case_run(c);
        moments_add(&dw, c->weight.grad);
        moments_add(&dx, c->dx);
    }
    printf("  %s\n", test_group_name(c->ex.format.group));
    moments_check(&dw, "dW", expected->weight.grad);
    moments_check(&dx, "dX", expected->dx);
}

/* E[dW] and E[dX] over steps are the exact gradients: the operands' roundings are independent.  As
 * many inputs as outputs, so that a stream shared by two operands would meet itself in every row.
 */
static void unbiased(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int g = 0; g < 6; g++) {
        linear_case a, b;
        num_format f = test_format_dfp(4, groups[g % 3], true);
        f.outlier_bits = g < 3 ? 0 : 9;
        linear_case_init(&a, NULL, &f, 13, WIDTH, WIDTH);
        linear_case_init(&b, NULL, &fp32, 13, WIDTH, WIDTH);
        set_some_outliers(&a);
        keep_case_off_the_limit(&a);
        keep_case_off_the_limit(&b);
        check_means(&a, &b);
        linear_case_deinit(&a);
        linear_case_deinit(&b);
    }
}

/* x becomes what its mantissas stand for, of 4 bits and rounded to nearest. */
static void round_to_nearest(exec *ex, float *x, int64_t rows, int64_t cols, group_kind group)
{
    arena a;
    qmatrix m;
    const map_args args = {.what = "", .where = ""};
    assert_int_equal(arena_init(NULL, &a, (size_t)(rows * cols + 64) * 5, ""), MTS_OK);
    qmatrix_bind(&m, &a, rows, cols, 4, group);
    qmatrix_map(ex, &m, x, cols, &args);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < cols; j++) {
            const int64_t block = i / 64 * ((cols + 63) / 64) + j / 64;
            const int64_t at = group == GROUP_ROW ? i : group == GROUP_BLOCK ? block : 0;
            x[i * cols + j] = (float)((const int8_t *)m.q)[i * cols + j] * m.scale[at];
        }
    test_arena_deinit(&a);
}

/* Mixed rounding: Y has the bits of nearest rounding in every step, the gradients are drawn. */
static void mixed_draws(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int bits = 8; bits <= 12; bits += 4)
        for (size_t g = 0; g < 3; g++) {
            linear_case c[3]; /* nearest; mixed in two steps */
            num_format f = test_format_dfp(bits, groups[g], false);
            for (int i = 0; i < 3; i++) {
                linear_case_init(&c[i], NULL, &f, 70, 67, 66);
                c[i].ex.step = c[i].ex.weight_version = i == 2;
                linear_case_run(&c[i]);
                test_assert_same("Y", c[i].y, c[0].y, 70 * 67);
                for (int k = 0; k < i; k++) {
                    assert_memory_not_equal(c[i].dx, c[k].dx, 70 * 66 * sizeof(float));
                    assert_memory_not_equal(c[i].weight.grad, c[k].weight.grad,
                                            67 * 66 * sizeof(float));
                }
                f.rounding = ROUNDING_MIXED;
            }
            for (int i = 0; i < 3; i++)
                linear_case_deinit(&c[i]);
        }
}

/* Mixed rounding: E[dW] and E[dX] are the exact gradients of the rounded X and W. */
static void mixed_unbiased(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (size_t g = 0; g < 3; g++) {
        linear_case a, b;
        num_format f = test_format_dfp(4, groups[g], false);
        f.rounding = ROUNDING_MIXED;
        linear_case_init(&a, NULL, &f, 13, WIDTH, WIDTH);
        linear_case_init(&b, NULL, &fp32, 13, WIDTH, WIDTH);
        keep_case_off_the_limit(&a);
        keep_case_off_the_limit(&b);
        round_to_nearest(&b.ex, b.x, 13, WIDTH, groups[g]);
        round_to_nearest(&b.ex, b.weight.value, WIDTH, WIDTH, groups[g]);
        check_means(&a, &b);
        linear_case_deinit(&a);
        linear_case_deinit(&b);
    }
}

/* NaN in the weight, the input and the gradient: reported by name, and the numbers stay finite. */
static void anomalies(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const char *const texts[] = {"NaN or infinity in the weight of the layer",
                                        "NaN or infinity in the input of the layer",
                                        "NaN or infinity in the output gradient of the layer"};
    (void)state;
    for (int g = 0; g < 6; g++)
        for (int where = 0; where < 3; where++) {
            linear_case c;
            num_format f = test_format_dfp(8, groups[g % 3], true);
            f.outlier_bits = g < 3 ? 0 : 12;
            linear_case_init(&c, NULL, &f, 70, 67, 66);
            set_some_outliers(&c);
            float *target = where == 0 ? c.weight.value : where == 1 ? c.x : c.dy;
            target[1234] = where == 1 ? -INFINITY : NAN;
            linear_case_run(&c);
            assert_string_equal(c.ex.anomaly, texts[where]);
            c.ex.anomaly[0] = '\0';
            for (int64_t i = 0; i < c.rows * c.out; i++)
                assert_true(isfinite(c.y[i]));
            for (int64_t i = 0; i < c.out * c.in; i++)
                assert_true(isfinite(c.weight.grad[i]));
            linear_case_deinit(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),    cmocka_unit_test(accumulation),
        cmocka_unit_test(noise),          cmocka_unit_test(bfloat16),
        cmocka_unit_test(unbiased),       cmocka_unit_test(mixed_draws),
        cmocka_unit_test(mixed_unbiased), cmocka_unit_test(anomalies),
        cmocka_unit_test(frozen),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
