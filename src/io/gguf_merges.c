/*
 * Merges of a vocabulary with scores.  See gguf_tokenizer.h.
 *
 * The order is that of generate_merges of transformers: the score of what a merge gives, then the
 * characters of its left part and of its right one, all descending; then the token and its parts by
 * their ids, ascending.
 */
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "io/gguf_tokenizer_internal.h"

typedef struct merge {
    double score;
    int32_t left, right, whole; /* ids */
    int32_t left_chars, right_chars;
} merge;

typedef struct merge_list {
    merge *items;
    size_t count, room;
} merge_list;

static int by_number(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int compare(const void *pa, const void *pb)
{
    const merge *a = pa, *b = pb;
    int order = (a->score < b->score) - (a->score > b->score);
    if (order == 0)
        order = by_number(b->left_chars, a->left_chars);
    if (order == 0)
        order = by_number(b->right_chars, a->right_chars);
    if (order == 0)
        order = by_number(a->whole, b->whole);
    if (order == 0)
        order = by_number(a->left, b->left);
    return order != 0 ? order : by_number(a->right, b->right);
}

static mts_status push(mts_ctx *ctx, merge_list *list, merge m)
{
    mts_status st = MTS_OK;
    if (list->count == list->room) {
        const size_t room = 2 * list->room + 1024;
        MTS_TRY(mem_grow(ctx, &list->items, list->count, room, sizeof m, "merges"));
        list->room = room;
    }
    list->items[list->count++] = m;
cleanup:
    return st;
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

static int32_t count_chars(const char *text)
{
    int32_t n = 0;
    for (; *text != '\0'; text++)
        n += !is_continuation(*text);
    return n;
}

/* Id of a token, or -1. */
static int32_t find(const gguf_tokens *t, const char *text)
{
    const json_t *id = json_object_get(t->ids, text);
    return id == NULL ? -1 : (int32_t)json_integer_value(id);
}

/* All ways to cut one token into two. */
static mts_status cut_token(mts_ctx *ctx, const gguf_tokens *t, int32_t id, double score,
                            merge_list *list)
{
    mts_status st = MTS_OK;
    char text[GGUF_TOKEN_BYTES], left[GGUF_TOKEN_BYTES];
    (void)gguf_token_text(t, id, text);
    const size_t bytes = strlen(text);
    const int32_t chars = count_chars(text);
    int32_t left_chars = 0;
    for (size_t at = 1; at < bytes; at++) {
        if (is_continuation(text[at]))
            continue;
        left_chars++;
        memcpy(left, text, at);
        left[at] = '\0';
        const int32_t a = find(t, left), b = a < 0 ? -1 : find(t, text + at);
        if (b >= 0)
            MTS_TRY(push(ctx, list, (merge){score, a, b, id, left_chars, chars - left_chars}));
    }
cleanup:
    return st;
}

mts_status gguf_merges_of_scores(mts_ctx *ctx, const gguf_tokens *t, const gguf_key *scores,
                                 json_t *list)
{
    mts_status st = MTS_OK;
    merge_list merges = {0};
    char left[GGUF_TOKEN_BYTES], right[GGUF_TOKEN_BYTES];
    for (int64_t id = 0; id < t->count; id++)
        MTS_TRY(cut_token(ctx, t, (int32_t)id, gguf_real_at(scores, (uint64_t)id), &merges));
    if (merges.count > 0)
        qsort(merges.items, merges.count, sizeof *merges.items, compare);
    for (size_t i = 0; i < merges.count; i++) {
        const merge *m = &merges.items[i];
        json_t *pair = json_pack("[s, s]", gguf_token_text(t, m->left, left),
                                 gguf_token_text(t, m->right, right));
        MTS_CHECK(pair != NULL && json_array_append_new(list, pair) == 0, MTS_ERR_MEMORY,
                  "out of memory: merges");
    }
cleanup:
    mem_free(merges.items);
    return st;
}
