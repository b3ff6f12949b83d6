/*
 * The BERT tokenizer: text -> tokens, exactly as Hugging Face's fast BertTokenizer.
 *
 * In this order:
 *   1. added tokens, such as "[MASK]", are found in the text;
 *   2. BertNormalizer, on what is between them;
 *   3. split at whitespace, and around punctuation;
 *   4. WordPiece, on each word: the longest token that the rest of the word begins with, "##"
 *      behind the first piece; [UNK] for the whole word if there is none.
 *                                                                   [Schuster2012, Devlin2019]
 * Rows are [CLS] a [SEP], of type 0, and [CLS] a [SEP] b [SEP], with b and its [SEP] of type 1.
 *
 * Path: tokenizer.c -> wordpiece_class (wordpiece.c) -> wordpiece_split (wordpiece_split.c).  The
 * files, and which of them wins, are described in wordpiece_spec.h.
 */
#ifndef MTS_TEXT_WORDPIECE_H
#define MTS_TEXT_WORDPIECE_H

#include "text/added_tokens.h"
#include "text/tokenizer_class.h"
#include "text/wordpiece_spec.h"

typedef struct wordpiece {
    tokenizer base; /* first: a tokenizer * of this class is a wordpiece * */
    vocab vocabulary;
    bert_normalizer normalizer;
    added_set added_raw;           /* looked for in the original text */
    added_set added_normalized[2]; /* looked for in the normalised text; [lower_case] */
    int64_t max_input_chars;       /* per word */
    bool as_json_says;             /* of wordpiece_spec */
    int32_t special[SPECIAL_COUNT];
} wordpiece;

/* As split of tokenizer_class. */
MTS_NODISCARD mts_status wordpiece_split(mts_ctx *ctx, const tokenizer *tok, const char *text,
                                         int64_t most, token_list *out);

/* As write_rules of tokenizer_class. */
MTS_NODISCARD mts_status wordpiece_write_rules(mts_ctx *ctx, const tokenizer *tok, bool words,
                                               tokenizer_files *files);

#endif
