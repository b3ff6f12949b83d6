/*
 * The alphabet of byte-level tokenizers: each byte as a visible character, as GPT-2 has it.
 *
 * 0x21..0x7E, 0xA1..0xAC and 0xAE..0xFF are the code points of the same number; the other 68 bytes
 * are U+0100 to U+0143 in their order, so that a space is U+0120.
 */
#ifndef MTS_TEXT_BYTE_ALPHABET_H
#define MTS_TEXT_BYTE_ALPHABET_H

#include <stdint.h>

enum { BYTE_ALPHABET_END = 0x144, BYTE_ALPHABET_SPACE = 0x120 };

/* The code point of a byte, below BYTE_ALPHABET_END. */
int32_t byte_alphabet_code(unsigned char byte);
/* The byte of a code point, -1 if it stands for none. */
int byte_alphabet_byte(int32_t code);

#endif
