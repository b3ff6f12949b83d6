/* Jinja: the pool, values, what is equal and what is true.  See jinja_internal.h. */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/jinja_internal.h"

/* ---------------------------------------------------------------------------------- pool ---- */

#define CHUNK_BYTES ((size_t)64 << 10)

typedef struct jinja_chunk {
    struct jinja_chunk *next;
    size_t used, room;
    max_align_t memory[];
} jinja_chunk;

mts_status jinja_take(jinja_pool *p, size_t bytes, void *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    jinja_chunk *c = p->chunks;
    char *place;
    if (bytes > p->limit || p->limit - bytes < p->used)
        return status_set(ctx, MTS_ERR_UNSUPPORTED, "a chat template takes more than %zu bytes",
                          p->limit);
    const size_t whole = (bytes / sizeof(max_align_t) + 1) * sizeof(max_align_t);
    if (c == NULL || c->room - c->used < whole) {
        const size_t room = whole > CHUNK_BYTES ? whole : CHUNK_BYTES;
        MTS_TRY(mem_calloc(ctx, &c, 1, sizeof *c + room, "chat template"));
        c->room = room;
        c->next = p->chunks;
        p->chunks = c;
    }
    place = (char *)c->memory + c->used;
    c->used += whole;
    p->used += whole;
    memcpy(out, &place, sizeof place);
cleanup:
    return st;
}

void jinja_pool_deinit(jinja_pool *p)
{
    while (p->chunks != NULL) {
        jinja_chunk *next = p->chunks->next;
        mem_free(p->chunks);
        p->chunks = next;
    }
}

mts_status jinja_append(jinja_buffer *b, const char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    if (b->room - b->bytes < bytes + 1) {
        const size_t room = 2 * (b->bytes + bytes) + 64;
        char *more = NULL;
        MTS_TRY(jinja_take(b->pool, room, &more));
        if (b->bytes > 0)
            memcpy(more, b->text, b->bytes);
        b->text = more;
        b->room = room;
    }
    if (bytes > 0)
        memcpy(b->text + b->bytes, text, bytes);
    b->bytes += bytes;
    b->text[b->bytes] = '\0';
cleanup:
    return st;
}

/* -------------------------------------------------------------------------------- values ---- */

jinja_value jinja_undefined(const char *name)
{
    return (jinja_value){.kind = JINJA_UNDEFINED, .as.text = name};
}

jinja_value jinja_none(void)
{
    return (jinja_value){.kind = JINJA_NONE};
}

jinja_value jinja_bool(bool truth)
{
    return (jinja_value){.kind = JINJA_BOOL, .as.truth = truth};
}

jinja_value jinja_int(int64_t integer)
{
    return (jinja_value){.kind = JINJA_INT, .as.integer = integer};
}

jinja_value jinja_text(const char *text, size_t bytes)
{
    return (jinja_value){.kind = JINJA_TEXT, .count = bytes, .as.text = text};
}

jinja_value jinja_string(const char *text)
{
    return jinja_text(text, strlen(text));
}

jinja_value jinja_list(const jinja_value *items, size_t count)
{
    return (jinja_value){.kind = JINJA_LIST, .count = count, .as.items = items};
}

bool jinja_is_text(jinja_value v, const char *text)
{
    return v.kind == JINJA_TEXT && v.count == strlen(text) && memcmp(v.as.text, text, v.count) == 0;
}

bool jinja_truth(jinja_value v)
{
    switch (v.kind) {
    case JINJA_UNDEFINED:
    case JINJA_NONE:
        return false;
    case JINJA_BOOL:
        return v.as.truth;
    case JINJA_INT:
        return v.as.integer != 0;
    case JINJA_REAL:
        return v.as.real != 0.0;
    case JINJA_TEXT:
    case JINJA_LIST:
        return v.count > 0;
    case JINJA_DICT:
        return v.as.dict->count > 0;
    default:
        return true;
    }
}

bool jinja_is_number(jinja_value v)
{
    return v.kind == JINJA_BOOL || v.kind == JINJA_INT || v.kind == JINJA_REAL;
}

double jinja_real(jinja_value v)
{
    return v.kind == JINJA_REAL  ? v.as.real
           : v.kind == JINJA_INT ? (double)v.as.integer
                                 : (double)v.as.truth;
}

const char *jinja_kind_name(jinja_value v)
{
    static const char *const names[] = {"what is not defined",
                                        "none",
                                        "a boolean",
                                        "an integer",
                                        "a real",
                                        "a text",
                                        "a list",
                                        "a dictionary",
                                        "a namespace",
                                        "a loop",
                                        "a slice",
                                        "a macro",
                                        "a function",
                                        "a method"};
    return names[v.kind];
}

/* -------------------------------------------------------------------------- comparisons ----- */

static mts_status equal_deep(jinja_run *r, jinja_value a, jinja_value b, int depth, bool *out);

static mts_status equal_lists(jinja_run *r, jinja_value a, jinja_value b, int depth, bool *out)
{
    mts_status st = MTS_OK;
    *out = a.count == b.count;
    for (size_t i = 0; *out && i < a.count; i++)
        MTS_TRY(equal_deep(r, a.as.items[i], b.as.items[i], depth + 1, out));
cleanup:
    return st;
}

static mts_status equal_dicts(jinja_run *r, const jinja_dict *a, const jinja_dict *b, int depth,
                              bool *out)
{
    mts_status st = MTS_OK;
    *out = a->count == b->count;
    for (size_t i = 0; *out && i < a->count; i++) {
        jinja_value *found = NULL;
        MTS_TRY(jinja_find(r, b, a->entries[i].key, &found));
        *out = found != NULL;
        if (found != NULL)
            MTS_TRY(equal_deep(r, a->entries[i].value, *found, depth + 1, out));
    }
cleanup:
    return st;
}

static mts_status equal_deep(jinja_run *r, jinja_value a, jinja_value b, int depth, bool *out)
{
    mts_status st = MTS_OK;
    *out = false;
    if (depth > JINJA_DEPTH)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "values nested too deep");
    MTS_TRY(jinja_step(r, 1 + a.count / 64));
    if (jinja_is_number(a) && jinja_is_number(b)) {
        const bool whole = a.kind == JINJA_INT && b.kind == JINJA_INT;
        *out = whole ? a.as.integer == b.as.integer : jinja_real(a) == jinja_real(b);
    } else if (a.kind != b.kind) {
        *out = false;
    } else if (a.kind == JINJA_TEXT) {
        *out = a.count == b.count && (a.count == 0 || memcmp(a.as.text, b.as.text, a.count) == 0);
    } else if (a.kind == JINJA_LIST) {
        MTS_TRY(equal_lists(r, a, b, depth, out));
    } else if (a.kind == JINJA_DICT) {
        MTS_TRY(equal_dicts(r, a.as.dict, b.as.dict, depth, out));
    } else {
        *out = a.kind == JINJA_NONE || a.kind == JINJA_UNDEFINED ||
               (a.kind == JINJA_NAMESPACE && a.as.dict == b.as.dict);
    }
cleanup:
    return st;
}

mts_status jinja_equal(jinja_run *r, jinja_value a, jinja_value b, bool *out)
{
    return equal_deep(r, a, b, 0, out);
}

mts_status jinja_less(jinja_run *r, jinja_value a, jinja_value b, bool *out)
{
    if (jinja_is_number(a) && jinja_is_number(b)) {
        const bool whole = a.kind == JINJA_INT && b.kind == JINJA_INT;
        *out = whole ? a.as.integer < b.as.integer : jinja_real(a) < jinja_real(b);
        return MTS_OK;
    }
    if (a.kind == JINJA_TEXT && b.kind == JINJA_TEXT) {
        const size_t n = a.count < b.count ? a.count : b.count;
        const int order = n == 0 ? 0 : memcmp(a.as.text, b.as.text, n);
        *out = order < 0 || (order == 0 && a.count < b.count);
        return jinja_step(r, 1 + n / 64);
    }
    return jinja_fail(r, MTS_ERR_ARGUMENT, "%s and %s have no order", jinja_kind_name(a),
                      jinja_kind_name(b));
}

mts_status jinja_contains(jinja_run *r, jinja_value where, jinja_value what, bool *out)
{
    mts_status st = MTS_OK;
    jinja_value *found = NULL;
    const char *place = NULL;
    *out = false;
    if (where.kind == JINJA_TEXT && what.kind == JINJA_TEXT) {
        if (what.count > 0)
            MTS_TRY(jinja_search(r, where.as.text, where.count, what, &place));
        *out = what.count == 0 || place != NULL;
    } else if (where.kind == JINJA_LIST) {
        for (size_t i = 0; !*out && i < where.count; i++)
            MTS_TRY(jinja_equal(r, where.as.items[i], what, out));
    } else if (where.kind == JINJA_DICT) {
        if (what.kind == JINJA_TEXT)
            MTS_TRY(jinja_find(r, where.as.dict, what, &found));
        *out = found != NULL;
    } else if (where.kind != JINJA_UNDEFINED) {
        st = jinja_fail(r, MTS_ERR_ARGUMENT, "%s is looked for in %s", jinja_kind_name(what),
                        jinja_kind_name(where));
    }
cleanup:
    return st;
}

/* -------------------------------------------------------------------------- dictionaries ---- */

mts_status jinja_find(jinja_run *r, const jinja_dict *d, jinja_value key, jinja_value **out)
{
    mts_status st = MTS_OK;
    *out = NULL;
    MTS_TRY(jinja_step(r, 1 + d->count / 8));
    for (size_t i = 0; i < d->count; i++) {
        const jinja_value *k = &d->entries[i].key;
        if (k->count == key.count && memcmp(k->as.text, key.as.text, key.count) == 0)
            *out = &d->entries[i].value;
    }
cleanup:
    return st;
}

mts_status jinja_put(jinja_run *r, jinja_dict *d, jinja_value key, jinja_value value)
{
    mts_status st = MTS_OK;
    jinja_value *found = NULL;
    MTS_TRY(jinja_find(r, d, key, &found));
    if (found != NULL) {
        *found = value;
        goto cleanup;
    }
    if (d->count == d->room) {
        const size_t room = 2 * d->room + 8;
        jinja_entry *more = NULL;
        MTS_TRY(jinja_take(&r->pool, room * sizeof *more, &more));
        if (d->count > 0)
            memcpy(more, d->entries, d->count * sizeof *more);
        d->entries = more;
        d->room = room;
    }
    d->entries[d->count++] = (jinja_entry){key, value};
cleanup:
    return st;
}

/* The characters of a text as texts. */
static mts_status characters(jinja_run *r, jinja_value text, jinja_value *items)
{
    size_t n = 0;
    int32_t code;
    for (size_t at = 0; at < text.count;) {
        const size_t bytes = utf8_decode(text.as.text + at, text.count - at, &code);
        items[n++] = jinja_text(text.as.text + at, bytes);
        at += bytes;
    }
    return jinja_step(r, n);
}

mts_status jinja_items(jinja_run *r, jinja_value v, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value *items = NULL;
    size_t count = 0;
    if (v.kind == JINJA_LIST) {
        *out = v;
        return MTS_OK;
    }
    if (v.kind == JINJA_TEXT) {
        count = jinja_length(v.as.text, v.count);
        MTS_TRY(jinja_take(&r->pool, count * sizeof *items, &items));
        MTS_TRY(characters(r, v, items));
    } else if (v.kind == JINJA_DICT) {
        count = v.as.dict->count;
        MTS_TRY(jinja_take(&r->pool, count * sizeof *items, &items));
        for (size_t i = 0; i < count; i++)
            items[i] = v.as.dict->entries[i].key;
    } else if (v.kind != JINJA_UNDEFINED) {
        st = jinja_fail(r, MTS_ERR_ARGUMENT, "%s has no items", jinja_kind_name(v));
        goto cleanup;
    }
    *out = jinja_list(items, count);
cleanup:
    return st;
}

/* ---------------------------------------------------------------------------------- JSON ---- */

static mts_status list_from_json(jinja_run *r, const json_t *json, int depth, jinja_value *out)
{
    mts_status st = MTS_OK;
    const size_t count = json_array_size(json);
    jinja_value *items = NULL;
    MTS_TRY(jinja_take(&r->pool, count * sizeof *items, &items));
    for (size_t i = 0; i < count; i++)
        MTS_TRY(jinja_from_json(r, json_array_get(json, i), depth + 1, &items[i]));
    *out = jinja_list(items, count);
cleanup:
    return st;
}

static mts_status dict_from_json(jinja_run *r, const json_t *json, int depth, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_dict *d = NULL;
    void *at = json_object_iter((json_t *)(uintptr_t)json);
    MTS_TRY(jinja_take(&r->pool, sizeof *d, &d));
    d->room = json_object_size(json);
    MTS_TRY(jinja_take(&r->pool, d->room * sizeof *d->entries, &d->entries));
    /* jansson's keys are distinct. */
    for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)json, at)) {
        jinja_entry *e = &d->entries[d->count];
        e->key = jinja_text(json_object_iter_key(at), strlen(json_object_iter_key(at)));
        MTS_TRY(jinja_from_json(r, json_object_iter_value(at), depth + 1, &e->value));
        d->count++;
    }
    *out = (jinja_value){.kind = JINJA_DICT, .as.dict = d};
cleanup:
    return st;
}

mts_status jinja_from_json(jinja_run *r, const json_t *json, int depth, jinja_value *out)
{
    if (depth > JINJA_DEPTH)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "variables nested too deep");
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return dict_from_json(r, json, depth, out);
    case JSON_ARRAY:
        return list_from_json(r, json, depth, out);
    case JSON_STRING:
        *out = jinja_text(json_string_value(json), json_string_length(json));
        return MTS_OK;
    case JSON_INTEGER:
        *out = jinja_int(json_integer_value(json));
        return MTS_OK;
    case JSON_REAL:
        *out = (jinja_value){.kind = JINJA_REAL, .as.real = json_real_value(json)};
        return MTS_OK;
    case JSON_TRUE:
    case JSON_FALSE:
        *out = jinja_bool(json_is_true(json));
        return MTS_OK;
    default:
        *out = jinja_none();
        return MTS_OK;
    }
}
