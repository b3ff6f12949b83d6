/*
 * Norms of the heads of Q and K.
 *
 *   fp32      every element of dqkv and of the gain's gradient against central differences, with
 *             the gain gamma and 1 + gamma
 *   integers  signal-to-noise ratio against fp32 by width
 *   columns   of other heads stay as they are, forward and backward
 *   rows      by pieces and on several threads: the same bits as the whole
 */
#include "support/test_check.h"

#include <stdio.h>

#include "layers/head_norm.h"
#include "support/test_model.h"

enum { TOKENS = 70, HEADS = 3, WIDTH = 20, FIRST = 40, LD = 110 };

typedef struct head_case {
    exec ex;
    int64_t tokens;
    float offset;
    param gamma;
    head_norm h;
    head_norm_gradient g;
    arena storage;
    float *x, *y, *dy, *dx; /* [tokens][LD] */
} head_case;

static void bind(void *arg)
{
    head_case *c = arg;
    c->h = (head_norm){.first = FIRST, .heads = HEADS, .ld = LD};
    layernorm_bind(&c->ex, &c->h.norm, &c->storage, "the norm", 9, &c->gamma, NULL, WIDTH, 1e-6f);
    layernorm_offset(&c->h.norm, &c->storage, c->offset);
    head_norm_bind(&c->ex, &c->h, &c->storage, c->tokens);
}

static void forward(head_case *c, int64_t piece)
{
    exec_copy(&c->ex, c->y, c->x, (size_t)(c->tokens * LD) * sizeof(float));
    for (int64_t begin = 0, end; begin < c->tokens; begin = end) {
        end = begin + piece < c->tokens ? begin + piece : c->tokens;
        head_norm_forward(&c->ex, c->y + begin * LD, begin, end, &c->h);
    }
}

static void backward(head_case *c, int64_t piece)
{
    const size_t mark = exec_mark(&c->ex);
    exec_copy(&c->ex, c->dx, c->dy, (size_t)(c->tokens * LD) * sizeof(float));
    head_norm_gradient_take(&c->ex, &c->g, c->tokens, &c->h);
    for (int64_t begin = 0, end; begin < c->tokens; begin = end) {
        end = begin + piece < c->tokens ? begin + piece : c->tokens;
        head_norm_backward(&c->ex, c->dx + begin * LD, begin, end, &c->h, &c->g);
    }
    head_norm_backward_params(&c->ex, &c->g, c->tokens, &c->h);
    exec_release(&c->ex, mark);
}

static void run(void *arg)
{
    head_case *c = arg;
    forward(c, c->tokens);
    backward(c, c->tokens);
}

static void case_init(head_case *c, const num_format *format, int threads, int64_t tokens,
                      float offset)
{
    test_random r = test_random_make("head norm");
    *c = (head_case){.tokens = tokens, .offset = offset};
    test_exec_init(&c->ex, format, threads);
    test_param_init(&r, &c->gamma, 1, WIDTH, 1.0 - (double)offset, 0.3);
    c->x = test_floats(tokens * LD);
    c->y = test_floats(tokens * LD);
    c->dy = test_floats(tokens * LD);
    c->dx = test_floats(tokens * LD);
    test_fill_normal(&r, c->x, tokens * LD, 0.1, 1.5);
    test_fill_normal(&r, c->dy, tokens * LD, 0.0, 1.0);
    test_exec_plan(&c->ex, &c->storage, bind, run, c);
}

static void case_deinit(head_case *c)
{
    assert_string_equal(c->ex.anomaly, "");
    test_param_deinit(&c->gamma);
    test_arena_deinit(&c->storage);
    mem_free(c->x);
    mem_free(c->y);
    mem_free(c->dy);
    mem_free(c->dx);
    test_exec_deinit(&c->ex);
}

static double loss(void *arg)
{
    head_case *c = arg;
    c->ex.weight_version++; /* the gain may have changed */
    forward(c, c->tokens);
    return test_dot(c->y, c->dy, c->tokens * LD);
}

static void differences(void **state)
{
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int i = 0; i < 2; i++) {
        head_case c;
        case_init(&c, &fp32, 1, 4, (float)i);
        run(&c);
        test_assert_gradient("dqkv", loss, &c, c.x, c.dx, c.tokens * LD, 0.01f, 1e-3, 4e-4);
        test_assert_gradient("dgamma", loss, &c, c.gamma.value, c.gamma.grad, WIDTH, 0.1f, 1e-3,
                             2e-4);
        case_deinit(&c);
    }
}

static void noise(void **state)
{
    static const group_kind groups[] = {GROUP_TENSOR, GROUP_ROW, GROUP_BLOCK};
    const num_format fp32 = test_format_float(FORMAT_FP32);
    (void)state;
    for (int bits = 8; bits <= 16; bits += 4)
        for (int g = 0; g < 3; g++) {
            const num_format f = test_format_dfp(bits, groups[g], false);
            const double more = 6.02 * (bits - 8);
            head_case a, b;
            case_init(&a, &f, 1, TOKENS, 1.0f);
            case_init(&b, &fp32, 1, TOKENS, 1.0f);
            run(&a);
            run(&b);
            printf("  %d bits by %s\n", bits, test_group_name(groups[g]));
            test_assert_at_least("y", test_snr_db(a.y, b.y, TOKENS * LD), 39.0 + more, "dB");
            test_assert_at_least("dqkv", test_snr_db(a.dx, b.dx, TOKENS * LD), 39.0 + more, "dB");
            test_assert_at_least("dgamma", test_snr_db(a.gamma.grad, b.gamma.grad, WIDTH),
                                 30.0 + more, "dB");
            case_deinit(&a);
            case_deinit(&b);
        }
}

static void other_columns(void **state)
{
    const num_format f = test_format_dfp(8, GROUP_ROW, true);
    head_case c;
    (void)state;
    case_init(&c, &f, 2, TOKENS, 0.0f);
    run(&c);
    for (int64_t i = 0; i < TOKENS * LD; i++) {
        const bool own = i % LD >= FIRST && i % LD < FIRST + HEADS * WIDTH;
        assert_true(own || (c.y[i] == c.x[i] && c.dx[i] == c.dy[i]));
    }
    assert_true(test_snr_db(c.y, c.x, TOKENS * LD) < 20.0);
    case_deinit(&c);
}

static void pieces_and_threads(void **state)
{
    const num_format formats[] = {test_format_float(FORMAT_FP32), test_format_float(FORMAT_BF16),
                                  test_format_dfp(8, GROUP_ROW, true),
                                  test_format_dfp(12, GROUP_BLOCK, false)};
    (void)state;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (int64_t piece = 1; piece <= 64; piece += 21) {
            head_case whole, part;
            case_init(&whole, &formats[i], 1, TOKENS, 1.0f);
            case_init(&part, &formats[i], 3, TOKENS, 1.0f);
            whole.ex.step = part.ex.step = 3;
            run(&whole);
            forward(&part, piece);
            backward(&part, piece);
            test_assert_same("y", part.y, whole.y, TOKENS * LD);
            test_assert_same("dqkv", part.dx, whole.dx, TOKENS * LD);
            test_assert_same("dgamma", part.gamma.grad, whole.gamma.grad, WIDTH);
            case_deinit(&whole);
            case_deinit(&part);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differences),
        cmocka_unit_test(noise),
        cmocka_unit_test(other_columns),
        cmocka_unit_test(pieces_and_threads),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
