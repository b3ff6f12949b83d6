/*
 * From logits to answers, files and scores: tasks/answer_text, answer_metrics, answer_spans,
 * answer_files, and text/python_text, against values worked out by hand.
 *
 *   test_answers                 the tests
 *   test_answers --normalise     a JSON array of texts -> an array of [lower case, normalised,
 *                                without blanks at the left]
 *   test_answers --score         JSON {negative, questions: [{answers, prediction, null_odds}]} ->
 *                                metrics
 *   test_answers --search FOLDER JSON {rules, questions: [{id, context, windows}]} -> the files of
 *                                predictions in FOLDER
 *   the last three read stdin and write stdout: for gates/check_qa.py
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "tasks/answer_files.h"
#include "tasks/answer_metrics.h"
#include "tasks/answer_text.h"
#include "text/python_text.h"

#define assert_ok(call) assert_string_equal(mts_status_name(call), "ok")

static mts_ctx ctx;

/* ------------------------------------------------------------------------------- text ---- */

static void assert_normalised(const char *text, const char *expected, int64_t words)
{
    answer_text a = {0};
    assert_ok(answer_text_init(&ctx, &a, text));
    assert_string_equal(a.normalised, expected);
    assert_int_equal(a.n, words);
    answer_text_deinit(&a);
}

static void test_normalise(void **state)
{
    (void)state;
    assert_normalised("The Cat, a dog and AN Ape!", "cat dog and ape", 4);
    assert_normalised("a", "", 0);
    assert_normalised("...", "", 0);
    assert_normalised("", "", 0);
    assert_normalised("the the-a anthem", "thea anthem", 2); /* the hyphen is gone first */
    assert_normalised("a.b an$the", "ab anthe", 2);
    assert_normalised("U.S.A.", "usa", 1);
    /* blanks of every kind: U+00A0, U+001F, U+3000 */
    assert_normalised("x\xC2\xA0y\x1Fz\xE3\x80\x80w", "x y z w", 4);
    /* beside a letter of any script an article is part of a word; beside a dash it is not */
    assert_normalised("\xC3\xA9\x61 a\xC3\xA9 \xE2\x80\x93\x61\xE2\x80\x93",
                      "\xC3\xA9\x61 a\xC3\xA9 \xE2\x80\x93 \xE2\x80\x93", 4);
    assert_normalised("a_b a \xC2\xB2the", "ab \xC2\xB2the", 2); /* a superscript is \w */
}

static void assert_lower(const char *text, const char *expected)
{
    int32_t *codes = NULL;
    int64_t n = 0;
    char out[64];
    size_t used = 0;
    assert_ok(python_lower(&ctx, text, &codes, &n));
    for (int64_t i = 0; i < n; i++)
        used += utf8_encode(codes[i], out + used);
    out[used] = '\0';
    assert_string_equal(out, expected);
    mem_free(codes);
}

static void test_lower(void **state)
{
    (void)state;
    assert_lower("\xC4\xB0", "i\xCC\x87");  /* I with a dot */
    assert_lower("A\xCE\xA3", "a\xCF\x82"); /* sigma, final */
    assert_lower("A\xCE\xA3 B", "a\xCF\x82 b");
    assert_lower("A\xCE\xA3"
                 "B",
                 "a\xCF\x83"
                 "b");                            /* not final */
    assert_lower("\xCE\xA3", "\xCF\x83");         /* no letter before */
    assert_lower("A'\xCE\xA3.'", "a'\xCF\x82.'"); /* ignorable ones */
    assert_lower("A'\xCE\xA3.B", "a'\xCF\x83.b");
    assert_lower("1\xCE\xA3", "1\xCF\x83");
    assert_string_equal(python_lstrip(" \t\n\x1C\xC2\x85\xE2\x80\xA8x "), "x ");
    assert_string_equal(python_lstrip("\xE2\x80\x8Bx"), "\xE2\x80\x8Bx"); /* U+200B is none */
}

/* ----------------------------------------------------------------------------- scores ---- */

static double value_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    assert_true(json_is_number(value));
    return json_number_value(value);
}

static void add(answer_metrics *m, const char *answer, const char *prediction, double odds)
{
    const squad_answer a = {.text = answer};
    assert_ok(answer_metrics_add(&ctx, m, &a, answer != NULL, prediction, odds));
}

static void test_scores(void **state)
{
    answer_metrics m = {0};
    json_t *object = json_object();
    const squad_answer two[] = {{.text = "red fox"}, {.text = "the fox"}};
    (void)state;
    assert_ok(answer_metrics_init(&ctx, &m, false, 4));
    assert_ok(answer_metrics_add(&ctx, &m, two, 2, "Fox", 0));
    assert_ok(answer_metrics_add(&ctx, &m, two, 2, "red fox", 0)); /* the first fits better */
    add(&m, "one two two three", "two two two", 0);                /* 2 common: p = 2/3, r = 1/2 */
    add(&m, "a", "the", 0);                                        /* equal, but without a word */
    assert_ok(answer_metrics_put(&ctx, &m, object));
    assert_int_equal(json_object_size(object), 2);
    assert_true(value_of(object, "eval_exact_match") == 100.0 * 3 / 4);
    const double p = 2.0 / 3, r = 0.5;
    assert_true(value_of(object, "eval_f1") == 100.0 * (2 + 2 * p * r / (p + r)) / 4);
    assert_int_equal(answer_metrics_add(&ctx, &m, NULL, 0, "x", 0), MTS_ERR_BAD_FILE);
    json_decref(object);
    answer_metrics_deinit(&m);
}

/* Of answers of which nothing remains 2.0 takes the others. */
static void test_answers_left_out(void **state)
{
    const squad_answer two[] = {{.text = "the"}, {.text = "red fox"}};
    (void)state;
    for (int negative = 0; negative < 2; negative++) {
        answer_metrics m = {0};
        json_t *object = json_object();
        assert_ok(answer_metrics_init(&ctx, &m, negative == 1, 1));
        assert_ok(answer_metrics_add(&ctx, &m, two, 2, "an", 0));
        assert_ok(answer_metrics_put(&ctx, &m, object));
        assert_int_equal(value_of(object, negative ? "eval_exact" : "eval_exact_match"),
                         negative ? 0 : 100);
        assert_int_equal(value_of(object, "eval_f1"), 0);
        json_decref(object);
        answer_metrics_deinit(&m);
    }
}

static void test_scores_with_negative(void **state)
{
    answer_metrics m = {0};
    json_t *object = json_object();
    (void)state;
    assert_ok(answer_metrics_init(&ctx, &m, true, 5));
    add(&m, "red fox", "fox", -3);
    add(&m, "x", "x", 0.5);
    add(&m, NULL, "y", 1);
    add(&m, NULL, "", -6);
    add(&m, "the", "", -5); /* an answer of which nothing remains: none is right */
    assert_ok(answer_metrics_put(&ctx, &m, object));
    const double f1 = 2 * 1 * 0.5 / 1.5;
    assert_true(value_of(object, "eval_exact") == 100.0 * 3 / 5);
    assert_true(value_of(object, "eval_f1") == 100.0 * (f1 + 3) / 5);
    assert_int_equal(value_of(object, "eval_total"), 5);
    assert_true(value_of(object, "eval_HasAns_exact") == 100.0 * 2 / 3);
    assert_int_equal(value_of(object, "eval_HasAns_total"), 3);
    assert_true(value_of(object, "eval_NoAns_f1") == 50);
    assert_int_equal(value_of(object, "eval_NoAns_total"), 2);
    /* from 2 right ones up in the order -6, -5, -3, 0.5, 1: - 0, + 1, + 0, + 1, - 1 */
    assert_true(value_of(object, "eval_best_exact") == 80);
    assert_true(value_of(object, "eval_best_exact_thresh") == 0.5);
    assert_true(value_of(object, "eval_best_f1") == 100.0 * (2 + 1 + f1 + 1) / 5);
    assert_true(value_of(object, "eval_best_f1_thresh") == 0.5);
    int64_t n = 0;
    while (answer_metrics_name(true, n) != NULL)
        n++;
    assert_int_equal(n, json_object_size(object));
    json_decref(object);
    answer_metrics_deinit(&m);
}

/* ----------------------------------------------------------------------------- search ---- */

enum { TOKENS = 6 };

/* [CLS] q [SEP] and 3 tokens of the context "ab cd ef". */
static const int32_t begins[] = {0, 3, 6}, ends[] = {2, 5, 8};
static const char context[] = "ab cd ef";

static answer_window window_of(const float *logits)
{
    return (answer_window){
        .logits = logits, .tokens = TOKENS, .first = 3, .count = 3, .begin = begins, .end = ends};
}

/* Search one window by these rules. */
static void search(answer_search *s, const answer_rules *rules, const float *logits)
{
    const answer_window w = window_of(logits);
    answer_search_init(s, rules);
    answer_search_begin(s);
    assert_ok(answer_search_window(&ctx, s, &w));
    assert_ok(answer_search_finish(&ctx, s));
}

static void assert_candidate(const answer_candidate *c, const char *text, float score)
{
    const char *found = NULL;
    size_t bytes = 0;
    answer_candidate_text(c, context, &found, &bytes);
    assert_int_equal(bytes, strlen(text));
    assert_memory_equal(found, text, bytes);
    assert_true(c->score == score);
}

static const float logits[2 * TOKENS] = {2, 1, 9, 9, 0, 0, 1, 0, 4, 3, 3, 4};

static void test_search(void **state)
{
    const answer_rules rules = {.n_best_size = 20, .max_answer_length = 2};
    answer_search s;
    (void)state;
    search(&s, &rules, logits);
    /* (1,1) (1,2) (2,2) (0,0) (0,1); (0,2) is too long; of 7 the one of the earlier start: the
     * higher logit comes first */
    assert_int_equal(s.n, 5);
    assert_candidate(&s.items[0], "cd ef", 8);
    assert_candidate(&s.items[1], "cd", 7);
    assert_candidate(&s.items[2], "ef", 7);
    assert_candidate(&s.items[3], "ab cd", 4);
    assert_candidate(&s.items[4], "ab", 1);
    assert_int_equal(s.chosen, 0);
    const double sum = 1 + 2 * exp(-1) + exp(-4) + exp(-7);
    assert_true(s.items[1].probability == (double)(float)(exp(-1) / sum));
    answer_search_deinit(&s);
}

static void test_search_few(void **state)
{
    answer_rules rules = {.n_best_size = 2, .max_answer_length = 30};
    answer_search s;
    (void)state;
    search(&s, &rules, logits); /* of the starts and ends [1] and one token of the context */
    assert_int_equal(s.n, 1);
    assert_candidate(&s.items[0], "cd ef", 8);
    answer_search_deinit(&s);
    rules.n_best_size = 1; /* the question's token only: nothing remains */
    search(&s, &rules, logits);
    assert_int_equal(s.n, 1);
    assert_candidate(&s.items[0], "empty", 0);
    assert_true(s.items[0].probability == 1);
    answer_search_deinit(&s);
    rules.negative = true;
    search(&s, &rules, logits); /* "empty", and no answer: 3 - 0 - 0 > 0 */
    assert_int_equal(s.n, 2);
    assert_candidate(&s.items[0], "empty", 0);
    assert_candidate(&s.items[1], "", 3);
    assert_true(s.null_odds == 3);
    assert_int_equal(s.chosen, -1);
    assert_true(s.items[0].probability == exp(-3) / (1 + exp(-3)));
    answer_search_deinit(&s);
}

static void test_search_negative(void **state)
{
    answer_rules rules = {.n_best_size = 3, .max_answer_length = 30, .negative = true};
    answer_search s;
    (void)state;
    search(&s, &rules, logits);
    /* two tokens of the context: (1,2) (1,1) (2,2), and no answer, which was cut, put back */
    assert_int_equal(s.n, 4);
    assert_candidate(&s.items[3], "", 3);
    assert_true(s.null_odds == -5);
    assert_int_equal(s.chosen, 0);
    answer_search_deinit(&s);
    rules.null_score_diff_threshold = -5.5;
    search(&s, &rules, logits);
    assert_int_equal(s.chosen, -1);
    answer_search_deinit(&s);
    rules.n_best_size = 20; /* no answer (3) is behind "ab cd" (5 of length 3: 1 + 4) */
    rules.null_score_diff_threshold = 0;
    search(&s, &rules, logits);
    assert_int_equal(s.n, 7);
    assert_candidate(&s.items[5], "", 3);
    answer_search_deinit(&s);
}

/* No answer of two windows is the smaller one; equal spans of both: the first comes first. */
static void test_search_windows(void **state)
{
    const answer_rules rules = {.n_best_size = 20, .max_answer_length = 1, .negative = true};
    const float second[2 * TOKENS] = {1, 1, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0};
    const answer_window a = window_of(logits), b = window_of(second);
    answer_search s;
    (void)state;
    answer_search_init(&s, &rules);
    answer_search_begin(&s);
    assert_ok(answer_search_window(&ctx, &s, &a));
    answer_search_begin(&s); /* forgets it */
    assert_ok(answer_search_window(&ctx, &s, &a));
    assert_ok(answer_search_window(&ctx, &s, &b));
    assert_ok(answer_search_finish(&ctx, &s));
    assert_int_equal(s.n, 7);
    assert_candidate(&s.items[0], "cd", 7);
    assert_candidate(&s.items[1], "ef", 7);
    assert_candidate(&s.items[2], "ab", 7);
    assert_candidate(&s.items[3], "", 2);
    assert_true(s.null_odds == -5);
    answer_search_deinit(&s);
}

/* Of equal logits the later token is taken first. */
static void test_search_ties(void **state)
{
    const answer_rules rules = {.n_best_size = 2, .max_answer_length = 1};
    const float flat[2 * TOKENS] = {0};
    answer_search s;
    (void)state;
    search(&s, &rules, flat);
    assert_int_equal(s.n, 2);
    assert_candidate(&s.items[0], "ef", 0);
    assert_candidate(&s.items[1], "cd", 0);
    answer_search_deinit(&s);
}

static void test_search_without_numbers(void **state)
{
    const answer_rules rules = {.n_best_size = 3, .max_answer_length = 30, .negative = true};
    float strange[2 * TOKENS];
    answer_search s;
    (void)state;
    for (int i = 0; i < 2 * TOKENS; i++)
        strange[i] = i % 3 == 0 ? NAN : (i % 3 == 1 ? INFINITY : -INFINITY);
    search(&s, &rules, strange);
    assert_in_range(s.n, 1, 5);
    answer_search_deinit(&s);
}

/* ------------------------------------------------------------------------------ files ---- */

static void assert_real(double value, const char *expected)
{
    char text[PYTHON_REAL_BYTES];
    python_real(value, text);
    assert_string_equal(text, expected);
}

static void test_python_real(void **state)
{
    (void)state;
    assert_real(0, "0.0");
    assert_real(-0.0, "-0.0");
    assert_real(1, "1.0");
    assert_real(0.1, "0.1");
    assert_real((double)0.1F, "0.10000000149011612");
    assert_real(-12.5, "-12.5");
    assert_real(1e-4, "0.0001");
    assert_real(0.00012345, "0.00012345");
    assert_real(1e-5, "1e-05");
    assert_real(-1.5e-7, "-1.5e-07");
    assert_real(1e15, "1000000000000000.0");
    assert_real(1234567890123456.0, "1234567890123456.0");
    assert_real(1e16, "1e+16");
    assert_real(1.25e300, "1.25e+300");
    assert_real(DBL_MAX, "1.7976931348623157e+308");
    assert_real(5e-324, "5e-324");
    assert_real((double)FLT_MAX, "3.4028234663852886e+38");
    assert_real(NAN, "NaN");
    assert_real(-INFINITY, "-Infinity");
}

static void assert_file(const char *dir, const char *name, const char *expected)
{
    char path[128];
    char *text = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    assert_ok(file_read_all(&ctx, path, 1 << 20, &text, NULL));
    assert_string_equal(text, expected);
    mem_free(text);
    unlink(path);
}

static void test_files(void **state)
{
    const answer_rules rules = {.n_best_size = 2, .max_answer_length = 30, .negative = true};
    char dir[] = "/tmp/mantissa_answers_XXXXXX";
    answer_files f;
    answer_search s;
    (void)state;
    assert_non_null(mkdtemp(dir));
    search(&s, &rules, logits);
    assert_ok(answer_files_open(&ctx, &f, dir, "eval", true));
    assert_ok(answer_files_add(&f, "q\"\n\xC3\xA9\xF0\x9F\x98\x80\x7F", context, &s));
    answer_search_deinit(&s);
    search(&s, &(answer_rules){.n_best_size = 1, .max_answer_length = 1}, logits);
    assert_ok(answer_files_add(&f, "r", context, &s));
    assert_ok(answer_files_commit(&f));
    answer_files_close(&f);
    assert_file(dir, "eval_predictions.json",
                "{\n    \"q\\\"\\n\\u00e9\\ud83d\\ude00\\u007f\": \"cd ef\",\n"
                "    \"r\": \"empty\"\n}\n");
    assert_file(dir, "eval_null_odds.json",
                "{\n    \"q\\\"\\n\\u00e9\\ud83d\\ude00\\u007f\": -5.0,\n    \"r\": 0.0\n}\n");
    assert_file(dir, "eval_nbest_predictions.json",
                "{\n    \"q\\\"\\n\\u00e9\\ud83d\\ude00\\u007f\": [\n"
                "        {\n            \"start_logit\": 4.0,\n            \"end_logit\": 4.0,\n"
                "            \"text\": \"cd ef\",\n"
                "            \"probability\": 0.9933071732521057\n        },\n"
                "        {\n            \"start_logit\": 2.0,\n            \"end_logit\": 1.0,\n"
                "            \"text\": \"\",\n"
                "            \"probability\": 0.006692850962281227\n        }\n    ],\n"
                "    \"r\": [\n        {\n            \"text\": \"empty\",\n"
                "            \"start_logit\": 0.0,\n            \"end_logit\": 0.0,\n"
                "            \"probability\": 1.0\n        }\n    ]\n}\n");
    answer_search_deinit(&s);
    assert_int_equal(rmdir(dir), 0);
}

/* ----------------------------------------------------------------------------- memory ---- */

/* All steps of one question, with the n-th allocation failing. */
static mts_status run_once(const char *dir)
{
    mts_status st = MTS_OK;
    const answer_rules rules = {.n_best_size = 20, .max_answer_length = 30, .negative = true};
    const answer_window w = window_of(logits);
    const squad_answer answer = {.text = "cd ef gh"};
    json_t *object = json_object();
    answer_search s;
    answer_metrics m = {0};
    answer_files f = {0};
    answer_search_init(&s, &rules);
    answer_search_begin(&s);
    MTS_TRY(answer_metrics_init(&ctx, &m, true, 1));
    MTS_TRY(answer_files_open(&ctx, &f, dir, "eval", true));
    MTS_TRY(answer_search_window(&ctx, &s, &w));
    MTS_TRY(answer_search_finish(&ctx, &s));
    MTS_TRY(answer_files_add(&f, "id", context, &s));
    MTS_TRY(answer_metrics_add(&ctx, &m, &answer, 1, "cd ef", s.null_odds));
    MTS_TRY(answer_metrics_put(&ctx, &m, object));
cleanup:
    answer_files_close(&f);
    answer_metrics_deinit(&m);
    answer_search_deinit(&s);
    json_decref(object);
    return st;
}

static void test_failing_memory(void **state)
{
    char dir[] = "/tmp/mantissa_answers_XXXXXX";
    int64_t n = 0;
    (void)state;
    assert_non_null(mkdtemp(dir));
    for (;; n++) {
        mem_fail_after(n);
        const mts_status st = run_once(dir);
        mem_fail_after(-1);
        if (st == MTS_OK)
            break;
        assert_int_equal(st, MTS_ERR_MEMORY);
    }
    assert_true(n > 10);
    assert_int_equal(rmdir(dir), 0); /* nothing was left there */
}

/* ------------------------------------------------------------------------------ dumps ---- */

static void require(mts_status st)
{
    if (st == MTS_OK)
        return;
    fprintf(stderr, "%s\n", ctx.error);
    exit(1);
}

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static json_t *normalised(const char *text)
{
    answer_text a = {0};
    int32_t *codes = NULL;
    int64_t n = 0;
    char *lower = NULL;
    size_t used = 0;
    json_t *result = json_array();
    require(python_lower(&ctx, text, &codes, &n));
    require(mem_calloc(&ctx, &lower, (size_t)n * UTF8_MAX_BYTES + 1, 1, "text"));
    for (int64_t i = 0; i < n; i++)
        used += utf8_encode(codes[i], lower + used);
    require(answer_text_init(&ctx, &a, text));
    json_array_append_new(result, json_string(lower));
    json_array_append_new(result, json_string(a.normalised));
    json_array_append_new(result, json_string(python_lstrip(text)));
    answer_text_deinit(&a);
    mem_free(lower);
    mem_free(codes);
    return result;
}

static json_t *dump_normalised(const json_t *texts)
{
    json_t *results = json_array();
    for (size_t i = 0; i < json_array_size(texts); i++)
        json_array_append_new(results, normalised(json_string_value(json_array_get(texts, i))));
    return results;
}

static json_t *dump_scores(const json_t *task)
{
    const json_t *questions = json_object_get(task, "questions");
    json_t *object = json_object();
    answer_metrics m = {0};
    require(answer_metrics_init(&ctx, &m, json_is_true(json_object_get(task, "negative")),
                                (int64_t)json_array_size(questions)));
    for (size_t i = 0; i < json_array_size(questions); i++) {
        const json_t *q = json_array_get(questions, i), *texts = json_object_get(q, "answers");
        const size_t n = json_array_size(texts);
        squad_answer *answers = NULL;
        require(mem_calloc(&ctx, &answers, n, sizeof answers[0], "answers"));
        for (size_t k = 0; k < n; k++)
            answers[k].text = json_string_value(json_array_get(texts, k));
        require(answer_metrics_add(&ctx, &m, answers, (int64_t)n, text_of(q, "prediction"),
                                   number_of(q, "null_odds")));
        mem_free(answers);
    }
    require(answer_metrics_put(&ctx, &m, object));
    answer_metrics_deinit(&m);
    return object;
}

/* Search one window {first, offsets: [[begin, end], ...], start: [...], end: [...]}. */
static void search_window(answer_search *s, const json_t *w)
{
    const json_t *offsets = json_object_get(w, "offsets");
    const json_t *sides[] = {json_object_get(w, "start"), json_object_get(w, "end")};
    const size_t tokens = json_array_size(sides[0]), count = json_array_size(offsets);
    float *values = NULL;
    int32_t *places = NULL;
    require(mem_calloc(&ctx, &values, tokens * 2, sizeof values[0], "logits"));
    require(mem_calloc(&ctx, &places, count * 2, sizeof places[0], "offsets"));
    for (size_t i = 0; i < 2 * tokens; i++)
        values[i] = (float)json_number_value(json_array_get(sides[i % 2], i / 2));
    for (size_t i = 0; i < 2 * count; i++)
        places[(i % 2) * count + i / 2] =
            (int32_t)json_integer_value(json_array_get(json_array_get(offsets, i / 2), i % 2));
    const answer_window window = {.logits = values,
                                  .tokens = (int64_t)tokens,
                                  .first = (int64_t)number_of(w, "first"),
                                  .count = (int64_t)count,
                                  .begin = places,
                                  .end = places + count};
    require(answer_search_window(&ctx, s, &window));
    mem_free(values);
    mem_free(places);
}

static json_t *dump_search(const json_t *task, const char *dir)
{
    const json_t *r = json_object_get(task, "rules"), *list = json_object_get(task, "questions");
    const answer_rules rules = {.n_best_size = (int64_t)number_of(r, "n_best_size"),
                                .max_answer_length = (int64_t)number_of(r, "max_answer_length"),
                                .negative = json_is_true(json_object_get(r, "negative")),
                                .null_score_diff_threshold =
                                    number_of(r, "null_score_diff_threshold")};
    answer_search s;
    answer_files f;
    answer_search_init(&s, &rules);
    require(answer_files_open(&ctx, &f, dir, "eval", rules.negative));
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *q = json_array_get(list, i), *windows = json_object_get(q, "windows");
        answer_search_begin(&s);
        for (size_t k = 0; k < json_array_size(windows); k++)
            search_window(&s, json_array_get(windows, k));
        require(answer_search_finish(&ctx, &s));
        require(answer_files_add(&f, text_of(q, "id"), text_of(q, "context"), &s));
    }
    require(answer_files_commit(&f));
    answer_files_close(&f);
    answer_search_deinit(&s);
    return json_object();
}

static int dump(int argc, char **argv)
{
    json_error_t error;
    json_t *task = json_loadf(stdin, 0, &error), *result = NULL;
    if (task == NULL) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (strcmp(argv[1], "--normalise") == 0)
        result = dump_normalised(task);
    else if (strcmp(argv[1], "--score") == 0)
        result = dump_scores(task);
    else if (strcmp(argv[1], "--search") == 0 && argc == 3)
        result = dump_search(task, argv[2]);
    if (result == NULL)
        return 2;
    json_dumpf(result, stdout, JSON_REAL_PRECISION(17));
    json_decref(result);
    json_decref(task);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_lower),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_answers_left_out),
        cmocka_unit_test(test_scores_with_negative),
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_search_few),
        cmocka_unit_test(test_search_negative),
        cmocka_unit_test(test_search_windows),
        cmocka_unit_test(test_search_ties),
        cmocka_unit_test(test_search_without_numbers),
        cmocka_unit_test(test_python_real),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_failing_memory),
    };
    if (argc > 1)
        return dump(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
