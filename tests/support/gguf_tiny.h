/*
 * A language model in a GGUF file, so small that its bytes fit into gguf_bytes: one layer of width
 * 16, two heads of 8 numbers, one of keys and values, 4 numbers in the middle, 6 tokens.
 *
 * Of each tensor the number in row r and column c is r + c / 64, so that rows can be told apart.
 */
#ifndef MTS_TESTS_SUPPORT_GGUF_TINY_H
#define MTS_TESTS_SUPPORT_GGUF_TINY_H

#include "support/gguf_bytes.h"

/* What is otherwise than in a right file; zeroed: a right one of architecture llama. */
typedef struct gguf_tiny {
    const char *architecture; /* general.architecture and the beginning of keys */
    const char *without;      /* key (behind "llama."), or tensor, that is left out */
    const char *key;          /* integer, of the same list or another, with ... */
    uint32_t value;           /* ... this value */
    const char *text_key;     /* text, likewise, by its whole name, with ... */
    const char *text;         /* ... this value; NULL: an integer */
    const char *real_key;     /* float, behind "llama.", with ... */
    float real;               /* ... this value */
    const char *tensor;       /* one more, of one dimension, with ... */
    int64_t count;            /* ... so many numbers */
    bool biases;              /* of q, k and v */
    bool pieces;              /* SentencePiece's tokens, with scores */
} gguf_tiny;

/* The tokens: byte-level and SentencePiece's. */
#define GGUF_TINY_TOKENS                                                                           \
    {                                                                                              \
        "<end>", "a", "b", "ab", "\xc4\xa0", "<user>"                                              \
    }
#define GGUF_TINY_PIECES                                                                           \
    {                                                                                              \
        "<unk>", "<s>", "</s>", "a", "\xe2\x96\x81",                                               \
            "\xe2\x96\x81"                                                                         \
            "a"                                                                                    \
    }
enum { GGUF_TINY_VOCAB = 6 };

void gguf_make_tiny(gguf_bytes *b, const gguf_tiny *t);

#endif
