/* The alphabet of byte-level tokenizers.  See byte_alphabet.h. */
#include "text/byte_alphabet.h"

/* Bytes 0..0x20 are U+0100.., 0x7F..0xA0 follow them, then 0xAD. */
enum { SECOND = 0x121, THIRD = 0x143 };

int32_t byte_alphabet_code(unsigned char byte)
{
    if (byte <= 0x20)
        return 0x100 + byte;
    if (byte >= 0x7F && byte <= 0xA0)
        return SECOND + (byte - 0x7F);
    return byte == 0xAD ? THIRD : byte;
}

int byte_alphabet_byte(int32_t code)
{
    if (code >= 0x100 && code < SECOND)
        return code - 0x100;
    if (code >= SECOND && code < THIRD)
        return code - SECOND + 0x7F;
    if (code == THIRD)
        return 0xAD;
    return (code >= 0x21 && code <= 0x7E) || (code >= 0xA1 && code <= 0xFF && code != 0xAD) ? code
                                                                                            : -1;
}
