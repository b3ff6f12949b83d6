/*
 * Activation functions as layers.
 *
 *   fp32      dx against central differences of L = sum C y
 *   integers  each slope within one unit (half a unit, nearest) of the exact one, unbiased when
 *             stochastic; y the same as in fp32; mixed rounding keeps the slopes of nearest
 *   parts     the same bits as the whole; evaluation keeps nothing
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layers/nonlinearity.h"
#include "support/test_model.h"

enum { N = 20011, KINDS = 5 };

typedef struct act_case {
    exec ex;
    nonlinearity f;
    nonlinearity_state state;
    arena storage;
    float *x, *y, *dy, *dx;
} act_case;

static void bind(void *arg)
{
    act_case *c = arg;
    nonlinearity_state_bind(&c->ex, &c->state, &c->storage, N);
}

static void pass(void *arg)
{
    act_case *c = arg;
    nonlinearity_forward(&c->ex, c->y, nonlinearity_source(&c->state, c->x), N, &c->f, &c->state);
    nonlinearity_backward(&c->ex, c->dx, c->dy, N, &c->f, &c->state);
}

static void case_init(act_case *c, const num_format *format, int kind)
{
    test_random r = test_random_make("nonlinearity");
    *c = (act_case){.f = {7, (activation_kind)kind}};
    test_exec_init(&c->ex, format, 2);
    test_exec_plan(&c->ex, &c->storage, bind, pass, c);
    c->x = test_floats(N);
    c->y = test_floats(N);
    c->dy = test_floats(N);
    c->dx = test_floats(N);
    test_fill_normal(&r, c->x, N, 0.0, 2.0);
    test_fill_normal(&r, c->dy, N, 0.0, 1.0);
    memcpy(nonlinearity_source(&c->state, c->x), c->x, N * sizeof(float));
}

static void case_deinit(act_case *c)
{
    mem_free(c->x);
    mem_free(c->y);
    mem_free(c->dy);
    mem_free(c->dx);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

static const float *source(act_case *c)
{
    return nonlinearity_source(&c->state, c->x);
}

static double loss(void *arg)
{
    act_case *c = arg;
    nonlinearity_forward(&c->ex, c->y, source(c), N, &c->f, &c->state);
    return test_dot(c->y, c->dy, N);
}

static void differences(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == ACTIVATION_RELU)
            continue; /* not differentiable at 0; test_float_kernels has its derivative */
        act_case c;
        const num_format format = test_format_float(FORMAT_FP32);
        case_init(&c, &format, kind);
        (void)loss(&c);
        nonlinearity_backward(&c.ex, c.dx, c.dy, N, &c.f, &c.state);
        test_assert_gradient("dx", loss, &c, nonlinearity_source(&c.state, NULL), c.dx, 12, 4e-3f,
                             2e-3, 2e-3);
        case_deinit(&c);
    }
}

/* The slopes that the integer layer applies, seen through dy = 1. */
static void check_slopes(int bits, bool stochastic, int kind)
{
    act_case c;
    const num_format format = test_format_dfp(bits, GROUP_ROW, stochastic);
    const double unit = ldexp(1.0, 2 - bits);
    double sum = 0.0;
    case_init(&c, &format, kind);
    float *exact_y = test_floats(N), *exact = test_floats(N);
    c.ex.fk->activation_slope(exact_y, exact, c.x, N, c.f.kind);
    nonlinearity_forward(&c.ex, c.y, c.x, N, &c.f, &c.state);
    test_assert_same("y", c.y, exact_y, N);
    for (int i = 0; i < N; i++)
        c.dy[i] = 1.0f;
    nonlinearity_backward(&c.ex, c.dx, c.dy, N, &c.f, &c.state);
    for (int i = 0; i < N; i++) {
        const double error = ((double)c.dx[i] - (double)exact[i]) / unit;
        sum += error;
        if (fabs(error) > (stochastic ? 1.0 : 0.5) + 1e-6)
            fail_msg("%d bits, kind %d, element %d: %.9g for %.9g, %.3g units off", bits, kind, i,
                     (double)c.dx[i], (double)exact[i], error);
    }
    /* five standard deviations of a mean of N errors of at most half a unit each */
    if (stochastic && fabs(sum / N) > 5.0 * 0.5 / sqrt((double)N))
        fail_msg("%d bits, kind %d: mean error %.3g units", bits, kind, sum / N);
    mem_free(exact);
    mem_free(exact_y);
    case_deinit(&c);
}

static void slopes(void **state)
{
    static const int widths[] = {4, 8, 9, 12, 16};
    (void)state;
    for (int w = 0; w < 5; w++)
        for (int kind = 0; kind < KINDS; kind++) {
            check_slopes(widths[w], false, kind);
            check_slopes(widths[w], true, kind);
        }
}

/* Mixed rounding: slopes are rounded to nearest, and the gradient is not mapped here. */
static void mixed_rounding(void **state)
{
    (void)state;
    for (int bits = 8; bits <= 12; bits += 4)
        for (int kind = 0; kind < KINDS; kind++) {
            act_case c[2];
            num_format format = test_format_dfp(bits, GROUP_ROW, false);
            for (int i = 0; i < 2; i++) {
                case_init(&c[i], &format, kind);
                nonlinearity_forward(&c[i].ex, c[i].y, c[i].x, N, &c[i].f, &c[i].state);
                nonlinearity_backward(&c[i].ex, c[i].dx, c[i].dy, N, &c[i].f, &c[i].state);
                format.rounding = ROUNDING_MIXED;
            }
            test_assert_same("y", c[1].y, c[0].y, N);
            test_assert_same("dx", c[1].dx, c[0].dx, N);
            case_deinit(&c[0]);
            case_deinit(&c[1]);
        }
}

static void parts(void **state)
{
    (void)state;
    for (int bits = 8; bits <= 16; bits += 8) {
        act_case whole, part;
        const num_format format = test_format_dfp(bits, GROUP_ROW, true);
        case_init(&whole, &format, ACTIVATION_GELU);
        case_init(&part, &format, ACTIVATION_GELU);
        nonlinearity_forward(&whole.ex, whole.y, whole.x, N, &whole.f, &whole.state);
        nonlinearity_backward(&whole.ex, whole.dx, whole.dy, N, &whole.f, &whole.state);
        for (int64_t begin = 0, n; begin < N; begin += n) {
            n = N - begin < 1777 ? N - begin : 1777;
            nonlinearity_state s = nonlinearity_state_from(&part.ex, &part.state, begin);
            nonlinearity_forward(&part.ex, part.y + begin, part.x + begin, n, &part.f, &s);
            nonlinearity_backward(&part.ex, part.dx + begin, part.dy + begin, n, &part.f, &s);
        }
        test_assert_same("y", part.y, whole.y, N);
        test_assert_same("dx", part.dx, whole.dx, N);
        case_deinit(&whole);
        case_deinit(&part);
    }
}

static void evaluation(void **state)
{
    act_case c;
    const num_format format = test_format_dfp(8, GROUP_ROW, true);
    (void)state;
    case_init(&c, &format, ACTIVATION_GELU);
    memset(c.state.slope, 0x55, N);
    c.ex.training = false;
    nonlinearity_forward(&c.ex, c.y, c.x, N, &c.f, &c.state);
    for (int i = 0; i < N; i++)
        assert_int_equal(((const int8_t *)c.state.slope)[i], 0x55);
    case_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),    cmocka_unit_test(slopes),
        cmocka_unit_test(mixed_rounding), cmocka_unit_test(parts),
        cmocka_unit_test(evaluation),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
