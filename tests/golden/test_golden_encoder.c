/*
 * RoBERTa, DistilBERT and ELECTRA against transformers and PyTorch: the golden values of
 * tools/make_golden_encoder.py, which says what they are and how they were made.  The tiny models
 * are loaded from their folders as any model is.
 *
 *   fp32      logits, loss, all gradients; the same bits with recomputation
 *   integers  logits and gradients by a signal-to-noise ratio that grows by 6 dB with each bit;
 *             the same bits with recomputation, with three threads, from all families of kernels
 *
 * The files are read by support/golden_file.h.
 */
#include <math.h>
#include <stdio.h>

#include "support/golden_file.h"

#define LOSS_TOLERANCE 1e-6  /* relative */
#define LOGIT_TOLERANCE 2e-6 /* relative to the largest element of a tensor, as the next */
#define GRADIENT_TOLERANCE 1e-5
#define NO_GRADIENT 1e-12

static const char *const cases[] = {"roberta",      "robertaqa", "distilbert",
                                    "distilbertqa", "electra",   "electraqa"};

enum { CASES = sizeof cases / sizeof cases[0] };

static mts_ctx ctx;

/* A folder, and its batch with classes and the ends of spans. */
static void open_case(golden *g, const char *name)
{
    golden_open(g, name, "");
    (void)golden_tensor(g, "type_ids");
    const int64_t rows = g->in.seq.count;
    float *labels = golden_floats(g, "labels", rows);
    g->targets.index = test_alloc(rows, sizeof(int32_t));
    for (int64_t r = 0; r < rows; r++)
        g->targets.index[r] = (int32_t)labels[r];
    g->targets.begin = golden_raw(g, "begin", ST_DTYPE_I32, rows);
    g->targets.end = golden_raw(g, "end", ST_DTYPE_I32, rows);
    mem_free(labels);
}

/* The network of the folder; family NULL: the best.  Freed by network_destroy. */
static network *load(const golden *g, const num_format *format, int threads, bool recompute,
                     const gemm_family *family)
{
    const network_options options = {.family = family,
                                     .format = *format,
                                     .threads = threads,
                                     .seed = 1,
                                     .model = {.recompute = recompute},
                                     .limits = golden_limits(g)};
    return golden_network(g->dir, &options);
}

/* Logits, and the loss with its gradients; logits freed by mem_free. */
static double learn(const golden *g, network *net, float **logits)
{
    const network_pass pass = {0};
    *logits = test_floats(network_outputs(net, &g->in));
    (void)network_forward(net, &pass, &g->in, NULL, *logits);
    const double loss = network_learn(net, &pass, &g->in, &g->targets, 1.0f);
    assert_ok(network_check(&ctx, net));
    return loss;
}

/* -------------------------------------------------------------------------------- fp32 ------- */

/* What a softmax does not depend on has no gradient: the biases of keys, and of spans that of all
 * tokens alike.  What rounding leaves there is measured by the parameter declared before. */
static const param *like(const golden *g, const network *net, int64_t i)
{
    const param *p = net->params.items[i];
    return golden_largest_gradient(g, p) > NO_GRADIENT ? p : net->params.items[i - 1];
}

static double worst_gradient(const golden *g, const network *net)
{
    double worst = 0.0;
    for (int64_t i = 0; i < net->params.count; i++)
        worst = fmax(worst, golden_compare_gradient(g, net->params.items[i], like(g, net, i),
                                                    GRADIENT_TOLERANCE));
    return worst;
}

static void plain(void **state)
{
    const num_format fp32 = {.kind = FORMAT_FP32};
    (void)state;
    for (int c = 0; c < CASES; c++) {
        golden g;
        float *logits;
        open_case(&g, cases[c]);
        network *net = load(&g, &fp32, 1, false, NULL);
        const double loss = learn(&g, net, &logits);
        const int64_t n = network_outputs(net, &g.in);
        float *x = golden_floats(&g, "logits", n);
        const double expected = golden_number(&g, "loss"), unit = golden_largest(x, n);
        const double error = golden_compare(cases[c], logits, x, n, unit, LOGIT_TOLERANCE);
        const double worst = worst_gradient(&g, net);
        printf("  %-13s loss %.7f, expected %.7f; logits to %.2e, gradients to %.2e\n", cases[c],
               loss, expected, error, worst);
        assert_true(fabs(loss - expected) <= LOSS_TOLERANCE * expected);
        (void)network_predict(net, &g.in, NULL, logits);
        (void)golden_compare(cases[c], logits, x, n, unit, LOGIT_TOLERANCE);
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
    float *x = golden_floats(g, "logits", n);
    const double of_logits = test_snr_db(logits, x, n);
    const double of_gradient = golden_gradient_snr(g, net);
    printf("  %-24s logits %5.1f dB, gradient %5.1f dB (at least %.1f)\n", what, of_logits,
           of_gradient, bound);
    assert_true(of_logits >= bound && of_gradient >= bound);
    mem_free(logits);
    mem_free(x);
    network_destroy(net);
}

static void integers(void **state)
{
    static const int widths[] = {8, 12, 16};
    (void)state;
    for (int c = 0; c < CASES; c++) {
        golden g;
        open_case(&g, cases[c]);
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
        open_case(&g, cases[c]);
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
