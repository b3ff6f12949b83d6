/*
 * ModernBERT against transformers and PyTorch: the golden values of
 * tools/make_golden_modernbert.py, which says what they are and how they were made.
 *
 *   fp32      outputs, loss, all gradients; the same with recomputation
 *   integers  loss and gradients by a signal-to-noise ratio that grows by 6 dB with each bit
 *   bits      the same with recomputation, with dropout, with three threads, from all families of
 *             kernels; with adapters, too
 *   dropout   each rate changes the loss of training, and not that of evaluation
 *
 * The files are read by support/golden_file.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/golden_file.h"

#define LOSS_TOLERANCE 1e-6 /* relative */
#define OUTPUT_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-5 /* relative to the largest element of a tensor */
#define NO_GRADIENT 1e-7

static const struct golden_case {
    const char *name, *head, *targets[2];
} cases[] = {
    {"modernbert", "classification", {"label", NULL}},
    {"modernmean", "regression", {"score", NULL}},
    {"modernspans", "spans", {"begin", "end"}},
    {"moderntokens", "tokens", {"tags", NULL}},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static mts_ctx ctx;

static void read_targets(golden *g, const struct golden_case *of)
{
    const char *first = of->targets[0];
    const int64_t rows = g->in.seq.count, tokens = g->in.seq.tokens;
    if (of->targets[1] != NULL) {
        g->targets.kind = TARGET_SPAN;
        g->targets.begin = golden_raw(g, first, ST_DTYPE_I32, rows);
        g->targets.end = golden_raw(g, of->targets[1], ST_DTYPE_I32, rows);
    } else if (strcmp(first, "score") == 0) {
        g->targets.kind = TARGET_SCORE;
        g->targets.score = golden_raw(g, first, ST_DTYPE_F32, rows);
    } else {
        const bool tags = strcmp(first, "tags") == 0;
        g->targets.kind = tags ? TARGET_TAGS : TARGET_CLASS;
        g->targets.index = golden_raw(g, first, ST_DTYPE_I32, tags ? tokens : rows);
    }
}

static void open_case(golden *g, const struct golden_case *of)
{
    model_config cfg;
    golden_open(g, of->name, "");
    read_targets(g, of);
    assert_ok(model_load_config(&ctx, g->dir, &cfg));
    assert_string_equal(head_class_of_config(&cfg)->name, of->head);
    model_config_deinit(&cfg);
    for (int64_t t = 0; t < g->in.seq.tokens; t++)
        g->types[t] = g->positions[t] % 2; /* it has no table of types */
}

/* What one network differs in from another; {0}: fp32 on one thread. */
typedef struct variant {
    num_format format;
    int threads;
    bool recompute;
    int64_t rank;
    dropout_rates dropout;
    float embedding_dropout;
    const gemm_family *family;
} variant;

static network *load(const golden *g, const variant *v)
{
    const network_options options = {
        .family = v->family,
        .format = v->format,
        .threads = v->threads,
        .seed = 1,
        .model = {.recompute = v->recompute,
                  .dropout = v->dropout,
                  .embedding_dropout = v->embedding_dropout,
                  .adapter = {.rank = v->rank, .scale = 1.5f, .targets = "all-linear"}},
        .limits = golden_limits(g)};
    return golden_network(g->dir, &options);
}

/* ---------------------------------------------------------------------------------- tests ---- */

static void compare_gradients(const golden *g, const network *net)
{
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        const bool spans = strcmp(net->head->class->name, "spans") == 0;
        if (spans && p->part == PARAM_OUTPUT && p->vector) {
            /* a bias that all scores of a softmax share has none */
            float *none = golden_gradient(g, p);
            (void)golden_compare(p->name, p->grad, none, param_size(p), 1.0, NO_GRADIENT);
            mem_free(none);
        } else {
            assert_true(golden_largest_gradient(g, p) >= NO_GRADIENT);
            (void)golden_compare_gradient(g, p, p, GRADIENT_TOLERANCE);
        }
    }
}

static void fp32(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int recompute = 0; recompute < 2; recompute++) {
            const variant v = {.format = test_format_float(FORMAT_FP32),
                               .threads = 2,
                               .recompute = recompute == 1};
            golden g;
            open_case(&g, &cases[c]);
            network *net = load(&g, &v);
            const double loss = golden_learn(&g, net), expected = golden_number(&g, "loss");
            const int64_t n = network_outputs(net, &g.in);
            float *out = test_floats(n), *outputs = golden_floats(&g, "outputs", n);
            printf("  %s: loss %.7f, expected %.7f\n", cases[c].name, loss, expected);
            assert_true(fabs(loss - expected) <= LOSS_TOLERANCE * expected);
            compare_gradients(&g, net);
            assert_true(fabs(network_predict(net, &g.in, &g.targets, out) - expected) <=
                        LOSS_TOLERANCE * expected);
            (void)golden_compare(cases[c].name, out, outputs, n, 1.0, OUTPUT_TOLERANCE);
            mem_free(out);
            mem_free(outputs);
            network_destroy(net);
            golden_close(&g);
        }
}

static void integers_are_close(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const double bound[] = {6.0, 14.5, 12.5}; /* dB at 8 bits, as for decoders */
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int bits = 8; bits <= 16; bits += 4)
            for (int k = 0; k < 3; k++) {
                variant v = {.format = test_format_dfp(bits, groups[k], false), .threads = 2};
                golden g;
                v.format.norm_bits = 16;
                open_case(&g, &cases[c]);
                network *net = load(&g, &v);
                const double loss = golden_learn(&g, net), expected = golden_number(&g, "loss");
                printf("  %s, %d bits by %s: loss %.5f, expected %.5f\n", cases[c].name, bits,
                       test_group_name(groups[k]), loss, expected);
                test_assert_at_least("gradients", golden_gradient_snr(&g, net),
                                     bound[k] + 6.02 * (bits - 8), "dB");
                network_destroy(net);
                golden_close(&g);
            }
}

/* Both give one loss and one gradient. */
static void assert_same(const golden *g, const variant *a, const variant *b)
{
    network *one = load(g, a), *other = load(g, b);
    const double loss = golden_learn(g, one);
    assert_true(golden_learn(g, other) == loss);
    assert_true(one->params.trained_count > 0);
    for (int64_t i = 0; i < one->params.trained_count; i++) {
        const param *p = one->params.trained[i];
        test_assert_same(p->name, other->params.trained[i]->grad, p->grad, param_size(p));
    }
    network_destroy(one);
    network_destroy(other);
}

static const dropout_rates some = {0.1f, 0.2f, 0.3f, 0.0f};

static void same_bits(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int rounding = ROUNDING_NEAREST; rounding <= ROUNDING_MIXED; rounding++)
            for (int64_t rank = 0; rank <= 3; rank += 3) {
                variant a = {.format = test_format_dfp(8, GROUP_ROW, false),
                             .threads = 1,
                             .rank = rank,
                             .dropout = some,
                             .embedding_dropout = 0.15f};
                golden g;
                a.format.rounding = (rounding_kind)rounding;
                variant b = a;
                b.threads = 3;
                b.recompute = true;
                open_case(&g, &cases[c]);
                assert_same(&g, &a, &b);
                for (int k = 0; k < count; k++) {
                    b.family = families[k];
                    assert_same(&g, &a, &b);
                }
                golden_close(&g);
            }
}

static void dropout(void **state)
{
    static const dropout_rates rates[] = {
        {.hidden = 0.2f}, {.attention = 0.2f}, {.classifier = 0.2f}, {.hidden = 0.0f}};
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int k = 0; k < 4; k++) {
            const variant v = {.format = test_format_float(FORMAT_FP32),
                               .threads = 1,
                               .dropout = rates[k],
                               .embedding_dropout = k == 3 ? 0.2f : 0.0f};
            golden g;
            open_case(&g, &cases[c]);
            network *net = load(&g, &v);
            float *out = test_floats(network_outputs(net, &g.in));
            const double expected = golden_number(&g, "loss");
            assert_true(fabs(golden_learn(&g, net) - expected) > 1e-4);
            assert_true(fabs(network_predict(net, &g.in, &g.targets, out) - expected) <=
                        LOSS_TOLERANCE * expected);
            mem_free(out);
            network_destroy(net);
            golden_close(&g);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32),
        cmocka_unit_test(integers_are_close),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(dropout),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
