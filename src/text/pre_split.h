/*
 * Pre-tokenizers: where a text is cut into the pieces that byte-pair encoding works on.
 *
 * Path: bpe_split -> pre_split_length, piece by piece.
 *
 * Files of tokenizers give a regular expression.  There are few of them, so each known one is a
 * matcher written by hand: linear in the text, whatever the text.  pre_split_find knows them by
 * their exact spelling.
 */
#ifndef MTS_TEXT_PRE_SPLIT_H
#define MTS_TEXT_PRE_SPLIT_H

#include "text/bert_normalizer.h"

typedef enum pre_split_rule {
    PRE_SPLIT_GPT2,         /* contractions, words with the space before them, numbers, the rest */
    PRE_SPLIT_LLAMA3,       /* likewise; at most three digits; line ends by themselves */
    PRE_SPLIT_QWEN2,        /* likewise; digits one by one */
    PRE_SPLIT_THREE_DIGITS, /* [0-9][0-9][0-9] */
    PRE_SPLIT_EACH_DIGIT,   /* Digits: each number character, and what is between them */
    PRE_SPLIT_DIGITS,       /* runs of them */
    PRE_SPLIT_EACH_PUNCTUATION,
    PRE_SPLIT_PUNCTUATION,
    PRE_SPLIT_METASPACE, /* before each U+2581 */
} pre_split_rule;

enum { PRE_SPLIT_METASPACE_CODE = 0x2581 };

/* Code points of the first piece of chars[count], 1..count; count >= 1. */
int64_t pre_split_length(pre_split_rule rule, const bert_char *chars, int64_t count);

/* Whether a regular expression is known by its text, and which rule it is. */
bool pre_split_find(const char *pattern, pre_split_rule *rule);

/* Whether the matches of the rule cover any text, so that nothing is between them. */
bool pre_split_covers(pre_split_rule rule);

#endif
