/* A data set as text.  See dataset.h. */
#include "data/dataset.h"

#include "base/memory.h"

mts_status dataset_init(mts_ctx *ctx, dataset *out, int64_t n, bool pairs, bool has_labels)
{
    mts_status st = MTS_OK;
    const size_t rows = (size_t)n;
    *out = (dataset){.n = n, .has_labels = has_labels};
    MTS_TRY(mem_calloc(ctx, &out->text_a, rows, sizeof(char *), "data set texts"));
    if (pairs)
        MTS_TRY(mem_calloc(ctx, &out->text_b, rows, sizeof(char *), "data set texts"));
    if (has_labels)
        MTS_TRY(mem_calloc(ctx, &out->label, rows, sizeof(float), "data set labels"));
cleanup:
    return st;
}

void dataset_deinit(dataset *d)
{
    if (d == NULL)
        return;
    mem_free(d->text_a);
    mem_free(d->text_b);
    mem_free(d->label);
    mem_free(d->storage);
    *d = (dataset){0};
}
