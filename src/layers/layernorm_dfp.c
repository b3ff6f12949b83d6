/* Layer norm in integers.  See layernorm.h, arithmetic.h. */
#include "layers/arithmetic.h"

#include <math.h>
#include <string.h>

#include "tensor/isqrt.h"

enum { RECIPROCAL_SHIFT = 44, AHEAD = 8, MIN_XHAT_EXPONENT = -100 };

static void bind(layernorm *ln, arena *a)
{
    ln->gamma_q = arena_take(a, (size_t)ln->n, sizeof(int16_t));
    ln->beta_q = arena_take(a, (size_t)ln->n, sizeof(int16_t));
}

static void state_bind(layernorm_state *state, arena *a, int64_t rows, int64_t n)
{
    state->xhat_q = arena_take(a, (size_t)(rows * n), sizeof(int16_t));
    state->xhat_scale = arena_take(a, (size_t)rows, sizeof(float));
}

static void gradient_take(exec *ex, layernorm_gradient *g, int64_t rows, int64_t n)
{
    g->q = exec_take(ex, rows * n, sizeof(int16_t));
    g->scale = exec_take(ex, rows, sizeof(float));
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

static void set(exec *ex, layernorm *ln)
{
    if (ex->dry)
        return;
    ln->gamma_scale = map_vector(ex, ln->gamma_q, layernorm_gain(ln), ln->n, ln, 0);
    if (ln->beta != NULL) {
        ln->beta_scale = map_vector(ex, ln->beta_q, ln->beta->value, ln->n, ln, 1);
        return;
    }
    memset(ln->beta_q, 0, (size_t)ln->n * sizeof *ln->beta_q);
    ln->beta_scale = 0.0f;
}

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
    job->ex->fk->norm_affine(job->out + at, state->xhat_q + at, ln->gamma_q, ln->beta_q, ln->n,
                             state->xhat_scale[t] * ln->gamma_scale, ln->beta_scale);
}

static void output_rows(void *arg, int64_t begin, int64_t end)
{
    for (int64_t t = begin; t < end; t++)
        output_row(arg, t);
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
    if (!job->ln->centred)
        s.s1 = 0;
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
    for (int64_t t = begin; t < end; t++)
        forward_row(arg, t);
}

/* ------------------------------------------------------------------------------ backward ---- */

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
    const float m1 = job->ln->centred ? (float)((double)h1 / (double)n) : 0.0f;
    const float m2 = (float)((double)h2 / (double)n * (double)xs * (double)xs);
    ex->fk->norm_grad_input(job->out + t * n, q, job->ln->gamma_q, xq, n,
                            format_power(e) * job->ln->gamma_scale * job->state->rstd[t], m1, m2);
}

static void backward_rows(void *arg, int64_t begin, int64_t end)
{
    for (int64_t t = begin; t < end; t++)
        backward_row(arg, t);
}

/* A strip of a row is too short for the processor to foresee the next. */
static void prefetch_strip(const norm_job *job, int64_t at, int64_t n)
{
    for (int64_t j = 0; j < n; j += 32) {
        MTS_PREFETCH(job->g.q + at + j);
        MTS_PREFETCH(job->state->xhat_q + at + j);
    }
}

static void param_sums(const norm_job *job, double *dgamma, double *dbeta, int64_t begin,
                       int64_t end)
{
    const int64_t n = job->ln->n;
    for (int64_t t = 0; t < job->rows; t++) {
        const int64_t at = t * n + begin;
        const double s = (double)job->g.scale[t];
        if (t + AHEAD < job->rows)
            prefetch_strip(job, at + AHEAD * n, end - begin);
        job->ex->fk->norm_grad_params(dgamma, dbeta, job->g.q + at, job->state->xhat_q + at,
                                      end - begin, s * (double)job->state->xhat_scale[t], s);
    }
}

const layernorm_arithmetic layernorm_dfp = {
    .keeps_gradient = true,
    .bind = bind,
    .set = set,
    .state_bind = state_bind,
    .gradient_take = gradient_take,
    .begin = find_tensor_exponent,
    .forward = forward_rows,
    .output = output_rows,
    .input_gradient = backward_rows,
    .param_sums = param_sums,
};
