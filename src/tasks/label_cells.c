/* Cells that hold sets of labels.  See label_cells.h. */
#include "tasks/label_cells.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_memory.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

/* Bytes of an int64_t in decimal, with sign and NUL. */
enum { INTEGER_BYTES = 24 };

static const char blanks[] = " \t\n\v\f\r";

bool label_cells_hold_sets(const table *t, int64_t column, const char *separator)
{
    return separator != NULL || (t->n_rows > 0 && table_cell_kind(t, 0, column) == TABLE_ARRAY);
}

/* ----------------------------------------------------------------------------- one cell ---- */

/* One cell and who visits its labels. */
typedef struct cell_visit {
    const table *rows;
    int64_t row, column;
    label_visit_fn *visit;
    void *user;
} cell_visit;

/* MTS_ERR_BAD_FILE: "path:line: "column": expected ..., found ...". */
static mts_status refuse(mts_ctx *ctx, const cell_visit *v, const char *expected, const char *found)
{
    char name[UTF8_QUOTE_BYTES];
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s:%lld: \"%s\": expected %s, found %s",
                      v->rows->path, (long long)v->rows->lines[v->row],
                      utf8_quote(name, sizeof name, v->rows->names[v->column]), expected, found);
}

static mts_status visit_value(mts_ctx *ctx, const cell_visit *v, const json_t *value)
{
    mts_status st = MTS_OK;
    char number[INTEGER_BYTES];
    const char *text = json_string_value(value);
    if (json_is_integer(value)) {
        snprintf(number, sizeof number, "%" PRId64, (int64_t)json_integer_value(value));
        return v->visit(ctx, v->user, number, true);
    }
    if (text == NULL)
        return refuse(ctx, v, "labels that are strings or integers", json_util_type_name(value));
    if (text[strspn(text, blanks)] == '\0')
        return refuse(ctx, v, "labels", "an empty one");
    MTS_TRY(v->visit(ctx, v->user, text, false));
cleanup:
    return st;
}

static mts_status visit_array(mts_ctx *ctx, const cell_visit *v, const char *text)
{
    mts_status st = MTS_OK;
    json_error_t error;
    bool no_memory = false;
    json_t *array = json_memory_parse(text, strlen(text), 0, &error, &no_memory);
    MTS_CHECK(json_is_array(array), MTS_ERR_MEMORY, "out of memory: labels"); /* it was parsed */
    for (size_t i = 0; i < json_array_size(array); i++)
        MTS_TRY(visit_value(ctx, v, json_array_get(array, i)));
cleanup:
    json_decref(array);
    return st;
}

/* One label between separators: text[n]. */
static mts_status visit_part(mts_ctx *ctx, const cell_visit *v, const char *text, size_t n)
{
    mts_status st = MTS_OK;
    char *label = NULL;
    int64_t integer;
    while (n > 0 && strchr(blanks, *text) != NULL) {
        text++;
        n--;
    }
    while (n > 0 && strchr(blanks, text[n - 1]) != NULL)
        n--;
    if (n == 0)
        return refuse(ctx, v, "labels between the separators", "an empty one");
    MTS_TRY(mem_strndup(ctx, &label, text, n));
    MTS_TRY(v->visit(ctx, v->user, label, label_integer(label, &integer)));
cleanup:
    mem_free(label);
    return st;
}

static mts_status visit_parts(mts_ctx *ctx, const cell_visit *v, const char *text,
                              const char *separator)
{
    mts_status st = MTS_OK;
    if (text[strspn(text, blanks)] == '\0')
        return MTS_OK;
    for (const char *end; text != NULL; text = end == NULL ? NULL : end + strlen(separator)) {
        end = strstr(text, separator);
        MTS_TRY(visit_part(ctx, v, text, end == NULL ? strlen(text) : (size_t)(end - text)));
    }
cleanup:
    return st;
}

mts_status label_cell_visit(mts_ctx *ctx, const table *t, int64_t row, int64_t column,
                            const char *separator, label_visit_fn *visit, void *user)
{
    static const char *const kinds[] = {
        "text (--label_separator is not given)",
        "a string (--label_separator is not given)",
        "a number",
        "true or false",
        "null",
        "an array",
        "an object",
        "no such key",
    };
    const cell_visit v = {t, row, column, visit, user};
    const table_kind kind = table_cell_kind(t, row, column);
    const char *array = kind == TABLE_ARRAY ? table_nested(t, row, column) : NULL;
    const char *text = NULL;
    if (array != NULL)
        return visit_array(ctx, &v, array);
    if (separator == NULL || kind > TABLE_NUMBER)
        return refuse(ctx, &v, "an array of labels", kinds[kind]);
    const mts_status st = table_cell(ctx, t, row, column, &text);
    return st != MTS_OK ? st : visit_parts(ctx, &v, text, separator);
}

/* ---------------------------------------------------------------------------- all cells ---- */

/* Labels while they are collected: names[n], some of them more than once. */
typedef struct collection {
    const table *rows;
    int64_t row, column;
    char **names;
    int64_t n, room;
    int64_t text_row, number_row; /* the first with such a label; -1: none */
    bool arrays;                  /* the cells are, all of them */
} collection;

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Each label once. */
static mts_status compact(mts_ctx *ctx, collection *c)
{
    mts_status st = MTS_OK;
    int64_t kept = 0;
    if (c->n > 0)
        qsort(c->names, (size_t)c->n, sizeof c->names[0], compare_names);
    for (int64_t i = 0; i < c->n; i++) {
        if (kept > 0 && strcmp(c->names[kept - 1], c->names[i]) == 0)
            mem_free(c->names[i]);
        else
            c->names[kept++] = c->names[i];
    }
    c->n = kept;
    MTS_CHECK(kept <= LABEL_SET_MAX, MTS_ERR_BAD_FILE,
              "%s: expected at most %d different labels, found more", c->rows->path, LABEL_SET_MAX);
cleanup:
    return st;
}

/* The array is sorted each time that it is full, so that repeated labels take no memory. */
static mts_status collect_label(mts_ctx *ctx, void *user, const char *label, bool number)
{
    mts_status st = MTS_OK;
    collection *c = user;
    int64_t *first = number ? &c->number_row : &c->text_row;
    if (*first < 0)
        *first = c->row;
    if (c->n == c->room) {
        MTS_TRY(compact(ctx, c));
        const int64_t room = 4 * c->n + 256;
        if (room > c->room) {
            MTS_TRY(
                mem_grow(ctx, &c->names, (size_t)c->n, (size_t)room, sizeof c->names[0], "labels"));
            c->room = room;
        }
    }
    MTS_TRY(mem_strdup(ctx, &c->names[c->n], label));
    c->n++;
cleanup:
    return st;
}

static int compare_integers(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Labels that are all integers: by value, in their usual spelling. */
static mts_status order_integers(mts_ctx *ctx, collection *c)
{
    mts_status st = MTS_OK;
    int64_t *values = NULL, kept = 0;
    const int64_t n = c->n;
    MTS_TRY(mem_calloc(ctx, &values, (size_t)n, sizeof values[0], "labels"));
    for (int64_t i = 0; i < n; i++) {
        (void)label_integer(c->names[i], &values[i]);
        mem_free(c->names[i]);
        c->names[i] = NULL;
    }
    c->n = 0;
    qsort(values, (size_t)n, sizeof values[0], compare_integers);
    for (int64_t i = 0; i < n; i++)
        if (i == 0 || values[i] != values[i - 1])
            values[kept++] = values[i];
    for (; c->n < kept; c->n++) {
        char name[INTEGER_BYTES];
        snprintf(name, sizeof name, "%" PRId64, values[c->n]);
        MTS_TRY(mem_strdup(ctx, &c->names[c->n], name));
    }
cleanup:
    mem_free(values);
    return st;
}

/* Strings of JSON are no numbers: beside these they are a mistake. */
static mts_status check_mixture(mts_ctx *ctx, const collection *c)
{
    char found[96];
    if (c->text_row < 0 || c->number_row < 0 || !c->arrays)
        return MTS_OK;
    const int64_t later = c->text_row > c->number_row ? c->text_row : c->number_row;
    const int64_t sooner = c->text_row > c->number_row ? c->number_row : c->text_row;
    snprintf(found, sizeof found, "one of the other kind in line %lld",
             (long long)c->rows->lines[sooner]);
    return refuse(ctx, &(cell_visit){.rows = c->rows, .row = later, .column = c->column},
                  "labels that are all strings or all integers", found);
}

mts_status label_cells_collect(mts_ctx *ctx, label_set *out, const table *t, int64_t column,
                               const char *separator)
{
    mts_status st = MTS_OK;
    char name[UTF8_QUOTE_BYTES], found[UTF8_QUOTE_BYTES];
    collection c = {
        .rows = t, .column = column, .text_row = -1, .number_row = -1, .arrays = separator == NULL};
    *out = (label_set){.twin_a = -1, .twin_b = -1};
    for (c.row = 0; c.row < t->n_rows; c.row++)
        MTS_TRY(label_cell_visit(ctx, t, c.row, column, separator, collect_label, &c));
    MTS_TRY(compact(ctx, &c));
    MTS_TRY(check_mixture(ctx, &c));
    if (c.text_row < 0 && c.n > 0)
        MTS_TRY(order_integers(ctx, &c));
    MTS_CHECK(c.n >= 2, MTS_ERR_BAD_FILE,
              "%s: \"%s\": expected at least two different labels, found only \"%s\"", t->path,
              utf8_quote(name, sizeof name, t->names[column]),
              utf8_quote(found, sizeof found, c.n == 0 ? "" : c.names[0]));
cleanup:
    out->names = c.names;
    out->n = c.n;
    return st;
}
