/* The choice of the next token.  See token_sampler.h. */
#include "text/token_sampler.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

mts_status token_sampler_init(mts_ctx *ctx, token_sampler *s, const sampling_rules *rules,
                              int64_t vocabulary, const float_kernels *kernels)
{
    mts_status st = MTS_OK;
    const size_t n = (size_t)vocabulary;
    *s = (token_sampler){.rules = *rules, .kernels = kernels, .vocabulary = vocabulary};
    MTS_TRY(mem_calloc(ctx, &s->order, n, sizeof *s->order, "candidates"));
    MTS_TRY(mem_calloc(ctx, &s->probability, n, sizeof *s->probability, "candidates"));
    MTS_TRY(mem_calloc(ctx, &s->seen, n, sizeof *s->seen, "candidates"));
cleanup:
    return st;
}

void token_sampler_deinit(token_sampler *s)
{
    mem_free(s->order);
    mem_free(s->probability);
    mem_free(s->seen);
    *s = (token_sampler){0};
}

/* Each token of the text once. */
static void penalize(token_sampler *s, float *z, const int32_t *before, int64_t n)
{
    const float penalty = (float)s->rules.repetition_penalty;
    for (int64_t i = 0; i < n; i++) {
        const int32_t id = before[i];
        if (s->seen[id])
            continue;
        s->seen[id] = true;
        z[id] = z[id] < 0.0f ? z[id] * penalty : z[id] / penalty;
    }
    for (int64_t i = 0; i < n; i++)
        s->seen[before[i]] = false;
}

static int32_t largest(const float *z, int64_t n)
{
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        best = z[i] > z[best] ? i : best;
    return (int32_t)best;
}

/* --------------------------------------------------------------- the largest, in order ------- */

/* Whether token a comes before b: the larger logit, of equal ones the smaller id. */
static bool is_before(const float *z, int32_t a, int32_t b)
{
    return z[a] > z[b] || (z[a] == z[b] && a < b);
}

/* heap[0, n) is a heap with the first token at its top but for place i: let it sink. */
static void sink(int32_t *heap, int64_t n, int64_t i, const float *z)
{
    const int32_t id = heap[i];
    for (;;) {
        int64_t child = 2 * i + 1;
        if (child >= n)
            break;
        if (child + 1 < n && is_before(z, heap[child + 1], heap[child]))
            child++;
        if (!is_before(z, heap[child], id))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = id;
}

/* Candidates that are taken one by one, the largest first: they gather behind the heap, the last
 * taken at order[heap]. */
typedef struct candidates {
    int32_t *order;
    const float *z;
    int64_t all, heap; /* taken: all - heap */
} candidates;

static candidates begin_candidates(token_sampler *s, const float *z)
{
    candidates c = {s->order, z, s->vocabulary, s->vocabulary};
    for (int64_t i = 0; i < c.all; i++)
        c.order[i] = (int32_t)i;
    for (int64_t i = c.all / 2 - 1; i >= 0; i--)
        sink(c.order, c.all, i, z);
    return c;
}

static int32_t take_candidate(candidates *c)
{
    const int32_t id = c->order[0];
    c->heap--;
    c->order[0] = c->order[c->heap];
    sink(c->order, c->heap, 0, c->z);
    c->order[c->heap] = id;
    return id;
}

/* The k largest and what equals the last of them, in order[all - k ...], the largest last;
 * returns how many. */
static int64_t take_top_k(candidates *c, int64_t k)
{
    float last = 0.0f;
    while (c->heap > 0 && (c->all - c->heap < k || c->z[c->order[0]] == last))
        last = c->z[take_candidate(c)];
    return c->all - c->heap;
}

/* --------------------------------------------------------------------------- the draw -------- */

/* Number i of those whose probabilities are p[n], by a uniform draw below 1. */
static int64_t pick(const float *p, int64_t n, double uniform)
{
    double sum = 0.0, total = 0.0;
    for (int64_t i = 0; i < n; i++)
        total += (double)p[i];
    for (int64_t i = 0; i < n; i++) {
        sum += (double)p[i];
        if (sum > uniform * total)
            return i;
    }
    return largest(p, n);
}

/* p[n]: probabilities of the candidates id[n] by themselves; NULL: of all tokens. */
static void softmax_of(const token_sampler *s, float *p, const float *z, const int32_t *id,
                       int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        p[i] = z[id == NULL ? i : id[i]];
    s->kernels->softmax_forward(p, p, n, 1.0f);
}

/* Of id[n], ordered with the largest last, how many of the last are needed to reach top_p. */
static int64_t count_top_p(const float *p, int64_t n, double top_p)
{
    double before = 0.0, total = 0.0;
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        total += (double)p[i];
    while (count < n && (count == 0 || total - before > 1.0 - top_p))
        before += (double)p[n - ++count];
    return count;
}

/* The candidates that top_k and top_p leave: returns the first of them in s->order; *n. */
static const int32_t *choose_candidates(token_sampler *s, const float *z, int64_t *n)
{
    const double top_p = s->rules.top_p;
    candidates c = begin_candidates(s, z);
    if (s->rules.top_k > 0) {
        *n = take_top_k(&c, s->rules.top_k);
        softmax_of(s, s->probability, z, c.order + c.heap, *n);
        if (top_p < 1.0)
            *n = count_top_p(s->probability, *n, top_p);
        return c.order + c.all - *n;
    }
    double before = 0.0, total = 0.0;
    softmax_of(s, s->probability, z, NULL, c.all);
    for (int64_t i = 0; i < c.all; i++)
        total += (double)s->probability[i];
    while (c.heap > 0 && (c.heap == c.all || total - before > 1.0 - top_p))
        before += (double)s->probability[take_candidate(&c)];
    *n = c.all - c.heap;
    return c.order + c.heap;
}

int32_t token_sampler_next(token_sampler *s, float *logits, const int32_t *before, int64_t n,
                           uint64_t text)
{
    const sampling_rules *r = &s->rules;
    const bool all = r->top_k <= 0 && r->top_p >= 1.0;
    const int32_t *id = NULL;
    int64_t count = s->vocabulary;
    if (r->repetition_penalty != 1.0)
        penalize(s, logits, before, n);
    if (r->temperature == 0.0)
        return largest(logits, s->vocabulary);
    for (int64_t i = 0; i < s->vocabulary; i++)
        logits[i] /= (float)r->temperature;
    if (!all)
        id = choose_candidates(s, logits, &count);
    softmax_of(s, s->probability, logits, id, count);
    const rng_key key = rng_make_key(r->seed, text, 0, RNG_TOKEN);
    const int64_t i = pick(s->probability, count, (double)rng_draw(key, (uint32_t)n) * 0x1p-32);
    return id == NULL ? (int32_t)i : id[i];
}
