/*
 * From logits to answers, as run_qa.py's post-processing: the best spans of all windows of a
 * question, their probabilities, and whether there is an answer at all.
 *
 * Path: task question answering, predictor -> answer_search_begin, answer_search_window for each
 *       window in order, answer_search_finish -> answer_metrics_add, answer_files_add.
 *
 *   of a window     its n_best_size highest starts and ends; of equal logits the later token first
 *   span (s, e)     s <= e, at most max_answer_length tokens, both of the context
 *   score           start[s] + end[e], in float, as all sums of logits here
 *   no answer       start[0] + end[0] ([CLS]); of a question: the smallest of its windows
 *
 * The n_best_size spans of the highest scores remain, of equal scores the earlier one first; with
 * negative questions "no answer" is among them in any case.  Logits without an order (NaN) count as
 * the highest.
 */
#ifndef MTS_TASKS_ANSWER_SPANS_H
#define MTS_TASKS_ANSWER_SPANS_H

#include "base/status.h"

typedef struct answer_rules {
    int64_t n_best_size;       /* >= 1 */
    int64_t max_answer_length; /* tokens, >= 1 */
    bool negative;             /* a question may have no answer */
    /* no answer if its score is higher than the best span's by more than this */
    double null_score_diff_threshold;
} answer_rules;

/* One window: a row of the model.  Borrowed. */
typedef struct answer_window {
    const float *logits; /* [tokens][2]: start, end */
    int64_t tokens;
    int64_t first, count;       /* tokens of the context: first ... first + count - 1 */
    const int32_t *begin, *end; /* [count]: their bytes in the context, end behind the last */
} answer_window;

/* A span that may be the answer.  In a finished search the text is context[begin] ... [end - 1]. */
typedef struct answer_candidate {
    float start_logit, end_logit, score;
    int32_t begin, end; /* 0, 0: no answer */
    bool made_up;       /* the text is "empty": there is nothing else */
    int64_t order;      /* of equal scores the lower comes first */
    double probability; /* softmax of the scores of those that remain */
} answer_candidate;

/* One question's search; init once, then begin ... finish for each question. */
typedef struct answer_search {
    answer_rules rules;
    answer_candidate *items; /* [n], best first once finished; owned */
    int64_t n, capacity;
    answer_candidate null; /* "no answer" of the windows so far */
    bool has_null;
    int64_t order;
    int32_t *starts, *ends; /* [order_capacity]: tokens by logit; owned */
    int64_t order_capacity;
    /* when finished: */
    int64_t chosen;   /* index of the answer in items, or -1: no answer, "" */
    double null_odds; /* score of "no answer" - score of the best span; negative only */
} answer_search;

void answer_search_init(answer_search *s, const answer_rules *rules);
void answer_search_deinit(answer_search *s);

/* Forget the windows seen so far. */
void answer_search_begin(answer_search *s);
/* One more window of the question.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status answer_search_window(mts_ctx *ctx, answer_search *s,
                                              const answer_window *w);
/* Sort, add what is missing, choose.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status answer_search_finish(mts_ctx *ctx, answer_search *s);

/* *text, *bytes: a candidate's text, part of context or a constant; NULL: no answer, "". */
void answer_candidate_text(const answer_candidate *c, const char *context, const char **text,
                           size_t *bytes);

#endif
