/*
 * tasks/set_metrics: the very numbers of scikit-learn 1.9.1, for as few and as many labels as its
 * sums are made differently of; the bound; nothing wanted and nothing predicted.
 */
#include "support/test_check.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/metrics.h"

enum { ROWS = 60, MAX_LABELS = 300 };

static mts_ctx ctx;

typedef struct golden {
    int64_t labels;
    double values[3];
} golden;

/* gates/check_metrics.py --golden-sets */
static const golden goldens[] = {
    {2, {0x1.6666666666666p-2, 0x1.12bb512bb512cp-1, 0x1.122b63cbeea4ep-1}},
    {7, {0x1.3333333333333p-3, 0x1.0000000000000p-1, 0x1.fdd4ea8438a4ep-2}},
    {8, {0x1.3333333333333p-3, 0x1.fddb94e3145a0p-2, 0x1.fa3b182399590p-2}},
    {9, {0x1.3333333333333p-3, 0x1.007b6b82a6cf5p-1, 0x1.ff8c053edbb5ep-2}},
    {45, {0x1.3333333333333p-3, 0x1.02c6eab5a33a2p-1, 0x1.d47fb2cb2bcd5p-2}},
    {128, {0x1.3333333333333p-3, 0x1.010cc7b3d38a9p-1, 0x1.d0f828283d7ecp-2}},
    {129, {0x1.3333333333333p-3, 0x1.02bb8aa487c43p-1, 0x1.d45a90a6219b5p-2}},
    {300, {0x1.3333333333333p-3, 0x1.059e1813429bbp-1, 0x1.d7f6ffeff713dp-2}},
};

/* The rows of golden_sets() in gates/check_metrics.py. */
static void make_rows(int64_t labels, uint8_t *set, float *logits)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < ROWS * labels; i++) {
        const bool never = i % labels % 11 == 10;
        state = (UINT32_C(1103515245) * state + 12345) & 0x7fffffff;
        set[i] = !never && (state >> 16) % 3 == 0;
        logits[i] = never || (state >> 20) % 4 == 0 ? -1.0f : 1.0f;
        if (i / labels % 7 == 0)
            logits[i] = set[i] != 0 ? 1.0f : -1.0f;
    }
}

static void as_scikit_learn(void **state)
{
    static uint8_t set[ROWS * MAX_LABELS];
    static float logits[ROWS * MAX_LABELS];
    static const char *const keys[3] = {"eval_accuracy", "eval_f1_micro", "eval_f1_macro"};
    (void)state;
    for (size_t g = 0; g < sizeof goldens / sizeof goldens[0]; g++) {
        const int64_t labels = goldens[g].labels;
        const targets t = {.kind = TARGET_SET, .width = labels, .set = set};
        const targets rest = {.kind = TARGET_SET, .width = labels, .set = set + 17 * labels};
        metrics m = {0};
        metric_list list;
        make_rows(labels, set, logits);
        assert_ok(metrics_init(&ctx, &m, METRIC_SETS, labels, 1, ROWS));
        metrics_add(&m, logits, &t, 17); /* in two batches */
        metrics_add(&m, logits + 17 * labels, &rest, ROWS - 17);
        assert_ok(metrics_result(&ctx, &m, "", &list));
        assert_int_equal(list.n, 3);
        for (int i = 0; i < 3; i++) {
            assert_string_equal(list.items[i].key, keys[i]);
            if (list.items[i].value != goldens[g].values[i])
                fail_msg("%lld labels: %s: expected %a, found %a", (long long)labels, keys[i],
                         goldens[g].values[i], list.items[i].value);
        }
        metrics_deinit(&m);
    }
}

static double micro_f1(double bound, const float *logits, const uint8_t *set)
{
    const targets t = {.kind = TARGET_SET, .width = 2, .set = (uint8_t *)(uintptr_t)set};
    metrics m = {0};
    metric_list list;
    assert_ok(metrics_init(&ctx, &m, METRIC_SETS, 2, 1, 2));
    m.bound = bound;
    metrics_add(&m, logits, &t, 2);
    assert_ok(metrics_result(&ctx, &m, "", &list));
    metrics_deinit(&m);
    return list.items[1].value;
}

/* Over the bound, not at it; NaN is not over it. */
static void bound(void **state)
{
    static const float logits[4] = {0.5f, 0.0f, 1.0f, NAN};
    static const uint8_t first[4] = {1, 0, 1, 0}, none[4] = {0};
    (void)state;
    assert_true(micro_f1(0.0, logits, first) == 1.0);
    assert_true(micro_f1(0.5, logits, first) == 2.0 / 3.0);
    assert_true(micro_f1((double)INFINITY, logits, first) == 0.0);
    assert_true(micro_f1((double)INFINITY, logits, none) == 0.0);
    assert_true(micro_f1((double)-INFINITY, logits, first) == 4.0 / 5.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_scikit_learn),
        cmocka_unit_test(bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
