/* The gated activation.  See gated.h. */
#include "layers/gated.h"

enum { ROW_GRAIN = 8 };

static bool keeps_mantissas(const exec *ex)
{
    return ex->format.kind == FORMAT_DFP;
}

void gated_state_bind(const exec *ex, gated_state *state, arena *a, const gated *f, int64_t rows)
{
    const int bits = ex->format.activation_bits;
    *state = (gated_state){0};
    if (!keeps_mantissas(ex)) {
        state->uv = arena_take(a, (size_t)(rows * gated_in_width(f)), sizeof(float));
        return;
    }
    if (!ex->training)
        return;
    nonlinearity_state_bind(ex, &state->slope, a, rows * f->n);
    if (f->plain)
        return;
    qmatrix_bind(&state->act, a, rows, f->n, bits, GROUP_ROW);
    qmatrix_bind(&state->gate, a, rows, f->n, bits, GROUP_ROW);
}

gated_state gated_state_rows(const exec *ex, const gated_state *state, const gated *f,
                             int64_t begin, int64_t end)
{
    gated_state part = *state;
    part.first_row += begin;
    if (state->uv != NULL)
        part.uv += begin * gated_in_width(f);
    if (state->slope.slope != NULL)
        part.slope = nonlinearity_state_from(ex, &state->slope, begin * f->n);
    if (state->act.q != NULL) {
        part.act = qmatrix_rows(&state->act, begin, end);
        part.gate = qmatrix_rows(&state->gate, begin, end);
    }
    return part;
}

float *gated_source(const gated_state *state, float *scratch)
{
    return state->uv != NULL ? state->uv : scratch;
}

typedef struct gated_job {
    exec *ex;
    float *out;      /* forward: g; backward: duv */
    const float *in; /* forward: uv; backward: dg */
    float *scratch;  /* forward in dynamic fixed point: [rows][n] */
    const gated *f;
    const gated_state *state;
} gated_job;

/* g = f(u) * v, nothing kept. */
static void forward_rows(void *arg, int64_t begin, int64_t end)
{
    const gated_job *job = arg;
    const int64_t n = job->f->n, width = gated_in_width(job->f);
    for (int64_t t = begin; t < end; t++) {
        const float *u = job->in + t * width;
        float *g = job->out + t * n;
        job->ex->fk->activation_forward(g, u, n, job->f->act.kind);
        if (!job->f->plain)
            job->ex->fk->multiply(g, g, u + n, n);
    }
}

/* g = f(u) * v; f(u) is left in scratch, and the mantissas of its slope are kept.  (A row is short:
 * the functions called run on this thread.) */
static void forward_rows_dfp(void *arg, int64_t begin, int64_t end)
{
    const gated_job *job = arg;
    const int64_t n = job->f->n;
    for (int64_t t = begin; t < end; t++) {
        const float *u = job->in + t * 2 * n;
        float *act = job->scratch + t * n;
        nonlinearity_state slope = nonlinearity_state_from(job->ex, &job->state->slope, t * n);
        nonlinearity_forward(job->ex, act, u, n, &job->f->act, &slope);
        job->ex->fk->multiply(job->out + t * n, act, u + n, n);
    }
}

static void keep(exec *ex, const qmatrix *m, const float *x, int64_t ldx, const gated *f, int id,
                 int64_t first_row)
{
    qmatrix to = *m;
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)id, RNG_ROUND_ACTIVATION),
        .first_row = first_row,
        .stochastic = exec_stochastic_values(ex),
        .scales = ex->format.scales,
        .what = "the activation",
        .where = f->name,
    };
    qmatrix_map(ex, &to, x, ldx, &args);
}

void gated_forward(exec *ex, float *g, const float *uv, int64_t rows, const gated *f,
                   gated_state *state)
{
    const size_t mark = exec_mark(ex);
    gated_job job = {ex, g, uv, NULL, f, state};
    if (!ex->training || !keeps_mantissas(ex)) {
        exec_parallel(ex, rows, ROW_GRAIN, forward_rows, &job);
        return;
    }
    if (f->plain) {
        nonlinearity_forward(ex, g, uv, rows * f->n, &f->act, &state->slope);
        return;
    }
    job.scratch = exec_take(ex, rows * f->n, sizeof(float));
    exec_parallel(ex, rows, ROW_GRAIN, forward_rows_dfp, &job);
    keep(ex, &state->act, job.scratch, f->n, f, f->act_id, state->first_row);
    keep(ex, &state->gate, uv + f->n, 2 * f->n, f, f->gate_id, state->first_row);
    exec_release(ex, mark);
}

/* ------------------------------------------------------------------------------ backward ---- */

/* y[n] = x * row t of m */
static void multiply_by_row(const exec *ex, float *y, const float *x, const qmatrix *m, int64_t t)
{
    const int64_t at = t * m->cols;
    if (m->bits <= 8)
        ex->fk->multiply_s8(y, x, (const int8_t *)m->q + at, m->cols, m->scale[t]);
    else
        ex->fk->multiply_s16(y, x, (const int16_t *)m->q + at, m->cols, m->scale[t]);
}

static void backward_rows_dfp(void *arg, int64_t begin, int64_t end)
{
    const gated_job *job = arg;
    const int64_t n = job->f->n;
    for (int64_t t = begin; t < end; t++) {
        float *du = job->out + t * 2 * n;
        const float *dg = job->in + t * n;
        const nonlinearity_state slope =
            nonlinearity_state_from(job->ex, &job->state->slope, t * n);
        /* forward: g = f(u) v */
        multiply_by_row(job->ex, du + n, dg, &job->state->act, t);
        multiply_by_row(job->ex, du, dg, &job->state->gate, t);
        nonlinearity_backward(job->ex, du, du, n, &job->f->act, &slope);
    }
}

static void backward_rows_float(void *arg, int64_t begin, int64_t end)
{
    const gated_job *job = arg;
    const int64_t n = job->f->n, width = gated_in_width(job->f);
    const float_kernels *fk = job->ex->fk;
    for (int64_t t = begin; t < end; t++) {
        float *du = job->out + t * width;
        const float *dg = job->in + t * n, *u = job->state->uv + t * width;
        if (job->f->plain) {
            fk->activation_backward(du, dg, u, n, job->f->act.kind);
            continue;
        }
        /* forward: g = f(u) v */
        fk->multiply(du, dg, u + n, n);
        fk->activation_backward(du, du, u, n, job->f->act.kind);
        fk->activation_forward(du + n, u, n, job->f->act.kind);
        fk->multiply(du + n, du + n, dg, n);
    }
}

void gated_backward(exec *ex, float *duv, const float *dg, int64_t rows, const gated *f,
                    const gated_state *state)
{
    gated_job job = {ex, duv, dg, NULL, f, state};
    if (f->plain && keeps_mantissas(ex)) {
        nonlinearity_backward(ex, duv, dg, rows * f->n, &f->act, &state->slope);
        return;
    }
    exec_parallel(ex, rows, ROW_GRAIN,
                  keeps_mantissas(ex) ? backward_rows_dfp : backward_rows_float, &job);
}
