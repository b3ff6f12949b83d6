/* EM and F1 of answers.  See answer_metrics.h. */
#include "tasks/answer_metrics.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "tasks/answer_text.h"
#include "tasks/task.h"

enum { KEY_BYTES = 64 };

/* Which questions a sum is over. */
typedef enum subset { ALL, HAS_ANSWER, NO_ANSWER } subset;

static double exact_of(const answer_score *s)
{
    return s->exact;
}

static double f1_of(const answer_score *s)
{
    return s->f1;
}

typedef double score_fn(const answer_score *s);

mts_status answer_metrics_init(mts_ctx *ctx, answer_metrics *m, bool negative, int64_t capacity)
{
    *m = (answer_metrics){.negative = negative, .capacity = capacity};
    return mem_calloc(ctx, &m->scores, (size_t)capacity, sizeof m->scores[0], "answer scores");
}

void answer_metrics_deinit(answer_metrics *m)
{
    mem_free(m->scores);
    *m = (answer_metrics){0};
}

const char *answer_metrics_name(bool negative, int64_t i)
{
    static const char *const plain[] = {"exact_match", "f1", NULL};
    static const char *const with_negative[] = {"exact",
                                                "f1",
                                                "total",
                                                "HasAns_exact",
                                                "HasAns_f1",
                                                "HasAns_total",
                                                "NoAns_exact",
                                                "NoAns_f1",
                                                "NoAns_total",
                                                "best_exact",
                                                "best_exact_thresh",
                                                "best_f1",
                                                "best_f1_thresh",
                                                NULL};
    return negative ? with_negative[i] : plain[i];
}

/* -------------------------------------------------------------------------- one question ---- */

/* Raise s by what a prediction is worth beside one answer. */
static void compare(const answer_text *prediction, const answer_text *answer, bool negative,
                    answer_score *s)
{
    const double exact = answer_text_exact(prediction, answer) ? 1 : 0;
    double f1 = answer_text_f1(prediction, answer);
    if (negative && (prediction->n == 0 || answer->n == 0)) /* nothing beside nothing is right */
        f1 = prediction->n == answer->n ? 1 : 0;
    if (exact > s->exact)
        s->exact = exact;
    if (f1 > s->f1)
        s->f1 = f1;
}

mts_status answer_metrics_add(mts_ctx *ctx, answer_metrics *m, const squad_answer *answers,
                              int64_t n, const char *prediction, double null_odds)
{
    mts_status st = MTS_OK;
    answer_text predicted = {0}, answer = {0};
    answer_score s = {
        .null_odds = null_odds, .has_answer = n > 0, .answered = prediction[0] != '\0'};
    int64_t compared = 0;
    MTS_CHECK(n > 0 || m->negative, MTS_ERR_BAD_FILE,
              "expected an answer to compare with, found none: is this data of SQuAD 2.0 "
              "(--version_2_with_negative)?");
    MTS_TRY(answer_text_init(ctx, &predicted, prediction));
    for (int64_t i = 0; i < n; i++) {
        MTS_TRY(answer_text_init(ctx, &answer, answers[i].text));
        /* 2.0 leaves out answers of which normalisation leaves nothing, 1.1 does not */
        if (!m->negative || answer.normalised[0] != '\0') {
            compare(&predicted, &answer, m->negative, &s);
            compared++;
        }
        answer_text_deinit(&answer);
    }
    if (compared == 0) {
        MTS_TRY(answer_text_init(ctx, &answer, ""));
        compare(&predicted, &answer, true, &s);
    }
    m->scores[m->n++] = s;
cleanup:
    answer_text_deinit(&predicted);
    answer_text_deinit(&answer);
    return st;
}

/* ------------------------------------------------------------------------ all questions ---- */

static bool is_in(const answer_score *s, subset of)
{
    return of == ALL || s->has_answer == (of == HAS_ANSWER);
}

static int64_t count(const answer_metrics *m, subset of)
{
    int64_t n = 0;
    for (int64_t i = 0; i < m->n; i++)
        n += is_in(&m->scores[i], of);
    return n;
}

/* 100 * mean of a score. */
static double percent(const answer_metrics *m, subset of, score_fn *score)
{
    double sum = 0;
    for (int64_t i = 0; i < m->n; i++)
        if (is_in(&m->scores[i], of))
            sum += score(&m->scores[i]);
    return 100.0 * sum / (double)count(m, of);
}

static const char *key_of(char key[KEY_BYTES], const char *prefix, const char *name)
{
    snprintf(key, KEY_BYTES, "eval_%s%s", prefix, name);
    return key;
}

static mts_status put(mts_ctx *ctx, json_t *object, const char *prefix, const char *name,
                      double value)
{
    char key[KEY_BYTES];
    return task_put_number(ctx, object, key_of(key, prefix, name), value);
}

/* exact, f1 and total of some of the questions. */
static mts_status put_subset(mts_ctx *ctx, const answer_metrics *m, subset of, const char *prefix,
                             json_t *object)
{
    mts_status st = MTS_OK;
    char key[KEY_BYTES];
    const int64_t n = count(m, of);
    if (n == 0)
        return MTS_OK;
    MTS_TRY(put(ctx, object, prefix, "exact", percent(m, of, exact_of)));
    MTS_TRY(put(ctx, object, prefix, "f1", percent(m, of, f1_of)));
    MTS_TRY(json_util_set(ctx, object, key_of(key, prefix, "total"), json_integer(n)));
cleanup:
    return st;
}

/* By null odds; equal ones stay in the order of the questions. */
static int compare_odds(const void *a, const void *b)
{
    const answer_score *const x = *(const answer_score *const *)a;
    const answer_score *const y = *(const answer_score *const *)b;
    if (x->null_odds != y->null_odds)
        return x->null_odds < y->null_odds ? -1 : 1;
    return x < y ? -1 : x > y;
}

/* The best percentage, and the threshold at which it is reached: above it, nothing is answered. */
static void best_threshold(const answer_metrics *m, const answer_score *const *sorted,
                           score_fn *score, double *best, double *threshold)
{
    double sum = (double)count(m, NO_ANSWER), best_sum = sum;
    *threshold = 0;
    for (int64_t i = 0; i < m->n; i++) {
        if (sorted[i]->has_answer)
            sum += score(sorted[i]);
        else
            sum -= sorted[i]->answered ? 1 : 0;
        if (sum > best_sum) {
            best_sum = sum;
            *threshold = sorted[i]->null_odds;
        }
    }
    *best = 100.0 * best_sum / (double)m->n;
}

static mts_status put_best(mts_ctx *ctx, const answer_metrics *m, json_t *object)
{
    mts_status st = MTS_OK;
    const answer_score **sorted = NULL;
    double best = 0, threshold = 0;
    MTS_TRY(mem_calloc(ctx, &sorted, (size_t)m->n, sizeof sorted[0], "order of null odds"));
    for (int64_t i = 0; i < m->n; i++)
        sorted[i] = &m->scores[i];
    qsort((void *)sorted, (size_t)m->n, sizeof sorted[0], compare_odds);
    best_threshold(m, sorted, exact_of, &best, &threshold);
    MTS_TRY(put(ctx, object, "", "best_exact", best));
    MTS_TRY(put(ctx, object, "", "best_exact_thresh", threshold));
    best_threshold(m, sorted, f1_of, &best, &threshold);
    MTS_TRY(put(ctx, object, "", "best_f1", best));
    MTS_TRY(put(ctx, object, "", "best_f1_thresh", threshold));
cleanup:
    mem_free((void *)sorted);
    return st;
}

mts_status answer_metrics_put(mts_ctx *ctx, const answer_metrics *m, json_t *object)
{
    mts_status st = MTS_OK;
    if (!m->negative) {
        MTS_TRY(put(ctx, object, "", "exact_match", percent(m, ALL, exact_of)));
        MTS_TRY(put(ctx, object, "", "f1", percent(m, ALL, f1_of)));
        return MTS_OK;
    }
    MTS_TRY(put_subset(ctx, m, ALL, "", object));
    MTS_TRY(put_subset(ctx, m, HAS_ANSWER, "HasAns_", object));
    MTS_TRY(put_subset(ctx, m, NO_ANSWER, "NoAns_", object));
    MTS_TRY(put_best(ctx, m, object));
cleanup:
    return st;
}
