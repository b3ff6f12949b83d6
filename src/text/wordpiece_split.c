/*
 * The BERT tokenizer: text -> tokens.  See wordpiece.h.
 *
 * wordpiece_split  cuts the original text at added tokens,
 * split_segment    normalises what is between them and cuts it again,
 * split_words      splits into words,
 * split_word       cuts a word into tokens of the vocabulary.
 */
#include "text/wordpiece.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/bert_unicode.h"

/* Everything that one call changes. */
typedef struct splitter {
    const wordpiece *wp;
    bert_text raw, normal;
    bert_scratch scratch;
    char *word;      /* the word under way in UTF-8, room for max_input_chars */
    token_list *out; /* borrowed */
    int64_t limit;   /* stop at this count of tokens: the rest may be left out */
} splitter;

static mts_status push_token(mts_ctx *ctx, splitter *s, int32_t id, int32_t begin, int32_t end)
{
    return token_list_push(ctx, s->out, (text_token){id, begin, end});
}

/* Greedy longest match from the left; a word that cannot be covered is one [UNK]. */
static mts_status split_word(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    const wordpiece *wp = s->wp;
    int64_t before = s->out->count, i = 0;
    size_t bytes = 0, at = 0;

    if (count <= wp->max_input_chars)
        for (int64_t k = 0; k < count; k++)
            bytes += utf8_encode(chars[k].code, s->word + bytes);
    while (at < bytes) {
        size_t length = 0;
        int32_t id =
            vocab_longest_prefix(&wp->vocabulary, at > 0, s->word + at, bytes - at, &length);
        if (id < 0)
            break;
        int32_t begin = chars[i].begin;
        for (size_t end = at + length; at < end; at++) /* count the code points: not 10xxxxxx */
            i += (s->word[at] & 0xC0) != 0x80;
        MTS_TRY(push_token(ctx, s, id, begin, chars[i - 1].end));
    }
    if (at < bytes || bytes == 0) {
        s->out->count = before;
        MTS_TRY(push_token(ctx, s, wp->special[SPECIAL_UNK], chars[0].begin, chars[count - 1].end));
    }
cleanup:
    return st;
}

/* Split at whitespace, which is dropped, and around punctuation, which is a word each.  count <= 0:
 * nothing. */
static mts_status split_words(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    int64_t begin = 0; /* of the word under way */
    for (int64_t i = 0; i <= count && s->out->count < s->limit; i++) {
        bool space = i == count || bert_unicode_is_whitespace(chars[i].code);
        bool punctuation = !space && bert_unicode_is_punctuation(chars[i].code);
        if (!space && !punctuation)
            continue;
        if (begin < i)
            MTS_TRY(split_word(ctx, s, chars + begin, i - begin));
        if (punctuation)
            MTS_TRY(split_word(ctx, s, chars + i, 1));
        begin = i + 1;
    }
cleanup:
    return st;
}

/* Text between added tokens of the original: normalise, cut at added tokens that are normalised. */
static mts_status split_segment(mts_ctx *ctx, splitter *s, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    const wordpiece *wp = s->wp;
    const bert_char *normal = NULL;
    added_cursor cursor = {0, 0};
    const added_set *added = &wp->added_normalized[wp->normalizer.lower_case ? 1 : 0];

    MTS_TRY(bert_normalize(ctx, &wp->normalizer, chars, count, &s->scratch, &s->normal));
    normal = s->normal.chars;
    while (cursor.scan < s->normal.count && s->out->count < s->limit) {
        int64_t begin = cursor.done;
        added_match match = added_set_next(added, normal, s->normal.count, &cursor);
        MTS_TRY(split_words(ctx, s, normal + begin, match.begin - begin));
        if (match.id >= 0)
            MTS_TRY(
                push_token(ctx, s, match.id, normal[match.begin].begin, normal[match.end - 1].end));
    }
cleanup:
    return st;
}

/* The text between added tokens of the original, and these. */
static mts_status split_raw(mts_ctx *ctx, splitter *s)
{
    mts_status st = MTS_OK;
    const bert_char *raw = s->raw.chars;
    added_cursor cursor = {0, 0};
    while (cursor.scan < s->raw.count && s->out->count < s->limit) {
        int64_t begin = cursor.done;
        added_match match = added_set_next(&s->wp->added_raw, raw, s->raw.count, &cursor);
        if (match.begin > begin)
            MTS_TRY(split_segment(ctx, s, raw + begin, match.begin - begin));
        if (match.id >= 0)
            MTS_TRY(push_token(ctx, s, match.id, raw[match.begin].begin, raw[match.end - 1].end));
    }
cleanup:
    return st;
}

mts_status wordpiece_split(mts_ctx *ctx, const tokenizer *tok, const char *text, int64_t most,
                           token_list *out)
{
    mts_status st = MTS_OK;
    const wordpiece *wp = (const wordpiece *)tok;
    const size_t bytes = strlen(text);
    splitter s = {.wp = wp, .out = out, .limit = out->count + most};

    MTS_CHECK(bytes <= INT32_MAX, MTS_ERR_ARGUMENT, "text of %zu bytes, at most %d can be encoded",
              bytes, INT32_MAX);
    MTS_TRY(mem_calloc(ctx, &s.word, (size_t)wp->max_input_chars, UTF8_MAX_BYTES, "a word"));
    MTS_TRY(bert_text_decode(ctx, text, bytes, &s.raw));
    MTS_TRY(split_raw(ctx, &s));
cleanup:
    bert_text_deinit(&s.raw);
    bert_text_deinit(&s.normal);
    bert_scratch_deinit(&s.scratch);
    mem_free(s.word);
    return st;
}
