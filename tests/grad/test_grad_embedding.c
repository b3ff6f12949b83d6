/*
 * The embedding's look-up and scatter-add: float exactly, integers against float.
 *
 *   fp32      y and dW against a plain double loop; dW against central differences of L = sum C y
 *   integers  signal-to-noise ratio against fp32 by width, group and rounding; exact where the
 *             numbers are representable; the mapping of a row is that of the whole table
 *   frozen    a table that is not trained is passed over
 *   mixed     rounding: y as of nearest rounding, bit for bit; the gradient is drawn
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layers/embedding.h"
#include "support/test_model.h"

enum { TOKENS = 41, WORDS = 19, COLS = 300 }; /* more columns than a segment, words that repeat */

typedef struct table_case {
    exec ex;
    param table;
    embedding e;
    int32_t index[TOKENS];
    float *y, *dy; /* [TOKENS][COLS]; dy is also C of L = sum C y */
} table_case;

static void backward(table_case *c)
{
    embedding_gradient g;
    const size_t mark = exec_mark(&c->ex);
    embedding_map_gradient(&c->ex, &g, c->dy, TOKENS, COLS, &c->e);
    embedding_backward(&c->ex, &g, c->index, &c->e);
    exec_release(&c->ex, mark);
}

static void run(void *arg)
{
    table_case *c = arg;
    embedding_forward(&c->ex, c->y, c->index, TOKENS, &c->e, false);
    backward(c);
}

static void bind(void *arg)
{
    table_case *c = arg;
    embedding_init(&c->e, "the table", 3, &c->table);
}

static void case_init(table_case *c, const num_format *format)
{
    test_random r = test_random_make("embedding");
    *c = (table_case){0};
    test_exec_init(&c->ex, format, 1);
    test_param_init(&r, &c->table, WORDS, COLS, 0.0, 0.05);
    for (int t = 0; t < TOKENS; t++) /* the last word never occurs */
        c->index[t] = (int32_t)test_random_below(&r, WORDS - 1);
    c->y = test_floats(TOKENS * COLS);
    c->dy = test_floats(TOKENS * COLS);
    test_fill_normal(&r, c->dy, TOKENS * COLS, 0.0, 1e-3);
    test_exec_plan(&c->ex, NULL, bind, run, c);
}

static void case_deinit(table_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    test_param_deinit(&c->table);
    mem_free(c->y);
    mem_free(c->dy);
    test_exec_deinit(&c->ex);
}

static double loss(void *arg)
{
    table_case *c = arg;
    embedding_forward(&c->ex, c->y, c->index, TOKENS, &c->e, false);
    return test_dot(c->y, c->dy, TOKENS * COLS);
}

static void differences(void **state)
{
    table_case c;
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    case_init(&c, &format);
    test_random r = test_random_make("large gradient");
    test_fill_normal(&r, c.dy, TOKENS * COLS, 0.0, 1.0);
    run(&c);
    for (int t = 0; t < TOKENS; t++)
        test_assert_same("y", c.y + t * COLS, c.table.value + c.index[t] * COLS, COLS);
    test_assert_gradient("dW", loss, &c, c.table.value, c.table.grad, WORDS * COLS, 0.25f, 1e-4,
                         1e-5);
    case_deinit(&c);
}

/* The sums of the words, in double, of the gradient as given. */
static void expected_gradient(const table_case *c, double *sum)
{
    memset(sum, 0, WORDS * COLS * sizeof *sum);
    for (int t = 0; t < TOKENS; t++)
        for (int j = 0; j < COLS; j++)
            sum[c->index[t] * COLS + j] += (double)c->dy[t * COLS + j];
}

/* Gradients that the format holds exactly: the sums are exact, and a second batch is added. */
static void exact_sums(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const int widths[] = {5, 8, 9, 16};
    (void)state;
    double *sum = test_alloc(WORDS * COLS, sizeof *sum);
    for (int g = 0; g < 3; g++)
        for (int w = 0; w < 4; w++) {
            table_case c;
            const num_format format = test_format_dfp(widths[w], groups[g], true);
            case_init(&c, &format);
            test_random r = test_random_make("exact");
            for (int t = 0; t < TOKENS; t++)
                test_fill_exact(&r, c.dy + t * COLS, COLS, widths[w]);
            for (int v = 0; v < WORDS; v++)
                test_fill_exact(&r, c.table.value + v * COLS, COLS, widths[w]);
            run(&c);
            expected_gradient(&c, sum);
            for (int t = 0; t < TOKENS; t++)
                test_assert_same("y", c.y + t * COLS, c.table.value + c.index[t] * COLS, COLS);
            for (int i = 0; i < WORDS * COLS; i++)
                assert_true((double)c.table.grad[i] == sum[i]);
            c.ex.accumulate_grads = true;
            backward(&c);
            for (int i = 0; i < WORDS * COLS; i++)
                assert_true((double)c.table.grad[i] == 2.0 * sum[i]);
            embedding_forward(&c.ex, c.y, c.index, TOKENS, &c.e, true);
            for (int j = 0; j < COLS; j++)
                assert_true(c.y[j] == 2.0f * c.table.value[c.index[0] * COLS + j]);
            case_deinit(&c);
        }
    mem_free(sum);
}

/* A table of more rows than one digit of the sort has, few of them used, and numbers whose sum
 * depends on the order: it is that of the tokens. */
enum { N = 3000, ROWS = 3 << 12, USED = 7 };

typedef struct order_case {
    exec ex;
    param table;
    embedding e;
    int32_t index[N];
    float dy[N];
} order_case;

static void scatter(void *arg)
{
    order_case *c = arg;
    embedding_gradient g;
    const size_t mark = exec_mark(&c->ex);
    embedding_map_gradient(&c->ex, &g, c->dy, N, 1, &c->e);
    embedding_backward(&c->ex, &g, c->index, &c->e);
    exec_release(&c->ex, mark);
}

static void order_of_tokens(void **state)
{
    static order_case c;
    const num_format format = test_format_float(FORMAT_FP32);
    test_random r = test_random_make("order");
    float *expected = test_floats(ROWS);
    double *sum = test_alloc(ROWS, sizeof *sum);
    (void)state;
    test_exec_init(&c.ex, &format, 2);
    test_param_init(&r, &c.table, ROWS, 1, 0.0, 1.0);
    embedding_init(&c.e, "the table", 3, &c.table);
    for (int t = 0; t < N; t++) {
        const int64_t row = test_random_below(&r, USED); /* 0, 4097, 8194, 1, ... */
        c.index[t] = (int32_t)(row / 3 + row % 3 * ((1 << 12) + 1));
        c.dy[t] = (float)ldexp(test_random_normal(&r), (int)test_random_below(&r, 120));
        sum[c.index[t]] += (double)c.dy[t];
    }
    for (int v = 0; v < ROWS; v++)
        expected[v] = (float)sum[v];
    test_exec_plan(&c.ex, NULL, NULL, scatter, &c);
    scatter(&c);
    test_assert_same("dW", c.table.grad, expected, ROWS);
    test_param_deinit(&c.table);
    test_exec_deinit(&c.ex);
    mem_free(expected);
    mem_free(sum);
}

/* A table that is not trained has no gradient: it is passed over, beside one that is not. */
static void frozen(void **state)
{
    const num_format formats[] = {test_format_float(FORMAT_FP32),
                                  test_format_dfp(8, GROUP_TENSOR, true),
                                  test_format_dfp(8, GROUP_ROW, true)};
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        table_case a, b;
        case_init(&a, &formats[f]);
        case_init(&b, &formats[f]);
        run(&a);
        float *grad = b.table.grad;
        embedding_gradient g;
        embedding fixed = b.e;
        param fixed_table = b.table;
        fixed.table = &fixed_table;
        fixed_table.trained = false;
        fixed_table.grad = NULL;
        embedding_forward(&b.ex, b.y, b.index, TOKENS, &fixed, false);
        test_assert_same("y", b.y, a.y, TOKENS * COLS);
        const size_t mark = exec_mark(&b.ex);
        embedding_map_gradient(&b.ex, &g, b.dy, TOKENS, COLS, &fixed);
        embedding_backward(&b.ex, &g, b.index, &fixed);
        for (int i = 0; i < WORDS * COLS; i++)
            assert_true(grad[i] == 0.0f);
        embedding_backward(&b.ex, &g, b.index, &b.e);
        exec_release(&b.ex, mark);
        test_assert_same("dW", grad, a.table.grad, WORDS * COLS);
        case_deinit(&a);
        case_deinit(&b);
    }
}

/* Bounds in dB at 8 bits, two to three below what is measured; 6.02 dB more for each bit. */
static const struct noise_bound {
    group_kind group;
    bool stochastic;
    double y, dw;
} noise_bounds[] = {
    {GROUP_TENSOR, false, 36.5, 32.5}, {GROUP_TENSOR, true, 33.5, 29.5},
    {GROUP_ROW, false, 37, 37.5},      {GROUP_ROW, true, 34, 34.5},
    {GROUP_BLOCK, false, 37, 37.5},    {GROUP_BLOCK, true, 34, 34.5},
};

static void noise(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    table_case exact;
    (void)state;
    case_init(&exact, &fp32);
    run(&exact);
    for (size_t i = 0; i < sizeof noise_bounds / sizeof noise_bounds[0]; i++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
            table_case c;
            const struct noise_bound *b = &noise_bounds[i];
            const num_format f = test_format_dfp(widths[w], b->group, b->stochastic);
            const double more = 6.02 * (widths[w] - 8);
            case_init(&c, &f);
            run(&c);
            printf("  %s %s, %d bits\n", test_group_name(b->group),
                   b->stochastic ? "stochastic" : "nearest", widths[w]);
            test_assert_at_least("y", test_snr_db(c.y, exact.y, TOKENS * COLS), b->y + more, "dB");
            test_assert_at_least("dW", test_snr_db(c.table.grad, exact.table.grad, WORDS * COLS),
                                 b->dw + more, "dB");
            case_deinit(&c);
        }
    case_deinit(&exact);
}

/* Mixed rounding: y has the bits of nearest rounding in every step, the gradient is drawn. */
static void mixed_rounding(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int bits = 8; bits <= 12; bits += 4)
        for (int g = 0; g < 3; g++) {
            table_case c[3]; /* nearest; mixed in two steps */
            num_format f = test_format_dfp(bits, groups[g], false);
            for (int i = 0; i < 3; i++) {
                case_init(&c[i], &f);
                c[i].ex.step = c[i].ex.weight_version = i == 2;
                run(&c[i]);
                test_assert_same("y", c[i].y, c[0].y, TOKENS * COLS);
                for (int k = 0; k < i; k++)
                    assert_memory_not_equal(c[i].table.grad, c[k].table.grad,
                                            WORDS * COLS * sizeof(float));
                f.rounding = ROUNDING_MIXED;
            }
            for (int i = 0; i < 3; i++)
                case_deinit(&c[i]);
        }
}

/* A row looked up by itself has the mantissas that the mapping of the whole table gives it. */
static void rows_as_the_table(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW};
    (void)state;
    for (int g = 0; g < 2; g++) {
        table_case c;
        qmatrix m;
        arena a;
        const num_format f = test_format_dfp(7, groups[g], true);
        case_init(&c, &f);
        c.ex.weight_version = 5;
        c.ex.step = 17; /* the batches of one optimizer step see one table */
        embedding_forward(&c.ex, c.y, c.index, TOKENS, &c.e, false);
        assert_int_equal(arena_init(NULL, &a, (WORDS + 1) * (COLS + 64), ""), MTS_OK);
        qmatrix_bind(&m, &a, WORDS, COLS, 7, groups[g]);
        const map_args args = {.key = rng_make_key(c.ex.seed, 5, 3, RNG_ROUND_WEIGHT),
                               .stochastic = true,
                               .what = "",
                               .where = ""};
        qmatrix_map(&c.ex, &m, c.table.value, COLS, &args);
        for (int t = 0; t < TOKENS; t++)
            for (int j = 0; j < COLS; j++) {
                const int v = c.index[t];
                const float scale = m.scale[groups[g] == GROUP_ROW ? v : 0];
                assert_true(c.y[t * COLS + j] == (float)((int8_t *)m.q)[v * COLS + j] * scale);
            }
        test_arena_deinit(&a);
        case_deinit(&c);
    }
}

static void anomalies(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    (void)state;
    for (int g = 0; g < 2; g++)
        for (int k = 0; k < 6; k++) {
            table_case c;
            const int where = k % 2;
            const num_format f = test_format_dfp(8, groups[g], true);
            case_init(&c, &f);
            (where == 0 ? c.table.value + c.index[3] * COLS : c.dy)[77] = bad[k / 2];
            run(&c);
            assert_string_equal(c.ex.anomaly,
                                where == 0 ? "NaN or infinity in the weight of the table"
                                           : "NaN or infinity in the output gradient of the table");
            c.ex.anomaly[0] = '\0';
            for (int i = 0; i < WORDS * COLS; i++)
                assert_true(isfinite(c.table.grad[i]));
            for (int i = 0; i < TOKENS * COLS; i++)
                assert_true(isfinite(c.y[i]));
            case_deinit(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),     cmocka_unit_test(exact_sums),
        cmocka_unit_test(order_of_tokens), cmocka_unit_test(noise),
        cmocka_unit_test(mixed_rounding),  cmocka_unit_test(rows_as_the_table),
        cmocka_unit_test(anomalies),       cmocka_unit_test(frozen),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
