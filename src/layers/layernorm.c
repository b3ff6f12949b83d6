/* Layer norm: what is the same in every number format.  See layernorm.h. */
#include "layers/layernorm.h"

#include <string.h>

#include "layers/arithmetic.h"

enum { ROW_GRAIN = 16, STRIP = 64 };

void layernorm_bind(const exec *ex, layernorm *ln, arena *a, const char *name, int id, param *gamma,
                    param *beta, int64_t n, float epsilon)
{
    *ln = (layernorm){.name = name, .id = id, .n = n, .epsilon = epsilon};
    ln->gamma = gamma;
    ln->beta = beta;
    ln->centred = beta != NULL;
    if (ex->arithmetic->layernorm->bind != NULL)
        ex->arithmetic->layernorm->bind(ln, a);
}

void layernorm_offset(layernorm *ln, arena *a, float offset)
{
    ln->offset = offset;
    ln->gain = offset == 0.0f ? NULL : arena_take(a, (size_t)ln->n, sizeof(float));
}

void layernorm_centre(layernorm *ln, arena *a)
{
    ln->centred = true;
    ln->zeros = arena_take(a, (size_t)ln->n, sizeof(float));
}

void layernorm_state_bind(const exec *ex, layernorm_state *state, arena *a, int64_t rows, int64_t n)
{
    *state = (layernorm_state){.rstd = arena_take(a, (size_t)rows, sizeof(float))};
    ex->arithmetic->layernorm->state_bind(state, a, rows, n);
}

layernorm_state layernorm_state_rows(const layernorm_state *state, int64_t n, int64_t begin)
{
    layernorm_state part = *state;
    part.first_row += begin;
    part.rstd += begin;
    if (state->xhat_q != NULL) {
        part.xhat_q += begin * n;
        part.xhat_scale += begin;
    } else {
        part.xhat += begin * n;
    }
    return part;
}

void layernorm_gradient_take(exec *ex, layernorm_gradient *g, int64_t rows, int64_t n)
{
    *g = (layernorm_gradient){0};
    if (ex->arithmetic->layernorm->gradient_take != NULL)
        ex->arithmetic->layernorm->gradient_take(ex, g, rows, n);
}

bool layernorm_keeps_gradient(const exec *ex)
{
    return ex->arithmetic->layernorm->keeps_gradient;
}

layernorm_gradient layernorm_gradient_rows(const layernorm_gradient *g, int64_t n, int64_t begin)
{
    layernorm_gradient part = *g;
    if (g->q != NULL) {
        part.q += begin * n;
        part.scale += begin;
    }
    return part;
}

static void make_gain(const exec *ex, layernorm *ln)
{
    for (int64_t j = 0; j < ln->n && ln->offset != 0.0f && !ex->dry; j++)
        ln->gain[j] = ln->offset + ln->gamma->value[j];
}

void layernorm_prepare(exec *ex, layernorm *ln)
{
    if (ln->version == ex->weight_version + 1 &&
        ln->version_stochastic == exec_stochastic_values(ex))
        return;
    ln->version = ex->weight_version + 1;
    ln->version_stochastic = exec_stochastic_values(ex);
    make_gain(ex, ln);
    if (ln->zeros != NULL)
        exec_clear(ex, ln->zeros, (size_t)ln->n * sizeof(float));
    if (ex->arithmetic->layernorm->set != NULL)
        ex->arithmetic->layernorm->set(ex, ln);
}

/* What comes before the rows of job->in. */
static void begin_rows(norm_job *job, const char *what)
{
    if (job->ex->arithmetic->layernorm->begin != NULL)
        job->ex->arithmetic->layernorm->begin(job, what);
}

void layernorm_forward(exec *ex, float *y, const float *x, int64_t rows, layernorm *ln,
                       layernorm_state *state)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .in = x, .out = y, .rows = rows};
    layernorm_prepare(ex, ln);
    begin_rows(&job, "the input");
    exec_parallel(ex, rows, ROW_GRAIN, ex->arithmetic->layernorm->forward, &job);
}

void layernorm_output(exec *ex, float *y, int64_t rows, const layernorm *ln,
                      const layernorm_state *state)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .out = y, .rows = rows};
    exec_parallel(ex, rows, ROW_GRAIN, ex->arithmetic->layernorm->output, &job);
}

/* ------------------------------------------------------------------------------ backward ---- */

void layernorm_backward_input(exec *ex, float *dx, const float *dy, int64_t rows,
                              const layernorm *ln, const layernorm_state *state,
                              const layernorm_gradient *g)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .in = dy, .out = dx, .rows = rows, .g = *g};
    begin_rows(&job, "the output gradient");
    exec_parallel(ex, rows, ROW_GRAIN, ex->arithmetic->layernorm->input_gradient, &job);
}

/* grad[n] = or += sum[n]; NULL: not trained. */
static void store_gradient(const exec *ex, float *grad, const double *sum, int64_t n)
{
    for (int64_t j = 0; j < n && grad != NULL; j++)
        grad[j] = (ex->accumulate_grads ? grad[j] : 0.0f) + (float)sum[j];
}

/* Gradients of columns [begin, end): rows in order, sums in double. */
static void param_strip(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const exec *ex = job->ex;
    const param *beta_param = job->ln->beta;
    float *gamma = job->ln->gamma->grad, *beta = beta_param == NULL ? NULL : beta_param->grad;
    double dgamma[STRIP] = {0}, dbeta[STRIP] = {0};
    ex->arithmetic->layernorm->param_sums(job, dgamma, dbeta, begin, end);
    store_gradient(ex, gamma == NULL ? NULL : gamma + begin, dgamma, end - begin);
    store_gradient(ex, beta == NULL ? NULL : beta + begin, dbeta, end - begin);
}

void layernorm_backward_params(exec *ex, const layernorm_gradient *g, int64_t rows,
                               const layernorm *ln, const layernorm_state *state)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .rows = rows, .g = *g};
    if (ln->gamma->trained || (ln->beta != NULL && ln->beta->trained))
        exec_parallel(ex, ln->n, STRIP, param_strip, &job);
}

void layernorm_backward(exec *ex, float *dx, const float *dy, int64_t rows, layernorm *ln,
                        const layernorm_state *state)
{
    layernorm_gradient g;
    const size_t mark = exec_mark(ex);
    layernorm_gradient_take(ex, &g, rows, ln->n);
    g.dy = dy;
    if (layernorm_keeps_gradient(ex)) {
        layernorm_backward_input(ex, dx, dy, rows, ln, state, &g);
        layernorm_backward_params(ex, &g, rows, ln, state);
    } else {
        /* dx may be dy: the gradients of gamma and beta read it first */
        layernorm_backward_params(ex, &g, rows, ln, state);
        layernorm_backward_input(ex, dx, dy, rows, ln, state, &g);
    }
    exec_release(ex, mark);
}
