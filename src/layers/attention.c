/* Attention: all sequences and heads, shared among threads.  See attention.h. */
#include "layers/attention.h"

#include "layers/attention_internal.h"

enum { HEADS_PER_TASK = 4 };

void attention_state_bind(const exec *ex, attention_state *state, arena *a, const attention *at,
                          int64_t tokens, int64_t count)
{
    const size_t elements = (size_t)(tokens * 3 * at->width);
    *state = (attention_state){0};
    if (ex->format.kind != FORMAT_DFP) {
        state->qkv = arena_take(a, elements, sizeof(float));
        return;
    }
    state->q = arena_take(a, elements, (size_t)format_elem_bytes(ex->format.attention_bits));
    state->scale = arena_take(a, (size_t)(3 * count * at->heads), sizeof(float));
}

float *attention_source(const attention_state *state, float *scratch)
{
    return state->qkv != NULL ? state->qkv : scratch;
}

static void run_heads(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const attention_job *job = arg;
    const size_t mark = exec_mark(ex);
    for (int64_t task = begin; task < end; task++) {
        const int64_t e = task / job->at->heads;
        attention_head hd = {
            .job = job,
            .ex = ex,
            .sequence = e,
            .head = task % job->at->heads,
            .first = sequence_first(job->seq, e),
            .length = sequence_length(job->seq, e),
            .dh = job->at->width / job->at->heads,
        };
        job->run(&hd);
        exec_release(ex, mark);
    }
}

static void run_all(exec *ex, attention_job *job)
{
    exec_parallel_fork(ex, job->seq->count * job->at->heads, HEADS_PER_TASK, run_heads, job);
}

void attention_forward(exec *ex, float *out, const float *qkv, const sequences *seq,
                       const attention *at, attention_state *state)
{
    attention_job job = {attention_head_forward, at, state, seq, qkv, out};
    run_all(ex, &job);
}

void attention_backward(exec *ex, float *dqkv, const float *dout, const sequences *seq,
                        const attention *at, const attention_state *state)
{
    attention_job job = {attention_head_backward, at, state, seq, dout, dqkv};
    run_all(ex, &job);
}
