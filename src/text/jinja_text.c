/* Jinja: texts, and items of texts and lists.  See jinja_internal.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "text/jinja_internal.h"
#include "text/python_text.h"

/* A real as Python writes it. */
static mts_status str_of_real(jinja_run *r, double real, jinja_value *out)
{
    mts_status st = MTS_OK;
    json_t *json = json_real(real);
    char *text = NULL, *copy = NULL;
    if (json == NULL)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "a real that is not finite");
    MTS_TRY(json_util_dump(r->ctx, json, 0, false, &text));
    MTS_TRY(jinja_take(&r->pool, strlen(text) + 1, &copy));
    memcpy(copy, text, strlen(text));
    *out = jinja_string(copy);
cleanup:
    mem_free(text);
    json_decref(json);
    return st;
}

static mts_status str_of_int(jinja_run *r, int64_t integer, jinja_value *out)
{
    enum { INT_BYTES = 24 };
    mts_status st = MTS_OK;
    char *text = NULL;
    MTS_TRY(jinja_take(&r->pool, INT_BYTES, &text));
    snprintf(text, INT_BYTES, "%" PRId64, integer);
    *out = jinja_string(text);
cleanup:
    return st;
}

mts_status jinja_str(jinja_run *r, jinja_value v, jinja_value *out)
{
    *out = v;
    switch (v.kind) {
    case JINJA_TEXT:
        return MTS_OK;
    case JINJA_UNDEFINED:
        *out = jinja_string("");
        return MTS_OK;
    case JINJA_NONE:
        *out = jinja_string("None");
        return MTS_OK;
    case JINJA_BOOL:
        *out = jinja_string(v.as.truth ? "True" : "False");
        return MTS_OK;
    case JINJA_INT:
        return str_of_int(r, v.as.integer, out);
    case JINJA_REAL:
        return str_of_real(r, v.as.real, out);
    default:
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "%s is to be printed as a text",
                          jinja_kind_name(v));
    }
}

mts_status jinja_concat(jinja_run *r, jinja_value a, jinja_value b, jinja_value *out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    MTS_TRY(jinja_step(r, 1 + (a.count + b.count) / 64));
    MTS_TRY(jinja_take(&r->pool, a.count + b.count + 1, &text));
    if (a.count > 0)
        memcpy(text, a.as.text, a.count);
    if (b.count > 0)
        memcpy(text + a.count, b.as.text, b.count);
    *out = jinja_text(text, a.count + b.count);
cleanup:
    return st;
}

size_t jinja_length(const char *text, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++)
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    return n;
}

/* Whether a character is stripped: a blank, or one of chars. */
static bool is_stripped(const char *c, size_t bytes, const jinja_value *chars)
{
    int32_t code;
    utf8_decode(c, bytes, &code);
    if (chars == NULL)
        return python_is_space(code);
    for (size_t i = 0; i + bytes <= chars->count; i++)
        if (memcmp(chars->as.text + i, c, bytes) == 0)
            return true;
    return false;
}

/* Bytes of the character that begins, or ends, a text. */
static size_t first_bytes(const char *text, size_t bytes)
{
    int32_t code;
    return utf8_decode(text, bytes, &code);
}

static size_t last_bytes(const char *text, size_t bytes)
{
    size_t n = 1;
    while (n < bytes && n < UTF8_MAX_BYTES && ((unsigned char)text[bytes - n] & 0xC0) == 0x80)
        n++;
    return n;
}

jinja_value jinja_strip(jinja_value text, const jinja_value *chars, bool begin, bool end)
{
    const char *at = text.as.text;
    size_t bytes = text.count;
    while (begin && bytes > 0) {
        const size_t n = first_bytes(at, bytes);
        if (!is_stripped(at, n, chars))
            break;
        at += n;
        bytes -= n;
    }
    while (end && bytes > 0) {
        const size_t n = last_bytes(at, bytes);
        if (!is_stripped(at + bytes - n, n, chars))
            break;
        bytes -= n;
    }
    return jinja_text(at, bytes);
}

mts_status jinja_search(jinja_run *r, const char *text, size_t bytes, jinja_value part,
                        const char **out)
{
    mts_status st = MTS_OK;
    const char *at = text, *end = text + bytes;
    *out = NULL;
    while (*out == NULL && (size_t)(end - at) >= part.count) {
        const char *found = memchr(at, part.as.text[0], (size_t)(end - at) - part.count + 1);
        const size_t passed = (size_t)((found == NULL ? end : found) - at);
        MTS_TRY(jinja_step(r, 1 + (passed + part.count) / 64));
        if (found == NULL)
            break;
        if (memcmp(found, part.as.text, part.count) == 0)
            *out = found;
        at = found + 1;
    }
cleanup:
    return st;
}

mts_status jinja_replace(jinja_run *r, jinja_value text, jinja_value from, jinja_value to,
                         jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_buffer b = {.pool = &r->pool};
    const char *at = text.as.text, *end = at + text.count, *found = NULL;
    if (from.count == 0)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "an empty text is to be replaced");
    while (at < end) {
        MTS_TRY(jinja_search(r, at, (size_t)(end - at), from, &found));
        const char *stop = found == NULL ? end : found;
        MTS_TRY(jinja_append(&b, at, (size_t)(stop - at)));
        if (found == NULL)
            break;
        MTS_TRY(jinja_append(&b, to.as.text, to.count));
        at = found + from.count;
    }
    *out = jinja_text(b.text == NULL ? "" : b.text, b.bytes);
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- items ---- */

/* A bound of a slice of `count` items by Python's rules; absent: what it is then. */
static mts_status bound(jinja_run *r, jinja_value v, int64_t count, int64_t low, int64_t high,
                        int64_t absent, int64_t *out)
{
    *out = absent;
    if (v.kind == JINJA_NONE)
        return MTS_OK;
    if (v.kind != JINJA_INT && v.kind != JINJA_BOOL)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "a slice has %s for a bound", jinja_kind_name(v));
    *out = v.kind == JINJA_INT ? v.as.integer : v.as.truth;
    if (*out < 0)
        *out = *out < -count ? low : *out + count;
    *out = *out < low ? low : *out > high ? high : *out;
    return MTS_OK;
}

/* Items of a list by a slice. */
static mts_status slice(jinja_run *r, jinja_value list, const jinja_slice *s, jinja_value *out)
{
    mts_status st = MTS_OK;
    const int64_t count = (int64_t)list.count;
    int64_t start, stop, step = 1;
    jinja_value *items = NULL;
    size_t n = 0;
    if (s->step.kind != JINJA_NONE) {
        if (s->step.kind != JINJA_INT || s->step.as.integer == 0)
            return jinja_fail(r, MTS_ERR_ARGUMENT, "the step of a slice is no integer but 0");
        step = s->step.as.integer < -count - 1  ? -count - 1
               : s->step.as.integer > count + 1 ? count + 1
                                                : s->step.as.integer;
    }
    const int64_t low = step < 0 ? -1 : 0, high = step < 0 ? count - 1 : count;
    MTS_TRY(bound(r, s->start, count, low, high, step < 0 ? high : low, &start));
    MTS_TRY(bound(r, s->stop, count, low, high, step < 0 ? low : high, &stop));
    MTS_TRY(jinja_step(r, 1 + list.count));
    MTS_TRY(jinja_take(&r->pool, list.count * sizeof *items, &items));
    for (int64_t i = start; step < 0 ? i > stop : i < stop; i += step)
        items[n++] = list.as.items[i];
    *out = jinja_list(items, n);
cleanup:
    return st;
}

/* A character, or a part, of a text. */
static mts_status item_of_text(jinja_run *r, jinja_value text, jinja_value key, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value list;
    jinja_buffer b = {.pool = &r->pool};
    MTS_TRY(jinja_items(r, text, &list));
    MTS_TRY(jinja_item(r, list, key, out));
    if (key.kind != JINJA_SLICE)
        goto cleanup;
    list = *out;
    for (size_t i = 0; i < list.count; i++)
        MTS_TRY(jinja_append(&b, list.as.items[i].as.text, list.as.items[i].count));
    *out = jinja_text(b.text == NULL ? "" : b.text, b.bytes);
cleanup:
    return st;
}

static mts_status item_of_list(jinja_run *r, jinja_value list, jinja_value key, jinja_value *out)
{
    const int64_t count = (int64_t)list.count;
    int64_t i;
    if (key.kind == JINJA_SLICE)
        return slice(r, list, key.as.slice, out);
    *out = jinja_undefined("an item of a list");
    if (key.kind != JINJA_INT && key.kind != JINJA_BOOL)
        return MTS_OK;
    i = key.kind == JINJA_INT ? key.as.integer : key.as.truth;
    if (i < 0 && i >= -count)
        i += count;
    if (i >= 0 && i < count)
        *out = list.as.items[i];
    return MTS_OK;
}

/* *out: the method of that name bound to self. */
static mts_status bind(jinja_run *r, jinja_value self, const char *name, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_method *m = NULL;
    MTS_TRY(jinja_take(&r->pool, sizeof *m, &m));
    *m = (jinja_method){self, name};
    *out = (jinja_value){.kind = JINJA_METHOD, .as.method = m};
cleanup:
    return st;
}

static mts_status not_defined(jinja_run *r, jinja_value v)
{
    return jinja_fail(r, MTS_ERR_ARGUMENT, "'%.60s' is not defined", v.as.text);
}

mts_status jinja_item(jinja_run *r, jinja_value self, jinja_value key, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value *found = NULL;
    char *name = NULL;
    if (self.kind == JINJA_UNDEFINED)
        return not_defined(r, self);
    if (key.kind != JINJA_TEXT) {
        *out = jinja_undefined("an item");
        if (self.kind == JINJA_LIST)
            return item_of_list(r, self, key, out);
        if (self.kind == JINJA_TEXT)
            return item_of_text(r, self, key, out);
        if (key.kind == JINJA_SLICE)
            return jinja_fail(r, MTS_ERR_ARGUMENT, "%s has no slices", jinja_kind_name(self));
        return MTS_OK;
    }
    if (self.kind == JINJA_DICT)
        MTS_TRY(jinja_find(r, self.as.dict, key, &found));
    if (found != NULL) {
        *out = *found;
        goto cleanup;
    }
    MTS_TRY(jinja_take(&r->pool, key.count + 1, &name));
    if (key.count > 0)
        memcpy(name, key.as.text, key.count);
    *out = jinja_undefined(name);
    if (self.kind != JINJA_DICT || jinja_has_method(self.kind, name))
        MTS_TRY(jinja_attribute(r, self, name, out));
cleanup:
    return st;
}

static jinja_value attribute_of_loop(const jinja_loop *l, const char *name)
{
    const int64_t index = (int64_t)l->index, count = (int64_t)l->count;
    if (strcmp(name, "index") == 0)
        return jinja_int(index + 1);
    if (strcmp(name, "index0") == 0)
        return jinja_int(index);
    if (strcmp(name, "revindex") == 0)
        return jinja_int(count - index);
    if (strcmp(name, "revindex0") == 0)
        return jinja_int(count - index - 1);
    if (strcmp(name, "first") == 0)
        return jinja_bool(index == 0);
    if (strcmp(name, "last") == 0)
        return jinja_bool(index + 1 == count);
    if (strcmp(name, "length") == 0)
        return jinja_int(count);
    if (strcmp(name, "previtem") == 0 && index > 0)
        return l->items[index - 1];
    if (strcmp(name, "nextitem") == 0 && index + 1 < count)
        return l->items[index + 1];
    return jinja_undefined(name);
}

mts_status jinja_attribute(jinja_run *r, jinja_value self, const char *name, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value *found = NULL;
    *out = jinja_undefined(name);
    if (self.kind == JINJA_UNDEFINED)
        return not_defined(r, self);
    if (self.kind == JINJA_LOOP) {
        *out = attribute_of_loop(self.as.loop, name);
        if (strcmp(name, "cycle") == 0 || strcmp(name, "changed") == 0 ||
            strncmp(name, "depth", 5) == 0)
            return jinja_fail(r, MTS_ERR_UNSUPPORTED, "loop.%s is not supported", name);
        return MTS_OK;
    }
    if (jinja_has_method(self.kind, name))
        return bind(r, self, name, out);
    if (self.kind != JINJA_DICT && self.kind != JINJA_NAMESPACE)
        return MTS_OK;
    MTS_TRY(jinja_find(r, self.as.dict, jinja_string(name), &found));
    if (found != NULL)
        *out = *found;
cleanup:
    return st;
}
