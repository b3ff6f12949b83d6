/*
 * JSON lines to a table.  Values become text: strings as they are, numbers and true/false in JSON's
 * own spelling (a real keeps its point: 1.0 stays "1.0").  See table_reader.h.
 */
#include <stdlib.h>
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

static table_kind kind_of(const json_t *value)
{
    return json_is_string(value)    ? TABLE_STRING
           : json_is_number(value)  ? TABLE_NUMBER
           : json_is_boolean(value) ? TABLE_BOOL
           : json_is_array(value)   ? TABLE_ARRAY
           : json_is_object(value)  ? TABLE_OBJECT
                                    : TABLE_NULL;
}

/* The JSON of an array or object. */
static mts_status append_nested(mts_ctx *ctx, growing_text *g, const json_t *value,
                                table_cell_place *cell)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    MTS_TRY(json_util_dump(ctx, value, 0, false, &text));
    MTS_TRY(append_cell(ctx, g, text, strlen(text), &cell->begin));
cleanup:
    mem_free(text);
    return st;
}

/* *cell: its kind, and where its text is in g. */
static mts_status append_value(mts_ctx *ctx, growing_text *g, const json_t *value, bool nested,
                               table_cell_place *cell)
{
    char number[64] = "";
    const char *text = number;
    size_t n = 0;
    cell->kind = kind_of(value);
    if (nested && (cell->kind == TABLE_ARRAY || cell->kind == TABLE_OBJECT))
        return append_nested(ctx, g, value, cell);
    if (cell->kind > TABLE_BOOL)
        return MTS_OK;
    if (cell->kind == TABLE_STRING) {
        text = json_string_value(value);
        n = json_string_length(value);
    } else {
        /* At most 25 bytes: a sign, 17 digits, a point, an exponent; or an int64; or "false". */
        n = json_dumpb(value, number, sizeof number, JSON_ENCODE_ANY);
    }
    return append_cell(ctx, g, text, n, &cell->begin);
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

/* The columns in the order of their names, to look keys up in. */
typedef struct column_index {
    const char *name;
    int32_t column;
} column_index;

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const column_index *)a)->name, ((const column_index *)b)->name);
}

static int compare_columns(const void *a, const void *b)
{
    return ((const table_cell_place *)a)->column - ((const table_cell_place *)b)->column;
}

/* The keys of the first object are the columns; *index: [n_columns], sorted. */
static mts_status take_columns(mts_ctx *ctx, table_builder *b, json_t *object, int64_t line,
                               column_index **index)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
        MTS_TRY(table_add_column(ctx, b, key, strlen(key), line));
    MTS_CHECK(t->n_columns > 0, MTS_ERR_BAD_FILE, "%s:%lld: expected an object with keys, found {}",
              t->path, (long long)line);
    MTS_TRY(mem_calloc(ctx, index, (size_t)t->n_columns, sizeof **index, "table columns"));
    for (int64_t i = 0; i < t->n_columns; i++)
        (*index)[i] = (column_index){t->names[i], (int32_t)i};
    qsort(*index, (size_t)t->n_columns, sizeof **index, compare_names);
cleanup:
    return st;
}

/* Add one line's object as a row, of those keys that are columns. */
static mts_status add_object(mts_ctx *ctx, table_builder *b, growing_text *g,
                             const column_index *index, json_t *object, int64_t line)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    const char *key = NULL;
    json_t *value = NULL;
    const int64_t keys = (int64_t)json_object_size(object);
    int64_t n = 0;
    bool ordered = true;
    table_cell_place *cells = NULL;
    MTS_TRY(table_reserve_row(ctx, b, keys < t->n_columns ? keys : t->n_columns));
    cells = t->cells + t->rows[t->n_rows];
    json_object_foreach(object, key, value)
    {
        const column_index wanted = {.name = key};
        const column_index *found =
            bsearch(&wanted, index, (size_t)t->n_columns, sizeof *index, compare_names);
        if (found == NULL)
            continue;
        cells[n].column = found->column;
        MTS_TRY(append_value(ctx, g, value, t->nested, &cells[n]));
        ordered = ordered && (n == 0 || cells[n - 1].column < cells[n].column);
        n++;
    }
    if (!ordered)
        qsort(cells, (size_t)n, sizeof cells[0], compare_columns);
    table_end_row(t, n, line);
cleanup:
    return st;
}

mts_status table_parse_jsonl(mts_ctx *ctx, table_builder *b)
{
    mts_status st = MTS_OK;
    json_t *object = NULL;
    column_index *index = NULL;
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
        if (index == NULL)
            MTS_TRY(take_columns(ctx, b, object, line, &index));
        MTS_TRY(add_object(ctx, b, &g, index, object, line));
        json_decref(object);
        object = NULL;
    }
    MTS_CHECK(b->t->n_rows > 0, MTS_ERR_BAD_FILE, "%s:1: expected a JSON object, found none",
              b->t->path);
    b->t->text = g.bytes;
    g.bytes = NULL;

cleanup:
    json_decref(object);
    mem_free(index);
    mem_free(g.bytes);
    return st;
}
