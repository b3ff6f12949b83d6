/*
 * The gated activation g = f(u) * v, forward and backward.
 *
 *   fp32      du and dv against central differences of L = sum C g
 *   integers  g the same bits as in fp32; signal-to-noise ratio of du and dv against fp32, by width
 *             and rounding; mixed rounding keeps what nearest rounding does
 *   mean      of du and dv over many steps of stochastic rounding: the fp32 ones
 *   rows      by pieces and on several threads: the same bits as the whole
 *   anomalies NaN in u or v is named; evaluation keeps nothing
 *   plain     without a gate: the bits of the nonlinearity
 */
#include "support/test_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layers/gated.h"
#include "support/test_model.h"

enum { ROWS = 70, N = 130, KINDS = 5, STEPS = 1000 };

typedef struct gated_case {
    exec ex;
    int64_t rows;
    gated f;
    gated_state state;
    arena storage;
    float *uv, *g, *dg, *duv;
} gated_case;

static void bind(void *arg)
{
    gated_case *c = arg;
    gated_state_bind(&c->ex, &c->state, &c->storage, &c->f, c->rows);
}

static void forward(gated_case *c)
{
    float *source = gated_source(&c->state, c->uv);
    if (source != c->uv)
        exec_copy(&c->ex, source, c->uv, (size_t)(c->rows * gated_in_width(&c->f)) * sizeof(float));
    gated_forward(&c->ex, c->g, source, c->rows, &c->f, &c->state);
}

static void run(void *arg)
{
    gated_case *c = arg;
    forward(c);
    gated_backward(&c->ex, c->duv, c->dg, c->rows, &c->f, &c->state);
}

static void case_init(gated_case *c, const num_format *format, int kind, int64_t rows, int64_t n)
{
    test_random r = test_random_make("gated");
    *c = (gated_case){.rows = rows};
    c->f = (gated){
        .name = "the gate", .act = {7, (activation_kind)kind}, .act_id = 8, .gate_id = 9, .n = n};
    test_exec_init(&c->ex, format, 1);
    c->uv = test_floats(rows * 2 * n);
    c->duv = test_floats(rows * 2 * n);
    c->g = test_floats(rows * n);
    c->dg = test_floats(rows * n);
    test_fill_normal(&r, c->uv, rows * 2 * n, 0.3, 1.5);
    test_fill_normal(&r, c->dg, rows * n, 0.0, 1.0);
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
}

static void case_deinit(gated_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    mem_free(c->uv);
    mem_free(c->duv);
    mem_free(c->g);
    mem_free(c->dg);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

/* Without a gate. */
static void plain_init(gated_case *c, const num_format *format, int kind, int64_t rows, int64_t n)
{
    case_init(c, format, kind, rows, n);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
    test_exec_init(&c->ex, format, 1);
    c->f.plain = true;
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
}

/* The columns of u (0) or of v (1) of x[ROWS][2 N]; freed by mem_free. */
static float *half_of(const float *x, int which)
{
    float *y = test_floats(ROWS * N);
    for (int64_t t = 0; t < ROWS; t++)
        memcpy(y + t * N, x + (2 * t + which) * N, N * sizeof *y);
    return y;
}

static double loss(void *arg)
{
    gated_case *c = arg;
    forward(c);
    return test_dot(c->g, c->dg, c->rows * c->f.n);
}

static void differences(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == ACTIVATION_RELU)
            continue; /* not differentiable at 0 */
        gated_case c;
        case_init(&c, &fp32, kind, 5, 37);
        run(&c);
        test_assert_gradient("du, dv", loss, &c, c.uv, c.duv, 5 * 2 * 37, 4e-3f, 1e-3, 4e-4);
        case_deinit(&c);
    }
}

static double half_snr(const gated_case *a, const gated_case *b, int which)
{
    float *x = half_of(a->duv, which), *y = half_of(b->duv, which);
    const double snr = test_snr_db(x, y, ROWS * N);
    mem_free(x);
    mem_free(y);
    return snr;
}

/* Bounds at 8 bits, about one below the least that is measured. */
static void noise(void **state)
{
    static const struct {
        bool stochastic;
        double du, dv;
    } bounds[] = {{false, 36.5, 36.5}, {true, 33.5, 33.5}};
    static const int widths[] = {8, 10, 12, 16};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int i = 0; i < 2; i++)
            for (int w = 0; w < 4; w++)
                for (int k = 0; k < 3; k++) {
                    gated_case a, b;
                    const num_format f =
                        test_format_dfp(widths[w], groups[k], bounds[i].stochastic);
                    const double more = 6.02 * (widths[w] - 8);
                    case_init(&a, &f, kind, ROWS, N);
                    case_init(&b, &fp32, kind, ROWS, N);
                    run(&a);
                    run(&b);
                    test_assert_same("g", a.g, b.g, ROWS * N);
                    printf("  kind %d, %d bits%s\n", kind, widths[w],
                           bounds[i].stochastic ? ", stochastic" : "");
                    test_assert_at_least("du", half_snr(&a, &b, 0), bounds[i].du + more, "dB");
                    test_assert_at_least("dv", half_snr(&a, &b, 1), bounds[i].dv + more, "dB");
                    case_deinit(&a);
                    case_deinit(&b);
                }
}

/* Exponents are by row: a row 1000 times as large takes nothing from the others. */
static void rows_of_their_own(void **state)
{
    gated_case a, b;
    const num_format f = test_format_dfp(8, GROUP_TENSOR, false);
    (void)state;
    case_init(&a, &f, ACTIVATION_SILU, ROWS, N);
    case_init(&b, &f, ACTIVATION_SILU, ROWS, N);
    for (int64_t j = 0; j < 2 * N; j++)
        b.uv[j] *= 1000.0f;
    run(&a);
    run(&b);
    test_assert_same("du, dv", b.duv + 2 * N, a.duv + 2 * N, (ROWS - 1) * 2 * N);
    case_deinit(&a);
    case_deinit(&b);
}

/* Mixed rounding: what the forward keeps is rounded to nearest, and no gradient is mapped here. */
static void mixed_rounding(void **state)
{
    (void)state;
    for (int bits = 8; bits <= 12; bits += 4) {
        gated_case c[2];
        num_format f = test_format_dfp(bits, GROUP_ROW, false);
        for (int i = 0; i < 2; i++) {
            case_init(&c[i], &f, ACTIVATION_SILU, ROWS, N);
            run(&c[i]);
            f.rounding = ROUNDING_MIXED;
        }
        test_assert_same("g", c[1].g, c[0].g, ROWS * N);
        test_assert_same("du, dv", c[1].duv, c[0].duv, ROWS * 2 * N);
        case_deinit(&c[0]);
        case_deinit(&c[1]);
    }
}

/* The slope and v are drawn independently, or du would be off.  What saturates is taken out: the
 * one place where the mapping is biased.  FORMATS.md (1) */
static void unbiased(void **state)
{
    enum { R = 9, W = 21, COUNT = R * 2 * W };
    const num_format f = test_format_dfp(5, GROUP_ROW, true);
    const num_format fp32 = test_format_float(FORMAT_FP32);
    gated_case a, b;
    static double sum[COUNT], squares[COUNT];
    double worst = 0.0;
    (void)state;
    case_init(&a, &f, ACTIVATION_SILU, R, W);
    case_init(&b, &fp32, ACTIVATION_SILU, R, W);
    for (int64_t t = 0; t < R; t++) { /* the largest |f(u)| and |v| of each row: 1.5 */
        float *u = a.uv + t * 2 * W;
        for (int64_t j = 0; j < 2 * W; j++)
            u[j] = j % W == 0 ? (j == 0 ? 1.79f : 1.5f) : 1.4f * tanhf(u[j]);
    }
    memcpy(b.uv, a.uv, COUNT * sizeof(float));
    run(&b);
    for (int step = 0; step < STEPS; step++) {
        a.ex.step = (uint64_t)step;
        run(&a);
        for (int i = 0; i < COUNT; i++) {
            sum[i] += (double)a.duv[i];
            squares[i] += (double)a.duv[i] * (double)a.duv[i];
        }
    }
    for (int i = 0; i < COUNT; i++) {
        const double mean = sum[i] / STEPS;
        const double variance = (squares[i] / STEPS - mean * mean) / STEPS;
        /* what is nearly exact may never be rounded the other way: one unit in all steps */
        const double unit = 0.2 * (double)a.dg[i / (2 * W) * W + i % W] / STEPS;
        worst =
            fmax(worst, fabs(mean - (double)b.duv[i]) / sqrt(fmax(variance, 0.0) + unit * unit));
    }
    printf("  mean of %d steps: worst of %d elements %.2f sigma\n", STEPS, COUNT, worst);
    assert_true(worst < 5.0);
    case_deinit(&a);
    case_deinit(&b);
}

static void pieces_and_threads(void **state)
{
    const num_format formats[] = {test_format_float(FORMAT_FP32), test_format_float(FORMAT_BF16),
                                  test_format_dfp(8, GROUP_ROW, true),
                                  test_format_dfp(12, GROUP_TENSOR, true),
                                  test_format_dfp(8, GROUP_BLOCK, false)};
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (int64_t piece = 1; piece <= 64; piece += 21) {
            gated_case whole, part;
            case_init(&whole, &formats[i], ACTIVATION_SILU, ROWS, N);
            case_init(&part, &formats[i], ACTIVATION_SILU, ROWS, N);
            whole.ex.step = part.ex.step = 3;
            whole.ex.threads = 3;
            run(&whole);
            for (int64_t begin = 0, end; begin < ROWS; begin = end) {
                end = begin + piece < ROWS ? begin + piece : ROWS;
                gated_state s = gated_state_rows(&part.ex, &part.state, &part.f, begin, end);
                float *source = gated_source(&s, part.uv + begin * 2 * N);
                memmove(source, part.uv + begin * 2 * N,
                        (size_t)((end - begin) * 2 * N) * sizeof(float));
                gated_forward(&part.ex, part.g + begin * N, source, end - begin, &part.f, &s);
                gated_backward(&part.ex, part.duv + begin * 2 * N, part.dg + begin * N, end - begin,
                               &part.f, &s);
            }
            test_assert_same("g", part.g, whole.g, ROWS * N);
            test_assert_same("du, dv", part.duv, whole.duv, ROWS * 2 * N);
            case_deinit(&whole);
            case_deinit(&part);
        }
}

static void evaluation(void **state)
{
    gated_case a, b;
    const num_format f = test_format_dfp(8, GROUP_ROW, true);
    (void)state;
    case_init(&a, &f, ACTIVATION_SILU, ROWS, N);
    case_init(&b, &f, ACTIVATION_SILU, ROWS, N);
    run(&a);
    b.ex.training = false;
    memset(b.state.act.q, 0x55, ROWS * N);
    memset(b.state.gate.q, 0x55, ROWS * N);
    forward(&b);
    test_assert_same("g", b.g, a.g, ROWS * N);
    for (int i = 0; i < ROWS * N; i++) {
        assert_int_equal(((const int8_t *)b.state.act.q)[i], 0x55);
        assert_int_equal(((const int8_t *)b.state.gate.q)[i], 0x55);
    }
    case_deinit(&a);
    case_deinit(&b);
}

/* It is the activation function alone: as the nonlinearity has it, by pieces too. */
static void plain(void **state)
{
    enum { PIECE = 32, COUNT = ROWS * N };
    const num_format formats[] = {test_format_float(FORMAT_FP32), test_format_float(FORMAT_BF16),
                                  test_format_dfp(8, GROUP_ROW, true),
                                  test_format_dfp(12, GROUP_TENSOR, false)};
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (int kind = 0; kind < KINDS; kind++) {
            gated_case whole, part;
            plain_init(&whole, &formats[i], kind, ROWS, N);
            plain_init(&part, &formats[i], kind, ROWS, N);
            assert_int_equal(gated_in_width(&whole.f), N);
            assert_true(whole.state.gate.q == NULL && whole.state.act.q == NULL);
            run(&whole);
            float *y = test_floats(COUNT), *dx = test_floats(COUNT), *x = whole.uv;
            nonlinearity_state *s = &whole.state.slope;
            if (formats[i].kind == FORMAT_DFP) {
                nonlinearity_forward(&whole.ex, y, x, COUNT, &whole.f.act, s);
                nonlinearity_backward(&whole.ex, dx, whole.dg, COUNT, &whole.f.act, s);
            } else {
                whole.ex.fk->activation_forward(y, x, COUNT, (activation_kind)kind);
                whole.ex.fk->activation_backward(dx, whole.dg, x, COUNT, (activation_kind)kind);
            }
            test_assert_same("g", whole.g, y, COUNT);
            test_assert_same("du", whole.duv, dx, COUNT);
            for (int64_t begin = 0, end; begin < ROWS; begin = end) {
                end = begin + PIECE < ROWS ? begin + PIECE : ROWS;
                gated_state p = gated_state_rows(&part.ex, &part.state, &part.f, begin, end);
                float *source = gated_source(&p, part.uv + begin * N);
                memmove(source, part.uv + begin * N, (size_t)((end - begin) * N) * sizeof(float));
                gated_forward(&part.ex, part.g + begin * N, source, end - begin, &part.f, &p);
                gated_backward(&part.ex, part.duv + begin * N, part.dg + begin * N, end - begin,
                               &part.f, &p);
            }
            test_assert_same("g by pieces", part.g, y, COUNT);
            test_assert_same("du by pieces", part.duv, dx, COUNT);
            mem_free(y);
            mem_free(dx);
            case_deinit(&whole);
            case_deinit(&part);
        }
}

static void anomalies(void **state)
{
    const num_format f = test_format_dfp(8, GROUP_ROW, true);
    (void)state;
    for (int which = 0; which < 2; which++) {
        gated_case c;
        case_init(&c, &f, ACTIVATION_SILU, ROWS, N);
        c.uv[(2 * 33 + which) * N + 5] = which == 0 ? NAN : INFINITY;
        run(&c);
        assert_string_equal(c.ex.anomaly, "NaN or infinity in the activation of the gate");
        c.ex.anomaly[0] = '\0';
        case_deinit(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),
        cmocka_unit_test(noise),
        cmocka_unit_test(rows_of_their_own),
        cmocka_unit_test(mixed_rounding),
        cmocka_unit_test(unbiased),
        cmocka_unit_test(pieces_and_threads),
        cmocka_unit_test(evaluation),
        cmocka_unit_test(anomalies),
        cmocka_unit_test(plain),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
