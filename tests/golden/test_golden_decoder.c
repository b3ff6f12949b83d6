/*
 * Decoders against transformers and PyTorch: the golden values of tools/make_golden_decoder.py,
 * which says what they are and how they were made.  The tiny models are loaded from their folders
 * as any model is.
 *
 *   fp32      loss, -log p of each token, all gradients; the same with recomputation
 *   integers  loss and gradients by a signal-to-noise ratio that grows by 6 dB with each bit; the
 *             same bits with recomputation, with three threads, from all families of kernels
 *
 *   adapters  a model with low-rank adapters is the model with W + s B A in their place: the same
 *             loss, and dA = s B^T dW, dB = s dW A^T; the same bits with recomputation and threads
 *
 * The files are read by support/golden_file.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/golden_file.h"

#define LOSS_TOLERANCE 1e-6 /* relative */
#define TOKEN_TOLERANCE 1e-5
#define GRADIENT_TOLERANCE 1e-5 /* relative to the largest element of a tensor */

static const char *const cases[] = {"llama", "smollm", "qwen2",  "mistral",  "window",
                                    "qwen3", "gemma3", "falcon", "falcon40", "falconrw"};

enum { CASES = sizeof cases / sizeof cases[0] };

static mts_ctx ctx;

/* A folder, and its batch with the tokens that come next. */
static void open_case(golden *g, const char *name)
{
    golden_open(g, name, "");
    g->targets.kind = TARGET_NEXT;
    g->targets.index = golden_raw(g, "targets", ST_DTYPE_I32, g->in.seq.tokens);
}

static const adapter_options no_adapter = {.rank = 0};

/* The network of the folder, with an adapter unless its rank is 0; family NULL: the best.  Freed by
 * network_destroy. */
static network *load_with(const golden *g, const num_format *format, int threads, bool recompute,
                          const adapter_options *adapter, const gemm_family *family)
{
    const network_options options = {.head = head_class_find("next token"),
                                     .family = family,
                                     .format = *format,
                                     .threads = threads,
                                     .seed = 1,
                                     .model = {.recompute = recompute, .adapter = *adapter},
                                     .limits = golden_limits(g)};
    return golden_network(g->dir, &options);
}

static network *load_adapted(const golden *g, const num_format *format, int threads, bool recompute,
                             const adapter_options *adapter)
{
    return load_with(g, format, threads, recompute, adapter, NULL);
}

static network *load(const golden *g, const num_format *format, int threads, bool recompute)
{
    return load_adapted(g, format, threads, recompute, &no_adapter);
}

static void compare_gradients(const golden *g, const network *net, double tolerance)
{
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        (void)golden_compare_gradient(g, p, p, tolerance);
    }
}

static void fp32(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int recompute = 0; recompute < 2; recompute++) {
            golden g;
            open_case(&g, cases[c]);
            network *net = load(&g, &format, 2, recompute == 1);
            const double loss = golden_learn(&g, net), expected = golden_number(&g, "loss");
            printf("  %s: loss %.7f, expected %.7f\n", cases[c], loss, expected);
            assert_true(fabs(loss - expected) <= LOSS_TOLERANCE * expected);
            compare_gradients(&g, net, GRADIENT_TOLERANCE);
            network_destroy(net);
            golden_close(&g);
        }
}

/* -log p of every token with a target, and what the outputs say of the others. */
static void predictions(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    for (int c = 0; c < CASES; c++) {
        golden g;
        open_case(&g, cases[c]);
        network *net = load(&g, &format, 1, false);
        const int64_t n = g.in.seq.tokens;
        float *out = test_floats(2 * n), *expected = golden_floats(&g, "losses", n);
        assert_int_equal(network_outputs(net, &g.in), 2 * n);
        const double loss = network_predict(net, &g.in, &g.targets, out);
        assert_ok(network_check(&ctx, net));
        assert_true(fabs(loss - golden_number(&g, "loss")) <= LOSS_TOLERANCE * loss);
        for (int64_t t = 0; t < n; t++)
            if (!(fabs((double)out[2 * t] - (double)expected[t]) <= TOKEN_TOLERANCE))
                fail_msg("%s: token %lld: %g, expected %g", cases[c], (long long)t,
                         (double)out[2 * t], (double)expected[t]);
        /* without targets, the most probable token of each: that of a token with a target too */
        float *alone = test_floats(2 * n);
        (void)network_predict(net, &g.in, NULL, alone);
        for (int64_t t = 0; t < n; t++) {
            assert_true(alone[2 * t] == 0.0f);
            if (g.targets.index[t] >= 0)
                assert_true(alone[2 * t + 1] == out[2 * t + 1]);
        }
        mem_free(alone);
        mem_free(out);
        mem_free(expected);
        network_destroy(net);
        golden_close(&g);
    }
}

static void integers_are_close(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    static const double bound[] = {6.0, 14.5, 12.5}; /* dB at 8 bits */
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int bits = 8; bits <= 16; bits += 4)
            for (int k = 0; k < 3; k++) {
                num_format format = test_format_dfp(bits, groups[k], false);
                golden g;
                format.norm_bits = 16;
                open_case(&g, cases[c]);
                network *net = load(&g, &format, 2, false);
                const double loss = golden_learn(&g, net), expected = golden_number(&g, "loss");
                printf("  %s, %d bits by %s: loss %.5f, expected %.5f\n", cases[c], bits,
                       test_group_name(groups[k]), loss, expected);
                assert_true(fabs(loss - expected) <= 0.02 * pow(2.0, 8 - bits) * expected);
                test_assert_at_least("gradients", golden_gradient_snr(&g, net),
                                     bound[k] + 6.02 * (bits - 8), "dB");
                network_destroy(net);
                golden_close(&g);
            }
}

/* Gradients with these bits are the same, whatever the number of threads and with recomputation. */
static void same_bits(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int rounding = ROUNDING_NEAREST; rounding <= ROUNDING_MIXED; rounding++) {
            num_format format = test_format_dfp(8, GROUP_ROW, false);
            golden g;
            format.rounding = (rounding_kind)rounding;
            open_case(&g, cases[c]);
            network *one = load(&g, &format, 1, false), *other = load(&g, &format, 3, true);
            const double loss = golden_learn(&g, one);
            assert_true(golden_learn(&g, other) == loss);
            assert_memory_equal(one->params.grad, other->params.grad,
                                (size_t)one->params.elements * sizeof(float));
            network_destroy(one);
            network_destroy(other);
            golden_close(&g);
        }
}

/* The same from every family of kernels that runs here. */
static void same_bits_of_families(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    printf("  %d families\n", count);
    for (int c = 0; c < CASES; c++)
        for (int bits = 8; bits <= 12; bits += 4) {
            num_format format = test_format_dfp(bits, GROUP_ROW, false);
            golden g;
            format.rounding = ROUNDING_MIXED;
            format.norm_bits = 16;
            open_case(&g, cases[c]);
            network *one = load(&g, &format, 1, false);
            const double loss = golden_learn(&g, one);
            for (int k = 0; k < count; k++) {
                network *other = load_with(&g, &format, 2, false, &no_adapter, families[k]);
                assert_true(golden_learn(&g, other) == loss);
                assert_memory_equal(one->params.grad, other->params.grad,
                                    (size_t)one->params.elements * sizeof(float));
                network_destroy(other);
            }
            network_destroy(one);
            golden_close(&g);
        }
}

/* ------------------------------------------------------------------------------ adapters ---- */

#define SCALE 1.5

enum { TARGETS = 5, RANK = 3 };

/* Some of the modules of a case. */
static const char *targets_of(const char *name, int k)
{
    static const char *const llama[TARGETS] = {"all-linear", "q_proj,v_proj", "k_proj,down_proj",
                                               "up_proj", "o_proj,gate_proj"};
    static const char *const falcon[TARGETS] = {"all-linear", "query_key_value",
                                                "query_key_value,dense_4h_to_h", "dense_h_to_4h",
                                                "self_attention.dense"};
    return strncmp(name, "falcon", 6) == 0 ? falcon[k] : llama[k];
}

/* With B as after some steps; at first it is zero. */
static network *load_random_adapter(const golden *g, const num_format *format, int threads,
                                    bool recompute, const char *names)
{
    const adapter_options adapter = {.rank = RANK, .scale = (float)SCALE, .targets = names};
    network *net = load_adapted(g, format, threads, recompute, &adapter);
    test_random r = test_random_make("adapter");
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        assert_true(p->trained == (p->part == PARAM_ADAPTER));
        if (p->part != PARAM_ADAPTER)
            continue;
        for (int64_t k = 0; strstr(p->name, "lora_B") == NULL && k < param_size(p); k++)
            assert_true(fabs((double)p->value[k]) <= (double)p->init_bound);
        for (int64_t k = 0; strstr(p->name, "lora_B") != NULL && k < param_size(p); k++)
            assert_true(p->value[k] == 0.0f);
        test_fill_normal(&r, p->value, param_size(p), 0.0, 0.2);
    }
    network_weights_changed(net);
    return net;
}

static param *param_named(const network *net, const char *name)
{
    for (int64_t i = 0; i < net->params.count; i++)
        if (strcmp(net->params.items[i]->name, name) == 0)
            return net->params.items[i];
    fail_msg("no parameter %s", name);
    return NULL;
}

/* The A before this B, and the weight of that module in a network without adapters. */
static const param *partner(const network *net, const param *b, const network *plain, param **w)
{
    char name[PARAM_NAME_BYTES + 16];
    const int stem = (int)(strstr(b->name, ".lora_B") - b->name);
    snprintf(name, sizeof name, "%.*s.weight", stem, b->name);
    *w = param_named(plain, name);
    snprintf(name, sizeof name, "%.*s.lora_A.weight", stem, b->name);
    return param_named(net, name);
}

/* W += s B A */
static void merge(param *w, const param *a, const param *b)
{
    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t j = 0; j < w->cols; j++) {
            double sum = 0.0;
            for (int64_t k = 0; k < RANK; k++)
                sum += (double)b->value[i * RANK + k] * (double)a->value[k * w->cols + j];
            w->value[i * w->cols + j] += (float)(SCALE * sum);
        }
}

/* The gradient of p against expected[param_size(p)]. */
static void assert_gradient(const param *p, const double *expected)
{
    double largest = 0.0;
    for (int64_t k = 0; k < param_size(p); k++)
        largest = fmax(largest, fabs(expected[k]));
    assert_true(largest > 0.0);
    for (int64_t k = 0; k < param_size(p); k++) {
        const double error = fabs(expected[k] - (double)p->grad[k]);
        if (!(error <= GRADIENT_TOLERANCE * largest)) /* a NaN too */
            fail_msg("%s: element %lld: error %g of %g", p->name, (long long)k, error, largest);
    }
}

static void compare_adapter(const param *w, const param *a, const param *b)
{
    double *da = test_alloc(param_size(a), sizeof *da), *db = test_alloc(param_size(b), sizeof *db);
    for (int64_t i = 0; i < w->rows; i++)
        for (int64_t j = 0; j < w->cols; j++)
            for (int64_t k = 0; k < RANK; k++) {
                const double dw = SCALE * (double)w->grad[i * w->cols + j];
                da[k * w->cols + j] += dw * (double)b->value[i * RANK + k];
                db[i * RANK + k] += dw * (double)a->value[k * w->cols + j];
            }
    assert_gradient(a, da);
    assert_gradient(b, db);
    mem_free(da);
    mem_free(db);
}

static void adapters_fp32(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int k = 0; k < 2 * TARGETS; k++) {
            golden g;
            open_case(&g, cases[c]);
            network *net = load_random_adapter(&g, &format, 2, k >= TARGETS,
                                               targets_of(cases[c], k % TARGETS));
            network *plain = load(&g, &format, 2, false);
            param *w;
            int modules = 0;
            for (int64_t i = 0; i < net->params.count; i++) {
                const param *b = net->params.items[i];
                if (strstr(b->name, ".lora_B") == NULL)
                    continue;
                const param *a = partner(net, b, plain, &w);
                merge(w, a, b);
                modules++;
            }
            network_weights_changed(plain);
            const double loss = golden_learn(&g, net), expected = golden_learn(&g, plain);
            if (k < TARGETS)
                printf("  %s, %s: %d modules, loss %.7f, merged %.7f\n", cases[c],
                       targets_of(cases[c], k % TARGETS), modules, loss, expected);
            assert_true(fabs(loss - golden_number(&g, "loss")) > 1e-4);
            assert_true(fabs(loss - expected) <= LOSS_TOLERANCE * expected);
            for (int64_t i = 0; i < net->params.count; i++) {
                const param *b = net->params.items[i];
                if (strstr(b->name, ".lora_B") == NULL)
                    continue;
                const param *a = partner(net, b, plain, &w);
                compare_adapter(w, a, b);
            }
            network_destroy(net);
            network_destroy(plain);
            golden_close(&g);
        }
}

static void adapters_same_bits(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int k = 0; k < TARGETS; k++)
            for (int rounding = ROUNDING_NEAREST; rounding <= ROUNDING_MIXED; rounding++) {
                num_format format = test_format_dfp(8, GROUP_ROW, false);
                golden g;
                format.rounding = (rounding_kind)rounding;
                format.outlier_bits = k == 0 ? 12 : 0;
                open_case(&g, cases[c]);
                const char *names = targets_of(cases[c], k);
                network *one = load_random_adapter(&g, &format, 1, false, names);
                network *other = load_random_adapter(&g, &format, 3, true, names);
                test_set_outliers(&one->ex, 2);
                test_set_outliers(&other->ex, 2);
                const double loss = golden_learn(&g, one);
                assert_true(golden_learn(&g, other) == loss);
                for (int64_t i = 0; i < one->params.trained_count; i++) {
                    const param *p = one->params.trained[i];
                    test_assert_same(p->name, other->params.trained[i]->grad, p->grad,
                                     param_size(p));
                }
                network_destroy(one);
                network_destroy(other);
                golden_close(&g);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fp32),
        cmocka_unit_test(predictions),
        cmocka_unit_test(integers_are_close),
        cmocka_unit_test(same_bits),
        cmocka_unit_test(same_bits_of_families),
        cmocka_unit_test(adapters_fp32),
        cmocka_unit_test(adapters_same_bits),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
