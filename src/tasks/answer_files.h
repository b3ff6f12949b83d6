/*
 * Files of predictions, byte for byte in the form in which run_qa.py writes them (Python's
 * json.dumps with indent 4):
 *
 *   PREFIX_predictions.json        {id: text}
 *   PREFIX_nbest_predictions.json  {id: [{"start_logit", "end_logit", "text", "probability"}]}
 *   PREFIX_null_odds.json          {id: number}                       with negative questions only
 *
 * Path: task question answering -> answer_files_open, answer_files_add for each question in order,
 *       answer_files_commit.  Written as they come, so that they need no memory of their own.
 */
#ifndef MTS_TASKS_ANSWER_FILES_H
#define MTS_TASKS_ANSWER_FILES_H

#include "base/file.h"
#include "tasks/answer_spans.h"

enum { ANSWER_FILES_MAX = 3 };

/* Owns its writers; freed by answer_files_close. */
typedef struct answer_files {
    mts_ctx *ctx;
    file_writer *writers[ANSWER_FILES_MAX]; /* [2] NULL without negative questions */
    char *buffer;                           /* one question's text for one file */
    size_t used, capacity;
    int64_t n; /* questions added */
} answer_files;

/* Begin the files in folder dir, which is made if it is not there.  MTS_ERR_IO, _MEMORY, ...; close
 * is safe after failure. */
MTS_NODISCARD mts_status answer_files_open(mts_ctx *ctx, answer_files *f, const char *dir,
                                           const char *prefix, bool negative);
/* Add a question with a finished search.  ids are not repeated. */
MTS_NODISCARD mts_status answer_files_add(answer_files *f, const char *id, const char *context,
                                          const answer_search *search);
/* Put all files in place. */
MTS_NODISCARD mts_status answer_files_commit(answer_files *f);
/* Free; files that were not committed do not appear. */
void answer_files_close(answer_files *f);

/* Names of all files that may be written with the prefixes "eval" and "predict"; NULL behind the
 * last. */
extern const char *const answer_files_names[2 * ANSWER_FILES_MAX + 1];

/* text: repr() of a Python float, e.g. "0.1", "1e-05", "-3.0". */
enum { PYTHON_REAL_BYTES = 40 };
void python_real(double value, char text[PYTHON_REAL_BYTES]);

#endif
