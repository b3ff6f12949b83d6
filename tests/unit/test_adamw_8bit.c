/*
 * AdamW with 8-bit moments: the maps against those of bitsandbytes, codes that are the nearest,
 * the error of a round trip, a step against double precision, blocks and places of the state,
 * numbers at the ends of float.  Threads, resumption and refused states: test_optimizer.c.
 */
#include "support/test_check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/dynamic_map.h"
#include "optim/optimizer_adamw.h"
#include "support/test_params.h"

enum { BLOCK = DYNAMIC_BLOCK, CODES = 256, ZERO = 127 /* of the map with signs */ };

static mts_ctx ctx;
static adamw_8bit_maps maps;

static int make_maps(void **state)
{
    (void)state;
    dynamic_map_make(&maps.signs, true);
    dynamic_map_make(&maps.squares, false);
    return 0;
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* ----------------------------------------------------------------------------------- maps ---- */

/* FNV-1a [Fowler1991] of the bits of a map, lowest byte first. */
static uint32_t checksum(const float *value)
{
    uint32_t hash = UINT32_C(2166136261);
    for (int c = 0; c < CODES; c++)
        for (int byte = 0; byte < 4; byte++)
            hash = (hash ^ (bits_of(value[c]) >> 8 * byte & 0xff)) * UINT32_C(16777619);
    return hash;
}

/* Values and checksums of bitsandbytes 0.50.2, torch 2.13 (check_optimizer.py --golden). */
static void test_maps_are_those_of_bitsandbytes(void **state)
{
    (void)state;
    assert_true(bits_of(maps.signs.value[0]) == bits_of(-0.992968738f));
    assert_true(maps.signs.value[ZERO] == 0.0f && maps.signs.value[ZERO + 1] == 5.50000038e-07f);
    assert_true(maps.signs.value[ZERO + 2] == 3.25000019e-06f && maps.signs.value[255] == 1.0f);
    assert_true(maps.squares.value[0] == 0.0f && maps.squares.value[1] == 3.2500003e-07f);
    assert_true(maps.squares.value[254] == 0.996484399f && maps.squares.value[255] == 1.0f);
    assert_int_equal(checksum(maps.signs.value), 0x61ed0d10u);
    assert_int_equal(checksum(maps.squares.value), 0xa1f0a4cfu);
}

/* Code c against the formula of FORMATS.md (12) in double: at most 3 units in the last place. */
static void test_maps_are_the_formula(void **state)
{
    (void)state;
    for (int with_signs = 0; with_signs < 2; with_signs++) {
        const float *value = with_signs ? maps.signs.value : maps.squares.value;
        const int zero = with_signs ? ZERO : 0;
        int code = zero;
        for (int j = 0; j < 7; j++) {
            const int n = with_signs ? 1 << j : 2 << j;
            for (int k = 0; k < n; k++) {
                const double x = pow(10.0, j - 6) * (0.1 + 0.9 * (2 * k + 1) / (2.0 * n));
                code++;
                assert_true(fabs((double)value[code] - x) <= 3 * 0x1p-24 * x);
                if (with_signs)
                    assert_true(value[zero - (code - zero)] == -value[code]);
            }
        }
        assert_int_equal(code, 254);
        for (int c = 1; c < CODES; c++)
            assert_true(value[c - 1] < value[c]);
    }
}

/* --------------------------------------------------------------------------------- nearest ---- */

/* The nearest code by a plain search in double, where every difference is exact; a tie: to 0. */
static int nearest(const float *value, float x)
{
    int best = 0;
    for (int c = 1; c < CODES; c++) {
        const double a = fabs((double)x - (double)value[best]);
        const double b = fabs((double)x - (double)value[c]);
        if (b < a || (b == a && fabsf(value[c]) < fabsf(value[best])))
            best = c;
    }
    return best;
}

/* As the contract in float_kernels.h says. */
static int rank_of(const dynamic_map *map, float x)
{
    const uint32_t first = (uint32_t)DYNAMIC_FIRST << 16;
    const uint32_t b = bits_of(x) > first ? bits_of(x) : first;
    return (int)((map->rank[(b >> 16) - DYNAMIC_FIRST] + b) >> 16);
}

static void check_rank(uint32_t bits)
{
    if (bits > bits_of(1.0f))
        return;
    const float x = float_of(bits);
    const int squares = nearest(maps.squares.value, x), signs = nearest(maps.signs.value, x);
    if (rank_of(&maps.squares, x) != squares || ZERO + rank_of(&maps.signs, x) != signs)
        fail_msg("%.9g: expected codes %d and %d, found %d and %d", (double)x, squares, signs,
                 rank_of(&maps.squares, x), ZERO + rank_of(&maps.signs, x));
}

static void test_ranks_are_the_nearest(void **state)
{
    const rng_key key = rng_make_key(5, 0, 0, RNG_INIT);
    (void)state;
    for (int c = 0; c + 1 < CODES; c++) {
        const float *pairs[] = {maps.squares.value + c, maps.signs.value + c};
        for (int p = 0; p < 2; p++) {
            if (pairs[p][0] < 0.0f)
                continue;
            const float middle = (pairs[p][0] + pairs[p][1]) / 2.0f;
            for (int32_t ulp = -3; ulp <= 3; ulp++) {
                check_rank(bits_of(middle) + (uint32_t)ulp);
                check_rank(bits_of(pairs[p][1]) + (uint32_t)ulp);
            }
        }
    }
    for (uint32_t bucket = DYNAMIC_FIRST; bucket <= DYNAMIC_LAST; bucket++)
        for (uint32_t near = 0; near < 3; near++)
            check_rank((bucket << 16) + near - 1);
    for (uint32_t i = 0; i < 20000; i++)
        check_rank((uint32_t)((uint64_t)rng_draw(key, i) * bits_of(1.0f) >> 32));
    check_rank(0);
    check_rank(1);
}

/* The state of one block, and a step that makes m the gradient and v its square. */
typedef struct block {
    float w[BLOCK], g[BLOCK], m_max, v_max;
    uint8_t m[BLOCK], v[BLOCK];
} block;

static void copy_step(block *b, int64_t n)
{
    const adamw_args args = {0.001f, 0.0f, 0.0f, 1e-8f, 0.0f, 1.0f, 1.0f, 1.0f};
    const adamw_8bit_state state = {b->m, b->v, &b->m_max, &b->v_max};
    b->m_max = b->v_max = 0.0f;
    float_kernels__generic.adamw_8bit(b->w, &state, b->g, n, &args, &maps);
}

/* Codes of a whole block, of both signs; 1 or -1 is its largest. */
static void test_codes_are_the_nearest(void **state)
{
    (void)state;
    for (int top = -1; top <= 1; top += 2)
        for (uint64_t seed = 0; seed < 40; seed++) {
            static const float scales[] = {1.0f, 0.1f, 1e-3f, 1e-5f, 1e-8f};
            block b = {0};
            test_params_fill(b.g, BLOCK, scales[seed % 5], seed);
            b.g[77] = (float)top;
            b.g[78] = -(float)top;
            b.g[79] = -0.0f;
            copy_step(&b, BLOCK);
            assert_true(b.m_max == 1.0f && b.v_max == 1.0f);
            for (int i = 0; i < BLOCK; i++) {
                assert_int_equal(b.m[i], nearest(maps.signs.value, b.g[i]));
                assert_int_equal(b.v[i], nearest(maps.squares.value, b.g[i] * b.g[i]));
            }
        }
}

/* Half of a part of the decade that |x| <= 1 lies in: FORMATS.md (12). */
static double error_bound(double x, bool with_signs)
{
    int j = 6;
    while (j > 0 && fabs(x) <= pow(10.0, j - 7))
        j--;
    return 0.45 * pow(10.0, j - 6) / (with_signs ? 1 << j : 2 << j);
}

static void test_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        const float scale = powf(10.0f, (float)(seed % 30) - 15.0f);
        block b = {0};
        test_params_fill(b.g, BLOCK, 1.0f, 1000 + seed);
        for (int i = 0; i < BLOCK; i++)
            b.g[i] = b.g[i] * powf(10.0f, -(float)(i % 8)) * scale;
        copy_step(&b, BLOCK);
        for (int i = 0; i < BLOCK; i++) {
            const double m = (double)b.g[i], v = m * m;
            const double m8 = (double)maps.signs.value[b.m[i]] * (double)b.m_max;
            const double v8 = (double)maps.squares.value[b.v[i]] * (double)b.v_max;
            const double m_error = error_bound(m / (double)b.m_max, true) * (double)b.m_max;
            const double v_error = error_bound(v / (double)b.v_max, false) * (double)b.v_max;
            assert_true(fabs(m8 - m) <= 1.00001 * m_error);
            assert_true(fabs(v8 - v) <= 1.00001 * v_error);
        }
    }
}

/* -------------------------------------------------------------------- a step, in double ---- */

static void *state_data(const optimizer *opt, const char *name)
{
    for (int i = 0; i < optimizer_state_count(opt); i++)
        if (strcmp(optimizer_state_at(opt, i).name, name) == 0)
            return optimizer_state_at(opt, i).data;
    fail_msg("no state %s", name);
    return NULL;
}

static int64_t state_count(const optimizer *opt, const char *name)
{
    for (int i = 0; i < optimizer_state_count(opt); i++)
        if (strcmp(optimizer_state_at(opt, i).name, name) == 0)
            return optimizer_state_at(opt, i).count;
    return -1;
}

/* |x - what code stands for| is at most that of its neighbours, but for the rounding of x. */
static void check_code(const dynamic_map *map, int code, double x)
{
    const double error = fabs((double)map->value[code] - x);
    for (int c = code > 0 ? code - 1 : 0; c <= code + 1 && c < CODES; c++)
        if (error > fabs((double)map->value[c] - x) + 1e-6)
            fail_msg("%g: code %d is nearer than %d", x, c, code);
}

/* Moments of one block before and after a step, with their weights. */
typedef struct block_check {
    const float *w_before, *w, *g;
    const uint8_t *m_before, *v_before, *m, *v;
    float m_max_before, v_max_before, m_max, v_max;
    int64_t n;
} block_check;

static void check_block(const block_check *b, const optimizer_options *o, double rate, double scale,
                        double decay, int t)
{
    /* 1 - beta as the state has it, from a float beta (optimizer_adamw.c) */
    const double c1 = (double)(1.0f - (float)o->beta1), c2 = (double)(1.0f - (float)o->beta2);
    const double correction1 = (1.0 - pow(o->beta1, t)) * c1 / (1.0 - o->beta1);
    const double correction2 = (1.0 - pow(o->beta2, t)) * c2 / (1.0 - o->beta2);
    double m_max = 0.0, v_max = 0.0, m[BLOCK], v[BLOCK];
    for (int64_t i = 0; i < b->n; i++) {
        const double g = (double)b->g[i] * scale;
        const double old_m = (double)maps.signs.value[b->m_before[i]] * (double)b->m_max_before;
        const double old_v = (double)maps.squares.value[b->v_before[i]] * (double)b->v_max_before;
        m[i] = (1.0 - c1) * old_m + c1 * g;
        v[i] = (1.0 - c2) * old_v + c2 * g * g;
        const double by = rate / correction1 / (sqrt(v[i] / correction2) + o->epsilon);
        const double w = (double)b->w_before[i] * (1.0 - rate * decay) - by * m[i];
        const double size = fabs(w) + by * (fabs(old_m) + fabs(c1 * g)); /* of what cancels */
        if (!(fabs((double)b->w[i] - w) <= 1e-6 * size))
            fail_msg("weight: expected %.9g, found %.9g", w, (double)b->w[i]);
        m_max = fmax(m_max, fabs(m[i]));
        v_max = fmax(v_max, v[i]);
    }
    assert_true(fabs((double)b->m_max - m_max) <= 1e-6 * m_max);
    assert_true(fabs((double)b->v_max - v_max) <= 1e-6 * v_max);
    for (int64_t i = 0; i < b->n; i++) {
        check_code(&maps.signs, b->m[i], m[i] / m_max);
        check_code(&maps.squares, b->v[i], v[i] / v_max);
    }
}

typedef struct moments {
    uint8_t *m, *v;
    float *m_max, *v_max;
} moments;

static moments moments_of(const optimizer *opt)
{
    return (moments){
        .m = state_data(opt, "exp_avg_code"),
        .v = state_data(opt, "exp_avg_sq_code"),
        .m_max = state_data(opt, "exp_avg_absmax"),
        .v_max = state_data(opt, "exp_avg_sq_absmax"),
    };
}

static void *copy_of(const void *data, size_t bytes)
{
    void *copy = malloc(bytes);
    assert_non_null(copy);
    memcpy(copy, data, bytes);
    return copy;
}

static const optimizer_options usual = {&optimizer_adamw_8bit, 0.9, 0.999, 1e-8, 0.0, 0.01};

/* Every block of the two large parameters of the mixed table, five steps. */
static void test_step_in_double(void **state)
{
    test_params t = test_params_mixed();
    optimizer *opt = NULL;
    exec ex = test_params_exec(&float_kernels__generic, 2, 0);
    const float scale = 0.75f;
    (void)state;
    assert_ok(optimizer_create(&ctx, &usual, t.items, t.count, &opt));
    const moments now = moments_of(opt);
    const size_t codes = (size_t)state_count(opt, "exp_avg_code");
    const size_t blocks = (size_t)state_count(opt, "exp_avg_absmax");
    for (int step = 1; step <= 5; step++) {
        const double rate = (double)(float)(0.01 / step);
        test_params_fill(t.grad, t.elements, 0.01f, (uint64_t)(300 + step));
        float *w = copy_of(t.value, (size_t)t.elements * sizeof(float));
        const moments old = {copy_of(now.m, codes), copy_of(now.v, codes),
                             copy_of(now.m_max, blocks * sizeof(float)),
                             copy_of(now.v_max, blocks * sizeof(float))};
        optimizer_step(&ex, opt, t.items, t.count, rate, scale);
        int64_t first = 0, index = 0;
        for (int64_t p = 0; p < t.count; p++) {
            const int64_t n = t.items[p]->rows * t.items[p]->cols;
            for (int64_t i = 0; n >= ADAMW_8BIT_MIN && i < n; i += BLOCK, index++) {
                const int64_t at = test_params_offset(&t, p) + i;
                const block_check b = {
                    .w_before = w + at,
                    .w = t.value + at,
                    .g = t.grad + at,
                    .m_before = old.m + first + i,
                    .v_before = old.v + first + i,
                    .m = now.m + first + i,
                    .v = now.v + first + i,
                    .m_max_before = old.m_max[index],
                    .v_max_before = old.v_max[index],
                    .m_max = now.m_max[index],
                    .v_max = now.v_max[index],
                    .n = n - i < BLOCK ? n - i : BLOCK,
                };
                check_block(&b, &usual, rate, (double)scale,
                            t.items[p]->decay ? (double)(float)usual.weight_decay : 0.0, step);
            }
            first += n >= ADAMW_8BIT_MIN ? n : 0;
        }
        assert_int_equal(first, codes);
        assert_int_equal(index, blocks);
        free(w);
        free(old.m);
        free(old.v);
        free(old.m_max);
        free(old.v_max);
    }
    optimizer_destroy(opt);
    test_params_free(&t);
}

/* --------------------------------------------------------------------------------- places ---- */

static void run_steps(optimizer *opt, test_params *t, int steps)
{
    exec ex = test_params_exec(&float_kernels__generic, 2, 0);
    for (int step = 1; step <= steps; step++) {
        test_params_fill(t->grad, t->elements, 0.01f, (uint64_t)(500 + step));
        optimizer_step(&ex, opt, t->items, t->count, 0.01, 1.0f);
    }
}

/* Parameters under 4096 elements have the bits of adamw, their moments in order. */
static void test_small_parameters_stay_in_float(void **state)
{
    optimizer_options plain = usual;
    optimizer *expected = NULL, *opt = NULL;
    test_params a = {0}, b = {0};
    (void)state;
    plain.class = &optimizer_adamw;
    for (int i = 0; i < 2; i++) {
        test_params *t = i == 0 ? &a : &b;
        test_params_add(t, 63, 65, true); /* 4095 */
        test_params_add(t, 64, 64, true); /* 4096 */
        test_params_add(t, 1, 100, false);
        test_params_fill(t->value, t->elements, 0.5f, 2);
    }
    assert_ok(optimizer_create(&ctx, &plain, a.items, a.count, &expected));
    assert_ok(optimizer_create(&ctx, &usual, b.items, b.count, &opt));
    assert_int_equal(state_count(opt, "exp_avg_code"), 4096);
    assert_int_equal(state_count(opt, "exp_avg_absmax"), 16);
    assert_int_equal(state_count(opt, "exp_avg"), 4195);
    run_steps(expected, &a, 3);
    run_steps(opt, &b, 3);
    const float *m = state_data(expected, "exp_avg"), *m8 = state_data(opt, "exp_avg");
    const float *v = state_data(expected, "exp_avg_sq"), *v8 = state_data(opt, "exp_avg_sq");
    assert_memory_equal(a.value, b.value, 4095 * sizeof(float));
    assert_memory_not_equal(a.value + 4095, b.value + 4095, 4096 * sizeof(float));
    assert_memory_equal(a.value + 8191, b.value + 8191, 100 * sizeof(float));
    assert_memory_equal(m, m8, 4095 * sizeof(float));
    assert_memory_equal(v, v8, 4095 * sizeof(float));
    assert_memory_equal(m + 8191, m8 + 4095, 100 * sizeof(float));
    assert_memory_equal(v + 8191, v8 + 4095, 100 * sizeof(float));
    optimizer_destroy(expected);
    optimizer_destroy(opt);
    test_params_free(&a);
    test_params_free(&b);
}

/* A parameter's numbers do not depend on those before it: blocks begin with it. */
static void test_blocks_begin_with_the_parameter(void **state)
{
    optimizer *first = NULL, *second = NULL;
    test_params a = {0}, b = {0};
    exec ex = test_params_exec(&float_kernels__generic, 1, 0);
    (void)state;
    test_params_add(&a, 1, 20000, true);
    test_params_add(&b, 71, 61, true); /* 4331: an incomplete block */
    test_params_add(&b, 1, 20000, true);
    test_params_fill(a.value, 20000, 0.5f, 3);
    memcpy(b.items[1]->value, a.value, 20000 * sizeof(float));
    assert_ok(optimizer_create(&ctx, &usual, a.items, a.count, &first));
    assert_ok(optimizer_create(&ctx, &usual, b.items, b.count, &second));
    assert_int_equal(state_count(first, "exp_avg_absmax"), 79);
    assert_int_equal(state_count(second, "exp_avg_absmax"), 17 + 79);
    for (int step = 0; step < 3; step++) {
        test_params_fill(a.grad, 20000, 0.01f, (uint64_t)(600 + step));
        test_params_fill(b.grad, 4331, 1.0f, (uint64_t)(700 + step));
        memcpy(b.items[1]->grad, a.grad, 20000 * sizeof(float));
        optimizer_step(&ex, first, a.items, a.count, 0.01, 1.0f);
        optimizer_step(&ex, second, b.items, b.count, 0.01, 1.0f);
    }
    const moments x = moments_of(first), y = moments_of(second);
    assert_memory_equal(a.value, b.items[1]->value, 20000 * sizeof(float));
    assert_memory_equal(x.m, y.m + 4331, 20000);
    assert_memory_equal(x.v, y.v + 4331, 20000);
    assert_memory_equal(x.m_max, y.m_max + 17, 79 * sizeof(float));
    assert_memory_equal(x.v_max, y.v_max + 17, 79 * sizeof(float));
    optimizer_destroy(first);
    optimizer_destroy(second);
    test_params_free(&a);
    test_params_free(&b);
}

/* The state of a BERT-base layer's six matrices: 2 bytes and 2/64 for each element. */
static void test_memory(void **state)
{
    optimizer_options plain = usual;
    optimizer_sizes sizes = {0}, plain_sizes = {0};
    (void)state;
    plain.class = &optimizer_adamw;
    for (int i = 0; i < 6; i++) {
        const int64_t elements = i < 4 ? 768 * 768 : 768 * 3072;
        optimizer_sizes_add(&sizes, usual.class, elements);
        optimizer_sizes_add(&plain_sizes, plain.class, elements);
    }
    assert_string_equal(usual.class->arrays[0].name, "exp_avg_code");
    assert_int_equal(sizes.counts[0], sizes.elements);
    assert_string_equal(usual.class->arrays[1].name, "exp_avg_absmax");
    assert_int_equal(sizes.counts[1] * BLOCK, sizes.elements);
    const double ratio =
        (double)optimizer_bytes(&usual, &sizes) / (double)optimizer_bytes(&plain, &plain_sizes);
    printf("  state: %.4f of that of adamw\n", ratio);
    assert_true(ratio > 0.25 && ratio < 0.26);
}

/* ---------------------------------------------------------------------------------- limits ---- */

static void test_zeros(void **state)
{
    block b = {0};
    (void)state;
    test_params_fill(b.w, BLOCK, 1.0f, 4);
    const block before = b;
    for (int step = 0; step < 3; step++)
        copy_step(&b, BLOCK);
    assert_memory_equal(b.w, before.w, sizeof b.w);
    assert_true(b.m_max == 0.0f && b.v_max == 0.0f);
    for (int i = 0; i < BLOCK; i++)
        assert_true(b.m[i] == ZERO && b.v[i] == 0);
}

/* Squares above FLT_MAX and below the smallest number: everything stays finite. */
static void test_ends_of_float(void **state)
{
    const adamw_args args = {0.001f, 0.9f, 0.999f, 1e-8f, 0.0f, 0.1f, 0.0316f, 1.0f};
    static const float sizes[] = {3e38f, 1e25f, 2e19f, 1e-18f, 1e-22f, 1e-30f, 1e-38f, 1e-45f};
    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        block b = {0};
        const adamw_8bit_state codes = {b.m, b.v, &b.m_max, &b.v_max};
        for (int step = 0; step < 4; step++) {
            test_params_fill(b.g, BLOCK, sizes[s], (uint64_t)step);
            float_kernels__generic.adamw_8bit(b.w, &codes, b.g, BLOCK, &args, &maps);
            assert_true(b.m_max >= 0.0f && b.m_max <= FLT_MAX);
            assert_true(b.v_max >= 0.0f && b.v_max <= FLT_MAX);
            for (int i = 0; i < BLOCK; i++)
                assert_true(isfinite(b.w[i]));
        }
        assert_true(b.v_max == FLT_MAX || sizes[s] < 1e25f);
    }
}

/* One block of each length: nothing is written behind it; its codes are those of a whole one. */
static void test_incomplete_blocks(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= BLOCK; n++) {
        block part = {0}, whole = {0};
        test_params_fill(part.g, n, 0.3f, (uint64_t)n);
        memcpy(whole.g, part.g, sizeof part.g);
        memset(part.m + n, 0xa5, (size_t)(BLOCK - n));
        memset(part.v + n, 0xa5, (size_t)(BLOCK - n));
        copy_step(&part, n);
        copy_step(&whole, BLOCK);
        assert_memory_equal(part.m, whole.m, (size_t)n);
        assert_memory_equal(part.v, whole.v, (size_t)n);
        assert_memory_equal(part.w, whole.w, sizeof part.w);
        assert_true(part.m_max == whole.m_max && part.v_max == whole.v_max);
        for (int64_t i = n; i < BLOCK; i++)
            assert_true(part.m[i] == 0xa5 && part.v[i] == 0xa5);
    }
}

/* The way of 100 steps differs from that of adamw by little: the moments' errors average out. */
static void test_close_to_adamw(void **state)
{
    optimizer_options plain = usual;
    optimizer *expected = NULL, *opt = NULL;
    test_params a = test_params_mixed(), b = test_params_mixed(), start = test_params_mixed();
    double way = 0.0, apart = 0.0;
    (void)state;
    plain.class = &optimizer_adamw;
    assert_ok(optimizer_create(&ctx, &plain, a.items, a.count, &expected));
    assert_ok(optimizer_create(&ctx, &usual, b.items, b.count, &opt));
    run_steps(expected, &a, 100);
    run_steps(opt, &b, 100);
    for (int64_t i = 0; i < a.elements; i++) {
        way += pow((double)a.value[i] - (double)start.value[i], 2.0);
        apart += pow((double)a.value[i] - (double)b.value[i], 2.0);
    }
    printf("  differs from adamw by %.4f of the way\n", sqrt(apart / way));
    assert_true(sqrt(apart / way) < 0.05);
    optimizer_destroy(expected);
    optimizer_destroy(opt);
    test_params_free(&a);
    test_params_free(&b);
    test_params_free(&start);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_maps_are_those_of_bitsandbytes),
        cmocka_unit_test(test_maps_are_the_formula),
        cmocka_unit_test(test_ranks_are_the_nearest),
        cmocka_unit_test(test_codes_are_the_nearest),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_step_in_double),
        cmocka_unit_test(test_small_parameters_stay_in_float),
        cmocka_unit_test(test_blocks_begin_with_the_parameter),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_zeros),
        cmocka_unit_test(test_ends_of_float),
        cmocka_unit_test(test_incomplete_blocks),
        cmocka_unit_test(test_close_to_adamw),
    };
    return cmocka_run_group_tests(tests, make_maps, NULL);
}
