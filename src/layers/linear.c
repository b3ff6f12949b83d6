/* Linear layer, forward and backward: what is the same in every number format.  See linear.h. */
#include "layers/linear.h"

#include <assert.h>
#include <string.h>

#include "layers/arithmetic.h"
#include "layers/low_rank.h"

enum { STRIP = 256 }; /* columns of one piece of the bias gradient */

void linear_bind(exec *ex, linear *lin, arena *a, const char *name, int id, param *weight,
                 param *bias, int64_t out, int64_t in)
{
    *lin = (linear){.name = name, .id = id, .out = out, .in = in, .weight = weight, .bias = bias};
    lin->listed = &lin->outliers;
    if (ex->arithmetic->linear->weight_bind != NULL)
        ex->arithmetic->linear->weight_bind(ex, lin, a);
    if (ex->watch != NULL)
        format_watch_add(ex->watch, &lin->watch, name, out,
                         lin->outliers.capacity > 0 ? &lin->outliers : NULL);
}

void linear_bind_like(exec *ex, linear *lin, arena *a, const char *name, int id, param *weight,
                      int64_t out, int64_t in, const linear *like)
{
    if (like == NULL) {
        linear_bind(ex, lin, a, name, id, weight, NULL, out, in);
        return;
    }
    *lin = (linear){.name = name, .id = id, .out = out, .in = in, .weight = weight};
    lin->listed = like->listed;
    if (ex->arithmetic->linear->weight_bind != NULL)
        ex->arithmetic->linear->weight_bind(ex, lin, a);
}

void linear_input_name(linear_input *in, linear *lin, int id)
{
    in->where = lin->name;
    in->id = id;
    in->outliers = lin->outliers.capacity > 0 ? &lin->outliers : NULL;
    in->watch = &lin->watch;
    in->low_rank = lin->low_rank;
}

/* What lin->version is of a weight that was packed now.  The draws of stochastic rounding are other
 * ones in each step, so a frozen weight is packed again then too. */
static uint64_t present_version(const exec *ex, const linear *lin)
{
    const bool stays = !lin->weight->trained && !exec_stochastic_values(ex);
    return (stays ? ex->base_version : ex->weight_version) + 1;
}

/* Whether the packed weight is that of now. */
static bool is_packed(const exec *ex, const linear *lin)
{
    return lin->version == present_version(ex, lin) &&
           lin->outlier_version == lin->listed->version &&
           lin->version_stochastic == exec_stochastic_values(ex);
}

void linear_prepare(exec *ex, linear *lin)
{
    const bool seen = ex->watch == NULL || lin->watch.weight_seen;
    if (lin->low_rank != NULL)
        low_rank_prepare(ex, lin->low_rank);
    if (ex->arithmetic->linear->weight_set == NULL || (is_packed(ex, lin) && seen))
        return;
    if (!seen)
        lin->watch.weight_seen = true; /* an evaluation may have packed it: again, to the same */
    lin->outlier_version = lin->listed->version;
    lin->version = present_version(ex, lin);
    lin->version_stochastic = exec_stochastic_values(ex);
    ex->arithmetic->linear->weight_set(ex, lin);
}

void linear_count_work(const exec *ex, work_part part, int64_t rows, const linear *lin)
{
    const bool adapter = lin->weight->part == PARAM_ADAPTER;
    work_count(ex, adapter ? WORK_ADAPTERS : part,
               (double)rows * (double)lin->out * (double)lin->in);
}

void linear_forward(exec *ex, float *y, const linear_input *x, linear *lin)
{
    const size_t mark = exec_mark(ex);
    linear_count_work(ex, WORK_FORWARD, x->rows, lin);
    linear_prepare(ex, lin);
    ex->arithmetic->linear->forward(ex, y, x, lin);
    exec_release(ex, mark);
    if (lin->low_rank != NULL)
        low_rank_forward(ex, y, x, lin);
}

void linear_forward_again(exec *ex, const linear_input *x, linear *lin)
{
    if (lin->low_rank != NULL)
        low_rank_forward(ex, NULL, x, lin);
}

/* ------------------------------------------------------------------------------ backward ---- */

static int64_t sums_of(int64_t rows)
{
    return (rows + LINEAR_SUM_ROWS - 1) / LINEAR_SUM_ROWS;
}

void linear_gradient_take(exec *ex, linear_gradient *g, int64_t rows, const linear *lin)
{
    *g = (linear_gradient){.dt = NULL};
    g->sums.bias_sums = exec_take(ex, sums_of(rows) * lin->out, sizeof(float));
    if (ex->arithmetic->linear->gradient_take != NULL)
        ex->arithmetic->linear->gradient_take(ex, &g->sums, lin->out);
    if (lin->low_rank != NULL)
        low_rank_gradient_take(ex, g, rows, lin);
}

void linear_gradient_take_most(exec *ex, linear_gradient *g, int64_t rows, const linear *lin,
                               size_t stride, int64_t count)
{
    const linear *most = lin;
    for (int64_t l = 1; l < count; l++) {
        const linear *other = (const void *)((const char *)lin + (size_t)l * stride);
        if (low_rank_parts(other) > low_rank_parts(most))
            most = other;
    }
    linear_gradient_take(ex, g, rows, most);
}

typedef struct collect_job {
    const exec *ex;
    const linear_sums *g;
    const float *dy;
    const linear_input *x;
    const linear *lin;
} collect_job;

static bool has_trained_bias(const linear *lin)
{
    return lin->bias != NULL && lin->bias->trained;
}

/* Of rows [begin, end), at most LINEAR_SUM_ROWS: their sum, and the maxima of the columns. */
static void collect_rows(void *arg, int64_t begin, int64_t end)
{
    const collect_job *job = arg;
    const int64_t n = job->lin->out;
    const float *dy = job->dy + begin * n;
    if (has_trained_bias(job->lin)) {
        float *sum = job->g->bias_sums + (job->x->first_row + begin) / LINEAR_SUM_ROWS * n;
        memcpy(sum, dy, (size_t)n * sizeof(float));
        for (int64_t i = 1; i < end - begin; i++)
            job->ex->fk->accumulate(sum, dy + i * n, n);
    }
    if (job->lin->weight->trained && job->g->col_max != NULL)
        qmatrix_column_max(job->ex, job->g->col_max, dy, n, end - begin, n,
                           job->x->q.scale + begin);
}

void linear_sums_collect(exec *ex, const linear_sums *sums, const float *dy, const linear_input *x,
                         const linear *lin)
{
    collect_job job = {ex, sums, dy, x, lin};
    assert(x->first_row % LINEAR_SUM_ROWS == 0);
    if (has_trained_bias(lin) || lin->weight->trained)
        exec_parallel(ex, x->rows, LINEAR_SUM_ROWS, collect_rows, &job);
}

void linear_backward_rows(exec *ex, float *dx, const float *dy, const linear_input *x,
                          const linear *lin, const linear_gradient *g)
{
    const size_t mark = exec_mark(ex);
    linear_sums_collect(ex, &g->sums, dy, x, lin);
    /* forward: y = x W^T + b */
    if (dx != NULL) {
        linear_count_work(ex, WORK_INPUT_GRADIENT, x->rows, lin);
        ex->arithmetic->linear->input_gradient(ex, dx, dy, x, lin);
    }
    exec_release(ex, mark);
    if (lin->low_rank != NULL)
        low_rank_backward_rows(ex, dx, dy, x, lin, g);
}

typedef struct sum_job {
    const exec *ex;
    const linear_sums *g;
    float *grad;
    int64_t sums, cols;
} sum_job;

static void add_sums(void *arg, int64_t begin, int64_t end)
{
    const sum_job *job = arg;
    const float *sum = job->g->bias_sums + begin;
    float total[STRIP] = {0};
    for (int64_t s = 0; s < job->sums; s++)
        job->ex->fk->accumulate(total, sum + s * job->cols, end - begin);
    if (job->ex->accumulate_grads)
        job->ex->fk->accumulate(job->grad + begin, total, end - begin);
    else
        memcpy(job->grad + begin, total, (size_t)(end - begin) * sizeof(float));
}

/* forward: y = x W^T + b */
static void bias_gradient(exec *ex, const linear_sums *g, int64_t rows, const linear *lin)
{
    sum_job job = {ex, g, lin->bias->grad, sums_of(rows), lin->out};
    exec_parallel(ex, lin->out, STRIP, add_sums, &job);
}

void linear_backward_params(exec *ex, const linear_gradient *g, const float *dy,
                            const linear_input *x, const linear *lin)
{
    const size_t mark = exec_mark(ex);
    /* forward: y = x W^T + b */
    if (lin->weight->trained) {
        linear_count_work(ex, WORK_WEIGHT_GRADIENT, x->rows, lin);
        ex->arithmetic->linear->weight_gradient(ex, &g->sums, dy, x, lin);
    }
    if (has_trained_bias(lin))
        bias_gradient(ex, &g->sums, x->rows, lin);
    if (lin->low_rank != NULL)
        low_rank_backward_params(ex, g, dy, x, lin);
    exec_release(ex, mark);
}

void linear_backward(exec *ex, float *dx, const float *dy, const linear_input *x, const linear *lin)
{
    linear_gradient g;
    const size_t mark = exec_mark(ex);
    linear_gradient_take(ex, &g, x->rows, lin);
    linear_backward_rows(ex, dx, dy, x, lin, &g);
    linear_backward_params(ex, &g, dy, x, lin);
    exec_release(ex, mark);
}
