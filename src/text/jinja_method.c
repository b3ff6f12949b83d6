/* Jinja: methods of values, functions, tojson.  See jinja_internal.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "text/jinja_internal.h"

enum { DATE_BYTES = 256, RANGE_MAX = 1 << 20, INDENT_MAX = 64 };

/* ------------------------------------------------------------------------------- methods ---- */

static mts_status strip_with(jinja_run *r, jinja_value self, const jinja_arguments *a, bool begin,
                             bool end, jinja_value *out)
{
    const jinja_value *chars = jinja_argument(a, 0, "chars");
    if (chars != NULL && chars->kind == JINJA_NONE)
        chars = NULL;
    if (chars != NULL && chars->kind != JINJA_TEXT)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "strip takes a text");
    *out = jinja_strip(self, chars, begin, end);
    return jinja_step(r, 1 + self.count / 64);
}

static mts_status text_strip(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    return strip_with(r, self, a, true, true, out);
}

static mts_status text_lstrip(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    return strip_with(r, self, a, true, false, out);
}

static mts_status text_rstrip(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    return strip_with(r, self, a, false, true, out);
}

static bool affix(jinja_value self, jinja_value part, bool start)
{
    const char *at = self.as.text + (start ? 0 : self.count - part.count);
    return part.kind == JINJA_TEXT && part.count <= self.count &&
           (part.count == 0 || memcmp(at, part.as.text, part.count) == 0);
}

/* One text, or a tuple of several. */
static mts_status test_affix(jinja_run *r, jinja_value self, const jinja_arguments *a, bool start,
                             jinja_value *out)
{
    bool found = false;
    if (a->count != 1 || (a->values[0].kind != JINJA_TEXT && a->values[0].kind != JINJA_LIST))
        return jinja_fail(r, MTS_ERR_ARGUMENT, "startswith and endswith take one text");
    const jinja_value v = a->values[0];
    for (size_t i = 0; v.kind == JINJA_LIST && i < v.count; i++)
        found = found || (v.as.items[i].count <= self.count && affix(self, v.as.items[i], start));
    if (v.kind == JINJA_TEXT)
        found = v.count <= self.count && affix(self, v, start);
    *out = jinja_bool(found);
    return jinja_step(r, 1 + v.count / 64);
}

static mts_status text_startswith(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                  jinja_value *out)
{
    return test_affix(r, self, a, true, out);
}

static mts_status text_endswith(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                jinja_value *out)
{
    return test_affix(r, self, a, false, out);
}

/* Append text to a list that grows. */
static mts_status add_item(jinja_run *r, jinja_value **items, size_t *count, size_t *room,
                           jinja_value v)
{
    mts_status st = MTS_OK;
    if (*count == *room) {
        jinja_value *more = NULL;
        MTS_TRY(jinja_take(&r->pool, (2 * *room + 8) * sizeof *more, &more));
        if (*count > 0)
            memcpy(more, *items, *count * sizeof *more);
        *items = more;
        *room = 2 * *room + 8;
    }
    (*items)[(*count)++] = v;
    MTS_TRY(jinja_step(r, 1));
cleanup:
    return st;
}

/* split(separator, maxsplit); without a separator: at blanks. */
static mts_status text_split(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_value *by = jinja_argument(a, 0, "sep"), *most = jinja_argument(a, 1, "maxsplit");
    jinja_value *items = NULL;
    size_t count = 0, room = 0;
    const char *at = self.as.text, *end = at + self.count;
    const int64_t limit = most == NULL || most->kind != JINJA_INT || most->as.integer < 0
                              ? INT64_MAX
                              : most->as.integer;
    if (by == NULL || by->kind != JINJA_TEXT || by->count == 0)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "split without a separator is not supported");
    for (;;) {
        const char *found = NULL;
        if ((int64_t)count < limit)
            MTS_TRY(jinja_search(r, at, (size_t)(end - at), *by, &found));
        const char *stop = found == NULL ? end : found;
        MTS_TRY(add_item(r, &items, &count, &room, jinja_text(at, (size_t)(stop - at))));
        if (found == NULL)
            break;
        at = found + by->count;
    }
    *out = jinja_list(items, count);
cleanup:
    return st;
}

/* A filter of the same name. */
static mts_status text_upper(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    return jinja_filter(r, "upper", self, a, out);
}

static mts_status text_lower(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    return jinja_filter(r, "lower", self, a, out);
}

static mts_status text_capitalize(jinja_run *r, jinja_value self, const jinja_arguments *a,
                                  jinja_value *out)
{
    return jinja_filter(r, "capitalize", self, a, out);
}

static mts_status text_replace(jinja_run *r, jinja_value self, const jinja_arguments *a,
                               jinja_value *out)
{
    return jinja_filter(r, "replace", self, a, out);
}

static mts_status text_join(jinja_run *r, jinja_value self, const jinja_arguments *a,
                            jinja_value *out)
{
    const char *none = NULL;
    const jinja_arguments by = {&self, &none, 1};
    if (a->count != 1)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "join takes one list");
    return jinja_filter(r, "join", a->values[0], &by, out);
}

static mts_status dict_get(jinja_run *r, jinja_value self, const jinja_arguments *a,
                           jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_value *key = jinja_argument(a, 0, NULL), *other = jinja_argument(a, 1, NULL);
    jinja_value *found = NULL;
    if (key == NULL)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "get takes a key");
    if (key->kind == JINJA_TEXT)
        MTS_TRY(jinja_find(r, self.as.dict, *key, &found));
    *out = found != NULL ? *found : other != NULL ? *other : jinja_none();
cleanup:
    return st;
}

static mts_status dict_keys(jinja_run *r, jinja_value self, const jinja_arguments *a,
                            jinja_value *out)
{
    (void)a;
    return jinja_items(r, self, out);
}

static mts_status dict_values(jinja_run *r, jinja_value self, const jinja_arguments *a,
                              jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_dict *d = self.as.dict;
    jinja_value *items = NULL;
    (void)a;
    MTS_TRY(jinja_step(r, d->count));
    MTS_TRY(jinja_take(&r->pool, d->count * sizeof *items, &items));
    for (size_t i = 0; i < d->count; i++)
        items[i] = d->entries[i].value;
    *out = jinja_list(items, d->count);
cleanup:
    return st;
}

static mts_status dict_items(jinja_run *r, jinja_value self, const jinja_arguments *a,
                             jinja_value *out)
{
    mts_status st = MTS_OK;
    const jinja_dict *d = self.as.dict;
    jinja_value *items = NULL, *pairs = NULL;
    (void)a;
    MTS_TRY(jinja_step(r, d->count));
    MTS_TRY(jinja_take(&r->pool, d->count * sizeof *items, &items));
    MTS_TRY(jinja_take(&r->pool, 2 * d->count * sizeof *pairs, &pairs));
    for (size_t i = 0; i < d->count; i++) {
        pairs[2 * i] = d->entries[i].key;
        pairs[2 * i + 1] = d->entries[i].value;
        items[i] = jinja_list(pairs + 2 * i, 2);
    }
    *out = jinja_list(items, d->count);
cleanup:
    return st;
}

/* run NULL: Python has it, but it is not reproduced. */
typedef struct method_row {
    jinja_kind kind;
    const char *name;
    mts_status (*run)(jinja_run *r, jinja_value self, const jinja_arguments *a, jinja_value *out);
} method_row;

/* To add a method: a function and a row.  A dictionary's methods hide keys behind a dot. */
static const method_row methods[] = {
    {JINJA_TEXT, "strip", text_strip},
    {JINJA_TEXT, "lstrip", text_lstrip},
    {JINJA_TEXT, "rstrip", text_rstrip},
    {JINJA_TEXT, "startswith", text_startswith},
    {JINJA_TEXT, "endswith", text_endswith},
    {JINJA_TEXT, "split", text_split},
    {JINJA_TEXT, "upper", text_upper},
    {JINJA_TEXT, "lower", text_lower},
    {JINJA_TEXT, "capitalize", text_capitalize},
    {JINJA_TEXT, "replace", text_replace},
    {JINJA_TEXT, "join", text_join},
    {JINJA_TEXT, "count", NULL},
    {JINJA_TEXT, "find", NULL},
    {JINJA_TEXT, "format", NULL},
    {JINJA_TEXT, "index", NULL},
    {JINJA_TEXT, "isdigit", NULL},
    {JINJA_TEXT, "partition", NULL},
    {JINJA_TEXT, "removeprefix", NULL},
    {JINJA_TEXT, "removesuffix", NULL},
    {JINJA_TEXT, "rfind", NULL},
    {JINJA_TEXT, "rsplit", NULL},
    {JINJA_TEXT, "splitlines", NULL},
    {JINJA_TEXT, "title", NULL},
    {JINJA_LIST, "append", NULL},
    {JINJA_LIST, "count", NULL},
    {JINJA_LIST, "index", NULL},
    {JINJA_LIST, "pop", NULL},
    {JINJA_DICT, "get", dict_get},
    {JINJA_DICT, "items", dict_items},
    {JINJA_DICT, "keys", dict_keys},
    {JINJA_DICT, "values", dict_values},
    {JINJA_DICT, "clear", NULL},
    {JINJA_DICT, "copy", NULL},
    {JINJA_DICT, "fromkeys", NULL},
    {JINJA_DICT, "pop", NULL},
    {JINJA_DICT, "popitem", NULL},
    {JINJA_DICT, "setdefault", NULL},
    {JINJA_DICT, "update", NULL},
};

static const method_row *find_method(jinja_kind kind, const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (methods[i].kind == kind && strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL;
}

bool jinja_has_method(jinja_kind kind, const char *name)
{
    return find_method(kind, name) != NULL;
}

mts_status jinja_call_method(jinja_run *r, const jinja_method *m, const jinja_arguments *a,
                             jinja_value *out)
{
    const method_row *row = find_method(m->self.kind, m->name);
    if (row == NULL || row->run == NULL)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "method %.60s of %s is not supported", m->name,
                          jinja_kind_name(m->self));
    return row->run(r, m->self, a, out);
}

/* ----------------------------------------------------------------------------- functions ---- */

/* namespace(name=value, ...), dict(...). */
static mts_status make_dict(jinja_run *r, jinja_kind kind, const jinja_arguments *a,
                            jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_dict *d = NULL;
    MTS_TRY(jinja_take(&r->pool, sizeof *d, &d));
    for (size_t i = 0; i < a->count; i++) {
        if (a->names[i] == NULL)
            return jinja_fail(r, MTS_ERR_UNSUPPORTED,
                              "an argument without a name is not supported "
                              "here");
        MTS_TRY(jinja_put(r, d, jinja_string(a->names[i]), a->values[i]));
    }
    *out = (jinja_value){.kind = kind, .as.dict = d};
cleanup:
    return st;
}

static mts_status call_namespace(jinja_run *r, const jinja_arguments *a, jinja_value *out)
{
    return make_dict(r, JINJA_NAMESPACE, a, out);
}

static mts_status call_dict(jinja_run *r, const jinja_arguments *a, jinja_value *out)
{
    return make_dict(r, JINJA_DICT, a, out);
}

static mts_status call_raise(jinja_run *r, const jinja_arguments *a, jinja_value *out)
{
    jinja_value message = jinja_string("");
    (void)out;
    if (a->count > 0 && a->values[0].kind == JINJA_TEXT)
        message = a->values[0];
    return jinja_fail(r, MTS_ERR_ARGUMENT, "the template says: %.*s",
                      (int)(message.count < 400 ? message.count : 400), message.as.text);
}

static mts_status call_range(jinja_run *r, const jinja_arguments *a, jinja_value *out)
{
    mts_status st = MTS_OK;
    int64_t bounds[3] = {0, 0, 1};
    jinja_value *items = NULL;
    size_t n = 0;
    for (size_t i = 0; i < a->count && i < 3; i++) {
        if (a->values[i].kind != JINJA_INT || a->names[i] != NULL ||
            a->values[i].as.integer > RANGE_MAX || a->values[i].as.integer < -RANGE_MAX)
            return jinja_fail(r, MTS_ERR_UNSUPPORTED, "range takes integers up to %d", RANGE_MAX);
        bounds[a->count == 1 ? 1 : i] = a->values[i].as.integer;
    }
    if (a->count < 1 || a->count > 3 || bounds[2] == 0)
        return jinja_fail(r, MTS_ERR_ARGUMENT, "range takes one to three integers");
    const int64_t step = bounds[2], way = step > 0 ? bounds[1] - bounds[0] : bounds[0] - bounds[1];
    const int64_t size = step > 0 ? step : -step, count = way > 0 ? (way + size - 1) / size : 0;
    MTS_TRY(jinja_step(r, (size_t)count));
    MTS_TRY(jinja_take(&r->pool, (size_t)count * sizeof *items, &items));
    for (int64_t i = 0; i < count; i++)
        items[n++] = jinja_int(bounds[0] + i * step);
    *out = jinja_list(items, n);
cleanup:
    return st;
}

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Days of the months before this one. */
static int days_before(int year, int month)
{
    static const int days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    return days[month - 1] + (month > 2 && is_leap(year));
}

bool jinja_parse_date(const char *text, jinja_date *out)
{
    int n = 0;
    jinja_date d = {0, 0, 0};
    if (strlen(text) != 10 || strspn(text, "0123456789-") != 10 ||
        sscanf(text, "%4d-%2d-%2d%n", &d.year, &d.month, &d.day, &n) != 3 || n != 10)
        return false;
    if (d.year < 1900 || d.month < 1 || d.month > 12 || d.day < 1 ||
        d.day > days_before(d.year, d.month + 1) - days_before(d.year, d.month))
        return false;
    *out = d;
    return true;
}

static struct tm time_of(const jinja_date *d)
{
    const int before = d->year - 1, day = days_before(d->year, d->month) + d->day - 1;
    const int all =
        365 * before + before / 4 - before / 100 + before / 400 + day; /* since year 1 */
    return (struct tm){.tm_year = d->year - 1900,
                       .tm_mon = d->month - 1,
                       .tm_mday = d->day,
                       .tm_wday = (all + 1) % 7,
                       .tm_yday = day};
}

static mts_status call_strftime_now(jinja_run *r, const jinja_arguments *a, jinja_value *out)
{
    mts_status st = MTS_OK;
    char *text = NULL, format[DATE_BYTES];
    struct tm when = time_of(r->date);
    size_t n = 0;
    if (a->count != 1 || a->values[0].kind != JINJA_TEXT || a->values[0].count >= sizeof format ||
        a->values[0].count == 0)
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "strftime_now takes one short text");
    memcpy(format, a->values[0].as.text, a->values[0].count);
    format[a->values[0].count] = '\0';
    MTS_TRY(jinja_take(&r->pool, DATE_BYTES, &text));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    n = strftime(text, DATE_BYTES, format, &when);
#pragma GCC diagnostic pop
    *out = jinja_text(text, n);
cleanup:
    return st;
}

typedef struct function_row {
    const char *name;
    mts_status (*run)(jinja_run *r, const jinja_arguments *a, jinja_value *out);
} function_row;

/* To add a function: a function and a row. */
static const function_row functions[] = {
    {"namespace", call_namespace},       {"dict", call_dict},
    {"raise_exception", call_raise},     {"range", call_range},
    {"strftime_now", call_strftime_now},
};

bool jinja_is_function(const jinja_run *r, const char *name)
{
    if (r->date == NULL && strcmp(name, "strftime_now") == 0)
        return false;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(functions[i].name, name) == 0)
            return true;
    return false;
}

mts_status jinja_call_function(jinja_run *r, const char *name, const jinja_arguments *a,
                               jinja_value *out)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].run(r, a, out);
    return jinja_fail(r, MTS_ERR_UNSUPPORTED, "function %.60s is not supported", name);
}

/* -------------------------------------------------------------------------------- tojson ---- */

/* How tojson writes; indent negative: on one line. */
typedef struct json_style {
    jinja_run *run;
    jinja_buffer *out;
    int64_t indent;
    jinja_value item, key; /* separators */
} json_style;

static mts_status write_string(const json_style *w, jinja_value text)
{
    static const char escaped[] = "\"\\\n\r\t\b\f", letters[] = "\"\\nrtbf";
    mts_status st = MTS_OK;
    MTS_TRY(jinja_step(w->run, 1 + text.count / 64));
    MTS_TRY(jinja_append(w->out, "\"", 1));
    for (size_t i = 0; i < text.count; i++) {
        const char c = text.as.text[i];
        const char *found = c == '\0' ? NULL : strchr(escaped, c);
        char code[8];
        if (found != NULL) {
            code[0] = '\\';
            code[1] = letters[found - escaped];
            MTS_TRY(jinja_append(w->out, code, 2));
        } else if ((unsigned char)c < 0x20) {
            snprintf(code, sizeof code, "\\u%04x", (unsigned)(unsigned char)c);
            MTS_TRY(jinja_append(w->out, code, 6));
        } else {
            MTS_TRY(jinja_append(w->out, &c, 1));
        }
    }
    MTS_TRY(jinja_append(w->out, "\"", 1));
cleanup:
    return st;
}

/* A line end and blanks, where there is an indent. */
static mts_status write_line(const json_style *w, int depth)
{
    mts_status st = MTS_OK;
    if (w->indent < 0)
        return MTS_OK;
    MTS_TRY(jinja_append(w->out, "\n", 1));
    for (int64_t i = 0; i < depth * w->indent; i++)
        MTS_TRY(jinja_append(w->out, " ", 1));
cleanup:
    return st;
}

static mts_status write_value(const json_style *w, jinja_value v, int depth);

static mts_status write_list(const json_style *w, jinja_value v, int depth)
{
    mts_status st = MTS_OK;
    const bool dict = v.kind == JINJA_DICT;
    const size_t count = dict ? v.as.dict->count : v.count;
    MTS_TRY(jinja_append(w->out, dict ? "{" : "[", 1));
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            MTS_TRY(jinja_append(w->out, w->item.as.text, w->item.count));
        MTS_TRY(write_line(w, depth + 1));
        if (dict) {
            MTS_TRY(write_string(w, v.as.dict->entries[i].key));
            MTS_TRY(jinja_append(w->out, w->key.as.text, w->key.count));
        }
        MTS_TRY(write_value(w, dict ? v.as.dict->entries[i].value : v.as.items[i], depth + 1));
    }
    if (count > 0)
        MTS_TRY(write_line(w, depth));
    MTS_TRY(jinja_append(w->out, dict ? "}" : "]", 1));
cleanup:
    return st;
}

static mts_status write_value(const json_style *w, jinja_value v, int depth)
{
    mts_status st = MTS_OK;
    if (depth > JINJA_DEPTH)
        return jinja_fail(w->run, MTS_ERR_UNSUPPORTED, "values nested too deep");
    if (v.kind == JINJA_TEXT)
        return write_string(w, v);
    if (v.kind == JINJA_LIST || v.kind == JINJA_DICT)
        return write_list(w, v, depth);
    if (v.kind == JINJA_NONE)
        return jinja_append(w->out, "null", 4);
    if (v.kind == JINJA_BOOL)
        return jinja_append(w->out, v.as.truth ? "true" : "false", v.as.truth ? 4 : 5);
    if (v.kind != JINJA_INT && v.kind != JINJA_REAL)
        return jinja_fail(w->run, MTS_ERR_ARGUMENT, "tojson of %s", jinja_kind_name(v));
    MTS_TRY(jinja_str(w->run, v, &v));
    MTS_TRY(jinja_append(w->out, v.as.text, v.count));
cleanup:
    return st;
}

mts_status jinja_to_json(jinja_run *r, jinja_value v, const jinja_arguments *a, jinja_value *out)
{
    mts_status st = MTS_OK;
    jinja_buffer b = {.pool = &r->pool};
    json_style w = {r, &b, -1, jinja_string(", "), jinja_string(": ")};
    const jinja_value *ascii = jinja_argument(a, 0, "ensure_ascii");
    const jinja_value *indent = jinja_argument(a, 1, "indent");
    const jinja_value *separators = jinja_argument(a, 2, "separators");
    const jinja_value *sorted = jinja_argument(a, 3, "sort_keys");
    if ((ascii != NULL && jinja_truth(*ascii)) || (sorted != NULL && jinja_truth(*sorted)))
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "tojson with ensure_ascii or sort_keys");
    if (indent != NULL && indent->kind == JINJA_INT && indent->as.integer >= 0 &&
        indent->as.integer <= INDENT_MAX) {
        w.indent = indent->as.integer;
        w.item = jinja_string(",");
    } else if (indent != NULL && indent->kind != JINJA_NONE) {
        return jinja_fail(r, MTS_ERR_UNSUPPORTED, "tojson with another indent than 0 to %d",
                          (int)INDENT_MAX);
    }
    if (separators != NULL && separators->kind == JINJA_LIST && separators->count == 2 &&
        separators->as.items[0].kind == JINJA_TEXT && separators->as.items[1].kind == JINJA_TEXT) {
        w.item = separators->as.items[0];
        w.key = separators->as.items[1];
    }
    MTS_TRY(write_value(&w, v, 0));
    *out = jinja_text(b.text, b.bytes);
cleanup:
    return st;
}
