/* Tables from files: what the formats have in common.  See table_reader.h. */
#include "data/table_reader.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "data/table_internal.h"

mts_status table_format_of_path(mts_ctx *ctx, const char *path, table_format *out)
{
    static const struct {
        const char *end;
        table_format format;
    } known[] = {
        {".tsv", TABLE_TSV}, {".csv", TABLE_CSV}, {".jsonl", TABLE_JSONL}, {".json", TABLE_JSONL}};
    const size_t n = strlen(path);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        const size_t m = strlen(known[i].end);
        if (n > m && strcasecmp(path + n - m, known[i].end) == 0) {
            *out = known[i].format;
            return MTS_OK;
        }
    }
    return status_set(ctx, MTS_ERR_ARGUMENT,
                      "%s: expected a data file ending in .csv, .tsv, .jsonl or .json", path);
}

/* The whole text is UTF-8 without NUL. */
static mts_status check_text(mts_ctx *ctx, const table_builder *b)
{
    const char *nul = memchr(b->text, '\0', b->size);
    size_t bad = b->size;
    int64_t line = 1;
    if (nul != NULL)
        bad = (size_t)(nul - b->text);
    else if (utf8_is_valid(b->text, b->size, &bad))
        return MTS_OK;
    for (size_t i = 0; i < bad; i++)
        line += b->text[i] == '\n';
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s:%lld: expected UTF-8 text, found byte 0x%02x",
                      b->t->path, (long long)line, (unsigned)(unsigned char)b->text[bad]);
}

mts_status table_parse(mts_ctx *ctx, table *out, const char *path, char **bytes, size_t n,
                       const table_layout *layout)
{
    mts_status st = MTS_OK;
    table_builder b = {.t = out, .text = *bytes, .size = n};
    *bytes = NULL;
    *out = (table){0};
    b.text[n] = '\0';
    MTS_TRY(mem_strdup(ctx, &out->path, path));
    MTS_TRY(check_text(ctx, &b));
    if (n >= 3 && memcmp(b.text, "\xef\xbb\xbf", 3) == 0)
        b.start = 3;
    MTS_CHECK(b.start < n, MTS_ERR_BAD_FILE, "%s:1: expected %s, found an empty file", path,
              layout->format == TABLE_JSONL ? "a JSON object"
              : layout->names != NULL       ? "a row"
                                            : "a header line");
    out->nested = layout->nested;
    if (layout->format == TABLE_JSONL) {
        MTS_TRY(table_parse_jsonl(ctx, &b));
    } else {
        MTS_TRY(table_parse_delimited(ctx, &b, layout));
        out->text = b.text;
        b.text = NULL;
    }
    MTS_CHECK(out->n_rows > 0 || out->skipped == 0, MTS_ERR_BAD_FILE,
              "%s:%lld: expected %lld fields, found %lld", path, (long long)out->first_skipped,
              (long long)out->n_columns, (long long)out->first_skipped_fields);

cleanup:
    mem_free(b.text);
    return st;
}

void table_deinit(table *t)
{
    if (t == NULL)
        return;
    for (int64_t i = 0; i < t->n_columns && t->names != NULL; i++)
        mem_free(t->names[i]);
    mem_free(t->names);
    mem_free(t->path);
    mem_free(t->rows);
    mem_free(t->cells);
    mem_free(t->lines);
    mem_free(t->text);
    *t = (table){0};
}

mts_status table_add_column(mts_ctx *ctx, table_builder *b, const char *name, size_t n,
                            int64_t line)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    char quoted[UTF8_QUOTE_BYTES];
    int64_t first = -1;
    if (t->names == NULL)
        MTS_TRY(mem_calloc(ctx, &t->names, TABLE_MAX_COLUMNS, sizeof(char *), "column names"));
    MTS_CHECK(t->n_columns < TABLE_MAX_COLUMNS, MTS_ERR_BAD_FILE,
              "%s:%lld: expected at most %d columns, found more", t->path, (long long)line,
              TABLE_MAX_COLUMNS);
    MTS_TRY(mem_strndup(ctx, &t->names[t->n_columns], name, n));
    first = table_column_index(t, t->names[t->n_columns]);
    t->n_columns++;
    MTS_CHECK(first < 0, MTS_ERR_BAD_FILE,
              "%s:%lld: expected different column names, found \"%s\" as column %lld and %lld",
              t->path, (long long)line,
              utf8_quote(quoted, sizeof quoted, t->names[t->n_columns - 1]), (long long)first + 1,
              (long long)t->n_columns);
cleanup:
    return st;
}

static mts_status reserve_cells(mts_ctx *ctx, table_builder *b, int64_t cells)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    const int64_t used = t->rows[t->n_rows], fresh = used + cells + used / 2 + 256;
    if (b->cell_capacity - used >= cells)
        return MTS_OK;
    MTS_TRY(
        mem_grow(ctx, &t->cells, (size_t)used, (size_t)fresh, sizeof t->cells[0], "table cells"));
    b->cell_capacity = fresh;
cleanup:
    return st;
}

mts_status table_reserve_row(mts_ctx *ctx, table_builder *b, int64_t cells)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    const size_t old = (size_t)b->row_capacity, fresh = old == 0 ? 256 : old * 2;
    if (t->n_rows >= b->row_capacity) {
        MTS_TRY(mem_grow(ctx, &t->rows, old == 0 ? 0 : old + 1, fresh + 1, sizeof t->rows[0],
                         "table rows"));
        MTS_TRY(mem_grow(ctx, &t->lines, old, fresh, sizeof t->lines[0], "table lines"));
        b->row_capacity = (int64_t)fresh;
    }
    MTS_TRY(reserve_cells(ctx, b, cells));
cleanup:
    return st;
}

void table_end_row(table *t, int64_t cells, int64_t line)
{
    t->lines[t->n_rows] = line;
    t->rows[t->n_rows + 1] = t->rows[t->n_rows] + cells;
    t->n_rows++;
}

int64_t table_column_index(const table *t, const char *name)
{
    for (int64_t i = 0; i < t->n_columns; i++) {
        if (strcmp(t->names[i], name) == 0)
            return i;
    }
    return -1;
}

mts_status table_find_column(mts_ctx *ctx, const table *t, const char *name, int64_t *column)
{
    char list[400] = "";
    char quoted[UTF8_QUOTE_BYTES];
    size_t used = 0;
    *column = table_column_index(t, name);
    if (*column >= 0)
        return MTS_OK;
    for (int64_t i = 0; i < t->n_columns && used + UTF8_QUOTE_BYTES + 8 < sizeof list; i++) {
        const int n = snprintf(list + used, sizeof list - used, "%s\"%s\"", i == 0 ? "" : ", ",
                               utf8_quote(quoted, sizeof quoted, t->names[i]));
        used += (size_t)n;
    }
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s: expected a column \"%s\", found the columns %s",
                      t->path, utf8_quote(quoted, sizeof quoted, name), list);
}

/* The cell, or NULL. */
static const table_cell_place *find_cell(const table *t, int64_t row, int64_t column)
{
    int64_t low = t->rows[row], high = t->rows[row + 1];
    if (high - low == t->n_columns) /* all are there */
        return &t->cells[low + column];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (t->cells[middle].column < column)
            low = middle + 1;
        else
            high = middle;
    }
    return low < t->rows[row + 1] && t->cells[low].column == column ? &t->cells[low] : NULL;
}

table_kind table_cell_kind(const table *t, int64_t row, int64_t column)
{
    const table_cell_place *cell = find_cell(t, row, column);
    return cell == NULL ? TABLE_MISSING : cell->kind;
}

mts_status table_cell(mts_ctx *ctx, const table *t, int64_t row, int64_t column, const char **text)
{
    const table_cell_place *cell = find_cell(t, row, column);
    const table_kind kind = cell == NULL ? TABLE_MISSING : cell->kind;
    char quoted[UTF8_QUOTE_BYTES];
    const char *found = kind == TABLE_NULL     ? "null"
                        : kind == TABLE_ARRAY  ? "an array"
                        : kind == TABLE_OBJECT ? "an object"
                                               : "no such key";
    if (kind <= TABLE_BOOL) {
        *text = t->text + cell->begin;
        return MTS_OK;
    }
    return status_set(ctx, MTS_ERR_BAD_FILE,
                      "%s:%lld: \"%s\": expected a string, a number, true or false, found %s",
                      t->path, (long long)t->lines[row],
                      utf8_quote(quoted, sizeof quoted, t->names[column]), found);
}

const char *table_nested(const table *t, int64_t row, int64_t column)
{
    const table_cell_place *cell = find_cell(t, row, column);
    const bool nested =
        t->nested && cell != NULL && (cell->kind == TABLE_ARRAY || cell->kind == TABLE_OBJECT);
    return nested ? t->text + cell->begin : NULL;
}
