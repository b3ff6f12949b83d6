/*
 * Byte-pair encoding: text -> tokens.  See bpe.h.
 *
 * bpe_split      cuts the original text at added tokens,
 * split_segment  normalises what is between them and cuts it again,
 * split_gap      takes what is between those through the steps of the pre-tokenizer,
 * split_piece    merges the symbols of one piece.
 */
#include "text/bpe.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/bert_unicode.h"
#include "text/byte_alphabet.h"
#include "text/nfc.h"

/* Where the pieces of a text end, in code points. */
typedef struct piece_list {
    int64_t *ends;
    int64_t count, room;
} piece_list;

/* Everything that one call changes. */
typedef struct splitter {
    const bpe *b;
    const char *original;
    bert_text raw, normal;
    bert_text text, next_text;      /* of a gap, before and after a step */
    piece_list pieces, next_pieces; /* likewise */
    bpe_word word;
    char *letters;   /* a piece in UTF-8 */
    token_list *out; /* borrowed */
    int64_t before;  /* tokens of it that are not of this text */
    int64_t limit;   /* stop at this count of tokens: the rest may be left out */
} splitter;

static mts_status push_end(mts_ctx *ctx, piece_list *list, int64_t end)
{
    mts_status st = MTS_OK;
    if (list->count == list->room) {
        const int64_t room = 2 * list->room + 64;
        MTS_TRY(mem_grow(ctx, &list->ends, (size_t)list->count, (size_t)room, sizeof(int64_t),
                         "pieces of a text"));
        list->room = room;
    }
    list->ends[list->count++] = end;
cleanup:
    return st;
}

/* ---- ByteLevel as post-processor: offsets without the spaces around ---- */

static bool is_space(int32_t code)
{
    return code == BYTE_ALPHABET_SPACE || bert_unicode_is_whitespace(code);
}

/* Space characters at the beginning and at the end of text[bytes]. */
static void count_spaces(const char *text, size_t bytes, int64_t *leading, int64_t *trailing)
{
    bool begins = true;
    *leading = *trailing = 0;
    for (size_t at = 0; at < bytes;) {
        int32_t code;
        at += utf8_decode(text + at, bytes - at, &code);
        const bool space = is_space(code);
        begins = begins && space;
        *leading += begins;
        *trailing = space ? *trailing + 1 : 0;
    }
}

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xC0) == 0x80;
}

/* in_text: the token's spaces are those of the text it was found as, not those of its own text. */
static void trim_token(const splitter *s, text_token *token, bool in_text)
{
    const bpe *b = s->b;
    const char *text = s->original, *own = vocab_text(&b->vocabulary, token->id);
    const bool first = s->out->count == s->before;
    int64_t leading, trailing;
    int32_t end = token->end;
    if (in_text)
        count_spaces(text + token->begin, (size_t)(token->end - token->begin), &leading, &trailing);
    else
        count_spaces(own, strlen(own), &leading, &trailing);
    if (leading == 1 && b->keep_first_space && (first || token->begin == 0))
        leading = 0; /* a space that was put before the text */
    for (; leading > 0 && token->begin < token->end; leading--) {
        token->begin++;
        while (token->begin < token->end && is_continuation(text[token->begin]))
            token->begin++;
    }
    for (; trailing > 0 && end > 0; trailing--) {
        end--;
        while (end > 0 && is_continuation(text[end]))
            end--;
    }
    if (trailing == 0)
        token->end = end > token->begin ? end : token->begin;
}

/* Append a token that stands for chars[count]; added: one that was found as a whole. */
static mts_status push_token(mts_ctx *ctx, splitter *s, int32_t id, const bert_char *chars,
                             int64_t count, bool added)
{
    text_token token = {id, chars[0].begin, chars[count - 1].end};
    if (s->b->trim_offsets)
        trim_token(s, &token, added);
    return token_list_push(ctx, s->out, token);
}

/* ---- normalizer ---- */

static mts_status copy_text(mts_ctx *ctx, const bert_char *in, int64_t count, bert_text *out)
{
    mts_status st = MTS_OK;
    out->count = 0;
    for (int64_t i = 0; i < count; i++)
        MTS_TRY(bert_text_push(ctx, out, in[i]));
cleanup:
    return st;
}

/* A code point before the text, in the place of the one that it stands before. */
static mts_status prepend(mts_ctx *ctx, const bert_text *in, int32_t code, bert_text *out)
{
    mts_status st = MTS_OK;
    out->count = 0;
    for (int64_t i = 0; i < in->count; i++) {
        if (i == 0)
            MTS_TRY(
                bert_text_push(ctx, out, (bert_char){code, in->chars[0].begin, in->chars[0].end}));
        MTS_TRY(bert_text_push(ctx, out, in->chars[i]));
    }
cleanup:
    return st;
}

mts_status bpe_normalize(mts_ctx *ctx, const bpe *b, const bert_char *in, int64_t count,
                         bert_text *out)
{
    mts_status st = MTS_OK;
    bert_text other = {0};
    nfc_scratch scratch = {0};

    MTS_TRY(copy_text(ctx, in, count, out));
    for (int64_t k = 0; k < b->normalizer.count; k++) {
        const bpe_step *step = &b->normalizer.items[k];
        if (step->kind == BPE_REPLACE) {
            for (int64_t i = 0; i < out->count; i++)
                if (out->chars[i].code == step->code)
                    out->chars[i].code = step->with;
            continue;
        }
        if (step->kind == BPE_NFC)
            MTS_TRY(nfc_normalize(ctx, out->chars, out->count, &scratch, &other));
        else
            MTS_TRY(prepend(ctx, out, step->code, &other));
        const bert_text done = other;
        other = *out;
        *out = done;
    }
cleanup:
    bert_text_deinit(&other);
    nfc_scratch_deinit(&scratch);
    return st;
}

/* ---- pre-tokenizer: each step makes next_text or next_pieces of one piece ---- */

static mts_status cut_piece(mts_ctx *ctx, splitter *s, pre_split_rule rule, int64_t begin,
                            int64_t end)
{
    mts_status st = MTS_OK;
    while (begin < end) {
        begin += pre_split_length(rule, s->text.chars + begin, end - begin);
        MTS_TRY(push_end(ctx, &s->next_pieces, begin));
    }
cleanup:
    return st;
}

static mts_status append_bytes(mts_ctx *ctx, bert_text *out, bert_char c)
{
    mts_status st = MTS_OK;
    char bytes[UTF8_MAX_BYTES];
    const size_t n = utf8_encode(c.code, bytes);
    for (size_t i = 0; i < n; i++) {
        c.code = byte_alphabet_code((unsigned char)bytes[i]);
        MTS_TRY(bert_text_push(ctx, out, c));
    }
cleanup:
    return st;
}

static mts_status rewrite_piece(mts_ctx *ctx, splitter *s, const bpe_step *step, int64_t begin,
                                int64_t end)
{
    mts_status st = MTS_OK;
    const bert_char *chars = s->text.chars;
    const bert_char first = chars[begin];
    const bool metaspace = step->kind == BPE_METASPACE;
    const int32_t prefix = metaspace ? PRE_SPLIT_METASPACE_CODE : ' ';
    bool prefixed = step->kind == BPE_PREFIX_SPACE && first.code != ' ';
    if (metaspace && first.code != ' ' && first.code != PRE_SPLIT_METASPACE_CODE)
        prefixed = step->prepend == BPE_PREPEND_ALWAYS ||
                   (step->prepend == BPE_PREPEND_FIRST && first.begin == 0);
    if (prefixed)
        MTS_TRY(bert_text_push(ctx, &s->next_text, (bert_char){prefix, first.begin, first.end}));
    for (int64_t i = begin; i < end; i++) {
        bert_char c = chars[i];
        if (metaspace && c.code == ' ')
            c.code = PRE_SPLIT_METASPACE_CODE;
        if (step->kind == BPE_BYTES)
            MTS_TRY(append_bytes(ctx, &s->next_text, c));
        else
            MTS_TRY(bert_text_push(ctx, &s->next_text, c));
    }
    MTS_TRY(push_end(ctx, &s->next_pieces, s->next_text.count));
cleanup:
    return st;
}

static mts_status take_step(mts_ctx *ctx, splitter *s, const bpe_step *step)
{
    mts_status st = MTS_OK;
    int64_t begin = 0;
    const piece_list pieces = s->pieces;
    const bert_text text = s->text;
    s->next_pieces.count = s->next_text.count = 0;
    for (int64_t i = 0; i < pieces.count; i++) {
        const int64_t end = pieces.ends[i];
        if (step->kind == BPE_CUT)
            MTS_TRY(cut_piece(ctx, s, step->rule, begin, end));
        else
            MTS_TRY(rewrite_piece(ctx, s, step, begin, end));
        begin = end;
    }
    s->pieces = s->next_pieces;
    s->next_pieces = pieces;
    if (step->kind != BPE_CUT) {
        s->text = s->next_text;
        s->next_text = text;
    }
cleanup:
    return st;
}

/* ---- model ---- */

/* Id of the model's token with this text, or -1. */
static int32_t find_model(const bpe *b, const char *text, size_t n)
{
    const int32_t id = vocab_find(&b->vocabulary, text, n);
    return id >= 0 && b->vocabulary.entries[id].in_model ? id : -1;
}

/* The piece as one token of the vocabulary, whatever the merges: its id, or -1. */
static int32_t find_whole(splitter *s, const bert_char *chars, int64_t count)
{
    size_t bytes = 0;
    for (int64_t i = 0; i < count; i++) {
        if (bytes > VOCAB_MAX_TOKEN_BYTES)
            return -1;
        bytes += utf8_encode(chars[i].code, s->letters + bytes);
    }
    return bytes > VOCAB_MAX_TOKEN_BYTES ? -1 : find_model(s->b, s->letters, bytes);
}

/* Bytes of an unknown character as <0xHH>; false: some are no tokens. */
static mts_status push_fallback(mts_ctx *ctx, splitter *s, const char *bytes, size_t n, bool *done)
{
    mts_status st = MTS_OK;
    *done = s->b->byte_fallback;
    for (size_t i = 0; i < n && *done; i++)
        *done = s->b->byte_ids[(unsigned char)bytes[i]] >= 0;
    for (size_t i = 0; i < n && *done; i++)
        MTS_TRY(bpe_word_push(ctx, &s->word, s->b->byte_ids[(unsigned char)bytes[i]], 1));
cleanup:
    return st;
}

/* One symbol for each character of the piece.  What is unknown waits until something known, or
 * something unknown that is not joined to it, follows; bytes do not wait for it. */
static mts_status push_symbols(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    const bpe *b = s->b;
    int64_t unknown = 0; /* bytes of what waits */
    s->word.count = 0;
    for (int64_t i = 0; i < count; i++) {
        char bytes[UTF8_MAX_BYTES];
        bool done = false;
        const int32_t code = chars[i].code;
        const size_t n = utf8_encode(code, bytes);
        const int32_t id = code < BPE_CHAR_IDS ? b->char_ids[code] : find_model(b, bytes, n);
        if (id < 0)
            MTS_TRY(push_fallback(ctx, s, bytes, n, &done));
        if (done || (id < 0 && b->unk < 0))
            continue;
        if (unknown > 0 && (id >= 0 || !b->fuse_unk)) {
            MTS_TRY(bpe_word_push(ctx, &s->word, b->unk, unknown));
            unknown = 0;
        }
        if (id >= 0)
            MTS_TRY(bpe_word_push(ctx, &s->word, id, (int64_t)n));
        else
            unknown += (int64_t)n;
    }
    if (unknown > 0)
        MTS_TRY(bpe_word_push(ctx, &s->word, b->unk, unknown));
cleanup:
    return st;
}

/*
 * Tokens for the symbols of a merged word.  Their places are those of the word's bytes in the
 * piece.  Where the word lacks characters that were dropped, or has bytes before something unknown
 * that waited, these are not where the symbols came from; but so are the offsets of tokenizers.
 */
static mts_status push_word(mts_ctx *ctx, splitter *s, const bert_char *chars)
{
    mts_status st = MTS_OK;
    char bytes[UTF8_MAX_BYTES];
    int64_t at = 0;                                           /* a character of the piece, */
    int64_t end = (int64_t)utf8_encode(chars[0].code, bytes); /* and where its bytes end */
    for (int64_t i = 0; i < s->word.count; i++) {
        const bpe_symbol *symbol = &s->word.symbols[i];
        while (end <= symbol->first)
            end += (int64_t)utf8_encode(chars[++at].code, bytes);
        const int64_t first = at;
        while (end < symbol->last)
            end += (int64_t)utf8_encode(chars[++at].code, bytes);
        MTS_TRY(push_token(ctx, s, symbol->id, chars + first, at - first + 1, false));
    }
cleanup:
    return st;
}

static mts_status split_piece(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    const int32_t whole = s->b->ignore_merges ? find_whole(s, chars, count) : -1;
    if (whole >= 0)
        return push_token(ctx, s, whole, chars, count, false);
    MTS_TRY(push_symbols(ctx, s, chars, count));
    MTS_TRY(bpe_word_merge(ctx, &s->b->merges, &s->word));
    MTS_TRY(push_word(ctx, s, chars));
cleanup:
    return st;
}

/* Text between added tokens, normalised. */
static mts_status split_gap(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    int64_t begin = 0;
    if (count <= 0)
        return MTS_OK;
    MTS_TRY(copy_text(ctx, chars, count, &s->text));
    s->pieces.count = 0;
    MTS_TRY(push_end(ctx, &s->pieces, count));
    for (int64_t i = 0; i < s->b->splitter.count; i++)
        MTS_TRY(take_step(ctx, s, &s->b->splitter.items[i]));
    for (int64_t i = 0; i < s->pieces.count && s->out->count < s->limit; i++) {
        MTS_TRY(split_piece(ctx, s, s->text.chars + begin, s->pieces.ends[i] - begin));
        begin = s->pieces.ends[i];
    }
cleanup:
    return st;
}

/* Text between added tokens of the original. */
static mts_status split_segment(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    added_cursor cursor = {0, 0};
    MTS_TRY(bpe_normalize(ctx, s->b, chars, count, &s->normal));
    while (cursor.scan < s->normal.count && s->out->count < s->limit) {
        const int64_t begin = cursor.done;
        const bert_char *normal = s->normal.chars;
        const added_match match =
            added_set_next(&s->b->added_normalized, normal, s->normal.count, &cursor);
        MTS_TRY(split_gap(ctx, s, normal + begin, match.begin - begin));
        if (match.id >= 0)
            MTS_TRY(
                push_token(ctx, s, match.id, normal + match.begin, match.end - match.begin, true));
    }
cleanup:
    return st;
}

static mts_status split_raw(mts_ctx *ctx, splitter *s)
{
    mts_status st = MTS_OK;
    const bert_char *raw = s->raw.chars;
    added_cursor cursor = {0, 0};
    while (cursor.scan < s->raw.count && s->out->count < s->limit) {
        const int64_t begin = cursor.done;
        const added_match match = added_set_next(&s->b->added_raw, raw, s->raw.count, &cursor);
        if (match.begin > begin)
            MTS_TRY(split_segment(ctx, s, raw + begin, match.begin - begin));
        if (match.id >= 0)
            MTS_TRY(push_token(ctx, s, match.id, raw + match.begin, match.end - match.begin, true));
    }
cleanup:
    return st;
}

mts_status bpe_split(mts_ctx *ctx, const tokenizer *tok, const char *text, int64_t most,
                     token_list *out)
{
    mts_status st = MTS_OK;
    const bpe *b = (const bpe *)tok;
    const size_t bytes = strlen(text);
    splitter s = {
        .b = b, .original = text, .out = out, .before = out->count, .limit = out->count + most};

    MTS_CHECK(bytes <= INT32_MAX, MTS_ERR_ARGUMENT, "text of %zu bytes, at most %d can be encoded",
              bytes, INT32_MAX);
    MTS_TRY(mem_calloc(ctx, &s.letters, VOCAB_MAX_TOKEN_BYTES + 2 * UTF8_MAX_BYTES, 1, "a piece"));
    MTS_TRY(bert_text_decode(ctx, text, bytes, &s.raw));
    MTS_TRY(split_raw(ctx, &s));
cleanup:
    bert_text_deinit(&s.raw);
    bert_text_deinit(&s.normal);
    bert_text_deinit(&s.text);
    bert_text_deinit(&s.next_text);
    mem_free(s.pieces.ends);
    mem_free(s.next_pieces.ends);
    bpe_word_deinit(&s.word);
    mem_free(s.letters);
    return st;
}
