/* Low-rank adapters.  See low_rank.h. */
#include "layers/low_rank.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "layers/arithmetic.h"
#include "layers/linear_input_drop.h"

enum { ROW_GRAIN = 32 };

/* linear_bind for what is a part of another layer: it is not watched by itself, and its input has
 * the outliers of `like` (NULL: none are told apart). */
static void bind_inner(exec *ex, linear *inner, arena *a, const linear *outer, int id,
                       param *weight, int64_t out, int64_t in, const linear *like)
{
    struct format_watch *watch = ex->watch;
    const int outlier_bits = ex->format.outlier_bits;
    ex->watch = NULL;
    if (like == NULL)
        ex->format.outlier_bits = 0;
    linear_bind_like(ex, inner, a, outer->name, id, weight, out, in, like);
    ex->format.outlier_bits = outlier_bits;
    ex->watch = watch;
}

void low_rank_bind(exec *ex, low_rank *lr, linear *lin, arena *a, int first_id)
{
    const int64_t r = lr->rank;
    assert(lr->count <= LOW_RANK_PARTS);
    bind_inner(ex, &lr->down, a, lin, first_id, lr->part[0].a, lr->count * r, lin->in, lin);
    for (int p = 0; p < lr->count; p++) {
        low_rank_part *part = &lr->part[p];
        bind_inner(ex, &part->up, a, lin, first_id + 1 + 2 * p, part->b, part->out, r, NULL);
        part->t = (linear_input){.where = lin->name, .id = first_id + 2 + 2 * p};
    }
    lin->low_rank = lr;
}

void low_rank_input_bind(const exec *ex, low_rank *lr, arena *a, int64_t rows)
{
    for (int p = 0; p < lr->count; p++)
        linear_input_bind(ex, &lr->part[p].t, a, rows, lr->rank);
}

void low_rank_prepare(exec *ex, low_rank *lr)
{
    linear_prepare(ex, &lr->down);
    for (int p = 0; p < lr->count; p++)
        linear_prepare(ex, &lr->part[p].up);
}

/* --------------------------------------------------------------------------------- columns --- */

/* Work on rows of cols columns between matrices of two row strides. */
typedef struct columns_job {
    const exec *ex;
    float *to;
    const float *from;
    int64_t ldto, ldfrom, cols;
    /* scale_rows: */
    int64_t used; /* columns behind these become zero */
    float scale;
    const float *each; /* [cols]: a factor of each column beside scale; NULL: none */
} columns_job;

static void copy_rows(void *arg, int64_t begin, int64_t end)
{
    const columns_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        memcpy(job->to + i * job->ldto, job->from + i * job->ldfrom,
               (size_t)job->cols * sizeof(float));
}

static void scale_rows(void *arg, int64_t begin, int64_t end)
{
    const columns_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        for (int64_t j = 0; j < job->used; j++)
            job->to[i * job->ldto + j] =
                job->from[i * job->ldfrom + j] *
                (job->each == NULL ? job->scale : job->each[j] * job->scale);
        for (int64_t j = job->used; j < job->cols; j++)
            job->to[i * job->ldto + j] = 0.0f;
    }
}

static void add_rows(void *arg, int64_t begin, int64_t end)
{
    const columns_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->ex->fk->accumulate(job->to + i * job->ldto, job->from + i * job->ldfrom, job->cols);
}

/* Columns of a part of dy[rows][lin->out] by themselves: dy itself if it is all of them, else a
 * copy in scratch. */
static const float *part_columns(exec *ex, const float *dy, int64_t rows, const low_rank_part *part,
                                 const linear *lin)
{
    if (part->out == lin->out)
        return dy;
    float *own = exec_take(ex, rows * part->out, sizeof(float));
    columns_job job = {.ex = ex,
                       .to = own,
                       .from = dy + part->first,
                       .ldto = part->out,
                       .ldfrom = lin->out,
                       .cols = part->out};
    exec_parallel(ex, rows, ROW_GRAIN, copy_rows, &job);
    return own;
}

static int64_t used_ranks(const exec *ex, const low_rank *lr)
{
    return ex->rank > 0 && ex->rank < lr->rank ? ex->rank : lr->rank;
}

/* P, where it is used. */
static const float *used_weights(const exec *ex, const low_rank *lr)
{
    return ex->training ? lr->weights : NULL;
}

static float used_dropout(const exec *ex, const low_rank *lr)
{
    return ex->training ? lr->dropout : 0.0f;
}

/* s, or 1 beside P, and what dropout leaves to it. */
static float used_scale(const exec *ex, const low_rank *lr)
{
    const float p = used_dropout(ex, lr);
    const int64_t b = used_ranks(ex, lr);
    float s = lr->scale;
    if (used_weights(ex, lr) != NULL)
        s = 1.0f;
    else if (ex->rank > 0)
        s = lr->rslora ? (float)((double)lr->alpha / sqrt((double)b)) : lr->alpha / (float)b;
    return p > 0.0f ? s * (1.0f / (1.0f - p)) : s;
}

/* What A multiplies: x, or in scratch what dropout leaves of it. */
static linear_input input_of_a(exec *ex, const low_rank *lr, const linear_input *x)
{
    const float p = used_dropout(ex, lr);
    return p > 0.0f ? linear_input_drop(ex, x, p, lr->down.id) : *x;
}

/* ------------------------------------------------------------------------------- forward ---- */

/* The rows of t that belong to those of x. */
static linear_input rows_of_t(const low_rank_part *part, const linear_input *x)
{
    return linear_input_rows(&part->t, x->first_row, x->first_row + x->rows);
}

/* t of a part, which the backward needs too, from x A^T of all parts; *in: its rows. */
static void make_t(exec *ex, linear_input *in, const float *all, const linear_input *x,
                   const low_rank *lr, int p)
{
    const int64_t r = lr->rank;
    const size_t mark = exec_mark(ex);
    *in = rows_of_t(&lr->part[p], x);
    float *t = linear_input_source(in, exec_take(ex, x->rows * r, sizeof(float)));
    columns_job job = {.ex = ex,
                       .to = t,
                       .from = all + p * r,
                       .ldto = r,
                       .ldfrom = r * lr->count,
                       .cols = r,
                       .used = used_ranks(ex, lr),
                       .scale = used_scale(ex, lr),
                       .each = used_weights(ex, lr)};
    exec_parallel(ex, x->rows, ROW_GRAIN, scale_rows, &job);
    linear_input_set(ex, in, t);
    exec_release(ex, mark);
}

void low_rank_forward(exec *ex, float *y, const linear_input *x, const linear *lin)
{
    low_rank *lr = lin->low_rank;
    const int64_t n = x->rows;
    const size_t mark = exec_mark(ex);
    float *all = exec_take(ex, n * lr->rank * lr->count, sizeof(float));
    const size_t dropped = exec_mark(ex);
    const linear_input of_a = input_of_a(ex, lr, x);
    linear_forward(ex, all, &of_a, &lr->down);
    exec_release(ex, dropped);
    for (int p = 0; p < lr->count; p++) {
        low_rank_part *part = &lr->part[p];
        linear_input in;
        make_t(ex, &in, all, x, lr, p);
        if (y == NULL)
            continue;
        const size_t inner = exec_mark(ex);
        float *add = exec_take(ex, n * part->out, sizeof(float));
        columns_job job = {.ex = ex,
                           .to = y + part->first,
                           .from = add,
                           .ldto = lin->out,
                           .ldfrom = part->out,
                           .cols = part->out};
        linear_forward(ex, add, &in, &part->up);
        exec_parallel(ex, n, ROW_GRAIN, add_rows, &job);
        exec_release(ex, inner);
    }
    exec_release(ex, mark);
}

/* ------------------------------------------------------------------------------ backward ---- */

/* Of a product without a bias. */
static void take_sums(exec *ex, linear_sums *sums, int64_t out)
{
    *sums = (linear_sums){.bias_sums = NULL};
    if (ex->arithmetic->linear->gradient_take != NULL)
        ex->arithmetic->linear->gradient_take(ex, sums, out);
}

void low_rank_gradient_take(exec *ex, linear_gradient *g, int64_t rows, const linear *lin)
{
    const low_rank *lr = lin->low_rank;
    g->dt = exec_take(ex, rows * lr->rank * lr->count, sizeof(float));
    take_sums(ex, &g->down, lr->count * lr->rank);
    for (int p = 0; p < lr->count; p++)
        take_sums(ex, &g->up[p], lin->out);
}

void low_rank_backward_rows(exec *ex, float *dx, const float *dy, const linear_input *x,
                            const linear *lin, const linear_gradient *g)
{
    const low_rank *lr = lin->low_rank;
    const int64_t n = x->rows, r = lr->rank;
    const size_t mark = exec_mark(ex);
    float *all = g->dt + x->first_row * r * lr->count;
    float *part_dt = exec_take(ex, n * r, sizeof(float));
    for (int p = 0; p < lr->count; p++) {
        const low_rank_part *part = &lr->part[p];
        const size_t inner = exec_mark(ex);
        const linear_input in = rows_of_t(part, x);
        const float *own = part_columns(ex, dy, n, part, lin);
        columns_job job = {.ex = ex,
                           .to = all + p * r,
                           .from = part_dt,
                           .ldto = r * lr->count,
                           .ldfrom = r,
                           .cols = r,
                           .used = used_ranks(ex, lr),
                           .scale = used_scale(ex, lr),
                           .each = used_weights(ex, lr)};
        /* forward: y += t B^T, t = s x A^T */
        linear_sums_collect(ex, &g->up[p], own, &in, &part->up);
        linear_count_work(ex, WORK_ADAPTERS, n, &part->up);
        ex->arithmetic->linear->input_gradient(ex, part_dt, own, &in, &part->up);
        exec_parallel(ex, n, ROW_GRAIN, scale_rows, &job);
        exec_release(ex, inner);
    }
    linear_sums_collect(ex, &g->down, all, x, &lr->down);
    if (dx != NULL) {
        float *add = exec_take(ex, n * lin->in, sizeof(float));
        columns_job job = {
            .ex = ex, .to = dx, .from = add, .ldto = lin->in, .ldfrom = lin->in, .cols = lin->in};
        linear_count_work(ex, WORK_ADAPTERS, n, &lr->down);
        ex->arithmetic->linear->input_gradient(ex, add, all, x, &lr->down);
        if (used_dropout(ex, lr) > 0.0f)
            linear_input_drop_gradient(ex, add, n, lin->in, x->first_row, used_dropout(ex, lr),
                                       lr->down.id);
        exec_parallel(ex, n, ROW_GRAIN, add_rows, &job);
    }
    exec_release(ex, mark);
}

void low_rank_backward_params(exec *ex, const linear_gradient *g, const float *dy,
                              const linear_input *x, const linear *lin)
{
    const low_rank *lr = lin->low_rank;
    for (int p = 0; p < lr->count; p++) {
        const low_rank_part *part = &lr->part[p];
        const size_t mark = exec_mark(ex);
        const linear_input in = rows_of_t(part, x);
        const float *own = part_columns(ex, dy, x->rows, part, lin);
        linear_count_work(ex, WORK_ADAPTERS, x->rows, &part->up);
        ex->arithmetic->linear->weight_gradient(ex, &g->up[p], own, &in, &part->up);
        exec_release(ex, mark);
    }
    const size_t mark = exec_mark(ex);
    const linear_input of_a = input_of_a(ex, lr, x);
    linear_count_work(ex, WORK_ADAPTERS, x->rows, &lr->down);
    ex->arithmetic->linear->weight_gradient(ex, &g->down, g->dt, &of_a, &lr->down);
    exec_release(ex, mark);
}
