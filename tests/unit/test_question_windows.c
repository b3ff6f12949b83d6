/*
 * tasks/question_windows: rows, targets and the way back, on a small vocabulary.
 *
 *   test_question_windows                             the tests
 *   test_question_windows --dump MODEL LENGTH OVERLAP FILE [FIRST [N]]
 *       rows of the questions of a SQuAD file, one JSON array a line: question, ids, types, begin
 *       and end of the answer, and [first byte, byte behind the last] or null of each token: for
 *       gates/check_qa.py
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tasks/question_windows.h"
#include "support/text_folder.h"

#define assert_ok(call) assert_string_equal(mts_status_name(call), "ok")

static mts_ctx ctx;
static tokenizer *words;

/* Ids: 0 [PAD], 1 [UNK], 2 [CLS], 3 [SEP], 4 "a" ... 13 "j", 14 "##k", 15 "?". */
static const char vocabulary[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\nc\nd\ne\nf\ng\nh\ni\nj\n##k\n?\n";

static int open_words(void **state)
{
    const text_folder folder = text_folder_make();
    (void)state;
    text_folder_put(&folder, "vocab.txt", vocabulary);
    assert_ok(tokenizer_open(&ctx, folder.path, &words));
    text_folder_remove(&folder);
    return 0;
}

static int close_words(void **state)
{
    (void)state;
    tokenizer_close(words);
    return 0;
}

/* Encode a question about a paragraph; its answer is bytes begin ... end - 1, or none: begin -2. */
static mts_status build(const char *question, const char *context, int32_t begin, int32_t end,
                        int64_t length, int64_t overlap, encoded_dataset *rows,
                        question_windows *windows)
{
    const squad_answer answer = {.text = "", .begin = begin, .end = end};
    const squad_answer *const answers[] = {begin == -2 ? NULL : &answer};
    const char *const ids[] = {"the id"};
    const question_list list = {
        .n = 1, .questions = &question, .contexts = &context, .ids = ids, .answers = answers};
    const window_options options = {
        .tokenizer = words, .max_length = length, .overlap = overlap, .threads = 2};
    return question_windows_build(&ctx, &list, &options, rows, windows);
}

static void assert_target(const char *context, int32_t begin, int32_t end, int32_t first,
                          int32_t last)
{
    encoded_dataset rows = {0};
    assert_ok(build("a", context, begin, end, 20, 2, &rows, NULL));
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.targets.begin[0], first);
    assert_int_equal(rows.targets.end[0], last);
    encoded_dataset_deinit(&rows);
}

/* [CLS] a [SEP] and the paragraph from token 3 on. */
static void test_targets(void **state)
{
    (void)state;
    assert_target("b c d", 0, 1, 3, 3);
    assert_target("b c d", 2, 3, 4, 4);
    assert_target("b c d", 4, 5, 5, 5); /* the last token begins with itself */
    assert_target("b c d", 0, 5, 3, 5);
    assert_target("b c d", 1, 3, 3, 4);  /* begins with a blank */
    assert_target("b c d", 2, 4, 4, 5);  /* ends with one: the first token that ends at or behind */
    assert_target("b ck d", 3, 4, 5, 5); /* a piece of a word */
    assert_target("b ck d", 2, 4, 4, 5);
    assert_target("b c d", SQUAD_OUTSIDE, SQUAD_OUTSIDE, 0, 0);
    assert_target("b c d", -2, 0, 0, 0);
    assert_target(" b c ", 0, 2, 0, 0); /* begins before the first token */
    assert_target(" b c ", 1, 5, 0, 0); /* ends behind the last */
    assert_target("", 0, 0, 0, 0);
    assert_target("b c", 0, 0, 3, 3);
}

static void test_windows(void **state)
{
    encoded_dataset rows = {0};
    question_windows w = {0};
    (void)state;
    /* room for 4 of 7 tokens, 2 shared: bcde defg fgh */
    assert_ok(build(" \t?", "b c d e f g h", 6, 11, 8, 2, &rows, &w));
    static const int32_t ids[] = {2, 15, 3,  5, 6, 7,  8, 3, 2,  15, 3, 7,
                                  8, 9,  10, 3, 2, 15, 3, 9, 10, 11, 3};
    static const int64_t offsets[] = {0, 8, 16, 23};
    assert_int_equal(rows.n, 3);
    assert_memory_equal(rows.offsets, offsets, sizeof offsets);
    assert_memory_equal(rows.ids, ids, sizeof ids);
    assert_int_equal(rows.type_ids[10], 0);
    assert_int_equal(rows.type_ids[11], 1);
    assert_int_equal(rows.max_len, 8);
    /* "e f g" is in the second window only */
    static const int32_t begins[] = {0, 4, 0}, ends[] = {0, 6, 0};
    assert_int_equal(rows.targets.kind, TARGET_SPAN);
    assert_memory_equal(rows.targets.begin, begins, sizeof begins);
    assert_memory_equal(rows.targets.end, ends, sizeof ends);
    assert_int_equal(w.first_row[0], 0);
    assert_int_equal(w.first_row[1], 3);
    assert_int_equal(w.first[2], 3);
    assert_int_equal(w.count[2], 3);
    assert_int_equal(w.begin[16 + 3], 8);
    assert_int_equal(w.end[16 + 5], 13);
    assert_int_equal(w.end[16 + 1], 0); /* a question's token has no place in the paragraph */
    encoded_dataset_deinit(&rows);
    question_windows_deinit(&w);
}

/* The best span over two windows, as bytes of the paragraph. */
static void test_search(void **state)
{
    const answer_rules rules = {.n_best_size = 20, .max_answer_length = 30, .negative = true};
    const char context[] = "b c d e f g";
    float logits[2 * 16] = {0};
    encoded_dataset rows = {0};
    question_windows w = {0};
    answer_search s;
    const char *text = NULL;
    size_t bytes = 0;
    (void)state;
    assert_ok(build("?", context, -2, 0, 8, 2, &rows, &w));
    assert_int_equal(rows.offsets[rows.n], 16);
    logits[0] = -1; /* no answer: -1 in the first, 1 in the second */
    logits[16] = 1;
    logits[2 * (8 + 4)] = 5;     /* "e" begins */
    logits[2 * (8 + 5) + 1] = 4; /* "f" ends */
    logits[2 * (0 + 1)] = 99;    /* of the question: not looked at */
    answer_search_init(&s, &rules);
    for (int again = 0; again < 2; again++) {
        assert_ok(question_windows_search(&ctx, &w, &rows, logits, 0, &s));
        answer_candidate_text(&s.items[s.chosen], context, &text, &bytes);
        assert_int_equal(bytes, 3);
        assert_memory_equal(text, "e f", 3);
        assert_true(s.null_odds == -1 - 9);
    }
    answer_search_deinit(&s);
    encoded_dataset_deinit(&rows);
    question_windows_deinit(&w);
}

static void test_long_question(void **state)
{
    encoded_dataset rows = {0};
    question_windows w = {0};
    (void)state;
    assert_int_equal(build("a b c d e", "a b c d e", -2, 0, 9, 2, &rows, &w), MTS_ERR_ARGUMENT);
    assert_non_null(strstr(ctx.error, "question 1, id the id: maximum length 9"));
    encoded_dataset_deinit(&rows);
    question_windows_deinit(&w);
}

enum { MANY = 700 };

/* Questions over several blocks, with threads or without: the same rows, in order. */
static mts_status build_many(int threads, encoded_dataset *rows, question_windows *windows)
{
    static const char *const paragraphs[] = {"b c d e f g h i j", "c", "d e f g"};
    const char *questions[MANY], *contexts[MANY];
    for (int i = 0; i < MANY; i++) {
        questions[i] = i % 2 == 0 ? "a" : "b a";
        contexts[i] = paragraphs[i % 3];
    }
    const question_list list = {.n = MANY, .questions = questions, .contexts = contexts};
    const window_options options = {
        .tokenizer = words, .max_length = 8, .overlap = 1, .threads = threads};
    return question_windows_build(&ctx, &list, &options, rows, windows);
}

static void test_threads(void **state)
{
    encoded_dataset rows[2] = {{0}, {0}};
    question_windows w[2] = {{0}, {0}};
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_ok(build_many(1 + 2 * i, &rows[i], &w[i]));
    const size_t n = (size_t)rows[0].n, tokens = (size_t)rows[0].offsets[n];
    assert_int_equal(rows[1].n, n);
    assert_int_equal(rows[0].targets.kind, TARGET_NONE);
    assert_int_equal(w[0].first_row[MANY], n);
    assert_memory_equal(rows[0].offsets, rows[1].offsets, (n + 1) * sizeof(int64_t));
    assert_memory_equal(rows[0].ids, rows[1].ids, tokens * sizeof(int32_t));
    assert_memory_equal(w[0].first_row, w[1].first_row, (MANY + 1) * sizeof(int64_t));
    assert_memory_equal(w[0].begin, w[1].begin, tokens * sizeof(int32_t));
    for (int i = 0; i < MANY; i++) /* 9, 1 or 4 tokens in windows of 4 or 3 that share 1 */
        assert_int_equal(w[0].first_row[i + 1] - w[0].first_row[i],
                         i % 3 == 1 ? 1 : (i % 3 == 0 ? (i % 2 == 0 ? 3 : 4) : 1 + i % 2));
    for (int i = 0; i < 2; i++) {
        encoded_dataset_deinit(&rows[i]);
        question_windows_deinit(&w[i]);
    }
}

static void test_failing_memory(void **state)
{
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    (void)state;
    for (; st == MTS_ERR_MEMORY; n++) {
        encoded_dataset rows = {0};
        question_windows w = {0};
        mem_fail_after(n);
        st = build("a", "b c d e f g h", 0, 3, 8, 2, &rows, &w);
        mem_fail_after(-1);
        encoded_dataset_deinit(&rows);
        question_windows_deinit(&w);
    }
    assert_ok(st);
    assert_true(n > 10);
}

/* ------------------------------------------------------------------------------- dump ---- */

static void require(mts_status st)
{
    if (st == MTS_OK)
        return;
    fprintf(stderr, "%s\n", ctx.error);
    exit(1);
}

static void print_array(const int32_t *values, int64_t n)
{
    printf(",[");
    for (int64_t i = 0; i < n; i++)
        printf(i == 0 ? "%d" : ",%d", values[i]);
    printf("]");
}

static void print_row(const encoded_dataset *rows, const question_windows *w, int64_t question,
                      int64_t row)
{
    const int64_t at = rows->offsets[row], n = rows->offsets[row + 1] - at;
    printf("[%lld", (long long)question);
    print_array(rows->ids + at, n);
    print_array(rows->type_ids + at, n);
    printf(",%d,%d,[", rows->targets.begin[row], rows->targets.end[row]);
    for (int64_t i = 0; i < n; i++)
        if (i < w->first[row] || i >= w->first[row] + w->count[row])
            printf(i == 0 ? "null" : ",null");
        else
            printf(",[%d,%d]", w->begin[at + i], w->end[at + i]);
    printf("]]\n");
}

static int dump(int argc, char **argv)
{
    tokenizer *tok = NULL;
    squad_set s;
    encoded_dataset rows;
    question_windows w;
    const char **pointers = NULL;
    const squad_answer **answers = NULL;
    require(tokenizer_open(&ctx, argv[2], &tok));
    require(squad_json_read(&ctx, argv[5], &s));
    const int64_t first = argc > 6 ? atoll(argv[6]) : 0;
    const int64_t n = argc > 7 ? atoll(argv[7]) : s.n - first;
    require(mem_calloc(&ctx, &pointers, 2 * (size_t)n, sizeof *pointers, "questions"));
    require(mem_calloc(&ctx, &answers, (size_t)n, sizeof *answers, "answers"));
    for (int64_t i = 0; i < n; i++) {
        const squad_question *q = &s.questions[first + i];
        pointers[i] = q->text;
        pointers[n + i] = s.contexts[q->context].text;
        answers[i] = q->answers > 0 ? &s.answers[q->first] : NULL;
    }
    const question_list list = {
        .n = n, .questions = pointers, .contexts = pointers + n, .answers = answers};
    const window_options options = {
        .tokenizer = tok, .max_length = atoll(argv[3]), .overlap = atoll(argv[4]), .threads = 2};
    require(question_windows_build(&ctx, &list, &options, &rows, &w));
    for (int64_t i = 0; i < n; i++)
        for (int64_t row = w.first_row[i]; row < w.first_row[i + 1]; row++)
            print_row(&rows, &w, first + i, row);
    encoded_dataset_deinit(&rows);
    question_windows_deinit(&w);
    squad_set_deinit(&s);
    tokenizer_close(tok);
    mem_free((void *)pointers);
    mem_free((void *)answers);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets), cmocka_unit_test(test_windows),
        cmocka_unit_test(test_search),  cmocka_unit_test(test_long_question),
        cmocka_unit_test(test_threads), cmocka_unit_test(test_failing_memory),
    };
    if (argc >= 6 && strcmp(argv[1], "--dump") == 0)
        return dump(argc, argv);
    return cmocka_run_group_tests(tests, open_words, close_words);
}
