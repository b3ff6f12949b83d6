/*
 * UTF-8, properties of code points, BertNormalizer.  The counts and the expected texts are those of
 * Hugging Face's tokenizers 0.23; gates/check_tokenizer.py compares every code point with it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "text/bert_normalizer.h"
#include "text/bert_unicode.h"
#include "base/utf8.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_surrogate(int32_t code)
{
    return code >= 0xD800 && code < 0xE000;
}

static void test_utf8_round_trip(void **state)
{
    (void)state;
    for (int32_t code = 0; code < 0x110000; code++) {
        char bytes[UTF8_MAX_BYTES];
        int32_t back = -1;
        if (is_surrogate(code))
            continue;
        size_t n = utf8_encode(code, bytes);
        size_t expected = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
        if (n != expected || utf8_decode(bytes, n, &back) != n || back != code ||
            !utf8_is_valid(bytes, n, NULL))
            fail_msg("U+%04X", (unsigned)code);
        /* cut short: one replacement for all of it */
        if (n > 1 && (utf8_decode(bytes, n - 1, &back) != n - 1 || back != UTF8_REPLACEMENT))
            fail_msg("U+%04X cut short", (unsigned)code);
    }
}

/* The maximal subparts of malformed sequences: Unicode 15.0, section 3.9, tables 3-8 to 3-11. */
static void test_utf8_malformed(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t parts[8]; /* bytes of each code point, 0 behind the last */
        unsigned valid;  /* bit i: part i is well-formed */
    } cases[] = {
        {"\x80\xBF", {1, 1}, 0},
        {"\xC0\xAF\xE0\x80\xBF", {1, 1, 1, 1, 1}, 0},
        {"\xF0\x81\x82\x41", {1, 1, 1, 1}, 8},
        {"\xED\xA0\x80\x41", {1, 1, 1, 1}, 8},
        {"\xF4\x91\x92\x93\xFF\x41", {1, 1, 1, 1, 1, 1}, 32},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", {2, 1, 3, 2, 1}, 16},
        {"\xE4\xB8\xE4\xB8\xAD", {2, 3}, 2},
        {"\xF8\x88\x80", {1, 1, 1}, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *at = cases[i].bytes;
        size_t left = strlen(at), bad = 99;
        assert_false(utf8_is_valid(at, left, &bad));
        assert_int_equal(bad, 0);
        for (size_t k = 0; left > 0; k++) {
            int32_t code = 0;
            size_t used = utf8_decode(at, left, &code);
            assert_int_equal(used, cases[i].parts[k]);
            assert_int_equal(code == UTF8_REPLACEMENT, (cases[i].valid >> k & 1) == 0);
            at += used;
            left -= used;
        }
    }
    size_t bad = 0;
    assert_false(utf8_is_valid("ab\xC3", 3, &bad));
    assert_int_equal(bad, 2);
    assert_true(utf8_is_valid("\xEF\xBF\xBD", 3, NULL)); /* a genuine U+FFFD */
}

static void test_utf8_quote(void **state)
{
    (void)state;
    char quoted[UTF8_QUOTE_BYTES], small[8], text[80];
    assert_string_equal(utf8_quote(quoted, sizeof quoted, "a\nb\x7f"), "a b ");
    assert_string_equal(utf8_quote(quoted, sizeof quoted, ""), "");
    assert_string_equal(utf8_quote(quoted, sizeof quoted, "a\xff\xc3(\xe2\x82"), "a?\?(?\?");
    assert_string_equal(utf8_quote(small, sizeof small, "abcd"), "abcd");
    assert_string_equal(utf8_quote(small, sizeof small, "abcde"), "abcd...");
    memset(text, 'x', 61);
    text[61] = '\0';
    assert_int_equal(strlen(utf8_quote(quoted, sizeof quoted, text)), 63);
    text[60] = '\0';
    assert_string_equal(utf8_quote(quoted, sizeof quoted, text), text);
    memcpy(text + 59, "\xe2\x82\xac", 4); /* is not cut apart */
    assert_int_equal(strlen(utf8_quote(quoted, sizeof quoted, text)), 62);
}

static void test_how_many_of_each_kind(void **state)
{
    (void)state;
    int64_t marks = 0, punctuation = 0, removed = 0, whitespace = 0, chinese = 0, lowered = 0;
    for (int32_t code = 0; code < 0x110000; code++) {
        int32_t lower[2];
        if (is_surrogate(code))
            continue;
        marks += bert_unicode_is_mark(code);
        punctuation += bert_unicode_is_punctuation(code);
        removed += bert_unicode_is_removed(code);
        whitespace += bert_unicode_is_whitespace(code);
        chinese += bert_unicode_is_chinese(code);
        lowered += bert_unicode_lower(code, lower) != 1 || lower[0] != code;
    }
    assert_int_equal(marks, 1567);
    assert_int_equal(punctuation, 726);
    assert_int_equal(removed, 137681);
    assert_int_equal(whitespace, 25);
    assert_int_equal(chinese, 81264);
    assert_int_equal(lowered, 1488);
}

static void test_versions_of_unicode(void **state)
{
    (void)state;
    int32_t out[BERT_UNICODE_MAX_PARTS];
    assert_true(bert_unicode_is_mark(0x1AB0)); /* Unicode 7.0 */
    assert_false(bert_unicode_is_mark(0x8D4)); /* Unicode 9.0: an ordinary letter */
    assert_true(bert_unicode_is_punctuation(0x2E42));
    assert_false(bert_unicode_is_punctuation(0x2E43));
    assert_int_equal(bert_unicode_combining_class(0x301), 230);
    assert_int_equal(bert_unicode_combining_class(0x8D4), 230);
    assert_int_equal(bert_unicode_combining_class(0x8D3), 0);  /* Unicode 11.0 */
    assert_int_equal(bert_unicode_decompose(0x11938, out), 1); /* Unicode 13.0 */
    assert_int_equal(bert_unicode_decompose(0x1F82, out), 4);
    assert_int_equal(out[0], 0x3B1);
    assert_int_equal(bert_unicode_decompose(0xAC01, out), 3);
    assert_int_equal(out[2], 0x11A8);
    assert_int_equal(bert_unicode_lower(0xA7DC, out), 1); /* Unicode 16.0 */
    assert_int_equal(out[0], 0x19B);
    assert_int_equal(bert_unicode_lower(0xA7CD, out), 1); /* a small letter between two capitals */
    assert_int_equal(out[0], 0xA7CD);
    assert_int_equal(bert_unicode_lower(0x16EA1, out), 1);
    assert_int_equal(out[0], 0x16EBC);
    assert_int_equal(bert_unicode_lower(0x130, out), 2);
    assert_int_equal(out[1], 0x307);
}

/* Normalise text; the result as UTF-8 in out, places in *places. */
static void normalize(const bert_normalizer *rules, const char *text, char *out, bert_text *places)
{
    bert_text raw = {0};
    bert_scratch scratch = {0};
    size_t n = 0;
    assert_int_equal(bert_text_decode(NULL, text, strlen(text), &raw), MTS_OK);
    assert_int_equal(bert_normalize(NULL, rules, raw.chars, raw.count, &scratch, places), MTS_OK);
    for (int64_t i = 0; i < places->count; i++)
        n += utf8_encode(places->chars[i].code, out + n);
    out[n] = '\0';
    bert_text_deinit(&raw);
    bert_scratch_deinit(&scratch);
}

static void test_rules(void **state)
{
    (void)state;
    static const bert_normalizer uncased = {true, true, true, BERT_STRIP_AS_LOWER};
    static const bert_normalizer cased = {true, true, false, BERT_STRIP_AS_LOWER};
    static const bert_normalizer accents = {true, false, true, BERT_STRIP_NO};
    static const bert_normalizer strip = {true, true, false, BERT_STRIP_YES};
    static const bert_normalizer nothing = {false, false, false, BERT_STRIP_NO};
    static const struct {
        const bert_normalizer *rules;
        const char *text, *want;
    } cases[] = {
        {&uncased, "H\u00e9llo\tW\u00d6RLD\u00ad\u200b\ufffd", "hello world"},
        {&cased, "H\u00e9llo\tW\u00d6RLD\u00ad\u200b\ufffd", "H\u00e9llo W\u00d6RLD"},
        {&accents, "\u0130\u00c9 \u03a3\u1e9e", "i\u0307\u00e9 \u03c3\u00df"},
        {&strip, "\u0130\u00c9\u01c5\ufb01", "IE\u01c5\ufb01"},
        {&nothing, "\u0130\t\u4e2d\ufffd\u00ad", "\u0130\t\u4e2d\ufffd\u00ad"},
        {&uncased, "a\u4e2d\uf900b", "a \u4e2d  \u8c48 b"},
        {&accents, "a\u4e2d", "a\u4e2d"},
        {&uncased, "\uac01", "\u1100\u1161\u11a8"},
        {&uncased, "\u2126\u212a\u212b", "\u03c9ka"},
        {&uncased, "", ""},
        {&uncased, "\u0301\u0301", ""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[256];
        bert_text places = {0};
        normalize(cases[i].rules, cases[i].text, out, &places);
        assert_string_equal(out, cases[i].want);
        bert_text_deinit(&places);
    }
}

/* Marks that are kept (Mc, or newer than the tables) show the canonical order and its places. */
static void test_places_of_reordered_marks(void **state)
{
    (void)state;
    static const bert_normalizer uncased = {true, true, true, BERT_STRIP_AS_LOWER};
    static const struct {
        const char *text;
        int64_t n;
        bert_char want[6];
    } cases[] = {
        /* U+302E (224) before U+0301 (230): they change places, and the mark Mn goes */
        {"a\u0301\u302eb", 3, {{'a', 0, 1}, {0x302E, 1, 3}, {'b', 6, 7}}},
        {"a\u302e\u0301b", 3, {{'a', 0, 1}, {0x302E, 1, 4}, {'b', 6, 7}}},
        /* U+1D15E becomes two code points of one place */
        {"\U0001d15ek", 3, {{0x1D157, 0, 4}, {0x1D165, 0, 4}, {'k', 4, 5}}},
        /* U+1D165 (216) overtakes U+302E (224) and takes the first place */
        {"x\u302e\U0001d165", 3, {{'x', 0, 1}, {0x1D165, 1, 4}, {0x302E, 4, 8}}},
        {"\u4e2d", 3, {{' ', 0, 3}, {0x4E2D, 0, 3}, {' ', 0, 3}}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char out[64];
        bert_text places = {0};
        normalize(&uncased, cases[i].text, out, &places);
        assert_int_equal(places.count, cases[i].n);
        assert_memory_equal(places.chars, cases[i].want, (size_t)cases[i].n * sizeof(bert_char));
        bert_text_deinit(&places);
    }
}

/* A run of 200,000 unordered marks takes no quadratic time. */
static void test_long_run_of_marks(void **state)
{
    (void)state;
    static const bert_normalizer uncased = {true, true, true, BERT_STRIP_AS_LOWER};
    enum { PAIRS = 100000 };
    bert_text in = {0}, out = {0};
    bert_scratch scratch = {0};
    for (int32_t i = 0; i < PAIRS; i++) {
        bert_char high = {0x302E, 2 * i, 2 * i + 1}, low = {0x1D165, 2 * i + 1, 2 * i + 2};
        assert_int_equal(bert_text_push(NULL, &in, high), MTS_OK);
        assert_int_equal(bert_text_push(NULL, &in, low), MTS_OK);
    }
    assert_int_equal(bert_normalize(NULL, &uncased, in.chars, in.count, &scratch, &out), MTS_OK);
    assert_int_equal(out.count, 2 * PAIRS);
    for (int64_t i = 0; i < out.count; i++) {
        assert_int_equal(out.chars[i].code, i < PAIRS ? 0x1D165 : 0x302E);
        assert_int_equal(out.chars[i].begin, i);
    }
    bert_text_deinit(&in);
    bert_text_deinit(&out);
    bert_scratch_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_round_trip),
        cmocka_unit_test(test_utf8_malformed),
        cmocka_unit_test(test_utf8_quote),
        cmocka_unit_test(test_how_many_of_each_kind),
        cmocka_unit_test(test_versions_of_unicode),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_places_of_reordered_marks),
        cmocka_unit_test(test_long_run_of_marks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
