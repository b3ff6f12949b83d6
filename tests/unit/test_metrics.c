/*
 * tasks/metrics against values of scikit-learn 1.9.1 and scipy 1.17.1, and its degenerate cases.
 *
 *   test_metrics           the tests; golden values by gates/check_metrics.py --golden
 *   test_metrics --dump    JSON cases from stdin, results to stdout: for gates/check_metrics.py
 */
#include "support/test_folder.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/metrics.h"

enum { GOLDEN_ROWS = 200, MAX_LABELS = 8 };

static mts_ctx ctx;

/* Add one row: its prediction as logits with one largest value, or as a score. */
static void add_row(metrics *m, double prediction, double label)
{
    float logits[MAX_LABELS] = {0};
    float score = (float)label;
    int32_t index = (int32_t)label;
    const targets y = {.kind = metrics_is_regression(m->kind) ? TARGET_SCORE : TARGET_CLASS,
                       .index = &index,
                       .score = &score};
    if (metrics_is_regression(m->kind))
        logits[0] = (float)prediction;
    else
        logits[(int)prediction] = 1.5f;
    metrics_add(m, logits, &y, 1);
}

static metric_list result_of(metric_kind kind, int64_t num_labels, int64_t n,
                             const double *predictions, const double *labels)
{
    metrics m = {0};
    metric_list list = {0};
    assert_ok(metrics_init(&ctx, &m, kind, num_labels, 1, n));
    for (int64_t i = 0; i < n; i++)
        add_row(&m, predictions[i], labels[i]);
    assert_ok(metrics_result(&ctx, &m, "", &list));
    metrics_deinit(&m);
    return list;
}

/* The value of a key, with or without "eval_" in front; false if there is none. */
static bool metric_list_find(const metric_list *list, const char *key, double *value)
{
    const bool prefixed = strncmp(key, "eval_", 5) == 0;
    for (int64_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].key + (prefixed ? 0 : 5), key) == 0) {
            *value = list->items[i].value;
            return true;
        }
    }
    return false;
}

static double value_of(const metric_list *list, const char *key)
{
    double value = 0;
    assert_true(metric_list_find(list, key, &value));
    return value;
}

static void assert_close(double found, double expected)
{
    if (!(fabs(found - expected) <= 1e-12 * fmax(1, fabs(expected))))
        fail_msg("expected %.17g, found %.17g", expected, found);
}

/* ---------------------------------------------------------------------------- golden ---- */

typedef struct golden {
    metric_kind kind;
    int64_t num_labels;
    struct {
        const char *key;
        double value;
    } values[4];
} golden;

static const golden goldens[] = {
    {METRIC_ACCURACY, 3, {{"eval_accuracy", 0x1.c7ae147ae147bp-1}}},
    {METRIC_ACCURACY_F1,
     2,
     {{"eval_accuracy", 0x1.ca3d70a3d70a4p-1},
      {"eval_f1", 0x1.cd0aeb5fd92cep-1},
      {"eval_combined_score", 0x1.cba42e01d81b9p-1}}},
    {METRIC_MATTHEWS, 2, {{"eval_matthews_correlation", 0x1.945c72bf12f97p-1}}},
    {METRIC_MATTHEWS, 5, {{"eval_matthews_correlation", 0x1.a31b836f51547p-1}}},
    {METRIC_CLASSES,
     2,
     {{"eval_accuracy", 0x1.ca3d70a3d70a4p-1}, {"eval_f1", 0x1.cd0aeb5fd92cep-1}}},
    {METRIC_CLASSES,
     5,
     {{"eval_accuracy", 0x1.b5c28f5c28f5cp-1}, {"eval_f1_macro", 0x1.b28c0ca0cf5c0p-1}}},
    {METRIC_CORRELATION,
     1,
     {{"eval_pearson", 0x1.d71aaa8c13d62p-1},
      {"eval_spearmanr", 0x1.d1df696241025p-1},
      {"eval_combined_score", 0x1.d47d09f72a6c4p-1}}},
    {METRIC_REGRESSION,
     1,
     {{"eval_mse", 0x1.ee2b5c28f5c29p+3},
      {"eval_pearson", 0x1.d71aaa8c13d62p-1},
      {"eval_spearmanr", 0x1.d1df696241025p-1}}},
};

/* The rows of golden() in gates/check_metrics.py. */
static void make_golden_rows(const golden *g, double *predictions, double *labels)
{
    const uint32_t k = (uint32_t)g->num_labels;
    uint32_t state = 1;
    for (uint32_t i = 0; i < GOLDEN_ROWS; i++) {
        state = (UINT32_C(1103515245) * state + 12345) & 0x7fffffff;
        if (metrics_is_regression(g->kind)) {
            predictions[i] = (double)((37 * i) % 101) / 8;
            labels[i] = (double)((37 * i) % 101 / 7) + (double)((53 * i + 11) % 97) / 16;
        } else {
            labels[i] = (double)((state >> 16) % k);
            predictions[i] = (state >> 10) % 4 != 0 ? labels[i] : (double)((state >> 20) % k);
        }
    }
}

static void test_golden(void **state)
{
    double predictions[GOLDEN_ROWS], labels[GOLDEN_ROWS];
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        const golden *g = &goldens[i];
        make_golden_rows(g, predictions, labels);
        const metric_list list =
            result_of(g->kind, g->num_labels, GOLDEN_ROWS, predictions, labels);
        int64_t n = 0;
        for (; n < 4 && g->values[n].key != NULL; n++) {
            assert_string_equal(list.items[n].key, g->values[n].key);
            assert_close(list.items[n].value, g->values[n].value);
        }
        assert_int_equal(list.n, n);
    }
}

/* ------------------------------------------------------------------------ degenerate ---- */

static void test_constant_predictions(void **state)
{
    const double zeros[] = {0, 0, 0, 0}, ones[] = {1, 1, 1, 1}, mixed[] = {0, 1, 1, 0};
    (void)state;
    metric_list list = result_of(METRIC_MATTHEWS, 2, 4, zeros, mixed);
    assert_close(value_of(&list, "matthews_correlation"), 0);
    list = result_of(METRIC_MATTHEWS, 2, 4, mixed, ones);
    assert_close(value_of(&list, "matthews_correlation"), 0);
    list = result_of(METRIC_ACCURACY_F1, 2, 4, zeros, mixed);
    assert_close(value_of(&list, "f1"), 0);
    list = result_of(METRIC_ACCURACY_F1, 2, 4, zeros, zeros);
    assert_close(value_of(&list, "f1"), 0);
    assert_close(value_of(&list, "accuracy"), 1);
    list = result_of(METRIC_CORRELATION, 1, 4, zeros, mixed);
    assert_true(isnan(value_of(&list, "pearson")));
    assert_true(isnan(value_of(&list, "spearmanr")));
    assert_true(isnan(value_of(&list, "combined_score")));
}

static void test_correlation_without_value(void **state)
{
    const double x[] = {1, 2, NAN, 4}, y[] = {4, 3, 2, 1}, infinite[] = {1, 2, INFINITY, 4};
    double rho = 0;
    (void)state;
    assert_true(isnan(metric_pearson(x, y, 1)));
    assert_true(isnan(metric_pearson(x, y, 4)));
    assert_true(isnan(metric_pearson(y, infinite, 4)));
    assert_ok(metric_spearman(&ctx, x, y, 4, &rho));
    assert_true(isnan(rho));
    assert_close(metric_pearson(x, y, 2), -1);
    assert_ok(metric_spearman(&ctx, x, y, 2, &rho));
    assert_close(rho, -1);
}

static void test_large_values_do_not_overflow(void **state)
{
    const double x[] = {1e150, 2e150, 3e150}, y[] = {-1e153, -2e153, -3e153};
    (void)state;
    assert_close(metric_pearson(x, y, 3), -1);
}

/* Ties: ranks of 10 10 20 30 30 30 are 1.5 1.5 3 5 5 5. */
static void test_spearman_ties(void **state)
{
    const double x[] = {30, 10, 30, 20, 10, 30}, ranks[] = {5, 1.5, 5, 3, 1.5, 5};
    const double y[] = {3, 1, 4, 2, 6, 5};
    double rho = 0;
    (void)state;
    assert_ok(metric_spearman(&ctx, x, y, 6, &rho));
    assert_close(rho, metric_pearson(ranks, y, 6));
}

static void test_macro_f1_counts_present_classes(void **state)
{
    const double predictions[] = {0, 0, 3}, labels[] = {0, 3, 3};
    (void)state;
    const metric_list list = result_of(METRIC_CLASSES, 5, 3, predictions, labels);
    assert_close(value_of(&list, "f1_macro"), 2.0 / 3);
}

/* --------------------------------------------------------------------------- contract ---- */

static void test_argmax_takes_first_largest(void **state)
{
    const float logits[] = {1, 3, 3, -1, -2, -1};
    int32_t index[] = {1, 0};
    const targets labels = {.kind = TARGET_CLASS, .index = index};
    metrics m = {0};
    metric_list list = {0};
    (void)state;
    assert_ok(metrics_init(&ctx, &m, METRIC_ACCURACY, 3, 1, 2));
    metrics_add(&m, logits, &labels, 2);
    assert_ok(metrics_result(&ctx, &m, "", &list));
    assert_close(value_of(&list, "accuracy"), 1);
    metrics_deinit(&m);
}

static void test_positive_class(void **state)
{
    const double rows[3][2] = {{0, 0}, {0, 1}, {1, 1}};
    (void)state;
    for (int64_t positive = 0; positive < 2; positive++) {
        metrics m = {0};
        metric_list list = {0};
        assert_ok(metrics_init(&ctx, &m, METRIC_ACCURACY_F1, 2, positive, 6));
        for (int i = 0; i < 3; i++)
            add_row(&m, rows[i][0], rows[i][1]);
        add_row(&m, 0, 0);
        assert_ok(metrics_result(&ctx, &m, "", &list));
        assert_close(value_of(&list, "f1"), positive == 0 ? 4.0 / 5 : 2.0 / 3);
        metrics_deinit(&m);
    }
}

static void test_keys(void **state)
{
    metrics m = {0};
    metric_list list = {0};
    double value = 0;
    (void)state;
    assert_ok(metrics_init(&ctx, &m, METRIC_ACCURACY, 3, 1, 2));
    assert_int_equal(metrics_result(&ctx, &m, "", &list), MTS_ERR_ARGUMENT);
    add_row(&m, 2, 2);
    assert_int_equal(metrics_result(&ctx, &m, "_far_too_long", &list), MTS_ERR_ARGUMENT);
    assert_ok(metrics_result(&ctx, &m, "_mm", &list));
    assert_string_equal(list.items[0].key, "eval_accuracy_mm");
    assert_true(metric_list_find(&list, "accuracy_mm", &value));
    assert_true(metric_list_find(&list, "eval_accuracy_mm", &value));
    assert_close(value, 1);
    assert_false(metric_list_find(&list, "accuracy", &value));
    metrics_deinit(&m);
}

/* The names that are told beforehand are those of the results, for every kind; only of an error is
 * less better. */
static void test_names(void **state)
{
    const double rows[] = {0, 1, 1};
    (void)state;
    for (int kind = METRIC_ACCURACY; kind <= METRIC_REGRESSION; kind++) {
        for (int64_t labels = 2; labels <= 3; labels++) {
            const char *names[METRIC_LIST_MAX];
            const metric_list list = result_of((metric_kind)kind, labels, 3, rows, rows);
            const int64_t n = metrics_names((metric_kind)kind, labels, names);
            assert_int_equal(n, list.n);
            for (int64_t i = 0; i < n; i++) {
                assert_string_equal(names[i], list.items[i].key + strlen("eval_"));
                assert_int_equal(metrics_greater_is_better(names[i]), strcmp(names[i], "mse") != 0);
            }
        }
    }
}

static void test_memory_failure(void **state)
{
    static const metric_kind kinds[] = {METRIC_CLASSES, METRIC_CORRELATION};
    const double x[] = {1, 2, 3}, y[] = {1, 3, 2};
    double rho = 0;
    metrics m = {0};
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        mem_fail_after(1);
        assert_int_equal(metrics_init(&ctx, &m, kinds[kind], 2, 1, 9), MTS_ERR_MEMORY);
        metrics_deinit(&m);
        mem_fail_after(kind);
        assert_int_equal(metric_spearman(&ctx, x, y, 3, &rho), MTS_ERR_MEMORY);
    }
    mem_fail_after(-1);
}

/* ------------------------------------------------------------------------------- dump ---- */

static metric_kind kind_of(const char *name)
{
    static const char *const names[] = {"accuracy",    "accuracy_f1", "matthews",
                                        "correlation", "classes",     "regression"};
    int kind = 0;
    while (kind < 5 && strcmp(names[kind], name) != 0)
        kind++;
    return (metric_kind)kind;
}

/* Results of one case as a JSON object; NaN as null. */
static json_t *run_case(const json_t *c)
{
    const json_t *predictions = json_object_get(c, "predictions");
    const json_t *labels = json_object_get(c, "labels");
    json_t *object = json_object();
    metrics m = {0};
    metric_list list = {0};
    if (metrics_init(&ctx, &m, kind_of(json_string_value(json_object_get(c, "kind"))),
                     json_integer_value(json_object_get(c, "num_labels")),
                     json_integer_value(json_object_get(c, "positive")),
                     (int64_t)json_array_size(labels)) != MTS_OK)
        exit(1);
    for (size_t i = 0; i < json_array_size(labels); i++)
        add_row(&m, json_number_value(json_array_get(predictions, i)),
                json_number_value(json_array_get(labels, i)));
    if (metrics_result(&ctx, &m, "", &list) != MTS_OK)
        exit(1);
    for (int64_t i = 0; i < list.n; i++)
        json_object_set_new(object, list.items[i].key,
                            isnan(list.items[i].value) ? json_null()
                                                       : json_real(list.items[i].value));
    metrics_deinit(&m);
    return object;
}

static int dump(void)
{
    json_error_t error;
    json_t *cases = json_loadf(stdin, 0, &error), *results = json_array();
    if (cases == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    for (size_t i = 0; i < json_array_size(cases); i++)
        json_array_append_new(results, run_case(json_array_get(cases, i)));
    json_dumpf(results, stdout, JSON_REAL_PRECISION(17));
    json_decref(results);
    json_decref(cases);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_constant_predictions),
        cmocka_unit_test(test_correlation_without_value),
        cmocka_unit_test(test_large_values_do_not_overflow),
        cmocka_unit_test(test_spearman_ties),
        cmocka_unit_test(test_macro_f1_counts_present_classes),
        cmocka_unit_test(test_argmax_takes_first_largest),
        cmocka_unit_test(test_positive_class),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_memory_failure),
    };
    if (argc == 2 && strcmp(argv[1], "--dump") == 0)
        return dump();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
