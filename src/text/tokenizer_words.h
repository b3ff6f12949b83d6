/*
 * A sentence that is cut into words already, as one row of tokens that know their word.
 *
 * Path: word_rows (tasks) -> tokenizer_encode_words -> tokenizer_class.split for each word.
 *
 * Each word is tokenized by itself, with a blank before it, which some tokenizers make part of its
 * first token: what Hugging Face gives for is_split_into_words=True (and add_prefix_space=True).
 */
#ifndef MTS_TEXT_TOKENIZER_WORDS_H
#define MTS_TEXT_TOKENIZER_WORDS_H

#include "text/tokenizer.h"

/* Owns the arrays, one allocation; freed by word_encoding_deinit. */
typedef struct word_encoding {
    int64_t length;
    int32_t *ids, *type_ids;
    int32_t *word;   /* of which each token is, from 0; -1: a special token around the words */
    int64_t words;   /* the row has the first token of so many words; those behind are cut away.  A
                        word without tokens (of control characters, say) counts where it stands. */
    int64_t without; /* of these: words without tokens */
} word_encoding;

/*
 * *out: the n words as one row of at most max_length tokens (> 0), those at the end left out.
 * Words are UTF-8 with a NUL behind; malformed bytes are U+FFFD; an empty one has no tokens.
 * MTS_ERR_ARGUMENT: no room for the special tokens, a word too long, more than INT32_MAX words;
 * MTS_ERR_MEMORY.  deinit is safe after failure.
 */
MTS_NODISCARD mts_status tokenizer_encode_words(mts_ctx *ctx, const tokenizer *tok,
                                                const char *const *words, int64_t n,
                                                int64_t max_length, word_encoding *out);
void word_encoding_deinit(word_encoding *e);

#endif
