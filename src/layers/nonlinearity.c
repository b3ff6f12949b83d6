/* Activation functions, forward and backward.  See nonlinearity.h. */
#include "layers/nonlinearity.h"

#include "layers/arithmetic.h"

enum { GRAIN = 1 << 13, STRIP = 1024 };

typedef struct nonlinearity_job {
    const exec *ex;
    float *y;       /* forward: y; backward: dx */
    const float *x; /* forward: x; backward: dy */
    const nonlinearity *f;
    const nonlinearity_state *state;
} nonlinearity_job;

void nonlinearity_state_bind(const exec *ex, nonlinearity_state *state, arena *a, int64_t n)
{
    *state = (nonlinearity_state){0};
    ex->arithmetic->nonlinearity->state_bind(ex, state, a, n);
}

nonlinearity_state nonlinearity_state_from(const exec *ex, const nonlinearity_state *state,
                                           int64_t begin)
{
    nonlinearity_state part = *state;
    part.first += begin;
    if (state->x != NULL)
        part.x += begin;
    else
        part.slope = (char *)state->slope + begin * format_elem_bytes(ex->format.activation_bits);
    return part;
}

float *nonlinearity_source(const nonlinearity_state *state, float *scratch)
{
    return state->x != NULL ? state->x : scratch;
}

/* y = f(x), nothing kept. */
static void forward_piece(void *arg, int64_t begin, int64_t end)
{
    const nonlinearity_job *job = arg;
    job->ex->fk->activation_forward(job->y + begin, job->x + begin, end - begin, job->f->kind);
}

void nonlinearity_forward(const exec *ex, float *y, const float *x, int64_t n,
                          const nonlinearity *f, nonlinearity_state *state)
{
    nonlinearity_job job = {ex, y, x, f, state};
    exec_parallel(ex, n, GRAIN,
                  ex->training ? ex->arithmetic->nonlinearity->forward : forward_piece, &job);
}

void nonlinearity_backward(const exec *ex, float *dx, const float *dy, int64_t n,
                           const nonlinearity *f, const nonlinearity_state *state)
{
    nonlinearity_job job = {ex, dx, dy, f, state};
    exec_parallel(ex, n, GRAIN, ex->arithmetic->nonlinearity->backward, &job);
}

/* -------------------------------------------------------------------- dynamic fixed point ---- */

static void state_bind_dfp(const exec *ex, nonlinearity_state *state, arena *a, int64_t n)
{
    state->slope = arena_take(a, (size_t)n, (size_t)format_elem_bytes(ex->format.activation_bits));
}

/* Exponent of the slopes' unit. */
static int slope_exponent(const exec *ex)
{
    return 2 - ex->format.activation_bits;
}

/* y and the mantissas of the slopes of elements [begin, begin + n), n <= STRIP. */
static void forward_strip(const nonlinearity_job *job, int64_t begin, int64_t n)
{
    const exec *ex = job->ex;
    const int bits = ex->format.activation_bits;
    float slope[STRIP];
    const quantize_args args = {
        .scale = format_power(-slope_exponent(ex)),
        .limit = format_limit(bits),
        .stochastic = exec_stochastic_values(ex),
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)job->f->id, RNG_ROUND_ACTIVATION),
        .first = (uint32_t)(job->state->first + begin),
    };
    ex->fk->activation_slope(job->y + begin, slope, job->x + begin, n, job->f->kind);
    if (bits <= 8)
        ex->fk->quantize_s8((int8_t *)job->state->slope + begin, slope, n, &args);
    else
        ex->fk->quantize_s16((int16_t *)job->state->slope + begin, slope, n, &args);
}

static void forward_dfp(void *arg, int64_t begin, int64_t end)
{
    for (; begin < end; begin += STRIP)
        forward_strip(arg, begin, end - begin < STRIP ? end - begin : STRIP);
}

static void backward_dfp(void *arg, int64_t begin, int64_t end)
{
    const nonlinearity_job *job = arg;
    const float_kernels *fk = job->ex->fk;
    const float unit = format_power(slope_exponent(job->ex));
    float *dx = job->y + begin;
    const float *dy = job->x + begin;
    if (job->ex->format.activation_bits <= 8)
        fk->multiply_s8(dx, dy, (const int8_t *)job->state->slope + begin, end - begin, unit);
    else
        fk->multiply_s16(dx, dy, (const int16_t *)job->state->slope + begin, end - begin, unit);
}

const nonlinearity_arithmetic nonlinearity_dfp = {
    .state_bind = state_bind_dfp,
    .forward = forward_dfp,
    .backward = backward_dfp,
};

/* ------------------------------------------------------------------- fp32, which bf16 uses ---- */

static void state_bind_float(const exec *ex, nonlinearity_state *state, arena *a, int64_t n)
{
    (void)ex;
    state->x = arena_take(a, (size_t)n, sizeof(float));
}

static void backward_float(void *arg, int64_t begin, int64_t end)
{
    const nonlinearity_job *job = arg;
    job->ex->fk->activation_backward(job->y + begin, job->x + begin, job->state->x + begin,
                                     end - begin, job->f->kind);
}

const nonlinearity_arithmetic nonlinearity_float = {
    .state_bind = state_bind_float,
    .forward = forward_piece, /* the caller wrote x into the state */
    .backward = backward_float,
};
