/*
 * The backward of a whole tiny BERT: float against finite differences, integers against float, and
 * the same bits from any number of threads and any family of kernels.
 *
 *   fp32      directional derivative along a random direction of each parameter by itself and of
 *             all together, with and without dropout, classification and regression
 *   formats   cosine and signal-to-noise ratio of the whole gradient against fp32 by width; mixed
 *             rounding gives the logits of nearest rounding, bit for bit
 *   bits      logits and gradients by memcmp
 *   draws     each layer and each place of dropout has its own, anew in each step; none are left of
 *             training in evaluation
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "heads/first_token.h"
#include "models/bert_internal.h"
#include "support/test_model.h"

static const test_shape plain_shape;
static const dropout_rates some_dropout = {0.1f, 0.15f, 0.2f, 0.0f};

/* ---------------------------------------------------------------------- finite differences ---- */

/* The loss as a function of one step along `direction` from `origin`. */
typedef struct line {
    test_bert *t;
    const float *origin, *direction;
    int64_t begin, end; /* elements that move */
    float step;
} line;

static double loss_on_line(void *arg)
{
    const line *l = arg;
    float *value = l->t->net->params.value;
    for (int64_t i = l->begin; i < l->end; i++)
        value[i] = l->origin[i] + l->step * l->direction[i];
    network_weights_changed(l->t->net);
    const double loss = test_bert_loss(l->t);
    memcpy(value + l->begin, l->origin + l->begin, (size_t)(l->end - l->begin) * sizeof *value);
    return loss;
}

/* Slope along the direction by differences, and as the gradient says; the direction has length 1.
 */
static void check_direction(line *l, const char *what)
{
    const param_list *table = &l->t->net->params;
    const int64_t n = l->end - l->begin;
    const double expected = test_difference(loss_on_line, l, &l->step, 4e-3f);
    const double found = test_dot(l->direction + l->begin, table->grad + l->begin, n);
    const double size = sqrt(test_dot(table->grad + l->begin, table->grad + l->begin, n));
    const double bound = 5e-3 * fabs(found) + 2e-3 * size + 3e-4; /* floats: noise of 1e-6 / h */
    if (!(fabs(found - expected) <= bound))
        fail_msg("%s: slope %.7g, differences give %.7g, allowed error %.3g (gradient of length "
                 "%.4g)",
                 what, found, expected, bound, size);
}

/* A direction with a good part of the gradient in it, so that the slope is far from zero. */
static void make_direction(test_random *r, float *direction, const float *grad, int64_t n)
{
    const double size = sqrt(test_dot(grad, grad, n));
    test_fill_normal(r, direction, n, 0.0, 1.0 / sqrt((double)n));
    for (int64_t i = 0; i < n; i++)
        direction[i] += (float)((double)grad[i] / (size + 1e-30));
    const double length = sqrt(test_dot(direction, direction, n));
    for (int64_t i = 0; i < n; i++)
        direction[i] = (float)((double)direction[i] / length);
}

/* Where the values of p lie among those of all parameters. */
static int64_t offset_of(const param_list *list, const param *p)
{
    return p->value - list->value;
}

static void check_model(const test_shape *shape, const dropout_rates *dropout, activation_kind act)
{
    const num_format format = test_format_float(FORMAT_FP32);
    test_random r = test_random_make("directions");
    test_bert t;
    test_bert_init(&t, shape, &format, 1, dropout);
    for (int64_t l = 0; l < t.net->cfg.num_hidden_layers; l++)
        t.model->layers[l].act.kind = act;
    t.pass.step = 3;
    const param_list *table = &t.net->params;
    float *origin = test_floats(table->elements), *direction = test_floats(table->elements);
    test_bert_gradient(&t);
    memcpy(origin, table->value, (size_t)table->elements * sizeof *origin);
    for (int64_t i = 0; i < table->count; i++) {
        const param *p = table->items[i];
        line l = {
            &t,  origin, direction, offset_of(table, p), offset_of(table, p) + p->rows * p->cols,
            0.0f};
        make_direction(&r, direction + offset_of(table, p), p->grad, p->rows * p->cols);
        check_direction(&l, p->name);
    }
    line all = {&t, origin, direction, 0, table->elements, 0.0f};
    make_direction(&r, direction, table->grad, table->elements);
    check_direction(&all, "all parameters");
    mem_free(origin);
    mem_free(direction);
    test_bert_deinit(&t);
}

static void differences(void **state)
{
    const test_shape regression = {.labels = 1, .layers = 3, .intermediate = 24};
    (void)state;
    check_model(&plain_shape, NULL, ACTIVATION_GELU);
    check_model(&plain_shape, &some_dropout, ACTIVATION_GELU);
    check_model(&regression, &some_dropout, ACTIVATION_GELU);
    check_model(&plain_shape, NULL, ACTIVATION_GELU_TANH);
    check_model(&plain_shape, NULL, ACTIVATION_SILU);
    check_model(&plain_shape, NULL, ACTIVATION_TANH);
}

/* Every element of the position table and of one layer's biases: no strip or row is left out. */
static void each_element(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    test_bert t;
    (void)state;
    test_bert_init(&t, &plain_shape, &format, 1, &some_dropout);
    const param_list *table = &t.net->params;
    float *origin = test_floats(table->elements), *direction = test_floats(table->elements);
    test_bert_gradient(&t);
    memcpy(origin, table->value, (size_t)table->elements * sizeof *origin);
    for (int64_t i = 0; i < table->count; i++) {
        const param *p = table->items[i];
        for (int64_t k = 0;
             (p->vector || strstr(p->name, "token_type") != NULL) && k < p->rows * p->cols; k++) {
            line l = {&t,  origin, direction, offset_of(table, p) + k, offset_of(table, p) + k + 1,
                      0.0f};
            direction[offset_of(table, p) + k] = 1.0f;
            check_direction(&l, p->name);
        }
    }
    mem_free(origin);
    mem_free(direction);
    test_bert_deinit(&t);
}

/* ----------------------------------------------------------------------- formats against fp32 ----
 */

/* Behind each layer norm the first two features become far larger than the others. */
static void plant_outliers(test_bert *t)
{
    for (int64_t i = 0; i < t->net->params.count; i++) {
        param *p = t->net->params.items[i];
        if (strstr(p->name, "LayerNorm.bias") != NULL) {
            p->value[0] = 30.0f;
            p->value[1] = -30.0f;
        }
    }
    network_weights_changed(t->net);
}

static void compare_with_fp32(const num_format *format, const char *what, double cosine, double snr)
{
    const test_shape shape = {.layers = 2, .width = 96, .heads = 4, .intermediate = 160};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    test_bert a, b;
    test_bert_init(&a, &shape, format, 1, &some_dropout);
    test_bert_init(&b, &shape, &fp32, 1, &some_dropout);
    if (format->outlier_bits > 0) {
        plant_outliers(&a);
        plant_outliers(&b);
    }
    test_bert_gradient(&a);
    test_bert_gradient(&b);
    const int64_t n = a.net->params.elements;
    const float *found = a.net->params.grad, *expected = b.net->params.grad;
    printf("  %s\n", what);
    test_assert_at_least("cosine", test_cosine(found, expected, n), cosine, "");
    test_assert_at_least("gradient", test_snr_db(found, expected, n), snr, "dB");
    test_assert_at_least("logits", test_snr_db(a.logits, b.logits, a.outputs), snr, "dB");
    test_bert_deinit(&a);
    test_bert_deinit(&b);
}

static void formats(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const struct {
        int bits;
        double cosine, snr;
    } bounds[] = {{8, 0.985, 15.5}, {10, 0.999, 28}, {12, 0.9999, 40}, {16, 0.999999, 63}};
    static const rounding_kind roundings[] = {ROUNDING_NEAREST, ROUNDING_STOCHASTIC,
                                              ROUNDING_MIXED};
    static const char *const names[] = {"nearest", "stochastic", "mixed"};
    const num_format bf16 = test_format_float(FORMAT_BF16);
    (void)state;
    for (int g = 0; g < 3; g++)
        for (int r = 0; r < 3; r++)
            for (size_t i = 0; i < 4; i++) {
                char what[64];
                num_format f = test_format_dfp(bounds[i].bits, groups[g], false);
                f.rounding = roundings[r];
                snprintf(what, sizeof what, "int%d %s %s", bounds[i].bits,
                         test_group_name(groups[g]), names[r]);
                compare_with_fp32(&f, what, bounds[i].cosine, bounds[i].snr);
                if (bounds[i].bits > 8)
                    continue;
                snprintf(what, sizeof what, "int8 %s %s with outliers", test_group_name(groups[g]),
                         names[r]);
                f.outlier_bits = 12;
                compare_with_fp32(&f, what, bounds[i].cosine, bounds[i].snr);
            }
    compare_with_fp32(&bf16, "bf16", 0.9998, 38);
}

/* Mixed rounding: the logits of nearest rounding, bit for bit; another gradient in each step. */
static void mixed_rounding(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int g = 0; g < 3; g++) {
        test_bert t[3]; /* nearest; mixed; mixed again, in the next micro-batch */
        num_format f = test_format_dfp(8, groups[g], false);
        for (int i = 0; i < 3; i++) {
            test_bert_init(&t[i], &plain_shape, &f, 1, NULL);
            t[i].pass.step = i == 2;
            test_bert_gradient(&t[i]);
            test_assert_same("logits", t[i].logits, t[0].logits, t[0].outputs);
            const param_list *table = &t[i].net->params;
            for (int k = 0; k < i; k++)
                assert_memory_not_equal(table->grad, t[k].net->params.grad,
                                        (size_t)table->elements * sizeof(float));
            f.rounding = ROUNDING_MIXED;
        }
        for (int i = 0; i < 3; i++)
            test_bert_deinit(&t[i]);
    }
}

/* ------------------------------------------------------------------------------- same bits ---- */

static void assert_same_model(const char *what, const test_bert *a, const test_bert *b)
{
    test_assert_same(what, a->logits, b->logits, a->outputs);
    for (int64_t i = 0; i < a->net->params.count; i++) {
        char text[400];
        const param *p = a->net->params.items[i], *q = b->net->params.items[i];
        snprintf(text, sizeof text, "%s: %s", what, p->name);
        test_assert_same(text, p->grad, q->grad, p->rows * p->cols);
    }
}

/* Sizes that are no multiple of a tile or a block, and more than one block. */
static const test_shape odd_shape = {.width = 84,
                                     .heads = 6,
                                     .intermediate = 130,
                                     .positions = 40,
                                     .sequences = 5,
                                     .lengths = {33, 1, 2, 40, 17}};

static const num_format *bit_formats(int *count)
{
    static num_format formats[14];
    static const int widths[] = {8, 12, 16};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    for (int i = 0; i < 9; i++)
        formats[i] = test_format_dfp(widths[i % 3], groups[i / 3], true);
    formats[9] = test_format_dfp(8, GROUP_ROW, false);
    formats[9].activation_bits = 12;
    formats[9].gradient_bits = 10;
    formats[9].attention_bits = 9;
    formats[9].norm_bits = 16;
    formats[10] = test_format_dfp(8, GROUP_ROW, false);
    formats[10].rounding = ROUNDING_MIXED;
    for (int i = 11; i < 14; i++) {
        formats[i] = test_format_dfp(8, groups[i - 11], true);
        formats[i].outlier_bits = 12;
    }
    *count = 14;
    return formats;
}

static void threads(void **state)
{
    int count;
    const num_format *format = bit_formats(&count);
    (void)state;
    for (int i = 0; i < count; i++) {
        test_bert first, other;
        test_bert_init(&first, &odd_shape, &format[i], 1, &some_dropout);
        test_bert_gradient(&first);
        for (int n = 2; n <= 3; n++) {
            char what[64];
            snprintf(what, sizeof what, "%d threads, %d bits, %s", n, format[i].activation_bits,
                     test_group_name(format[i].group));
            test_bert_init(&other, &odd_shape, &format[i], n, &some_dropout);
            test_bert_gradient(&other);
            assert_same_model(what, &other, &first);
            test_bert_deinit(&other);
        }
        test_bert_deinit(&first);
    }
}

static void families(void **state)
{
    const gemm_family *list[8];
    const int families = test_families(list);
    int count;
    const num_format *format = bit_formats(&count);
    (void)state;
    test_shape shape = odd_shape;
    shape.layers = 1; /* instruction by instruction emulation is slow */
    for (int i = 0; i < count; i++) {
        test_bert first, other;
        shape.family = &gemm_family_ref;
        test_bert_init(&first, &shape, &format[i], 1, &some_dropout);
        test_bert_gradient(&first);
        for (int f = 0; f < families; f++) {
            char what[64];
            snprintf(what, sizeof what, "%s, %d bits, %s", list[f]->name, format[i].activation_bits,
                     test_group_name(format[i].group));
            shape.family = list[f];
            test_bert_init(&other, &shape, &format[i], 1, &some_dropout);
            test_bert_gradient(&other);
            assert_same_model(what, &other, &first);
            test_bert_deinit(&other);
        }
        test_bert_deinit(&first);
    }
    printf("  families:");
    for (int f = 0; f < families; f++)
        printf(" %s", list[f]->name);
    printf("\n");
    assert_true(families >= 1);
}

/* More rows than one piece has: cut differently for each number of threads, and layers computed
 * again in the backward, always the same bits. */
static void pieces(void **state)
{
    int count;
    const num_format *format = bit_formats(&count);
    test_shape shape = {
        .layers = 3, .positions = 96, .sequences = 5, .lengths = {90, 33, 64, 1, 77}};
    (void)state;
    for (int i = 0; i < count; i++) {
        test_bert first, other;
        shape.recompute = false;
        test_bert_init(&first, &shape, &format[i], 1, &some_dropout);
        test_bert_gradient(&first);
        for (int threads = 1; threads <= 3; threads++)
            for (int again = 0; again < 2; again++) {
                char what[80];
                snprintf(what, sizeof what, "%d threads, %d bits, %s%s", threads,
                         format[i].activation_bits, test_group_name(format[i].group),
                         again ? ", recompute" : "");
                shape.recompute = again == 1;
                test_bert_init(&other, &shape, &format[i], threads, &some_dropout);
                test_bert_gradient(&other);
                assert_same_model(what, &other, &first);
                test_bert_deinit(&other);
            }
        test_bert_deinit(&first);
    }
}

/* A sequence's logits do not depend on what else is in the batch (row mode, nearest rounding). */
static void batch_independence(void **state)
{
    num_format formats[] = {test_format_float(FORMAT_FP32), test_format_dfp(8, GROUP_ROW, false),
                            test_format_dfp(8, GROUP_ROW, false)};
    (void)state;
    formats[2].outlier_bits = 12;
    for (int i = 0; i < 3; i++) {
        test_bert t;
        test_bert_init(&t, &odd_shape, &formats[i], 1, NULL);
        test_bert_evaluate(&t);
        const int64_t labels = t.net->cfg.num_labels;
        for (int64_t e = 0; e < t.in.seq.count; e++) {
            float alone[8];
            const int64_t first = t.offset[e], length = t.offset[e + 1] - first;
            const int64_t offset[2] = {0, length};
            const model_input in = {{1, length, length, offset},
                                    t.ids + first,
                                    t.type_ids + first,
                                    t.positions + first,
                                    NULL};
            (void)network_predict(t.net, &in, NULL, alone);
            if (i > 0)
                test_assert_same("alone", alone, t.logits + e * labels, labels);
            else
                test_assert_at_least("alone", test_snr_db(alone, t.logits + e * labels, labels),
                                     100.0, "dB");
        }
        test_bert_deinit(&t);
    }
}

/* Evaluation keeps less memory but gives the logits of a training forward with the same rounding.
 */
static void evaluation(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int64_t layers = 1; layers <= 5; layers++)
        for (int g = 0; g < 6; g++) {
            const test_shape shape = {.layers = layers};
            num_format format = test_format_dfp(10, groups[g % 3], false);
            test_bert t;
            format.outlier_bits = g < 3 ? 0 : 12;
            test_bert_init(&t, &shape, &format, 1, NULL);
            float *trained = test_floats(t.outputs);
            (void)test_bert_loss(&t);
            memcpy(trained, t.logits, (size_t)t.outputs * sizeof *trained);
            test_bert_evaluate(&t);
            test_assert_same("evaluation", t.logits, trained, t.outputs);
            mem_free(trained);
            test_bert_deinit(&t);
        }
}

/* After a training forward with stochastic rounding, evaluation maps the weights anew, to nearest:
 * its logits are those of a model that never trained. */
static void evaluation_after_training(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    (void)state;
    for (int g = 0; g < 6; g++) {
        test_bert t[2];
        for (int i = 0; i < 2; i++) {
            num_format format = test_format_dfp(8, groups[g % 3], i == 0);
            format.outlier_bits = g < 3 ? 0 : 12;
            test_bert_init(&t[i], &plain_shape, &format, 1, &some_dropout);
            if (i == 0)
                (void)test_bert_loss(&t[i]);
            test_bert_evaluate(&t[i]);
        }
        test_assert_same("evaluation", t[0].logits, t[1].logits, t[0].outputs);
        test_bert_deinit(&t[0]);
        test_bert_deinit(&t[1]);
    }
}

/* Each place of dropout draws anew in each step: the losses of four steps differ. */
static void dropout_steps(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    const dropout_rates dropouts[] = {{0.5f, 0, 0, 0}, {0, 0.5f, 0, 0}, {0, 0, 0.5f, 0}};
    (void)state;
    for (int d = 0; d < 3; d++) {
        double loss[4];
        test_bert t;
        test_bert_init(&t, &plain_shape, &format, 1, &dropouts[d]);
        for (int step = 0; step < 4; step++) {
            t.pass.step = (uint64_t)step;
            loss[step] = test_bert_loss(&t);
            for (int k = 0; k < step; k++)
                assert_true(loss[step] != loss[k]);
        }
        t.pass.step = 0;
        assert_true(test_bert_loss(&t) == loss[0]);
        test_bert_deinit(&t);
    }
}

/* No two layers and no two places of dropout share a stream of random numbers. */
static void streams(void **state)
{
    enum { LAYERS = 3, OTHERS = 10, PER_LAYER = 14 };
    const test_shape shape = {.layers = LAYERS};
    const num_format format = test_format_dfp(8, GROUP_ROW, true);
    int id[OTHERS + LAYERS * PER_LAYER], n = 0;
    test_bert t;
    (void)state;
    test_bert_init(&t, &shape, &format, 1, NULL);
    const bert *m = t.model;
    const first_token *h = (const first_token *)t.net->head;
    const int others[OTHERS] = {
        m->word.id,           m->position.id,        m->type.id,
        m->embedding_norm.id, h->transform.dense.id, h->out.id,
        h->transform.in.id,   h->out_in.id,          STREAM_EMBEDDING_DROPOUT,
        STREAM_HEAD_DROPOUT};
    for (int i = 0; i < OTHERS; i++)
        id[n++] = others[i];
    for (int64_t l = 0; l < LAYERS; l++) {
        const bert_layer *layer = &m->layers[l];
        const int of_layer[PER_LAYER] = {layer->qkv.id,
                                         layer->out.id,
                                         layer->up.id,
                                         layer->down.id,
                                         layer->norm1.id,
                                         layer->norm2.id,
                                         layer->act.id,
                                         layer->attention.id,
                                         layer->x.id,
                                         layer->context.id,
                                         layer->h1.id,
                                         layer->g.id,
                                         bert_stream(l, STREAM_DROPOUT1),
                                         bert_stream(l, STREAM_DROPOUT2)};
        for (int i = 0; i < PER_LAYER; i++)
            id[n++] = of_layer[i];
    }
    for (int i = 0; i < n; i++)
        for (int k = 0; k < i; k++)
            assert_int_not_equal(id[i], id[k]);
    test_bert_deinit(&t);
}

/* Two micro-batches accumulate; weights are mapped anew only when they changed. */
static void steps(void **state)
{
    const num_format format = test_format_dfp(8, GROUP_TENSOR, true);
    test_bert t;
    (void)state;
    test_bert_init(&t, &plain_shape, &format, 1, &some_dropout);
    const int64_t n = t.net->params.elements;
    float *first = test_floats(n), *second = test_floats(n);
    float *grad = t.net->params.grad;
    test_bert_gradient(&t);
    memcpy(first, grad, (size_t)n * sizeof *grad);
    t.pass.step = 1;
    test_bert_gradient(&t);
    memcpy(second, grad, (size_t)n * sizeof *grad);
    assert_true(test_cosine(first, second, n) < 0.9999); /* other draws */
    t.pass.step = 0;
    test_bert_gradient(&t);
    test_assert_same("the same step", grad, first, n);
    t.pass.step = 1;
    t.pass.accumulate = true;
    test_bert_gradient(&t);
    for (int64_t i = 0; i < n; i++) {
        const double sum = (double)first[i] + (double)second[i];
        assert_true(fabs((double)grad[i] - sum) <=
                    2e-6 * (fabs((double)first[i]) + fabs((double)second[i])) + 1e-7);
    }
    mem_free(first);
    mem_free(second);
    test_bert_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences), cmocka_unit_test(each_element),
        cmocka_unit_test(formats),     cmocka_unit_test(mixed_rounding),
        cmocka_unit_test(threads),     cmocka_unit_test(pieces),
        cmocka_unit_test(families),    cmocka_unit_test(batch_independence),
        cmocka_unit_test(evaluation),  cmocka_unit_test(evaluation_after_training),
        cmocka_unit_test(steps),       cmocka_unit_test(dropout_steps),
        cmocka_unit_test(streams),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
