/*
 * Text generation's forward, token by token with kept keys and values (network/network_cache.h),
 * against the forward of the whole text, on the tiny models of tools/make_golden_decoder.py.
 *
 *   whole   one call for the whole text gives the logits of the whole forward to the bit, in every
 *           number format
 *   steps   token by token: fp32 to STEP_TOLERANCE of the largest logit, the integer formats by a
 *           signal-to-noise ratio: exponents of keys and values are those of the tokens so far
 *   pieces  the same in calls of 1, 2, 3, ... tokens, and over a piece of NETWORK_CACHE_PIECE
 *   cut     going on from a part of the text gives what going through all of it anew gives
 *   growth  room that grows on the way changes no bit
 *   same    threads and kernel families give the same bits
 *
 * The folders are found by support/golden_file.h.
 */
#include "support/test_check.h"

#include <math.h>
#include <stdio.h>

#include "network/network_cache.h"
#include "support/golden_file.h"

#define STEP_TOLERANCE 1e-5 /* of the largest logit */

enum { TOKENS = 60, LONG = NETWORK_CACHE_PIECE + 20 };

static const char *const cases[] = {"llama",  "smollm", "qwen2",  "mistral",  "qwen3",
                                    "gemma3", "window", "falcon", "falcon40", "falconrw"};

enum { CASES = sizeof cases / sizeof cases[0] };

static mts_ctx ctx;

static network *load(const char *name, const num_format *format, int threads,
                     const gemm_family *family)
{
    char dir[GOLDEN_DIR_BYTES];
    const network_options options = {.head = head_class_find("next token"),
                                     .family = family,
                                     .format = *format,
                                     .threads = threads,
                                     .limits = {0, 0, 1, LONG, LONG, 1}};
    golden_folder(dir, name);
    return golden_network(dir, &options);
}

static void make_ids(const network *net, int32_t *ids, int64_t n)
{
    test_random r = test_random_make("ids");
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)test_random_below(&r, net->cfg.vocab_size);
}

/* z[n][vocabulary]: behind each token, by a forward of the whole text without a cache. */
static float *whole_logits(network *net, const int32_t *ids, int64_t n)
{
    const int64_t w = net->cfg.hidden_size, v = net->cfg.vocab_size;
    const int64_t offset[2] = {0, n};
    int32_t *positions = test_alloc(n, sizeof *positions);
    int32_t *types = test_alloc(n, sizeof *types);
    const model_input in = {{1, n, n, offset}, ids, types, positions, NULL};
    float *z = test_floats(n * v);
    exec *ex = &net->ex;
    const size_t mark = exec_mark(ex);
    for (int64_t i = 0; i < n; i++)
        positions[i] = (int32_t)i;
    ex->training = false;
    net->kept.used = 0;
    net->body->class->bind_batch(net->body, ex, &in, &net->kept);
    net->head->class->bind_batch(net->head, ex, &in, &net->kept);
    float *h = exec_take(ex, n * w, sizeof(float));
    net->body->class->forward(net->body, ex, &in, h);
    for (int64_t i = 0; i < n; i++)
        net->head->class->logits(net->head, ex, h + i * w, z + i * v);
    exec_release(ex, mark);
    assert_ok(network_check(&ctx, net));
    mem_free(positions);
    mem_free(types);
    return z;
}

/* The same by calls of so many tokens: `step`, or 1, 2, 3, ... if it is 0; rows between are 0. */
static float *step_logits(network *net, const int32_t *ids, int64_t n, int64_t step)
{
    const int64_t v = net->cfg.vocab_size;
    float *z = test_floats(n * v);
    assert_ok(network_cache_reserve(&ctx, net, n));
    network_cache_cut(net, 0);
    for (int64_t at = 0, count = 1; at < n; at += count, count++) {
        count = step > 0 ? step : count;
        count = count < n - at ? count : n - at;
        assert_ok(network_extend(&ctx, net, ids + at, count, z + (at + count - 1) * v));
    }
    assert_int_equal(net->cache.used, n);
    return z;
}

/* The largest difference where z has numbers, over the largest of y; NaN if one of them is. */
static double difference(const float *z, const float *y, int64_t n)
{
    double worst = 0.0, largest = 0.0;
    for (int64_t i = 0; i < n; i++) {
        if (isnan(z[i]) || isnan(y[i]))
            return (double)NAN;
        if (z[i] != 0.0f)
            worst = fmax(worst, fabs((double)z[i] - (double)y[i]));
        largest = fmax(largest, fabs((double)y[i]));
    }
    return worst / largest;
}

static num_format formats(int i)
{
    static const group_kind groups[] = {GROUP_ROW, GROUP_BLOCK, GROUP_TENSOR};
    if (i < 2)
        return test_format_float(i == 0 ? FORMAT_FP32 : FORMAT_BF16);
    return test_format_dfp(i < 5 ? 8 : 12, groups[(i - 2) % 3], false);
}

enum { FORMATS = 8 };

static void whole_text_in_one_call(void **state)
{
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int f = 0; f < FORMATS; f++) {
            const num_format format = formats(f);
            network *net = load(cases[c], &format, 2, NULL);
            const int64_t v = net->cfg.vocab_size;
            int32_t ids[TOKENS];
            make_ids(net, ids, TOKENS);
            float *y = whole_logits(net, ids, TOKENS), *z = step_logits(net, ids, TOKENS, TOKENS);
            test_assert_same(cases[c], z + (TOKENS - 1) * v, y + (TOKENS - 1) * v, v);
            mem_free(y);
            mem_free(z);
            network_destroy(net);
        }
}

static void step_by_step(void **state)
{
    static const double bounds[] = {0, 30, 24, 48}; /* dB: bf16, int8, int12 */
    const num_format tried[] = {test_format_float(FORMAT_FP32), test_format_float(FORMAT_BF16),
                                test_format_dfp(8, GROUP_ROW, false),
                                test_format_dfp(12, GROUP_ROW, false)};
    (void)state;
    for (int c = 0; c < CASES; c++)
        for (int f = 0; f < 4; f++) {
            network *net = load(cases[c], &tried[f], 2, NULL);
            const int64_t n = TOKENS * net->cfg.vocab_size;
            char what[64];
            int32_t ids[TOKENS];
            make_ids(net, ids, TOKENS);
            float *y = whole_logits(net, ids, TOKENS), *z = step_logits(net, ids, TOKENS, 1);
            float *parts = step_logits(net, ids, TOKENS, 0);
            snprintf(what, sizeof what, "  %s, format %d", cases[c], f);
            if (f == 0)
                test_assert_at_least(what, -difference(z, y, n), -STEP_TOLERANCE, "");
            else
                test_assert_at_least(what, test_snr_db(z, y, n), bounds[f], "dB");
            if (f == 0)
                test_assert_at_least(what, -difference(parts, y, n), -STEP_TOLERANCE, "");
            mem_free(y);
            mem_free(z);
            mem_free(parts);
            network_destroy(net);
        }
}

static void longer_than_a_piece(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    network *net = load("llama", &format, 2, NULL);
    const int64_t v = net->cfg.vocab_size;
    int32_t ids[LONG];
    (void)state;
    make_ids(net, ids, LONG);
    float *y = whole_logits(net, ids, LONG), *z = step_logits(net, ids, LONG, LONG);
    assert_true(z[(LONG - 1) * v] != 0.0f);
    assert_true(difference(z, y, LONG * v) <= STEP_TOLERANCE);
    mem_free(y);
    mem_free(z);
    network_destroy(net);
}

/* Going on from a cut, and with room that grows. */
static void cut_and_growth(void **state)
{
    const num_format format = test_format_dfp(8, GROUP_ROW, false);
    network *net = load("qwen2", &format, 1, NULL);
    const int64_t v = net->cfg.vocab_size;
    int32_t ids[TOKENS];
    float *z = test_floats(v);
    (void)state;
    make_ids(net, ids, TOKENS);
    float *y = step_logits(net, ids, TOKENS, 1);
    network_cache_cut(net, TOKENS); /* nothing to forget */
    assert_int_equal(net->cache.used, TOKENS);
    network_cache_cut(net, 10);
    for (int64_t i = 10; i < TOKENS; i++) {
        assert_ok(network_extend(&ctx, net, ids + i, 1, z));
        test_assert_same("cut", z, y + i * v, v);
    }
    network_destroy(net);
    net = load("qwen2", &format, 1, NULL);
    for (int64_t i = 0; i < TOKENS; i++) {
        assert_ok(network_cache_reserve(&ctx, net, i + 1));
        assert_ok(network_extend(&ctx, net, ids + i, 1, z));
        test_assert_same("growth", z, y + i * v, v);
    }
    assert_ok(network_cache_reserve(&ctx, net, 3)); /* less than there is: nothing */
    assert_int_equal(net->cache.room, TOKENS);
    mem_free(y);
    mem_free(z);
    network_destroy(net);
}

static void threads_and_families(void **state)
{
    const gemm_family *families[8];
    const int count = test_families(families);
    (void)state;
    for (int f = 0; f < FORMATS; f++) {
        const num_format format = formats(f);
        float *first = NULL;
        for (int k = 0; k < count; k++)
            for (int threads = 1; threads <= 3; threads += 2) {
                network *net = load("smollm", &format, threads, families[k]);
                const int64_t n = TOKENS * net->cfg.vocab_size;
                int32_t ids[TOKENS];
                make_ids(net, ids, TOKENS);
                float *z = step_logits(net, ids, TOKENS, 0);
                if (first != NULL)
                    test_assert_same(families[k]->name, z, first, n);
                else
                    first = z;
                if (z != first)
                    mem_free(z);
                network_destroy(net);
            }
        mem_free(first);
    }
}

/* Only a language model generates. */
static void other_heads(void **state)
{
    const num_format format = test_format_float(FORMAT_FP32);
    test_bert t;
    (void)state;
    test_bert_init(&t, &(test_shape){.vocab = 0}, &format, 1, &(dropout_rates){0, 0, 0, 0});
    assert_false(network_generates(t.net));
    assert_fails(network_cache_reserve(&ctx, t.net, 4), MTS_ERR_UNSUPPORTED,
                 "does not generate text");
    test_bert_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_text_in_one_call), cmocka_unit_test(step_by_step),
        cmocka_unit_test(longer_than_a_piece),    cmocka_unit_test(cut_and_growth),
        cmocka_unit_test(threads_and_families),   cmocka_unit_test(other_heads),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
