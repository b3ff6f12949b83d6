/*
 * The layers of a decoder, forward and backward.  See decoder.h.
 *
 * Only attention and the gradients of parameters look at several rows.  So the work from one
 * attention to the next runs piece by piece over the rows, as in bert_layer.c.
 */
#include "layers/dropout.h"
#include "models/decoder_internal.h"

/* ------------------------------------------------------------------------------- forward ---- */

/* x = RMS(h), qkv = x Wqkv + b of rows [begin, end). */
static void before_attention(exec *ex, const decoder_forward_rows *job, int64_t begin, int64_t end)
{
    decoder_layer *layer = &job->model->layers[job->before];
    const int64_t n = end - begin, w = layer->qkv.in;
    const size_t mark = exec_mark(ex);
    const float *h = job->h + begin * w;
    linear_input in = linear_input_rows(&layer->x, begin, end);
    layernorm_state norm = layernorm_state_rows(&layer->norm1_state, w, begin);
    float *x = linear_input_source(&in, exec_take(ex, n * w, sizeof(float)));
    if (job->input != NULL)
        exec_copy(ex, job->input + begin * w, h, (size_t)(n * w) * sizeof(float));
    layernorm_forward(ex, x, h, n, &layer->norm1, &norm);
    linear_input_set(ex, &in, x);
    linear_forward(ex, job->qkv + begin * layer->qkv.out, &in, &layer->qkv);
    exec_release(ex, mark);
}

/* h += mixed Wo + b, y = RMS(h), h += (act(y Wgate) * (y Wup)) Wdown + b of rows [begin, end). */
static void after_attention(exec *ex, const decoder_forward_rows *job, int64_t begin, int64_t end)
{
    decoder_layer *layer = &job->model->layers[job->after];
    const int64_t n = end - begin, w = layer->out.out, f = layer->gated.n;
    const size_t mark = exec_mark(ex);
    float *h = job->h + begin * w;
    linear_input context = linear_input_rows(&layer->context, begin, end);
    linear_input in = linear_input_rows(&layer->y, begin, end);
    linear_input gate = linear_input_rows(&layer->g, begin, end);
    layernorm_state norm = layernorm_state_rows(&layer->norm2_state, w, begin);
    gated_state kept = gated_state_rows(ex, &layer->gated_state, &layer->gated, begin, end);
    float *sum = exec_take(ex, n * w, sizeof(float));
    float *y = linear_input_source(&in, exec_take(ex, n * w, sizeof(float)));
    float *g = linear_input_source(&gate, exec_take(ex, n * f, sizeof(float)));
    float *uv = gated_source(&kept, exec_take(ex, n * 2 * f, sizeof(float)));

    linear_input_set(ex, &context, job->mixed + begin * layer->out.in);
    linear_forward(ex, sum, &context, &layer->out);
    matrix_add(ex, h, h, sum, n * w);
    layernorm_forward(ex, y, h, n, &layer->norm2, &norm);
    linear_input_set(ex, &in, y);
    linear_forward(ex, uv, &in, &layer->gate_up);
    gated_forward(ex, g, uv, n, &layer->gated, &kept);
    linear_input_set(ex, &gate, g);
    if (job->again) {
        linear_forward_again(ex, &gate, &layer->down);
    } else {
        linear_forward(ex, sum, &gate, &layer->down);
        matrix_add(ex, h, h, sum, n * w);
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

void decoder_rows_forward(decoder_forward_rows *job, exec *ex, int64_t tokens)
{
    decoder *d = job->model;
    if (job->after >= 0) {
        decoder_layer *layer = &d->layers[job->after];
        linear_prepare(ex, &layer->out);
        layernorm_prepare(ex, &layer->norm2);
        linear_prepare(ex, &layer->gate_up);
        linear_prepare(ex, &layer->down);
    }
    if (job->before >= 0) {
        layernorm_prepare(ex, &d->layers[job->before].norm1);
        linear_prepare(ex, &d->layers[job->before].qkv);
    }
    exec_parallel_fork(ex, tokens, model_piece_rows(ex, tokens), forward_piece, job);
}

/* ------------------------------------------------------------------------------ backward ---- */

void decoder_gradients_take(const decoder *d, exec *ex, decoder_gradients *g, float *h,
                            int64_t tokens)
{
    const decoder_layer *layer = &d->layers[0];
    const int64_t w = d->base.cfg->hidden_size, f = layer->gated.n;
    const int64_t layers = d->base.cfg->num_hidden_layers;
    const bool keeps = layernorm_keeps_gradient(ex);
    *g = (decoder_gradients){.h = h};
    g->down = exec_take(ex, tokens * w, sizeof(float));
    g->out = exec_take(ex, tokens * w, sizeof(float));
    g->gate_up = exec_take(ex, tokens * 2 * f, sizeof(float));
    g->mixed = exec_take(ex, tokens * layer->out.in, sizeof(float));
    g->qkv = exec_take(ex, tokens * layer->qkv.out, sizeof(float));
    g->norm1 = keeps ? NULL : exec_take(ex, tokens * w, sizeof(float));
    g->norm2 = keeps ? NULL : exec_take(ex, tokens * w, sizeof(float));
    layernorm_gradient_take(ex, &g->of_norm1, tokens, w);
    layernorm_gradient_take(ex, &g->of_norm2, tokens, w);
    g->of_norm1.dy = g->norm1;
    g->of_norm2.dy = g->norm2;
    linear_gradient_take_most(ex, &g->of_qkv, tokens, &layer->qkv, sizeof *layer, layers);
    linear_gradient_take_most(ex, &g->of_out, tokens, &layer->out, sizeof *layer, layers);
    linear_gradient_take_most(ex, &g->of_gate_up, tokens, &layer->gate_up, sizeof *layer, layers);
    linear_gradient_take_most(ex, &g->of_down, tokens, &layer->down, sizeof *layer, layers);
}

/* Where a piece's gradient of a norm's output goes: it must stay in the float formats. */
static float *norm_gradient(exec *ex, float *kept, int64_t begin, int64_t n, int64_t w)
{
    return kept != NULL ? kept + begin * w : exec_take(ex, n * w, sizeof(float));
}

/* forward: x = RMS(h), qkv = x Wqkv + b */
static void before_attention_backward(exec *ex, const decoder_layer *layer,
                                      const decoder_gradients *g, int64_t begin, int64_t end)
{
    const int64_t n = end - begin, w = layer->qkv.in;
    const size_t mark = exec_mark(ex);
    const float *dqkv = g->qkv + begin * layer->qkv.out;
    const linear_input x = linear_input_rows(&layer->x, begin, end);
    const layernorm_state norm = layernorm_state_rows(&layer->norm1_state, w, begin);
    const layernorm_gradient of_norm = layernorm_gradient_rows(&g->of_norm1, w, begin);
    float *dx = norm_gradient(ex, g->norm1, begin, n, w);
    float *dh = exec_take(ex, n * w, sizeof(float));
    linear_backward_rows(ex, dx, dqkv, &x, &layer->qkv, &g->of_qkv);
    layernorm_backward_input(ex, dh, dx, n, &layer->norm1, &norm, &of_norm);
    matrix_add(ex, g->h + begin * w, g->h + begin * w, dh, n * w);
    exec_release(ex, mark);
}

static void after_attention_backward(exec *ex, const decoder_layer *layer,
                                     const decoder_gradients *g, int64_t begin, int64_t end)
{
    const int64_t n = end - begin, w = layer->out.out, f = layer->gated.n;
    const size_t mark = exec_mark(ex);
    float *h = g->h + begin * w, *down = g->down + begin * w, *out = g->out + begin * w;
    float *duv = g->gate_up + begin * 2 * f;
    const linear_input context = linear_input_rows(&layer->context, begin, end);
    const linear_input y = linear_input_rows(&layer->y, begin, end);
    const linear_input gate = linear_input_rows(&layer->g, begin, end);
    const layernorm_state norm = layernorm_state_rows(&layer->norm2_state, w, begin);
    const layernorm_gradient of_norm = layernorm_gradient_rows(&g->of_norm2, w, begin);
    const gated_state kept = gated_state_rows(ex, &layer->gated_state, &layer->gated, begin, end);
    float *dy = norm_gradient(ex, g->norm2, begin, n, w);
    float *dh = exec_take(ex, n * w, sizeof(float)), *dg = exec_take(ex, n * f, sizeof(float));

    /* forward: h += g Wdown + b */
    exec_copy(ex, down, h, (size_t)(n * w) * sizeof(float));
    linear_backward_rows(ex, dg, down, &gate, &layer->down, &g->of_down);
    /* forward: g = act(u) * v, u and v = y Wgate, y Wup */
    gated_backward(ex, duv, dg, n, &layer->gated, &kept);
    linear_backward_rows(ex, dy, duv, &y, &layer->gate_up, &g->of_gate_up);
    /* forward: y = RMS(h) */
    layernorm_backward_input(ex, dh, dy, n, &layer->norm2, &norm, &of_norm);
    matrix_add(ex, h, h, dh, n * w);
    /* forward: h += mixed Wo + b */
    exec_copy(ex, out, h, (size_t)(n * w) * sizeof(float));
    linear_backward_rows(ex, g->mixed + begin * layer->out.in, out, &context, &layer->out,
                         &g->of_out);
    exec_release(ex, mark);
}

typedef struct backward_rows {
    const decoder_layer *above, *below; /* NULL: none */
    const decoder_gradients *g;
} backward_rows;

static void backward_piece(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const backward_rows *job = arg;
    if (job->above != NULL)
        before_attention_backward(ex, job->above, job->g, begin, end);
    if (job->below != NULL)
        after_attention_backward(ex, job->below, job->g, begin, end);
}

void decoder_rows_backward(decoder *d, exec *ex, int64_t index, const decoder_gradients *g,
                           int64_t tokens)
{
    const bool is_last = index + 1 == d->base.cfg->num_hidden_layers;
    const decoder_layer *above = is_last ? NULL : &d->layers[index + 1];
    const decoder_layer *below = index < 0 ? NULL : &d->layers[index];
    backward_rows job = {above, below, g};
    exec_parallel_fork(ex, tokens, model_piece_rows(ex, tokens), backward_piece, &job);
    if (above != NULL) {
        linear_backward_params(ex, &g->of_qkv, g->qkv, &above->x, &above->qkv);
        layernorm_backward_params(ex, &g->of_norm1, tokens, &above->norm1, &above->norm1_state);
    }
    if (below != NULL) {
        linear_backward_params(ex, &g->of_down, g->down, &below->g, &below->down);
        linear_backward_params(ex, &g->of_gate_up, g->gate_up, &below->y, &below->gate_up);
        layernorm_backward_params(ex, &g->of_norm2, tokens, &below->norm2, &below->norm2_state);
        linear_backward_params(ex, &g->of_out, g->out, &below->context, &below->out);
    }
}
