/*
 * data/table_reader and base/number_parse: what is in a table, and what is refused and how.
 *
 *   test_table_reader                      the tests
 *   test_table_reader --dump FILE [NAME..] the table as JSON, [[names], [cells], ...]; NAMEs: the
 *                                          columns of a TSV file without header.  For
 *                                          gates/check_tables.py
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "base/number_parse.h"
#include "data/table_reader.h"

#define assert_ok(call) assert_string_equal(mts_status_name(call), "ok")

static mts_ctx ctx;

/* Parse n bytes of text as the file "f". */
static mts_status parse_bytes(table *t, const char *text, size_t n, table_format format)
{
    char *bytes = NULL;
    mts_status st = mem_strndup(&ctx, &bytes, text, n);
    if (st == MTS_OK)
        st = table_parse(&ctx, t, "f", &bytes, n, format, NULL, 0);
    assert_null(bytes);
    return st;
}

/* The table as "name,name/cell,cell/..."; '~' for a hole. */
static const char *flat(const table *t)
{
    static char text[1024];
    size_t used = 0;
    for (int64_t row = -1; row < t->n_rows; row++) {
        for (int64_t i = 0; i < t->n_columns; i++) {
            const char *cell = row < 0 ? t->names[i] : "~";
            if (row >= 0 && t->cells[row * t->n_columns + i] >= 0)
                assert_ok(table_cell(&ctx, t, row, i, &cell));
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", cell,
                                     i + 1 < t->n_columns ? "," : "/");
        }
    }
    return text;
}

static void assert_table(table_format format, const char *text, const char *expected)
{
    table t = {0};
    if (parse_bytes(&t, text, strlen(text), format) != MTS_OK)
        fail_msg("%s: %s", text, ctx.error);
    assert_string_equal(flat(&t), expected);
    table_deinit(&t);
}

static void assert_refused(table_format format, const char *text, size_t n, const char *error)
{
    table t = {0};
    assert_int_equal(parse_bytes(&t, text, n, format), MTS_ERR_BAD_FILE);
    assert_string_equal(ctx.error, error);
    table_deinit(&t);
}

#define REFUSED(format, text, error) assert_refused(format, text, sizeof(text) - 1, error)

/* -------------------------------------------------------------------------- delimited ---- */

static void test_tsv(void **state)
{
    (void)state;
    assert_table(TABLE_TSV, "a\tb\n1\t2\n3\t4\n", "a,b/1,2/3,4/");
    assert_table(TABLE_TSV, "a\tb\r\n1\t2\r\n3\t4", "a,b/1,2/3,4/");
    assert_table(TABLE_TSV,
                 "\xef\xbb\xbf"
                 "a\tb\n\t\n",
                 "a,b/,/");
    assert_table(TABLE_TSV, "a\tb\n\"x\t\"y\"\n", "a,b/\"x,\"y\"/");
    assert_table(TABLE_TSV, "a\tb\nx\ry\t\r\n", "a,b/x\ry,/");
    assert_table(TABLE_TSV, "a\nx\n\ny\n", "a/x//y/");
    assert_table(TABLE_TSV, "a\tb\n", "a,b/");
}

static void test_tsv_without_header(void **state)
{
    const char *const names[] = {"x", "y"};
    table t = {0};
    char *bytes = NULL;
    (void)state;
    assert_ok(mem_strdup(&ctx, &bytes, "1\t2\n3\t4\n"));
    assert_ok(table_parse(&ctx, &t, "f", &bytes, 8, TABLE_TSV, names, 2));
    assert_string_equal(flat(&t), "x,y/1,2/3,4/");
    assert_int_equal(t.lines[1], 2);
    table_deinit(&t);
}

static void test_csv(void **state)
{
    table t = {0};
    const char text[] = "a,b\n\n\"x\ny\",\"1,\"\"2\"\"\"\r\n\"\",u\"v\n\n";
    (void)state;
    assert_table(TABLE_CSV, "a,b\n1,2\n3,4", "a,b/1,2/3,4/");
    assert_table(TABLE_CSV, "\"a\",\"b,c\"\r\n1,\r\n", "a,b,c/1,/");
    assert_ok(parse_bytes(&t, text, sizeof text - 1, TABLE_CSV));
    assert_string_equal(flat(&t), "a,b/x\ny,1,\"2\"/,u\"v/");
    assert_int_equal(t.lines[0], 3);
    assert_int_equal(t.lines[1], 5);
    table_deinit(&t);
}

static void test_delimited_errors(void **state)
{
    (void)state;
    REFUSED(TABLE_TSV, "", "f:1: expected a header line, found an empty file");
    REFUSED(TABLE_CSV, "\xef\xbb\xbf", "f:1: expected a header line, found an empty file");
    REFUSED(TABLE_TSV, "a\tb\n1\t2\n1\n", "f:3: expected 2 fields, found 1");
    REFUSED(TABLE_TSV, "a\tb\n1\t2\n\n", "f:3: expected 2 fields, found 1");
    REFUSED(TABLE_TSV, "a\tb\n1\t2\t3\n", "f:2: expected 2 fields, found 3");
    REFUSED(TABLE_CSV, "a,b\n\"1\n2\",3\n4,5,6,7\n", "f:4: expected 2 fields, found 4");
    REFUSED(TABLE_TSV, "a\ta\n",
            "f:1: expected different column names, found \"a\" as column 1 and 2");
    REFUSED(TABLE_CSV, "a,b\n1,\"2\n3,4\n", "f:2: expected a closing quote, found the end of file");
    REFUSED(TABLE_CSV, "a,b\n1,\"", "f:2: expected a closing quote, found the end of file");
    REFUSED(TABLE_CSV, "a,b\n\"1\n\"x,2\n",
            "f:3: expected a comma or a line end after a closing quote, found byte 0x78");
}

static void test_text_errors(void **state)
{
    static const char *const malformed[] = {
        "\x80", "\xc0\xaf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xe2\x82"};
    static const table_format formats[] = {TABLE_TSV, TABLE_CSV, TABLE_JSONL};
    (void)state;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        for (size_t k = 0; k < 3; k++) {
            char text[32], error[96];
            snprintf(text, sizeof text, "{\"a\":0}\n%s", malformed[i]);
            snprintf(error, sizeof error, "f:2: expected UTF-8 text, found byte 0x%02x",
                     (unsigned)(unsigned char)malformed[i][0]);
            assert_refused(formats[k], text, strlen(text), error);
        }
    }
    REFUSED(TABLE_TSV, "a\nb\nc\0d\n", "f:3: expected UTF-8 text, found byte 0x00");
    REFUSED(TABLE_JSONL, "{\"a\":\"\0\"}\n", "f:1: expected UTF-8 text, found byte 0x00");
}

static void test_too_many_columns(void **state)
{
    char text[8 * TABLE_MAX_COLUMNS];
    size_t used = 0;
    table t = {0};
    (void)state;
    for (int i = 0; i < TABLE_MAX_COLUMNS; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", i > 0 ? "\t" : "", i);
    assert_ok(parse_bytes(&t, text, used, TABLE_TSV));
    assert_int_equal(t.n_columns, TABLE_MAX_COLUMNS);
    table_deinit(&t);
    memcpy(text + used, "\tx", 3);
    assert_refused(TABLE_TSV, text, used + 2, "f:1: expected at most 1024 columns, found more");
}

/* ------------------------------------------------------------------------------ JSONL ---- */

static void test_jsonl(void **state)
{
    table t = {0};
    const char *cell = NULL;
    const char text[] = "{\"a\":null,\"b\":[1],\"c\":{},\"d\":1}\n{\"a\":\"x\"}\n";
    (void)state;
    assert_table(TABLE_JSONL, "{\"a\":\"x\",\"b\":1}\n\n  \r\n{\"b\":-2,\"a\":\"y\\nz\"}",
                 "a,b/x,1/y\nz,-2/");
    assert_table(TABLE_JSONL, "{\"a\":true,\"b\":1.0}\r\n{\"a\":false,\"b\":2.5e0}\r\n",
                 "a,b/true,1.0/false,2.5/");
    assert_table(TABLE_JSONL, "\xef\xbb\xbf{\"a\":\"\\ud83d\\ude00\"}\n{\"a\":\"\",\"z\":3}",
                 "a/\xf0\x9f\x98\x80//");
    assert_ok(parse_bytes(&t, text, sizeof text - 1, TABLE_JSONL));
    assert_string_equal(flat(&t), "a,b,c,d/~,~,~,1/x,~,~,~/");
    assert_int_equal(table_cell(&ctx, &t, 0, 0, &cell), MTS_ERR_BAD_FILE);
    assert_string_equal(ctx.error,
                        "f:1: \"a\": expected a string, a number, true or false, found null");
    assert_int_equal(table_cell(&ctx, &t, 0, 1, &cell), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "found an array"));
    assert_int_equal(table_cell(&ctx, &t, 0, 2, &cell), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "found an object"));
    assert_int_equal(table_cell(&ctx, &t, 1, 3, &cell), MTS_ERR_BAD_FILE);
    assert_string_equal(
        ctx.error, "f:2: \"d\": expected a string, a number, true or false, found no such key");
    table_deinit(&t);
}

static void assert_jsonl_error(const char *text, const char *start)
{
    table t = {0};
    assert_int_equal(parse_bytes(&t, text, strlen(text), TABLE_JSONL), MTS_ERR_BAD_FILE);
    if (strncmp(ctx.error, start, strlen(start)) != 0 || strchr(ctx.error, '\n') != NULL)
        fail_msg("%s: %s", text, ctx.error);
    table_deinit(&t);
}

static void test_jsonl_errors(void **state)
{
    (void)state;
    assert_jsonl_error("", "f:1: expected a JSON object, found an empty file");
    assert_jsonl_error(" \n\n", "f:1: expected a JSON object, found none");
    assert_jsonl_error("{}", "f:1: expected an object with keys, found {}");
    assert_jsonl_error("[1]", "f:1: expected a JSON object, found an array");
    assert_jsonl_error("{\"a\":1}\n\"x\"", "f:2: expected a JSON object, found a string");
    assert_jsonl_error("{\"a\":1,\"a\":2}", "f:1: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":1}\n{\"a\":", "f:2: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":\n1}", "f:1: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":NaN}", "f:1: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":1e999}", "f:1: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":\"\\u0000\"}", "f:1: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":\"\\ud800\"}", "f:1: expected a JSON object on one line, found an ");
    assert_jsonl_error("{\"a\":1}{\"a\":2}", "f:1: expected a JSON object on one line, found an ");
}

/* ---------------------------------------------------------------------------- the rest ---- */

static void test_columns_and_formats(void **state)
{
    table t = {0};
    table_format format = TABLE_TSV;
    int64_t column = 0;
    (void)state;
    assert_ok(parse_bytes(&t, "a,b\n1,2\n", 8, TABLE_CSV));
    assert_ok(table_find_column(&ctx, &t, "b", &column));
    assert_int_equal(column, 1);
    assert_int_equal(table_find_column(&ctx, &t, "c", &column), MTS_ERR_BAD_FILE);
    assert_string_equal(ctx.error, "f: expected a column \"c\", found the columns \"a\", \"b\"");
    table_deinit(&t);
    assert_ok(table_format_of_path(&ctx, "x/y.CSV", &format));
    assert_int_equal(format, TABLE_CSV);
    assert_ok(table_format_of_path(&ctx, "y.json", &format));
    assert_int_equal(format, TABLE_JSONL);
    assert_ok(table_format_of_path(&ctx, "y.tsv", &format));
    assert_int_equal(format, TABLE_TSV);
    assert_int_equal(table_format_of_path(&ctx, "y.txt", &format), MTS_ERR_ARGUMENT);
    assert_int_equal(table_format_of_path(&ctx, ".csv", &format), MTS_ERR_ARGUMENT);
}

static void test_integers(void **state)
{
    static const char *const wrong[] = {"",
                                        "-",
                                        "+",
                                        "1.0",
                                        "1 ",
                                        " 1",
                                        "0x1",
                                        "1e3",
                                        "--1",
                                        "9223372036854775808",
                                        "-9223372036854775809"};
    int64_t value = 0;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(number_parse_integer(wrong[i], &value));
    assert_true(number_parse_integer("9223372036854775807", &value));
    assert_true(value == INT64_MAX);
    assert_true(number_parse_integer("-9223372036854775808", &value));
    assert_true(value == INT64_MIN);
    assert_true(number_parse_integer("+007", &value));
    assert_int_equal(value, 7);
}

static void test_reals(void **state)
{
    static const char *const wrong[] = {"",     ".",     "-",  "+.", "1e",  "1e+",  "nan",   "inf",
                                        "-inf", "0x1p3", "1 ", " 1", "1,5", "1.5.", "1e400", "1_0"};
    static const struct {
        const char *text;
        double value;
    } right[] = {{"5.000", 5},     {"-3.8", -3.8}, {".5", 0.5}, {"5.", 5},
                 {"+1e-3", 0.001}, {"12", 12},     {"1E2", 100}};
    char longest[128];
    double value = 0;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (number_parse_real(wrong[i], &value))
            fail_msg("%s taken as %g", wrong[i], value);
    }
    for (size_t i = 0; i < sizeof right / sizeof right[0]; i++) {
        assert_true(number_parse_real(right[i].text, &value));
        assert_true(value == right[i].value);
    }
    memset(longest, '0', sizeof longest);
    longest[100] = '\0';
    assert_true(number_parse_real(longest, &value));
    longest[100] = '0';
    longest[101] = '\0';
    assert_false(number_parse_real(longest, &value));
}

/* Every allocation fails once: an error, no leak (with a sanitizer), and then success. */
static void test_memory_failure(void **state)
{
    static const char *const texts[] = {"a\tb\n1\t2\n", "a,b\n\"1\",2\n",
                                        "{\"a\":1,\"b\":\"x\"}\n"};
    (void)state;
    for (int format = 0; format < 3; format++) {
        mts_status st = MTS_ERR_MEMORY;
        for (int64_t n = 0; st != MTS_OK; n++) {
            table t = {0};
            mem_fail_after(n);
            st = parse_bytes(&t, texts[format], strlen(texts[format]), (table_format)format);
            assert_true(st == MTS_OK || st == MTS_ERR_MEMORY);
            table_deinit(&t);
            assert_in_range(n, 0, 20);
        }
        mem_fail_after(-1);
    }
}

/* Likewise the JSON library's own, which must not be told as an error of the file. */
static void test_memory_failure_in_json(void **state)
{
    static const char text[] = "{\"a_name_of_twenty_eight_chars\": \"and a text of length\"}\n";
    mts_status st = MTS_ERR_MEMORY;
    (void)state;
    for (int64_t n = 0; st != MTS_OK; n++) {
        table t = {0};
        json_memory_fail_after(n);
        st = parse_bytes(&t, text, sizeof text - 1, TABLE_JSONL);
        assert_int_equal(st, json_memory_fail_after(-1) > n ? MTS_ERR_MEMORY : MTS_OK);
        table_deinit(&t);
        assert_in_range(n, 0, 50);
    }
}

/* ------------------------------------------------------------------------------- dump ---- */

static json_t *row_as_json(const table *t, int64_t row)
{
    json_t *array = json_array();
    for (int64_t i = 0; i < t->n_columns; i++) {
        const char *cell = NULL;
        const bool hole = table_cell(&ctx, t, row, i, &cell) != MTS_OK;
        json_array_append_new(array, hole ? json_null() : json_string(cell));
    }
    return array;
}

static int dump(const char *path, const char *const *names, int64_t n_names)
{
    table t = {0};
    char *bytes = NULL;
    size_t n = 0;
    table_format format = TABLE_TSV;
    if (table_format_of_path(&ctx, path, &format) != MTS_OK ||
        file_read_all(&ctx, path, (size_t)1 << 30, &bytes, &n) != MTS_OK ||
        table_parse(&ctx, &t, path, &bytes, n, format, n_names > 0 ? names : NULL, n_names) !=
            MTS_OK) {
        fprintf(stderr, "%s\n", ctx.error);
        table_deinit(&t);
        return 1;
    }
    json_t *rows = json_array(), *header = json_array();
    for (int64_t i = 0; i < t.n_columns; i++)
        json_array_append_new(header, json_string(t.names[i]));
    json_array_append_new(rows, header);
    for (int64_t row = 0; row < t.n_rows; row++)
        json_array_append_new(rows, row_as_json(&t, row));
    json_dumpf(rows, stdout, JSON_COMPACT);
    json_decref(rows);
    table_deinit(&t);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_tsv_without_header),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_delimited_errors),
        cmocka_unit_test(test_text_errors),
        cmocka_unit_test(test_too_many_columns),
        cmocka_unit_test(test_jsonl),
        cmocka_unit_test(test_jsonl_errors),
        cmocka_unit_test(test_columns_and_formats),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_reals),
        cmocka_unit_test(test_memory_failure),
        cmocka_unit_test(test_memory_failure_in_json),
    };
    if (argc >= 3 && strcmp(argv[1], "--dump") == 0)
        return dump(argv[2], (const char *const *)(argv + 3), argc - 3);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
