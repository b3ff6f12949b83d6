/* UTF-8: decode, encode, check, quote.  See utf8.h. */
#include "base/utf8.h"

#include <string.h>

/* As utf8_decode; *ok tells a malformed sequence from a genuine U+FFFD. */
static size_t decode(const char *text, size_t n, int32_t *code, bool *ok)
{
    const unsigned char *s = (const unsigned char *)text;
    unsigned lead = s[0], low = 0x80, high = 0xBF;
    size_t need = 0;
    int32_t value = 0;

    *ok = true;
    if (lead < 0x80) {
        *code = (int32_t)lead;
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        need = 1;
        value = (int32_t)(lead & 0x1F);
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        need = 2;
        value = (int32_t)(lead & 0x0F);
        low = lead == 0xE0 ? 0xA0 : 0x80;  /* no overlong forms */
        high = lead == 0xED ? 0x9F : 0xBF; /* no surrogates */
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        need = 3;
        value = (int32_t)(lead & 0x07);
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF; /* not above 0x10FFFF */
    }
    size_t used = 1;
    while (used <= need && used < n && s[used] >= low && s[used] <= high) {
        value = value * 64 + (int32_t)(s[used] & 0x3F);
        low = 0x80;
        high = 0xBF;
        used++;
    }
    *ok = need > 0 && used == need + 1;
    *code = *ok ? value : UTF8_REPLACEMENT;
    return used;
}

size_t utf8_decode(const char *text, size_t n, int32_t *code)
{
    bool ok;
    return decode(text, n, code, &ok);
}

size_t utf8_encode(int32_t code, char out[UTF8_MAX_BYTES])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | (code >> 6));
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | (code >> 12));
        out[1] = (char)(0x80 | ((code >> 6) & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | (code >> 18));
    out[1] = (char)(0x80 | ((code >> 12) & 0x3F));
    out[2] = (char)(0x80 | ((code >> 6) & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

bool utf8_is_valid(const char *text, size_t n, size_t *bad_at)
{
    bool ok = true;
    int32_t code;
    for (size_t i = 0; i < n;) {
        size_t used = decode(text + i, n - i, &code, &ok);
        if (!ok) {
            if (bad_at != NULL)
                *bad_at = i;
            return false;
        }
        i += used;
    }
    return true;
}

size_t utf8_whole(const char *text, size_t n)
{
    size_t first = n; /* of the last character */
    while (first > 0 && n - first < UTF8_MAX_BYTES && (text[first - 1] & 0xC0) == 0x80)
        first--;
    if (first == 0)
        return n;
    const unsigned char lead = (unsigned char)text[--first];
    const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC0 ? 2 : 1;
    return n - first < bytes ? first : n;
}

const char *utf8_quote(char *out, size_t bytes, const char *text)
{
    const size_t length = strlen(text), limit = bytes - 4;
    size_t n = 0;
    while (n < length) {
        int32_t code;
        bool ok;
        const size_t used = decode(text + n, length - n, &code, &ok);
        if (n + used > limit)
            break;
        for (size_t i = n; i < n + used; i++)
            out[i] = !ok ? '?' : code < 0x20 || code == 0x7f ? ' ' : text[i];
        n += used;
    }
    memcpy(out + n, n == length ? "" : "...", n == length ? 1 : 4);
    return out;
}
