/*
 * Classes of code points as the regular expressions of Hugging Face's tokenizers see them.
 *
 * Path: asked by pre_split for every code point.
 *
 * Tokens must not depend on the installed utf8proc, so the classes are tables of the Unicode
 * versions that `tokenizers` (0.23) is built with: 16.0 in its regular expressions, 17.0 in its
 * Digits.  gates/check_bpe.py compares them over all 1,112,064 code points.
 */
#ifndef MTS_TEXT_REGEX_UNICODE_H
#define MTS_TEXT_REGEX_UNICODE_H

#include <stdbool.h>
#include <stdint.h>

typedef enum regex_class {
    REGEX_OTHER,
    REGEX_LETTER, /* \p{L} */
    REGEX_NUMBER, /* \p{N} */
    REGEX_SPACE,  /* \s */
} regex_class;

/* The four classes do not overlap. */
regex_class regex_class_of(int32_t code);
/* What Digits takes for a number. */
bool regex_is_numeric(int32_t code);

#endif
