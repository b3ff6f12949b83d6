/* A data set as text.  See dataset.h. */
#include "data/dataset.h"

#include <stdio.h>

#include "base/memory.h"

mts_status dataset_init(mts_ctx *ctx, dataset *out, int64_t n, bool pairs, target_kind kind)
{
    mts_status st = MTS_OK;
    const size_t rows = (size_t)n;
    *out = (dataset){.n = n};
    MTS_TRY(mem_calloc(ctx, &out->text_a, rows, sizeof(char *), "data set texts"));
    if (pairs)
        MTS_TRY(mem_calloc(ctx, &out->text_b, rows, sizeof(char *), "data set texts"));
    MTS_TRY(targets_init(ctx, &out->targets, kind, 0, n, 0));
cleanup:
    return st;
}

void dataset_deinit(dataset *d)
{
    if (d == NULL)
        return;
    mem_free(d->text_a);
    mem_free(d->text_b);
    targets_deinit(&d->targets);
    mem_free(d->storage);
    mem_free(d->text_columns[0]);
    mem_free(d->text_columns[1]);
    *d = (dataset){0};
}

bool dataset_quotes_note(const dataset *d, const char *path, char *text, size_t bytes)
{
    if (d->quoted_rows == 0)
        return false;
    snprintf(
        text, bytes,
        "%s:%lld: a field in double quotes, in %lld row%s: in a .tsv file they are part of the "
        "text; where they quote it, the file is to be a .csv",
        path, (long long)d->quoted_line, (long long)d->quoted_rows, d->quoted_rows == 1 ? "" : "s");
    return true;
}
