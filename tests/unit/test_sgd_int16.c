/*
 * The integer SGD: its arithmetic against exact reals, no bias over seeds, the rules of its
 * exponents, and the same minimum as float SGD.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optim/int16_add.h"
#include "optim/optimizer_class.h"
#include "support/test_params.h"

#define assert_ok(call) assert_string_equal(mts_status_name(call), "ok")

static mts_ctx ctx;

/* The state of an optimizer with momentum. */
typedef struct view {
    int16_t *weight, *momentum;
    int32_t *weight_exponent, *momentum_exponent;
} view;

static view view_of(const optimizer *opt)
{
    view v = {0};
    v.weight = optimizer_state_at(opt, 1).data;
    v.weight_exponent = optimizer_state_at(opt, 2).data;
    if (optimizer_state_count(opt) == 5) {
        v.momentum = optimizer_state_at(opt, 3).data;
        v.momentum_exponent = optimizer_state_at(opt, 4).data;
    }
    return v;
}

static optimizer *create(const test_params *t, double momentum, double weight_decay)
{
    const optimizer_options options = {
        .class = &optimizer_sgd_int16, .momentum = momentum, .weight_decay = weight_decay};
    optimizer *opt = NULL;
    assert_ok(optimizer_create(&ctx, &options, t->items, t->count, &opt));
    return opt;
}

static void step(optimizer *opt, const test_params *t, uint64_t seed, double rate)
{
    exec ex = test_params_exec(&float_kernels__generic, 1, seed);
    optimizer_step(&ex, opt, t->items, t->count, rate, 1.0f);
    assert_string_equal(ex.anomaly, "");
}

/* ---------------------------------------------------------------------- the arithmetic ---- */

static void test_factors(void **state)
{
    static const double values[] = {1.0, 0.9, 5e-5, 1e-20, 0.99999, 1000.0, 1.0 / 3, 0x1.fffffp-3};
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        for (int sign = -1; sign <= 1; sign += 2) {
            const double x = sign * values[i];
            const int16_factor f = int16_factor_of(x);
            assert_in_range(abs(f.q), 1 << 14, (1 << 15) - 1);
            assert_true(fabs(int16_factor_value(f) - x) <= 0x1p-15 * fabs(x));
        }
    assert_true(int16_factor_of(0.0).q == 0 && int16_factor_value(int16_factor_of(-0.0)) == 0.0);
    assert_true(int16_factor_value(int16_factor_of(-0.75)) == -0.75);
}

static void test_fit(void **state)
{
    (void)state;
    for (int e = -100; e < 100; e++) {
        const double edge = ldexp(INT16_BOUND, e);
        assert_int_equal(int16_fit_exponent(edge), e);
        assert_int_equal(int16_fit_exponent(nextafter(edge, 2 * edge)), e + 1);
        assert_int_equal(int16_fit_exponent(nextafter(edge, 0)), e);
        assert_int_equal(int16_fit_exponent(ldexp(1.0, e)), e - 14);
    }
    assert_int_equal(int16_fit_exponent(0.0), INT16_MIN_EXPONENT);
    assert_int_equal(int16_fit_exponent(1e-300), INT16_MIN_EXPONENT);
}

/* Sum over many keys of R(factor q 2^-shift): within 4 sigma of the exact value. */
static void check_addend(int16_factor f, int16_t q, int shift)
{
    enum { KEYS = 2000 };
    int16_t mantissas[INT16_STRIP];
    const double exact = ldexp(int16_factor_value(f) * q, -f.e - shift);
    const double fraction = exact - floor(exact);
    int64_t total = 0;
    for (int i = 0; i < INT16_STRIP; i++)
        mantissas[i] = q;
    for (uint64_t k = 0; k < KEYS; k++) {
        int32_t sum[INT16_STRIP] = {0};
        const int16_addend addend =
            int16_addend_make(f, 0, q, shift + f.e, rng_make_key(3, k, 0, RNG_ROUND_STATE),
                              rng_make_key(3, k, 1, RNG_ROUND_STATE));
        int16_add_strip(sum, mantissas, &addend, 0);
        for (int i = 0; i < INT16_STRIP; i++) {
            assert_true(sum[i] == (int32_t)floor(exact) || sum[i] == (int32_t)floor(exact) + 1);
            total += sum[i];
        }
    }
    const double n = (double)KEYS * INT16_STRIP;
    const double sigma = sqrt(n * fraction * (1 - fraction));
    if (!(fabs((double)total - n * exact) <= 4 * sigma))
        fail_msg("%d * %d >> %d: expected %g +- %g, found %lld", f.q, q, shift, n * exact, sigma,
                 (long long)total);
}

static void test_rounding_is_unbiased(void **state)
{
    const int16_factor f = int16_factor_of(0.7), g = int16_factor_of(-0.9);
    (void)state;
    check_addend(int16_one, 12345, 0);
    check_addend(int16_one, 12345, 1);
    check_addend(int16_one, 257, 7);
    check_addend(f, 32767, 15);
    check_addend(f, 4, 15);
    check_addend(g, 32767, 17);
    check_addend(g, 3, 20);
    check_addend(f, 32767, 30);
    check_addend(f, 32767, 31); /* two roundings from here on */
    check_addend(g, 32767, 33);
    check_addend(f, 30000, 38);
    check_addend(g, 30000, 41);
    check_addend(f, 20000, 61); /* left out: nothing may appear */
}

/* An addend of smaller unit than the sum is shifted left, exactly; one of nothing is left out. */
static void test_exact_addends(void **state)
{
    int32_t sum[INT16_STRIP] = {0};
    int16_t q[INT16_STRIP] = {0};
    const rng_key key = {0};
    (void)state;
    q[0] = -5;
    q[255] = 4095;
    const int16_addend left = int16_addend_make(int16_one, 3, 4095, 0, key, key);
    int16_add_strip(sum, q, &left, 0);
    assert_true(sum[0] == -40 && sum[255] == 32760 && sum[1] == 0);
    const int16_addend none = int16_addend_make(int16_factor_of(0.5), 90, 0, 0, key, key);
    assert_int_equal(none.factor, 0);
    const int16_addend zero = int16_addend_make(int16_factor_of(0.0), 0, 100, 0, key, key);
    int16_add_strip(sum, q, &zero, 0);
    assert_true(sum[0] == -40 && sum[255] == 32760);
}

/* ----------------------------------------------------------------------------- the state ---- */

static void assert_values_are_the_state(const optimizer *opt, const test_params *t)
{
    const view v = view_of(opt);
    for (int64_t p = 0; p < t->count; p++)
        for (int64_t i = 0; i < t->items[p]->rows * t->items[p]->cols; i++) {
            const double exact =
                ldexp(v.weight[test_params_offset(t, p) + i], v.weight_exponent[p]);
            assert_true((double)t->items[p]->value[i] == exact);
        }
}

static void test_create_maps_to_nearest(void **state)
{
    test_params t = test_params_mixed(), before = test_params_mixed();
    (void)state;
    memset(t.items[1]->value, 0, 128 * sizeof(float));
    memset(before.items[1]->value, 0, 128 * sizeof(float));
    t.items[4]->value[0] = before.items[4]->value[0] = 1e-42f;
    optimizer *opt = create(&t, 0.9, 0.0);
    const view v = view_of(opt);
    assert_values_are_the_state(opt, &t);
    assert_int_equal(v.weight_exponent[0], -2 - 14); /* 1/4 <= max |w| < 1/2 */
    assert_int_equal(v.weight_exponent[4], INT16_MIN_EXPONENT);
    for (int64_t p = 0; p < t.count; p++)
        for (int64_t i = 0; i < t.items[p]->rows * t.items[p]->cols; i++) {
            const double difference =
                fabs((double)t.items[p]->value[i] - (double)before.items[p]->value[i]);
            assert_true(difference <= ldexp(0.5, v.weight_exponent[p]) ||
                        abs(v.weight[test_params_offset(&t, p) + i]) == 32767);
        }
    /* what is representable stays as it is */
    memcpy(before.value, t.value, (size_t)t.elements * sizeof(float));
    optimizer *again = create(&t, 0.9, 0.0);
    assert_memory_equal(before.value, t.value, (size_t)t.elements * sizeof(float));
    optimizer_destroy(again);
    optimizer_destroy(opt);
    test_params_free(&before);

    t.items[3]->value[5] = NAN;
    const optimizer_options options = {.class = &optimizer_sgd_int16};
    assert_int_equal(optimizer_create(&ctx, &options, t.items, t.count, &opt), MTS_ERR_NUMERIC);
    assert_null(opt);
    assert_non_null(strstr(ctx.error, "p3"));
    test_params_free(&t);
}

static void test_bad_state_is_refused(void **state)
{
    test_params t = test_params_mixed();
    optimizer *opt = create(&t, 0.9, 0.0);
    const view v = view_of(opt);
    (void)state;
    v.weight[77] = -32768;
    assert_int_equal(optimizer_restored(&ctx, opt, t.items, t.count), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "weight, element 77: expected at least -32767"));
    v.weight[77] = 1;
    v.momentum[93903] = -32768;
    assert_int_equal(optimizer_restored(&ctx, opt, t.items, t.count), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "momentum_buffer, element 93903"));
    v.momentum[93903] = 0;
    v.weight_exponent[2] = 114;
    assert_int_equal(optimizer_restored(&ctx, opt, t.items, t.count), MTS_ERR_BAD_FILE);
    assert_non_null(
        strstr(ctx.error, "weight_exponent, element 2: expected -114 to 113, found 114"));
    v.weight_exponent[2] = -20;
    v.momentum_exponent[0] = -115;
    assert_int_equal(optimizer_restored(&ctx, opt, t.items, t.count), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "momentum_exponent, element 0"));
    v.momentum_exponent[0] = -114;
    assert_ok(optimizer_restored(&ctx, opt, t.items, t.count));
    assert_values_are_the_state(opt, &t);
    optimizer_destroy(opt);
    test_params_free(&t);
}

/* ----------------------------------------------------------------------------- exponents ---- */

static void test_weight_exponent_moves_only_when_needed(void **state)
{
    test_params t = {0};
    (void)state;
    test_params_add(&t, 1, 4, false);
    memcpy(t.value, (const float[]){0.9f, -0.3f, 0.1f, 0.0f}, 4 * sizeof(float));
    optimizer *opt = create(&t, 0.0, 0.0);
    const view v = view_of(opt);
    assert_int_equal(v.weight_exponent[0], -15);

    /* a small step fits; the other elements are added to exactly */
    memcpy(t.grad, (const float[]){0.0f, 0.0f, -0.25f, 0.25f}, 4 * sizeof(float));
    step(opt, &t, 1, 0.125);
    assert_int_equal(v.weight_exponent[0], -15);
    assert_int_equal(v.weight[3], -1024);

    /* over the top: one up, and it stays there */
    memcpy(t.grad, (const float[]){-1.0f, 0.0f, 0.0f, 0.0f}, 4 * sizeof(float));
    step(opt, &t, 2, 0.125);
    assert_int_equal(v.weight_exponent[0], -14);
    assert_in_range(v.weight[0], 16384, 17000);
    memset(t.grad, 0, 4 * sizeof(float));
    step(opt, &t, 3, 0.125);
    assert_int_equal(v.weight_exponent[0], -14);

    /* down to 0.52, still over 2^13; then to 0.27: below, one exponent down */
    t.grad[0] = 0.5f;
    step(opt, &t, 4, 1.0);
    assert_int_equal(v.weight_exponent[0], -14);
    t.grad[0] = 0.25f;
    step(opt, &t, 5, 1.0);
    assert_in_range(v.weight[0], 0, (1 << 13) - 1);
    const float before[4] = {t.value[0], t.value[1], t.value[2], t.value[3]};
    memset(t.grad, 0, 4 * sizeof(float));
    step(opt, &t, 6, 1.0);
    assert_in_range(abs(v.weight[1]), 1 << 13, 32767);
    assert_memory_equal(before, t.value, sizeof before); /* exact */
    assert_values_are_the_state(opt, &t);
    optimizer_destroy(opt);
    test_params_free(&t);
}

/* A parameter that starts at zero gets the resolution of its first update. */
static void test_zero_start(void **state)
{
    test_params t = {0};
    (void)state;
    test_params_add(&t, 1, 300, false);
    optimizer *opt = create(&t, 0.9, 0.0);
    step(opt, &t, 1, 0.001);
    for (int i = 0; i < 300; i++)
        assert_true(t.value[i] == 0.0f);
    test_params_fill(t.grad, 300, 1e-6f, 4);
    step(opt, &t, 1, 0.001);
    for (int i = 0; i < 300; i++)
        assert_true(fabs((double)t.value[i] + 0.001 * (double)t.grad[i]) <= 3e-4 * 1e-9);
    step(opt, &t, 1, 0.0); /* the first rate of a warm-up */
    optimizer_destroy(opt);
    test_params_free(&t);
}

/* Weights up to the largest float, updates far beyond: reported, and the state stays. */
static void test_out_of_range_is_reported(void **state)
{
    test_params t = {0};
    exec ex = test_params_exec(&float_kernels__generic, 2, 1);
    (void)state;
    test_params_add(&t, 1, 2, false);
    test_params_add(&t, 1, 2, false);
    memcpy(t.value, (const float[]){3e38f, 1.0f, 0.5f, 0.25f}, 4 * sizeof(float));
    optimizer *opt = create(&t, 0.9, 0.0);
    const float before = t.value[0];
    memcpy(t.grad, (const float[]){-1e38f, 0.0f, 1.0f, 0.0f}, 4 * sizeof(float));
    optimizer_step(&ex, opt, t.items, t.count, 1.0, 1.0f);
    assert_string_equal(ex.anomaly, "NaN or infinity in the new value of p0");
    assert_true(t.value[0] == before && t.value[2] == -0.5f);
    ex.anomaly[0] = '\0';
    t.grad[1] = NAN;
    optimizer_step(&ex, opt, t.items, t.count, 1.0, 1.0f);
    assert_string_equal(ex.anomaly, "NaN or infinity in the gradient of p0");
    assert_true(t.value[0] == before && t.value[2] < -1.8f);
    assert_values_are_the_state(opt, &t);
    optimizer_destroy(opt);
    test_params_free(&t);
}

/* ------------------------------------------------------------------------ bias, convergence ----
 */

/*
 * Two steps from the same start under many seeds: the mean of each new weight is that of float SGD.
 * Rates with 15 bits, so that nothing but the rounding differs.
 */
static void check_unbiased(double rate, double momentum, double decay)
{
    enum { N = 40, SEEDS = 4000 };
    static double sum[N], squares[N];
    double w[N], b[N] = {0}, worst = 0.0;
    float start[N], gradients[2][N];
    test_params_fill(start, N, 1.0f, 1);
    test_params_fill(gradients[0], N, 0.3f, 2);
    test_params_fill(gradients[1], N, 0.2f, 3);
    memset(sum, 0, sizeof sum);
    memset(squares, 0, sizeof squares);
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        test_params t = {0};
        test_params_add(&t, 1, N, true);
        memcpy(t.value, start, sizeof start);
        optimizer *opt = create(&t, momentum, decay);
        for (int i = 0; i < N; i++)
            w[i] = (double)t.value[i];
        for (int k = 0; k < 2; k++) {
            memcpy(t.grad, gradients[k], sizeof gradients[k]);
            step(opt, &t, seed, rate);
        }
        for (int i = 0; i < N; i++) {
            sum[i] += (double)t.value[i];
            squares[i] += (double)t.value[i] * (double)t.value[i];
        }
        optimizer_destroy(opt);
        test_params_free(&t);
    }
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < N; i++) {
            b[i] = momentum * b[i] + (double)gradients[k][i] + decay * w[i];
            w[i] -= rate * b[i];
        }
    for (int i = 0; i < N; i++) {
        const double mean = sum[i] / SEEDS;
        const double sigma = sqrt(fmax(squares[i] / SEEDS - mean * mean, 0.0) / SEEDS);
        assert_true(sigma > 0.0);
        worst = fmax(worst, fabs(mean - w[i]) / sigma);
    }
    if (!(worst <= 4.0))
        fail_msg("rate %g: mean is %.3g sigma off", rate, worst);
}

static void test_updates_are_unbiased(void **state)
{
    (void)state;
    check_unbiased(0x1.8p-3, 0.0, 0.0);
    check_unbiased(0x1.8p-3, 0.75, 0x1p-6);
    check_unbiased(0x1.4p-12, 0.875, 0.0);    /* an update is about one unit */
    check_unbiased(0x1.4p-14, 0.875, 0x1p-4); /* a fraction of a unit */
    check_unbiased(1.5, 0.75, 0.0);           /* both roundings shift by the same number of bits */
    check_unbiased(4.0, 0.5, 0x1p-3);         /* weights are rounded, too */
}

/* Updates of half a unit: which elements move differs between parameters, steps, seeds, strips. */
static void test_draws_are_fresh(void **state)
{
    enum { N = 400 };
    float moved[2][2][2 * N]; /* [seed][step] */
    (void)state;
    for (int seed = 0; seed < 2; seed++) {
        test_params t = {0};
        test_params_add(&t, 1, N, false);
        test_params_add(&t, 1, N, false);
        for (int i = 0; i < 2 * N; i++)
            t.value[i] = 0.5f;
        optimizer *opt = create(&t, 0.0, 0.0);
        for (int k = 0; k < 2; k++) {
            for (int i = 0; i < 2 * N; i++) {
                t.grad[i] = 0x1p-16f;
                moved[seed][k][i] = t.value[i];
            }
            step(opt, &t, (uint64_t)seed, 1.0);
            for (int i = 0; i < 2 * N; i++)
                moved[seed][k][i] -= t.value[i];
        }
        optimizer_destroy(opt);
        test_params_free(&t);
    }
    const size_t bytes = N * sizeof(float);
    assert_memory_not_equal(moved[0][0], moved[0][0] + N, bytes);
    assert_memory_not_equal(moved[0][0], moved[0][1], bytes);
    assert_memory_not_equal(moved[0][0], moved[1][0], bytes);
    assert_memory_not_equal(moved[0][0], moved[0][0] + INT16_STRIP,
                            (N - INT16_STRIP) * sizeof(float));
    for (int i = 0; i < 2 * N; i++)
        assert_true(moved[0][1][i] == 0.0f || moved[0][1][i] == 0x1p-15f);
}

enum { ROWS = 200, COLUMNS = 16, STEPS = 400 };

/* Gradient of |X w - y|^2 / (2 ROWS), and that value. */
static double least_squares(float *gradient, const float *w, const float *x, const float *y)
{
    double loss = 0.0, sums[COLUMNS] = {0};
    for (int r = 0; r < ROWS; r++) {
        double residual = -(double)y[r];
        for (int c = 0; c < COLUMNS; c++)
            residual += (double)x[r * COLUMNS + c] * (double)w[c];
        loss += residual * residual / (2 * ROWS);
        for (int c = 0; c < COLUMNS; c++)
            sums[c] += residual * (double)x[r * COLUMNS + c] / ROWS;
    }
    for (int c = 0; c < COLUMNS; c++)
        gradient[c] = (float)sums[c];
    return loss;
}

static double train(const optimizer_class *class, double momentum, const float *x, const float *y,
                    float *solution)
{
    const optimizer_options options = {.class = class, .momentum = momentum};
    test_params t = {0};
    optimizer *opt = NULL;
    exec ex = test_params_exec(&float_kernels__generic, 1, 11);
    test_params_add(&t, 1, COLUMNS, false);
    assert_ok(optimizer_create(&ctx, &options, t.items, t.count, &opt));
    for (int k = 0; k < STEPS; k++) {
        least_squares(t.grad, t.value, x, y);
        const double rate = 0.5 * (1.0 - (double)k / STEPS);
        optimizer_step(&ex, opt, t.items, t.count, rate, 1.0f);
    }
    const double loss = least_squares(t.grad, t.value, x, y);
    memcpy(solution, t.value, COLUMNS * sizeof(float));
    optimizer_destroy(opt);
    test_params_free(&t);
    return loss;
}

/* From zero to the minimum of a noisy problem: the loss within 1e-5 of float SGD's, the solution
 * within four units of 2^-15 of the largest weight. */
static void test_least_squares(void **state)
{
    static float x[ROWS * COLUMNS], y[ROWS];
    float noise[ROWS], truth[COLUMNS];
    (void)state;
    test_params_fill(x, ROWS * COLUMNS, 1.0f, 21);
    test_params_fill(truth, COLUMNS, 1.0f, 22);
    test_params_fill(noise, ROWS, 0.1f, 23);
    for (int r = 0; r < ROWS; r++) {
        y[r] = noise[r];
        for (int c = 0; c < COLUMNS; c++)
            y[r] += x[r * COLUMNS + c] * truth[c];
    }
    for (int m = 0; m < 2; m++) {
        float reference[COLUMNS], found[COLUMNS];
        const double momentum = m == 0 ? 0.0 : 0.9;
        const double expected = train(&optimizer_sgd, momentum, x, y, reference);
        const double loss = train(&optimizer_sgd_int16, momentum, x, y, found);
        if (!(loss <= expected * (1.0 + 1e-5)))
            fail_msg("momentum %g: loss of float SGD %.9g, of integer SGD %.9g", momentum, expected,
                     loss);
        for (int c = 0; c < COLUMNS; c++)
            if (!(fabsf(found[c] - reference[c]) <= 4 * 0x1p-15f))
                fail_msg("momentum %g, weight %d: %.9g and %.9g", momentum, c, (double)reference[c],
                         (double)found[c]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_factors),
        cmocka_unit_test(test_fit),
        cmocka_unit_test(test_rounding_is_unbiased),
        cmocka_unit_test(test_exact_addends),
        cmocka_unit_test(test_create_maps_to_nearest),
        cmocka_unit_test(test_bad_state_is_refused),
        cmocka_unit_test(test_weight_exponent_moves_only_when_needed),
        cmocka_unit_test(test_zero_start),
        cmocka_unit_test(test_out_of_range_is_reported),
        cmocka_unit_test(test_updates_are_unbiased),
        cmocka_unit_test(test_draws_are_fresh),
        cmocka_unit_test(test_least_squares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
