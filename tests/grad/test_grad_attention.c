/*
 * Attention's backward: float against finite differences, integers against float.
 *
 *   fp32      every element of dQ, dK, dV against central differences of L = sum C out, with and
 *             without dropout (its draws depend on seed and step only)
 *   integers  signal-to-noise ratio of out, dQ, dK, dV against fp32 by width and rounding
 *   bits      the same from 1, 2 and 3 threads
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "layers/attention.h"
#include "support/test_model.h"

enum { MAX_SEQUENCES = 4 };

typedef struct head_case {
    exec ex;
    attention at;
    attention_state state;
    int64_t offset[MAX_SEQUENCES + 1];
    sequences seq;
    arena storage;
    float *qkv, *out, *dout, *dqkv; /* [tokens][3 width], [tokens][width] */
} head_case;

static void case_init(head_case *c, const num_format *format, int threads, int64_t width,
                      int64_t heads, const int64_t *lengths, int64_t count)
{
    test_random r = test_random_make("attention");
    int64_t longest = 0;
    *c = (head_case){.at = {"the attention", 4, width, heads, 0.0f}};
    for (int64_t e = 0; e < count; e++) {
        c->offset[e + 1] = c->offset[e] + lengths[e];
        longest = lengths[e] > longest ? lengths[e] : longest;
    }
    const int64_t tokens = c->offset[count];
    c->seq = (sequences){count, tokens, longest, c->offset};
    test_exec_init(&c->ex, format, threads);
    test_exec_scratch(&c->ex, attention_scratch(&c->ex, &c->at, longest));
    const size_t bytes = attention_state_bytes(&c->ex, &c->at, tokens, count);
    assert_int_equal(arena_init(NULL, &c->storage, bytes, ""), MTS_OK);
    attention_state_bind(&c->ex, &c->state, &c->storage, &c->at, tokens, count);
    c->qkv = c->state.qkv != NULL ? c->state.qkv : test_floats(tokens * 3 * width);
    c->out = test_floats(tokens * width);
    c->dout = test_floats(tokens * width);
    c->dqkv = test_floats(tokens * 3 * width);
    test_fill_normal(&r, c->qkv, tokens * 3 * width, 0.1, 1.0);
    test_fill_normal(&r, c->dout, tokens * width, 0.0, 1.0);
}

static void case_deinit(head_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    if (c->state.qkv == NULL)
        mem_free(c->qkv);
    mem_free(c->out);
    mem_free(c->dout);
    mem_free(c->dqkv);
    arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

static double loss(void *arg)
{
    head_case *c = arg;
    attention_forward(&c->ex, c->out, c->qkv, &c->seq, &c->at, &c->state);
    return test_dot(c->out, c->dout, c->seq.tokens * c->at.width);
}

static void run(head_case *c)
{
    loss(c);
    attention_backward(&c->ex, c->dqkv, c->dout, &c->seq, &c->at, &c->state);
}

static void differences(void **state)
{
    static const int64_t lengths[] = {5, 1, 8};
    static const float dropouts[] = {0.0f, 0.3f};
    (void)state;
    for (int i = 0; i < 2; i++) {
        head_case c;
        const num_format format = test_format_float(FORMAT_FP32);
        case_init(&c, &format, 1, 12, 2, lengths, 3);
        c.at.dropout = dropouts[i];
        run(&c);
        test_assert_gradient(i == 0 ? "dQ, dK, dV" : "dQ, dK, dV with dropout", loss, &c, c.qkv,
                             c.dqkv, c.seq.tokens * 3 * c.at.width, 0.01f, 1e-3, 3e-4);
        case_deinit(&c);
    }
}

/* The dropout of evaluation is none, that of another step is another. */
static void dropout_steps(void **state)
{
    static const int64_t lengths[] = {9, 6};
    const num_format format = test_format_float(FORMAT_FP32);
    head_case c;
    (void)state;
    case_init(&c, &format, 1, 12, 2, lengths, 2);
    const double plain = loss(&c);
    c.at.dropout = 0.5f;
    const double first = loss(&c), again = loss(&c);
    c.ex.step = 1;
    const double second = loss(&c);
    c.ex.training = false;
    const double evaluation = loss(&c);
    assert_true(first == again && first != plain && second != first && evaluation == plain);
    case_deinit(&c);
}

/* SNR of part `which` (0..2) of dqkv. */
static double part_snr(const head_case *a, const head_case *b, int which)
{
    const int64_t width = a->at.width, tokens = a->seq.tokens;
    float *x = test_floats(tokens * width), *y = test_floats(tokens * width);
    for (int64_t t = 0; t < tokens; t++) {
        const int64_t from = t * 3 * width + which * width;
        memcpy(x + t * width, a->dqkv + from, (size_t)width * sizeof(float));
        memcpy(y + t * width, b->dqkv + from, (size_t)width * sizeof(float));
    }
    const double snr = test_snr_db(x, y, tokens * width);
    mem_free(x);
    mem_free(y);
    return snr;
}

static void measure(const num_format *format, float dropout, const double bound[4])
{
    static const int64_t lengths[] = {70, 1, 33};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    head_case a, b;
    case_init(&a, format, 1, 64, 2, lengths, 3);
    case_init(&b, &fp32, 1, 64, 2, lengths, 3);
    a.at.dropout = b.at.dropout = dropout;
    run(&a);
    run(&b);
    test_assert_at_least("out", test_snr_db(a.out, b.out, 104 * 64), bound[0], "dB");
    test_assert_at_least("dQ", part_snr(&a, &b, 0), bound[1], "dB");
    test_assert_at_least("dK", part_snr(&a, &b, 1), bound[2], "dB");
    test_assert_at_least("dV", part_snr(&a, &b, 2), bound[3], "dB");
    case_deinit(&a);
    case_deinit(&b);
}

/* Bounds in dB at 8 bits for out, dQ, dK, dV; 6.02 dB more for each bit. */
static void noise(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    static const double nearest[4] = {25, 22.5, 23, 24};
    static const double stochastic[4] = {22, 19.5, 20, 21};
    (void)state;
    for (int s = 0; s < 2; s++)
        for (int w = 0; w < 4; w++)
            for (int d = 0; d < 2; d++) {
                const num_format f = test_format_dfp(widths[w], GROUP_TENSOR, s == 1);
                double bound[4];
                for (int i = 0; i < 4; i++)
                    bound[i] = (s == 1 ? stochastic : nearest)[i] + 6.02 * (widths[w] - 8);
                printf("  %s, %d bits%s\n", s == 1 ? "stochastic" : "nearest", widths[w],
                       d == 1 ? ", dropout" : "");
                measure(&f, d == 1 ? 0.1f : 0.0f, bound);
            }
}

static void bfloat16(void **state)
{
    static const double bound[4] = {47, 44, 44.5, 46};
    const num_format f = test_format_float(FORMAT_BF16);
    (void)state;
    measure(&f, 0.1f, bound);
}

static void threads(void **state)
{
    static const int64_t lengths[] = {17, 40, 1, 9};
    (void)state;
    for (int bits = 8; bits <= 16; bits += 4) {
        head_case first, other;
        const num_format f = test_format_dfp(bits, GROUP_ROW, true);
        case_init(&first, &f, 1, 48, 6, lengths, 4);
        first.at.dropout = 0.1f;
        run(&first);
        for (int n = 2; n <= 3; n++) {
            case_init(&other, &f, n, 48, 6, lengths, 4);
            other.at.dropout = 0.1f;
            run(&other);
            test_assert_same("out", other.out, first.out, 67 * 48);
            test_assert_same("dqkv", other.dqkv, first.dqkv, 67 * 3 * 48);
            case_deinit(&other);
        }
        case_deinit(&first);
    }
}

static void anomalies(void **state)
{
    static const int64_t lengths[] = {6, 7};
    (void)state;
    for (int where = 0; where < 2; where++) {
        head_case c;
        const num_format f = test_format_dfp(8, GROUP_TENSOR, true);
        case_init(&c, &f, 1, 12, 2, lengths, 2);
        (where == 0 ? c.qkv : c.dout)[5] = NAN;
        run(&c);
        assert_string_equal(c.ex.anomaly,
                            where == 0 ? "NaN or infinity in query, key or value of the attention"
                                       : "NaN or infinity in the output gradient of the attention");
        c.ex.anomaly[0] = '\0';
        for (int64_t i = 0; i < 13 * 36; i++)
            assert_true(isfinite(c.dqkv[i]));
        case_deinit(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences), cmocka_unit_test(dropout_steps), cmocka_unit_test(noise),
        cmocka_unit_test(bfloat16),    cmocka_unit_test(threads),       cmocka_unit_test(anomalies),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
