/*
 * Integer SGD: weights and momentum live in int16 with one exponent per parameter [Ghaffari2022].
 *
 *   v' = mu v + g + wd w       2^ev' the smallest unit in which no |v'| can exceed int16
 *   w' = w - lr v'             2^ew' likewise, but kept as long as it serves
 *
 * g is mapped to int16 with the unit of v' (float_kernels.quantize_s16); every other addend is an
 * int16 mantissa times a 16-bit factor, shifted to the unit of the sum and added in int32
 * (int16_add.h).  All roundings are stochastic and unbiased, keyed by (seed, step, parameter, use,
 * element).  param.value = q 2^ew, exactly: the floats are a view of the int16 state.
 *
 * Units are planned from the largest magnitudes before anything is added: the sum of the addends'
 * maxima must fit, so that nothing saturates.  The unit of w is kept while the sum fits and the
 * largest |w| is at least 2^13; otherwise it is fitted anew (a doubling rounds the weights once, a
 * halving is exact).  The factors lr, mu and wd are taken to 15 bits.
 *
 * Path: optimizer_step -> here: one loop for max |g|, a plan per parameter, one loop for the
 * update.
 */
#include <math.h>
#include <string.h>

#include "optim/int16_add.h"
#include "optim/optimizer_class.h"

/* ROUND_UPS: units by which the roundings of three addends can exceed the planned |v'|. */
enum { BITS = 16, LOW_WEIGHT = 1 << 13, ROUND_UPS = 3 };

/* What the draws of one parameter are used for. */
typedef enum draw_slot {
    DRAW_GRADIENT,
    DRAW_MOMENTUM, /* each followed by its far key */
    DRAW_DECAY = DRAW_MOMENTUM + 2,
    DRAW_KEEP = DRAW_DECAY + 2,
    DRAW_UPDATE = DRAW_KEEP + 2,
    DRAW_SLOTS = 16,
} draw_slot;

/* Largest |mantissa| of a parameter or a piece of one. */
typedef struct int16_extent {
    int32_t weight, momentum;
} int16_extent;

/* The update of one parameter. */
typedef struct int16_plan {
    bool skip;
    quantize_args gradient;       /* of g, in the unit of v' */
    int16_addend momentum, decay; /* of v' */
    int16_addend keep, update;    /* of w' */
    float unit;                   /* of w' */
} int16_plan;

typedef struct int16_work {
    int16_plan *plans;          /* [parameters] */
    int16_extent *extents;      /* [parameters]: derived from the state */
    uint32_t *gradient_bits;    /* [pieces]: max |g| */
    int16_extent *piece_maxima; /* [pieces] */
} int16_work;

/* The arrays of the state. */
typedef struct int16_state {
    int16_t *weight, *momentum; /* momentum: NULL when mu = 0 */
    int32_t *weight_exponent, *momentum_exponent;
} int16_state;

static int16_state state_of(const optimizer *opt)
{
    return (int16_state){
        .weight = optimizer_state_data(opt, "weight"),
        .momentum = optimizer_state_data(opt, "momentum_buffer"),
        .weight_exponent = optimizer_state_data(opt, "weight_exponent"),
        .momentum_exponent = optimizer_state_data(opt, "momentum_exponent"),
    };
}

/* ---------------------------------------------------------------------- create, restore ---- */

static size_t sgd_int16_bytes(const optimizer_sizes *sizes)
{
    return sizeof(int16_work) +
           (size_t)sizes->tensors * (sizeof(int16_plan) + sizeof(int16_extent)) +
           (size_t)sizes->pieces * (sizeof(uint32_t) + sizeof(int16_extent));
}

static void sgd_int16_destroy(void *arg)
{
    int16_work *work = arg;
    mem_free(work->plans);
    mem_free(work->extents);
    mem_free(work->gradient_bits);
    mem_free(work->piece_maxima);
    mem_free(work);
}

/* Set what is derived from the state: the largest mantissas, and the values of the parameters. */
static void derive(optimizer *opt, param *const *params)
{
    const int16_state s = state_of(opt);
    const int16_work *work = opt->work;
    int16_extent *extents = work->extents;
    memset(extents, 0, (size_t)opt->count * sizeof *extents);
    for (int64_t i = 0; i < opt->pieces.count; i++) {
        const param_piece *part = &opt->pieces.items[i];
        const int16_t *w = s.weight + part->offset;
        int16_extent *extent = &extents[part->param];
        const param *p = params[part->param];
        float_kernels__generic.dequantize_s16(p->value + part->begin, w, part->n,
                                              format_power(s.weight_exponent[part->param]), false);
        for (int64_t j = 0; j < part->n; j++) {
            const int32_t magnitude = w[j] < 0 ? -w[j] : w[j];
            extent->weight = magnitude > extent->weight ? magnitude : extent->weight;
        }
        for (int64_t j = 0; s.momentum != NULL && j < part->n; j++) {
            const int32_t v = s.momentum[part->offset + j], magnitude = v < 0 ? -v : v;
            extent->momentum = magnitude > extent->momentum ? magnitude : extent->momentum;
        }
    }
}

/* Map the parameters, to nearest.  The generic kernels have the bits of all others. */
static mts_status map_weights(mts_ctx *ctx, optimizer *opt, param *const *params)
{
    mts_status st = MTS_OK;
    const float_kernels *fk = &float_kernels__generic;
    const int16_state s = state_of(opt);
    int64_t offset = 0;
    for (int64_t i = 0; i < opt->count; i++) {
        const param *p = params[i];
        const int64_t n = param_size(p);
        const uint32_t bits = fk->max_abs_bits(p->value, n);
        MTS_CHECK(bits < FLOAT_INFINITY_BITS, MTS_ERR_NUMERIC,
                  "sgd_int16: parameter %s: expected finite numbers, found NaN or infinity",
                  p->name);
        s.weight_exponent[i] = format_unit_exponent(bits, BITS);
        const quantize_args args = {.scale = format_power(-s.weight_exponent[i]),
                                    .limit = format_limit(BITS)};
        fk->quantize_s16(s.weight + offset, p->value, n, &args);
        offset += n;
    }
    derive(opt, params);
cleanup:
    return st;
}

static mts_status sgd_int16_init(mts_ctx *ctx, optimizer *opt, param *const *params)
{
    mts_status st = MTS_OK;
    const size_t tensors = (size_t)opt->count, pieces = (size_t)opt->pieces.count;
    int16_work *work = NULL;
    MTS_TRY(mem_calloc(ctx, &work, 1, sizeof *work, "optimizer plan"));
    opt->work = work;
    MTS_TRY(mem_calloc(ctx, &work->plans, tensors, sizeof *work->plans, "optimizer plan"));
    MTS_TRY(mem_calloc(ctx, &work->extents, tensors, sizeof *work->extents, "optimizer plan"));
    MTS_TRY(mem_calloc(ctx, &work->gradient_bits, pieces, sizeof *work->gradient_bits,
                       "optimizer plan"));
    MTS_TRY(
        mem_calloc(ctx, &work->piece_maxima, pieces, sizeof *work->piece_maxima, "optimizer plan"));
    MTS_TRY(map_weights(ctx, opt, params));
cleanup:
    return st;
}

/* One int16 array of the state and its exponents. */
static mts_status check_mantissas(mts_ctx *ctx, const optimizer *opt, const char *name,
                                  const int16_t *q, const char *exponent_name, const int32_t *e)
{
    mts_status st = MTS_OK;
    for (int64_t i = 0; i < opt->pieces.elements; i++)
        MTS_CHECK(q[i] >= -format_limit(BITS), MTS_ERR_BAD_FILE,
                  "optimizer state %s, element %lld: expected at least %d, found %d", name,
                  (long long)i, -format_limit(BITS), q[i]);
    for (int64_t p = 0; p < opt->count; p++)
        MTS_CHECK(e[p] >= INT16_MIN_EXPONENT && e[p] <= INT16_MAX_EXPONENT, MTS_ERR_BAD_FILE,
                  "optimizer state %s, element %lld: expected %d to %d, found %ld", exponent_name,
                  (long long)p, INT16_MIN_EXPONENT, INT16_MAX_EXPONENT, (long)e[p]);
cleanup:
    return st;
}

static mts_status sgd_int16_restored(mts_ctx *ctx, optimizer *opt, param *const *params)
{
    mts_status st = MTS_OK;
    const int16_state s = state_of(opt);
    MTS_TRY(check_mantissas(ctx, opt, "weight", s.weight, "weight_exponent", s.weight_exponent));
    if (s.momentum != NULL)
        MTS_TRY(check_mantissas(ctx, opt, "momentum_buffer", s.momentum, "momentum_exponent",
                                s.momentum_exponent));
    derive(opt, params);
cleanup:
    return st;
}

/* -------------------------------------------------------------------------------- a step ---- */

typedef struct int16_job {
    const exec *ex;
    param *const *params;
    const param_piece *pieces;
    int16_work *work;
    int16_state state;
    int16_factor learning_rate, momentum, weight_decay; /* learning_rate is negated */
} int16_job;

static void measure_pieces(void *arg, int64_t begin, int64_t end)
{
    const int16_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        const param_piece *part = &job->pieces[i];
        const param *p = job->params[part->param];
        job->work->gradient_bits[i] = job->ex->fk->max_abs_bits(p->grad + part->begin, part->n);
    }
}

static float float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The unit of w' for |w'| <= bound, from the present one. */
static int weight_exponent_for(double bound, int present, int32_t max)
{
    if (max >= LOW_WEIGHT && bound <= ldexp(INT16_BOUND, present))
        return present;
    return int16_fit_exponent(bound);
}

/* Plan parameter p; updates its exponents.  max_gradient: |g| * grad_scale. */
static void plan_param(const int16_job *job, exec *ex, int64_t p, uint64_t step,
                       double max_gradient, float grad_scale)
{
    const param *of = job->params[p];
    const int16_state *s = &job->state;
    const int16_extent *extent = &job->work->extents[p];
    const int ew = s->weight_exponent[p], ev = s->momentum != NULL ? s->momentum_exponent[p] : 0;
    const int16_factor decay = of->decay ? job->weight_decay : (int16_factor){0};
    rng_key keys[DRAW_SLOTS];
    for (uint64_t slot = 0; slot < DRAW_SLOTS; slot++)
        keys[slot] =
            rng_make_key(ex->seed, step, (uint64_t)of->index * DRAW_SLOTS + slot, RNG_ROUND_STATE);

    const double max_w = ldexp(extent->weight, ew);
    const double max_v = max_gradient +
                         int16_factor_value(job->momentum) * ldexp(extent->momentum, ev) +
                         int16_factor_value(decay) * max_w;
    const int new_ev = int16_fit_exponent(max_v);
    const double max_update =
        -int16_factor_value(job->learning_rate) * (max_v + ldexp(ROUND_UPS, new_ev));
    const int new_ew = weight_exponent_for(max_w + max_update, ew, extent->weight);
    int16_plan *plan = &job->work->plans[p];
    plan->skip = new_ev > INT16_MAX_EXPONENT || new_ew > INT16_MAX_EXPONENT;
    if (plan->skip) {
        exec_report_anomaly(ex, "the new value", of->name);
        return;
    }
    plan->gradient = (quantize_args){
        .scale = (float)ldexp(grad_scale, -new_ev),
        .limit = format_limit(BITS),
        .stochastic = true,
        .key = keys[DRAW_GRADIENT],
    };
    plan->momentum = int16_addend_make(job->momentum, ev, extent->momentum, new_ev,
                                       keys[DRAW_MOMENTUM], keys[DRAW_MOMENTUM + 1]);
    plan->decay = int16_addend_make(decay, ew, extent->weight, new_ev, keys[DRAW_DECAY],
                                    keys[DRAW_DECAY + 1]);
    plan->keep = int16_addend_make(int16_one, ew, extent->weight, new_ew, keys[DRAW_KEEP],
                                   keys[DRAW_KEEP + 1]);
    plan->update = int16_addend_make(job->learning_rate, new_ev, max_v > 0.0, new_ew,
                                     keys[DRAW_UPDATE], keys[DRAW_UPDATE + 1]);
    plan->unit = format_power(new_ew);
    s->weight_exponent[p] = new_ew;
    if (s->momentum != NULL)
        s->momentum_exponent[p] = new_ev;
}

/* Elements [i, i + n) of a piece, n <= INT16_STRIP. */
static void step_strip(const int16_job *job, const param_piece *part, int64_t i, int64_t n,
                       int16_extent *maxima)
{
    const float_kernels *fk = job->ex->fk;
    const param *p = job->params[part->param];
    const int16_plan *plan = &job->work->plans[part->param];
    const int64_t begin = part->begin + i, offset = part->offset + i;
    const uint32_t first = (uint32_t)begin;
    const size_t bytes = (size_t)n * sizeof(int16_t);
    int16_t w[INT16_STRIP] = {0}, v[INT16_STRIP] = {0}, g[INT16_STRIP] = {0};
    int32_t sum[INT16_STRIP];
    quantize_args gradient = plan->gradient;
    gradient.first = first;

    /* v' = mu v + g + wd w */
    memcpy(w, job->state.weight + offset, bytes);
    fk->quantize_s16(g, p->grad + begin, n, &gradient);
    for (int j = 0; j < INT16_STRIP; j++)
        sum[j] = g[j];
    if (job->state.momentum != NULL) {
        memcpy(v, job->state.momentum + offset, bytes);
        int16_add_strip(sum, v, &plan->momentum, first);
    }
    int16_add_strip(sum, w, &plan->decay, first);
    const int32_t max_v = int16_store_strip(v, sum);
    if (job->state.momentum != NULL)
        memcpy(job->state.momentum + offset, v, bytes);

    /* w' = w - lr v' */
    memset(sum, 0, sizeof sum);
    int16_add_strip(sum, w, &plan->keep, first);
    int16_add_strip(sum, v, &plan->update, first);
    const int32_t max_w = int16_store_strip(w, sum);
    memcpy(job->state.weight + offset, w, bytes);
    fk->dequantize_s16(p->value + begin, w, n, plan->unit, false);

    maxima->momentum = max_v > maxima->momentum ? max_v : maxima->momentum;
    maxima->weight = max_w > maxima->weight ? max_w : maxima->weight;
}

static void step_pieces(void *arg, int64_t begin, int64_t end)
{
    const int16_job *job = arg;
    for (int64_t k = begin; k < end; k++) {
        const param_piece *part = &job->pieces[k];
        int16_extent maxima = {0};
        if (job->work->plans[part->param].skip)
            continue;
        for (int64_t i = 0; i < part->n; i += INT16_STRIP) {
            const int64_t n = part->n - i < INT16_STRIP ? part->n - i : INT16_STRIP;
            step_strip(job, part, i, n, &maxima);
        }
        job->work->piece_maxima[k] = maxima;
    }
}

/* Plan every parameter from the measured gradients. */
static void plan_all(const int16_job *job, exec *ex, const optimizer *opt, float grad_scale)
{
    const uint64_t step = (uint64_t)optimizer_steps_done(opt);
    int64_t k = 0;
    for (int64_t p = 0; p < opt->count; p++) {
        uint32_t bits = 0;
        for (; k < opt->pieces.count && job->pieces[k].param == p; k++)
            bits = job->work->gradient_bits[k] > bits ? job->work->gradient_bits[k] : bits;
        if (bits >= FLOAT_INFINITY_BITS) {
            exec_report_anomaly(ex, "the gradient", job->params[p]->name);
            job->work->plans[p].skip = true;
            continue;
        }
        plan_param(job, ex, p, step, (double)float_of_bits(bits) * (double)grad_scale, grad_scale);
    }
}

static void collect_maxima(const optimizer *opt)
{
    const int16_work *work = opt->work;
    for (int64_t p = 0; p < opt->count; p++)
        if (!work->plans[p].skip)
            work->extents[p] = (int16_extent){0};
    for (int64_t k = 0; k < opt->pieces.count; k++) {
        const int64_t p = opt->pieces.items[k].param;
        const int16_extent *part = &work->piece_maxima[k];
        int16_extent *extent = &work->extents[p];
        if (work->plans[p].skip)
            continue;
        extent->weight = part->weight > extent->weight ? part->weight : extent->weight;
        extent->momentum = part->momentum > extent->momentum ? part->momentum : extent->momentum;
    }
}

static void sgd_int16_step(exec *ex, optimizer *opt, param *const *params, double learning_rate,
                           float grad_scale)
{
    int16_job job = {
        .ex = ex,
        .params = params,
        .pieces = opt->pieces.items,
        .work = opt->work,
        .state = state_of(opt),
        .learning_rate = int16_factor_of(-learning_rate),
        .momentum = int16_factor_of(opt->options.momentum),
        .weight_decay = int16_factor_of(opt->options.weight_decay),
    };
    exec_parallel(ex, opt->pieces.count, 1, measure_pieces, &job);
    plan_all(&job, ex, opt, grad_scale);
    exec_parallel(ex, opt->pieces.count, 1, step_pieces, &job);
    collect_maxima(opt);
}

/* All checks are in sgd_int16_restored: the arrays are integers. */
const optimizer_class optimizer_sgd_int16 = {
    .name = "sgd_int16",
    .arrays =
        {
            {"weight", OPTIMIZER_I16, .per_param = optimizer_of_elements},
            {"weight_exponent", OPTIMIZER_I32, .per_param = optimizer_of_tensors},
            {"momentum_buffer", OPTIMIZER_I16, optimizer_of_elements, .with_momentum = true},
            {"momentum_exponent", OPTIMIZER_I32, optimizer_of_tensors, .with_momentum = true},
        },
    .work_bytes = sgd_int16_bytes,
    .init = sgd_int16_init,
    .destroy = sgd_int16_destroy,
    .restored = sgd_int16_restored,
    .step = sgd_int16_step,
};
