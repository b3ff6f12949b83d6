/* Outputs of a text from its first token.  See first_token.h. */
#include "heads/first_token.h"

#include <string.h>

#include "layers/dropout.h"

int64_t first_token_width(const model_config *cfg)
{
    return cfg->num_labels;
}

mts_status first_token_create(mts_ctx *ctx, head **out)
{
    first_token *f = NULL;
    const mts_status st = mem_calloc(ctx, &f, 1, sizeof *f, "head");
    *out = st == MTS_OK ? &f->base : NULL;
    return st;
}

void first_token_declare(head *h, param_list *params)
{
    first_token *f = (first_token *)h;
    const char *out = h->first_token.out;
    const int64_t d = h->cfg->hidden_size, n = h->cfg->num_labels;
    head_transform_declare(h, &f->transform, params);
    params->part = PARAM_OUTPUT;
    f->out_weight = param_declare(params, PARAM_WEIGHT, n, d, "%s.weight", out);
    f->out_bias = param_declare(params, PARAM_BIAS, 0, n, "%s.bias", out);
}

void first_token_bind(head *h, exec *ex, arena *packed)
{
    first_token *f = (first_token *)h;
    head_transform_bind(h, &f->transform, ex, packed);
    linear_bind(ex, &f->out, packed, head_short_name(h, h->first_token.out), STREAM_HEAD_OUT,
                f->out_weight, f->out_bias, h->cfg->num_labels, h->cfg->hidden_size);
    linear_input_name(&f->out_in, &f->out, STREAM_HEAD_OUT_INPUT);
}

void first_token_bind_batch(head *h, exec *ex, const model_input *in, arena *kept)
{
    first_token *f = (first_token *)h;
    head_transform_bind_batch(h, &f->transform, ex, in->seq.count, kept);
    linear_input_bind(ex, &f->out_in, kept, in->seq.count, h->cfg->hidden_size);
}

/* ------------------------------------------------------------------- tokens of a text ------- */

/* Rows between a matrix of all tokens and one of the first tokens. */
typedef struct first_rows {
    const float_kernels *fk;
    const model_input *in;
    const float *from;
    float *to;
    int64_t width;
} first_rows;

static void gather_rows(void *arg, int64_t begin, int64_t end)
{
    const first_rows *job = arg;
    const int64_t d = job->width;
    for (int64_t i = begin; i < end; i++)
        memcpy(job->to + i * d, job->from + job->in->seq.offset[i] * d, (size_t)d * sizeof(float));
}

/* Tokens of rows [begin, end): zero but for the first. */
static void spread_rows(void *arg, int64_t begin, int64_t end)
{
    const first_rows *job = arg;
    const int64_t d = job->width, *offset = job->in->seq.offset;
    for (int64_t i = begin; i < end; i++) {
        float *to = job->to + offset[i] * d;
        memset(to, 0, (size_t)((offset[i + 1] - offset[i]) * d) * sizeof(float));
        memcpy(to, job->from + i * d, (size_t)d * sizeof(float));
    }
}

/* The mean of a row's tokens, summed in order; the same of its gradient, to each of them. */
static void average_rows(void *arg, int64_t begin, int64_t end)
{
    const first_rows *job = arg;
    const int64_t d = job->width, *offset = job->in->seq.offset;
    for (int64_t i = begin; i < end; i++) {
        const float n = (float)(offset[i + 1] - offset[i]);
        float *to = job->to + i * d;
        memset(to, 0, (size_t)d * sizeof(float));
        for (int64_t t = offset[i]; t < offset[i + 1]; t++)
            job->fk->add(to, to, job->from + t * d, d);
        for (int64_t k = 0; k < d; k++)
            to[k] /= n;
    }
}

static void spread_mean(void *arg, int64_t begin, int64_t end)
{
    const first_rows *job = arg;
    const int64_t d = job->width, *offset = job->in->seq.offset;
    for (int64_t i = begin; i < end; i++) {
        const float n = (float)(offset[i + 1] - offset[i]);
        for (int64_t t = offset[i]; t < offset[i + 1]; t++)
            for (int64_t k = 0; k < d; k++)
                job->to[t * d + k] = job->from[i * d + k] / n;
    }
}

/* ------------------------------------------------------------------ forward and backward ---- */

enum { ROW_GRAIN = 4 };

void first_token_forward(head *h, exec *ex, const model_input *in, const float *x, float *z)
{
    first_token *f = (first_token *)h;
    const int64_t n = in->seq.count, d = h->cfg->hidden_size;
    const size_t mark = exec_mark(ex);
    float *first = linear_input_source(&f->transform.in, exec_take(ex, n * d, sizeof(float)));
    float *pooled = linear_input_source(&f->out_in, exec_take(ex, n * d, sizeof(float)));
    first_rows rows = {ex->fk, in, x, first, d};
    exec_parallel(ex, n, ROW_GRAIN, h->first_token.mean ? average_rows : gather_rows, &rows);
    if (h->first_token.drops_input)
        dropout_apply(ex, first, first, n * d, 0, h->dropout, STREAM_HEAD_INPUT_DROPOUT);
    head_transform_forward(h, &f->transform, ex, pooled, first);
    dropout_apply(ex, pooled, pooled, n * d, 0, h->dropout, STREAM_HEAD_DROPOUT);
    linear_input_set(ex, &f->out_in, pooled);
    linear_forward(ex, z, &f->out_in, &f->out);
    exec_check_finite(ex, z, n * h->cfg->num_labels, "the output", f->out.name);
    exec_release(ex, mark);
}

void first_token_backward(head *h, exec *ex, const model_input *in, const float *dz, float *dx)
{
    first_token *f = (first_token *)h;
    const int64_t n = in->seq.count, d = h->cfg->hidden_size;
    const size_t mark = exec_mark(ex);
    float *dpooled = exec_take(ex, n * d, sizeof(float));
    float *dfirst = exec_take(ex, n * d, sizeof(float));
    /* forward: z = pooled Wo + bo */
    linear_backward(ex, dpooled, dz, &f->out_in, &f->out);
    /* forward: pooled = dropout(N(act(first Wd + bd))) */
    dropout_apply(ex, dpooled, dpooled, n * d, 0, h->dropout, STREAM_HEAD_DROPOUT);
    head_transform_backward(h, &f->transform, ex, dfirst, dpooled);
    /* forward: first = dropout(x of first tokens, or their mean) */
    if (h->first_token.drops_input)
        dropout_apply(ex, dfirst, dfirst, n * d, 0, h->dropout, STREAM_HEAD_INPUT_DROPOUT);
    first_rows rows = {ex->fk, in, dfirst, dx, d};
    exec_parallel(ex, n, ROW_GRAIN, h->first_token.mean ? spread_mean : spread_rows, &rows);
    exec_release(ex, mark);
}
