/* Attention: all sequences and heads, shared among threads.  See attention.h. */
#include "layers/attention.h"

#include "layers/attention_internal.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

size_t attention_state_bytes(const exec *ex, const attention *at, int64_t tokens, int64_t count)
{
    const size_t elements = (size_t)(tokens * 3 * at->width);
    if (ex->format.kind != FORMAT_DFP)
        return arena_need(elements, sizeof(float));
    return arena_need(elements, (size_t)format_elem_bytes(ex->format.attention_bits)) +
           arena_need((size_t)(3 * count * at->heads), sizeof(float));
}

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

size_t attention_scratch(const exec *ex, const attention *at, int64_t max_length)
{
    return (size_t)ex->threads * arena_need(attention_head_scratch(ex, at, max_length), 1);
}

static void run_heads(const attention_job *job, void (*run)(attention_head *))
{
    exec *ex = job->ex;
    const size_t mark = exec_mark(ex);
    const size_t slice = attention_head_scratch(ex, job->at, job->seq->max_length);
    const size_t stride = arena_need(slice, 1);
    uint8_t *base = exec_take(ex, ex->threads, stride);
    const int64_t tasks = job->seq->count * job->at->heads;
#pragma omp parallel num_threads(ex->threads)
    {
#if defined(_OPENMP)
        const size_t thread = (size_t)omp_get_thread_num();
#else
        const size_t thread = 0;
#endif
        arena scratch = {base + thread * stride, stride, 0};
#pragma omp for schedule(dynamic, 4)
        for (int64_t task = 0; task < tasks; task++) {
            const int64_t e = task / job->at->heads;
            attention_head hd = {
                .job = job,
                .sequence = e,
                .head = task % job->at->heads,
                .first = job->seq->offset[e],
                .length = job->seq->offset[e + 1] - job->seq->offset[e],
                .dh = job->at->width / job->at->heads,
                .scratch = &scratch,
            };
            scratch.used = 0;
            run(&hd);
        }
    }
    exec_release(ex, mark);
}

void attention_forward(exec *ex, float *out, const float *qkv, const sequences *seq,
                       const attention *at, attention_state *state)
{
    const attention_job job = {ex, at, state, seq, qkv, out};
    run_heads(&job, attention_head_forward);
}

void attention_backward(exec *ex, float *dqkv, const float *dout, const sequences *seq,
                        const attention *at, const attention_state *state)
{
    const attention_job job = {ex, at, state, seq, dout, dqkv};
    run_heads(&job, attention_head_backward);
}
