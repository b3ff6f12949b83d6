/* The number that ends an answer.  See number_answer.h. */
#include "tasks/number_answer.h"

#include <string.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A number at text[bytes] into out; *used: bytes of it.  Digits that do not fit are left out, so
 * such numbers are not all told apart. */
static bool read_number(const char *text, size_t bytes, char out[NUMBER_ANSWER_BYTES], size_t *used)
{
    size_t at = 0, n = 0;
    bool digits = false;
    while (at < bytes && (text[at] == ' ' || text[at] == '\t'))
        at++;
    if (at < bytes && text[at] == '$')
        at++;
    if (at < bytes && text[at] == '-')
        out[n++] = text[at++];
    if (at < bytes && text[at] == '$')
        at++;
    for (; at < bytes && (is_digit(text[at]) || text[at] == '.' || text[at] == ','); at++) {
        digits = digits || is_digit(text[at]);
        if (text[at] != ',' && n + 1 < NUMBER_ANSWER_BYTES)
            out[n++] = text[at];
    }
    while (n > 0 && out[n - 1] == '.')
        n--;
    out[n] = '\0';
    *used = at;
    return digits;
}

bool number_answer_find(const char *text, size_t bytes, char out[NUMBER_ANSWER_BYTES], bool *whole)
{
    static const char mark[] = "####";
    const size_t n = sizeof mark - 1;
    out[0] = '\0';
    if (whole != NULL)
        *whole = false;
    for (size_t at = 0; at + n <= bytes; at++) {
        size_t used;
        if (memcmp(text + at, mark, n) != 0 ||
            !read_number(text + at + n, bytes - at - n, out, &used))
            continue;
        if (whole != NULL)
            *whole = at + n + used < bytes;
        return true;
    }
    return false;
}
