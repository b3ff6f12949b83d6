/* data/number_parse: accepts exactly the texts of its grammar, with the values of the C library. */
#include "fuzz/fuzz_target.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/number_parse.h"

enum { REAL_BYTES = 100 };

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *c)
{
    while (is_digit(*c))
        c++;
    return c;
}

static const char *skip_sign(const char *c)
{
    return c + (*c == '+' || *c == '-');
}

/* [+-]digits */
static bool is_integer_text(const char *text)
{
    const char *digits = skip_sign(text), *end = skip_digits(digits);
    return end > digits && *end == '\0';
}

/* [+-](digits[.digits*] | .digits)[(e|E)[+-]digits] */
static bool is_real_text(const char *text)
{
    const char *whole = skip_sign(text), *c = skip_digits(whole);
    bool some = c > whole;
    if (*c == '.') {
        const char *end = skip_digits(c + 1);
        some = some || end > c + 1;
        c = end;
    }
    if (some && (*c == 'e' || *c == 'E')) {
        const char *digits = skip_sign(c + 1);
        c = skip_digits(digits);
        some = c > digits;
    }
    return some && *c == '\0';
}

static bool run(const uint8_t *data, size_t size)
{
    int64_t whole = 0;
    double real = 0.0;
    char *text = fuzz_text((fuzz_bytes){(const char *)data, size});
    const bool has_whole = number_parse_integer(text, &whole);
    const bool has_real = number_parse_real(text, &real);

    errno = 0;
    const long long integer = strtoll(text, NULL, 10);
    FUZZ_REQUIRE(has_whole == (is_integer_text(text) && errno == 0));
    FUZZ_REQUIRE(!has_whole || whole == integer);

    const bool grammar = is_real_text(text) && strlen(text) <= REAL_BYTES;
    const double expected = grammar ? strtod(text, NULL) : 0.0;
    FUZZ_REQUIRE(has_real == (grammar && isfinite(expected)));
    FUZZ_REQUIRE(!has_real || (real == expected && signbit(real) == signbit(expected)));
    free(text);
    return has_whole || has_real;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("0"),
    FUZZ_BYTES("-9223372036854775808"),
    FUZZ_BYTES("+17"),
    FUZZ_BYTES("2.5e-3"),
    FUZZ_BYTES(".5"),
    FUZZ_BYTES("1.e+10"),
    FUZZ_BYTES("1.7976931348623157e308"),
    FUZZ_BYTES("4.9406564584124654e-324"),
};

static const char *const words[] = {"0",
                                    "9",
                                    ".",
                                    "e",
                                    "E",
                                    "+",
                                    "-",
                                    "e-",
                                    "308",
                                    "1e400",
                                    "nan",
                                    "inf",
                                    "0x1p3",
                                    "_",
                                    ",",
                                    " ",
                                    "\t",
                                    "\xff",
                                    "9223372036854775808",
                                    NULL};

const fuzz_target fuzz_target_numbers = {
    .name = "numbers",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
