/* Canonical composition.  See nfc.h. */
#include "text/nfc.h"

#include <stdlib.h>

#include <utf8proc.h>

#include "base/memory.h"
#include "text/bert_unicode.h"

/* Below it nothing is decomposed for good, nothing is reordered, nothing is a second part. */
static const int32_t first_mark = 0x300;

void nfc_scratch_deinit(nfc_scratch *scratch)
{
    mem_free(scratch->parts);
    *scratch = (nfc_scratch){0};
}

static int class_of(const nfc_part *part)
{
    return (int)(part->order >> 40);
}

static int compare_parts(const void *a, const void *b)
{
    const nfc_part *x = a, *y = b;
    return (x->order > y->order) - (x->order < y->order);
}

/* Put the marks behind the last starter in canonical order: parts from `from` on. */
static void order_marks(nfc_scratch *s, int64_t from)
{
    bool ordered = true;
    for (int64_t i = from + 1; i < s->count; i++)
        ordered = ordered && s->parts[i - 1].order <= s->parts[i].order;
    if (!ordered)
        qsort(s->parts + from, (size_t)(s->count - from), sizeof(nfc_part), compare_parts);
}

/* All parts of in[count], decomposed and in canonical order. */
static mts_status decompose(mts_ctx *ctx, const bert_char *in, int64_t count, nfc_scratch *s)
{
    mts_status st = MTS_OK;
    int64_t marks = 0; /* first part behind the last starter */
    s->count = 0;
    for (int64_t i = 0; i < count; i++) {
        int32_t codes[BERT_UNICODE_MAX_PARTS];
        const int n = bert_unicode_decompose(in[i].code, codes);
        if (s->room - s->count < n) {
            const int64_t room = 2 * s->room + 64;
            MTS_TRY(mem_grow(ctx, &s->parts, (size_t)s->count, (size_t)room, sizeof(nfc_part),
                             "parts of code points"));
            s->room = room;
        }
        for (int k = 0; k < n; k++) {
            const int64_t class = bert_unicode_combining_class(codes[k]);
            if (class == 0) {
                order_marks(s, marks);
                marks = s->count + 1;
            }
            s->parts[s->count] = (nfc_part){class << 40 | s->count, codes[k], k > 0};
            s->count++;
        }
    }
    order_marks(s, marks);
cleanup:
    return st;
}

/* The code point that is made of a starter and what follows it; 0: there is none. */
static int32_t compose(int32_t first, int32_t second)
{
    int32_t pair[2] = {first, second}, parts[BERT_UNICODE_MAX_PARTS];
    if (second < first_mark)
        return 0;
    if (utf8proc_normalize_utf32(pair, 2, UTF8PROC_COMPOSE | UTF8PROC_STABLE) != 1)
        return 0;
    /* not one of later Unicode versions */
    return bert_unicode_decompose(pair[0], parts) > 1 ? pair[0] : 0;
}

/* Compose the parts in place; what is left is at the front of the array. */
static void compose_all(nfc_scratch *s)
{
    int64_t kept = 0, starter = -1;
    int last_class = -1; /* of the marks between the starter and the part at hand; -1: none */
    for (int64_t i = 0; i < s->count; i++) {
        const nfc_part part = s->parts[i];
        const int class = class_of(&part);
        if (starter >= 0 && last_class < class) {
            nfc_part *begun = &s->parts[starter];
            const int32_t composed = compose(begun->code, part.code);
            if (composed != 0) {
                begun->code = composed;
                begun->change += part.change - 1;
                continue;
            }
        }
        if (class == 0) {
            starter = kept;
            last_class = -1;
        } else if (starter >= 0) {
            last_class = class;
        }
        s->parts[kept++] = part;
    }
    s->count = kept;
}

mts_status nfc_normalize(mts_ctx *ctx, const bert_char *in, int64_t count, nfc_scratch *scratch,
                         bert_text *out)
{
    mts_status st = MTS_OK;
    int64_t inert = 0, at = 0;
    out->count = 0;
    while (inert < count && in[inert].code < first_mark)
        inert++;
    if (inert == count) {
        for (int64_t i = 0; i < count; i++)
            MTS_TRY(bert_text_push(ctx, out, in[i]));
        return MTS_OK;
    }
    MTS_TRY(decompose(ctx, in, count, scratch));
    compose_all(scratch);
    for (int64_t i = 0; i < scratch->count; i++) {
        const nfc_part *part = &scratch->parts[i];
        bert_char c = part->change <= 0 ? in[at] : in[at > 0 ? at - 1 : 0];
        c.code = part->code;
        at += part->change <= 0 ? 1 - part->change : 0;
        MTS_TRY(bert_text_push(ctx, out, c));
    }
cleanup:
    return st;
}
