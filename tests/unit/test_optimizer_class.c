/*
 * optim/optimizer_class: the table of optimizers, and a class of its own: what its arrays and
 * functions say is all that an optimizer needs.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "mantissa/mantissa.h"
#include "optim/optimizer_class.h"
#include "support/test_params.h"

#define assert_ok(call) assert_string_equal(mts_status_name(call), "ok")

static mts_ctx ctx;

/* ---------------------------------------------------------------------------- the table ---- */

static void test_classes_are_found(void **state)
{
    static const char *const names[] = {"adamw", "adamw_8bit", "sgd", "sgd_int16"};
    static const char *const unknown[] = {"", "adam", "adamw_", "ADAMW", "sgd_int1", "adamw|sgd"};
    const mts_option_info *option = mts_option_find("optim");
    char choices[256] = "";
    int n = 0;
    (void)state;
    for (; optimizer_class_at(n) != NULL; n++) {
        const optimizer_class *class = optimizer_class_at(n);
        assert_in_range(n, 0, 3);
        assert_string_equal(class->name, names[n]);
        assert_ptr_equal(optimizer_class_find(class->name), class);
        strcat(strcat(choices, n == 0 ? "" : "|"), class->name);
    }
    assert_int_equal(n, 4);
    assert_null(optimizer_class_at(n + 1));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null(optimizer_class_find(unknown[i]));
    assert_non_null(option);
    assert_string_equal(option->choices, choices);
}

/* Arrays have names of their own, in a row without a gap, and something in them; integers that a
 * checkpoint brings are checked; work that is planned is made and freed. */
static void test_classes_are_complete(void **state)
{
    (void)state;
    for (int c = 0; optimizer_class_at(c) != NULL; c++) {
        const optimizer_class *class = optimizer_class_at(c);
        bool integers = false;
        for (int i = 0; i < OPTIMIZER_MAX_ARRAYS; i++) {
            const optimizer_array *array = &class->arrays[i];
            if (array->name == NULL)
                continue;
            assert_true(i == 0 || class->arrays[i - 1].name != NULL);
            assert_string_not_equal(array->name, "step");
            for (int k = 0; k < i; k++)
                assert_string_not_equal(array->name, class->arrays[k].name);
            assert_true(array->fixed > 0 || array->per_param != NULL);
            assert_true(array->range == OPTIMIZER_ANY || array->dtype == OPTIMIZER_F32 ||
                        array->dtype == OPTIMIZER_F64);
            integers |= array->dtype == OPTIMIZER_I16 || array->dtype == OPTIMIZER_I32 ||
                        array->dtype == OPTIMIZER_I64;
        }
        assert_non_null(class->step);
        assert_true((class->work_bytes == NULL) == (class->destroy == NULL));
        assert_true(class->work_bytes == NULL || class->init != NULL);
        assert_true(!integers || class->restored != NULL);
    }
}

/* ----------------------------------------------------------------------- one of its own ---- */

typedef struct sign_work {
    double sum;
} sign_work;

static int sign_destroyed; /* calls */

static size_t sign_bytes(const optimizer_sizes *sizes)
{
    (void)sizes;
    return sizeof(sign_work);
}

static mts_status sign_init(mts_ctx *c, optimizer *opt, param *const *params)
{
    mts_status st = mem_calloc(c, &opt->work, 1, sizeof(sign_work), "optimizer plan");
    return st == MTS_OK && params[0]->value[0] != 0.0f ? MTS_ERR_NUMERIC : st;
}

static void sign_destroy(void *work)
{
    mem_free(work);
    sign_destroyed++;
}

static void sign_step(exec *ex, optimizer *opt, param *const *params, double rate, float scale)
{
    double *norms = optimizer_state_data(opt, "norms");
    (void)ex;
    for (int64_t i = 0; i < opt->pieces.count; i++) {
        const param_piece *part = &opt->pieces.items[i];
        const param *p = params[part->param];
        for (int64_t k = part->begin; k < part->begin + part->n; k++)
            p->value[k] -= (float)copysign(rate, (double)(p->grad[k] * scale));
        norms[1 + part->param] = 1.0 / (double)optimizer_steps_done(opt);
    }
}

static int64_t two_for_each(int64_t elements)
{
    return 2 * elements;
}

static const optimizer_class sign = {
    .name = "sign",
    .arrays = {{"twice", OPTIMIZER_I16, two_for_each, .with_momentum = true},
               {"norms", OPTIMIZER_F64, optimizer_of_tensors, 1, OPTIMIZER_UP_TO_ONE, false}},
    .work_bytes = sign_bytes,
    .init = sign_init,
    .destroy = sign_destroy,
    .step = sign_step,
};

static void test_class_of_its_own(void **state)
{
    optimizer_options options = {.class = &sign};
    exec ex = test_params_exec(&float_kernels__generic, 1, 0);
    test_params t = {0};
    optimizer *opt = NULL;
    size_t bytes[2] = {0};
    (void)state;
    test_params_add(&t, 3, 4, true);
    test_params_add(&t, 1, 5, false);
    t.value[0] = 1.0f;
    sign_destroyed = 0;
    assert_int_equal(optimizer_create(&ctx, &options, t.items, t.count, &opt), MTS_ERR_NUMERIC);
    assert_null(opt);
    assert_int_equal(sign_destroyed, 1);
    t.value[0] = 0.0f;
    for (int m = 0; m < 2; m++) {
        optimizer_sizes sizes = {0};
        optimizer_sizes_add(&sizes, &sign, 12);
        optimizer_sizes_add(&sizes, &sign, 5);
        options.momentum = 0.9 * m;
        bytes[m] = optimizer_bytes(&options, &sizes);
        assert_ok(optimizer_create(&ctx, &options, t.items, t.count, &opt));
        assert_int_equal(optimizer_state_count(opt), 2 + m);
        const optimizer_state norms = optimizer_state_at(opt, 1 + m);
        assert_string_equal(norms.name, "norms");
        assert_int_equal(norms.count, 3);
        if (m == 1)
            assert_int_equal(optimizer_state_at(opt, 1).count, 34);
        t.grad[16] = -1.0f;
        optimizer_step(&ex, opt, t.items, t.count, 0.25, 1.0f);
        optimizer_step(&ex, opt, t.items, t.count, 0.25, 1.0f);
        assert_true(t.value[0] == -0.5f && t.value[16] == 0.5f);
        assert_memory_equal(norms.data, ((const double[]){0.0, 0.5, 0.5}), 3 * sizeof(double));
        assert_ok(optimizer_restored(&ctx, opt, t.items, t.count));
        ((double *)norms.data)[2] = 1.5;
        assert_int_equal(optimizer_restored(&ctx, opt, t.items, t.count), MTS_ERR_BAD_FILE);
        assert_string_equal(ctx.error, "optimizer state norms, element 2: expected a finite number "
                                       "from 0 to 1, found 1.5");
        optimizer_destroy(opt);
        assert_int_equal(sign_destroyed, 2 + m);
        memset(t.value, 0, (size_t)t.elements * sizeof(float));
    }
    assert_int_equal(bytes[1] - bytes[0], 34 * sizeof(int16_t));
    test_params_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes_are_found),
        cmocka_unit_test(test_classes_are_complete),
        cmocka_unit_test(test_class_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
