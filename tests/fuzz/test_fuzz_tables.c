/*
 * Hostile data files: the table reader and the label survey end in a sound table or in a one-line
 * error, whatever the bytes.
 *
 * LLVMFuzzerTestOneInput takes any bytes (the first one chooses the format) and is what a fuzzer
 * drives when MTS_FUZZ is defined; main() drives it with the seeds below, cut at every length, and
 * with repeatable mutations of them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tasks/label_set.h"
#include "data/table_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the test program with a message unless cond holds; works in a fuzzer, too. */
#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static mts_ctx ctx;

static void require_error(mts_status st)
{
    REQUIRE(st == MTS_ERR_BAD_FILE);
    REQUIRE(strncmp(ctx.error, "f:", 2) == 0);
    REQUIRE(strchr(ctx.error, '\n') == NULL && strchr(ctx.error, '\r') == NULL);
}

/* Cells are texts inside the table's text, or errors. */
static void require_sound_table(const table *t, size_t size)
{
    size_t bytes = 0;
    REQUIRE(t->n_columns >= 1 && t->n_columns <= TABLE_MAX_COLUMNS);
    for (int64_t i = 0; i < t->n_columns; i++)
        REQUIRE(table_column_index(t, t->names[i]) == i);
    for (int64_t row = 0; row < t->n_rows; row++) {
        REQUIRE(t->lines[row] > (row == 0 ? 0 : t->lines[row - 1]));
        for (int64_t i = 0; i < t->n_columns; i++) {
            const char *cell = NULL;
            const mts_status st = table_cell(&ctx, t, row, i, &cell);
            if (st == MTS_OK)
                bytes += strlen(cell);
            else
                require_error(st);
        }
    }
    /* Numbers of JSON may be written longer than they were: at most 25 bytes for one. */
    REQUIRE(bytes <= 26 * size);
}

static void survey_labels(const table *t)
{
    label_set labels = {0};
    for (int64_t column = 0; column < t->n_columns; column++) {
        const mts_status st = label_set_collect(&ctx, &labels, t, column, column % 2 == 1);
        if (st != MTS_OK)
            require_error(st);
        else
            REQUIRE(labels.regression ? labels.n == 0 : labels.n >= 2);
        label_set_deinit(&labels);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x", "y"};
    table t = {0};
    char *bytes = NULL;
    if (size < 1)
        return 0;
    const uint8_t choice = data[0] % 4;
    REQUIRE(mem_strndup(&ctx, &bytes, (const char *)data + 1, size - 1) == MTS_OK);
    const mts_status st =
        table_parse(&ctx, &t, "f", &bytes, size - 1, choice == 3 ? TABLE_TSV : (table_format)choice,
                    choice == 3 ? names : NULL, 2);
    REQUIRE(bytes == NULL);
    if (st == MTS_OK) {
        require_sound_table(&t, size);
        survey_labels(&t);
    } else {
        require_error(st);
    }
    table_deinit(&t);
    return 0;
}

#ifndef MTS_FUZZ

enum { MAX_BYTES = 256, MUTATIONS = 30000 };

static const char *const seeds[] = {
    "0sentence\tlabel\nit 's \"good\t1\n\tx\r\n",
    "1text,label\r\n\"a \"\"b\"\"\n c\",1\r\n,\"\"\r\n\nz,2.5\n",
    "2{\"text\":\"a\\u00e9\\n\",\"label\":1.5}\n\n{\"label\":true,\"text\":null,\"z\":[1,{}]}\n",
    "2{\"a\":\"\xc3\xa9\",\"b\":-1e-5,\"c\":9223372036854775807}\n{\"a\":\"nan\",\"b\":2,\"c\":0}",
    "3gj04\t1\ngj05\t0\n",
    "1\xef\xbb\xbf\"a\",\"b\"\n\"inf\",\"1\"\n\"2.5\",\"2\"",
};

/* Bytes that mean something to one of the parsers. */
static const char special[] = "\t\n\r\",\\{}[]:\0\xff\x80\xc3\xef"
                              "0-.eE+nN ";

static size_t mutate(uint8_t *data, size_t size, rng_key key)
{
    const uint32_t changes = 1 + rng_draw(key, 0) % 4;
    for (uint32_t i = 1; i <= changes; i++) {
        const uint32_t kind = rng_draw(key, 4 * i) % 4, r = rng_draw(key, 4 * i + 2);
        const size_t at = 1 + rng_draw(key, 4 * i + 1) % (size - 1);
        if (kind == 0) {
            data[at] = (uint8_t)r;
        } else if (kind == 1) {
            data[at] = (uint8_t)special[r % (sizeof special - 1)];
        } else if (kind == 2 && size > 2) {
            memmove(data + at, data + at + 1, size - at - 1);
            size--;
        } else if (size < MAX_BYTES) {
            memmove(data + at + 1, data + at, size - at);
            data[at] = (uint8_t)special[r % (sizeof special - 1)];
            size++;
        }
    }
    return size;
}

int main(void)
{
    const uint32_t n_seeds = sizeof seeds / sizeof seeds[0];
    uint8_t data[MAX_BYTES];
    for (uint32_t i = 0; i < n_seeds; i++) {
        for (size_t size = 0; size <= strlen(seeds[i]); size++)
            LLVMFuzzerTestOneInput((const uint8_t *)seeds[i], size);
    }
    for (uint32_t i = 0; i < MUTATIONS; i++) {
        const char *seed = seeds[i % n_seeds];
        memcpy(data, seed, strlen(seed));
        const size_t size = mutate(data, strlen(seed), rng_make_key(1, i, 0, RNG_INIT));
        LLVMFuzzerTestOneInput(data, size);
    }
    printf("%u seeds, %d mutations: ok\n", (unsigned)n_seeds, (int)MUTATIONS);
    return 0;
}

#endif
