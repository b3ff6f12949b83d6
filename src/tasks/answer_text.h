/*
 * Answers as the official SQuAD scripts compare them: normalised texts and their words.
 *
 *   normalised   lower case; without ASCII punctuation; a, an, the replaced by a blank; words with
 *                one blank between                                         [Rajpurkar2016]
 *   exact        1 if two normalised texts are equal, else 0
 *   F1           2 p r / (p + r), p = common / words of the prediction, r = common / words of the
 *                answer; common: of each word as often as both have it
 *
 * Path: answer_metrics_add -> answer_text_init, answer_text_f1.
 */
#ifndef MTS_TASKS_ANSWER_TEXT_H
#define MTS_TASKS_ANSWER_TEXT_H

#include "base/status.h"

/* Owns its arrays, freed by answer_text_deinit. */
typedef struct answer_text {
    char *normalised;
    char *storage;      /* the words, each with a NUL behind */
    const char **words; /* [n], in byte order */
    int64_t n;
} answer_text;

/* *out: the text normalised.  MTS_ERR_MEMORY; deinit is safe after failure. */
MTS_NODISCARD mts_status answer_text_init(mts_ctx *ctx, answer_text *out, const char *text);
void answer_text_deinit(answer_text *a);

bool answer_text_exact(const answer_text *a, const answer_text *b);

/* F1 by the formula above; 0 where no word is common, also of two texts without words. */
double answer_text_f1(const answer_text *prediction, const answer_text *answer);

#endif
