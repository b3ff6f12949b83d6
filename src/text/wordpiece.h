/*
 * The BERT tokenizer: text -> token ids, exactly as Hugging Face's fast BertTokenizer.
 *
 *   added tokens ("[MASK]")  ->  BertNormalizer  ->  split at whitespace and punctuation  ->
 *   WordPiece: the longest token that the rest of the word begins with, "##" behind the first
 *   piece, [UNK] for the whole word if there is none  ->  [CLS] a [SEP] (b [SEP]), longest-first
 *   truncation.                                                              [Schuster2012,
 * Devlin2019]
 *
 * Path: data (training and evaluation sets) and api (mts_tokenizer_*) call this.  The files and
 * which of them wins are described in tokenizer_spec.h.  Padding is the caller's business.
 *
 * Threads: after opening (and wordpiece_set_lower_case) the object does not change: any number of
 * threads may encode with one object at once, each with a ctx of its own or with ctx NULL.
 */
#ifndef MTS_TEXT_WORDPIECE_H
#define MTS_TEXT_WORDPIECE_H

#include "base/status.h"

typedef struct wordpiece wordpiece;

/*
 * *out: the tokenizer of a model folder, owned by the caller (wordpiece_close).
 * MTS_ERR_NOT_FOUND, MTS_ERR_IO, MTS_ERR_BAD_FILE (malformed; no [UNK], [CLS] or [SEP]),
 * MTS_ERR_UNSUPPORTED (not a BERT WordPiece tokenizer), MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status wordpiece_open(mts_ctx *ctx, const char *model_dir, wordpiece **out);
void wordpiece_close(wordpiece *wp);

/* Replace do_lower_case of the files.  Accents follow it where strip_accents is null there.  Call
 * it before the object is shared between threads. */
void wordpiece_set_lower_case(wordpiece *wp, bool lower_case);
bool wordpiece_lower_case(const wordpiece *wp);

/*
 * Encode a text or a pair.
 *
 * ctx         for the error text; NULL, or one that no other thread uses.
 * text_a      in   UTF-8 with a NUL behind, at most INT32_MAX bytes; malformed bytes count as
 * U+FFFD. text_b      in   the same, or NULL for a single text. max_length  0: no truncation; else
 * the greatest length with the special tokens, >= 2 (3 with text_b): the longer text loses tokens
 * from its end until they fit, if both are longer than half of the room each gets half and text_b
 * the odd one (Hugging Face's "longest_first"). out         overwritten; freed by
 * wordpiece_free_encoding.  begin and end are byte offsets into the text that the token came from,
 * 0 and 0 for [CLS] and [SEP]; type_ids are 0 for [CLS] a [SEP], 1 for b [SEP]. MTS_ERR_ARGUMENT,
 * MTS_ERR_MEMORY; *out is {0} after an error.
 */
MTS_NODISCARD mts_status wordpiece_encode(mts_ctx *ctx, const wordpiece *wp, const char *text_a,
                                          const char *text_b, int64_t max_length,
                                          mts_encoding *out);
/* Free the arrays (one allocation) and clear the struct; NULL and {0} are allowed. */
void wordpiece_free_encoding(mts_encoding *encoding);

/* The text of an id, "##" included; NULL if out of range; owned by wp. */
const char *wordpiece_token(const wordpiece *wp, int32_t id);
/* Id of a token by its text, -1 if there is none. */
int32_t wordpiece_find_token(const wordpiece *wp, const char *token);
/* Greatest id + 1, added tokens included: the rows that an embedding needs. */
int64_t wordpiece_vocab_size(const wordpiece *wp);

int32_t wordpiece_unk_id(const wordpiece *wp);
int32_t wordpiece_cls_id(const wordpiece *wp);
int32_t wordpiece_sep_id(const wordpiece *wp);
/* 0 if the vocabulary has no [PAD]: padding is masked, any id serves. */
int32_t wordpiece_pad_id(const wordpiece *wp);
/* -1 if the vocabulary has no [MASK]. */
int32_t wordpiece_mask_id(const wordpiece *wp);

/* Names of the files that make up a tokenizer, for whoever copies a model folder; constant. */
const char *const *wordpiece_file_names(int *count);

#endif
