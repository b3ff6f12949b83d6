/*
 * Tables from files: rows and named columns of text, from TSV, CSV and JSON lines.
 *
 * Path: file -> table_parse -> a task (choice of columns, labels) -> dataset.
 *
 *   TSV    The rules of the GLUE files: a row is a line (LF or CRLF), a field ends at a tab, a
 *          quote is an ordinary character, nothing is escaped.  The first line is the header unless
 *          names of columns are given.
 *   CSV    [RFC 4180] with a header line: a field in double quotes may hold commas, line ends and
 *          doubled quotes; a quote inside an unquoted field is an ordinary character.
 *   JSONL  One JSON object on each line [RFC 8259], duplicate keys refused.  The columns are the
 *          keys of the first object; a later row may lack some, and keys that the first row lacks
 *          are ignored.
 *   all    UTF-8 without NUL; a byte-order mark at the start is skipped.
 *
 * Blank lines are no rows.  But in a TSV or CSV file of one column a line of blanks is a text, and
 * in such a TSV file an empty line is one too, unless only such lines follow.
 *
 * A row of a TSV or CSV file with another number of fields than the header is an error, or is left
 * out and counted where the caller asks for that (skip_broken).
 *
 * Does not interpret values: that is for tasks.
 */
#ifndef MTS_DATA_TABLE_READER_H
#define MTS_DATA_TABLE_READER_H

#include "base/status.h"

#define TABLE_MAX_COLUMNS 1024

typedef enum table_format {
    TABLE_TSV,
    TABLE_CSV,
    TABLE_JSONL,
} table_format;

/* What a cell is.  Those up to TABLE_BOOL have a text; arrays and objects where the layout says. */
typedef enum table_kind {
    TABLE_FIELD,  /* of a TSV or CSV file: whatever its text says */
    TABLE_STRING, /* of JSON; likewise below */
    TABLE_NUMBER, /* in JSON's spelling; a real keeps its point: 1.0 stays "1.0" */
    TABLE_BOOL,   /* "true" or "false" */
    TABLE_NULL,
    TABLE_ARRAY,
    TABLE_OBJECT,
    TABLE_MISSING, /* the row has no such key */
} table_kind;

/* One cell of a row. */
typedef struct table_cell_place {
    int32_t column;
    table_kind kind;
    int64_t begin; /* offset of its text, if it has one */
} table_cell_place;

/* How a file is to be read. */
typedef struct table_layout {
    table_format format;
    const char *const *names; /* names[n_names] of the columns of a TSV file without header; NULL:
                                 the file has one */
    int64_t n_names;
    bool skip_broken; /* leave out rows with a wrong number of fields */
    bool nested;      /* JSONL: an array or object has its JSON for a text */
} table_layout;

/* Owns everything in it; freed by table_deinit.  A row costs what it holds: cells that it lacks
 * take no memory. */
typedef struct table {
    char *path; /* for error texts */
    int64_t n_columns;
    char **names; /* names[n_columns], no two alike */
    int64_t n_rows;
    int64_t *rows;           /* rows[n_rows + 1]: where the cells of each begin; NULL: no rows */
    table_cell_place *cells; /* cells[rows[n_rows]], of each row by ascending column */
    int64_t *lines;          /* lines[n_rows]: line at which the row begins, from 1 */
    char *text;              /* the cells, each ended by NUL */
    bool nested;             /* as the layout said */
    int64_t skipped;         /* rows left out, the first of them at line first_skipped, */
    int64_t first_skipped, first_skipped_fields; /* with so many fields */
} table;

/*
 * Format of a file by the end of its name: .tsv; .csv; .jsonl or .json; any case.
 * MTS_ERR_ARGUMENT for any other.
 */
MTS_NODISCARD mts_status table_format_of_path(mts_ctx *ctx, const char *path, table_format *out);

/*
 * *out: the table in the n bytes at *bytes.
 *
 * path      named in error texts; copied.
 * bytes     allocated by base/memory.h, with room for n + 1 bytes; changed, and taken over by *out:
 *           *bytes is NULL afterwards, also on failure.
 * out       deinit is safe after failure.
 * Status: MTS_ERR_BAD_FILE (the text is path:line, expected, found; also where rows were left out
 * and none is left), MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status table_parse(mts_ctx *ctx, table *out, const char *path, char **bytes,
                                     size_t n, const table_layout *layout);

void table_deinit(table *t);

/* *column: index of a column by name.  MTS_ERR_BAD_FILE: the text lists the columns there are. */
MTS_NODISCARD mts_status table_find_column(mts_ctx *ctx, const table *t, const char *name,
                                           int64_t *column);

/* Index of a column, or -1. */
int64_t table_column_index(const table *t, const char *name);

/* What is in a cell. */
table_kind table_cell_kind(const table *t, int64_t row, int64_t column);

/* *text: the cell, owned by the table.  MTS_ERR_BAD_FILE where it has no text. */
MTS_NODISCARD mts_status table_cell(mts_ctx *ctx, const table *t, int64_t row, int64_t column,
                                    const char **text);

/* The JSON of a cell that is an array or object, where the layout said `nested`; else NULL. */
const char *table_nested(const table *t, int64_t row, int64_t column);

#endif
