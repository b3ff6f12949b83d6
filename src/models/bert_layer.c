/* One encoder layer of BERT, forward and backward.  See bert.h. */
#include "models/bert_internal.h"

#include <string.h>

/* Element-wise work over a whole matrix, cut into pieces by exec_parallel. */
typedef struct element_job {
    const exec *ex;
    float *y;
    const float *a, *b;
    float p;
    rng_key key;
    activation_kind act;
} element_job;

enum { GRAIN = 1 << 13 };

static void drop_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    job->ex->fk->dropout(job->y + begin, job->a + begin, end - begin, job->p, job->key,
                         (uint32_t)begin);
}

static void drop_add_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    if (job->p > 0.0f)
        job->ex->fk->dropout(job->y + begin, job->y + begin, end - begin, job->p, job->key,
                             (uint32_t)begin);
    job->ex->fk->add(job->y + begin, job->y + begin, job->a + begin, end - begin);
}

static void add_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    job->ex->fk->add(job->y + begin, job->a + begin, job->b + begin, end - begin);
}

static void act_forward_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    job->ex->fk->activation_forward(job->y + begin, job->a + begin, end - begin, job->act);
}

static void act_backward_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    job->ex->fk->activation_backward(job->y + begin, job->a + begin, job->b + begin, end - begin,
                                     job->act);
}

static rng_key dropout_key(const exec *ex, int stream)
{
    return rng_make_key(ex->seed, ex->step, (uint64_t)stream, RNG_DROPOUT);
}

void bert_drop(bert *model, float *y, const float *x, int64_t n, float p, int stream)
{
    exec *ex = &model->ex;
    if (!ex->training || p <= 0.0f) {
        if (y != x)
            memcpy(y, x, (size_t)n * sizeof(float));
        return;
    }
    element_job job = {.ex = ex, .y = y, .a = x, .p = p, .key = dropout_key(ex, stream)};
    exec_parallel(ex, n, GRAIN, drop_piece, &job);
}

/* y = dropout(y) + residual */
static void drop_and_add(bert *model, float *y, const float *residual, int64_t n, int stream)
{
    exec *ex = &model->ex;
    element_job job = {.ex = ex, .y = y, .a = residual, .key = dropout_key(ex, stream)};
    job.p = ex->training ? model->dropout.hidden : 0.0f;
    exec_parallel(ex, n, GRAIN, drop_add_piece, &job);
}

static void add(exec *ex, float *y, const float *a, const float *b, int64_t n)
{
    element_job job = {.ex = ex, .y = y, .a = a, .b = b};
    exec_parallel(ex, n, GRAIN, add_piece, &job);
}

void bert_layer_bind(bert *model, bert_layer *layer, int64_t tokens, int64_t rows)
{
    const exec *ex = &model->ex;
    const int64_t d = model->cfg.hidden_size, f = model->cfg.intermediate_size;
    arena *a = &model->acts;
    activation_bind(&layer->x, a, &ex->format, tokens, d);
    attention_state_bind(ex, &layer->at_state, a, &layer->at, tokens, rows);
    activation_bind(&layer->context, a, &ex->format, tokens, d);
    layernorm_state_bind(ex, &layer->norm1_state, a, tokens, d);
    activation_bind(&layer->h1, a, &ex->format, tokens, d);
    layer->u = arena_take(a, (size_t)(tokens * f), sizeof(float));
    activation_bind(&layer->g, a, &ex->format, tokens, f);
    layernorm_state_bind(ex, &layer->norm2_state, a, tokens, d);
}

void bert_layer_forward(bert *model, int64_t index, float *out, const float *h,
                        const sequences *seq)
{
    exec *ex = &model->ex;
    bert_layer *layer = &model->layers[index];
    const int64_t t = seq->tokens, d = model->cfg.hidden_size, f = model->cfg.intermediate_size;
    const size_t mark = exec_mark(ex);
    float *qkv =
        layer->at_state.qkv != NULL ? layer->at_state.qkv : exec_take(ex, t * 3 * d, sizeof(float));
    float *wide = exec_take(ex, t * (f > d ? f : d), sizeof(float));
    float *sum = exec_take(ex, t * d, sizeof(float));
    float *context = activation_source(ex, &layer->context, wide);
    float *h1 = activation_source(ex, &layer->h1, exec_take(ex, t * d, sizeof(float)));
    float *g = activation_source(ex, &layer->g, wide);

    activation_set(ex, &layer->x, h);
    linear_forward(ex, qkv, &layer->x, &layer->qkv);
    attention_forward(ex, context, qkv, seq, &layer->at, &layer->at_state);
    activation_set(ex, &layer->context, context);
    linear_forward(ex, sum, &layer->context, &layer->out);
    drop_and_add(model, sum, h, t * d, bert_stream(index, STREAM_DROPOUT1));
    layernorm_forward(ex, h1, sum, t, &layer->norm1, &layer->norm1_state);

    activation_set(ex, &layer->h1, h1);
    linear_forward(ex, layer->u, &layer->h1, &layer->up);
    element_job gelu = {.ex = ex, .y = g, .a = layer->u, .act = model->act};
    exec_parallel(ex, t * f, GRAIN, act_forward_piece, &gelu);
    activation_set(ex, &layer->g, g);
    linear_forward(ex, sum, &layer->g, &layer->down);
    drop_and_add(model, sum, h1, t * d, bert_stream(index, STREAM_DROPOUT2));
    layernorm_forward(ex, out, sum, t, &layer->norm2, &layer->norm2_state);
    exec_release(ex, mark);
}

void bert_layer_backward(bert *model, int64_t index, float *dh, const sequences *seq)
{
    exec *ex = &model->ex;
    bert_layer *layer = &model->layers[index];
    const int64_t t = seq->tokens, d = model->cfg.hidden_size, f = model->cfg.intermediate_size;
    const float p = model->dropout.hidden;
    const size_t mark = exec_mark(ex);
    float *dsum = exec_take(ex, t * d, sizeof(float));
    float *dropped = exec_take(ex, t * d, sizeof(float));
    float *wide = exec_take(ex, t * f, sizeof(float));
    float *dqkv = exec_take(ex, t * 3 * d, sizeof(float));

    /* forward: out = LN(dropout(f) + h1) */
    layernorm_backward(ex, dsum, dh, t, &layer->norm2, &layer->norm2_state);
    bert_drop(model, dropped, dsum, t * d, p, bert_stream(index, STREAM_DROPOUT2));
    /* forward: f = gelu(u) Wdown + b, u = h1 Wup + b */
    linear_backward(ex, wide, dropped, &layer->g, &layer->down);
    element_job gelu = {.ex = ex, .y = wide, .a = wide, .b = layer->u, .act = model->act};
    exec_parallel(ex, t * f, GRAIN, act_backward_piece, &gelu);
    linear_backward(ex, dropped, wide, &layer->h1, &layer->up);
    add(ex, dh, dropped, dsum, t * d);

    /* forward: h1 = LN(dropout(a) + h) */
    layernorm_backward(ex, dsum, dh, t, &layer->norm1, &layer->norm1_state);
    bert_drop(model, dropped, dsum, t * d, p, bert_stream(index, STREAM_DROPOUT1));
    /* forward: a = attention(h Wqkv + b) Wo + b */
    linear_backward(ex, dh, dropped, &layer->context, &layer->out);
    attention_backward(ex, dqkv, dh, seq, &layer->at, &layer->at_state);
    linear_backward(ex, dropped, dqkv, &layer->x, &layer->qkv);
    add(ex, dh, dropped, dsum, t * d);
    exec_release(ex, mark);
}
