/* One head of one sequence: what attention.c's loops share with attention_head.c. */
#ifndef MTS_LAYERS_ATTENTION_INTERNAL_H
#define MTS_LAYERS_ATTENTION_INTERNAL_H

#include "layers/attention.h"

enum { PART_Q, PART_K, PART_V };

typedef struct attention_head attention_head;

/* A forward or backward over all heads; read by every thread. */
typedef struct attention_job {
    void (*run)(attention_head *);
    const attention *at;
    const attention_state *state;
    const sequences *seq;
    const float *in; /* forward: qkv; backward: dout */
    float *out;      /* forward: out; backward: dqkv */
} attention_job;

/* One (sequence, head); everything it takes from ex->scratch is released by the caller. */
struct attention_head {
    const attention_job *job;
    exec *ex;
    int64_t sequence, head, first, length, dh; /* tokens [first, first + length) */
};

void attention_head_forward(attention_head *hd);
void attention_head_backward(attention_head *hd);

#endif
