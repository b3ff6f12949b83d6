/*
 * Outlier features cost no product wider than 8 x 8 bits where a family's narrow kernel multiplies
 * 8-bit elements: a whole network learns and predicts with a copy of the family that counts the
 * tiles of its wide kernel.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>

#include "support/test_model.h"
#include "tensor/gemm.h"

/* The family being counted, and what counts. */
static const gemm_family *counted;
static atomic_llong wide_tiles, narrow_tiles;

#define TILE(kind, a, b)                                                                           \
    static void kind##_tile_##a##b(int32_t *restrict c, const void *restrict x,                    \
                                   const void *restrict y, int64_t depth)                          \
    {                                                                                              \
        atomic_fetch_add(&kind##_tiles, 1);                                                        \
        counted->kind->tile[a][b](c, x, y, depth);                                                 \
    }
TILE(wide, 0, 0)
TILE(wide, 0, 1)
TILE(wide, 1, 0)
TILE(wide, 1, 1)
TILE(narrow, 0, 0)

static void narrow_strip(int32_t *restrict c, const void *restrict a, size_t panel_bytes,
                         int64_t panels, const void *restrict b, int64_t depth)
{
    atomic_fetch_add(&narrow_tiles, panels);
    counted->narrow->strip(c, a, panel_bytes, panels, b, depth);
}

/* A copy of a family that counts. */
typedef struct counting_family {
    gemm_family family;
    gemm_kernel narrow, wide;
} counting_family;

static void make_counting(counting_family *c, const gemm_family *family)
{
    counted = family;
    *c = (counting_family){*family, *family->narrow, *family->wide};
    c->family.narrow = &c->narrow;
    c->family.wide = &c->wide;
    for (int i = 0; i < 4; i++)
        if (c->wide.tile[i / 2][i % 2] != NULL)
            c->wide.tile[i / 2][i % 2] = i == 0   ? wide_tile_00
                                         : i == 1 ? wide_tile_01
                                         : i == 2 ? wide_tile_10
                                                  : wide_tile_11;
    assert_null(c->wide.strip); /* which would not be counted */
    c->narrow.tile[0][0] = narrow_tile_00;
    if (c->narrow.strip != NULL)
        c->narrow.strip = narrow_strip;
}

/* Learn and predict once: how many tiles of the wide kernel that takes, and of the narrow one. */
static int64_t count_tiles(counting_family *c, const num_format *format, int threads,
                           int64_t *narrow)
{
    const test_shape shape = {.family = &c->family,
                              .width = 144,
                              .intermediate = 288,
                              .sequences = 4,
                              .lengths = {16, 9, 16, 16}};
    const dropout_rates dropout = {0.1f, 0.1f, 0.1f, 0.0f};
    test_bert t;
    int64_t outliers = 0;
    test_bert_init(&t, &shape, format, threads, &dropout);
    test_set_outliers(&t.net->ex, INT64_MAX);
    for (const outlier_list *list = t.net->ex.outliers; list != NULL; list = list->next)
        outliers += list->count;
    /* of two layers: four inputs each, and two of the head */
    assert_int_equal(outliers, format->outlier_bits == 0 ? 0 : 2 * (3 * 16 + 24) + 2 * 16);
    wide_tiles = narrow_tiles = 0;
    for (int step = 0; step < 2; step++) {
        t.pass = (network_pass){.accumulate = step > 0, .step = (uint64_t)step};
        test_bert_gradient(&t);
    }
    test_bert_evaluate(&t);
    *narrow = (int64_t)narrow_tiles;
    test_bert_deinit(&t);
    return (int64_t)wide_tiles;
}

static num_format int8_format(group_kind group)
{
    num_format f = test_format_dfp(8, group, false);
    f.norm_bits = 16; /* as int8 has it; there are no products in it */
    f.rounding = ROUNDING_MIXED;
    return f;
}

static bool has_8_bit_elements(const gemm_family *family)
{
    return family->narrow->elem_bytes_a == 1 && family->narrow->elem_bytes_b == 1;
}

/* int8 with outliers of any width: none.  A wider format, or outliers planned as usual: some. */
static void no_wide_tiles(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const int widths[] = {9, 12, 15};
    const gemm_family *families[8];
    const int count = test_families(families);
    int tried = 0;
    (void)state;
    for (int f = 0; f < count; f++) {
        counting_family c;
        int64_t narrow, without;
        if (!has_8_bit_elements(families[f]))
            continue;
        make_counting(&c, families[f]);
        for (int g = 0; g < 3; g++) {
            num_format format = int8_format(groups[g]);
            assert_int_equal(count_tiles(&c, &format, 1, &without), 0);
            for (int w = 0; w < 3; w++) {
                int64_t more;
                format.outlier_bits = widths[w];
                format.outlier_weight_bits = 0;
                assert_int_equal(count_tiles(&c, &format, 1 + w, &narrow), 0);
                assert_true(narrow > without); /* those of the halves */
                format.outlier_weight_bits = 12;
                assert_int_equal(count_tiles(&c, &format, 1 + w, &more), 0);
                assert_true(more > narrow); /* those of the weight's halves */
            }
            printf("  %s, %s: %lld narrow tiles, %lld without outliers\n", families[f]->name,
                   test_group_name(groups[g]), (long long)narrow, (long long)without);
            format.activation_bits = 12;
            assert_true(count_tiles(&c, &format, 1, &narrow) > 0);
        }
        tried++;
    }
    if (tried == 0)
        skip();
}

/* One product of outliers by either plan: the same sums, by other kernels. */
static void usual_plan(void **state)
{
    enum { M = 40, N = 70, K = 16 };
    const gemm_family *families[8];
    const int count = test_families(families);
    test_random r = test_random_make("plans");
    const num_format format = test_format_dfp(8, GROUP_ROW, false);
    (void)state;
    for (int f = 0; f < count; f++) {
        counting_family c;
        exec ex;
        arena storage;
        qmatrix o, w;
        float *y[2] = {test_floats(M * N), test_floats(M * N)};
        make_counting(&c, families[f]);
        test_exec_init(&ex, &format, 1);
        ex.family = &c.family;
        ex.fk = float_kernels_for(&c.family);
        assert_int_equal(arena_init(NULL, &storage, 1 << 20, "storage"), MTS_OK);
        assert_int_equal(arena_init(NULL, &ex.scratch, 1 << 16, "scratch"), MTS_OK);
        qmatrix_bind(&o, &storage, M, K, 12, GROUP_TENSOR);
        qmatrix_bind(&w, &storage, N, K, 8, GROUP_TENSOR);
        o.scale[0] = w.scale[0] = 1.0f;
        for (int i = 0; i < M * K; i++)
            ((int16_t *)o.q)[i] = (int16_t)(test_random_below(&r, 4095) - 2047);
        for (int i = 0; i < N * K; i++)
            ((int8_t *)w.q)[i] = (int8_t)(test_random_below(&r, 255) - 127);
        for (int usual = 0; usual <= 1; usual++) {
            const gemm_plan plan = usual ? gemm_plan_make(&c.family, 12, 8, false)
                                         : gemm_plan_make_halves(&c.family, 12, 8, false);
            gemm_operand a, b;
            gemm_pack(&ex, &a, &storage, &plan, GEMM_A, &o, false);
            gemm_pack(&ex, &b, &storage, &plan, GEMM_B, &w, false);
            wide_tiles = narrow_tiles = 0;
            gemm_run(&ex, y[usual], N, &a, &b, NULL, false);
            const bool wide = usual || !has_8_bit_elements(families[f]);
            assert_true((wide_tiles > 0) == wide);
            assert_true((narrow_tiles > 0) == !wide);
        }
        test_assert_same(families[f]->name, y[0], y[1], M * N);
        mem_free(y[0]);
        mem_free(y[1]);
        test_arena_deinit(&storage);
        test_exec_deinit(&ex);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_wide_tiles),
        cmocka_unit_test(usual_plan),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
