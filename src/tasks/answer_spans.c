/* The search for answers.  See answer_spans.h. */
#include "tasks/answer_spans.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

void answer_search_init(answer_search *s, const answer_rules *rules)
{
    *s = (answer_search){.rules = *rules};
}

void answer_search_deinit(answer_search *s)
{
    mem_free(s->items);
    mem_free(s->starts);
    mem_free(s->ends);
    *s = (answer_search){0};
}

void answer_search_begin(answer_search *s)
{
    s->n = s->order = 0;
    s->has_null = false;
    s->chosen = -1;
    s->null_odds = 0;
}

/* ---------------------------------------------------------------------------- windows ---- */

/* Whether logit a of token i comes before logit b of token k; NaN first. */
static bool is_before(float a, int32_t i, float b, int32_t k)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b) ? i > k : isnan(a);
    return a > b || (a == b && i > k);
}

/* best[n_best]: the tokens of the highest logits, which are 2 apart; returns how many. */
static int64_t best_tokens(const float *logits, int64_t tokens, int64_t n_best, int32_t *best)
{
    int64_t n = 0;
    for (int32_t token = 0; token < tokens; token++) {
        int64_t place = n < n_best ? n++ : n_best;
        while (place > 0 &&
               is_before(logits[2 * token], token, logits[2 * best[place - 1]], best[place - 1])) {
            if (place < n_best)
                best[place] = best[place - 1];
            place--;
        }
        if (place < n_best)
            best[place] = token;
    }
    return n;
}

static mts_status reserve(mts_ctx *ctx, answer_search *s, int64_t more)
{
    mts_status st = MTS_OK;
    const int64_t need = s->n + more, larger = need + need / 2;
    if (need <= s->capacity)
        return MTS_OK;
    MTS_TRY(mem_grow(ctx, &s->items, (size_t)s->n, (size_t)larger, sizeof s->items[0],
                     "candidates for an answer"));
    s->capacity = larger;
cleanup:
    return st;
}

static mts_status reserve_order(mts_ctx *ctx, answer_search *s, int64_t n)
{
    mts_status st = MTS_OK;
    if (n <= s->order_capacity)
        return MTS_OK;
    s->order_capacity = 0;
    MTS_TRY(mem_grow(ctx, &s->starts, 0, (size_t)n, sizeof s->starts[0], "order of tokens"));
    MTS_TRY(mem_grow(ctx, &s->ends, 0, (size_t)n, sizeof s->ends[0], "order of tokens"));
    s->order_capacity = n;
cleanup:
    return st;
}

static bool is_of_context(const answer_window *w, int64_t token)
{
    return token >= w->first && token < w->first + w->count;
}

/* Highest score first, NaN at the front, then the order in which they were found. */
static int compare_candidates(const void *a, const void *b)
{
    const answer_candidate *x = a, *y = b;
    if (isnan(x->score) != isnan(y->score))
        return isnan(x->score) ? -1 : 1;
    if (x->score > y->score || x->score < y->score)
        return x->score > y->score ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

/* Keep the best n_best_size. */
static void keep_best(answer_search *s)
{
    if (s->n > 1)
        qsort(s->items, (size_t)s->n, sizeof s->items[0], compare_candidates);
    if (s->n > s->rules.n_best_size)
        s->n = s->rules.n_best_size;
}

static void update_null(answer_search *s, const float *first)
{
    const float score = first[0] + first[1];
    if (s->has_null && !(s->null.score > score))
        return;
    s->has_null = true;
    s->null = (answer_candidate){.score = score, .start_logit = first[0], .end_logit = first[1]};
}

/* Add all spans that begin at a token. */
static mts_status add_spans(mts_ctx *ctx, answer_search *s, const answer_window *w, int32_t start,
                            int64_t n_ends)
{
    mts_status st = MTS_OK;
    MTS_TRY(
        reserve(ctx, s, n_ends < s->rules.max_answer_length ? n_ends : s->rules.max_answer_length));
    for (int64_t k = 0; k < n_ends; k++) {
        const int32_t end = s->ends[k];
        if (!is_of_context(w, end) || end < start || end - start >= s->rules.max_answer_length)
            continue;
        const float a = w->logits[2 * start], b = w->logits[2 * end + 1];
        s->items[s->n++] = (answer_candidate){.start_logit = a,
                                              .end_logit = b,
                                              .score = a + b,
                                              .begin = w->begin[start - w->first],
                                              .end = w->end[end - w->first],
                                              .order = s->order++};
    }
cleanup:
    return st;
}

mts_status answer_search_window(mts_ctx *ctx, answer_search *s, const answer_window *w)
{
    mts_status st = MTS_OK;
    const int64_t wanted = w->tokens < s->rules.n_best_size ? w->tokens : s->rules.n_best_size;
    int64_t n_starts = 0, n_ends = 0;
    if (w->tokens == 0)
        return MTS_OK;
    MTS_TRY(reserve_order(ctx, s, wanted));
    update_null(s, w->logits);
    n_starts = best_tokens(w->logits, w->tokens, wanted, s->starts);
    n_ends = best_tokens(w->logits + 1, w->tokens, wanted, s->ends);
    for (int64_t i = 0; i < n_starts; i++)
        if (is_of_context(w, s->starts[i]))
            MTS_TRY(add_spans(ctx, s, w, s->starts[i], n_ends));
    keep_best(s); /* those cut now would be cut in the end: few stay in memory */
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------- answer ---- */

void answer_candidate_text(const answer_candidate *c, const char *context, const char **text,
                           size_t *bytes)
{
    static const char made_up[] = "empty";
    if (c == NULL || (!c->made_up && c->end <= c->begin)) {
        *text = "";
        *bytes = 0;
        return;
    }
    *text = c->made_up ? made_up : context + c->begin;
    *bytes = c->made_up ? sizeof made_up - 1 : (size_t)(c->end - c->begin);
}

static bool has_text(const answer_candidate *c)
{
    return c->made_up || c->end > c->begin;
}

/* "No answer" takes part in the sort and is put back behind all where it was cut. */
static mts_status add_null(mts_ctx *ctx, answer_search *s)
{
    mts_status st = MTS_OK;
    MTS_TRY(reserve(ctx, s, 2));
    s->null.order = s->order++;
    s->items[s->n++] = s->null;
    keep_best(s);
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].begin == 0 && s->items[i].end == 0)
            return MTS_OK;
    s->items[s->n++] = s->null;
cleanup:
    return st;
}

/* Where nothing with a text remains: "empty", with logits of 0, in front. */
static mts_status add_made_up(mts_ctx *ctx, answer_search *s)
{
    mts_status st = MTS_OK;
    int64_t texts = 0;
    for (int64_t i = 0; i < s->n; i++)
        texts += has_text(&s->items[i]);
    if (texts > 0 || (!s->rules.negative && s->n > 1))
        return MTS_OK;
    MTS_TRY(reserve(ctx, s, 1));
    memmove(s->items + 1, s->items, (size_t)s->n * sizeof s->items[0]);
    s->items[0] = (answer_candidate){.made_up = true};
    s->n++;
cleanup:
    return st;
}

/* Softmax of the scores; beside a made-up one run_qa.py has doubles, otherwise floats. */
static void set_probabilities(answer_search *s)
{
    const bool doubles = s->items[0].made_up;
    float largest = s->items[0].score;
    double sum = 0;
    for (int64_t i = 1; i < s->n; i++)
        if (s->items[i].score > largest)
            largest = s->items[i].score;
    for (int64_t i = 0; i < s->n; i++) {
        const float below = s->items[i].score - largest;
        s->items[i].probability =
            exp(doubles ? (double)s->items[i].score - (double)largest : (double)below);
        sum += s->items[i].probability;
    }
    for (int64_t i = 0; i < s->n; i++) {
        const double p = s->items[i].probability / sum;
        s->items[i].probability = doubles ? p : (double)(float)p;
    }
}

mts_status answer_search_finish(mts_ctx *ctx, answer_search *s)
{
    mts_status st = MTS_OK;
    if (s->rules.negative && s->has_null)
        MTS_TRY(add_null(ctx, s));
    MTS_TRY(add_made_up(ctx, s));
    set_probabilities(s);
    s->chosen = 0;
    if (s->rules.negative) {
        while (!has_text(&s->items[s->chosen]))
            s->chosen++;
        const answer_candidate *best = &s->items[s->chosen];
        const float odds = s->null.score - best->start_logit - best->end_logit;
        s->null_odds = s->has_null ? (double)odds : 0;
        if (s->has_null && odds > (float)s->rules.null_score_diff_threshold)
            s->chosen = -1;
    }
cleanup:
    return st;
}
