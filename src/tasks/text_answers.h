/*
 * Answers to questions about paragraphs that are in memory: what a predictor gives its caller.
 *
 * Path: mts_predictor_answer -> text_answers_encode -> predictor_run_rows -> text_answers_find.
 * Rows, windows and the choice of an answer are those of the task: question_windows.h,
 * answer_spans.h.
 */
#ifndef MTS_TASKS_TEXT_ANSWERS_H
#define MTS_TASKS_TEXT_ANSWERS_H

#include "tasks/question_windows.h"

/* One call's rows and answers; begin with {0}.  Owns everything in it. */
typedef struct text_answers {
    encoded_dataset rows; /* of the model: all windows of all questions */
    question_windows windows;
    float *logits; /* [tokens of all rows][2]: for the model to fill */
    /* when found: */
    mts_answer *answers; /* [n]; texts are in storage */
    int64_t n;
    char *storage;
} text_answers;

/* How an answer is chosen by these options. */
answer_rules text_answers_rules(const mts_options *o);

/* a->rows of n questions and paragraphs, and room for a->logits.  Of options the tokenizer, the
 * lengths and the threads count.  MTS_ERR_ARGUMENT: a question that leaves no room for its
 * paragraph, a paragraph of more than 2 GiB; MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status text_answers_encode(mts_ctx *ctx, text_answers *a,
                                             const char *const *questions,
                                             const char *const *paragraphs, int64_t n,
                                             const window_options *options);

/* a->answers from a->logits.  paragraphs as above.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status text_answers_find(mts_ctx *ctx, text_answers *a,
                                           const char *const *paragraphs,
                                           const answer_rules *rules);

/* Free everything; *a is as at the beginning. */
void text_answers_deinit(text_answers *a);

#endif
