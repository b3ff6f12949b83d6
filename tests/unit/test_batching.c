/* data/encoded_dataset, sampler, batch: the same rows and orders for any number of threads. */
#include "support/test_folder.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "data/batch.h"
#include "data/sampler.h"

enum { ROWS = 2500 }; /* more than two blocks of encoded_dataset.c */

static mts_ctx ctx;
static tokenizer *tok;

/* ------------------------------------------------------------------------------- encode ---- */

/* n rows of 0 to 12 words "a".."d", as pairs or not. */
static void make_texts(dataset *d, int64_t n, bool pairs)
{
    enum { ROW_BYTES = 64 };
    assert_ok(dataset_init(&ctx, d, n, pairs, TARGET_NONE, 0));
    assert_ok(mem_calloc(&ctx, &d->storage, (size_t)n, ROW_BYTES, "texts"));
    for (int64_t i = 0; i < n; i++) {
        char *text = d->storage + i * ROW_BYTES;
        d->text_a[i] = text;
        if (pairs)
            d->text_b[i] = text + 4;
        for (int64_t k = 0; k < (i * i + 3 * i) % 13 + 2; k++) {
            text[2 * k] = (char)('a' + (i + k * k) % 4);
            text[2 * k + 1] = ' ';
        }
    }
}

static void assert_same_rows(const encoded_dataset *a, const encoded_dataset *b)
{
    const size_t n = (size_t)a->n, tokens = (size_t)a->offsets[a->n];
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->max_len, b->max_len);
    assert_memory_equal(a->offsets, b->offsets, (n + 1) * sizeof a->offsets[0]);
    assert_memory_equal(a->ids, b->ids, tokens * sizeof a->ids[0]);
    assert_memory_equal(a->type_ids, b->type_ids, tokens * sizeof a->type_ids[0]);
}

static void check_encoding(bool pairs)
{
    dataset d = {0};
    encoded_dataset one = {0}, many = {0};
    int64_t longest = 0, cut = 0;
    make_texts(&d, ROWS, pairs);
    assert_ok(encoded_dataset_build(&ctx, &one, dataset_rows(&d), tok, 12, 1, NULL, NULL));
    for (int64_t i = 0; i < ROWS; i++) {
        mts_encoding row = {0};
        const char *text_b = pairs ? d.text_b[i] : NULL;
        assert_ok(tokenizer_encode(&ctx, tok, d.text_a[i], text_b, 12, &row));
        assert_int_equal(encoded_dataset_length(&one, i), row.length);
        assert_memory_equal(one.ids + one.offsets[i], row.ids, (size_t)row.length * 4);
        assert_memory_equal(one.type_ids + one.offsets[i], row.type_ids, (size_t)row.length * 4);
        longest = row.length > longest ? row.length : longest;
        tokenizer_free_encoding(&row);
        assert_ok(tokenizer_encode(&ctx, tok, d.text_a[i], text_b, 0, &row));
        assert_false(row.cut);
        cut += row.length > 12;
        tokenizer_free_encoding(&row);
    }
    assert_int_equal(one.max_len, longest);
    assert_int_equal(one.cut, cut);
    assert_true(cut > 0 && cut < ROWS);
    for (int64_t threads = 2; threads <= 5; threads++) {
        assert_ok(
            encoded_dataset_build(&ctx, &many, dataset_rows(&d), tok, 12, threads, NULL, NULL));
        assert_same_rows(&one, &many);
        encoded_dataset_deinit(&many);
    }
    encoded_dataset_deinit(&one);
    dataset_deinit(&d);
}

static void test_encode(void **state)
{
    (void)state;
    check_encoding(false);
    check_encoding(true);
}

typedef struct progress_log {
    pthread_t caller;
    int64_t calls, done, stop_at;
} progress_log;

static bool log_progress(void *user, int64_t done, int64_t total)
{
    progress_log *log = user;
    assert_true(pthread_equal(log->caller, pthread_self()));
    assert_true(done > log->done && done <= total);
    assert_int_equal(total, ROWS);
    log->done = done;
    log->calls++;
    return log->calls != log->stop_at;
}

static void test_progress(void **state)
{
    progress_log log = {.caller = pthread_self()};
    dataset d = {0};
    encoded_dataset e = {0};
    (void)state;
    make_texts(&d, ROWS, false);
    assert_ok(encoded_dataset_build(&ctx, &e, dataset_rows(&d), tok, 12, 3, log_progress, &log));
    assert_int_equal(log.done, ROWS);
    assert_int_equal(log.calls, 3);
    encoded_dataset_deinit(&e);
    log = (progress_log){.caller = pthread_self(), .stop_at = 2};
    assert_int_equal(
        encoded_dataset_build(&ctx, &e, dataset_rows(&d), tok, 12, 3, log_progress, &log),
        MTS_ERR_INTERRUPTED);
    assert_int_equal(log.calls, 2);
    encoded_dataset_deinit(&e);
    dataset_deinit(&d);
}

/* Rows with a second text do not fit in two tokens: the first of them is reported, always. */
static void test_first_failing_row(void **state)
{
    dataset d = {0};
    (void)state;
    make_texts(&d, ROWS, true);
    for (int64_t i = 0; i < ROWS; i++) {
        if (i != 1201 && i < 1210)
            d.text_b[i] = NULL;
    }
    for (int round = 0; round < 20; round++) {
        encoded_dataset e = {0};
        assert_int_equal(encoded_dataset_build(&ctx, &e, dataset_rows(&d), tok, 2, 4, NULL, NULL),
                         MTS_ERR_ARGUMENT);
        assert_int_equal(strncmp(ctx.error, "row 1202: ", 10), 0);
        encoded_dataset_deinit(&e);
    }
    dataset_deinit(&d);
}

static void test_encode_memory_failure(void **state)
{
    dataset d = {0};
    mts_status st = MTS_ERR_MEMORY;
    (void)state;
    make_texts(&d, 5, true);
    for (int64_t n = 0; st != MTS_OK && n < 1000; n++) {
        encoded_dataset e = {0};
        mem_fail_after(n);
        st = encoded_dataset_build(&ctx, &e, dataset_rows(&d), tok, 12, 2, NULL, NULL);
        assert_true(st == MTS_OK || st == MTS_ERR_MEMORY);
        assert_true(n > 5 || st != MTS_OK);
        encoded_dataset_deinit(&e);
    }
    mem_fail_after(-1);
    assert_int_equal(st, MTS_OK);
    dataset_deinit(&d);
}

/* ------------------------------------------------------------------------------ sampler ---- */

/* n rows of length[i] tokens; token k of row i is 100 * i + k. */
static void make_rows(encoded_dataset *e, const int64_t *length, int64_t n)
{
    *e = (encoded_dataset){.n = n};
    assert_ok(mem_calloc(&ctx, &e->offsets, (size_t)n + 1, sizeof e->offsets[0], "rows"));
    assert_ok(targets_init(&ctx, &e->targets, TARGET_CLASS, 0, n, 0));
    for (int64_t i = 0; i < n; i++) {
        e->offsets[i + 1] = e->offsets[i] + length[i];
        e->targets.index[i] = (int32_t)i;
        e->max_len = length[i] > e->max_len ? length[i] : e->max_len;
    }
    const size_t tokens = (size_t)e->offsets[n];
    assert_ok(mem_calloc(&ctx, &e->ids, tokens, sizeof e->ids[0], "rows"));
    assert_ok(mem_calloc(&ctx, &e->type_ids, tokens, sizeof e->type_ids[0], "rows"));
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < length[i]; k++) {
            e->ids[e->offsets[i] + k] = (int32_t)(100 * i + k);
            e->type_ids[e->offsets[i] + k] = (int32_t)(k % 2);
        }
    }
}

static void make_short_rows(encoded_dataset *e, int64_t n)
{
    int64_t length[128];
    for (int64_t i = 0; i < n; i++)
        length[i] = 1 + i % 3;
    make_rows(e, length, n);
}

static void assert_order(sampler *s, int64_t epoch, const int64_t *expected)
{
    sampler_set_epoch(s, epoch);
    for (int64_t i = 0; i < s->rows->n; i++)
        assert_int_equal(s->order[i], expected[i]);
}

/* Orders as an independent program (Python) makes them from rng.h's definition: they must not
 * change, or checkpoints would resume with other batches. */
static void test_random_order(void **state)
{
    static const int64_t seed42_epoch0[] = {4, 3, 6, 5, 1, 9, 7, 2, 0, 8};
    static const int64_t seed42_epoch3[] = {0, 6, 4, 3, 8, 2, 5, 7, 9, 1};
    static const int64_t seed7_epoch0[] = {3, 4, 1, 2, 7, 5, 9, 8, 0, 6};
    static const int64_t straight[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    encoded_dataset e = {0};
    sampler s = {0};
    (void)state;
    make_short_rows(&e, 10);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 4, 42));
    assert_memory_equal(s.order, seed42_epoch0, sizeof seed42_epoch0);
    assert_order(&s, 3, seed42_epoch3);
    assert_order(&s, 0, seed42_epoch0);
    sampler_deinit(&s);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 1, 7));
    assert_order(&s, 0, seed7_epoch0);
    sampler_deinit(&s);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_SEQUENTIAL, 4, 42));
    assert_order(&s, 5, straight);
    sampler_deinit(&s);
    encoded_dataset_deinit(&e);
}

/* All 120 orders of five rows come equally often: chi-square, 119 degrees of freedom, 5 sigma. */
static void test_random_order_is_uniform(void **state)
{
    enum { EPOCHS = 12000, ORDERS = 120 };
    int count[ORDERS] = {0};
    double chi_square = 0;
    encoded_dataset e = {0};
    sampler s = {0};
    (void)state;
    make_short_rows(&e, 5);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 4, 1));
    for (int64_t epoch = 0; epoch < EPOCHS; epoch++) {
        int code = 0;
        sampler_set_epoch(&s, epoch);
        for (int i = 0; i < 5; i++) {
            int smaller = 0;
            for (int k = i + 1; k < 5; k++)
                smaller += s.order[k] < s.order[i];
            code = code * (5 - i) + smaller;
        }
        count[code]++;
    }
    for (int i = 0; i < ORDERS; i++)
        chi_square += (count[i] - 100.0) * (count[i] - 100.0) / 100;
    assert_true(chi_square < 119 + 5 * 15.5 && chi_square > 119 - 5 * 15.5);
    sampler_deinit(&s);
    encoded_dataset_deinit(&e);
}

/* By length: the order that LengthGroupedSampler of transformers makes of the same shuffled rows.
 */
static void test_order_by_length(void **state)
{
    static const int64_t start[] = {63, 70, 72, 69, 15, 25, 97, 6, 81, 22, 60, 64};
    int64_t length[103];
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    encoded_dataset e = {0};
    sampler s = {0};
    (void)state;
    for (int64_t i = 0; i < 103; i++)
        length[i] = 2 + (i * i * 7 + i) % 19;
    length[63] = 30;
    make_rows(&e, length, 103);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_BY_LENGTH, 2, 42));
    sampler_set_epoch(&s, 1);
    assert_memory_equal(s.order, start, sizeof start);
    for (int i = 0; i < 103; i++)
        hash = (hash ^ (uint64_t)s.order[i]) * UINT64_C(0x100000001b3);
    assert_true(hash == UINT64_C(0x802e64b432a75e10));
    sampler_deinit(&s);
    /* A batch larger than the set: one piece, sorted. */
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_BY_LENGTH, INT64_MAX, 42));
    for (int i = 1; i < 103; i++)
        assert_true(length[s.order[i - 1]] >= length[s.order[i]]);
    assert_int_equal(sampler_batch_count(&s), 1);
    sampler_deinit(&s);
    encoded_dataset_deinit(&e);
}

static void test_sampler_batches(void **state)
{
    encoded_dataset e = {0};
    sampler s = {0};
    int64_t n = 0;
    (void)state;
    make_short_rows(&e, 10);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 4, 42));
    assert_int_equal(sampler_batch_count(&s), 3);
    assert_ptr_equal(sampler_batch(&s, 1, &n), s.order + 4);
    assert_int_equal(n, 4);
    assert_ptr_equal(sampler_batch(&s, 2, &n), s.order + 8);
    assert_int_equal(n, 2);
    sampler_deinit(&s);
    assert_ok(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 5, 42));
    assert_int_equal(sampler_batch_count(&s), 2);
    sampler_deinit(&s);
    assert_int_equal(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 0, 42), MTS_ERR_ARGUMENT);
    sampler_deinit(&s);
    e.n = 0;
    assert_int_equal(sampler_init(&ctx, &s, &e, SAMPLER_RANDOM, 1, 42), MTS_ERR_ARGUMENT);
    sampler_deinit(&s);
    encoded_dataset_deinit(&e);
}

/* -------------------------------------------------------------------------------- batch ---- */

static void test_batch(void **state)
{
    static const int64_t length[] = {3, 1, 5, 2}, rows[] = {2, 0, 3};
    static const int32_t ids[] = {200, 201, 202, 203, 204, 0, 1, 2, 300, 301};
    static const int32_t positions[] = {0, 1, 2, 3, 4, 0, 1, 2, 0, 1};
    static const int32_t types[] = {0, 1, 0, 1, 0, 0, 1, 0, 0, 1};
    static const int64_t offsets[] = {0, 5, 8, 10};
    static const int32_t classes[] = {2, 0, 3};
    encoded_dataset e = {0};
    batch_plan plan = {0};
    batch b = {0};
    (void)state;
    make_rows(&e, length, 4);
    assert_ok(batch_plan_rows(&ctx, &plan, &e, 3));
    assert_int_equal(plan.max_rows, 3);
    assert_int_equal(plan.max_tokens, 5 + 3 + 2);
    assert_int_equal(plan.max_len, 5);
    assert_ok(batch_init(&ctx, &b, &plan));
    mem_fail_after(0);
    batch_fill(&b, &e, rows, 3);
    assert_int_equal(mem_fail_after(-1), 0); /* no allocation */
    assert_int_equal(b.n, 3);
    assert_int_equal(b.total_tokens, 10);
    assert_int_equal(b.max_len, 5);
    assert_memory_equal(b.ids, ids, sizeof ids);
    assert_memory_equal(b.positions, positions, sizeof positions);
    assert_memory_equal(b.type_ids, types, sizeof types);
    assert_memory_equal(b.offsets, offsets, sizeof offsets);
    assert_true(b.has_targets && b.targets.kind == TARGET_CLASS);
    assert_memory_equal(b.targets.index, classes, sizeof classes);
    /* A shorter batch leaves nothing of the longer one. */
    batch_fill(&b, &e, rows + 2, 1);
    assert_int_equal(b.n, 1);
    assert_int_equal(b.total_tokens, 2);
    assert_int_equal(b.max_len, 2);
    assert_memory_equal(b.ids, ids + 8, 2 * sizeof ids[0]);
    batch_deinit(&b);
    encoded_dataset_deinit(&e);
}

/* Targets of tokens go with their tokens; a set without targets uses the same batch. */
static void test_batch_of_tags(void **state)
{
    static const int64_t length[] = {3, 1, 5, 2}, rows[] = {2, 0, 3};
    encoded_dataset e = {0}, plain = {0};
    batch_plan plan = {0}, other = {0};
    batch b = {0};
    (void)state;
    make_rows(&e, length, 4);
    make_rows(&plain, length, 4);
    targets_deinit(&e.targets);
    targets_deinit(&plain.targets);
    assert_ok(targets_init(&ctx, &e.targets, TARGET_TAGS, 0, 4, e.offsets[4]));
    memcpy(e.targets.index, e.ids, (size_t)e.offsets[4] * sizeof e.ids[0]);
    assert_ok(batch_plan_rows(&ctx, &plan, &e, 3));
    assert_ok(batch_plan_rows(&ctx, &other, &plain, 4));
    assert_int_equal(plan.bytes - other.bytes, 10 * 4 * 4 - 11 * 3 * 4 - 8);
    plan = batch_plan_union(&other, &plan);
    assert_int_equal(plan.kind, TARGET_TAGS);
    assert_ok(batch_init(&ctx, &b, &plan));
    batch_fill(&b, &e, rows, 3);
    assert_true(b.has_targets);
    assert_memory_equal(b.targets.index, b.ids, 10 * sizeof b.ids[0]);
    batch_fill(&b, &plain, rows, 3);
    assert_false(b.has_targets);
    batch_deinit(&b);
    encoded_dataset_deinit(&e);
    encoded_dataset_deinit(&plain);
}

static void test_batch_plans(void **state)
{
    static const int64_t length[] = {3, 1, 5, 2}, other[] = {4, 4};
    encoded_dataset e = {0}, f = {0};
    batch_plan a = {0}, b = {0};
    (void)state;
    make_rows(&e, length, 4);
    make_rows(&f, other, 2);
    assert_ok(batch_plan_rows(&ctx, &a, &e, 100));
    assert_int_equal(a.max_rows, 4);
    assert_int_equal(a.max_tokens, 11);
    assert_ok(batch_plan_rows(&ctx, &a, &e, 1));
    assert_ok(batch_plan_rows(&ctx, &b, &f, 2));
    const batch_plan both = batch_plan_union(&a, &b);
    assert_int_equal(both.max_rows, 2);
    assert_int_equal(both.max_tokens, 8);
    assert_int_equal(both.max_len, 5);
    assert_int_equal(both.bytes, 8 * 12 + 3 * 8 + 2 * 4);
    const batch_plan swapped = batch_plan_union(&b, &a);
    assert_int_equal(swapped.max_rows, both.max_rows);
    assert_int_equal(swapped.max_tokens, both.max_tokens);
    assert_int_equal(swapped.max_len, both.max_len);
    assert_int_equal(swapped.kind, both.kind);
    assert_int_equal(swapped.width, both.width);
    assert_int_equal(swapped.bytes, both.bytes);
    encoded_dataset_deinit(&e);
    encoded_dataset_deinit(&f);
}

/* Every epoch of every sampler fills batches within the plan, and every row comes once. */
static void test_epochs_fit_the_plan(void **state)
{
    static const sampler_kind kinds[] = {SAMPLER_SEQUENTIAL, SAMPLER_RANDOM, SAMPLER_BY_LENGTH};
    int64_t length[103];
    encoded_dataset e = {0};
    batch_plan plan = {0};
    batch b = {0};
    (void)state;
    for (int64_t i = 0; i < 103; i++)
        length[i] = 1 + (i * 31) % 17;
    make_rows(&e, length, 103);
    assert_ok(batch_plan_rows(&ctx, &plan, &e, 8));
    assert_ok(batch_init(&ctx, &b, &plan));
    for (int kind = 0; kind < 3; kind++) {
        sampler s = {0};
        assert_ok(sampler_init(&ctx, &s, &e, kinds[kind], 8, 42));
        for (int64_t epoch = 0; epoch < 3; epoch++) {
            int seen[103] = {0};
            sampler_set_epoch(&s, epoch);
            for (int64_t i = 0; i < sampler_batch_count(&s); i++) {
                int64_t n = 0;
                const int64_t *rows = sampler_batch(&s, i, &n);
                batch_fill(&b, &e, rows, n);
                for (int64_t k = 0; k < n; k++)
                    seen[b.targets.index[k]]++;
            }
            for (int i = 0; i < 103; i++)
                assert_int_equal(seen[i], 1);
        }
        sampler_deinit(&s);
    }
    batch_deinit(&b);
    encoded_dataset_deinit(&e);
}

static void test_batch_memory_failure(void **state)
{
    static const int64_t length[] = {3, 1, 5, 2};
    encoded_dataset e = {0};
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    (void)state;
    make_rows(&e, length, 4);
    for (; st != MTS_OK && n < 50; n++) {
        batch_plan plan = {0};
        batch b = {0};
        sampler s = {0};
        mem_fail_after(n);
        st = batch_plan_rows(&ctx, &plan, &e, 2);
        if (st == MTS_OK)
            st = batch_init(&ctx, &b, &plan);
        if (st == MTS_OK)
            st = sampler_init(&ctx, &s, &e, SAMPLER_BY_LENGTH, 2, 1);
        assert_true(st == MTS_OK || st == MTS_ERR_MEMORY);
        batch_deinit(&b);
        sampler_deinit(&s);
    }
    mem_fail_after(-1);
    assert_int_equal(st, MTS_OK);
    assert_int_equal(n, 10);
    encoded_dataset_deinit(&e);
}

static int open_tokenizer(void **state)
{
    if (folder_open(state) != 0)
        return 1;
    folder_put_text("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\n");
    return tokenizer_open(&ctx, folder_root(), &tok) != MTS_OK;
}

static int close_tokenizer(void **state)
{
    tokenizer_close(tok);
    return folder_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_progress),
        cmocka_unit_test(test_first_failing_row),
        cmocka_unit_test(test_encode_memory_failure),
        cmocka_unit_test(test_random_order),
        cmocka_unit_test(test_random_order_is_uniform),
        cmocka_unit_test(test_order_by_length),
        cmocka_unit_test(test_sampler_batches),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_batch_of_tags),
        cmocka_unit_test(test_batch_plans),
        cmocka_unit_test(test_epochs_fit_the_plan),
        cmocka_unit_test(test_batch_memory_failure),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
