/*
 * AdamW [Loshchilov2019 algorithm 2] over the whole model in one parallel loop.
 *
 *   w -= lr wd w;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *   w -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps)
 *
 * Path: optimizer_step -> here -> float_kernels.adamw for every piece.
 * b1^t and b2^t are running products in double, part of the state.
 *
 * The kernel has b as a float, b', and takes 1 - b from it: for b = 0.999, 1.3e-5 too little.  m
 * and v are linear in that factor, so that the corrections cancel it: they are multiplied by (1 -
 * b') / (1 - b), and the update is that of the exact 1 - b.
 */
#include "optim/optimizer_adamw.h"

#include <math.h>

typedef struct adamw_job {
    const exec *ex;
    param *const *params;
    const param_piece *pieces;
    float *m, *v;
    adamw_args args[2]; /* [param.decay] */
} adamw_job;

mts_status adamw_init(mts_ctx *ctx, optimizer *opt, param *const *params)
{
    double *powers = optimizer_state_data(opt, "beta_powers");
    (void)ctx;
    (void)params;
    powers[0] = powers[1] = 1.0;
    return MTS_OK;
}

/* Below 1 as a float, too. */
static float beta_float(double beta)
{
    const float largest = 0x1.fffffep-1f;
    return (float)beta < largest ? (float)beta : largest;
}

/* 1 - beta^t, times what the kernel's 1 - beta is of the real one. */
static double correction(double beta, double power)
{
    return (1.0 - power) * (1.0 - (double)beta_float(beta)) / (1.0 - beta);
}

static void step_pieces(void *arg, int64_t begin, int64_t end)
{
    const adamw_job *job = arg;
    for (int64_t i = begin; i < end; i++) {
        const param_piece *part = &job->pieces[i];
        const param *p = job->params[part->param];
        const int64_t to_state = part->offset - part->begin;
        int64_t at = part->begin, n = 0;
        while (param_next_trained(p, part->begin + part->n, &at, &n))
            job->ex->fk->adamw(p->value + at, job->m + to_state + at, job->v + to_state + at,
                               p->grad + at, n, &job->args[p->decay]);
    }
}

void adamw_begin(optimizer *opt, double learning_rate, float grad_scale, adamw_args args[2])
{
    const optimizer_options *o = &opt->options;
    double *powers = optimizer_state_data(opt, "beta_powers");
    powers[0] *= o->beta1;
    powers[1] *= o->beta2;
    args[0] = (adamw_args){
        .learning_rate = (float)learning_rate,
        .beta1 = beta_float(o->beta1),
        .beta2 = beta_float(o->beta2),
        .epsilon = (float)o->epsilon,
        .weight_decay = 0.0f,
        .correction1 = (float)correction(o->beta1, powers[0]),
        .correction2 = (float)sqrt(correction(o->beta2, powers[1])),
        .grad_scale = grad_scale,
    };
    args[1] = args[0];
    args[1].weight_decay = (float)o->weight_decay;
}

static void adamw_step(exec *ex, optimizer *opt, param *const *params, double learning_rate,
                       float grad_scale)
{
    adamw_job job = {
        .ex = ex,
        .params = params,
        .pieces = opt->pieces.items,
        .m = optimizer_state_data(opt, "exp_avg"),
        .v = optimizer_state_data(opt, "exp_avg_sq"),
    };
    adamw_begin(opt, learning_rate, grad_scale, job.args);
    exec_parallel(ex, opt->pieces.count, 1, step_pieces, &job);
}

const optimizer_class optimizer_adamw = {
    .name = "adamw",
    .arrays =
        {
            {"exp_avg", OPTIMIZER_F32, optimizer_of_elements, .range = OPTIMIZER_ANY},
            {"exp_avg_sq", OPTIMIZER_F32, optimizer_of_elements, .range = OPTIMIZER_NOT_NEGATIVE},
            {"beta_powers", OPTIMIZER_F64, .fixed = 2, .range = OPTIMIZER_UP_TO_ONE},
        },
    .init = adamw_init,
    .step = adamw_step,
};
