/*
 * What a model is to say of rows: typed, so that a class is an integer and a score a number.
 *
 * Path: task_class.encode fills those of a data set -> batch_fill copies some rows' -> head_class
 *       (learn, predict) compares its outputs with them.
 *
 *   kind            array            one for each
 *   TARGET_CLASS    index[rows]      row: a class, or TARGET_IGNORED
 *   TARGET_SCORE    score[rows]      row: a finite number
 *   TARGET_SET      set[rows][width] row and label: 1 or 0
 *   TARGET_SPAN     begin, end[rows] row: first and last token, counted from the row's first
 *   TARGET_TAGS     index[tokens]    token: a tag, or TARGET_IGNORED
 *   TARGET_NEXT     index[tokens]    token: the id of the token behind it, or TARGET_IGNORED
 */
#ifndef MTS_DATA_TARGETS_H
#define MTS_DATA_TARGETS_H

#include "base/status.h"

typedef enum target_kind {
    TARGET_NONE, /* texts without labels */
    TARGET_CLASS,
    TARGET_SCORE,
    TARGET_SET,
    TARGET_SPAN,
    TARGET_TAGS,
    TARGET_NEXT,
} target_kind;

/* Not counted, neither in a loss nor in a score; the value that transformers uses. */
enum { TARGET_IGNORED = -100 };

/* Owns its arrays, by targets_init and targets_deinit; those of other kinds are NULL. */
typedef struct targets {
    target_kind kind;
    int64_t width; /* TARGET_SET: labels */
    int32_t *index;
    float *score;
    uint8_t *set;
    int32_t *begin, *end;
} targets;

/* *out: zeros for so many rows with so many tokens in all.  MTS_ERR_MEMORY; deinit is safe then. */
MTS_NODISCARD mts_status targets_init(mts_ctx *ctx, targets *out, target_kind kind, int64_t width,
                                      int64_t rows, int64_t tokens);
void targets_deinit(targets *t);

/* Bytes that targets_init allocates. */
size_t targets_bytes(target_kind kind, int64_t width, int64_t rows, int64_t tokens);

/* Targets of row from_row of `from`, whose first token is number from_token of all and which has
 * `tokens` of them, to a place of `to`, which has the same kind and width and room there. */
void targets_copy(targets *to, int64_t to_row, int64_t to_token, const targets *from,
                  int64_t from_row, int64_t from_token, int64_t tokens);

/* A hash of the targets of a row, as for targets_copy, chained to h: for "is this the same training
 * data".  Of classes and scores that of the first version, whose checkpoints can go on. */
uint64_t targets_hash_row(const targets *t, int64_t row, int64_t first_token, int64_t tokens,
                          uint64_t h);

#endif
