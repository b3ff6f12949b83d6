/*
 * Products of a few wide mantissas with narrow ones, as outlier features have them
 * (gemm_plan_make_halves), against plain 64-bit sums, exactly.
 *
 *   plans      the bound of an int32 tile of joined halves; which families have halves
 *   widths     9..15 x 4..16 bits, groups and orientations of a layer's products, odd sizes
 *   extremes   all mantissas at a limit, where signs alternate, zeros, one number: at the depth of
 *              one chunk, one more, and several
 *   shorten    an operand that is filled with fewer columns than it has room for, and with more
 *   threads    1, 2, 3: the same bits
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "support/test_model.h"
#include "tensor/gemm.h"

enum { STORAGE = 24 << 20, FAMILIES = 8, GAP = 3 /* floats between the rows of c */ };

typedef enum fill_kind {
    FILL_RANDOM,
    FILL_MAX,
    FILL_MIN,       /* -limit: the upper half is -128 */
    FILL_ALTERNATE, /* limit and -limit along the depth */
    FILL_LOW,       /* -1 and 2^t - 1: the lower half is as large as it gets */
    FILL_ZERO,
    FILL_ONE, /* zeros, and -limit once in each row */
    FILL_COUNT,
} fill_kind;

/* One operand: a matrix of mantissas with scales, and how the product reads it. */
typedef struct side {
    qmatrix m;
    bool transposed;
    int64_t rows, depth; /* of this side of the product */
} side;

typedef struct product_shape {
    int64_t m, n, k;
    int bits_a, bits_b;
    group_kind group_a, group_b;
    bool transposed_a, transposed_b, bias, accumulate;
    fill_kind fill_a, fill_b;
} product_shape;

typedef struct product {
    exec ex;
    arena storage;
    side a, b;
    float *bias; /* [n] or NULL */
    bool accumulate;
    float *start, *expected, *c; /* [m][n + GAP] */
} product;

static int64_t place(const side *s, int64_t row, int64_t k)
{
    return s->transposed ? k * s->m.cols + row : row * s->m.cols + k;
}

static int64_t mantissa(const side *s, int64_t row, int64_t k)
{
    const int64_t at = place(s, row, k);
    return s->m.bits <= 8 ? ((const int8_t *)s->m.q)[at] : ((const int16_t *)s->m.q)[at];
}

static int32_t fill_value(test_random *r, fill_kind fill, int bits, int64_t row, int64_t k)
{
    const int32_t limit = format_limit(bits);
    switch (fill) {
    case FILL_RANDOM:
        return (int32_t)(test_random_below(r, 2 * limit + 1) - limit);
    case FILL_MAX:
        return limit;
    case FILL_MIN:
        return -limit;
    case FILL_ALTERNATE:
        return (row + k) % 2 == 0 ? limit : -limit;
    case FILL_LOW:
        return bits <= 8 ? -limit : (k + row) % 2 == 0 ? -1 : (1 << (bits - 8)) - 1;
    case FILL_ONE:
        return k == row * 37 % 64 ? -limit : 0;
    case FILL_ZERO:
    case FILL_COUNT:
        break;
    }
    return 0;
}

static void side_init(test_random *r, side *s, arena *a, const product_shape *shape,
                      gemm_side which)
{
    const bool first = which == GEMM_A;
    const int bits = first ? shape->bits_a : shape->bits_b;
    const group_kind group = first ? shape->group_a : shape->group_b;
    *s = (side){.transposed = first ? shape->transposed_a : shape->transposed_b,
                .rows = first ? shape->m : shape->n,
                .depth = shape->k};
    qmatrix_bind(&s->m, a, s->transposed ? s->depth : s->rows, s->transposed ? s->rows : s->depth,
                 bits, group);
    for (int64_t row = 0; row < s->rows; row++)
        for (int64_t k = 0; k < s->depth; k++) {
            const int32_t q = fill_value(r, first ? shape->fill_a : shape->fill_b, bits, row, k);
            if (bits <= 8)
                ((int8_t *)s->m.q)[place(s, row, k)] = (int8_t)q;
            else
                ((int16_t *)s->m.q)[place(s, row, k)] = (int16_t)q;
        }
    const int64_t scales = qmatrix_scale_count(s->m.rows, s->m.cols, group);
    for (int64_t i = 0; i < scales; i++)
        s->m.scale[i] =
            format_power((int)test_random_below(r, 25) - 20) *
            (shape->k % 2 == 0 ? 1.0f : 1.0f + 1e-6f * (float)test_random_below(r, 999999));
}

/* Scale of a row of this side in the block of the depth that holds k. */
static float scale_of(const side *s, int64_t row, int64_t k)
{
    const int64_t blocks = (s->m.cols + 63) / 64;
    switch (s->m.group) {
    case GROUP_ROW: /* transposed: folded into the other operand by the caller */
        return s->transposed ? 1.0f : s->m.scale[row];
    case GROUP_COLUMN:
        return s->m.scale[row];
    case GROUP_BLOCK:
        return s->transposed ? s->m.scale[k / 64 * blocks + row / 64]
                             : s->m.scale[row / 64 * blocks + k / 64];
    case GROUP_TENSOR:
        break;
    }
    return s->m.scale[0];
}

/* One element by the formula: exact sums of a block of the depth, scaled, added in order. */
static float model_element(const product *p, int64_t i, int64_t j)
{
    const int64_t k = p->a.depth, step = p->a.m.group == GROUP_BLOCK ? 64 : k;
    float c = p->start[i * (p->b.rows + GAP) + j];
    for (int64_t first = 0; first < k; first += step) {
        const int64_t last = first + step < k ? first + step : k;
        int64_t sum = 0;
        for (int64_t d = first; d < last; d++)
            sum += mantissa(&p->a, i, d) * mantissa(&p->b, j, d);
        const float value = (float)sum * scale_of(&p->a, i, first) * scale_of(&p->b, j, first);
        if (p->accumulate || first > 0)
            c += value;
        else
            c = p->bias != NULL ? value + p->bias[j] : value;
    }
    return c;
}

static int64_t c_size(const product *p)
{
    return p->a.rows * (p->b.rows + GAP);
}

static void product_init(product *p, const product_shape *s)
{
    test_random r = test_random_make("outlier product");
    const num_format format = test_format_dfp(8, GROUP_TENSOR, false);
    *p = (product){.accumulate = s->accumulate};
    test_exec_init(&p->ex, &format, 1);
    assert_int_equal(arena_init(NULL, &p->storage, STORAGE, "storage"), MTS_OK);
    side_init(&r, &p->a, &p->storage, s, GEMM_A);
    side_init(&r, &p->b, &p->storage, s, GEMM_B);
    p->c = test_floats(c_size(p));
    p->start = test_floats(c_size(p));
    p->expected = test_floats(c_size(p));
    test_fill_normal(&r, p->start, c_size(p), 0.0, 100.0);
    if (s->bias) {
        p->bias = test_floats(s->n);
        test_fill_normal(&r, p->bias, s->n, 0.0, 100.0);
    }
    memcpy(p->expected, p->start, (size_t)c_size(p) * sizeof(float));
    for (int64_t i = 0; i < s->m; i++)
        for (int64_t j = 0; j < s->n; j++)
            p->expected[i * (s->n + GAP) + j] = model_element(p, i, j);
}

static void product_deinit(product *p)
{
    mem_free(p->bias);
    mem_free(p->c);
    mem_free(p->start);
    mem_free(p->expected);
    arena_deinit(&p->storage);
    test_exec_deinit(&p->ex);
}

static gemm_plan use_family(product *p, const gemm_family *family)
{
    p->ex.family = family;
    p->ex.fk = float_kernels_for(family);
    memcpy(p->c, p->start, (size_t)c_size(p) * sizeof(float));
    return gemm_plan_make_halves(family, p->a.m.bits, p->b.m.bits, p->a.m.group == GROUP_BLOCK);
}

/* What a packing takes from the scratch is measured first, as everywhere. */
static void pack(product *p, gemm_operand *op, const gemm_plan *plan, gemm_side which,
                 const side *s)
{
    exec dry;
    arena none;
    arena_measure(&none);
    exec_dry(&dry, &p->ex);
    gemm_pack(&dry, op, &none, plan, which, &s->m, s->transposed);
    assert_int_equal(arena_init(NULL, &p->ex.scratch, dry.scratch.peak, "scratch"), MTS_OK);
    const size_t used = p->storage.used;
    gemm_pack(&p->ex, op, &p->storage, plan, which, &s->m, s->transposed);
    assert_int_equal(p->storage.used - used, none.used);
    assert_int_equal(p->ex.scratch.used, 0);
    test_arena_deinit(&p->ex.scratch);
}

static void product_run(product *p, const gemm_family *family)
{
    const size_t mark = p->storage.used;
    const gemm_plan plan = use_family(p, family);
    gemm_operand a, b;
    pack(p, &a, &plan, GEMM_A, &p->a);
    pack(p, &b, &plan, GEMM_B, &p->b);
    gemm_run(&p->ex, p->c, p->b.rows + GAP, &a, &b, p->bias, p->accumulate);
    p->storage.used = mark;
}

static void check_product(const product_shape *s, const gemm_family *const *families, int count)
{
    product p;
    product_init(&p, s);
    for (int f = 0; f < count; f++) {
        char what[128];
        product_run(&p, families[f]);
        snprintf(what, sizeof what, "%s, %lld x %lld x %lld, %d x %d bits, fills %d %d",
                 families[f]->name, (long long)s->m, (long long)s->n, (long long)s->k, s->bits_a,
                 s->bits_b, s->fill_a, s->fill_b);
        test_assert_same(what, p.c, p.expected, c_size(&p));
    }
    product_deinit(&p);
}

static bool has_halves(const gemm_family *family, int bits_a, int bits_b)
{
    return family->narrow->max_piece_bits == 8 && bits_b < 16 && bits_a + bits_b <= 27;
}

/* Two pieces of the narrow kernel where that has 8 bits, and else the usual plan; the joined sums
 * of a chunk fit an int32, and not a chunk that is a step longer. */
static void plans(void **state)
{
    const gemm_family *families[FAMILIES];
    const int count = test_families(families);
    int halves = 0;
    (void)state;
    for (int f = 0; f < count; f++)
        for (int a = 9; a <= 15; a++)
            for (int b = FORMAT_MIN_BITS; b <= FORMAT_MAX_BITS; b++)
                for (int by_block = 0; by_block <= 1; by_block++) {
                    const gemm_plan plan = gemm_plan_make_halves(families[f], a, b, by_block);
                    const gemm_plan usual = gemm_plan_make(families[f], a, b, by_block);
                    const int64_t term = (int64_t)format_limit(a) * format_limit(b);
                    if (!has_halves(families[f], a, b)) {
                        assert_ptr_equal(plan.kernel, usual.kernel);
                        assert_memory_equal(plan.pieces, usual.pieces, sizeof plan.pieces);
                        assert_int_equal(plan.chunk, usual.chunk);
                        assert_true(plan.half_bits[GEMM_A] == 0 && plan.half_bits[GEMM_B] == 0);
                        continue;
                    }
                    halves++;
                    assert_ptr_equal(plan.kernel, families[f]->narrow);
                    assert_int_equal(plan.pieces[GEMM_A], 2);
                    assert_int_equal(plan.pieces[GEMM_B], b > 8 ? 2 : 1);
                    assert_int_equal(plan.half_bits[GEMM_A], a - 8);
                    assert_int_equal(plan.half_bits[GEMM_B], b > 8 ? b - 8 : 0);
                    assert_int_equal(plan.chunk % plan.kernel->depth_step, 0);
                    assert_true(plan.chunk > 0 && plan.chunk * term <= INT32_MAX);
                    if (by_block)
                        assert_int_equal(plan.chunk, GROUP_BLOCK_SIZE);
                    else
                        assert_true(plan.chunk == 1 << 17 ||
                                    (plan.chunk + plan.kernel->depth_step) * term > INT32_MAX);
                }
    printf("  %d plans of halves, %d families\n", halves, count);
}

/* The products of a layer in each group: y += o Wo^T, and dW += G^T o, whose A is the outliers. */
static void widths(void **state)
{
    static const struct {
        group_kind a, b;
        bool transposed_a, transposed_b;
    } kinds[] = {
        {GROUP_TENSOR, GROUP_TENSOR, false, false}, {GROUP_TENSOR, GROUP_TENSOR, true, true},
        {GROUP_ROW, GROUP_ROW, false, false},       {GROUP_ROW, GROUP_COLUMN, true, true},
        {GROUP_BLOCK, GROUP_BLOCK, false, false},   {GROUP_BLOCK, GROUP_BLOCK, true, true},
        {GROUP_TENSOR, GROUP_TENSOR, false, true},  {GROUP_TENSOR, GROUP_TENSOR, true, false},
    };
    static const int bits_b[] = {4, 5, 6, 7, 8, 9, 12, 15, 16};
    const gemm_family *families[FAMILIES];
    const int count = test_families(families);
    int64_t turn = 0;
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (int a = 9; a <= 15; a++)
            for (size_t b = 0; b < sizeof bits_b / sizeof bits_b[0]; b++, turn++) {
                const product_shape s = {
                    .m = 1 + turn * 7 % 67,
                    .n = 1 + turn * 11 % 83,
                    .k = 1 + turn * 13 % 150,
                    .bits_a = a,
                    .bits_b = bits_b[b],
                    .group_a = kinds[kind].a,
                    .group_b = kinds[kind].b,
                    .transposed_a = kinds[kind].transposed_a,
                    .transposed_b = kinds[kind].transposed_b,
                    .bias = turn % 3 == 0,
                    .accumulate = turn % 3 == 1,
                    .fill_a = turn % 4 == 0 ? FILL_LOW : FILL_RANDOM,
                };
                check_product(&s, families, count);
            }
    printf("  %lld products, %d families\n", (long long)turn, count);
}

/* The largest sums there are, of either sign, at the end of what an int32 tile holds and beyond. */
static void extremes(void **state)
{
    static const struct {
        int a, b;
    } bits[] = {{9, 8}, {12, 8}, {15, 8}, {15, 4}, {12, 12}, {15, 12}, {12, 15}};
    const gemm_family *families[FAMILIES];
    const int count = test_families(families);
    int turn = 0;
    (void)state;
    for (size_t w = 0; w < sizeof bits / sizeof bits[0]; w++) {
        /* of the families with halves, amx has the longest step: no chunk is longer than this */
        const int64_t bound =
            INT32_MAX / ((int64_t)format_limit(bits[w].a) * format_limit(bits[w].b));
        const int64_t chunk = (bound < 1 << 17 ? bound : 1 << 17) / 64 * 64;
        const int64_t depths[] = {1, 64, chunk - 1, chunk, bound, bound + 70, 2 * chunk + 3};
        for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++)
            for (fill_kind a = FILL_MAX; a < FILL_COUNT; a++)
                for (fill_kind b = FILL_MAX; b <= FILL_ALTERNATE; b++, turn++) {
                    const bool deep = depths[d] > 20000;
                    if (deep && (a != FILL_MIN || b == FILL_ALTERNATE))
                        continue; /* long: the largest sums only */
                    const product_shape s = {.m = deep ? 1 : 3,
                                             .n = deep ? 2 : 5,
                                             .k = depths[d],
                                             .bits_a = bits[w].a,
                                             .bits_b = bits[w].b,
                                             .transposed_a = turn % 4 >= 2,
                                             .transposed_b = turn % 4 >= 2,
                                             .bias = turn % 3 == 0,
                                             .accumulate = turn % 3 == 1,
                                             .fill_a = a,
                                             .fill_b = b};
                    check_product(&s, families, count);
                }
    }
}

/* A column of the weight comes and goes: the operand has room for all, and is filled with fewer, or
 * with more than the last time; the result is that of one made for so many. */
static void shorten(void **state)
{
    static const int64_t depths[] = {100, 5, 64, 192, 65, 1, 128};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const gemm_family *families[FAMILIES];
    const int count = test_families(families);
    (void)state;
    for (int f = 0; f < count; f++)
        for (size_t g = 0; g < 6; g++) {
            const int bits_b = g % 2 == 0 ? 8 : 12;
            const bool by_block = groups[g / 2] == GROUP_BLOCK;
            const gemm_plan plan = gemm_plan_make_halves(families[f], 12, bits_b, by_block);
            gemm_operand kept;
            arena room;
            assert_int_equal(arena_init(NULL, &room, 1 << 20, "room"), MTS_OK);
            gemm_operand_bind(&kept, &room, &plan, GEMM_B, 37, 192, by_block);
            for (size_t d = 0; d < sizeof depths / sizeof depths[0]; d++) {
                const product_shape s = {.m = 70,
                                         .n = 37,
                                         .k = depths[d],
                                         .bits_a = 12,
                                         .bits_b = bits_b,
                                         .group_a = groups[g / 2],
                                         .group_b = groups[g / 2],
                                         .accumulate = true};
                product p;
                gemm_operand a;
                product_init(&p, &s);
                (void)use_family(&p, families[f]);
                assert_int_equal(arena_init(NULL, &p.ex.scratch, 1 << 16, "scratch"), MTS_OK);
                gemm_operand_shorten(&kept, depths[d]);
                gemm_operand_fill(&p.ex, &kept, &p.b.m, false);
                gemm_pack(&p.ex, &a, &p.storage, &plan, GEMM_A, &p.a.m, false);
                gemm_run(&p.ex, p.c, 37 + GAP, &a, &kept, NULL, true);
                test_assert_same(families[f]->name, p.c, p.expected, c_size(&p));
                product_deinit(&p);
            }
            arena_deinit(&room);
        }
}

/* Enough panels for several blocks and splits of the driver. */
static void threads(void **state)
{
    const gemm_family *families[FAMILIES];
    const int count = test_families(families);
    const product_shape s = {.m = 250,
                             .n = 131,
                             .k = 72,
                             .bits_a = 12,
                             .bits_b = 8,
                             .group_a = GROUP_BLOCK,
                             .group_b = GROUP_BLOCK,
                             .accumulate = true};
    product p;
    (void)state;
    product_init(&p, &s);
    for (p.ex.threads = 1; p.ex.threads <= 3; p.ex.threads++)
        for (int f = 0; f < count; f++) {
            product_run(&p, families[f]);
            test_assert_same(families[f]->name, p.c, p.expected, c_size(&p));
        }
    product_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),   cmocka_unit_test(widths),  cmocka_unit_test(extremes),
        cmocka_unit_test(shorten), cmocka_unit_test(threads),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
