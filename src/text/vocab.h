/*
 * Vocabulary: id <-> token text, and the longest token a piece of text begins with.
 *
 * Path: filled by the file readers (vocab_put, vocab_finish), then read-only and shared by threads;
 * wordpiece_encode asks vocab_longest_prefix for every piece of every word.
 *
 * Two open-addressing tables with linear probing, at most half full: `whole` by the token's text,
 * `rest` by its text without the continuing-subword prefix ("##ing" -> "ing").
 *
 * The hash is the value of a polynomial modulo the prime 2^31 - 1 [Carter1979].  Its coefficients
 * are the bytes of the text; its argument is drawn when the tables are built.  So the hashes of all
 * prefixes of a word come from one pass over it, and nobody can write a file whose tokens collide:
 * two texts of n bytes have equal hashes for at most n of the 2^31 arguments.  Ids do not depend on
 * the argument.
 */
#ifndef MTS_TEXT_VOCAB_H
#define MTS_TEXT_VOCAB_H

#include "base/status.h"

enum {
    VOCAB_MAX_TOKENS = 1 << 22,  /* ids are 0..VOCAB_MAX_TOKENS - 1 */
    VOCAB_MAX_TOKEN_BYTES = 512, /* a longer token could never match: words have <= 100 letters */
};

typedef struct vocab_entry {
    size_t offset;  /* of the text in `bytes` */
    uint32_t bytes; /* of the text, without the NUL behind it */
    bool present;
    bool in_model; /* a token of the model; else an added token, which no word is cut into */
} vocab_entry;

typedef struct vocab_slot {
    uint32_t hash;
    int32_t id; /* -1: free */
} vocab_slot;

typedef struct vocab_table {
    vocab_slot *slots;
    uint32_t mask; /* number of slots - 1 */
} vocab_table;

typedef struct vocab {
    char *bytes; /* every text with a NUL behind */
    size_t bytes_used, bytes_room;
    vocab_entry *entries; /* by id */
    int64_t count, room;  /* count = greatest id + 1 */
    vocab_table whole, rest;
    size_t prefix_bytes;
    uint32_t argument; /* of the hash, 256..2^31 - 2 */
} vocab;

/*
 * Enter a token.  text[n], UTF-8, 1..VOCAB_MAX_TOKEN_BYTES bytes without NUL; id from the file.
 * MTS_ERR_BAD_FILE: malformed text, id out of range or taken; MTS_ERR_UNSUPPORTED: too long;
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status vocab_put(mts_ctx *ctx, vocab *v, int64_t id, const char *text, size_t n,
                                   bool in_model);

/*
 * All tokens are entered: build the tables.  prefix: the continuing-subword prefix, "##".
 * MTS_ERR_BAD_FILE: no tokens, an id without a token, two ids with one text; MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status vocab_finish(mts_ctx *ctx, vocab *v, const char *prefix);

void vocab_deinit(vocab *v);

/* An argument for such a hash that nobody knows beforehand, 256..2^31 - 2; place: any address. */
uint32_t vocab_draw_argument(const void *place);

/* Id of the token with this text, -1 if there is none.  After vocab_finish. */
int32_t vocab_find(const vocab *v, const char *text, size_t n);

/* Text of an id, NULL if out of range; owned by v. */
const char *vocab_text(const vocab *v, int32_t id);

/*
 * Id of the longest token of the model that word[n] begins with, -1 if there is none.
 *
 * continuing  look for "##" tokens; the prefix is not in word.
 * word        in   UTF-8, n >= 1; only whole code points are matched.
 * length      out  bytes of word that the token covers.
 */
int32_t vocab_longest_prefix(const vocab *v, bool continuing, const char *word, size_t n,
                             size_t *length);

#endif
