/*
 * Jinja: running the templates in which models say how a dialogue becomes a text.
 *
 * Path: chat_template (text/chat_template.h) -> jinja_compile once, jinja_render for each dialogue.
 *       jinja_lex.c -> jinja_parse.c, jinja_statement.c -> jinja_run.c (statements), jinja_eval.c
 *       (expressions), which call jinja_filter.c, jinja_method.c, jinja_text.c.
 *
 * What comes out is what Jinja2 gives with the environment that transformers makes of it:
 * trim_blocks, lstrip_blocks, loop controls, `generation` blocks, raise_exception, strftime_now and
 * a tojson that escapes nothing for HTML.  gates/check_chat.py compares both.
 *
 *   statements   if, for (with else, if, break, continue), set (also of blocks and of namespaces),
 *                macro, generation, raw, comments
 *   expressions  all of Jinja's but **, % of texts, and `*args`
 *   filters, tests, methods, functions   those of the tables in jinja_filter.c and jinja_method.c
 * Whatever else a template uses is refused by its name, as late as it is used.
 *
 * A template is hostile: its nesting, the steps of a run and the memory that it takes are limited.
 * It reads nothing but its variables and the date that it is given.
 */
#ifndef MTS_TEXT_JINJA_H
#define MTS_TEXT_JINJA_H

#include "base/status.h"

struct json_t;

typedef struct jinja jinja;

/* Bytes [begin, end) of a text. */
typedef struct jinja_span {
    size_t begin, end;
} jinja_span;

/* What a template gave; freed by jinja_output_deinit. */
typedef struct jinja_output {
    char *text; /* UTF-8, bytes of it and a NUL behind */
    size_t bytes;
    jinja_span *spans; /* [span_count]: what came out of {% generation %} blocks, ascending */
    int64_t span_count;
} jinja_output;

/* A day of the Gregorian calendar: month and day count from 1. */
typedef struct jinja_date {
    int year, month, day;
} jinja_date;

/* *out: the day written as 2024-07-26, of the years 1900 to 9999; false: it is not one. */
bool jinja_parse_date(const char *text, jinja_date *out);

/*
 * *out: the template in source[bytes], freed by jinja_free.  name: its file, for error texts;
 * copied.  MTS_ERR_BAD_FILE: not UTF-8, or not Jinja ("name:line: ..."); MTS_ERR_UNSUPPORTED: a
 * statement or sign that is not reproduced, or too deep a nesting; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status jinja_compile(mts_ctx *ctx, const char *name, const char *source,
                                       size_t bytes, jinja **out);
void jinja_free(jinja *t); /* NULL is allowed */

/* Whether it has {% generation %} blocks. */
bool jinja_marks_generation(const jinja *t);

/*
 * *out: the text of the template with these variables, an object; borrowed for the call.
 * date: what strftime_now tells, at midnight; NULL: templates have no such function, so that their
 * texts are the same on every day.
 * MTS_ERR_ARGUMENT: the template refuses the variables (raise_exception), or an operation is not
 * defined for them; MTS_ERR_UNSUPPORTED: it needs what is not reproduced, or more steps or memory
 * than any template does; MTS_ERR_MEMORY.  *out is {0} after an error.
 */
MTS_NODISCARD mts_status jinja_render(mts_ctx *ctx, const jinja *t, const struct json_t *variables,
                                      const jinja_date *date, jinja_output *out);
void jinja_output_deinit(jinja_output *out);

#endif
