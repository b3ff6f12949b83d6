/* Text of unknown origin in the output: control characters must not act.  See escape.h. */
#include "escape.h"

#include <string.h>

size_t escape_character(const char *text, bool *valid)
{
    const unsigned char *s = (const unsigned char *)text;
    const unsigned char lead = s[0];
    size_t need = 0, used = 1; /* continuation bytes; bytes */
    unsigned low = 0x80, high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xf4)
        need = lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if (lead == 0xe0 || lead == 0xf0)
        low = lead == 0xe0 ? 0xa0 : 0x90; /* no overlong forms */
    if (lead == 0xed || lead == 0xf4)
        high = lead == 0xed ? 0x9f : 0x8f; /* no surrogates, not above U+10FFFF */
    while (used <= need && s[used] >= low && s[used] <= high) {
        low = 0x80;
        high = 0xbf;
        used++;
    }
    *valid = lead < 0x80 || (need > 0 && used == need + 1);
    return used;
}

/* The control character at text, as a code point; *bytes: its length.  -1: it is none. */
static int control_at(const char *text, size_t *bytes)
{
    const unsigned char first = (unsigned char)text[0], second = (unsigned char)text[1];
    const bool high = first == 0xc2 && second >= 0x80 && second < 0xa0; /* U+0080..U+009F */
    *bytes = high ? 2 : 1;
    if (high)
        return second;
    return first < ' ' || first == 0x7f ? first : -1;
}

void escape_text(FILE *file, const char *text)
{
    size_t bytes = 0;
    for (; *text != '\0'; text += bytes)
        fputc(control_at(text, &bytes) < 0 ? *text : '?', file);
}

/* One character of a result, control characters as \u001b; the number of bytes taken. */
static size_t put_escaped(FILE *file, const char *text)
{
    size_t bytes = 0;
    bool valid = true;
    const int control = control_at(text, &bytes);
    if (control >= 0) {
        fprintf(file, "\\u%04x", (unsigned)control);
        return bytes;
    }
    bytes = escape_character(text, &valid);
    if (valid)
        fwrite(text, 1, bytes, file);
    else
        fputs("\xef\xbf\xbd", file);
    return bytes;
}

static void put_tsv(FILE *file, const char *text)
{
    static const char plain[] = "\t\n\r\\", letters[] = "tnr\\";
    while (*text != '\0') {
        const char *found = strchr(plain, *text);
        if (found == NULL) {
            text += put_escaped(file, text);
            continue;
        }
        fprintf(file, "\\%c", letters[found - plain]);
        text++;
    }
}

static void put_json(FILE *file, const char *text)
{
    while (*text != '\0') {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        text += put_escaped(file, text);
    }
}

/* text[bytes], with a NUL behind, in pieces between its NUL bytes. */
static void put_all(FILE *file, const char *text, size_t bytes,
                    void (*put)(FILE *file, const char *text))
{
    const char *end = text + bytes;
    for (;; text++) {
        put(file, text);
        text += strlen(text);
        if (text >= end)
            break;
        fputs("\\u0000", file);
    }
}

void escape_tsv_bytes(FILE *file, const char *text, size_t bytes)
{
    put_all(file, text, bytes, put_tsv);
}

void escape_tsv(FILE *file, const char *text)
{
    put_tsv(file, text);
}

void escape_json_bytes(FILE *file, const char *text, size_t bytes)
{
    fputc('"', file);
    put_all(file, text, bytes, put_json);
    fputc('"', file);
}

void escape_json(FILE *file, const char *text)
{
    escape_json_bytes(file, text, strlen(text));
}
