/* One head of K and V of one sequence, with the heads of Q that share it: what the loops in
 * attention.c share with the formulas in attention_head.c, and those with the number formats. */
#ifndef MTS_LAYERS_ATTENTION_INTERNAL_H
#define MTS_LAYERS_ATTENTION_INTERNAL_H

#include "layers/attention_cache.h"

enum { PART_Q, PART_K, PART_V, PARTS };

/* Random streams inside one head; those of Q, K and V come first. */
enum {
    STREAM_Q = PART_Q,
    STREAM_P = PARTS,
    STREAM_DO,
    STREAM_DS,
    STREAM_DO_FOLDED,
    STREAMS,
};

typedef struct attention_head attention_head;

/* A forward or backward over all heads; read by every thread. */
typedef struct attention_job {
    void (*run)(attention_head *);
    const attention *attn;
    const attention_state *state;
    const sequences *seq;
    const float *in;              /* forward: qkv; backward: dout */
    float *out;                   /* forward: out; backward: dqkv */
    const attention_cache *cache; /* of the tokens before these, or NULL; forward only */
    int64_t layer;                /* whose part of it */
} attention_job;

/* One (sequence, head of K and V); everything it takes from ex->scratch is released by the caller.
 */
struct attention_head {
    const attention_job *job;
    exec *ex;
    int64_t sequence, first, length, dh; /* tokens [first, first + length) */
    int64_t past;                        /* of these the first so many are in the cache only: token
                                            number `first` of the batch is behind them */
    int64_t kv_head;
    int64_t head;      /* of Q, the present one of those that share kv_head */
    const float *bias; /* ALiBi: [length], what the present head adds to scores; else NULL */
};

/* Heads of a part (PART_Q, ...), and which of them is the present one. */
MTS_INLINE int64_t part_heads(const attention *a, int which)
{
    return which == PART_Q ? a->heads : a->kv_heads;
}
MTS_INLINE int64_t part_head(const attention_head *hd, int which)
{
    return which == PART_Q ? hd->head : hd->kv_head;
}
/* The first column of that head in qkv. */
MTS_INLINE int64_t part_column(const attention_head *hd, int which)
{
    const attention *a = hd->job->attn;
    const int64_t sharing = a->heads / a->kv_heads;
    const int64_t before = which == PART_Q ? 0 : a->heads + (which - PART_K) * a->kv_heads;
    if (!a->grouped)
        return (before + part_head(hd, which)) * a->head_dim;
    const int64_t within = which == PART_Q ? hd->head % sharing : sharing + which - PART_K;
    return (hd->kv_head * (sharing + 2) + within) * a->head_dim;
}

/* A small matrix in the working format, rows x cols: integers in `view`, or floats at row stride
 * view.ld in `f`. */
typedef struct head_matrix {
    qview view;
    const float *f;
} head_matrix;

typedef enum direction {
    STRAIGHT,
    TRANSPOSED,
} direction;

/* What becomes such a matrix: x[rows][cols] at row stride ldx. */
typedef struct head_source {
    const float *x;
    int64_t ldx, rows, cols;
    int64_t first_row; /* within the sequence: for the draws */
    int stream;
    const char *what;
    bool by_row;          /* one exponent for each row, where the format is not `tensor` */
    const float *row_mul; /* [rows]: scales folded into the rows, or NULL */
} head_source;

void attention_head_forward(attention_head *hd);
void attention_head_backward(attention_head *hd);

/* Elements of S that are multiplied for a sequence and head: with those that a row of a block does
 * not see. */
double attention_head_scores(const attention *a, int64_t length);

#endif
