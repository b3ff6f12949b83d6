/*
 * Tokenizer folders whose tokenizer.json is byte-pair encoding.
 *
 * Input, with NUL between the parts: tokenizer.json, text a, text b.
 * Whatever the file says: opening works, or fails with one line; encoding any text works and gives
 * ids and offsets that are in range; what the ids decode to is UTF-8, or decoding is refused.
 */
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "fuzz/fuzz_target.h"
#include "fuzz/use_tokenizer.h"
#include "text/tokenizer.h"

static void decode(const tokenizer *tok, const char *text, bool skip_special)
{
    static const mts_status allowed[] = {MTS_ERR_UNSUPPORTED, MTS_OK};
    mts_encoding e = {0};
    char *again = NULL;
    size_t bytes = 0;
    FUZZ_REQUIRE(tokenizer_encode(&fuzz_ctx, tok, text, NULL, 0, &e) == MTS_OK);
    const mts_status st =
        tokenizer_decode(&fuzz_ctx, tok, e.ids, e.length, skip_special, &again, &bytes);
    if (st == MTS_OK) {
        FUZZ_REQUIRE(again[bytes] == '\0' && utf8_is_valid(again, bytes, NULL));
    } else {
        FUZZ_REQUIRE(again == NULL);
        fuzz_require_error(st, allowed);
    }
    mem_free(again);
    tokenizer_free_encoding(&e);
}

static bool run(const uint8_t *data, size_t size)
{
    static const mts_status allowed[] = {MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED, MTS_ERR_NOT_FOUND,
                                         MTS_OK};
    fuzz_bytes rest = {(const char *)data, size};
    tokenizer *tok = NULL;
    const fuzz_bytes json = fuzz_take_part(&rest);
    fuzz_put("tokenizer.json", json.data, json.size);
    const mts_status st = tokenizer_open(&fuzz_ctx, fuzz_folder(), &tok);
    if (st == MTS_OK) {
        char *a = fuzz_text(fuzz_take_part(&rest)), *b = fuzz_text(fuzz_take_part(&rest));
        use_tokenizer(tok, a, b);
        decode(tok, a, false);
        decode(tok, b, true);
        free(a);
        free(b);
    } else {
        FUZZ_REQUIRE(tok == NULL);
        fuzz_require_error(st, allowed);
    }
    tokenizer_close(tok);
    return st == MTS_OK;
}

#define ADDED                                                                                      \
    "\"added_tokens\":[{\"id\":9,\"content\":\"<x>\",\"special\":true,\"normalized\":false,"       \
    "\"rstrip\":true},{\"id\":0,\"content\":\"a\",\"special\":false,\"normalized\":true,"          \
    "\"lstrip\":true}],"
#define VOCAB                                                                                      \
    "\"vocab\":{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"\xe2\x96\x81\":3,\"<0xC3>\":4,\"<0xA9>\":5,"      \
    "\"ab\":6,\"\xc4\xa0"                                                                          \
    "ab\":7,\"1\":8},"
#define TEMPLATE                                                                                   \
    "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<x>\",\"type_id\""   \
    ":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],\"pair\":[{\"Sequence\":{\"id\":\"A\","     \
    "\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<x>\":{"   \
    "\"id\":\"<x>\",\"ids\":[9,0]}}}"
#define SPLIT(pattern)                                                                             \
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" pattern                                        \
    "\"},\"behavior\":\"Isolated\",\"invert\":false}"
#define LLAMA3                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}{1,3}| "         \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true}"
#define PLAIN_BYTES "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
#define MODEL(settings, merges)                                                                    \
    ",\"model\":{\"type\":\"BPE\"," settings VOCAB "\"merges\":[" merges "]}}"

#define GPT2_JSON                                                                                  \
    "{" ADDED "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":" BYTES                         \
    ",\"post_processor\":" BYTES ",\"decoder\":" BYTES MODEL("", "\"a b\",\"\xc4\xa0 ab\"")
#define LLAMA3_JSON                                                                                \
    "{" ADDED "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[" SPLIT(                \
        LLAMA3) "," PLAIN_BYTES                                                                    \
                "]},\"post_processor\":{\"type\":\"Sequence\",\"processors\":[" BYTES "," TEMPLATE \
                "]},\"decoder\":" BYTES MODEL("\"ignore_merges\":true,\"unk_token\":\"b\",",       \
                                              "[\"a\",\"b\"]")
#define FALCON_JSON                                                                                \
    "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\","      \
    "\"behavior\":\"Contiguous\"}," BYTES                                                          \
    ",{\"type\":\"Digits\",\"individual_digits\":false}," SPLIT(                                   \
        "[0-9][0-9][0-9]") "]},\"decoder\":null" MODEL("\"unk_token\":\"1\",",                     \
                                                       "\"#version: 0.2\",\"a b\"")
#define PIECES_JSON                                                                                \
    "{" ADDED "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\","      \
    "\"prepend\":\"\xe2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"          \
    "\"content\":\"\xe2\x96\x81\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":"  \
    "\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":"          \
    "\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\",\"content\":\" \",\"start\":1,"     \
    "\"stop\":0}]}" MODEL("\"unk_token\":\"b\",\"fuse_unk\":true,\"byte_fallback\":true,",         \
                          "\"a b\"")
#define METASPACE_JSON                                                                             \
    "{\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\","                 \
    "\"prepend_scheme\":\"first\",\"split\":true},\"decoder\":{\"type\":\"Metaspace\","            \
    "\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"always\",\"split\":false}" MODEL(       \
        "\"unk_token\":\"a\",", "")
#define TEXTS "\0abab  a\xc3\xa9 12345 <x> b's\n\n a\0e\xcc\x81 ab\xe4\xb8\xad!! 'LL\xff\r\n"

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES(GPT2_JSON TEXTS),   FUZZ_BYTES(LLAMA3_JSON TEXTS),    FUZZ_BYTES(FALCON_JSON TEXTS),
    FUZZ_BYTES(PIECES_JSON TEXTS), FUZZ_BYTES(METASPACE_JSON TEXTS),
};

static const char *const words[] = {"null",
                                    "true",
                                    "false",
                                    "-1",
                                    "4194304",
                                    "\"type\":\"BPE\"",
                                    "\"type\":\"Sequence\"",
                                    "\"type\":\"NFC\"",
                                    "\"type\":\"Digits\"",
                                    "\"type\":\"Metaspace\"",
                                    "\"type\":\"RobertaProcessing\"",
                                    "\"sep\":[\"a\",0],\"cls\":[\"b\",1]",
                                    "\"merges\":[\"a b\",\"a b\"]",
                                    "[\"a\",\"a\"]",
                                    "\"b a\"",
                                    "\"<0x00>\"",
                                    "\"fuse_unk\":true",
                                    "\"byte_fallback\":true",
                                    "\"ignore_merges\":true",
                                    "\"normalized\":true",
                                    "\"prepend_scheme\":\"never\"",
                                    "\"behavior\":\"Removed\",\"invert\":true",
                                    "\xe2\x96\x81",
                                    "\xc4\xa0",
                                    "\xcc\x81",
                                    "\xea\xb0\x81",
                                    "\xff",
                                    "<x>",
                                    "  ",
                                    NULL};

const fuzz_target fuzz_target_bpe = {
    .name = "bpe",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
