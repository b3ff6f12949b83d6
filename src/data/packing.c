/* Rows into packed rows.  See packing.h. */
#include "data/packing.h"

#include <assert.h>
#include <string.h>

#include "base/memory.h"

enum { NONE = -1 };

/* Packed rows under construction: each a list of rows; by the room that is left in them, queues. */
typedef struct packer {
    const encoded_dataset *e;
    int64_t max_length, count;
    int64_t *order;                    /* [n]: rows by falling length */
    int64_t *first_row, *last_row;     /* [count]: lists of rows, by next_row[n] */
    int64_t *next_row, *used, *next;   /* used[count]: tokens; next: in its queue */
    int64_t *queue_first, *queue_last; /* [max_length + 1]: by room */
} packer;

static mts_status take(mts_ctx *ctx, int64_t **out, int64_t n)
{
    mts_status st = MTS_OK;
    MTS_TRY(mem_calloc(ctx, out, (size_t)n, sizeof **out, "packing"));
    for (int64_t i = 0; i < n; i++)
        (*out)[i] = NONE;
cleanup:
    return st;
}

static mts_status packer_init(mts_ctx *ctx, packer *p)
{
    mts_status st = MTS_OK;
    const int64_t n = p->e->n;
    MTS_TRY(take(ctx, &p->order, n));
    MTS_TRY(take(ctx, &p->first_row, n));
    MTS_TRY(take(ctx, &p->last_row, n));
    MTS_TRY(take(ctx, &p->next_row, n));
    MTS_TRY(take(ctx, &p->used, n));
    MTS_TRY(take(ctx, &p->next, n));
    MTS_TRY(take(ctx, &p->queue_first, p->max_length + 1));
    MTS_TRY(take(ctx, &p->queue_last, p->max_length + 1));
cleanup:
    return st;
}

static void packer_deinit(packer *p)
{
    mem_free(p->order);
    mem_free(p->first_row);
    mem_free(p->last_row);
    mem_free(p->next_row);
    mem_free(p->used);
    mem_free(p->next);
    mem_free(p->queue_first);
    mem_free(p->queue_last);
}

/* Rows by falling length, those of one length in their order.  Uses queue_last for counts. */
static void sort_rows(packer *p)
{
    int64_t at = 0;
    int64_t *place = p->queue_last;
    memset(place, 0, (size_t)(p->max_length + 1) * sizeof *place);
    for (int64_t row = 0; row < p->e->n; row++)
        place[encoded_dataset_length(p->e, row)]++;
    for (int64_t length = p->max_length; length >= 0; length--) {
        const int64_t count = place[length];
        place[length] = at;
        at += count;
    }
    for (int64_t row = 0; row < p->e->n; row++)
        p->order[place[encoded_dataset_length(p->e, row)]++] = row;
    for (int64_t i = 0; i <= p->max_length; i++)
        place[i] = NONE;
}

/* The packed row for one of so many tokens, taken out of its queue. */
static int64_t best_fit(packer *p, int64_t length)
{
    int64_t room = length, found;
    while (room < p->max_length && p->queue_first[room] == NONE)
        room++;
    if (room == p->max_length) { /* no packed row that was begun has all its room */
        p->used[p->count] = 0;
        return p->count++;
    }
    found = p->queue_first[room];
    p->queue_first[room] = p->next[found];
    if (p->queue_first[room] == NONE)
        p->queue_last[room] = NONE;
    return found;
}

static void put(packer *p, int64_t packed, int64_t row)
{
    const int64_t length = encoded_dataset_length(p->e, row);
    const int64_t room = p->max_length - p->used[packed] - length;
    if (p->first_row[packed] == NONE)
        p->first_row[packed] = row;
    else
        p->next_row[p->last_row[packed]] = row;
    p->last_row[packed] = row;
    p->used[packed] += length;
    p->next[packed] = NONE;
    if (p->queue_first[room] == NONE)
        p->queue_first[room] = packed;
    else
        p->next[p->queue_last[room]] = packed;
    p->queue_last[room] = packed;
}

/* *out: arrays for the same tokens in p->count rows. */
static mts_status make_arrays(mts_ctx *ctx, const packer *p, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    const int64_t n = p->e->n, tokens = p->e->offsets[n];
    *out = (encoded_dataset){.n = p->count, .cut = p->e->cut, .max_sequence = p->e->max_len};
    MTS_TRY(mem_calloc(ctx, &out->offsets, (size_t)p->count + 1, sizeof(int64_t), "row offsets"));
    MTS_TRY(mem_calloc(ctx, &out->first_sequence, (size_t)p->count + 1, sizeof(int64_t),
                       "row offsets"));
    MTS_TRY(mem_calloc(ctx, &out->sequences, (size_t)n + 1, sizeof(int64_t), "row offsets"));
    MTS_TRY(mem_calloc(ctx, &out->ids, (size_t)tokens, sizeof(int32_t), "tokens"));
    MTS_TRY(mem_calloc(ctx, &out->type_ids, (size_t)tokens, sizeof(int32_t), "token types"));
    MTS_TRY(targets_init(ctx, &out->targets, p->e->targets.kind, 0, p->count, tokens));
cleanup:
    return st;
}

static void fill_arrays(const packer *p, encoded_dataset *out)
{
    const encoded_dataset *e = p->e;
    int64_t at = 0, sequence = 0;
    for (int64_t packed = 0; packed < p->count; packed++) {
        for (int64_t row = p->first_row[packed]; row != NONE; row = p->next_row[row]) {
            const int64_t begin = e->offsets[row], length = encoded_dataset_length(e, row);
            const size_t bytes = (size_t)length * sizeof(int32_t);
            memcpy(out->ids + at, e->ids + begin, bytes);
            memcpy(out->type_ids + at, e->type_ids + begin, bytes);
            targets_copy(&out->targets, packed, at, &e->targets, row, begin, length);
            out->sequences[sequence++] = at;
            at += length;
        }
        out->offsets[packed + 1] = at;
        out->first_sequence[packed + 1] = sequence;
        if (p->used[packed] > out->max_len)
            out->max_len = p->used[packed];
    }
    out->sequences[sequence] = at;
}

mts_status encoded_dataset_pack(mts_ctx *ctx, encoded_dataset *e, int64_t max_length)
{
    mts_status st = MTS_OK;
    packer p = {.e = e, .max_length = max_length};
    encoded_dataset packed = {0};
    assert(e->max_len <= max_length && e->sequences == NULL && e->targets.kind == TARGET_NEXT);
    MTS_TRY(packer_init(ctx, &p));
    sort_rows(&p);
    for (int64_t i = 0; i < e->n; i++)
        put(&p, best_fit(&p, encoded_dataset_length(e, p.order[i])), p.order[i]);
    MTS_TRY(make_arrays(ctx, &p, &packed));
    fill_arrays(&p, &packed);
    encoded_dataset_deinit(e);
    *e = packed;
    packed = (encoded_dataset){0};
cleanup:
    encoded_dataset_deinit(&packed);
    packer_deinit(&p);
    return st;
}
