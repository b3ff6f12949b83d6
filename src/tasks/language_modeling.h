/*
 * Language modelling: the next token of documents, or of answers only.
 *
 * Path: task.c -> language_modeling_class; its functions are in
 *         language_modeling.c   options to paths; scores; the class
 *         language_rows.c       files to rows of tokens with targets (row_builder.h)
 *         chat_rows.c           dialogues to such rows, by the model's chat template
 *
 * Files, as TRL's trainers and run_clm.py take them:
 *
 *   .txt                       lines one behind the other; cut into rows of max_seq_length tokens,
 *                              what is left at the end is dropped (run_clm.py)
 *   .jsonl, .json, .csv, .tsv  one document a row, cut to max_seq_length tokens, by its columns:
 *     prompt, completion       only the completion is learned, and the end-of-text token; or both
 *                              are lists of messages
 *     messages, conversations  a list of messages, by the chat template; all of it is learned, with
 *                              assistant_only_loss what the assistant says
 *     instruction, input, output   the same: the prompt in Alpaca's words
 *     question, answer         the same: the prompt is the question and a line end (GSM8K)
 *     text                     all of it is learned; the end-of-text token behind it
 *
 * A row of a prompt and an answer is tokenised as one text, and the prompt by itself, to find where
 * the answer begins.  Rows of which nothing is learned, because they are empty or the prompt alone
 * is as long as a row may be, are left out and counted.
 *
 * completion_only_loss false learns prompts too.  Rows of messages have no end-of-text token behind
 * them: what ends a turn is the template's.  With packing, rows of training are packed (packing.h).
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
    bool packing, assistant_only;
    int64_t completion_only; /* 1, 0, or -1: where there are completions */
} language_modeling;

/* How a file becomes rows. */
typedef struct language_reading {
    int32_t end;             /* the end-of-text token; negative: none */
    int64_t max_samples;     /* the first so many rows of the file, of .txt of those that it is cut
                                into; negative: all */
    int64_t completion_only; /* 1, 0, or -1: where there are completions */
    bool assistant_only, packing;
} language_reading;

/* *out: the rows of a file.  MTS_ERR_BAD_FILE, MTS_ERR_ARGUMENT, MTS_ERR_UNSUPPORTED ("file:line:
 * ..."): a row that is not as above, or that the chat template refuses; MTS_ERR_NOT_FOUND: no
 * file, no chat template; MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status language_rows_read(mts_ctx *ctx, const char *path,
                                            const language_reading *how, const task_reading *r,
                                            encoded_dataset *out);

#endif
