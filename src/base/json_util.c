/*
 * JSON in and out.  See json_util.h.
 *
 * The dump is our own walk because jansson prints all reals with one precision: 17 digits
 * turn 0.1 into 0.10000000000000001, fewer lose bits.
 */
#include "base/json_util.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "base/utf8.h"

enum { DUMP_DEPTH_MAX = 2048, REAL_TEXT_BYTES = 64, FIELD_TEXT_BYTES = 80 };

/* ------------------------------------------------------------------------------ reading ---- */

/* As json_util_parse; *code: why, if that is MTS_ERR_BAD_FILE. */
static mts_status parse(mts_ctx *ctx, const char *file, const char *text, size_t bytes,
                        json_t **out, enum json_error_code *code)
{
    json_error_t error;
    bool failed = false;
    char reason[JSON_ERROR_TEXT_LENGTH]; /* the parser quotes the file's own bytes in it */
    *out = json_memory_parse(text, bytes, JSON_REJECT_DUPLICATES, &error, &failed);
    if (*out != NULL)
        return MTS_OK;
    if (failed)
        return status_set(ctx, MTS_ERR_MEMORY, "%s: out of memory in parsing JSON", file);
    *code = json_error_code(&error);
    utf8_quote(reason, sizeof reason, error.text);
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s:%d:%d: %s", file, error.line, error.column,
                      reason);
}

mts_status json_util_parse(mts_ctx *ctx, const char *file, const char *text, size_t bytes,
                           json_t **out)
{
    enum json_error_code code;
    return parse(ctx, file, text, bytes, out, &code);
}

/* How many of the first bytes of text are in set. */
static size_t span(const char *text, size_t bytes, const char *set)
{
    size_t n = 0;
    while (n < bytes && text[n] != '\0' && strchr(set, text[n]) != NULL)
        n++;
    return n;
}

/* *out: a copy of text[bytes] in which every integer of more than 18 digits has ".0" behind it. */
static mts_status widen_integers(mts_ctx *ctx, const char *text, size_t bytes, char **out,
                                 size_t *out_bytes)
{
    mts_status st = MTS_OK;
    char *wide = NULL;
    size_t n = 0;
    bool in_string = false;
    MTS_TRY(mem_calloc(ctx, &wide, bytes + bytes / 8 + 16, 1, "JSON text")); /* 2 for every 19 */
    for (size_t i = 0; i < bytes;) {
        const size_t word = in_string ? 0 : span(text + i, bytes - i, "0123456789.eE+-");
        const size_t sign = word > 0 && text[i] == '-';
        const size_t digits = span(text + i + sign, word - sign, "0123456789");
        const size_t take = word > 0 ? word : 1;
        memcpy(wide + n, text + i, take);
        n += take;
        if (digits > 18 && sign + digits == word) {
            memcpy(wide + n, ".0", 2);
            n += 2;
        }
        if (in_string && text[i] == '\\' && i + 1 < bytes)
            wide[n++] = text[++i];
        else if (text[i] == '"')
            in_string = !in_string;
        i += take;
    }
    *out = wide;
    *out_bytes = n;
cleanup:
    return st;
}

mts_status json_util_parse_wide(mts_ctx *ctx, const char *file, const char *text, size_t bytes,
                                json_t **out)
{
    mts_status st = MTS_OK;
    enum json_error_code code = json_error_unknown;
    char *wide = NULL;
    size_t wide_bytes = 0;
    st = parse(ctx, file, text, bytes, out, &code);
    if (st == MTS_ERR_BAD_FILE && code == json_error_numeric_overflow) {
        MTS_TRY(widen_integers(ctx, text, bytes, &wide, &wide_bytes));
        st = json_util_parse(ctx, file, wide, wide_bytes, out);
    }
    MTS_TRY(st);
    MTS_CHECK(json_is_object(*out), MTS_ERR_BAD_FILE, "%s: expected an object, found %s", file,
              json_util_type_name(*out));
cleanup:
    mem_free(wide);
    if (st != MTS_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return st;
}

typedef mts_status parse_fn(mts_ctx *ctx, const char *file, const char *text, size_t bytes,
                            json_t **out);

static mts_status load(mts_ctx *ctx, const char *path, size_t limit, parse_fn *parser, json_t **out)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    size_t bytes = 0;
    *out = NULL;
    MTS_TRY(file_read_all(ctx, path, limit, &text, &bytes));
    MTS_TRY(parser(ctx, path, text, bytes, out));
cleanup:
    mem_free(text);
    return st;
}

static mts_status load_object(mts_ctx *ctx, const char *path, size_t limit, parse_fn *parser,
                              json_t **out)
{
    mts_status st = MTS_OK;
    json_t *root = NULL;
    *out = NULL;
    MTS_TRY(load(ctx, path, limit, parser, &root));
    MTS_CHECK(json_is_object(root), MTS_ERR_BAD_FILE, "%s: expected an object, found %s", path,
              json_util_type_name(root));
    *out = root;
    root = NULL;
cleanup:
    json_decref(root);
    return st;
}

mts_status json_util_load_object(mts_ctx *ctx, const char *path, size_t limit, json_t **out)
{
    return load_object(ctx, path, limit, json_util_parse, out);
}

mts_status json_util_load_wide(mts_ctx *ctx, const char *path, size_t limit, json_t **out)
{
    return load_object(ctx, path, limit, json_util_parse_wide, out);
}

const char *json_util_type_name(const json_t *value)
{
    static const char *const names[] = {"an object", "an array", "a string", "an integer",
                                        "a real",    "true",     "false",    "null"};
    return value == NULL ? "nothing" : names[json_typeof(value)];
}

/* The field, or NULL if it is absent or null. */
static const json_t *present(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

/* "file: key: expected ..., found ..." */
static mts_status wrong_field(mts_ctx *ctx, const char *file, const char *key, const char *expected,
                              const char *found)
{
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s%s%s: expected %s, found %s",
                      file == NULL ? "" : file, file == NULL ? "" : ": ", key, expected, found);
}

mts_status json_util_int(mts_ctx *ctx, const char *file, const json_t *object, const char *key,
                         int64_t min, int64_t max, int64_t *value)
{
    char expected[FIELD_TEXT_BYTES], found[FIELD_TEXT_BYTES];
    const json_t *field = present(object, key);
    if (field == NULL)
        return MTS_OK;
    const double real = json_is_real(field) ? json_real_value(field) : 0.5;
    const bool whole = real == floor(real) && fabs(real) <= 0x1p53;
    const int64_t number = whole ? (int64_t)real : (int64_t)json_integer_value(field);
    if ((json_is_integer(field) || whole) && number >= min && number <= max) {
        *value = number;
        return MTS_OK;
    }
    snprintf(expected, sizeof expected, "an integer %" PRId64 "..%" PRId64, min, max);
    snprintf(found, sizeof found, "%" PRId64, number);
    return wrong_field(ctx, file, key, expected,
                       json_is_integer(field) || whole ? found : json_util_type_name(field));
}

mts_status json_util_real(mts_ctx *ctx, const char *file, const json_t *object, const char *key,
                          double min, double max, double *value)
{
    char expected[FIELD_TEXT_BYTES], found[FIELD_TEXT_BYTES];
    const json_t *field = present(object, key);
    if (field == NULL)
        return MTS_OK;
    const double number = json_number_value(field);
    if (json_is_number(field) && number >= min && number <= max) {
        *value = number;
        return MTS_OK;
    }
    snprintf(expected, sizeof expected, "a number %g..%g", min, max);
    snprintf(found, sizeof found, "%g", number);
    return wrong_field(ctx, file, key, expected,
                       json_is_number(field) ? found : json_util_type_name(field));
}

mts_status json_util_bool(mts_ctx *ctx, const char *file, const json_t *object, const char *key,
                          bool *value)
{
    const json_t *field = present(object, key);
    if (field == NULL)
        return MTS_OK;
    if (!json_is_boolean(field))
        return wrong_field(ctx, file, key, "true or false", json_util_type_name(field));
    *value = json_is_true(field);
    return MTS_OK;
}

mts_status json_util_string(mts_ctx *ctx, const char *file, const json_t *object, const char *key,
                            const char **value)
{
    const json_t *field = present(object, key);
    if (field == NULL)
        return MTS_OK;
    if (!json_is_string(field))
        return wrong_field(ctx, file, key, "a string", json_util_type_name(field));
    *value = json_string_value(field);
    return MTS_OK;
}

mts_status json_util_require(mts_ctx *ctx, const char *file, const json_t *object, const char *key)
{
    if (present(object, key) != NULL)
        return MTS_OK;
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s%s%s: expected, but absent",
                      file == NULL ? "" : file, file == NULL ? "" : ": ", key);
}

/* ------------------------------------------------------------------------------ writing ---- */

mts_status json_util_new_string(mts_ctx *ctx, const char *what, const char *text, json_t **out)
{
    mts_status st = MTS_OK;
    size_t bad = 0;
    *out = NULL;
    /* jansson checks this too, but answers NULL for it as for lack of memory */
    const bool valid = utf8_is_valid(text, strlen(text), &bad);
    MTS_CHECK(valid, MTS_ERR_ARGUMENT, "%s: expected UTF-8, found 0x%02x at byte %zu", what,
              (unsigned)(unsigned char)text[bad], bad);
    *out = json_string_nocheck(text);
    MTS_CHECK(*out != NULL, MTS_ERR_MEMORY, "out of memory: %s", what);
cleanup:
    return st;
}

mts_status json_util_set(mts_ctx *ctx, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) == 0)
        return MTS_OK;
    return status_set(ctx, MTS_ERR_MEMORY, "out of memory: JSON field %s", key);
}

typedef struct dump_state {
    mts_ctx *ctx;
    char *text;
    size_t used, capacity;
    int indent;
    bool sorted;
} dump_state;

/* Room for `more` bytes and a NUL behind what is used. */
static mts_status reserve(dump_state *d, size_t more)
{
    size_t need = d->used + more + 1;
    if (need <= d->capacity)
        return MTS_OK;
    size_t larger = need < 256 ? 256 : 2 * need;
    mts_status st = mem_grow(d->ctx, &d->text, d->capacity, larger, 1, "JSON text");
    if (st == MTS_OK)
        d->capacity = larger;
    return st;
}

static mts_status append(dump_state *d, const char *text)
{
    size_t n = strlen(text);
    mts_status st = reserve(d, n);
    if (st == MTS_OK) {
        memcpy(d->text + d->used, text, n);
        d->used += n;
    }
    return st;
}

/* What stands before item `index` (or, closing, before the bracket) at this depth. */
static mts_status append_break(dump_state *d, size_t index, bool closing, int depth)
{
    mts_status st = MTS_OK;
    if (d->indent == 0)
        return closing || index == 0 ? MTS_OK : append(d, ", ");
    MTS_TRY(append(d, closing || index == 0 ? "\n" : ",\n"));
    for (int i = 0; i < d->indent * depth; i++)
        MTS_TRY(append(d, " "));
cleanup:
    return st;
}

/* *same: whether text[n] is read back as exactly value. */
static mts_status read_back(mts_ctx *ctx, const char *text, size_t n, double value, bool *same)
{
    json_error_t error;
    bool failed = false;
    json_t *back = json_memory_parse(text, n, JSON_DECODE_ANY, &error, &failed);
    if (failed)
        return status_set(ctx, MTS_ERR_MEMORY, "out of memory: JSON number");
    *same = json_is_real(back) && json_real_value(back) == value;
    json_decref(back);
    return MTS_OK;
}

/* A real in the fewest of 15..17 digits that are exact. */
static mts_status append_real(dump_state *d, const json_t *value)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = d->ctx;
    char text[REAL_TEXT_BYTES];
    bool exact = false;
    for (size_t digits = 15; !exact; digits++) {
        size_t n =
            json_dumpb(value, text, sizeof text - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits));
        MTS_CHECK(n > 0 && n < sizeof text, MTS_ERR_MEMORY, "out of memory: JSON number");
        text[n] = '\0';
        exact = digits == 17;
        if (!exact)
            MTS_TRY(read_back(ctx, text, n, json_real_value(value), &exact));
    }
    MTS_TRY(append(d, text));
cleanup:
    return st;
}

/* A string, integer, boolean or null. */
static mts_status append_leaf(dump_state *d, const json_t *value)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = d->ctx;
    const size_t flags = JSON_ENCODE_ANY | JSON_ENSURE_ASCII;
    size_t n = json_dumpb(value, NULL, 0, flags);
    MTS_CHECK(n > 0, MTS_ERR_MEMORY, "out of memory: JSON text");
    MTS_TRY(reserve(d, n));
    MTS_CHECK(json_dumpb(value, d->text + d->used, n, flags) == n, MTS_ERR_MEMORY,
              "out of memory: JSON text");
    d->used += n;
cleanup:
    return st;
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* *out: the keys of a non-empty object in the order wanted; free with mem_free. */
static mts_status list_keys(dump_state *d, const json_t *object, const char ***out)
{
    size_t n = json_object_size(object), i = 0;
    mts_status st = mem_calloc(d->ctx, out, n, sizeof **out, "JSON keys");
    if (st != MTS_OK)
        return st;
    json_t *walked = (json_t *)(uintptr_t)object; /* iterators are not const; we only read */
    for (void *it = json_object_iter(walked); it != NULL; it = json_object_iter_next(walked, it))
        (*out)[i++] = json_object_iter_key(it);
    if (d->sorted)
        qsort(*out, n, sizeof **out, compare_keys);
    return MTS_OK;
}

static mts_status append_key(dump_state *d, const char *key)
{
    mts_status st = MTS_OK;
    json_t *text = NULL;
    MTS_TRY(json_util_new_string(d->ctx, "JSON key", key, &text));
    MTS_TRY(append_leaf(d, text));
    MTS_TRY(append(d, ": "));
cleanup:
    json_decref(text);
    return st;
}

static mts_status append_value(dump_state *d, const json_t *value, int depth);

static mts_status append_container(dump_state *d, const json_t *value, int depth)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = d->ctx;
    const char **keys = NULL;
    bool is_object = json_is_object(value);
    size_t n = is_object ? json_object_size(value) : json_array_size(value);
    MTS_CHECK(depth < DUMP_DEPTH_MAX, MTS_ERR_ARGUMENT, "JSON value is nested above %d levels",
              DUMP_DEPTH_MAX);
    MTS_TRY(append(d, is_object ? "{" : "["));
    if (is_object && n > 0)
        MTS_TRY(list_keys(d, value, &keys));
    for (size_t i = 0; i < n; i++) {
        MTS_TRY(append_break(d, i, false, depth + 1));
        if (is_object)
            MTS_TRY(append_key(d, keys[i]));
        MTS_TRY(append_value(
            d, is_object ? json_object_get(value, keys[i]) : json_array_get(value, i), depth + 1));
    }
    if (n > 0)
        MTS_TRY(append_break(d, n, true, depth));
    MTS_TRY(append(d, is_object ? "}" : "]"));
cleanup:
    mem_free((void *)keys);
    return st;
}

static mts_status append_value(dump_state *d, const json_t *value, int depth)
{
    if (json_is_object(value) || json_is_array(value))
        return append_container(d, value, depth);
    return json_is_real(value) ? append_real(d, value) : append_leaf(d, value);
}

mts_status json_util_dump(mts_ctx *ctx, const json_t *value, int indent, bool sorted, char **out)
{
    mts_status st = MTS_OK;
    dump_state d = {.ctx = ctx, .indent = indent, .sorted = sorted};
    *out = NULL;
    MTS_TRY(append_value(&d, value, 0));
    d.text[d.used] = '\0';
    *out = d.text;
    d.text = NULL;
cleanup:
    mem_free(d.text);
    return st;
}

mts_status json_util_save(mts_ctx *ctx, const json_t *value, const char *path)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    file_writer *w = NULL;
    MTS_TRY(json_util_dump(ctx, value, 2, true, &text));
    MTS_TRY(file_writer_open(ctx, path, &w));
    MTS_TRY(file_writer_write(w, text, strlen(text)));
    MTS_TRY(file_writer_write(w, "\n", 1));
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(text);
    return st;
}
