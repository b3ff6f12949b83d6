/* The merges of byte-pair encoding.  See bpe_merges.h. */
#include "text/bpe_merges.h"

#include "base/memory.h"
#include "text/vocab.h"

static const uint32_t prime = 0x7fffffff;

mts_status bpe_merges_init(mts_ctx *ctx, bpe_merges *merges, int64_t room)
{
    mts_status st = MTS_OK;
    uint32_t slots = 16;
    while (slots < 2 * room)
        slots *= 2;
    *merges = (bpe_merges){.mask = slots - 1, .room = room};
    merges->a = vocab_draw_argument(merges);
    merges->b = vocab_draw_argument(&merges->b);
    MTS_TRY(mem_calloc(ctx, &merges->slots, slots, sizeof(bpe_merge), "merges"));
    for (uint32_t i = 0; i < slots; i++)
        merges->slots[i].left = -1;
cleanup:
    return st;
}

void bpe_merges_deinit(bpe_merges *merges)
{
    mem_free(merges->slots);
    *merges = (bpe_merges){0};
}

/* The slot of a pair, or the free one where it would be. */
static bpe_merge *find_slot(const bpe_merges *merges, int32_t left, int32_t right)
{
    const uint64_t sum = ((uint64_t)left * merges->a + (uint64_t)right * merges->b) % prime;
    uint32_t hash = (uint32_t)sum;
    hash ^= hash >> 16; /* one to one: the table uses the low bits */
    hash *= 0x7feb352du;
    hash ^= hash >> 15;
    for (uint32_t i = hash & merges->mask;; i = (i + 1) & merges->mask) {
        bpe_merge *slot = &merges->slots[i];
        if (slot->left < 0 || (slot->left == left && slot->right == right))
            return slot;
    }
}

void bpe_merges_put(bpe_merges *merges, bpe_merge merge)
{
    bpe_merge *slot = find_slot(merges, merge.left, merge.right);
    merges->count += slot->left < 0;
    *slot = merge;
}

const bpe_merge *bpe_merges_find(const bpe_merges *merges, int32_t left, int32_t right)
{
    const bpe_merge *slot = find_slot(merges, left, right);
    return slot->left < 0 ? NULL : slot;
}

mts_status bpe_word_push(mts_ctx *ctx, bpe_word *word, int32_t id, int64_t bytes)
{
    mts_status st = MTS_OK;
    const int64_t first = word->count > 0 ? word->symbols[word->count - 1].last : 0;
    MTS_CHECK(bytes <= INT32_MAX - first, MTS_ERR_ARGUMENT, "a piece of text of more than %d bytes",
              INT32_MAX);
    if (word->count == word->room) {
        const int64_t room = 2 * word->room + 64;
        MTS_TRY(mem_grow(ctx, &word->symbols, (size_t)word->count, (size_t)room, sizeof(bpe_symbol),
                         "a word"));
        word->room = room;
    }
    word->symbols[word->count++] =
        (bpe_symbol){.id = id, .first = (int32_t)first, .last = (int32_t)(first + bytes)};
cleanup:
    return st;
}

static bool is_before(const bpe_candidate *x, const bpe_candidate *y)
{
    return x->rank != y->rank ? x->rank < y->rank : x->at < y->at;
}

/* Let heap[i] sink to its place. */
static void sink(bpe_word *word, int64_t i)
{
    const bpe_candidate moved = word->heap[i];
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= word->heap_count)
            break;
        if (child + 1 < word->heap_count && is_before(&word->heap[child + 1], &word->heap[child]))
            child++;
        if (!is_before(&word->heap[child], &moved))
            break;
        word->heap[i] = word->heap[child];
        i = child;
    }
    word->heap[i] = moved;
}

/* Append the pair whose left symbol is at `at`, if it can be merged, without ordering the heap. */
static mts_status append(mts_ctx *ctx, const bpe_merges *merges, bpe_word *word, int32_t at)
{
    mts_status st = MTS_OK;
    const bpe_symbol *left = &word->symbols[at];
    const bpe_merge *merge = bpe_merges_find(merges, left->id, word->symbols[left->next].id);
    if (merge == NULL)
        return MTS_OK;
    if (word->heap_count == word->heap_room) {
        const int64_t room = 2 * word->heap_room + 64;
        MTS_TRY(mem_grow(ctx, &word->heap, (size_t)word->heap_count, (size_t)room,
                         sizeof(bpe_candidate), "pairs of a word"));
        word->heap_room = room;
    }
    word->heap[word->heap_count++] = (bpe_candidate){merge->rank, at, merge->id};
cleanup:
    return st;
}

/* The same, and let it rise to its place. */
static mts_status push(mts_ctx *ctx, const bpe_merges *merges, bpe_word *word, int32_t at)
{
    mts_status st = MTS_OK;
    const int64_t before = word->heap_count;
    MTS_TRY(append(ctx, merges, word, at));
    if (word->heap_count > before) {
        const bpe_candidate moved = word->heap[before];
        int64_t i = before;
        for (; i > 0 && is_before(&moved, &word->heap[(i - 1) / 2]); i = (i - 1) / 2)
            word->heap[i] = word->heap[(i - 1) / 2];
        word->heap[i] = moved;
    }
cleanup:
    return st;
}

static bpe_candidate pop(bpe_word *word)
{
    const bpe_candidate top = word->heap[0];
    word->heap[0] = word->heap[--word->heap_count];
    if (word->heap_count > 0)
        sink(word, 0);
    return top;
}

/* Merge a pair, unless one of its symbols has been merged otherwise since it was found. */
static mts_status merge_pair(mts_ctx *ctx, const bpe_merges *merges, bpe_word *word,
                             bpe_candidate pair)
{
    mts_status st = MTS_OK;
    bpe_symbol *left = &word->symbols[pair.at], *right = NULL;
    if (left->id < 0 || left->next < 0)
        return MTS_OK;
    right = &word->symbols[left->next];
    /* Other symbols that give the same one are merged, at this rank: so do tokenizers. */
    const bpe_merge *now = bpe_merges_find(merges, left->id, right->id);
    if (now == NULL || now->id != pair.id)
        return MTS_OK;
    left->id = pair.id;
    left->last = right->last;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0)
        word->symbols[left->next].previous = pair.at;
    if (left->previous >= 0)
        MTS_TRY(push(ctx, merges, word, left->previous));
    if (left->next >= 0)
        MTS_TRY(push(ctx, merges, word, pair.at));
cleanup:
    return st;
}

mts_status bpe_word_merge(mts_ctx *ctx, const bpe_merges *merges, bpe_word *word)
{
    mts_status st = MTS_OK;
    int64_t kept = 0;
    word->heap_count = 0;
    for (int64_t i = 0; i < word->count; i++) {
        word->symbols[i].previous = (int32_t)i - 1;
        word->symbols[i].next = i + 1 < word->count ? (int32_t)i + 1 : -1;
    }
    for (int64_t i = 0; i + 1 < word->count; i++)
        MTS_TRY(append(ctx, merges, word, (int32_t)i));
    for (int64_t i = word->heap_count / 2; i-- > 0;)
        sink(word, i);
    while (word->heap_count > 0)
        MTS_TRY(merge_pair(ctx, merges, word, pop(word)));
    for (int64_t i = 0; i < word->count; i++)
        if (word->symbols[i].id >= 0)
            word->symbols[kept++] = word->symbols[i];
    word->count = kept;
cleanup:
    return st;
}

void bpe_word_deinit(bpe_word *word)
{
    mem_free(word->symbols);
    mem_free(word->heap);
    *word = (bpe_word){0};
}
