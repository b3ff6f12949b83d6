/*
 * A data set as token ids.  See encoded_dataset.h.
 *
 * Rows go in blocks: the threads encode the rows of a block in any order, then one thread appends
 * them in order.  So the result has no trace of the threads, memory beside it is that of one
 * block, and progress is told between blocks.
 */
#include "data/encoded_dataset.h"

#include <string.h>

#include "base/memory.h"

#define BLOCK_ROWS 1024

/* The rows being encoded, and the failure of the lowest row among them. */
typedef struct block {
    text_rows texts;
    const tokenizer *tokenizer;
    int64_t max_length, num_threads;
    int64_t first, n;       /* rows first ... first + n - 1 */
    mts_encoding *rows;     /* rows[BLOCK_ROWS] */
    int64_t failed_row;     /* INT64_MAX: none */
    mts_status failure;     /* of failed_row */
    mts_ctx failed_context; /* its text */
} block;

static void free_rows(block *b)
{
    for (int64_t i = 0; i < b->n && b->rows != NULL; i++)
        tokenizer_free_encoding(&b->rows[i]);
}

/* Encode one row; on failure keep it if it is the lowest so far.  Runs in any thread. */
static void encode_row(block *b, mts_ctx *own, int64_t i)
{
    const int64_t row = b->first + i;
    const char *text_b = b->texts.text_b == NULL ? NULL : b->texts.text_b[row];
    const mts_status st = tokenizer_encode(own, b->tokenizer, b->texts.text_a[row], text_b,
                                           b->max_length, &b->rows[i]);
    if (st == MTS_OK)
        return;
#pragma omp critical(mts_encoded_dataset_failure)
    {
        if (row < b->failed_row) {
            b->failed_row = row;
            b->failure = st;
            b->failed_context = *own;
        }
    }
}

static mts_status encode_block(mts_ctx *ctx, block *b)
{
    memset(b->rows, 0, (size_t)b->n * sizeof b->rows[0]);
#pragma omp parallel num_threads((int)b->num_threads)
    {
        mts_ctx own = {{0}};
#pragma omp for schedule(dynamic, 16)
        for (int64_t i = 0; i < b->n; i++)
            encode_row(b, &own, i);
    }
    if (b->failed_row == INT64_MAX)
        return MTS_OK;
    return status_set(ctx, b->failure, "row %lld: %s", (long long)b->failed_row + 1,
                      b->failed_context.error);
}

/* Make room for `more` tokens behind the `used` ones. */
static mts_status reserve_tokens(mts_ctx *ctx, encoded_dataset *e, int64_t used, int64_t more,
                                 int64_t *capacity)
{
    mts_status st = MTS_OK;
    int64_t fresh = used + more;
    if (fresh <= *capacity)
        return MTS_OK;
    fresh += fresh / 2;
    MTS_TRY(mem_grow(ctx, &e->ids, (size_t)used, (size_t)fresh, sizeof e->ids[0], "token ids"));
    MTS_TRY(mem_grow(ctx, &e->type_ids, (size_t)used, (size_t)fresh, sizeof e->type_ids[0],
                     "token types"));
    *capacity = fresh;
cleanup:
    return st;
}

static mts_status append_block(mts_ctx *ctx, encoded_dataset *e, const block *b, int64_t *capacity)
{
    mts_status st = MTS_OK;
    int64_t tokens = 0;
    for (int64_t i = 0; i < b->n; i++)
        tokens += b->rows[i].length;
    MTS_TRY(reserve_tokens(ctx, e, e->offsets[b->first], tokens, capacity));
    for (int64_t i = 0; i < b->n; i++) {
        const mts_encoding *row = &b->rows[i];
        const int64_t begin = e->offsets[b->first + i];
        const size_t bytes = (size_t)row->length * sizeof e->ids[0];
        memcpy(e->ids + begin, row->ids, bytes);
        memcpy(e->type_ids + begin, row->type_ids, bytes);
        e->offsets[b->first + i + 1] = begin + row->length;
        e->cut += row->cut;
        if (row->length > e->max_len)
            e->max_len = row->length;
    }
cleanup:
    return st;
}

mts_status encoded_dataset_build(mts_ctx *ctx, encoded_dataset *out, text_rows rows,
                                 const tokenizer *tok, int64_t max_length, int64_t num_threads,
                                 encoded_dataset_progress_fn *progress, void *user)
{
    mts_status st = MTS_OK;
    int64_t capacity = 0;
    block b = {.texts = rows,
               .tokenizer = tok,
               .max_length = max_length,
               .num_threads = num_threads,
               .failed_row = INT64_MAX};
    *out = (encoded_dataset){.n = rows.n};
    MTS_TRY(mem_calloc(ctx, &out->offsets, (size_t)rows.n + 1, sizeof(int64_t), "row offsets"));
    MTS_TRY(mem_calloc(ctx, &b.rows, BLOCK_ROWS, sizeof b.rows[0], "encoded rows"));
    for (int64_t first = 0; first < rows.n; first += BLOCK_ROWS) {
        b.first = first;
        b.n = rows.n - first < BLOCK_ROWS ? rows.n - first : BLOCK_ROWS;
        MTS_TRY(encode_block(ctx, &b));
        MTS_TRY(append_block(ctx, out, &b, &capacity));
        free_rows(&b);
        MTS_CHECK(progress == NULL || progress(user, first + b.n, rows.n), MTS_ERR_INTERRUPTED,
                  "tokenizing: stopped by the caller after %lld of %lld rows",
                  (long long)(first + b.n), (long long)rows.n);
        b.n = 0;
    }
cleanup:
    free_rows(&b);
    mem_free(b.rows);
    return st;
}

void encoded_dataset_deinit(encoded_dataset *e)
{
    if (e == NULL)
        return;
    mem_free(e->offsets);
    mem_free(e->ids);
    mem_free(e->type_ids);
    mem_free(e->sequences);
    mem_free(e->first_sequence);
    targets_deinit(&e->targets);
    *e = (encoded_dataset){0};
}

int64_t encoded_dataset_length(const encoded_dataset *e, int64_t row)
{
    return e->offsets[row + 1] - e->offsets[row];
}

int64_t encoded_dataset_sequences(const encoded_dataset *e, int64_t row)
{
    return e->sequences == NULL ? 1 : e->first_sequence[row + 1] - e->first_sequence[row];
}
