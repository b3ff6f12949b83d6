/*
 * A linear layer whose input has outlier features (FORMATS.md (13)).
 *
 *   exact     Y and dW by the formula, bit for bit: 64-bit sums of mantissas that are mapped here,
 *             with the float operations in their documented order; dX as without outliers.  All
 *             families and groups; no outlier, one, some, and as many as there is room for
 *   changes   a list that changes between batches, in the same memory
 *   noise     with features 100 times as large as the others: the bounds of test_grad_linear.c
 *   use       what the lists are for: the error of Y by what the other features contribute
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

enum { MOST = 96, FAMILIES = 8, LARGE = 100 /* times the others */ };

/* ----------------------------------------------------------------------------- the formula --- */

/* What a layer computes, by the formula. */
typedef struct formula {
    arena storage;
    exec ex;
    float *y, *dw;
} formula;

/* A matrix of mantissas, and how a product reads it. */
typedef struct operand {
    const qmatrix *m;
    bool transposed;
} operand;

static int64_t mantissa(const operand *s, int64_t row, int64_t k)
{
    const int64_t at = s->transposed ? k * s->m->cols + row : row * s->m->cols + k;
    return s->m->bits <= 8 ? ((const int8_t *)s->m->q)[at] : ((const int16_t *)s->m->q)[at];
}

/* Scale of a row of this operand in the block of the depth that holds k. */
static float scale_of(const operand *s, int64_t row, int64_t k)
{
    const int64_t blocks = (s->m->cols + 63) / 64;
    switch (s->m->group) {
    case GROUP_ROW: /* transposed: folded into the other operand */
        return s->transposed ? 1.0f : s->m->scale[row];
    case GROUP_COLUMN:
        return s->m->scale[row];
    case GROUP_BLOCK:
        return s->transposed ? s->m->scale[k / 64 * blocks + row / 64]
                             : s->m->scale[row / 64 * blocks + k / 64];
    case GROUP_TENSOR:
        break;
    }
    return s->m->scale[0];
}

/* One element of a product, added to c; with a bias, of which c is not yet anything. */
static float element(float c, const operand *a, int64_t i, const operand *b, int64_t j,
                     const float *bias)
{
    const int64_t depth = a->transposed ? a->m->rows : a->m->cols;
    const int64_t step = a->m->group == GROUP_BLOCK ? 64 : depth;
    for (int64_t first = 0; first < depth; first += step) {
        const int64_t last = first + step < depth ? first + step : depth;
        int64_t sum = 0;
        for (int64_t k = first; k < last; k++)
            sum += mantissa(a, i, k) * mantissa(b, j, k);
        const float value = (float)sum * scale_of(a, i, first) * scale_of(b, j, first);
        c = bias != NULL && first == 0 ? value + *bias : c + value;
    }
    return c;
}

typedef struct mapping {
    int bits;
    group_kind group;
    bool stochastic;
    int id;
    rng_use use;
    const float *row_mul;
} mapping;

/* x[rows][cols] as mantissas, from its storage. */
static qmatrix map(formula *m, const float *x, int64_t rows, int64_t cols, const mapping *how)
{
    qmatrix q = {0};
    const map_args args = {
        .row_mul = how->row_mul,
        .key = rng_make_key(m->ex.seed,
                            how->use == RNG_ROUND_OUTLIER_WEIGHT || how->use == RNG_ROUND_WEIGHT
                                ? m->ex.weight_version
                                : m->ex.step,
                            (uint64_t)how->id, how->use),
        .stochastic = how->stochastic,
        .what = "",
        .where = "",
    };
    if (cols == 0)
        return q;
    qmatrix_bind(&q, &m->storage, rows, cols, how->bits, how->group);
    qmatrix_map(&m->ex, &q, x, cols, &args);
    return q;
}

/* The features of the list alone, or all others with zeros in their place. */
static float *part_of(formula *m, const outlier_list *list, const float *x, int64_t rows,
                      bool alone)
{
    const int64_t cols = list->cols, width = alone ? list->count : cols;
    float *part = arena_take(&m->storage, (size_t)(rows * width) + 1, sizeof(float));
    for (int64_t t = 0; t < rows; t++) {
        if (!alone)
            memcpy(part + t * cols, x + t * cols, (size_t)cols * sizeof(float));
        for (int64_t i = 0; i < list->count; i++)
            if (alone)
                part[t * width + i] = x[t * cols + list->feature[i]];
            else
                part[t * cols + list->feature[i]] = 0.0f;
    }
    return part;
}

static void formula_init(formula *m, const linear_case *c)
{
    const num_format *f = &c->ex.format;
    const outlier_list *list = &c->lin.outliers;
    const int64_t rows = c->rows, out = c->out, in = c->in, n = list->count;
    const bool values = f->rounding == ROUNDING_STOCHASTIC;
    const bool gradients = f->rounding != ROUNDING_NEAREST, fold = f->group == GROUP_ROW;
    *m = (formula){.ex = c->ex};
    m->ex.family = &gemm_family_ref;
    m->ex.fk = float_kernels_for(m->ex.family);
    assert_int_equal(arena_init(NULL, &m->storage, 8 << 20, "formula"), MTS_OK);
    assert_int_equal(arena_init(NULL, &m->ex.scratch, 1 << 20, "scratch"), MTS_OK);
    const qmatrix r = map(m, part_of(m, list, c->x, rows, false), rows, in,
                          &(mapping){f->activation_bits, f->group, values, LINEAR_CASE_INPUT_ID,
                                     RNG_ROUND_ACTIVATION, NULL});
    const qmatrix o = map(m, part_of(m, list, c->x, rows, true), rows, n,
                          &(mapping){f->outlier_bits, f->group, values, LINEAR_CASE_INPUT_ID,
                                     RNG_ROUND_OUTLIER, NULL});
    const qmatrix w =
        map(m, c->weight.value, out, in,
            &(mapping){f->weight_bits, f->group, values, LINEAR_CASE_ID, RNG_ROUND_WEIGHT, NULL});
    const qmatrix wo = map(m, part_of(m, list, c->weight.value, out, true), out, n,
                           &(mapping){f->weight_bits, f->group, values, LINEAR_CASE_ID,
                                      RNG_ROUND_OUTLIER_WEIGHT, NULL});
    const qmatrix g = map(
        m, c->dy, rows, out,
        &(mapping){f->gradient_bits, fold ? GROUP_COLUMN : f->group, gradients, LINEAR_CASE_ID,
                   fold ? RNG_ROUND_GRADIENT_DW : RNG_ROUND_GRADIENT_DX, fold ? r.scale : NULL});
    const qmatrix go = !fold || n == 0
                           ? g
                           : map(m, c->dy, rows, out,
                                 &(mapping){f->gradient_bits, GROUP_COLUMN, gradients,
                                            LINEAR_CASE_ID, RNG_ROUND_OUTLIER_GRADIENT, o.scale});
    const operand R = {&r, false}, O = {&o, false}, W = {&w, false}, Wo = {&wo, false};
    const operand Rt = {&r, true}, Ot = {&o, true}, Gt = {&g, true}, Got = {&go, true};
    m->y = test_floats(rows * out);
    m->dw = test_floats(out * in);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t j = 0; j < out; j++) {
            float *y = m->y + t * out + j;
            *y = element(0.0f, &R, t, &W, j, c->bias.value + j);
            if (n > 0)
                *y = element(*y, &O, t, &Wo, j, NULL);
        }
    for (int64_t j = 0; j < out; j++) {
        for (int64_t k = 0; k < in; k++)
            m->dw[j * in + k] = element(0.0f, &Gt, j, &Rt, k, NULL);
        for (int64_t i = 0; i < n; i++) {
            assert_true(m->dw[j * in + list->feature[i]] == 0.0f);
            m->dw[j * in + list->feature[i]] = element(0.0f, &Ot, i, &Got, j, NULL);
        }
    }
}

static void formula_deinit(formula *m)
{
    mem_free(m->y);
    mem_free(m->dw);
    test_arena_deinit(&m->storage);
    test_arena_deinit(&m->ex.scratch);
}

/* ------------------------------------------------------------------------------- exactly ----- */

/* count features spread over all, the first and the last among them. */
static void spread(int32_t *feature, int64_t count, int64_t cols)
{
    for (int64_t i = 0; i < count; i++)
        feature[i] = (int32_t)(count == 1 ? cols - 1 : i * (cols - 1) / (count - 1));
}

/* Features that are LARGE times the others. */
static void enlarge(linear_case *c, const int32_t *feature, int64_t count)
{
    for (int64_t t = 0; t < c->rows; t++)
        for (int64_t i = 0; i < count; i++)
            c->x[t * c->in + feature[i]] *= (float)LARGE;
}

/* One format and size, with every number of outliers. */
static void check_exact(const gemm_family *family, const num_format *f, int64_t in)
{
    const int64_t most = outlier_capacity(in), counts[] = {0, 1, 5, most};
    num_format plain = *f;
    plain.outlier_bits = 0;
    for (int i = 0; i < 4; i++) {
        linear_case c, without;
        formula m;
        int32_t feature[MOST];
        linear_case_init(&c, family, f, 70, 67, in);
        linear_case_init(&without, family, &plain, 70, 67, in);
        spread(feature, counts[i], in);
        enlarge(&c, feature, counts[i]);
        linear_case_set_outliers(&c, feature, counts[i]);
        c.ex.step = without.ex.step = 3;
        linear_case_run(&c);
        linear_case_run(&without);
        formula_init(&m, &c);
        test_assert_same("Y", c.y, m.y, 70 * 67);
        test_assert_same("dW", c.weight.grad, m.dw, 67 * in);
        test_assert_same("dX", c.dx, without.dx, 70 * in);
        if (counts[i] == 0)
            test_assert_same("Y of no outliers", c.y, without.y, 70 * 67);
        formula_deinit(&m);
        linear_case_deinit(&c);
        linear_case_deinit(&without);
    }
}

static void exact(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const rounding_kind roundings[] = {ROUNDING_NEAREST, ROUNDING_STOCHASTIC,
                                              ROUNDING_MIXED};
    static const struct {
        int outlier, weight, gradient;
    } bits[] = {{12, 8, 8}, {15, 8, 6}, {9, 10, 9}};
    const gemm_family *families[FAMILIES];
    const int count = test_families(families);
    (void)state;
    for (int fam = 0; fam < count; fam++)
        for (int g = 0; g < 3; g++)
            for (int b = 0; b < 3; b++) {
                num_format f = test_format_dfp(8, groups[g], false);
                f.rounding = roundings[(g + b) % 3];
                f.outlier_bits = bits[b].outlier;
                f.weight_bits = bits[b].weight;
                f.gradient_bits = bits[b].gradient;
                /* over 64 outliers, which are several blocks */
                check_exact(families[fam], &f, groups[g] == GROUP_BLOCK && b == 0 ? 1100 : 150);
            }
    printf("  %d families\n", count);
}

/* From batch to batch, with the same weights: fewer outliers, more, others, none; the packed weight
 * goes along. */
static void changes(void **state)
{
    static const struct {
        int64_t count;
        int32_t feature[4];
    } lists[] = {{2, {5, 70}}, {4, {5, 6, 70, 149}}, {4, {5, 7, 70, 149}}, {0, {0}}, {1, {0}}};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int g = 0; g < 3; g++) {
        linear_case c;
        num_format f = test_format_dfp(8, groups[g], true);
        f.outlier_bits = 12;
        linear_case_init(&c, NULL, &f, 70, 67, 150);
        for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
            formula m;
            linear_case_set_outliers(&c, lists[i].feature, lists[i].count);
            linear_case_run(&c);
            formula_init(&m, &c);
            test_assert_same("Y", c.y, m.y, 70 * 67);
            test_assert_same("dW", c.weight.grad, m.dw, 67 * 150);
            formula_deinit(&m);
        }
        linear_case_deinit(&c);
    }
}

/* ---------------------------------------------------------------------------------- noise ---- */

enum { ROWS = 150, OUT = 96, IN = 200 };

static const int32_t large[] = {2, 77, 131};

enum { LARGE_COUNT = 3 };

/* dB over what an element of the list or of the others is by itself. */
static double part_snr(const float *x, const float *y, bool of_large)
{
    float *a = test_floats(OUT * IN), *b = test_floats(OUT * IN);
    int64_t n = 0;
    for (int64_t j = 0; j < OUT; j++)
        for (int64_t k = 0; k < IN; k++) {
            const bool is_large = k == large[0] || k == large[1] || k == large[2];
            if (is_large != of_large)
                continue;
            a[n] = x[j * IN + k];
            b[n++] = y[j * IN + k];
        }
    const double snr = test_snr_db(a, b, n);
    mem_free(a);
    mem_free(b);
    return snr;
}

/* The bounds of test_grad_linear.c at 8 bits; dW is held to them in the outliers' columns and in
 * the others. */
static void noise(void **state)
{
    static const struct {
        group_kind group;
        bool stochastic;
        double y, dx, dw;
    } bounds[] = {
        {GROUP_TENSOR, false, 29.5, 31.5, 31.5}, {GROUP_TENSOR, true, 26.5, 28.5, 28.5},
        {GROUP_ROW, false, 35.5, 35.5, 35},      {GROUP_ROW, true, 32.5, 32.5, 32},
        {GROUP_BLOCK, false, 32, 32, 32},        {GROUP_BLOCK, true, 29, 29, 29},
    };
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        linear_case a, b;
        num_format f = test_format_dfp(8, bounds[i].group, bounds[i].stochastic);
        f.outlier_bits = 12;
        linear_case_init(&a, NULL, &f, ROWS, OUT, IN);
        linear_case_init(&b, NULL, &fp32, ROWS, OUT, IN);
        linear_case_set_outliers(&a, large, LARGE_COUNT);
        enlarge(&a, large, LARGE_COUNT);
        enlarge(&b, large, LARGE_COUNT);
        linear_case_run(&a);
        linear_case_run(&b);
        printf("  %s %s\n", test_group_name(bounds[i].group),
               bounds[i].stochastic ? "stochastic" : "nearest");
        test_assert_at_least("Y", test_snr_db(a.y, b.y, ROWS * OUT), bounds[i].y, "dB");
        test_assert_at_least("dX", test_snr_db(a.dx, b.dx, ROWS * IN), bounds[i].dx, "dB");
        test_assert_at_least("dW, the others", part_snr(a.weight.grad, b.weight.grad, false),
                             bounds[i].dw, "dB");
        test_assert_at_least("dW, outliers", part_snr(a.weight.grad, b.weight.grad, true),
                             bounds[i].dw, "dB");
        test_assert_same("db", a.bias.grad, b.bias.grad, OUT);
        linear_case_deinit(&a);
        linear_case_deinit(&b);
    }
}

/* The root mean square error of Y by fp64. */
static double error_of(const num_format *format, bool listed)
{
    linear_case c;
    double sum = 0.0;
    linear_case_init(&c, NULL, format, ROWS, OUT, IN);
    enlarge(&c, large, LARGE_COUNT);
    if (listed)
        linear_case_set_outliers(&c, large, LARGE_COUNT);
    linear_case_forward(&c);
    for (int64_t t = 0; t < ROWS; t++)
        for (int64_t j = 0; j < OUT; j++) {
            double y = (double)c.bias.value[j];
            for (int64_t k = 0; k < IN; k++)
                y += (double)c.x[t * IN + k] * (double)c.weight.value[j * IN + k];
            sum += ((double)c.y[t * OUT + j] - y) * ((double)c.y[t * OUT + j] - y);
        }
    linear_case_deinit(&c);
    return sqrt(sum / (ROWS * OUT));
}

/* What the lists are for.  With 8-bit weights, what is left is the rounding of the weights that
 * meet the large features; with wider ones it is that of the other features. */
static void use(void **state)
{
    static const struct {
        group_kind group;
        int weight_bits;
        double gain; /* at least; two thirds of what is measured */
    } cases[] = {
        {GROUP_TENSOR, 8, 5.5}, {GROUP_ROW, 8, 5.3}, {GROUP_BLOCK, 8, 4.5},
        {GROUP_TENSOR, 12, 29}, {GROUP_ROW, 12, 30}, {GROUP_BLOCK, 12, 33},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        num_format f = test_format_dfp(8, cases[i].group, false);
        f.weight_bits = cases[i].weight_bits;
        f.outlier_bits = 12;
        const double without = error_of(&f, false), with = error_of(&f, true);
        printf("  %s, weights of %d bits: error %.4f without lists, %.4f with them\n",
               test_group_name(cases[i].group), cases[i].weight_bits, without, with);
        test_assert_at_least("gain", without / with, cases[i].gain, "times");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes), cmocka_unit_test(noise), cmocka_unit_test(use),
        cmocka_unit_test(exact), /* the last: emulation ends with the test that began it */
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
