/*
 * The heads of one sequence that share one K and V, forward and backward.  See attention.h.
 *
 * A head_matrix is a small matrix in the working format; what it holds and how two are multiplied
 * is in attention_dfp.c and attention_float.c, so the formulas are written once.
 */
#include <math.h>
#include <string.h>

#include "layers/alibi.h"
#include "layers/arithmetic.h"

enum { BLOCK_ROWS = 128 };

/* Rows [begin, end) of S, P and D, whose columns are `keys` tokens from `first` on. */
typedef struct score_block {
    int64_t begin, end, first, keys;
} score_block;

static head_matrix matrix(attention_head *hd, const head_source *from)
{
    return hd->ex->arithmetic->attention->matrix(hd, from);
}

static head_matrix kept_part(attention_head *hd, int which)
{
    return hd->ex->arithmetic->attention->kept_part(hd, which);
}

/* c = op(a) op(b)^T in the sense of gemm.h: reduce along the columns (STRAIGHT) or rows of each;
 * or c += if add. */
static void multiply(attention_head *hd, float *c, int64_t ldc, const head_matrix *a, direction da,
                     const head_matrix *b, direction db, bool add)
{
    hd->ex->arithmetic->attention->multiply(hd, c, ldc, a, da, b, db, add);
}

/* Rows [begin, end) of m, borrowed. */
static head_matrix matrix_rows(const head_matrix *m, int64_t begin, int64_t end)
{
    head_matrix part = *m;
    part.view.rows = end - begin;
    if (m->f != NULL)
        part.f += begin * m->view.ld;
    else
        part.view.q =
            (const char *)m->view.q + begin * m->view.ld * format_elem_bytes(m->view.bits);
    if (m->view.row_scale != NULL)
        part.view.row_scale += begin;
    return part;
}

static int64_t at_most(int64_t x, int64_t most)
{
    return x < most ? x : most;
}

/* Rows of all blocks but the last. */
static int64_t full_block(const attention_head *hd)
{
    const attention *a = hd->job->attn;
    return a->causal || a->window > 0 ? BLOCK_ROWS : hd->length;
}

/* The columns of a causal block: up to its last row, and no more than its rows see. */
static void set_causal_keys(const attention *a, score_block *b)
{
    b->keys = b->end;
    if (a->window > 0)
        b->keys = at_most(b->keys, a->window - 1 + BLOCK_ROWS);
    b->first = b->end - b->keys;
}

/* Those of one that is not: as many in each, so at the ends more than its rows see. */
static void set_both_ways_keys(const attention_head *hd, score_block *b)
{
    const int64_t window = hd->job->attn->window;
    b->keys = hd->length;
    if (window > 0)
        b->keys = at_most(b->keys, window + BLOCK_ROWS + window);
    b->first = at_most(b->begin > window ? b->begin - window : 0, hd->length - b->keys);
}

/* The next block of rows; false behind the last.  Begin with a block that ends at hd->past.  A
 * block is never narrower than the one before it: the numbers of its draws follow those of that
 * one. */
static bool next_block(const attention_head *hd, score_block *b)
{
    const attention *a = hd->job->attn;
    b->begin = b->end;
    b->end = at_most(b->begin + full_block(hd), hd->length);
    if (a->causal)
        set_causal_keys(a, b);
    else
        set_both_ways_keys(hd, b);
    return b->begin < b->end;
}

static int64_t block_rows(const score_block *b)
{
    return b->end - b->begin;
}

/* The columns of a block [from, to) that one of its rows sees. */
typedef struct seen_columns {
    int64_t from, to;
} seen_columns;

static seen_columns seen_by(const attention_head *hd, const score_block *b, int64_t i)
{
    const attention *a = hd->job->attn;
    const int64_t own = b->begin + i - b->first, behind = own + 1;
    if (a->causal)
        return (seen_columns){a->window > 0 && behind > a->window ? behind - a->window : 0, behind};
    if (a->window == 0)
        return (seen_columns){0, b->keys};
    return (seen_columns){own > a->window ? own - a->window : 0,
                          at_most(behind + a->window, b->keys)};
}

/* Zeros where a row of a block sees nothing. */
static void clear_unseen(const score_block *b, float *row, seen_columns seen)
{
    if (seen.from > 0)
        memset(row, 0, (size_t)seen.from * sizeof(float));
    if (seen.to < b->keys)
        memset(row + seen.to, 0, (size_t)(b->keys - seen.to) * sizeof(float));
}

static float logit_scale(const attention_head *hd)
{
    const float given = hd->job->attn->scale;
    return given != 0.0f ? given : 1.0f / sqrtf((float)hd->dh);
}

/* y = dropout of x [rows][keys] of a block, the same in forward and backward; y may be x. */
static void drop(const attention_head *hd, const score_block *b, float *y, const float *x)
{
    const exec *ex = hd->ex;
    const float p = ex->training ? hd->job->attn->dropout : 0.0f;
    const int64_t n = block_rows(b) * b->keys;
    if (p <= 0.0f) {
        if (y != x)
            exec_copy(ex, y, x, (size_t)n * sizeof(float));
        return;
    }
    if (ex->dry)
        return;
    const uint64_t tensor = (uint64_t)hd->job->attn->id << 32 |
                            (uint64_t)(hd->sequence * hd->job->attn->heads + hd->head);
    const rng_key key = rng_make_key(ex->seed, ex->step, tensor, RNG_DROPOUT);
    ex->fk->dropout(y, x, n, p, key, (uint32_t)(b->begin * b->keys));
}

/* Each row p = softmax((p + bias) scale) over what it sees, and zeros. */
static void softmax_forward(const attention_head *hd, const score_block *b, float *p)
{
    const float_kernels *fk = hd->ex->fk;
    for (int64_t i = 0; i < block_rows(b) && !hd->ex->dry; i++) {
        const seen_columns seen = seen_by(hd, b, i);
        float *row = p + i * b->keys, *x = row + seen.from;
        const int64_t n = seen.to - seen.from;
        if (hd->bias != NULL)
            fk->add(x, x, hd->bias + b->first + seen.from, n);
        fk->softmax_forward(x, x, n, logit_scale(hd));
        clear_unseen(b, row, seen);
    }
}

/* The gradient of its argument, from d of its result p, in d. */
static void softmax_backward(const attention_head *hd, const score_block *b, float *d,
                             const float *p)
{
    for (int64_t i = 0; i < block_rows(b) && !hd->ex->dry; i++) {
        const seen_columns seen = seen_by(hd, b, i);
        float *row = d + i * b->keys, *x = row + seen.from;
        hd->ex->fk->softmax_backward(x, x, p + i * b->keys + seen.from, seen.to - seen.from,
                                     logit_scale(hd));
        clear_unseen(b, row, seen);
    }
}

/* Of K or V, the rows of the tokens that a block sees. */
static head_matrix seen_rows(const head_matrix *m, const score_block *b)
{
    return matrix_rows(m, b->first, b->first + b->keys);
}

/* p = softmax(Q K^T / sqrt(dh)) of a block, [rows][keys]. */
static void probabilities(attention_head *hd, const score_block *b, float *p, const head_matrix *q,
                          const head_matrix *k)
{
    const head_matrix rows = matrix_rows(q, b->begin - hd->past, b->end - hd->past);
    const head_matrix keys = seen_rows(k, b);
    multiply(hd, p, b->keys, &rows, STRAIGHT, &keys, STRAIGHT, false);
    softmax_forward(hd, b, p);
}

/* D as a head_matrix: the rows of different tokens differ much in size. */
static head_matrix dropped_probabilities(attention_head *hd, const score_block *b, const float *d)
{
    return matrix(hd, &(head_source){.x = d,
                                     .ldx = b->keys,
                                     .rows = block_rows(b),
                                     .cols = b->keys,
                                     .first_row = b->begin,
                                     .stream = STREAM_P,
                                     .what = "the probabilities",
                                     .by_row = true});
}

/* Q, K or V of the present head from the job's input. */
static head_matrix new_part(attention_head *hd, int which)
{
    const attention_job *job = hd->job;
    const float *x = job->in + hd->first * attention_in_width(job->attn) + part_column(hd, which);
    return hd->ex->arithmetic->attention->part(hd, which, x);
}

/* x[rows][dh] at row stride ldx as a matrix in scratch, mapped like the part. */
static head_matrix mapped_part(attention_head *hd, int which, const float *x, int64_t ldx,
                               int64_t rows)
{
    return matrix(hd, &(head_source){.x = x,
                                     .ldx = ldx,
                                     .rows = rows,
                                     .cols = hd->dh,
                                     .stream = STREAM_Q + which,
                                     .what = "query, key or value"});
}

/* The same where tokens are in the cache: of Q those of the batch, of K and V all, to which those
 * of the batch are added. */
static head_matrix cached_part(attention_head *hd, int which)
{
    const attention_job *job = hd->job;
    const int64_t ld = attention_in_width(job->attn), rows = hd->length - hd->past;
    const float *x = job->in + hd->first * ld + part_column(hd, which);
    if (which == PART_Q)
        return mapped_part(hd, which, x, ld, rows);
    float *kept = attention_cache_rows(job->cache, job->layer, which == PART_V, hd->kv_head);
    for (int64_t t = 0; t < rows && !hd->ex->dry; t++)
        memcpy(kept + (hd->past + t) * hd->dh, x + t * ld, (size_t)hd->dh * sizeof(float));
    return mapped_part(hd, which, kept, hd->dh, hd->length);
}

static head_matrix forward_part(attention_head *hd, int which)
{
    return hd->job->cache == NULL ? new_part(hd, which) : cached_part(hd, which);
}

/* How many heads of Q share the head of K and V. */
static int64_t sharing_heads(const attention_head *hd)
{
    return hd->job->attn->heads / hd->job->attn->kv_heads;
}

/* Make number i of the heads of Q that share the head of K and V the present one. */
static void enter_head(attention_head *hd, int64_t i)
{
    const float *slopes = hd->job->attn->slopes;
    hd->head = hd->kv_head * sharing_heads(hd) + i;
    hd->bias = slopes == NULL ? NULL : alibi_bias(hd->ex, hd->length, slopes[hd->head]);
}

/* ------------------------------------------------------------------------------- forward ---- */

static void forward_block(attention_head *hd, const score_block *b, const head_matrix *q,
                          const head_matrix *k, const head_matrix *v)
{
    const attention_job *job = hd->job;
    const int64_t width = attention_out_width(job->attn);
    const size_t mark = exec_mark(hd->ex);
    float *p = exec_take(hd->ex, block_rows(b) * b->keys, sizeof(float));
    probabilities(hd, b, p, q, k);
    drop(hd, b, p, p);
    const head_matrix dropped = dropped_probabilities(hd, b, p), seen = seen_rows(v, b);
    /* O = D V */
    multiply(hd, job->out + (hd->first + b->begin - hd->past) * width + hd->head * hd->dh, width,
             &dropped, STRAIGHT, &seen, TRANSPOSED, false);
    exec_release(hd->ex, mark);
}

void attention_head_forward(attention_head *hd)
{
    const head_matrix k = forward_part(hd, PART_K), v = forward_part(hd, PART_V);
    for (int64_t i = 0; i < sharing_heads(hd); i++) {
        const size_t mark = exec_mark(hd->ex);
        score_block b = {.end = hd->past};
        enter_head(hd, i);
        const head_matrix q = forward_part(hd, PART_Q);
        while (next_block(hd, &b))
            forward_block(hd, &b, &q, &k, &v);
        exec_release(hd->ex, mark);
    }
}

/* ------------------------------------------------------------------------------ backward ---- */

/* Where the gradients of the present head go, at row stride ld; dk and dv are sums over blocks and
 * heads, which begin with the first (add false). */
typedef struct head_gradient {
    float *dq, *dk, *dv;
    int64_t ld;
    bool add;
} head_gradient;

static void backward_block(attention_head *hd, const score_block *b, const head_matrix *q,
                           const head_matrix *k, const head_matrix *v, const head_gradient *g)
{
    const attention_job *job = hd->job;
    const int64_t rows = block_rows(b), width = attention_out_width(job->attn);
    const size_t mark = exec_mark(hd->ex);
    const head_matrix qb = matrix_rows(q, b->begin, b->end);
    const head_matrix kb = seen_rows(k, b), vb = seen_rows(v, b);
    float *dk = g->dk + b->first * g->ld, *dv = g->dv + b->first * g->ld;
    float *p = exec_take(hd->ex, rows * b->keys, sizeof(float));
    float *d = exec_take(hd->ex, rows * b->keys, sizeof(float));

    probabilities(hd, b, p, q, k);
    drop(hd, b, d, p);
    const head_matrix dropped = dropped_probabilities(hd, b, d);
    head_source out = {.x = job->in + (hd->first + b->begin) * width + hd->head * hd->dh,
                       .ldx = width,
                       .rows = rows,
                       .cols = hd->dh,
                       .first_row = b->begin,
                       .stream = STREAM_DO,
                       .what = "the output gradient",
                       .by_row = true};
    const head_matrix dout = matrix(hd, &out);
    head_matrix folded = dout; /* with the scales of the rows of D, over which dV = D^T dO adds */
    if (dropped.view.row_scale != NULL) {
        out.stream = STREAM_DO_FOLDED;
        out.by_row = false;
        out.row_mul = dropped.view.row_scale;
        folded = matrix(hd, &out);
    }
    /* forward: O = D V */
    multiply(hd, dv, g->ld, &dropped, TRANSPOSED, &folded, TRANSPOSED, g->add);
    multiply(hd, d, b->keys, &dout, STRAIGHT, &vb, STRAIGHT, false);
    /* forward: D = dropout(P), P = softmax(S / sqrt(dh)) */
    drop(hd, b, d, d);
    softmax_backward(hd, b, d, p);
    const head_matrix ds = matrix(hd, &(head_source){.x = d,
                                                     .ldx = b->keys,
                                                     .rows = rows,
                                                     .cols = b->keys,
                                                     .first_row = b->begin,
                                                     .stream = STREAM_DS,
                                                     .what = "the score gradient"});
    /* forward: S = Q K^T */
    multiply(hd, g->dq + b->begin * g->ld, g->ld, &ds, STRAIGHT, &kb, TRANSPOSED, false);
    multiply(hd, dk, g->ld, &ds, TRANSPOSED, &qb, TRANSPOSED, g->add);
    exec_release(hd->ex, mark);
}

/* x[length][dh] = 0 at row stride ld */
static void clear_rows(const attention_head *hd, float *x, int64_t ld)
{
    for (int64_t t = 0; t < hd->length; t++)
        exec_clear(hd->ex, x + t * ld, (size_t)hd->dh * sizeof(float));
}

void attention_head_backward(attention_head *hd)
{
    const attention_job *job = hd->job;
    const int64_t sharing = sharing_heads(hd), ld = attention_in_width(job->attn);
    float *out = job->out + hd->first * ld;
    const head_matrix k = kept_part(hd, PART_K), v = kept_part(hd, PART_V);
    head_gradient g = {.dk = out + part_column(hd, PART_K),
                       .dv = out + part_column(hd, PART_V),
                       .ld = ld,
                       .add = sharing > 1 || hd->length > full_block(hd)};
    if (g.add) {
        clear_rows(hd, g.dk, ld);
        clear_rows(hd, g.dv, ld);
    }
    for (int64_t i = 0; i < sharing; i++) {
        const size_t mark = exec_mark(hd->ex);
        score_block b = {0};
        enter_head(hd, i);
        const head_matrix q = kept_part(hd, PART_Q);
        g.dq = out + part_column(hd, PART_Q);
        while (next_block(hd, &b))
            backward_block(hd, &b, &q, &k, &v, &g);
        exec_release(hd->ex, mark);
    }
}

/* ----------------------------------------------------------------------------- its work ------ */

double attention_head_scores(const attention *a, int64_t length)
{
    const attention_job job = {.attn = a};
    const attention_head hd = {.job = &job, .length = length};
    score_block b = {0};
    double scores = 0.0;
    while (next_block(&hd, &b))
        scores += (double)block_rows(&b) * (double)b.keys;
    return scores;
}
