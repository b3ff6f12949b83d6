/* BertNormalizer of Hugging Face.  See bert_normalizer.h. */
#include "text/bert_normalizer.h"

#include <stdlib.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/bert_unicode.h"

void bert_text_deinit(bert_text *text)
{
    mem_free(text->chars);
    *text = (bert_text){0};
}

void bert_scratch_deinit(bert_scratch *scratch)
{
    mem_free(scratch->parts);
    bert_text_deinit(&scratch->sources);
    *scratch = (bert_scratch){0};
}

/* Make room for `room` code points. */
static mts_status reserve(mts_ctx *ctx, bert_text *text, int64_t room)
{
    mts_status st = MTS_OK;
    if (room > text->room) {
        int64_t more = room < 2 * text->room ? 2 * text->room : room;
        MTS_TRY(mem_grow(ctx, &text->chars, (size_t)text->count, (size_t)more, sizeof(bert_char),
                         "code points of a text"));
        text->room = more;
    }
cleanup:
    return st;
}

mts_status bert_text_push(mts_ctx *ctx, bert_text *text, bert_char c)
{
    mts_status st = MTS_OK;
    if (text->count == text->room)
        MTS_TRY(reserve(ctx, text, text->room + 64));
    text->chars[text->count++] = c;
cleanup:
    return st;
}

mts_status bert_text_decode(mts_ctx *ctx, const char *text, size_t bytes, bert_text *out)
{
    mts_status st = MTS_OK;
    out->count = 0;
    MTS_TRY(reserve(ctx, out, (int64_t)bytes)); /* at most one code point a byte */
    for (size_t i = 0; i < bytes;) {
        bert_char c = {(unsigned char)text[i], (int32_t)i, (int32_t)i + 1};
        if (c.code >= 0x80)
            c.end = (int32_t)(i + utf8_decode(text + i, bytes - i, &c.code));
        i = (size_t)c.end;
        out->chars[out->count++] = c;
    }
cleanup:
    return st;
}

/* One normalisation under way. */
typedef struct state {
    const bert_normalizer *rules;
    bool strip;
    bert_scratch *scratch;
    bert_text *out;
} state;

/* The last two rules on one code point: strip marks, lower case. */
static mts_status finish_char(mts_ctx *ctx, state *s, bert_char c)
{
    mts_status st = MTS_OK;
    if (s->strip && bert_unicode_is_mark(c.code))
        return MTS_OK;
    if (s->rules->lower_case) {
        int32_t lower[2];
        int n = bert_unicode_lower(c.code, lower);
        c.code = lower[0];
        if (n == 2) {
            MTS_TRY(bert_text_push(ctx, s->out, c));
            c.code = lower[1];
        }
    }
    MTS_TRY(bert_text_push(ctx, s->out, c));
cleanup:
    return st;
}

static int compare_parts(const void *a, const void *b)
{
    int64_t x = ((const bert_part *)a)->order, y = ((const bert_part *)b)->order;
    return (x > y) - (x < y);
}

/* Put the pending parts in canonical order and pass them on; the k-th first part takes place k. */
static mts_status flush_parts(mts_ctx *ctx, state *s)
{
    mts_status st = MTS_OK;
    bert_scratch *scratch = s->scratch;
    bool sorted = true;
    for (int64_t i = 1; i < scratch->part_count; i++)
        sorted = sorted && scratch->parts[i - 1].order < scratch->parts[i].order;
    if (!sorted)
        qsort(scratch->parts, (size_t)scratch->part_count, sizeof(bert_part), compare_parts);
    int64_t place = -1;
    for (int64_t i = 0; i < scratch->part_count; i++) {
        if (scratch->parts[i].first)
            place++;
        bert_char c = scratch->sources.chars[place < 0 ? 0 : place];
        c.code = scratch->parts[i].code;
        MTS_TRY(finish_char(ctx, s, c));
    }
    scratch->part_count = 0;
    scratch->sources.count = 0;
cleanup:
    return st;
}

/* Decompose c and queue its parts; a starter passes on what waited before it. */
static mts_status decompose_char(mts_ctx *ctx, state *s, bert_char c)
{
    mts_status st = MTS_OK;
    bert_scratch *scratch = s->scratch;
    int32_t parts[BERT_UNICODE_MAX_PARTS];
    int n = bert_unicode_decompose(c.code, parts);
    for (int i = 0; i < n; i++) {
        int class = bert_unicode_combining_class(parts[i]);
        if (class == 0 && i == 0)
            MTS_TRY(flush_parts(ctx, s));
        if (i == 0)
            MTS_TRY(bert_text_push(ctx, &scratch->sources, c));
        if (class == 0 && i > 0) { /* Hangul and a few others: several starters from one */
            MTS_TRY(flush_parts(ctx, s));
            MTS_TRY(bert_text_push(ctx, &scratch->sources, c));
        }
        if (scratch->part_count == scratch->part_room) {
            int64_t room = 2 * scratch->part_room + 32;
            MTS_TRY(mem_grow(ctx, &scratch->parts, (size_t)scratch->part_count, (size_t)room,
                             sizeof(bert_part), "combining marks of a text"));
            scratch->part_room = room;
        }
        scratch->parts[scratch->part_count] = (bert_part){
            ((int64_t) class << 40) + scratch->part_count, parts[i], class == 0 || i == 0};
        scratch->part_count++;
    }
cleanup:
    return st;
}

/* The rules from strip_accents on. */
static mts_status push_char(mts_ctx *ctx, state *s, bert_char c)
{
    mts_status st = MTS_OK;
    if (!s->strip)
        return finish_char(ctx, s, c);
    if (c.code >= 0xC0)
        return decompose_char(ctx, s, c);
    if (s->scratch->part_count > 0)
        MTS_TRY(flush_parts(ctx, s));
    MTS_TRY(finish_char(ctx, s, c));
cleanup:
    return st;
}

mts_status bert_normalize(mts_ctx *ctx, const bert_normalizer *normalizer, const bert_char *in,
                          int64_t count, bert_scratch *scratch, bert_text *out)
{
    mts_status st = MTS_OK;
    bool strip = normalizer->strip_accents == BERT_STRIP_YES ||
                 (normalizer->strip_accents == BERT_STRIP_AS_LOWER && normalizer->lower_case);
    state s = {normalizer, strip, scratch, out};

    out->count = 0;
    scratch->part_count = 0;
    scratch->sources.count = 0;
    MTS_TRY(reserve(ctx, out, count));
    for (int64_t i = 0; i < count; i++) {
        bert_char c = in[i];
        if (normalizer->clean_text) {
            if (bert_unicode_is_removed(c.code))
                continue;
            if (bert_unicode_is_whitespace(c.code))
                c.code = ' ';
        }
        if (normalizer->handle_chinese_chars && bert_unicode_is_chinese(c.code)) {
            bert_char space = {' ', c.begin, c.end};
            MTS_TRY(push_char(ctx, &s, space));
            MTS_TRY(push_char(ctx, &s, c));
            MTS_TRY(push_char(ctx, &s, space));
        } else {
            MTS_TRY(push_char(ctx, &s, c));
        }
    }
    MTS_TRY(flush_parts(ctx, &s));
cleanup:
    return st;
}
