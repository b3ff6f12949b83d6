/* Text of unknown origin in the output: control characters must not act.  See escape.h. */
#include "escape.h"

#include <stdbool.h>
#include <string.h>

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
    const int control = control_at(text, &bytes);
    if (control < 0)
        fputc(*text, file);
    else
        fprintf(file, "\\u%04x", (unsigned)control);
    return bytes;
}

void escape_tsv(FILE *file, const char *text)
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

void escape_json(FILE *file, const char *text)
{
    fputc('"', file);
    while (*text != '\0') {
        if (*text == '"' || *text == '\\')
            fputc('\\', file);
        text += put_escaped(file, text);
    }
    fputc('"', file);
}
