/*
 * optim/optimizer: AdamW and SGD against torch 2.13; what every class must hold: the same bits for
 * any threads and instruction set, exact resume, refusal of a state that no run could have left.
 *
 *   test_optimizer           the tests; golden values by gates/check_optimizer.py --golden
 *   test_optimizer --dump    JSON cases from stdin, results to stdout: for gates/check_optimizer.py
 *   test_optimizer --maps    the maps of adamw_8bit, 2 times 256 numbers: likewise
 */
#include "support/test_check.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "optim/clip.h"
#include "tensor/dynamic_map.h"
#include "optim/optimizer_class.h"
#include "support/test_params.h"

static mts_ctx ctx;

static const optimizer_options all_options[] = {
    {&optimizer_adamw, 0.9, 0.999, 1e-8, 0.0, 0.01},
    {&optimizer_sgd, 0.0, 0.0, 0.0, 0.9, 0.01},
    {&optimizer_sgd, 0.0, 0.0, 0.0, 0.0, 0.01},
    {&optimizer_sgd_int16, 0.0, 0.0, 0.0, 0.9, 0.01},
    {&optimizer_sgd_int16, 0.0, 0.0, 0.0, 0.0, 0.01},
    {&optimizer_adamw_8bit, 0.9, 0.999, 1e-8, 0.0, 0.01},
};
enum { ALL_OPTIONS = sizeof all_options / sizeof all_options[0] };

/* ------------------------------------------------------------------------- against torch ---- */

enum { GOLDEN_STEPS = 4, GOLDEN_ELEMENTS = 17 };

/* The case of golden() in check_optimizer.py. */
static void check_golden(const optimizer_options *options, const float *expected)
{
    static const double rates[GOLDEN_STEPS] = {0.0, 0.004, 0.002, 0.001};
    static const double norms[GOLDEN_STEPS] = {3.41083407, 3.36645341, 3.42967868, 3.31824374};
    test_params t = {0};
    optimizer *opt = NULL;
    exec ex = test_params_exec(&float_kernels__generic, 1, 0);
    test_params_add(&t, 3, 4, true);
    test_params_add(&t, 1, 5, false);
    for (int i = 0; i < GOLDEN_ELEMENTS; i++)
        t.value[i] = (float)((37 * i + 11) % 101 - 50) / 64.0f;
    assert_ok(optimizer_create(&ctx, options, t.items, t.count, &opt));
    for (int step = 0; step < GOLDEN_STEPS; step++) {
        for (int i = 0; i < GOLDEN_ELEMENTS; i++)
            t.grad[i] = (float)((53 * i + 17 * step + 5) % 89 - 44) / 32.0f;
        const clip_result clip = clip_gradients(&ex, t.items, t.count, 1.0);
        assert_true(fabs(clip.norm - norms[step]) <= 1e-6 * norms[step]);
        optimizer_step(&ex, opt, t.items, t.count, rates[step], clip.factor);
    }
    for (int i = 0; i < GOLDEN_ELEMENTS; i++)
        if (!(fabsf(t.value[i] - expected[i]) <= 1e-6f * fabsf(expected[i])))
            fail_msg("element %d: expected %.9g, found %.9g", i, (double)expected[i],
                     (double)t.value[i]);
    optimizer_destroy(opt);
    test_params_free(&t);
}

static void test_golden_adamw(void **state)
{
    static const float expected[GOLDEN_ELEMENTS] = {
        -0.603063643f, -0.0347542018f, 0.549991965f,  -0.450813234f, 0.121867247f, 0.708641052f,
        -0.299957693f, 0.285017759f,   -0.71588403f,  -0.143543169f, 0.443307251f, -0.568068326f,
        0.0199913811f, 0.588889241f,   -0.408143461f, 0.171197563f,  0.744190633f};
    (void)state;
    check_golden(&(optimizer_options){&optimizer_adamw, 0.9, 0.999, 1e-8, 0.0, 0.1}, expected);
}

/* A gradient whose square overflows holds a weight back for a while, not for ever. */
static void test_adamw_huge_gradient(void **state)
{
    test_params t = {0};
    optimizer *opt = NULL;
    exec ex = test_params_exec(&float_kernels__generic, 1, 0);
    (void)state;
    test_params_add(&t, 1, 4, false);
    assert_ok(optimizer_create(&ctx, &all_options[0], t.items, t.count, &opt));
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < 4; i++)
            t.grad[i] = step == 0 && i == 1 ? 1e25f : 1e-3f;
        optimizer_step(&ex, opt, t.items, t.count, 1e-3, 1.0f);
    }
    for (int s = 0; s < optimizer_state_count(opt); s++) {
        const optimizer_state one = optimizer_state_at(opt, s);
        for (int64_t i = 0; one.dtype == OPTIMIZER_F32 && i < one.count; i++)
            assert_true(isfinite(((const float *)one.data)[i]));
    }
    assert_ok(optimizer_restored(&ctx, opt, t.items, t.count));
    optimizer_destroy(opt);
    test_params_free(&t);
}

static void test_golden_sgd(void **state)
{
    static const float with_momentum[GOLDEN_ELEMENTS] = {
        -0.604878485f, -0.0325537473f, 0.546890438f,  -0.450853437f, 0.123969361f, 0.705765069f,
        -0.297438294f, 0.282005876f,   -0.715737998f, -0.141753361f, 0.440880507f, -0.564674377f,
        0.0171475224f, 0.590422034f,   -0.407306492f, 0.171429008f,  0.747202694f};
    static const float without[GOLDEN_ELEMENTS] = {
        -0.60815382f,  -0.0314057432f, 0.54618609f,   -0.450782716f, 0.124343611f, 0.703557134f,
        -0.296715319f, 0.280876517f,   -0.716092229f, -0.141804129f, 0.438247591f, -0.563646615f,
        0.0155779524f, 0.592730105f,   -0.407398164f, 0.173058614f,  0.74858886f};
    (void)state;
    check_golden(&(optimizer_options){&optimizer_sgd, 0, 0, 0, 0.9, 0.1}, with_momentum);
    check_golden(&(optimizer_options){&optimizer_sgd, 0, 0, 0, 0.0, 0.1}, without);
}

/* Betas that are 1 as floats: the first step is still lr in the direction of each gradient. */
static void test_beta_next_to_one(void **state)
{
    static const double betas[] = {0.9, 1 - 1e-9};
    (void)state;
    for (int i = 0; i < 4; i++) {
        const optimizer_options options = {
            &optimizer_adamw, betas[i / 2], betas[i % 2], 1e-12, 0, 0};
        test_params t = {0};
        optimizer *opt = NULL;
        exec ex = test_params_exec(&float_kernels__generic, 1, 0);
        test_params_add(&t, 1, 4, true);
        memcpy(t.grad, (const float[]){1, -3, 1e-3f, -20}, 4 * sizeof(float));
        memset(t.value, 0, 4 * sizeof(float));
        assert_ok(optimizer_create(&ctx, &options, t.items, t.count, &opt));
        optimizer_step(&ex, opt, t.items, t.count, 0.25, 1.0f);
        for (int k = 0; k < 4; k++)
            assert_true(fabsf(t.value[k] + copysignf(0.25f, t.grad[k])) < 1e-5f);
        optimizer_destroy(opt);
        test_params_free(&t);
    }
}

/* ---------------------------------------------------------------------- for every class ---- */

static size_t element_bytes(optimizer_dtype dtype)
{
    if (dtype == OPTIMIZER_U8)
        return 1;
    return dtype == OPTIMIZER_I16 ? 2 : dtype == OPTIMIZER_F32 || dtype == OPTIMIZER_I32 ? 4 : 8;
}

static void assert_same_state(const optimizer *a, const optimizer *b)
{
    assert_int_equal(optimizer_state_count(a), optimizer_state_count(b));
    for (int i = 0; i < optimizer_state_count(a); i++) {
        const optimizer_state x = optimizer_state_at(a, i), y = optimizer_state_at(b, i);
        assert_string_equal(x.name, y.name);
        assert_true(x.dtype == y.dtype && x.count == y.count);
        assert_memory_equal(x.data, y.data, (size_t)x.count * element_bytes(x.dtype));
    }
}

/* Steps first .. last of a run whose gradients depend on the step alone. */
static void run_steps(exec *ex, optimizer *opt, test_params *t, int first, int last)
{
    for (int step = first; step <= last; step++) {
        test_params_fill(t->grad, t->elements, 0.01f, (uint64_t)(1000 + step));
        optimizer_step(ex, opt, t->items, t->count, 0.02 / step, 0.7f);
    }
}

static void test_threads_and_kernels_agree(void **state)
{
    int count;
    const float_kernels *const *fk = test_params_kernels(&count);
    (void)state;
    for (int o = 0; o < ALL_OPTIONS; o++) {
        test_params first = test_params_mixed();
        optimizer *expected = NULL;
        exec one = test_params_exec(fk[0], 1, 77);
        assert_ok(optimizer_create(&ctx, &all_options[o], first.items, first.count, &expected));
        run_steps(&one, expected, &first, 1, 4);
        for (int k = 0; k < count; k++)
            for (int threads = 1; threads <= 3; threads++) {
                test_params t = test_params_mixed();
                optimizer *opt = NULL;
                exec ex = test_params_exec(fk[k], threads, 77);
                assert_ok(optimizer_create(&ctx, &all_options[o], t.items, t.count, &opt));
                run_steps(&ex, opt, &t, 1, 4);
                assert_same_state(opt, expected);
                assert_memory_equal(t.value, first.value, (size_t)t.elements * sizeof(float));
                optimizer_destroy(opt);
                test_params_free(&t);
            }
        optimizer_destroy(expected);
        test_params_free(&first);
    }
}

/* Without gradients, weight decay shrinks what decays, by lr wd, and nothing else. */
static void test_decay_alone(void **state)
{
    (void)state;
    for (int o = 0; o < ALL_OPTIONS; o++) {
        optimizer_options options = all_options[o];
        test_params t = {0};
        optimizer *opt = NULL;
        exec ex = test_params_exec(&float_kernels__generic, 1, 3);
        for (int p = 0; p < 4; p++)
            test_params_add(&t, p < 2 ? 3 : 64, 80, p % 2 == 0); /* small and large */
        test_params_fill(t.value, t.elements, 1.0f, 9);
        options.weight_decay = 0.25;
        assert_ok(optimizer_create(&ctx, &options, t.items, t.count, &opt));
        float *before = malloc((size_t)t.elements * sizeof *before);
        assert_non_null(before);
        memcpy(before, t.value, (size_t)t.elements * sizeof *before);
        optimizer_step(&ex, opt, t.items, t.count, 0.5, 1.0f);
        for (int64_t p = 0, i = 0; p < t.count; p++)
            for (int64_t k = 0; k < param_size(t.items[p]); k++, i++) {
                const float expected = t.items[p]->decay ? 0.875f * before[i] : before[i];
                assert_true(fabsf(t.value[i] - expected) <= (t.items[p]->decay ? 1e-3f : 0.0f));
            }
        free(before);
        optimizer_destroy(opt);
        test_params_free(&t);
    }
}

static void copy_state(optimizer *to, const optimizer *from)
{
    for (int i = 0; i < optimizer_state_count(from); i++) {
        const optimizer_state x = optimizer_state_at(from, i);
        memcpy(optimizer_state_at(to, i).data, x.data, (size_t)x.count * element_bytes(x.dtype));
    }
}

/* Six steps in one go, and three, a copy of values and state, three more: the same bits. */
static void test_resume_is_exact(void **state)
{
    (void)state;
    for (int o = 0; o < ALL_OPTIONS; o++) {
        test_params a = test_params_mixed(), b = test_params_mixed();
        optimizer *straight = NULL, *resumed = NULL;
        exec ex = test_params_exec(&float_kernels__generic, 2, 78);
        const size_t bytes = (size_t)a.elements * sizeof(float);
        assert_ok(optimizer_create(&ctx, &all_options[o], a.items, a.count, &straight));
        run_steps(&ex, straight, &a, 1, 3);
        memcpy(b.value, a.value, bytes);
        assert_ok(optimizer_create(&ctx, &all_options[o], b.items, b.count, &resumed));
        copy_state(resumed, straight);
        assert_ok(optimizer_restored(&ctx, resumed, b.items, b.count));
        assert_memory_equal(a.value, b.value, bytes);
        run_steps(&ex, straight, &a, 4, 6);
        run_steps(&ex, resumed, &b, 4, 6);
        assert_memory_equal(a.value, b.value, bytes);
        assert_same_state(straight, resumed);
        assert_int_equal(*(int64_t *)optimizer_state_at(resumed, 0).data, 6);
        optimizer_destroy(straight);
        optimizer_destroy(resumed);
        test_params_free(&a);
        test_params_free(&b);
    }
}

/* Some of the parameters by themselves get the values that they get among all, sgd_int16's draws
 * included; the others, which are frozen, keep theirs. */
static void test_frozen_parameters(void **state)
{
    enum { TRAINED = 3 };
    static const int64_t trained[TRAINED] = {0, 3, 4}, frozen[] = {1, 2};
    (void)state;
    for (int o = 0; o < ALL_OPTIONS; o++) {
        test_params all = test_params_mixed(), some = test_params_mixed();
        test_params before = test_params_mixed();
        param *list[TRAINED];
        optimizer *expected = NULL, *opt = NULL;
        exec ex = test_params_exec(&float_kernels__generic, 2, 79);
        for (int i = 0; i < TRAINED; i++)
            list[i] = some.items[trained[i]];
        assert_ok(optimizer_create(&ctx, &all_options[o], all.items, all.count, &expected));
        assert_ok(optimizer_create(&ctx, &all_options[o], list, TRAINED, &opt));
        run_steps(&ex, expected, &all, 1, 3);
        for (int step = 1; step <= 3; step++) {
            test_params_fill(some.grad, some.elements, 0.01f, (uint64_t)(1000 + step));
            optimizer_step(&ex, opt, list, TRAINED, 0.02 / step, 0.7f);
        }
        for (int i = 0; i < TRAINED; i++)
            assert_memory_equal(list[i]->value, all.items[trained[i]]->value,
                                (size_t)param_size(list[i]) * sizeof(float));
        for (int i = 0; i < 2; i++)
            assert_memory_equal(some.items[frozen[i]]->value, before.items[frozen[i]]->value,
                                (size_t)param_size(some.items[frozen[i]]) * sizeof(float));
        optimizer_destroy(expected);
        optimizer_destroy(opt);
        test_params_free(&all);
        test_params_free(&some);
        test_params_free(&before);
    }
}

/* The names and shapes that checkpoints rely on, and the plan of memory.  Two of the five
 * parameters are kept in 8 bits: 16640 + 77100 elements in 65 + 302 blocks. */
static void test_states_and_bytes(void **state)
{
    enum { N = 93904, T = 5, L = 16640 + 77100, B = 65 + 302 };
    static const struct {
        const char *name;
        int64_t count;
    } expected[ALL_OPTIONS][9] = {
        {{"step", 1}, {"exp_avg", N}, {"exp_avg_sq", N}, {"beta_powers", 2}},
        {{"step", 1}, {"momentum_buffer", N}},
        {{"step", 1}},
        {{"step", 1},
         {"weight", N},
         {"weight_exponent", T},
         {"momentum_buffer", N},
         {"momentum_exponent", T}},
        {{"step", 1}, {"weight", N}, {"weight_exponent", T}},
        {{"step", 1},
         {"exp_avg_code", L},
         {"exp_avg_absmax", B},
         {"exp_avg_sq_code", L},
         {"exp_avg_sq_absmax", B},
         {"exp_avg", N - L},
         {"exp_avg_sq", N - L},
         {"beta_powers", 2}},
    };
    test_params t = test_params_mixed();
    (void)state;
    for (int o = 0; o < ALL_OPTIONS; o++) {
        const bool eight = all_options[o].class == &optimizer_adamw_8bit;
        optimizer_sizes sizes = {0};
        optimizer *opt = NULL;
        size_t bytes = eight ? sizeof(adamw_8bit_maps) : 0;
        int i = 0;
        for (int64_t p = 0; p < t.count; p++)
            optimizer_sizes_add(&sizes, all_options[o].class, param_size(t.items[p]));
        assert_int_equal(sizes.elements, t.elements);
        assert_ok(optimizer_create(&ctx, &all_options[o], t.items, t.count, &opt));
        for (; expected[o][i].name != NULL; i++) {
            const optimizer_state s = optimizer_state_at(opt, i);
            assert_string_equal(s.name, expected[o][i].name);
            assert_int_equal(s.count, expected[o][i].count);
            bytes += (size_t)s.count * element_bytes(s.dtype);
        }
        assert_int_equal(optimizer_state_count(opt), i);
        const size_t planned = optimizer_bytes(&all_options[o], &sizes);
        assert_true(planned > bytes && planned < bytes + 8192);
        optimizer_destroy(opt);
    }
    test_params_free(&t);
}

/* ------------------------------------------------------------------------------- failures ---- */

static void *state_data(const optimizer *opt, const char *name)
{
    for (int i = 0; i < optimizer_state_count(opt); i++)
        if (strcmp(optimizer_state_at(opt, i).name, name) == 0)
            return optimizer_state_at(opt, i).data;
    fail_msg("no state %s", name);
    return NULL;
}

static void refuse(optimizer *opt, const test_params *t, const char *text)
{
    assert_int_equal(optimizer_restored(&ctx, opt, t->items, t->count), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, text));
    assert_null(strchr(ctx.error, '\n'));
}

static void test_bad_states_are_refused(void **state)
{
    test_params t = test_params_mixed();
    optimizer *adamw = NULL, *sgd = NULL;
    (void)state;
    assert_ok(optimizer_create(&ctx, &all_options[0], t.items, t.count, &adamw));
    assert_ok(optimizer_create(&ctx, &all_options[1], t.items, t.count, &sgd));
    assert_ok(optimizer_restored(&ctx, adamw, t.items, t.count));

    double *powers = state_data(adamw, "beta_powers");
    powers[1] = 1.5;
    refuse(adamw, &t, "beta_powers, element 1: expected a finite number from 0 to 1, found 1.5");
    powers[1] = NAN;
    refuse(adamw, &t, "beta_powers, element 1");
    powers[1] = 0.5;
    float *squares = state_data(adamw, "exp_avg_sq");
    squares[9] = -1.0f;
    refuse(adamw, &t, "exp_avg_sq, element 9: expected a finite number not below 0, found -1");
    squares[9] = 0.0f;
    ((float *)state_data(adamw, "exp_avg"))[3] = INFINITY;
    refuse(adamw, &t, "exp_avg, element 3: expected a finite number, found inf");
    ((float *)state_data(adamw, "exp_avg"))[3] = -2.0f;
    assert_ok(optimizer_restored(&ctx, adamw, t.items, t.count));

    int64_t *step = state_data(sgd, "step");
    *step = -1;
    refuse(sgd, &t, "step: expected a number of steps, found -1");
    *step = INT64_MAX;
    refuse(sgd, &t, "step: expected a number of steps");
    *step = 5;
    ((float *)state_data(sgd, "momentum_buffer"))[93000] = NAN;
    refuse(sgd, &t, "momentum_buffer, element 93000");
    optimizer_destroy(adamw);
    optimizer_destroy(sgd);
    test_params_free(&t);
}

static void test_bad_8bit_states_are_refused(void **state)
{
    static const char *const names[] = {"exp_avg_absmax", "exp_avg_sq_absmax"};
    test_params t = test_params_mixed();
    optimizer *opt = NULL;
    (void)state;
    assert_ok(optimizer_create(&ctx, &all_options[5], t.items, t.count, &opt));
    assert_ok(optimizer_restored(&ctx, opt, t.items, t.count));
    for (int i = 0; i < 2; i++) {
        char text[80];
        float *absmax = state_data(opt, names[i]);
        snprintf(text, sizeof text, "%s, element 366: expected a finite number not below 0, found ",
                 names[i]);
        absmax[366] = -1e-3f; /* the last block: 65 + 302 of them */
        refuse(opt, &t, text);
        absmax[366] = INFINITY;
        refuse(opt, &t, text);
        absmax[366] = NAN;
        refuse(opt, &t, text);
        absmax[366] = 2.0f;
        assert_ok(optimizer_restored(&ctx, opt, t.items, t.count));
    }
    ((float *)state_data(opt, "exp_avg_sq"))[3] = -1.0f;
    refuse(opt, &t, "exp_avg_sq, element 3: expected a finite number not below 0, found -1");
    ((float *)state_data(opt, "exp_avg_sq"))[3] = 1.0f;
    ((float *)state_data(opt, "exp_avg"))[163] = NAN;
    refuse(opt, &t, "exp_avg, element 163: expected a finite number, found ");
    ((float *)state_data(opt, "exp_avg"))[163] = -1.0f;
    /* every code is a number */
    memset(state_data(opt, "exp_avg_code"), 0xff, 1000);
    memset(state_data(opt, "exp_avg_sq_code"), 0xff, 1000);
    assert_ok(optimizer_restored(&ctx, opt, t.items, t.count));
    optimizer_destroy(opt);
    test_params_free(&t);
}

static void test_memory_failure(void **state)
{
    test_params t = test_params_mixed();
    (void)state;
    for (int o = 0; o < ALL_OPTIONS; o++) {
        int64_t failures = 0;
        for (;; failures++) {
            optimizer *opt = NULL;
            mem_fail_after(failures);
            const mts_status st = optimizer_create(&ctx, &all_options[o], t.items, t.count, &opt);
            mem_fail_after(-1);
            if (st == MTS_OK) {
                optimizer_destroy(opt);
                break;
            }
            assert_int_equal(st, MTS_ERR_MEMORY);
            assert_null(opt);
            assert_non_null(strstr(ctx.error, "optimizer"));
        }
        assert_in_range(failures, 3, 12);
    }
    optimizer_destroy(NULL);
    test_params_free(&t);
}

/* ----------------------------------------------------------------------------------- dump ---- */

static double number(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void read_floats(float *out, const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        out[i] = (float)json_number_value(json_array_get(list, i));
}

/* Values after the last step and the norm at each; ends the program if a step is impossible. */
static json_t *run_case(const json_t *c)
{
    const json_t *shapes = json_object_get(c, "shapes"), *grads = json_object_get(c, "grads");
    const optimizer_options options = {
        .class = optimizer_class_find(json_string_value(json_object_get(c, "kind"))),
        .beta1 = number(c, "beta1"),
        .beta2 = number(c, "beta2"),
        .epsilon = number(c, "epsilon"),
        .momentum = number(c, "momentum"),
        .weight_decay = number(c, "weight_decay"),
    };
    json_t *value = json_array(), *norms = json_array();
    test_params t = {0};
    optimizer *opt = NULL;
    exec ex = test_params_exec(&float_kernels__generic, 2, 0);
    for (size_t p = 0; p < json_array_size(shapes); p++) {
        const json_t *shape = json_array_get(shapes, p);
        test_params_add(&t, json_integer_value(json_array_get(shape, 0)),
                        json_integer_value(json_array_get(shape, 1)),
                        json_is_true(json_array_get(json_object_get(c, "decay"), p)));
    }
    read_floats(t.value, json_object_get(c, "value"));
    if (options.class == NULL || optimizer_create(&ctx, &options, t.items, t.count, &opt) != MTS_OK)
        exit(1);
    for (size_t step = 0; step < json_array_size(grads); step++) {
        read_floats(t.grad, json_array_get(grads, step));
        const clip_result clip = clip_gradients(&ex, t.items, t.count, number(c, "max_norm"));
        const double rate = json_number_value(json_array_get(json_object_get(c, "rates"), step));
        optimizer_step(&ex, opt, t.items, t.count, rate, clip.factor);
        json_array_append_new(norms, json_real(clip.norm));
    }
    for (int64_t i = 0; i < t.elements; i++)
        json_array_append_new(value, json_real((double)t.value[i]));
    optimizer_destroy(opt);
    test_params_free(&t);
    return json_pack("{s:o, s:o}", "value", value, "norms", norms);
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

static int dump_maps(void)
{
    static dynamic_map map;
    for (int with_signs = 1; with_signs >= 0; with_signs--) {
        dynamic_map_make(&map, with_signs != 0);
        for (int c = 0; c < 256; c++)
            printf("%.9g\n", (double)map.value[c]);
    }
    return 0;
}

/* AdamW of some ranks: those elements get what they get alone, and of the others nothing changes:
 * neither the value nor the moments, gradient or decay. */
static void test_ranks(void **state)
{
    enum { ROWS = 40, COLS = 12, N = ROWS * COLS };
    exec ex = test_params_exec(&float_kernels__generic, 3, 0);
    (void)state;
    for (int ranks = PARAM_RANKS_ROWS; ranks <= PARAM_RANKS_COLS; ranks++) {
        test_params part = {0}, whole = {0};
        optimizer *some = NULL, *all = NULL;
        test_params_add(&part, ROWS, COLS, true);
        test_params_add(&whole, ROWS, COLS, true);
        for (int i = 0; i < N; i++) {
            part.value[i] = whole.value[i] = (float)((37 * i + 11) % 101 - 50) / 64.0f;
            part.grad[i] = whole.grad[i] = (float)((53 * i + 5) % 89 - 44) / 32.0f;
        }
        assert_ok(optimizer_create(&ctx, &all_options[0], part.items, part.count, &some));
        assert_ok(optimizer_create(&ctx, &all_options[0], whole.items, whole.count, &all));
        part.items[0]->ranks = (param_ranks)ranks;
        part.items[0]->first_rank = 3;
        part.items[0]->end_rank = 9;
        float before[N];
        memcpy(before, part.value, sizeof before);
        optimizer_step(&ex, some, part.items, part.count, 0.01, 1.0f);
        optimizer_step(&ex, all, whole.items, whole.count, 0.01, 1.0f);
        const float *m = optimizer_state_data(some, "exp_avg");
        const float *v = optimizer_state_data(some, "exp_avg_sq");
        for (int i = 0; i < N; i++) {
            const int k = ranks == PARAM_RANKS_ROWS ? i / COLS : i % COLS;
            if (k >= 3 && k < 9) {
                assert_true(part.value[i] == whole.value[i] && part.value[i] != before[i]);
            } else {
                assert_true(part.value[i] == before[i] && m[i] == 0.0f && v[i] == 0.0f);
            }
        }
        optimizer_destroy(some);
        optimizer_destroy(all);
        test_params_free(&part);
        test_params_free(&whole);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_adamw),
        cmocka_unit_test(test_adamw_huge_gradient),
        cmocka_unit_test(test_golden_sgd),
        cmocka_unit_test(test_beta_next_to_one),
        cmocka_unit_test(test_decay_alone),
        cmocka_unit_test(test_threads_and_kernels_agree),
        cmocka_unit_test(test_resume_is_exact),
        cmocka_unit_test(test_frozen_parameters),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_states_and_bytes),
        cmocka_unit_test(test_bad_states_are_refused),
        cmocka_unit_test(test_bad_8bit_states_are_refused),
        cmocka_unit_test(test_memory_failure),
    };
    if (argc == 2 && strcmp(argv[1], "--dump") == 0)
        return dump();
    if (argc == 2 && strcmp(argv[1], "--maps") == 0)
        return dump_maps();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
