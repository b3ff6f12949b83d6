/* The text of tokens as they come.  See text_stream.h. */
#include "text/text_stream.h"

#include <string.h>

#include "base/memory.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD: what stands for bytes that are no character */

mts_status text_of_tokens(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids, int64_t n,
                          char **text, size_t *bytes)
{
    mts_status st = MTS_OK;
    const int64_t known = tokenizer_vocab_size(tok);
    int32_t *own = NULL;
    int64_t count = 0;
    *text = NULL;
    MTS_TRY(mem_calloc(ctx, &own, (size_t)n, sizeof *own, "tokens"));
    for (int64_t i = 0; i < n; i++)
        if (ids[i] < known)
            own[count++] = ids[i];
    MTS_TRY(tokenizer_decode(ctx, tok, own, count, true, text, bytes));
cleanup:
    mem_free(own);
    return st;
}

static mts_status decode(mts_ctx *ctx, text_stream *s, const int32_t *ids, int64_t n, size_t *bytes)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    MTS_TRY(text_of_tokens(ctx, s->tokenizer, ids, n, &text, bytes));
    mem_free(s->text);
    s->text = text;
cleanup:
    return st;
}

mts_status text_stream_begin(mts_ctx *ctx, text_stream *s, const tokenizer *tok, const int32_t *ids,
                             int64_t n)
{
    mts_status st = MTS_OK;
    size_t bytes = 0;
    *s = (text_stream){.tokenizer = tok};
    MTS_TRY(decode(ctx, s, ids, n, &bytes));
    s->begin = s->given = bytes;
cleanup:
    return st;
}

/* Bytes of the text without what may yet become a character. */
static size_t complete(const char *text, size_t bytes)
{
    const size_t n = strlen(REPLACEMENT);
    while (bytes >= n && memcmp(text + bytes - n, REPLACEMENT, n) == 0)
        bytes -= n;
    return bytes;
}

mts_status text_stream_next(mts_ctx *ctx, text_stream *s, const int32_t *ids, int64_t n, bool last,
                            const char **piece, size_t *bytes)
{
    mts_status st = MTS_OK;
    size_t all = 0, end;
    *piece = "";
    *bytes = 0;
    MTS_TRY(decode(ctx, s, ids, n, &all));
    end = last ? all : complete(s->text, all);
    /* the text of the tokens before may have become another: go on with a whole character */
    while (s->given < end && ((unsigned char)s->text[s->given] & 0xc0) == 0x80) {
        s->begin += s->begin == s->given;
        s->given++;
    }
    if (end <= s->given)
        return MTS_OK;
    *piece = s->text + s->given;
    *bytes = end - s->given;
    s->given = end;
cleanup:
    return st;
}

void text_stream_deinit(text_stream *s)
{
    mem_free(s->text);
    *s = (text_stream){0};
}
