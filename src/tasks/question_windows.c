/*
 * Windows of questions.  See question_windows.h.
 *
 * Questions go in blocks: the threads encode those of a block in any order, then one thread appends
 * their windows in order, so that the result has no trace of the threads.
 */
#include "tasks/question_windows.h"

#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "text/python_text.h"

enum { BLOCK_QUESTIONS = 256, FIRST_ROWS = 256 };

/* What is being built. */
typedef struct builder {
    const question_list *list;
    const window_options *options;
    encoded_dataset *rows;
    question_windows *out;              /* may be NULL */
    int64_t row_capacity;               /* of arrays with one element for each row */
    int64_t token_capacity;             /* likewise for each token */
    int32_t *target_begin, *target_end; /* [row_capacity], if there are answers */
    token_windows *block;               /* [BLOCK_QUESTIONS] */
    int64_t failed;                     /* the lowest question that failed; INT64_MAX: none */
    mts_status failure;
    mts_ctx failed_context; /* its text */
} builder;

/* ---------------------------------------------------------------------------- encoding ---- */

/* Encode question first + i; on failure keep it if it is the lowest so far.  In any thread. */
static void encode_question(builder *b, mts_ctx *own, int64_t first, int64_t i)
{
    const int64_t question = first + i;
    const window_options *o = b->options;
    const mts_status st =
        tokenizer_windows(own, o->tokenizer, python_lstrip(b->list->questions[question]),
                          b->list->contexts[question], o->max_length, o->overlap, &b->block[i]);
    if (st == MTS_OK)
        return;
#pragma omp critical(mts_question_windows_failure)
    {
        if (question < b->failed) {
            b->failed = question;
            b->failure = st;
            b->failed_context = *own;
        }
    }
}

static mts_status encode_block(mts_ctx *ctx, builder *b, int64_t first, int64_t n)
{
    char quoted[UTF8_QUOTE_BYTES];
    memset(b->block, 0, (size_t)n * sizeof b->block[0]);
#pragma omp parallel num_threads(b->options->threads)
    {
        mts_ctx own = {{0}};
#pragma omp for schedule(dynamic, 8)
        for (int64_t i = 0; i < n; i++)
            encode_question(b, &own, first, i);
    }
    if (b->failed == INT64_MAX)
        return MTS_OK;
    const char *id = b->list->ids == NULL ? NULL : b->list->ids[b->failed];
    return status_set(ctx, b->failure, "question %lld%s%s: %s", (long long)b->failed + 1,
                      id == NULL ? "" : ", id ",
                      id == NULL ? "" : utf8_quote(quoted, sizeof quoted, id),
                      b->failed_context.error);
}

/* ---------------------------------------------------------------------------- targets ---- */

/* Whether window w holds all of an answer, which may be NULL. */
static bool holds(const token_window *w, const squad_answer *a)
{
    const int64_t last = w->first_b + w->count_b - 1;
    return a != NULL && a->begin != SQUAD_OUTSIDE && w->count_b > 0 &&
           w->row.begin[w->first_b] <= a->begin && w->row.end[last] >= a->end;
}

static void set_target(const token_window *w, const squad_answer *a, int32_t *begin, int32_t *end)
{
    const int64_t first = w->first_b, behind = first + w->count_b;
    int64_t b = first, e = behind - 1;
    *begin = *end = 0;
    if (!holds(w, a))
        return;
    while (b + 1 < behind && w->row.begin[b + 1] <= a->begin)
        b++;
    while (e > first && w->row.end[e - 1] >= a->end)
        e--;
    *begin = (int32_t)b;
    *end = (int32_t)e;
}

/* --------------------------------------------------------------------------- appending ---- */

static mts_status grow_rows(mts_ctx *ctx, builder *b, int64_t more)
{
    mts_status st = MTS_OK;
    const size_t n = (size_t)b->rows->n;
    if (b->rows->n + more <= b->row_capacity)
        return MTS_OK;
    const size_t capacity = (n + (size_t)more) * 3 / 2 + FIRST_ROWS;
    MTS_TRY(mem_grow(ctx, &b->rows->offsets, n + 1, capacity + 1, sizeof(int64_t), "row offsets"));
    if (b->list->answers != NULL) {
        MTS_TRY(mem_grow(ctx, &b->target_begin, n, capacity, sizeof(int32_t), "answers' places"));
        MTS_TRY(mem_grow(ctx, &b->target_end, n, capacity, sizeof(int32_t), "answers' places"));
    }
    if (b->out != NULL) {
        MTS_TRY(mem_grow(ctx, &b->out->first, n, capacity, sizeof(int32_t), "windows"));
        MTS_TRY(mem_grow(ctx, &b->out->count, n, capacity, sizeof(int32_t), "windows"));
    }
    b->row_capacity = (int64_t)capacity;
cleanup:
    return st;
}

static mts_status grow_tokens(mts_ctx *ctx, builder *b, int64_t more)
{
    mts_status st = MTS_OK;
    const int64_t used = b->rows->offsets[b->rows->n];
    const size_t n = (size_t)used;
    if (used + more <= b->token_capacity)
        return MTS_OK;
    const size_t capacity = (n + (size_t)more) * 3 / 2;
    MTS_TRY(mem_grow(ctx, &b->rows->ids, n, capacity, sizeof(int32_t), "token ids"));
    MTS_TRY(mem_grow(ctx, &b->rows->type_ids, n, capacity, sizeof(int32_t), "token types"));
    if (b->out != NULL) {
        MTS_TRY(mem_grow(ctx, &b->out->begin, n, capacity, sizeof(int32_t), "places of tokens"));
        MTS_TRY(mem_grow(ctx, &b->out->end, n, capacity, sizeof(int32_t), "places of tokens"));
    }
    b->token_capacity = (int64_t)capacity;
cleanup:
    return st;
}

/* Append a window as the next row; there is room. */
static void append_window(builder *b, const token_window *w, const squad_answer *answer)
{
    encoded_dataset *rows = b->rows;
    const int64_t row = rows->n++, at = rows->offsets[row], length = w->row.length;
    const size_t bytes = (size_t)length * sizeof(int32_t);
    memcpy(rows->ids + at, w->row.ids, bytes);
    memcpy(rows->type_ids + at, w->row.type_ids, bytes);
    rows->offsets[row + 1] = at + length;
    if (length > rows->max_len)
        rows->max_len = length;
    if (b->list->answers != NULL)
        set_target(w, answer, &b->target_begin[row], &b->target_end[row]);
    if (b->out == NULL)
        return;
    const size_t of_b = (size_t)w->count_b * sizeof(int32_t);
    b->out->first[row] = (int32_t)w->first_b;
    b->out->count[row] = (int32_t)w->count_b;
    memset(b->out->begin + at, 0, bytes);
    memset(b->out->end + at, 0, bytes);
    memcpy(b->out->begin + at + w->first_b, w->row.begin + w->first_b, of_b);
    memcpy(b->out->end + at + w->first_b, w->row.end + w->first_b, of_b);
}

/* Append all windows of a question and free them. */
static mts_status append_question(mts_ctx *ctx, builder *b, int64_t question,
                                  token_windows *windows)
{
    mts_status st = MTS_OK;
    const squad_answer *answer = b->list->answers == NULL ? NULL : b->list->answers[question];
    int64_t tokens = 0;
    for (int64_t i = 0; i < windows->count; i++)
        tokens += windows->items[i].row.length;
    MTS_TRY(grow_rows(ctx, b, windows->count));
    MTS_TRY(grow_tokens(ctx, b, tokens));
    for (int64_t i = 0; i < windows->count; i++)
        append_window(b, &windows->items[i], answer);
    if (b->out != NULL)
        b->out->first_row[question + 1] = b->rows->n;
    token_windows_deinit(windows);
cleanup:
    return st;
}

/* --------------------------------------------------------------------------- building ---- */

static mts_status begin_building(mts_ctx *ctx, builder *b)
{
    mts_status st = MTS_OK;
    *b->rows = (encoded_dataset){0};
    MTS_TRY(mem_calloc(ctx, &b->rows->offsets, 1, sizeof(int64_t), "row offsets"));
    MTS_TRY(mem_calloc(ctx, &b->block, BLOCK_QUESTIONS, sizeof b->block[0], "windows"));
    if (b->out != NULL) {
        *b->out = (question_windows){.n = b->list->n};
        MTS_TRY(mem_calloc(ctx, &b->out->first_row, (size_t)b->list->n + 1, sizeof(int64_t),
                           "windows"));
    }
cleanup:
    return st;
}

/* Hand the targets over. */
static mts_status set_targets(mts_ctx *ctx, builder *b)
{
    mts_status st = MTS_OK;
    targets *t = &b->rows->targets;
    const size_t bytes = (size_t)b->rows->n * sizeof(int32_t);
    if (b->list->answers == NULL || b->rows->n == 0)
        return MTS_OK;
    MTS_TRY(targets_init(ctx, t, TARGET_SPAN, 0, b->rows->n, b->rows->offsets[b->rows->n]));
    memcpy(t->begin, b->target_begin, bytes);
    memcpy(t->end, b->target_end, bytes);
cleanup:
    return st;
}

mts_status question_windows_build(mts_ctx *ctx, const question_list *list,
                                  const window_options *options, encoded_dataset *rows,
                                  question_windows *out)
{
    mts_status st = MTS_OK;
    int64_t n = 0;
    builder b = {.list = list, .options = options, .rows = rows, .out = out, .failed = INT64_MAX};
    MTS_TRY(begin_building(ctx, &b));
    MTS_CHECK(options->overlap < options->max_length, MTS_ERR_ARGUMENT,
              "option --doc_stride: expected less than --max_seq_length %lld, found %lld",
              (long long)options->max_length, (long long)options->overlap);
    for (int64_t first = 0; first < list->n; first += n) {
        n = list->n - first < BLOCK_QUESTIONS ? list->n - first : BLOCK_QUESTIONS;
        MTS_TRY(encode_block(ctx, &b, first, n));
        for (int64_t i = 0; i < n; i++)
            MTS_TRY(append_question(ctx, &b, first + i, &b.block[i]));
        MTS_CHECK(options->progress == NULL || options->progress(options->user, first + n, list->n),
                  MTS_ERR_INTERRUPTED,
                  "tokenizing: stopped by the caller after %lld of %lld questions",
                  (long long)(first + n), (long long)list->n);
    }
    MTS_TRY(set_targets(ctx, &b));
cleanup:
    for (int64_t i = 0; i < BLOCK_QUESTIONS && b.block != NULL; i++)
        token_windows_deinit(&b.block[i]);
    mem_free(b.block);
    mem_free(b.target_begin);
    mem_free(b.target_end);
    return st;
}

void question_windows_deinit(question_windows *w)
{
    mem_free(w->first_row);
    mem_free(w->first);
    mem_free(w->count);
    mem_free(w->begin);
    mem_free(w->end);
    *w = (question_windows){0};
}

mts_status question_windows_search(mts_ctx *ctx, const question_windows *w,
                                   const encoded_dataset *rows, const float *logits, int64_t i,
                                   answer_search *search)
{
    mts_status st = MTS_OK;
    answer_search_begin(search);
    for (int64_t row = w->first_row[i]; row < w->first_row[i + 1]; row++) {
        const int64_t at = rows->offsets[row], context = at + w->first[row];
        const answer_window window = {.logits = logits + 2 * at,
                                      .tokens = rows->offsets[row + 1] - at,
                                      .first = w->first[row],
                                      .count = w->count[row],
                                      .begin = w->begin + context,
                                      .end = w->end + context};
        MTS_TRY(answer_search_window(ctx, search, &window));
    }
    MTS_TRY(answer_search_finish(ctx, search));
cleanup:
    return st;
}
