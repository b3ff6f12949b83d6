/* Layer norm in fp32, which bfloat16 uses too.  See layernorm.h, arithmetic.h. */
#include "layers/arithmetic.h"

static void state_bind(layernorm_state *state, arena *a, int64_t rows, int64_t n)
{
    state->xhat = arena_take(a, (size_t)(rows * n), sizeof(float));
}

static void forward_rows(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const layernorm *ln = job->ln;
    const float_kernels *fk = job->ex->fk;
    for (int64_t t = begin; t < end; t++) {
        const int64_t at = t * ln->n;
        float *y = job->out + at, *xhat = job->state->xhat + at;
        const float *x = job->in + at, *gamma = layernorm_gain(ln);
        job->state->rstd[t] =
            ln->centred
                ? fk->layernorm_forward(y, xhat, x, gamma, layernorm_shift(ln), ln->n, ln->epsilon)
                : fk->rmsnorm_forward(y, xhat, x, gamma, ln->n, ln->epsilon);
    }
}

static void output_rows(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const layernorm *ln = job->ln;
    for (int64_t t = begin; t < end; t++) {
        const float *xhat = job->state->xhat + t * ln->n, *gamma = layernorm_gain(ln);
        for (int64_t j = 0; j < ln->n; j++)
            job->out[t * ln->n + j] =
                gamma[j] * xhat[j] + (ln->centred ? layernorm_shift(ln)[j] : 0.0f);
    }
}

static void backward_rows(void *arg, int64_t begin, int64_t end)
{
    const norm_job *job = arg;
    const int64_t n = job->ln->n;
    const float_kernels *fk = job->ex->fk;
    for (int64_t t = begin; t < end; t++)
        (job->ln->centred ? fk->layernorm_backward : fk->rmsnorm_backward)(
            job->out + t * n, job->in + t * n, job->state->xhat + t * n, layernorm_gain(job->ln),
            job->state->rstd[t], n);
}

static void param_sums(const norm_job *job, double *dgamma, double *dbeta, int64_t begin,
                       int64_t end)
{
    for (int64_t t = 0; t < job->rows; t++) {
        const int64_t at = t * job->ln->n + begin;
        for (int64_t j = 0; j < end - begin; j++) {
            dgamma[j] += (double)(job->g.dy[at + j] * job->state->xhat[at + j]);
            dbeta[j] += (double)job->g.dy[at + j];
        }
    }
}

const layernorm_arithmetic layernorm_float = {
    .state_bind = state_bind,
    .forward = forward_rows,
    .output = output_rows,
    .input_gradient = backward_rows,
    .param_sums = param_sums,
};
