/* The order of the rows in an epoch.  See sampler.h. */
#include "data/sampler.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

#define PIECE_BATCHES 50

mts_status sampler_init(mts_ctx *ctx, sampler *s, const encoded_dataset *rows, sampler_kind kind,
                        int64_t batch_size, uint64_t seed)
{
    mts_status st = MTS_OK;
    const size_t n = (size_t)rows->n;
    *s = (sampler){.kind = kind, .rows = rows, .batch_size = batch_size, .seed = seed};
    MTS_CHECK(rows->n >= 1 && rows->n <= INT32_MAX, MTS_ERR_ARGUMENT,
              "data set: expected 1..%lld rows, found %lld", (long long)INT32_MAX,
              (long long)rows->n);
    MTS_CHECK(batch_size >= 1, MTS_ERR_ARGUMENT, "batch size: expected at least 1, found %lld",
              (long long)batch_size);
    MTS_TRY(mem_calloc(ctx, &s->order, n, sizeof(int64_t), "row order"));
    if (kind == SAMPLER_BY_LENGTH) {
        MTS_TRY(mem_calloc(ctx, &s->piece, n, sizeof(int64_t), "row order"));
        MTS_TRY(mem_calloc(ctx, &s->length_ends, (size_t)rows->max_len + 1, sizeof(int64_t),
                           "row lengths"));
    }
    sampler_set_epoch(s, 0);
cleanup:
    return st;
}

void sampler_deinit(sampler *s)
{
    if (s == NULL)
        return;
    mem_free(s->order);
    mem_free(s->piece);
    mem_free(s->length_ends);
    *s = (sampler){0};
}

static void swap_rows(int64_t *a, int64_t *b)
{
    const int64_t t = *a;
    *a = *b;
    *b = t;
}

static void shuffle(int64_t *order, int64_t n, rng_key key)
{
    for (int64_t i = n - 1; i > 0; i--) {
        const uint64_t high = rng_draw(key, (uint32_t)(2 * i));
        const uint64_t u = (high << 32) | rng_draw(key, (uint32_t)(2 * i + 1));
        swap_rows(&order[i], &order[u % (uint64_t)(i + 1)]);
    }
}

/* Sort rows[n] by falling length, stable: a counting sort, with the counts in s->length_ends. */
static void sort_by_length(sampler *s, int64_t *rows, int64_t n)
{
    const int64_t max_len = s->rows->max_len;
    int64_t *ends = s->length_ends, end = n;
    memcpy(s->piece, rows, (size_t)n * sizeof rows[0]);
    memset(ends, 0, (size_t)(max_len + 1) * sizeof ends[0]);
    for (int64_t i = 0; i < n; i++)
        ends[encoded_dataset_length(s->rows, rows[i])]++;
    /* ends[l]: one behind the last place of length l; shorter rows come behind longer ones. */
    for (int64_t l = 0; l <= max_len; l++) {
        const int64_t count = ends[l];
        ends[l] = end;
        end -= count;
    }
    for (int64_t i = n - 1; i >= 0; i--)
        rows[--ends[encoded_dataset_length(s->rows, s->piece[i])]] = s->piece[i];
}

static void group_by_length(sampler *s)
{
    const int64_t n = s->rows->n;
    int64_t batches = n / s->batch_size / 4; /* a small set still gets several pieces */
    int64_t longest = 0;
    batches = batches < 1 ? 1 : batches > PIECE_BATCHES ? PIECE_BATCHES : batches;
    const int64_t piece = batches <= n / s->batch_size ? batches * s->batch_size : n;
    for (int64_t first = 0; first < n; first += piece) {
        sort_by_length(s, s->order + first, n - first < piece ? n - first : piece);
        if (encoded_dataset_length(s->rows, s->order[first]) >
            encoded_dataset_length(s->rows, s->order[longest]))
            longest = first;
    }
    swap_rows(&s->order[0], &s->order[longest]);
}

void sampler_set_epoch(sampler *s, int64_t epoch)
{
    for (int64_t i = 0; i < s->rows->n; i++)
        s->order[i] = i;
    if (s->kind == SAMPLER_SEQUENTIAL)
        return;
    shuffle(s->order, s->rows->n, rng_make_key(s->seed, (uint64_t)epoch, 0, RNG_SHUFFLE));
    if (s->kind == SAMPLER_BY_LENGTH)
        group_by_length(s);
}

int64_t sampler_batch_count(const sampler *s)
{
    return (s->rows->n - 1) / s->batch_size + 1;
}

const int64_t *sampler_batch(const sampler *s, int64_t index, int64_t *n)
{
    assert(index >= 0 && index < sampler_batch_count(s));
    const int64_t first = index * s->batch_size, left = s->rows->n - first;
    *n = left < s->batch_size ? left : s->batch_size;
    return s->order + first;
}
