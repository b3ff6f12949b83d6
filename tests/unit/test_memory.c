/*
 * Memory: base/memory itself, a model whose every allocation fails in turn, and the model's plan:
 * no shape, format or batch may take more from an arena than was planned (test_bert_deinit asks).
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

static mts_ctx ctx;

/* ---------------------------------------------------------------------------- base/memory ---- */

static void allocation(void **state)
{
    uint8_t *p = NULL;
    (void)state;
    assert_int_equal(mem_calloc(&ctx, &p, 7, 13, "bytes"), MTS_OK);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (int i = 0; i < 91; i++)
        assert_int_equal(p[i], 0);
    mem_free(p);
    assert_int_equal(mem_calloc(&ctx, &p, 0, 8, "nothing"), MTS_OK);
    assert_non_null(p);
    mem_free(p);
    mem_free(NULL);
}

/* Sizes that overflow, or that only their rounding to 64 bytes lets overflow. */
static void too_large(void **state)
{
    static const size_t sizes[][2] = {
        {SIZE_MAX, 2}, {SIZE_MAX / 2 + 1, 2}, {SIZE_MAX, 1}, {SIZE_MAX - 62, 1}, {SIZE_MAX / 8, 8}};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *p = (char *)&ctx;
        assert_int_equal(mem_calloc(&ctx, &p, sizes[i][0], sizes[i][1], "the table"),
                         MTS_ERR_MEMORY);
        assert_null(p);
        assert_non_null(strstr(ctx.error, "out of memory: the table"));
    }
}

static void growing(void **state)
{
    int32_t *p = NULL;
    (void)state;
    assert_int_equal(mem_grow(&ctx, &p, 0, 3, sizeof *p, "list"), MTS_OK);
    for (int i = 0; i < 3; i++)
        p[i] = i + 1;
    assert_int_equal(mem_grow(&ctx, &p, 3, 100, sizeof *p, "list"), MTS_OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], i < 3 ? i + 1 : 0);
    int32_t *before = p;
    mem_fail_after(0);
    assert_int_equal(mem_grow(&ctx, &p, 100, 200, sizeof *p, "list"), MTS_ERR_MEMORY);
    mem_fail_after(-1);
    assert_ptr_equal(p, before);
    assert_int_equal(p[2], 3);
    mem_free(p);
}

static void texts(void **state)
{
    char *p = NULL;
    (void)state;
    assert_int_equal(mem_strdup(&ctx, &p, "mantissa"), MTS_OK);
    assert_string_equal(p, "mantissa");
    mem_free(p);
    assert_int_equal(mem_strndup(&ctx, &p, "mantissa", 3), MTS_OK);
    assert_string_equal(p, "man");
    mem_free(p);
}

static void failure_injection(void **state)
{
    char *p = NULL;
    (void)state;
    mem_fail_after(2);
    for (int i = 0; i < 4; i++) {
        const mts_status st = mem_calloc(&ctx, &p, 1, 1, "byte");
        assert_int_equal(st, i == 2 ? MTS_ERR_MEMORY : MTS_OK);
        mem_free(p);
    }
    assert_int_equal(mem_fail_after(-1), 4);
}

static void arenas(void **state)
{
    arena a = {0};
    (void)state;
    assert_int_equal(arena_init(&ctx, &a, 256, "arena"), MTS_OK);
    uint8_t *first = arena_take(&a, 3, 1), *second = arena_take(&a, 65, 1);
    assert_ptr_equal(second, first + 64);
    assert_int_equal(a.used, 192);
    assert_int_equal((uintptr_t)first % 64, 0);
    assert_ptr_equal(arena_take(&a, 0, 5), first + 192);
    a.used = 64;
    arena_take(&a, 64, 1);
    assert_int_equal(a.used, 128);
    assert_int_equal(a.peak, 192);
    assert_int_equal(arena_check(&ctx, &a, "it"), MTS_OK);
    arena_deinit(&a);
    assert_null(a.base);
}

/* What an arena without memory says is what one with memory needs. */
static void measuring(void **state)
{
    static const size_t sizes[][2] = {{3, 1}, {64, 1}, {13, 5}, {0, 5}, {1000, 1000}};
    arena a, b;
    (void)state;
    arena_measure(&a);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const void *p = arena_take(&a, sizes[i][0], sizes[i][1]);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
    }
    assert_int_equal(a.peak, 64 + 64 + 128 + 0 + 1000000);
    a.used = 64;
    assert_int_equal(arena_init(&ctx, &b, a.peak, "arena"), MTS_OK);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        memset(arena_take(&b, sizes[i][0], sizes[i][1]), 1, sizes[i][0] * sizes[i][1]);
    assert_int_equal(b.used, b.bytes);
    assert_int_equal(arena_check(&ctx, &b, "it"), MTS_OK);
    arena_deinit(&b);
    /* more than any machine has: no overflow, and no such arena */
    arena_take(&a, SIZE_MAX / 8, 8);
    arena_take(&a, SIZE_MAX, SIZE_MAX);
    assert_int_equal(arena_init(&ctx, &b, a.peak, "all that"), MTS_ERR_MEMORY);
    arena_deinit(&a);
}

/* Taking more than there is writes over nothing, and is an error that can be asked for. */
static void beyond_the_plan(void **state)
{
    arena a;
    (void)state;
    assert_int_equal(arena_init(&ctx, &a, 128, "arena"), MTS_OK);
    uint8_t *all = arena_take(&a, 128, 1), *more[3];
    memset(all, 7, 128);
    for (int i = 0; i < 3; i++) {
        more[i] = arena_take(&a, 100, 1);
        assert_int_equal((uintptr_t)more[i] % 64, 0);
        memset(more[i], i, 128);
    }
    for (int i = 0; i < 128; i++)
        assert_true(all[i] == 7 && more[0][i] == 0 && more[1][i] == 1 && more[2][i] == 2);
    assert_int_equal(a.used, 128);
    assert_int_equal(arena_check(&ctx, &a, "the scratch"), MTS_ERR_MEMORY);
    assert_string_equal(ctx.error, "internal error: the scratch took 384 bytes more than the 128 "
                                   "that were planned");
    arena_deinit(&a); /* the sanitizers see that nothing leaks */
}

typedef struct fork_case {
    size_t bytes[5]; /* that the pieces take */
    uint8_t *taken[5];
} fork_case;

static void take_piece(void *arg, exec *ex, int64_t begin, int64_t end)
{
    fork_case *c = arg;
    for (int64_t i = begin; i < end; i++) {
        c->taken[i] = exec_take(ex, (int64_t)c->bytes[i], 1);
        if (!ex->dry)
            memset(c->taken[i], (int)i, c->bytes[i]);
    }
}

/* The threads of a fork share what is left; a piece larger than the first one is an error. */
static void forks(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    fork_case c = {.bytes = {1000, 10, 1000, 0, 999}};
    exec ex, dry;
    (void)state;
    test_exec_init(&ex, &format, 3);
    exec_dry(&dry, &ex);
    exec_take(&dry, 70, 1);
    exec_parallel_fork(&dry, 5, 1, take_piece, &c);
    assert_int_equal(dry.scratch.used, 128);
    assert_int_equal(dry.scratch.peak, 128 + 3 * 1024);
    assert_int_equal(arena_init(&ctx, &ex.scratch, dry.scratch.peak, "scratch"), MTS_OK);
    const uint8_t *mine = exec_take(&ex, 70, 1);
    exec_parallel_fork(&ex, 5, 1, take_piece, &c);
    assert_int_equal(ex.scratch.used, 128);
    assert_int_equal(ex.scratch.peak, ex.scratch.bytes);
    for (int i = 0; i < 5; i++) {
        const int64_t at = c.taken[i] - mine;
        assert_true(at == 128 || at == 128 + 1024 || at == 128 + 2048);
    }
    assert_int_equal(arena_check(&ctx, &ex.scratch, "scratch"), MTS_OK);
    c.bytes[3] = 1025;
    exec_parallel_fork(&ex, 5, 1, take_piece, &c);
    assert_int_equal(arena_check(&ctx, &ex.scratch, "scratch"), MTS_ERR_MEMORY);
    assert_int_equal(ex.scratch.beyond, 1088);
    arena_deinit(&ex.scratch);
}

/* ---------------------------------------------------------------------------- the model ---- */

static const dropout_rates dropout = {0.1f, 0.1f, 0.1f, 0.0f};

static const num_format *some_formats(int *count)
{
    static num_format list[10];
    list[0] = test_format_float(FORMAT_FP32);
    list[1] = test_format_float(FORMAT_BF16);
    list[2] = test_format_dfp(8, GROUP_TENSOR, true);
    list[3] = test_format_dfp(16, GROUP_TENSOR, false);
    list[4] = test_format_dfp(12, GROUP_ROW, true);
    list[5] = test_format_dfp(8, GROUP_BLOCK, true);
    list[6] = test_format_dfp(16, GROUP_BLOCK, true);
    list[7] = test_format_dfp(8, GROUP_ROW, true);
    list[7].activation_bits = 12;
    list[7].gradient_bits = 16;
    list[7].attention_bits = 9;
    list[7].norm_bits = 10;
    list[8] = test_format_dfp(8, GROUP_ROW, true);
    list[8].outlier_bits = 12;
    list[8].outlier_threshold = 5.0f;
    list[9] = list[8];
    list[9].group = GROUP_BLOCK;
    *count = 10;
    return list;
}

/* Each allocation of network_create fails once: an error with a text, nothing leaks, and cfg stays
 * ours. */
static void create_without_memory(void **state)
{
    static const char *const heads[] = {"classification", "spans", "tokens"};
    const test_shape shape = test_shape_full(&(test_shape){.layers = 2});
    network_options options = {
        .threads = 2, .seed = 1, .model = {.dropout = dropout}, .limits = {3, 20, 3, 20, 10, 0}};
    int count;
    const num_format *format = some_formats(&count);
    (void)state;
    for (int f = 0; f < count; f++) {
        int64_t n = 0;
        options.format = format[f];
        options.head = head_class_find(heads[f % 3]);
        options.watch_formats = f % 3 == 2;
        for (;; n++) {
            model_config cfg;
            network *net = (network *)&ctx;
            test_config_init(&cfg, &shape);
            mem_fail_after(n);
            const mts_status st = network_create(&ctx, &cfg, &options, &net);
            mem_fail_after(-1);
            if (st == MTS_OK) {
                assert_null(cfg.labels); /* taken over */
                model_config_deinit(&cfg);
                network_destroy(net);
                break;
            }
            assert_int_equal(st, MTS_ERR_MEMORY);
            assert_null(net);
            assert_non_null(strstr(ctx.error, "out of memory"));
            assert_int_equal(cfg.hidden_size, shape.width);
            model_config_deinit(&cfg);
        }
        assert_true(n >= 7);
    }
    network_destroy(NULL);
}

static void assert_finite(const test_bert *t, bool gradient)
{
    for (int64_t i = 0; i < network_outputs(t->net, &t->in); i++)
        assert_true(isfinite(t->logits[i]));
    for (int64_t i = 0; gradient && i < t->net->params.elements; i++)
        assert_true(isfinite(t->net->params.grad[i]));
}

/* Training on the first sequences, evaluation on all, twice: within the arenas. */
static void use_model(const test_shape *shape, const num_format *format, int threads)
{
    test_bert t;
    test_bert_init(&t, shape, format, threads, &dropout);
    const model_input all = t.in;
    for (int round = 0; round < 2; round++) {
        test_set_outliers(&t.net->ex, round);
        if (shape->train_sequences >= 0) {
            const int64_t n = shape->train_sequences;
            t.in.seq.count = n > 0 ? n : all.seq.count;
            t.in.seq.tokens = t.offset[t.in.seq.count];
            test_bert_gradient(&t);
            assert_finite(&t, true);
            network_weights_changed(t.net);
            t.pass.step++;
        }
        t.in = all;
        test_bert_evaluate(&t);
        assert_finite(&t, false);
    }
    test_bert_deinit(&t);
}

static test_shape random_shape(test_random *r)
{
    test_shape s = {.vocab = 1 + test_random_below(r, 70),
                    .heads = 1 + test_random_below(r, 5),
                    .intermediate = 1 + test_random_below(r, 150),
                    .layers = 1 + test_random_below(r, 4),
                    .positions = 70,
                    .labels = 1 + test_random_below(r, 4),
                    .sequences = 1 + test_random_below(r, 5)};
    s.width = s.heads * (1 + test_random_below(r, 24));
    for (int64_t e = 0; e < s.sequences; e++)
        s.lengths[e] = 1 + test_random_below(r, test_random_below(r, 3) == 0 ? 70 : 9);
    s.train_sequences = test_random_below(r, 4) == 0 ? -1 : 1 + test_random_below(r, s.sequences);
    if (test_random_below(r, 3) == 0)
        s.head = "spans";
    return s;
}

static void random_models(void **state)
{
    test_random r = test_random_make("shapes");
    int count;
    const num_format *format = some_formats(&count);
    (void)state;
    for (int i = 0; i < 100; i++) {
        const test_shape s = random_shape(&r);
        use_model(&s, &format[i % count], i % 3 == 0 ? 3 : 1);
    }
}

/* The corners: one token, one row, narrow inside, wider than long, longer than wide, no training.
 */
static void corner_models(void **state)
{
    static const test_shape shapes[] = {
        {.sequences = 1, .lengths = {1}},
        {.sequences = 1,
         .lengths = {1},
         .width = 1,
         .heads = 1,
         .intermediate = 1,
         .layers = 1,
         .vocab = 1,
         .labels = 1},
        {.sequences = 4, .lengths = {1, 1, 1, 1}, .labels = 1},
        {.width = 64, .intermediate = 8},
        {.width = 4, .heads = 4, .intermediate = 300},
        {.width = 130, .heads = 1, .sequences = 2, .lengths = {3, 2}},
        {.width = 8, .heads = 2, .positions = 200, .sequences = 2, .lengths = {200, 1}},
        {.head = "spans"},
        {.head = "spans", .width = 4, .heads = 1, .intermediate = 4, .recompute = true},
        {.head = "tokens"},
        {.head = "tokens", .labels = 200, .recompute = true},
        {.head = "tokens", .width = 4, .heads = 1, .intermediate = 4, .labels = 2},
        {.labels = 200, .sequences = 8, .lengths = {1, 2, 1, 2, 1, 2, 1, 2}},
        {.head = "multi_label", .labels = 7, .sequences = 2, .lengths = {5, 2}},
        {.layers = 1, .recompute = true},
        {.layers = 5, .recompute = true, .intermediate = 8},
        {.positions = 90, .sequences = 3, .lengths = {90, 70, 64}},
        {.train_sequences = -1, .layers = 1},
        {.train_sequences = -1, .layers = 5},
        {.train_sequences = 1,
         .layers = 1,
         .sequences = 8,
         .positions = 40,
         .lengths = {1, 40, 40, 40, 40, 40, 40, 40}},
    };
    int count;
    const num_format *format = some_formats(&count);
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int f = 0; f < count; f++)
            for (int threads = 1; threads <= 3; threads += 2)
                use_model(&shapes[i], &format[f], threads);
}

static void check_plan(const test_shape *shape, const num_format *format)
{
    test_bert t;
    network_plan plan;
    param_list declared = {0};
    const char *prefix;
    test_bert_init(&t, shape, format, 2, &dropout);
    const network *net = t.net;
    assert_int_equal(network_plan_make(&ctx, &net->cfg, &net->options, NULL, &plan), MTS_OK);
    assert_int_equal(plan.parameters, (size_t)net->params.elements * sizeof(float));
    assert_int_equal(plan.gradients, plan.parameters);
    assert_int_equal(plan.packed_weights, net->packed.bytes);
    assert_int_equal(plan.activations, net->kept.bytes);
    assert_int_equal(plan.scratch, net->ex.scratch.bytes);
    assert_int_equal(network_declare(&ctx, &net->cfg, net->options.head, &declared, &prefix),
                     MTS_OK);
    assert_string_equal(prefix, "bert.");
    assert_int_equal(net->params.count, declared.count);
    for (int64_t i = 0; i < declared.count; i++) {
        const param *p = net->params.items[i], *same = declared.items[i];
        assert_string_equal(p->name, same->name);
        assert_true(p->rows == same->rows && p->cols == same->cols && p->vector == same->vector);
        assert_null(same->value);
    }
    param_list_deinit(&declared);
    test_set_outliers(&t.net->ex, 256);
    test_bert_gradient(&t);
    assert_int_equal(net->kept.used, net->kept.bytes); /* no more than needed */
    assert_int_equal(net->packed.used, net->packed.bytes);
    if (format->kind != FORMAT_BF16) /* whose plan is for a library without products of it, too */
        assert_int_equal(net->ex.scratch.peak, net->ex.scratch.bytes);
    test_bert_deinit(&t);
}

/* The plan that is printed is what is allocated. */
static void plan_is_kept(void **state)
{
    int count;
    const num_format *format = some_formats(&count);
    (void)state;
    for (int f = 0; f < count; f++)
        for (int64_t layers = 1; layers <= 4; layers++)
            for (int recompute = 0; recompute < 2; recompute++) {
                test_shape shape = test_shape_full(&(test_shape){.layers = layers});
                shape.recompute = recompute == 1;
                check_plan(&shape, &format[f]);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocation),
        cmocka_unit_test(too_large),
        cmocka_unit_test(growing),
        cmocka_unit_test(texts),
        cmocka_unit_test(failure_injection),
        cmocka_unit_test(arenas),
        cmocka_unit_test(measuring),
        cmocka_unit_test(beyond_the_plan),
        cmocka_unit_test(forks),
        cmocka_unit_test(create_without_memory),
        cmocka_unit_test(random_models),
        cmocka_unit_test(corner_models),
        cmocka_unit_test(plan_is_kept),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
