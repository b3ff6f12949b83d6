/*
 * Jinja templates: what each part of the language gives, spelled out; what is refused, with its
 * line; limits.
 *
 * As a program, `test_jinja --render` reads requests from standard input, one a line:
 * {"template": ..., "variables": {...}, "date": "2024-07-26" or null}, and answers
 * {"text": ..., "spans": [[begin, end], ...]}
 * (bytes) or {"error": ...}: for gates/check_chat.py, which compares with Jinja2.
 */
#include "support/test_check.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "text/jinja.h"

static mts_ctx ctx;

static const jinja_date *given; /* the date of templates */

static mts_status render(const char *source, const char *variables, jinja_output *out)
{
    mts_status st = MTS_OK;
    jinja *t = NULL;
    json_t *json = json_loads(variables, 0, NULL);
    assert_non_null(json);
    *out = (jinja_output){0};
    MTS_TRY(jinja_compile(&ctx, "T", source, strlen(source), &t));
    MTS_TRY(jinja_render(&ctx, t, json, given, out));
cleanup:
    jinja_free(t);
    json_decref(json);
    return st;
}

typedef struct text_case {
    const char *source, *want;
} text_case;

#define VARIABLES                                                                                  \
    "{\"n\": null, \"i\": 3, \"x\": 1.5, \"t\": \" a\\u00e9b \", \"yes\": true, \"list\": [1, 2, " \
    "3], \"d\": {\"k\": \"v\", \"items\": 7, \"e\": {}}, \"m\": [{\"role\": \"user\", "            \
    "\"content\": "                                                                                \
    "\"hi\"}, {\"role\": \"assistant\", \"content\": \"yo\"}]}"

static void assert_cases(const text_case *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        jinja_output out;
        if (render(cases[i].source, VARIABLES, &out) != MTS_OK)
            fail_msg("%s: %s", cases[i].source, ctx.error);
        if (strcmp(out.text, cases[i].want) != 0)
            fail_msg("%s: expected \"%s\", found \"%s\"", cases[i].source, cases[i].want, out.text);
        jinja_output_deinit(&out);
    }
}

#define ASSERT_CASES(cases) assert_cases((cases), sizeof(cases) / sizeof((cases)[0]))

/* Every want below is what Jinja2 3.1.6 gave in transformers' environment. */
static void test_blanks(void **state)
{
    static const text_case cases[] = {
        {"a\n", "a"},
        {"a\n\n", "a\n"},
        {"a\r\nb\rc", "a\nb\nc"},
        {"{% if yes %}\nx\n{% endif %}\ny", "x\ny"},
        {"  {% if yes %}x{% endif %}", "x"},
        {" b {% if yes %}x{% endif %}", " b x"},
        {"  {%+ if yes %}x{% endif %}", "  x"},
        {"{% if yes +%}\nx{% endif %}", "\nx"},
        {"a \n {%- if yes -%} \n x \n {%- endif -%} \n b", "axb"},
        {"a\n{{ i }}\nb", "a\n3\nb"},
        {"a \n {{- i -}} \n b", "a3b"},
        {"a\n  {# c #}\nb", "a\nb"},
        {"a {#- c -#} b", "ab"},
        {"{% raw %}{{ x }}{% endraw %}", "{{ x }}"},
        {"{{ '}}' }}{{ {'a': {'b': 1}}['a']['b'] }}", "}}1"},
        {"{{ 'a\\nb\\x41\\u00e9\\'\\q' \"c\" }}", "a\nbA\xc3\xa9'\\qc"},
    };
    (void)state;
    ASSERT_CASES(cases);
}

static void test_expressions(void **state)
{
    static const text_case cases[] = {
        {"{{ 1 + 2 * 3 - 4 // 3 }} {{ -7 // 2 }} {{ -7 % 3 }} {{ 7 / 2 }}", "6 -4 2 3.5"},
        {"{{ 'a' ~ 1 ~ none ~ true ~ nothing }}", "a1NoneTrue"},
        {"{{ 'a' * 3 }}{{ ([1] + [2]) | length }}", "aaa2"},
        {"{{ 1 < 2 < 3 }}{{ 1 == 1.0 }}{{ 'a' < 'b' }}{{ 2 in list }}{{ 'k' not in d }}",
         "TrueTrueTrueTrueFalse"},
        {"{{ 'x' if n else 'y' }}{{ 'z' if n }}{{ not n and 'w' or 'u' }}", "yw"},
        {"{{ t[1] }}{{ t[2:] }}{{ t[::-1] }}{{ list[-1] }}{{ list[9] }}{{ list[:-1] | length }}",
         "a\xc3\xa9"
         "b  b\xc3\xa9"
         "a 32"},
        {"{{ d.k }}{{ d['k'] }}{{ d.missing }}{{ d['items'] }}{{ d.get('q', 5) }}", "vv75"},
        {"{{ d.e is mapping }}{{ t is string }}{{ n is none }}{{ q is defined }}{{ i is not "
         "string }}{{ yes is true }}{{ i is divisibleby 3 }}",
         "TrueTrueTrueFalseTrueTrueTrue"},
        {"{{ (1, 2)[1] }}{{ [1, 2,][0] }}{{ () | length }}", "210"},
    };
    (void)state;
    ASSERT_CASES(cases);
}

static void test_filters_and_methods(void **state)
{
    static const text_case cases[] = {
        {"[{{ t | trim }}][{{ t.strip() }}][{{ t.lstrip() }}][{{ 'xxaxx'.rstrip('x') }}]",
         "[a\xc3\xa9"
         "b][a\xc3\xa9"
         "b][a\xc3\xa9"
         "b ][xxa]"},
        {"{{ t | length }}{{ q | length }}{{ q | default('d') }}{{ '' | default('e', true) }}",
         "50de"},
        {"{{ 'a,b,c'.split(',') | join('-') }}{{ 'a,b,c'.split(',', 1)[1] }}", "a-b-cb,c"},
        {"{{ 'abc'.startswith('ab') }}{{ 'abc'.endswith(('x', 'bc')) }}{{ 'Abc' | upper }}",
         "TrueTrueABC"},
        {"{{ d | tojson }}", "{\"k\": \"v\", \"items\": 7, \"e\": {}}"},
        {"{{ {'a': [1, t, none, true, 1.5, '\"<\\n']} | tojson(indent=2) }}",
         "{\n  \"a\": [\n    1,\n    \" a\xc3\xa9"
         "b \",\n    null,\n    true,\n    1.5,\n    "
         "\"\\\"<\\n\"\n  ]\n}"},
        {"{{ m | map(attribute='role') | join(' ') }}", "user assistant"},
        {"{{ (m | selectattr('role', 'equalto', 'user') | list)[0].content }}", "hi"},
        {"{{ list | reject('odd') | first }}{{ list | last }}{{ 'aXa' | replace('X', '-') }}",
         "23a-a"},
        {"{% for k, v in d | dictsort %}{{ k }}{% endfor %}{% for k, v in d.items() %}{{ k }}{% "
         "endfor %}",
         "eitemskkitemse"},
    };
    (void)state;
    ASSERT_CASES(cases);
}

static void test_statements(void **state)
{
    static const text_case cases[] = {
        {"{% for a in list %}{{ a }}{{ loop.index0 }}{{ loop.last }};{% endfor %}",
         "10False;21False;32True;"},
        {"{% for a in list if a != 2 %}{{ loop.index }}{{ a }}{% endfor %}", "1123"},
        {"{% for a in [] %}x{% else %}none{% endfor %}", "none"},
        {"{% for a in list %}{% if a == 2 %}{% continue %}{% endif %}{{ a }}{% endfor %}", "13"},
        {"{% for a in list %}{% if a == 2 %}{% break %}{% endif %}{{ a }}{% endfor %}", "1"},
        {"{% set x = 1 %}{% for a in list %}{% set x = x + a %}{{ x }}{% endfor %}{{ x }}", "2341"},
        {"{% set ns = namespace(x=0) %}{% for a in list %}{% set ns.x = ns.x + a %}{% endfor %}{{ "
         "ns.x }}",
         "6"},
        {"{% if n %}a{% elif i == 3 %}b{% else %}c{% endif %}", "b"},
        {"{% set a, b = 1, 2 %}{{ b }}{{ a }}{% set s %}x{{ i }}{% endset %}{{ s }}", "21x3"},
        {"{% macro f(a, b='d') %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) }}{{ f(b=2, a=3) }}",
         "[1d][32]"},
        {"{% for c in 'a\xc3\xa9' %}{{ c }},{% endfor %}", "a,\xc3\xa9,"},
        {"{{ range(1, 6, 2) | join(' ') }}", "1 3 5"},
    };
    (void)state;
    ASSERT_CASES(cases);
}

/* What Python's datetime says of these days. */
static void test_dates(void **state)
{
    static const char *const wrong[] = {"",           "2024-7-26",  "2024-13-01", "2023-02-29",
                                        "2024-02-30", "2024-12-32", "24-07-26",   "2024-07-26 ",
                                        "2024-07--6", "1899-01-01", "2024-00-01", "2024-01-00"};
    static const struct {
        const char *date, *want;
    } days[] = {
        {"2024-07-26", "Fri 26 Jul 2024 208 00:00"}, {"2024-12-31", "Tue 31 Dec 2024 366 00:00"},
        {"2023-12-31", "Sun 31 Dec 2023 365 00:00"}, {"2024-02-29", "Thu 29 Feb 2024 060 00:00"},
        {"1900-03-01", "Thu 01 Mar 1900 060 00:00"}, {"2000-01-01", "Sat 01 Jan 2000 001 00:00"},
        {"9999-12-31", "Fri 31 Dec 9999 365 00:00"}};
    static const text_case none[] = {{"{{ strftime_now is defined }}", "False"}};
    jinja_date date;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(jinja_parse_date(wrong[i], &date));
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++) {
        const text_case now[] = {{"{{ strftime_now('%a %d %b %Y %j %H:%M') }}", days[i].want}};
        assert_true(jinja_parse_date(days[i].date, &date));
        given = &date;
        ASSERT_CASES(now);
    }
    given = NULL;
    ASSERT_CASES(none);
}

static void test_generation(void **state)
{
    jinja_output out;
    (void)state;
    assert_ok(render("{% for x in m %}<{{ x.role }}>{% if x.role == 'assistant' %}{% generation "
                     "%}{{ x.content }}.{% endgeneration %}{% endif %}{% endfor %}",
                     VARIABLES, &out));
    assert_string_equal(out.text, "<user><assistant>yo.");
    assert_int_equal(out.span_count, 1);
    assert_int_equal(out.spans[0].begin, 17);
    assert_int_equal(out.spans[0].end, 20);
    jinja_output_deinit(&out);
}

typedef struct fail_case {
    const char *source;
    mts_status status;
    const char *part;
} fail_case;

static void test_errors(void **state)
{
    static const fail_case cases[] = {
        {"a\n{{ raise_exception('no system') }}", MTS_ERR_ARGUMENT,
         "T:2: the template says: no sys"},
        {"{{ q.x }}", MTS_ERR_ARGUMENT, "T:1: 'q' is not defined"},
        {"{{ 'a' + q }}", MTS_ERR_ARGUMENT, "T:1: 'q' is not defined"},
        {"{{ 'a' + 1 }}", MTS_ERR_ARGUMENT, "a text and an integer"},
        {"{{ f() }}", MTS_ERR_ARGUMENT, "'f' is called"},
        {"{{ strftime_now('%d') }}", MTS_ERR_ARGUMENT, "--chat_template_date"},
        {"{{ 1 // 0 }}", MTS_ERR_ARGUMENT, "division by zero"},
        {"{{ 9223372036854775807 + 1 }}", MTS_ERR_UNSUPPORTED, "64 bits"},
        {"{{ t | center }}", MTS_ERR_UNSUPPORTED, "filter center"},
        {"{{ t is odd }}", MTS_ERR_UNSUPPORTED, "test odd"},
        {"{{ t.format(1) }}", MTS_ERR_UNSUPPORTED, "method format"},
        {"{{ list }}", MTS_ERR_UNSUPPORTED, "a list is to be printed"},
        {"\n\n{% include 'x' %}", MTS_ERR_UNSUPPORTED, "T:3: {% include %}"},
        {"{% for a in list recursive %}{% endfor %}", MTS_ERR_UNSUPPORTED, "recursive"},
        {"{{ 2 ** 3 }}", MTS_ERR_UNSUPPORTED, "**"},
        {"{{ (1 }}", MTS_ERR_BAD_FILE, "T:1: "},
        {"{% if yes %}", MTS_ERR_BAD_FILE, "elif|else|endif, found the end"},
        {"{{ 'a }}", MTS_ERR_BAD_FILE, "a string has no end"},
        {"{# a", MTS_ERR_BAD_FILE, "a comment has no end"},
        {"{{ a", MTS_ERR_BAD_FILE, "a tag has no end"},
        {"{{ }}", MTS_ERR_BAD_FILE, "expected an expression"},
        {"{{ a b }}", MTS_ERR_BAD_FILE, "expected }}, found b"},
        {"\xff", MTS_ERR_BAD_FILE, "UTF-8"},
        {"{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}", MTS_ERR_UNSUPPORTED, "too deep"},
        {"{% set a = range(999999) %}{% for b in range(99) %}{{ -1 in a }}{% endfor %}",
         MTS_ERR_UNSUPPORTED, "steps"},
        {"{{ 'aaaaaaaa' * 99999999 * 99 }}", MTS_ERR_UNSUPPORTED, "too long"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        jinja_output out;
        const mts_status st = render(cases[i].source, VARIABLES, &out);
        if (st != cases[i].status || strstr(ctx.error, cases[i].part) == NULL)
            fail_msg("%s: %s: %s", cases[i].source, mts_status_name(st), ctx.error);
        assert_null(out.text);
    }
}

/* A template of so many levels is refused, not run. */
static void test_nesting(void **state)
{
    enum { LEVELS = 20000 };
    static const char *const parts[][2] = {{"(", ")"},      {"[", "]"},     {"-", ""},
                                           {"not ", ""},    {"1 + ", ""},   {"a.b(", ")"},
                                           {"{'a': ", "}"}, {"a | b(", ")"}};
    (void)state;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const size_t open = strlen(parts[i][0]), close = strlen(parts[i][1]);
        char *source = calloc(LEVELS * (open + close) + 8, 1);
        jinja_output out;
        assert_non_null(source);
        strcpy(source, "{{ ");
        for (size_t k = 0; k < LEVELS; k++)
            memcpy(source + 3 + k * open, parts[i][0], open);
        strcpy(source + 3 + LEVELS * open, "1");
        for (size_t k = 0; close > 0 && k < LEVELS; k++)
            memcpy(source + 4 + LEVELS * open + k * close, parts[i][1], close);
        strcpy(source + 4 + LEVELS * (open + close), " }}");
        assert_fails(render(source, "{}", &out), MTS_ERR_UNSUPPORTED, "150 levels");
        free(source);
    }
}

static void test_memory_failure(void **state)
{
    jinja_output out;
    mts_status st = MTS_ERR_MEMORY;
    (void)state;
    for (int64_t n = 0; st == MTS_ERR_MEMORY; n++) {
        assert_true(n < 1000);
        mem_fail_after(n);
        st = render("{% for x in m %}{% generation %}{{ x.role | trim }}{% endgeneration %}{% "
                    "endfor %}",
                    VARIABLES, &out);
        mem_fail_after(-1);
    }
    assert_ok(st);
    assert_string_equal(out.text, "userassistant");
    jinja_output_deinit(&out);
}

/* ---------------------------------------------------------------------- the --render mode ---- */

static void answer(json_t *request)
{
    const json_t *source = json_object_get(request, "template");
    jinja_output out = {0};
    jinja *t = NULL;
    jinja_date date;
    const char *day = json_string_value(json_object_get(request, "date"));
    json_t *reply = json_object(), *spans = json_array();
    mts_status st =
        jinja_compile(&ctx, "template", json_string_value(source), json_string_length(source), &t);
    if (st == MTS_OK)
        st = jinja_render(&ctx, t, json_object_get(request, "variables"),
                          day != NULL && jinja_parse_date(day, &date) ? &date : NULL, &out);
    if (st == MTS_OK) {
        json_object_set_new(reply, "text", json_stringn(out.text, out.bytes));
        for (int64_t i = 0; i < out.span_count; i++)
            json_array_append_new(
                spans, json_pack("[i,i]", (int)out.spans[i].begin, (int)out.spans[i].end));
        json_object_set(reply, "spans", spans);
    } else {
        json_object_set_new(reply, "error", json_string(ctx.error));
        json_object_set_new(reply, "status", json_string(mts_status_name(st)));
    }
    json_dumpf(reply, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
    json_decref(spans);
    json_decref(reply);
    jinja_output_deinit(&out);
    jinja_free(t);
}

static int serve(void)
{
    json_t *request;
    while ((request = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        answer(request);
        json_decref(request);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--render") == 0)
        return serve();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blanks),
        cmocka_unit_test(test_expressions),
        cmocka_unit_test(test_filters_and_methods),
        cmocka_unit_test(test_statements),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_generation),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
