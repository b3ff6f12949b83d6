/*
 * The encoder layers of BERT, forward and backward.  See bert.h.
 *
 * Only attention and the gradients of parameters look at several rows; between them every row is on
 * its own.  So the work from one attention to the next runs piece by piece over the rows, in a fork
 * of the context, and what a piece computes stays in the cache until the last function used it.
 * With an exponent for the whole tensor, and in the float formats, the piece is everything.
 */
#include "models/bert_internal.h"

#include "layers/dropout.h"

void bert_layer_bind_output(const bert *b, exec *ex, bert_layer *layer, const sequences *seq,
                            arena *kept)
{
    layernorm_state_bind(ex, &layer->norm2_state, kept, seq->tokens, b->base.cfg->hidden_size);
}

void bert_layer_bind_input(const bert *b, exec *ex, bert_layer *layer, const sequences *seq,
                           arena *kept)
{
    linear_input_bind(ex, &layer->x, kept, seq->tokens, b->base.cfg->hidden_size);
    attention_state_bind(ex, &layer->attention_state, kept, &layer->attention, seq->tokens,
                         seq->count);
}

void bert_layer_bind_inner(const bert *b, exec *ex, bert_layer *layer, const sequences *seq,
                           arena *kept)
{
    const int64_t tokens = seq->tokens;
    const int64_t d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    linear_input_bind(ex, &layer->context, kept, tokens, d);
    layernorm_state_bind(ex, &layer->norm1_state, kept, tokens, d);
    linear_input_bind(ex, &layer->h1, kept, tokens, d);
    nonlinearity_state_bind(ex, &layer->act_state, kept, tokens * f);
    linear_input_bind(ex, &layer->g, kept, tokens, f);
}

/* ------------------------------------------------------------------------------- forward ---- */

/* qkv = h Wqkv + b of rows [begin, end). */
static void before_attention(exec *ex, bert_layer *layer, float *qkv, const float *h, int64_t begin,
                             int64_t end)
{
    const int64_t d = layer->qkv.in;
    linear_input x = linear_input_rows(&layer->x, begin, end);
    linear_input_set(ex, &x, h + begin * d);
    linear_forward(ex, qkv + begin * 3 * d, &x, &layer->qkv);
}

/* a = mixed Wo + b, h1 = LN(dropout(a) + h), f = gelu(h1 Wup + b) Wdown + b,
 * out = LN(dropout(f) + h1) of rows [begin, end). */
static void after_attention(exec *ex, const bert_forward_rows *job, int64_t begin, int64_t end)
{
    const bert *b = job->model;
    const int64_t index = job->after;
    bert_layer *layer = &b->layers[index];
    const int64_t n = end - begin, d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    const int64_t start = begin * d;
    const float p = b->base.options.dropout.hidden;
    const size_t mark = exec_mark(ex);
    linear_input context = linear_input_rows(&layer->context, begin, end);
    linear_input x1 = linear_input_rows(&layer->h1, begin, end);
    linear_input x2 = linear_input_rows(&layer->g, begin, end);
    layernorm_state norm1 = layernorm_state_rows(&layer->norm1_state, d, begin);
    layernorm_state norm2 = layernorm_state_rows(&layer->norm2_state, d, begin);
    float *sum = exec_take(ex, n * d, sizeof(float));
    float *h1 = linear_input_source(&x1, exec_take(ex, n * d, sizeof(float)));
    float *g = linear_input_source(&x2, exec_take(ex, n * f, sizeof(float)));
    nonlinearity_state act = nonlinearity_state_from(ex, &layer->act_state, begin * f);
    float *u = nonlinearity_source(&act, g);

    linear_input_set(ex, &context, job->mixed + start);
    linear_forward(ex, sum, &context, &layer->out);
    dropout_add(ex, sum, job->h + start, n * d, start, p, bert_stream(index, STREAM_DROPOUT1));
    layernorm_forward(ex, h1, sum, n, &layer->norm1, &norm1);

    linear_input_set(ex, &x1, h1);
    linear_forward(ex, u, &x1, &layer->up);
    nonlinearity_forward(ex, g, u, n * f, &layer->act, &act);
    linear_input_set(ex, &x2, g);
    if (job->again) {
        linear_forward_again(ex, &x2, &layer->down);
    } else {
        linear_forward(ex, sum, &x2, &layer->down);
        dropout_add(ex, sum, h1, n * d, start, p, bert_stream(index, STREAM_DROPOUT2));
        layernorm_forward(ex, job->out + start, sum, n, &layer->norm2, &norm2);
    }
    exec_release(ex, mark);
}

static void forward_piece(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const bert_forward_rows *job = arg;
    if (job->after >= 0)
        after_attention(ex, job, begin, end);
    if (job->before >= 0)
        before_attention(ex, &job->model->layers[job->before], job->qkv, job->out, begin, end);
}

void bert_rows_forward(bert_forward_rows *job, exec *ex, int64_t tokens)
{
    bert *b = job->model;
    if (job->after >= 0) {
        bert_layer *layer = &b->layers[job->after];
        linear_prepare(ex, &layer->out);
        layernorm_prepare(ex, &layer->norm1);
        linear_prepare(ex, &layer->up);
        linear_prepare(ex, &layer->down);
        layernorm_prepare(ex, &layer->norm2);
    }
    if (job->before >= 0)
        linear_prepare(ex, &b->layers[job->before].qkv);
    exec_parallel_fork(ex, tokens, model_piece_rows(ex, tokens), forward_piece, job);
}

void bert_layer_again(bert *b, exec *ex, int64_t index, float *h, float *mixed, float *qkv,
                      const sequences *seq)
{
    bert_layer *layer = &b->layers[index];
    bert_forward_rows rows = {.model = b, .after = -1, .before = index, .out = h};
    rows.qkv = attention_source(&layer->attention_state, qkv);
    bert_rows_forward(&rows, ex, seq->tokens);
    mixed = linear_input_source(&layer->context, mixed);
    attention_forward(ex, mixed, rows.qkv, seq, &layer->attention, &layer->attention_state);
    rows = (bert_forward_rows){
        .model = b, .after = index, .before = -1, .mixed = mixed, .h = h, .again = true};
    bert_rows_forward(&rows, ex, seq->tokens);
}

/* ------------------------------------------------------------------------------ backward ---- */

void bert_gradients_take(const bert *b, exec *ex, bert_gradients *g, float *out, int64_t tokens)
{
    const int64_t d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    const int64_t layers = b->base.cfg->num_hidden_layers;
    g->out = out;
    g->down = exec_take(ex, tokens * d, sizeof(float));
    g->up = exec_take(ex, tokens * (f > 3 * d ? f : 3 * d), sizeof(float));
    g->h1 = layernorm_keeps_gradient(ex) ? NULL : exec_take(ex, tokens * d, sizeof(float));
    g->sum1 = exec_take(ex, tokens * d, sizeof(float));
    g->a = exec_take(ex, tokens * d, sizeof(float));
    g->mixed = exec_take(ex, tokens * d, sizeof(float));
    g->qkv = exec_take(ex, tokens * 3 * d, sizeof(float));
    linear_gradient_take_most(ex, &g->of_qkv, tokens, &b->layers->qkv, sizeof *b->layers, layers);
    linear_gradient_take_most(ex, &g->of_out, tokens, &b->layers->out, sizeof *b->layers, layers);
    linear_gradient_take_most(ex, &g->of_up, tokens, &b->layers->up, sizeof *b->layers, layers);
    linear_gradient_take_most(ex, &g->of_down, tokens, &b->layers->down, sizeof *b->layers, layers);
    layernorm_gradient_take(ex, &g->norm1, tokens, d);
    layernorm_gradient_take(ex, &g->norm2, tokens, d);
    g->norm1.dy = g->h1;
    g->norm2.dy = g->out;
}

/* forward: qkv = h Wqkv + b, and h is also the residual of `sum1` */
static void before_attention_backward(exec *ex, const bert *b, int64_t index,
                                      const bert_gradients *g, int64_t begin, int64_t end)
{
    const bert_layer *layer = &b->layers[index];
    const int64_t n = end - begin, d = layer->qkv.in, start = begin * d;
    const linear_input x = linear_input_rows(&layer->x, begin, end);
    const bool wanted = index > 0 || bert_input_trained(b);
    linear_backward_rows(ex, wanted ? g->out + start : NULL, g->qkv + 3 * start, &x, &layer->qkv,
                         &g->of_qkv);
    if (wanted)
        matrix_add(ex, g->out + start, g->out + start, g->sum1 + start, n * d);
}

static void after_attention_backward(exec *ex, const bert *b, int64_t index,
                                     const bert_gradients *g, int64_t begin, int64_t end)
{
    const bert_layer *layer = &b->layers[index];
    const int64_t n = end - begin, d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    const int64_t start = begin * d;
    const float p = b->base.options.dropout.hidden;
    const size_t mark = exec_mark(ex);
    float *sum2 = exec_take(ex, n * d, sizeof(float)), *up = g->up + begin * f;
    float *dh1 = exec_take(ex, n * d, sizeof(float));
    float *h1 = g->h1 != NULL ? g->h1 + start : dh1;
    const linear_input context = linear_input_rows(&layer->context, begin, end);
    const linear_input x1 = linear_input_rows(&layer->h1, begin, end);
    const linear_input x2 = linear_input_rows(&layer->g, begin, end);
    const nonlinearity_state act = nonlinearity_state_from(ex, &layer->act_state, begin * f);
    const layernorm_state norm1 = layernorm_state_rows(&layer->norm1_state, d, begin);
    const layernorm_state norm2 = layernorm_state_rows(&layer->norm2_state, d, begin);
    const layernorm_gradient g1 = layernorm_gradient_rows(&g->norm1, d, begin);
    const layernorm_gradient g2 = layernorm_gradient_rows(&g->norm2, d, begin);

    /* forward: out = LN(dropout(f) + h1) */
    layernorm_backward_input(ex, sum2, g->out + start, n, &layer->norm2, &norm2, &g2);
    dropout_apply(ex, g->down + start, sum2, n * d, start, p, bert_stream(index, STREAM_DROPOUT2));
    /* forward: f = gelu(u) Wdown + b, u = h1 Wup + b */
    linear_backward_rows(ex, up, g->down + start, &x2, &layer->down, &g->of_down);
    nonlinearity_backward(ex, up, up, n * f, &layer->act, &act);
    linear_backward_rows(ex, dh1, up, &x1, &layer->up, &g->of_up);
    matrix_add(ex, h1, dh1, sum2, n * d);

    /* forward: h1 = LN(dropout(a) + h) */
    layernorm_backward_input(ex, g->sum1 + start, h1, n, &layer->norm1, &norm1, &g1);
    dropout_apply(ex, g->a + start, g->sum1 + start, n * d, start, p,
                  bert_stream(index, STREAM_DROPOUT1));
    /* forward: a = mixed Wo + b */
    linear_backward_rows(ex, g->mixed + start, g->a + start, &context, &layer->out, &g->of_out);
    exec_release(ex, mark);
}

typedef struct backward_rows {
    bert *model;
    int64_t index;
    const bert_gradients *g;
} backward_rows;

static void backward_piece(void *arg, exec *ex, int64_t begin, int64_t end)
{
    const backward_rows *job = arg;
    const int64_t next = job->index + 1;
    if (next < job->model->base.cfg->num_hidden_layers)
        before_attention_backward(ex, job->model, next, job->g, begin, end);
    if (job->index >= 0)
        after_attention_backward(ex, job->model, job->index, job->g, begin, end);
}

void bert_rows_backward(bert *b, exec *ex, int64_t index, const bert_gradients *g, int64_t tokens)
{
    backward_rows job = {b, index, g};
    exec_parallel_fork(ex, tokens, model_piece_rows(ex, tokens), backward_piece, &job);
    if (index + 1 < b->base.cfg->num_hidden_layers) {
        const bert_layer *above = &b->layers[index + 1];
        linear_backward_params(ex, &g->of_qkv, g->qkv, &above->x, &above->qkv);
    }
}

void bert_layer_backward(bert *b, exec *ex, int64_t index, const bert_gradients *g,
                         const sequences *seq)
{
    const bert_layer *layer = &b->layers[index];
    const int64_t t = seq->tokens;
    bert_rows_backward(b, ex, index, g, t);
    layernorm_backward_params(ex, &g->norm2, t, &layer->norm2, &layer->norm2_state);
    linear_backward_params(ex, &g->of_down, g->down, &layer->g, &layer->down);
    linear_backward_params(ex, &g->of_up, g->up, &layer->h1, &layer->up);
    layernorm_backward_params(ex, &g->norm1, t, &layer->norm1, &layer->norm1_state);
    linear_backward_params(ex, &g->of_out, g->a, &layer->context, &layer->out);
    attention_backward(ex, g->qkv, g->mixed, seq, &layer->attention, &layer->attention_state);
}
