/*
 * The integer GEMM driver against plain sums, exactly.
 *
 *   model      every pair of widths, group and orientation that linear layers use, odd sizes, bias,
 *              accumulation: C = (float)sum * row_scale * col_scale (+ bias), bit for bit
 *   families   every family that runs here (AMX by emulation) gives the bits of the reference
 *   depth      products longer than one exact int32 tile
 *   threads    1, 2, 3: the same bits; the serial variant too
 *   views      parts of a matrix with one scale, or one for each row, in every orientation
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/test_model.h"
#include "tensor/gemm.h"

enum { STORAGE = 24 << 20 };

/* One operand: a matrix of mantissas with scales, and how the product reads it. */
typedef struct side {
    qmatrix m;
    bool transposed;
    int64_t rows, depth; /* of this side of the product */
} side;

typedef struct product {
    exec ex;
    arena storage;
    side a, b;
    float *bias; /* [n] or NULL */
    bool accumulate, serial;
    float *start; /* c before */
    float *c;     /* [m][n + 3] */
} product;

static int32_t mantissa(const side *s, int64_t row, int64_t k)
{
    const int64_t at = s->transposed ? k * s->m.cols + row : row * s->m.cols + k;
    return s->m.bits <= 8 ? ((const int8_t *)s->m.q)[at] : ((const int16_t *)s->m.q)[at];
}

static void set_mantissa(const side *s, int64_t at, int32_t value)
{
    if (s->m.bits <= 8)
        ((int8_t *)s->m.q)[at] = (int8_t)value;
    else
        ((int16_t *)s->m.q)[at] = (int16_t)value;
}

/* Scale of a row of this side in the block of the depth that holds k. */
static float scale_of(const side *s, int64_t row, int64_t k)
{
    const int64_t blocks = (s->m.cols + 63) / 64;
    switch (s->m.group) {
    case GROUP_TENSOR:
        return s->m.scale[0];
    case GROUP_ROW: /* transposed: folded into the other operand by the caller */
        return s->transposed ? 1.0f : s->m.scale[row];
    case GROUP_COLUMN:
        return s->m.scale[row];
    case GROUP_BLOCK:
        return s->transposed ? s->m.scale[k / 64 * blocks + row / 64]
                             : s->m.scale[row / 64 * blocks + k / 64];
    }
    return NAN;
}

typedef enum fill_kind {
    FILL_RANDOM,
    FILL_LARGEST, /* all mantissas at the limit, signs by row: the largest sums there are */
} fill_kind;

static void side_init(test_random *r, side *s, arena *a, int64_t rows, int64_t depth, int bits,
                      group_kind group, bool transposed, fill_kind fill)
{
    const int32_t limit = format_limit(bits);
    *s = (side){.transposed = transposed, .rows = rows, .depth = depth};
    qmatrix_bind(&s->m, a, transposed ? depth : rows, transposed ? rows : depth, bits, group);
    for (int64_t at = 0; at < rows * depth; at++) {
        const int64_t row = transposed ? at % rows : at / depth;
        int32_t q = (int32_t)(test_random_below(r, 2 * limit + 1) - limit);
        if (fill == FILL_LARGEST)
            q = row % 3 == 1 ? -limit : limit;
        set_mantissa(s, at, q);
    }
    const int64_t scales = qmatrix_scale_count(s->m.rows, s->m.cols, group);
    for (int64_t i = 0; i < scales; i++)
        s->m.scale[i] =
            format_power((int)test_random_below(r, 25) - 20) *
            (depth % 2 == 0 ? 1.0f : 1.0f + 1e-6f * (float)test_random_below(r, 999999));
}

/* What a product is made of. */
typedef struct product_shape {
    int64_t m, n, k;
    int bits_a, bits_b;
    group_kind group_a, group_b;
    bool transposed_a, transposed_b, bias, accumulate;
    fill_kind fill;
} product_shape;

static void product_init(product *p, const product_shape *s)
{
    test_random r = test_random_make("product");
    const num_format format = test_format_dfp(8, GROUP_TENSOR, false);
    *p = (product){.accumulate = s->accumulate};
    test_exec_init(&p->ex, &format, 1);
    assert_int_equal(arena_init(NULL, &p->storage, STORAGE, "storage"), MTS_OK);
    side_init(&r, &p->a, &p->storage, s->m, s->k, s->bits_a, s->group_a, s->transposed_a, s->fill);
    side_init(&r, &p->b, &p->storage, s->n, s->k, s->bits_b, s->group_b, s->transposed_b, s->fill);
    p->c = test_floats(s->m * (s->n + 3));
    p->start = test_floats(s->m * (s->n + 3));
    test_fill_normal(&r, p->start, s->m * (s->n + 3), 0.0, 100.0);
    if (s->bias) {
        p->bias = test_floats(s->n);
        test_fill_normal(&r, p->bias, s->n, 0.0, 100.0);
    }
}

static void product_deinit(product *p)
{
    mem_free(p->bias);
    mem_free(p->c);
    mem_free(p->start);
    arena_deinit(&p->storage);
    test_exec_deinit(&p->ex);
}

/* Pack one side; a dry run takes as much. */
static void pack(product *p, gemm_operand *op, const gemm_plan *plan, gemm_side which,
                 const side *s)
{
    exec dry;
    exec_dry(&dry, &p->ex);
    gemm_pack(&dry, op, &dry.scratch, plan, which, &s->m, s->transposed);
    const size_t used = p->storage.used;
    gemm_pack(&p->ex, op, &p->storage, plan, which, &s->m, s->transposed);
    assert_int_equal(p->storage.used - used, dry.scratch.used);
}

static void product_run(product *p, const gemm_family *family)
{
    const int64_t ldc = p->b.rows + 3;
    const size_t mark = p->storage.used;
    const bool by_block = p->a.m.group == GROUP_BLOCK;
    gemm_operand a, b;
    p->ex.family = family;
    p->ex.fk = float_kernels_for(family);
    const gemm_plan plan = gemm_plan_make(family, p->a.m.bits, p->b.m.bits, by_block);
    memcpy(p->c, p->start, (size_t)(p->a.rows * ldc) * sizeof(float));
    pack(p, &a, &plan, GEMM_A, &p->a);
    pack(p, &b, &plan, GEMM_B, &p->b);
    if (p->serial)
        gemm_run_serial(&p->ex, p->c, ldc, &a, &b, p->bias, p->accumulate);
    else
        gemm_run(&p->ex, p->c, ldc, &a, &b, p->bias, p->accumulate);
    p->storage.used = mark;
}

/* One element by the formula: exact sums of a block of the depth, scaled, added in order. */
static float model_element(const product *p, int64_t i, int64_t j)
{
    const int64_t k = p->a.depth, step = p->a.m.group == GROUP_BLOCK ? 64 : k;
    float c = p->start[i * (p->b.rows + 3) + j];
    for (int64_t first = 0; first < k; first += step) {
        const int64_t last = first + step < k ? first + step : k;
        int64_t sum = 0;
        for (int64_t d = first; d < last; d++)
            sum += (int64_t)mantissa(&p->a, i, d) * mantissa(&p->b, j, d);
        const float value = (float)sum * scale_of(&p->a, i, first) * scale_of(&p->b, j, first);
        if (p->accumulate || first > 0)
            c += value;
        else
            c = p->bias != NULL ? value + p->bias[j] : value;
    }
    return c;
}

static void check_model(const product *p, const char *what)
{
    const int64_t ldc = p->b.rows + 3;
    for (int64_t i = 0; i < p->a.rows; i++) {
        for (int64_t j = 0; j < p->b.rows; j++) {
            const float expected = model_element(p, i, j), found = p->c[i * ldc + j];
            if (memcmp(&expected, &found, sizeof found) != 0)
                fail_msg("%s, %lld x %lld x %lld, %d x %d bits: c(%lld, %lld) is %.9g, expected "
                         "%.9g",
                         what, (long long)p->a.rows, (long long)p->b.rows, (long long)p->a.depth,
                         p->a.m.bits, p->b.m.bits, (long long)i, (long long)j, (double)found,
                         (double)expected);
        }
        test_assert_same("between the rows of c", p->c + i * ldc + p->b.rows,
                         p->start + i * ldc + p->b.rows, 3);
    }
}

/* Run the reference family against the model, and every other family of this machine against it. */
static void check_product(const product_shape *s, const gemm_family *const *families, int count)
{
    product p;
    product_init(&p, s);
    product_run(&p, &gemm_family_ref);
    check_model(&p, "ref");
    const int64_t n = p.a.rows * (p.b.rows + 3);
    float *expected = test_floats(n);
    memcpy(expected, p.c, (size_t)n * sizeof(float));
    for (int f = 0; f < count; f++) {
        product_run(&p, families[f]);
        test_assert_same(families[f]->name, p.c, expected, n);
    }
    mem_free(expected);
    product_deinit(&p);
}

static const int widths[] = {4, 8, 9, 10, 12, 13, 16};

enum { WIDTHS = sizeof widths / sizeof widths[0] };

/* The three products of a linear layer in each group, with all pairs of widths. */
static void linear_products(void **state)
{
    static const struct {
        group_kind a, b;
        bool transposed_a, transposed_b;
    } kinds[] = {
        {GROUP_TENSOR, GROUP_TENSOR, false, false}, /* Y = X W^T */
        {GROUP_TENSOR, GROUP_TENSOR, false, true},  /* dX = G W */
        {GROUP_TENSOR, GROUP_TENSOR, true, true},   /* dW = G^T X */
        {GROUP_TENSOR, GROUP_TENSOR, true, false},  {GROUP_ROW, GROUP_ROW, false, false},
        {GROUP_ROW, GROUP_ROW, false, true},        {GROUP_COLUMN, GROUP_ROW, true, true},
        {GROUP_BLOCK, GROUP_BLOCK, false, false},   {GROUP_BLOCK, GROUP_BLOCK, false, true},
        {GROUP_BLOCK, GROUP_BLOCK, true, true},
    };
    const gemm_family *families[8];
    int64_t turn = 0;
    const int count = test_families(families);
    (void)state;
    for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
        for (int x = 0; x < WIDTHS; x++)
            for (int y = 0; y < WIDTHS; y++, turn++) {
                const product_shape s = {
                    .m = 1 + turn * 7 % 67,
                    .n = 1 + turn * 11 % 83,
                    .k = 1 + turn * 13 % 150,
                    .bits_a = widths[x],
                    .bits_b = widths[y],
                    .group_a = kinds[kind].a,
                    .group_b = kinds[kind].b,
                    .transposed_a = kinds[kind].transposed_a,
                    .transposed_b = kinds[kind].transposed_b,
                    .bias = turn % 3 == 0,
                    .accumulate = turn % 3 == 1,
                    .fill = turn % 5 == 0 ? FILL_LARGEST : FILL_RANDOM,
                };
                check_product(&s, families, count);
            }
    printf("  %lld products, %d families\n", (long long)turn, count);
}

/* Beyond one exact tile: several chunks of the depth, sums over 2^32, all mantissas at the limit.
 */
static void long_products(void **state)
{
    static const struct {
        int bits_a, bits_b;
        int64_t k;
    } cases[] = {{16, 16, 3000}, {8, 8, 140000}, {16, 8, 2000},  {8, 16, 2000},
                 {13, 12, 1000}, {12, 13, 1000}, {13, 13, 1100}, {10, 10, 20000}};
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int variant = 0; variant < 4; variant++) {
            const product_shape s = {.m = 3,
                                     .n = 5,
                                     .k = cases[i].k,
                                     .bits_a = cases[i].bits_a,
                                     .bits_b = cases[i].bits_b,
                                     .transposed_a = variant >= 2,
                                     .transposed_b = variant >= 2,
                                     .bias = variant % 2 == 0,
                                     .accumulate = variant % 2 == 1,
                                     .fill = variant % 2 == 0 ? FILL_LARGEST : FILL_RANDOM};
            check_product(&s, families, count);
        }
}

/* Every plan keeps an int32 tile exact and cuts blocks where the scales change. */
static void plans(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (int f = 0; f < count; f++)
        for (int a = FORMAT_MIN_BITS; a <= FORMAT_MAX_BITS; a++)
            for (int b = FORMAT_MIN_BITS; b <= FORMAT_MAX_BITS; b++) {
                const gemm_plan plan = gemm_plan_make(families[f], a, b, false);
                const gemm_plan block = gemm_plan_make(families[f], a, b, true);
                const int64_t of_a = plan.pieces[GEMM_A] == 2 ? 255 : format_limit(a);
                const int64_t of_b = plan.pieces[GEMM_B] == 2 ? 255 : format_limit(b);
                assert_true(plan.chunk > 0 && plan.chunk * of_a * of_b <= INT32_MAX);
                assert_true(plan.chunk % plan.kernel->depth_step == 0);
                assert_int_equal(block.chunk, GROUP_BLOCK_SIZE);
            }
}

/* Enough panels for several blocks and splits of the driver. */
static void threads(void **state)
{
    static const int bits[] = {8, 12, 16};
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (int b = 0; b < 3; b++)
        for (int f = 0; f < count; f++) {
            const product_shape s = {
                .m = 250, .n = 131, .k = 400, .bits_a = bits[b], .bits_b = bits[b], .bias = true};
            product p;
            if (strcmp(families[f]->name, "amx") == 0 && b > 0)
                continue; /* emulated one instruction at a time */
            product_init(&p, &s);
            p.serial = true;
            product_run(&p, families[f]);
            check_model(&p, families[f]->name);
            float *expected = test_floats(250 * 134);
            memcpy(expected, p.c, 250 * 134 * sizeof(float));
            p.serial = false;
            for (p.ex.threads = 1; p.ex.threads <= 3; p.ex.threads++) {
                product_run(&p, families[f]);
                test_assert_same("threads", p.c, expected, 250 * 134);
            }
            mem_free(expected);
            product_deinit(&p);
        }
}

/* A view with the scale of the matrix, or with those of its rows: then `scale` must not be read. */
static qview view_of(const side *s, int64_t rows)
{
    const bool by_row = s->m.group == GROUP_ROW;
    return (qview){
        .q = s->m.q,
        .rows = s->transposed ? s->depth : rows,
        .cols = s->transposed ? rows : s->depth,
        .ld = s->m.cols,
        .bits = s->m.bits,
        .scale = by_row ? NAN : s->m.scale[0],
        .row_scale = by_row ? s->m.scale : NULL,
    };
}

/* Products of views, with sizes, widths and orientations by `turn`. */
static void check_views(test_random *r, int turn, group_kind group_a, group_kind group_b,
                        const gemm_family *const *families, int count)
{
    const int bits = widths[turn % WIDTHS];
    const int64_t m = 1 + test_random_below(r, 40), n = 1 + test_random_below(r, 40);
    const int64_t k = 1 + test_random_below(r, 90);
    const bool ta = turn % 2 == 1, tb = turn % 4 >= 2;
    product p;
    const product_shape s = {.m = ta ? m + 3 : m,
                             .n = tb ? n + 5 : n,
                             .k = k,
                             .bits_a = bits,
                             .bits_b = bits,
                             .group_a = group_a,
                             .group_b = group_b,
                             .transposed_a = ta,
                             .transposed_b = tb};
    product_init(&p, &s);
    p.a.rows = m; /* of a transposed source only the first columns are used: ld > cols */
    p.b.rows = n;
    const qview va = view_of(&p.a, m), vb = view_of(&p.b, n);
    for (int f = 0; f < count; f++) {
        gemm_operand a, b;
        const size_t mark = p.storage.used;
        const gemm_plan plan = gemm_plan_make(families[f], bits, bits, false);
        p.ex.family = families[f];
        p.ex.fk = float_kernels_for(families[f]);
        memcpy(p.c, p.start, (size_t)(m * (n + 3)) * sizeof(float));
        gemm_pack_view(&p.ex, &a, &p.storage, &plan, GEMM_A, &va, ta);
        gemm_pack_view(&p.ex, &b, &p.storage, &plan, GEMM_B, &vb, tb);
        gemm_run_serial(&p.ex, p.c, n + 3, &a, &b, NULL, false);
        check_model(&p, families[f]->name);
        p.storage.used = mark;
    }
    product_deinit(&p);
}

/* Views: part of a wider matrix of mantissas with one scale, as in attention. */
static void views(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    test_random r = test_random_make("views");
    (void)state;
    for (int turn = 0; turn < 60; turn++)
        check_views(&r, turn, GROUP_TENSOR, GROUP_TENSOR, families, count);
}

/* With a scale for each row on either side; of what is packed transposed they are ignored. */
static void views_by_row(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    test_random r = test_random_make("views by row");
    (void)state;
    for (int turn = 0; turn < 4 * WIDTHS; turn++) {
        check_views(&r, turn, GROUP_ROW, GROUP_TENSOR, families, count);
        check_views(&r, turn, GROUP_TENSOR, GROUP_ROW, families, count);
        check_views(&r, turn, GROUP_ROW, GROUP_ROW, families, count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans),         cmocka_unit_test(linear_products),
        cmocka_unit_test(views),         cmocka_unit_test(views_by_row),
        cmocka_unit_test(long_products), cmocka_unit_test(threads),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
