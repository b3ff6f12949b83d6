/* Jinja: tokens to trees of expressions.  See jinja_internal.h; statements: jinja_statement.c. */
#include <string.h>

#include "base/utf8.h"
#include "text/jinja_internal.h"

/* ------------------------------------------------------------------------------- tokens ----- */

const jinja_token *jinja_peek(const jinja_source *s)
{
    return &s->tokens[s->at];
}

/* The token behind the present one; at the end that one. */
static const jinja_token *peek_second(const jinja_source *s)
{
    return &s->tokens[s->at + 1 < s->count ? s->at + 1 : s->at];
}

/* Never beyond the end. */
static void next(jinja_source *s)
{
    s->at += s->at + 1 < s->count;
}

bool jinja_is_sign(const jinja_source *s, const char *sign)
{
    return jinja_peek(s)->kind == TOKEN_SIGN && strcmp(jinja_peek(s)->text, sign) == 0;
}

bool jinja_is_name(const jinja_source *s, const char *name)
{
    return jinja_peek(s)->kind == TOKEN_NAME && strcmp(jinja_peek(s)->text, name) == 0;
}

bool jinja_skip_sign(jinja_source *s, const char *sign)
{
    const bool found = jinja_is_sign(s, sign);
    if (found)
        next(s);
    return found;
}

bool jinja_skip_name(jinja_source *s, const char *name)
{
    const bool found = jinja_is_name(s, name);
    if (found)
        next(s);
    return found;
}

mts_status jinja_expected(jinja_source *s, const char *what)
{
    static const char *const kinds[] = {"text",     "{{", "}}", "{%", "%}",     "",
                                        "a string", "",   "",   "",   "the end"};
    const jinja_token *t = jinja_peek(s);
    char quoted[UTF8_QUOTE_BYTES];
    const bool named = t->kind == TOKEN_NAME || t->kind == TOKEN_SIGN || t->kind == TOKEN_INT ||
                       t->kind == TOKEN_REAL;
    return status_set(s->ctx, MTS_ERR_BAD_FILE, "%s:%d: expected %s, found %s", s->name, t->line,
                      what, named ? utf8_quote(quoted, sizeof quoted, t->text) : kinds[t->kind]);
}

mts_status jinja_expect_sign(jinja_source *s, const char *sign)
{
    return jinja_skip_sign(s, sign) ? MTS_OK : jinja_expected(s, sign);
}

mts_status jinja_expect_name(jinja_source *s, const char **name)
{
    if (jinja_peek(s)->kind != TOKEN_NAME)
        return jinja_expected(s, "a name");
    *name = jinja_peek(s)->text;
    next(s);
    return MTS_OK;
}

/* -------------------------------------------------------------------------------- nodes ----- */

mts_status jinja_new_node(jinja_source *s, jinja_node_kind kind, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_node *n = NULL;
    MTS_TRY(jinja_take(s->pool, sizeof *n, &n));
    n->kind = kind;
    n->line = jinja_peek(s)->line;
    *out = n;
cleanup:
    return st;
}

static int32_t deeper(int32_t depth, const jinja_node *child)
{
    return child != NULL && child->depth > depth ? child->depth : depth;
}

static mts_status too_deep(const jinja_source *s)
{
    return status_set(s->ctx, MTS_ERR_UNSUPPORTED, "%s:%d: nested more than %d levels deep",
                      s->name, jinja_peek(s)->line, (int)JINJA_DEPTH);
}

mts_status jinja_end_node(jinja_source *s, jinja_node *n)
{
    int32_t depth = deeper(deeper(deeper(0, n->a), n->b), n->c);
    for (const jinja_node *child = n->list; child != NULL; child = child->next)
        depth = deeper(depth, child);
    for (const jinja_node *child = n->other; child != NULL; child = child->next)
        depth = deeper(depth, child);
    n->depth = depth + 1;
    return n->depth > JINJA_DEPTH ? too_deep(s) : MTS_OK;
}

/* *left becomes a node of it and what stands behind. */
static mts_status join(jinja_source *s, jinja_node_kind kind, jinja_operator op, jinja_node *right,
                       jinja_node **left)
{
    mts_status st = MTS_OK;
    jinja_node *n = NULL;
    MTS_TRY(jinja_new_node(s, kind, &n));
    n->op = op;
    n->a = *left;
    n->b = right;
    MTS_TRY(jinja_end_node(s, n));
    *left = n;
cleanup:
    return st;
}

/* --------------------------------------------------------------------------- expressions ---- */

static mts_status parse_unary(jinja_source *s, bool filters, jinja_node **out);

/* Items with commas between, up to the sign `end`; of a call also name=value; of {}: pairs. */
static mts_status parse_items(jinja_source *s, const char *end, bool call, jinja_node **first)
{
    mts_status st = MTS_OK;
    const bool pairs = strcmp(end, "}") == 0;
    bool named = false;
    jinja_node **last = first;
    *first = NULL;
    while (!jinja_is_sign(s, end)) {
        jinja_node *item = NULL;
        if (*first != NULL)
            MTS_TRY(jinja_expect_sign(s, ","));
        if (jinja_is_sign(s, end))
            break;
        if (call && jinja_peek(s)->kind == TOKEN_NAME && peek_second(s)->kind == TOKEN_SIGN &&
            strcmp(peek_second(s)->text, "=") == 0) {
            MTS_TRY(jinja_new_node(s, NODE_KEYWORD, &item));
            MTS_TRY(jinja_expect_name(s, &item->text));
            next(s);
            MTS_TRY(jinja_parse_expression(s, true, &item->a));
            MTS_TRY(jinja_end_node(s, item));
            named = true;
        } else if (named) {
            st = jinja_expected(s, "name=value");
            goto cleanup;
        } else {
            MTS_TRY(jinja_parse_expression(s, true, &item));
            if (pairs) {
                jinja_node *value = NULL;
                MTS_TRY(jinja_expect_sign(s, ":"));
                MTS_TRY(jinja_parse_expression(s, true, &value));
                MTS_TRY(join(s, NODE_PAIR, OP_ADD, value, &item));
            }
        }
        *last = item;
        last = &item->next;
    }
    MTS_TRY(jinja_expect_sign(s, end));
cleanup:
    return st;
}

/* "[", "(" or "{" and what is in it. */
static mts_status parse_brackets(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_node *n = NULL;
    if (jinja_skip_sign(s, "(")) {
        if (jinja_skip_sign(s, ")")) {
            MTS_TRY(jinja_new_node(s, NODE_TUPLE, out));
            MTS_TRY(jinja_end_node(s, *out));
            goto cleanup;
        }
        MTS_TRY(jinja_parse_tuple(s, true, out));
        MTS_TRY(jinja_expect_sign(s, ")"));
        goto cleanup;
    }
    MTS_TRY(jinja_new_node(s, jinja_is_sign(s, "[") ? NODE_LIST : NODE_DICT, &n));
    next(s);
    MTS_TRY(parse_items(s, n->kind == NODE_LIST ? "]" : "}", false, &n->list));
    MTS_TRY(jinja_end_node(s, n));
    *out = n;
cleanup:
    return st;
}

/* Strings one behind the other are one. */
static mts_status parse_string(jinja_source *s, jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_buffer joined = {.pool = s->pool};
    n->value = jinja_text(jinja_peek(s)->text, jinja_peek(s)->bytes);
    next(s);
    while (jinja_peek(s)->kind == TOKEN_STRING) {
        if (joined.text == NULL)
            MTS_TRY(jinja_append(&joined, n->value.as.text, n->value.count));
        MTS_TRY(jinja_append(&joined, jinja_peek(s)->text, jinja_peek(s)->bytes));
        n->value = jinja_text(joined.text, joined.bytes);
        next(s);
    }
cleanup:
    return st;
}

static void set_word(jinja_node *n, const char *word)
{
    const bool yes = strcmp(word, "true") == 0 || strcmp(word, "True") == 0;
    if (yes || strcmp(word, "false") == 0 || strcmp(word, "False") == 0) {
        n->value = jinja_bool(yes);
    } else if (strcmp(word, "none") == 0 || strcmp(word, "None") == 0) {
        n->value = jinja_none();
    } else {
        n->kind = NODE_NAME;
        n->text = word;
    }
}

static mts_status parse_primary(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    const jinja_token *t = jinja_peek(s);
    jinja_node *n = NULL;
    if (jinja_is_sign(s, "(") || jinja_is_sign(s, "[") || jinja_is_sign(s, "{"))
        return parse_brackets(s, out);
    MTS_TRY(jinja_new_node(s, NODE_CONSTANT, &n));
    if (t->kind == TOKEN_NAME) {
        set_word(n, t->text);
        next(s);
    } else if (t->kind == TOKEN_STRING) {
        MTS_TRY(parse_string(s, n));
    } else if (t->kind == TOKEN_INT || t->kind == TOKEN_REAL) {
        n->value = t->value;
        next(s);
    } else {
        st = jinja_expected(s, "an expression");
        goto cleanup;
    }
    MTS_TRY(jinja_end_node(s, n));
    *out = n;
cleanup:
    return st;
}

/* What stands between [ and ]: an expression, or a slice. */
static mts_status parse_index(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_node *parts[3] = {NULL, NULL, NULL}, *n = NULL;
    int part = 0;
    if (!jinja_is_sign(s, ":"))
        MTS_TRY(jinja_parse_expression(s, true, &parts[0]));
    if (!jinja_is_sign(s, ":")) {
        *out = parts[0];
        goto cleanup;
    }
    while (part < 2 && jinja_skip_sign(s, ":")) {
        part++;
        if (!jinja_is_sign(s, ":") && !jinja_is_sign(s, "]"))
            MTS_TRY(jinja_parse_expression(s, true, &parts[part]));
    }
    MTS_TRY(jinja_new_node(s, NODE_SLICE, &n));
    n->a = parts[0];
    n->b = parts[1];
    n->c = parts[2];
    MTS_TRY(jinja_end_node(s, n));
    *out = n;
cleanup:
    return st;
}

static mts_status parse_call(jinja_source *s, jinja_node **node)
{
    mts_status st = MTS_OK;
    jinja_node *call = NULL;
    MTS_TRY(jinja_new_node(s, NODE_CALL, &call));
    next(s);
    call->a = *node;
    MTS_TRY(parse_items(s, ")", true, &call->list));
    MTS_TRY(jinja_end_node(s, call));
    *node = call;
cleanup:
    return st;
}

/* .name, .number, [index], (arguments) behind *node. */
static mts_status parse_postfix(jinja_source *s, jinja_node **node)
{
    mts_status st = MTS_OK;
    for (;;) {
        jinja_node *n = NULL, *index = NULL;
        if (jinja_is_sign(s, "(")) {
            MTS_TRY(parse_call(s, node));
        } else if (jinja_skip_sign(s, "[")) {
            MTS_TRY(parse_index(s, &index));
            MTS_TRY(jinja_expect_sign(s, "]"));
            MTS_TRY(join(s, NODE_ITEM, OP_ADD, index, node));
        } else if (jinja_skip_sign(s, ".")) {
            if (jinja_peek(s)->kind == TOKEN_INT) {
                MTS_TRY(parse_primary(s, &index));
                MTS_TRY(join(s, NODE_ITEM, OP_ADD, index, node));
                continue;
            }
            MTS_TRY(jinja_new_node(s, NODE_ATTRIBUTE, &n));
            MTS_TRY(jinja_expect_name(s, &n->text));
            n->a = *node;
            MTS_TRY(jinja_end_node(s, n));
            *node = n;
        } else {
            break;
        }
    }
cleanup:
    return st;
}

mts_status jinja_parse_filters(jinja_source *s, jinja_node **node)
{
    mts_status st = MTS_OK;
    while (jinja_skip_sign(s, "|")) {
        jinja_node *n = NULL;
        MTS_TRY(jinja_new_node(s, NODE_FILTER, &n));
        MTS_TRY(jinja_expect_name(s, &n->text));
        n->a = *node;
        if (jinja_skip_sign(s, "("))
            MTS_TRY(parse_items(s, ")", true, &n->list));
        MTS_TRY(jinja_end_node(s, n));
        *node = n;
    }
cleanup:
    return st;
}

/* Whether what comes is the one argument, without brackets, of a test. */
static bool begins_argument(const jinja_source *s)
{
    const jinja_token *t = jinja_peek(s);
    if (t->kind == TOKEN_NAME)
        return !jinja_is_name(s, "else") && !jinja_is_name(s, "or") && !jinja_is_name(s, "and");
    return t->kind == TOKEN_STRING || t->kind == TOKEN_INT || t->kind == TOKEN_REAL ||
           jinja_is_sign(s, "[") || jinja_is_sign(s, "{");
}

/* Behind "is". */
static mts_status parse_test(jinja_source *s, jinja_node **node)
{
    mts_status st = MTS_OK;
    const bool negated = jinja_skip_name(s, "not");
    jinja_node *n = NULL;
    MTS_TRY(jinja_new_node(s, NODE_TEST, &n));
    MTS_TRY(jinja_expect_name(s, &n->text));
    n->a = *node;
    if (jinja_skip_sign(s, "(")) {
        MTS_TRY(parse_items(s, ")", true, &n->list));
    } else if (begins_argument(s)) {
        if (jinja_is_name(s, "is")) {
            st = jinja_expected(s, "one test behind \"is\"");
            goto cleanup;
        }
        MTS_TRY(parse_primary(s, &n->list));
        MTS_TRY(parse_postfix(s, &n->list));
    }
    MTS_TRY(jinja_end_node(s, n));
    *node = n;
    if (negated)
        MTS_TRY(join(s, NODE_NOT, OP_ADD, NULL, node));
cleanup:
    return st;
}

static mts_status parse_unary_inner(jinja_source *s, bool filters, jinja_node **out)
{
    mts_status st = MTS_OK;
    if (jinja_skip_sign(s, "-")) {
        MTS_TRY(parse_unary(s, false, out));
        MTS_TRY(join(s, NODE_NEGATIVE, OP_ADD, NULL, out));
    } else if (jinja_skip_sign(s, "+")) {
        MTS_TRY(parse_unary(s, false, out));
        MTS_TRY(join(s, NODE_POSITIVE, OP_ADD, NULL, out));
    } else {
        MTS_TRY(parse_primary(s, out));
    }
    MTS_TRY(parse_postfix(s, out));
    while (filters) {
        if (jinja_is_sign(s, "|"))
            MTS_TRY(jinja_parse_filters(s, out));
        else if (jinja_skip_name(s, "is"))
            MTS_TRY(parse_test(s, out));
        else if (jinja_is_sign(s, "("))
            MTS_TRY(parse_call(s, out));
        else
            break;
    }
cleanup:
    return st;
}

/* All nesting of expressions goes through here, or through a chain that end_node counts. */
static mts_status parse_unary(jinja_source *s, bool filters, jinja_node **out)
{
    if (s->depth >= JINJA_DEPTH)
        return too_deep(s);
    s->depth++;
    const mts_status st = parse_unary_inner(s, filters, out);
    s->depth--;
    return st;
}

/* A sign and its operator. */
typedef struct sign_row {
    const char *sign;
    jinja_operator op;
} sign_row;

static const sign_row products[] = {{"*", OP_MULTIPLY},
                                    {"/", OP_DIVIDE},
                                    {"//", OP_FLOOR_DIVIDE},
                                    {"%", OP_MODULO},
                                    {NULL, OP_ADD}};
static const sign_row sums[] = {{"+", OP_ADD}, {"-", OP_SUBTRACT}, {NULL, OP_ADD}};
static const sign_row comparisons[] = {
    {"==", OP_EQUAL},  {"!=", OP_NOT_EQUAL},     {"<", OP_LESS}, {"<=", OP_LESS_EQUAL},
    {">", OP_GREATER}, {">=", OP_GREATER_EQUAL}, {NULL, OP_ADD}};

static bool skip_operator(jinja_source *s, const sign_row *rows, jinja_operator *op)
{
    for (; rows->sign != NULL; rows++)
        if (jinja_skip_sign(s, rows->sign)) {
            *op = rows->op;
            return true;
        }
    return false;
}

static mts_status parse_product(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_operator op;
    MTS_TRY(parse_unary(s, true, out));
    while (skip_operator(s, products, &op)) {
        jinja_node *right = NULL;
        MTS_TRY(parse_unary(s, true, &right));
        MTS_TRY(join(s, NODE_BINARY, op, right, out));
    }
    if (jinja_is_sign(s, "**"))
        st = status_set(s->ctx, MTS_ERR_UNSUPPORTED, "%s:%d: ** is not supported", s->name,
                        jinja_peek(s)->line);
cleanup:
    return st;
}

static mts_status parse_concat(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    MTS_TRY(parse_product(s, out));
    while (jinja_skip_sign(s, "~")) {
        jinja_node *right = NULL;
        MTS_TRY(parse_product(s, &right));
        MTS_TRY(join(s, NODE_CONCAT, OP_ADD, right, out));
    }
cleanup:
    return st;
}

static mts_status parse_sum(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_operator op;
    MTS_TRY(parse_concat(s, out));
    while (skip_operator(s, sums, &op)) {
        jinja_node *right = NULL;
        MTS_TRY(parse_concat(s, &right));
        MTS_TRY(join(s, NODE_BINARY, op, right, out));
    }
cleanup:
    return st;
}

static bool skip_comparison(jinja_source *s, jinja_operator *op)
{
    if (skip_operator(s, comparisons, op))
        return true;
    if (jinja_skip_name(s, "in")) {
        *op = OP_IN;
        return true;
    }
    if (jinja_is_name(s, "not") && peek_second(s)->kind == TOKEN_NAME &&
        strcmp(peek_second(s)->text, "in") == 0) {
        next(s);
        next(s);
        *op = OP_NOT_IN;
        return true;
    }
    return false;
}

static mts_status parse_comparison(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_node *n = NULL, **last = NULL;
    jinja_operator op;
    MTS_TRY(parse_sum(s, out));
    while (skip_comparison(s, &op)) {
        jinja_node *operand = NULL;
        if (n == NULL) {
            MTS_TRY(jinja_new_node(s, NODE_COMPARE, &n));
            n->a = *out;
            last = &n->list;
        }
        MTS_TRY(jinja_new_node(s, NODE_OPERAND, &operand));
        operand->op = op;
        MTS_TRY(parse_sum(s, &operand->a));
        MTS_TRY(jinja_end_node(s, operand));
        *last = operand;
        last = &operand->next;
    }
    if (n != NULL) {
        MTS_TRY(jinja_end_node(s, n));
        *out = n;
    }
cleanup:
    return st;
}

static mts_status parse_not(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    int count = 0;
    while (jinja_skip_name(s, "not"))
        count++;
    MTS_TRY(parse_comparison(s, out));
    for (; count > 0; count--)
        MTS_TRY(join(s, NODE_NOT, OP_ADD, NULL, out));
cleanup:
    return st;
}

static mts_status parse_and(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    MTS_TRY(parse_not(s, out));
    while (jinja_skip_name(s, "and")) {
        jinja_node *right = NULL;
        MTS_TRY(parse_not(s, &right));
        MTS_TRY(join(s, NODE_AND, OP_ADD, right, out));
    }
cleanup:
    return st;
}

static mts_status parse_or(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    MTS_TRY(parse_and(s, out));
    while (jinja_skip_name(s, "or")) {
        jinja_node *right = NULL;
        MTS_TRY(parse_and(s, &right));
        MTS_TRY(join(s, NODE_OR, OP_ADD, right, out));
    }
cleanup:
    return st;
}

/* value if condition else other, whose last part may again be one. */
static mts_status parse_choice(jinja_source *s, jinja_node **out)
{
    mts_status st = MTS_OK;
    MTS_TRY(parse_or(s, out));
    while (jinja_skip_name(s, "if")) {
        jinja_node *n = NULL;
        MTS_TRY(jinja_new_node(s, NODE_CHOICE, &n));
        n->b = *out;
        MTS_TRY(parse_or(s, &n->a));
        if (jinja_skip_name(s, "else"))
            MTS_TRY(jinja_parse_expression(s, true, &n->c));
        MTS_TRY(jinja_end_node(s, n));
        *out = n;
    }
cleanup:
    return st;
}

mts_status jinja_parse_expression(jinja_source *s, bool choice, jinja_node **out)
{
    if (s->depth >= JINJA_DEPTH)
        return too_deep(s);
    s->depth++;
    const mts_status st = choice ? parse_choice(s, out) : parse_or(s, out);
    s->depth--;
    return st;
}

/* Whether nothing more can belong to a tuple. */
static bool ends_tuple(const jinja_source *s)
{
    const jinja_token_kind kind = jinja_peek(s)->kind;
    return kind == TOKEN_PRINT_END || kind == TOKEN_BLOCK_END || jinja_is_sign(s, ")") ||
           jinja_is_name(s, "recursive");
}

mts_status jinja_parse_tuple(jinja_source *s, bool choice, jinja_node **out)
{
    mts_status st = MTS_OK;
    jinja_node *first = NULL, *n = NULL, **last = &first;
    MTS_TRY(jinja_parse_expression(s, choice, &first));
    if (!jinja_is_sign(s, ",")) {
        *out = first;
        goto cleanup;
    }
    while (jinja_skip_sign(s, ",") && !ends_tuple(s)) {
        last = &(*last)->next;
        MTS_TRY(jinja_parse_expression(s, choice, last));
    }
    MTS_TRY(jinja_new_node(s, NODE_TUPLE, &n));
    n->list = first;
    MTS_TRY(jinja_end_node(s, n));
    *out = n;
cleanup:
    return st;
}
