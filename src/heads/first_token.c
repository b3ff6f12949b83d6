/* Outputs of a text from its first token.  See first_token.h. */
#include "heads/first_token.h"

#include <string.h>

#include "layers/dropout.h"
#include "models/adapted_layer.h"

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
    const first_token_names *names = &h->model->first_token;
    const int64_t d = h->cfg->hidden_size, n = h->cfg->num_labels;
    params->part = head_saves_module(h, names->dense) ? PARAM_HEAD_SAVED : PARAM_HEAD;
    f->dense_weight = param_declare(params, PARAM_WEIGHT, d, d, "%s.weight", names->dense);
    f->dense_bias = param_declare(params, PARAM_BIAS, 0, d, "%s.bias", names->dense);
    if (params->part == PARAM_HEAD)
        adapted_layer_declare(&h->adapter, &f->dense_adapter,
                              &(adapted_layer){"", &names->dense, &d, 1, d}, params);
    params->part = PARAM_OUTPUT;
    f->out_weight = param_declare(params, PARAM_WEIGHT, n, d, "%s.weight", names->out);
    f->out_bias = param_declare(params, PARAM_BIAS, 0, n, "%s.bias", names->out);
}

/* A name without the architecture's prefix, for reports. */
static const char *short_name(const head *h, const char *name)
{
    const size_t n = strlen(h->model->prefix);
    return strncmp(name, h->model->prefix, n) == 0 ? name + n : name;
}

void first_token_bind(head *h, exec *ex, arena *packed)
{
    first_token *f = (first_token *)h;
    const first_token_names *names = &h->model->first_token;
    const char *dense = short_name(h, names->dense), *out = short_name(h, names->out);
    const int64_t d = h->cfg->hidden_size;
    linear_bind(ex, &f->dense, packed, dense, STREAM_HEAD_DENSE, f->dense_weight, f->dense_bias, d,
                d);
    linear_bind(ex, &f->out, packed, out, STREAM_HEAD_OUT, f->out_weight, f->out_bias,
                h->cfg->num_labels, d);
    adapted_layer_bind(ex, &f->dense_adapter, &f->dense, packed, STREAM_HEAD_DENSE_ADAPTER);
    linear_input_name(&f->dense_in, &f->dense, STREAM_HEAD_DENSE_INPUT);
    linear_input_name(&f->out_in, &f->out, STREAM_HEAD_OUT_INPUT);
}

void first_token_bind_batch(head *h, exec *ex, const model_input *in, arena *kept)
{
    first_token *f = (first_token *)h;
    const int64_t n = in->seq.count, d = h->cfg->hidden_size;
    linear_input_bind(ex, &f->dense_in, kept, n, d);
    linear_input_bind(ex, &f->out_in, kept, n, d);
    f->dense_out = arena_take(kept, (size_t)(n * d), sizeof(float));
}

/* Rows between a matrix of all tokens and one of the first tokens. */
typedef struct first_rows {
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

enum { ROW_GRAIN = 4, GRAIN = 1 << 13 };

/* The activation function, forward and backward. */
typedef struct act_job {
    const float_kernels *fk;
    activation_kind kind;
    float *y;
    const float *x, *dy; /* dy NULL: forward */
} act_job;

static void act_piece(void *arg, int64_t begin, int64_t end)
{
    const act_job *job = arg;
    float *y = job->y + begin;
    const float *x = job->x + begin;
    if (job->dy == NULL)
        job->fk->activation_forward(y, x, end - begin, job->kind);
    else
        job->fk->activation_backward(y, job->dy + begin, x, end - begin, job->kind);
}

void first_token_forward(head *h, exec *ex, const model_input *in, const float *x, float *z)
{
    first_token *f = (first_token *)h;
    const int64_t n = in->seq.count, d = h->cfg->hidden_size;
    const size_t mark = exec_mark(ex);
    float *first = linear_input_source(&f->dense_in, exec_take(ex, n * d, sizeof(float)));
    float *pooled = linear_input_source(&f->out_in, exec_take(ex, n * d, sizeof(float)));
    first_rows rows = {in, x, first, d};
    exec_parallel(ex, n, ROW_GRAIN, gather_rows, &rows);
    if (h->model->first_token.drops_input)
        dropout_apply(ex, first, first, n * d, 0, h->dropout, STREAM_HEAD_INPUT_DROPOUT);
    linear_input_set(ex, &f->dense_in, first);
    linear_forward(ex, f->dense_out, &f->dense_in, &f->dense);
    act_job act = {ex->fk, h->model->first_token.act, pooled, f->dense_out, NULL};
    exec_parallel(ex, n * d, GRAIN, act_piece, &act);
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
    /* forward: pooled = dropout(act(first Wd + bd)) */
    dropout_apply(ex, dpooled, dpooled, n * d, 0, h->dropout, STREAM_HEAD_DROPOUT);
    act_job act = {ex->fk, h->model->first_token.act, dpooled, f->dense_out, dpooled};
    exec_parallel(ex, n * d, GRAIN, act_piece, &act);
    linear_backward(ex, dfirst, dpooled, &f->dense_in, &f->dense);
    /* forward: first = dropout(x of first tokens) */
    if (h->model->first_token.drops_input)
        dropout_apply(ex, dfirst, dfirst, n * d, 0, h->dropout, STREAM_HEAD_INPUT_DROPOUT);
    first_rows rows = {in, dfirst, dx, d};
    exec_parallel(ex, n, ROW_GRAIN, spread_rows, &rows);
    exec_release(ex, mark);
}
