/*
 * Packed rows: which rows go where, and the batches made of them.
 *
 *   example   TRL's own, of the documentation of pack_dataset
 *   order     of rows of one length, of packed rows with the same room
 *   batch     positions, offsets, targets, the largest batch
 *   random    nothing is lost, nothing is too long
 */
#include "support/test_check.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/rng.h"
#include "data/batch.h"
#include "data/packing.h"

static mts_ctx ctx;

/* Rows of these lengths; ids count from 1, targets are the ids behind. */
static void make_rows(encoded_dataset *e, const int64_t *length, int64_t n)
{
    int64_t tokens = 0;
    *e = (encoded_dataset){.n = n};
    for (int64_t i = 0; i < n; i++)
        tokens += length[i];
    assert_ok(mem_calloc(&ctx, &e->offsets, (size_t)n + 1, sizeof(int64_t), "t"));
    assert_ok(mem_calloc(&ctx, &e->ids, (size_t)tokens, sizeof(int32_t), "t"));
    assert_ok(mem_calloc(&ctx, &e->type_ids, (size_t)tokens, sizeof(int32_t), "t"));
    assert_ok(targets_init(&ctx, &e->targets, TARGET_NEXT, 0, n, tokens));
    for (int64_t i = 0, at = 0; i < n; i++) {
        for (int64_t k = 0; k < length[i]; k++, at++) {
            e->ids[at] = (int32_t)at + 1;
            e->targets.index[at] = k + 1 < length[i] ? (int32_t)at + 2 : TARGET_IGNORED;
        }
        e->offsets[i + 1] = at;
        e->max_len = length[i] > e->max_len ? length[i] : e->max_len;
    }
}

static void assert_ids(const encoded_dataset *e, int64_t row, int64_t sequences, const int32_t *ids,
                       int64_t n)
{
    assert_int_equal(encoded_dataset_length(e, row), n);
    assert_int_equal(encoded_dataset_sequences(e, row), sequences);
    assert_memory_equal(e->ids + e->offsets[row], ids, (size_t)n * sizeof *ids);
}

#define IDS(...) (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / 4

/* [[1..4], [6, 7], [8, 9, 10], [11]] of 4 tokens: TRL gives [1..4], [8, 9, 10, 11], [6, 7]. */
static void test_example(void **state)
{
    encoded_dataset e;
    (void)state;
    make_rows(&e, (const int64_t[]){4, 2, 3, 1}, 4);
    assert_ok(encoded_dataset_pack(&ctx, &e, 4));
    assert_int_equal(e.n, 3);
    assert_int_equal(e.max_len, 4);
    assert_int_equal(e.max_sequence, 4);
    assert_ids(&e, 0, 1, IDS(1, 2, 3, 4));
    assert_ids(&e, 1, 2, IDS(7, 8, 9, 10));
    assert_ids(&e, 2, 1, IDS(5, 6));
    assert_int_equal(e.targets.index[e.offsets[1] + 2], TARGET_IGNORED);
    assert_int_equal(e.targets.index[e.offsets[1] + 1], 9);
    encoded_dataset_deinit(&e);
}

/* Two begun with the same room: the first takes what fits, then it is the turn of the other. */
static void test_order(void **state)
{
    encoded_dataset e;
    (void)state;
    make_rows(&e, (const int64_t[]){3, 3, 2, 1, 1}, 5);
    assert_ok(encoded_dataset_pack(&ctx, &e, 5));
    assert_int_equal(e.n, 2);
    assert_ids(&e, 0, 2, IDS(1, 2, 3, 7, 8));
    assert_ids(&e, 1, 3, IDS(4, 5, 6, 9, 10));
    encoded_dataset_deinit(&e);
}

static void test_batch(void **state)
{
    static const int32_t ids[] = {7, 8, 9, 10, 1, 2, 3, 4}, positions[] = {0, 1, 2, 0, 0, 1, 2, 3};
    static const int64_t offsets[] = {0, 3, 4, 8};
    const int64_t rows[] = {1, 0};
    encoded_dataset e;
    batch_plan plan;
    batch b;
    (void)state;
    make_rows(&e, (const int64_t[]){4, 2, 3, 1}, 4);
    assert_ok(encoded_dataset_pack(&ctx, &e, 4));
    assert_ok(batch_plan_rows(&ctx, &plan, &e, 2));
    assert_int_equal(plan.max_rows, 3); /* sequences */
    assert_int_equal(plan.max_tokens, 8);
    assert_int_equal(plan.max_len, 4);
    assert_ok(batch_init(&ctx, &b, &plan));
    batch_fill(&b, &e, rows, 2);
    assert_int_equal(b.n, 3);
    assert_int_equal(b.total_tokens, 8);
    assert_int_equal(b.max_len, 4);
    assert_memory_equal(b.ids, ids, sizeof ids);
    assert_memory_equal(b.positions, positions, sizeof positions);
    assert_memory_equal(b.offsets, offsets, sizeof offsets);
    assert_int_equal(b.targets.index[1], 9);
    assert_int_equal(b.targets.index[2], TARGET_IGNORED);
    assert_int_equal(b.targets.index[3], TARGET_IGNORED);
    assert_int_equal(b.targets.index[4], 2);
    batch_deinit(&b);
    encoded_dataset_deinit(&e);
}

/* Each row is there once, whole, and no packed row could take in another one. */
static void test_random(void **state)
{
    enum { ROWS = 500, MOST = 64 };
    const rng_key key = rng_make_key(7, 0, 0, RNG_SHUFFLE);
    int64_t length[ROWS], total = 0, shortest = MOST;
    bool seen[ROWS] = {false};
    encoded_dataset e, old;
    (void)state;
    for (int i = 0; i < ROWS; i++)
        total += length[i] = 1 + rng_draw(key, (uint32_t)i) % MOST;
    make_rows(&e, length, ROWS);
    make_rows(&old, length, ROWS);
    assert_ok(encoded_dataset_pack(&ctx, &e, MOST));
    assert_int_equal(e.offsets[e.n], total);
    assert_int_equal(e.first_sequence[e.n], ROWS);
    for (int64_t s = 0; s < ROWS; s++) {
        const int64_t first = e.ids[e.sequences[s]] - 1, n = e.sequences[s + 1] - e.sequences[s];
        int64_t row = 0;
        while (old.offsets[row] != first)
            row++;
        assert_int_equal(n, length[row]);
        assert_false(seen[row]);
        seen[row] = true;
        assert_memory_equal(e.ids + e.sequences[s], old.ids + first, (size_t)n * 4);
    }
    for (int64_t row = 0; row + 1 < e.n; row++) {
        const int64_t used = encoded_dataset_length(&e, row);
        assert_true(used <= MOST);
        shortest = used < shortest ? used : shortest;
    }
    assert_true(2 * shortest > MOST); /* two of them would have become one */
    encoded_dataset_deinit(&e);
    encoded_dataset_deinit(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
