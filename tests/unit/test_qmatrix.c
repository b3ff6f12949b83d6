/*
 * Mapping to dynamic fixed point against a plain model of its formulas.
 *
 *   model       every group, 4..16 bits, both roundings, strides, multipliers: mantissas and scales
 *   largest     scales that make the largest magnitude of a group the largest mantissa: the same,
 *               and the mean square of the error beside that of powers of two
 *   borders     zeros, denormals, saturation, NaN and infinity
 *   statistics  stochastic rounding is unbiased; two streams are independent
 *   bits        the same from any number of threads, by the serial variant, and from any build of
 *               the float kernels
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu_features.h"
#include "support/test_model.h"
#include "tensor/qmatrix.h"

static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_COLUMN, GROUP_BLOCK};

/* An execution context, a matrix of floats inside a wider one, and its mapping. */
typedef struct map_case {
    exec ex;
    arena storage;
    int64_t rows, cols, ld;
    int bits;
    float *x;
    qmatrix m;
    float *row_mul, *col_mul; /* NULL: none */
    map_args args;
} map_case;

static void bind(void *arg)
{
    map_case *c = arg;
    qmatrix_bind(&c->m, &c->storage, c->rows, c->cols, c->bits, c->ex.format.group);
}

static void map(void *arg)
{
    map_case *c = arg;
    c->args.row_mul = c->row_mul;
    c->args.col_mul = c->col_mul;
    qmatrix_map(&c->ex, &c->m, c->x, c->ld, &c->args);
}

static void case_init(map_case *c, int64_t rows, int64_t cols, int bits, group_kind group,
                      bool stochastic, int threads)
{
    const num_format format = test_format_dfp(bits, group, stochastic);
    *c = (map_case){.rows = rows, .cols = cols, .ld = cols + 5, .bits = bits};
    test_exec_init(&c->ex, &format, threads);
    test_exec_plan(&c->ex, &c->storage, bind, map, c);
    assert_int_equal(c->storage.used, c->storage.bytes);
    c->x = test_floats(rows * c->ld);
    c->args = (map_args){.key = rng_make_key(7, 8, 9, RNG_ROUND_GRADIENT_DX),
                         .stochastic = stochastic,
                         .what = "the input",
                         .where = "the matrix"};
}

static void case_deinit(map_case *c)
{
    mem_free(c->x);
    mem_free(c->row_mul);
    mem_free(c->col_mul);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

static int32_t mantissa(const qmatrix *m, int64_t i, int64_t j)
{
    const int64_t at = i * m->cols + j;
    return m->bits <= 8 ? ((const int8_t *)m->q)[at] : ((const int16_t *)m->q)[at];
}

static int64_t group_of(const qmatrix *m, int64_t i, int64_t j)
{
    switch (m->group) {
    case GROUP_TENSOR:
        return 0;
    case GROUP_ROW:
        return i;
    case GROUP_COLUMN:
        return j;
    case GROUP_BLOCK:
        return i / 64 * ((m->cols + 63) / 64) + j / 64;
    }
    return -1;
}

/* The value that is mapped: x with its multipliers, exact in double. */
static double value_at(const map_case *c, int64_t i, int64_t j)
{
    return (double)c->x[i * c->ld + j] * (c->row_mul != NULL ? (double)c->row_mul[i] : 1.0) *
           (c->col_mul != NULL ? (double)c->col_mul[j] : 1.0);
}

/* Exponent of a unit by the definition: floor(log2(max)) from -100 up, less bits - 2. */
static int model_exponent(double largest, int bits)
{
    int e = 0;
    if (largest > 0.0) {
        frexp(largest, &e);
        e -= 1;
        e = e < -100 ? -100 : e;
    }
    return e - (bits - 2);
}

static int32_t model_mantissa(const map_case *c, double v, int64_t i, int64_t j)
{
    const int32_t limit = (1 << (c->m.bits - 1)) - 1;
    const float u = rng_uniform(c->args.key, (uint32_t)(i * c->cols + j));
    double q =
        c->args.stochastic ? floor(v) + ((double)u < v - floor(v) ? 1.0 : 0.0) : nearbyint(v);
    q = q > limit ? limit : q;
    return (int32_t)(q < -limit ? -limit : q);
}

static void check_model(map_case *c)
{
    const qmatrix *m = &c->m;
    const int64_t count = qmatrix_scale_count(c->rows, c->cols, m->group);
    double *largest = test_alloc(count, sizeof *largest);
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++) {
            double *g = &largest[group_of(m, i, j)];
            *g = fmax(*g, fabs(value_at(c, i, j)));
        }
    map(c);
    for (int64_t g = 0; g < count; g++)
        assert_true((double)m->scale[g] == ldexp(1.0, model_exponent(largest[g], m->bits)));
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++) {
            const double scale = (double)m->scale[group_of(m, i, j)];
            const double v = value_at(c, i, j) / scale;
            const int32_t found = mantissa(m, i, j), expected = model_mantissa(c, v, i, j);
            if (found != expected)
                fail_msg("%s, %d bits, %s: (%lld, %lld) is %d, expected %d for %.9g units",
                         test_group_name(m->group), m->bits,
                         c->args.stochastic ? "stochastic" : "nearest", (long long)i, (long long)j,
                         found, expected, v);
        }
    mem_free(largest);
}

/* Values of very different sizes by row and column, zeros, and ties. */
static void fill(test_random *r, map_case *c)
{
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++) {
            double v = test_random_normal(r) * ldexp(1.0, (int)((i * 7 + j * 3) % 30) - 15);
            if (test_random_below(r, 10) == 0)
                v = 0.0;
            else if (test_random_below(r, 10) == 0)
                v = (double)(test_random_below(r, 1001) - 500) / 2.0;
            c->x[i * c->ld + j] = (float)v;
        }
}

static void error_model(void **state)
{
    static const int64_t shapes[][2] = {{1, 1}, {1, 70}, {70, 1}, {64, 64}, {65, 129}, {130, 63}};
    test_random r = test_random_make("model");
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (int g = 0; g < 4; g++)
            for (int bits = 4; bits <= 16; bits++)
                for (int stochastic = 0; stochastic < 2; stochastic++) {
                    map_case c;
                    case_init(&c, shapes[s][0], shapes[s][1], bits, groups[g], stochastic == 1, 2);
                    fill(&r, &c);
                    check_model(&c);
                    assert_string_equal(c.ex.anomaly, "");
                    case_deinit(&c);
                }
}

static float *some_powers(test_random *r, int64_t n)
{
    float *p = test_floats(n);
    for (int64_t i = 0; i < n; i++)
        p[i] = format_power((int)test_random_below(r, 41) - 20);
    return p;
}

/* The multipliers that the row mode folds into a gradient. */
static void multipliers(void **state)
{
    test_random r = test_random_make("multipliers");
    (void)state;
    for (int g = 0; g < 3; g++)
        for (int which = 1; which < 4; which++)
            for (int bits = 4; bits <= 16; bits += 3) {
                map_case c;
                if (groups[g] == GROUP_COLUMN && which != 1)
                    continue;
                case_init(&c, 37, 90, bits, groups[g], bits % 2 == 0, 2);
                fill(&r, &c);
                c.row_mul = which & 1 ? some_powers(&r, 37) : NULL;
                c.col_mul = which & 2 ? some_powers(&r, 90) : NULL;
                check_model(&c);
                case_deinit(&c);
            }
}

static void assert_same_mapping(const qmatrix *a, const qmatrix *b)
{
    const int64_t scales = qmatrix_scale_count(a->rows, a->cols, a->group);
    const size_t bytes = (size_t)(a->rows * a->cols * format_elem_bytes(a->bits));
    test_assert_same("scales", a->scale, b->scale, scales);
    assert_memory_equal(a->q, b->q, bytes);
}

/* Where scales are powers of two whatever is asked for. */
static bool has_power(double largest)
{
    return largest < ldexp(1.0, -100) || largest >= ldexp(1.0, 127);
}

/* The scale by its definition, in float. */
static float model_largest(double largest, int bits)
{
    const float limit = (float)((1 << (bits - 1)) - 1);
    return has_power(largest) ? (float)ldexp(1.0, model_exponent(largest, bits))
                              : (float)largest / limit;
}

/* Scales, that the largest is +-limit, and mantissas as far as float leaves no doubt of them. */
static void check_largest(map_case *c)
{
    const qmatrix *m = &c->m;
    const int32_t limit = format_limit(m->bits);
    const int64_t count = qmatrix_scale_count(c->rows, c->cols, m->group);
    double *largest = test_alloc(count, sizeof *largest);
    int32_t *top = test_alloc(count, sizeof *top);
    memset(largest, 0, (size_t)count * sizeof *largest);
    memset(top, 0, (size_t)count * sizeof *top);
    c->args.scales = SCALES_LARGEST;
    map(c);
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++) {
            const int64_t g = group_of(m, i, j);
            const int32_t q = abs(mantissa(m, i, j));
            largest[g] = fmax(largest[g], fabs(value_at(c, i, j)));
            top[g] = q > top[g] ? q : top[g];
        }
    for (int64_t g = 0; g < count; g++) {
        assert_true(m->scale[g] == model_largest(largest[g], m->bits));
        assert_true(has_power(largest[g]) || top[g] == limit);
    }
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++) {
            const double v = value_at(c, i, j) / (double)m->scale[group_of(m, i, j)];
            const double off = fabs((double)mantissa(m, i, j) - v);
            const bool saturates = fabs(v) > limit; /* powers of two */
            assert_true(off <= (c->args.stochastic || saturates ? 1.0 : 0.5) + 2e-7 * fabs(v));
            assert_true(isfinite((float)mantissa(m, i, j) * m->scale[group_of(m, i, j)]));
        }
    mem_free(largest);
    mem_free(top);
}

static void largest(void **state)
{
    test_random r = test_random_make("largest");
    (void)state;
    for (int g = 0; g < 4; g++)
        for (int bits = 4; bits <= 16; bits++)
            for (int variant = 0; variant < 4; variant++) {
                map_case c;
                const bool keeps = variant >= 2 && groups[g] != GROUP_COLUMN;
                case_init(&c, 65, 129, bits, groups[g], variant % 2 == 1, 2);
                fill(&r, &c);
                c.col_mul = keeps ? test_floats(129) : NULL;
                for (int64_t j = 0; j < 129 && keeps; j++)
                    c.col_mul[j] = test_random_below(&r, 9) == 0 ? 0.0f : 1.0f;
                check_largest(&c);
                case_deinit(&c);
            }
}

static double mean_square_error(map_case *c, scale_kind scales)
{
    double sum = 0.0;
    c->args.scales = scales;
    map(c);
    for (int64_t i = 0; i < c->rows; i++)
        for (int64_t j = 0; j < c->cols; j++) {
            const double x = (double)mantissa(&c->m, i, j) * (double)c->m.scale[i];
            sum += (x - value_at(c, i, j)) * (x - value_at(c, i, j));
        }
    return sum / (double)(c->rows * c->cols);
}

/* Rows whose largest magnitudes are 2^u, u from 0 to 1: units are 1/64 and 2^u/127, and the means
 * of their squares are as (127/64)^2 and the mean of 4^u, 3 / ln 4: 1.82. */
static void half_the_noise(void **state)
{
    enum { ROWS = 256, COLS = 64 };
    test_random r = test_random_make("half_the_noise");
    map_case c;
    (void)state;
    case_init(&c, ROWS, COLS, 8, GROUP_ROW, false, 1);
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < COLS; j++) {
            const double v = j == 0 ? 1.0 : (double)test_random_below(&r, 2000001) * 1e-6 - 1.0;
            c.x[i * c.ld + j] = (float)(v * exp2((double)i / ROWS));
        }
    const double ratio = 1.0 / mean_square_error(&c, SCALES_LARGEST);
    const double gain = ratio * mean_square_error(&c, SCALES_POWER);
    assert_true(gain > 1.75 && gain < 1.89);
    case_deinit(&c);
}

/* What one thread maps by itself has the bits of what several map. */
static void serial(void **state)
{
    static const int widths[] = {4, 7, 8, 9, 11, 16};
    test_random r = test_random_make("serial");
    (void)state;
    for (int g = 0; g < 2; g++) /* tensor and row */
        for (int w = 0; w < 6; w++)
            for (int variant = 0; variant < 4; variant++) {
                map_case a, b;
                case_init(&a, 777, 50, widths[w], groups[g], variant % 2 == 1, 2);
                case_init(&b, 777, 50, widths[w], groups[g], variant % 2 == 1, 1);
                fill(&r, &a);
                memcpy(b.x, a.x, (size_t)(777 * a.ld) * sizeof(float));
                a.row_mul = variant >= 2 ? some_powers(&r, 777) : NULL;
                b.args.row_mul = a.row_mul;
                a.args.scales = b.args.scales = w % 2 == 0 ? SCALES_POWER : SCALES_LARGEST;
                map(&a);
                qmatrix_map_serial(&b.ex, &b.m, b.x, b.ld, &b.args);
                assert_same_mapping(&b.m, &a.m);
                case_deinit(&a);
                case_deinit(&b);
            }
}

/* -------------------------------------------------------------------------------- borders ---- */

static void set_all(map_case *c, float value)
{
    for (int64_t i = 0; i < c->rows * c->ld; i++)
        c->x[i] = value;
}

/* One value everywhere: zero, the smallest, the largest, and what lies just below a power of two.
 */
static void extreme_values(void **state)
{
    static const float values[] = {0.0f,      -0.0f,         FLT_TRUE_MIN,    1e-40f,   FLT_MIN,
                                   0x1p-101f, 0x1p-100f,     FLT_MAX,         -FLT_MAX, 0x1p127f,
                                   1.0f,      0x1.fffffep0f, -0x1.fffffep-30f};
    (void)state;
    for (size_t v = 0; v < sizeof values / sizeof values[0]; v++)
        for (int g = 0; g < 4; g++)
            for (int bits = 4; bits <= 16; bits += 4) {
                map_case c;
                case_init(&c, 3, 67, bits, groups[g], v % 2 == 0, 1);
                set_all(&c, values[v]);
                check_model(&c);
                check_largest(&c);
                assert_string_equal(c.ex.anomaly, "");
                case_deinit(&c);
            }
}

/* The largest mantissa is 2^(b-1) - 1: values up to half a unit and more above it saturate. */
static void saturation(void **state)
{
    (void)state;
    for (int bits = 4; bits <= 16; bits++)
        for (int stochastic = 0; stochastic < 2; stochastic++) {
            map_case c;
            const int32_t limit = format_limit(bits);
            case_init(&c, 1, 3, bits, GROUP_TENSOR, stochastic == 1, 1);
            c.x[0] = (float)limit + 0.875f;
            c.x[1] = -(float)limit - 0.875f;
            c.x[2] = (float)limit;
            map(&c);
            assert_true(c.m.scale[0] == 1.0f);
            assert_int_equal(mantissa(&c.m, 0, 0), limit);
            assert_int_equal(mantissa(&c.m, 0, 1), -limit);
            assert_int_equal(mantissa(&c.m, 0, 2), limit);
            case_deinit(&c);
        }
}

/* NaN and infinity: reported by name, their group is zero, other rows and blocks are untouched. */
static void anomalies(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    test_random r = test_random_make("anomalies");
    (void)state;
    for (int g = 0; g < 4; g++)
        for (int b = 0; b < 3; b++) {
            map_case c;
            case_init(&c, 130, 70, 8, groups[g], true, 2);
            fill(&r, &c);
            c.x[100 * c.ld + 3] = bad[b];
            map(&c);
            assert_string_equal(c.ex.anomaly, "NaN or infinity in the input of the matrix");
            const int64_t group = group_of(&c.m, 100, 3);
            int64_t others = 0;
            for (int64_t i = 0; i < 130; i++)
                for (int64_t j = 0; j < 70; j++)
                    if (group_of(&c.m, i, j) == group)
                        assert_int_equal(mantissa(&c.m, i, j), 0);
                    else
                        others += mantissa(&c.m, i, j) != 0;
            assert_true(isfinite(c.m.scale[group]));
            if (groups[g] == GROUP_ROW || groups[g] == GROUP_BLOCK)
                assert_true(others > 500);
            case_deinit(&c);
        }
}

/* exec_check_finite: any NaN or infinity, wherever it is; the largest floats are fine. */
static void finite(void **state)
{
    enum { N = (1 << 17) + 3 };
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const int64_t places[] = {0, 1 << 16, N - 1};
    const num_format format = test_format_dfp(8, GROUP_ROW, false);
    float *x = test_floats(N);
    (void)state;
    for (int threads = 1; threads <= 2; threads++)
        for (int p = 0; p < 3; p++) {
            exec ex;
            test_exec_init(&ex, &format, threads);
            x[places[p]] = -FLT_MAX;
            exec_check_finite(&ex, x, N, "the values", "x");
            assert_string_equal(ex.anomaly, "");
            for (int b = 0; b < 3; b++) {
                ex.anomaly[0] = '\0';
                x[places[p]] = bad[b];
                exec_check_finite(&ex, x, N, "the values", "x");
                assert_string_equal(ex.anomaly, "NaN or infinity in the values of x");
            }
            x[places[p]] = 0.0f;
            test_exec_deinit(&ex);
        }
    mem_free(x);
}

/* Multipliers that take a finite number beyond the largest float. */
static void overflow(void **state)
{
    static const group_kind by_row_or_column[] = {GROUP_ROW, GROUP_COLUMN};
    (void)state;
    for (int g = 0; g < 2; g++) {
        map_case c;
        case_init(&c, 4, 20, 8, by_row_or_column[g], true, 1);
        set_all(&c, 1e30f);
        c.row_mul = test_floats(4);
        for (int i = 0; i < 4; i++)
            c.row_mul[i] = 0x1p100f;
        map(&c);
        assert_string_equal(c.ex.anomaly, "NaN or infinity in the input of the matrix");
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 20; j++)
                assert_int_equal(mantissa(&c.m, i, j), 0);
        case_deinit(&c);
    }
}

/* ----------------------------------------------------------------------------- statistics ---- */

enum { KEYS = 8192, VALUES = 257 };

static void statistics_case(map_case *c, int bits)
{
    test_random r = test_random_make("statistics");
    case_init(c, 1, VALUES, bits, GROUP_TENSOR, true, 1);
    for (int j = 0; j < VALUES; j++)
        c->x[j] = (float)(1.7 * (2.0 * test_random_uniform(&r) - 1.0)); /* below the limit */
    c->x[7] = 1.7f;
}

/* Mean over keys of the dequantised value: x, no element 5 sigma of the rounding's own variance
 * off, and the mean square of the deviations as of a normal distribution, within 4 sigma. */
static void unbiased(void **state)
{
    (void)state;
    for (int bits = 4; bits <= 10; bits += 2) {
        map_case c;
        double sum[VALUES] = {0}, chi = 0.0;
        int64_t counted = 0;
        statistics_case(&c, bits);
        for (uint64_t k = 0; k < KEYS; k++) {
            c.args.key = rng_make_key(3, k, 5, RNG_ROUND_WEIGHT);
            map(&c);
            for (int j = 0; j < VALUES; j++)
                sum[j] += mantissa(&c.m, 0, j);
        }
        for (int j = 0; j < VALUES; j++) {
            const double v = (double)c.x[j] / (double)c.m.scale[0], p = v - floor(v);
            const double sigma = sqrt(p * (1.0 - p) / KEYS);
            if (sigma == 0.0) {
                assert_true(sum[j] / KEYS == v);
                continue;
            }
            const double off = (sum[j] / KEYS - v) / sigma;
            assert_true(fabs(off) < 5.0);
            chi += off * off;
            counted++;
        }
        assert_true(fabs(chi / (double)counted - 1.0) < 4.0 * sqrt(2.0 / (double)counted));
        printf("  %d bits: mean square of the deviations %.3f sigma^2\n", bits,
               chi / (double)counted);
        case_deinit(&c);
    }
}

/* Errors of one matrix in two streams (dX and dW of one gradient): correlation within 4 sigma. */
static void independent_streams(void **state)
{
    map_case c;
    double product = 0.0, first = 0.0, second = 0.0;
    (void)state;
    statistics_case(&c, 6);
    for (uint64_t k = 0; k < KEYS / 8; k++) {
        double error[VALUES];
        c.args.key = rng_make_key(3, k, 5, RNG_ROUND_GRADIENT_DX);
        map(&c);
        for (int j = 0; j < VALUES; j++)
            error[j] = mantissa(&c.m, 0, j) - (double)c.x[j] / (double)c.m.scale[0];
        c.args.key = rng_make_key(3, k, 5, RNG_ROUND_GRADIENT_DW);
        map(&c);
        for (int j = 0; j < VALUES; j++) {
            const double other = mantissa(&c.m, 0, j) - (double)c.x[j] / (double)c.m.scale[0];
            product += error[j] * other;
            first += error[j] * error[j];
            second += other * other;
        }
    }
    const double n = (double)VALUES * (KEYS / 8), r = product / sqrt(first * second);
    printf("  correlation %.2f sigma\n", r * sqrt(n));
    assert_true(fabs(r) < 4.0 / sqrt(n));
    case_deinit(&c);
}

/* -------------------------------------------------------------------------------- same bits ----
 */

/* Large enough for several pieces of work; 1, 2, 3 and 7 threads, every build. */
static void threads_and_builds(void **state)
{
    const float_kernels *builds[3] = {&float_kernels__generic};
    int count = 1;
    (void)state;
#if defined(__x86_64__)
    if (cpu_features() & CPU_AVX2)
        builds[count++] = &float_kernels__avx2;
    if (cpu_features() & CPU_AVX512)
        builds[count++] = &float_kernels__avx512;
#endif
    for (int g = 0; g < 4; g++)
        for (int variant = 0; variant < 4; variant++) {
            static const int threads[] = {2, 3, 7};
            const int bits = variant < 2 ? 8 : 12;
            const scale_kind scales = variant % 2 == 0 ? SCALES_POWER : SCALES_LARGEST;
            test_random r = test_random_make("same bits");
            map_case a, b;
            case_init(&a, 200, 401, bits, groups[g], true, 1);
            a.ex.fk = builds[0];
            a.args.scales = scales;
            fill(&r, &a);
            map(&a);
            for (int t = 0; t < 3; t++)
                for (int f = 0; f < count; f++) {
                    case_init(&b, 200, 401, bits, groups[g], true, threads[t]);
                    b.ex.fk = builds[f];
                    b.args.scales = scales;
                    memcpy(b.x, a.x, (size_t)(200 * a.ld) * sizeof(float));
                    map(&b);
                    assert_same_mapping(&b.m, &a.m);
                    case_deinit(&b);
                }
            case_deinit(&a);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_model),
        cmocka_unit_test(multipliers),
        cmocka_unit_test(largest),
        cmocka_unit_test(half_the_noise),
        cmocka_unit_test(serial),
        cmocka_unit_test(extreme_values),
        cmocka_unit_test(saturation),
        cmocka_unit_test(anomalies),
        cmocka_unit_test(finite),
        cmocka_unit_test(overflow),
        cmocka_unit_test(unbiased),
        cmocka_unit_test(independent_streams),
        cmocka_unit_test(threads_and_builds),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
