/*
 * io/gguf_tokenizer: what tokenizer.json would say of a GGUF file, as the tokenizer cuts by it; the
 * files that a run writes of it; what is refused.  Ids of real files: gates/check_gguf_model.py.
 */
#include "support/gguf_tiny.h"
#include "support/test_folder.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_memory.h"
#include "base/memory.h"
#include "io/gguf_tokenizer.h"
#include "train/model_tokenizer.h"

static mts_ctx ctx;
static gguf_bytes b;

static const char *put_tiny(const gguf_tiny *t)
{
    gguf_make_tiny(&b, t);
    folder_put("f.gguf", b.data, b.size);
    return folder_at("f.gguf");
}

static void expect_ids(const tokenizer *tok, const char *text, const char *second, int64_t n,
                       const int32_t *ids)
{
    mts_encoding e;
    assert_ok(tokenizer_encode(&ctx, tok, text, second, 0, &e));
    assert_int_equal(e.length, n);
    for (int64_t i = 0; i < n; i++)
        assert_int_equal(e.ids[i], ids[i]);
    tokenizer_free_encoding(&e);
}

#define IDS(...)                                                                                   \
    sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t), (const int32_t[])                    \
    {                                                                                              \
        __VA_ARGS__                                                                                \
    }

/* <end> is of type 3, <user> of type 4: both are found in the text. */
static void cuts_byte_level(void **state)
{
    (void)state;
    static const char *const names[] = {"default",   "gpt-2",  "phi-2", "smollm",
                                        "starcoder", "refact", "qwen2", "deepseek-r1-qwen",
                                        "falcon"};
    tokenizer *tok = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const gguf_tiny file = {.text_key = "tokenizer.ggml.pre", .text = names[i]};
        assert_ok(model_tokenizer_open(&ctx, put_tiny(&file), &tok, NULL));
        assert_int_equal(tokenizer_vocab_size(tok), GGUF_TINY_VOCAB);
        expect_ids(tok, "abba <end><user>b", NULL, IDS(3, 2, 1, 4, 0, 5, 2));
        expect_ids(tok, "a", "b", IDS(1, 2));
        tokenizer_close(tok);
    }
    assert_ok(model_tokenizer_open(&ctx, put_tiny(&(gguf_tiny){.without = "tokenizer.ggml.pre"}),
                                   &tok, NULL));
    expect_ids(tok, "abba", NULL, IDS(3, 2, 1));
    tokenizer_close(tok);
}

/* What the name alone says. */
static void knows_how_to_cut(void **state)
{
    (void)state;
#define LEVEL                                                                                      \
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":"
#define SPLIT(regex)                                                                               \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex                                          \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define LLAMA3(digits)                                                                             \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|" digits                 \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define SEQUENCE(parts) "{\"type\":\"Sequence\",\"pretokenizers\":[" parts "]}"
#define DIGITS(each) "{\"type\":\"Digits\",\"individual_digits\":" each "}"
    static const struct {
        const char *pre, *normalizer, *cut;
        bool ignores_merges;
    } known[] = {
        {"gpt-2", "null", LEVEL "true}", false},
        {"smollm", "null", SEQUENCE(DIGITS("true") "," LEVEL "true}"), false},
        {"llama-bpe", "null", SEQUENCE(SPLIT(LLAMA3("\\\\p{N}{1,3}")) "," LEVEL "false}"), true},
        {"qwen2", "{\"type\":\"NFC\"}", SEQUENCE(SPLIT(LLAMA3("\\\\p{N}")) "," LEVEL "false}"),
         false},
        {"deepseek-r1-qwen", "null", SEQUENCE(SPLIT(LLAMA3("\\\\p{N}")) "," LEVEL "false}"), false},
        {"falcon", "null",
         SEQUENCE("{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}," LEVEL
                  "true}," DIGITS("false") "," SPLIT("[0-9][0-9][0-9]")),
         false},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        gguf *file = NULL;
        json_t *json = NULL, *config = NULL;
        const gguf_tiny tiny = {.text_key = "tokenizer.ggml.pre", .text = known[i].pre};
        assert_ok(gguf_open(&ctx, put_tiny(&tiny), &file));
        assert_ok(gguf_tokenizer_make(&ctx, file, "f.gguf", &json, &config));
        char *normalizer =
            json_dumps(json_object_get(json, "normalizer"), JSON_COMPACT | JSON_ENCODE_ANY);
        char *cut = json_dumps(json_object_get(json, "pre_tokenizer"), JSON_COMPACT);
        assert_string_equal(normalizer, known[i].normalizer);
        assert_string_equal(cut, known[i].cut);
        assert_int_equal(
            json_is_true(json_object_get(json_object_get(json, "model"), "ignore_merges")),
            known[i].ignores_merges);
        free(normalizer);
        free(cut);
        json_decref(json);
        json_decref(config);
        gguf_close(file);
    }
}

/* llama-bpe begins rows with bos, unless the file says no. */
static void adds_ends(void **state)
{
    (void)state;
    static const char *const names[] = {"llama-bpe", "llama3", "llama-v3"};
    tokenizer *tok = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const gguf_tiny file = {.text_key = "tokenizer.ggml.pre", .text = names[i]};
        assert_ok(model_tokenizer_open(&ctx, put_tiny(&file), &tok, NULL));
        expect_ids(tok, "ab", NULL, IDS(0, 3));
        expect_ids(tok, "ab", "a", IDS(0, 3, 0, 1));
        tokenizer_close(tok);
    }
    assert_fails(
        model_tokenizer_open(&ctx,
                             put_tiny(&(gguf_tiny){.text_key = "tokenizer.ggml.pre",
                                                   .text = "llama3",
                                                   .without = "tokenizer.ggml.bos_token_id"}),
                             &tok, NULL),
        MTS_ERR_BAD_FILE,
        "tokenizer.ggml.add_bos_token: expected with tokenizer.ggml.bos_token_id");
    assert_null(tok);
}

/* The scores say the merge; a space is before the text. */
static void cuts_pieces(void **state)
{
    (void)state;
    tokenizer *tok = NULL;
    assert_ok(model_tokenizer_open(&ctx, put_tiny(&(gguf_tiny){.pieces = true}), &tok, NULL));
    expect_ids(tok, "a a", NULL, IDS(1, 5, 5));
    expect_ids(tok, "aa</s>a", NULL, IDS(1, 5, 3, 2, 3));
    expect_ids(tok, "a?", "a", IDS(1, 5, 0, 1, 5));
    tokenizer_close(tok);
}

/* The highest score first; of equal ones the longest left part, then the smallest ids. */
static void orders_merges(void **state)
{
    (void)state;
    static const char *const tokens[] = {"a", "ab", "b", "bc", "c", "abc", "ca"};
    static const float scores[] = {0, -2, 0, -1, 0, -2, -2};
    static const char *const expected[][2] = {
        {"b", "c"}, {"ab", "c"}, {"a", "bc"}, {"a", "b"}, {"c", "a"}};
    enum { TOKENS = 7, MERGES = 5 };
    gguf *file = NULL;
    json_t *json = NULL, *config = NULL;
    gguf_start(&b, 3, 0, 3);
    gguf_put_name(&b, "tokenizer.ggml.model", "llama");
    gguf_put_array(&b, "tokenizer.ggml.tokens", GGUF_KIND_TEXT, TOKENS);
    for (int i = 0; i < TOKENS; i++)
        gguf_put_text(&b, tokens[i]);
    gguf_put_array(&b, "tokenizer.ggml.scores", GGUF_KIND_F32, TOKENS);
    gguf_put_bytes(&b, scores, sizeof scores);
    folder_put("f.gguf", b.data, b.size);
    assert_ok(gguf_open(&ctx, folder_at("f.gguf"), &file));
    assert_ok(gguf_tokenizer_make(&ctx, file, "f.gguf", &json, &config));
    const json_t *merges = json_object_get(json_object_get(json, "model"), "merges");
    assert_int_equal(json_array_size(merges), MERGES);
    for (size_t i = 0; i < MERGES; i++)
        for (size_t k = 0; k < 2; k++)
            assert_string_equal(json_string_value(json_array_get(json_array_get(merges, i), k)),
                                expected[i][k]);
    json_decref(json);
    json_decref(config);
    gguf_close(file);
}

/* What a run writes is read as the file is. */
static void writes_files(void **state)
{
    (void)state;
    for (int pieces = 0; pieces < 2; pieces++) {
        tokenizer *tok = NULL, *again = NULL;
        tokenizer_files files;
        const gguf_tiny file = {
            .pieces = pieces == 1, .text_key = "tokenizer.chat_template", .text = "{{ messages }}"};
        json_t *config = NULL;
        mts_encoding found, expected;
        assert_ok(model_tokenizer_open(&ctx, put_tiny(&file), &tok, &files));
        assert_int_equal(files.count, 2);
        assert_ok(tokenizer_files_write(&ctx, &files, folder_root()));
        assert_ok(tokenizer_files_parse(&ctx, &files, "tokenizer_config.json", &config));
        assert_string_equal(json_string_value(json_object_get(config, "chat_template")),
                            "{{ messages }}");
        assert_string_equal(json_string_value(json_object_get(config, "eos_token")),
                            pieces ? "</s>" : "<end>");
        assert_ok(tokenizer_open(&ctx, folder_root(), &again));
        assert_ok(tokenizer_encode(&ctx, tok, " abba<end> </s>", "a", 0, &expected));
        assert_ok(tokenizer_encode(&ctx, again, " abba<end> </s>", "a", 0, &found));
        assert_int_equal(found.length, expected.length);
        assert_memory_equal(found.ids, expected.ids, (size_t)found.length * sizeof(int32_t));
        tokenizer_free_encoding(&found);
        tokenizer_free_encoding(&expected);
        json_decref(config);
        tokenizer_files_deinit(&files);
        tokenizer_close(tok);
        tokenizer_close(again);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        gguf_tiny file;
        mts_status status;
        const char *text;
    } broken[] = {
        {{.without = "tokenizer.ggml.model"},
         MTS_ERR_BAD_FILE,
         "key tokenizer.ggml.model: expected, but absent"},
        {{.text_key = "tokenizer.ggml.model", .text = "bert"},
         MTS_ERR_UNSUPPORTED,
         "key tokenizer.ggml.model: expected gpt2 or llama, found \"bert\""},
        {{.text_key = "tokenizer.ggml.pre", .text = "tekken"},
         MTS_ERR_UNSUPPORTED,
         "key tokenizer.ggml.pre: expected default, gpt-2, phi-2, smollm, starcoder, refact, "
         "llama-bpe, llama3, llama-v3, qwen2, deepseek-r1-qwen, falcon, found \"tekken\""},
        {{.text_key = "tokenizer.ggml.pre"}, MTS_ERR_BAD_FILE, "expected a text"},
        {{.without = "tokenizer.ggml.tokens"},
         MTS_ERR_BAD_FILE,
         "key tokenizer.ggml.tokens: expected, but absent"},
        {{.without = "tokenizer.ggml.merges"},
         MTS_ERR_BAD_FILE,
         "key tokenizer.ggml.merges: expected, but absent"},
        {{.text_key = "tokenizer.ggml.model", .text = "llama", .without = "tokenizer.ggml.merges"},
         MTS_ERR_BAD_FILE,
         "key tokenizer.ggml.scores: expected, but absent"},
        {{.key = "tokenizer.ggml.eos_token_id", .value = 6},
         MTS_ERR_BAD_FILE,
         "key tokenizer.ggml.eos_token_id: expected an integer 0..5"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        tokenizer *tok = (tokenizer *)&b;
        assert_fails(model_tokenizer_open(&ctx, put_tiny(&broken[i].file), &tok, NULL),
                     broken[i].status, broken[i].text);
        assert_non_null(strstr(ctx.error, "/f.gguf: "));
        assert_null(tok);
    }
}

/* Replace `from` in the bytes by `to`, of the same length. */
static void patch(const char *from, const char *to, size_t n)
{
    size_t found = 0;
    for (size_t i = 0; i + n <= b.size; i++) {
        if (memcmp(b.data + i, from, n) == 0) {
            memcpy(b.data + i, to, n);
            found++;
        }
    }
    assert_int_equal(found, 1);
}

static void refuses_tokens(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        size_t n;
        const char *text;
    } broken[] = {
        {"\1\0\0\0\0\0\0\0b\2", "\1\0\0\0\0\0\0\0a\2", 10,
         "key tokenizer.ggml.tokens: token 2 was there before"},
        {"\2\0\0\0\0\0\0\0ab",
         "\2\0\0\0\0\0\0\0\xff"
         "b",
         10, "token 3: expected UTF-8 without NUL"},
        {"\2\0\0\0\0\0\0\0ab", "\2\0\0\0\0\0\0\0a\0", 10, "token 3: expected UTF-8 without NUL"},
        {"a b",
         "a\xff"
         "b",
         3, "key tokenizer.ggml.merges: entry 0: expected UTF-8 without NUL"},
        {"a b", "abb", 3, "model: merges: entry 0: \"abb\": expected two tokens"},
        {"a b", "a c", 3, "merges: entry 0: token 2 of \"a c\" is not in the vocabulary"},
        {"token_type\x09\0\0\0\x05\0\0\0\x06", "token_type\x09\0\0\0\x03\0\0\0\x0c", 19,
         "token_type: expected 6 elements, one for each token, found 12"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        tokenizer *tok = NULL;
        gguf_make_tiny(&b, &(gguf_tiny){0});
        patch(broken[i].from, broken[i].to, broken[i].n);
        folder_put("f.gguf", b.data, b.size);
        assert_fails(model_tokenizer_open(&ctx, folder_at("f.gguf"), &tok, NULL), MTS_ERR_BAD_FILE,
                     broken[i].text);
        assert_null(tok);
    }
}

/* Of the library and, in a second round, of jansson. */
static void failing_memory(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        const char *path = put_tiny(&(gguf_tiny){.pieces = kind % 2 == 1});
        int64_t (*const fail_after)(int64_t) = kind < 2 ? mem_fail_after : json_memory_fail_after;
        mts_status st = MTS_ERR_MEMORY;
        int64_t n = 0;
        for (; st != MTS_OK; n++) {
            tokenizer *tok = NULL;
            tokenizer_files files;
            fail_after(n);
            st = model_tokenizer_open(&ctx, path, &tok, &files);
            fail_after(-1);
            assert_true(st == MTS_ERR_MEMORY ? tok == NULL : st == MTS_OK);
            tokenizer_files_deinit(&files);
            tokenizer_close(tok);
        }
        assert_true(n > 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(cuts_byte_level, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(knows_how_to_cut, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(adds_ends, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(cuts_pieces, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(orders_merges, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(writes_files, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_tokens, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(failing_memory, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
