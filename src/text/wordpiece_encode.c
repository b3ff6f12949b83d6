/*
 * The BERT tokenizer: text -> token ids.  See wordpiece.h.
 *
 * encode_text     cuts the original text at added tokens,
 * encode_segment  normalises what is between them and cuts it again,
 * encode_words    splits into words,
 * encode_word     cuts a word into tokens of the vocabulary;
 * truncate_pair and assemble make the result.
 */
#include "text/wordpiece_object.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/bert_unicode.h"

typedef struct token {
    int32_t id, begin, end;
} token;

/* Everything that one call changes. */
typedef struct encoder {
    const wordpiece *wp;
    bert_text raw, normal;
    bert_scratch scratch;
    char *word;    /* the word under way in UTF-8, room for max_input_chars */
    token *tokens; /* of text_a and text_b, one after the other */
    int64_t count, room;
    int64_t limit; /* stop at this count: truncation would drop the rest */
} encoder;

static mts_status push_token(mts_ctx *ctx, encoder *e, int32_t id, int32_t begin, int32_t end)
{
    mts_status st = MTS_OK;
    if (e->count == e->room) {
        int64_t room = 2 * e->room + 128;
        MTS_TRY(mem_grow(ctx, &e->tokens, (size_t)e->count, (size_t)room, sizeof(token),
                         "tokens of a text"));
        e->room = room;
    }
    e->tokens[e->count++] = (token){id, begin, end};
cleanup:
    return st;
}

/* Greedy longest match from the left; a word that cannot be covered is one [UNK]. */
static mts_status encode_word(mts_ctx *ctx, encoder *e, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    const wordpiece *wp = e->wp;
    int64_t before = e->count, i = 0;
    size_t bytes = 0, at = 0;

    if (count <= wp->max_input_chars)
        for (int64_t k = 0; k < count; k++)
            bytes += utf8_encode(chars[k].code, e->word + bytes);
    while (at < bytes) {
        size_t length = 0;
        int32_t id =
            vocab_longest_prefix(&wp->vocabulary, at > 0, e->word + at, bytes - at, &length);
        if (id < 0)
            break;
        int32_t begin = chars[i].begin;
        for (size_t end = at + length; at < end; at++) /* count the code points: not 10xxxxxx */
            i += (e->word[at] & 0xC0) != 0x80;
        MTS_TRY(push_token(ctx, e, id, begin, chars[i - 1].end));
    }
    if (at < bytes || bytes == 0) {
        e->count = before;
        MTS_TRY(push_token(ctx, e, wp->special[SPECIAL_UNK], chars[0].begin, chars[count - 1].end));
    }
cleanup:
    return st;
}

/* Split at whitespace, which is dropped, and around punctuation, which is a word each.  count <= 0:
 * nothing. */
static mts_status encode_words(mts_ctx *ctx, encoder *e, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    int64_t begin = 0; /* of the word under way */
    for (int64_t i = 0; i <= count && e->count < e->limit; i++) {
        bool space = i == count || bert_unicode_is_whitespace(chars[i].code);
        bool punctuation = !space && bert_unicode_is_punctuation(chars[i].code);
        if (!space && !punctuation)
            continue;
        if (begin < i)
            MTS_TRY(encode_word(ctx, e, chars + begin, i - begin));
        if (punctuation)
            MTS_TRY(encode_word(ctx, e, chars + i, 1));
        begin = i + 1;
    }
cleanup:
    return st;
}

/* Text between added tokens of the original: normalise, cut at added tokens that are normalised. */
static mts_status encode_segment(mts_ctx *ctx, encoder *e, const bert_char *chars, int64_t count)
{
    mts_status st = MTS_OK;
    const wordpiece *wp = e->wp;
    const bert_char *normal = NULL;
    added_cursor cursor = {0, 0};
    const added_set *added = &wp->added_normalized[wp->normalizer.lower_case ? 1 : 0];

    MTS_TRY(bert_normalize(ctx, &wp->normalizer, chars, count, &e->scratch, &e->normal));
    normal = e->normal.chars;
    while (cursor.scan < e->normal.count && e->count < e->limit) {
        int64_t begin = cursor.done;
        added_match match = added_set_next(added, normal, e->normal.count, &cursor);
        MTS_TRY(encode_words(ctx, e, normal + begin, match.begin - begin));
        if (match.id >= 0)
            MTS_TRY(
                push_token(ctx, e, match.id, normal[match.begin].begin, normal[match.end - 1].end));
    }
cleanup:
    return st;
}

/* Append the tokens of text; once there are `most` the rest may be left out. */
static mts_status encode_text(mts_ctx *ctx, encoder *e, const char *text, int64_t most)
{
    mts_status st = MTS_OK;
    size_t bytes = strlen(text);
    const bert_char *raw = NULL;
    added_cursor cursor = {0, 0};

    MTS_CHECK(bytes <= INT32_MAX, MTS_ERR_ARGUMENT, "text of %zu bytes, at most %d can be encoded",
              bytes, INT32_MAX);
    e->limit = e->count + most;
    MTS_TRY(bert_text_decode(ctx, text, bytes, &e->raw));
    raw = e->raw.chars;
    while (cursor.scan < e->raw.count && e->count < e->limit) {
        int64_t begin = cursor.done;
        added_match match = added_set_next(&e->wp->added_raw, raw, e->raw.count, &cursor);
        if (match.begin > begin)
            MTS_TRY(encode_segment(ctx, e, raw + begin, match.begin - begin));
        if (match.id >= 0)
            MTS_TRY(push_token(ctx, e, match.id, raw[match.begin].begin, raw[match.end - 1].end));
    }
cleanup:
    return st;
}

/*
 * Longest-first truncation of *a and *b tokens to `room` together.  With n1 <= n2 the two counts:
 * n2 becomes max(n1, room - n1); if that is too much still, n1 = room / 2 and n2 = room - n1.
 */
static void truncate_pair(int64_t *a, int64_t *b, int64_t room)
{
    if (*a + *b <= room)
        return;
    bool swap = *a > *b;
    int64_t n1 = swap ? *b : *a;
    int64_t n2 = n1 > room - n1 ? n1 : room - n1;
    if (n1 + n2 > room) {
        n1 = room / 2;
        n2 = n1 + room % 2;
    }
    *a = swap ? n2 : n1;
    *b = swap ? n1 : n2;
}

/* Append one token to the result. */
static void append(mts_encoding *out, token t, int32_t type)
{
    out->ids[out->length] = t.id;
    out->type_ids[out->length] = type;
    out->begin[out->length] = t.begin;
    out->end[out->length] = t.end;
    out->length++;
}

/*
 * [CLS] a [SEP], and b [SEP] if it is a pair.  a: the first kept_a tokens; b: kept_b tokens from
 * first_b on.
 */
static mts_status assemble(mts_ctx *ctx, const encoder *e, int64_t kept_a, int64_t first_b,
                           int64_t kept_b, bool pair, mts_encoding *out)
{
    mts_status st = MTS_OK;
    token cls = {e->wp->special[SPECIAL_CLS], 0, 0}, sep = {e->wp->special[SPECIAL_SEP], 0, 0};
    size_t length = (size_t)(kept_a + kept_b) + (pair ? 3 : 2);
    int32_t *block = NULL;

    MTS_TRY(mem_calloc(ctx, &block, length, 4 * sizeof(int32_t), "an encoded text"));
    *out = (mts_encoding){0, block, block + length, block + 2 * length, block + 3 * length, false};
    append(out, cls, 0);
    for (int64_t i = 0; i < kept_a; i++)
        append(out, e->tokens[i], 0);
    append(out, sep, 0);
    for (int64_t i = 0; i < kept_b; i++)
        append(out, e->tokens[first_b + i], 1);
    if (pair)
        append(out, sep, 1);
cleanup:
    return st;
}

mts_status wordpiece_encode(mts_ctx *ctx, const wordpiece *wp, const char *text_a,
                            const char *text_b, int64_t max_length, mts_encoding *out)
{
    mts_status st = MTS_OK;
    const bool pair = text_b != NULL;
    const int64_t special = pair ? 3 : 2;
    int64_t count_a = 0, kept_a = 0, kept_b = 0;
    int64_t room = max_length == 0 ? INT64_MAX / 2 : 0;
    encoder e = {.wp = wp};

    *out = (mts_encoding){0};
    MTS_CHECK(max_length == 0 || max_length >= special, MTS_ERR_ARGUMENT,
              "maximum length %lld leaves no room for %lld special tokens", (long long)max_length,
              (long long)special);
    if (max_length != 0)
        room = max_length - special < INT64_MAX / 2 ? max_length - special : INT64_MAX / 2;
    MTS_TRY(mem_calloc(ctx, &e.word, (size_t)wp->max_input_chars, UTF8_MAX_BYTES, "a word"));
    /* Tokens that truncation drops need not be made, if the longer text stays the longer one. */
    MTS_TRY(encode_text(ctx, &e, text_a, pair ? INT64_MAX / 2 : room + 1));
    count_a = e.count;
    if (pair)
        MTS_TRY(encode_text(ctx, &e, text_b, (count_a > room ? count_a : room) + 1));
    kept_a = count_a;
    kept_b = e.count - count_a;
    truncate_pair(&kept_a, &kept_b, room);
    MTS_TRY(assemble(ctx, &e, kept_a, count_a, kept_b, pair, out));
    out->cut = e.count > room;
cleanup:
    bert_text_deinit(&e.raw);
    bert_text_deinit(&e.normal);
    bert_scratch_deinit(&e.scratch);
    mem_free(e.word);
    mem_free(e.tokens);
    return st;
}

void wordpiece_free_encoding(mts_encoding *encoding)
{
    if (encoding == NULL)
        return;
    mem_free(encoding->ids); /* the other arrays are in the same block */
    *encoding = (mts_encoding){0};
}
