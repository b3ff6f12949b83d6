/*
 * Layer norm's backward: float against finite differences, integers against float.
 *
 *   fp32      every element of dx, dgamma, dbeta against central differences of L = sum C y
 *   integers  signal-to-noise ratio of y, dx, dgamma, dbeta against fp32 by width, group, rounding
 *   mixed     rounding: y as of nearest rounding, bit for bit; the gradients are drawn
 *   frozen    gamma or beta that is not trained is passed over
 *   rows      of extreme magnitude, constant rows, one column: as the float layer says
 *   RMS norm  the same without beta: differences, noise, equal bits, rows of zeros
 *   centred   a layer norm without beta is one whose beta is 0, bit for bit
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layers/layernorm.h"
#include "support/test_model.h"

typedef struct norm_case {
    exec ex;
    int64_t rows, n;
    bool rms; /* no beta */
    bool centred;
    param gamma, beta;
    layernorm ln;
    layernorm_state state;
    arena storage;
    float *x, *y, *dy, *dx; /* dy is also C of L = sum C y */
} norm_case;

static void bind(void *arg)
{
    norm_case *c = arg;
    layernorm_bind(&c->ex, &c->ln, &c->storage, "the norm", 9, &c->gamma, c->rms ? NULL : &c->beta,
                   c->n, 1e-12f);
    if (c->centred)
        layernorm_centre(&c->ln, &c->storage);
    layernorm_state_bind(&c->ex, &c->state, &c->storage, c->rows, c->n);
}

static void run(void *arg)
{
    norm_case *c = arg;
    layernorm_forward(&c->ex, c->y, c->x, c->rows, &c->ln, &c->state);
    layernorm_backward(&c->ex, c->dx, c->dy, c->rows, &c->ln, &c->state);
}

static void init_kind(norm_case *c, const num_format *format, int64_t rows, int64_t n, bool rms,
                      bool centred)
{
    test_random r = test_random_make("layernorm");
    *c = (norm_case){.rows = rows, .n = n, .rms = rms, .centred = centred};
    test_exec_init(&c->ex, format, 1);
    test_param_init(&r, &c->gamma, 1, n, 1.0, 0.2);
    test_param_init(&r, &c->beta, 1, n, 0.0, 0.2);
    c->x = test_floats(rows * n);
    c->dx = test_floats(rows * n);
    c->y = test_floats(rows * n);
    c->dy = test_floats(rows * n);
    test_fill_normal(&r, c->x, rows * n, 0.3, 1.5);
    test_fill_normal(&r, c->dy, rows * n, 0.0, 1.0);
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
}

static void init(norm_case *c, const num_format *format, int64_t rows, int64_t n, bool rms)
{
    init_kind(c, format, rows, n, rms, false);
}

static void case_init(norm_case *c, const num_format *format, int64_t rows, int64_t n)
{
    init(c, format, rows, n, false);
}

static void rms_init(norm_case *c, const num_format *format, int64_t rows, int64_t n)
{
    init(c, format, rows, n, true);
}

static void case_deinit(norm_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    test_param_deinit(&c->gamma);
    test_param_deinit(&c->beta);
    test_arena_deinit(&c->storage);
    mem_free(c->x);
    mem_free(c->dx);
    mem_free(c->y);
    mem_free(c->dy);
    test_exec_deinit(&c->ex);
}

static double loss(void *arg)
{
    norm_case *c = arg;
    layernorm_forward(&c->ex, c->y, c->x, c->rows, &c->ln, &c->state);
    return test_dot(c->y, c->dy, c->rows * c->n);
}

static void differences(void **state)
{
    static const float epsilons[] = {1e-12f, 0.1f};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        norm_case c;
        const num_format format = test_format_float(FORMAT_FP32);
        case_init(&c, &format, 5, 37);
        c.ln.epsilon = epsilons[i];
        run(&c);
        test_assert_gradient("dx", loss, &c, c.x, c.dx, c.rows * c.n, 0.01f, 1e-3, 2e-4);
        test_assert_gradient("dgamma", loss, &c, c.gamma.value, c.gamma.grad, c.n, 0.1f, 1e-4,
                             2e-5);
        test_assert_gradient("dbeta", loss, &c, c.beta.value, c.beta.grad, c.n, 0.1f, 1e-4, 2e-5);
        case_deinit(&c);
    }
}

/* Gamma or beta that is not trained has no gradient: the rest has the bits as if it were. */
static void frozen(void **state)
{
    const num_format formats[] = {test_format_float(FORMAT_FP32),
                                  test_format_dfp(8, GROUP_TENSOR, true),
                                  test_format_dfp(8, GROUP_ROW, true)};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
        for (int which = 1; which <= 3; which++) {
            norm_case a, b;
            case_init(&a, &formats[f], 9, 130);
            case_init(&b, &formats[f], 9, 130);
            float *gamma = b.gamma.grad, *beta = b.beta.grad;
            b.gamma.trained = (which & 1) == 0;
            b.beta.trained = (which & 2) == 0;
            b.gamma.grad = b.gamma.trained ? gamma : NULL;
            b.beta.grad = b.beta.trained ? beta : NULL;
            run(&a);
            run(&b);
            test_assert_same("dx", b.dx, a.dx, 9 * 130);
            if (b.gamma.grad != NULL)
                test_assert_same("dgamma", gamma, a.gamma.grad, 130);
            if (b.beta.grad != NULL)
                test_assert_same("dbeta", beta, a.beta.grad, 130);
            for (int j = 0; j < 130; j++)
                assert_true((b.gamma.grad != NULL || gamma[j] == 0.0f) &&
                            (b.beta.grad != NULL || beta[j] == 0.0f));
            b.gamma.grad = gamma;
            b.beta.grad = beta;
            case_deinit(&a);
            case_deinit(&b);
        }
}

typedef struct snr {
    double y, dx, dgamma, dbeta;
} snr;

static snr compare(const norm_case *a, const norm_case *b)
{
    const int64_t n = a->rows * a->n;
    return (snr){test_snr_db(a->y, b->y, n), test_snr_db(a->dx, b->dx, n),
                 test_snr_db(a->gamma.grad, b->gamma.grad, a->n),
                 test_snr_db(a->beta.grad, b->beta.grad, a->n)};
}

static snr measure(const num_format *format, int64_t rows, int64_t n)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    norm_case a, b;
    case_init(&a, format, rows, n);
    case_init(&b, &fp32, rows, n);
    run(&a);
    run(&b);
    const snr s = compare(&a, &b);
    case_deinit(&a);
    case_deinit(&b);
    return s;
}

/* Bounds in dB at 8 bits, two to three below what is measured; 6.02 dB more for each bit. */
static const struct noise_bound {
    group_kind group;
    bool stochastic;
    double y, dx, dgamma, dbeta;
} noise_bounds[] = {
    {GROUP_TENSOR, false, 34, 32, 29.5, 32}, {GROUP_TENSOR, true, 31, 29, 27, 29.5},
    {GROUP_ROW, false, 34, 37.5, 32, 37},    {GROUP_ROW, true, 31, 34.5, 30, 34.5},
    {GROUP_BLOCK, false, 34, 37.5, 32, 37},  {GROUP_BLOCK, true, 31, 34.5, 30, 34.5},
};

static void noise(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    (void)state;
    for (size_t i = 0; i < sizeof noise_bounds / sizeof noise_bounds[0]; i++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
            const struct noise_bound *b = &noise_bounds[i];
            const num_format f = test_format_dfp(widths[w], b->group, b->stochastic);
            const double more = 6.02 * (widths[w] - 8);
            const snr s = measure(&f, 100, 150);
            printf("  %s %s, %d bits\n", test_group_name(b->group),
                   b->stochastic ? "stochastic" : "nearest", widths[w]);
            test_assert_at_least("y", s.y, b->y + more, "dB");
            test_assert_at_least("dx", s.dx, b->dx + more, "dB");
            test_assert_at_least("dgamma", s.dgamma, b->dgamma + more, "dB");
            test_assert_at_least("dbeta", s.dbeta, b->dbeta + more, "dB");
        }
}

/* Mixed rounding: y has the bits of nearest rounding in every step, the gradients are drawn. */
static void mixed_rounding(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int bits = 8; bits <= 16; bits += 4)
        for (size_t g = 0; g < 3; g++) {
            norm_case c[3]; /* nearest; mixed in two steps */
            num_format f = test_format_dfp(bits, groups[g], false);
            for (int i = 0; i < 3; i++) {
                case_init(&c[i], &f, 20, 150);
                c[i].ex.step = c[i].ex.weight_version = i == 2;
                run(&c[i]);
                test_assert_same("y", c[i].y, c[0].y, 20 * 150);
                for (int k = 0; k < i; k++) {
                    const size_t row = 150 * sizeof(float);
                    assert_memory_not_equal(c[i].dx, c[k].dx, 20 * row);
                    assert_memory_not_equal(c[i].gamma.grad, c[k].gamma.grad, row);
                    assert_memory_not_equal(c[i].beta.grad, c[k].beta.grad, row);
                }
                f.rounding = ROUNDING_MIXED;
            }
            for (int i = 0; i < 3; i++)
                case_deinit(&c[i]);
        }
}

/* Rows by row: the scale of a row changes nothing but its own gradient; powers of two even exactly.
 */
static void magnitudes(void **state)
{
    static const double scales[] = {1e-30, 1e-12, 1e-6, 1e-3, 1.0, 1e3, 1e12, 1e30};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    const num_format format = test_format_dfp(16, GROUP_ROW, false);
    (void)state;
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++) {
        norm_case a, b;
        case_init(&a, &format, 7, 96);
        case_init(&b, &fp32, 7, 96);
        for (int64_t j = 0; j < 7 * 96; j++)
            a.x[j] = b.x[j] = (float)((double)b.x[j] * scales[i]);
        if (scales[i] > 1e18) /* the float layer's squares overflow: compare with the plain scale */
            for (int64_t j = 0; j < 7 * 96; j++)
                b.x[j] = (float)((double)b.x[j] / scales[i]);
        run(&a);
        run(&b);
        if (scales[i] > 1e18)
            for (int64_t j = 0; j < 7 * 96; j++)
                b.dx[j] = (float)((double)b.dx[j] / scales[i]);
        const snr s = compare(&a, &b);
        printf("  input of size %g\n", scales[i]);
        if (scales[i] > 1e-20) /* below, gamma x^ is a vanishing part of y */
            test_assert_at_least("dgamma", s.dgamma, 60.0, "dB");
        test_assert_at_least("y", s.y, 75.0, "dB");
        test_assert_at_least("dx", s.dx, 70.0, "dB");
        case_deinit(&a);
        case_deinit(&b);
    }
}

/* Constant rows have x^ = 0; one column likewise. */
static void constant_rows(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const int64_t columns[] = {1, 2, 65};
    static const float values[] = {0.0f, 3.0f, -1e-40f, 1e20f};
    (void)state;
    for (size_t g = 0; g < 3; g++)
        for (size_t k = 0; k < 3; k++)
            for (size_t v = 0; v < 4; v++) {
                norm_case c;
                const num_format f = test_format_dfp(16, groups[g], false);
                const int64_t n = columns[k];
                case_init(&c, &f, 3, n);
                for (int64_t j = 0; j < 3 * n; j++)
                    c.x[j] = values[v];
                run(&c);
                for (int64_t j = 0; j < 3 * n; j++) {
                    const double beta = (double)c.beta.value[j % n];
                    assert_true(fabs((double)c.y[j] - beta) < 1e-4);
                    assert_true(isfinite(c.dx[j]));
                }
                for (int64_t j = 0; j < n; j++)
                    assert_true(c.gamma.grad[j] == 0.0f);
                case_deinit(&c);
            }
}

/* In place in both directions, and the second micro-batch is added. */
static void in_place(void **state)
{
    const num_format formats[] = {test_format_float(FORMAT_FP32),
                                  test_format_dfp(12, GROUP_TENSOR, true),
                                  test_format_dfp(12, GROUP_ROW, true)};
    (void)state;
    for (size_t f = 0; f < 3; f++) {
        norm_case a, b;
        case_init(&a, &formats[f], 33, 70);
        case_init(&b, &formats[f], 33, 70);
        run(&a);
        layernorm_forward(&b.ex, b.x, b.x, b.rows, &b.ln, &b.state);
        test_assert_same("y", b.x, a.y, 33 * 70);
        layernorm_backward(&b.ex, b.dy, b.dy, b.rows, &b.ln, &b.state);
        test_assert_same("dx", b.dy, a.dx, 33 * 70);
        test_assert_same("dgamma", b.gamma.grad, a.gamma.grad, 70);
        a.ex.accumulate_grads = true;
        layernorm_backward(&a.ex, a.dx, a.dy, a.rows, &a.ln, &a.state);
        for (int64_t j = 0; j < 70; j++) {
            assert_true(a.gamma.grad[j] == 2.0f * b.gamma.grad[j]);
            assert_true(a.beta.grad[j] == 2.0f * b.beta.grad[j]);
        }
        case_deinit(&a);
        case_deinit(&b);
    }
}

static void anomalies(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW};
    static const char *const texts[] = {"NaN or infinity in the weight of the norm",
                                        "NaN or infinity in the input of the norm",
                                        "NaN or infinity in the output gradient of the norm"};
    (void)state;
    for (size_t g = 0; g < 2; g++)
        for (int where = 0; where < 3; where++) {
            norm_case c;
            const num_format f = test_format_dfp(8, groups[g], true);
            case_init(&c, &f, 20, 70);
            float *target = where == 0 ? c.beta.value : where == 1 ? c.x : c.dy;
            target[33] = where == 1 ? INFINITY : NAN;
            run(&c);
            assert_string_equal(c.ex.anomaly, texts[where]);
            c.ex.anomaly[0] = '\0';
            for (int64_t i = 0; i < c.rows * c.n; i++)
                assert_true(isfinite(c.y[i]) && isfinite(c.dx[i]));
            case_deinit(&c);
        }
}

/* ------------------------------------------------------------------------------- RMS norm ---- */

/* y by the formula in double, and the gradients by differences. */
static void rms_differences(void **state)
{
    static const float epsilons[] = {1e-12f, 0.1f};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        norm_case c;
        const num_format format = test_format_float(FORMAT_FP32);
        rms_init(&c, &format, 5, 37);
        c.ln.epsilon = epsilons[i];
        run(&c);
        for (int64_t t = 0; t < 5; t++) {
            const double mean = test_dot(c.x + t * 37, c.x + t * 37, 37) / 37.0;
            for (int64_t j = 0; j < 37; j++) {
                const double y = (double)c.gamma.value[j] * (double)c.x[t * 37 + j] /
                                 sqrt(mean + (double)epsilons[i]);
                assert_true(fabs((double)c.y[t * 37 + j] - y) < 1e-6 * (1.0 + fabs(y)));
            }
        }
        test_assert_gradient("dx", loss, &c, c.x, c.dx, c.rows * c.n, 0.01f, 1e-3, 2e-4);
        test_assert_gradient("dgamma", loss, &c, c.gamma.value, c.gamma.grad, c.n, 0.1f, 1e-4,
                             2e-5);
        case_deinit(&c);
    }
}

/* Bounds in dB at 8 bits, one to two below the least that is measured. */
static const struct rms_bound {
    group_kind group;
    bool stochastic;
    double y, dx, dgamma;
} rms_bounds[] = {
    {GROUP_TENSOR, false, 34.5, 33, 31}, {GROUP_TENSOR, true, 31.5, 30, 27.5},
    {GROUP_ROW, false, 35, 38, 34},      {GROUP_ROW, true, 32, 35, 31},
    {GROUP_BLOCK, false, 35, 38, 34},    {GROUP_BLOCK, true, 32, 35, 31},
};

static void rms_noise(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (size_t i = 0; i < sizeof rms_bounds / sizeof rms_bounds[0]; i++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
            const struct rms_bound *bound = &rms_bounds[i];
            const num_format f = test_format_dfp(widths[w], bound->group, bound->stochastic);
            const double more = 6.02 * (widths[w] - 8);
            norm_case a, b;
            rms_init(&a, &f, 100, 150);
            rms_init(&b, &fp32, 100, 150);
            run(&a);
            run(&b);
            printf("  %s %s, %d bits\n", test_group_name(bound->group),
                   bound->stochastic ? "stochastic" : "nearest", widths[w]);
            test_assert_at_least("y", test_snr_db(a.y, b.y, 100 * 150), bound->y + more, "dB");
            test_assert_at_least("dx", test_snr_db(a.dx, b.dx, 100 * 150), bound->dx + more, "dB");
            test_assert_at_least("dgamma", test_snr_db(a.gamma.grad, b.gamma.grad, 150),
                                 bound->dgamma + more, "dB");
            case_deinit(&a);
            case_deinit(&b);
        }
}

/* In place, on threads, by pieces of rows, again from what was kept, with a frozen gamma, in a
 * second micro-batch: the same bits. */
static void rms_same_bits(void **state)
{
    enum { R = 70, W = 66, PIECE = 32 };
    const num_format formats[] = {test_format_float(FORMAT_FP32),
                                  test_format_dfp(16, GROUP_ROW, true),
                                  test_format_dfp(8, GROUP_BLOCK, true)};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        norm_case a, b;
        rms_init(&a, &formats[f], R, W);
        rms_init(&b, &formats[f], R, W);
        a.ex.threads = 3;
        run(&a);
        layernorm_output(&a.ex, b.y, R, &a.ln, &a.state);
        test_assert_same("y again", b.y, a.y, R * W);
        for (int64_t begin = 0; begin < R; begin += PIECE) {
            const int64_t n = R - begin < PIECE ? R - begin : PIECE;
            layernorm_state part = layernorm_state_rows(&b.state, W, begin);
            layernorm_forward(&b.ex, b.x + begin * W, b.x + begin * W, n, &b.ln, &part);
        }
        test_assert_same("y", b.x, a.y, R * W);
        layernorm_backward(&b.ex, b.dy, b.dy, R, &b.ln, &b.state);
        test_assert_same("dx", b.dy, a.dx, R * W);
        test_assert_same("dgamma", b.gamma.grad, a.gamma.grad, W);
        a.ex.accumulate_grads = true;
        layernorm_backward(&a.ex, a.dx, a.dy, R, &a.ln, &a.state);
        for (int64_t j = 0; j < W; j++)
            assert_true(a.gamma.grad[j] == 2.0f * b.gamma.grad[j]);
        memcpy(b.gamma.grad, a.gamma.grad, W * sizeof(float));
        a.gamma.trained = false;
        layernorm_backward(&a.ex, b.dx, a.dy, R, &a.ln, &a.state);
        test_assert_same("dx, gamma frozen", b.dx, a.dx, R * W);
        test_assert_same("dgamma, frozen", a.gamma.grad, b.gamma.grad, W);
        case_deinit(&a);
        case_deinit(&b);
    }
}

/* x = 0 gives y = 0 and dx = 0 or finite; a constant row has x^ = 1 or -1 in every column. */
static void rms_constant_rows(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const float values[] = {0.0f, 3.0f, -2e-5f, 1e15f, -0.0f};
    (void)state;
    for (size_t g = 0; g <= 3; g++)
        for (size_t v = 0; v < 5; v++)
            for (int64_t n = 1; n <= 65; n += 64) {
                norm_case c;
                const num_format f =
                    g == 3 ? test_format_float(FORMAT_FP32) : test_format_dfp(16, groups[g], false);
                const double sign = (values[v] > 0.0f) - (values[v] < 0.0f);
                rms_init(&c, &f, 3, n);
                for (int64_t j = 0; j < 3 * n; j++)
                    c.x[j] = values[v];
                run(&c);
                for (int64_t j = 0; j < 3 * n; j++) {
                    const double gamma = (double)c.gamma.value[j % n];
                    assert_true(fabs((double)c.y[j] - sign * gamma) < 0.003);
                    assert_true(isfinite(c.dx[j]));
                }
                case_deinit(&c);
            }
}

/* ------------------------------------------------------------------------ without a beta ---- */

static void centred_without_beta(void **state)
{
    enum { R = 70, W = 66 };
    const num_format formats[] = {test_format_float(FORMAT_FP32), test_format_float(FORMAT_BF16),
                                  test_format_dfp(16, GROUP_ROW, true),
                                  test_format_dfp(8, GROUP_BLOCK, true),
                                  test_format_dfp(8, GROUP_TENSOR, false)};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        norm_case a, b;
        case_init(&a, &formats[f], R, W);
        init_kind(&b, &formats[f], R, W, true, true);
        memset(a.beta.value, 0, W * sizeof(float));
        run(&a);
        run(&b);
        test_assert_same("y", b.y, a.y, R * W);
        test_assert_same("dx", b.dx, a.dx, R * W);
        test_assert_same("dgamma", b.gamma.grad, a.gamma.grad, W);
        layernorm_output(&b.ex, b.x, R, &b.ln, &b.state);
        test_assert_same("y again", b.x, a.y, R * W);
        for (int64_t j = 0; j < W; j++)
            assert_true(b.beta.grad[j] == 0.0f);
        case_deinit(&a);
        case_deinit(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),
        cmocka_unit_test(noise),
        cmocka_unit_test(mixed_rounding),
        cmocka_unit_test(magnitudes),
        cmocka_unit_test(constant_rows),
        cmocka_unit_test(in_place),
        cmocka_unit_test(anomalies),
        cmocka_unit_test(frozen),
        cmocka_unit_test(rms_differences),
        cmocka_unit_test(rms_noise),
        cmocka_unit_test(rms_same_bits),
        cmocka_unit_test(rms_constant_rows),
        cmocka_unit_test(centred_without_beta),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
