/*
 * Token classification against transformers and PyTorch: the golden values of
 * tools/make_golden_tokens.py, which says what they are.  A tiny model is loaded from its folder as
 * any model is.
 *
 *   fp32      logits in training and evaluation, loss, all gradients
 *   integers  logits and gradients, by a signal-to-noise ratio that grows by 6 dB with each bit
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

/* Largest difference, relative to the largest element of a tensor. */
#define LOGIT_TOLERANCE 2e-6
#define GRADIENT_TOLERANCE 1e-5
#define LOSS_TOLERANCE 1e-6

static mts_ctx ctx;

static void must(mts_status st)
{
    if (st != MTS_OK)
        fail_msg("%s: %s", mts_status_name(st), ctx.error);
}

/* A loaded model and its batch. */
typedef struct subject {
    char dir[1024];
    safetensors *file;
    network *net;
    model_input in;
    targets targets;
    int64_t *lengths, *offset;
    int32_t *ids, *types, *positions;
    float *logits;
} subject;

static const st_tensor *tensor_of(const subject *s, const char *name)
{
    const st_tensor *t = safetensors_find(s->file, name);
    if (t == NULL)
        fail_msg("%s: no golden tensor %s", s->dir, name);
    return t;
}

static void *integers_of(const subject *s, const char *name, st_dtype dtype, int64_t *n)
{
    const st_tensor *t = tensor_of(s, name);
    void *x = test_alloc(t->count, safetensors_dtype_size(dtype));
    must(safetensors_read_raw(&ctx, t, dtype, x, t->bytes));
    *n = t->count;
    return x;
}

static void open_batch(subject *s)
{
    int64_t rows, tokens, t = 0, longest = 0;
    s->lengths = integers_of(s, "batch.lengths", ST_DTYPE_I64, &rows);
    s->ids = integers_of(s, "batch.ids", ST_DTYPE_I32, &tokens);
    s->targets.kind = TARGET_TAGS;
    s->targets.index = integers_of(s, "batch.tags", ST_DTYPE_I32, &tokens);
    s->types = test_alloc(tokens, sizeof *s->types);
    s->positions = test_alloc(tokens, sizeof *s->positions);
    s->offset = test_alloc(rows + 1, sizeof *s->offset);
    for (int64_t e = 0; e < rows; e++) {
        for (int32_t i = 0; i < s->lengths[e]; i++)
            s->positions[t++] = i;
        s->offset[e + 1] = t;
        longest = s->lengths[e] > longest ? s->lengths[e] : longest;
    }
    assert_int_equal(t, tokens);
    s->in = (model_input){{rows, tokens, longest, s->offset}, s->ids, s->types, s->positions, NULL};
}

static void open_subject(subject *s, const num_format *format)
{
    const char *given = getenv("MANTISSA_GOLDEN_DIR");
    const char *slash = strrchr(__FILE__, '/');
    char path[1100];
    network_options options = {.format = *format, .threads = 1, .seed = 7};
    network_load_report report;
    model_config cfg;
    *s = (subject){0};
    if (given != NULL)
        snprintf(s->dir, sizeof s->dir, "%s/tokens", given);
    else
        snprintf(s->dir, sizeof s->dir, "%.*s/data/tokens",
                 slash == NULL ? 1 : (int)(slash - __FILE__), slash == NULL ? "." : __FILE__);
    snprintf(path, sizeof path, "%s/golden.safetensors", s->dir);
    must(safetensors_open_file(&ctx, path, &s->file));
    open_batch(s);
    options.limits = (network_limits){s->in.seq.count,  s->in.seq.tokens,     s->in.seq.count,
                                      s->in.seq.tokens, s->in.seq.max_length, 0};
    must(model_load_config(&ctx, s->dir, &cfg));
    options.head = head_class_of_config(&cfg);
    assert_string_equal(options.head->name, "tokens");
    assert_string_equal(cfg.labels[4], "I-LOC");
    must(network_create(&ctx, &cfg, &options, &s->net));
    model_config_deinit(&cfg);
    must(network_load(&ctx, s->net, s->dir, HEAD_NEEDED, &report));
    assert_int_equal(report.unused, 0);
    s->logits = test_floats(network_max_outputs(s->net));
}

static void close_subject(subject *s)
{
    must(network_check(&ctx, s->net));
    network_destroy(s->net);
    safetensors_close(s->file);
    mem_free(s->lengths);
    mem_free(s->offset);
    mem_free(s->ids);
    mem_free(s->types);
    mem_free(s->positions);
    mem_free(s->logits);
    targets_deinit(&s->targets);
}

/* The golden tensor; freed by the caller. */
static float *floats_of(const subject *s, const char *name, int64_t n)
{
    float *x = test_floats(n);
    must(safetensors_read_f32(&ctx, tensor_of(s, name), x, n));
    return x;
}

static double largest_of(const float *x, int64_t n)
{
    double largest = 0.0;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)x[i]));
    return largest;
}

static void compare(const subject *s, const char *name, const char *unit_name, const float *found,
                    int64_t n, double bound)
{
    float *x = floats_of(s, name, n), *u = floats_of(s, unit_name, n);
    const double unit = largest_of(u, n);
    assert_true(unit > 0.0);
    for (int64_t i = 0; i < n; i++)
        if (!(fabs((double)found[i] - (double)x[i]) <= bound * unit))
            fail_msg("%s: element %lld of %lld is %.9g, expected %.9g, allowed %g of %g", name,
                     (long long)i, (long long)n, (double)found[i], (double)x[i], bound, unit);
    mem_free(x);
    mem_free(u);
}

/* Name of the golden gradient of a parameter. */
static const char *gradient_name(const param *p, char name[256])
{
    snprintf(name, 256, "grad.%s", p->name);
    return name;
}

static void test_fp32(void **state)
{
    const num_format fp32 = {.kind = FORMAT_FP32};
    const network_pass pass = {0};
    char name[256], unit[256];
    float loss = 0.0f;
    subject s;
    (void)state;
    open_subject(&s, &fp32);
    const int64_t n = network_outputs(s.net, &s.in);
    assert_int_equal(n, 5 * s.in.seq.tokens);
    (void)network_forward(s.net, &pass, &s.in, NULL, s.logits);
    compare(&s, "logits", "logits", s.logits, n, LOGIT_TOLERANCE);
    must(safetensors_read_f32(&ctx, tensor_of(&s, "loss"), &loss, 1));
    const double found = network_learn(s.net, &pass, &s.in, &s.targets, 1.0f);
    assert_true(fabs(found - (double)loss) <= LOSS_TOLERANCE * (double)loss);
    for (int64_t i = 0; i < s.net->params.count; i++) {
        const param *p = s.net->params.items[i];
        /* keys' biases have no gradient: what rounding leaves is measured by the queries' */
        const param *like =
            strstr(p->name, "self.key.bias") != NULL ? s.net->params.items[i - 1] : p;
        compare(&s, gradient_name(p, name), gradient_name(like, unit), p->grad, p->rows * p->cols,
                GRADIENT_TOLERANCE);
    }
    const double evaluated = network_predict(s.net, &s.in, &s.targets, s.logits);
    assert_true(fabs(evaluated - (double)loss) <= LOSS_TOLERANCE * (double)loss);
    compare(&s, "logits", "logits", s.logits, n, LOGIT_TOLERANCE);
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
        char name[256];
        subject s;
        open_subject(&s, &format);
        const int64_t n = network_outputs(s.net, &s.in);
        float *x = floats_of(&s, "logits", n);
        (void)network_forward(s.net, &pass, &s.in, NULL, s.logits);
        test_assert_at_least("logits", test_snr_db(s.logits, x, n), cases[c].logits, "dB");
        mem_free(x);
        (void)network_learn(s.net, &pass, &s.in, &s.targets, 1.0f);
        for (int64_t i = 0; i < s.net->params.count; i++) {
            const param *p = s.net->params.items[i];
            if (strncmp(p->name, "classifier.", 11) != 0)
                continue;
            x = floats_of(&s, gradient_name(p, name), p->rows * p->cols);
            test_assert_at_least(name, test_snr_db(p->grad, x, p->rows * p->cols),
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
