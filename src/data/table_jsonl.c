/*
 * JSON lines to a table.  Values become text: strings as they are, numbers and true/false in JSON's
 * own spelling (a real keeps its point: 1.0 stays "1.0").  See table_reader.h.
 */
#include <string.h>

#include "base/json_memory.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "data/table_internal.h"

/* A growing text: bytes[used] of bytes[capacity]. */
typedef struct growing_text {
    char *bytes;
    size_t used, capacity;
} growing_text;

/* Append n bytes and a NUL; *offset: where they begin. */
static mts_status append_cell(mts_ctx *ctx, growing_text *g, const char *text, size_t n,
                              int64_t *offset)
{
    mts_status st = MTS_OK;
    if (g->capacity - g->used < n + 1) {
        size_t capacity = g->capacity + n + 1;
        capacity += capacity / 2;
        MTS_TRY(mem_grow(ctx, &g->bytes, g->used, capacity, 1, "table text"));
        g->capacity = capacity;
    }
    memcpy(g->bytes + g->used, text, n);
    g->bytes[g->used + n] = '\0';
    *offset = (int64_t)g->used;
    g->used += n + 1;
cleanup:
    return st;
}

/* *cell: offset of the value's text in g, or a table_hole. */
static mts_status append_value(mts_ctx *ctx, growing_text *g, const json_t *value, int64_t *cell)
{
    char number[64] = "";
    const char *text = number;
    size_t n = 0;
    if (value == NULL || json_is_null(value) || json_is_array(value) || json_is_object(value)) {
        *cell = value == NULL          ? TABLE_HOLE_MISSING
                : json_is_null(value)  ? TABLE_HOLE_NULL
                : json_is_array(value) ? TABLE_HOLE_ARRAY
                                       : TABLE_HOLE_OBJECT;
        return MTS_OK;
    }
    if (json_is_string(value)) {
        text = json_string_value(value);
        n = json_string_length(value);
    } else {
        /* At most 25 bytes: a sign, 17 digits, a point, an exponent; or an int64; or "false". */
        n = json_dumpb(value, number, sizeof number, JSON_ENCODE_ANY);
    }
    return append_cell(ctx, g, text, n, cell);
}

/* *out: the object on one line; freed by json_decref. */
static mts_status parse_line(mts_ctx *ctx, const table *t, const char *text, size_t n, int64_t line,
                             json_t **out)
{
    mts_status st = MTS_OK;
    json_error_t error;
    bool no_memory = false;
    char quoted[UTF8_QUOTE_BYTES];
    *out = json_memory_parse(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error, &no_memory);
    MTS_CHECK(!no_memory, MTS_ERR_MEMORY, "%s:%lld: out of memory: parsing JSON needs more",
              t->path, (long long)line);
    MTS_CHECK(*out != NULL || text[strspn(text, " \t")] != '[', MTS_ERR_BAD_FILE,
              "%s:%lld: expected a JSON object on each line, found the beginning of an array",
              t->path, (long long)line);
    MTS_CHECK(*out != NULL, MTS_ERR_BAD_FILE,
              "%s:%lld: expected a JSON object on one line, found an error at byte %d: %s", t->path,
              (long long)line, error.position, utf8_quote(quoted, sizeof quoted, error.text));
    MTS_CHECK(json_is_object(*out), MTS_ERR_BAD_FILE, "%s:%lld: expected a JSON object, found %s",
              t->path, (long long)line, json_util_type_name(*out));
cleanup:
    return st;
}

/* Add one line's object as a row; the first one also gives the columns. */
static mts_status add_object(mts_ctx *ctx, table_builder *b, growing_text *g, json_t *object,
                             int64_t line)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    const char *key = NULL;
    json_t *value = NULL;
    int64_t *cells = NULL;
    if (t->n_rows == 0) {
        json_object_foreach(object, key, value)
            MTS_TRY(table_add_column(ctx, b, key, strlen(key), line));
        MTS_CHECK(t->n_columns > 0, MTS_ERR_BAD_FILE,
                  "%s:%lld: expected an object with keys, found {}", t->path, (long long)line);
    }
    MTS_TRY(table_reserve_row(ctx, b));
    cells = t->cells + t->n_rows * t->n_columns;
    for (int64_t i = 0; i < t->n_columns; i++)
        MTS_TRY(append_value(ctx, g, json_object_get(object, t->names[i]), &cells[i]));
    t->lines[t->n_rows++] = line;
cleanup:
    return st;
}

mts_status table_parse_jsonl(mts_ctx *ctx, table_builder *b)
{
    mts_status st = MTS_OK;
    json_t *object = NULL;
    growing_text g = {0};
    int64_t line = 0;
    for (size_t next = 0, at = b->start; at < b->size; at = next) {
        const char *text = b->text + at;
        const char *end = memchr(text, '\n', b->size - at);
        const size_t n = end == NULL ? b->size - at : (size_t)(end - text);
        next = at + n + 1;
        line++;
        if (strspn(text, " \t\r") >= n)
            continue;
        MTS_TRY(parse_line(ctx, b->t, text, n, line, &object));
        MTS_TRY(add_object(ctx, b, &g, object, line));
        json_decref(object);
        object = NULL;
    }
    MTS_CHECK(b->t->n_rows > 0, MTS_ERR_BAD_FILE, "%s:1: expected a JSON object, found none",
              b->t->path);
    b->t->text = g.bytes;
    g.bytes = NULL;

cleanup:
    json_decref(object);
    mem_free(g.bytes);
    return st;
}
