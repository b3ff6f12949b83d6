/* Reading JSON in place.  See json_cursor.h. */
#include "data/json_cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

enum { FAIL_TEXT_BYTES = 256 };

void json_cursor_init(json_cursor *c, mts_ctx *ctx, const char *file, char *text, size_t bytes)
{
    const bool marked = bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0;
    *c = (json_cursor){.ctx = ctx,
                       .file = file,
                       .text = text,
                       .bytes = bytes,
                       .at = marked ? 3 : 0,
                       .line_start = marked ? 3 : 0,
                       .line = 1};
}

mts_status json_cursor_fail(const json_cursor *c, const char *fmt, ...)
{
    char reason[FAIL_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(reason, sizeof reason, fmt, args);
    va_end(args);
    return status_set(c->ctx, MTS_ERR_BAD_FILE, "%s:%lld:%lld: %s", c->file, (long long)c->line,
                      (long long)(c->at - c->line_start) + 1, reason);
}

/* What stands at the cursor, for an error text: "the end of the file", "'x'", ... */
static const char *found_text(const json_cursor *c, char out[UTF8_QUOTE_BYTES])
{
    int32_t code = 0;
    if (c->at >= c->bytes)
        return "the end of the file";
    const unsigned char byte = (unsigned char)c->text[c->at];
    const size_t n = utf8_decode(c->text + c->at, c->bytes - c->at, &code);
    if (byte < ' ' || byte == 0x7F || code == UTF8_REPLACEMENT)
        snprintf(out, UTF8_QUOTE_BYTES, "the byte 0x%02x", (unsigned)byte);
    else
        snprintf(out, UTF8_QUOTE_BYTES, "'%.*s'", (int)n, c->text + c->at);
    return out;
}

static mts_status expected(const json_cursor *c, const char *what)
{
    char found[UTF8_QUOTE_BYTES];
    return json_cursor_fail(c, "expected %s, found %s", what, found_text(c, found));
}

/* The character at the cursor, behind blanks; NUL at the end, and where the text has one. */
static char next_char(json_cursor *c)
{
    while (c->at < c->bytes) {
        const char byte = c->text[c->at];
        if (byte != ' ' && byte != '\t' && byte != '\r' && byte != '\n')
            return byte;
        c->at++;
        if (byte == '\n') {
            c->line++;
            c->line_start = c->at;
        }
    }
    return '\0';
}

mts_status json_cursor_peek(json_cursor *c, json_kind *kind)
{
    const char first = next_char(c);
    if (first == '{')
        *kind = JSON_KIND_OBJECT;
    else if (first == '[')
        *kind = JSON_KIND_ARRAY;
    else if (first == '"')
        *kind = JSON_KIND_STRING;
    else if (first == '-' || (first >= '0' && first <= '9'))
        *kind = JSON_KIND_NUMBER;
    else if (first == 't' || first == 'f')
        *kind = JSON_KIND_BOOL;
    else if (first == 'n')
        *kind = JSON_KIND_NULL;
    else
        return expected(c, "a JSON value");
    return MTS_OK;
}

/* ------------------------------------------------------------------ objects and arrays ---- */

static const char *kind_name(json_kind kind)
{
    static const char *const names[] = {"an object", "an array",      "a string",
                                        "a number",  "true or false", "null"};
    return names[kind];
}

/* The next value must be of this kind. */
static mts_status expect_kind(json_cursor *c, json_kind wanted)
{
    json_kind kind = wanted;
    mts_status st = json_cursor_peek(c, &kind);
    if (st == MTS_OK && kind != wanted)
        st = json_cursor_fail(c, "expected %s, found %s", kind_name(wanted), kind_name(kind));
    return st;
}

/* Go to the next member, which begins at the cursor then; *more false: the bracket was closed. */
static mts_status next_member(json_cursor *c, json_kind kind, int64_t *n, bool *more)
{
    mts_status st = MTS_OK;
    const char close = kind == JSON_KIND_OBJECT ? '}' : ']';
    char first = '\0';
    if (*n == 0) {
        MTS_TRY(expect_kind(c, kind));
        if (c->depth == JSON_CURSOR_DEPTH)
            return json_cursor_fail(c, "objects and arrays are nested above %d levels",
                                    JSON_CURSOR_DEPTH);
        c->depth++;
        c->at++;
    }
    first = next_char(c);
    *more = first != close;
    if (!*more) {
        c->at++;
        c->depth--;
        return MTS_OK;
    }
    if (*n > 0) {
        if (first != ',')
            return expected(c, kind == JSON_KIND_OBJECT ? "',' or '}'" : "',' or ']'");
        c->at++;
    }
    (*n)++;
cleanup:
    return st;
}

mts_status json_cursor_key(json_cursor *c, int64_t *n, const char **key)
{
    mts_status st = MTS_OK;
    bool more = false;
    *key = NULL;
    MTS_TRY(next_member(c, JSON_KIND_OBJECT, n, &more));
    if (!more)
        return MTS_OK;
    if (next_char(c) != '"')
        return expected(c, "a key in double quotes");
    MTS_TRY(json_cursor_string(c, key, NULL));
    if (next_char(c) != ':')
        return expected(c, "':'");
    c->at++;
cleanup:
    return st;
}

mts_status json_cursor_item(json_cursor *c, int64_t *n, bool *more)
{
    return next_member(c, JSON_KIND_ARRAY, n, more);
}

/* ----------------------------------------------------------------------------- strings ---- */

/* *code: the four digits at the cursor, which goes behind them. */
static mts_status read_hex(json_cursor *c, int32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, c->at++) {
        const char digit = c->at < c->bytes ? c->text[c->at] : '\0';
        int32_t value = 0;
        if (digit >= '0' && digit <= '9')
            value = digit - '0';
        else if (digit >= 'a' && digit <= 'f')
            value = digit - 'a' + 10;
        else if (digit >= 'A' && digit <= 'F')
            value = digit - 'A' + 10;
        else
            return expected(c, "a hexadecimal digit");
        *code = *code * 16 + value;
    }
    return MTS_OK;
}

/* *code: of \uXXXX or a surrogate pair of them; the cursor is behind the first 'u'. */
static mts_status read_unicode_escape(json_cursor *c, int32_t *code)
{
    mts_status st = MTS_OK;
    int32_t low = 0;
    MTS_TRY(read_hex(c, code));
    if (*code == 0)
        return json_cursor_fail(c, "\\u0000 in a string is not supported");
    if (*code < 0xD800 || *code > 0xDFFF)
        return MTS_OK;
    if (*code < 0xDC00 && c->at + 1 < c->bytes && memcmp(c->text + c->at, "\\u", 2) == 0) {
        c->at += 2;
        MTS_TRY(read_hex(c, &low));
    }
    if (low < 0xDC00 || low > 0xDFFF)
        return json_cursor_fail(c, "expected a pair of surrogates, found half of one");
    *code = 0x10000 + (*code - 0xD800) * 0x400 + (low - 0xDC00);
cleanup:
    return st;
}

/* Decode the escape at the cursor (a backslash) to out, which lies before it; *n: bytes. */
static mts_status read_escape(json_cursor *c, char *out, size_t *n)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    mts_status st = MTS_OK;
    int32_t code = 0;
    c->at++;
    const char letter = c->at < c->bytes ? c->text[c->at] : '\0';
    const char *known = letter == '\0' ? NULL : strchr(letters, letter);
    if (known == NULL && letter != 'u')
        return expected(c, "one of \" \\ / b f n r t u behind a backslash");
    c->at++;
    *n = 1;
    if (known != NULL) {
        *out = values[known - letters];
        return MTS_OK;
    }
    MTS_TRY(read_unicode_escape(c, &code));
    *n = utf8_encode(code, out); /* at most 4 bytes, of at least 6 that were read */
cleanup:
    return st;
}

mts_status json_cursor_string(json_cursor *c, const char **text, size_t *length)
{
    mts_status st = MTS_OK;
    size_t bad = 0, n = 0, begin = 0, end = 0;
    MTS_TRY(expect_kind(c, JSON_KIND_STRING));
    begin = end = ++c->at;
    for (;;) {
        const unsigned char byte = c->at < c->bytes ? (unsigned char)c->text[c->at] : 0;
        if (byte == '"')
            break;
        if (byte < ' ')
            return expected(c, "'\"' at the end of a string");
        if (byte == '\\') {
            MTS_TRY(read_escape(c, c->text + end, &n));
            end += n;
        } else {
            c->text[end++] = c->text[c->at++];
        }
    }
    if (!utf8_is_valid(c->text + begin, end - begin, &bad))
        return json_cursor_fail(c, "expected UTF-8, found the byte 0x%02x in the string before",
                                (unsigned)(unsigned char)c->text[begin + bad]);
    c->text[end] = '\0';
    c->at++;
    *text = c->text + begin;
    if (length != NULL)
        *length = end - begin;
cleanup:
    return st;
}

/* ------------------------------------------------------------------- numbers and words ---- */

static size_t skip_digits(json_cursor *c)
{
    const size_t begin = c->at;
    while (c->at < c->bytes && c->text[c->at] >= '0' && c->text[c->at] <= '9')
        c->at++;
    return c->at - begin;
}

/* Whether the cursor is at byte, which it then passes. */
static bool pass(json_cursor *c, char byte)
{
    const bool there = c->at < c->bytes && c->text[c->at] == byte;
    c->at += there;
    return there;
}

/* Pass a number; *whole: it has neither point nor exponent. */
static mts_status skip_number(json_cursor *c, bool *whole)
{
    pass(c, '-');
    const bool zero = pass(c, '0');
    if (!zero && skip_digits(c) == 0)
        return expected(c, "a digit");
    *whole = true;
    if (pass(c, '.')) {
        *whole = false;
        if (skip_digits(c) == 0)
            return expected(c, "a digit");
    }
    if (pass(c, 'e') || pass(c, 'E')) {
        *whole = false;
        if (!pass(c, '-'))
            pass(c, '+');
        if (skip_digits(c) == 0)
            return expected(c, "a digit");
    }
    return MTS_OK;
}

mts_status json_cursor_integer(json_cursor *c, int64_t *value)
{
    mts_status st = MTS_OK;
    bool whole = false, negative = false;
    int64_t sum = 0;
    json_cursor start = {0};
    MTS_TRY(expect_kind(c, JSON_KIND_NUMBER));
    start = *c;
    MTS_TRY(skip_number(c, &whole));
    if (!whole)
        return json_cursor_fail(&start, "expected an integer, found a number with a fraction");
    negative = c->text[start.at] == '-';
    /* negative all the way: INT64_MIN has no positive counterpart */
    for (size_t i = start.at + negative; i < c->at; i++) {
        const int64_t digit = c->text[i] - '0';
        if (sum < (INT64_MIN + digit) / 10)
            return json_cursor_fail(&start, "expected an integer of 64 bits, found a larger one");
        sum = sum * 10 - digit;
    }
    if (!negative && sum == INT64_MIN)
        return json_cursor_fail(&start, "expected an integer of 64 bits, found a larger one");
    *value = negative ? sum : -sum;
cleanup:
    return st;
}

mts_status json_cursor_id(json_cursor *c, const char **text)
{
    mts_status st = MTS_OK;
    json_kind kind = JSON_KIND_STRING;
    int64_t value = 0;
    size_t begin = 0;
    MTS_TRY(json_cursor_peek(c, &kind));
    if (kind != JSON_KIND_NUMBER)
        return json_cursor_string(c, text, NULL);
    begin = c->at;
    MTS_TRY(json_cursor_integer(c, &value));
    /* A key stands before it: one byte to the left there is room, and then there is for a NUL. */
    memmove(c->text + begin - 1, c->text + begin, c->at - begin);
    c->text[c->at - 1] = '\0';
    *text = c->text + begin - 1;
cleanup:
    return st;
}

/* Pass true, false or null. */
static mts_status skip_word(json_cursor *c)
{
    static const char *const words[] = {"true", "false", "null"};
    for (int i = 0; i < 3; i++) {
        const size_t n = strlen(words[i]);
        if (c->bytes - c->at >= n && memcmp(c->text + c->at, words[i], n) == 0) {
            c->at += n;
            return MTS_OK;
        }
    }
    return expected(c, "a JSON value");
}

mts_status json_cursor_skip(json_cursor *c)
{
    mts_status st = MTS_OK;
    json_kind kind = JSON_KIND_NULL;
    const char *text = NULL;
    bool more = true, whole = false;
    int64_t n = 0;
    MTS_TRY(json_cursor_peek(c, &kind));
    switch (kind) {
    case JSON_KIND_OBJECT:
        for (;;) {
            MTS_TRY(json_cursor_key(c, &n, &text));
            if (text == NULL)
                break;
            MTS_TRY(json_cursor_skip(c));
        }
        break;
    case JSON_KIND_ARRAY:
        for (;;) {
            MTS_TRY(json_cursor_item(c, &n, &more));
            if (!more)
                break;
            MTS_TRY(json_cursor_skip(c));
        }
        break;
    case JSON_KIND_STRING:
        st = json_cursor_string(c, &text, NULL);
        break;
    case JSON_KIND_NUMBER:
        st = skip_number(c, &whole);
        break;
    case JSON_KIND_BOOL:
    case JSON_KIND_NULL:
        st = skip_word(c);
        break;
    }
cleanup:
    return st;
}

mts_status json_cursor_end(json_cursor *c)
{
    next_char(c);
    return c->at == c->bytes ? MTS_OK : expected(c, "the end of the file");
}
