/* A chat template, and behind a NUL its variables as JSON: refused with one line, or a text whose
 * spans lie in it; the same text when it is run again. */
#include "fuzz/fuzz_target.h"

#include <jansson.h>
#include <string.h>

#include "base/utf8.h"
#include "text/jinja.h"

static const char usual[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \" s\\n\"}, {\"role\": \"user\", "
    "\"content\": \"\\u00e9 </think> x\"}, {\"role\": \"assistant\", \"content\": \"\", "
    "\"tool_calls\": [{\"a\": 1.5}]}], \"tools\": null, \"add_generation_prompt\": true, "
    "\"bos_token\": \"<s>\", \"eos_token\": \"</s>\"}";

static const jinja_date date = {2024, 2, 29};

static void check_output(const jinja_output *out)
{
    size_t at = 0;
    FUZZ_REQUIRE(strlen(out->text) == out->bytes);
    FUZZ_REQUIRE(utf8_is_valid(out->text, out->bytes, NULL));
    for (int64_t i = 0; i < out->span_count; i++) {
        FUZZ_REQUIRE(out->spans[i].begin <= out->spans[i].end && out->spans[i].end <= out->bytes);
        FUZZ_REQUIRE(out->spans[i].end >= at);
        at = out->spans[i].end;
    }
}

static void check_again(const jinja *t, const json_t *variables, const jinja_output *first)
{
    jinja_output again;
    FUZZ_REQUIRE(jinja_render(&fuzz_ctx, t, variables, &date, &again) == MTS_OK);
    FUZZ_REQUIRE(strcmp(again.text, first->text) == 0);
    jinja_output_deinit(&again);
}

static bool run(const uint8_t *data, size_t size)
{
    static const mts_status of_compile[] = {MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED, MTS_OK};
    static const mts_status of_render[] = {MTS_ERR_ARGUMENT, MTS_ERR_UNSUPPORTED, MTS_OK};
    fuzz_bytes rest = {(const char *)data, size};
    const fuzz_bytes source = fuzz_take_part(&rest);
    jinja *t = NULL;
    jinja_output out = {0};
    json_t *variables = json_loadb(rest.data, rest.size, 0, NULL);
    if (!json_is_object(variables)) {
        json_decref(variables);
        variables = json_loads(usual, 0, NULL);
    }
    FUZZ_REQUIRE(variables != NULL);
    mts_status st = jinja_compile(&fuzz_ctx, "T", source.data, source.size, &t);
    if (st != MTS_OK) {
        fuzz_require_error(st, of_compile);
        FUZZ_REQUIRE(t == NULL);
        json_decref(variables);
        return false;
    }
    st = jinja_render(&fuzz_ctx, t, variables, &date, &out);
    if (st == MTS_OK) {
        check_output(&out);
        check_again(t, variables, &out);
    } else {
        fuzz_require_error(st, of_render);
        FUZZ_REQUIRE(out.text == NULL);
    }
    jinja_output_deinit(&out);
    jinja_free(t);
    json_decref(variables);
    return st == MTS_OK;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES(
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m.content | trim }}{% endfor %}{% "
        "if add_generation_prompt %}{{ bos_token }}{% endif %}"),
    FUZZ_BYTES("{%- set ns = namespace(a=0) -%}\n  {% for m in messages[::-1] if m.content is "
               "string %}\n{%- set ns.a = ns.a + loop.index0 * 2 // 1 %}{% if loop.last %}{% break "
               "%}{% else %}{% continue %}{% endif %}{% else %}x{% endfor %}{{ ns.a ~ none }}"),
    FUZZ_BYTES("{% macro f(a, b='d') %}[{{ a }}{{ b | upper }}]{% endmacro %}{{ f(1, b='x') }}{% "
               "generation %}{{ messages[1].content.split('</think>')[-1].lstrip('\\n') }}{% "
               "endgeneration %}{% set s %}a{{ 1.5 }}{% endset %}{{ s * 2 }}{# c #}{% raw %}{{{% "
               "endraw %}"),
    FUZZ_BYTES("{{ messages | tojson(indent=2) }}{{ messages | map(attribute='role') | join(', ') "
               "}}{{ (messages | selectattr('role', 'equalto', 'user') | list | first)['content'] "
               "}}{{ {'a': [1, -2 % 3, 7 / 2]}['a'][1:] | length }}{{ 'a' in 'abc' and not 'x' is "
               "mapping }}{{ messages[2].get('q', 'r') if tools is none else '' }}"),
    FUZZ_BYTES("{{ a.b }}{% for k, v in d | dictsort %}{{ k }}{% endfor %}{% for k in d.items() "
               "%}{{ k[0] }}{% endfor %}{{ strftime_now('%d') }}\0{\"a\": {\"b\": 1}, \"d\": "
               "{\"x\": true, \"Y\": null}}"),
};

static const char *const words[] = {"{%",        "%}",
                                    "{{",        "}}",
                                    "{%-",       "-%}",
                                    "{{-",       "-}}",
                                    "{#",        "#}",
                                    "if ",       "elif ",
                                    "else",      "endif",
                                    "for ",      " in ",
                                    "endfor",    "set ",
                                    "endset",    "macro ",
                                    "endmacro",  "generation",
                                    "raw",       "break",
                                    "not ",      " and ",
                                    " or ",      " is ",
                                    "(",         ")",
                                    "[",         "]",
                                    "[::-1]",    ":",
                                    "|",         "~",
                                    "*",         "//",
                                    "%",         "==",
                                    "<",         ".",
                                    ",",         "'",
                                    "\\u0041",   "loop.",
                                    "messages",  "|tojson",
                                    "|trim",     "namespace(",
                                    "range(9",   "999999",
                                    ".split('",  "|join",
                                    "|list",     "|map('",
                                    "|replace(", "defined",
                                    "|length",   "\xc3\xa9",
                                    "-1",        "9223372036854775807",
                                    "|reverse",  NULL};

const fuzz_target fuzz_target_jinja = {
    .name = "jinja",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
