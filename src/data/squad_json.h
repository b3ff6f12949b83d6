/*
 * Questions about paragraphs, with answers that are parts of them: files of SQuAD 1.1 and 2.0.
 *
 * Path: task question answering -> squad_json_read -> question_windows (token ids),
 *       answer_metrics.
 *
 * Two forms, also mixed, of the items of "data":
 *   official   {"paragraphs": [{"context": "...", "qas": [{"id": "...", "question": "...",
 *              "answers": [{"text": "...", "answer_start": 17}]}]}]}
 *   flat       {"id": "...", "context": "...", "question": "...",
 *              "answers": {"text": ["..."], "answer_start": [17]}}      own files of run_qa.py
 * Other keys are skipped: "title", "version", "is_impossible" (a question without answers is one
 * that cannot be answered), "plausible_answers", ...
 *
 * answer_start counts code points; here places are bytes.  An offset is taken as it is, also where
 * another text stands there, as run_qa.py does; such answers are counted.
 * Memory: that of the file, 16 bytes for a paragraph, 32 for a question and 16 for an answer.
 */
#ifndef MTS_DATA_SQUAD_JSON_H
#define MTS_DATA_SQUAD_JSON_H

#include "base/status.h"

typedef struct squad_answer {
    const char *text;
    /* Bytes of the context, end behind the last; SQUAD_OUTSIDE: begins or ends outside of it. */
    int32_t begin, end;
} squad_answer;

enum { SQUAD_OUTSIDE = -1 };

typedef struct squad_context {
    const char *text;
    int32_t bytes;
} squad_context;

typedef struct squad_question {
    const char *id;   /* NULL: none given */
    const char *text; /* as in the file */
    int32_t context;  /* index */
    int32_t answers;  /* how many; SQUAD_NO_ANSWERS: the key is absent */
    int64_t first;    /* the first of them */
} squad_question;

enum { SQUAD_NO_ANSWERS = -1 };

/* Owns everything in it, freed by squad_set_deinit.  Texts are UTF-8, each with a NUL behind. */
typedef struct squad_set {
    char *storage; /* the file, of which the texts are parts */
    squad_context *contexts;
    squad_question *questions;
    squad_answer *answers;
    int64_t n_contexts, n; /* n: questions */
    int64_t n_answers;
    int64_t capacity[3]; /* of the arrays, while they are filled */
} squad_set;

/*
 * *out: all questions of a file, in its order.  MTS_ERR_NOT_FOUND, _IO: the file; MTS_ERR_BAD_FILE:
 * not JSON, or not of this form ("file:line:column: ..."), or without a question; MTS_ERR_MEMORY.
 * deinit is safe after failure.
 */
MTS_NODISCARD mts_status squad_json_read(mts_ctx *ctx, const char *path, squad_set *out);
/* The same of text[bytes] (allocated by base/memory.h, a NUL behind), which is changed and taken
 * over in every case. */
MTS_NODISCARD mts_status squad_json_parse(mts_ctx *ctx, const char *path, char *text, size_t bytes,
                                          squad_set *out);
void squad_set_deinit(squad_set *s);

/* Drop all questions behind the first n. */
void squad_set_cut(squad_set *s, int64_t n);

/* How many questions have a first answer, the one that training uses, which is another text than
 * stands at its place. */
int64_t squad_set_misplaced(const squad_set *s);

/* The answers by id need ids: MTS_ERR_BAD_FILE unless each question has one of its own. */
MTS_NODISCARD mts_status squad_set_check_ids(mts_ctx *ctx, const squad_set *s, const char *path);

/*
 * Whether the file at path is of this kind: a JSON object in whose first 16 KiB stands a key "data"
 * with an array; other JSON files hold an object on each line.  false also where it cannot be read.
 */
bool squad_json_is(const char *path);

#endif
