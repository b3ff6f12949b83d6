/* Layer norm in integers, and in float for the baselines.  See layernorm.h. */
#include "layers/layernorm.h"

#include <math.h>
#include <string.h>

#include "tensor/isqrt.h"

enum { RECIPROCAL_SHIFT = 44, ROW_GRAIN = 16, STRIP = 64, AHEAD = 8, MIN_XHAT_EXPONENT = -100 };

void layernorm_bind(const exec *ex, layernorm *ln, arena *a, const char *name, int id, param *gamma,
                    param *beta, int64_t n, float epsilon)
{
    *ln = (layernorm){.name = name, .id = id, .n = n, .epsilon = epsilon};
    ln->gamma = gamma;
    ln->beta = beta;
    if (ex->format.kind == FORMAT_DFP) {
        ln->gamma_q = arena_take(a, (size_t)n, sizeof(int16_t));
        ln->beta_q = arena_take(a, (size_t)n, sizeof(int16_t));
    }
}

void layernorm_state_bind(const exec *ex, layernorm_state *state, arena *a, int64_t rows, int64_t n)
{
    *state = (layernorm_state){0};
    state->rstd = arena_take(a, (size_t)rows, sizeof(float));
    if (ex->format.kind == FORMAT_DFP) {
        state->xhat_q = arena_take(a, (size_t)(rows * n), sizeof(int16_t));
        state->xhat_scale = arena_take(a, (size_t)rows, sizeof(float));
    } else {
        state->xhat = arena_take(a, (size_t)(rows * n), sizeof(float));
    }
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
    if (ex->format.kind != FORMAT_DFP)
        return;
    g->q = exec_take(ex, rows * n, sizeof(int16_t));
    g->scale = exec_take(ex, rows, sizeof(float));
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

/* One vector to norm_bits mantissas; returns its scale. */
static float map_vector(exec *ex, int16_t *q, const float *x, int64_t n, const layernorm *ln,
                        int64_t stream)
{
    const uint32_t bits = ex->fk->max_abs_bits(x, n);
    if (bits >= FLOAT_INFINITY_BITS) {
        exec_report_anomaly(ex, "the weight", ln->name);
        memset(q, 0, (size_t)n * sizeof *q);
        return 1.0f;
    }
    const int e = format_unit_exponent(bits, ex->format.norm_bits);
    const quantize_args args = {
        .scale = format_power(-e),
        .limit = format_limit(ex->format.norm_bits),
        .stochastic = exec_stochastic_values(ex),
        .key = rng_make_key(ex->seed, ex->weight_version, (uint64_t)ln->id, RNG_ROUND_WEIGHT),
        .first = (uint32_t)(stream * n),
    };
    ex->fk->quantize_s16(q, x, n, &args);
    return format_power(e);
}

void layernorm_prepare(exec *ex, layernorm *ln)
{
    if (ex->format.kind != FORMAT_DFP || ex->dry)
        return;
    if (ln->version == ex->weight_version + 1 &&
        ln->version_stochastic == exec_stochastic_values(ex))
        return;
    ln->version = ex->weight_version + 1;
    ln->version_stochastic = exec_stochastic_values(ex);
    ln->gamma_scale = map_vector(ex, ln->gamma_q, ln->gamma->value, ln->n, ln, 0);
    ln->beta_scale = map_vector(ex, ln->beta_q, ln->beta->value, ln->n, ln, 1);
}

typedef struct norm_job {
    exec *ex;
    const layernorm *ln;
    const layernorm_state *state;
    const float *in;
    float *out;
    int64_t rows;
    int tensor_exponent; /* of the input's unit, in the tensor mode */
    bool by_tensor, failed;
    layernorm_gradient g; /* backward */
} norm_job;

/* In the tensor mode: one exponent for the whole input. */
static void find_tensor_exponent(norm_job *job, const char *what)
{
    job->by_tensor = job->ex->format.group == GROUP_TENSOR;
    if (!job->by_tensor)
        return;
    const uint32_t bits = exec_max_abs_bits(job->ex, job->in, job->rows * job->ln->n);
    job->failed = bits >= FLOAT_INFINITY_BITS;
    if (job->failed)
        exec_report_anomaly(job->ex, what, job->ln->name);
    else
        job->tensor_exponent = format_unit_exponent(bits, job->ex->format.norm_bits);
}

/* Map row t of job->in; returns the exponent of its unit. */
static int map_row(const norm_job *job, int16_t *q, int64_t t, rng_use use, bool stochastic,
                   const char *what)
{
    const int64_t n = job->ln->n;
    const float *x = job->in + t * n;
    const int bits = job->ex->format.norm_bits;
    int e = job->tensor_exponent;
    bool failed = job->failed;
    if (!job->by_tensor) {
        const uint32_t max = job->ex->fk->max_abs_bits(x, n);
        failed = max >= FLOAT_INFINITY_BITS;
        if (failed)
            exec_report_anomaly(job->ex, what, job->ln->name);
        else
            e = format_unit_exponent(max, bits);
    }
    if (failed) {
        memset(q, 0, (size_t)n * sizeof *q);
        return 0;
    }
    const quantize_args args = {
        .scale = format_power(-e),
        .limit = format_limit(bits),
        .stochastic = stochastic,
        .key = rng_make_key(job->ex->seed, job->ex->step, (uint64_t)job->ln->id, use),
        .first = (uint32_t)((job->state->first_row + t) * n),
    };
    job->ex->fk->quantize_s16(q, x, n, &args);
    return e;
}

/*
 * n^2 (var + eps) in units of 2^2e, divided by 4^*down so that it is below 2^62; at least 1.  Only
 * a row far smaller than sqrt(eps) needs *down > 0.
 */
static int64_t variance_units(const norm_sums *s, int64_t n, float epsilon, int e, int *down)
{
    int exponent;
    double eps = ldexp((double)n * (double)n * (double)epsilon, -2 * e);
    frexp(eps, &exponent);
    *down = exponent > 61 ? (exponent - 60) / 2 : 0;
    eps = ldexp(eps, -2 * *down);
    const int64_t v = *down > 31 ? 0 : (n * s->s2 - s->s1 * s->s1) >> (2 * *down);
    const double room = 4611686018427387904.0 - (double)v;
    const int64_t total = eps < room ? v + (int64_t)eps : INT64_C(1) << 62;
    return total < 1 ? 1 : total;
}

/* y of row t, from x^. */
static void output_row(const norm_job *job, int64_t t)
{
    const layernorm *ln = job->ln;
    const layernorm_state *state = job->state;
    const int64_t at = t * ln->n;
    if (job->ex->format.kind == FORMAT_DFP) {
        job->ex->fk->norm_affine(job->out + at, state->xhat_q + at, ln->gamma_q, ln->beta_q, ln->n,
                                 state->xhat_scale[t] * ln->gamma_scale, ln->beta_scale);
        return;
    }
    for (int64_t j = 0; j < ln->n; j++)
        job->out[at + j] = ln->gamma->value[j] * state->xhat[at + j] + ln->beta->value[j];
}

static void forward_row(norm_job *job, int64_t t)
{
    const exec *ex = job->ex;
    const int64_t n = job->ln->n;
    int16_t *xq = job->state->xhat_q + t * n;
    norm_sums s;
    const int e =
        map_row(job, xq, t, RNG_ROUND_ACTIVATION, exec_stochastic_values(ex), "the input");
    ex->fk->norm_sums(&s, xq, n);
    int down, half_shift; /* sigma = root * 2^(down - half_shift) */
    const int64_t variance = variance_units(&s, n, job->ln->epsilon, e, &down);
    const int64_t root = isqrt_scaled(variance, &half_shift);
    const double sigma = ldexp((double)root, down - half_shift);
    const int64_t above = n * s.max - s.s1, below = s.s1 - n * s.min;
    const int64_t largest = above > below ? above : below;
    int ex_unit = 0;
    if (largest > 0) {
        int exponent;
        frexp((double)largest / sigma, &exponent);
        ex_unit = exponent - 1 - (ex->format.norm_bits - 2);
        ex_unit = ex_unit < MIN_XHAT_EXPONENT ? MIN_XHAT_EXPONENT : ex_unit;
    }
    const double reciprocal = ldexp(1.0 / sigma, RECIPROCAL_SHIFT - ex_unit);
    const quantize_args args = {
        .limit = format_limit(ex->format.norm_bits),
        .stochastic = exec_stochastic_values(ex),
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)job->ln->id, RNG_ROUND_NORM),
        .first = (uint32_t)((job->state->first_row + t) * n),
    };
    ex->fk->norm_divide(xq, xq, n, s.s1, (int64_t)(reciprocal + 0.5), RECIPROCAL_SHIFT, &args);
    const float scale = format_power(ex_unit);
    job->state->xhat_scale[t] = scale;
    job->state->rstd[t] = (float)ldexp((double)n / sigma, -e);
    output_row(job, t);
}

static void forward_rows(void *arg, int64_t begin, int64_t end)
{
    norm_job *job = arg;
    const int64_t n = job->ln->n;
    for (int64_t t = begin; t < end; t++) {
        if (job->ex->format.kind == FORMAT_DFP)
            forward_row(job, t);
        else
            job->state->rstd[t] = job->ex->fk->layernorm_forward(
                job->out + t * n, job->state->xhat + t * n, job->in + t * n, job->ln->gamma->value,
                job->ln->beta->value, n, job->ln->epsilon);
    }
}

void layernorm_forward(exec *ex, float *y, const float *x, int64_t rows, layernorm *ln,
                       layernorm_state *state)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .in = x, .out = y, .rows = rows};
    layernorm_prepare(ex, ln);
    if (ex->format.kind == FORMAT_DFP)
        find_tensor_exponent(&job, "the input");
    exec_parallel(ex, rows, ROW_GRAIN, forward_rows, &job);
}

static void output_rows(void *arg, int64_t begin, int64_t end)
{
    for (int64_t t = begin; t < end; t++)
        output_row(arg, t);
}

void layernorm_output(exec *ex, float *y, int64_t rows, const layernorm *ln,
                      const layernorm_state *state)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .out = y, .rows = rows};
    exec_parallel(ex, rows, ROW_GRAIN, output_rows, &job);
}

static void backward_row(norm_job *job, int64_t t)
{
    const exec *ex = job->ex;
    const int64_t n = job->ln->n;
    const int16_t *xq = job->state->xhat_q + t * n;
    int16_t *q = job->g.q + t * n;
    const int e = map_row(job, q, t, RNG_ROUND_GRADIENT_DX, exec_stochastic_gradients(ex),
                          "the output gradient");
    const float xs = job->state->xhat_scale[t];
    job->g.scale[t] = format_power(e);
    /* forward: y = gamma x^ + beta, x^ = (x - mean) / std */
    int64_t h1, h2;
    ex->fk->norm_grad_sums(&h1, &h2, q, job->ln->gamma_q, xq, n);
    const float m1 = (float)((double)h1 / (double)n);
    const float m2 = (float)((double)h2 / (double)n * (double)xs * (double)xs);
    ex->fk->norm_grad_input(job->out + t * n, q, job->ln->gamma_q, xq, n,
                            format_power(e) * job->ln->gamma_scale * job->state->rstd[t], m1, m2);
}

static void backward_rows_integer(void *arg, int64_t begin, int64_t end)
{
    for (int64_t t = begin; t < end; t++)
        backward_row(arg, t);
}

static void backward_rows_float(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const int64_t n = job->ln->n;
    for (int64_t t = begin; t < end; t++)
        job->ex->fk->layernorm_backward(job->out + t * n, job->in + t * n, job->state->xhat + t * n,
                                        job->ln->gamma->value, job->state->rstd[t], n);
}

/* A strip of a row is too short for the processor to foresee the next. */
static void prefetch_strip(const norm_job *job, int64_t at, int64_t n)
{
    for (int64_t j = 0; j < n; j += 32) {
        MTS_PREFETCH(job->g.q + at + j);
        MTS_PREFETCH(job->state->xhat_q + at + j);
    }
}

/* Parameter gradients of columns [begin, end): rows in order, sums in double. */
static void param_strip(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const exec *ex = job->ex;
    const layernorm *ln = job->ln;
    const int64_t n = ln->n;
    double dgamma[STRIP] = {0}, dbeta[STRIP] = {0};
    for (int64_t t = 0; t < job->rows; t++) {
        const int64_t at = t * n + begin;
        if (ex->format.kind == FORMAT_DFP) {
            const double s = (double)job->g.scale[t];
            if (t + AHEAD < job->rows)
                prefetch_strip(job, at + AHEAD * n, end - begin);
            ex->fk->norm_grad_params(dgamma, dbeta, job->g.q + at, job->state->xhat_q + at,
                                     end - begin, s * (double)job->state->xhat_scale[t], s);
        } else {
            for (int64_t j = 0; j < end - begin; j++) {
                dgamma[j] += (double)(job->g.dy[at + j] * job->state->xhat[at + j]);
                dbeta[j] += (double)job->g.dy[at + j];
            }
        }
    }
    for (int64_t j = begin; j < end; j++) {
        const float g0 = ex->accumulate_grads ? ln->gamma->grad[j] : 0.0f;
        const float b0 = ex->accumulate_grads ? ln->beta->grad[j] : 0.0f;
        ln->gamma->grad[j] = g0 + (float)dgamma[j - begin];
        ln->beta->grad[j] = b0 + (float)dbeta[j - begin];
    }
}

void layernorm_backward_input(exec *ex, float *dx, const float *dy, int64_t rows,
                              const layernorm *ln, const layernorm_state *state,
                              const layernorm_gradient *g)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .in = dy, .out = dx, .rows = rows, .g = *g};
    if (ex->format.kind == FORMAT_DFP) {
        find_tensor_exponent(&job, "the output gradient");
        exec_parallel(ex, rows, ROW_GRAIN, backward_rows_integer, &job);
    } else {
        exec_parallel(ex, rows, ROW_GRAIN, backward_rows_float, &job);
    }
}

void layernorm_backward_params(exec *ex, const layernorm_gradient *g, int64_t rows,
                               const layernorm *ln, const layernorm_state *state)
{
    norm_job job = {.ex = ex, .ln = ln, .state = state, .rows = rows, .g = *g};
    exec_parallel(ex, ln->n, STRIP, param_strip, &job);
}

void layernorm_backward(exec *ex, float *dx, const float *dy, int64_t rows, layernorm *ln,
                        const layernorm_state *state)
{
    layernorm_gradient g;
    const size_t mark = exec_mark(ex);
    layernorm_gradient_take(ex, &g, rows, ln->n);
    g.dy = dy;
    if (ex->format.kind == FORMAT_DFP) {
        layernorm_backward_input(ex, dx, dy, rows, ln, state, &g);
        layernorm_backward_params(ex, &g, rows, ln, state);
    } else {
        /* dx may be dy: the parameter gradients read dy first */
        layernorm_backward_params(ex, &g, rows, ln, state);
        layernorm_backward_input(ex, dx, dy, rows, ln, state, &g);
    }
    exec_release(ex, mark);
}
