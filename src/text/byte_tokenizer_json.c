/* Bytes as tokens.  See byte_tokenizer_json.h. */
#include "text/byte_tokenizer_json.h"

#include "base/json_util.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"

/* vocab[name of the byte] = byte */
static mts_status put_bytes(mts_ctx *ctx, json_t *vocab)
{
    mts_status st = MTS_OK;
    for (int byte = 0; byte < 256; byte++) {
        char name[UTF8_MAX_BYTES + 1] = {0};
        utf8_encode(byte_alphabet_code((unsigned char)byte), name);
        MTS_TRY(json_util_set(ctx, vocab, name, json_integer(byte)));
    }
    MTS_TRY(
        json_util_set(ctx, vocab, BYTE_TOKENIZER_SPECIAL, json_integer(BYTE_TOKENIZER_SPECIAL_ID)));
cleanup:
    return st;
}

/* Bytes become visible characters, all of a text in one piece, and back. */
static json_t *byte_level(void)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0,
                     "trim_offsets", 1, "use_regex", 0);
}

mts_status byte_tokenizer_json(mts_ctx *ctx, json_t **out)
{
    mts_status st = MTS_OK;
    json_t *vocab = json_object();
    *out = NULL;
    MTS_CHECK(vocab != NULL, MTS_ERR_MEMORY, "out of memory: tokenizer");
    MTS_TRY(put_bytes(ctx, vocab));
    *out = json_pack(
        "{s:s, s:n, s:n, s:[{s:i, s:s, s:b, s:b, s:b, s:b, s:b}], s:n, s:o, s:n, s:o,"
        " s:{s:s, s:n, s:n, s:n, s:n, s:b, s:b, s:O, s:[]}}",
        "version", "1.0", "truncation", "padding", "added_tokens", "id", BYTE_TOKENIZER_SPECIAL_ID,
        "content", BYTE_TOKENIZER_SPECIAL, "single_word", 0, "lstrip", 0, "rstrip", 0, "normalized",
        0, "special", 1, "normalizer", "pre_tokenizer", byte_level(), "post_processor", "decoder",
        byte_level(), "model", "type", "BPE", "dropout", "unk_token", "continuing_subword_prefix",
        "end_of_word_suffix", "fuse_unk", 0, "byte_fallback", 0, "vocab", vocab, "merges");
    MTS_CHECK(*out != NULL, MTS_ERR_MEMORY, "out of memory: tokenizer");
cleanup:
    json_decref(vocab);
    return st;
}

mts_status byte_tokenizer_config_json(mts_ctx *ctx, json_t **out)
{
    mts_status st = MTS_OK;
    *out = json_pack("{s:s, s:s, s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast",
                     "bos_token", BYTE_TOKENIZER_SPECIAL, "eos_token", BYTE_TOKENIZER_SPECIAL,
                     "clean_up_tokenization_spaces", 0);
    MTS_CHECK(*out != NULL, MTS_ERR_MEMORY, "out of memory: tokenizer");
cleanup:
    return st;
}
