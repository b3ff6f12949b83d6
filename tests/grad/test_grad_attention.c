/*
 * Attention's backward: float against finite differences, integers against float.
 *
 *   fp32      every element of dQ, dK, dV against central differences of L = sum C out, with and
 *             without dropout (its draws depend on seed and step only)
 *   integers  signal-to-noise ratio of out, dQ, dK, dV against fp32 by width, group and rounding
 *   mixed     rounding: out as of nearest rounding, the gradients as of stochastic, bit for bit
 *   peaked    probabilities by row keep the small ones beside a row that is nearly 1
 *   bits      the same from 1, 2 and 3 threads
 *   draws     of dropout and rounding differ by head, by sequence and by step
 *   variants  shared keys and values, causal, windows behind and on both sides, groups of columns,
 *             scales, linear biases: against a plain computation in double
 *   windows   on both sides: draws of their own, and the bits of any number of threads
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

enum { MAX_SEQUENCES = 5 };

typedef struct head_case {
    exec ex;
    attention at;
    attention_state state;
    int64_t offset[MAX_SEQUENCES + 1];
    sequences seq;
    arena storage;
    float *qkv, *out, *dout, *dqkv; /* [tokens][in width], [tokens][out width] */
} head_case;

static void bind(void *arg)
{
    head_case *c = arg;
    attention_state_bind(&c->ex, &c->state, &c->storage, &c->at, c->seq.tokens, c->seq.count);
}

static void run(void *arg)
{
    head_case *c = arg;
    attention_forward(&c->ex, c->out, c->qkv, &c->seq, &c->at, &c->state);
    attention_backward(&c->ex, c->dqkv, c->dout, &c->seq, &c->at, &c->state);
}

static void case_init_for(head_case *c, const num_format *format, int threads, const attention *at,
                          const int64_t *lengths, int64_t count)
{
    test_random r = test_random_make("attention");
    const int64_t in = attention_in_width(at), width = attention_out_width(at);
    int64_t longest = 0;
    *c = (head_case){.at = *at};
    for (int64_t e = 0; e < count; e++) {
        c->offset[e + 1] = c->offset[e] + lengths[e];
        longest = lengths[e] > longest ? lengths[e] : longest;
    }
    const int64_t tokens = c->offset[count];
    c->seq = (sequences){count, tokens, longest, c->offset};
    test_exec_init(&c->ex, format, threads);
    c->seq.offset = NULL; /* planned by the shape alone */
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
    c->seq.offset = c->offset;
    c->qkv = c->state.qkv != NULL ? c->state.qkv : test_floats(tokens * in);
    c->out = test_floats(tokens * width);
    c->dout = test_floats(tokens * width);
    c->dqkv = test_floats(tokens * in);
    test_fill_normal(&r, c->qkv, tokens * in, 0.1, 1.0);
    test_fill_normal(&r, c->dout, tokens * width, 0.0, 1.0);
}

/* As BERT has it: every head has its own K and V and sees all. */
static void case_init(head_case *c, const num_format *format, int threads, int64_t width,
                      int64_t heads, const int64_t *lengths, int64_t count)
{
    const attention at = {.name = "the attention",
                          .id = 4,
                          .heads = heads,
                          .kv_heads = heads,
                          .head_dim = width / heads};
    case_init_for(c, format, threads, &at, lengths, count);
}

static void case_deinit(head_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    if (c->state.qkv == NULL)
        mem_free(c->qkv);
    mem_free(c->out);
    mem_free(c->dout);
    mem_free(c->dqkv);
    test_arena_deinit(&c->storage);
    test_exec_deinit(&c->ex);
}

static double loss(void *arg)
{
    head_case *c = arg;
    attention_forward(&c->ex, c->out, c->qkv, &c->seq, &c->at, &c->state);
    return test_dot(c->out, c->dout, c->seq.tokens * attention_out_width(&c->at));
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
                             c.dqkv, c.seq.tokens * 3 * attention_out_width(&c.at), 0.01f, 1e-3,
                             3e-4);
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

/* Two sequences with the same numbers, in two heads that have the same numbers as well. */
static void fill_alike(head_case *c)
{
    const int64_t dh = attention_out_width(&c->at) / 2, tokens = c->seq.tokens / 2,
                  n = tokens * 3 * attention_out_width(&c->at);
    for (int64_t i = 0; i < 3 * tokens; i++)
        memcpy(c->qkv + (2 * i + 1) * dh, c->qkv + 2 * i * dh, (size_t)dh * sizeof(float));
    memcpy(c->qkv + n, c->qkv, (size_t)n * sizeof(float));
}

/* Each head of each sequence has its own draws, of dropout and of stochastic rounding: where they
 * see the same numbers their outputs are all different; without draws they are all equal. */
static void own_draws(void **state)
{
    enum { WIDTH = 24, DH = 12, LENGTH = 9 };
    static const int64_t lengths[] = {LENGTH, LENGTH};
    const num_format formats[] = {test_format_float(FORMAT_FP32), test_format_float(FORMAT_FP32),
                                  test_format_dfp(8, GROUP_ROW, true)};
    static const float dropouts[] = {0.0f, 0.5f, 0.0f};
    (void)state;
    for (int i = 0; i < 3; i++) {
        float part[4][LENGTH * DH]; /* the output of a head of a sequence */
        head_case c;
        case_init(&c, &formats[i], 1, WIDTH, 2, lengths, 2);
        c.at.dropout = dropouts[i];
        fill_alike(&c);
        loss(&c);
        for (int k = 0; k < 4; k++)
            for (int64_t t = 0; t < LENGTH; t++)
                memcpy(part[k] + t * DH, c.out + (k / 2 * LENGTH + t) * WIDTH + k % 2 * DH,
                       DH * sizeof(float));
        for (int k = 0; k < 4; k++)
            for (int j = 0; j < k; j++)
                assert_true((memcmp(part[k], part[j], sizeof part[k]) == 0) == (i == 0));
        case_deinit(&c);
    }
}

/* Part `which` (0..2) of dqkv by itself; freed by the caller. */
static float *part_of(const head_case *c, int which)
{
    const int64_t width = attention_out_width(&c->at);
    float *x = test_floats(c->seq.tokens * width);
    for (int64_t t = 0; t < c->seq.tokens; t++)
        memcpy(x + t * width, c->dqkv + t * 3 * width + which * width,
               (size_t)width * sizeof(float));
    return x;
}

static double part_snr(const head_case *a, const head_case *b, int which)
{
    float *x = part_of(a, which), *y = part_of(b, which);
    const double snr = test_snr_db(x, y, a->seq.tokens * attention_out_width(&a->at));
    mem_free(x);
    mem_free(y);
    return snr;
}

static void assert_gradients_differ(const head_case *a, const head_case *b)
{
    for (int which = 0; which < 3; which++)
        assert_true(part_snr(a, b, which) < 200.0); /* equal: 300 */
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
static const struct noise_bound {
    group_kind group;
    rounding_kind rounding;
    double bound[4];
} noise_bounds[] = {
    {GROUP_TENSOR, ROUNDING_NEAREST, {25, 22.5, 23, 24}},
    {GROUP_TENSOR, ROUNDING_STOCHASTIC, {22, 19.5, 20, 21}},
    {GROUP_ROW, ROUNDING_NEAREST, {31.5, 22, 22.5, 25.5}},
    {GROUP_ROW, ROUNDING_STOCHASTIC, {28.5, 19, 19.5, 22.5}},
    {GROUP_ROW, ROUNDING_MIXED, {31.5, 19.5, 20, 22.5}},
};

static void noise(void **state)
{
    static const int widths[] = {8, 10, 12, 16};
    static const char *const names[] = {"nearest", "stochastic", "mixed"};
    (void)state;
    for (size_t i = 0; i < sizeof noise_bounds / sizeof noise_bounds[0]; i++)
        for (int w = 0; w < 4; w++)
            for (int d = 0; d < 2; d++) {
                const struct noise_bound *b = &noise_bounds[i];
                num_format f = test_format_dfp(widths[w], b->group, false);
                double bound[4];
                f.rounding = b->rounding;
                for (int k = 0; k < 4; k++)
                    bound[k] = b->bound[k] + 6.02 * (widths[w] - 8);
                printf("  %s %s, %d bits%s\n", test_group_name(b->group), names[b->rounding],
                       widths[w], d == 1 ? ", dropout" : "");
                measure(&f, d == 1 ? 0.1f : 0.0f, bound);
            }
}

/* -------------------------------------------------------- shared keys and values, causal ---- */

/* The columns of head `which` of Q, and of its K and V. */
static void plain_columns(const attention *a, int64_t which, int64_t column[3])
{
    const int64_t sharing = a->heads / a->kv_heads, kv = which / sharing;
    const int64_t group = kv * (sharing + 2);
    const int64_t apart[3] = {which, a->heads + kv, a->heads + a->kv_heads + kv};
    const int64_t grouped[3] = {group + which % sharing, group + sharing, group + sharing + 1};
    for (int i = 0; i < 3; i++)
        column[i] = (a->grouped ? grouped : apart)[i] * a->head_dim;
}

/* A position below 512 rounded to bfloat16, which has 8 digits. */
static double in_bf16(int64_t j)
{
    return j <= 256 ? (double)j : 2.0 * rint((double)j / 2.0);
}

/* The attention of one head of Q in double, and its gradients added to dqkv[tokens][in width]. */
static void plain_head(const head_case *c, int64_t e, int64_t which, double *out, double *dqkv)
{
    const attention *a = &c->at;
    const int64_t in = attention_in_width(a), width = attention_out_width(a), dh = a->head_dim;
    const double scale = a->scale > 0.0f ? (double)a->scale : 1.0 / sqrt((double)dh);
    const double slope = a->slopes == NULL ? 0.0 : (double)a->slopes[which];
    const int64_t first = c->offset[e], length = c->offset[e + 1] - first, o = which * dh;
    int64_t column[3];
    plain_columns(a, which, column);
    const int64_t q = column[0], k = column[1], v = column[2];
    double *p = test_alloc(length, sizeof *p), *dp = test_alloc(length, sizeof *dp);
    for (int64_t i = first; i < first + length; i++) {
        const int64_t own = i - first, after = own + a->window + 1;
        const bool ahead = !a->causal && a->window > 0 && after < length;
        const int64_t seen = a->causal ? own + 1 : ahead ? after : length;
        const int64_t behind = a->causal ? own + 1 - a->window : own - a->window;
        const int64_t from = a->window > 0 && behind > 0 ? behind : 0;
        const float *qi = c->qkv + i * in + q, *g = c->dout + i * width + o;
        double sum = 0.0, dot = 0.0;
        for (int64_t j = from; j < seen; j++) {
            const float *kj = c->qkv + (first + j) * in + k;
            double s = 0.0;
            for (int64_t d = 0; d < dh; d++)
                s += (double)qi[d] * (double)kj[d];
            p[j] = exp((s + slope * in_bf16(j)) * scale);
            sum += p[j];
        }
        for (int64_t j = from; j < seen; j++) {
            const float *vj = c->qkv + (first + j) * in + v;
            p[j] /= sum;
            dp[j] = 0.0;
            for (int64_t d = 0; d < dh; d++) {
                out[i * width + o + d] += p[j] * (double)vj[d];
                dqkv[(first + j) * in + v + d] += p[j] * (double)g[d];
                dp[j] += (double)g[d] * (double)vj[d];
            }
            dot += dp[j] * p[j];
        }
        for (int64_t j = from; j < seen; j++) {
            const double ds = p[j] * (dp[j] - dot) * scale;
            const float *kj = c->qkv + (first + j) * in + k;
            for (int64_t d = 0; d < dh; d++) {
                dqkv[i * in + q + d] += ds * (double)kj[d];
                dqkv[(first + j) * in + k + d] += ds * (double)qi[d];
            }
        }
    }
    mem_free(p);
    mem_free(dp);
}

/* Signal-to-noise ratios of out and dqkv against double precision. */
static void compare_with_plain(head_case *c, double *out_db, double *dqkv_db)
{
    const int64_t n = c->seq.tokens * attention_out_width(&c->at);
    const int64_t m = c->seq.tokens * attention_in_width(&c->at);
    double *out = test_alloc(n, sizeof *out), *dqkv = test_alloc(m, sizeof *dqkv);
    float *expected = test_floats(n > m ? n : m);
    for (int64_t i = 0; i < n; i++)
        out[i] = 0.0;
    for (int64_t i = 0; i < m; i++)
        dqkv[i] = 0.0;
    for (int64_t e = 0; e < c->seq.count; e++)
        for (int64_t h = 0; h < c->at.heads; h++)
            plain_head(c, e, h, out, dqkv);
    run(c);
    for (int64_t i = 0; i < n; i++)
        expected[i] = (float)out[i];
    *out_db = test_snr_db(c->out, expected, n);
    for (int64_t i = 0; i < m; i++)
        expected[i] = (float)dqkv[i];
    *dqkv_db = test_snr_db(c->dqkv, expected, m);
    mem_free(out);
    mem_free(dqkv);
    mem_free(expected);
}

/* Heads that share keys and values, and rows that see what is before them, in blocks and not, all
 * or a window of it; groups of columns, another scale, linear biases. */
static void shared_and_causal(void **state)
{
    static const int64_t lengths[] = {5, 1, 129, 40, 290};
    static const float slopes[] = {0.5f, 0.0625f, 0.25f, 0.03125f, 1.0f, 0.125f};
    static const struct shape {
        int64_t heads, kv_heads;
        bool causal;
        int64_t window;
        bool grouped;
        float scale;
        const float *slopes;
    } shapes[] = {{4, 2, false, 0, false, 0, NULL},     {3, 1, false, 0, false, 0, NULL},
                  {4, 4, true, 0, false, 0, NULL},      {6, 2, true, 0, false, 0, NULL},
                  {3, 1, true, 0, false, 0, NULL},      {2, 1, true, 1, false, 0, NULL},
                  {2, 2, true, 20, false, 0, NULL},     {2, 1, true, 127, true, 0, NULL},
                  {2, 1, true, 128, false, 0, NULL},    {4, 2, true, 131, true, 0.3f, NULL},
                  {6, 3, true, 0, true, 0.3f, NULL},    {6, 6, true, 0, true, 0, slopes},
                  {6, 2, true, 30, true, 0.3f, slopes}, {2, 2, false, 1, false, 0, NULL},
                  {3, 3, false, 17, false, 0, NULL},    {2, 1, false, 64, true, 0, NULL},
                  {2, 2, false, 81, false, 0, NULL},    {2, 2, false, 128, false, 0, NULL},
                  {2, 2, false, 4096, false, 0, NULL},  {6, 3, false, 20, false, 0, slopes}};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int bits = 0; bits <= 16; bits += bits == 0 ? 8 : 4) {
            const attention at = {.name = "the attention",
                                  .id = 4,
                                  .heads = shapes[i].heads,
                                  .kv_heads = shapes[i].kv_heads,
                                  .head_dim = 20,
                                  .causal = shapes[i].causal,
                                  .window = shapes[i].window,
                                  .grouped = shapes[i].grouped,
                                  .scale = shapes[i].scale,
                                  .slopes = shapes[i].slopes};
            const num_format format = bits == 0 ? test_format_float(FORMAT_FP32)
                                                : test_format_dfp(bits, GROUP_ROW, false);
            double out, dqkv;
            head_case c;
            case_init_for(&c, &format, 2, &at, lengths, MAX_SEQUENCES);
            compare_with_plain(&c, &out, &dqkv);
            printf("  %lld heads of %lld, %s, window %lld%s%s, %d bits\n", (long long)at.heads,
                   (long long)at.kv_heads, at.causal ? "causal" : "all", (long long)at.window,
                   at.grouped ? ", groups" : "", at.slopes != NULL ? ", biases" : "", bits);
            test_assert_at_least("out", out, bits == 0 ? 110.0 : 31.0 + 6.02 * (bits - 8), "dB");
            test_assert_at_least("dqkv", dqkv, bits == 0 ? 110.0 : 19.5 + 6.02 * (bits - 8), "dB");
            case_deinit(&c);
        }
}

/* Blocks of a window on both sides share no draws: in a sequence that repeats itself every block,
 * tokens a block apart have the same outputs without dropout, and none the same with it.  The bits
 * are those of any number of threads. */
static void both_sides(void **state)
{
    enum { LENGTH = 500, WIDTH = 24, WINDOW = 30, BLOCK = 128 };
    static const int64_t lengths[] = {LENGTH};
    attention at = {.name = "the attention",
                    .id = 4,
                    .heads = 2,
                    .kv_heads = 2,
                    .head_dim = WIDTH / 2,
                    .window = WINDOW};
    const num_format format = test_format_float(FORMAT_FP32);
    (void)state;
    for (int d = 0; d < 2; d++) {
        head_case c[3];
        at.dropout = d == 0 ? 0.0f : 0.5f;
        for (int k = 0; k < 3; k++) {
            case_init_for(&c[k], &format, k + 1, &at, lengths, 1);
            for (int64_t t = BLOCK; t < LENGTH; t++)
                memcpy(c[k].qkv + t * 3 * WIDTH, c[k].qkv + (t - BLOCK) * 3 * WIDTH,
                       3 * WIDTH * sizeof(float));
            run(&c[k]);
            test_assert_same("out", c[k].out, c[0].out, LENGTH * WIDTH);
            test_assert_same("dqkv", c[k].dqkv, c[0].dqkv, LENGTH * 3 * WIDTH);
        }
        for (int64_t t = WINDOW; t + BLOCK < LENGTH - WINDOW; t++) {
            double most = 0.0;
            for (int64_t j = t * WIDTH; j < (t + 1) * WIDTH; j++)
                most = fmax(most, fabs((double)c[0].out[j] - (double)c[0].out[j + BLOCK * WIDTH]));
            assert_true(d == 0 ? most < 1e-5 : most > 1e-3);
        }
        for (int k = 0; k < 3; k++)
            case_deinit(&c[k]);
    }
}

/* Mixed rounding: out has the bits of nearest rounding in every step, the gradients are drawn. */
static void mixed_rounding(void **state)
{
    static const int64_t lengths[] = {17, 40, 9};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW};
    (void)state;
    for (int bits = 8; bits <= 12; bits += 4)
        for (int g = 0; g < 2; g++) {
            head_case c[3]; /* nearest; mixed in two steps */
            num_format f = test_format_dfp(bits, groups[g], false);
            for (int i = 0; i < 3; i++) {
                case_init(&c[i], &f, 1, 24, 2, lengths, 3);
                c[i].ex.step = i == 2;
                run(&c[i]);
                test_assert_same("out", c[i].out, c[0].out, 66 * 24);
                for (int k = 0; k < i; k++)
                    assert_gradients_differ(&c[i], &c[k]);
                f.rounding = ROUNDING_MIXED;
            }
            for (int i = 0; i < 3; i++)
                case_deinit(&c[i]);
        }
}

/*
 * Where the format holds Q, K, V and D exactly, however they are rounded, mixed rounding has the
 * bits of stochastic rounding: dO, its second mapping and dS are all drawn.  All keys of a sequence
 * are the same, so that its probabilities are 1 / L.
 */
static void mixed_gradients(void **state)
{
    enum { WIDTH = 24, DH = 12 };
    static const int64_t lengths[] = {16, 4, 32};
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW};
    static const rounding_kind roundings[] = {ROUNDING_NEAREST, ROUNDING_STOCHASTIC,
                                              ROUNDING_MIXED};
    (void)state;
    for (int bits = 8; bits <= 12; bits += 4)
        for (int g = 0; g < 2; g++) {
            head_case c[3];
            for (int i = 0; i < 3; i++) {
                num_format f = test_format_dfp(bits, groups[g], false);
                f.rounding = roundings[i];
                test_random r = test_random_make("exact");
                case_init(&c[i], &f, 1, WIDTH, WIDTH / DH, lengths, 3);
                test_fill_exact(&r, c[i].qkv, c[i].seq.tokens * 3 * WIDTH, bits);
                for (int64_t e = 0; e < 3; e++)
                    for (int64_t t = c[i].offset[e]; t < c[i].offset[e + 1]; t++)
                        memcpy(c[i].qkv + t * 3 * WIDTH + WIDTH,
                               c[i].qkv + c[i].offset[e] * 3 * WIDTH + WIDTH,
                               WIDTH * sizeof(float));
                run(&c[i]);
                test_assert_same("out", c[i].out, c[0].out, c[i].seq.tokens * WIDTH);
            }
            test_assert_same("dqkv", c[2].dqkv, c[1].dqkv, c[2].seq.tokens * 3 * WIDTH);
            assert_gradients_differ(&c[2], &c[0]);
            for (int i = 0; i < 3; i++)
                case_deinit(&c[i]);
        }
}

/* Of the head with a peak: its size, and the outputs of all rows but the first. */
enum { KEYS = 300, PEAK_WIDTH = 32, OTHERS = (KEYS - 1) * PEAK_WIDTH };

/* One sequence and head: the first query finds the first key, the others prefer none; the gradient
 * of the first output is 1000 times that of the others. */
static void peaked_run(head_case *c, const num_format *format)
{
    static const int64_t lengths[] = {KEYS};
    test_random r = test_random_make("peaked");
    case_init(c, format, 1, PEAK_WIDTH, 1, lengths, 1);
    for (int64_t t = 0; t < KEYS; t++)
        test_fill_normal(&r, c->qkv + t * 3 * PEAK_WIDTH, PEAK_WIDTH, 0.0, 0.1);
    for (int64_t j = 0; j < PEAK_WIDTH; j++) {
        c->qkv[j] = j % 3 == 0 ? 4.0f : -4.0f;
        c->qkv[PEAK_WIDTH + j] = 0.5f * c->qkv[j];
        c->dout[j] *= 1000.0f;
    }
    run(c);
}

static int count_zeros(const float *x)
{
    int zeros = 0;
    for (int i = 0; i < OTHERS; i++)
        zeros += x[i] == 0.0f;
    return zeros;
}

/*
 * What the exponents by row are for.  Beside a row of probabilities that is 1 at one key the
 * others, each about 1 / 300, are below half a unit of 8 bits if all share an exponent; so are
 * output gradients beside one that is 1000 times as large.  (The score gradients of the first row
 * are zero, they have an exponent in common.)
 */
static void peaked_row(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    head_case exact;
    (void)state;
    peaked_run(&exact, &fp32);
    test_assert_at_least("the first row: its own value",
                         test_snr_db(exact.out, exact.qkv + 2 * PEAK_WIDTH, PEAK_WIDTH), 40, "dB");
    float *exact_dq = part_of(&exact, 0);
    for (int g = 0; g < 3; g++) {
        const num_format f = test_format_dfp(8, groups[g], false);
        head_case c;
        peaked_run(&c, &f);
        float *dq = part_of(&c, 0);
        const int zeros = count_zeros(c.out + PEAK_WIDTH), dq_zeros = count_zeros(dq + PEAK_WIDTH);
        printf("  %s: of %d elements in the other rows zero: %d of out, %d of dQ\n",
               test_group_name(groups[g]), OTHERS, zeros, dq_zeros);
        if (groups[g] == GROUP_TENSOR) {
            assert_true(zeros > OTHERS / 2 && dq_zeros > OTHERS / 2);
        } else {
            test_assert_at_least("out, the other rows",
                                 test_snr_db(c.out + PEAK_WIDTH, exact.out + PEAK_WIDTH, OTHERS),
                                 33, "dB");
            test_assert_at_least("dQ, the other rows",
                                 test_snr_db(dq + PEAK_WIDTH, exact_dq + PEAK_WIDTH, OTHERS), 26,
                                 "dB");
        }
        mem_free(dq);
        case_deinit(&c);
    }
    mem_free(exact_dq);
    case_deinit(&exact);
}

static void bfloat16(void **state)
{
    static const double bound[4] = {47, 44, 44.5, 46};
    const num_format f = test_format_float(FORMAT_BF16);
    (void)state;
    measure(&f, 0.1f, bound);
}

/* Rows of more columns than are rounded to bfloat16 at a time. */
static void long_bfloat16(void **state)
{
    enum { LONG = 1031, WIDTH = 8 };
    static const int64_t lengths[] = {LONG};
    const num_format bf16 = test_format_float(FORMAT_BF16), fp32 = test_format_float(FORMAT_FP32);
    head_case rounded, exact;
    (void)state;
    case_init(&rounded, &bf16, 1, WIDTH, 1, lengths, 1);
    case_init(&exact, &fp32, 1, WIDTH, 1, lengths, 1);
    run(&rounded);
    run(&exact);
    test_assert_at_least("out", test_snr_db(rounded.out, exact.out, LONG * WIDTH), 48, "dB");
    test_assert_at_least("dqkv", test_snr_db(rounded.dqkv, exact.dqkv, LONG * 3 * WIDTH), 42, "dB");
    case_deinit(&rounded);
    case_deinit(&exact);
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
        cmocka_unit_test(differences),     cmocka_unit_test(dropout_steps),
        cmocka_unit_test(noise),           cmocka_unit_test(mixed_rounding),
        cmocka_unit_test(mixed_gradients), cmocka_unit_test(peaked_row),
        cmocka_unit_test(bfloat16),        cmocka_unit_test(long_bfloat16),
        cmocka_unit_test(threads),         cmocka_unit_test(own_draws),
        cmocka_unit_test(anomalies),       cmocka_unit_test(shared_and_causal),
        cmocka_unit_test(both_sides),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
