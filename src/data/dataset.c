/* A data set as text.  See dataset.h. */
#include "data/dataset.h"

#include "base/memory.h"

mts_status dataset_init(mts_ctx *ctx, dataset *out, int64_t n, bool pairs, target_kind kind,
                        int64_t width)
{
    mts_status st = MTS_OK;
    const size_t rows = (size_t)n;
    *out = (dataset){.n = n};
    MTS_TRY(mem_calloc(ctx, &out->text_a, rows, sizeof(char *), "data set texts"));
    if (pairs)
        MTS_TRY(mem_calloc(ctx, &out->text_b, rows, sizeof(char *), "data set texts"));
    MTS_TRY(targets_init(ctx, &out->targets, kind, width, n, 0));
cleanup:
    return st;
}

void dataset_deinit(dataset *d)
{
    if (d == NULL)
        return;
    mem_free((void *)d->text_a);
    mem_free((void *)d->text_b);
    mem_free((void *)d->ids);
    targets_deinit(&d->targets);
    mem_free(d->storage);
    *d = (dataset){0};
}

text_rows dataset_rows(const dataset *d)
{
    return (text_rows){d->n, d->text_a, d->text_b};
}
