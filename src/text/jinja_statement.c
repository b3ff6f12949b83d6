/* Jinja: tokens to trees of statements, and the compiled template.  See jinja_internal.h. */
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/jinja_internal.h"

#define TREE_BYTES_MAX ((size_t)256 << 20)
#define SOURCE_BYTES_MAX ((size_t)4 << 20)

static void next(jinja_source *s)
{
    s->at += s->at + 1 < s->count;
}

static mts_status expect_block_end(jinja_source *s)
{
    if (jinja_peek(s)->kind != TOKEN_BLOCK_END)
        return jinja_expected(s, "%}");
    next(s);
    return MTS_OK;
}

/* Whether the tag that begins here is {% one of words ... %}; words: "endif|else", NULL: none. */
static bool at_end_word(const jinja_source *s, const char *words)
{
    const jinja_token *word = jinja_peek(s) + 1;
    if (words == NULL || jinja_peek(s)->kind != TOKEN_BLOCK_BEGIN || word->kind != TOKEN_NAME)
        return false;
    for (const char *at = words; *at != '\0';) {
        const size_t n = strcspn(at, "|");
        if (n == word->bytes && memcmp(at, word->text, n) == 0)
            return true;
        at += n + (at[n] == '|');
    }
    return false;
}

static mts_status parse_statement(jinja_source *s, jinja_node **out);

/* *first: statements up to {% one of words, whose "{%" is taken; words NULL: to the end. */
static mts_status parse_block(jinja_source *s, const char *words, jinja_node **first)
{
    mts_status st = MTS_OK;
    jinja_node **last = first;
    *first = NULL;
    while (!at_end_word(s, words)) {
        jinja_node *n = NULL;
        const jinja_token *t = jinja_peek(s);
        if (t->kind == TOKEN_END) {
            if (words != NULL)
                st = jinja_expected(s, words);
            goto cleanup;
        }
        if (t->kind == TOKEN_DATA) {
            MTS_TRY(jinja_new_node(s, NODE_DATA, &n));
            n->text = t->text;
            n->bytes = t->bytes;
            next(s);
        } else if (t->kind == TOKEN_PRINT_BEGIN) {
            MTS_TRY(jinja_new_node(s, NODE_PRINT, &n));
            next(s);
            MTS_TRY(jinja_parse_tuple(s, true, &n->a));
            if (jinja_peek(s)->kind != TOKEN_PRINT_END) {
                st = jinja_expected(s, "}}");
                goto cleanup;
            }
            next(s);
        } else {
            next(s);
            MTS_TRY(parse_statement(s, &n));
        }
        MTS_TRY(jinja_end_node(s, n));
        *last = n;
        last = &n->next;
    }
    next(s);
cleanup:
    return st;
}

/* A block of statements and its {% end %}, whose word is taken and may be one only. */
static mts_status parse_body(jinja_source *s, const char *end, jinja_node **first)
{
    mts_status st = MTS_OK;
    MTS_TRY(expect_block_end(s));
    MTS_TRY(parse_block(s, end, first));
    next(s);
    MTS_TRY(expect_block_end(s));
cleanup:
    return st;
}

/* Behind "if". */
static mts_status parse_if(jinja_source *s, jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_node **last = &n->list;
    bool more = true, condition = true;
    while (more) {
        jinja_node *branch = NULL;
        MTS_TRY(jinja_new_node(s, NODE_BRANCH, &branch));
        if (condition)
            MTS_TRY(jinja_parse_tuple(s, false, &branch->a));
        MTS_TRY(expect_block_end(s));
        MTS_TRY(parse_block(s, condition ? "elif|else|endif" : "endif", &branch->list));
        MTS_TRY(jinja_end_node(s, branch));
        *last = branch;
        last = &branch->next;
        more = !jinja_is_name(s, "endif");
        condition = jinja_is_name(s, "elif");
        next(s);
    }
    MTS_TRY(expect_block_end(s));
cleanup:
    return st;
}

/* A name, or several with commas between, to which values are given. */
static mts_status parse_target(jinja_source *s, bool attributes, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_node *first = NULL, **last = &first, *n = NULL;
    const bool brackets = jinja_skip_sign(s, "(");
    int count = 0;
    do {
        if (brackets && count > 0 && jinja_is_sign(s, ")"))
            break;
        MTS_TRY(jinja_new_node(s, NODE_NAME, &n));
        MTS_TRY(jinja_expect_name(s, &n->text));
        if (attributes && jinja_skip_sign(s, ".")) {
            jinja_node *name = n;
            MTS_TRY(jinja_end_node(s, name));
            MTS_TRY(jinja_new_node(s, NODE_ATTRIBUTE, &n));
            MTS_TRY(jinja_expect_name(s, &n->text));
            n->a = name;
        }
        MTS_TRY(jinja_end_node(s, n));
        *last = n;
        last = &n->next;
        count++;
    } while (jinja_skip_sign(s, ","));
    if (brackets)
        MTS_TRY(jinja_expect_sign(s, ")"));
    *out = first;
    if (count > 1) {
        MTS_TRY(jinja_new_node(s, NODE_TUPLE, out));
        (*out)->list = first;
        MTS_TRY(jinja_end_node(s, *out));
    }
cleanup:
    return st;
}

static mts_status parse_for(jinja_source *s, jinja_node *n)
{
    mts_status st = MTS_OK;
    MTS_TRY(parse_target(s, false, &n->a));
    if (!jinja_skip_name(s, "in")) {
        st = jinja_expected(s, "in");
        goto cleanup;
    }
    MTS_TRY(jinja_parse_tuple(s, false, &n->b));
    if (jinja_skip_name(s, "if"))
        MTS_TRY(jinja_parse_expression(s, true, &n->c));
    if (jinja_is_name(s, "recursive")) {
        st = status_set(s->ctx, MTS_ERR_UNSUPPORTED, "%s:%d: a recursive loop is not supported",
                        s->name, jinja_peek(s)->line);
        goto cleanup;
    }
    MTS_TRY(expect_block_end(s));
    MTS_TRY(parse_block(s, "else|endfor", &n->list));
    if (jinja_skip_name(s, "else")) {
        MTS_TRY(parse_body(s, "endfor", &n->other));
    } else {
        next(s);
        MTS_TRY(expect_block_end(s));
    }
cleanup:
    return st;
}

static mts_status parse_set(jinja_source *s, jinja_node *n)
{
    mts_status st = MTS_OK;
    MTS_TRY(parse_target(s, true, &n->a));
    if (jinja_skip_sign(s, "=")) {
        MTS_TRY(jinja_parse_tuple(s, true, &n->b));
        MTS_TRY(expect_block_end(s));
    } else {
        n->kind = NODE_SET_BLOCK;
        MTS_TRY(jinja_parse_filters(s, &n->b));
        MTS_TRY(parse_body(s, "endset", &n->list));
    }
cleanup:
    return st;
}

static mts_status parse_macro(jinja_source *s, jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_node **last = &n->a;
    MTS_TRY(jinja_expect_name(s, &n->text));
    MTS_TRY(jinja_expect_sign(s, "("));
    while (!jinja_is_sign(s, ")")) {
        jinja_node *param = NULL;
        if (n->a != NULL)
            MTS_TRY(jinja_expect_sign(s, ","));
        MTS_TRY(jinja_new_node(s, NODE_PARAM, &param));
        MTS_TRY(jinja_expect_name(s, &param->text));
        if (jinja_skip_sign(s, "="))
            MTS_TRY(jinja_parse_expression(s, true, &param->a));
        MTS_TRY(jinja_end_node(s, param));
        *last = param;
        last = &param->next;
    }
    next(s);
    MTS_TRY(parse_body(s, "endmacro", &n->list));
cleanup:
    return st;
}

static mts_status parse_generation(jinja_source *s, jinja_node *n)
{
    s->marks_generation = true;
    return parse_body(s, "endgeneration", &n->list);
}

static mts_status parse_nothing(jinja_source *s, jinja_node *n)
{
    (void)n;
    return expect_block_end(s);
}

typedef struct statement_row {
    const char *word;
    jinja_node_kind kind;
    mts_status (*parse)(jinja_source *s, jinja_node *n); /* behind the word, to the end of it all */
} statement_row;

/* To add a statement: a row here, its node, its row in jinja_run.c. */
static const statement_row statements[] = {
    {"if", NODE_IF, parse_if},
    {"for", NODE_FOR, parse_for},
    {"set", NODE_SET, parse_set},
    {"macro", NODE_MACRO, parse_macro},
    {"generation", NODE_GENERATION, parse_generation},
    {"break", NODE_BREAK, parse_nothing},
    {"continue", NODE_CONTINUE, parse_nothing},
};

/* Behind "{%". */
static mts_status parse_statement(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    const char *word = NULL;
    char quoted[UTF8_QUOTE_BYTES];
    const int line = jinja_peek(s)->line;
    const statement_row *row = NULL;
    MTS_TRY(jinja_expect_name(s, &word));
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (strcmp(statements[i].word, word) == 0)
            row = &statements[i];
    if (row == NULL || s->depth >= JINJA_DEPTH) {
        st = row == NULL
                 ? status_set(s->ctx, MTS_ERR_UNSUPPORTED,
                              "%s:%d: {%% %s %%} is not expected here, or not supported", s->name,
                              line, utf8_quote(quoted, sizeof quoted, word))
                 : status_set(s->ctx, MTS_ERR_UNSUPPORTED, "%s:%d: nested more than %d levels deep",
                              s->name, line, (int)JINJA_DEPTH);
        goto cleanup;
    }
    MTS_TRY(jinja_new_node(s, row->kind, out));
    (*out)->line = line;
    s->depth++;
    st = row->parse(s, *out);
    s->depth--;
cleanup:
    return st;
}

mts_status jinja_parse_template(jinja_source *s, jinja_node **out)
{
    return parse_block(s, NULL, out);
}

mts_status jinja_compile(mts_ctx *ctx, const char *name, const char *source, size_t bytes,
                         jinja **out)
{
    mts_status st = MTS_OK;
    jinja *t = NULL;
    char *copy = NULL;
    size_t bad_at = 0;
    jinja_source s = {.ctx = ctx};
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "chat template"));
    t->pool = (jinja_pool){.ctx = ctx, .limit = TREE_BYTES_MAX};
    MTS_TRY(mem_strdup(ctx, &t->name, name));
    MTS_CHECK(bytes <= SOURCE_BYTES_MAX, MTS_ERR_UNSUPPORTED,
              "%s: a template of %zu bytes is too long", name, bytes);
    MTS_CHECK(utf8_is_valid(source, bytes, &bad_at) && memchr(source, '\0', bytes) == NULL,
              MTS_ERR_BAD_FILE,
              "%s: expected UTF-8 without NUL, found other bytes from byte %zu on", name, bad_at);
    MTS_TRY(jinja_take(&t->pool, bytes + 1, &copy));
    memcpy(copy, source, bytes);
    s.name = t->name;
    s.pool = &t->pool;
    MTS_TRY(jinja_lex(&s, copy, bytes));
    MTS_TRY(jinja_parse_template(&s, &t->body));
    t->marks_generation = s.marks_generation;
    t->pool.ctx = NULL;
    *out = t;
    t = NULL;
cleanup:
    jinja_free(t);
    return st;
}

void jinja_free(jinja *t)
{
    if (t == NULL)
        return;
    jinja_pool_deinit(&t->pool);
    mem_free(t->name);
    mem_free(t);
}

bool jinja_marks_generation(const jinja *t)
{
    return t->marks_generation;
}
