/*
 * A linear layer with a low-rank adapter, forward and backward.
 *
 *   formulas  fp32 against plain double sums: Y, dX, dA, dB, of one part, of three, of some of them
 *             and of one in the middle of the output; of the first ranks only
 *   noise     bf16 and integers: signal-to-noise ratio against fp32; each bit is worth 6.02 dB
 *   outliers  with features 100 times as large as the others on a list: the same bounds, for the
 *             product with A sees them, too
 *   frozen    nothing is written for the weight and the bias under it
 *   batches   gradients of a second micro-batch are added
 *   pieces    of rows, families, threads: the same bits as the whole, one family, one thread
 *   mean      of Y, dX, dA, dB over many steps of stochastic rounding: the fp32 ones
 *   streams   of random numbers: one for each matrix
 */
#include "support/test_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/linear_case.h"

enum { ROWS = 150, OUT = 96, IN = 200, RANK = 8, LARGE = 100, LARGE_COUNT = 3, STEPS = 2000 };

static const int32_t large[] = {2, 77, 131};

/* Query, key and value; two of them; one in the middle; all of the output. */
static const linear_case_adapter adapters[] = {
    {.rank = RANK, .scale = 0.75f, .count = 1, .part = {{0, OUT}}},
    {.rank = RANK, .scale = 0.75f, .count = 3, .part = {{0, 48}, {48, 24}, {72, 24}}},
    {.rank = RANK, .scale = 0.75f, .count = 2, .part = {{0, 48}, {72, 24}}},
    {.rank = 3, .scale = 2.0f, .count = 1, .part = {{48, 24}}},
    {.rank = 1, .scale = 2.0f, .count = 2, .part = {{17, 1}, {60, 31}}},
};

enum { ADAPTERS = sizeof adapters / sizeof adapters[0] };

static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};

static const struct format_case {
    int bits; /* 0: fp32, 1: bf16 */
    group_kind group;
    int outlier_bits;
} format_cases[] = {
    {0, GROUP_ROW, 0},     {1, GROUP_ROW, 0},   {8, GROUP_TENSOR, 0},
    {8, GROUP_ROW, 0},     {8, GROUP_BLOCK, 0}, {12, GROUP_ROW, 0},
    {8, GROUP_TENSOR, 12}, {8, GROUP_ROW, 12},  {8, GROUP_BLOCK, 12},
};

enum { FORMAT_CASES = sizeof format_cases / sizeof format_cases[0] };

static num_format format_of(const struct format_case *f, bool stochastic)
{
    num_format format = f->bits < 2 ? test_format_float(f->bits == 0 ? FORMAT_FP32 : FORMAT_BF16)
                                    : test_format_dfp(f->bits, f->group, stochastic);
    format.outlier_bits = f->outlier_bits;
    return format;
}

static void init(linear_case *c, const num_format *f, const linear_case_adapter *adapter)
{
    linear_case_init_adapted(c, NULL, f, ROWS, OUT, IN, adapter);
}

/* The first `count` numbers of an array, kept while another run overwrites it. */
static float *copy_of(const float *x, int64_t n)
{
    float *y = test_floats(n);
    memcpy(y, x, (size_t)n * sizeof *y);
    return y;
}

/* All numbers that come of a run. */
static void assert_same_results(const linear_case *x, const linear_case *y)
{
    test_assert_same("Y", x->y, y->y, x->rows * x->out);
    test_assert_same("dX", x->dx, y->dx, x->rows * x->in);
    test_assert_same("dA", x->down.grad, y->down.grad, x->down.rows * x->down.cols);
    for (int p = 0; p < x->adapter.count; p++)
        test_assert_same("dB", x->b[p].grad, y->b[p].grad, x->b[p].rows * x->b[p].cols);
}

/* ------------------------------------------------------------------------------- formulas ---- */

/* Plain sums in double. */
typedef struct formula {
    double *y, *dx, *da, *db[LOW_RANK_PARTS];
} formula;

/* The ranks that are used, and their scale. */
static int64_t used_ranks(const linear_case *c)
{
    return c->ex.rank > 0 ? c->ex.rank : c->adapter.rank;
}

static double used_scale(const linear_case *c)
{
    return (double)(c->ex.rank > 0 ? c->adapter.alpha / (float)c->ex.rank : c->adapter.scale);
}

/* c[i][j] += s sum_k a(i, k) b(k, j) of row-major matrices, which may be read transposed. */
static void product(double *c, int64_t ldc, double s, const double *a, int64_t lda, bool turn_a,
                    const double *b, int64_t ldb, bool turn_b, int64_t m, int64_t n, int64_t depth)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            for (int64_t k = 0; k < depth; k++)
                c[i * ldc + j] += s * (turn_a ? a[k * lda + i] : a[i * lda + k]) *
                                  (turn_b ? b[j * ldb + k] : b[k * ldb + j]);
}

static double *doubles(const float *x, int64_t n)
{
    double *y = test_alloc(n, sizeof *y);
    for (int64_t i = 0; x != NULL && i < n; i++)
        y[i] = (double)x[i];
    return y;
}

static void formula_init(formula *f, const linear_case *c)
{
    const int64_t n = c->rows, out = c->out, in = c->in, r = c->adapter.rank;
    const int64_t used = used_ranks(c);
    const double s = used_scale(c);
    double *x = doubles(c->x, n * in), *w = doubles(c->weight.value, out * in);
    double *dy = doubles(c->dy, n * out);
    f->y = doubles(NULL, n * out);
    f->dx = doubles(NULL, n * in);
    f->da = doubles(NULL, c->adapter.count * r * in);
    for (int64_t i = 0; i < n * out; i++)
        f->y[i] = (double)c->bias.value[i % out];
    product(f->y, out, 1.0, x, in, false, w, in, true, n, out, in);
    product(f->dx, in, 1.0, dy, out, false, w, in, false, n, in, out);
    for (int p = 0; p < c->adapter.count; p++) {
        const int64_t first = c->adapter.part[p].first, cols = c->adapter.part[p].out;
        double *a = doubles(c->a[p].value, r * in), *b = doubles(c->b[p].value, cols * r);
        double *t = doubles(NULL, n * r), *dt = doubles(NULL, n * r);
        f->db[p] = doubles(NULL, cols * r);
        product(t, r, s, x, in, false, a, in, true, n, used, in);
        product(f->y + first, out, 1.0, t, r, false, b, r, true, n, cols, r);
        product(f->db[p], r, 1.0, dy + first, out, true, t, r, false, cols, r, n);
        product(dt, r, s, dy + first, out, false, b, r, false, n, used, cols);
        product(f->da + p * r * in, in, 1.0, dt, r, true, x, in, false, r, in, n);
        product(f->dx, in, 1.0, dt, r, false, a, in, false, n, in, r);
        mem_free(a);
        mem_free(b);
        mem_free(t);
        mem_free(dt);
    }
    mem_free(x);
    mem_free(w);
    mem_free(dy);
}

static void formula_deinit(formula *f)
{
    mem_free(f->y);
    mem_free(f->dx);
    mem_free(f->da);
    for (int p = 0; p < LOW_RANK_PARTS; p++)
        mem_free(f->db[p]);
}

/* The root of the mean square error is below 10^-6 of that of y, and no element is far off. */
static void assert_close(const char *what, const float *x, const double *y, int64_t n)
{
    double squares = 0.0, errors = 0.0, worst = 0.0;
    for (int64_t i = 0; i < n; i++) {
        const double error = (double)x[i] - y[i];
        squares += y[i] * y[i];
        errors += error * error;
        worst = fmax(worst, fabs(error));
    }
    worst /= sqrt(squares / (double)n);
    printf("  %-3s %6lld elements: error %.2e, the worst %.2e\n", what, (long long)n,
           sqrt(errors / squares), worst);
    assert_true(sqrt(errors / squares) < 1e-6);
    assert_true(worst < 1e-5);
}

static void check_formulas(linear_case *c)
{
    formula f = {0};
    linear_case_run(c);
    formula_init(&f, c);
    assert_close("Y", c->y, f.y, ROWS * OUT);
    assert_close("dX", c->dx, f.dx, ROWS * IN);
    assert_close("dA", c->down.grad, f.da, c->down.rows * IN);
    for (int p = 0; p < c->adapter.count; p++)
        assert_close("dB", c->b[p].grad, f.db[p], param_size(&c->b[p]));
    formula_deinit(&f);
}

static void formulas(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int i = 0; i < ADAPTERS; i++) {
        linear_case c;
        init(&c, &fp32, &adapters[i]);
        printf("  adapter %d\n", i);
        check_formulas(&c);
        linear_case_deinit(&c);
    }
}

/* The first ranks only; the gradients of the others are zeros, in every format. */
static void first_ranks(void **state)
{
    (void)state;
    for (int64_t rank = 1; rank <= RANK; rank += 3)
        for (int i = 0; i < FORMAT_CASES; i++) {
            linear_case c;
            const num_format f = format_of(&format_cases[i], true);
            init(&c, &f, &adapters[1]);
            c.ex.rank = rank;
            if (f.kind == FORMAT_FP32)
                check_formulas(&c);
            else
                linear_case_run(&c);
            for (int64_t k = 0; k < param_size(&c.down); k++)
                assert_true(k / IN % RANK < rank || c.down.grad[k] == 0.0f);
            for (int p = 0; p < 3; p++)
                for (int64_t k = 0; k < param_size(&c.b[p]); k++)
                    assert_true(k % RANK < rank || c.b[p].grad[k] == 0.0f);
            linear_case_deinit(&c);
        }
}

/* ---------------------------------------------------------------------------------- noise ---- */

/* dB; of dB the worst part. */
typedef struct snr {
    double y, dx, da, db;
} snr;

static snr compare(const linear_case *a, const linear_case *b)
{
    snr s = {test_snr_db(a->y, b->y, ROWS * OUT), test_snr_db(a->dx, b->dx, ROWS * IN),
             test_snr_db(a->down.grad, b->down.grad, param_size(&a->down)), 300.0};
    for (int p = 0; p < a->adapter.count; p++)
        s.db = fmin(s.db, test_snr_db(a->b[p].grad, b->b[p].grad, param_size(&a->b[p])));
    return s;
}

/* Features that are LARGE times the others, and on the list if there is one. */
static void enlarge(linear_case *c)
{
    for (int64_t t = 0; t < ROWS; t++)
        for (int i = 0; i < LARGE_COUNT; i++)
            c->x[t * IN + large[i]] *= (float)LARGE;
    if (c->ex.format.outlier_bits > 0)
        linear_case_set_outliers(c, large, LARGE_COUNT);
}

static snr measure(const num_format *format, const linear_case_adapter *adapter, bool enlarged)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    linear_case a, b;
    init(&a, format, adapter);
    init(&b, &fp32, adapter);
    if (enlarged) {
        enlarge(&a);
        enlarge(&b);
    }
    linear_case_run(&a);
    linear_case_run(&b);
    const snr s = compare(&a, &b);
    linear_case_deinit(&a);
    linear_case_deinit(&b);
    return s;
}

static void assert_snr(const snr *s, double y, double dx, double da, double db, double more)
{
    test_assert_at_least("Y", s->y, y + more, "dB");
    test_assert_at_least("dX", s->dx, dx + more, "dB");
    test_assert_at_least("dA", s->da, da + more, "dB");
    test_assert_at_least("dB", s->db, db + more, "dB");
}

/* Bounds in dB at 8 bits, one to two below the least that is measured. */
static const struct noise_bound {
    group_kind group;
    bool stochastic;
    double y, dx, da, db;
} noise_bounds[] = {
    {GROUP_TENSOR, false, 30.5, 32, 29.5, 29.5}, {GROUP_TENSOR, true, 27.5, 29, 26.5, 25.5},
    {GROUP_ROW, false, 35.5, 34.5, 32, 32},      {GROUP_ROW, true, 32.5, 31.5, 29, 28.5},
    {GROUP_BLOCK, false, 33.5, 33, 31, 32},      {GROUP_BLOCK, true, 30.5, 30, 28, 29},
};

enum { NOISE_BOUNDS = sizeof noise_bounds / sizeof noise_bounds[0] };

static void noise(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    (void)state;
    for (size_t i = 0; i < NOISE_BOUNDS; i++)
        for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++)
            for (int k = 0; k < 3; k++) {
                const struct noise_bound *b = &noise_bounds[i];
                const num_format f = test_format_dfp(widths[w], b->group, b->stochastic);
                const snr s = measure(&f, &adapters[k], false);
                printf("  %s %s, %d bits, adapter %d\n", test_group_name(b->group),
                       b->stochastic ? "stochastic" : "nearest", widths[w], k);
                assert_snr(&s, b->y, b->dx, b->da, b->db, 6.02 * (widths[w] - 8));
            }
}

static void bfloat16(void **state)
{
    const num_format f = test_format_float(FORMAT_BF16);
    (void)state;
    for (int k = 0; k < 3; k++) {
        const snr s = measure(&f, &adapters[k], false);
        assert_snr(&s, 49.5, 49.5, 48, 47.5, 0.0);
    }
}

/* Without the list, the large features decide the exponents; without them in the product with A, t
 * would lack nearly all of what it is. */
static void outliers(void **state)
{
    (void)state;
    for (size_t i = 0; i < NOISE_BOUNDS; i++)
        for (int k = 0; k < 3; k++) {
            const struct noise_bound *b = &noise_bounds[i];
            num_format f = test_format_dfp(8, b->group, b->stochastic);
            f.outlier_bits = 12;
            const snr s = measure(&f, &adapters[k], true);
            printf("  %s %s, adapter %d, with outliers\n", test_group_name(b->group),
                   b->stochastic ? "stochastic" : "nearest", k);
            assert_snr(&s, b->y, b->dx, b->da, b->db, 0.0);
        }
}

/* --------------------------------------------------------------------- frozen and batches ---- */

/* The weight and the bias under an adapter: no gradient, in memory that may be absent. */
static void frozen(void **state)
{
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++)
        for (int absent = 0; absent < 2; absent++) {
            linear_case c;
            const num_format f = format_of(&format_cases[i], true);
            init(&c, &f, &adapters[1]);
            float *weight = c.weight.grad, *bias = c.bias.grad;
            float *before = copy_of(c.weight.value, OUT * IN);
            for (int64_t k = 0; k < OUT * IN; k++)
                weight[k] = 7.0f;
            for (int64_t k = 0; k < OUT; k++)
                bias[k] = 7.0f;
            if (absent) {
                c.weight.grad = NULL;
                c.bias.grad = NULL;
            }
            linear_case_run(&c);
            for (int64_t k = 0; k < OUT * IN; k++)
                assert_true(weight[k] == 7.0f);
            for (int64_t k = 0; k < OUT; k++)
                assert_true(bias[k] == 7.0f);
            test_assert_same("W", c.weight.value, before, OUT * IN);
            c.weight.grad = weight;
            c.bias.grad = bias;
            mem_free(before);
            linear_case_deinit(&c);
        }
}

/* x is about twice `once`. */
static void assert_doubled(const float *x, const float *once, int64_t n)
{
    float *two = test_floats(n);
    for (int64_t i = 0; i < n; i++)
        two[i] = 2.0f * once[i];
    assert_true(test_snr_db(x, two, n) > 120.0);
    mem_free(two);
}

/* Parameter gradients of a second micro-batch are added; dX may be unwanted. */
static void accumulation(void **state)
{
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++) {
        linear_case c;
        const num_format f = format_of(&format_cases[i], false);
        init(&c, &f, &adapters[1]);
        if (f.outlier_bits > 0)
            enlarge(&c);
        linear_case_run(&c);
        float *a = copy_of(c.down.grad, param_size(&c.down)), *b[LOW_RANK_PARTS];
        for (int p = 0; p < 3; p++)
            b[p] = copy_of(c.b[p].grad, param_size(&c.b[p]));
        c.ex.accumulate_grads = true;
        linear_backward(&c.ex, NULL, c.dy, &c.act, &c.lin);
        assert_doubled(c.down.grad, a, param_size(&c.down));
        for (int p = 0; p < 3; p++) {
            assert_doubled(c.b[p].grad, b[p], param_size(&c.b[p]));
            mem_free(b[p]);
        }
        mem_free(a);
        linear_case_deinit(&c);
    }
}

/* ------------------------------------------------------------------------------ same bits ---- */

/* Forward and backward by pieces of 64 rows, twice with the same memory for the gradients: what is
 * collected must be gone before the second time. */
static void run_pieces(linear_case *c)
{
    enum { PIECE = 64 };
    linear_gradient g;
    const size_t mark = exec_mark(&c->ex);
    linear_gradient_take(&c->ex, &g, c->rows, &c->lin);
    for (int turn = 0; turn < 2; turn++) {
        for (int64_t begin = 0; begin < c->rows; begin += PIECE) {
            const int64_t end = begin + PIECE < c->rows ? begin + PIECE : c->rows;
            linear_input in = linear_input_rows(&c->act, begin, end);
            linear_input_set(&c->ex, &in, c->x + begin * c->in);
            linear_forward(&c->ex, c->y + begin * c->out, &in, &c->lin);
            linear_backward_rows(&c->ex, c->dx + begin * c->in, c->dy + begin * c->out, &in,
                                 &c->lin, &g);
        }
        linear_backward_params(&c->ex, &g, c->dy, &c->act, &c->lin);
    }
    exec_release(&c->ex, mark);
}

static void pieces(void **state)
{
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++)
        for (int k = 0; k < ADAPTERS; k++) {
            linear_case whole, part;
            const num_format f = format_of(&format_cases[i], true);
            if (f.kind != FORMAT_DFP || f.group == GROUP_TENSOR)
                continue; /* the piece is the whole there */
            init(&whole, &f, &adapters[k]);
            init(&part, &f, &adapters[k]);
            if (f.outlier_bits > 0) {
                enlarge(&whole);
                enlarge(&part);
            }
            whole.ex.step = part.ex.step = 3;
            linear_case_run(&whole);
            run_pieces(&part);
            assert_same_results(&part, &whole);
            linear_case_deinit(&whole);
            linear_case_deinit(&part);
        }
}

static void families_and_threads(void **state)
{
    static const int threads[] = {1, 2, 5};
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (int i = 0; i < FORMAT_CASES; i++) {
        linear_case first;
        const num_format f = format_of(&format_cases[i], true);
        if (f.kind != FORMAT_DFP)
            continue;
        linear_case_init_adapted(&first, &gemm_family_ref, &f, ROWS, OUT, IN, &adapters[2]);
        if (f.outlier_bits > 0)
            enlarge(&first);
        linear_case_run(&first);
        for (int k = 0; k < count; k++)
            for (int t = 0; t < 3; t++) {
                linear_case c;
                linear_case_init_adapted(&c, families[k], &f, ROWS, OUT, IN, &adapters[2]);
                if (f.outlier_bits > 0)
                    enlarge(&c);
                c.ex.threads = threads[t];
                linear_case_run(&c);
                assert_same_results(&c, &first);
                linear_case_deinit(&c);
            }
        linear_case_deinit(&first);
    }
    printf("  %d families\n", count);
}

/* ----------------------------------------------------------------------------------- mean ---- */

/* Sums for mean and variance of each element. */
typedef struct moments {
    int64_t n;
    const float *x;
    double *sum, *squares;
} moments;

static moments moments_of(const float *x, int64_t n)
{
    return (moments){n, x, test_alloc(n, sizeof(double)), test_alloc(n, sizeof(double))};
}

static void moments_add(moments *m)
{
    for (int64_t i = 0; i < m->n; i++) {
        m->sum[i] += (double)m->x[i];
        m->squares[i] += (double)m->x[i] * (double)m->x[i];
    }
}

/* No element's mean may be 5 sigma off. */
static void moments_check(moments *m, const char *what, const float *expected)
{
    double chi = 0.0, worst = 0.0;
    for (int64_t i = 0; i < m->n; i++) {
        const double mean = m->sum[i] / STEPS;
        const double variance = (m->squares[i] / STEPS - mean * mean) / STEPS;
        const double off = (mean - (double)expected[i]) / sqrt(variance + 1e-30);
        worst = fmax(worst, fabs(off));
        chi += off * off / (double)m->n;
    }
    printf("  %-3s worst of %lld elements %.2f sigma, mean square %.3f\n", what, (long long)m->n,
           worst, chi);
    assert_true(worst < 5.0);
    mem_free(m->sum);
    mem_free(m->squares);
}

/* Take out what saturates, the one place where the mapping is biased.  FORMATS.md (1) */
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
    keep_off_the_limit(c->down.value, param_size(&c->down));
    for (int p = 0; p < c->adapter.count; p++)
        keep_off_the_limit(c->b[p].value, param_size(&c->b[p]));
}

/* t and dt saturate in some steps, so they have more bits than the weights. */
static void unbiased(void **state)
{
    enum { WIDTH = 16, TOKENS = 13 };
    static const linear_case_adapter adapter = {
        .rank = 8, .scale = 0.75f, .count = 2, .part = {{0, 8}, {8, 8}}};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int g = 0; g < 3; g++) {
        linear_case a, b;
        num_format f = test_format_dfp(10, groups[g], true);
        f.weight_bits = 4;
        linear_case_init_adapted(&a, NULL, &f, TOKENS, WIDTH, WIDTH, &adapter);
        linear_case_init_adapted(&b, NULL, &fp32, TOKENS, WIDTH, WIDTH, &adapter);
        keep_case_off_the_limit(&a);
        keep_case_off_the_limit(&b);
        linear_case_run(&b);
        moments y = moments_of(a.y, TOKENS * WIDTH), dx = moments_of(a.dx, TOKENS * WIDTH);
        moments da = moments_of(a.down.grad, 2 * 8 * WIDTH);
        moments db[2] = {moments_of(a.b[0].grad, 64), moments_of(a.b[1].grad, 64)};
        for (int step = 0; step < STEPS; step++) {
            a.ex.step = a.ex.weight_version = (uint64_t)step;
            linear_case_run(&a);
            moments_add(&y);
            moments_add(&dx);
            moments_add(&da);
            moments_add(&db[0]);
            moments_add(&db[1]);
        }
        printf("  %s\n", test_group_name(groups[g]));
        moments_check(&y, "Y", b.y);
        moments_check(&dx, "dX", b.dx);
        moments_check(&da, "dA", b.down.grad);
        moments_check(&db[0], "dB", b.b[0].grad);
        moments_check(&db[1], "dB", b.b[1].grad);
        linear_case_deinit(&a);
        linear_case_deinit(&b);
    }
}

/* The roundings of all matrices are independent: each has a random stream of its own, within what
 * low_rank_streams says. */
static void streams(void **state)
{
    const num_format f = test_format_dfp(8, GROUP_ROW, true);
    linear_case c;
    int id[2 + 1 + 2 * LOW_RANK_PARTS] = {LINEAR_CASE_ID, LINEAR_CASE_INPUT_ID}, n = 2;
    (void)state;
    init(&c, &f, &adapters[1]);
    id[n++] = c.adapter.down.id;
    for (int p = 0; p < 3; p++) {
        id[n++] = c.adapter.part[p].up.id;
        id[n++] = c.adapter.part[p].t.id;
    }
    for (int i = 2; i < n; i++) {
        assert_in_range(id[i], LINEAR_CASE_ADAPTER_ID,
                        LINEAR_CASE_ADAPTER_ID + low_rank_streams(3) - 1);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(id[i], id[k]);
    }
    linear_case_deinit(&c);
}

/* NaN in A and B: reported by the layer's name, and the numbers stay finite. */
static void anomalies(void **state)
{
    (void)state;
    for (int g = 0; g < 3; g++)
        for (int where = 0; where < 2; where++) {
            linear_case c;
            const num_format f = test_format_dfp(8, groups[g], true);
            init(&c, &f, &adapters[1]);
            *(where == 0 ? c.down.value + 1234 : c.b[1].value + 100) = NAN;
            linear_case_run(&c);
            assert_string_equal(c.ex.anomaly, "NaN or infinity in the weight of the layer");
            c.ex.anomaly[0] = '\0';
            for (int64_t i = 0; i < ROWS * OUT; i++)
                assert_true(isfinite(c.y[i]));
            linear_case_deinit(&c);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas),
        cmocka_unit_test(first_ranks),
        cmocka_unit_test(noise),
        cmocka_unit_test(bfloat16),
        cmocka_unit_test(outliers),
        cmocka_unit_test(frozen),
        cmocka_unit_test(accumulation),
        cmocka_unit_test(pieces),
        cmocka_unit_test(unbiased),
        cmocka_unit_test(streams),
        cmocka_unit_test(anomalies),
        cmocka_unit_test(families_and_threads), /* the last: emulation ends with its test */
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
