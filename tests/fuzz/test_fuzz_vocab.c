/*
 * Hostile tokenizer files and texts: whatever comes in, an error line or a sound tokenizer comes
 * out.
 *
 * Valid files are damaged (bytes changed, removed, repeated, moved; numbers and words of JSON
 * replaced), opened, and used if they open.  Repeatable: the seed is fixed, or the first argument.
 * The second argument is the number of rounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "text/tokenizer_class.h"
#include "unit/text_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ROOM = 4096 };

static uint64_t seed = 1, rounds = 4000;
static uint64_t rng_state;

static uint32_t draw(uint32_t below)
{
    rng_state = rng_splitmix64(rng_state);
    return (uint32_t)(rng_state >> 32) % below;
}

static const char vocab_file[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\na\n##a\n\u4e2d\n##\u00e9\n";

static const char json_file[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[UNK]\",\"lstrip\":false,\"rstrip\":true,"
    "\"normalized\":false},{\"id\":7,\"content\":\"New\",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
    "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}"
    "},"
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":["
    "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}"
    "},"
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}"
    "},"
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":1}}]},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##"
    "\","
    "\"max_input_chars_per_word\":100,\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,"
    "\"a\":4,\"##b\":5,\"\u4e2d\":6}}}";

static const char config_file[] =
    "{\"do_lower_case\":false,\"strip_accents\":null,\"tokenize_chinese_chars\":true,"
    "\"unk_token\":\"[UNK]\",\"cls_token\":{\"content\":\"[CLS]\"},\"tokenizer_class\":"
    "\"BertTokenizer\","
    "\"additional_special_tokens\":[\"the\"],\"added_tokens_decoder\":{\"11\":{\"content\":\"New\","
    "\"lstrip\":true,\"rstrip\":false,\"normalized\":true}}}";

static const char model_file[] =
    "{\"model_type\":\"bert\",\"tokenizer_class\":\"BertTokenizerFast\"}";

static const char map_file[] = "{\"sep_token\":\"[SEP]\",\"mask_token\":{\"content\":\"[MASK]\"}}";
static const char added_file[] = "{\"<x>\":12,\"y z\":13}";

/* Pieces that are put into files. */
static const char *const pieces[] = {
    "\n",
    "\r\n",
    "\xFF",
    "\xED\xA0\x80",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "-1",
    "0",
    "1",
    "99999999999999999999",
    "4194303",
    "4194304",
    "1e9",
    "1.5",
    "\\u0000",
    "\\ud800",
    "##",
    "[CLS]",
    "\"a\":4",
    "\"content\":\"\"",
    "\"type\":\"BPE\"",
    "\"lowercase\":3",
    "\"id\":5",
    "\xF0\x9F\x91\x8D",
    "\u0301",
};

static size_t insert(char *text, size_t n, size_t at, const char *piece, size_t bytes)
{
    if (n + bytes > ROOM)
        return n;
    memmove(text + at + bytes, text + at, n - at);
    memcpy(text + at, piece, bytes);
    return n + bytes;
}

/* One random damage to text[n]; returns the new length. */
static size_t damage(char *text, size_t n)
{
    size_t at = n > 0 ? draw((uint32_t)n) : 0;
    size_t length = 1 + draw(12);
    if (length > n - at)
        length = n - at;
    switch (draw(6)) {
    case 0: /* change a byte */
        if (n > 0)
            text[at] = (char)draw(256);
        return n;
    case 1: /* remove a stretch */
        memmove(text + at, text + at + length, n - at - length);
        return n - length;
    case 2: { /* repeat a stretch elsewhere */
        char copy[16];
        memcpy(copy, text + at, length);
        return insert(text, n, draw((uint32_t)n + 1), copy, length);
    }
    case 3: /* cut off the end, now and then */
        return draw(8) == 0 ? at : n;
    default: { /* put a piece in, perhaps in place of something */
        const char *piece = pieces[draw(COUNT(pieces))];
        if (draw(2) == 0) {
            memmove(text + at, text + at + length, n - at - length);
            n -= length;
        }
        return insert(text, n, at, piece, strlen(piece));
    }
    }
}

static void write_damaged(const text_folder *folder, const char *name, const char *content,
                          uint32_t damages)
{
    char text[ROOM];
    size_t n = strlen(content);
    memcpy(text, content, n);
    for (uint32_t i = 0; i < damages; i++)
        n = damage(text, n);
    text_folder_write(folder, name, text, n);
}

/* What holds for the encoding of every text by every tokenizer. */
static void check_encoding(const tokenizer *tok, const mts_encoding *e, size_t bytes_a,
                           size_t bytes_b, bool pair, int64_t max_length)
{
    assert_true(e->length >= (pair ? 3 : 2) && (max_length == 0 || e->length <= max_length));
    assert_int_equal(e->ids[0], tok->single.pieces[0].id);
    assert_int_equal(e->ids[e->length - 1], tok->single.pieces[2].id);
    for (int64_t i = 0; i < e->length; i++) {
        size_t bytes = e->type_ids[i] == 1 ? bytes_b : bytes_a;
        assert_non_null(tokenizer_token(tok, e->ids[i]));
        assert_true(e->type_ids[i] == 0 || (pair && e->type_ids[i] == 1));
        assert_true(i == 0 || e->type_ids[i] >= e->type_ids[i - 1]);
        assert_true(e->begin[i] >= 0 && e->begin[i] <= e->end[i]);
        assert_true((size_t)e->end[i] <= bytes);
    }
}

/* What holds for every window: all of the tokens of the pair, in rows that fit. */
static void check_windows(const tokenizer *tok, const char *a, const char *b, int64_t max_length,
                          int64_t overlap)
{
    mts_encoding whole = {0};
    token_windows w;
    assert_int_equal(tokenizer_encode(NULL, tok, a, b, 0, &whole), MTS_OK);
    const mts_status st = tokenizer_windows(NULL, tok, a, b, max_length, overlap, &w);
    assert_true(st == MTS_OK || (st == MTS_ERR_ARGUMENT && whole.length > max_length));
    for (int64_t k = 0; k < w.count; k++) {
        const token_window *item = &w.items[k];
        const int64_t first = item->first_b;
        assert_true(item->row.length <= max_length && item->count_b >= 0);
        assert_memory_equal(item->row.ids, whole.ids, (size_t)first * sizeof(int32_t));
        assert_memory_equal(item->row.ids + first, whole.ids + first + item->skipped_b,
                            (size_t)item->count_b * sizeof(int32_t));
        assert_memory_equal(item->row.end + first, whole.end + first + item->skipped_b,
                            (size_t)item->count_b * sizeof(int32_t));
        assert_int_equal(k + 1 == w.count,
                         first + item->skipped_b + item->count_b == whole.length - 1);
    }
    token_windows_deinit(&w);
    tokenizer_free_encoding(&whole);
}

static void encode_random(const tokenizer *tok)
{
    static const char *const words[] = {
        "the",    "THE",        "a",      "b", "\u4e2d", "\u00e9", "e\u0301", "[MASK]",
        "[UNK] ", "New",        "new",    " ", "\n",     "y z",    "\xFF",    "\xE4\xB8",
        "\u302e", "\U0001d165", "\u0130", "!", "##",     "\u200d"};
    char texts[2][256];
    size_t bytes[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        for (uint32_t i = draw(24); i > 0; i--) {
            const char *word = words[draw(COUNT(words))];
            memcpy(texts[k] + bytes[k], word, strlen(word));
            bytes[k] += strlen(word);
        }
        for (uint32_t i = draw(3); i > 0 && bytes[k] > 0; i--)
            texts[k][draw((uint32_t)bytes[k])] = (char)(1 + draw(255));
        texts[k][bytes[k]] = '\0';
    }
    bool pair = draw(2) == 0;
    int64_t max_length = draw(2) == 0 ? 0 : 3 + draw(20);
    mts_encoding e = {0};
    assert_int_equal(tokenizer_encode(NULL, tok, texts[0], pair ? texts[1] : NULL, max_length, &e),
                     MTS_OK);
    check_encoding(tok, &e, bytes[0], bytes[1], pair, max_length);
    tokenizer_free_encoding(&e);
    check_windows(tok, texts[0], texts[1], 3 + draw(30), draw(8));
}

/* Open the folder; use the tokenizer or look at the error line.  Returns whether it opened. */
static bool open_and_use(const text_folder *folder)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    mts_status st = tokenizer_open(&ctx, folder->path, &tok);
    if (st != MTS_OK) {
        assert_null(tok);
        assert_true(st == MTS_ERR_BAD_FILE || st == MTS_ERR_UNSUPPORTED);
        assert_true(ctx.error[0] != '\0');
        for (const char *c = ctx.error; *c != '\0'; c++)
            assert_true((unsigned char)*c >= ' ');
        return false;
    }
    for (int i = 0; i < 5; i++)
        encode_random(tok);
    tokenizer_files files = {0};
    assert_int_equal(tokenizer_files_read(&ctx, &files, folder->path), MTS_OK);
    assert_int_equal(tokenizer_write_rules(&ctx, tok, &files), MTS_OK);
    tokenizer_files_deinit(&files);
    tokenizer_close(tok);
    return true;
}

static void test_damaged_vocab_txt(void **state)
{
    (void)state;
    uint64_t opened = 0;
    text_folder folder = text_folder_make();
    rng_state = seed;
    for (uint64_t i = 0; i < rounds; i++) {
        write_damaged(&folder, "vocab.txt", vocab_file, draw(4));
        write_damaged(&folder, "tokenizer_config.json", config_file, draw(3) == 0 ? draw(3) : 0);
        write_damaged(&folder, "special_tokens_map.json", map_file, draw(8) == 0);
        write_damaged(&folder, "added_tokens.json", added_file, draw(8) == 0);
        write_damaged(&folder, "config.json", model_file, draw(8) == 0);
        opened += open_and_use(&folder);
    }
    text_folder_remove(&folder);
    assert_true(opened > rounds / 20 && opened < rounds); /* both ways were taken */
}

static void test_damaged_tokenizer_json(void **state)
{
    (void)state;
    uint64_t opened = 0;
    text_folder folder = text_folder_make();
    rng_state = seed + 1;
    for (uint64_t i = 0; i < rounds; i++) {
        write_damaged(&folder, "tokenizer.json", json_file, draw(4));
        opened += open_and_use(&folder);
    }
    text_folder_remove(&folder);
    assert_true(opened > rounds / 20 && opened < rounds);
}

static void test_random_texts(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    text_folder folder = text_folder_make();
    rng_state = seed + 2;
    text_folder_put(&folder, "tokenizer.json", json_file);
    assert_int_equal(tokenizer_open(&ctx, folder.path, &tok), MTS_OK);
    text_folder_remove(&folder);
    for (uint64_t i = 0; i < 5 * rounds; i++)
        encode_random(tok);
    tokenizer_close(tok);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        rounds = strtoull(argv[2], NULL, 10);
    printf("seed %llu, %llu rounds\n", (unsigned long long)seed, (unsigned long long)rounds);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damaged_vocab_txt),
        cmocka_unit_test(test_damaged_tokenizer_json),
        cmocka_unit_test(test_random_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
