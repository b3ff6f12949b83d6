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
 * The folder is the environment's MANTISSA_GOLDEN_DIR, or data/ beside this file.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/safetensors.h"
#include "network/network_io.h"
#include "support/test_model.h"

#define LOSS_TOLERANCE 1e-6 /* relative */
#define OUTPUT_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-5 /* relative to the largest element of a tensor */

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

static void must(mts_status st)
{
    if (st != MTS_OK)
        fail_msg("%s: %s", mts_status_name(st), ctx.error);
}

/* A folder, its golden values, and the batch of these. */
typedef struct golden {
    const struct golden_case *of;
    char dir[1024];
    safetensors *file;
    int64_t *lengths, *offset;
    int32_t *ids, *types, *positions;
    targets targets;
    model_input in;
} golden;

static const st_tensor *tensor_of(const golden *g, const char *name)
{
    const st_tensor *t = safetensors_find(g->file, name);
    if (t == NULL)
        fail_msg("%s: no golden tensor %s", g->dir, name);
    return t;
}

static void *raw(const golden *g, const char *name, st_dtype dtype, int64_t *n)
{
    const st_tensor *t = tensor_of(g, name);
    void *x = test_alloc(t->count, safetensors_dtype_size(dtype));
    must(safetensors_read_raw(&ctx, t, dtype, x, t->bytes));
    *n = t->count;
    return x;
}

static void read_targets(golden *g)
{
    int64_t n;
    const char *first = g->of->targets[0];
    if (g->of->targets[1] != NULL) {
        g->targets.kind = TARGET_SPAN;
        g->targets.begin = raw(g, first, ST_DTYPE_I32, &n);
        g->targets.end = raw(g, g->of->targets[1], ST_DTYPE_I32, &n);
    } else if (strcmp(first, "score") == 0) {
        g->targets.kind = TARGET_SCORE;
        g->targets.score = raw(g, first, ST_DTYPE_F32, &n);
    } else {
        g->targets.kind = strcmp(first, "tags") == 0 ? TARGET_TAGS : TARGET_CLASS;
        g->targets.index = raw(g, first, ST_DTYPE_I32, &n);
    }
}

static void golden_open(golden *g, const struct golden_case *of)
{
    const char *given = getenv("MANTISSA_GOLDEN_DIR");
    const char *slash = strrchr(__FILE__, '/');
    char path[1100];
    int64_t rows, tokens, longest = 0;
    *g = (golden){.of = of};
    if (given != NULL)
        snprintf(g->dir, sizeof g->dir, "%s/%s", given, of->name);
    else
        snprintf(g->dir, sizeof g->dir, "%.*s/data/%s", slash == NULL ? 1 : (int)(slash - __FILE__),
                 slash == NULL ? "." : __FILE__, of->name);
    snprintf(path, sizeof path, "%s/golden.safetensors", g->dir);
    must(safetensors_open_file(&ctx, path, &g->file));
    g->lengths = raw(g, "lengths", ST_DTYPE_I64, &rows);
    g->ids = raw(g, "ids", ST_DTYPE_I32, &tokens);
    read_targets(g);
    g->types = test_alloc(tokens, sizeof(int32_t));
    g->positions = test_alloc(tokens, sizeof(int32_t));
    g->offset = test_alloc(rows + 1, sizeof(int64_t));
    for (int64_t r = 0; r < rows; r++) {
        g->offset[r + 1] = g->offset[r] + g->lengths[r];
        longest = g->lengths[r] > longest ? g->lengths[r] : longest;
        for (int64_t t = 0; t < g->lengths[r]; t++) {
            g->positions[g->offset[r] + t] = (int32_t)t;
            g->types[g->offset[r] + t] = (int32_t)(t % 2); /* it has no table of types */
        }
    }
    g->in = (model_input){.seq = {rows, tokens, longest, g->offset},
                          .ids = g->ids,
                          .type_ids = g->types,
                          .positions = g->positions};
}

static void golden_close(golden *g)
{
    safetensors_close(g->file);
    mem_free(g->lengths);
    mem_free(g->offset);
    mem_free(g->ids);
    mem_free(g->types);
    mem_free(g->positions);
    targets_deinit(&g->targets);
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
    network *net = NULL;
    model_config cfg;
    network_load_report report;
    const sequences *s = &g->in.seq;
    const network_options options = {
        .head = head_class_find(g->of->head),
        .family = v->family,
        .format = v->format,
        .threads = v->threads,
        .seed = 1,
        .model = {.recompute = v->recompute,
                  .dropout = v->dropout,
                  .embedding_dropout = v->embedding_dropout,
                  .adapter = {.rank = v->rank, .scale = 1.5f, .targets = "all-linear"}},
        .limits = {s->count, s->tokens, s->count, s->tokens, s->max_length, 0}};
    must(model_load_config(&ctx, g->dir, &cfg));
    assert_true(head_class_of_config(&cfg) == options.head);
    must(network_create(&ctx, &cfg, &options, &net));
    must(network_load(&ctx, net, g->dir, HEAD_NEEDED, &report));
    assert_int_equal(report.unused, 0);
    return net;
}

static double learn(const golden *g, network *net)
{
    const network_pass pass = {.step = 3};
    const double loss = network_learn(net, &pass, &g->in, &g->targets, 1.0f);
    must(network_check(&ctx, net));
    return loss;
}

static float *floats(const golden *g, const char *name, int64_t n)
{
    float *x = test_floats(n);
    assert_int_equal(tensor_of(g, name)->count, n);
    must(safetensors_read_f32(&ctx, tensor_of(g, name), x, n));
    return x;
}

static double golden_loss(const golden *g)
{
    float *x = floats(g, "loss", 1);
    const double loss = (double)*x;
    mem_free(x);
    return loss;
}

static float *golden_gradient(const golden *g, const param *p)
{
    char name[PARAM_NAME_BYTES + 8];
    snprintf(name, sizeof name, "grad.%s", p->name);
    return floats(g, name, param_size(p));
}

/* ---------------------------------------------------------------------------------- tests ---- */

static void compare_gradients(const golden *g, const network *net)
{
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        float *expected = golden_gradient(g, p);
        double largest = 0.0, error = 0.0;
        for (int64_t k = 0; k < param_size(p); k++) {
            largest = fmax(largest, fabs((double)expected[k]));
            error = fmax(error, fabs((double)expected[k] - (double)p->grad[k]));
        }
        /* a bias that all scores of a softmax share has none */
        const bool none = strcmp(g->of->head, "spans") == 0 && p->part == PARAM_OUTPUT && p->vector;
        if (none ? error > 1e-7 : !(error <= GRADIENT_TOLERANCE * largest) || largest < 1e-7)
            fail_msg("%s: %s: error %g of %g", g->dir, p->name, error, largest);
        mem_free(expected);
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
            golden_open(&g, &cases[c]);
            network *net = load(&g, &v);
            const double loss = learn(&g, net), expected = golden_loss(&g);
            const int64_t n = network_outputs(net, &g.in);
            float *out = test_floats(n), *outputs = floats(&g, "outputs", n);
            printf("  %s: loss %.7f, expected %.7f\n", cases[c].name, loss, expected);
            assert_true(fabs(loss - expected) <= LOSS_TOLERANCE * expected);
            compare_gradients(&g, net);
            assert_true(fabs(network_predict(net, &g.in, &g.targets, out) - expected) <=
                        LOSS_TOLERANCE * expected);
            for (int64_t i = 0; i < n; i++)
                if (!(fabs((double)out[i] - (double)outputs[i]) <= OUTPUT_TOLERANCE))
                    fail_msg("%s: output %lld: %g, expected %g", cases[c].name, (long long)i,
                             (double)out[i], (double)outputs[i]);
            mem_free(out);
            mem_free(outputs);
            network_destroy(net);
            golden_close(&g);
        }
}

/* The signal-to-noise ratio of all gradients together. */
static double gradient_snr(const golden *g, const network *net)
{
    double signal = 0.0, noise = 0.0;
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        float *expected = golden_gradient(g, p);
        for (int64_t k = 0; k < param_size(p); k++) {
            const double e = (double)expected[k] - (double)p->grad[k];
            signal += (double)expected[k] * (double)expected[k];
            noise += e * e;
        }
        mem_free(expected);
    }
    return 10.0 * log10(signal / noise);
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
                golden_open(&g, &cases[c]);
                network *net = load(&g, &v);
                const double loss = learn(&g, net), expected = golden_loss(&g);
                printf("  %s, %d bits by %s: loss %.5f, expected %.5f\n", cases[c].name, bits,
                       test_group_name(groups[k]), loss, expected);
                test_assert_at_least("gradients", gradient_snr(&g, net),
                                     bound[k] + 6.02 * (bits - 8), "dB");
                network_destroy(net);
                golden_close(&g);
            }
}

/* Both give one loss and one gradient. */
static void assert_same(const golden *g, const variant *a, const variant *b)
{
    network *one = load(g, a), *other = load(g, b);
    const double loss = learn(g, one);
    assert_true(learn(g, other) == loss);
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
                golden_open(&g, &cases[c]);
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
            golden_open(&g, &cases[c]);
            network *net = load(&g, &v);
            float *out = test_floats(network_outputs(net, &g.in));
            const double expected = golden_loss(&g);
            assert_true(fabs(learn(&g, net) - expected) > 1e-4);
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
