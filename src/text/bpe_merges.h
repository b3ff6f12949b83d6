/*
 * The merges of byte-pair encoding, and one piece of text merged by them.   [Sennrich2016]
 *
 * Path: filled by bpe_json (bpe_merges_put), then read-only; bpe_split calls bpe_word_merge.
 *
 * The table is an open-addressing one, at most half full.  Its hash is l a + r b modulo the prime
 * 2^31 - 1, of a pair of ids (l, r), with a and b drawn when it is made [Carter1979]: nobody can
 * write a file whose pairs collide.
 *
 * A word of n symbols is merged in O(n log n), with a heap of the pairs that can be merged,
 * whatever the word.
 */
#ifndef MTS_TEXT_BPE_MERGES_H
#define MTS_TEXT_BPE_MERGES_H

#include "base/status.h"

typedef struct bpe_merge {
    int32_t left, right; /* ids; left -1: a free slot */
    int32_t rank, id;    /* the lowest rank is merged first; id of what comes out */
} bpe_merge;

typedef struct bpe_merges {
    bpe_merge *slots;
    uint32_t mask;       /* number of slots - 1 */
    uint32_t a, b;       /* of the hash */
    int64_t count, room; /* room: how many pairs it was made for */
} bpe_merges;

/* An empty table for at most `room` pairs, 0 <= room < 2^30.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status bpe_merges_init(mts_ctx *ctx, bpe_merges *merges, int64_t room);
void bpe_merges_deinit(bpe_merges *merges);

/* Enter a pair, or replace its rank; at most `room` times.  Ids >= 0. */
void bpe_merges_put(bpe_merges *merges, bpe_merge merge);
/* The merge of a pair, or NULL. */
const bpe_merge *bpe_merges_find(const bpe_merges *merges, int32_t left, int32_t right);

/* A part of a word, and its place in it: the bytes [first, last), where the word is nothing but its
 * symbols one behind the other. */
typedef struct bpe_symbol {
    int32_t id; /* -1: merged into the one before it */
    int32_t first, last;
    int32_t previous, next; /* places of its neighbours, -1 at the ends */
} bpe_symbol;

/* A pair that may be merged. */
typedef struct bpe_candidate {
    int32_t rank, at; /* place of its left symbol */
    int32_t id;       /* of what comes out */
} bpe_candidate;

/* A word under way, reused from word to word; {0} to begin. */
typedef struct bpe_word {
    bpe_symbol *symbols;
    int64_t count, room;
    bpe_candidate *heap; /* the lowest rank, then the leftmost, is on top */
    int64_t heap_count, heap_room;
} bpe_word;

/* Append a symbol of so many bytes, > 0.  MTS_ERR_MEMORY; MTS_ERR_ARGUMENT: a word of more than
 * INT32_MAX bytes. */
MTS_NODISCARD mts_status bpe_word_push(mts_ctx *ctx, bpe_word *word, int32_t id, int64_t bytes);
/* Merge until no pair is left.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status bpe_word_merge(mts_ctx *ctx, const bpe_merges *merges, bpe_word *word);
void bpe_word_deinit(bpe_word *word);

#endif
