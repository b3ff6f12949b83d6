/* Shared by table_reader.c and the parsers of its formats. */
#ifndef MTS_DATA_TABLE_INTERNAL_H
#define MTS_DATA_TABLE_INTERNAL_H

#include "data/table_reader.h"

/* A table under construction, and the text it is made from. */
typedef struct table_builder {
    table *t;
    char *text; /* text[size], then a NUL; borrowed from table_parse */
    size_t size;
    size_t start;                        /* where the content begins: behind a byte-order mark */
    int64_t row_capacity, cell_capacity; /* that rows and lines, and cells, have room for */
} table_builder;

/* Append a column name (n bytes, copied).  MTS_ERR_BAD_FILE: a name twice, or too many. */
MTS_NODISCARD mts_status table_add_column(mts_ctx *ctx, table_builder *b, const char *name,
                                          size_t n, int64_t line);

/* Make room for one more row with up to `cells` cells: they are then at t->cells +
 * t->rows[t->n_rows]. */
MTS_NODISCARD mts_status table_reserve_row(mts_ctx *ctx, table_builder *b, int64_t cells);

/* The row for which room was made is complete: it has so many cells and begins at that line. */
void table_end_row(table *t, int64_t cells, int64_t line);

/* Fill the table from the text, in place: t->text stays NULL, cells are offsets into b->text. */
MTS_NODISCARD mts_status table_parse_delimited(mts_ctx *ctx, table_builder *b,
                                               const table_layout *layout);

/* Fill the table from the text; t->text is a new allocation. */
MTS_NODISCARD mts_status table_parse_jsonl(mts_ctx *ctx, table_builder *b);

#endif
