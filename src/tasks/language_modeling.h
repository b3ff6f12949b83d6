/*
 * Language modelling: the next token of documents, or of answers only.
 *
 * Path: task.c -> language_modeling_class; its functions are in
 *         language_modeling.c   options to paths; scores; the class
 *         language_rows.c       files to rows of tokens with targets
 *
 * Files, as TRL's trainers and run_clm.py take them:
 *
 *   .txt                       lines one behind the other; cut into rows of max_seq_length tokens,
 *                              what is left at the end is dropped (run_clm.py)
 *   .jsonl, .json, .csv, .tsv  one document a row, cut to max_seq_length tokens, by its columns:
 *     text                     all of it is learned; the end-of-text token behind it
 *     prompt, completion       only the completion is learned, and the end-of-text token
 *     instruction, input, output   the same: the prompt in Alpaca's words
 *     question, answer         the same: the prompt is the question and a line end (GSM8K)
 *
 * A row of a prompt and an answer is tokenised as one text, and the prompt by itself, to find where
 * the answer begins.  Rows of which nothing is learned, because they are empty or the prompt alone
 * is as long as a row may be, are left out and counted.
 */
#ifndef MTS_TASKS_LANGUAGE_MODELING_H
#define MTS_TASKS_LANGUAGE_MODELING_H

#include "tasks/task.h"

extern const task_class language_modeling_class;

enum { LANGUAGE_SPLITS = 3 }; /* one set for each task_split */

/* Owns the paths. */
typedef struct language_modeling {
    task base;
    char *paths[LANGUAGE_SPLITS];         /* by task_split; NULL: none */
    int64_t max_samples[LANGUAGE_SPLITS]; /* use the first so many rows; negative: all */
    int32_t end;                          /* the end-of-text token; negative: none */
} language_modeling;

/* *out: the rows of a file; end: as above; max_samples: the first so many rows of the file, of
 * .txt of those that it is cut into; negative: all. */
MTS_NODISCARD mts_status language_rows_read(mts_ctx *ctx, const char *path, int32_t end,
                                            int64_t max_samples, const task_reading *r,
                                            encoded_dataset *out);

#endif
