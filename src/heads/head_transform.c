/* A linear layer, an activation function and a norm below the outputs.  See head_transform.h. */
#include "heads/head_transform.h"

#include <string.h>

#include "models/adapted_layer.h"

void head_transform_declare(head *h, head_transform *t, param_list *params)
{
    const first_token_names *names = &h->first_token;
    const int64_t d = h->cfg->hidden_size;
    params->part = head_saves_module(h, names->dense) ? PARAM_HEAD_SAVED : PARAM_HEAD;
    t->weight = param_declare(params, PARAM_WEIGHT, d, d, "%s.weight", names->dense);
    if (!names->no_bias)
        t->bias = param_declare(params, PARAM_BIAS, 0, d, "%s.bias", names->dense);
    if (names->norm != NULL)
        t->gamma = param_declare(params, PARAM_NORM, 0, d, "%s.weight", names->norm);
    if (names->norm != NULL && names->norm_bias)
        t->beta = param_declare(params, PARAM_NORM, 0, d, "%s.bias", names->norm);
    if (params->part == PARAM_HEAD)
        adapted_layer_declare(&h->adapter, &t->adapter,
                              &(adapted_layer){"", &names->dense, &d, 1, d}, params);
}

const char *head_short_name(const head *h, const char *name)
{
    const size_t n = strlen(h->model->prefix);
    return strncmp(name, h->model->prefix, n) == 0 ? name + n : name;
}

void head_transform_bind(head *h, head_transform *t, exec *ex, arena *packed)
{
    const first_token_names *names = &h->first_token;
    const int64_t d = h->cfg->hidden_size;
    linear_bind(ex, &t->dense, packed, head_short_name(h, names->dense), STREAM_HEAD_DENSE,
                t->weight, t->bias, d, d);
    adapted_layer_bind(ex, &t->adapter, &t->dense, packed, STREAM_HEAD_DENSE_ADAPTER);
    linear_input_name(&t->in, &t->dense, STREAM_HEAD_DENSE_INPUT);
    if (t->gamma == NULL)
        return;
    layernorm_bind(ex, &t->norm, packed, head_short_name(h, names->norm), STREAM_HEAD_NORM,
                   t->gamma, t->beta, d, names->norm_eps);
    if (t->beta == NULL)
        layernorm_centre(&t->norm, packed);
}

void head_transform_bind_batch(head *h, head_transform *t, exec *ex, int64_t rows, arena *kept)
{
    const int64_t d = h->cfg->hidden_size;
    linear_input_bind(ex, &t->in, kept, rows, d);
    t->out = arena_take(kept, (size_t)(rows * d), sizeof(float));
    if (t->gamma != NULL)
        layernorm_state_bind(ex, &t->norm_state, kept, rows, d);
}

enum { GRAIN = 1 << 13 };

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

void head_transform_forward(head *h, head_transform *t, exec *ex, float *y, const float *x)
{
    const int64_t n = t->in.rows, d = h->cfg->hidden_size;
    act_job act = {ex->fk, h->first_token.act, y, t->out, NULL};
    linear_input_set(ex, &t->in, x);
    linear_forward(ex, t->out, &t->in, &t->dense);
    exec_parallel(ex, n * d, GRAIN, act_piece, &act);
    if (t->gamma != NULL)
        layernorm_forward(ex, y, y, n, &t->norm, &t->norm_state);
}

void head_transform_backward(head *h, head_transform *t, exec *ex, float *dx, float *dy)
{
    const int64_t n = t->in.rows, d = h->cfg->hidden_size;
    act_job act = {ex->fk, h->first_token.act, dy, t->out, dy};
    if (t->gamma != NULL)
        layernorm_backward(ex, dy, dy, n, &t->norm, &t->norm_state);
    exec_parallel(ex, n * d, GRAIN, act_piece, &act);
    linear_backward(ex, dx, dy, &t->in, &t->dense);
}
