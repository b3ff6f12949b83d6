/*
 * Byte-pair encoding: ids -> text, as the decoders of Hugging Face's tokenizers.  See bpe.h.
 *
 * What does not make up UTF-8 is U+FFFD, as there: ByteLevel gives one for each maximal subpart,
 * ByteFallback one for each byte of the run.
 */
#include "text/bpe.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/byte_alphabet.h"

/* A text that grows. */
typedef struct buffer {
    char *bytes;
    size_t count, room;
} buffer;

static mts_status append(mts_ctx *ctx, buffer *out, const char *bytes, size_t count)
{
    mts_status st = MTS_OK;
    if (out->room - out->count < count + 1) { /* and a NUL */
        const size_t room = 2 * out->room + count + 64;
        MTS_TRY(mem_grow(ctx, &out->bytes, out->count, room, 1, "a decoded text"));
        out->room = room;
    }
    memcpy(out->bytes + out->count, bytes, count);
    out->count += count;
    out->bytes[out->count] = '\0';
cleanup:
    return st;
}

static mts_status append_code(mts_ctx *ctx, buffer *out, int32_t code)
{
    char bytes[UTF8_MAX_BYTES];
    return append(ctx, out, bytes, utf8_encode(code, bytes));
}

/* The bytes that the characters of a token stand for; if one stands for none, the token as it is.
 */
static mts_status append_alphabet(mts_ctx *ctx, buffer *out, const char *token)
{
    mts_status st = MTS_OK;
    const size_t bytes = strlen(token), before = out->count;
    for (size_t at = 0; at < bytes;) {
        int32_t code;
        at += utf8_decode(token + at, bytes - at, &code);
        const int byte = byte_alphabet_byte(code);
        if (byte < 0) {
            out->count = before;
            return append(ctx, out, token, bytes);
        }
        const char letter = (char)byte;
        MTS_TRY(append(ctx, out, &letter, 1));
    }
cleanup:
    return st;
}

/* The token with spaces for U+2581, or, for the first one, without them. */
static mts_status append_metaspace(mts_ctx *ctx, buffer *out, const char *token, bool drop)
{
    mts_status st = MTS_OK;
    const size_t bytes = strlen(token);
    for (size_t at = 0; at < bytes;) {
        int32_t code;
        at += utf8_decode(token + at, bytes - at, &code);
        if (code != PRE_SPLIT_METASPACE_CODE)
            MTS_TRY(append_code(ctx, out, code));
        else if (!drop)
            MTS_TRY(append_code(ctx, out, ' '));
    }
cleanup:
    return st;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of a token <0xHH>, or -1. */
static int fallback_byte(const char *token)
{
    if (strlen(token) != 6 || strncmp(token, "<0x", 3) != 0 || token[5] != '>')
        return -1;
    const int low = hex_digit(token[4]);
    const int high = token[3] == '+' ? 0 : hex_digit(token[3]); /* Rust reads "+f" as a number */
    return low < 0 || high < 0 ? -1 : 16 * high + low;
}

/* A run of bytes that tokens <0xHH> stood for; it is empty then. */
static mts_status flush_bytes(mts_ctx *ctx, buffer *run, buffer *out)
{
    mts_status st = MTS_OK;
    if (run->count > 0 && utf8_is_valid(run->bytes, run->count, NULL))
        MTS_TRY(append(ctx, out, run->bytes, run->count));
    else
        for (size_t i = 0; i < run->count; i++)
            MTS_TRY(append_code(ctx, out, UTF8_REPLACEMENT));
    run->count = 0;
cleanup:
    return st;
}

static mts_status append_fallback(mts_ctx *ctx, buffer *run, buffer *out, const char *token)
{
    mts_status st = MTS_OK;
    const int byte = fallback_byte(token);
    const char letter = (char)byte;
    if (byte >= 0)
        return append(ctx, run, &letter, 1);
    MTS_TRY(flush_bytes(ctx, run, out));
    MTS_TRY(append_metaspace(ctx, out, token, false));
cleanup:
    return st;
}

/* The text of all: malformed UTF-8 mended, spaces at its beginning dropped. */
static mts_status finish(mts_ctx *ctx, const bpe_decoder *decoder, const buffer *in, buffer *out)
{
    mts_status st = MTS_OK;
    size_t at = 0;
    MTS_TRY(append(ctx, out, "", 0));
    while (decoder->kind == BPE_DECODER_FALLBACK && at < in->count && in->bytes[at] == ' ' &&
           at < (size_t)decoder->strip)
        at++;
    while (at < in->count) {
        int32_t code;
        at += utf8_decode(in->bytes + at, in->count - at, &code);
        MTS_TRY(append_code(ctx, out, code));
    }
cleanup:
    return st;
}

/* Whether a token, as decoding sees it, has the text of a special one. */
static bool is_special(const bpe *b, int32_t id)
{
    const char *text = b->decoded[id];
    const int32_t found = text == NULL ? id : vocab_find(&b->vocabulary, text, strlen(text));
    return found >= 0 && b->special[found];
}

mts_status bpe_decode(mts_ctx *ctx, const tokenizer *tok, const int32_t *ids, int64_t count,
                      bool skip_special, char **text, size_t *bytes)
{
    mts_status st = MTS_OK;
    const bpe *b = (const bpe *)tok;
    buffer joined = {0}, run = {0}, out = {0};
    bool first = true;

    MTS_CHECK(b->decoder.kind != BPE_DECODER_UNKNOWN, MTS_ERR_UNSUPPORTED,
              "tokenizer.json: its decoder is not supported");
    for (int64_t i = 0; i < count; i++) {
        MTS_CHECK(ids[i] >= 0 && ids[i] < b->vocabulary.count, MTS_ERR_ARGUMENT,
                  "token id %d is outside 0 to %lld", ids[i], (long long)b->vocabulary.count - 1);
        if (skip_special && is_special(b, ids[i]))
            continue;
        const char *token = b->decoded[ids[i]];
        if (token == NULL)
            token = vocab_text(&b->vocabulary, ids[i]);
        if (b->decoder.kind == BPE_DECODER_BYTES) {
            MTS_TRY(append_alphabet(ctx, &joined, token));
        } else if (b->decoder.kind == BPE_DECODER_FALLBACK) {
            MTS_TRY(append_fallback(ctx, &run, &joined, token));
        } else if (b->decoder.kind == BPE_DECODER_METASPACE) {
            MTS_TRY(append_metaspace(ctx, &joined, token, first && b->decoder.drops_first));
        } else {
            MTS_TRY(append(ctx, &joined, " ", first ? 0 : 1));
            MTS_TRY(append(ctx, &joined, token, strlen(token)));
        }
        first = false;
    }
    MTS_TRY(flush_bytes(ctx, &run, &joined));
    MTS_TRY(finish(ctx, &b->decoder, &joined, &out));
    *text = out.bytes;
    *bytes = out.count;
    out = (buffer){0};
cleanup:
    mem_free(joined.bytes);
    mem_free(run.bytes);
    mem_free(out.bytes);
    return st;
}
