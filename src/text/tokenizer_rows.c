/*
 * Rows of token ids: a text or a pair in the class's template, whole or in part.  See tokenizer.h.
 *
 * fill_row makes every row; tokenizer_encode and tokenizer_windows decide which tokens it gets.
 */
#include "text/tokenizer_class.h"

#include "base/memory.h"

/* Far more tokens than any text has, and sums of a few do not overflow. */
#define MANY_TOKENS (INT64_MAX / 4)

mts_status token_list_push(mts_ctx *ctx, token_list *list, text_token token)
{
    mts_status st = MTS_OK;
    if (list->count == list->room) {
        const int64_t room = 2 * list->room + 128;
        MTS_TRY(mem_grow(ctx, &list->tokens, (size_t)list->count, (size_t)room, sizeof(text_token),
                         "tokens of a text"));
        list->room = room;
    }
    list->tokens[list->count++] = token;
cleanup:
    return st;
}

void token_list_deinit(token_list *list)
{
    mem_free(list->tokens);
    *list = (token_list){0};
}

/* Consecutive tokens of a text that go into a row. */
typedef struct token_part {
    const text_token *tokens;
    int64_t count;
} token_part;

static int64_t special_tokens(const row_template *template)
{
    int64_t count = 0;
    for (int64_t i = 0; i < template->count; i++)
        count += template->pieces[i].kind == PIECE_TOKEN;
    return count;
}

static void append(mts_encoding *row, text_token token, int32_t type_id)
{
    row->ids[row->length] = token.id;
    row->type_ids[row->length] = type_id;
    row->begin[row->length] = token.begin;
    row->end[row->length] = token.end;
    row->length++;
}

/* Append parts of the texts in the order of the template.  Returns where b begins in the row. */
static int64_t fill_row(const row_template *template, token_part a, token_part b, mts_encoding *row)
{
    int64_t first_b = 0;
    for (int64_t i = 0; i < template->count; i++) {
        const template_piece *piece = &template->pieces[i];
        const text_token special = {piece->id, 0, 0};
        token_part part = {&special, 1};
        if (piece->kind == PIECE_TEXT_A) {
            part = a;
        } else if (piece->kind == PIECE_TEXT_B) {
            part = b;
            first_b = row->length;
        }
        for (int64_t k = 0; k < part.count; k++)
            append(row, part.tokens[k], piece->type_id);
    }
    return first_b;
}

/* An empty row with room for `length` tokens in arrays[4 * length]. */
static mts_encoding empty_row(int32_t *arrays, size_t length)
{
    return (mts_encoding){0,    arrays, arrays + length, arrays + 2 * length, arrays + 3 * length,
                          false};
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

mts_status tokenizer_encode(mts_ctx *ctx, const tokenizer *tok, const char *text_a,
                            const char *text_b, int64_t max_length, mts_encoding *out)
{
    mts_status st = MTS_OK;
    const bool pair = text_b != NULL;
    const row_template *template = pair ? &tok->pair : &tok->single;
    const int64_t special = special_tokens(template);
    token_list a = {0}, b = {0};
    int64_t kept_a = 0, kept_b = 0, room = MANY_TOKENS;
    size_t length = 0;
    int32_t *arrays = NULL;

    *out = (mts_encoding){0};
    MTS_CHECK(max_length == 0 || max_length >= special, MTS_ERR_ARGUMENT,
              "maximum length %lld leaves no room for %lld special tokens", (long long)max_length,
              (long long)special);
    if (max_length != 0 && max_length < MANY_TOKENS)
        room = max_length - special;
    /* Tokens that truncation drops need not be made, if the longer text stays the longer one. */
    MTS_TRY(tok->class->split(ctx, tok, text_a, pair ? MANY_TOKENS : room + 1, &a));
    if (pair)
        MTS_TRY(tok->class->split(ctx, tok, text_b, (a.count > room ? a.count : room) + 1, &b));
    kept_a = a.count;
    kept_b = b.count;
    truncate_pair(&kept_a, &kept_b, room);
    length = (size_t)(kept_a + kept_b + special);
    MTS_TRY(mem_calloc(ctx, &arrays, length, 4 * sizeof(int32_t), "an encoded text"));
    *out = empty_row(arrays, length);
    fill_row(template, (token_part){a.tokens, kept_a}, (token_part){b.tokens, kept_b}, out);
    out->cut = a.count + b.count > room;
cleanup:
    token_list_deinit(&a);
    token_list_deinit(&b);
    return st;
}

mts_status tokenizer_encode_plain(mts_ctx *ctx, const tokenizer *tok, const char *text,
                                  mts_encoding *out)
{
    static const row_template only = {1, {{PIECE_TEXT_A, 0, 0}}};
    mts_status st = MTS_OK;
    token_list list = {0};
    int32_t *arrays = NULL;
    *out = (mts_encoding){0};
    MTS_TRY(tok->class->split(ctx, tok, text, MANY_TOKENS, &list));
    MTS_TRY(mem_calloc(ctx, &arrays, (size_t)list.count, 4 * sizeof(int32_t), "an encoded text"));
    *out = empty_row(arrays, (size_t)list.count);
    fill_row(&only, (token_part){list.tokens, list.count}, (token_part){NULL, 0}, out);
cleanup:
    token_list_deinit(&list);
    return st;
}

void tokenizer_free_encoding(mts_encoding *encoding)
{
    if (encoding == NULL)
        return;
    mem_free(encoding->ids); /* the other arrays are in the same block */
    *encoding = (mts_encoding){0};
}

/* The rows of all windows: `room` tokens of b in each, the next one `step` tokens later. */
static mts_status make_windows(mts_ctx *ctx, const row_template *template, const token_list *a,
                               const token_list *b, int64_t room, int64_t step, token_windows *out)
{
    mts_status st = MTS_OK;
    const int64_t most = b->count < room ? b->count : room; /* of b in a row */
    const size_t length = (size_t)(special_tokens(template) + a->count + most);
    const int64_t count = 1 + (b->count - most + step - 1) / step;

    MTS_TRY(mem_calloc(ctx, &out->items, (size_t)count, sizeof *out->items, "windows of a text"));
    MTS_TRY(mem_calloc(ctx, &out->arrays, (size_t)count, length * 4 * sizeof(int32_t),
                       "windows of a text"));
    for (; out->count < count; out->count++) {
        token_window *w = &out->items[out->count];
        w->skipped_b = out->count * step;
        w->count_b = b->count - w->skipped_b < most ? b->count - w->skipped_b : most;
        w->row = empty_row(out->arrays + (size_t)out->count * 4 * length, length);
        w->row.cut = count > 1;
        w->first_b = fill_row(
            template, (token_part){a->tokens, a->count},
            (token_part){w->count_b == 0 ? NULL : b->tokens + w->skipped_b, w->count_b}, &w->row);
    }
cleanup:
    return st;
}

mts_status tokenizer_windows(mts_ctx *ctx, const tokenizer *tok, const char *text_a,
                             const char *text_b, int64_t max_length, int64_t overlap,
                             token_windows *out)
{
    mts_status st = MTS_OK;
    const int64_t special = special_tokens(&tok->pair);
    token_list a = {0}, b = {0};
    int64_t room = 0;

    *out = (token_windows){0};
    MTS_CHECK(max_length > 0 && overlap >= 0, MTS_ERR_ARGUMENT,
              "windows of %lld tokens that share %lld: expected more than 0, and at least 0",
              (long long)max_length, (long long)overlap);
    MTS_TRY(tok->class->split(ctx, tok, text_a, MANY_TOKENS, &a));
    MTS_TRY(tok->class->split(ctx, tok, text_b, MANY_TOKENS, &b));
    room = max_length - special - a.count;
    if (b.count <= room) { /* one window, whatever the overlap */
        MTS_TRY(make_windows(ctx, &tok->pair, &a, &b, room, 1, out));
        goto cleanup;
    }
    MTS_CHECK(room > overlap, MTS_ERR_ARGUMENT,
              "maximum length %lld: the first text of %lld tokens leaves room for %lld of the "
              "second; expected more than the overlap of %lld",
              (long long)max_length, (long long)a.count, (long long)(room > 0 ? room : 0),
              (long long)overlap);
    MTS_TRY(make_windows(ctx, &tok->pair, &a, &b, room, room - overlap, out));
cleanup:
    token_list_deinit(&a);
    token_list_deinit(&b);
    return st;
}

void token_windows_deinit(token_windows *windows)
{
    mem_free(windows->items);
    mem_free(windows->arrays);
    *windows = (token_windows){0};
}
