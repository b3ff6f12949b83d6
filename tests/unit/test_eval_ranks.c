/*
 * Evaluation by rank: the picture of the losses (train/rank_plot.h), and the numbers of answers
 * (tasks/number_answer.h).
 */
#include "support/test_check.h"

#include <jansson.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/test_folder.h"
#include "tasks/number_answer.h"
#include "train/rank_plot.h"

static mts_ctx ctx;

static void number(const char *text, const char *expected, bool complete)
{
    char out[NUMBER_ANSWER_BYTES];
    bool whole = false;
    const bool found = number_answer_find(text, strlen(text), out, &whole);
    if (expected == NULL) {
        assert_false(found);
        return;
    }
    assert_true(found);
    assert_string_equal(out, expected);
    assert_int_equal(whole, complete);
}

static void numbers(void **state)
{
    (void)state;
    number("so\n#### 72", "72", false);
    number("so\n#### 72\n", "72", true);
    number("#### 1,234,567 apples", "1234567", true);
    number("#### -5.50.", "-5.50", false);
    number("#### $12", "12", false);
    number("#### -$3 ", "-3", true);
    number("#### $-3 ", "-3", true);
    number("####7", "7", false);
    number("#### x #### 8 #### 9", "8", true); /* the first that has a number */
    number("##### 8", "8", false);
    number("### 8", NULL, false);
    number("####", NULL, false);
    number("#### ", NULL, false);
    number("#### -", NULL, false);
    number("#### .,", NULL, false);
    number("", NULL, false);
    char longest[200] = "#### ";
    memset(longest + 5, '1', 190);
    char out[NUMBER_ANSWER_BYTES];
    assert_true(number_answer_find(longest, 195, out, NULL));
    assert_int_equal(strlen(out), NUMBER_ANSWER_BYTES - 1);
    assert_false(number_answer_find("#### 7", 5, out, NULL)); /* bytes, not a string */
}

static json_t *row(int rank, double loss)
{
    return json_pack("{si sf}", "rank", rank, "eval_loss", loss);
}

static char *plot(json_t *rows)
{
    const char *dir = folder_root();
    char *path = NULL, *text = NULL;
    size_t bytes;
    assert_ok(rank_plot_save(&ctx, rows, dir));
    assert_ok(path_join(&ctx, &path, dir, RANK_PLOT_FILE));
    assert_ok(file_read_all(&ctx, path, 1 << 20, &text, &bytes));
    assert_int_equal(strncmp(text, "<svg ", 5), 0);
    assert_non_null(strstr(text, "</svg>\n"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    mem_free(path);
    json_decref(rows);
    return text;
}

static int count(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at++)
        n++;
    return n;
}

static void plots(void **state)
{
    (void)state;
    char *text = plot(json_pack("[o o o]", row(1, 3.0), row(2, 2.0), row(4, 1.0)));
    assert_int_equal(count(text, "<circle"), 3);
    /* the ends and the middle of both axes */
    assert_non_null(strstr(text, "M80.0 30.0L350.0 190.0L620.0 350.0"));
    assert_non_null(strstr(text, "rank 4: 1<"));
    mem_free(text);
    text = plot(json_pack("[o]", row(3, 2.5))); /* one point; no range */
    assert_int_equal(count(text, "<circle"), 1);
    assert_non_null(strstr(text, "M80.0 190.0\""));
    mem_free(text);
    text = plot(json_pack("[{si sn} o]", "rank", 1, "eval_loss", row(2, 1.0))); /* a loss of NaN */
    assert_int_equal(count(text, "<circle"), 1);
    mem_free(text);
    text = plot(json_pack("[{si sn}]", "rank", 1, "eval_loss"));
    assert_int_equal(count(text, "<circle"), 0);
    mem_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(plots)};
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
