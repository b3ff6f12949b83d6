/*
 * The layers of a decoder, forward and backward.  See decoder.h.
 *
 * Only attention and the gradients of parameters look at several rows.  So the work from one
 * attention to the next runs piece by piece over the rows, as in bert_layer.c.
 */
#include "layers/dropout.h"
#include "models/decoder_internal.h"

/* ------------------------------------------------------------------------------- forward ---- */

/* x[n][width], the rows from `begin` on, forward and backward. */
static void drop(exec *ex, float *x, int64_t n, int64_t width, int64_t begin,
                 const decoder_dropout *d)
{
    dropout_apply(ex, x, x, n * width, begin * width, d->p, d->stream);
}

/* y = N(x) of rows [begin, begin + n), x where there is no such norm; y may be x. */
static void norm_forward(exec *ex, float *y, const float *x, int64_t n, int64_t w,
                         decoder_norm *norm, int64_t begin)
{
    if (norm->gamma == NULL) {
        exec_copy(ex, y, x, (size_t)(n * w) * sizeof(float));
        return;
    }
    layernorm_state state = layernorm_state_rows(&norm->state, norm->norm.n, begin);
    layernorm_forward(ex, y, x, n, &norm->norm, &state);
}

/* h += x, or N(x) where there is such a norm; x is overwritten. */
static void add_output(exec *ex, float *h, float *x, int64_t n, int64_t w, decoder_norm *norm,
                       int64_t begin)
{
    if (norm->gamma != NULL)
        norm_forward(ex, x, x, n, w, norm, begin);
    matrix_add(ex, h, h, x, n * w);
}

/* x = N(h), qkv = x Wqkv + b, heads of q and k normed, of rows [begin, end). */
static void before_attention(exec *ex, const decoder_forward_rows *job, int64_t begin, int64_t end)
{
    decoder_layer *layer = &job->model->layers[job->before];
    const int64_t n = end - begin, w = layer->qkv.in;
    const size_t mark = exec_mark(ex);
    const float *h = job->h + begin * w;
    float *qkv = job->qkv + begin * layer->qkv.out;
    linear_input in = linear_input_rows(&layer->x, begin, end);
    float *x = linear_input_source(&in, exec_take(ex, n * w, sizeof(float)));
    if (job->input != NULL)
        exec_copy(ex, job->input + begin * w, h, (size_t)(n * w) * sizeof(float));
    norm_forward(ex, x, h, n, w, &layer->norm1, begin);
    linear_input_set(ex, &in, x);
    linear_forward(ex, qkv, &in, &layer->qkv);
    if (layer->q_gamma != NULL) {
        head_norm_forward(ex, qkv, begin, end, &layer->q_norm);
        head_norm_forward(ex, qkv, begin, end, &layer->k_norm);
    }
    exec_release(ex, mark);
}

/* f = act(y Wup) Wdown + b, with a gate or without, of rows [begin, end); f NULL: only what the
 * backward needs. */
static void mlp_forward(exec *ex, decoder_layer *layer, float *f, const float *y, int64_t begin,
                        int64_t end)
{
    const int64_t n = end - begin;
    linear_input in = linear_input_rows(&layer->y, begin, end);
    linear_input inner = linear_input_rows(&layer->g, begin, end);
    gated_state kept = gated_state_rows(ex, &layer->gated_state, &layer->gated, begin, end);
    const size_t mark = exec_mark(ex);
    float *g = linear_input_source(&inner, exec_take(ex, n * layer->gated.n, sizeof(float)));
    float *uv = gated_source(&kept, exec_take(ex, n * layer->up.out, sizeof(float)));
    linear_input_set(ex, &in, y);
    linear_forward(ex, uv, &in, &layer->up);
    gated_forward(ex, g, uv, n, &layer->gated, &kept);
    drop(ex, g, n, layer->gated.n, begin, &layer->down_dropout);
    linear_input_set(ex, &inner, g);
    if (f == NULL)
        linear_forward_again(ex, &inner, &layer->down);
    else
        linear_forward(ex, f, &inner, &layer->down);
    exec_release(ex, mark);
}

/* a = mixed Wo + b, h += a, f = MLP(N(h)), h += f of rows [begin, end); in parallel, N(h) is of the
 * h before a.  a and f are normed before they are added, if they have norms. */
static void after_attention(exec *ex, const decoder_forward_rows *job, int64_t begin, int64_t end)
{
    decoder_layer *layer = &job->model->layers[job->after];
    const bool parallel = job->model->config.parallel;
    const int64_t n = end - begin, w = layer->out.out;
    const size_t mark = exec_mark(ex);
    float *h = job->h + begin * w;
    linear_input context = linear_input_rows(&layer->context, begin, end);
    const linear_input in = linear_input_rows(&layer->y, begin, end);
    float *sum = exec_take(ex, n * w, sizeof(float));
    float *y = linear_input_source(&in, exec_take(ex, n * w, sizeof(float)));

    linear_input_set(ex, &context, job->mixed + begin * layer->out.in);
    linear_forward(ex, sum, &context, &layer->out);
    drop(ex, sum, n, w, begin, &layer->out_dropout);
    if (parallel)
        norm_forward(ex, y, h, n, w, &layer->norm2, begin);
    add_output(ex, h, sum, n, w, &layer->out_norm, begin);
    if (!parallel)
        norm_forward(ex, y, h, n, w, &layer->norm2, begin);
    if (job->again && layer->down_norm.gamma == NULL) {
        mlp_forward(ex, layer, NULL, y, begin, end);
    } else {
        mlp_forward(ex, layer, sum, y, begin, end);
        add_output(ex, h, sum, n, w, &layer->down_norm, begin);
    }
    exec_release(ex, mark);
}

static void forward_piece(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const decoder_forward_rows *job = arg;
    if (job->after >= 0)
        after_attention(ex, job, begin, end);
    if (job->before >= 0)
        before_attention(ex, job, begin, end);
}

static void prepare_norm(exec *ex, decoder_norm *norm)
{
    if (norm->gamma != NULL)
        layernorm_prepare(ex, &norm->norm);
}

void decoder_rows_forward(decoder_forward_rows *job, exec *ex, int64_t tokens)
{
    decoder *d = job->model;
    if (job->after >= 0) {
        decoder_layer *layer = &d->layers[job->after];
        linear_prepare(ex, &layer->out);
        prepare_norm(ex, &layer->out_norm);
        prepare_norm(ex, &layer->norm2);
        linear_prepare(ex, &layer->up);
        linear_prepare(ex, &layer->down);
        prepare_norm(ex, &layer->down_norm);
    }
    if (job->before >= 0) {
        decoder_layer *layer = &d->layers[job->before];
        prepare_norm(ex, &layer->norm1);
        linear_prepare(ex, &layer->qkv);
        if (layer->q_gamma != NULL) {
            layernorm_prepare(ex, &layer->q_norm.norm);
            layernorm_prepare(ex, &layer->k_norm.norm);
        }
    }
    exec_parallel_fork(ex, tokens, model_piece_rows(ex, tokens), forward_piece, job);
}

/* ------------------------------------------------------------------------------ backward ---- */

/* Of a norm in each layer, if they have it. */
static void take_norm(exec *ex, decoder_norm_gradient *g, int64_t tokens, const decoder_norm *norm)
{
    const int64_t w = norm->norm.n;
    *g = (decoder_norm_gradient){.dy = NULL};
    if (norm->gamma == NULL)
        return;
    layernorm_gradient_take(ex, &g->g, tokens, w);
    g->dy = layernorm_keeps_gradient(ex) ? NULL : exec_take(ex, tokens * w, sizeof(float));
    g->g.dy = g->dy;
}

void decoder_gradients_take(const decoder *d, exec *ex, decoder_gradients *g, float *h,
                            int64_t tokens)
{
    const decoder_layer *layer = &d->layers[0];
    const int64_t w = d->base.cfg->hidden_size, layers = d->base.cfg->num_hidden_layers;
    *g = (decoder_gradients){.h = h};
    g->down = exec_take(ex, tokens * w, sizeof(float));
    g->out = exec_take(ex, tokens * w, sizeof(float));
    g->up = exec_take(ex, tokens * layer->up.out, sizeof(float));
    g->mixed = exec_take(ex, tokens * layer->out.in, sizeof(float));
    g->qkv = exec_take(ex, tokens * layer->qkv.out, sizeof(float));
    take_norm(ex, &g->of_norm1, tokens, &d->layers[layers - 1].norm1); /* the first may have none */
    take_norm(ex, &g->of_norm2, tokens, &layer->norm2);
    take_norm(ex, &g->of_out_norm, tokens, &layer->out_norm);
    take_norm(ex, &g->of_down_norm, tokens, &layer->down_norm);
    if (layer->q_gamma != NULL) {
        head_norm_gradient_take(ex, &g->of_q_norm, tokens, &layer->q_norm);
        head_norm_gradient_take(ex, &g->of_k_norm, tokens, &layer->k_norm);
    }
    linear_gradient_take_most(ex, &g->of_qkv, tokens, &layer->qkv, sizeof *layer, layers);
    linear_gradient_take_most(ex, &g->of_out, tokens, &layer->out, sizeof *layer, layers);
    linear_gradient_take_most(ex, &g->of_up, tokens, &layer->up, sizeof *layer, layers);
    linear_gradient_take_most(ex, &g->of_down, tokens, &layer->down, sizeof *layer, layers);
}

/* Where a piece's gradient of a norm's output goes: it must stay in the float formats. */
static float *norm_gradient(exec *ex, const decoder_norm_gradient *g, int64_t begin, int64_t n,
                            int64_t w)
{
    return g->dy != NULL ? g->dy + begin * w : exec_take(ex, n * w, sizeof(float));
}

/* forward: y = N(x); dx from dy, rows [begin, begin + n). */
static void norm_backward(exec *ex, float *dx, const float *dy, int64_t n, int64_t w,
                          const decoder_norm *norm, const decoder_norm_gradient *g, int64_t begin)
{
    if (norm->gamma == NULL) {
        exec_copy(ex, dx, dy, (size_t)(n * w) * sizeof(float));
        return;
    }
    const layernorm_state state = layernorm_state_rows(&norm->state, w, begin);
    const layernorm_gradient part = layernorm_gradient_rows(&g->g, w, begin);
    layernorm_backward_input(ex, dx, dy, n, &norm->norm, &state, &part);
}

/* forward: h += x or N(x); dx from dh, which stays. */
static void add_output_backward(exec *ex, float *dx, const float *dh, int64_t n, int64_t w,
                                const decoder_norm *norm, const decoder_norm_gradient *g,
                                int64_t begin)
{
    float *dy = norm->gamma == NULL ? dx : norm_gradient(ex, g, begin, n, w);
    exec_copy(ex, dy, dh, (size_t)(n * w) * sizeof(float));
    if (norm->gamma != NULL)
        norm_backward(ex, dx, dy, n, w, norm, g, begin);
}

/* forward: x = N(h), qkv = x Wqkv + b, heads of q and k normed */
static void before_attention_backward(exec *ex, const decoder_layer *layer,
                                      const decoder_gradients *g, int64_t begin, int64_t end)
{
    const int64_t n = end - begin, w = layer->qkv.in;
    const size_t mark = exec_mark(ex);
    float *dqkv = g->qkv + begin * layer->qkv.out;
    const linear_input x = linear_input_rows(&layer->x, begin, end);
    float *dx = norm_gradient(ex, &g->of_norm1, begin, n, w);
    float *dh = exec_take(ex, n * w, sizeof(float));
    if (layer->q_gamma != NULL) {
        head_norm_backward(ex, dqkv, begin, end, &layer->q_norm, &g->of_q_norm);
        head_norm_backward(ex, dqkv, begin, end, &layer->k_norm, &g->of_k_norm);
    }
    linear_backward_rows(ex, dx, dqkv, &x, &layer->qkv, &g->of_qkv);
    norm_backward(ex, dh, dx, n, w, &layer->norm1, &g->of_norm1, begin);
    matrix_add(ex, g->h + begin * w, g->h + begin * w, dh, n * w);
    exec_release(ex, mark);
}

/* forward: f = act(y Wup) Wdown + b; dy from df. */
static void mlp_backward(exec *ex, const decoder_layer *layer, float *dy, const float *df,
                         const decoder_gradients *g, int64_t begin, int64_t end)
{
    const int64_t n = end - begin;
    const size_t mark = exec_mark(ex);
    const linear_input y = linear_input_rows(&layer->y, begin, end);
    const linear_input inner = linear_input_rows(&layer->g, begin, end);
    const gated_state kept = gated_state_rows(ex, &layer->gated_state, &layer->gated, begin, end);
    float *duv = g->up + begin * layer->up.out;
    float *dg = exec_take(ex, n * layer->gated.n, sizeof(float));
    linear_backward_rows(ex, dg, df, &inner, &layer->down, &g->of_down);
    drop(ex, dg, n, layer->gated.n, begin, &layer->down_dropout);
    /* forward: g = act(u) * v, dropped, u and v = y Wgate, y Wup; or g = act(y Wup) */
    gated_backward(ex, duv, dg, n, &layer->gated, &kept);
    linear_backward_rows(ex, dy, duv, &y, &layer->up, &g->of_up);
    exec_release(ex, mark);
}

static void after_attention_backward(exec *ex, const decoder *d, const decoder_layer *layer,
                                     const decoder_gradients *g, int64_t begin, int64_t end)
{
    const int64_t n = end - begin, w = layer->out.out;
    const bool parallel = d->config.parallel;
    const size_t mark = exec_mark(ex);
    float *h = g->h + begin * w, *down = g->down + begin * w, *out = g->out + begin * w;
    const linear_input context = linear_input_rows(&layer->context, begin, end);
    float *dy = norm_gradient(ex, &g->of_norm2, begin, n, w);
    float *dh = exec_take(ex, n * w, sizeof(float));

    /* forward: h += f, f = MLP(y) */
    add_output_backward(ex, down, h, n, w, &layer->down_norm, &g->of_down_norm, begin);
    mlp_backward(ex, layer, dy, down, g, begin, end);
    /* forward: h += a, y = N(h); in parallel y = N(h), h += a */
    norm_backward(ex, dh, dy, n, w, &layer->norm2, &g->of_norm2, begin);
    if (!parallel)
        matrix_add(ex, h, h, dh, n * w);
    add_output_backward(ex, out, h, n, w, &layer->out_norm, &g->of_out_norm, begin);
    if (parallel)
        matrix_add(ex, h, h, dh, n * w);
    /* forward: a = mixed Wo + b, dropped */
    drop(ex, out, n, w, begin, &layer->out_dropout);
    linear_backward_rows(ex, g->mixed + begin * layer->out.in, out, &context, &layer->out,
                         &g->of_out);
    exec_release(ex, mark);
}

typedef struct backward_rows {
    const decoder *model;
    const decoder_layer *above, *below; /* NULL: none */
    const decoder_gradients *g;
} backward_rows;

static void backward_piece(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const backward_rows *job = arg;
    if (job->above != NULL)
        before_attention_backward(ex, job->above, job->g, begin, end);
    if (job->below != NULL)
        after_attention_backward(ex, job->model, job->below, job->g, begin, end);
}

/* add: the parameters have a gradient of this micro-batch already. */
static void norm_backward_params(exec *ex, const decoder_norm_gradient *g, int64_t tokens,
                                 const decoder_norm *norm, bool add)
{
    const bool accumulate = ex->accumulate_grads;
    if (norm->gamma == NULL)
        return;
    ex->accumulate_grads = accumulate || add;
    layernorm_backward_params(ex, &g->g, tokens, &norm->norm, &norm->state);
    ex->accumulate_grads = accumulate;
}

void decoder_rows_backward(decoder *d, exec *ex, int64_t index, const decoder_gradients *g,
                           int64_t tokens)
{
    const bool is_last = index + 1 == d->base.cfg->num_hidden_layers;
    const decoder_layer *above = is_last ? NULL : &d->layers[index + 1];
    const decoder_layer *below = index < 0 ? NULL : &d->layers[index];
    backward_rows job = {d, above, below, g};
    exec_parallel_fork(ex, tokens, model_piece_rows(ex, tokens), backward_piece, &job);
    if (above != NULL) {
        linear_backward_params(ex, &g->of_qkv, g->qkv, &above->x, &above->qkv);
        norm_backward_params(ex, &g->of_norm1, tokens, &above->norm1,
                             above->norm2.gamma == above->norm1.gamma);
        if (above->q_gamma != NULL) {
            head_norm_backward_params(ex, &g->of_q_norm, tokens, &above->q_norm);
            head_norm_backward_params(ex, &g->of_k_norm, tokens, &above->k_norm);
        }
    }
    if (below != NULL) {
        linear_backward_params(ex, &g->of_down, g->down, &below->g, &below->down);
        linear_backward_params(ex, &g->of_up, g->up, &below->y, &below->up);
        norm_backward_params(ex, &g->of_norm2, tokens, &below->norm2, false);
        norm_backward_params(ex, &g->of_down_norm, tokens, &below->down_norm, false);
        norm_backward_params(ex, &g->of_out_norm, tokens, &below->out_norm, false);
        linear_backward_params(ex, &g->of_out, g->out, &below->context, &below->out);
    }
}
