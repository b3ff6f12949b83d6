/*
 * text: whatever the files of a tokenizer, an error or a tokenizer that encodes any text
 * soundly.
 * Input: parts with NUL between, in the order of file_names (an empty one: no such file), then two
 * texts.
 */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "base/file.h"
#include "fuzz/use_tokenizer.h"
#include "text/tokenizer_files.h"

static const char *const file_names[] = {
    "vocab.txt",         "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "config.json"};

static const char text[] = "the New [MASK] \xc4\xb0\xe4\xb8\xad e\xcc\x81!";

/* With both rules for the case of letters, where the tokenizer has such rules. */
static void use(tokenizer *tok, const char *a, const char *b)
{
    static const mts_status allowed[] = {MTS_ERR_UNSUPPORTED, MTS_OK};
    use_tokenizer(tok, a, b);
    for (int lower = 0; lower < 2; lower++) {
        const mts_status st = tokenizer_set_lower_case(&fuzz_ctx, tok, lower == 1);
        if (st != MTS_OK)
            fuzz_require_error(st, allowed);
        use_tokenizer(tok, text, a);
    }
}

static void require_same_ids(const tokenizer *x, const tokenizer *y, const char *a, const char *b)
{
    mts_encoding of_x = {0}, of_y = {0};
    FUZZ_REQUIRE(tokenizer_encode(&fuzz_ctx, x, a, b, 0, &of_x) == MTS_OK);
    FUZZ_REQUIRE(tokenizer_encode(&fuzz_ctx, y, a, b, 0, &of_y) == MTS_OK);
    FUZZ_REQUIRE(of_x.length == of_y.length);
    FUZZ_REQUIRE(memcmp(of_x.ids, of_y.ids, (size_t)of_x.length * sizeof of_x.ids[0]) == 0);
    tokenizer_free_encoding(&of_x);
    tokenizer_free_encoding(&of_y);
}

/* The files that a run writes give the tokenizer that the run had. */
static void write_and_open(const tokenizer *tok, const char *a, const char *b)
{
    char written[4200];
    tokenizer_files files = {0};
    tokenizer *again = NULL;
    snprintf(written, sizeof written, "%s/written", fuzz_folder());
    FUZZ_REQUIRE(file_make_dirs(&fuzz_ctx, written) == MTS_OK);
    FUZZ_REQUIRE(tokenizer_files_read(&fuzz_ctx, &files, fuzz_folder()) == MTS_OK);
    FUZZ_REQUIRE(tokenizer_write_rules(&fuzz_ctx, tok, true, &files) == MTS_OK);
    FUZZ_REQUIRE(tokenizer_files_write(&fuzz_ctx, &files, written) == MTS_OK);
    FUZZ_REQUIRE(tokenizer_files_remove_others(&fuzz_ctx, &files, written) == MTS_OK);
    const mts_status st = tokenizer_open(&fuzz_ctx, written, &again);
    if (st != MTS_OK)
        fprintf(stderr, "%s\n", fuzz_ctx.error);
    FUZZ_REQUIRE(st == MTS_OK);
    require_same_ids(tok, again, a, b);
    require_same_ids(tok, again, text, a);
    tokenizer_close(again);
    tokenizer_files_deinit(&files);
}

static bool run(const uint8_t *data, size_t size)
{
    fuzz_bytes rest = {(const char *)data, size};
    tokenizer *tok = NULL;
    for (size_t i = 0; i < FUZZ_COUNT(file_names); i++) {
        const fuzz_bytes part = fuzz_take_part(&rest);
        if (part.size > 0)
            fuzz_put(file_names[i], part.data, part.size);
        else
            fuzz_remove(file_names[i]);
    }
    const mts_status st = tokenizer_open(&fuzz_ctx, fuzz_folder(), &tok);
    if (st == MTS_OK) {
        char *a = fuzz_text(fuzz_take_part(&rest)), *b = fuzz_text(fuzz_take_part(&rest));
        write_and_open(tok, a, b);
        use(tok, a, b);
        write_and_open(tok, a, b);
        free(a);
        free(b);
    } else {
        static const mts_status allowed[] = {MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED,
                                             MTS_ERR_NOT_FOUND, MTS_OK};
        FUZZ_REQUIRE(tok == NULL);
        fuzz_require_error(st, allowed); /* not found: all files are absent */
    }
    tokenizer_close(tok);
    return st == MTS_OK;
}

#define VOCAB "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n##s\na\n##a\n\xe4\xb8\xad\n##\xc3\xa9\n"
#define JSON                                                                                       \
    "{\"added_tokens\":[{\"id\":1,\"content\":\"[UNK]\",\"lstrip\":false,\"rstrip\":true,"         \
    "\"normalized\":false},{\"id\":7,\"content\":\"New\",\"normalized\":true}],"                   \
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,"                             \
    "\"handle_chinese_chars\":true,\"strip_accents\":null,\"lowercase\":true},"                    \
    "\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},"                                           \
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":["                             \
    "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},"                                         \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"                                                 \
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}}],\"pair\":["                              \
    "{\"SpecialToken\":{\"id\":\"[CLS]\",\"type_id\":0}},"                                         \
    "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},"                                                 \
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":0}},"                                         \
    "{\"Sequence\":{\"id\":\"B\",\"type_id\":1}},"                                                 \
    "{\"SpecialToken\":{\"id\":\"[SEP]\",\"type_id\":1}}]},"                                       \
    "\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\","                                   \
    "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":100,"                       \
    "\"vocab\":{\"[PAD]\":0,\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"a\":4,\"##b\":5,"                \
    "\"\xe4\xb8\xad\":6}}}"
#define CONFIG                                                                                     \
    "{\"do_lower_case\":false,\"strip_accents\":null,\"tokenize_chinese_chars\":true,"             \
    "\"unk_token\":\"[UNK]\",\"cls_token\":{\"content\":\"[CLS]\"},"                               \
    "\"tokenizer_class\":\"BertTokenizer\",\"model_max_length\":512,"                              \
    "\"additional_special_tokens\":[\"the\"],\"added_tokens_decoder\":{\"11\":"                    \
    "{\"content\":\"New\",\"lstrip\":true,\"rstrip\":false,\"normalized\":true}}}"
#define MAP "{\"sep_token\":\"[SEP]\",\"mask_token\":{\"content\":\"[MASK]\"}}"
#define ADDED "{\"<x>\":12,\"y z\":13}"
#define TEXTS                                                                                      \
    "The \xc3\xa9"                                                                                 \
    "as new [UNK] y z\0<x>\xe4\xb8\xad e\xcc\x81!"

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES(VOCAB "\0\0\0\0\0\0" TEXTS),
    FUZZ_BYTES(VOCAB "\0\0" CONFIG "\0" MAP "\0" ADDED "\0\0" TEXTS),
    FUZZ_BYTES("\0" JSON "\0\0\0\0\0" TEXTS),
    FUZZ_BYTES("\0" JSON "\0{\"tokenizer_class\":\"BertTokenizer\"}\0\0\0"
               "{\"model_type\":\"bert\",\"tokenizer_class\":\"BertTokenizerFast\"}\0" TEXTS),
};

static const char *const words[] = {"\n",
                                    "\r\n",
                                    "\xff",
                                    "\xed\xa0\x80",
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
                                    "99999999999999999999",
                                    "4194303",
                                    "4194304",
                                    "1e9",
                                    "\\u0000",
                                    "\\ud800",
                                    "##",
                                    "[CLS]",
                                    "\"a\":4",
                                    "\"content\":\"\"",
                                    "\"type\":\"BPE\"",
                                    "\"type\":\"Sequence\"",
                                    "\"lowercase\":3",
                                    "\"do_lower_case\":true",
                                    "\"id\":5",
                                    "\xf0\x9f\x91\x8d",
                                    "\xcc\x81",
                                    "\xe3\x80\xae",
                                    "\xc4\xb0",
                                    "y z",
                                    "New",
                                    NULL};

const fuzz_target fuzz_target_tokenizer = {
    .name = "tokenizer",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
