/* Shared by table_reader.c and the parsers of its formats. */
#ifndef MTS_DATA_TABLE_INTERNAL_H
#define MTS_DATA_TABLE_INTERNAL_H

#include "data/table_reader.h"

/* A table under construction, and the text it is made from. */
typedef struct table_builder {
    table *t;
    char *text; /* text[size], then a NUL; borrowed from table_parse */
    size_t size;
    size_t start;         /* where the content begins: behind a byte-order mark */
    int64_t row_capacity; /* rows that cells and lines have room for */
} table_builder;

/* Append a column name (n bytes, copied).  MTS_ERR_BAD_FILE: a name twice, or too many. */
MTS_NODISCARD mts_status table_add_column(mts_ctx *ctx, table_builder *b, const char *name,
                                          size_t n, int64_t line);

/* Make room for one more row; its cells are then at t->cells + t->n_rows * t->n_columns. */
MTS_NODISCARD mts_status table_reserve_row(mts_ctx *ctx, table_builder *b);

/* Fill the table from the text, in place: t->text stays NULL, cells are offsets into b->text. */
MTS_NODISCARD mts_status table_parse_delimited(mts_ctx *ctx, table_builder *b, table_format format,
                                               const char *const *names, int64_t n_names);

/* Fill the table from the text; t->text is a new allocation. */
MTS_NODISCARD mts_status table_parse_jsonl(mts_ctx *ctx, table_builder *b);

#endif
