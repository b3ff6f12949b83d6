/* layers/loss: values against double, gradients against finite differences, extreme logits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "layers/loss.h"
#include "support/test_model.h"

enum { ROWS = 6, CLASSES = 5 };

typedef struct loss_case {
    exec ex;
    bool regression;
    float logits[ROWS * CLASSES], scores[ROWS];
    int32_t labels[ROWS];
} loss_case;

static double loss(void *arg)
{
    loss_case *c = arg;
    if (c->regression)
        return loss_squared_error(&c->ex, NULL, c->logits, c->scores, ROWS, 1.0f);
    return loss_cross_entropy(&c->ex, NULL, c->logits, c->labels, ROWS, CLASSES, 1.0f);
}

static void case_init(loss_case *c, bool regression)
{
    const num_format format = test_format_float(FORMAT_FP32);
    test_random r = test_random_make("loss");
    *c = (loss_case){.regression = regression};
    test_exec_init(&c->ex, &format, 1);
    test_fill_normal(&r, c->logits, ROWS * CLASSES, 0.0, 2.0);
    for (int i = 0; i < ROWS; i++) {
        c->scores[i] = regression ? (float)test_random_normal(&r) : 0.0f;
        c->labels[i] = regression ? 0 : (int32_t)test_random_below(&r, CLASSES);
    }
}

static void cross_entropy(void **state)
{
    float grad[ROWS * CLASSES], scaled[ROWS * CLASSES];
    double expected = 0.0;
    loss_case c;
    (void)state;
    case_init(&c, false);
    for (int i = 0; i < ROWS; i++) {
        double sum = 0.0;
        for (int k = 0; k < CLASSES; k++)
            sum += exp((double)c.logits[i * CLASSES + k]);
        expected += log(sum) - (double)c.logits[i * CLASSES + c.labels[i]];
    }
    const double found = loss_cross_entropy(&c.ex, grad, c.logits, c.labels, ROWS, CLASSES, 1.0f);
    assert_true(fabs(found - expected / ROWS) < 1e-12);
    test_assert_gradient("logits", loss, &c, c.logits, grad, ROWS * CLASSES, 1e-3f, 1e-4, 1e-6);
    loss_cross_entropy(&c.ex, scaled, c.logits, c.labels, ROWS, CLASSES, 0.25f);
    for (int i = 0; i < ROWS * CLASSES; i++)
        assert_true(scaled[i] == 0.25f * grad[i]); /* a power of two: exactly */
    test_exec_deinit(&c.ex);
}

static void squared_error(void **state)
{
    float grad[ROWS], scaled[ROWS];
    double expected = 0.0;
    loss_case c;
    (void)state;
    case_init(&c, true);
    for (int i = 0; i < ROWS; i++) {
        const double e = (double)c.logits[i] - (double)c.scores[i];
        expected += e * e / ROWS;
    }
    const double found = loss_squared_error(&c.ex, grad, c.logits, c.scores, ROWS, 1.0f);
    assert_true(fabs(found - expected) < 1e-6 * expected);
    test_assert_gradient("predictions", loss, &c, c.logits, grad, ROWS, 1e-2f, 1e-4, 1e-5);
    loss_squared_error(&c.ex, scaled, c.logits, c.scores, ROWS, 0.5f);
    for (int i = 0; i < ROWS; i++)
        assert_true(scaled[i] == 0.5f * grad[i]);
    test_exec_deinit(&c.ex);
}

/* Logits far apart: no overflow, a certain right answer costs nothing, a wrong one its distance. */
static void extreme_logits(void **state)
{
    static const float logits[2][3] = {{3e4f, -3e4f, 0.0f}, {3e4f, -3e4f, 0.0f}};
    static const int32_t right[1] = {0}, wrong[1] = {1};
    float grad[3];
    loss_case c;
    (void)state;
    case_init(&c, false);
    assert_true(loss_cross_entropy(&c.ex, grad, logits[0], right, 1, 3, 1.0f) == 0.0);
    assert_true(fabsf(grad[0]) < 1e-30f && fabsf(grad[1]) < 1e-30f);
    assert_true(loss_cross_entropy(&c.ex, grad, logits[1], wrong, 1, 3, 1.0f) == 6e4);
    assert_true(grad[0] == 1.0f && grad[1] == -1.0f && fabsf(grad[2]) < 1e-30f);
    test_exec_deinit(&c.ex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cross_entropy),
        cmocka_unit_test(squared_error),
        cmocka_unit_test(extreme_logits),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
