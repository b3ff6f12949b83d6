/*
 * What a run writes of its tokenizer: the rules in every file, as transformers 4 and 5 look for
 * them, and nothing else changed.  gates/check_tokenizer.py lets transformers read such folders.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/memory.h"
#include "text/tokenizer_files.h"
#include "support/text_folder.h"

/* ids: 0 [UNK] 1 [CLS] 2 [SEP] 3 [PAD] 4 a 5 A 6 e 7 e acute 8 two ideographs 9 one 10 other */
#define VOCAB                                                                                      \
    "\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"[PAD]\":3,\"a\":4,\"A\":5,\"e\":6,"          \
    "\"\u00e9\":7,\"\u4e2d\u6587\":8,\"\u4e2d\":9,\"\u6587\":10}"
#define AROUND                                                                                     \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"post_processor\":"                        \
    "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",2],\"cls\":[\"[CLS]\",1]}"
#define MODEL "\"model\":{\"type\":\"WordPiece\"," VOCAB "}"

static const char vocab_txt[] =
    "[UNK]\n[CLS]\n[SEP]\n[PAD]\na\nA\ne\n\u00e9\n\u4e2d\u6587\n\u4e2d\n\u6587\n";

static const char sample[] = "a A e \u00e9 \u00c9 \u4e2d\u6587";

/* A folder, whether lower-casing is asked for, and what is written.  NULL: as it was; in a text
 * that is written, blanks do not count. */
typedef struct rules_case {
    const char *json, *config; /* NULL: no such file; without json: vocab.txt */
    int lower_case;            /* 1, 0, or -1: as the files say */
    const char *json_after, *config_after;
} rules_case;

#define JSON(rules) "{\"normalizer\":{\"type\":\"BertNormalizer\"" rules "}," AROUND "," MODEL "}"

static const rules_case cases[] = {
    /* all agree: nothing is touched */
    {JSON(""), NULL, -1, NULL, NULL},
    {JSON(",\"lowercase\":true,\"strip_accents\":null"), "{}", -1, NULL, NULL},
    {JSON(",\"lowercase\":false"), "{\"do_lower_case\": false}", -1, NULL, NULL},
    {JSON(""), "{\"do_lower_case\": true, \"strip_accents\": null}", 1, NULL, NULL},
    {JSON(",\"lowercase\":false,\"strip_accents\":false"), "{\"do_lower_case\":false}", -1, NULL,
     NULL},
    {NULL, NULL, -1, NULL, NULL},
    {NULL, "{\"do_lower_case\":false,\"strip_accents\":true}", -1, NULL, NULL},
    /* only tokenizer.json says it */
    {JSON(",\"lowercase\":false"), NULL, -1, NULL, "{\"do_lower_case\":false}"},
    {JSON(",\"lowercase\":false"), "{\"x\":0.1}", -1, NULL, "{\"x\":0.1,\"do_lower_case\":false}"},
    {JSON(",\"lowercase\":false"), "{\"do_lower_case\":null}", -1, NULL,
     "{\"do_lower_case\":false}"},
    {JSON(""), "{\"do_lower_case\":null}", -1, NULL, "{\"do_lower_case\":true}"},
    {JSON(",\"strip_accents\":false"), NULL, -1, NULL, "{\"strip_accents\":false}"},
    {JSON(",\"lowercase\":false,\"strip_accents\":true"), "{}", -1, NULL,
     "{\"do_lower_case\":false,\"strip_accents\":true}"},
    {JSON(",\"handle_chinese_chars\":false"), "{}", -1, NULL, "{\"tokenize_chinese_chars\":false}"},
    /* tokenizer_config.json says something else, and wins */
    {JSON(",\"lowercase\":false"), "{\"do_lower_case\":true}", -1, JSON(",\"lowercase\":true"),
     NULL},
    {JSON(",\"lowercase\":true"), "{\"do_lower_case\":false}", -1, JSON(",\"lowercase\":false"),
     NULL},
    {JSON(",\"strip_accents\":false"), "{\"strip_accents\":null}", -1,
     JSON(",\"strip_accents\":true"), NULL},
    {JSON(""), "{\"strip_accents\":false,\"tokenize_chinese_chars\":false}", -1,
     JSON(",\"strip_accents\":false,\"handle_chinese_chars\":false"), NULL},
    /* a class that takes tokenizer.json as it is */
    {JSON(",\"lowercase\":false"),
     "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"do_lower_case\":true}", -1, NULL,
     "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"do_lower_case\":false}"},
    {JSON(",\"strip_accents\":false"),
     "{\"tokenizer_class\":\"TokenizersBackend\",\"strip_accents\":true}", -1, NULL,
     "{\"tokenizer_class\":\"TokenizersBackend\",\"strip_accents\":false}"},
    {JSON(",\"clean_text\":false"), "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}", -1, NULL,
     NULL},
    /* asked for */
    {JSON(""), NULL, 0, JSON(",\"lowercase\":false"), "{\"do_lower_case\":false}"},
    {JSON(",\"strip_accents\":true"), "{\"do_lower_case\":true}", 0,
     JSON(",\"strip_accents\":true,\"lowercase\":false"),
     "{\"do_lower_case\":false,\"strip_accents\":true}"},
    {NULL, NULL, 0, NULL, "{\"do_lower_case\":false}"},
    {NULL, "{\"do_lower_case\":false}", 1, NULL, "{\"do_lower_case\":true}"},
    /* rules that the BERT classes of transformers 5 cannot have: the class that can */
    {JSON(",\"clean_text\":false"), "{\"tokenizer_class\":\"BertTokenizer\"}", -1, NULL,
     "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"unk_token\":\"[UNK]\",\"cls_token\":"
     "\"[CLS]\",\"sep_token\":\"[SEP]\",\"pad_token\":\"[PAD]\"}"},
    {"{\"normalizer\":{\"type\":\"BertNormalizer\"}," AROUND ",\"model\":{\"type\":\"WordPiece\","
     "\"continuing_subword_prefix\":\"@\"," VOCAB "}}",
     NULL, -1, NULL,
     "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"unk_token\":\"[UNK]\",\"cls_token\":"
     "\"[CLS]\",\"sep_token\":\"[SEP]\",\"pad_token\":\"[PAD]\"}"},
    {"{\"normalizer\":{\"type\":\"BertNormalizer\"}," AROUND ",\"model\":{\"type\":\"WordPiece\","
     "\"max_input_chars_per_word\":3," VOCAB "}}",
     "{\"cls_token\":{\"content\":\"[CLS]\"}}", -1, NULL,
     "{\"cls_token\":{\"content\":\"[CLS]\"},\"tokenizer_class\":\"PreTrainedTokenizerFast\","
     "\"unk_token\":\"[UNK]\",\"sep_token\":\"[SEP]\",\"pad_token\":\"[PAD]\"}"},
    /* no post-processor: the tokenizers library would put nothing around texts */
    {"{\"normalizer\":{\"type\":\"BertNormalizer\"},\"pre_tokenizer\":{\"type\":"
     "\"BertPreTokenizer\"}," MODEL ",\"post_processor\":null}",
     NULL, -1, JSON(""), NULL},
};

enum { CASES = sizeof cases / sizeof cases[0] };

static void put_folder(const text_folder *folder, const rules_case *c)
{
    if (c->json != NULL)
        text_folder_put(folder, "tokenizer.json", c->json);
    else
        text_folder_put(folder, "vocab.txt", vocab_txt);
    if (c->config != NULL)
        text_folder_put(folder, "tokenizer_config.json", c->config);
}

static mts_status write_rules(mts_ctx *ctx, const text_folder *from, const rules_case *c,
                              tokenizer_files *files, mts_encoding *e)
{
    mts_status st = MTS_OK;
    tokenizer *tok = NULL;
    MTS_TRY(tokenizer_open(ctx, from->path, &tok));
    if (c->lower_case >= 0)
        MTS_TRY(tokenizer_set_lower_case(ctx, tok, c->lower_case == 1));
    MTS_TRY(tokenizer_files_read(ctx, files, from->path));
    MTS_TRY(tokenizer_write_rules(ctx, tok, false, files));
    MTS_TRY(tokenizer_encode(ctx, tok, sample, NULL, 0, e));
cleanup:
    tokenizer_close(tok);
    return st;
}

static const tokenizer_file *find(const tokenizer_files *files, const char *name)
{
    for (int64_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i].name, name) == 0)
            return &files->items[i];
    return NULL;
}

/* The file is as before, or holds what `after` says; after NULL and before NULL: there is none. */
static void check_file(const tokenizer_files *files, const char *name, const char *before,
                       const char *after, int which)
{
    const tokenizer_file *file = find(files, name);
    if (before == NULL && after == NULL) {
        assert_null(file);
        return;
    }
    assert_non_null(file);
    if (after == NULL) {
        assert_int_equal(file->count, strlen(before));
        assert_memory_equal(file->bytes, before, file->count);
        return;
    }
    json_t *found = json_loadb(file->bytes, file->count, 0, NULL),
           *want = json_loads(after, 0, NULL);
    assert_non_null(want);
    if (!json_equal(found, want))
        fail_msg("case %d, %s: expected %s, found %.*s", which, name, after, (int)file->count,
                 file->bytes);
    json_decref(found);
    json_decref(want);
}

static void test_rules_in_every_file(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        mts_ctx ctx = {""};
        tokenizer_files files = {0};
        tokenizer *again = NULL;
        mts_encoding first, second;
        text_folder from = text_folder_make(), to = text_folder_make();
        put_folder(&from, &cases[i]);
        assert_int_equal(write_rules(&ctx, &from, &cases[i], &files, &first), MTS_OK);
        check_file(&files, "tokenizer.json", cases[i].json, cases[i].json_after, i);
        check_file(&files, "tokenizer_config.json", cases[i].config, cases[i].config_after, i);
        /* read again, they give the same tokens */
        assert_int_equal(tokenizer_files_write(&ctx, &files, to.path), MTS_OK);
        assert_int_equal(tokenizer_open(&ctx, to.path, &again), MTS_OK);
        assert_int_equal(tokenizer_encode(&ctx, again, sample, NULL, 0, &second), MTS_OK);
        assert_int_equal(first.length, second.length);
        assert_memory_equal(first.ids, second.ids, (size_t)first.length * sizeof(int32_t));
        tokenizer_free_encoding(&first);
        tokenizer_free_encoding(&second);
        tokenizer_close(again);
        tokenizer_files_deinit(&files);
        text_folder_remove(&from);
        text_folder_remove(&to);
    }
}

/* Files that are not those of the tokenizer. */
static void test_other_files(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"normalizer\":[]}", "[]", "", "{\"a\":"};
    const rules_case c = {JSON(""), NULL, -1, NULL, NULL};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        mts_ctx ctx = {""};
        tokenizer *tok = NULL;
        tokenizer_files files = {0};
        text_folder from = text_folder_make();
        put_folder(&from, &c);
        assert_int_equal(tokenizer_open(&ctx, from.path, &tok), MTS_OK);
        text_folder_put(&from, "tokenizer.json", bad[i]);
        assert_int_equal(tokenizer_files_read(&ctx, &files, from.path), MTS_OK);
        assert_int_equal(tokenizer_write_rules(&ctx, tok, false, &files), MTS_ERR_BAD_FILE);
        assert_non_null(strstr(ctx.error, "tokenizer.json"));
        tokenizer_files_deinit(&files);
        tokenizer_close(tok);
        text_folder_remove(&from);
    }
}

static void test_memory_failure(void **state)
{
    (void)state;
    const rules_case c = {JSON(",\"lowercase\":false,\"clean_text\":false"), NULL, -1, NULL, NULL};
    text_folder from = text_folder_make();
    put_folder(&from, &c);
    mts_ctx ctx = {""};
    mts_status st = MTS_ERR_MEMORY;
    int64_t failures = 0;
    for (; st == MTS_ERR_MEMORY; failures++) {
        tokenizer_files files = {0};
        mts_encoding e = {0};
        mem_fail_after(failures);
        st = write_rules(&ctx, &from, &c, &files, &e);
        tokenizer_files_deinit(&files);
        tokenizer_free_encoding(&e);
    }
    mem_fail_after(-1);
    assert_int_equal(st, MTS_OK);
    assert_true(failures > 20);
    text_folder_remove(&from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_in_every_file),
        cmocka_unit_test(test_other_files),
        cmocka_unit_test(test_memory_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
