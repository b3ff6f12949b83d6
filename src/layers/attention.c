/* Attention: all sequences and heads, shared among threads.  See attention.h. */
#include "layers/attention.h"

#include "layers/arithmetic.h"
#include "layers/attention_cache.h"
#include "tensor/work.h"

/* S = Q K^T and O = D V; in the backward S again, dV, dD, dQ, dK. */
enum { FORWARD_PRODUCTS = 2, BACKWARD_PRODUCTS = 5 };

enum { HEADS_PER_TASK = 4 };

void attention_state_bind(const exec *ex, attention_state *state, arena *a, const attention *attn,
                          int64_t tokens, int64_t count)
{
    *state = (attention_state){0};
    ex->arithmetic->attention->state_bind(ex, state, a, attn, tokens, count);
}

float *attention_source(const attention_state *state, float *scratch)
{
    return state->qkv != NULL ? state->qkv : scratch;
}

attention_columns attention_query_keys(const attention *a)
{
    if (!a->grouped)
        return (attention_columns){1, a->heads + a->kv_heads, 0};
    const int64_t sharing = a->heads / a->kv_heads;
    return (attention_columns){a->kv_heads, sharing + 1, (sharing + 2) * a->head_dim};
}

static void run_heads(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const attention_job *job = arg;
    const size_t mark = exec_mark(ex);
    for (int64_t task = begin; task < end; task++) {
        const int64_t e = task / job->attn->kv_heads;
        const int64_t past = job->cache == NULL ? 0 : job->cache->used;
        attention_head hd = {
            .job = job,
            .ex = ex,
            .sequence = e,
            .first = sequence_first(job->seq, e),
            .length = past + sequence_length(job->seq, e),
            .dh = job->attn->head_dim,
            .past = past,
            .kv_head = task % job->attn->kv_heads,
        };
        job->run(&hd);
        exec_release(ex, mark);
    }
}

static void run_all(exec *ex, attention_job *job)
{
    exec_parallel_fork(ex, job->seq->count * job->attn->kv_heads, HEADS_PER_TASK, run_heads, job);
}

/* Multiplications of so many products of the size of S, of all sequences and heads. */
static void count_work(const exec *ex, const sequences *seq, const attention *attn, int products)
{
    if (ex->tally != NULL)
        work_count(ex, WORK_ATTENTION,
                   products * (double)(seq->count * attn->heads * attn->head_dim) *
                       attention_head_scores(attn, seq->tokens / seq->count));
}

/* Every layer of every model has one attention. */
static void tell(const exec *ex, bool backward)
{
    if (ex->listener != NULL)
        ex->listener->layer(ex->listener->user, backward);
}

void attention_forward(exec *ex, float *out, const float *qkv, const sequences *seq,
                       const attention *attn, attention_state *state)
{
    attention_job job = {attention_head_forward, attn, state, seq, qkv, out, NULL, 0};
    count_work(ex, seq, attn, FORWARD_PRODUCTS);
    tell(ex, false);
    run_all(ex, &job);
}

void attention_extend(exec *ex, float *out, const float *qkv, const sequences *seq,
                      const attention *attn, attention_state *state, attention_cache *cache,
                      int64_t layer)
{
    attention_job job = {attention_head_forward, attn, state, seq, qkv, out, cache, layer};
    run_all(ex, &job);
}

void attention_backward(exec *ex, float *dqkv, const float *dout, const sequences *seq,
                        const attention *attn, const attention_state *state)
{
    attention_job job = {attention_head_backward, attn, state, seq, dout, dqkv, NULL, 0};
    count_work(ex, seq, attn, BACKWARD_PRODUCTS);
    tell(ex, true);
    run_all(ex, &job);
}
