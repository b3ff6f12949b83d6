/*
 * Rotary positions.
 *
 *   frequencies   against pow of the C library, and the scalings against plain formulas
 *   sine, cosine  against the C library in long double, on many angles, to the header's bound
 *   rotation      against the formula in double; the way back; what may not be touched; threads
 */
#include "support/test_check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layers/rope.h"
#include "support/test_model.h"

/* ---------------------------------------------------------------------------- frequencies ---- */

static void assert_near(double x, double y, double relative)
{
    if (!(fabs(x - y) <= relative * fabs(y)))
        fail_msg("%.17g, expected %.17g", x, y);
}

static void frequencies(void **state)
{
    static const double bases[] = {1.0, 1.0000001, 2.0, 1e4, 5e5, 1e6, 1e12};
    static const int64_t dims[] = {2, 4, 6, 50, 64, 96, 128, 2048};
    (void)state;
    for (size_t b = 0; b < sizeof bases / sizeof bases[0]; b++)
        for (size_t d = 0; d < sizeof dims / sizeof dims[0]; d++) {
            const rope_options o = {.dims = dims[d], .base = bases[b], .factor = 8.0};
            double f[1024];
            rope_frequencies(&o, f);
            assert_true(f[0] == 1.0);
            for (int64_t i = 0; i < dims[d] / 2; i++)
                assert_near(f[i], pow(bases[b], -2.0 * (double)i / (double)dims[d]), 1e-12);
        }
}

static void no_frequencies(void **state)
{
    double f = 7.0;
    (void)state;
    rope_frequencies(&(rope_options){.dims = 0, .base = 1e4}, &f);
    assert_true(f == 7.0);
}

static void linear_scaling(void **state)
{
    const rope_options o = {.dims = 64, .base = 1e4, .scaling = ROPE_LINEAR, .factor = 4.0};
    double f[32];
    (void)state;
    rope_frequencies(&o, f);
    for (int i = 0; i < 32; i++)
        assert_near(f[i], pow(1e4, -2.0 * i / 64.0) / 4.0, 1e-12);
}

/* As transformers' _compute_llama3_parameters. */
static double llama3(double f, double factor, double low, double high, double old)
{
    const double length = 2.0 * acos(-1.0) / f;
    const double smooth = (old / length - low) / (high - low);
    return length < old / high  ? f
           : length > old / low ? f / factor
                                : (1.0 - smooth) * f / factor + smooth * f;
}

static void llama3_scaling(void **state)
{
    static const double numbers[][4] = {
        {8, 1, 4, 8192},    /* Llama 3.1 */
        {32, 1, 4, 8192},   /* Llama 3.2 */
        {2, 0.5, 16, 2048}, /* a wide band between */
        {1, 1, 4, 8192},    /* no scaling */
    };
    (void)state;
    for (size_t k = 0; k < sizeof numbers / sizeof numbers[0]; k++) {
        const double *n = numbers[k];
        const rope_options o = {.dims = 128,
                                .base = 5e5,
                                .scaling = ROPE_LLAMA3,
                                .factor = n[0],
                                .low_factor = n[1],
                                .high_factor = n[2],
                                .original_length = n[3]};
        double f[64];
        int whole = 0, divided = 0;
        rope_frequencies(&o, f);
        for (int i = 0; i < 64; i++) {
            const double plain = pow(5e5, -2.0 * i / 128.0);
            assert_near(f[i], llama3(plain, n[0], n[1], n[2], n[3]), 1e-12);
            whole += f[i] > plain * (1.0 - 1e-9);
            divided += f[i] < plain / n[0] * (1.0 + 1e-9);
        }
        printf("  factor %g: %d frequencies as they are, %d divided\n", n[0], whole, divided);
        assert_true(n[0] == 1.0 || (whole > 0 && divided > 0 && whole + divided < 64));
    }
}

/* ------------------------------------------------------------------------ sine and cosine ---- */

/* Error as a share of what the header allows. */
static double angle_error(double angle)
{
    const double bound = ldexp(1.0, -45) + ldexp(angle, -52);
    double s, c;
    rope_sine_cosine(angle, &s, &c);
    const double error = fmax(fabs((double)((long double)s - sinl((long double)angle))),
                              fabs((double)((long double)c - cosl((long double)angle))));
    if (!(error <= bound))
        fail_msg("angle %.17g: error %.3g, at most %.3g", angle, error, bound);
    return error / bound;
}

static void sine_cosine(void **state)
{
    enum { COUNT = 300000 };
    test_random r = test_random_make("angles");
    double worst = 0.0;
    (void)state;
    for (int i = 0; i < COUNT; i++) /* every magnitude up to 2^30 */
        worst = fmax(worst, angle_error(exp2(45.0 * test_random_uniform(&r) - 15.0)));
    for (int64_t n = 0; n < COUNT; n++) { /* around the ends of quadrants and of eighths */
        const double middle = (double)(n * n % 1367000000) * acos(-1.0) / 4.0;
        worst = fmax(worst, angle_error(middle));
        worst = fmax(worst, angle_error(nextafter(middle, 0.0)));
        worst = fmax(worst, angle_error(nextafter(middle, 2e9)));
    }
    for (int p = 0; p < 4096; p++) /* positions, as models have them */
        worst = fmax(worst, angle_error((double)p));
    (void)angle_error(0.0);
    (void)angle_error(ldexp(1.0, 30));
    printf("  worst error %.1f%% of what is allowed\n", 100.0 * worst);
}

/* ------------------------------------------------------------------------------- rotation ---- */

enum { TOKENS = 70, HEADS = 3, POSITIONS = 200 };

/* Heads of width head_dim in rows of ld numbers, of which o->dims turn. */
typedef struct rotation {
    exec ex;
    rope_options o;
    rope_table table;
    arena storage;
    int64_t ld, head_dim;
    int32_t position[TOKENS];
    float *x, *start;
} rotation;

static void bind(void *arg)
{
    rotation *c = arg;
    rope_table_bind(&c->table, &c->storage, &c->o, POSITIONS);
}

static void pass(void *arg)
{
    rotation *c = arg;
    rope_table_fill(&c->ex, &c->table, &c->o);
    rope_apply(&c->ex, &c->table, c->x, c->ld, HEADS, c->head_dim, c->position, TOKENS, false);
}

static void rotation_init(rotation *c, int64_t dims, int64_t head_dim, int threads)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    test_random r = test_random_make("rotation");
    *c = (rotation){.o = {.dims = dims, .base = 1e4}, .head_dim = head_dim};
    c->ld = HEADS * head_dim + 5;
    test_exec_init(&c->ex, &fp32, threads);
    c->x = test_floats(TOKENS * c->ld);
    c->start = test_floats(TOKENS * c->ld);
    test_fill_normal(&r, c->x, TOKENS * c->ld, 0.0, 1.0);
    memcpy(c->start, c->x, (size_t)(TOKENS * c->ld) * sizeof(float));
    for (int t = 0; t < TOKENS; t++)
        c->position[t] = (int32_t)test_random_below(&r, POSITIONS);
    c->position[0] = 0;
    c->position[1] = POSITIONS - 1;
    test_exec_plan(&c->ex, &c->storage, bind, pass, c);
}

static void rotation_deinit(rotation *c)
{
    mem_free(c->x);
    mem_free(c->start);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

/* Element i of a head at this position, by the formula. */
static double turned(const rotation *c, const float *x, int64_t i, int32_t position)
{
    const int64_t half = c->o.dims / 2;
    if (i >= c->o.dims)
        return (double)x[i];
    const double angle =
        (double)position * pow(c->o.base, -2.0 * (double)(i % half) / (double)c->o.dims);
    const double other = (double)x[i < half ? i + half : i - half];
    return (double)x[i] * cos(angle) + (i < half ? -other : other) * sin(angle);
}

static void rotates(void **state)
{
    static const int64_t shapes[][2] = {{2, 2}, {8, 8}, {32, 32}, {64, 64}, {10, 24}, {30, 64}};
    (void)state;
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        rotation c;
        rotation_init(&c, shapes[k][0], shapes[k][1], 1);
        pass(&c);
        for (int64_t t = 0; t < TOKENS; t++)
            for (int64_t j = 0; j < c.ld; j++) {
                const int64_t h = j / c.head_dim, at = t * c.ld + h * c.head_dim;
                const double expected =
                    h >= HEADS ? (double)c.start[t * c.ld + j]
                               : turned(&c, c.start + at, j % c.head_dim, c.position[t]);
                assert_true(fabs((double)c.x[t * c.ld + j] - expected) < 2e-6);
                if (h >= HEADS || j % c.head_dim >= c.o.dims || c.position[t] == 0)
                    assert_true(c.x[t * c.ld + j] == c.start[t * c.ld + j]);
            }
        rotation_deinit(&c);
    }
}

/* The backward is the rotation by the opposite angle: it leads back, and <R x, y> = <x, R^T y>. */
static void the_way_back(void **state)
{
    rotation c, d;
    const int64_t n = TOKENS * (HEADS * 64 + 5);
    (void)state;
    rotation_init(&c, 48, 64, 2);
    rotation_init(&d, 48, 64, 2);
    pass(&c);
    assert_true(test_snr_db(c.x, c.start, n) < 10.0);
    test_random r = test_random_make("the other side");
    test_fill_normal(&r, d.start, n, 0.0, 1.0);
    const double forward = test_dot(c.x, d.start, n);
    rope_table_fill(&d.ex, &d.table, &d.o);
    rope_apply(&d.ex, &d.table, d.start, d.ld, HEADS, 64, d.position, TOKENS, true);
    assert_true(fabs(forward - test_dot(d.start, c.start, n)) < 1e-4);
    rope_apply(&c.ex, &c.table, c.x, c.ld, HEADS, 64, c.position, TOKENS, true);
    test_assert_at_least("there and back", test_snr_db(c.x, c.start, n), 130.0, "dB");
    rotation_deinit(&c);
    rotation_deinit(&d);
}

static void threads(void **state)
{
    rotation c, d;
    (void)state;
    rotation_init(&c, 48, 64, 1);
    rotation_init(&d, 48, 64, 5);
    pass(&c);
    pass(&d);
    test_assert_same("x", d.x, c.x, TOKENS * c.ld);
    test_assert_same("cosine", d.table.cosine, c.table.cosine, POSITIONS * 24);
    test_assert_same("sine", d.table.sine, c.table.sine, POSITIONS * 24);
    rotation_deinit(&c);
    rotation_deinit(&d);
}

static void no_rotation(void **state)
{
    rotation c;
    (void)state;
    rotation_init(&c, 0, 16, 1);
    pass(&c);
    test_assert_same("x", c.x, c.start, TOKENS * c.ld);
    rotation_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frequencies),    cmocka_unit_test(no_frequencies),
        cmocka_unit_test(linear_scaling), cmocka_unit_test(llama3_scaling),
        cmocka_unit_test(sine_cosine),    cmocka_unit_test(rotates),
        cmocka_unit_test(the_way_back),   cmocka_unit_test(threads),
        cmocka_unit_test(no_rotation),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
