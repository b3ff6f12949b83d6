/*
 * tasks/label_set: a column of labels gives an error, numbers, or classes in which every label of
 * the column is found again.
 * Input: the cells, one on each line.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/memory.h"
#include "tasks/label_set.h"

static void require_found(const table *t, const label_set *set)
{
    label_index index = {0};
    FUZZ_REQUIRE(set->n >= 2 && set->n <= t->n_rows);
    FUZZ_REQUIRE(label_index_init(&fuzz_ctx, &index, set->names, set->n) == MTS_OK);
    for (int64_t i = 0; i < set->n; i++)
        FUZZ_REQUIRE(label_index_find(&index, set->names[i]) == i);
    for (int64_t row = 0; row < t->n_rows; row++) {
        const char *cell = NULL;
        FUZZ_REQUIRE(table_cell(&fuzz_ctx, t, row, 0, &cell) == MTS_OK);
        FUZZ_REQUIRE(label_index_find(&index, cell) >= 0);
    }
    label_index_deinit(&index);
}

static bool survey(const table *t, bool do_regression)
{
    label_set set = {0};
    const mts_status st = label_set_collect(&fuzz_ctx, &set, t, 0, do_regression);
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    else if (set.regression)
        FUZZ_REQUIRE(set.n == 0);
    else
        require_found(t, &set);
    label_set_deinit(&set);
    return st == MTS_OK;
}

static bool run(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"label"};
    table t = {0};
    char *bytes = NULL;
    bool accepted = false;
    FUZZ_REQUIRE(mem_strndup(&fuzz_ctx, &bytes, (const char *)data, size) == MTS_OK);
    const mts_status st = table_parse(&fuzz_ctx, &t, "f", &bytes, size, TABLE_TSV, names, 1);
    if (st == MTS_OK) {
        accepted = survey(&t, false);
        const bool numbers = survey(&t, true);
        accepted = accepted || numbers;
    } else {
        fuzz_require_refusal(st);
    }
    table_deinit(&t);
    return accepted;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("entailment\nneutral\nentailment\ncontradiction\n"),
    FUZZ_BYTES("0\n1\n01\n+1\n-7\n9223372036854775807\n"),
    FUZZ_BYTES("1.5\n2\n-3e2\n.5\n"),
    FUZZ_BYTES("\xc3\xa9\nb c\n1\n"),
};

static const char *const words[] = {
    "\n", "1",  "01",   "+",    "-",  "1e400", "nan", "inf",  ".",   "1.0",
    " ",  "\t", "\xc3", "\r\n", "E5", "-0",    "0x",  "True", "1,5", "9223372036854775808",
    NULL};

const fuzz_target fuzz_target_labels = {
    .name = "labels",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
