/* Python's view of Unicode.  See python_text.h. */
#include "text/python_text.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/bert_unicode.h"

enum { CAPITAL_SIGMA = 0x3A3, SIGMA = 0x3C3, FINAL_SIGMA = 0x3C2 };

bool python_is_space(int32_t code)
{
    return (code >= 0x1C && code <= 0x1F) || bert_unicode_is_whitespace(code);
}

bool python_is_word(int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return code == '_';
    }
}

/* Unicode's Case_Ignorable: passed over in looking for the letter beside a sigma. */
static bool is_case_ignorable(int32_t code)
{
    static const int32_t others[] = {0x27,   0x2E,   0x3A,   0xB7,   0x387,  0x55F,
                                     0x5F4,  0x2018, 0x2019, 0x2024, 0x2027, 0xFE13,
                                     0xFE52, 0xFE55, 0xFF07, 0xFF0E, 0xFF1A};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (code == others[i])
            return true;
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
        return true;
    default:
        return false;
    }
}

/* Unicode's Cased, of code points that are not case-ignorable. */
static bool is_cased(int32_t code)
{
    switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
        return true;
    default: /* ordinal indicators, Roman numerals, letters in circles and squares */
        return code == 0xAA || code == 0xBA || (code >= 0x2160 && code <= 0x217F) ||
               (code >= 0x24B6 && code <= 0x24E9) || (code >= 0x1F130 && code <= 0x1F149) ||
               (code >= 0x1F150 && code <= 0x1F169) || (code >= 0x1F170 && code <= 0x1F189);
    }
}

/* Whether the nearest code point that is not ignorable, going by step from place i, is cased. */
static bool is_beside_cased(const int32_t *codes, int64_t n, int64_t i, int64_t step)
{
    for (i += step; i >= 0 && i < n; i += step)
        if (!is_case_ignorable(codes[i]))
            return is_cased(codes[i]);
    return false;
}

/* Both directions of a sigma look over runs of ignorable code points: each run is walked once for
 * each sigma beside it, and sigmas are not ignorable, so that is twice at most. */
static int32_t lower_sigma(const int32_t *codes, int64_t n, int64_t i)
{
    const bool final = is_beside_cased(codes, n, i, -1) && !is_beside_cased(codes, n, i, 1);
    return final ? FINAL_SIGMA : SIGMA;
}

mts_status python_lower(mts_ctx *ctx, const char *text, int32_t **codes, int64_t *n)
{
    mts_status st = MTS_OK;
    const size_t bytes = strlen(text);
    int32_t *from = NULL, *to = NULL;
    int64_t count = 0, used = 0;
    *codes = NULL;
    *n = 0;
    MTS_TRY(mem_calloc(ctx, &from, bytes, sizeof from[0], "code points"));
    MTS_TRY(mem_calloc(ctx, &to, 2 * bytes, sizeof to[0], "code points"));
    for (size_t at = 0; at < bytes; count++)
        at += utf8_decode(text + at, bytes - at, &from[count]);
    for (int64_t i = 0; i < count; i++) {
        if (from[i] == CAPITAL_SIGMA)
            to[used++] = lower_sigma(from, count, i);
        else
            used += bert_unicode_lower(from[i], to + used);
    }
    *codes = to;
    *n = used;
    to = NULL;
cleanup:
    mem_free(from);
    mem_free(to);
    return st;
}

const char *python_lstrip(const char *text)
{
    size_t bytes = strlen(text);
    int32_t code = 0;
    while (bytes > 0) {
        const size_t n = utf8_decode(text, bytes, &code);
        if (!python_is_space(code))
            break;
        text += n;
        bytes -= n;
    }
    return text;
}
