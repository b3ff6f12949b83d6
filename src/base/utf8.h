/*
 * UTF-8: decode, encode, check, quote.  [Unicode 15.0, section 3.9, table 3-7]
 *
 * Path: bytes of a text -> code points -> bert_normalizer; data files, JSON and error texts.
 * Does not normalise.
 */
#ifndef MTS_BASE_UTF8_H
#define MTS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UTF8_REPLACEMENT = 0xFFFD, UTF8_MAX_BYTES = 4, UTF8_QUOTE_BYTES = 64 };

/*
 * Decode the code point at text[0]; returns the number of bytes used, 1..4.
 *
 * text  in   n >= 1 readable bytes.
 * code  out  0..0x10FFFF without surrogates.  A malformed sequence (stray or missing continuation
 *            byte, overlong form, surrogate, above 0x10FFFF, cut off by n) gives U+FFFD for each
 *            maximal subpart, as Python's bytes.decode(errors="replace") and web browsers do.
 */
size_t utf8_decode(const char *text, size_t n, int32_t *code);

/* Encode code (a value that utf8_decode can give) into out; returns the number of bytes, 1..4. */
size_t utf8_encode(int32_t code, char out[UTF8_MAX_BYTES]);

/* Whether all n bytes are well-formed UTF-8.  *bad_at (may be NULL): offset of the first error. */
bool utf8_is_valid(const char *text, size_t n, size_t *bad_at);

/* Bytes of text[n] without the character at its end that n cuts in two, if there is one. */
size_t utf8_whole(const char *text, size_t n);

/*
 * The start of a text of unknown origin, for an error message.  Returns out.
 *
 * out   out  bytes (> 4, usually UTF8_QUOTE_BYTES) with the NUL: text on one line, in whole
 *            characters; a control character is a space, a malformed byte '?', and "..." stands
 *            behind a text of more than bytes - 4 bytes, where it was cut.
 */
const char *utf8_quote(char *out, size_t bytes, const char *text);

#endif
