/* Encoding any texts.  See use_tokenizer.h. */
#include "fuzz/use_tokenizer.h"

#include <string.h>

#include "fuzz/fuzz_target.h"
#include "text/tokenizer_class.h"

/* What the pieces of a template need at least: its special tokens. */
static int64_t special_tokens(const row_template *row)
{
    int64_t n = 0;
    for (int64_t i = 0; i < row->count; i++)
        n += row->pieces[i].kind == PIECE_TOKEN;
    return n;
}

static void require_sound(const tokenizer *tok, const row_template *row, const mts_encoding *e,
                          const char *a, const char *b)
{
    const size_t longest = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
    const template_piece *first = &row->pieces[0], *last = &row->pieces[row->count - 1];
    FUZZ_REQUIRE(e->length >= special_tokens(row));
    if (first->kind == PIECE_TOKEN)
        FUZZ_REQUIRE(e->ids[0] == first->id);
    if (last->kind == PIECE_TOKEN)
        FUZZ_REQUIRE(e->ids[e->length - 1] == last->id);
    for (int64_t i = 0; i < e->length; i++) {
        FUZZ_REQUIRE(e->ids[i] >= 0 && e->ids[i] < tokenizer_vocab_size(tok));
        FUZZ_REQUIRE(tokenizer_token(tok, e->ids[i]) != NULL);
        FUZZ_REQUIRE(e->type_ids[i] == 0 || e->type_ids[i] == 1);
        FUZZ_REQUIRE(e->begin[i] >= 0 && e->begin[i] <= e->end[i]);
        FUZZ_REQUIRE((size_t)e->end[i] <= longest);
    }
}

/* The length of the row. */
static int64_t encode(const tokenizer *tok, const char *a, const char *b, int64_t max_length)
{
    mts_encoding e = {0};
    FUZZ_REQUIRE(tokenizer_encode(&fuzz_ctx, tok, a, b, max_length, &e) == MTS_OK);
    FUZZ_REQUIRE(max_length == 0 || e.length <= max_length);
    FUZZ_REQUIRE(max_length > 0 || !e.cut);
    require_sound(tok, b == NULL ? &tok->single : &tok->pair, &e, a, b == NULL ? "" : b);
    const int64_t length = e.length;
    tokenizer_free_encoding(&e);
    return length;
}

/* Each window has all that is before b, and a part of b as it is in the row of everything. */
static void require_parts(const token_windows *w, const mts_encoding *whole)
{
    const size_t one = sizeof(int32_t);
    for (int64_t k = 0; k < w->count; k++) {
        const token_window *item = &w->items[k];
        const int64_t first = item->first_b, from = first + item->skipped_b;
        FUZZ_REQUIRE(from + item->count_b <= whole->length);
        FUZZ_REQUIRE(memcmp(item->row.ids, whole->ids, (size_t)first * one) == 0);
        FUZZ_REQUIRE(
            memcmp(item->row.ids + first, whole->ids + from, (size_t)item->count_b * one) == 0);
        FUZZ_REQUIRE(
            memcmp(item->row.end + first, whole->end + from, (size_t)item->count_b * one) == 0);
        const int64_t behind = item->row.length - first - item->count_b;
        FUZZ_REQUIRE((k + 1 == w->count) == (from + item->count_b + behind == whole->length));
    }
}

static void require_windows(const tokenizer *tok, const token_windows *w, const char *a,
                            const char *b, int64_t overlap)
{
    FUZZ_REQUIRE(w->count >= 1 && w->items[0].skipped_b == 0);
    for (int64_t k = 0; k < w->count; k++) {
        const token_window *item = &w->items[k];
        require_sound(tok, &tok->pair, &item->row, a, b);
        FUZZ_REQUIRE(item->first_b >= 0 && item->count_b >= 0);
        FUZZ_REQUIRE(item->first_b + item->count_b <= item->row.length);
        FUZZ_REQUIRE(item->row.cut == (w->count > 1));
        if (k > 0)
            FUZZ_REQUIRE(item->skipped_b == item[-1].skipped_b + item[-1].count_b - overlap);
        for (int64_t i = item->first_b; i < item->first_b + item->count_b; i++)
            FUZZ_REQUIRE((size_t)item->row.end[i] <= strlen(b));
    }
}

static void encode_windows(const tokenizer *tok, const char *a, const char *b, int64_t max_length,
                           int64_t overlap)
{
    static const mts_status allowed[] = {MTS_ERR_ARGUMENT, MTS_OK};
    mts_encoding whole = {0};
    token_windows w;
    FUZZ_REQUIRE(tokenizer_encode(&fuzz_ctx, tok, a, b, 0, &whole) == MTS_OK);
    const mts_status st = tokenizer_windows(&fuzz_ctx, tok, a, b, max_length, overlap, &w);
    if (st == MTS_OK) {
        require_windows(tok, &w, a, b, overlap);
        require_parts(&w, &whole);
        for (int64_t k = 0; k < w.count; k++)
            FUZZ_REQUIRE(w.items[k].row.length <= max_length);
    } else {
        FUZZ_REQUIRE(whole.length > max_length);
        fuzz_require_error(st, allowed);
    }
    token_windows_deinit(&w);
    tokenizer_free_encoding(&whole);
}

void use_tokenizer(const tokenizer *tok, const char *a, const char *b)
{
    const int64_t room = special_tokens(&tok->pair) + (int64_t)strlen(a) % 16;
    const int64_t single = encode(tok, a, NULL, 0), pair = encode(tok, a, b, 0);
    FUZZ_REQUIRE(encode(tok, a, NULL, single) == single);
    FUZZ_REQUIRE(encode(tok, a, b, pair) == pair);
    if (room > 0)
        FUZZ_REQUIRE(encode(tok, a, b, room) == (pair < room ? pair : room));
    encode_windows(tok, a, b, room + 4, (int64_t)strlen(b) % 4);
    if (pair > 0) /* a tokenizer without special tokens, and two empty texts: no length is 0 */
        encode_windows(tok, a, b, pair, 0);
}
