/*
 * Exact match and F1 of answers, equal to the official evaluate-v1.1.py and evaluate-v2.0.py
 * [Rajpurkar2016, Rajpurkar2018].
 *
 * Path: task question answering -> answer_metrics_add for each question -> answer_metrics_put.
 *
 *   SQuAD 1.1     eval_exact_match, eval_f1
 *   with negative ones (2.0)
 *                 eval_exact, eval_f1, eval_total; the same of the questions with and without
 *                 answers, eval_HasAns_*, eval_NoAns_*, if there are any; eval_best_exact,
 *                 eval_best_f1 and their thresholds, eval_best_*_thresh: what the scores would be
 *                 at most if questions with null odds above one threshold had no answer
 *
 * Percentages; a question counts with the answer that fits best.  Sums are doubles, added in the
 * order of the questions, as Python before 3.12 adds them (3.12's sum() compensates: a digit at the
 * end may differ there).
 */
#ifndef MTS_TASKS_ANSWER_METRICS_H
#define MTS_TASKS_ANSWER_METRICS_H

#include <jansson.h>

#include "data/squad_json.h"

/* One question's result. */
typedef struct answer_score {
    double exact, f1; /* 0..1 */
    double null_odds; /* how much better "no answer" is than the best answer: a difference of
                         scores; negative questions only */
    bool has_answer;  /* in the data */
    bool answered;    /* the prediction is not "" */
} answer_score;

/* Collects results; caller's storage, init and deinit. */
typedef struct answer_metrics {
    bool negative;
    int64_t n, capacity;
    answer_score *scores; /* [n] */
} answer_metrics;

/* capacity: questions that will be added, at most.  MTS_ERR_MEMORY; deinit is safe then. */
MTS_NODISCARD mts_status answer_metrics_init(mts_ctx *ctx, answer_metrics *m, bool negative,
                                             int64_t capacity);
void answer_metrics_deinit(answer_metrics *m);

/*
 * Add a question with its answers[n] in the data and the text predicted for it; null_odds is used
 * with negative questions only.  MTS_ERR_BAD_FILE: no answer, in data without negative questions.
 * MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status answer_metrics_add(mts_ctx *ctx, answer_metrics *m,
                                            const squad_answer *answers, int64_t n,
                                            const char *prediction, double null_odds);

/* Put the metrics of all questions added, at least one, into object.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status answer_metrics_put(mts_ctx *ctx, const answer_metrics *m, json_t *object);

/* Name number i of the metrics without "eval_", in the order of answer_metrics_put; NULL behind the
 * last. */
const char *answer_metrics_name(bool negative, int64_t i);

#endif
