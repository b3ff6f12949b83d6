/* Outputs of all tokens.  See token_outputs.h. */
#include "heads/token_outputs.h"

#include "layers/dropout.h"

static int64_t width_of(const head *h)
{
    return h->class->width(h->cfg);
}

void token_outputs_declare(head *h, token_outputs *o, param_list *params)
{
    const int64_t n = width_of(h);
    if (h->first_token.of_tokens)
        head_transform_declare(h, &o->transform, params);
    params->part = PARAM_OUTPUT;
    const char *name = head_class_outputs(h->class, h->model);
    o->weight = param_declare(params, PARAM_WEIGHT, n, h->cfg->hidden_size, "%s.weight", name);
    o->bias = param_declare(params, PARAM_BIAS, 0, n, "%s.bias", name);
}

void token_outputs_bind(head *h, token_outputs *o, exec *ex, arena *packed)
{
    if (h->first_token.of_tokens)
        head_transform_bind(h, &o->transform, ex, packed);
    linear_bind(ex, &o->out, packed, head_class_outputs(h->class, h->model), STREAM_HEAD_OUT,
                o->weight, o->bias, width_of(h), h->cfg->hidden_size);
    linear_input_name(&o->in, &o->out, STREAM_HEAD_OUT_INPUT);
}

void token_outputs_bind_batch(head *h, token_outputs *o, exec *ex, const model_input *in,
                              arena *kept)
{
    if (h->first_token.of_tokens)
        head_transform_bind_batch(h, &o->transform, ex, in->seq.tokens, kept);
    linear_input_bind(ex, &o->in, kept, in->seq.tokens, h->cfg->hidden_size);
}

/* o->in = dropout(N(act(x Wd + bd))) */
static void transform(head *h, token_outputs *o, exec *ex, const float *x)
{
    const int64_t n = o->in.rows * o->in.cols;
    const size_t mark = exec_mark(ex);
    float *from = linear_input_source(&o->transform.in, exec_take(ex, n, sizeof(float)));
    float *y = linear_input_source(&o->in, exec_take(ex, n, sizeof(float)));
    exec_copy(ex, from, x, (size_t)n * sizeof(float));
    head_transform_forward(h, &o->transform, ex, y, from);
    dropout_apply(ex, y, y, n, 0, h->dropout, STREAM_HEAD_DROPOUT);
    linear_input_set(ex, &o->in, y);
    exec_release(ex, mark);
}

static void transform_backward(head *h, token_outputs *o, exec *ex, float *dx, const float *dz)
{
    const int64_t n = o->in.rows * o->in.cols;
    const size_t mark = exec_mark(ex);
    float *dy = exec_take(ex, n, sizeof(float));
    linear_backward(ex, dy, dz, &o->in, &o->out);
    dropout_apply(ex, dy, dy, n, 0, h->dropout, STREAM_HEAD_DROPOUT);
    head_transform_backward(h, &o->transform, ex, dx, dy);
    exec_release(ex, mark);
}

/* o->in = dropout(x); without dropout no room is taken. */
static void drop(token_outputs *o, exec *ex, const float *x)
{
    const int64_t n = o->in.rows * o->in.cols;
    if (!ex->training || o->dropout <= 0.0f) {
        linear_input_copy(ex, &o->in, x);
        return;
    }
    const size_t mark = exec_mark(ex);
    float *dropped = linear_input_source(&o->in, exec_take(ex, n, sizeof(float)));
    dropout_apply(ex, dropped, x, n, 0, o->dropout, STREAM_HEAD_DROPOUT);
    linear_input_set(ex, &o->in, dropped);
    exec_release(ex, mark);
}

void token_outputs_forward(head *h, token_outputs *o, exec *ex, float *z, const float *x)
{
    if (h->first_token.of_tokens)
        transform(h, o, ex, x);
    else
        drop(o, ex, x);
    linear_forward(ex, z, &o->in, &o->out);
    exec_check_finite(ex, z, o->in.rows * width_of(h), "the output", o->out.name);
}

void token_outputs_backward(head *h, token_outputs *o, exec *ex, float *dx, const float *dz)
{
    if (h->first_token.of_tokens) {
        transform_backward(h, o, ex, dx, dz);
        return;
    }
    /* forward: z = dropout(x) W + b */
    linear_backward(ex, dx, dz, &o->in, &o->out);
    dropout_apply(ex, dx, dx, o->in.rows * o->in.cols, 0, o->dropout, STREAM_HEAD_DROPOUT);
}
