/* Sentences to rows.  See word_rows.h. */
#include "tasks/word_rows.h"

#include <string.h>

#include "base/memory.h"
#include "text/tokenizer_words.h"

enum { FIRST_ROWS = 256, FIRST_TOKENS = 4096, PROGRESS_ROWS = 64 };

/* What is being built. */
typedef struct builder {
    mts_ctx *ctx;
    const word_sentences *from;
    encoded_dataset *rows;
    word_rows *out;
    int32_t *target; /* [token_room], if there are tags */
} builder;

static mts_status reserve(builder *b, int64_t more)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = b->ctx;
    encoded_dataset *e = b->rows;
    word_rows *w = b->out;
    const size_t n = (size_t)e->n, used = (size_t)e->offsets[e->n];
    if (e->n + 1 > w->row_room) {
        const size_t room = 2 * n + FIRST_ROWS;
        MTS_TRY(mem_grow(ctx, &e->offsets, n + 1, room + 1, sizeof e->offsets[0], "row offsets"));
        MTS_TRY(mem_grow(ctx, &w->words, n, room, sizeof w->words[0], "words of rows"));
        w->row_room = (int64_t)room;
    }
    if ((int64_t)used + more > w->token_room) {
        const size_t room = 2 * (used + (size_t)more) + FIRST_TOKENS;
        MTS_TRY(mem_grow(ctx, &e->ids, used, room, sizeof e->ids[0], "token ids"));
        MTS_TRY(mem_grow(ctx, &e->type_ids, used, room, sizeof e->type_ids[0], "token types"));
        MTS_TRY(mem_grow(ctx, &w->word, used, room, sizeof w->word[0], "words of tokens"));
        if (b->from->tags != NULL)
            MTS_TRY(mem_grow(ctx, &b->target, used, room, sizeof b->target[0], "targets"));
        w->token_room = (int64_t)room;
    }
cleanup:
    return st;
}

/* Targets of a row's tokens, and which of them are the first of a word.  Returns how many targets
 * there are. */
static int64_t set_tokens(builder *b, const word_encoding *row, int64_t sentence)
{
    const word_sentences *s = b->from;
    const int64_t at = b->rows->offsets[b->rows->n];
    int64_t count = 0;
    for (int64_t t = 0; t < row->length; t++) {
        const int32_t word = row->word[t];
        const bool first = word >= 0 && (t == 0 || row->word[t - 1] != word);
        b->out->word[at + t] = first ? word : -1;
        if (s->tags == NULL)
            continue;
        int32_t target = TARGET_IGNORED;
        if (word >= 0) {
            const int32_t tag = s->tags[s->first[sentence] + word];
            target = first ? tag : s->continued != NULL ? s->continued[tag] : TARGET_IGNORED;
        }
        b->target[at + t] = target;
        count += target != TARGET_IGNORED;
    }
    return count;
}

static mts_status add_row(builder *b, const word_encoding *row, int64_t sentence)
{
    mts_status st = MTS_OK;
    encoded_dataset *e = b->rows;
    word_rows *w = b->out;
    const int64_t words = b->from->first[sentence + 1] - b->from->first[sentence];
    int64_t at;
    MTS_TRY(reserve(b, row->length));
    if (set_tokens(b, row, sentence) == 0 && b->from->leave_out) {
        w->left_out++;
        return MTS_OK;
    }
    at = e->offsets[e->n];
    memcpy(e->ids + at, row->ids, (size_t)row->length * sizeof e->ids[0]);
    memcpy(e->type_ids + at, row->type_ids, (size_t)row->length * sizeof e->type_ids[0]);
    w->words[e->n] = row->words;
    w->cut += words - row->words;
    w->without += row->without;
    e->cut += words > row->words;
    e->max_len = row->length > e->max_len ? row->length : e->max_len;
    e->offsets[++e->n] = at + row->length;
cleanup:
    return st;
}

static mts_status encode_sentence(builder *b, const word_options *o, int64_t i)
{
    mts_status st = MTS_OK;
    const word_sentences *s = b->from;
    word_encoding row = {0};
    st = tokenizer_encode_words(b->ctx, o->tokenizer, s->words + s->first[i],
                                s->first[i + 1] - s->first[i], o->max_length, &row);
    if (st != MTS_OK && st != MTS_ERR_MEMORY)
        status_prefix(b->ctx, "sentence %lld", (long long)i + 1);
    if (st == MTS_OK)
        st = add_row(b, &row, i);
    word_encoding_deinit(&row);
    return st;
}

mts_status word_rows_build(mts_ctx *ctx, const word_sentences *s, const word_options *o,
                           encoded_dataset *rows, word_rows *out)
{
    mts_status st = MTS_OK;
    builder b = {.ctx = ctx, .from = s, .rows = rows, .out = out};
    *rows = (encoded_dataset){0};
    *out = (word_rows){0};
    MTS_TRY(mem_calloc(ctx, &rows->offsets, 1, sizeof rows->offsets[0], "row offsets"));
    MTS_TRY(reserve(&b, 0));
    for (int64_t i = 0; i < s->n; i++) {
        MTS_TRY(encode_sentence(&b, o, i));
        if ((i + 1) % PROGRESS_ROWS == 0 || i + 1 == s->n)
            MTS_CHECK(o->progress == NULL || o->progress(o->user, i + 1, s->n), MTS_ERR_INTERRUPTED,
                      "tokenizing: stopped by the caller after %lld of %lld "
                      "sentences",
                      (long long)i + 1, (long long)s->n);
    }
    if (s->tags != NULL)
        rows->targets = (targets){.kind = TARGET_TAGS, .index = b.target};
    b.target = NULL;
cleanup:
    mem_free(b.target);
    return st;
}

void word_rows_deinit(word_rows *w)
{
    mem_free(w->word);
    mem_free(w->words);
    *w = (word_rows){0};
}
