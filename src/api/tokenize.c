/*
 * mts_tokenizer_* of the public header over text/tokenizer.
 *
 * Path: cli/cmd_tokenize.c -> mts_tokenizer_encode -> tokenizer_encode.
 */
#include "base/memory.h"
#include "train/model_tokenizer.h"

struct mts_tokenizer {
    mts_ctx *ctx; /* borrowed: where error texts go */
    tokenizer *impl;
};

mts_status mts_tokenizer_open(mts_ctx *ctx, const char *model_dir, mts_tokenizer **out)
{
    mts_status st = MTS_OK;
    mts_tokenizer *tok = NULL;
    MTS_CHECK(model_dir != NULL && out != NULL, MTS_ERR_ARGUMENT,
              "mts_tokenizer_open: model_dir and out must be given");
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &tok, 1, sizeof *tok, "tokenizer"));
    tok->ctx = ctx;
    MTS_TRY(model_tokenizer_open(ctx, model_dir, &tok->impl, NULL));
    *out = tok;
    tok = NULL;

cleanup:
    mts_tokenizer_close(tok);
    return st;
}

void mts_tokenizer_close(mts_tokenizer *tok)
{
    if (tok == NULL)
        return;
    tokenizer_close(tok->impl);
    mem_free(tok);
}

mts_status mts_tokenizer_encode(mts_tokenizer *tok, const char *text_a, const char *text_b,
                                int64_t max_length, mts_encoding *out)
{
    if (tok == NULL)
        return MTS_ERR_ARGUMENT;
    if (text_a == NULL || out == NULL)
        return status_set(tok->ctx, MTS_ERR_ARGUMENT,
                          "mts_tokenizer_encode: text_a and out must be given");
    return tokenizer_encode(tok->ctx, tok->impl, text_a, text_b, max_length, out);
}

void mts_encoding_free(mts_encoding *encoding)
{
    tokenizer_free_encoding(encoding);
}

mts_status mts_tokenizer_decode(mts_tokenizer *tok, const int32_t *ids, int64_t count,
                                bool skip_special, char **text, size_t *bytes)
{
    if (tok == NULL)
        return MTS_ERR_ARGUMENT;
    if (count < 0 || (ids == NULL && count > 0) || text == NULL || bytes == NULL)
        return status_set(tok->ctx, MTS_ERR_ARGUMENT,
                          "mts_tokenizer_decode: ids, text and bytes must be given, count not "
                          "negative");
    return tokenizer_decode(tok->ctx, tok->impl, ids, count, skip_special, text, bytes);
}

const char *mts_tokenizer_token(const mts_tokenizer *tok, int32_t id)
{
    return tok == NULL ? NULL : tokenizer_token(tok->impl, id);
}

int64_t mts_tokenizer_vocab_size(const mts_tokenizer *tok)
{
    return tok == NULL ? 0 : tokenizer_vocab_size(tok->impl);
}
