/*
 * Questions and paragraphs as rows of a model: windows over long paragraphs, where answers stand in
 * them, and the way back from the logits of all windows to the answer.
 *
 *   row      [CLS] question [SEP] part of the paragraph [SEP]; blanks before the question are cut
 *            off, the paragraph's parts overlap (tokenizer_windows)
 *   target   the tokens of the first answer: from the last one that begins at or before it to the
 *            first one that ends at or behind it; [CLS] (0, 0) in a window that does not hold all
 *            of it, and where there is none
 *
 * Path: squad_json, or texts of a user -> question_windows_build -> encoded_dataset -> model;
 *       logits -> question_windows_search -> answer.
 *
 * run_qa.py gives an answer that begins in the last token of a window the number of the row's last
 * token as its begin: [SEP] or padding.  Here it is the token in which it begins.
 */
#ifndef MTS_TASKS_QUESTION_WINDOWS_H
#define MTS_TASKS_QUESTION_WINDOWS_H

#include "data/encoded_dataset.h"
#include "data/squad_json.h"
#include "tasks/answer_spans.h"
#include "text/tokenizer.h"

/* Questions in memory; all borrowed. */
typedef struct question_list {
    int64_t n;
    const char *const *questions;       /* [n] */
    const char *const *contexts;        /* [n], each at most INT32_MAX bytes */
    const char *const *ids;             /* [n], for error texts; NULL: there are none */
    const squad_answer *const *answers; /* [n]: the first answer, or NULL; NULL: no targets */
} question_list;

/* How they are encoded. */
typedef struct window_options {
    const tokenizer *tokenizer;
    int64_t max_length; /* tokens of a row */
    int64_t overlap;    /* tokens that a window shares with the one before it ("doc_stride") */
    int threads;        /* >= 1; the result does not depend on it */
    encoded_dataset_progress_fn *progress; /* may be NULL; counts questions */
    void *user;
} window_options;

/* Where the tokens of rows stand in their paragraphs; owns its arrays. */
typedef struct question_windows {
    int64_t n;              /* questions */
    int64_t *first_row;     /* [n + 1]: question i has the rows first_row[i] ... [i + 1] - 1 */
    int32_t *first, *count; /* [rows]: tokens of the paragraph: first ... first + count - 1 */
    int32_t *begin, *end;   /* [tokens of all rows]: bytes of the paragraph; 0, 0 of other tokens */
} question_windows;

/*
 * *rows: all windows of all questions, with targets if list has answers.  *out (NULL: not wanted):
 * where they come from.
 * MTS_ERR_ARGUMENT: overlap is not below max_length, a question leaves no room for its paragraph;
 * MTS_ERR_INTERRUPTED: progress returned false; MTS_ERR_MEMORY.  deinit of both is safe after
 * failure.
 */
MTS_NODISCARD mts_status question_windows_build(mts_ctx *ctx, const question_list *list,
                                                const window_options *options,
                                                encoded_dataset *rows, question_windows *out);
void question_windows_deinit(question_windows *w);

/* Finish the search (answer_spans.h) for question i from the logits [tokens of all rows][2]. */
MTS_NODISCARD mts_status question_windows_search(mts_ctx *ctx, const question_windows *w,
                                                 const encoded_dataset *rows, const float *logits,
                                                 int64_t i, answer_search *search);

#endif
