/* Generated answers.  See generate_answers.h. */
#include "train/generate_answers.h"

#include <string.h>

#include "base/json_util.h"
#include "tasks/number_answer.h"
#include "text/text_stream.h"
#include "train/generate.h"

typedef struct answers {
    run *r;
    token_sampler sampler;
    stop_tokens stops;
    int64_t rows, all;    /* done, of all sets */
    int64_t count, right; /* rows with a number; whose answer has it, too */
} answers;

/* The number in the text of ids[n]. */
static mts_status number_of(const answers *a, const int32_t *ids, int64_t n,
                            char out[NUMBER_ANSWER_BYTES], bool *found, bool *whole)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    size_t bytes = 0;
    MTS_TRY(text_of_tokens(a->r->ctx, a->r->tokenizer, ids, n, &text, &bytes));
    *found = number_answer_find(text, bytes, out, whole);
cleanup:
    mem_free(text);
    return st;
}

/* Tell how far it came. */
static mts_status report(const answers *a)
{
    const mts_event event = {
        .kind = MTS_EVENT_PROGRESS, .text = "generating answers", .done = a->rows, .total = a->all};
    return run_emit(a->r, &event)
               ? MTS_OK
               : status_set(a->r->ctx, MTS_ERR_INTERRUPTED, "generation was interrupted");
}

/* Nothing behind the number changes it. */
static mts_status stop_behind_number(void *user, const generation *g, bool *go_on)
{
    mts_status st = MTS_OK;
    char number[NUMBER_ANSWER_BYTES];
    bool found = false, whole = false;
    MTS_TRY(report(user));
    MTS_TRY(number_of(user, g->ids + g->prompt, g->count - g->prompt, number, &found, &whole));
    *go_on = *go_on && !whole;
cleanup:
    return st;
}

/* Whether the answer that is generated behind ids[n] has the number `wanted`. */
static mts_status answer_is(answers *a, const int32_t *ids, int64_t n, const char *wanted,
                            bool *right)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = a->r->ctx;
    const int64_t positions = a->r->net->cfg.max_position_embeddings;
    const int64_t most = a->r->o->max_new_tokens;
    generation g = {0};
    char number[NUMBER_ANSWER_BYTES];
    bool found = false, whole;
    const generate_job job = {.net = a->r->net,
                              .sampler = &a->sampler,
                              .stops = &a->stops,
                              .max_new_tokens = most,
                              .on_token = stop_behind_number,
                              .user = a};
    MTS_TRY(generation_init(ctx, &g, ids, n, most < positions ? most : positions));
    MTS_TRY(generate_tokens(ctx, &job, &g));
    MTS_TRY(number_of(a, g.ids + n, g.count - n, number, &found, &whole));
    *right = found && strcmp(number, wanted) == 0;
cleanup:
    generation_deinit(&g);
    return st;
}

/* The last run of targets of target[n]: tokens [*begin, *end), each of which has one. */
static void last_answer(const int32_t *target, int64_t n, int64_t *begin, int64_t *end)
{
    *end = n;
    while (*end > 0 && target[*end - 1] < 0)
        --*end;
    *begin = *end;
    while (*begin > 0 && target[*begin - 1] >= 0)
        --*begin;
}

static mts_status score_row(answers *a, const encoded_dataset *rows, int64_t row)
{
    mts_status st = MTS_OK;
    const int64_t first = rows->offsets[row];
    const int32_t *target = rows->targets.index + first;
    char wanted[NUMBER_ANSWER_BYTES];
    int64_t begin, end;
    bool found = false, whole, right = false;
    last_answer(target, rows->offsets[row + 1] - first, &begin, &end);
    MTS_TRY(number_of(a, target + begin, end - begin, wanted, &found, &whole));
    if (!found)
        return MTS_OK;
    MTS_TRY(answer_is(a, rows->ids + first, begin + 1, wanted, &right));
    a->count++;
    a->right += right;
cleanup:
    if (st != MTS_OK)
        status_prefix(a->r->ctx, "row %lld", (long long)row + 1);
    return st;
}

static mts_status score_rows(answers *a, const encoded_dataset *rows)
{
    mts_status st = MTS_OK;
    for (int64_t i = 0; i < rows->n; i++) {
        MTS_TRY(score_row(a, rows, i));
        a->rows++;
        MTS_TRY(report(a));
    }
cleanup:
    return st;
}

mts_status generate_answers_check(const run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    MTS_CHECK(network_generates(r->net), MTS_ERR_UNSUPPORTED,
              "option --generate_answers: expected a language model, found one for %s",
              r->task->head);
cleanup:
    return st;
}

mts_status generate_answers_score(run *r, json_t *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const sampling_rules greedy = {.top_p = 1.0, .repetition_penalty = 1.0};
    answers a = {.r = r};
    MTS_TRY(token_sampler_init(ctx, &a.sampler, &greedy, r->net->cfg.vocab_size, r->net->ex.fk));
    MTS_TRY(stop_tokens_read(ctx, &a.stops, r->origin.model_dir, &r->net->cfg));
    for (int64_t i = 0; i < r->data.eval_sets; i++)
        a.all += r->data.eval[i].n;
    for (int64_t i = 0; i < r->data.eval_sets; i++)
        MTS_TRY(score_rows(&a, &r->data.eval[i]));
    MTS_CHECK(a.count > 0, MTS_ERR_BAD_FILE,
              "option --generate_answers: expected answers with #### and a number, found none in "
              "%lld rows of at most %lld tokens",
              (long long)a.all, (long long)r->max_seq_length);
    MTS_TRY(task_put_number(ctx, out, "eval_exact_match", (double)a.right / (double)a.count));
    MTS_TRY(json_util_set(ctx, out, "eval_answers", json_integer(a.count)));
cleanup:
    stop_tokens_deinit(&a.stops);
    token_sampler_deinit(&a.sampler);
    return st;
}
