/* Numbers in data files.  See number_parse.h.  The syntax is checked here; strtod only converts. */
#include "base/number_parse.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_BYTES 100

/* Bytes of the digits at the start of text. */
static size_t count_digits(const char *text)
{
    return strspn(text, "0123456789");
}

bool number_parse_integer(const char *text, int64_t *out)
{
    const bool negative = text[0] == '-';
    const char *p = text + (text[0] == '-' || text[0] == '+');
    const size_t n = count_digits(p);
    int64_t value = 0;
    if (n == 0 || p[n] != '\0')
        return false;
    /* Negative all the way: INT64_MIN has no positive counterpart. */
    for (size_t i = 0; i < n; i++) {
        const int64_t digit = p[i] - '0';
        if (value < (INT64_MIN + digit) / 10)
            return false;
        value = value * 10 - digit;
    }
    if (!negative && value == INT64_MIN)
        return false;
    *out = negative ? value : -value;
    return true;
}

/* Whether text has the form of a number; *point: index of its '.', or its length if none. */
static bool is_number(const char *text, size_t *point)
{
    const char *p = text + (text[0] == '-' || text[0] == '+');
    size_t digits = count_digits(p);
    p += digits;
    *point = strlen(text);
    if (*p == '.') {
        *point = (size_t)(p - text);
        const size_t fraction = count_digits(p + 1);
        p += 1 + fraction;
        digits += fraction;
    }
    if (digits == 0)
        return false;
    if (*p == 'e' || *p == 'E') {
        p += 1 + (p[1] == '-' || p[1] == '+');
        digits = count_digits(p);
        p += digits;
        if (digits == 0)
            return false;
    }
    return *p == '\0';
}

bool number_parse_real(const char *text, double *out)
{
    char copy[NUMBER_MAX_BYTES + 16];
    const char *locale_point = localeconv()->decimal_point;
    const size_t n = strlen(text), point_bytes = strlen(locale_point);
    size_t point = 0;
    if (n > NUMBER_MAX_BYTES || point_bytes > 8 || !is_number(text, &point))
        return false;
    /* strtod reads the decimal point of the program's locale. */
    memcpy(copy, text, point);
    if (point < n) {
        memcpy(copy + point, locale_point, point_bytes);
        memcpy(copy + point + point_bytes, text + point + 1, n - point);
    } else {
        copy[n] = '\0';
    }
    const double value = strtod(copy, NULL);
    if (!isfinite(value))
        return false;
    *out = value;
    return true;
}
