/*
 * tasks/label_cells: cells give an error, or labels in which every label of every cell is found.
 * Input: JSON lines with a column "l"; the same bytes as cells of one line each, separated by ",".
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/memory.h"
#include "tasks/label_cells.h"

static mts_status require_known(mts_ctx *ctx, void *user, const char *label, bool number)
{
    (void)ctx;
    (void)number;
    FUZZ_REQUIRE(label_index_find(user, label) >= 0);
    return MTS_OK;
}

static bool survey(const table *t, const char *separator)
{
    label_set set = {0};
    label_index index = {0};
    const mts_status st = label_cells_collect(&fuzz_ctx, &set, t, 0, separator);
    if (st != MTS_OK) {
        fuzz_require_refusal(st);
    } else {
        FUZZ_REQUIRE(set.n >= 2);
        FUZZ_REQUIRE(label_index_init(&fuzz_ctx, &index, set.names, set.n) == MTS_OK);
        for (int64_t row = 0; row < t->n_rows; row++)
            FUZZ_REQUIRE(label_cell_visit(&fuzz_ctx, t, row, 0, separator, require_known, &index) ==
                         MTS_OK);
    }
    label_index_deinit(&index);
    label_set_deinit(&set);
    return st == MTS_OK;
}

static bool run_format(const uint8_t *data, size_t size, table_format format, const char *separator)
{
    static const char *const names[] = {"l"};
    table t = {0};
    char *bytes = NULL;
    bool accepted = false;
    FUZZ_REQUIRE(mem_strndup(&fuzz_ctx, &bytes, (const char *)data, size) == MTS_OK);
    const table_layout layout = {.format = format, .names = names, .n_names = 1, .nested = true};
    const mts_status st = table_parse(&fuzz_ctx, &t, "f", &bytes, size, &layout);
    if (st == MTS_OK)
        accepted = survey(&t, separator);
    else
        fuzz_require_refusal(st);
    table_deinit(&t);
    return accepted;
}

static bool run(const uint8_t *data, size_t size)
{
    const bool arrays = run_format(data, size, TABLE_JSONL, NULL);
    const bool strings = run_format(data, size, TABLE_JSONL, ",");
    const bool fields = run_format(data, size, TABLE_TSV, ",");
    return arrays || strings || fields;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"l\": [\"a\", \"b\"]}\n{\"l\": []}\n{\"l\": [\"c\"]}\n"),
    FUZZ_BYTES("{\"l\": [1, -2, 9223372036854775807]}\n{\"l\": [0]}\n"),
    FUZZ_BYTES("{\"l\": \"a, b\"}\n{\"l\": 7}\n{\"l\": [\"c\"]}\n"),
    FUZZ_BYTES("a,b\n\n01,1,+1\nc , d\n"),
};

static const char *const words[] = {"[",        "]",   ",",   ",,",   "\"",   "\\u0000",
                                    "1",        "01",  "-0",  "null", " ",    "\n",
                                    "{\"l\": ", "}\n", "1.0", "[[",   "\xc3", NULL};

const fuzz_target fuzz_target_label_sets = {
    .name = "label_sets",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
