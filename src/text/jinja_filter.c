/* Jinja: filters and tests.  See jinja_internal.h. */
#include <string.h>

#include "base/memory.h"
#include "text/jinja_internal.h"

/* Self as a text, as filters of texts take it. */
static mts_status text_of(jinja_run *r, jinja_value self, jinja_value *out)
{
    return jinja_str(r, self, out);
}

/* Letters of ASCII in the other case; those of other alphabets are refused. */
static mts_status change_case(jinja_run *r, jinja_value self, bool upper, bool first_only,
                              jinja_value *out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    MTS_TRY(text_of(r, self, &self));
    MTS_TRY(jinja_take(&r->pool, self.count + 1, &text));
    for (size_t i = 0; i < self.count; i++) {
        const char c = self.as.text[i];
        const bool up = first_only ? i == 0 : upper;
        if ((unsigned char)c >= 0x80)
            return jinja_fail(r, MTS_ERR_UNSUPPORTED,
                              "the case of letters that are not ASCII is to be changed");
        text[i] = (char)(up && c >= 'a' && c <= 'z'    ? c - 32
                         : !up && c >= 'A' && c <= 'Z' ? c + 32
                                                       : c);
    }
    *out = jinja_text(text, self.count);
cleanup:
    return st;
}

static mts_status filter_upper(jinja_run *r, jinja_value self, const jinja_arguments *a,
                               jinja_value *out)
{
    (void)a;
    return change_case(r, self, true, false, out);
}

static mts_status filter_lower(jinja_run *r, jinja_value self, const jinja_arguments *a,
                               jinja_value *out)
{
    (void)a;
    return change_case(r, self, false, false, out);
}

static mts_status filter_capitalize(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                    jinja_value *out)
{
    (void)a;
    return change_case(r, self, false, true, out);
}

static mts_status filter_trim(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_value *chars = jinja_argument(a, 0, "chars");
    if (chars != NULL && chars->kind != JINJA_TEXT)
        chars = NULL;
    MTS_TRY(text_of(r, self, &self));
    MTS_TRY(jinja_step(r, 1 + self.count / 64));
    *out = jinja_strip(self, chars, true, true);
cleanup:
    return st;
}

static mts_status filter_string(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                jinja_value *out)
{
    (void)a;
    return text_of(r, self, out);
}

static mts_status filter_length(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                jinja_value *out)
{
    (void)a;
    if (self.kind == JINJA_TEXT)
        *out = jinja_int((int64_t)jinja_length(self.as.text, self.count));
    else if (self.kind == JINJA_LIST || self.kind == JINJA_UNDEFINED)
        *out = jinja_int((int64_t)self.count);
    else if (self.kind == JINJA_DICT)
        *out = jinja_int((int64_t)self.as.dict->count);
    else
        return jinja_fail(r, MTS_ERR_ARGUMENT, "%s has no length", jinja_kind_name(self));
    return jinja_step(r, 1 + self.count / 64);
}

static mts_status filter_default(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                 jinja_value *out)
{
    const jinja_value *other = jinja_argument(a, 0, "default_value");
    const jinja_value *falsy = jinja_argument(a, 1, "boolean");
    (void)r;
    *out = self;
    if (self.kind == JINJA_UNDEFINED ||
        (falsy != NULL && jinja_truth(*falsy) && !jinja_truth(self)))
        *out = other == NULL ? jinja_string("") : *other;
    return MTS_OK;
}

static mts_status filter_join(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_value *between = jinja_argument(a, 0, "d");
    const jinja_value *attribute = jinja_argument(a, 1, "attribute");
    jinja_buffer b = {.pool = &r->pool};
    jinja_value separator = jinja_string("");
    if (between != NULL)
        MTS_TRY(text_of(r, *between, &separator));
    MTS_TRY(jinja_items(r, self, &self));
    for (size_t i = 0; i < self.count; i++) {
        jinja_value item = self.as.items[i];
        if (attribute != NULL)
            MTS_TRY(jinja_item(r, item, *attribute, &item));
        MTS_TRY(text_of(r, item, &item));
        if (i > 0)
            MTS_TRY(jinja_append(&b, separator.as.text, separator.count));
        MTS_TRY(jinja_append(&b, item.as.text, item.count));
    }
    *out = jinja_text(b.text == NULL ? "" : b.text, b.bytes);
cleanup:
    return st;
}

static mts_status filter_first(jinja_run *r, jinja_value self, const jinja_arguments *a,
                               jinja_value *out)
{
    mts_status st = MTS_OK;
    (void)a;
    MTS_TRY(jinja_items(r, self, &self));
    *out = self.count > 0 ? self.as.items[0] : jinja_undefined("the first item");
cleanup:
    return st;
}

static mts_status filter_last(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    mts_status st = MTS_OK;
    (void)a;
    MTS_TRY(jinja_items(r, self, &self));
    *out = self.count > 0 ? self.as.items[self.count - 1] : jinja_undefined("the last item");
cleanup:
    return st;
}

static mts_status filter_list(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    (void)a;
    return jinja_items(r, self, out);
}

static mts_status filter_reverse(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                 jinja_value *out)
{
    const jinja_slice back = {jinja_none(), jinja_none(), jinja_int(-1)};
    const jinja_value all = {.kind = JINJA_SLICE, .as.slice = &back};
    (void)a;
    if (self.kind == JINJA_TEXT || self.kind == JINJA_LIST)
        return jinja_item(r, self, all, out);
    return jinja_fail(r, MTS_ERR_UNSUPPORTED, "reverse of %s", jinja_kind_name(self));
}

/* A list of [key, value]. */
static mts_status filter_items(jinja_run *r, jinja_value self, const jinja_arguments *a,
                               jinja_value *out)
{
    const jinja_method m = {self, "items"};
    if (self.kind == JINJA_UNDEFINED) {
        *out = jinja_list(NULL, 0);
        return MTS_OK;
    }
    if (self.kind != JINJA_DICT)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "items of %s", jinja_kind_name(self));
    return jinja_call_method(r, &m, a, out);
}

/* The same by the keys, which dictsort compares in lower case. */
static mts_status filter_dictsort(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                  jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_arguments none = {NULL, NULL, 0};
    jinja_value *sorted = NULL, *keys = NULL;
    if (a->count > 0)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "dictsort with arguments");
    MTS_TRY(filter_items(r, self, &none, out));
    MTS_TRY(jinja_take(&r->pool, out->count * sizeof *sorted, &sorted));
    MTS_TRY(jinja_take(&r->pool, out->count * sizeof *keys, &keys));
    for (size_t i = 0; i < out->count; i++) {
        jinja_value key;
        size_t at = i;
        bool less = true;
        MTS_TRY(change_case(r, out->as.items[i].as.items[0], false, false, &key));
        for (; at > 0; at--) { /* equal keys keep their order */
            MTS_TRY(jinja_less(r, key, keys[at - 1], &less));
            if (!less)
                break;
            sorted[at] = sorted[at - 1];
            keys[at] = keys[at - 1];
        }
        sorted[at] = out->as.items[i];
        keys[at] = key;
    }
    *out = jinja_list(sorted, out->count);
cleanup:
    return st;
}

static mts_status filter_replace(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                 jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_value *from = jinja_argument(a, 0, "old"), *to = jinja_argument(a, 1, "new");
    if (from == NULL || to == NULL || from->kind != JINJA_TEXT || to->kind != JINJA_TEXT ||
        a->count > 2)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "replace takes two texts");
    MTS_TRY(text_of(r, self, &self));
    MTS_TRY(jinja_replace(r, self, *from, *to, out));
cleanup:
    return st;
}

static mts_status filter_int(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    (void)a;
    if (self.kind != JINJA_INT && self.kind != JINJA_BOOL)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "int of %s", jinja_kind_name(self));
    *out = self.kind == JINJA_INT ? self : jinja_int(self.as.truth);
    return MTS_OK;
}

/* map(attribute="name") or map("filter"). */
static mts_status filter_map(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_value *attribute = NULL;
    const jinja_arguments none = {NULL, NULL, 0};
    jinja_value *items = NULL;
    if (a->count != 1 || a->values[0].kind != JINJA_TEXT)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "map takes one filter, or attribute=name");
    attribute = a->names[0] != NULL ? &a->values[0] : NULL;
    MTS_TRY(jinja_items(r, self, &self));
    MTS_TRY(jinja_take(&r->pool, self.count * sizeof *items, &items));
    for (size_t i = 0; i < self.count; i++)
        MTS_TRY(attribute != NULL
                    ? jinja_item(r, self.as.items[i], *attribute, &items[i])
                    : jinja_filter(r, a->values[0].as.text, self.as.items[i], &none, &items[i]));
    *out = jinja_list(items, self.count);
cleanup:
    return st;
}

/* select, reject, selectattr, rejectattr: items whose value, or attribute, passes a test. */
static mts_status choose(jinja_run *r, jinja_value self, const jinja_arguments *a, bool attribute,
                         bool wanted, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_value *items = NULL;
    size_t count = 0;
    const size_t taken = attribute ? 1 : 0; /* arguments before the name of the test */
    const jinja_value *test = jinja_argument(a, taken, NULL);
    jinja_arguments rest = {NULL, NULL, 0}; /* those of the test */
    if (a->count > taken + 1)
        rest = (jinja_arguments){a->values + taken + 1, a->names + taken + 1, a->count - taken - 1};
    if (a->count < taken || (test != NULL && test->kind != JINJA_TEXT))
        return jinja_fail(r, MTS_ERR_ARGUMENT, "a choice of items without a name");
    MTS_TRY(jinja_items(r, self, &self));
    MTS_TRY(jinja_take(&r->pool, self.count * sizeof *items, &items));
    for (size_t i = 0; i < self.count; i++) {
        jinja_value v = self.as.items[i];
        bool passes;
        if (attribute)
            MTS_TRY(jinja_item(r, v, a->values[0], &v));
        passes = jinja_truth(v);
        if (test != NULL)
            MTS_TRY(jinja_test(r, test->as.text, v, &rest, &passes));
        if (passes == wanted)
            items[count++] = self.as.items[i];
    }
    *out = jinja_list(items, count);
cleanup:
    return st;
}

static mts_status filter_select(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                jinja_value *out)
{
    return choose(r, self, a, false, true, out);
}

static mts_status filter_reject(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                jinja_value *out)
{
    return choose(r, self, a, false, false, out);
}

static mts_status filter_selectattr(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                    jinja_value *out)
{
    return choose(r, self, a, true, true, out);
}

static mts_status filter_rejectattr(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                    jinja_value *out)
{
    return choose(r, self, a, true, false, out);
}

typedef struct filter_row {
    const char *name;
    mts_status (*run)(jinja_run *r, jinja_value self, const jinja_arguments *a, jinja_value *out);
} filter_row;

/* To add a filter: a function and a row. */
static const filter_row filters[] = {
    {"capitalize", filter_capitalize},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"int", filter_int},
    {"items", filter_items},
    {"join", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"lower", filter_lower},
    {"map", filter_map},
    {"reject", filter_reject},
    {"rejectattr", filter_rejectattr},
    {"replace", filter_replace},
    {"reverse", filter_reverse},
    {"safe", filter_string},
    {"select", filter_select},
    {"selectattr", filter_selectattr},
    {"string", filter_string},
    {"tojson", jinja_to_json},
    {"trim", filter_trim},
    {"upper", filter_upper},
};

mts_status jinja_filter(jinja_run *r, const char *name, jinja_value self, const jinja_arguments *a,
                        jinja_value *out)
{
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++)
        if (strcmp(filters[i].name, name) == 0)
            return filters[i].run(r, self, a, out);
    return jinja_fail(r, MTS_ERR_UNSUPPORTED, "filter %.60s is not supported", name);
}

/* --------------------------------------------------------------------------------- tests ---- */

/* Tests of what kind a value is: a set of 1 << kind. */
typedef struct kind_row {
    const char *name;
    unsigned kinds;
} kind_row;

#define KIND(k) (1u << JINJA_##k)

static const kind_row kinds[] = {
    {"undefined", KIND(UNDEFINED)},
    {"none", KIND(NONE)},
    {"boolean", KIND(BOOL)},
    {"integer", KIND(INT)},
    {"float", KIND(REAL)},
    {"number", KIND(BOOL) | KIND(INT) | KIND(REAL)},
    {"string", KIND(TEXT)},
    {"mapping", KIND(DICT)},
    {"sequence", KIND(TEXT) | KIND(LIST) | KIND(DICT) | KIND(UNDEFINED)},
    {"iterable", KIND(TEXT) | KIND(LIST) | KIND(DICT) | KIND(UNDEFINED) | KIND(LOOP)},
    {"callable", KIND(MACRO) | KIND(FUNCTION) | KIND(METHOD)},
};

/* Tests that compare with one argument. */
static mts_status test_against(jinja_run *r, const char *name, jinja_value self, jinja_value other,
                               bool *out)
{
    mts_status st = MTS_OK;
    if (strcmp(name, "equalto") == 0 || strcmp(name, "eq") == 0)
        return jinja_equal(r, self, other, out);
    if (strcmp(name, "ne") == 0) {
        MTS_TRY(jinja_equal(r, self, other, out));
        *out = !*out;
        return st;
    }
    if (strcmp(name, "in") == 0)
        return jinja_contains(r, other, self, out);
    if (strcmp(name, "lt") == 0 || strcmp(name, "lessthan") == 0)
        return jinja_less(r, self, other, out);
    if (strcmp(name, "gt") == 0 || strcmp(name, "greaterthan") == 0)
        return jinja_less(r, other, self, out);
    if (strcmp(name, "divisibleby") == 0 && self.kind == JINJA_INT && other.kind == JINJA_INT &&
        other.as.integer > 0) {
        *out = self.as.integer % other.as.integer == 0;
        return st;
    }
    st = jinja_fail(r, MTS_ERR_UNSUPPORTED, "test %.60s is not supported", name);
cleanup:
    return st;
}

mts_status jinja_test(jinja_run *r, const char *name, jinja_value self, const jinja_arguments *a,
                      bool *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].name, name) == 0) {
            *out = (kinds[i].kinds >> self.kind & 1u) != 0;
            return MTS_OK;
        }
    if (strcmp(name, "defined") == 0) {
        *out = self.kind != JINJA_UNDEFINED;
        return MTS_OK;
    }
    if (strcmp(name, "true") == 0 || strcmp(name, "false") == 0) {
        *out = self.kind == JINJA_BOOL && self.as.truth == (name[0] == 't');
        return MTS_OK;
    }
    if ((strcmp(name, "odd") == 0 || strcmp(name, "even") == 0) && self.kind == JINJA_INT) {
        *out = (self.as.integer % 2 == 0) == (name[0] == 'e');
        return MTS_OK;
    }
    if (a->count == 1)
        return test_against(r, name, self, a->values[0], out);
    return jinja_fail(r, MTS_ERR_UNSUPPORTED, "test %.60s is not supported", name);
}
