/* BERT from token ids to logits, and back to the gradients.  See bert.h. */
#include "models/bert.h"

#include "models/bert_internal.h"

void bert_weights_changed(bert *model)
{
    model->ex.weight_version++;
}

mts_status bert_check_memory(mts_ctx *ctx, const bert *model)
{
    mts_status st = MTS_OK;
    MTS_TRY(arena_check(ctx, &model->packed, "packed weights"));
    MTS_TRY(arena_check(ctx, &model->acts, "activations"));
    MTS_TRY(arena_check(ctx, &model->ex.scratch, "scratch"));
cleanup:
    return st;
}

/* h = dropout(LN(word + position + type)) */
static void embed_forward(bert *model, const bert_input *in, float *h)
{
    exec *ex = &model->ex;
    const int64_t t = in->seq.tokens, d = model->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    float *sum = exec_take(ex, t * d, sizeof(float));
    embedding_forward(ex, sum, in->ids, t, &model->word, false);
    embedding_forward(ex, sum, in->positions, t, &model->position, true);
    embedding_forward(ex, sum, in->type_ids, t, &model->type, true);
    layernorm_forward(ex, h, sum, t, &model->embedding_norm, &model->embedding_norm_state);
    bert_drop(ex, h, h, t * d, 0, model->dropout.hidden, STREAM_EMBEDDING_DROPOUT);
    exec_release(ex, mark);
}

static void embed_backward(bert *model, const bert_input *in, float *dh)
{
    exec *ex = &model->ex;
    const int64_t t = in->seq.tokens, d = model->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    embedding_gradient g;
    /* forward: h = dropout(LN(word + position + type)) */
    bert_drop(ex, dh, dh, t * d, 0, model->dropout.hidden, STREAM_EMBEDDING_DROPOUT);
    layernorm_backward(ex, dh, dh, t, &model->embedding_norm, &model->embedding_norm_state);
    embedding_map_gradient(ex, &g, dh, t, d, &model->word);
    embedding_backward(ex, &g, in->ids, &model->word);
    embedding_backward(ex, &g, in->positions, &model->position);
    embedding_backward(ex, &g, in->type_ids, &model->type);
    exec_release(ex, mark);
}

/* z = dropout(tanh(h[first] Wp + b)) Wc + b */
static void head_forward(bert *model, const bert_input *in, const float *h, float *logits)
{
    exec *ex = &model->ex;
    const int64_t n = in->seq.count, d = model->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    float *first = linear_input_source(&model->pooled_in, exec_take(ex, n * d, sizeof(float)));
    float *pooled = linear_input_source(&model->pooled, exec_take(ex, n * d, sizeof(float)));
    for (int64_t i = 0; i < n; i++)
        exec_copy(ex, first + i * d, h + sequence_first(&in->seq, i) * d,
                  (size_t)d * sizeof(float));
    linear_input_set(ex, &model->pooled_in, first);
    linear_forward(ex, model->pooler_out, &model->pooled_in, &model->pooler);
    if (!ex->dry)
        ex->fk->activation_forward(pooled, model->pooler_out, n * d, ACTIVATION_TANH);
    bert_drop(ex, pooled, pooled, n * d, 0, model->dropout.classifier, STREAM_POOLED_DROPOUT);
    linear_input_set(ex, &model->pooled, pooled);
    linear_forward(ex, logits, &model->pooled, &model->classifier);
    exec_check_finite(ex, logits, n * model->cfg.num_labels, "the output", "classifier");
    exec_release(ex, mark);
}

/* dh: zero but for the first token of each sequence. */
static void head_backward(bert *model, const bert_input *in, const float *dlogits, float *dh)
{
    exec *ex = &model->ex;
    const int64_t n = in->seq.count, d = model->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    float *dpooled = exec_take(ex, n * d, sizeof(float));
    float *dfirst = exec_take(ex, n * d, sizeof(float));
    linear_backward(ex, dpooled, dlogits, &model->pooled, &model->classifier);
    bert_drop(ex, dpooled, dpooled, n * d, 0, model->dropout.classifier, STREAM_POOLED_DROPOUT);
    if (!ex->dry)
        ex->fk->activation_backward(dpooled, dpooled, model->pooler_out, n * d, ACTIVATION_TANH);
    linear_backward(ex, dfirst, dpooled, &model->pooled_in, &model->pooler);
    exec_clear(ex, dh, (size_t)(in->seq.tokens * d) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        exec_copy(ex, dh + sequence_first(&in->seq, i) * d, dfirst + i * d,
                  (size_t)d * sizeof(float));
    exec_release(ex, mark);
}

/* Bind one part of what the layers keep, in `places` places that the layers use in turn. */
static void bind_part(bert *model, const sequences *seq, int64_t places, bert_bind_fn *bind)
{
    arena *a = &model->acts;
    const size_t start = a->used;
    size_t end = start;
    for (int64_t l = 0; l < model->cfg.num_hidden_layers; l++) {
        if (l % places == 0)
            a->used = start;
        bind(model, &model->layers[l], seq);
        end = a->used > end ? a->used : end;
    }
    a->used = end;
}

/* Bind everything the forward keeps.  Where the layers need not keep a part they share it: two
 * places for inputs and outputs, as a layer's output is the next one's input. */
static void bind_batch(bert *model, const bert_input *in)
{
    const exec *ex = &model->ex;
    const int64_t t = in->seq.tokens, n = in->seq.count, d = model->cfg.hidden_size;
    const int64_t layers = model->cfg.num_hidden_layers;
    const bool keep = ex->training && !model->recompute;
    arena *a = &model->acts;
    a->used = 0;
    layernorm_state_bind(ex, &model->embedding_norm_state, a, t, d);
    linear_input_bind(ex, &model->pooled_in, a, n, d);
    linear_input_bind(ex, &model->pooled, a, n, d);
    model->pooler_out = arena_take(a, (size_t)(n * d), sizeof(float));
    bind_part(model, &in->seq, ex->training ? layers : 2, bert_layer_bind_output);
    bind_part(model, &in->seq, keep ? layers : 2, bert_layer_bind_input);
    bind_part(model, &in->seq, keep ? layers : 1, bert_layer_bind_inner);
}

void bert_forward(bert *model, const bert_input *in, float *logits)
{
    exec *ex = &model->ex;
    const int64_t layers = model->cfg.num_hidden_layers, t = in->seq.tokens;
    const int64_t n = t * model->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    float *buffer[2] = {exec_take(ex, n, sizeof(float)), exec_take(ex, n, sizeof(float))};
    float *mixed = exec_take(ex, n, sizeof(float)), *qkv = exec_take(ex, 3 * n, sizeof(float));
    bert_forward_rows rows = {.model = model, .mix = -1, .project = 0};
    bind_batch(model, in);
    rows.out = linear_input_source(&model->layers[0].x, buffer[0]);
    rows.qkv = attention_source(&model->layers[0].at_state, qkv);
    embed_forward(model, in, rows.out);
    bert_rows_forward(&rows, t);
    for (int64_t l = 0; l < layers; l++) {
        bert_layer *layer = &model->layers[l], *next = layer + 1;
        float *context = linear_input_source(&layer->context, mixed);
        attention_forward(ex, context, rows.qkv, &in->seq, &layer->at, &layer->at_state);
        rows.mix = l;
        rows.project = l + 1 < layers ? l + 1 : -1;
        rows.mixed = context;
        rows.h = rows.out;
        rows.out = buffer[(l + 1) % 2];
        if (l + 1 < layers) {
            rows.out = linear_input_source(&next->x, rows.out);
            rows.qkv = attention_source(&next->at_state, qkv);
        }
        bert_rows_forward(&rows, t);
    }
    head_forward(model, in, rows.out, logits);
    exec_release(ex, mark);
}

/* The input of layer `index` from what the layer below kept, then what layer `index` did not keep.
 * The gradients of a layer above that serve as scratch are not needed any more. */
static void recompute_layer(bert *model, int64_t index, const bert_gradients *g,
                            const bert_input *in)
{
    exec *ex = &model->ex;
    const int64_t t = in->seq.tokens;
    float *h = linear_input_source(&model->layers[index].x, g->a);
    if (index == 0) {
        layernorm_output(ex, h, t, &model->embedding_norm, &model->embedding_norm_state);
        bert_drop(ex, h, h, t * model->cfg.hidden_size, 0, model->dropout.hidden,
                  STREAM_EMBEDDING_DROPOUT);
    } else {
        const bert_layer *below = &model->layers[index - 1];
        layernorm_output(ex, h, t, &below->norm2, &below->norm2_state);
    }
    bert_layer_again(model, index, h, g->mixed, g->up, &in->seq);
}

void bert_backward(bert *model, const bert_input *in, const float *dlogits)
{
    exec *ex = &model->ex;
    const size_t mark = exec_mark(ex);
    bert_gradients g;
    bert_gradients_take(model, &g, in->seq.tokens);
    head_backward(model, in, dlogits, g.out);
    for (int64_t l = model->cfg.num_hidden_layers - 1; l >= 0; l--) {
        if (model->recompute)
            recompute_layer(model, l, &g, in);
        bert_layer_backward(model, l, &g, &in->seq);
    }
    bert_rows_backward(model, -1, &g, in->seq.tokens);
    embed_backward(model, in, g.out);
    exec_release(ex, mark);
}
