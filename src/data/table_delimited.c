/*
 * TSV and CSV to a table, in place: a field's text moves to the front over quotes that fell away,
 * never past what was read, and its NUL takes the place of the delimiter.  See table_reader.h.
 */
#include <string.h>

#include "data/table_internal.h"

/* Reading position in the text, and where the next cell is written: write <= read. */
typedef struct cursor {
    const char *path;
    char *text;
    size_t size, read, write;
    int64_t line;
} cursor;

/* Read one field.  *begin: its offset (NUL-ended); *last: a line end or the file's end followed. */
typedef mts_status field_fn(mts_ctx *ctx, cursor *c, size_t *begin, bool *last);

/* Step over the delimiter at read (tab or comma, CRLF, LF, or the end) and close the cell. */
static void end_field(cursor *c, bool *last)
{
    *last = true;
    if (c->read < c->size) {
        *last = c->text[c->read] == '\r' || c->text[c->read] == '\n';
        c->read += c->text[c->read] == '\r';
        c->line += *last;
        c->read++;
    }
    c->text[c->write++] = '\0';
}

/* Whether a line end or the end of the file is at position i. */
static bool at_line_end(const cursor *c, size_t i)
{
    return i >= c->size || c->text[i] == '\n' ||
           (c->text[i] == '\r' && i + 1 < c->size && c->text[i + 1] == '\n');
}

static mts_status tsv_field(mts_ctx *ctx, cursor *c, size_t *begin, bool *last)
{
    (void)ctx;
    *begin = c->write;
    while (!at_line_end(c, c->read) && c->text[c->read] != '\t')
        c->text[c->write++] = c->text[c->read++];
    end_field(c, last);
    return MTS_OK;
}

/* The rest of a quoted field, from behind its opening quote to behind its closing one. */
static mts_status csv_quoted(mts_ctx *ctx, cursor *c)
{
    mts_status st = MTS_OK;
    const int64_t first_line = c->line;
    bool closed = false;
    while (c->read < c->size) {
        const char byte = c->text[c->read++];
        closed = byte == '"' && c->text[c->read] != '"';
        if (closed)
            break;
        c->read += byte == '"';
        c->line += byte == '\n';
        c->text[c->write++] = byte;
    }
    MTS_CHECK(closed, MTS_ERR_BAD_FILE, "%s:%lld: expected a closing quote, found the end of file",
              c->path, (long long)first_line);
    MTS_CHECK(at_line_end(c, c->read) || c->text[c->read] == ',', MTS_ERR_BAD_FILE,
              "%s:%lld: expected a comma or a line end after a closing quote, found byte 0x%02x",
              c->path, (long long)c->line, (unsigned)(unsigned char)c->text[c->read]);
cleanup:
    return st;
}

static mts_status csv_field(mts_ctx *ctx, cursor *c, size_t *begin, bool *last)
{
    mts_status st = MTS_OK;
    *begin = c->write;
    if (c->read < c->size && c->text[c->read] == '"') {
        c->read++;
        MTS_TRY(csv_quoted(ctx, c));
    }
    while (!at_line_end(c, c->read) && c->text[c->read] != ',')
        c->text[c->write++] = c->text[c->read++];
    end_field(c, last);
cleanup:
    return st;
}

static mts_status read_header(mts_ctx *ctx, table_builder *b, cursor *c, field_fn *field)
{
    mts_status st = MTS_OK;
    bool last = false;
    while (!last) {
        const int64_t line = c->line;
        size_t begin = 0;
        MTS_TRY(field(ctx, c, &begin, &last));
        MTS_TRY(table_add_column(ctx, b, c->text + begin, c->write - 1 - begin, line));
    }
cleanup:
    return st;
}

/* A row with another number of fields: an error, or left out. */
static mts_status refuse_row(mts_ctx *ctx, table *t, int64_t line, int64_t fields, bool skip)
{
    mts_status st = MTS_OK;
    MTS_CHECK(skip, MTS_ERR_BAD_FILE, "%s:%lld: expected %lld fields, found %lld", t->path,
              (long long)line, (long long)t->n_columns, (long long)fields);
    if (t->skipped++ == 0) {
        t->first_skipped = line;
        t->first_skipped_fields = fields;
    }
cleanup:
    return st;
}

static mts_status read_row(mts_ctx *ctx, table_builder *b, cursor *c, field_fn *field, bool skip)
{
    mts_status st = MTS_OK;
    table *t = b->t;
    const int64_t line = c->line;
    int64_t n = 0;
    table_cell_place *cells = NULL;
    MTS_TRY(table_reserve_row(ctx, b, t->n_columns));
    cells = t->cells + t->rows[t->n_rows];
    for (bool last = false; !last; n++) {
        size_t begin = 0;
        MTS_TRY(field(ctx, c, &begin, &last));
        if (n < t->n_columns)
            cells[n] = (table_cell_place){(int32_t)n, TABLE_FIELD, (int64_t)begin};
    }
    if (n == t->n_columns)
        table_end_row(t, n, line);
    else
        MTS_TRY(refuse_row(ctx, t, line, n, skip));
cleanup:
    return st;
}

/* Step over lines that hold nothing, or where `blanks` nothing but blanks (of CSV, also tabs).
 * Returns whether the end of the file was reached. */
static bool skip_blank_lines(cursor *c, bool blanks, bool tabs)
{
    for (;;) {
        size_t i = c->read;
        while (blanks && i < c->size && (c->text[i] == ' ' || (tabs && c->text[i] == '\t')))
            i++;
        if (!at_line_end(c, i) || i >= c->size) {
            if (i >= c->size)
                c->read = i;
            return i >= c->size;
        }
        c->read = i + (c->text[i] == '\r' ? 2 : 1);
        c->line++;
    }
}

/* Step over what is no row.  Returns whether another row follows. */
static bool find_row(cursor *c, table_format format, int64_t n_columns)
{
    const cursor before = *c;
    if (n_columns > 1 || format == TABLE_CSV)
        return !skip_blank_lines(c, n_columns > 1, format == TABLE_CSV);
    if (skip_blank_lines(c, false, false))
        return false;
    *c = before; /* empty texts, with others behind them */
    return true;
}

mts_status table_parse_delimited(mts_ctx *ctx, table_builder *b, const table_layout *layout)
{
    mts_status st = MTS_OK;
    cursor c = {.path = b->t->path,
                .text = b->text,
                .size = b->size,
                .read = b->start,
                .write = b->start,
                .line = 1};
    field_fn *field = layout->format == TABLE_CSV ? csv_field : tsv_field;
    for (int64_t i = 0; i < layout->n_names && layout->names != NULL; i++)
        MTS_TRY(table_add_column(ctx, b, layout->names[i], strlen(layout->names[i]), 1));
    if (layout->names == NULL)
        MTS_TRY(read_header(ctx, b, &c, field));
    while (find_row(&c, layout->format, b->t->n_columns))
        MTS_TRY(read_row(ctx, b, &c, field, layout->skip_broken));
cleanup:
    return st;
}
