/*
 * The float kernels: accuracy of the generic build against double, and the exact ones against their
 * definition.  The other builds have the same bits (test_float_builds.c).  The optimizer's kernels
 * are in test_optimizer.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/test_model.h"

static const float_kernels *const generic = &float_kernels__generic;
static const rng_key key = {0x12345678, 0x9abcdef1};

/* ------------------------------------------------------------------------------ accuracy ---- */

static double exact_phi(double x)
{
    return 0.5 * erfc(-x / sqrt(2.0));
}

static double exact_gelu_tanh_inner(double x)
{
    return tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x));
}

static double exact_sigmoid(double x)
{
    return 1.0 / (1.0 + exp(-x));
}

static double exact_forward(double x, activation_kind kind)
{
    switch (kind) {
    case ACTIVATION_GELU:
        return x * exact_phi(x);
    case ACTIVATION_GELU_TANH:
        return 0.5 * x * (1.0 + exact_gelu_tanh_inner(x));
    case ACTIVATION_RELU:
        return x > 0.0 ? x : 0.0;
    case ACTIVATION_SILU:
        return x * exact_sigmoid(x);
    case ACTIVATION_TANH:
        return tanh(x);
    }
    return NAN;
}

static double exact_derivative(double x, activation_kind kind)
{
    const double root = sqrt(2.0 / acos(-1.0)), t = exact_gelu_tanh_inner(x), s = exact_sigmoid(x);
    switch (kind) {
    case ACTIVATION_GELU:
        return exact_phi(x) + x * exp(-0.5 * x * x) / sqrt(2.0 * acos(-1.0));
    case ACTIVATION_GELU_TANH:
        return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * root * (1.0 + 3.0 * 0.044715 * x * x);
    case ACTIVATION_RELU:
        return x > 0.0 ? 1.0 : 0.0;
    case ACTIVATION_SILU:
        return s * (1.0 + x * (1.0 - s));
    case ACTIVATION_TANH:
        return 1.0 - tanh(x) * tanh(x);
    }
    return NAN;
}

/* -12 .. 12 in fine steps, then far out: absolute error below 2e-6 (relative beyond 1). */
static void activations(void **state)
{
    static const char *const names[] = {"gelu", "gelu_tanh", "relu", "silu", "tanh"};
    static const float far[] = {-3e38f, -1e30f, -1e4f, -90.0f, -50.0f, -20.0f,
                                20.0f,  50.0f,  90.0f, 1e4f,   1e30f,  3e38f};
    const int fars = sizeof far / sizeof far[0];
    (void)state;
    for (int kind = 0; kind < 5; kind++) {
        double worst = 0.0, worst_grad = 0.0;
        for (int i = -120000; i <= 120000 + fars; i++) {
            const float x = i <= 120000 ? (float)i * 1e-4f : far[i - 120001];
            const float one = 1.0f;
            float y, g, y_too, slope;
            generic->activation_forward(&y, &x, 1, (activation_kind)kind);
            generic->activation_backward(&g, &one, &x, 1, (activation_kind)kind);
            generic->activation_slope(&y_too, &slope, &x, 1, (activation_kind)kind);
            assert_true(y_too == y && slope == g);
            assert_true(slope > -1.0f && slope < 2.0f); /* FORMATS.md (11) */
            const double fx = exact_forward((double)x, (activation_kind)kind);
            const double size = fabs(fx) > 1.0 ? fabs(fx) : 1.0;
            const double error = fabs((double)y - fx) / size;
            const double error_grad =
                fabs((double)g - exact_derivative((double)x, (activation_kind)kind));
            worst = error > worst ? error : worst;
            worst_grad = error_grad > worst_grad ? error_grad : worst_grad;
            if (!(error < 2e-6) || !(error_grad < 2e-6))
                fail_msg("%s(%.8g): %.8g, derivative %.8g; errors %.3g, %.3g", names[kind],
                         (double)x, (double)y, (double)g, error, error_grad);
        }
        printf("  %-10s largest error %.2e, of the derivative %.2e\n", names[kind], worst,
               worst_grad);
    }
}

/* exp, seen through a softmax of two: p0 / p1 = exp(s0 - s1). */
static void exponential(void **state)
{
    double worst = 0.0;
    (void)state;
    for (int i = 0; i < 86000; i++) {
        const float s[2] = {0.0f, (float)-i * 1e-3f};
        float p[2];
        generic->softmax_forward(p, s, 2, 1.0f);
        const double expected = exp((double)s[1]) / (1.0 + exp((double)s[1]));
        const double error = fabs((double)p[1] - expected) / expected;
        worst = error > worst ? error : worst;
    }
    printf("  largest relative error %.2e\n", worst);
    assert_true(worst < 5e-7);
}

static void softmax(void **state)
{
    test_random r = test_random_make("softmax");
    float s[777], p[777], dp[777], ds[777];
    (void)state;
    for (int64_t n = 1; n <= 777; n += 97) {
        double total = 0.0, dot = 0.0;
        test_fill_normal(&r, s, n, 50.0, 12.0);
        test_fill_normal(&r, dp, n, 0.0, 1.0);
        generic->softmax_forward(p, s, n, 0.25f);
        for (int64_t i = 0; i < n; i++)
            total += exp(0.25 * (double)s[i] - 12.0);
        for (int64_t i = 0; i < n; i++) {
            const double exact = exp(0.25 * (double)s[i] - 12.0) / total;
            assert_true(fabs((double)p[i] - exact) < 2e-6 * exact + 1e-30);
            dot += exact * (double)dp[i];
        }
        generic->softmax_backward(ds, dp, p, n, 0.25f);
        for (int64_t i = 0; i < n; i++) {
            const double exact = exp(0.25 * (double)s[i] - 12.0) / total;
            assert_true(fabs((double)ds[i] - 0.25 * exact * ((double)dp[i] - dot)) < 1e-6);
        }
    }
    /* far apart: no overflow, and the sum is one */
    const float wide[3] = {-3e38f, 3e38f, 0.0f};
    generic->softmax_forward(p, wide, 3, 1.0f);
    assert_true(p[1] == 1.0f && p[0] < 1e-37f && p[2] < 1e-37f);
}

static void layer_norm(void **state)
{
    test_random r = test_random_make("layer norm");
    float x[900], y[900], h[900], gamma[900], beta[900];
    (void)state;
    for (int64_t n = 1; n <= 900; n += 29) {
        double mean = 0.0, variance = 0.0;
        test_fill_normal(&r, x, n, 3.0, 0.5);
        test_fill_normal(&r, gamma, n, 1.0, 0.1);
        test_fill_normal(&r, beta, n, 0.0, 0.1);
        const float rstd = generic->layernorm_forward(y, h, x, gamma, beta, n, 1e-5f);
        for (int64_t i = 0; i < n; i++)
            mean += (double)x[i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
        const double exact = 1.0 / sqrt(variance + (double)1e-5f);
        assert_true(fabs((double)rstd - exact) < 2e-6 * exact + (n == 1 ? 1e-3 : 0.0));
        for (int64_t i = 0; i < n; i++) {
            const double hat = ((double)x[i] - mean) * exact;
            assert_true(fabs((double)h[i] - hat) < 1e-5);
            assert_true(fabs((double)y[i] - (hat * (double)gamma[i] + (double)beta[i])) < 1e-5);
        }
    }
}

/* ----------------------------------------------------------------- quantising, bf16, sums ---- */

/* The mapping by its definition, in double: exact for these values. */
static int32_t model_quantize(double v, bool stochastic, float u, int32_t limit)
{
    double q = stochastic ? floor(v) + ((double)u < v - floor(v) ? 1.0 : 0.0) : nearbyint(v);
    q = q > limit ? limit : q;
    return (int32_t)(q < -limit ? -limit : q);
}

static void quantising(void **state)
{
    test_random r = test_random_make("quantising");
    float x[512], col[512];
    int16_t q[512];
    (void)state;
    for (int round = 0; round < 200; round++) {
        const int bits = 4 + (int)test_random_below(&r, 13);
        quantize_args args = {.scale = format_power((int)test_random_below(&r, 30) - 15),
                              .limit = format_limit(bits),
                              .stochastic = round % 2 == 0,
                              .key = rng_make_key(1, (uint64_t)round, 2, RNG_ROUND_STATE),
                              .first = (uint32_t)test_random_bits(&r)};
        for (int i = 0; i < 512; i++) {
            const double v = (double)args.limit * 1.3 * (2.0 * test_random_uniform(&r) - 1.0);
            col[i] = format_power((int)test_random_below(&r, 5) - 2);
            x[i] = (float)(i % 8 == 0 ? floor(v) + 0.5 : v) / args.scale;
        }
        args.col_scale = round % 3 == 0 ? col : NULL;
        generic->quantize_s16(q, x, 512, &args);
        for (int i = 0; i < 512; i++) {
            const double by = (double)args.scale * (round % 3 == 0 ? (double)col[i] : 1.0);
            const float u = rng_uniform(args.key, args.first + (uint32_t)i);
            assert_int_equal(q[i],
                             model_quantize((double)x[i] * by, args.stochastic, u, args.limit));
        }
    }
}

/* An integer stays one, even where the draw is zero. */
static void quantising_integers(void **state)
{
    static const float x[3] = {3.0f, 0.0f, -7.0f};
    uint32_t i = 0;
    (void)state;
    while (i < UINT32_MAX && rng_uniform(key, i) > 0.0f)
        i++;
    assert_true(rng_uniform(key, i) == 0.0f);
    for (int k = 0; k < 3; k++) {
        const quantize_args args = {
            .scale = 1.0f, .limit = 127, .stochastic = true, .key = key, .first = i};
        int16_t q;
        generic->quantize_s16(&q, &x[k], 1, &args);
        assert_int_equal(q, (int)x[k]);
    }
}

/* What the caller should have excluded: still a mantissa within the limit. */
static void quantising_anything(void **state)
{
    static const float x[] = {INFINITY, -INFINITY, NAN, FLT_MAX, -FLT_MAX, 1e20f, -3e9f, 2.1e9f};
    (void)state;
    for (int stochastic = 0; stochastic < 2; stochastic++) {
        const quantize_args args = {
            .scale = 0x1p114f, .limit = 127, .stochastic = stochastic == 1, .key = key};
        int16_t wide[8];
        int8_t narrow[8];
        generic->quantize_s16(wide, x, 8, &args);
        generic->quantize_s8(narrow, x, 8, &args);
        for (int i = 0; i < 8; i++) {
            assert_in_range(wide[i] + 127, 0, 254);
            assert_int_equal(narrow[i], wide[i]);
            if (!isnan(x[i]))
                assert_int_equal(wide[i], x[i] > 0.0f ? 127 : -127);
        }
    }
}

static double bf16_value(uint32_t h)
{
    const uint32_t u = h << 16;
    float x;
    memcpy(&x, &u, sizeof x);
    return (double)x;
}

/* The neighbour that is nearer, of two equally near ones the even one; the largest rounds to inf.
 */
static uint16_t model_bf16(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    const uint32_t down = u >> 16, up = down + 1;
    double above = fabs(bf16_value(up)), below = fabs(bf16_value(down));
    if (isinf(above))
        above = 0x1p128;
    const double to_up = above - fabs((double)x), to_down = fabs((double)x) - below;
    if (to_up == to_down)
        return (uint16_t)(down % 2 == 0 ? down : up);
    return (uint16_t)(to_up < to_down ? up : down);
}

static void bfloat16(void **state)
{
    test_random r = test_random_make("bfloat16");
    (void)state;
    for (int i = 0; i < 300000; i++) {
        uint32_t u = (uint32_t)test_random_bits(&r);
        float x, back;
        uint16_t h;
        if (i % 4 == 0)
            u = (u & 0xffff0000) | 0x8000; /* a tie */
        if ((u & 0x7f800000) == 0x7f800000)
            u &= 0xbfffffff; /* finite */
        memcpy(&x, &u, sizeof x);
        generic->to_bf16(&h, &x, 1);
        assert_int_equal(h, model_bf16(x));
        generic->from_bf16(&back, &h, 1);
        assert_true((double)back == bf16_value(h) || isinf(back));
    }
    const float special[4] = {INFINITY, -INFINITY, NAN, -0.0f};
    uint16_t h[4];
    float back[4];
    generic->to_bf16(h, special, 4);
    generic->from_bf16(back, h, 4);
    assert_true(back[0] == INFINITY && back[1] == -INFINITY && isnan(back[2]));
    assert_true(back[3] == 0.0f && signbit(back[3]));
    uint32_t nan_bits = 0x7f800001; /* a NaN whose upper half alone would be infinity */
    float nan_value;
    memcpy(&nan_value, &nan_bits, sizeof nan_value);
    generic->to_bf16(h, &nan_value, 1);
    assert_true((h[0] & 0x7f80) == 0x7f80 && (h[0] & 0x7f) != 0);
}

/* Share of dropped elements, their scale, and the positions: a function of key and index. */
static void dropout(void **state)
{
    enum { N = 40000 };
    float *x = test_floats(N), *y = test_floats(N);
    (void)state;
    for (int i = 0; i < N; i++)
        x[i] = 1.0f;
    for (int step = 1; step < 10; step += 2) {
        const float p = (float)step / 10.0f;
        int64_t dropped = 0;
        generic->dropout(y, x, N, p, key, 7);
        for (int i = 0; i < N; i++) {
            const bool keep = (double)rng_draw(key, 7 + (uint32_t)i) >= (double)p * 0x1p32;
            assert_true(y[i] == (keep ? 1.0f / (1.0f - p) : 0.0f));
            dropped += !keep;
        }
        const double sigma = sqrt((double)p * (1.0 - (double)p) * N);
        assert_true(fabs((double)dropped - (double)p * N) < 5.0 * sigma);
    }
    mem_free(x);
    mem_free(y);
}

/* Pieces of products recombined: exact. */
static void adding_tiles(void **state)
{
    enum { N = 131 };
    static const double weight[4] = {65536.0, 256.0, 256.0, 1.0};
    int32_t tile[4][N];
    double acc[N];
    test_random r = test_random_make("tiles");
    (void)state;
    for (int p = 0; p < 4; p++)
        for (int i = 0; i < N; i++)
            tile[p][i] = (int32_t)test_random_bits(&r);
    for (int count = 1; count <= 4; count *= 2) {
        const int32_t *const tiles[4] = {tile[0], tile[1], tile[2], tile[3]};
        for (int i = 0; i < N; i++)
            acc[i] = NAN;
        generic->tile_add(acc, tiles, weight, count, N, true);
        generic->tile_add(acc, tiles, weight, count, N, false);
        for (int i = 0; i < N; i++) {
            int64_t sum = 0;
            for (int p = 0; p < count; p++)
                sum += 2 * (int64_t)weight[p] * tile[p][i];
            assert_true(acc[i] == (double)sum);
        }
    }
}

static void integer_sums(void **state)
{
    enum { N = 4099 };
    int16_t a[N], b[N], c[N];
    norm_sums s;
    int64_t h1, h2, s1 = 0, s2 = 0, e1 = 0, e2 = 0;
    (void)state;
    for (int i = 0; i < N; i++) { /* the extremes, so that nothing narrower than int64 passes */
        a[i] = i % 7 == 3 ? -32767 : 32767;
        b[i] = i % 5 == 1 ? 32766 : 32767;
        c[i] = 32767;
        s1 += a[i];
        s2 += (int64_t)a[i] * a[i];
        e1 += (int64_t)a[i] * b[i];
        e2 += (int64_t)a[i] * b[i] * c[i];
    }
    generic->norm_sums(&s, a, N);
    assert_true(s.s1 == s1 && s.s2 == s2 && s.min == -32767 && s.max == 32767);
    generic->norm_grad_sums(&h1, &h2, a, b, c, N);
    assert_true(h1 == e1 && h2 == e2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(activations),
        cmocka_unit_test(exponential),
        cmocka_unit_test(softmax),
        cmocka_unit_test(layer_norm),
        cmocka_unit_test(quantising),
        cmocka_unit_test(quantising_integers),
        cmocka_unit_test(quantising_anything),
        cmocka_unit_test(bfloat16),
        cmocka_unit_test(dropout),
        cmocka_unit_test(adding_tiles),
        cmocka_unit_test(integer_sums),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
