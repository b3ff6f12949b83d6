/*
 * Properties of code points as Hugging Face's BERT tokenizer sees them.
 *
 * Path: asked by bert_normalizer and wordpiece_encode for every code point.
 *
 * A model is trained with one tokenizer, so these properties are frozen to the Unicode versions of
 * the Rust crates that `tokenizers` (0.13 to 0.23) is built with, whatever utf8proc is installed:
 *     categories Mn, P*, Cc, Cf, Co   Unicode 8.0, tables here; later marks and punctuation are
 *                                     ordinary letters
 *     canonical decomposition, class  Unicode 9.0: utf8proc, except a table of newer code points
 *     lower case                      Unicode 17.0: utf8proc (>= 15.0), plus a table of newer pairs
 * gates/check_tokenizer.py compares them over all 1,112,064 code points.  Unassigned code points
 * are ordinary letters.
 */
#ifndef MTS_TEXT_BERT_UNICODE_H
#define MTS_TEXT_BERT_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

enum { BERT_UNICODE_MAX_PARTS = 8 };

/* White_Space of Unicode: TAB..CR, SPACE, U+0085, U+00A0, U+1680, U+2000.., U+3000, ... */
bool bert_unicode_is_whitespace(int32_t code);
/* What clean_text removes: NUL, U+FFFD, Cc (but TAB, LF, CR), Cf, Co. */
bool bert_unicode_is_removed(int32_t code);
/* ASCII punctuation and symbols, and P*: each such code point is a word of its own. */
bool bert_unicode_is_punctuation(int32_t code);
/* Mn, the nonspacing marks that strip_accents removes. */
bool bert_unicode_is_mark(int32_t code);
/* The CJK blocks that handle_chinese_chars puts between spaces. */
bool bert_unicode_is_chinese(int32_t code);

/* out: the lower-case form, 1 or (U+0130 only) 2 code points; returns how many. */
int bert_unicode_lower(int32_t code, int32_t out[2]);
/* out: the full canonical decomposition, not reordered; returns how many code points, >= 1. */
int bert_unicode_decompose(int32_t code, int32_t out[BERT_UNICODE_MAX_PARTS]);
/* Canonical combining class, 0..254; 0 is a starter. */
int bert_unicode_combining_class(int32_t code);

#endif
