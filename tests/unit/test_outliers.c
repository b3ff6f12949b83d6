/*
 * Lists of outlier features: which features are found, what is kept of too many, what a list holds,
 * and that neither threads nor pieces decide it.
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
#include "tensor/outliers.h"

/* A list with its memory. */
typedef struct list_case {
    exec ex;
    arena storage;
    outlier_list list;
} list_case;

static void list_init(list_case *c, int64_t cols)
{
    const num_format format = test_format_dfp(8, GROUP_ROW, false);
    exec dry;
    arena measure;
    test_exec_init(&c->ex, &format, 1);
    exec_dry(&dry, &c->ex);
    arena_measure(&measure);
    outlier_list_bind(&dry, &c->list, &measure, "the layer", cols);
    assert_int_equal(arena_init(NULL, &c->storage, measure.peak, "lists"), MTS_OK);
    outlier_list_bind(&c->ex, &c->list, &c->storage, "the layer", cols);
}

static void list_deinit(list_case *c)
{
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

/* The features are these, rising, and `keep` tells them from all others. */
static void check_list(const outlier_list *list, const int32_t *feature, int64_t count)
{
    int64_t i = 0;
    assert_int_equal(list->count, count);
    for (int64_t k = 0; k < list->cols; k++) {
        const bool outlier = i < count && feature[i] == k;
        if (outlier)
            assert_int_equal(list->feature[i++], k);
        if (count > 0) /* of an empty list nobody reads it */
            assert_true(list->keep[k] == (outlier ? 0.0f : 1.0f));
    }
    assert_int_equal(i, count);
}

#define CHECK_LIST(list, ...)                                                                      \
    check_list(list, (const int32_t[]){__VA_ARGS__},                                               \
               (int64_t)(sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t)))

/* Watch one row of these numbers and make the list. */
static void find(list_case *c, const float *x, float threshold)
{
    outlier_list_forget(&c->list);
    outlier_list_watch(&c->ex, &c->list, x, 1);
    outlier_list_find(&c->list, threshold);
}

static void capacity(void **state)
{
    static const int64_t cases[][2] = {
        {1, 1},     {7, 7},     {8, 8},      {9, 8},      {48, 8},   {128, 8},
        {129, 16},  {256, 16},  {257, 24},   {384, 24},   {768, 48}, {1024, 64},
        {1100, 72}, {1536, 96}, {3072, 192}, {4096, 256},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(outlier_capacity(cases[i][0]), cases[i][1]);
}

/* Over the threshold times the median, not at it; by magnitude. */
static void threshold(void **state)
{
    float x[24];
    list_case c;
    (void)state;
    list_init(&c, 24);
    for (int k = 0; k < 24; k++)
        x[k] = k % 2 == 0 ? 2.0f : -2.0f;
    find(&c, x, 5.0f);
    check_list(&c.list, NULL, 0);
    x[3] = 10.0f;
    x[20] = -10.0f;
    find(&c, x, 5.0f);
    check_list(&c.list, NULL, 0);
    x[20] = -nextafterf(10.0f, 11.0f);
    find(&c, x, 5.0f);
    CHECK_LIST(&c.list, 20);
    x[0] = 1e30f;
    find(&c, x, 4.5f);
    CHECK_LIST(&c.list, 0, 3, 20);
    assert_int_equal(c.list.found, 3);
    find(&c, x, 1e9f);
    CHECK_LIST(&c.list, 0);
    list_deinit(&c);
}

/* Of an even number of features the median is the lower one of two. */
static void median(void **state)
{
    static const float even[4] = {3.0f, 1.0f, 11.0f, 2.0f}, odd[3] = {2.5f, 11.0f, 2.0f};
    list_case c;
    (void)state;
    list_init(&c, 4);
    find(&c, even, 5.0f); /* median 2, not 3 */
    CHECK_LIST(&c.list, 2);
    find(&c, even, 5.5f);
    check_list(&c.list, NULL, 0);
    list_deinit(&c);
    list_init(&c, 3);
    find(&c, odd, 4.0f);
    CHECK_LIST(&c.list, 1);
    find(&c, odd, 4.5f);
    check_list(&c.list, NULL, 0);
    list_deinit(&c);
}

/* Where the median feature is zero all the time, or nothing was watched, there is no measure. */
static void zeros(void **state)
{
    float x[20] = {0};
    list_case c;
    (void)state;
    list_init(&c, 20);
    outlier_list_find(&c.list, 5.0f);
    check_list(&c.list, NULL, 0);
    find(&c, x, 1.0f);
    check_list(&c.list, NULL, 0);
    x[7] = 3.0f;
    find(&c, x, 1.0f);
    check_list(&c.list, NULL, 0);
    assert_int_equal(c.list.found, 0);
    for (int k = 0; k < 20; k++)
        x[k] = k == 7 ? 1e-40f : 1e-44f; /* denormal numbers have magnitudes, too */
    find(&c, x, 100.0f);
    CHECK_LIST(&c.list, 7);
    list_deinit(&c);
}

/* More outliers than there is room for: the largest stay, of equal ones the first. */
static void too_many(void **state)
{
    float x[40];
    list_case c;
    (void)state;
    list_init(&c, 40);
    assert_int_equal(c.list.capacity, 8);
    for (int k = 0; k < 40; k++)
        x[k] = k % 4 == 1 ? 100.0f + (float)((k * 7) % 40) : 1.0f; /* 10 of them */
    find(&c, x, 5.0f);
    assert_int_equal(c.list.found, 10);
    /* k * 7 % 40 of 1, 5, 9, ..., 37: 7 35 23 11 39 27 15 3 31 19 */
    CHECK_LIST(&c.list, 5, 9, 13, 17, 21, 25, 33, 37);
    for (int k = 0; k < 40; k++)
        x[k] = k % 4 == 1 ? (k == 21 ? 200.0f : 100.0f) : 1.0f;
    find(&c, x, 5.0f);
    assert_int_equal(c.list.found, 10);
    CHECK_LIST(&c.list, 1, 5, 9, 13, 17, 21, 25, 29);
    for (int k = 0; k < 40; k++)
        x[k] = k % 4 == 1 && k < 32 ? 100.0f : 1.0f; /* as many as there is room for */
    find(&c, x, 5.0f);
    assert_int_equal(c.list.found, 8);
    CHECK_LIST(&c.list, 1, 5, 9, 13, 17, 21, 25, 29);
    list_deinit(&c);
}

/* A list has room for every feature of a narrow input. */
static void narrow(void **state)
{
    static const float x[3] = {1.0f, 8.0f, 9.0f};
    list_case c;
    (void)state;
    list_init(&c, 3);
    find(&c, x, 1.0f); /* median 8 */
    CHECK_LIST(&c.list, 2);
    outlier_list_set(&c.list, (const int32_t[]){0, 1, 2}, 3);
    CHECK_LIST(&c.list, 0, 1, 2);
    list_deinit(&c);
}

/* The version counts changes, and only changes: what was packed stays good otherwise. */
static void set_and_version(void **state)
{
    static const int32_t first[] = {2, 5, 19}, second[] = {2, 6, 19}, third[] = {6};
    float x[20];
    list_case c;
    (void)state;
    list_init(&c, 20);
    const uint64_t start = c.list.version;
    outlier_list_set(&c.list, NULL, 0);
    assert_true(c.list.version == start);
    outlier_list_set(&c.list, first, 3);
    check_list(&c.list, first, 3);
    assert_true(c.list.version == start + 1);
    outlier_list_set(&c.list, first, 3);
    assert_true(c.list.version == start + 1);
    outlier_list_set(&c.list, second, 3);
    check_list(&c.list, second, 3);
    assert_true(c.list.version == start + 2);
    outlier_list_set(&c.list, third, 1);
    check_list(&c.list, third, 1);
    assert_true(c.list.version == start + 3);
    for (int k = 0; k < 20; k++)
        x[k] = k == 6 ? 7.0f : 1.0f;
    find(&c, x, 5.0f);
    check_list(&c.list, third, 1);
    assert_true(c.list.version == start + 3);
    find(&c, x, 8.0f);
    check_list(&c.list, NULL, 0);
    assert_true(c.list.version == start + 4);
    list_deinit(&c);
}

typedef struct watch_job {
    outlier_list *list;
    const float *x;
} watch_job;

static void watch_piece(void *arg, exec *fork, int64_t begin, int64_t end)
{
    const watch_job *job = arg;
    outlier_list_watch(fork, job->list, job->x + begin * job->list->cols, end - begin);
}

/* The maxima of all rows, however many threads see them in whatever pieces. */
static void watch(void **state)
{
    enum { ROWS = 203, COLS = 700 };
    test_random r = test_random_make("watch");
    float *x = test_floats(ROWS * COLS);
    uint32_t expected[COLS];
    list_case c;
    (void)state;
    list_init(&c, COLS);
    test_fill_normal(&r, x, ROWS * COLS, 0.0, 1.0);
    for (int64_t k = 0; k < COLS; k++) {
        float max = 0.0f;
        if (k % 97 == 5)
            x[test_random_below(&r, ROWS) * COLS + k] = k % 2 == 0 ? 40.0f : -40.0f;
        for (int64_t t = 0; t < ROWS; t++)
            max = fmaxf(max, fabsf(x[t * COLS + k]));
        memcpy(&expected[k], &max, sizeof max);
    }
    for (int threads = 1; threads <= 3; threads++)
        for (int64_t grain = 1; grain <= 256; grain *= 8) {
            watch_job job = {&c.list, x};
            c.ex.threads = threads;
            outlier_list_forget(&c.list);
            exec_parallel_fork(&c.ex, ROWS, grain, watch_piece, &job);
            assert_memory_equal(c.list.max_bits, expected, sizeof expected);
            outlier_list_find(&c.list, 5.0f);
            CHECK_LIST(&c.list, 5, 102, 199, 296, 393, 490, 587, 684);
        }
    outlier_list_forget(&c.list);
    exec dry;
    exec_dry(&dry, &c.ex);
    outlier_list_watch(&dry, &c.list, x, ROWS);
    for (int64_t k = 0; k < COLS; k++)
        assert_int_equal(c.list.max_bits[k], 0);
    mem_free(x);
    list_deinit(&c);
}

static void gather(void **state)
{
    enum { ROWS = 150, COLS = 90 };
    static const int32_t feature[] = {0, 7, 8, 41, 89};
    test_random r = test_random_make("gather");
    float *x = test_floats(ROWS * COLS), *y = test_floats(ROWS * 5 + 1);
    list_case c;
    (void)state;
    list_init(&c, COLS);
    outlier_list_set(&c.list, feature, 5);
    test_fill_normal(&r, x, ROWS * COLS, 0.0, 1.0);
    for (int threads = 1; threads <= 3; threads++)
        for (int64_t rows = 0; rows <= ROWS; rows += 50) {
            c.ex.threads = threads;
            for (int64_t i = 0; i < ROWS * 5 + 1; i++)
                y[i] = 1234.0f;
            outlier_list_gather(&c.ex, &c.list, y, x, rows);
            for (int64_t t = 0; t < rows; t++)
                for (int64_t i = 0; i < 5; i++)
                    assert_true(y[t * 5 + i] == x[t * COLS + feature[i]]);
            for (int64_t i = rows * 5; i < ROWS * 5 + 1; i++)
                assert_true(y[i] == 1234.0f);
        }
    mem_free(x);
    mem_free(y);
    list_deinit(&c);
}

/* Lists are found in the order in which they were bound; memory is planned for full ones. */
static void chain(void **state)
{
    list_case c;
    outlier_list second;
    arena storage;
    exec dry;
    (void)state;
    list_init(&c, 100);
    assert_int_equal(arena_init(NULL, &storage, 1 << 12, "lists"), MTS_OK);
    outlier_list_bind(&c.ex, &second, &storage, "the other layer", 30);
    assert_ptr_equal(c.ex.outliers, &c.list);
    assert_ptr_equal(c.list.next, &second);
    assert_null(second.next);
    assert_string_equal(second.name, "the other layer");
    outlier_list_set(&second, (const int32_t[]){29}, 1);
    exec_dry(&dry, &c.ex);
    assert_null(dry.outliers);
    assert_int_equal(outlier_count(&c.ex, &second), 1);
    assert_int_equal(outlier_count(&dry, &second), 8);
    assert_int_equal(outlier_count(&c.ex, &c.list), 0);
    arena_deinit(&storage);
    list_deinit(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(capacity),        cmocka_unit_test(threshold), cmocka_unit_test(median),
        cmocka_unit_test(zeros),           cmocka_unit_test(too_many),  cmocka_unit_test(narrow),
        cmocka_unit_test(set_and_version), cmocka_unit_test(watch),     cmocka_unit_test(gather),
        cmocka_unit_test(chain),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
