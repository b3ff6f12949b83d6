/*
 * What a low-rank adapter does in training only: dropout of its input, and weights of its ranks.
 *
 *   dropout   fp32: Y, dX, dA, dB are those of an input that was dropped before, by the draws of
 *             its stream; about p of the elements; integers and bf16 against fp32, the same draws
 *   weights   fp32: Y is the sum over the trained ranks r of what the first r ranks give, scaled by
 *             alpha / sqrt(r); all gradients are those of A with rows multiplied by P
 *   neither   in evaluation
 *   bits      of pieces of rows, families, threads: the same
 */
#include "support/test_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "options/rank_list.h"
#include "support/linear_case.h"

enum { ROWS = 150, OUT = 96, IN = 200, RANK = 8, LARGE_COUNT = 3 };

#define P 0.25f

static const int32_t large[] = {2, 77, 131};
static const float weights[RANK] = {2.5f, 1.5f, 1.0f, 1.0f, 0.5f, 0.5f, 0.25f, 0.25f};

static const linear_case_adapter plain = {
    .rank = RANK, .scale = 0.75f, .count = 2, .part = {{0, 48}, {72, 24}}};
static const linear_case_adapter dropping = {
    .rank = RANK, .scale = 0.75f, .dropout = P, .count = 2, .part = {{0, 48}, {72, 24}}};
static const linear_case_adapter both = {.rank = RANK,
                                         .scale = 0.75f,
                                         .dropout = P,
                                         .weights = weights,
                                         .count = 2,
                                         .part = {{0, 48}, {72, 24}}};

static const struct format_case {
    int bits; /* 0: fp32, 1: bf16 */
    group_kind group;
    int outlier_bits;
    double snr; /* at least that of Y, dX, dA and dB, in dB */
} format_cases[] = {
    {0, GROUP_ROW, 0, 250.0}, {1, GROUP_ROW, 0, 46.5},    {8, GROUP_TENSOR, 0, 27.0},
    {8, GROUP_ROW, 0, 30.5},  {8, GROUP_BLOCK, 0, 28.0},  {12, GROUP_ROW, 0, 54.5},
    {8, GROUP_ROW, 12, 30.5}, {8, GROUP_BLOCK, 12, 28.0},
};

enum { FORMAT_CASES = sizeof format_cases / sizeof format_cases[0] };

static num_format format_of(const struct format_case *f, bool stochastic)
{
    num_format format = f->bits < 2 ? test_format_float(f->bits == 0 ? FORMAT_FP32 : FORMAT_BF16)
                                    : test_format_dfp(f->bits, f->group, stochastic);
    format.outlier_bits = f->outlier_bits;
    return format;
}

static void init(linear_case *c, const gemm_family *family, const num_format *f,
                 const linear_case_adapter *adapter)
{
    linear_case_init_adapted(c, family, f, ROWS, OUT, IN, adapter);
    c->ex.step = 3;
    if (f->outlier_bits > 0)
        linear_case_set_outliers(c, large, LARGE_COUNT);
}

static void assert_same_results(const linear_case *x, const linear_case *y)
{
    test_assert_same("Y", x->y, y->y, ROWS * OUT);
    test_assert_same("dX", x->dx, y->dx, ROWS * IN);
    test_assert_same("dA", x->down.grad, y->down.grad, param_size(&x->down));
    for (int p = 0; p < x->adapter.count; p++)
        test_assert_same("dB", x->b[p].grad, y->b[p].grad, param_size(&x->b[p]));
}

/* The root of the mean square difference is below 10^-6 of that of y. */
static void assert_close(const char *what, const float *x, const float *y, int64_t n)
{
    double squares = 0.0, errors = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double error = (double)x[i] - (double)y[i];
        squares += (double)y[i] * (double)y[i];
        errors += error * error;
    }
    printf("  %-3s error %.2e\n", what, sqrt(errors / squares));
    assert_true(squares > 0.0 && sqrt(errors / squares) < 1e-6);
}

static void assert_close_gradients(const linear_case *x, const linear_case *y)
{
    assert_close("dA", x->down.grad, y->down.grad, param_size(&x->down));
    for (int p = 0; p < x->adapter.count; p++)
        assert_close("dB", x->b[p].grad, y->b[p].grad, param_size(&x->b[p]));
}

/* --------------------------------------------------------------------------------- dropout --- */

/* What dropout does with element i of the input. */
static float kept(const linear_case *c, int64_t i)
{
    const rng_key key =
        rng_make_key(c->ex.seed, c->ex.step, (uint64_t)LINEAR_CASE_ADAPTER_ID, RNG_DROPOUT);
    return rng_draw(key, (uint32_t)i) >= (uint32_t)((double)P * 4294967296.0) ? 1.0f / (1.0f - P)
                                                                              : 0.0f;
}

/* Without a weight, Y and dX are the adapter's alone. */
static void clear_weight(linear_case *c)
{
    memset(c->weight.value, 0, (size_t)(OUT * IN) * sizeof(float));
    memset(c->bias.value, 0, (size_t)OUT * sizeof(float));
}

static void dropped_input(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    linear_case c, before;
    int64_t zeros = 0;
    (void)state;
    init(&c, NULL, &fp32, &dropping);
    init(&before, NULL, &fp32, &plain);
    clear_weight(&c);
    clear_weight(&before);
    for (int64_t i = 0; i < ROWS * IN; i++) {
        before.x[i] = c.x[i] * kept(&c, i);
        zeros += kept(&c, i) == 0.0f;
    }
    linear_case_run(&c);
    linear_case_run(&before);
    for (int64_t i = 0; i < ROWS * IN; i++)
        before.dx[i] *= kept(&c, i);
    assert_close("Y", c.y, before.y, ROWS * OUT);
    assert_close("dX", c.dx, before.dx, ROWS * IN);
    assert_close_gradients(&c, &before);
    /* 5 sigma */
    assert_true(fabs((double)zeros - (double)P * ROWS * IN) <
                5.0 * sqrt((double)P * (1.0 - (double)P) * ROWS * IN));
    linear_case_deinit(&c);
    linear_case_deinit(&before);
}

/* All formats drop the same. */
static void noise(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    linear_case exact;
    (void)state;
    init(&exact, NULL, &fp32, &both);
    linear_case_run(&exact);
    for (int i = 0; i < FORMAT_CASES; i++) {
        linear_case c;
        const num_format f = format_of(&format_cases[i], false);
        init(&c, NULL, &f, &both);
        linear_case_run(&c);
        double worst = test_snr_db(c.y, exact.y, ROWS * OUT);
        worst = fmin(worst, test_snr_db(c.dx, exact.dx, ROWS * IN));
        worst = fmin(worst, test_snr_db(c.down.grad, exact.down.grad, param_size(&c.down)));
        for (int p = 0; p < 2; p++)
            worst = fmin(worst, test_snr_db(c.b[p].grad, exact.b[p].grad, param_size(&c.b[p])));
        printf("  format %d: %.1f dB\n", i, worst);
        assert_true(worst >= format_cases[i].snr);
        linear_case_deinit(&c);
    }
    linear_case_deinit(&exact);
}

/* --------------------------------------------------------------------------------- weights --- */

/* y += what the first r ranks give, scaled by alpha / sqrt(r). */
static void add_slice(double *y, const linear_case *like, int64_t r)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    linear_case c;
    init(&c, NULL, &fp32, &plain);
    clear_weight(&c);
    c.adapter.alpha = like->adapter.alpha;
    c.adapter.rslora = true;
    c.ex.rank = r;
    linear_case_forward(&c);
    for (int64_t i = 0; i < ROWS * OUT; i++)
        y[i] += (double)c.y[i];
    linear_case_deinit(&c);
}

/* With the weights of a list, Y is the sum over the list. */
static void sum_of_ranks(void **state)
{
    static const char *const lists[] = {"1..8", "1,2,4,8", "8", "3,5..8"};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++) {
        linear_case c;
        rank_list list;
        float own[RANK];
        double *sum = test_alloc(ROWS * OUT, sizeof *sum);
        float *wanted = test_floats(ROWS * OUT);
        linear_case_adapter adapter = plain;
        assert_int_equal(rank_list_parse(NULL, lists[k], RANK, &list), MTS_OK);
        adapter.weights = own;
        init(&c, NULL, &fp32, &adapter);
        clear_weight(&c);
        rank_list_weights(&list, (double)c.adapter.alpha, own);
        linear_case_forward(&c);
        for (int64_t i = 0; i < list.count; i++)
            add_slice(sum, &c, list.rank[i]);
        for (int64_t i = 0; i < ROWS * OUT; i++)
            wanted[i] = (float)sum[i];
        printf("  %s\n", lists[k]);
        assert_close("Y", c.y, wanted, ROWS * OUT);
        mem_free(sum);
        mem_free(wanted);
        linear_case_deinit(&c);
    }
}

/* The same as A with rows multiplied by P, of which P is a factor of dA too. */
static void weighted_gradients(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    linear_case_adapter weighted = plain, unscaled = plain;
    linear_case c, other;
    (void)state;
    weighted.weights = weights;
    unscaled.scale = 1.0f;
    init(&c, NULL, &fp32, &weighted);
    init(&other, NULL, &fp32, &unscaled);
    for (int64_t i = 0; i < param_size(&other.down); i++)
        other.down.value[i] *= weights[i / IN % RANK];
    linear_case_run(&c);
    linear_case_run(&other);
    for (int64_t i = 0; i < param_size(&other.down); i++)
        other.down.grad[i] *= weights[i / IN % RANK];
    assert_close("Y", c.y, other.y, ROWS * OUT);
    assert_close("dX", c.dx, other.dx, ROWS * IN);
    assert_close_gradients(&c, &other);
    linear_case_deinit(&c);
    linear_case_deinit(&other);
}

/* ------------------------------------------------------------------------------- the rest ---- */

static void evaluation(void **state)
{
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++) {
        linear_case c, without;
        const num_format f = format_of(&format_cases[i], true);
        init(&c, NULL, &f, &both);
        init(&without, NULL, &f, &plain);
        c.ex.training = without.ex.training = false;
        linear_case_forward(&c);
        linear_case_forward(&without);
        test_assert_same("Y", c.y, without.y, ROWS * OUT);
        linear_case_deinit(&c);
        linear_case_deinit(&without);
    }
}

static void run_pieces(linear_case *c)
{
    enum { PIECE = 64 };
    linear_gradient g;
    const size_t mark = exec_mark(&c->ex);
    linear_gradient_take(&c->ex, &g, ROWS, &c->lin);
    for (int64_t begin = 0; begin < ROWS; begin += PIECE) {
        const int64_t end = begin + PIECE < ROWS ? begin + PIECE : ROWS;
        linear_input in = linear_input_rows(&c->act, begin, end);
        linear_input_set(&c->ex, &in, c->x + begin * IN);
        linear_forward(&c->ex, c->y + begin * OUT, &in, &c->lin);
        linear_backward_rows(&c->ex, c->dx + begin * IN, c->dy + begin * OUT, &in, &c->lin, &g);
    }
    linear_backward_params(&c->ex, &g, c->dy, &c->act, &c->lin);
    exec_release(&c->ex, mark);
}

static void pieces(void **state)
{
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++) {
        linear_case whole, part;
        const num_format f = format_of(&format_cases[i], true);
        if (f.kind != FORMAT_DFP || f.group == GROUP_TENSOR)
            continue; /* the piece is the whole there */
        init(&whole, NULL, &f, &both);
        init(&part, NULL, &f, &both);
        linear_case_run(&whole);
        run_pieces(&part);
        assert_same_results(&part, &whole);
        linear_case_deinit(&whole);
        linear_case_deinit(&part);
    }
}

static void families_and_threads(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++) {
        linear_case first;
        const num_format f = format_of(&format_cases[i], true);
        if (f.kind != FORMAT_DFP)
            continue;
        init(&first, &gemm_family_ref, &f, &both);
        linear_case_run(&first);
        for (int k = 0; k < count; k++)
            for (int threads = 1; threads <= 4; threads += 3) {
                linear_case c;
                init(&c, families[k], &f, &both);
                c.ex.threads = threads;
                linear_case_run(&c);
                assert_same_results(&c, &first);
                linear_case_deinit(&c);
            }
        linear_case_deinit(&first);
    }
    printf("  %d families\n", count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dropped_input),        cmocka_unit_test(noise),
        cmocka_unit_test(sum_of_ranks),         cmocka_unit_test(weighted_gradients),
        cmocka_unit_test(evaluation),           cmocka_unit_test(pieces),
        cmocka_unit_test(families_and_threads), /* the last: emulation ends with its test */
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
