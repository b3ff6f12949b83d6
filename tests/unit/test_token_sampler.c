/*
 * The choice of the next token (text/token_sampler.h): which tokens the rules leave, in which
 * order they act, how often each is drawn, and that a seed gives the same tokens everywhere.
 */
#include "support/test_check.h"

#include <math.h>

#include "support/test_model.h"
#include "text/token_sampler.h"

enum { VOCABULARY = 8, DRAWS = 4000 };

static mts_ctx ctx;

/* Probabilities 0.5, 0.25, 0.125, ... in another order than that of the ids. */
static const float logits[VOCABULARY] = {-2.0794415f, -0.6931472f, -4.1588831f, -1.3862944f,
                                         -4.8520303f, -2.7725887f, -3.4657359f, -4.8520303f};

static sampling_rules rules(double temperature, int64_t top_k, double top_p)
{
    return (sampling_rules){temperature, top_k, top_p, 1.0, 7};
}

static const float_kernels *kernels(void)
{
    const gemm_family *families[8];
    (void)test_families(families);
    return float_kernels_for(families[0]);
}

/* count[VOCABULARY]: how often each token is drawn. */
static void draw(const sampling_rules *r, const float *z, int count[VOCABULARY])
{
    static const int32_t before[DRAWS]; /* only how many counts */
    token_sampler s;
    assert_ok(token_sampler_init(&ctx, &s, r, VOCABULARY, kernels()));
    memset(count, 0, VOCABULARY * sizeof *count);
    for (int i = 0; i < DRAWS; i++) {
        float own[VOCABULARY];
        memcpy(own, z, sizeof own);
        count[token_sampler_next(&s, own, before, i, 3)]++;
    }
    token_sampler_deinit(&s);
}

/* Each token's share is p of it, to 5 sigma. */
static void assert_shares(const int count[VOCABULARY], const double p[VOCABULARY])
{
    for (int i = 0; i < VOCABULARY; i++) {
        const double sigma = sqrt(DRAWS * p[i] * (1.0 - p[i]));
        if (!(fabs(count[i] - DRAWS * p[i]) <= 5.0 * sigma))
            fail_msg("token %d: %d of %d, expected %g", i, count[i], DRAWS, DRAWS * p[i]);
    }
}

static void greedy(void **state)
{
    const sampling_rules r = rules(0.0, 0, 1.0);
    const float ties[VOCABULARY] = {1, 3, 2, 3, 3, 0, 0, 0};
    int count[VOCABULARY];
    (void)state;
    draw(&r, logits, count);
    assert_int_equal(count[1], DRAWS);
    draw(&r, ties, count);
    assert_int_equal(count[1], DRAWS); /* the first of equals */
}

static void all_tokens(void **state)
{
    const sampling_rules r = rules(1.0, 0, 1.0);
    const double p[VOCABULARY] = {1.0 / 8,   1.0 / 2,  1.0 / 64, 1.0 / 4,
                                  1.0 / 128, 1.0 / 16, 1.0 / 32, 1.0 / 128};
    int count[VOCABULARY];
    (void)state;
    draw(&r, logits, count);
    assert_shares(count, p);
}

/* Half the temperature squares the odds. */
static void temperature(void **state)
{
    const sampling_rules r = rules(0.5, 3, 1.0);
    const double sum = 1.0 / 4 + 1.0 / 16 + 1.0 / 64;
    const double p[VOCABULARY] = {1.0 / 64 / sum, 1.0 / 4 / sum, 0, 1.0 / 16 / sum};
    int count[VOCABULARY];
    (void)state;
    draw(&r, logits, count);
    assert_shares(count, p);
}

static void top_k_keeps_ties(void **state)
{
    const sampling_rules one = rules(1.0, 1, 1.0), many = rules(1.0, 2, 1.0);
    const sampling_rules more = rules(1.0, 100, 1.0);
    const float ties[VOCABULARY] = {0, 1, 1, 1, 0, 0, 2, 0};
    int count[VOCABULARY];
    (void)state;
    draw(&one, logits, count);
    assert_int_equal(count[1], DRAWS);
    draw(&many, ties, count); /* the second largest is there three times */
    assert_int_equal(count[1] + count[2] + count[3] + count[6], DRAWS);
    assert_true(count[1] > 0 && count[2] > 0 && count[3] > 0);
    draw(&more, logits, count); /* more than there are: all */
    assert_true(count[4] > 0 && count[7] > 0);
}

/* The tokens needed to reach p: 0.5 + 0.25 = 0.75. */
static void top_p(void **state)
{
    const struct {
        double p;
        int tokens;
    } cases[] = {{0.001, 1}, {0.49, 1}, {0.51, 2}, {0.74, 2}, {0.76, 3}, {0.9, 4}, {0.999, 8}};
    const int order[VOCABULARY] = {1, 3, 0, 5, 6, 2, 4, 7};
    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const sampling_rules r = rules(1.0, 0, cases[c].p);
        int count[VOCABULARY], sum = 0;
        draw(&r, logits, count);
        for (int i = 0; i < cases[c].tokens; i++) {
            assert_true(count[order[i]] > 0);
            sum += count[order[i]];
        }
        assert_int_equal(sum, DRAWS);
    }
}

/* Temperature acts before top_p, and top_k before it, too: p is of what is left. */
static void order_of_rules(void **state)
{
    const sampling_rules hot = rules(4.0, 0, 0.6), cut = rules(1.0, 2, 0.6);
    int count[VOCABULARY];
    (void)state;
    draw(&hot, logits, count); /* 0.21, 0.18, 0.15, 0.12: four, not two */
    assert_true(count[0] > 0 && count[1] > 0 && count[3] > 0 && count[5] > 0);
    assert_int_equal(count[0] + count[1] + count[3] + count[5], DRAWS);
    draw(&cut, logits, count); /* of two, the first has two thirds: one is enough */
    assert_int_equal(count[1], DRAWS);
}

static void repetition(void **state)
{
    const int32_t before[] = {1, 2, 1};
    sampling_rules r = rules(0.0, 0, 1.0);
    token_sampler s;
    (void)state;
    r.repetition_penalty = 2.0;
    assert_ok(token_sampler_init(&ctx, &s, &r, VOCABULARY, kernels()));
    for (int again = 0; again < 2; again++) {
        float z[VOCABULARY] = {1.5f, 4.0f, -1.0f, 0, 0, 0, 0, 0};
        assert_int_equal(token_sampler_next(&s, z, before, 3, 0), 1);
        assert_true(z[0] == 1.5f && z[1] == 2.0f && z[2] == -2.0f); /* once each */
    }
    token_sampler_deinit(&s);
}

/* The same on every machine; other texts and seeds draw otherwise. */
static void seeds(void **state)
{
    static const int32_t expected[8] = {1, 1, 3, 3, 1, 1, 3, 3};
    const gemm_family *families[8];
    const int n = test_families(families);
    int differ = 0;
    (void)state;
    for (int f = 0; f < n; f++) {
        sampling_rules r = rules(1.0, 7, 0.99);
        token_sampler s;
        assert_ok(token_sampler_init(&ctx, &s, &r, VOCABULARY, float_kernels_for(families[f])));
        for (int i = 0; i < 8; i++) {
            static const int32_t before[8];
            float z[VOCABULARY], other[VOCABULARY];
            memcpy(z, logits, sizeof z);
            memcpy(other, logits, sizeof other);
            const int32_t id = token_sampler_next(&s, z, before, i, 0);
            assert_int_equal(id, expected[i]);
            differ += token_sampler_next(&s, other, before, i, 1) != id;
        }
        token_sampler_deinit(&s);
    }
    assert_true(differ > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy),      cmocka_unit_test(all_tokens),
        cmocka_unit_test(temperature), cmocka_unit_test(top_k_keeps_ties),
        cmocka_unit_test(top_p),       cmocka_unit_test(order_of_rules),
        cmocka_unit_test(repetition),  cmocka_unit_test(seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
