/*
 * optim/schedule against values of transformers 5.23 (get_scheduler), and at its edges.
 *
 *   test_schedule           the tests; golden values by gates/check_optimizer.py --golden
 *   test_schedule --dump    lines "kind steps warmup" from stdin; the factors of steps 0 to
 *                           steps + 2 of each on one line of stdout: for gates/check_optimizer.py
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optim/schedule.h"

static void assert_close(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12))
        fail_msg("expected %.17g, found %.17g", expected, found);
}

/* n = 10, w = 3, steps 0 to 10. */
static void test_golden(void **state)
{
    static const struct {
        schedule_kind kind;
        double factors[11];
    } rows[] = {
        {SCHEDULE_LINEAR,
         {0, 0.33333333333333331, 0.66666666666666663, 1, 0.8571428571428571, 0.7142857142857143,
          0.5714285714285714, 0.42857142857142855, 0.2857142857142857, 0.14285714285714285, 0}},
        {SCHEDULE_COSINE,
         {0, 0.33333333333333331, 0.66666666666666663, 1, 0.95048443395120952, 0.8117449009293668,
          0.61126046697815717, 0.38873953302184283, 0.18825509907063326, 0.049515566048790483, 0}},
        {SCHEDULE_CONSTANT, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}},
        {SCHEDULE_CONSTANT_WITH_WARMUP,
         {0, 0.33333333333333331, 0.66666666666666663, 1, 1, 1, 1, 1, 1, 1, 1}},
    };
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const schedule s = {rows[r].kind, 10, 3};
        for (int64_t step = 0; step <= 10; step++)
            assert_close(schedule_factor(&s, step), rows[r].factors[step]);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(schedule_kind_of("linear"), SCHEDULE_LINEAR);
    assert_int_equal(schedule_kind_of("cosine"), SCHEDULE_COSINE);
    assert_int_equal(schedule_kind_of("constant"), SCHEDULE_CONSTANT);
    assert_int_equal(schedule_kind_of("constant_with_warmup"), SCHEDULE_CONSTANT_WITH_WARMUP);
}

static void test_warmup_steps(void **state)
{
    (void)state;
    assert_int_equal(schedule_warmup_steps(0, 0.0, 100), 0);
    assert_int_equal(schedule_warmup_steps(7, 0.0, 100), 7);
    assert_int_equal(schedule_warmup_steps(7, 0.5, 100), 7);
    assert_int_equal(schedule_warmup_steps(0.06, 0.0, 345), 21); /* 20.7 */
    assert_int_equal(schedule_warmup_steps(1, 0.0, 345), 1);
    assert_int_equal(schedule_steps(0.25, 30), 8);
    assert_int_equal(schedule_steps(0.1, 30), 3);
    assert_int_equal(schedule_steps(1e-9, 30), 1);
    assert_int_equal(schedule_steps(30, 7), 30);
    assert_int_equal(schedule_warmup_steps(0, 0.06, 345), 21); /* 20.7 */
    assert_int_equal(schedule_warmup_steps(0, 0.1, 30), 3);
    assert_int_equal(schedule_warmup_steps(0, 1.0, 30), 30);
    assert_int_equal(schedule_warmup_steps(0, 1e-9, 30), 1);
}

/* No steps, no warm-up, a warm-up as long as the run or longer: no division by zero. */
static void test_edges(void **state)
{
    const schedule empty = {SCHEDULE_LINEAR, 0, 0};
    const schedule all_warmup = {SCHEDULE_COSINE, 4, 4};
    const schedule no_warmup = {SCHEDULE_LINEAR, 4, 0};
    const schedule longer = {SCHEDULE_LINEAR, 4, 8};
    (void)state;
    assert_close(schedule_factor(&empty, 0), 0.0);
    assert_close(schedule_factor(&no_warmup, 0), 1.0);
    assert_close(schedule_factor(&all_warmup, 3), 0.75);
    assert_close(schedule_factor(&all_warmup, 4), 1.0);
    assert_close(schedule_factor(&longer, 6), 0.75);
    assert_close(schedule_factor(&longer, 9), 0.0);
}

static int dump(void)
{
    char name[32];
    schedule s;
    while (scanf("%31s %" SCNd64 " %" SCNd64, name, &s.steps, &s.warmup) == 3) {
        s.kind = schedule_kind_of(name);
        for (int64_t step = 0; step <= s.steps + 2; step++)
            printf("%.17g ", schedule_factor(&s, step));
        printf("\n");
    }
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_warmup_steps),
        cmocka_unit_test(test_edges),
    };
    if (argc == 2 && strcmp(argv[1], "--dump") == 0)
        return dump();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
