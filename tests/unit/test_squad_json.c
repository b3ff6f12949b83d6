/*
 * data/squad_json and data/json_cursor: both forms of the file, places of answers in bytes, one
 * line of error for each thing that is wrong, memory in proportion, failing allocations.
 *
 *   test_squad_json               the tests
 *   test_squad_json --read FILE   counts of a file, for timing
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "data/json_cursor.h"
#include "data/squad_json.h"

static mts_ctx ctx;

/* Parse a copy of text as file "f". */
static mts_status parse(const char *text, squad_set *out)
{
    char *copy = NULL;
    assert_int_equal(mem_strdup(&ctx, &copy, text), MTS_OK);
    return squad_json_parse(&ctx, "f", copy, strlen(text), out);
}

static squad_set read_text(const char *text)
{
    squad_set s = {0};
    if (parse(text, &s) != MTS_OK)
        fail_msg("%s", ctx.error);
    return s;
}

/* The file is refused with a text that begins and ends like this. */
static void assert_refused(const char *text, const char *begins, const char *ends)
{
    squad_set s = {0};
    const mts_status st = parse(text, &s);
    squad_set_deinit(&s);
    if (st != MTS_ERR_BAD_FILE || strncmp(ctx.error, begins, strlen(begins)) != 0 ||
        strlen(ctx.error) < strlen(ends) ||
        strcmp(ctx.error + strlen(ctx.error) - strlen(ends), ends) != 0)
        fail_msg("%s\nexpected \"%s ... %s\", found %s: %s", text, begins, ends,
                 mts_status_name(st), st == MTS_OK ? "" : ctx.error);
}

/* ------------------------------------------------------------------------------ forms ---- */

static const char official[] =
    "{\"version\": \"v2.0\", \"data\": [{\"title\": \"T\", \"paragraphs\": [\n"
    " {\"qas\": [{\"question\": \" Who?\", \"id\": \"q1\", \"is_impossible\": false, \"answers\": "
    "[{\"text\": \"Zo\\u00eb\", \"answer_start\": 3}, {\"answer_start\": 0, \"text\": "
    "\"B\\u00e9\"}]},"
    " {\"id\": \"q2\", \"question\": \"\", \"answers\": [], \"plausible_answers\": [{\"x\": "
    "[1.5e3]}],"
    " \"is_impossible\": true}], \"context\": \"B\\u00e9 Zo\\u00eb \\ud83d\\ude00 end\"}]},"
    " {\"paragraphs\": [{\"context\": \"abc\", \"qas\": [{\"id\": 17, \"question\": \"x\"}]}]}]}";

static void test_official_form(void **state)
{
    (void)state;
    squad_set s = read_text(official);
    assert_int_equal(s.n, 3);
    assert_int_equal(s.n_contexts, 2);
    assert_int_equal(s.n_answers, 2);
    assert_string_equal(s.contexts[0].text, "B\xC3\xA9 Zo\xC3\xAB \xF0\x9F\x98\x80 end");
    assert_int_equal(s.contexts[0].bytes, strlen(s.contexts[0].text));
    assert_string_equal(s.questions[0].text, " Who?");
    assert_string_equal(s.questions[0].id, "q1");
    assert_int_equal(s.questions[0].answers, 2);
    assert_string_equal(s.answers[0].text, "Zo\xC3\xAB");
    assert_int_equal(s.answers[0].begin, 4);
    assert_int_equal(s.answers[0].end, 8);
    assert_int_equal(s.answers[1].begin, 0);
    assert_int_equal(s.answers[1].end, 3);
    assert_int_equal(s.questions[1].answers, 0);
    assert_int_equal(s.questions[1].context, 0);
    assert_string_equal(s.questions[2].id, "17");
    assert_int_equal(s.questions[2].answers, SQUAD_NO_ANSWERS);
    assert_int_equal(s.questions[2].context, 1);
    assert_int_equal(squad_set_misplaced(&s), 0);
    assert_int_equal(squad_set_check_ids(&ctx, &s, "f"), MTS_OK);
    squad_set_cut(&s, 1);
    assert_int_equal(s.n, 1);
    squad_set_deinit(&s);
}

static void test_flat_form(void **state)
{
    (void)state;
    squad_set s = read_text(
        "\xEF\xBB\xBF{\"data\": [{\"answers\": {\"answer_start\": [2, 0], \"text\": [\"c\", "
        "\"ab\"]},"
        "\"title\": null, \"question\": \"q\", \"context\": \"ab c\", \"id\": \"1\"},"
        "{\"question\": \"r\", \"context\": \"ab c\", \"id\": \"2\", \"answers\": {\"text\": [], "
        "\"answer_start\": []}},"
        "{\"question\": \"s\", \"context\": \"ab c\", \"id\": \"3\", \"answers\": null}]}");
    assert_int_equal(s.n, 3);
    assert_int_equal(s.n_contexts, 3);
    assert_string_equal(s.answers[s.questions[0].first + 1].text, "ab");
    assert_int_equal(s.answers[0].begin, 2);
    assert_int_equal(squad_set_misplaced(&s), 1); /* " " stands at 2 */
    assert_int_equal(s.questions[1].answers, 0);
    assert_int_equal(s.questions[2].answers, SQUAD_NO_ANSWERS);
    squad_set_deinit(&s);
}

/* ----------------------------------------------------------------------------- places ---- */

/* Begin and end of an answer at code point `start` of a context. */
static squad_answer place(const char *context, const char *text, long long start)
{
    char json[1024];
    snprintf(json, sizeof json,
             "{\"data\": [{\"context\": \"%s\", \"question\": \"\", \"answers\": {\"text\": "
             "[\"%s\"], \"answer_start\": [%lld]}}]}",
             context, text, start);
    squad_set s = read_text(json);
    const squad_answer a = s.answers[0];
    squad_set_deinit(&s);
    return a;
}

static void assert_place(const char *context, const char *text, long long start, int begin, int end)
{
    const squad_answer a = place(context, text, start);
    assert_int_equal(a.begin, begin);
    assert_int_equal(a.end, end);
}

static void test_places(void **state)
{
    char context[1024] = "";
    (void)state;
    assert_place("abc", "c", 2, 2, 3);
    assert_place("abc", "", 3, 3, 3);
    assert_place("abc", "x", 3, SQUAD_OUTSIDE, SQUAD_OUTSIDE);
    assert_place("abc", "abcd", 0, SQUAD_OUTSIDE, SQUAD_OUTSIDE);
    assert_place("abc", "a", -1, SQUAD_OUTSIDE, SQUAD_OUTSIDE);
    assert_place("abc", "a", INT64_MAX, SQUAD_OUTSIDE, SQUAD_OUTSIDE);
    assert_place("", "", 0, 0, 0);
    /* another text of that length: taken as it is */
    assert_place("\xC3\xA9\xE2\x82\xAC\x7A", "xy", 1, 2, 6);
    /* over the steps of the index: 2 bytes for each code point */
    for (int i = 0; i < 200; i++)
        strcat(context, "\xC3\xA9");
    for (int i = 0; i < 200; i++)
        assert_place(context, "e", i, 2 * i, 2 * i + 2);
}

/* ----------------------------------------------------------------------------- errors ---- */

static void test_refused_json(void **state)
{
    (void)state;
    assert_refused("", "f:1:1: ", "found the end of the file");
    assert_refused("[]", "f:1:1: ", "expected an object, found an array");
    assert_refused("{\"data\": []}", "f:1:13: ", "expected at least one question, found none");
    assert_refused("{}", "f:1:3: ", "expected the key \"data\" of SQuAD's form, found none");
    assert_refused("{\"a\": 1,}", "f:1:9: ", "expected a key in double quotes, found '}'");
    assert_refused("{\"a\": 1 \n \"b\": 2}", "f:2:2: ", "expected ',' or '}', found '\"'");
    assert_refused("{\"a\": [1,]}", "f:1:10: ", "expected a JSON value, found ']'");
    assert_refused("{\"a\" 1}", "f:1:6: ", "expected ':', found '1'");
    assert_refused("{\"a\": 01}", "f:1:8: ", "expected ',' or '}', found '1'");
    assert_refused("{\"a\": 1.}", "f:1:9: ", "expected a digit, found '}'");
    assert_refused("{\"a\": 1e}", "f:1:9: ", "expected a digit, found '}'");
    assert_refused("{\"a\": -}", "f:1:8: ", "expected a digit, found '}'");
    assert_refused("{\"a\": nul}", "f:1:7: ", "expected a JSON value, found 'n'");
    assert_refused("{\"a\": NaN}", "f:1:7: ", "expected a JSON value, found 'N'");
    assert_refused("{\"a\": \"x\ny\"}",
                   "f:1:9: ", "expected '\"' at the end of a string, found the byte 0x0a");
    assert_refused("{\"a\": \"\\x\"}", "f:1:9: ", "behind a backslash, found 'x'");
    assert_refused("{\"a\": \"\\u12g4\"}", "f:1:12: ", "expected a hexadecimal digit, found 'g'");
    assert_refused("{\"a\": \"\\u0000\"}", "f:1:14: ", "\\u0000 in a string is not supported");
    assert_refused("{\"a\": \"\\ud800\"}",
                   "f:1:14: ", "expected a pair of surrogates, found half of one");
    assert_refused("{\"a\": \"\\ud800\\u0041\"}", "f:1:20: ", "found half of one");
    assert_refused("{\"a\": \"\\udc00\"}", "f:1:14: ", "found half of one");
    assert_refused("{\"a\": \"\xC3\"}",
                   "f:1:9: ", "expected UTF-8, found the byte 0xc3 in the string before");
    assert_refused("{\"a\": \"b", "f:1:9: ", "found the end of the file");
    assert_refused("{\"data\": [{\"context\": \"\", \"question\": \"\"}]} x",
                   "f:1:45: ", "expected the end of the file, found 'x'");
}

static void test_refused_forms(void **state)
{
    (void)state;
    assert_refused("{\"data\": 3}", "f:1:10: ", "expected an array, found a number");
    assert_refused("{\"data\": [{}]}",
                   "f:1:13: ", "either \"paragraphs\" or \"question\" and \"context\"");
    assert_refused("{\"data\": [{\"paragraphs\": [], \"question\": \"\"}]}",
                   "f:1:45: ", "either \"paragraphs\" or \"question\" and \"context\"");
    assert_refused("{\"data\": [], \"data\": []}",
                   "f:1:21: ", "the key \"data\" occurs twice in an object");
    assert_refused("{\"data\": [{\"paragraphs\": [{\"context\": \"\"}]}]}", "f:1:42: ",
                   "expected a paragraph with \"context\" and \"qas\", found one without");
    assert_refused("{\"data\": [{\"paragraphs\": [{\"context\": \"\", \"qas\": [{}]}]}]}",
                   "f:1:53: ", "expected a question with \"question\", found one without");
    assert_refused("{\"data\": [{\"id\": true}]}",
                   "f:1:18: ", "expected a string, found true or false");
    assert_refused("{\"data\": [{\"answers\": [{\"text\": \"a\"}]}]}",
                   "f:1:37: ", "found one without");
    assert_refused("{\"data\": [{\"answers\": [{\"text\": \"a\", \"answer_start\": 1.0}]}]}",
                   "f:1:54: ", "expected an integer, found a number with a fraction");
    assert_refused("{\"data\": [{\"answers\": {\"text\": [\"a\"], \"answer_start\": []}}]}",
                   "f:1:58: ", "of equal length, found 1 and 0 items");
    assert_refused("{\"data\": [{\"answers\": [{\"answer_start\": 9223372036854775808}]}]}",
                   "f:1:41: ", "expected an integer of 64 bits, found a larger one");
    assert_refused("{\"data\": [{\"answers\": \"a\"}]}",
                   "f:1:23: ", "expected an array, found a string");
}

static void test_ids(void **state)
{
    (void)state;
    squad_set s = read_text("{\"data\": [{\"context\": \"\", \"question\": \"\", \"id\": \"a\"},"
                            "{\"context\": \"\", \"question\": \"\", \"id\": \"b\"},"
                            "{\"context\": \"\", \"question\": \"\", \"id\": \"a\"}]}");
    assert_int_equal(squad_set_check_ids(&ctx, &s, "f"), MTS_ERR_BAD_FILE);
    assert_string_equal(ctx.error, "f: expected one question for each \"id\", found two for \"a\"");
    s.questions[1].id = NULL;
    assert_int_equal(squad_set_check_ids(&ctx, &s, "f"), MTS_ERR_BAD_FILE);
    assert_string_equal(ctx.error, "f: question 2: expected an \"id\", found none");
    squad_set_deinit(&s);
}

static void test_depth(void **state)
{
    char text[4 * JSON_CURSOR_DEPTH] = "{\"a\":";
    (void)state;
    for (int deep = 0; deep < 2; deep++) {
        const size_t n = JSON_CURSOR_DEPTH - 1 + (size_t)deep;
        memset(text + 5, '[', n);
        memset(text + 5 + n, ']', n);
        strcpy(text + 5 + 2 * n, "}");
        if (deep)
            assert_refused(text, "f:1:", "objects and arrays are nested above 512 levels");
        else
            assert_refused(text, "f:1:", "expected the key \"data\" of SQuAD's form, found none");
    }
}

/* Every beginning of a file is refused, and says where it ends. */
static void test_cut_files(void **state)
{
    char text[sizeof official];
    (void)state;
    for (size_t n = 0; n + 1 < sizeof official; n++) {
        memcpy(text, official, n);
        text[n] = '\0';
        assert_refused(text, "f:", "");
    }
}

/* --------------------------------------------------------------------------- contract ---- */

static void test_failing_memory(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        squad_set s = {0};
        char *copy = NULL;
        assert_int_equal(mem_strdup(&ctx, &copy, official), MTS_OK);
        mem_fail_after(n);
        mts_status st = squad_json_parse(&ctx, "f", copy, strlen(official), &s);
        if (st == MTS_OK)
            st = squad_set_check_ids(&ctx, &s, "f");
        mem_fail_after(-1);
        squad_set_deinit(&s);
        if (st == MTS_OK) {
            assert_true(n > 4);
            return;
        }
        assert_int_equal(st, MTS_ERR_MEMORY);
    }
}

static bool is_squad(const char *text)
{
    char path[] = "/tmp/mantissa_squad_XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    const bool yes = squad_json_is(path);
    unlink(path);
    return yes;
}

static void test_recognised(void **state)
{
    (void)state;
    assert_true(is_squad("{\"data\": [")); /* what follows is not looked at */
    assert_true(is_squad(official));
    assert_true(is_squad("\xEF\xBB\xBF {\"version\": {\"data\": 1}, \"data\":[]}"));
    assert_false(is_squad("{\"sentence\": \"a\", \"label\": 1}\n{\"data\": []}\n"));
    assert_false(is_squad("{\"data\": \"text\"}"));
    assert_false(is_squad("[{\"data\": []}]"));
    assert_false(is_squad(""));
    assert_false(squad_json_is("/nonexistent"));
}

/* A file costs what it holds: no value of a file of small values is a thousand bytes of memory. */
static void test_memory_in_proportion(void **state)
{
    enum { N = 100000 };
    char *text = NULL;
    size_t n = 0;
    (void)state;
    assert_int_equal(mem_calloc(&ctx, &text, 8 * N + 100, 1, "text"), MTS_OK);
    n += (size_t)sprintf(text, "{\"x\": [");
    for (int i = 0; i < N; i++)
        n += (size_t)sprintf(text + n, "{},[],");
    n += (size_t)sprintf(text + n, "1], \"data\": [{\"context\": \"\", \"question\": \"\"}]}");
    mem_fail_after(-1);
    squad_set s = {0};
    assert_int_equal(squad_json_parse(&ctx, "f", text, n, &s), MTS_OK);
    assert_true(mem_fail_after(-1) < 10);
    squad_set_deinit(&s);
}

static int read_file(const char *path)
{
    squad_set s = {0};
    const mts_status st = squad_json_read(&ctx, path, &s);
    if (st != MTS_OK)
        fprintf(stderr, "%s\n", ctx.error);
    else
        printf("%lld contexts, %lld questions, %lld answers, %lld misplaced, ids %s\n",
               (long long)s.n_contexts, (long long)s.n, (long long)s.n_answers,
               (long long)squad_set_misplaced(&s),
               mts_status_name(squad_set_check_ids(&ctx, &s, path)));
    squad_set_deinit(&s);
    return st != MTS_OK;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_official_form),
        cmocka_unit_test(test_flat_form),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_refused_json),
        cmocka_unit_test(test_refused_forms),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_cut_files),
        cmocka_unit_test(test_failing_memory),
        cmocka_unit_test(test_recognised),
        cmocka_unit_test(test_memory_in_proportion),
    };
    if (argc == 3 && strcmp(argv[1], "--read") == 0)
        return read_file(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
