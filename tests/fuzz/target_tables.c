/*
 * data/table_reader: any bytes of a .tsv, .csv or .jsonl file give a sound table, or an error of
 * one line that begins with the file's name.
 * Input: the format (t, c, j; n: a .tsv without header) and the bytes of the file.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/memory.h"
#include "tasks/label_set.h"
#include "data/table_reader.h"

static void require_error(mts_status st)
{
    FUZZ_REQUIRE(st == MTS_ERR_BAD_FILE);
    FUZZ_REQUIRE(strncmp(fuzz_ctx.error, "f:", 2) == 0);
    fuzz_require_refusal(st);
}

/* Cells are texts inside the table's text, or errors. */
static void require_sound(const table *t, size_t size)
{
    size_t bytes = 0;
    FUZZ_REQUIRE(t->n_columns >= 1 && t->n_columns <= TABLE_MAX_COLUMNS);
    for (int64_t i = 0; i < t->n_columns; i++)
        FUZZ_REQUIRE(table_column_index(t, t->names[i]) == i);
    for (int64_t row = 0; row < t->n_rows; row++) {
        FUZZ_REQUIRE(t->lines[row] > (row == 0 ? 0 : t->lines[row - 1]));
        for (int64_t i = 0; i < t->n_columns; i++) {
            const char *cell = NULL;
            const mts_status st = table_cell(&fuzz_ctx, t, row, i, &cell);
            if (st == MTS_OK)
                bytes += strlen(cell);
            else
                require_error(st);
        }
    }
    /* Numbers of JSON may be written longer than they were: at most 25 bytes for one. */
    FUZZ_REQUIRE(bytes <= 26 * size);
}

/* Any column may be taken for labels; see target_labels.c. */
static void survey_labels(const table *t)
{
    label_set labels = {0};
    for (int64_t column = 0; column < t->n_columns; column++) {
        const mts_status st = label_set_collect(&fuzz_ctx, &labels, t, column, column % 2 == 1);
        if (st != MTS_OK)
            require_error(st);
        else
            FUZZ_REQUIRE(labels.regression ? labels.n == 0 : labels.n >= 2);
        label_set_deinit(&labels);
    }
}

static bool run(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x", "y"};
    static const char letters[] = "tcjn";
    table t = {0};
    char *bytes = NULL;
    if (size < 1)
        return false;
    const char *letter = memchr(letters, data[0], sizeof letters - 1);
    const size_t choice = letter == NULL ? data[0] % 4U : (size_t)(letter - letters);
    const table_format format = choice == 3 ? TABLE_TSV : (table_format)choice;
    FUZZ_REQUIRE(mem_strndup(&fuzz_ctx, &bytes, (const char *)data + 1, size - 1) == MTS_OK);
    const mts_status st =
        table_parse(&fuzz_ctx, &t, "f", &bytes, size - 1, format, choice == 3 ? names : NULL, 2);
    FUZZ_REQUIRE(bytes == NULL);
    if (st == MTS_OK) {
        require_sound(&t, size);
        survey_labels(&t);
    } else {
        require_error(st);
    }
    table_deinit(&t);
    return st == MTS_OK;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("tsentence\tlabel\nit 's \"good\t1\n\tx\r\n"),
    FUZZ_BYTES("ctext,label\r\n\"a \"\"b\"\"\n c\",1\r\n,\"\"\r\n\nz,2.5\n"),
    FUZZ_BYTES("j{\"text\":\"a\\u00e9\\n\",\"label\":1.5}\n\n{\"label\":true,\"text\":null,\"z\":["
               "1,{}]}\n"),
    FUZZ_BYTES("j{\"a\":\"\xc3\xa9\",\"b\":-1e-5,\"c\":9223372036854775807}\n"
               "{\"a\":\"nan\",\"b\":2,\"c\":0}"),
    FUZZ_BYTES("ngj04\t1\ngj05\t0\n"),
    FUZZ_BYTES("c\xef\xbb\xbf\"a\",\"b\"\n\"inf\",\"1\"\n\"2.5\",\"2\""),
};

static const char *const words[] = {"\t",
                                    "\n",
                                    "\r\n",
                                    "\r",
                                    "\"",
                                    "\"\"",
                                    ",",
                                    "\\",
                                    "{",
                                    "}",
                                    "[",
                                    "]",
                                    ":",
                                    "\xff",
                                    "\x80",
                                    "\xc3",
                                    "\xef\xbb\xbf",
                                    "0",
                                    "-",
                                    ".",
                                    "e",
                                    "E+",
                                    "nan",
                                    "null",
                                    "{\"a\":",
                                    "\\u0000",
                                    "\\ud800",
                                    "\"a\"",
                                    "true",
                                    "1e400",
                                    "\xed\xa0\x80",
                                    NULL};

const fuzz_target fuzz_target_tables = {
    .name = "tables",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
