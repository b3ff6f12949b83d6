/* Answers to questions in memory.  See text_answers.h. */
#include "tasks/text_answers.h"

#include <string.h>

#include "base/memory.h"
#include "options/options.h"

enum { OUTPUTS = 2 }; /* of each token: begin and end */

answer_rules text_answers_rules(const mts_options *o)
{
    return (answer_rules){.n_best_size = o->n_best_size,
                          .max_answer_length = o->max_answer_length,
                          .negative = options_expects_no_answer(o),
                          .null_score_diff_threshold = o->null_score_diff_threshold};
}

mts_status text_answers_encode(mts_ctx *ctx, text_answers *a, const char *const *questions,
                               const char *const *paragraphs, int64_t n,
                               const window_options *options)
{
    mts_status st = MTS_OK;
    const question_list list = {.n = n, .questions = questions, .contexts = paragraphs};
    text_answers_deinit(a);
    for (int64_t i = 0; i < n; i++)
        MTS_CHECK(strlen(paragraphs[i]) <= INT32_MAX, MTS_ERR_ARGUMENT,
                  "question %lld: its paragraph has more than 2 GiB", (long long)i + 1);
    MTS_TRY(question_windows_build(ctx, &list, options, &a->rows, &a->windows));
    MTS_TRY(mem_calloc(ctx, &a->logits, (size_t)a->rows.offsets[a->rows.n], OUTPUTS * sizeof(float),
                       "outputs of all windows"));
    MTS_TRY(mem_calloc(ctx, &a->answers, (size_t)n, sizeof a->answers[0], "answers"));
    a->n = n;
cleanup:
    return st;
}

/* The chosen one of a finished search, or that for "no answer"; NULL: there is none. */
static const answer_candidate *chosen(const answer_search *s)
{
    if (s->chosen >= 0)
        return s->items[s->chosen].made_up ? NULL : &s->items[s->chosen];
    for (int64_t i = 0; i < s->n; i++)
        if (s->items[i].begin == s->items[i].end && !s->items[i].made_up)
            return &s->items[i];
    return NULL;
}

/* The texts of all answers, each with a NUL behind. */
static mts_status copy_texts(mts_ctx *ctx, text_answers *a, const char *const *paragraphs)
{
    mts_status st = MTS_OK;
    size_t bytes = 0;
    char *to;
    for (int64_t i = 0; i < a->n; i++)
        bytes += (size_t)(a->answers[i].end - a->answers[i].begin) + 1;
    MTS_TRY(mem_calloc(ctx, &a->storage, bytes, 1, "answers"));
    to = a->storage;
    for (int64_t i = 0; i < a->n; i++) {
        mts_answer *answer = &a->answers[i];
        const size_t n = (size_t)(answer->end - answer->begin);
        memcpy(to, paragraphs[i] + answer->begin, n);
        answer->text = to;
        to += n + 1;
    }
cleanup:
    return st;
}

mts_status text_answers_find(mts_ctx *ctx, text_answers *a, const char *const *paragraphs,
                             const answer_rules *rules)
{
    mts_status st = MTS_OK;
    answer_search search;
    answer_search_init(&search, rules);
    for (int64_t i = 0; i < a->n; i++) {
        MTS_TRY(question_windows_search(ctx, &a->windows, &a->rows, a->logits, i, &search));
        const answer_candidate *found = chosen(&search);
        a->answers[i] = (mts_answer){.null_odds = rules->negative ? search.null_odds : 0};
        if (found != NULL) {
            a->answers[i].begin = found->begin;
            a->answers[i].end = found->end;
            a->answers[i].score = found->probability;
        }
    }
    MTS_TRY(copy_texts(ctx, a, paragraphs));
cleanup:
    answer_search_deinit(&search);
    return st;
}

void text_answers_deinit(text_answers *a)
{
    encoded_dataset_deinit(&a->rows);
    question_windows_deinit(&a->windows);
    mem_free(a->logits);
    mem_free(a->answers);
    mem_free(a->storage);
    *a = (text_answers){0};
}
