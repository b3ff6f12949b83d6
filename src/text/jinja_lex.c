/*
 * Jinja: a template to tokens, with the blanks that trim_blocks, lstrip_blocks and the signs "-"
 * and "+" beside a tag take away.  See jinja_internal.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "base/number_parse.h"
#include "base/utf8.h"
#include "text/jinja_internal.h"
#include "text/python_text.h"

enum { NUMBER_BYTES = 64 };

/* Where the lexer stands in text[end]. */
typedef struct lexer {
    jinja_source *source;
    const char *text;
    size_t at, end;
    size_t counted; /* line ends before it are in `line` */
    int32_t line;
    size_t open; /* brackets: what is in them is no end of a tag */
} lexer;

static int32_t line_at(lexer *l, size_t at)
{
    for (; l->counted < at; l->counted++)
        l->line += l->text[l->counted] == '\n';
    return l->line;
}

static mts_status fail(lexer *l, mts_status status, const char *what)
{
    return status_set(l->source->ctx, status, "%s:%d: %s", l->source->name, line_at(l, l->at),
                      what);
}

static mts_status push(lexer *l, jinja_token_kind kind, const char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    jinja_source *s = l->source;
    if (s->count == s->room) {
        const size_t room = 2 * s->room + 256;
        jinja_token *more = NULL;
        MTS_TRY(jinja_take(s->pool, room * sizeof *more, &more));
        if (s->count > 0)
            memcpy(more, s->tokens, s->count * sizeof *more);
        s->tokens = more;
        s->room = room;
    }
    s->tokens[s->count++] =
        (jinja_token){.kind = kind, .line = line_at(l, l->at), .text = text, .bytes = bytes};
cleanup:
    return st;
}

/* A token with a copy of the text and a NUL behind. */
static mts_status push_copy(lexer *l, jinja_token_kind kind, const char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    char *copy = NULL;
    MTS_TRY(jinja_take(l->source->pool, bytes + 1, &copy));
    if (bytes > 0)
        memcpy(copy, text, bytes);
    MTS_TRY(push(l, kind, copy, bytes));
cleanup:
    return st;
}

static bool starts(const lexer *l, size_t at, const char *what)
{
    const size_t n = strlen(what);
    return l->end - at >= n && memcmp(l->text + at, what, n) == 0;
}

/* The first place from `at` on behind blanks. */
static size_t behind_blanks(const lexer *l, size_t at)
{
    int32_t code;
    while (at < l->end) {
        const size_t n = utf8_decode(l->text + at, l->end - at, &code);
        if (!python_is_space(code))
            break;
        at += n;
    }
    return at;
}

/* Behind the end of a tag, of which `sign` is what stands before it; block: "%}" and "#}". */
static size_t behind_tag(const lexer *l, size_t at, char sign, bool block)
{
    if (sign == '-')
        return behind_blanks(l, at);
    return block && sign == 0 && at < l->end && l->text[at] == '\n' ? at + 1 : at;
}

/* The end of the data [begin, end) before a tag. */
static size_t end_of_data(const lexer *l, size_t begin, size_t end, char sign, bool block)
{
    size_t line = end;
    if (sign == '-') {
        const jinja_value data = jinja_text(l->text + begin, end - begin);
        return begin + jinja_strip(data, NULL, false, true).count;
    }
    if (sign == '+' || !block)
        return end;
    while (line > begin && l->text[line - 1] != '\n')
        line--;
    /* A line begins there, or the tag before the data ended one. */
    if (line == begin && begin > 0 && l->text[begin - 1] != '\n')
        return end;
    return behind_blanks(l, line) >= end ? line : end;
}

static mts_status push_data(lexer *l, size_t begin, size_t end)
{
    return end > begin ? push(l, TOKEN_DATA, l->text + begin, end - begin) : MTS_OK;
}

/* The place of a tag "{{", "{%", "{#" from `at` on, or the end. */
static size_t find_tag(const lexer *l, size_t at)
{
    for (; at < l->end; at++) {
        const char *brace = memchr(l->text + at, '{', l->end - at);
        if (brace == NULL)
            return l->end;
        at = (size_t)(brace - l->text);
        if (at + 1 < l->end && strchr("{%#", brace[1]) != NULL)
            return at;
    }
    return l->end;
}

static char sign_at(const lexer *l, size_t at)
{
    return at < l->end && (l->text[at] == '-' || l->text[at] == '+') ? l->text[at] : 0;
}

/* Behind "{#", up to behind "#}". */
static mts_status skip_comment(lexer *l, size_t at)
{
    size_t end = at;
    while (end < l->end && !starts(l, end, "#}"))
        end++;
    if (end >= l->end)
        return fail(l, MTS_ERR_BAD_FILE, "a comment has no end #}");
    l->at = behind_tag(l, end + 2, end > at ? sign_at(l, end - 1) : 0, true);
    return MTS_OK;
}

/* Whether a tag {% word %} is at `at`; *sign: before its end; *behind: its end. */
static bool is_word_tag(const lexer *l, size_t at, const char *word, char *sign, size_t *behind)
{
    if (!starts(l, at, "{%"))
        return false;
    at = behind_blanks(l, at + 2 + (sign_at(l, at + 2) != 0));
    if (!starts(l, at, word))
        return false;
    at = behind_blanks(l, at + strlen(word));
    *sign = sign_at(l, at);
    at += *sign != 0;
    *behind = at + 2;
    return starts(l, at, "%}");
}

/* From behind {% raw %} to behind {% endraw %}. */
static mts_status take_raw(lexer *l, size_t begin)
{
    mts_status st = MTS_OK;
    char sign = 0;
    size_t end = begin, behind = 0;
    while (end < l->end && !is_word_tag(l, end, "endraw", &sign, &behind))
        end++;
    if (end >= l->end)
        return fail(l, MTS_ERR_BAD_FILE, "raw has no end {% endraw %}");
    MTS_TRY(push_data(l, begin, end_of_data(l, begin, end, sign_at(l, end + 2), true)));
    l->at = behind_tag(l, behind, sign, true);
cleanup:
    return st;
}

/* ------------------------------------------------------------------------- inside a tag ----- */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits_from(const lexer *l, size_t at)
{
    while (at < l->end && is_digit(l->text[at]))
        at++;
    return at;
}

static mts_status take_number(lexer *l)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = l->source->ctx;
    char number[NUMBER_BYTES];
    size_t end = digits_from(l, l->at);
    bool real = false, good = false;
    jinja_value value = {.kind = JINJA_INT};
    if (end + 1 < l->end && l->text[end] == '.' && is_digit(l->text[end + 1])) {
        real = true;
        end = digits_from(l, end + 1);
    }
    MTS_CHECK(end - l->at < sizeof number && (end >= l->end || !is_letter(l->text[end])),
              MTS_ERR_UNSUPPORTED, "%s:%d: a number is too long, or not decimal digits",
              l->source->name, line_at(l, l->at));
    memcpy(number, l->text + l->at, end - l->at);
    number[end - l->at] = '\0';
    if (real) {
        value.kind = JINJA_REAL;
        good = number_parse_real(number, &value.as.real);
    } else {
        good = number_parse_integer(number, &value.as.integer);
    }
    MTS_CHECK(good, MTS_ERR_UNSUPPORTED, "%s:%d: the number %s is out of range", l->source->name,
              line_at(l, l->at), number);
    MTS_TRY(push_copy(l, real ? TOKEN_REAL : TOKEN_INT, number, strlen(number)));
    l->source->tokens[l->source->count - 1].value = value;
    l->at = end;
cleanup:
    return st;
}

/* The code point of so many hexadecimal digits; negative: not that. */
static int32_t hexadecimal(const char *text, size_t n, size_t digits)
{
    int64_t code = 0;
    if (n < digits)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        const char *all = "0123456789abcdef", c = text[i];
        const char *found = c == '\0' ? NULL : strchr(all, c >= 'A' && c <= 'F' ? c + 32 : c);
        if (found == NULL || code > 0x10FFFF)
            return -1;
        code = 16 * code + (found - all);
    }
    return code > 0x10FFFF || code == 0 || (code >= 0xD800 && code < 0xE000) ? -1 : (int32_t)code;
}

/* One escape at text[n], behind its backslash: its bytes to out, how many of text it took to
 * *taken; the bytes written, or -1. */
static int unescape(const char *text, size_t n, char *out, size_t *taken)
{
    static const char letters[] = "ntr\\'\"abfv", meant[] = "\n\t\r\\'\"\a\b\f\v";
    const char *found = strchr(letters, text[0]);
    size_t digits = 0;
    *taken = 1;
    if (found != NULL && text[0] != '\0') {
        out[0] = meant[found - letters];
        return 1;
    }
    if (text[0] == '\n')
        return 0;
    digits = text[0] == 'x' ? 2 : text[0] == 'u' ? 4 : text[0] == 'U' ? 8 : 0;
    if (digits > 0) {
        const int32_t code = hexadecimal(text + 1, n - 1, digits);
        *taken = 1 + digits;
        return code < 0 ? -1 : (int)utf8_encode(code, out);
    }
    if (is_digit(text[0]) || text[0] == 'N')
        return -1;
    out[0] = '\\';
    *taken = 0;
    return 1;
}

static mts_status take_string(lexer *l)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = l->source->ctx;
    const char quote = l->text[l->at];
    size_t end = l->at + 1, n = 0;
    char *out = NULL;
    while (end < l->end && l->text[end] != quote)
        end += l->text[end] == '\\' ? 2 : 1;
    if (end >= l->end)
        return fail(l, MTS_ERR_BAD_FILE, "a string has no end");
    MTS_TRY(jinja_take(l->source->pool, end - l->at + UTF8_MAX_BYTES, &out));
    for (size_t i = l->at + 1; i < end; i++) {
        size_t taken = 0;
        int written = 1;
        if (l->text[i] == '\\')
            written = unescape(l->text + i + 1, end - i - 1, out + n, &taken);
        else
            out[n] = l->text[i];
        MTS_CHECK(written >= 0, MTS_ERR_UNSUPPORTED,
                  "%s:%d: an escape in a string is not supported", l->source->name,
                  line_at(l, l->at));
        n += (size_t)written;
        i += taken;
    }
    out[n] = '\0';
    MTS_TRY(push(l, TOKEN_STRING, out, n));
    l->at = end + 1;
cleanup:
    return st;
}

static mts_status take_sign(lexer *l)
{
    static const char *const signs[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                        "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                        ">",  "<",  "=",  ".",  ":",  "|",  ",", ";"};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (!starts(l, l->at, signs[i]))
            continue;
        if (strchr("([{", signs[i][0]) != NULL)
            l->open++;
        if (strchr(")]}", signs[i][0]) != NULL) {
            if (l->open == 0)
                return fail(l, MTS_ERR_BAD_FILE, "a bracket is closed that was not opened");
            l->open--;
        }
        const mts_status st = push(l, TOKEN_SIGN, signs[i], strlen(signs[i]));
        l->at += strlen(signs[i]);
        return st;
    }
    return fail(l, MTS_ERR_BAD_FILE, "a sign that no expression has");
}

/* Whether the tag ends at l->at: then behind it. */
static bool ends_tag(lexer *l, bool block)
{
    const char *end = block ? "%}" : "}}";
    const char sign = sign_at(l, l->at);
    if (l->open > 0 || (sign == '+' && !block) || !starts(l, l->at + (sign != 0), end))
        return false;
    l->at = behind_tag(l, l->at + 2 + (sign != 0), sign, block);
    return true;
}

/* Behind "{{" or "{%", up to behind its end. */
static mts_status take_tag(lexer *l, bool block)
{
    mts_status st = MTS_OK;
    l->open = 0;
    MTS_TRY(push(l, block ? TOKEN_BLOCK_BEGIN : TOKEN_PRINT_BEGIN, "", 0));
    for (;;) {
        l->at = behind_blanks(l, l->at);
        if (l->at >= l->end)
            return fail(l, MTS_ERR_BAD_FILE, "a tag has no end");
        if (ends_tag(l, block))
            break;
        if (is_letter(l->text[l->at])) {
            const size_t begin = l->at;
            size_t end = begin;
            while (end < l->end && (is_letter(l->text[end]) || is_digit(l->text[end])))
                end++;
            MTS_TRY(push_copy(l, TOKEN_NAME, l->text + begin, end - begin));
            l->at = end;
        } else if (is_digit(l->text[l->at])) {
            MTS_TRY(take_number(l));
        } else if (l->text[l->at] == '\'' || l->text[l->at] == '"') {
            MTS_TRY(take_string(l));
        } else {
            MTS_TRY(take_sign(l));
        }
    }
    MTS_TRY(push(l, block ? TOKEN_BLOCK_END : TOKEN_PRINT_END, "", 0));
cleanup:
    return st;
}

/* \r\n and \r become \n; one line end at the end of the template is no part of it. */
static size_t normalize_lines(char *text, size_t bytes)
{
    size_t n = 0;
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '\r' && i + 1 < bytes && text[i + 1] == '\n')
            continue;
        text[n++] = (char)(text[i] == '\r' ? '\n' : text[i]);
    }
    return n > 0 && text[n - 1] == '\n' ? n - 1 : n;
}

mts_status jinja_lex(jinja_source *s, char *text, size_t bytes)
{
    mts_status st = MTS_OK;
    lexer lex = {.source = s, .text = text, .line = 1}, *l = &lex;
    l->end = normalize_lines(text, bytes);
    while (l->at < l->end) {
        const size_t begin = l->at, tag = find_tag(l, begin);
        const bool block = tag < l->end && l->text[tag + 1] != '{';
        const char sign = tag < l->end ? sign_at(l, tag + 2) : 0;
        char end_sign = 0;
        size_t behind = 0;
        MTS_TRY(push_data(l, begin, tag < l->end ? end_of_data(l, begin, tag, sign, block) : tag));
        l->at = tag;
        if (tag >= l->end)
            break;
        if (is_word_tag(l, tag, "raw", &end_sign, &behind) && end_sign != '+') {
            MTS_TRY(take_raw(l, end_sign == '-' ? behind_blanks(l, behind) : behind));
            continue;
        }
        if (l->text[tag + 1] == '#') {
            MTS_TRY(skip_comment(l, tag + 2 + (sign != 0)));
            continue;
        }
        l->at = tag + 2 + (sign != 0);
        MTS_TRY(take_tag(l, block));
    }
    MTS_TRY(push(l, TOKEN_END, "", 0));
cleanup:
    return st;
}
