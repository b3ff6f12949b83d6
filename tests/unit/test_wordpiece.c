/*
 * WordPiece: words, punctuation, offsets, pairs, truncation, added tokens, threads, memory failure.
 * The expected numbers are those of Hugging Face's tokenizers 0.23 with the same vocabulary.
 *
 * As a program, `test_wordpiece --encode MODEL_DIR` reads requests from standard input, one a line:
 *     max_length TAB hexadecimal bytes of text a [TAB the same of text b [TAB overlap]]
 * and answers each with one line: ids TAB type_ids TAB begin TAB end (numbers with spaces between).
 * With an overlap it answers with one line of such windows, TAB-separated and each followed by
 *     TAB first_b TAB count_b TAB skipped_b
 * or with an empty line where windows of that size are refused.
 *
 * `test_wordpiece --rewrite MODEL_DIR OUT_DIR` writes the tokenizer files of a folder into another
 * one that exists, as a training run does.
 * gates/check_tokenizer.py compares the answers with Hugging Face's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"
#include "support/text_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * ids: 0 [PAD] 1 [UNK] 2 [CLS] 3 [SEP] 4 [MASK] 5 un 6 ##aff 7 ##able 8 want 9 ##want 10 ##ed 11
 * run 12 ##ning 13 , 14 cafe 15 e 16 ##a 17 a 18 ##b 19 U+4E2D 20 U+6587 21 i 22 ##s 23 is 24 ! 25
 * ' 26 hello 27 sharp s 28 sigma 29 ##sigma 30 alpha with tonos
 */
static const char vocab_text[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\nwant\n##want\n##ed\nrun\n##ning\n,\n"
    "cafe\ne\n##a\na\n##b\n\u4e2d\n\u6587\ni\n##s\nis\n!\n'\nhello\n"
    "\u00df\n\u03c3\n##\u03c3\n\u03ac\n";

static const char json_text[] =
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[UNK]\"},{\"id\":2,\"content\":\"[CLS]\"},"
    "{\"id\":3,\"content\":\"[SEP]\"},{\"id\":4,\"content\":\"[MASK]\",\"lstrip\":true},"
    "{\"id\":7,\"content\":\"<r>\",\"rstrip\":true},"
    "{\"id\":8,\"content\":\"NewWord\",\"normalized\":true},"
    "{\"id\":9,\"content\":\"NewWordLong\",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
    "\"strip_accents\":null,\"lowercase\":true},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
    "\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3],\"cls\":[\"[CLS]\",2]},"
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"[MASK]\":4,"
    "\"a\":5,\"##b\":6}}}";

static tokenizer *open_with(const char *name, const char *content)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    text_folder folder = text_folder_make();
    text_folder_put(&folder, name, content);
    mts_status st = tokenizer_open(&ctx, folder.path, &tok);
    text_folder_remove(&folder);
    assert_string_equal(ctx.error, "");
    assert_int_equal(st, MTS_OK);
    return tok;
}

/* One request and the answer of Hugging Face. */
typedef struct golden {
    const char *a, *b;
    int64_t max_length, length;
    int32_t ids[12], types[12], begin[12], end[12];
} golden;

static void check(const tokenizer *tok, const golden *want)
{
    mts_ctx ctx = {""};
    mts_encoding e = {0};
    assert_int_equal(tokenizer_encode(&ctx, tok, want->a, want->b, want->max_length, &e), MTS_OK);
    assert_int_equal(e.length, want->length);
    size_t bytes = (size_t)e.length * sizeof(int32_t);
    assert_memory_equal(e.ids, want->ids, bytes);
    assert_memory_equal(e.type_ids, want->types, bytes);
    assert_memory_equal(e.begin, want->begin, bytes);
    assert_memory_equal(e.end, want->end, bytes);
    tokenizer_free_encoding(&e);
    assert_null(e.ids);
}

static void test_single_texts(void **state)
{
    (void)state;
    static const golden goldens[] = {
        /* clang-format off */
        {"", NULL, 0, 2,
         {2, 3}, {0, 0},
         {0, 0}, {0, 0}},
        {"UNwant\u00e9d,running", NULL, 0, 8,
         {2, 5, 9, 10, 13, 11, 12, 3}, {0, 0, 0, 0, 0, 0, 0, 0},
         {0, 0, 2, 6, 9, 10, 13, 0}, {0, 2, 6, 9, 10, 13, 17, 0}},
        {"unaffable", NULL, 0, 5,
         {2, 5, 6, 7, 3}, {0, 0, 0, 0, 0},
         {0, 0, 2, 5, 0}, {0, 2, 5, 9, 0}},
        {"Hello, un!", NULL, 0, 6,
         {2, 26, 13, 5, 24, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 5, 7, 9, 0}, {0, 5, 6, 9, 10, 0}},
        {"caf\u00e9 cafe\u0301 CAF\u00c9", NULL, 0, 5,
         {2, 14, 14, 14, 3}, {0, 0, 0, 0, 0},
         {0, 0, 6, 13, 0}, {0, 5, 10, 18, 0}},
        {"is\u4e2d\u6587is", NULL, 0, 6,
         {2, 23, 19, 20, 23, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 2, 5, 8, 0}, {0, 2, 5, 8, 10, 0}},
        {"[MASK] is[SEP]", NULL, 0, 5,
         {2, 4, 23, 3, 3}, {0, 0, 0, 0, 0},
         {0, 0, 7, 9, 0}, {0, 6, 9, 14, 0}},
        {"\tis\u00ad\u3000i\u200bs\n", NULL, 0, 4,
         {2, 23, 23, 3}, {0, 0, 0, 0},
         {0, 1, 8, 0}, {0, 3, 13, 0}},
        {"\u03a3\u03a3 \u00df \u0386", NULL, 0, 6,
         {2, 28, 29, 27, 1, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 2, 5, 8, 0}, {0, 2, 4, 7, 10, 0}},
        {"un\u0130s I\u0307s", NULL, 0, 4,
         {2, 1, 23, 3}, {0, 0, 0, 0},
         {0, 0, 6, 0}, {0, 5, 10, 0}},
        {"xyz aff !'", NULL, 0, 6,
         {2, 1, 1, 24, 25, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 4, 8, 9, 0}, {0, 3, 7, 9, 10, 0}},
        /* clang-format on */
    };
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    for (size_t i = 0; i < COUNT(goldens); i++)
        check(tok, &goldens[i]);
    tokenizer_close(tok);
}

static void test_pairs_and_truncation(void **state)
{
    (void)state;
    static const golden goldens[] = {
        /* clang-format off */
        {"un want run", "hello is", 0, 8,
         {2, 5, 8, 11, 3, 26, 23, 3}, {0, 0, 0, 0, 0, 1, 1, 1},
         {0, 0, 3, 8, 0, 0, 6, 0}, {0, 2, 7, 11, 0, 5, 8, 0}},
        {"", "", 0, 3,
         {2, 3, 3}, {0, 0, 1},
         {0, 0, 0}, {0, 0, 0}},
        {"un want run is", "hello a , !", 3, 3,
         {2, 3, 3}, {0, 0, 1},
         {0, 0, 0}, {0, 0, 0}},
        {"un want run is", "hello a , !", 4, 4,
         {2, 3, 26, 3}, {0, 0, 1, 1},
         {0, 0, 0, 0}, {0, 0, 5, 0}},
        {"un want run is", "hello a , !", 5, 5,
         {2, 5, 3, 26, 3}, {0, 0, 0, 1, 1},
         {0, 0, 0, 0, 0}, {0, 2, 0, 5, 0}},
        {"un want run is", "hello a , !", 6, 6,
         {2, 5, 3, 26, 17, 3}, {0, 0, 0, 1, 1, 1},
         {0, 0, 0, 0, 6, 0}, {0, 2, 0, 5, 7, 0}},
        {"un want run is", "hello a , !", 7, 7,
         {2, 5, 8, 3, 26, 17, 3}, {0, 0, 0, 0, 1, 1, 1},
         {0, 0, 3, 0, 0, 6, 0}, {0, 2, 7, 0, 5, 7, 0}},
        {"un want run is", "hello a , !", 8, 8,
         {2, 5, 8, 3, 26, 17, 13, 3}, {0, 0, 0, 0, 1, 1, 1, 1},
         {0, 0, 3, 0, 0, 6, 8, 0}, {0, 2, 7, 0, 5, 7, 9, 0}},
        {"un want run is a", "hello", 5, 5,
         {2, 5, 3, 26, 3}, {0, 0, 0, 1, 1},
         {0, 0, 0, 0, 0}, {0, 2, 0, 5, 0}},
        {"un want run is a", "hello", 6, 6,
         {2, 5, 8, 3, 26, 3}, {0, 0, 0, 0, 1, 1},
         {0, 0, 3, 0, 0, 0}, {0, 2, 7, 0, 5, 0}},
        {"hello", "un want run is a", 6, 6,
         {2, 26, 3, 5, 8, 3}, {0, 0, 0, 1, 1, 1},
         {0, 0, 0, 0, 3, 0}, {0, 5, 0, 2, 7, 0}},
        {"un want run is", "hello a , ! '", 4, 4,
         {2, 3, 26, 3}, {0, 0, 1, 1},
         {0, 0, 0, 0}, {0, 0, 5, 0}},
        {"un want run is", "hello a", 6, 6,
         {2, 5, 8, 3, 26, 3}, {0, 0, 0, 0, 1, 1},
         {0, 0, 3, 0, 0, 0}, {0, 2, 7, 0, 5, 0}},
        {"un want run", NULL, 2, 2,
         {2, 3}, {0, 0},
         {0, 0}, {0, 0}},
        {"un want run", NULL, 4, 4,
         {2, 5, 8, 3}, {0, 0, 0, 0},
         {0, 0, 3, 0}, {0, 2, 7, 0}},
        /* clang-format on */
    };
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    for (size_t i = 0; i < COUNT(goldens); i++)
        check(tok, &goldens[i]);
    tokenizer_close(tok);
}

static void test_word_of_100_letters(void **state)
{
    (void)state;
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    char text[102] = "a";
    mts_encoding e = {0};
    memset(text + 1, 'b', 100);
    assert_int_equal(tokenizer_encode(NULL, tok, text, NULL, 0, &e), MTS_OK);
    assert_int_equal(e.length, 3); /* 101 letters: [UNK] */
    assert_int_equal(e.ids[1], 1);
    assert_int_equal(e.end[1], 101);
    tokenizer_free_encoding(&e);
    text[100] = '\0';
    assert_int_equal(tokenizer_encode(NULL, tok, text, NULL, 0, &e), MTS_OK);
    assert_int_equal(e.length, 102);
    assert_int_equal(e.ids[1], 17);
    for (int i = 2; i <= 100; i++) {
        assert_int_equal(e.ids[i], 18);
        assert_int_equal(e.begin[i], i - 1);
        assert_int_equal(e.end[i], i);
    }
    tokenizer_free_encoding(&e);
    tokenizer_close(tok);
}

static void test_malformed_utf8_is_dropped(void **state)
{
    (void)state;
    static const golden goldens[] = {
        /* a word goes on across a byte that counts as U+FFFD, as clean_text removes that */
        {"i\xFFs", NULL, 0, 3, {2, 23, 3}, {0}, {0, 0}, {0, 3}},
        {"is\xE4\xB8 is\xED\xA0\x80", NULL, 0, 4, {2, 23, 23, 3}, {0}, {0, 0, 5}, {0, 2, 7}},
        {"\xC0\xAF\xF0\x9F", NULL, 0, 2, {2, 3}, {0}, {0}, {0}},
    };
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    for (size_t i = 0; i < COUNT(goldens); i++)
        check(tok, &goldens[i]);
    tokenizer_close(tok);
}

static void test_added_tokens(void **state)
{
    (void)state;
    static const golden goldens[] = {
        /* clang-format off */
        {"a  [MASK] ab", NULL, 0, 6,
         {2, 5, 4, 5, 6, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 1, 10, 11, 0}, {0, 1, 9, 11, 12, 0}},
        {"<r>  a<r>", NULL, 0, 5,
         {2, 7, 5, 7, 3}, {0, 0, 0, 0, 0},
         {0, 0, 5, 6, 0}, {0, 5, 6, 9, 0}},
        {"newword a NEWWORDLONG", NULL, 0, 5,
         {2, 8, 5, 9, 3}, {0, 0, 0, 0, 0},
         {0, 0, 8, 10, 0}, {0, 7, 9, 21, 0}},
        {"abNewWordb", NULL, 0, 6,
         {2, 5, 6, 8, 1, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 1, 2, 9, 0}, {0, 1, 2, 9, 10, 0}},
        {"a\u0301newWORD\u0301", NULL, 0, 4,
         {2, 5, 8, 3}, {0, 0, 0, 0},
         {0, 0, 3, 0}, {0, 1, 10, 0}},
        {"[MASK][MASK] <r> [MASK]", NULL, 0, 6,
         {2, 4, 4, 7, 4, 3}, {0, 0, 0, 0, 0, 0},
         {0, 0, 6, 13, 17, 0}, {0, 6, 12, 17, 23, 0}},
        {"newwor <r", NULL, 0, 5,
         {2, 1, 1, 1, 3}, {0, 0, 0, 0, 0},
         {0, 0, 7, 8, 0}, {0, 6, 8, 9, 0}},
        {"[mask] [CLS", NULL, 0, 7,
         {2, 1, 1, 1, 1, 1, 3}, {0, 0, 0, 0, 0, 0, 0},
         {0, 0, 1, 5, 7, 8, 0}, {0, 1, 5, 6, 8, 11, 0}},
        /* clang-format on */
    };
    tokenizer *tok = open_with("tokenizer.json", json_text);
    assert_int_equal(tokenizer_vocab_size(tok), 10);
    for (size_t i = 0; i < COUNT(goldens); i++)
        check(tok, &goldens[i]);
    tokenizer_close(tok);
}

static void test_lower_case_is_switched(void **state)
{
    (void)state;
    static const golden cased = {"IS is \u00e1", NULL,        0, 5, {2, 1, 23, 1, 3}, {0},
                                 {0, 0, 3, 6},   {0, 2, 5, 8}};
    static const golden lower = {"IS is \u00e1", NULL,        0, 5, {2, 23, 23, 17, 3}, {0},
                                 {0, 0, 3, 6},   {0, 2, 5, 8}};
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    check(tok, &lower);
    assert_int_equal(tokenizer_set_lower_case(NULL, tok, false), MTS_OK);
    /* accents stay too: strip_accents is null */
    check(tok, &cased);
    assert_int_equal(tokenizer_set_lower_case(NULL, tok, true), MTS_OK);
    check(tok, &lower);
    tokenizer_close(tok);
}

static void test_queries(void **state)
{
    (void)state;
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    assert_int_equal(tokenizer_vocab_size(tok), 31);
    assert_string_equal(tokenizer_token(tok, 6), "##aff");
    assert_string_equal(tokenizer_token(tok, 30), "\u03ac");
    assert_null(tokenizer_token(tok, -1));
    assert_null(tokenizer_token(tok, 31));
    tokenizer_close(tok);
    tokenizer_close(NULL);
    tokenizer_free_encoding(NULL);

    /* the ids are those of the file, and [PAD] and [MASK] need not be there */
    static const golden other_ids = {"is [MASK]",     NULL,           0, 6, {1, 2, 2, 2, 2, 0}, {0},
                                     {0, 0, 3, 4, 8}, {0, 2, 4, 8, 9}};
    tok = open_with("vocab.txt", "[SEP]\n[CLS]\n[UNK]\n");
    check(tok, &other_ids);
    tokenizer_close(tok);

    int count = 0;
    const char *const *names = tokenizer_file_names(&count);
    assert_int_equal(count, 6);
    assert_string_equal(names[0], "vocab.txt");
}

static void test_lengths_without_room(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    static const int64_t bad[] = {1, -1, INT64_MIN};
    mts_encoding e = {0};
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(tokenizer_encode(&ctx, tok, "is", NULL, bad[i], &e), MTS_ERR_ARGUMENT);
        assert_non_null(strstr(ctx.error, "special tokens"));
        assert_null(e.ids);
    }
    assert_int_equal(tokenizer_encode(&ctx, tok, "is", "is", 2, &e), MTS_ERR_ARGUMENT);
    assert_int_equal(tokenizer_encode(&ctx, tok, "is", "is", INT64_MAX, &e), MTS_OK);
    assert_int_equal(e.length, 5);
    tokenizer_free_encoding(&e);
    tokenizer_close(tok);
}

/* Several threads with one object give what one thread gives. */
static void test_threads_share_the_object(void **state)
{
    (void)state;
    static const char *const texts[] = {"UNwant\u00e9d, running", "caf\u00e9 is\u4e2d\u6587!",
                                        "a\u0301\u0323b [MASK]"};
    tokenizer *tok = open_with("vocab.txt", vocab_text);
    mts_encoding want[COUNT(texts)];
    int wrong = 0;
    for (size_t i = 0; i < COUNT(texts); i++)
        assert_int_equal(tokenizer_encode(NULL, tok, texts[i], texts[0], 0, &want[i]), MTS_OK);
#pragma omp parallel for num_threads(4) reduction(+ : wrong)
    for (int i = 0; i < 3000; i++) {
        size_t k = (size_t)i % COUNT(texts);
        mts_encoding e = {0};
        wrong += tokenizer_encode(NULL, tok, texts[k], texts[0], 0, &e) != MTS_OK ||
                 e.length != want[k].length ||
                 memcmp(e.ids, want[k].ids, (size_t)e.length * 4 * sizeof(int32_t)) != 0;
        tokenizer_free_encoding(&e);
    }
    assert_int_equal(wrong, 0);
    for (size_t i = 0; i < COUNT(texts); i++)
        tokenizer_free_encoding(&want[i]);
    tokenizer_close(tok);
}

/* Let each allocation fail in turn, first in opening and then in encoding. */
static void test_memory_failure(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    text_folder folder = text_folder_make();
    text_folder_put(&folder, "tokenizer.json", json_text);
    text_folder_put(&folder, "tokenizer_config.json", "{\"unk_token\":\"[UNK]\"}");
    text_folder_put(&folder, "special_tokens_map.json", "{\"pad_token\":\"[PAD]\"}");
    tokenizer *tok = NULL;
    mts_status st = MTS_ERR_MEMORY;
    int64_t failures = 0;
    for (; st == MTS_ERR_MEMORY; failures++) {
        mem_fail_after(failures);
        st = tokenizer_open(&ctx, folder.path, &tok);
        assert_true(st == MTS_ERR_MEMORY ? tok == NULL && ctx.error[0] != '\0' : st == MTS_OK);
    }
    assert_true(failures > 15);
    mem_fail_after(-1);
    mts_encoding e = {0};
    st = MTS_ERR_MEMORY;
    for (failures = 0; st == MTS_ERR_MEMORY; failures++) {
        mem_fail_after(failures);
        st = tokenizer_encode(&ctx, tok, "abbb [MASK] \u1e69\u0301 NewWord", "a", 0, &e);
        assert_true(st == MTS_OK || (st == MTS_ERR_MEMORY && e.ids == NULL));
    }
    assert_true(failures > 5);
    mem_fail_after(-1);
    tokenizer_free_encoding(&e);
    tokenizer_close(tok);
    text_folder_remove(&folder);
}

/* ---- the --encode mode ---- */

/* Decode hexadecimal digits in place; returns the text with a NUL behind. */
static char *unhex(char *text)
{
    size_t n = strlen(text) / 2;
    for (size_t i = 0; i < n; i++) {
        char digits[3] = {text[2 * i], text[2 * i + 1], '\0'};
        text[i] = (char)strtol(digits, NULL, 16);
    }
    text[n] = '\0';
    return text;
}

static void print_numbers(const int32_t *numbers, int64_t n, char end)
{
    for (int64_t i = 0; i < n; i++)
        printf("%s%d", i > 0 ? " " : "", numbers[i]);
    if (end != '\0')
        putchar(end);
}

static void print_row(const mts_encoding *e)
{
    print_numbers(e->ids, e->length, '\t');
    print_numbers(e->type_ids, e->length, '\t');
    print_numbers(e->begin, e->length, '\t');
    print_numbers(e->end, e->length, '\0');
}

/* Answer one request for windows; false after an error, which is printed. */
static bool answer_windows(mts_ctx *ctx, const tokenizer *tok, int64_t max_length, const char *a,
                           const char *b, int64_t overlap)
{
    token_windows w;
    const mts_status st = tokenizer_windows(ctx, tok, a, b, max_length, overlap, &w);
    for (int64_t k = 0; k < w.count; k++) {
        const token_window *item = &w.items[k];
        print_row(&item->row);
        printf("\t%lld\t%lld\t%lld%s", (long long)item->first_b, (long long)item->count_b,
               (long long)item->skipped_b, k + 1 < w.count ? "\t" : "");
    }
    printf("%s\n", st == MTS_OK || st == MTS_ERR_ARGUMENT ? "" : ctx->error);
    token_windows_deinit(&w);
    return st == MTS_OK || st == MTS_ERR_ARGUMENT;
}

/* Answer one request; false after an error, which is printed. */
static bool answer(mts_ctx *ctx, const tokenizer *tok, char *line)
{
    char *fields[4] = {line, NULL, NULL, NULL};
    mts_encoding e = {0};
    for (int i = 1; i < 4 && fields[i - 1] != NULL; i++) {
        fields[i] = strchr(fields[i - 1], '\t');
        if (fields[i] != NULL)
            *fields[i]++ = '\0';
    }
    if (fields[1] == NULL) {
        printf("malformed request\n");
        return false;
    }
    const int64_t max_length = strtoll(line, NULL, 10);
    const char *a = unhex(fields[1]), *b = fields[2] != NULL ? unhex(fields[2]) : NULL;
    if (fields[3] != NULL)
        return answer_windows(ctx, tok, max_length, a, b, strtoll(fields[3], NULL, 10));
    if (tokenizer_encode(ctx, tok, a, b, max_length, &e) != MTS_OK) {
        printf("%s\n", ctx->error);
        return false;
    }
    print_row(&e);
    putchar('\n');
    tokenizer_free_encoding(&e);
    return true;
}

static int serve(const char *model_dir)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    char *line = NULL;
    size_t room = 0;
    ssize_t n;
    bool ok = tokenizer_open(&ctx, model_dir, &tok) == MTS_OK;
    if (!ok)
        printf("%s\n", ctx.error);
    while (ok && (n = getline(&line, &room, stdin)) > 0) {
        line[strcspn(line, "\n")] = '\0';
        ok = answer(&ctx, tok, line);
    }
    free(line);
    tokenizer_close(tok);
    return ok ? 0 : 1;
}

static int rewrite(const char *model_dir, const char *out_dir)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    tokenizer_files files = {0};
    const bool ok = tokenizer_open(&ctx, model_dir, &tok) == MTS_OK &&
                    tokenizer_files_read(&ctx, &files, model_dir) == MTS_OK &&
                    tokenizer_write_rules(&ctx, tok, false, &files) == MTS_OK &&
                    tokenizer_files_write(&ctx, &files, out_dir) == MTS_OK;
    if (!ok)
        printf("%s\n", ctx.error);
    tokenizer_files_deinit(&files);
    tokenizer_close(tok);
    return ok ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "--rewrite") == 0)
        return rewrite(argv[2], argv[3]);
    if (argc == 3 && strcmp(argv[1], "--encode") == 0)
        return serve(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_texts),
        cmocka_unit_test(test_pairs_and_truncation),
        cmocka_unit_test(test_word_of_100_letters),
        cmocka_unit_test(test_malformed_utf8_is_dropped),
        cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_lower_case_is_switched),
        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_lengths_without_room),
        cmocka_unit_test(test_threads_share_the_object),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
