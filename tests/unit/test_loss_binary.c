/* layers/loss_binary against PyTorch's BCEWithLogitsLoss, differences, and far logits. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "layers/loss_binary.h"
#include "support/test_model.h"

enum { ROWS = 2, LABELS = 3, N = ROWS * LABELS };

typedef struct loss_case {
    exec ex;
    float z[N];
    uint8_t set[N];
} loss_case;

static const loss_case golden = {.z = {1.5f, -0.25f, 3.0f, -2.0f, 0.75f, -40.0f},
                                 .set = {1, 0, 1, 0, 0, 1}};

static double loss(void *arg)
{
    loss_case *c = arg;
    return loss_binary_cross_entropy(&c->ex, NULL, c->z, c->set, ROWS, LABELS, 1.0f);
}

static void case_init(loss_case *c)
{
    const num_format format = test_format_float(FORMAT_FP32);
    *c = golden;
    test_exec_init(&c->ex, &format, 1);
}

/* torch.nn.BCEWithLogitsLoss() of torch 2.13.0 in double, and its gradient. */
static void as_torch(void **state)
{
    static const double expected[N] = {-0.030404254, 0.0729705832, -0.0079043122,
                                       0.0198671537, 0.11319645,   -0.166666667};
    float dz[N], scaled[N];
    loss_case c;
    (void)state;
    case_init(&c);
    const double found = loss_binary_cross_entropy(&c.ex, dz, c.z, c.set, ROWS, LABELS, 1.0f);
    assert_true(fabs(found - 7.014956511098869) < 1e-12);
    for (int i = 0; i < N; i++)
        assert_true(fabs((double)dz[i] - expected[i]) < 1e-6 * fabs(expected[i]));
    test_assert_gradient("logits", loss, &c, c.z, dz, N, 1e-2f, 1e-4, 1e-5);
    loss_binary_cross_entropy(&c.ex, scaled, c.z, c.set, ROWS, LABELS, 0.25f);
    for (int i = 0; i < N; i++)
        assert_true(scaled[i] == 0.25f * dz[i]); /* a power of two: exactly */
    test_exec_deinit(&c.ex);
}

/* No overflow; a certain right answer costs nothing, a wrong one its distance. */
static void far_logits(void **state)
{
    static const float z[4] = {3e4f, -3e4f, 3e4f, -3e4f};
    static const uint8_t set[4] = {1, 0, 0, 1};
    float dz[4];
    loss_case c;
    (void)state;
    case_init(&c);
    assert_true(loss_binary_cross_entropy(&c.ex, dz, z, set, 1, 2, 1.0f) == 0.0);
    assert_true(fabsf(dz[0]) < 1e-30f && fabsf(dz[1]) < 1e-30f);
    assert_true(loss_binary_cross_entropy(&c.ex, dz, z + 2, set + 2, 1, 2, 1.0f) == 3e4);
    assert_true(dz[0] == 0.5f && dz[1] == -0.5f);
    test_exec_deinit(&c.ex);
}

/* The small probability of a label that is not in the set keeps its digits. */
static void small_probabilities(void **state)
{
    static const float z[2] = {-20.0f, 20.0f};
    static const uint8_t set[2] = {0, 1};
    float dz[2];
    loss_case c;
    (void)state;
    case_init(&c);
    loss_binary_cross_entropy(&c.ex, dz, z, set, 1, 2, 2.0f);
    const double p = exp(-20.0) / (1.0 + exp(-20.0));
    assert_true(fabs((double)dz[0] - p) < 1e-6 * p);
    assert_true(dz[1] == -dz[0]);
    test_exec_deinit(&c.ex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_torch),
        cmocka_unit_test(far_logits),
        cmocka_unit_test(small_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
