/*
 * Token classification against transformers and PyTorch: the golden values of
 * tools/make_golden_tokens.py, which says what they are.  A tiny model is loaded from its folder as
 * any model is.
 *
 *   fp32      logits in training and evaluation, loss, all gradients
 *   integers  logits and gradients, by a signal-to-noise ratio that grows by 6 dB with each bit
 *
 * The files are read by support/golden_file.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/golden_file.h"

/* Largest difference, relative to the largest element of a tensor. */
#define LOGIT_TOLERANCE 2e-6
#define GRADIENT_TOLERANCE 1e-5
#define LOSS_TOLERANCE 1e-6

static mts_ctx ctx;

/* A loaded model and its batch. */
typedef struct subject {
    golden file;
    network *net;
    float *logits;
} subject;

static void open_subject(subject *s, const num_format *format)
{
    golden *g = &s->file;
    golden_open(g, "tokens", "batch.");
    g->targets.kind = TARGET_TAGS;
    g->targets.index = golden_raw(g, "batch.tags", ST_DTYPE_I32, g->in.seq.tokens);
    const network_options options = {
        .format = *format, .threads = 1, .seed = 7, .limits = golden_limits(g)};
    s->net = golden_network(g->dir, &options);
    assert_string_equal(s->net->head->class->name, "tokens");
    assert_string_equal(s->net->cfg.labels[4], "I-LOC");
    s->logits = test_floats(network_max_outputs(s->net));
}

static void close_subject(subject *s)
{
    assert_ok(network_check(&ctx, s->net));
    network_destroy(s->net);
    mem_free(s->logits);
    golden_close(&s->file);
}

static void compare_logits(const subject *s, int64_t n)
{
    float *x = golden_floats(&s->file, "logits", n);
    (void)golden_compare("logits", s->logits, x, n, golden_largest(x, n), LOGIT_TOLERANCE);
    mem_free(x);
}

static void test_fp32(void **state)
{
    const num_format fp32 = {.kind = FORMAT_FP32};
    const network_pass pass = {0};
    subject s;
    (void)state;
    open_subject(&s, &fp32);
    const int64_t n = network_outputs(s.net, &s.file.in);
    assert_int_equal(n, 5 * s.file.in.seq.tokens);
    (void)network_forward(s.net, &pass, &s.file.in, NULL, s.logits);
    compare_logits(&s, n);
    const double loss = golden_number(&s.file, "loss");
    const double found = network_learn(s.net, &pass, &s.file.in, &s.file.targets, 1.0f);
    assert_true(fabs(found - loss) <= LOSS_TOLERANCE * loss);
    for (int64_t i = 0; i < s.net->params.count; i++) {
        const param *p = s.net->params.items[i];
        /* keys' biases have no gradient: what rounding leaves is measured by the queries' */
        const param *like =
            strstr(p->name, "self.key.bias") != NULL ? s.net->params.items[i - 1] : p;
        (void)golden_compare_gradient(&s.file, p, like, GRADIENT_TOLERANCE);
    }
    const double evaluated = network_predict(s.net, &s.file.in, &s.file.targets, s.logits);
    assert_true(fabs(evaluated - loss) <= LOSS_TOLERANCE * loss);
    compare_logits(&s, n);
    close_subject(&s);
}

static void test_integers(void **state)
{
    static const struct {
        int bits;
        double logits, gradient;
    } cases[] = {{8, 26.0, 26.0}, {12, 50.0, 50.0}, {16, 74.0, 74.0}};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const num_format format = test_format_dfp(cases[c].bits, GROUP_ROW, false);
        const network_pass pass = {0};
        subject s;
        open_subject(&s, &format);
        const int64_t n = network_outputs(s.net, &s.file.in);
        float *x = golden_floats(&s.file, "logits", n);
        (void)network_forward(s.net, &pass, &s.file.in, NULL, s.logits);
        test_assert_at_least("logits", test_snr_db(s.logits, x, n), cases[c].logits, "dB");
        mem_free(x);
        (void)network_learn(s.net, &pass, &s.file.in, &s.file.targets, 1.0f);
        for (int64_t i = 0; i < s.net->params.count; i++) {
            const param *p = s.net->params.items[i];
            if (strncmp(p->name, "classifier.", 11) != 0)
                continue;
            x = golden_gradient(&s.file, p);
            test_assert_at_least(p->name, test_snr_db(p->grad, x, p->rows * p->cols),
                                 cases[c].gradient, "dB");
            mem_free(x);
        }
        close_subject(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_integers),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
