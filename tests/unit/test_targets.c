/* data/targets: of every kind, sizes, copies between data sets and batches, and the checksum. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/targets.h"

enum { ROWS = 3, TOKENS = 9, WIDTH = 4, KINDS = TARGET_NEXT + 1 };

/* Tokens of the rows: 4, 2, 3. */
static const int64_t offset[ROWS + 1] = {0, 4, 6, 9};

static targets make(target_kind kind, int64_t rows, int64_t tokens)
{
    targets t = {0};
    assert_int_equal(targets_init(NULL, &t, kind, WIDTH, rows, tokens), MTS_OK);
    return t;
}

/* Every number of every array another one. */
static void fill(targets *t)
{
    const bool by_token = t->kind == TARGET_TAGS || t->kind == TARGET_NEXT;
    for (int i = 0; i < (by_token ? TOKENS : ROWS) && t->index != NULL; i++)
        t->index[i] = 10 + i;
    for (int i = 0; i < ROWS && t->score != NULL; i++)
        t->score[i] = 0.5f + (float)i;
    for (int i = 0; i < ROWS * WIDTH && t->set != NULL; i++)
        t->set[i] = (uint8_t)(40 + i);
    for (int i = 0; i < ROWS && t->begin != NULL; i++) {
        t->begin[i] = 50 + i;
        t->end[i] = 60 + i;
    }
}

/* The kinds have the arrays that the header says, of the size that targets_bytes says. */
static void test_arrays(void **state)
{
    static const struct {
        target_kind kind;
        bool index, score, set, span;
        size_t bytes;
    } expected[KINDS] = {
        {TARGET_NONE, false, false, false, false, 0},
        {TARGET_CLASS, true, false, false, false, 4 * ROWS},
        {TARGET_SCORE, false, true, false, false, 4 * ROWS},
        {TARGET_SET, false, false, true, false, WIDTH * ROWS},
        {TARGET_SPAN, false, false, false, true, 8 * ROWS},
        {TARGET_TAGS, true, false, false, false, 4 * TOKENS},
        {TARGET_NEXT, true, false, false, false, 4 * TOKENS},
    };
    (void)state;
    for (int i = 0; i < KINDS; i++) {
        targets t = make(expected[i].kind, ROWS, TOKENS);
        assert_int_equal(t.kind, expected[i].kind);
        assert_int_equal(t.index != NULL, expected[i].index);
        assert_int_equal(t.score != NULL, expected[i].score);
        assert_int_equal(t.set != NULL, expected[i].set);
        assert_int_equal(t.begin != NULL && t.end != NULL, expected[i].span);
        assert_int_equal(targets_bytes(t.kind, WIDTH, ROWS, TOKENS), expected[i].bytes);
        targets_deinit(&t);
        assert_true(t.kind == TARGET_NONE && t.index == NULL && t.end == NULL);
    }
}

/* Row 2, then row 0, into the places of a batch. */
static void copy_two(targets *to, const targets *from)
{
    targets_copy(to, 0, 0, from, 2, offset[2], 3);
    targets_copy(to, 1, 3, from, 0, offset[0], 4);
}

static void test_copy(void **state)
{
    static const int32_t classes[] = {12, 10}, tags[] = {16, 17, 18, 10, 11, 12, 13};
    static const int32_t begins[] = {52, 50}, ends[] = {62, 60};
    static const float scores[] = {2.5f, 0.5f};
    static const uint8_t sets[] = {48, 49, 50, 51, 40, 41, 42, 43};
    (void)state;
    for (int kind = 0; kind < KINDS; kind++) {
        targets from = make((target_kind)kind, ROWS, TOKENS), to = make((target_kind)kind, 2, 7);
        fill(&from);
        copy_two(&to, &from);
        if (kind == TARGET_CLASS)
            assert_memory_equal(to.index, classes, sizeof classes);
        if (kind == TARGET_TAGS || kind == TARGET_NEXT)
            assert_memory_equal(to.index, tags, sizeof tags);
        if (kind == TARGET_SCORE)
            assert_memory_equal(to.score, scores, sizeof scores);
        if (kind == TARGET_SET)
            assert_memory_equal(to.set, sets, sizeof sets);
        if (kind == TARGET_SPAN) {
            assert_memory_equal(to.begin, begins, sizeof begins);
            assert_memory_equal(to.end, ends, sizeof ends);
        }
        targets_deinit(&from);
        targets_deinit(&to);
    }
}

/* The hashes of rows first ... ROWS - 1, each chained to the one before. */
static uint64_t hash_from(const targets *t, int64_t first, uint64_t h)
{
    for (int64_t i = first; i < ROWS; i++)
        h = targets_hash_row(t, i, offset[i], offset[i + 1] - offset[i], h);
    return h;
}

/* The hash is of every number, of its row and no more, and follows what it is chained to. */
static void test_hash(void **state)
{
    (void)state;
    for (int kind = TARGET_CLASS; kind < KINDS; kind++) {
        targets t = make((target_kind)kind, ROWS, TOKENS);
        fill(&t);
        const uint64_t whole = hash_from(&t, 0, 1);
        assert_true(whole == hash_from(&t, 0, 1));
        assert_true(whole != hash_from(&t, 0, 2));
        assert_true(whole != hash_from(&t, 1, 1));
        if (t.index != NULL)
            t.index[kind == TARGET_CLASS ? ROWS - 1 : TOKENS - 1]++;
        else if (t.score != NULL)
            t.score[ROWS - 1] = -t.score[ROWS - 1];
        else if (t.set != NULL)
            t.set[ROWS * WIDTH - 1] ^= 1;
        else
            t.end[ROWS - 1]++;
        assert_true(whole != hash_from(&t, 0, 1));
        targets_deinit(&t);
    }
}

/* Classes and scores: as the first version, where both were floats. */
static void test_hash_of_first_version(void **state)
{
    int32_t index = 3;
    float score = 3.0f;
    uint32_t bits;
    const targets a = {.kind = TARGET_CLASS, .index = &index};
    const targets b = {.kind = TARGET_SCORE, .score = &score};
    (void)state;
    memcpy(&bits, &score, sizeof bits);
    assert_true(targets_hash_row(&a, 0, 0, 5, 7) == rng_splitmix64(7 ^ (uint64_t)bits));
    assert_true(targets_hash_row(&b, 0, 0, 5, 7) == rng_splitmix64(7 ^ (uint64_t)bits));
}

static void test_memory_failure(void **state)
{
    mts_ctx ctx;
    targets t = {0};
    (void)state;
    for (int n = 0; n < 2; n++) {
        mem_fail_after(n);
        assert_int_equal(targets_init(&ctx, &t, TARGET_SPAN, 0, ROWS, TOKENS), MTS_ERR_MEMORY);
        targets_deinit(&t);
    }
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrays),         cmocka_unit_test(test_copy),
        cmocka_unit_test(test_hash),           cmocka_unit_test(test_hash_of_first_version),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
