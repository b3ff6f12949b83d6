/*
 * RoBERTa, DistilBERT and ELECTRA against transformers and PyTorch: the golden values of
 * tools/make_golden_encoder.py, which says what they are and how they were made.  The tiny models
 * are loaded from their folders as any model is.
 *
 *   fp32      logits, loss, all gradients; the same bits with recomputation
 *   integers  logits and gradients by a signal-to-noise ratio that grows by 6 dB with each bit;
 *             the same bits with recomputation, with three threads, from all families of kernels
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

#define LOSS_TOLERANCE 1e-6  /* relative */
#define LOGIT_TOLERANCE 2e-6 /* relative to the largest element of a tensor, as the next */
#define GRADIENT_TOLERANCE 1e-5
#define NO_GRADIENT 1e-12

static const char *const cases[] = {"roberta",      "robertaqa", "distilbert",
                                    "distilbertqa", "electra",   "electraqa"};

enum { CASES = sizeof cases / sizeof cases[0] };

static mts_ctx ctx;

static void must(mts_status st)
{
    if (st != MTS_OK)
        fail_msg("%s: %s", mts_status_name(st), ctx.error);
}

/* A folder, its golden values, and the batch of these. */
typedef struct golden {
    char dir[1024];
    safetensors *file;
    int64_t *lengths, *offset;
    int32_t *ids, *types, *positions, *class_of;
    float *labels;
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

static void *integers_of(const golden *g, const char *name, st_dtype dtype, int64_t *n)
{
    const st_tensor *t = tensor_of(g, name);
    void *x = test_alloc(t->count, safetensors_dtype_size(dtype));
    must(safetensors_read_raw(&ctx, t, dtype, x, t->bytes));
    *n = t->count;
    return x;
}

static float *floats_of(const golden *g, const char *name, int64_t n)
{
    float *x = test_floats(n);
    must(safetensors_read_f32(&ctx, tensor_of(g, name), x, n));
    return x;
}

/* Places of the tokens in their rows. */
static void place_rows(golden *g, int64_t rows, int64_t tokens)
{
    int64_t longest = 0;
    g->positions = test_alloc(tokens, sizeof(int32_t));
    g->offset = test_alloc(rows + 1, sizeof(int64_t));
    for (int64_t r = 0; r < rows; r++) {
        g->offset[r + 1] = g->offset[r] + g->lengths[r];
        longest = g->lengths[r] > longest ? g->lengths[r] : longest;
        for (int64_t t = 0; t < g->lengths[r]; t++)
            g->positions[g->offset[r] + t] = (int32_t)t;
    }
    g->in = (model_input){.seq = {rows, tokens, longest, g->offset},
                          .ids = g->ids,
                          .type_ids = g->types,
                          .positions = g->positions};
}

static void golden_open(golden *g, const char *name)
{
    const char *given = getenv("MANTISSA_GOLDEN_DIR");
    const char *slash = strrchr(__FILE__, '/');
    char path[1100];
    int64_t rows, tokens;
    *g = (golden){.file = NULL};
    if (given != NULL)
        snprintf(g->dir, sizeof g->dir, "%s/%s", given, name);
    else
        snprintf(g->dir, sizeof g->dir, "%.*s/data/%s", slash == NULL ? 1 : (int)(slash - __FILE__),
                 slash == NULL ? "." : __FILE__, name);
    snprintf(path, sizeof path, "%s/golden.safetensors", g->dir);
    must(safetensors_open_file(&ctx, path, &g->file));
    g->lengths = integers_of(g, "lengths", ST_DTYPE_I64, &rows);
    g->ids = integers_of(g, "ids", ST_DTYPE_I32, &tokens);
    g->types = integers_of(g, "type_ids", ST_DTYPE_I32, &tokens);
    g->labels = floats_of(g, "labels", rows);
    g->class_of = test_alloc(rows, sizeof(int32_t));
    for (int64_t r = 0; r < rows; r++)
        g->class_of[r] = (int32_t)g->labels[r];
    g->targets = (targets){.index = g->class_of};
    g->targets.begin = integers_of(g, "begin", ST_DTYPE_I32, &rows);
    g->targets.end = integers_of(g, "end", ST_DTYPE_I32, &rows);
    place_rows(g, rows, tokens);
}

static void golden_close(golden *g)
{
    safetensors_close(g->file);
    mem_free(g->lengths);
    mem_free(g->offset);
    mem_free(g->ids);
    mem_free(g->types);
    mem_free(g->positions);
    mem_free(g->class_of);
    mem_free(g->labels);
    mem_free(g->targets.begin);
    mem_free(g->targets.end);
}

/* The network of the folder; family NULL: the best.  Freed by network_destroy. */
static network *load(const golden *g, const num_format *format, int threads, bool recompute,
                     const gemm_family *family)
{
    network *net = NULL;
    model_config cfg;
    network_load_report report;
    const sequences *s = &g->in.seq;
    network_options options = {
        .family = family,
        .format = *format,
        .threads = threads,
        .seed = 1,
        .model = {.recompute = recompute},
        .limits = {s->count, s->tokens, s->count, s->tokens, s->max_length, 0}};
    must(model_load_config(&ctx, g->dir, &cfg));
    options.head = head_class_of_config(&cfg);
    must(network_create(&ctx, &cfg, &options, &net));
    must(network_load(&ctx, net, g->dir, HEAD_NEEDED, &report));
    assert_int_equal(report.unused, 0);
    return net;
}

/* Logits, and the loss with its gradients; logits freed by mem_free. */
static double learn(const golden *g, network *net, float **logits)
{
    const network_pass pass = {0};
    *logits = test_floats(network_outputs(net, &g->in));
    (void)network_forward(net, &pass, &g->in, NULL, *logits);
    const double loss = network_learn(net, &pass, &g->in, &g->targets, 1.0f);
    must(network_check(&ctx, net));
    return loss;
}

/* -------------------------------------------------------------------------------- fp32 ------- */

/* The largest difference of found[n] to x[n], relative to `unit`. */
static double difference(const float *found, const float *x, int64_t n, double unit)
{
    double worst = 0.0;
    for (int64_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)found[i] - (double)x[i]) / unit);
    return worst;
}

static double largest(const float *x, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

static double largest_gradient(const golden *g, const param *p)
{
    char name[PARAM_NAME_BYTES + 8];
    snprintf(name, sizeof name, "grad.%s", p->name);
    float *x = floats_of(g, name, param_size(p));
    const double most = largest(x, param_size(p));
    mem_free(x);
    return most;
}

/* What a softmax does not depend on has no gradient: the biases of keys, and of spans that of all
 * tokens alike.  What rounding leaves there is measured by the parameter declared before. */
static double unit_of(const golden *g, const network *net, int64_t i)
{
    const double own = largest_gradient(g, net->params.items[i]);
    return own > NO_GRADIENT ? own : largest_gradient(g, net->params.items[i - 1]);
}

static double worst_gradient(const golden *g, const network *net)
{
    double worst = 0.0;
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        char name[PARAM_NAME_BYTES + 8];
        snprintf(name, sizeof name, "grad.%s", p->name);
        float *x = floats_of(g, name, param_size(p));
        const double error = difference(p->grad, x, param_size(p), unit_of(g, net, i));
        if (!(error <= GRADIENT_TOLERANCE))
            fail_msg("%s: %s: difference %.3g, allowed %g", g->dir, name, error,
                     GRADIENT_TOLERANCE);
        worst = fmax(worst, error);
        mem_free(x);
    }
    return worst;
}

static void plain(void **state)
{
    const num_format fp32 = {.kind = FORMAT_FP32};
    (void)state;
    for (int c = 0; c < CASES; c++) {
        golden g;
        float *logits, expected;
        golden_open(&g, cases[c]);
        network *net = load(&g, &fp32, 1, false, NULL);
        const double loss = learn(&g, net, &logits);
        const int64_t n = network_outputs(net, &g.in);
        float *x = floats_of(&g, "logits", n);
        must(safetensors_read_f32(&ctx, tensor_of(&g, "loss"), &expected, 1));
        const double error = difference(logits, x, n, largest(x, n));
        const double worst = worst_gradient(&g, net);
        printf("  %-13s loss %.7f, expected %.7f; logits to %.2e, gradients to %.2e\n", cases[c],
               loss, (double)expected, error, worst);
        assert_true(fabs(loss - (double)expected) <= LOSS_TOLERANCE * (double)expected);
        assert_true(error <= LOGIT_TOLERANCE);
        (void)network_predict(net, &g.in, NULL, logits);
        assert_true(difference(logits, x, n, largest(x, n)) <= LOGIT_TOLERANCE);
        mem_free(logits);
        mem_free(x);
        network_destroy(net);
        golden_close(&g);
    }
}

/* ---------------------------------------------------------------------------- integers ------- */

/* Signal-to-noise ratio of the logits and of the whole gradient. */
static void check_format(const golden *g, const num_format *format, const char *what, double bound)
{
    float *logits;
    network *net = load(g, format, 1, false, NULL);
    (void)learn(g, net, &logits);
    const int64_t n = network_outputs(net, &g->in);
    float *x = floats_of(g, "logits", n), *all = test_floats(net->params.elements);
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        char name[PARAM_NAME_BYTES + 8];
        snprintf(name, sizeof name, "grad.%s", p->name);
        must(safetensors_read_f32(&ctx, tensor_of(g, name), all + (p->value - net->params.value),
                                  param_size(p)));
    }
    const double of_logits = test_snr_db(logits, x, n);
    const double of_gradient = test_snr_db(net->params.grad, all, net->params.elements);
    printf("  %-24s logits %5.1f dB, gradient %5.1f dB (at least %.1f)\n", what, of_logits,
           of_gradient, bound);
    assert_true(of_logits >= bound && of_gradient >= bound);
    mem_free(logits);
    mem_free(x);
    mem_free(all);
    network_destroy(net);
}

static void integers(void **state)
{
    static const int widths[] = {8, 12, 16};
    (void)state;
    for (int c = 0; c < CASES; c++) {
        golden g;
        golden_open(&g, cases[c]);
        for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
            char what[64];
            const num_format f = test_format_dfp(widths[i], GROUP_ROW, false);
            snprintf(what, sizeof what, "%s int%d", cases[c], widths[i]);
            check_format(&g, &f, what, 15.0 + 6.02 * (widths[i] - 8));
        }
        golden_close(&g);
    }
}

/* --------------------------------------------------------------------------- same bits ------- */

/* Recomputation, threads and kernels change no bit of loss, logits and gradients. */
static void check_same(const golden *g, const num_format *format, const char *what)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    float *logits, *others;
    network *net = load(g, format, 1, false, NULL);
    const double loss = learn(g, net, &logits);
    for (int k = 0; k < count + 2; k++) {
        const gemm_family *family = k < count ? families[k] : NULL;
        network *other = load(g, format, k == count ? 3 : 1, k > 0, family);
        assert_true(learn(g, other, &others) == loss);
        test_assert_same(what, others, logits, network_outputs(net, &g->in));
        test_assert_same(what, other->params.grad, net->params.grad, net->params.elements);
        network_destroy(other);
        mem_free(others);
    }
    network_destroy(net);
    mem_free(logits);
}

static void same_bits(void **state)
{
    const num_format formats[] = {{.kind = FORMAT_FP32},
                                  test_format_dfp(8, GROUP_ROW, true),
                                  test_format_dfp(12, GROUP_BLOCK, true),
                                  test_format_dfp(8, GROUP_TENSOR, false)};
    (void)state;
    for (int c = 0; c < CASES; c++) {
        golden g;
        golden_open(&g, cases[c]);
        for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++)
            check_same(&g, &formats[f], cases[c]);
        golden_close(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(integers),
        cmocka_unit_test(same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
