/*
 * The head of a class for each token (heads/tokens.c).
 *
 *   by itself  gradients of hidden states, weight and bias against central differences of the loss,
 *              with and without dropout; tokens without a tag have none; scale multiplies them
 *   on a BERT  in fp32 and each exponent group: the same bits with 1 and 3 threads, within the plan
 *              of the memory; integers follow fp32
 */
#include "support/test_check.h"

#include <math.h>

#include "heads/head.h"
#include "support/test_model.h"

enum { TOKENS = 11, WIDTH = 6, LABELS = 4 };

static mts_ctx ctx;

typedef struct head_case {
    exec ex;
    model_config cfg;
    head *h;
    param_list params;
    arena storage;
    model_input in;
    int64_t offset[4];
    targets targets;
    float x[TOKENS * WIDTH], dx[TOKENS * WIDTH], other[TOKENS * WIDTH];
    float scale;
} head_case;

static void bind(void *arg)
{
    head_case *c = arg;
    c->h->class->bind(c->h, &c->ex, &c->storage);
    c->h->class->bind_batch(c->h, &c->ex, &c->in, &c->storage);
}

static void run(void *arg)
{
    head_case *c = arg;
    (void)c->h->class->learn(c->h, &c->ex, &c->in, c->x, &c->targets, c->scale, c->dx);
}

/* The loss of c->x, in training: with the dropout of the step. */
static double loss(void *arg)
{
    head_case *c = arg;
    return c->h->class->learn(c->h, &c->ex, &c->in, c->x, &c->targets, c->scale, c->other);
}

static void case_init(head_case *c, float dropout)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    const test_shape shape =
        test_shape_full(&(test_shape){.width = WIDTH, .heads = 2, .labels = LABELS});
    const model_options options = {.dropout = {.classifier = dropout}};
    test_random r = test_random_make("tokens");
    *c = (head_case){.offset = {0, 4, 5, TOKENS}, .scale = 1.0f};
    c->in.seq = (sequences){3, TOKENS, 6, c->offset};
    test_config_init(&c->cfg, &shape);
    test_exec_init(&c->ex, &fp32, 1);
    assert_ok(head_create(&ctx, head_class_find("tokens"), &bert_class, &c->cfg, &options, &c->h));
    c->h->class->declare(c->h, &c->params);
    assert_ok(param_list_allocate(&ctx, &c->params, true));
    for (int64_t i = 0; i < c->params.count; i++)
        test_fill_normal(&r, c->params.items[i]->value, param_size(c->params.items[i]), 0.0, 0.5);
    test_fill_normal(&r, c->x, TOKENS * WIDTH, 0.0, 1.0);
    assert_ok(targets_init(&ctx, &c->targets, TARGET_TAGS, 0, 3, TOKENS));
    for (int64_t t = 0; t < TOKENS; t++)
        c->targets.index[t] = t % 4 == 1 ? TARGET_IGNORED : (int32_t)(t % LABELS);
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
}

static void case_deinit(head_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    head_destroy(c->h);
    param_list_deinit(&c->params);
    targets_deinit(&c->targets);
    model_config_deinit(&c->cfg);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

static void test_differences(void **state)
{
    static const float rates[] = {0.0f, 0.4f};
    (void)state;
    for (int i = 0; i < 2; i++) {
        head_case c;
        case_init(&c, rates[i]);
        const param *w = c.params.items[0], *b = c.params.items[1];
        float dw[LABELS * WIDTH], db[LABELS];
        assert_string_equal(w->name, "classifier.weight");
        assert_string_equal(b->name, "classifier.bias");
        run(&c);
        memcpy(dw, w->grad, sizeof dw);
        memcpy(db, b->grad, sizeof db);
        test_assert_gradient("dx", loss, &c, c.x, c.dx, TOKENS * WIDTH, 0.02f, 1e-3, 1e-4);
        test_assert_gradient("dw", loss, &c, w->value, dw, LABELS * WIDTH, 0.02f, 1e-3, 1e-4);
        test_assert_gradient("db", loss, &c, b->value, db, LABELS, 0.02f, 1e-3, 1e-4);
        for (int64_t t = 1; t < TOKENS; t += 4)
            for (int64_t j = 0; j < WIDTH; j++)
                assert_true(c.dx[t * WIDTH + j] == 0.0f);
        case_deinit(&c);
    }
}

/* Half the scale, half the gradient, and the same loss; no tags at all: loss and gradient 0. */
static void test_scale(void **state)
{
    head_case c;
    float whole[TOKENS * WIDTH];
    (void)state;
    case_init(&c, 0.0f);
    const double first = loss(&c);
    run(&c);
    memcpy(whole, c.dx, sizeof whole);
    c.scale = 0.5f;
    assert_true(loss(&c) == first);
    run(&c);
    for (int64_t i = 0; i < TOKENS * WIDTH; i++)
        assert_true(c.dx[i] == 0.5f * whole[i]);
    for (int64_t t = 0; t < TOKENS; t++)
        c.targets.index[t] = TARGET_IGNORED;
    assert_true(loss(&c) == 0.0);
    run(&c);
    for (int64_t i = 0; i < TOKENS * WIDTH; i++)
        assert_true(c.dx[i] == 0.0f);
    case_deinit(&c);
}

static void test_on_bert(void **state)
{
    const dropout_rates dropout = {.hidden = 0.1f, .attention = 0.1f, .classifier = 0.3f};
    const num_format formats[] = {
        test_format_float(FORMAT_FP32), test_format_dfp(8, GROUP_ROW, true),
        test_format_dfp(12, GROUP_TENSOR, false), test_format_dfp(16, GROUP_BLOCK, false)};
    const test_shape shape = {.head = "tokens", .labels = 5};
    float *reference = NULL;
    (void)state;
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        test_bert t[2];
        for (int i = 0; i < 2; i++) {
            test_bert_init(&t[i], &shape, &formats[f], 1 + 2 * i, &dropout);
            test_bert_gradient(&t[i]);
            assert_int_equal(t[i].net->kept.used, t[i].net->kept.bytes);
            assert_int_equal(t[i].net->ex.scratch.peak, t[i].net->ex.scratch.bytes);
        }
        const param_list *one = &t[0].net->params, *three = &t[1].net->params;
        test_assert_same("outputs", t[1].logits, t[0].logits, t[0].outputs);
        test_assert_same("gradient", three->grad, one->grad, one->elements);
        if (f == 0) {
            reference = test_floats(one->elements);
            memcpy(reference, one->grad, (size_t)one->elements * sizeof *reference);
        }
        test_assert_at_least("cosine with fp32", test_cosine(one->grad, reference, one->elements),
                             f == 1 ? 0.97 : 0.999, "");
        test_bert_deinit(&t[0]);
        test_bert_deinit(&t[1]);
    }
    mem_free(reference);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_differences),
        cmocka_unit_test(test_scale),
        cmocka_unit_test(test_on_bert),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
