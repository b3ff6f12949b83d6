/*
 * Tokenizer files: what is read from which file, and one clear error line for each malformed one.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <time.h>

#include "text/vocab.h"
#include "text/tokenizer.h"
#include "support/text_folder.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define SPECIALS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"
#define MODEL_BEGIN "\"model\":{\"type\":\"WordPiece\",\"vocab\":{"
#define VOCAB "\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3"
#define RULES "\"normalizer\":{\"type\":\"BertNormalizer\"},"
#define SPLIT "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"
#define MODEL MODEL_BEGIN VOCAB "}}"

/* Up to three files, and what opening the folder gives. */
typedef struct file_case {
    const char *names[3], *contents[3];
    mts_status status;
    const char *error; /* part of the text */
} file_case;

static void check(const file_case *c)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    text_folder folder = text_folder_make();
    for (int i = 0; i < 3 && c->names[i] != NULL; i++)
        text_folder_put(&folder, c->names[i], c->contents[i]);
    mts_status st = tokenizer_open(&ctx, folder.path, &tok);
    text_folder_remove(&folder);
    if (st != c->status || strstr(ctx.error, c->error) == NULL)
        fail_msg("%s: expected status %d with \"%s\", found %d with \"%s\"", c->contents[0],
                 (int)c->status, c->error, (int)st, ctx.error);
    assert_null(strchr(ctx.error, '\n'));
    assert_true((tok != NULL) == (st == MTS_OK));
    tokenizer_close(tok);
}

static void check_all(const char *name, const char *const contents[][2], size_t n,
                      mts_status status)
{
    for (size_t i = 0; i < n; i++) {
        file_case c = {{name}, {contents[i][0]}, status, contents[i][1]};
        check(&c);
    }
}

static void test_malformed_vocab_txt(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "vocabulary is empty"},
        {"\n\n\r\n", "vocabulary is empty"},
        {"\xEF\xBB\xBF", "vocabulary is empty"},
        {SPECIALS "a\nb\na\n", "token \"a\" appears twice, as id 5 and as id 7"},
        {SPECIALS "a\n\nb\n", "vocab.txt:7: id 6: empty token"},
        {SPECIALS "a\xFFz\n", "vocab.txt:6: id 5: token is not UTF-8"},
        {SPECIALS "\xED\xA0\x80\n", "vocab.txt:6: id 5: token is not UTF-8"},
        {"[PAD]\n[CLS]\n[SEP]\n", "the vocabulary has no [UNK] token"},
        {"[UNK]\n[SEP]\n", "the vocabulary has no [CLS] token"},
        {"[UNK]\n[CLS]\n", "the vocabulary has no [SEP] token"},
    };
    check_all("vocab.txt", bad, COUNT(bad), MTS_ERR_BAD_FILE);
}

static void test_nul_and_long_tokens(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    text_folder folder = text_folder_make();
    text_folder_write(&folder, "vocab.txt", "[UNK]\na\0b\n", 10);
    assert_int_equal(tokenizer_open(&ctx, folder.path, &tok), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(ctx.error, "vocab.txt:2: id 1: NUL byte in a token"));
    char long_token[VOCAB_MAX_TOKEN_BYTES + 2];
    memset(long_token, 'x', sizeof long_token - 1);
    long_token[sizeof long_token - 1] = '\n';
    text_folder_write(&folder, "vocab.txt", long_token, sizeof long_token);
    assert_int_equal(tokenizer_open(&ctx, folder.path, &tok), MTS_ERR_UNSUPPORTED);
    assert_non_null(strstr(ctx.error, "vocab.txt:1: id 0: token of 513 bytes"));
    text_folder_remove(&folder);
}

static void test_missing_files(void **state)
{
    (void)state;
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    text_folder folder = text_folder_make();
    assert_int_equal(tokenizer_open(&ctx, folder.path, &tok), MTS_ERR_NOT_FOUND);
    assert_non_null(strstr(ctx.error, "neither vocab.txt nor tokenizer.json"));
    assert_int_equal(tokenizer_open(&ctx, "/no such folder", &tok), MTS_ERR_NOT_FOUND);
    char path[96];
    snprintf(path, sizeof path, "%s/vocab.txt", folder.path);
    assert_int_equal(symlink("/", path), 0); /* a folder where the file should be */
    assert_int_equal(tokenizer_open(&ctx, folder.path, &tok), MTS_ERR_NOT_FOUND);
    assert_non_null(strstr(ctx.error, "not a regular file"));
    text_folder_remove(&folder);
}

static void test_malformed_json(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"", "tokenizer.json:1:0:"},
        {"{\"model\":", "tokenizer.json:1:"},
        {"[]", "expected an object, found an array"},
        {"{\"a\":1,\"a\":2}", "duplicate object key"},
        {"{" RULES SPLIT "\"model\":5}", "model: expected an object, found an integer"},
        {"{" RULES SPLIT MODEL_BEGIN "}}}", "model: vocab: empty"},
        {"{" RULES SPLIT "\"model\":{\"type\":\"WordPiece\"}}", "model: vocab: empty"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":\"0\"}}}", "expected an integer id, found a string"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":1.5}}}", "expected an integer id, found a real"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":-1}}}", "token id -1 is outside 0 to"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":4194304}}}", "token id 4194304 is outside 0 to"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":9223372036854775807}}}", "outside 0 to"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":0,\"b\":0}}}", "id 0 is given to two tokens, \"a\""},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":0,\"b\":2}}}", "no token has id 1"},
        {"{" RULES SPLIT MODEL_BEGIN "\"\":0}}}", "id 0: empty token"},
        {"{" RULES SPLIT MODEL_BEGIN "\"a\":0}}}", "the vocabulary has no [UNK] token"},
        {"{" RULES SPLIT MODEL_BEGIN VOCAB "},\"max_input_chars_per_word\":0}}", "1..1024"},
        {"{" RULES SPLIT MODEL_BEGIN VOCAB "},\"unk_token\":3}}", "unk_token: expected a string"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":5}", "added_tokens: expected an array"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":[5]}", "entry 0: expected an object"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":[{\"id\":3}]}", "content or id is missing"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":[{\"id\":3,\"content\":\"b\"}]}", "two tokens"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":[{\"id\":9,\"content\":\"b\"}]}", "has id 4"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"a\"}]}", "twice"},
        {"{\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":1}," SPLIT MODEL "}",
         "lowercase: expected true or false, found an integer"},
    };
    check_all("tokenizer.json", bad, COUNT(bad), MTS_ERR_BAD_FILE);
}

static void test_unsupported_json(void **state)
{
    (void)state;
    static const char *const bad[][2] = {
        {"{" RULES SPLIT "\"model\":{\"type\":\"BPE\"}}",
         "normalizer: type BertNormalizer is not supported"},
        {"{" RULES SPLIT "\"model\":{\"vocab\":{}}}", "model: type absent is not supported"},
        {"{}", "model: type absent is not supported"},
        {"{" SPLIT MODEL "}", "normalizer: type absent is not supported"},
        {"{\"normalizer\":{\"type\":\"Lowercase\"}," SPLIT MODEL "}", "type Lowercase is not"},
        {"{" RULES "\"pre_tokenizer\":{\"type\":\"Whitespace\"}," MODEL "}", "type Whitespace is"},
        {"{" RULES SPLIT "\"post_processor\":{\"type\":\"ByteLevel\"}," MODEL "}",
         "type ByteLevel"},
        {"{" RULES SPLIT "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[]}," MODEL
         "}",
         "single: 0 pieces, expected 3"},
        {"{" RULES SPLIT "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
         "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":2}},{},{}]}," MODEL "}",
         "piece 0: expected SpecialToken of type 0"},
        {"{" RULES SPLIT "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["
         "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},"
         "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}},{}]}," MODEL "}",
         "piece 1 is not the one of"},
        {"{" RULES SPLIT MODEL ",\"added_tokens\":[{\"id\":3,\"content\":\"a\","
         "\"single_word\":true}]}",
         "single_word are not supported"},
    };
    check_all("tokenizer.json", bad, COUNT(bad), MTS_ERR_UNSUPPORTED);
}

static void test_malformed_small_files(void **state)
{
    (void)state;
    static const char *const lines = SPECIALS "a\n";
    static const struct {
        const char *name, *content, *error;
        mts_status status;
    } bad[] = {
        {"tokenizer_config.json", "{\"do_lower_case\":\"yes\"}",
         "tokenizer_config.json: do_lower_case: expected true or false, found a string",
         MTS_ERR_BAD_FILE},
        {"tokenizer_config.json", "{\"unk_token\":5}", "unk_token: expected a token, found",
         MTS_ERR_BAD_FILE},
        {"tokenizer_config.json", "{\"unk_token\":{\"id\":5}}", "unk_token: expected a token",
         MTS_ERR_BAD_FILE},
        {"tokenizer_config.json", "{\"cls_token\":\"<s>\"}", "the vocabulary has no <s> token",
         MTS_ERR_BAD_FILE},
        {"tokenizer_config.json", "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}",
         "BertJapaneseTokenizer does not cut words as BertTokenizer does", MTS_ERR_UNSUPPORTED},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"x\":{}}}",
         "\"x\" is not a token id", MTS_ERR_BAD_FILE},
        {"tokenizer_config.json", "{\"added_tokens_decoder\":{\"5\":{}}}", "expected a token",
         MTS_ERR_BAD_FILE},
        {"tokenizer_config.json", "{\"additional_special_tokens\":[\"<x>\"]}",
         "special token \"<x>\" is not in the vocabulary", MTS_ERR_BAD_FILE},
        {"special_tokens_map.json", "{\"sep_token\":[]}", "special_tokens_map.json: sep_token",
         MTS_ERR_BAD_FILE},
        {"special_tokens_map.json", "nonsense", "special_tokens_map.json:1:", MTS_ERR_BAD_FILE},
        {"added_tokens.json", "{\"b\":\"6\"}", "added_tokens.json: \"b\": expected a token id",
         MTS_ERR_BAD_FILE},
        {"added_tokens.json", "{\"b\":5}", "id 5 is given to two tokens", MTS_ERR_BAD_FILE},
        {"added_tokens.json", "{\"b\":8}", "no token has id 6", MTS_ERR_BAD_FILE},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        file_case c = {
            {"vocab.txt", bad[i].name}, {lines, bad[i].content}, bad[i].status, bad[i].error};
        check(&c);
    }
}

/* Open a folder of up to three files, encode text, compare with n ids. */
static void check_ids(const file_case *c, const char *text, const int32_t *ids, int64_t n)
{
    mts_ctx ctx = {""};
    tokenizer *tok = NULL;
    mts_encoding e = {0};
    text_folder folder = text_folder_make();
    for (int i = 0; i < 3 && c->names[i] != NULL; i++)
        text_folder_put(&folder, c->names[i], c->contents[i]);
    mts_status st = tokenizer_open(&ctx, folder.path, &tok);
    assert_string_equal(ctx.error, "");
    assert_int_equal(st, MTS_OK);
    assert_int_equal(tokenizer_encode(&ctx, tok, text, NULL, 0, &e), MTS_OK);
    assert_int_equal(e.length, n);
    assert_memory_equal(e.ids, ids, (size_t)n * sizeof(int32_t));
    tokenizer_free_encoding(&e);
    tokenizer_close(tok);
    text_folder_remove(&folder);
}

static void test_line_ends_and_byte_order_mark(void **state)
{
    (void)state;
    static const int32_t ids[] = {2, 5, 6, 3};
    static const char *const same[] = {
        SPECIALS "a\nb\n",
        SPECIALS "a\nb",
        SPECIALS "a\nb\n\n\n",
        "\xEF\xBB\xBF" SPECIALS "a\nb\n",
        "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\na\r\nb\r\n",
        SPECIALS "a \t\nb\u3000\n", /* whitespace at the end is not part of a token */
    };
    for (size_t i = 0; i < COUNT(same); i++) {
        file_case c = {{"vocab.txt"}, {same[i]}, MTS_OK, ""};
        check_ids(&c, "a b", ids, 4);
    }
}

static void test_settings_of_tokenizer_config(void **state)
{
    (void)state;
    static const char *const lines = SPECIALS "a\nA\n\u00e1\n\u00c1\n\u4e2d\n##\u4e2d\n";
    static const struct {
        const char *config;
        int32_t ids[8];
        int64_t n;
    } cases[] = {
        {"{}", {2, 5, 5, 5, 9, 3}, 6},
        {"{\"do_lower_case\":false}", {2, 6, 7, 8, 9, 3}, 6},
        {"{\"do_lower_case\":false,\"strip_accents\":true}", {2, 6, 5, 6, 9, 3}, 6},
        {"{\"strip_accents\":false}", {2, 5, 7, 7, 9, 3}, 6},
        {"{\"tokenize_chinese_chars\":false}", {2, 5, 5, 5, 9, 3}, 6},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        file_case c = {
            {"vocab.txt", "tokenizer_config.json"}, {lines, cases[i].config}, MTS_OK, ""};
        check_ids(&c, "A \u00e1 \u00c1 \u4e2d", cases[i].ids, cases[i].n);
    }
    static const int32_t apart[] = {2, 9, 9, 3}, together[] = {2, 9, 10, 3};
    file_case yes = {{"vocab.txt"}, {lines}, MTS_OK, ""};
    file_case no = {{"vocab.txt", "tokenizer_config.json"},
                    {lines, "{\"tokenize_chinese_chars\":false}"},
                    MTS_OK,
                    ""};
    check_ids(&yes, "\u4e2d\u4e2d", apart, 4);
    check_ids(&no, "\u4e2d\u4e2d", together, 4);
}

/* Python's int(1e30), for "no limit", does not fit in 64 bits. */
static void test_huge_numbers(void **state)
{
    (void)state;
    static const char *const fine[] = {
        "{\"model_max_length\": 1000000000000000019884624838656}",
        "{\"a\": [-99999999999999999999999, 1e5, 0.5], \"b\\\"1\": \"999999999999999999999999\"}",
        "{\"a\":18446744073709551616,\"do_lower_case\":false}",
    };
    for (size_t i = 0; i < COUNT(fine); i++) {
        file_case c = {
            {"vocab.txt", "tokenizer_config.json"}, {SPECIALS "a\n", fine[i]}, MTS_OK, ""};
        check(&c);
    }
    file_case bad = {{"vocab.txt", "tokenizer_config.json"},
                     {SPECIALS "a\n", "{\"a\": 1000000000000000000000, \"b\": 01}"},
                     MTS_ERR_BAD_FILE,
                     "tokenizer_config.json:1:"};
    check(&bad);
}

static void test_which_file_wins(void **state)
{
    (void)state;
    static const char *const json = "{" RULES SPLIT MODEL_BEGIN VOCAB ",\"A\":4}}}";
    static const int32_t lower[] = {1, 3, 2}, cased[] = {1, 4, 2};
    /* tokenizer.json is read, vocab.txt is not */
    file_case both = {{"tokenizer.json", "vocab.txt"}, {json, "broken\n\nfile"}, MTS_OK, ""};
    check_ids(&both, "A", lower, 3);
    /* do_lower_case of tokenizer_config.json replaces that of tokenizer.json, here the default */
    file_case config = {{"tokenizer.json", "tokenizer_config.json"},
                        {json, "{\"do_lower_case\":false}"},
                        MTS_OK,
                        ""};
    check_ids(&config, "A", cased, 3);
    /* a strip_accents of null there as well: again as do_lower_case says */
    static const char *const kept =
        "{\"normalizer\":{\"type\":\"BertNormalizer\",\"strip_accents\":"
        "false}," SPLIT MODEL "}";
    static const int32_t unknown[] = {1, 0, 2};
    file_case accents = {{"tokenizer.json", "tokenizer_config.json"}, {kept, "{}"}, MTS_OK, ""};
    check_ids(&accents, "\u00e1", unknown, 3);
    accents.contents[1] = "{\"strip_accents\":null}";
    check_ids(&accents, "\u00e1", lower, 3);
    /* names of special tokens; tokenizer_config.json before special_tokens_map.json */
    static const int32_t named[] = {1, 3, 2};
    file_case names = {{"vocab.txt", "tokenizer_config.json", "special_tokens_map.json"},
                       {"<u>\n<s>\n</s>\na\n", "{\"unk_token\":\"<u>\",\"cls_token\":\"<s>\"}",
                        "{\"cls_token\":\"a\",\"sep_token\":{\"content\":\"</s>\"}}"},
                       MTS_OK,
                       ""};
    check_ids(&names, "a", named, 3);
}

static void test_added_tokens_of_old_folders(void **state)
{
    (void)state;
    static const char *const lines = SPECIALS "a\n[unused1]\n";
    static const int32_t ids[] = {2, 5, 7, 5, 8, 3}, special[] = {2, 6, 5, 3};
    file_case added = {
        {"vocab.txt", "added_tokens.json"}, {lines, "{\"<New>\":7,\"x y\":8}"}, MTS_OK, ""};
    check_ids(&added, "a<NEW>a X Y", ids, 6); /* found in the normalised text */
    file_case decoder = {{"vocab.txt", "tokenizer_config.json"},
                         {lines, "{\"added_tokens_decoder\":{\"7\":{\"content\":\"<New>\"},"
                                 "\"8\":{\"content\":\"X Y\"}}}"},
                         MTS_OK,
                         ""};
    check_ids(&decoder, "a<New>a X Y", ids, 6); /* found in the original text */
    file_case more = {{"vocab.txt", "special_tokens_map.json"},
                      {lines, "{\"additional_special_tokens\":[\"[unused1]\"]}"},
                      MTS_OK,
                      ""};
    check_ids(&more, "[unused1]a", special, 4);
    /* a special token is found in the original text alone, in its own spelling */
    static const int32_t as_it_is[] = {2, 7, 3}, cut[] = {2, 1, 1, 1, 3};
    file_case mask = {{"vocab.txt", "added_tokens.json", "special_tokens_map.json"},
                      {lines, "{\"[New]\":7}", "{\"mask_token\":\"[New]\"}"},
                      MTS_OK,
                      ""};
    check_ids(&mask, "[New]", as_it_is, 3);
    check_ids(&mask, "[new]", cut, 5);
}

/* Seconds to make a vocabulary of 65,536 tokens: prefix, and one of each pair of pieces. */
static double seconds_to_open(const char *const pieces[16][2], const char *prefix)
{
    mts_ctx ctx = {""};
    vocab v = {0};
    const clock_t begin = clock();
    for (int32_t id = 0; id < 65536; id++) {
        char text[128];
        size_t n = (size_t)snprintf(text, sizeof text, "%s", prefix);
        for (int i = 0; i < 16; i++)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s", pieces[i][id >> i & 1]);
        assert_int_equal(vocab_put(&ctx, &v, id, text, n, true), MTS_OK);
    }
    assert_int_equal(vocab_finish(&ctx, &v, "##"), MTS_OK);
    assert_int_equal(vocab_find(&v, vocab_text(&v, 54321), strlen(vocab_text(&v, 54321))), 54321);
    vocab_deinit(&v);
    return (double)(clock() - begin) / CLOCKS_PER_SEC;
}

/*
 * Tokens made to have one and the same hash, here that of FNV-1a [Fowler1991], cost no
 * more than others: with that hash it is 100 times as much.
 */
static void test_tokens_made_to_collide(void **state)
{
    (void)state;
    static const char *const collide[16][2] = {
        {"hcdJnv", "3zHAEL"}, {"WBrvE8", "pMguXE"}, {"1x3QDg", "XncDLK"}, {"7toDZb", "4u18hn"},
        {"HKMKwA", "uwk5ZU"}, {"DrAV9o", "hvWm81"}, {"XQv0B2", "YJ69LI"}, {"Dd0TFC", "6RTNkZ"},
        {"RnZlOz", "PwaB5t"}, {"dxUxUd", "o1wG7w"}, {"sCNgLe", "2rTnGI"}, {"q8TN0E", "JmYXZJ"},
        {"SgGXnh", "tvNFJM"}, {"4e3AB0", "lpqG9L"}, {"KcwbxH", "xu28cw"}, {"b4VG5r", "cKQCXd"},
    };
    static const char *const other[16][2] = {
        {"hcdJnv", "3zHAEM"}, {"WBrvE8", "pMguXF"}, {"1x3QDg", "XncDLL"}, {"7toDZb", "4u18ho"},
        {"HKMKwA", "uwk5ZV"}, {"DrAV9o", "hvWm82"}, {"XQv0B2", "YJ69LJ"}, {"Dd0TFC", "6RTNk0"},
        {"RnZlOz", "PwaB5u"}, {"dxUxUd", "o1wG7x"}, {"sCNgLe", "2rTnGJ"}, {"q8TN0E", "JmYXZK"},
        {"SgGXnh", "tvNFJN"}, {"4e3AB0", "lpqG9M"}, {"KcwbxH", "xu28cx"}, {"b4VG5r", "cKQCXe"},
    };
    const double usual = seconds_to_open(other, ""), made = seconds_to_open(collide, "");
    const double usual_rest = seconds_to_open(other, "##"),
                 made_rest = seconds_to_open(collide, "##");
    assert_true(made < 10 * usual + 0.05);
    assert_true(made_rest < 10 * usual_rest + 0.05);
}

/* config.json's tokenizer_class counts where tokenizer_config.json has none. */
static void test_class_of_config_json(void **state)
{
    (void)state;
    static const char *const lines = SPECIALS "a\n";
    static const char *const json = "{" RULES SPLIT MODEL "}";
    static const char *const japanese = "{\"tokenizer_class\":\"BertJapaneseTokenizer\"}";
    static const char *const kobert = "{\"tokenizer_class\":\"KoBertTokenizer\"}";
    static const char *const bert = "{\"tokenizer_class\":\"BertTokenizer\"}";
    static const char *const fast = "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}";
    static const char *const refused =
        "config.json: tokenizer_class: BertJapaneseTokenizer does not "
        "cut words as BertTokenizer does";
    const file_case cases[] = {
        {{"vocab.txt", "config.json"}, {lines, japanese}, MTS_ERR_UNSUPPORTED, refused},
        {{"tokenizer.json", "config.json"}, {json, japanese}, MTS_ERR_UNSUPPORTED, refused},
        {{"vocab.txt", "config.json"},
         {lines, kobert},
         MTS_ERR_UNSUPPORTED,
         "/config.json: tokenizer_class: KoBertTokenizer does not cut words"},
        {{"tokenizer.json", "tokenizer_config.json"},
         {json, kobert},
         MTS_ERR_UNSUPPORTED,
         "/tokenizer_config.json: tokenizer_class: KoBertTokenizer does not cut words"},
        {{"vocab.txt", "config.json", "tokenizer_config.json"},
         {lines, japanese, "{\"do_lower_case\":true}"},
         MTS_ERR_UNSUPPORTED,
         refused},
        {{"vocab.txt", "config.json", "tokenizer_config.json"},
         {lines, japanese, "{\"tokenizer_class\":null}"},
         MTS_ERR_UNSUPPORTED,
         refused},
        /* the class of tokenizer_config.json comes first */
        {{"vocab.txt", "config.json", "tokenizer_config.json"},
         {lines, japanese, bert},
         MTS_OK,
         ""},
        {{"vocab.txt", "config.json", "tokenizer_config.json"},
         {lines, bert, japanese},
         MTS_ERR_UNSUPPORTED,
         refused},
        {{"vocab.txt", "config.json"}, {lines, bert}, MTS_OK, ""},
        {{"tokenizer.json", "config.json"}, {json, fast}, MTS_OK, ""},
        {{"vocab.txt", "config.json"}, {lines, "{\"tokenizer_class\":null}"}, MTS_OK, ""},
        {{"vocab.txt", "config.json"},
         {lines, "{\"tokenizer_class\":5}"},
         MTS_ERR_BAD_FILE,
         "config.json: tokenizer_class: expected a string, found an integer"},
        {{"vocab.txt", "config.json"},
         {lines, "{\"tokenizer_class\":\"BertTokenizerFaster\"}"},
         MTS_ERR_UNSUPPORTED,
         "BertTokenizerFaster does not"},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        check(&cases[i]);
}

/* An added token that is not in the model's vocabulary is no piece of a word, even where the
 * normalised word spells it. */
static void test_added_tokens_are_no_pieces(void **state)
{
    (void)state;
    static const char *const json =
        "{" RULES SPLIT MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"aa\"}]}";
    static const int32_t added[] = {1, 4, 2}, unknown[] = {1, 0, 2};
    file_case c = {{"tokenizer.json"}, {json}, MTS_OK, ""};
    check_ids(&c, "aa", added, 3);
    check_ids(&c, "a\u00e1", unknown, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_vocab_txt),
        cmocka_unit_test(test_nul_and_long_tokens),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_malformed_json),
        cmocka_unit_test(test_unsupported_json),
        cmocka_unit_test(test_malformed_small_files),
        cmocka_unit_test(test_line_ends_and_byte_order_mark),
        cmocka_unit_test(test_settings_of_tokenizer_config),
        cmocka_unit_test(test_huge_numbers),
        cmocka_unit_test(test_which_file_wins),
        cmocka_unit_test(test_added_tokens_of_old_folders),
        cmocka_unit_test(test_added_tokens_are_no_pieces),
        cmocka_unit_test(test_tokens_made_to_collide),
        cmocka_unit_test(test_class_of_config_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
