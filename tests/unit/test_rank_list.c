/*
 * options/rank_list: the ranks that --ranks lists, what is refused, and the weights of them.
 */
#include "support/test_check.h"

#include <math.h>

#include "options/rank_list.h"

static mts_ctx ctx;

static void lists(void **state)
{
    static const struct {
        const char *text;
        int64_t last, count;
        int16_t rank[8];
    } cases[] = {
        {NULL, 4, 4, {1, 2, 3, 4}},          {NULL, 1, 1, {1}},   {"1..4", 4, 4, {1, 2, 3, 4}},
        {"1,2,4,8", 8, 4, {1, 2, 4, 8}},     {"8", 8, 1, {8}},    {"4096", 4096, 1, {4096}},
        {"2,4..6,9", 9, 5, {2, 4, 5, 6, 9}}, {"3..3", 3, 1, {3}}, {"01,002", 2, 2, {1, 2}},
        {"1,2..3", 0, 3, {1, 2, 3}}, /* last 0: any */
    };
    rank_list list;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_ok(rank_list_parse(&ctx, cases[i].text, cases[i].last, &list));
        assert_int_equal(list.count, cases[i].count);
        for (int64_t k = 0; k < list.count; k++)
            assert_int_equal(list.rank[k], cases[i].rank[k]);
    }
    assert_ok(rank_list_parse(&ctx, "1..4096", 4096, &list));
    assert_int_equal(list.count, 4096);
    assert_int_equal(list.rank[4095], 4096);
}

static void refused(void **state)
{
    static const char *const texts[] = {"",
                                        "0",
                                        "1,",
                                        ",1",
                                        "1,,2",
                                        "2,1",
                                        "1,1",
                                        "4..2",
                                        "1..",
                                        "..4",
                                        "1...4",
                                        "1-4",
                                        "1, 2",
                                        " 1",
                                        "4097",
                                        "1..4097",
                                        "x",
                                        "1.5",
                                        "-1",
                                        "+1",
                                        "1..4..8",
                                        "1..4,4",
                                        "99999999999999999999",
                                        "0x4",
                                        "1,0..8"};
    rank_list list;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_fails(rank_list_parse(&ctx, texts[i], 8, &list), MTS_ERR_ARGUMENT,
                     "option --ranks: expected rising ranks of 1 to 4096");
    assert_fails(rank_list_parse(&ctx, "1,2,4", 8, &list), MTS_ERR_ARGUMENT,
                 "expected the last to be the adapter's rank 8 (--lora_r), found 4");
    assert_fails(rank_list_parse(&ctx, "1,2,x", 0, &list), MTS_ERR_ARGUMENT, "'1,2,x'");
    assert_fails(rank_list_parse(&ctx, "1..64", 8, &list), MTS_ERR_ARGUMENT, "found 64");
}

static void weights(void **state)
{
    rank_list list;
    float weight[8];
    (void)state;
    assert_ok(rank_list_parse(&ctx, "1,4", 4, &list));
    rank_list_weights(&list, 2.0, weight); /* 2 / sqrt(1) + 2 / sqrt(4), 2 / sqrt(4) */
    assert_true(weight[0] == 3.0f);
    for (int i = 1; i < 4; i++)
        assert_true(weight[i] == 1.0f);
    assert_ok(rank_list_parse(&ctx, NULL, 8, &list));
    rank_list_weights(&list, 1.0, weight);
    double sum = 0.0;
    for (int r = 8; r >= 1; r--) {
        sum += 1.0 / sqrt((double)r);
        assert_true(weight[r - 1] == (float)sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(refused),
        cmocka_unit_test(weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
