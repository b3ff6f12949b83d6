/*
 * Answers that a language model generates, beside those of the evaluation data.
 *
 * Of each row the text before its last answer is the prompt.  An answer is right if the number
 * behind its "####" is that of the row's (tasks/number_answer.h).
 *
 * Path: eval_once -> generate_answers_score -> generate_tokens.
 */
#ifndef MTS_TRAIN_GENERATE_ANSWERS_H
#define MTS_TRAIN_GENERATE_ANSWERS_H

#include "train/run.h"

/* MTS_ERR_UNSUPPORTED: no language model.  Before the work of an evaluation begins. */
MTS_NODISCARD mts_status generate_answers_check(const run *r);

/*
 * Add eval_exact_match (part of the answers that are right) and eval_answers (how many rows have a
 * number) to out.  r was checked.  MTS_ERR_BAD_FILE: no row has a number;
 * MTS_ERR_INTERRUPTED, MTS_ERR_NUMERIC, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status generate_answers_score(run *r, json_t *out);

#endif
