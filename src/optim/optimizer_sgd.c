/*
 * Stochastic gradient descent over the whole model in one parallel loop, as torch.optim.SGD
 * (dampening 0, no Nesterov).
 *
 *   b = mu b + (g + wd w);  w -= lr b            b = 0 before the first step
 *
 * Path: optimizer_step -> here -> float_kernels.sgd for every piece.
 * Without momentum b is the gradient: it passes through a strip on the stack, and no buffer is
 * kept.
 */
#include <string.h>

#include "optim/optimizer_class.h"

enum { STRIP = 1024 };

typedef struct sgd_job {
    const exec *ex;
    param *const *params;
    const param_piece *pieces;
    float *momentum_buffer; /* or NULL */
    float learning_rate, momentum, weight_decay, grad_scale;
} sgd_job;

static void step_piece(const sgd_job *job, const param_piece *part)
{
    const float_kernels *fk = job->ex->fk;
    const param *p = job->params[part->param];
    const float decay = p->decay ? job->weight_decay : 0.0f;
    float *w = p->value + part->begin;
    const float *g = p->grad + part->begin;
    float strip[STRIP];
    if (job->momentum_buffer != NULL) {
        fk->sgd(w, job->momentum_buffer + part->offset, g, part->n, job->learning_rate,
                job->momentum, decay, job->grad_scale);
        return;
    }
    for (int64_t i = 0; i < part->n; i += STRIP) {
        const int64_t n = part->n - i < STRIP ? part->n - i : STRIP;
        memset(strip, 0, sizeof strip);
        fk->sgd(w + i, strip, g + i, n, job->learning_rate, 0.0f, decay, job->grad_scale);
    }
}

static void step_pieces(void *arg, int64_t begin, int64_t end)
{
    const sgd_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        step_piece(job, &job->pieces[i]);
}

static void sgd_step(exec *ex, optimizer *opt, param *const *params, double learning_rate,
                     float grad_scale)
{
    sgd_job job = {
        .ex = ex,
        .params = params,
        .pieces = opt->pieces.items,
        .momentum_buffer = optimizer_state_data(opt, "momentum_buffer"),
        .learning_rate = (float)learning_rate,
        .momentum = (float)opt->options.momentum,
        .weight_decay = (float)opt->options.weight_decay,
        .grad_scale = grad_scale,
    };
    exec_parallel(ex, opt->pieces.count, 1, step_pieces, &job);
}

const optimizer_class optimizer_sgd = {
    .name = "sgd",
    .arrays = {{"momentum_buffer", OPTIMIZER_F32, optimizer_of_elements, .with_momentum = true}},
    .step = sgd_step,
};
