/*
 * Numbers in data files: decimal text to int64_t and double, the whole text or nothing.
 *
 * Path: data files -> number_parse -> labels and scores.
 * Does not depend on the locale, and knows no hexadecimal, "nan", "inf", spaces or underscores.
 */
#ifndef MTS_BASE_NUMBER_PARSE_H
#define MTS_BASE_NUMBER_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* text: [+-]digits.  True and *out if text is such a number and fits in an int64_t. */
bool number_parse_integer(const char *text, int64_t *out);

/*
 * text: [+-](digits[.digits*] | .digits)[(e|E)[+-]digits], at most 100 bytes.  True and *out (the
 * nearest double) if text is such a number and finite as a double.
 */
bool number_parse_real(const char *text, double *out);

#endif
