/* A batch without padding.  See batch.h. */
#include "data/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* Bytes of the arrays of a batch. */
static size_t plan_bytes(const batch_plan *plan)
{
    const size_t rows = (size_t)plan->max_rows, tokens = (size_t)plan->max_tokens;
    return 3 * tokens * sizeof(int32_t) + (rows + 1) * sizeof(int64_t) +
           targets_bytes(plan->kind, plan->width, plan->max_rows, plan->max_tokens);
}

static int descending(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* *out: sequences of the batch_size rows that have most of them. */
static mts_status most_sequences(mts_ctx *ctx, const encoded_dataset *e, int64_t batch_size,
                                 int64_t *out)
{
    mts_status st = MTS_OK;
    int64_t *count = NULL;
    MTS_TRY(mem_calloc(ctx, &count, (size_t)e->n, sizeof count[0], "row lengths"));
    for (int64_t row = 0; row < e->n; row++)
        count[row] = encoded_dataset_sequences(e, row);
    qsort(count, (size_t)e->n, sizeof count[0], descending);
    *out = 0;
    for (int64_t i = 0; i < batch_size && i < e->n; i++)
        *out += count[i];
cleanup:
    mem_free(count);
    return st;
}

mts_status batch_plan_rows(mts_ctx *ctx, batch_plan *out, const encoded_dataset *e,
                           int64_t batch_size)
{
    mts_status st = MTS_OK;
    int64_t *count = NULL; /* count[l]: rows with l tokens */
    assert(e->n >= 1 && batch_size >= 1);
    *out = (batch_plan){.max_rows = batch_size < e->n ? batch_size : e->n,
                        .max_len = e->max_len,
                        .kind = e->targets.kind,
                        .width = e->targets.width};
    MTS_TRY(mem_calloc(ctx, &count, (size_t)e->max_len + 1, sizeof count[0], "row lengths"));
    for (int64_t row = 0; row < e->n; row++)
        count[encoded_dataset_length(e, row)]++;
    for (int64_t l = e->max_len, left = out->max_rows; left > 0; l--) {
        const int64_t take = count[l] < left ? count[l] : left;
        out->max_tokens += take * l;
        left -= take;
    }
    if (e->sequences != NULL) {
        out->max_len = e->max_sequence;
        MTS_TRY(most_sequences(ctx, e, batch_size, &out->max_rows));
    }
    out->bytes = plan_bytes(out);
cleanup:
    mem_free(count);
    return st;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

batch_plan batch_plan_union(const batch_plan *a, const batch_plan *b)
{
    const batch_plan *typed = a->kind == TARGET_NONE ? b : a;
    batch_plan both = {.max_rows = larger(a->max_rows, b->max_rows),
                       .max_tokens = larger(a->max_tokens, b->max_tokens),
                       .max_len = larger(a->max_len, b->max_len),
                       .kind = typed->kind,
                       .width = typed->width};
    assert(b->kind == TARGET_NONE || (b->kind == typed->kind && b->width == typed->width));
    both.bytes = plan_bytes(&both);
    return both;
}

mts_status batch_init(mts_ctx *ctx, batch *b, const batch_plan *plan)
{
    mts_status st = MTS_OK;
    const size_t rows = (size_t)plan->max_rows, tokens = (size_t)plan->max_tokens;
    *b = (batch){.plan = *plan};
    MTS_TRY(mem_calloc(ctx, &b->ids, tokens, sizeof b->ids[0], "batch ids"));
    MTS_TRY(mem_calloc(ctx, &b->type_ids, tokens, sizeof b->type_ids[0], "batch types"));
    MTS_TRY(mem_calloc(ctx, &b->positions, tokens, sizeof b->positions[0], "batch positions"));
    MTS_TRY(mem_calloc(ctx, &b->offsets, rows + 1, sizeof b->offsets[0], "batch offsets"));
    MTS_TRY(
        targets_init(ctx, &b->targets, plan->kind, plan->width, plan->max_rows, plan->max_tokens));
cleanup:
    return st;
}

void batch_deinit(batch *b)
{
    if (b == NULL)
        return;
    mem_free(b->ids);
    mem_free(b->type_ids);
    mem_free(b->positions);
    mem_free(b->offsets);
    targets_deinit(&b->targets);
    *b = (batch){0};
}

/* Append the sequence of tokens [begin, begin + length) of a row. */
static void append(batch *b, const encoded_dataset *e, int64_t row, int64_t begin, int64_t length)
{
    const int64_t at = b->total_tokens;
    const size_t bytes = (size_t)length * sizeof b->ids[0];
    assert(b->n < b->plan.max_rows && length <= b->plan.max_tokens - at);
    memcpy(b->ids + at, e->ids + begin, bytes);
    memcpy(b->type_ids + at, e->type_ids + begin, bytes);
    for (int64_t i = 0; i < length; i++)
        b->positions[at + i] = (int32_t)i;
    b->offsets[b->n] = at;
    if (b->has_targets)
        targets_copy(&b->targets, b->n, at, &e->targets, row, begin, length);
    b->max_len = larger(b->max_len, length);
    b->n++;
    b->total_tokens += length;
}

void batch_fill(batch *b, const encoded_dataset *e, const int64_t *rows, int64_t n)
{
    b->n = 0;
    b->total_tokens = 0;
    b->max_len = 0;
    b->has_targets = e->targets.kind != TARGET_NONE;
    assert(!b->has_targets || e->targets.kind == b->targets.kind);
    for (int64_t i = 0; i < n; i++) {
        const int64_t row = rows[i];
        if (e->sequences == NULL) {
            append(b, e, row, e->offsets[row], encoded_dataset_length(e, row));
            continue;
        }
        for (int64_t s = e->first_sequence[row]; s < e->first_sequence[row + 1]; s++)
            append(b, e, row, e->sequences[s], e->sequences[s + 1] - e->sequences[s]);
    }
    b->offsets[b->n] = b->total_tokens;
}
