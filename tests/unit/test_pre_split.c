/*
 * Pre-tokenizers, classes of code points, canonical composition, the byte alphabet: known answers.
 * The pieces are those of Hugging Face's tokenizers 0.23; gates/check_bpe.py compares all code
 * points.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "text/byte_alphabet.h"
#include "text/nfc.h"
#include "text/pre_split.h"
#include "text/regex_unicode.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The text with '|' between its pieces. */
static void check_pieces(pre_split_rule rule, const char *text, const char *want)
{
    bert_text chars = {0};
    char found[256] = "";
    assert_int_equal(bert_text_decode(NULL, text, strlen(text), &chars), MTS_OK);
    for (int64_t at = 0; at < chars.count;) {
        const int64_t n = pre_split_length(rule, chars.chars + at, chars.count - at);
        assert_in_range(n, 1, chars.count - at);
        if (at > 0)
            strcat(found, "|");
        strncat(found, text + chars.chars[at].begin,
                (size_t)(chars.chars[at + n - 1].end - chars.chars[at].begin));
        at += n;
    }
    assert_string_equal(found, want);
    bert_text_deinit(&chars);
}

static void test_gpt2(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Hello world 123, it's 'S", "Hello| world| 123|,| it|'s| '|S"},
        {"a  b   ", "a| | b|   "},
        {" \n\n a", " \n\n| a"},
        {"we'll they'Re I'd've", "we|'ll| they|'|Re| I|'d|'ve"},
        {"\u00a0x \u00a0", "\u00a0|x| \u00a0"},
        {"e\u0301 \u0661\u00b2 \u4e2d\u6587!? ?", "e|\u0301| \u0661\u00b2| \u4e2d\u6587|!?| ?"},
        {"'", "'"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_pieces(PRE_SPLIT_GPT2, cases[i][0], cases[i][1]);
}

static void test_llama3(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Hello world 12345, it'S '\u017f", "Hello| world| |123|45|,| it|'S| '|\u017f"},
        {"a\r\n\n  b", "a|\r\n\n| | b"},
        {" \n \n x", " \n \n| x"},
        {"!!\n\n(a) .b", "!!\n\n|(a|)| .|b"},
        {"\tx  y", "\tx| | y"},
        {"a   ", "a|   "},
        {"'LL'vEx'", "'LL|'vE|x|'"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check_pieces(PRE_SPLIT_LLAMA3, cases[i][0], cases[i][1]);
    check_pieces(PRE_SPLIT_QWEN2, "x 123 \u0663\u0664", "x| |1|2|3| |\u0663|\u0664");
}

static void test_others(void **state)
{
    (void)state;
    check_pieces(PRE_SPLIT_THREE_DIGITS, "1234567a12b345", "123|456|7a12b|345");
    check_pieces(PRE_SPLIT_EACH_DIGIT, "a12\u00bdb", "a|1|2|\u00bd|b");
    check_pieces(PRE_SPLIT_DIGITS, "a12\u00bdb3", "a|12\u00bd|b|3");
    check_pieces(PRE_SPLIT_EACH_PUNCTUATION, "a!?$b\u3002", "a|!|?|$|b|\u3002");
    check_pieces(PRE_SPLIT_PUNCTUATION, "a!?$b\u3002", "a|!?$|b|\u3002");
    check_pieces(PRE_SPLIT_METASPACE, "a\u2581b\u2581\u2581c", "a|\u2581b|\u2581|\u2581c");
}

static void test_known_patterns(void **state)
{
    (void)state;
    pre_split_rule rule = PRE_SPLIT_METASPACE;
    assert_true(pre_split_find("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+"
                               "|\\s+(?!\\S)|\\s+",
                               &rule));
    assert_int_equal(rule, PRE_SPLIT_GPT2);
    assert_true(pre_split_find("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|"
                               "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
                               "\\s+(?!\\S)|\\s+",
                               &rule));
    assert_int_equal(rule, PRE_SPLIT_LLAMA3);
    assert_false(pre_split_find("\\s+", &rule));
    assert_false(pre_split_find("", &rule));
}

static void test_classes(void **state)
{
    (void)state;
    int64_t counts[4] = {0}, numeric = 0;
    for (int32_t code = 1; code < 0x110000; code++) {
        if (code >= 0xD800 && code < 0xE000)
            continue;
        counts[regex_class_of(code)]++;
        numeric += regex_is_numeric(code);
    }
    assert_int_equal(counts[REGEX_LETTER], 141028);
    assert_int_equal(counts[REGEX_NUMBER], 1911);
    assert_int_equal(counts[REGEX_SPACE], 25);
    assert_int_equal(numeric, 1924);
}

static void test_byte_alphabet(void **state)
{
    (void)state;
    for (int byte = 0; byte < 256; byte++)
        assert_int_equal(byte_alphabet_byte(byte_alphabet_code((unsigned char)byte)), byte);
    int codes = 0;
    for (int32_t code = -1; code < 0x400; code++)
        codes += byte_alphabet_byte(code) >= 0;
    assert_int_equal(codes, 256);
    assert_int_equal(byte_alphabet_code(' '), BYTE_ALPHABET_SPACE);
    assert_int_equal(byte_alphabet_code('\n'), 0x10A);
    assert_int_equal(byte_alphabet_code(0x7F), 0x121);
    assert_int_equal(byte_alphabet_code(0xAD), 0x143);
}

typedef struct composed {
    const char *text;
    int64_t count;
    int32_t codes[8], begin[8], end[8];
} composed;

static void test_nfc(void **state)
{
    (void)state;
    static const composed cases[] = {
        {"ab\u00e9", 3, {'a', 'b', 0xE9}, {0, 1, 2}, {1, 2, 4}},
        {"e\u0301x", 2, {0xE9, 'x'}, {0, 3}, {1, 4}},
        {"a\u0334\u0301", 2, {0xE1, 0x334}, {0, 3}, {1, 5}},
        {"s\u0307\u0323", 1, {0x1E69}, {0}, {1}},
        {"\u0344a", 3, {0x308, 0x301, 'a'}, {0, 0, 2}, {2, 2, 3}},
        {"\u1100\u1161\u11a8", 1, {0xAC01}, {0}, {3}},
        {"\u212b\u0958", 3, {0xC5, 0x915, 0x93C}, {0, 3, 3}, {3, 6, 6}},
        {"\u0301e", 2, {0x301, 'e'}, {0, 2}, {2, 3}},
    };
    nfc_scratch scratch = {0};
    bert_text in = {0}, out = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const composed *want = &cases[i];
        assert_int_equal(bert_text_decode(NULL, want->text, strlen(want->text), &in), MTS_OK);
        assert_int_equal(nfc_normalize(NULL, in.chars, in.count, &scratch, &out), MTS_OK);
        assert_int_equal(out.count, want->count);
        for (int64_t k = 0; k < out.count; k++) {
            assert_int_equal(out.chars[k].code, want->codes[k]);
            assert_int_equal(out.chars[k].begin, want->begin[k]);
            assert_int_equal(out.chars[k].end, want->end[k]);
        }
    }
    bert_text_deinit(&in);
    bert_text_deinit(&out);
    nfc_scratch_deinit(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gpt2),    cmocka_unit_test(test_llama3),
        cmocka_unit_test(test_others),  cmocka_unit_test(test_known_patterns),
        cmocka_unit_test(test_classes), cmocka_unit_test(test_byte_alphabet),
        cmocka_unit_test(test_nfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
