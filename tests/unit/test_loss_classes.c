/*
 * layers/loss_classes against torch 2.13.0 (CrossEntropyLoss(weight, label_smoothing)),
 * transformers 5.23.0 (LabelSmoother) and differences; train/class_weights against scikit-learn
 * 1.9.1.
 */
#include "support/test_check.h"

#include <math.h>

#include "base/memory.h"
#include "layers/loss.h"
#include "layers/loss_classes.h"
#include "support/test_model.h"
#include "train/class_weights.h"

enum { ROWS = 4, CLASSES = 3, N = ROWS * CLASSES };

static mts_ctx ctx;
static const float weights[CLASSES] = {0.5f, 2.0f, 1.25f};
static const float logits[N] = {1.5f,  -0.25f, 3.0f,  -2.0f, 0.75f, 0.5f,
                                0.25f, 0.5f,   -1.0f, 4.0f,  -3.0f, 0.125f};
static const int32_t index_[ROWS] = {0, 1, 2, 0};

typedef struct loss_case {
    exec ex;
    loss_options options;
    float z[N];
} loss_case;

static double loss(void *arg)
{
    loss_case *c = arg;
    return loss_classes(&c->ex, NULL, c->z, index_, ROWS, CLASSES, 1.0f, &c->options);
}

/* The loss and the gradient of these options, for which the reference gives `expected`. */
static void check(loss_options options, double expected, const double gradient[N])
{
    const num_format format = test_format_float(FORMAT_FP32);
    loss_case c = {.options = options};
    float dz[N], scaled[N];
    test_exec_init(&c.ex, &format, 1);
    memcpy(c.z, logits, sizeof logits);
    const double found = loss_classes(&c.ex, dz, c.z, index_, ROWS, CLASSES, 1.0f, &options);
    if (!(fabs(found - expected) < 1e-8)) /* the smoothing is a float */
        fail_msg("expected %.17g, found %.17g", expected, found);
    for (int i = 0; i < N; i++)
        if (!(fabs((double)dz[i] - gradient[i]) < 1e-7))
            fail_msg("gradient %d: expected %.9g, found %.9g", i, gradient[i], (double)dz[i]);
    test_assert_gradient("logits", loss, &c, c.z, dz, N, 1e-2f, 1e-3, 1e-5);
    (void)loss_classes(&c.ex, scaled, c.z, index_, ROWS, CLASSES, 0.25f, &options);
    for (int i = 0; i < N; i++)
        assert_true(scaled[i] == 0.25f * dz[i]); /* a power of two: exactly */
    test_exec_deinit(&c.ex);
}

static void as_the_references(void **state)
{
    static const double smooth[N] = {-0.189128288,   -0.000651648646, 0.189779937,
                                     0.000339655299, -0.0976649585,   0.0973253032,
                                     0.0889228665,   0.116546099,     -0.205468966,
                                     0.0113649801,   -0.00811019779,  -0.00325478229};
    static const double weighted[N] = {
        -0.0968446845, 0.00361491063, 0.0932297738, 0.0163256264,   -0.215212471,   0.198886845,
        0.114419059,   0.146916979,   -0.261336038, -0.00249491173, 0.000105005166, 0.00238990657};
    static const double both[N] = {-0.085881191, -0.0115291273, 0.0974103183,  0.0117918468,
                                   -0.193416513, 0.181624667,   0.11049749,    0.131230705,
                                   -0.241728195, 0.0226210476,  -0.0155655186, -0.00705552902};
    (void)state;
    check((loss_options){.label_smoothing = 0.1f}, 1.2346457701350473, smooth);
    check((loss_options){.class_weight = weights}, 1.1393325906300884, weighted);
    check((loss_options){0.1f, weights}, 1.3048429524938214, both);
}

/* Without options: the same bits as loss_cross_entropy. */
static void plain(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    const loss_options none = {0};
    float a[N], b[N];
    exec ex;
    (void)state;
    test_exec_init(&ex, &format, 1);
    const double x = loss_classes(&ex, a, logits, index_, ROWS, CLASSES, 0.5f, &none);
    const double y = loss_cross_entropy(&ex, b, logits, index_, ROWS, CLASSES, 0.5f);
    assert_true(x == y);
    assert_memory_equal(a, b, sizeof a);
    test_exec_deinit(&ex);
}

/* compute_class_weight("balanced"): 8 / (3 n_c); a class without rows has none. */
static void balanced(void **state)
{
    int32_t classes[8] = {0, 0, 1, 0, 3, 0, 1, 0};
    const encoded_dataset rows = {.n = 8, .targets = {.kind = TARGET_CLASS, .index = classes}};
    static const int64_t some[3] = {0, 2, 4};
    float *w = NULL;
    (void)state;
    assert_ok(class_weights_balanced(&ctx, &rows, 4, &w));
    assert_true(w[0] == 0.53333333333333333f && w[1] == 1.33333333333333333f);
    assert_true(w[2] == 0.0f && w[3] == 2.66666666666666666f);
    assert_true(class_weights_sum(w, &rows, some, 3) == (double)w[0] + (double)w[1] + (double)w[3]);
    mem_free(w);
    for (int n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_int_equal(class_weights_balanced(&ctx, &rows, 4, &w), MTS_ERR_MEMORY);
        mem_fail_after(-1);
        mem_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_references),
        cmocka_unit_test(plain),
        cmocka_unit_test(balanced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
