/* Rows of words.  See tokenizer_words.h. */
#include "text/tokenizer_words.h"

#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_class.h"

/* A word with a blank before it; grows. */
typedef struct blank_word {
    char *text;
    size_t room;
} blank_word;

static mts_status set_word(mts_ctx *ctx, blank_word *b, const char *word)
{
    mts_status st = MTS_OK;
    const size_t bytes = strlen(word) + 2;
    if (bytes > b->room) {
        MTS_TRY(mem_grow(ctx, &b->text, b->room, 2 * bytes, 1, "a word"));
        b->room = 2 * bytes;
    }
    b->text[0] = ' ';
    memcpy(b->text + 1, word, bytes - 1);
cleanup:
    return st;
}

/* Append the tokens of the words until there are more than `room`; tokens' `begin` is their word.
 * Counts the words in *out. */
static mts_status split_words(mts_ctx *ctx, const tokenizer *tok, const char *const *words,
                              int64_t n, int64_t room, token_list *list, word_encoding *out)
{
    mts_status st = MTS_OK;
    blank_word b = {0};
    for (int64_t w = 0; w < n && list->count <= room; w++) {
        const int64_t before = list->count;
        if (words[w][0] != '\0') {
            MTS_TRY(set_word(ctx, &b, words[w]));
            MTS_TRY(tok->class->split(ctx, tok, b.text, room + 1 - before, list));
        }
        for (int64_t i = before; i < list->count; i++)
            list->tokens[i].begin = (int32_t)w;
        if (list->count > before && before == room)
            break;
        out->words = w + 1;
        out->without += list->count == before;
    }
cleanup:
    mem_free(b.text);
    return st;
}

static void append(word_encoding *e, int32_t id, int32_t type_id, int32_t word)
{
    e->ids[e->length] = id;
    e->type_ids[e->length] = type_id;
    e->word[e->length] = word;
    e->length++;
}

mts_status tokenizer_encode_words(mts_ctx *ctx, const tokenizer *tok, const char *const *words,
                                  int64_t n, int64_t max_length, word_encoding *out)
{
    mts_status st = MTS_OK;
    const row_template *template = &tok->single;
    token_list list = {0};
    int64_t special = 0, kept;
    size_t length;
    *out = (word_encoding){0};
    for (int64_t i = 0; i < template->count; i++)
        special += template->pieces[i].kind == PIECE_TOKEN;
    MTS_CHECK(max_length >= special, MTS_ERR_ARGUMENT,
              "maximum length %lld leaves no room for %lld special tokens", (long long)max_length,
              (long long)special);
    MTS_CHECK(n <= INT32_MAX, MTS_ERR_ARGUMENT, "a sentence of %lld words, at most %d are read",
              (long long)n, INT32_MAX);
    MTS_TRY(split_words(ctx, tok, words, n, max_length - special, &list, out));
    kept = list.count < max_length - special ? list.count : max_length - special;
    length = (size_t)(kept + special);
    MTS_TRY(mem_calloc(ctx, &out->ids, length, 3 * sizeof(int32_t), "an encoded sentence"));
    out->type_ids = out->ids + length;
    out->word = out->ids + 2 * length;
    for (int64_t i = 0; i < template->count; i++) {
        const template_piece *piece = &template->pieces[i];
        if (piece->kind == PIECE_TOKEN)
            append(out, piece->id, piece->type_id, -1);
        for (int64_t k = 0; k < kept && piece->kind == PIECE_TEXT_A; k++)
            append(out, list.tokens[k].id, piece->type_id, list.tokens[k].begin);
    }
cleanup:
    token_list_deinit(&list);
    return st;
}

void word_encoding_deinit(word_encoding *e)
{
    mem_free(e->ids); /* the other arrays are in the same block */
    *e = (word_encoding){0};
}
