/* Jinja: statements, and what a whole template gives.  See jinja_internal.h. */
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "text/jinja_internal.h"

#define STEPS_MAX ((int64_t)50 << 20)
#define RUN_BYTES_MAX ((size_t)256 << 20)

enum { MESSAGE_BYTES = 512 };

mts_status jinja_fail(jinja_run *r, mts_status status, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return status_set(r->ctx, status, "%s:%d: %s", r->template->name, r->line, message);
}

mts_status jinja_step(jinja_run *r, size_t steps)
{
    if (steps > (size_t)r->steps)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "the template takes more than %lld steps",
                          (long long)STEPS_MAX);
    r->steps -= (int64_t)steps;
    return MTS_OK;
}

/* -------------------------------------------------------------------------------- scopes ---- */

mts_status jinja_push_scope(jinja_run *r, jinja_scope *parent)
{
    mts_status st = MTS_OK;
    jinja_scope *s = NULL;
    MTS_TRY(jinja_take(&r->pool, sizeof *s, &s));
    s->parent = parent;
    r->scope = s;
cleanup:
    return st;
}

mts_status jinja_set_name(jinja_run *r, jinja_scope *s, const char *name, jinja_value value)
{
    jinja_dict d = {s->entries, s->count, s->room};
    const mts_status st = jinja_put(r, &d, jinja_string(name), value);
    s->entries = d.entries;
    s->count = d.count;
    s->room = d.room;
    return st;
}

/* target = value: a name, several, or an attribute of a namespace. */
static mts_status assign(jinja_run *r, const jinja_node *target, jinja_value value)
{
    mts_status st = MTS_OK;
    jinja_value self;
    size_t i = 0;
    if (target->kind == NODE_NAME)
        return jinja_set_name(r, r->scope, target->text, value);
    if (target->kind == NODE_ATTRIBUTE) {
        MTS_TRY(jinja_eval(r, target->a, &self));
        if (self.kind != JINJA_NAMESPACE)
            return jinja_fail(r, MTS_ERR_ARGUMENT,
                              "an attribute of %s is set, which is no "
                              "namespace",
                              target->a->text);
        return jinja_put(r, self.as.dict, jinja_string(target->text), value);
    }
    MTS_TRY(jinja_items(r, value, &value));
    for (const jinja_node *n = target->list; n != NULL; n = n->next, i++) {
        if (i >= value.count)
            return jinja_fail(r, MTS_ERR_ARGUMENT, "too few values for the names");
        MTS_TRY(assign(r, n, value.as.items[i]));
    }
    if (i != value.count)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "too many values for the names");
cleanup:
    return st;
}

/* ---------------------------------------------------------------------------- statements ---- */

static mts_status print_text(jinja_run *r, const char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    MTS_TRY(jinja_step(r, 1 + bytes / 64));
    MTS_TRY(jinja_append(&r->out, text, bytes));
cleanup:
    return st;
}

static mts_status run_if(jinja_run *r, const jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_value condition = jinja_bool(true);
    for (const jinja_node *branch = n->list; branch != NULL; branch = branch->next) {
        if (branch->a != NULL)
            MTS_TRY(jinja_eval(r, branch->a, &condition));
        if (branch->a == NULL || jinja_truth(condition))
            return jinja_run_block(r, branch->list);
    }
cleanup:
    return st;
}

/* *items: those for which the loop's condition holds, by a scope without `loop`. */
static mts_status select_items(jinja_run *r, const jinja_node *n, jinja_value *items)
{
    mts_status st = MTS_OK;
    jinja_scope *outer = r->scope;
    jinja_value *kept = NULL, condition;
    size_t count = 0;
    if (n->c == NULL)
        return MTS_OK;
    MTS_TRY(jinja_take(&r->pool, items->count * sizeof *kept, &kept));
    for (size_t i = 0; i < items->count; i++) {
        MTS_TRY(jinja_push_scope(r, outer));
        MTS_TRY(assign(r, n->a, items->as.items[i]));
        MTS_TRY(jinja_eval(r, n->c, &condition));
        if (jinja_truth(condition))
            kept[count++] = items->as.items[i];
    }
    *items = jinja_list(kept, count);
cleanup:
    r->scope = outer;
    return st;
}

static mts_status run_for(jinja_run *r, const jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_scope *outer = r->scope;
    jinja_value items;
    jinja_loop *loop = NULL;
    MTS_TRY(jinja_eval(r, n->b, &items));
    MTS_TRY(jinja_items(r, items, &items));
    MTS_TRY(select_items(r, n, &items));
    MTS_TRY(jinja_take(&r->pool, sizeof *loop, &loop));
    *loop = (jinja_loop){.items = items.as.items, .count = items.count};
    for (; loop->index < loop->count && r->flow != FLOW_BREAK; loop->index++) {
        MTS_TRY(jinja_step(r, 1));
        MTS_TRY(jinja_push_scope(r, outer));
        MTS_TRY(jinja_set_name(r, r->scope, "loop",
                               (jinja_value){.kind = JINJA_LOOP, .as.loop = loop}));
        MTS_TRY(assign(r, n->a, items.as.items[loop->index]));
        r->flow = FLOW_ON;
        MTS_TRY(jinja_run_block(r, n->list));
    }
    r->flow = FLOW_ON;
    r->scope = outer;
    if (loop->count == 0 && n->other != NULL) {
        MTS_TRY(jinja_push_scope(r, outer));
        MTS_TRY(jinja_run_block(r, n->other));
    }
cleanup:
    r->scope = outer;
    return st;
}

mts_status jinja_capture(jinja_run *r, const jinja_node *first, jinja_value *out)
{
    const jinja_buffer outer = r->out;
    r->out = (jinja_buffer){.pool = &r->pool};
    r->captures++;
    const mts_status st = jinja_run_block(r, first);
    *out = jinja_text(r->out.text == NULL ? "" : r->out.text, r->out.bytes);
    r->captures--;
    r->out = outer;
    return st;
}

/* The filters of {% set name | filter %}, the innermost first. */
static mts_status filter_capture(jinja_run *r, const jinja_node *n, jinja_value *value)
{
    mts_status st = MTS_OK;
    jinja_arguments none = {NULL, NULL, 0};
    if (n == NULL)
        return MTS_OK;
    MTS_TRY(filter_capture(r, n->a, value));
    if (n->list != NULL)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "a filter of a set block with arguments");
    MTS_TRY(jinja_filter(r, n->text, *value, &none, value));
cleanup:
    return st;
}

static mts_status run_set(jinja_run *r, const jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_value value;
    if (n->kind == NODE_SET) {
        MTS_TRY(jinja_eval(r, n->b, &value));
    } else {
        jinja_scope *outer = r->scope;
        MTS_TRY(jinja_push_scope(r, outer));
        MTS_TRY(jinja_capture(r, n->list, &value));
        r->scope = outer;
        MTS_TRY(filter_capture(r, n->b, &value));
    }
    MTS_TRY(assign(r, n->a, value));
cleanup:
    return st;
}

static mts_status run_macro(jinja_run *r, const jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_macro *m = NULL;
    MTS_TRY(jinja_take(&r->pool, sizeof *m, &m));
    *m = (jinja_macro){n, r->scope};
    MTS_TRY(
        jinja_set_name(r, r->scope, n->text, (jinja_value){.kind = JINJA_MACRO, .as.macro = m}));
cleanup:
    return st;
}

/* What the block printed is a span, if it is not captured: then its place is not known. */
static mts_status run_generation(jinja_run *r, const jinja_node *n)
{
    mts_status st = MTS_OK;
    const size_t begin = r->out.bytes;
    jinja_scope *outer = r->scope;
    if (r->captures > 0)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "generation in a macro or a set block");
    MTS_TRY(jinja_push_scope(r, outer));
    MTS_TRY(jinja_run_block(r, n->list));
    r->scope = outer;
    if (r->span_count == r->span_room) {
        const size_t room = 2 * r->span_room + 16;
        jinja_span *more = NULL;
        MTS_TRY(jinja_take(&r->pool, room * sizeof *more, &more));
        if (r->span_count > 0)
            memcpy(more, r->spans, r->span_count * sizeof *more);
        r->spans = more;
        r->span_room = room;
    }
    r->spans[r->span_count++] = (jinja_span){begin, r->out.bytes};
cleanup:
    return st;
}

static mts_status run_statement(jinja_run *r, const jinja_node *n)
{
    mts_status st = MTS_OK;
    jinja_value value;
    r->line = n->line;
    switch (n->kind) {
    case NODE_DATA:
        return print_text(r, n->text, n->bytes);
    case NODE_PRINT:
        MTS_TRY(jinja_eval(r, n->a, &value));
        MTS_TRY(jinja_str(r, value, &value));
        return print_text(r, value.as.text, value.count);
    case NODE_IF:
        return run_if(r, n);
    case NODE_FOR:
        return run_for(r, n);
    case NODE_SET:
    case NODE_SET_BLOCK:
        return run_set(r, n);
    case NODE_MACRO:
        return run_macro(r, n);
    case NODE_GENERATION:
        return run_generation(r, n);
    default:
        r->flow = n->kind == NODE_BREAK ? FLOW_BREAK : FLOW_CONTINUE;
    }
cleanup:
    return st;
}

mts_status jinja_run_block(jinja_run *r, const jinja_node *first)
{
    mts_status st = MTS_OK;
    if (r->depth >= JINJA_RUN_DEPTH)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "calls nested too deep");
    r->depth++;
    for (; first != NULL && r->flow == FLOW_ON; first = first->next) {
        MTS_TRY(jinja_step(r, 1));
        MTS_TRY(run_statement(r, first));
    }
cleanup:
    r->depth--;
    return st;
}

/* --------------------------------------------------------------------------------- calls ---- */

static mts_status bind_parameters(jinja_run *r, const jinja_node *macro, const jinja_arguments *a)
{
    mts_status st = MTS_OK;
    size_t index = 0, used = 0;
    for (const jinja_node *p = macro->a; p != NULL; p = p->next, index++) {
        const jinja_value *given = jinja_argument(a, index, p->text);
        jinja_value value = jinja_undefined(p->text);
        used += given != NULL;
        if (given != NULL)
            value = *given;
        else if (p->a != NULL)
            MTS_TRY(jinja_eval(r, p->a, &value));
        MTS_TRY(jinja_set_name(r, r->scope, p->text, value));
    }
    if (used != a->count)
        st = jinja_fail(r, MTS_ERR_ARGUMENT, "macro %s has no such parameters", macro->text);
cleanup:
    return st;
}

static mts_status call_macro(jinja_run *r, const jinja_macro *m, const jinja_arguments *a,
                             jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_scope *outer = r->scope;
    MTS_TRY(jinja_push_scope(r, m->scope));
    MTS_TRY(bind_parameters(r, m->node, a));
    MTS_TRY(jinja_capture(r, m->node->list, out));
    r->flow = FLOW_ON;
cleanup:
    r->scope = outer;
    return st;
}

mts_status jinja_call(jinja_run *r, jinja_value callee, const jinja_arguments *a, jinja_value *out)
{
    switch (callee.kind) {
    case JINJA_MACRO:
        return call_macro(r, callee.as.macro, a, out);
    case JINJA_METHOD:
        return jinja_call_method(r, callee.as.method, a, out);
    case JINJA_FUNCTION:
        return jinja_call_function(r, callee.as.text, a, out);
    case JINJA_UNDEFINED:
        return jinja_fail(
            r, MTS_ERR_ARGUMENT, "'%.60s' is called, which is not defined%s", callee.as.text,
            strcmp(callee.as.text, "strftime_now") == 0 ? ": --chat_template_date gives it a date"
                                                        : "");
    default:
        return jinja_fail(r, MTS_ERR_ARGUMENT, "%s is called", jinja_kind_name(callee));
    }
}

/* -------------------------------------------------------------------------------- render ---- */

static mts_status set_variables(jinja_run *r, const json_t *variables)
{
    mts_status st = MTS_OK;
    const char *key = NULL;
    json_t *value = NULL;
    MTS_TRY(jinja_push_scope(r, NULL));
    json_object_foreach((json_t *)(uintptr_t)variables, key, value)
    {
        jinja_value v;
        MTS_TRY(jinja_from_json(r, value, 0, &v));
        MTS_TRY(jinja_set_name(r, r->scope, key, v));
    }
    MTS_TRY(jinja_push_scope(r, r->scope));
cleanup:
    return st;
}

static mts_status take_output(jinja_run *r, jinja_output *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    MTS_TRY(mem_strndup(ctx, &out->text, r->out.text == NULL ? "" : r->out.text, r->out.bytes));
    MTS_TRY(mem_calloc(ctx, &out->spans, r->span_count, sizeof *out->spans, "chat spans"));
    if (r->span_count > 0)
        memcpy(out->spans, r->spans, r->span_count * sizeof *out->spans);
    out->bytes = r->out.bytes;
    out->span_count = (int64_t)r->span_count;
cleanup:
    return st;
}

mts_status jinja_render(mts_ctx *ctx, const jinja *t, const json_t *variables,
                        const jinja_date *date, jinja_output *out)
{
    mts_status st = MTS_OK;
    jinja_run r = {.ctx = ctx,
                   .template = t,
                   .pool = {.ctx = ctx, .limit = RUN_BYTES_MAX},
                   .steps = STEPS_MAX,
                   .date = date,
                   .line = 1};
    *out = (jinja_output){0};
    r.out.pool = &r.pool;
    MTS_TRY(set_variables(&r, variables));
    MTS_TRY(jinja_run_block(&r, t->body));
    MTS_TRY(take_output(&r, out));
cleanup:
    jinja_pool_deinit(&r.pool);
    if (st != MTS_OK)
        jinja_output_deinit(out);
    return st;
}

void jinja_output_deinit(jinja_output *out)
{
    mem_free(out->text);
    mem_free(out->spans);
    *out = (jinja_output){0};
}
