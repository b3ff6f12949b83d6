/*
 * Tables from files: rows and named columns of text, from TSV, CSV and JSON lines.
 *
 * Path: file -> table_reader -> task_load (labels, choice of columns) -> dataset.
 * Formats:
 *   TSV    the rules of the GLUE files: a row is a line (LF or CRLF), a field ends at a tab, a
 * quote is an ordinary character, nothing is escaped.  The first line is the header unless column
 * names are given. CSV    [RFC 4180] with a header line: a field in double quotes may hold commas,
 * line ends and doubled quotes; a quote inside an unquoted field is an ordinary character; empty
 * lines are skipped. JSONL  one JSON object per line [RFC 8259], duplicate keys refused; empty
 * lines are skipped. The columns are the keys of the first object; a key that a later row lacks is
 * a hole, a key that the first row lacks is ignored. All: UTF-8 without NUL, a byte-order mark at
 * the start is skipped.  Every row of a TSV or CSV file must have as many fields as the header: a
 * malformed row is an error, never dropped. Does not interpret values: see label_set and task_load.
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

/* A cell of a JSONL table without a text; as an offset in table.cells. */
typedef enum table_hole {
    TABLE_HOLE_MISSING = -1,
    TABLE_HOLE_NULL = -2,
    TABLE_HOLE_ARRAY = -3,
    TABLE_HOLE_OBJECT = -4,
} table_hole;

/* Owns everything in it; freed by table_deinit. */
typedef struct table {
    char *path; /* for error texts */
    int64_t n_columns;
    char **names; /* names[n_columns], no two alike */
    int64_t n_rows;
    int64_t *cells; /* cells[n_rows][n_columns]: offset into text, or a table_hole */
    int64_t *lines; /* lines[n_rows]: line at which the row begins, from 1 */
    char *text;     /* the cells, each ended by NUL */
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
 * names     names[n_names] of the columns of a TSV file without header; NULL: the file has one.
 * out       deinit is safe after failure.
 * Status: MTS_ERR_BAD_FILE (the text is path:line, expected, found), MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status table_parse(mts_ctx *ctx, table *out, const char *path, char **bytes,
                                     size_t n, table_format format, const char *const *names,
                                     int64_t n_names);

void table_deinit(table *t);

/* *column: index of a column by name.  MTS_ERR_BAD_FILE: the text lists the columns there are. */
MTS_NODISCARD mts_status table_find_column(mts_ctx *ctx, const table *t, const char *name,
                                           int64_t *column);

/* Index of a column, or -1. */
int64_t table_column_index(const table *t, const char *name);

/* *text: the cell, owned by the table.  MTS_ERR_BAD_FILE for a hole. */
MTS_NODISCARD mts_status table_cell(mts_ctx *ctx, const table *t, int64_t row, int64_t column,
                                    const char **text);

#endif
