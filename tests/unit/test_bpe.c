/*
 * Byte-pair encoding: merges, both styles, added tokens, templates, decoding, files that are
 * refused, long runs, memory failure.  The expected numbers are those of Hugging Face's tokenizers
 * 0.23 with the same tokenizer.json; gates/check_bpe.py compares real vocabularies.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"
#include "text/tokenizer.h"
#include "support/text_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ADDED                                                                                      \
    "\"added_tokens\":[{\"id\":18,\"content\":\"<|x|>\",\"special\":true,\"normalized\":false,"    \
    "\"lstrip\":false,\"rstrip\":true,\"single_word\":false},{\"id\":19,\"content\":\"bd\","       \
    "\"special\":false,\"normalized\":true,\"lstrip\":false,\"rstrip\":false}],"
#define BYTE_LEVEL(use_regex)                                                                      \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":" use_regex "}"
#define TEMPLATE                                                                                   \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<|x|>\","            \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"SpecialToken\":"    \
    "{\"id\":\"<|x|>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":" \
    "{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<|x|>\":{\"id\":\"<|x|>\",\"ids\":[18]," \
    "\"tokens\":[\"<|x|>\"]}}}"
#define VOCAB                                                                                      \
    "\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"d\":3,\"\u0120\":4,\"\u00c3\":5,\"\u00a9\":6,\"1\":7,"   \
    "\"\u010a\":8,\"'\":9,\"s\":10,\"bc\":11,\"ab\":12,\"abc\":13,\"\u0120a\":14,\"cd\":15,"       \
    "\"\u00c3\u00a9\":16,\"'s\":17}"
#define MERGES                                                                                     \
    "\"merges\":[\"#version: 0.2\",\"b c\",\"a b\",\"ab c\",\"a bc\",\"\u0120 a\",\"c d\","        \
    "\"\u00c3 \u00a9\",\"' s\"]"
#define MODEL                                                                                      \
    "\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,"                             \
    "\"continuing_subword_prefix\":\"\",\"end_of_word_suffix\":\"\",\"fuse_unk\":false," VOCAB     \
    "," MERGES "}"

static const char byte_json[] = "{" ADDED "\"normalizer\":null,\"pre_tokenizer\":" BYTE_LEVEL(
    "true") ","
            "\"post_processor\":" TEMPLATE ",\"decoder\":" BYTE_LEVEL("true") "," MODEL "}";

#define PIECES_VOCAB                                                                               \
    "\"vocab\":{\"<unk>\":0,\"<s>\":1,\"\u2581\":2,\"a\":3,\"b\":4,\"\u2581a\":5,\"ab\":6,"        \
    "\"\u2581ab\":7,\"<0xC3>\":8,\"<0xA9>\":9,\"<0x0A>\":10},\"merges\":[\"\u2581 a\","            \
    "\"a b\",\"\u2581 ab\",\"\u2581a b\"]"
#define PIECES_ADDED                                                                               \
    "\"added_tokens\":[{\"id\":0,\"content\":\"<unk>\",\"special\":true,\"normalized\":false},"    \
    "{\"id\":1,\"content\":\"<s>\",\"special\":true,\"normalized\":false}],"
#define METASPACE(scheme, split)                                                                   \
    "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"" scheme              \
    "\",\"split\":" split "}"
#define METASPACE_JSON(scheme, split, fuse)                                                        \
    "{" PIECES_ADDED "\"pre_tokenizer\":" METASPACE(scheme, split) ",\"decoder\":" METASPACE(      \
        scheme, split) ",\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"fuse_unk\":" fuse   \
                       "," PIECES_VOCAB "}}"

static const char pieces_json[] =
    "{" PIECES_ADDED
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":"
    "\"\u2581\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\u2581\"}]},"
    "\"pre_tokenizer\":null,\"post_processor\":null,\"decoder\":{\"type\":\"Sequence\","
    "\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\u2581\"},\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \","
    "\"start\":1,\"stop\":0}]},\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\","
    "\"fuse_unk\":true,\"byte_fallback\":true," PIECES_VOCAB "}}";

/* Open a folder with this tokenizer.json; the status. */
static mts_status try_open(mts_ctx *ctx, const char *json, tokenizer **tok)
{
    text_folder folder = text_folder_make();
    text_folder_put(&folder, "tokenizer.json", json);
    const mts_status st = tokenizer_open(ctx, folder.path, tok);
    text_folder_remove(&folder);
    return st;
}

static tokenizer *open_json(const char *json)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    const mts_status st = try_open(&ctx, json, &tok);
    assert_string_equal(ctx.error, "");
    assert_int_equal(st, MTS_OK);
    return tok;
}

/* One request and the answer of Hugging Face. */
typedef struct golden {
    const char *a, *b;
    int64_t length;
    int32_t ids[12], types[12], begin[12], end[12];
} golden;

static void check_encoding(const tokenizer *tok, const golden *want)
{
    mts_ctx ctx = {""};
    mts_encoding e = {0};
    assert_int_equal(tokenizer_encode(&ctx, tok, want->a, want->b, 0, &e), MTS_OK);
    assert_int_equal(e.length, want->length);
    const size_t bytes = (size_t)e.length * sizeof(int32_t);
    assert_memory_equal(e.ids, want->ids, bytes);
    assert_memory_equal(e.type_ids, want->types, bytes);
    assert_memory_equal(e.begin, want->begin, bytes);
    assert_memory_equal(e.end, want->end, bytes);
    tokenizer_free_encoding(&e);
}

static void check_decoding(const tokenizer *tok, const int32_t *ids, int64_t count, bool skip,
                           const char *want)
{
    mts_ctx ctx = {""};
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(tokenizer_decode(&ctx, tok, ids, count, skip, &text, &bytes), MTS_OK);
    assert_string_equal(text, want);
    assert_int_equal(bytes, strlen(want));
    mem_free(text);
}

static void test_byte_level(void **state)
{
    (void)state;
    static const golden goldens[] = {
        /* clang-format off */
        {"abcd", NULL, 3, {18, 13, 3}, {0}, {0, 0, 3}, {0, 3, 4}},
        {"abc ab  a\u00e9\nab", NULL, 9,
         {18, 13, 4, 12, 4, 14, 16, 8, 12}, {0},
         {0, 0, 3, 4, 6, 7, 9, 11, 12}, {0, 3, 4, 6, 7, 9, 11, 12, 14}},
        {"a's 'sab", NULL, 7,
         {18, 0, 17, 4, 9, 10, 12}, {0},
         {0, 0, 1, 3, 4, 5, 6}, {0, 1, 3, 4, 5, 6, 8}},
        {"a <|x|>  abdc", NULL, 7,
         {18, 0, 4, 18, 0, 19, 2}, {0},
         {0, 0, 1, 2, 9, 10, 12}, {0, 1, 2, 9, 10, 12, 13}},
        {"", NULL, 1, {18}, {0}, {0}, {0}},
        {"ab", "bc a", 4, {18, 12, 11, 14}, {0, 0, 1, 1}, {0, 0, 0, 2}, {0, 2, 2, 4}},
        {"11 1a", NULL, 6,
         {18, 7, 7, 4, 7, 0}, {0}, {0, 0, 1, 2, 3, 4}, {0, 1, 2, 3, 4, 5}},
        /* clang-format on */
    };
    tokenizer *tok = open_json(byte_json);
    assert_int_equal(tokenizer_vocab_size(tok), 20);
    assert_string_equal(tokenizer_token(tok, 19), "bd");
    assert_null(tokenizer_token(tok, 20));
    for (size_t i = 0; i < COUNT(goldens); i++)
        check_encoding(tok, &goldens[i]);
    tokenizer_close(tok);
}

static void test_byte_level_decoding(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    static const int32_t words[] = {14, 5, 6, 16, 4}, marks[] = {18, 0, 5, 18, 19};
    static const int32_t broken[] = {5, 5, 6}, outside[][1] = {{20}, {-1}, {INT32_MAX}};
    tokenizer *tok = open_json(byte_json);
    char *text = NULL;
    size_t bytes = 1;
    check_decoding(tok, words, 5, false, " a\u00e9\u00e9 ");
    check_decoding(tok, marks, 5, false, "<|x|>a\ufffd<|x|>bd");
    check_decoding(tok, marks, 5, true, "a\ufffdbd");
    check_decoding(tok, broken, 3, true, "\ufffd\u00e9");
    check_decoding(tok, NULL, 0, false, "");
    for (size_t i = 0; i < COUNT(outside); i++) {
        assert_int_equal(tokenizer_decode(&ctx, tok, outside[i], 1, false, &text, &bytes),
                         MTS_ERR_ARGUMENT);
        assert_non_null(strstr(ctx.error, "outside 0 to 19"));
        assert_null(text);
        assert_int_equal(bytes, 0);
    }
    tokenizer_close(tok);
}

/* The lowest rank first, then the leftmost; a pair that is listed twice has its last rank; a pair
 * that was found at an earlier rank merges whatever gives the same token there now. */
static void test_order_of_merges(void **state)
{
    (void)state;
    static const golden goldens[] = {
        {"abcd", NULL, 1, {8}, {0}, {0}, {4}},
        {"abcdabc", NULL, 2, {8, 6}, {0}, {0, 4}, {4, 7}},
        {"aabcdd", NULL, 3, {0, 8, 3}, {0}, {0, 1, 5}, {1, 5, 6}},
        {"ababcdab", NULL, 3, {4, 8, 4}, {0}, {0, 2, 6}, {2, 6, 8}},
    };
    tokenizer *tok = open_json(
        "{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"d\":3,\"ab\":4,\"bc\":5,\"abc\":6,"
        "\"cd\":7,\"abcd\":8,\"da\":9},\"merges\":[[\"b\",\"c\"],[\"a\",\"bc\"],[\"a\",\"b\"],"
        "[\"ab\",\"c\"],[\"c\",\"d\"],[\"abc\",\"d\"],[\"d\",\"a\"],[\"a\",\"b\"]]}}");
    for (size_t i = 0; i < COUNT(goldens); i++)
        check_encoding(tok, &goldens[i]);
    static const int32_t ids[] = {8, 0};
    check_decoding(tok, ids, 2, false, "abcd a"); /* no decoder: spaces between */
    tokenizer_close(tok);
}

static void test_pieces(void **state)
{
    (void)state;
    static const golden goldens[] = {
        /* clang-format off */
        {"ab a", NULL, 2, {7, 5}, {0}, {0, 2}, {2, 4}},
        {"a  b\u00e9\n", NULL, 7,
         {5, 2, 2, 4, 8, 9, 10}, {0}, {0, 1, 2, 3, 4, 4, 6}, {1, 2, 3, 4, 6, 6, 7}},
        {"<s>ab xyz\u4e2db", NULL, 5, {1, 7, 2, 0, 4}, {0}, {0, 3, 5, 6, 12}, {3, 5, 6, 12, 13}},
        {" ab", NULL, 2, {2, 7}, {0}, {0, 0}, {1, 3}},
        /* clang-format on */
    };
    static const int32_t begins[] = {1, 7, 5}, bytes[] = {2, 8, 9, 3, 8, 3};
    static const int32_t broken[] = {8, 8, 9, 10, 2, 2}, unknown[] = {7, 0, 2};
    tokenizer *tok = open_json(pieces_json);
    for (size_t i = 0; i < COUNT(goldens); i++)
        check_encoding(tok, &goldens[i]);
    check_decoding(tok, begins, 3, false, "<s> ab a");
    check_decoding(tok, begins, 3, true, "ab a");
    check_decoding(tok, bytes, 6, false, "\u00e9a\ufffda");
    check_decoding(tok, broken, 6, false, "\ufffd\ufffd\ufffd\ufffd  ");
    check_decoding(tok, unknown, 3, false, "ab<unk> ");
    check_decoding(tok, unknown, 3, true, "ab ");
    tokenizer_close(tok);
}

static void test_metaspace(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        golden want;
        const char *decoded;
    } cases[] = {
        {METASPACE_JSON("first", "true", "true"),
         {"a<s>ab xya", NULL, 6, {5, 1, 6, 2, 0, 3}, {0}, {0, 1, 4, 6, 7, 9}, {1, 4, 6, 7, 9, 10}},
         "a ab a"},
        {METASPACE_JSON("always", "true", "false"),
         {"a<s>ab xya",
          NULL,
          7,
          {5, 1, 7, 2, 0, 0, 3},
          {0},
          {0, 1, 4, 6, 7, 8, 9},
          {1, 4, 6, 7, 8, 9, 10}},
         "a ab a"},
        {METASPACE_JSON("never", "false", "false"),
         {"a<s>ab xya",
          NULL,
          7,
          {3, 1, 6, 2, 0, 0, 3},
          {0},
          {0, 1, 4, 6, 7, 8, 9},
          {1, 4, 6, 7, 8, 9, 10}},
         " a ab a"},
    };
    static const int32_t ids[] = {5, 7, 2, 3};
    for (size_t i = 0; i < COUNT(cases); i++) {
        tokenizer *tok = open_json(cases[i].json);
        check_encoding(tok, &cases[i].want);
        check_decoding(tok, ids, 4, false, cases[i].decoded);
        tokenizer_close(tok);
    }
}

/* Append the JSON string of one character. */
static size_t put_character(char *out, int32_t code)
{
    size_t n = 0;
    out[n++] = '"';
    if (code == '"' || code == '\\')
        out[n++] = '\\';
    n += utf8_encode(code, out + n);
    out[n++] = '"';
    return n;
}

/* A tokenizer of all bytes, with a pre-tokenizer; some bytes are merged across characters. */
static tokenizer *open_all_bytes(const char *pre_tokenizer)
{
    static char json[16384];
    size_t n = (size_t)sprintf(json,
                               "{\"pre_tokenizer\":%s,\"decoder\":" BYTE_LEVEL(
                                   "true") ","
                                           "\"model\":{\"type\":\"BPE\",\"vocab\":{",
                               pre_tokenizer);
    for (int byte = 0; byte < 256; byte++) {
        n += put_character(json + n, byte_alphabet_code((unsigned char)byte));
        n += (size_t)sprintf(json + n, ":%d,", byte);
    }
    sprintf(json + n, "\"\u0120\u00f0\":256,\"\u0120\u00f0\u0141\":257},"
                      "\"merges\":[\"\u0120 \u00f0\",\"\u0120\u00f0 \u0141\"]}}");
    return open_json(json);
}

/* Any text comes back from its ids. */
static void test_text_comes_back(void **state)
{
    (void)state;
    static const char *const pre_tokenizers[] = {
        "null",
        BYTE_LEVEL("true"),
        "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true}"
        "," BYTE_LEVEL("true") "]}",
        "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\",\"behavior\":"
        "\"Contiguous\"}," BYTE_LEVEL("true") ",{\"type\":\"Digits\",\"individual_digits\":false},"
                                              "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9]["
                                              "0-9][0-9]\"},\"behavior\":\"Isolated\","
                                              "\"invert\":false}]}",
    };
    static const int32_t lowest[] = {1, 0x20, 0x80, 0x300, 0x2000, 0x1F600, 0x10000};
    static const int32_t counts[] = {127, 96, 512, 112, 80, 80, 0x100000};
    for (size_t p = 1; p < COUNT(pre_tokenizers); p++) {
        tokenizer *tok = open_all_bytes(pre_tokenizers[p]);
        for (uint64_t seed = 0; seed < 3000; seed++) {
            char text[4 * 40 + 1];
            size_t bytes = 0;
            uint64_t bits = rng_splitmix64(seed);
            for (uint64_t n = bits % 40; n > 0; n--) {
                bits = rng_splitmix64(bits);
                const size_t k = bits % COUNT(lowest);
                bytes += utf8_encode(lowest[k] + (int32_t)(bits / 16 % (uint64_t)counts[k]),
                                     text + bytes);
            }
            text[bytes] = '\0';
            mts_encoding e = {0};
            assert_int_equal(tokenizer_encode(NULL, tok, text, NULL, 0, &e), MTS_OK);
            check_decoding(tok, e.ids, e.length, false, text);
            for (int64_t i = 0; i < e.length; i++)
                assert_true(e.begin[i] < e.end[i] && (size_t)e.end[i] <= bytes);
            tokenizer_free_encoding(&e);
        }
        tokenizer_close(tok);
    }
    /* a NUL byte is one, too */
    static const int32_t with_nul[] = {'a', 0, 'b'};
    tokenizer *tok = open_all_bytes(BYTE_LEVEL("true"));
    char *text = NULL;
    size_t bytes = 0;
    assert_int_equal(tokenizer_decode(NULL, tok, with_nul, 3, false, &text, &bytes), MTS_OK);
    assert_int_equal(bytes, 3);
    assert_memory_equal(text, "a\0b", 4);
    mem_free(text);
    tokenizer_close(tok);
}

/* Ten million letters are one word. */
static void test_long_run(void **state)
{
    (void)state;
    enum { LETTERS = 10 * 1000 * 1000 };
    tokenizer *tok = open_json("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"aa\":1,"
                               "\"aaaa\":2},\"merges\":[\"a a\",\"aa aa\"]}}");
    mts_encoding e = {0};
    char *text = NULL;
    assert_int_equal(mem_calloc(NULL, &text, LETTERS + 1, 1, "a text"), MTS_OK);
    memset(text, 'a', LETTERS - 1);
    assert_int_equal(tokenizer_encode(NULL, tok, text, NULL, 0, &e), MTS_OK);
    assert_int_equal(e.length, LETTERS / 4 + 1); /* ... aaaa aa a */
    for (int64_t i = 0; i < e.length - 2; i++)
        assert_true(e.ids[i] == 2 && e.begin[i] == 4 * i && e.end[i] == 4 * i + 4);
    assert_int_equal(e.ids[e.length - 2], 1);
    assert_int_equal(e.ids[e.length - 1], 0);
    tokenizer_free_encoding(&e);
    mem_free(text);
    tokenizer_close(tok);
}

static void test_refused(void **state)
{
    (void)state;
#define SMALL "\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]"
#define MODEL_WITH(more) "\"model\":{\"type\":\"BPE\"," more "}}"
#define WITH(part) "{" part "," MODEL_WITH(SMALL)
#define SPLIT(pattern, behavior)                                                                   \
    WITH("\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":" pattern ",\"behavior\":\"" behavior  \
         "\",\"invert\":false}")
    static const struct {
        const char *json;
        mts_status status;
        const char *text;
    } cases[] = {
        /* clang-format off */
        {"{" MODEL_WITH(SMALL ",\"dropout\":0.1"), MTS_ERR_UNSUPPORTED, "dropout"},
        {"{" MODEL_WITH(SMALL ",\"continuing_subword_prefix\":\"@\""), MTS_ERR_UNSUPPORTED,
         "continuing_subword_prefix"},
        {"{" MODEL_WITH(SMALL ",\"end_of_word_suffix\":\"</w>\""), MTS_ERR_UNSUPPORTED,
         "end_of_word_suffix: only null is supported, found </w>"},
        {"{" MODEL_WITH(SMALL ",\"unk_token\":\"<unk>\""), MTS_ERR_BAD_FILE, "unk_token"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]"), MTS_ERR_BAD_FILE,
         "entry 0: \"ab\", which it gives, is not in the vocabulary"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0,\"ab\":1},\"merges\":[\"a b\"]"), MTS_ERR_BAD_FILE,
         "token 2 of \"a b\" is not in the vocabulary"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0},\"merges\":[\"a\"]"), MTS_ERR_BAD_FILE,
         "two tokens with a space between"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0},\"merges\":[\"a b c\"]"), MTS_ERR_BAD_FILE,
         "two tokens with a space between"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0},\"merges\":[[\"a\"]]"), MTS_ERR_BAD_FILE, "a pair"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0},\"merges\":[[\"a\",1]]"), MTS_ERR_BAD_FILE,
         "two strings"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0},\"merges\":{}"), MTS_ERR_BAD_FILE, "an array"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0},\"merges\":[\"a a\",[\"a\",\"a\"]]"),
         MTS_ERR_BAD_FILE, "merges"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":1},\"merges\":[]"), MTS_ERR_BAD_FILE,
         "no token has id 0"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":-1},\"merges\":[]"), MTS_ERR_BAD_FILE, "outside 0"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":4194304},\"merges\":[]"), MTS_ERR_BAD_FILE, "outside 0"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]"), MTS_ERR_BAD_FILE,
         "two tokens"},
        {"{" MODEL_WITH("\"vocab\":{\"a\":\"0\"},\"merges\":[]"), MTS_ERR_BAD_FILE, "integer"},
        {"{" MODEL_WITH("\"vocab\":[],\"merges\":[]"), MTS_ERR_BAD_FILE, "vocab"},
        {"{" MODEL_WITH("\"vocab\":{},\"merges\":[]"), MTS_ERR_BAD_FILE, "empty"},
        {WITH("\"added_tokens\":[{\"id\":7,\"content\":\"x\"}]"), MTS_ERR_BAD_FILE,
         "\"x\" has id 7, expected 3"},
        {WITH("\"added_tokens\":[{\"id\":1,\"content\":\"a\"}]"), MTS_ERR_BAD_FILE,
         "\"a\" has id 1, expected 0"},
        {WITH("\"added_tokens\":[{\"id\":0,\"content\":\"a\"},{\"id\":0,\"content\":\"a\"}]"),
         MTS_ERR_BAD_FILE, "id 0 is listed twice"},
        {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"\"}]"), MTS_ERR_BAD_FILE, "empty token"},
        {WITH("\"added_tokens\":[{\"id\":3,\"content\":\"x\",\"single_word\":true}]"),
         MTS_ERR_UNSUPPORTED, "single_word"},
        {WITH("\"normalizer\":{\"type\":\"NFKC\"}"), MTS_ERR_UNSUPPORTED,
         "normalizer: type NFKC is not supported"},
        {WITH("\"normalizer\":{\"type\":\"Prepend\",\"prepend\":\"xy\"}"), MTS_ERR_UNSUPPORTED,
         "only one character"},
        {SPLIT("{\"Regex\":\"\\\\p{L}+\"}", "Isolated"), MTS_ERR_UNSUPPORTED,
         "pre_tokenizer: Split: the regular expression \\p{L}+ is not known"},
        {SPLIT("{\"String\":\" \"}", "Isolated"), MTS_ERR_UNSUPPORTED, "no regular expression"},
        {SPLIT("{\"Regex\":\"[0-9][0-9][0-9]\"}", "Removed"), MTS_ERR_UNSUPPORTED,
         "behavior Removed is not supported"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Whitespace\"}"), MTS_ERR_UNSUPPORTED,
         "pre_tokenizer: type Whitespace is not supported"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"_\"}"),
         MTS_ERR_UNSUPPORTED, "U+005F"},
        {WITH("\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\u2581\","
              "\"add_prefix_space\":false}"),
         MTS_ERR_BAD_FILE, "add_prefix_space"},
        {WITH("\"post_processor\":{\"type\":\"BertProcessing\"}"), MTS_ERR_UNSUPPORTED,
         "post_processor: type BertProcessing is not supported"},
        {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[],\"pair\":[]}"),
         MTS_ERR_UNSUPPORTED, "single: text A is there 0 times"},
        {WITH("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":"
              "{\"id\":\"a\",\"type_id\":0}}],\"special_tokens\":{\"a\":{\"ids\":[3]}}}"),
         MTS_ERR_BAD_FILE, "an id outside 0 to 2"},
        /* clang-format on */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        mts_ctx ctx = {""};
        tokenizer *tok = NULL;
        const mts_status st = try_open(&ctx, cases[i].json, &tok);
        assert_null(tok);
        if (strstr(ctx.error, cases[i].text) == NULL)
            print_message("case %zu: %s\n", i, ctx.error);
        assert_non_null(strstr(ctx.error, cases[i].text));
        assert_int_equal(st, cases[i].status);
    }
}

static void test_what_cannot_be_done(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    char *text = NULL;
    size_t bytes = 0;
    static const int32_t ids[] = {0};
    tokenizer *tok = open_json(WITH("\"decoder\":{\"type\":\"CTC\"}"));
    assert_int_equal(tokenizer_decode(&ctx, tok, ids, 1, false, &text, &bytes),
                     MTS_ERR_UNSUPPORTED);
    assert_int_equal(tokenizer_set_lower_case(&ctx, tok, true), MTS_ERR_UNSUPPORTED);
    tokenizer_close(tok);
    text_folder folder = text_folder_make();
    text_folder_put(&folder, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    assert_int_equal(tokenizer_open(&ctx, folder.path, &tok), MTS_OK);
    assert_int_equal(tokenizer_decode(&ctx, tok, ids, 1, false, &text, &bytes),
                     MTS_ERR_UNSUPPORTED);
    assert_string_equal(ctx.error, "a tokenizer of type WordPiece does not decode");
    tokenizer_close(tok);
    text_folder_remove(&folder);
}

/* Let each allocation fail in turn: opening, encoding, decoding. */
static void test_memory_failure(void **state)
{
    (void)state;
    static const char *const files[] = {byte_json, pieces_json};
    for (size_t k = 0; k < COUNT(files); k++) {
        mts_ctx ctx = {""};
        tokenizer *tok = NULL;
        text_folder folder = text_folder_make();
        text_folder_put(&folder, "tokenizer.json", files[k]);
        mts_status st = MTS_ERR_MEMORY;
        for (int64_t n = 0; st != MTS_OK; n++) {
            mem_fail_after(n);
            st = tokenizer_open(&ctx, folder.path, &tok);
            mem_fail_after(-1);
            assert_true(st == MTS_OK || (st == MTS_ERR_MEMORY && tok == NULL));
        }
        st = MTS_ERR_MEMORY;
        for (int64_t n = 0; st != MTS_OK; n++) {
            mts_encoding e = {0};
            mem_fail_after(n);
            st = tokenizer_encode(&ctx, tok, "a <|x|>  <s>abd\u00e9 c's", "ab", 0, &e);
            mem_fail_after(-1);
            assert_true(st == MTS_OK || (st == MTS_ERR_MEMORY && e.ids == NULL));
            tokenizer_free_encoding(&e);
        }
        st = MTS_ERR_MEMORY;
        for (int64_t n = 0; st != MTS_OK; n++) {
            static const int32_t ids[] = {8, 9, 1, 2, 0};
            char *text = NULL;
            size_t bytes = 0;
            mem_fail_after(n);
            st = tokenizer_decode(&ctx, tok, ids, 5, false, &text, &bytes);
            mem_fail_after(-1);
            assert_true(st == MTS_OK || (st == MTS_ERR_MEMORY && text == NULL));
            mem_free(text);
        }
        tokenizer_close(tok);
        text_folder_remove(&folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level),
        cmocka_unit_test(test_byte_level_decoding),
        cmocka_unit_test(test_order_of_merges),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_metaspace),
        cmocka_unit_test(test_text_comes_back),
        cmocka_unit_test(test_long_run),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_what_cannot_be_done),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
