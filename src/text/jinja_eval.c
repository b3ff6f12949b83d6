/* Jinja: the values of expressions.  See jinja_internal.h. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "text/jinja_internal.h"

/* ------------------------------------------------------------------------------- numbers ---- */

static mts_status no_operation(jinja_run *r, jinja_value a, jinja_value b)
{
    const jinja_value v = a.kind == JINJA_UNDEFINED ? a : b;
    if (v.kind == JINJA_UNDEFINED)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "'%.60s' is not defined", v.as.text);
    return jinja_fail(r, MTS_ERR_ARGUMENT, "an operation of %s and %s is not defined",
                      jinja_kind_name(a), jinja_kind_name(b));
}

/* Of integers, as Python rounds. */
static mts_status whole(jinja_run *r, jinja_operator op, int64_t a, int64_t b, int64_t *out)
{
    bool over = false;
    if (op == OP_ADD)
        over = __builtin_add_overflow(a, b, out);
    else if (op == OP_SUBTRACT)
        over = __builtin_sub_overflow(a, b, out);
    else if (op == OP_MULTIPLY)
        over = __builtin_mul_overflow(a, b, out);
    else if (b == 0)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "division by zero");
    else if (b == -1)
        over = op == OP_FLOOR_DIVIDE ? __builtin_sub_overflow((int64_t)0, a, out) : (*out = 0) != 0;
    else if (op == OP_FLOOR_DIVIDE)
        *out = a / b - (a % b != 0 && (a < 0) != (b < 0));
    else
        *out = a % b + (a % b != 0 && (a < 0) != (b < 0) ? b : 0);
    if (over)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "an integer of more than 64 bits");
    return MTS_OK;
}

static mts_status arithmetic(jinja_run *r, jinja_operator op, jinja_value a, jinja_value b,
                             jinja_value *out)
{
    const double x = jinja_real(a), y = jinja_real(b);
    const bool reals = a.kind == JINJA_REAL || b.kind == JINJA_REAL || op == OP_DIVIDE;
    if (!reals) {
        const int64_t i = a.kind == JINJA_INT ? a.as.integer : a.as.truth;
        const int64_t k = b.kind == JINJA_INT ? b.as.integer : b.as.truth;
        *out = jinja_int(0);
        return whole(r, op, i, k, &out->as.integer);
    }
    *out = (jinja_value){.kind = JINJA_REAL};
    if (op == OP_ADD)
        out->as.real = x + y;
    else if (op == OP_SUBTRACT)
        out->as.real = x - y;
    else if (op == OP_MULTIPLY)
        out->as.real = x * y;
    else if (y == 0.0)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "division by zero");
    else if (op == OP_DIVIDE)
        out->as.real = x / y;
    else
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "// and %% of reals are not supported");
    return MTS_OK;
}

/* A text or a list so many times. */
static mts_status repeat(jinja_run *r, jinja_value v, int64_t times, jinja_value *out)
{
    mts_status st = MTS_OK;
    const size_t unit = v.kind == JINJA_TEXT ? 1 : sizeof(jinja_value);
    char *copies = NULL;
    const size_t count = times > 0 ? (size_t)times : 0;
    if (v.count > 0 && count > r->pool.limit / unit / v.count)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "* makes too long a text");
    MTS_TRY(jinja_step(r, 1 + count * v.count / 64));
    MTS_TRY(jinja_take(&r->pool, count * v.count * unit + 1, &copies));
    for (size_t i = 0; v.count > 0 && i < count; i++)
        memcpy(copies + i * v.count * unit,
               v.kind == JINJA_TEXT ? (const void *)v.as.text : (const void *)v.as.items,
               v.count * unit);
    *out = v.kind == JINJA_TEXT ? jinja_text(copies, count * v.count)
                                : jinja_list((const jinja_value *)(void *)copies, count * v.count);
cleanup:
    return st;
}

static mts_status join_lists(jinja_run *r, jinja_value a, jinja_value b, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value *items = NULL;
    MTS_TRY(jinja_step(r, 1 + a.count + b.count));
    MTS_TRY(jinja_take(&r->pool, (a.count + b.count) * sizeof *items, &items));
    if (a.count > 0)
        memcpy(items, a.as.items, a.count * sizeof *items);
    if (b.count > 0)
        memcpy(items + a.count, b.as.items, b.count * sizeof *items);
    *out = jinja_list(items, a.count + b.count);
cleanup:
    return st;
}

static mts_status binary(jinja_run *r, jinja_operator op, jinja_value a, jinja_value b,
                         jinja_value *out)
{
    if (jinja_is_number(a) && jinja_is_number(b))
        return arithmetic(r, op, a, b, out);
    if (op == OP_ADD && a.kind == JINJA_TEXT && b.kind == JINJA_TEXT)
        return jinja_concat(r, a, b, out);
    if (op == OP_ADD && a.kind == JINJA_LIST && b.kind == JINJA_LIST)
        return join_lists(r, a, b, out);
    if (op == OP_MULTIPLY && (a.kind == JINJA_TEXT || a.kind == JINJA_LIST) && b.kind == JINJA_INT)
        return repeat(r, a, b.as.integer, out);
    if (op == OP_MULTIPLY && (b.kind == JINJA_TEXT || b.kind == JINJA_LIST) && a.kind == JINJA_INT)
        return repeat(r, b, a.as.integer, out);
    if (op == OP_MODULO && a.kind == JINJA_TEXT)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "%% of a text is not supported");
    return no_operation(r, a, b);
}

static mts_status compare(jinja_run *r, jinja_operator op, jinja_value a, jinja_value b, bool *out)
{
    mts_status st = MTS_OK;
    switch (op) {
    case OP_EQUAL:
        return jinja_equal(r, a, b, out);
    case OP_NOT_EQUAL:
        MTS_TRY(jinja_equal(r, a, b, out));
        *out = !*out;
        return st;
    case OP_LESS:
        return jinja_less(r, a, b, out);
    case OP_GREATER:
        return jinja_less(r, b, a, out);
    case OP_LESS_EQUAL:
        MTS_TRY(jinja_less(r, b, a, out));
        *out = !*out;
        return st;
    case OP_GREATER_EQUAL:
        MTS_TRY(jinja_less(r, a, b, out));
        *out = !*out;
        return st;
    case OP_IN:
        return jinja_contains(r, b, a, out);
    default:
        MTS_TRY(jinja_contains(r, b, a, out));
        *out = !*out;
    }
cleanup:
    return st;
}

/* ---------------------------------------------------------------------------------- tree ---- */

static mts_status lookup(jinja_run *r, const char *name, jinja_value *out)
{
    mts_status st = MTS_OK;
    for (const jinja_scope *s = r->scope; s != NULL; s = s->parent) {
        MTS_TRY(jinja_step(r, s->count / 8));
        for (size_t i = s->count; i-- > 0;)
            if (jinja_is_text(s->entries[i].key, name)) {
                *out = s->entries[i].value;
                return MTS_OK;
            }
    }
    *out = jinja_undefined(name);
    if (jinja_is_function(r, name))
        *out = (jinja_value){.kind = JINJA_FUNCTION, .as.text = name};
cleanup:
    return st;
}

static size_t count_nodes(const jinja_node *first)
{
    size_t n = 0;
    for (; first != NULL; first = first->next)
        n++;
    return n;
}

static mts_status eval_list(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    const size_t count = count_nodes(n->list);
    jinja_value *items = NULL;
    size_t i = 0;
    MTS_TRY(jinja_take(&r->pool, count * sizeof *items, &items));
    for (const jinja_node *item = n->list; item != NULL; item = item->next)
        MTS_TRY(jinja_eval(r, item, &items[i++]));
    *out = jinja_list(items, count);
cleanup:
    return st;
}

static mts_status eval_dict(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_dict *d = NULL;
    MTS_TRY(jinja_take(&r->pool, sizeof *d, &d));
    for (const jinja_node *pair = n->list; pair != NULL; pair = pair->next) {
        jinja_value key, value;
        MTS_TRY(jinja_eval(r, pair->a, &key));
        MTS_TRY(jinja_eval(r, pair->b, &value));
        if (key.kind != JINJA_TEXT) {
            st = jinja_fail(r, MTS_ERR_UNSUPPORTED, "%s is a key of a dictionary",
                            jinja_kind_name(key));
            goto cleanup;
        }
        MTS_TRY(jinja_put(r, d, key, value));
    }
    *out = (jinja_value){.kind = JINJA_DICT, .as.dict = d};
cleanup:
    return st;
}

static mts_status eval_arguments(jinja_run *r, const jinja_node *first, jinja_arguments *out)
{
    mts_status st = MTS_OK;
    size_t i = 0;
    *out = (jinja_arguments){.count = count_nodes(first)};
    MTS_TRY(jinja_take(&r->pool, out->count * sizeof *out->values, &out->values));
    MTS_TRY(jinja_take(&r->pool, out->count * sizeof *out->names, &out->names));
    for (; first != NULL; first = first->next, i++) {
        const bool named = first->kind == NODE_KEYWORD;
        MTS_TRY(jinja_eval(r, named ? first->a : first, &out->values[i]));
        out->names[i] = named ? first->text : NULL;
    }
cleanup:
    return st;
}

const jinja_value *jinja_argument(const jinja_arguments *a, size_t index, const char *name)
{
    if (index < a->count && a->names[index] == NULL)
        return &a->values[index];
    for (size_t i = 0; name != NULL && i < a->count; i++)
        if (a->names[i] != NULL && strcmp(a->names[i], name) == 0)
            return &a->values[i];
    return NULL;
}

static mts_status eval_slice(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_slice *s = NULL;
    MTS_TRY(jinja_take(&r->pool, sizeof *s, &s));
    s->start = s->stop = s->step = jinja_none();
    if (n->a != NULL)
        MTS_TRY(jinja_eval(r, n->a, &s->start));
    if (n->b != NULL)
        MTS_TRY(jinja_eval(r, n->b, &s->stop));
    if (n->c != NULL)
        MTS_TRY(jinja_eval(r, n->c, &s->step));
    *out = (jinja_value){.kind = JINJA_SLICE, .as.slice = s};
cleanup:
    return st;
}

static mts_status eval_compare(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value left, right;
    bool holds = true;
    MTS_TRY(jinja_eval(r, n->a, &left));
    for (const jinja_node *o = n->list; holds && o != NULL; o = o->next) {
        MTS_TRY(jinja_eval(r, o->a, &right));
        MTS_TRY(compare(r, o->op, left, right, &holds));
        left = right;
    }
    *out = jinja_bool(holds);
cleanup:
    return st;
}

static mts_status eval_choice(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value condition;
    MTS_TRY(jinja_eval(r, n->a, &condition));
    if (jinja_truth(condition))
        MTS_TRY(jinja_eval(r, n->b, out));
    else if (n->c != NULL)
        MTS_TRY(jinja_eval(r, n->c, out));
    else
        *out = jinja_undefined("the other value of an if");
cleanup:
    return st;
}

/* ~: whatever both are, as texts. */
static mts_status eval_concat(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value a, b;
    MTS_TRY(jinja_eval(r, n->a, &a));
    MTS_TRY(jinja_str(r, a, &a));
    MTS_TRY(jinja_eval(r, n->b, &b));
    MTS_TRY(jinja_str(r, b, &b));
    MTS_TRY(jinja_concat(r, a, b, out));
cleanup:
    return st;
}

/* One operand and something done with it. */
static mts_status eval_unary(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value a;
    MTS_TRY(jinja_eval(r, n->a, &a));
    if (n->kind == NODE_ATTRIBUTE)
        return jinja_attribute(r, a, n->text, out);
    if (n->kind == NODE_NOT) {
        *out = jinja_bool(!jinja_truth(a));
        goto cleanup;
    }
    if (!jinja_is_number(a))
        return no_operation(r, a, a);
    MTS_TRY(arithmetic(r, n->kind == NODE_NEGATIVE ? OP_SUBTRACT : OP_ADD, jinja_int(0), a, out));
cleanup:
    return st;
}

/* A name with operands and arguments. */
static mts_status eval_named(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value a;
    jinja_arguments arguments;
    bool truth = false;
    MTS_TRY(jinja_eval(r, n->a, &a));
    MTS_TRY(eval_arguments(r, n->list, &arguments));
    r->line = n->line;
    if (n->kind == NODE_CALL) {
        MTS_TRY(jinja_call(r, a, &arguments, out));
    } else if (n->kind == NODE_FILTER) {
        MTS_TRY(jinja_filter(r, n->text, a, &arguments, out));
    } else {
        MTS_TRY(jinja_test(r, n->text, a, &arguments, &truth));
        *out = jinja_bool(truth);
    }
cleanup:
    return st;
}

static mts_status eval_two(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value a, b;
    MTS_TRY(jinja_eval(r, n->a, &a));
    if (n->kind == NODE_AND || n->kind == NODE_OR) {
        if (jinja_truth(a) == (n->kind == NODE_OR)) {
            *out = a;
            goto cleanup;
        }
        MTS_TRY(jinja_eval(r, n->b, out));
        goto cleanup;
    }
    MTS_TRY(jinja_eval(r, n->b, &b));
    MTS_TRY(n->kind == NODE_ITEM ? jinja_item(r, a, b, out) : binary(r, n->op, a, b, out));
cleanup:
    return st;
}

static mts_status eval_node(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    switch (n->kind) {
    case NODE_CONSTANT:
        *out = n->value;
        return MTS_OK;
    case NODE_NAME:
        return lookup(r, n->text, out);
    case NODE_LIST:
    case NODE_TUPLE:
        return eval_list(r, n, out);
    case NODE_DICT:
        return eval_dict(r, n, out);
    case NODE_SLICE:
        return eval_slice(r, n, out);
    case NODE_CALL:
    case NODE_FILTER:
    case NODE_TEST:
        return eval_named(r, n, out);
    case NODE_ATTRIBUTE:
    case NODE_NOT:
    case NODE_NEGATIVE:
    case NODE_POSITIVE:
        return eval_unary(r, n, out);
    case NODE_CONCAT:
        return eval_concat(r, n, out);
    case NODE_COMPARE:
        return eval_compare(r, n, out);
    case NODE_CHOICE:
        return eval_choice(r, n, out);
    default:
        return eval_two(r, n, out);
    }
}

mts_status jinja_eval(jinja_run *r, const jinja_node *n, jinja_value *out)
{
    mts_status st = jinja_step(r, 1);
    if (st != MTS_OK)
        return st;
    if (r->depth >= JINJA_RUN_DEPTH)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "calls nested too deep");
    r->line = n->line;
    r->depth++;
    st = eval_node(r, n, out);
    r->depth--;
    return st;
}
