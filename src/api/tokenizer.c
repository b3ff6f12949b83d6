/*
 * mts_tokenizer_* of the public header over text/wordpiece.
 *
 * Path: cli/cmd_tokenize.c -> mts_tokenizer_encode -> wordpiece_encode.
 */
#include "base/memory.h"
#include "text/wordpiece.h"

struct mts_tokenizer {
    mts_ctx *ctx; /* borrowed: where error texts go */
    wordpiece *wp;
};

mts_status mts_tokenizer_open(mts_ctx *ctx, const char *model_dir, mts_tokenizer **out)
{
    mts_status st = MTS_OK;
    mts_tokenizer *tokenizer = NULL;
    MTS_CHECK(model_dir != NULL && out != NULL, MTS_ERR_ARGUMENT,
              "mts_tokenizer_open: model_dir and out must be given");
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &tokenizer, 1, sizeof *tokenizer, "tokenizer"));
    tokenizer->ctx = ctx;
    MTS_TRY(wordpiece_open(ctx, model_dir, &tokenizer->wp));
    *out = tokenizer;
    tokenizer = NULL;

cleanup:
    mts_tokenizer_close(tokenizer);
    return st;
}

void mts_tokenizer_close(mts_tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    wordpiece_close(tokenizer->wp);
    mem_free(tokenizer);
}

mts_status mts_tokenizer_encode(mts_tokenizer *tokenizer, const char *text_a, const char *text_b,
                                int64_t max_length, mts_encoding *out)
{
    if (tokenizer == NULL)
        return MTS_ERR_ARGUMENT;
    if (text_a == NULL || out == NULL)
        return status_set(tokenizer->ctx, MTS_ERR_ARGUMENT,
                          "mts_tokenizer_encode: text_a and out must be given");
    return wordpiece_encode(tokenizer->ctx, tokenizer->wp, text_a, text_b, max_length, out);
}

void mts_encoding_free(mts_encoding *encoding)
{
    wordpiece_free_encoding(encoding);
}

const char *mts_tokenizer_token(const mts_tokenizer *tokenizer, int32_t id)
{
    return tokenizer == NULL ? NULL : wordpiece_token(tokenizer->wp, id);
}

int64_t mts_tokenizer_vocab_size(const mts_tokenizer *tokenizer)
{
    return tokenizer == NULL ? 0 : wordpiece_vocab_size(tokenizer->wp);
}
