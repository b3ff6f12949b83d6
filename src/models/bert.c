/* BERT from token ids to hidden states, and back to the gradients.  See bert.h. */
#include "models/bert.h"

#include <jansson.h>

#include "layers/dropout.h"
#include "models/bert_internal.h"

static const char *const model_types[] = {"bert", "", NULL}; /* early files say nothing */

/* An encoder with absolute positions. */
static mts_status check(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    bool is_decoder = false, cross_attention = false;
    MTS_TRY(model_config_expect(ctx, file, json, "position_embedding_type", "absolute"));
    MTS_TRY(model_config_switch(ctx, file, json, "is_decoder", &is_decoder));
    MTS_TRY(model_config_switch(ctx, file, json, "add_cross_attention", &cross_attention));
    MTS_CHECK(!is_decoder && !cross_attention, MTS_ERR_UNSUPPORTED,
              "%s: is_decoder, add_cross_attention: only a BERT encoder is supported", file);
cleanup:
    return st;
}

const model_class bert_class = {
    .name = "Bert",
    .model_types = model_types,
    .prefix = "bert.",
    .first_token = {"bert.pooler.dense", "classifier", ACTIVATION_TANH},
    .adapts = true,
    .all_linear = "query,key,value,dense",
    .check = check,
    .create = bert_create,
    .destroy = bert_destroy,
    .declare = bert_declare,
    .bind = bert_bind,
    .bind_batch = bert_bind_batch,
    .forward = bert_forward,
    .backward = bert_backward,
};

/* h = dropout(LN(word + position + type)) */
static void embed_forward(bert *b, exec *ex, const model_input *in, float *h)
{
    const int64_t t = in->seq.tokens, d = b->base.cfg->hidden_size;
    const float p = b->base.options.dropout.hidden;
    const size_t mark = exec_mark(ex);
    float *sum = exec_take(ex, t * d, sizeof(float));
    embedding_forward(ex, sum, in->ids, t, &b->word, false);
    embedding_forward(ex, sum, in->positions, t, &b->position, true);
    embedding_forward(ex, sum, in->type_ids, t, &b->type, true);
    layernorm_forward(ex, h, sum, t, &b->embedding_norm, &b->embedding_norm_state);
    dropout_apply(ex, h, h, t * d, 0, p, STREAM_EMBEDDING_DROPOUT);
    exec_release(ex, mark);
}

static void embed_backward(bert *b, exec *ex, const model_input *in, float *dh)
{
    const int64_t t = in->seq.tokens, d = b->base.cfg->hidden_size;
    const float p = b->base.options.dropout.hidden;
    const size_t mark = exec_mark(ex);
    embedding_gradient g;
    /* forward: h = dropout(LN(word + position + type)) */
    dropout_apply(ex, dh, dh, t * d, 0, p, STREAM_EMBEDDING_DROPOUT);
    layernorm_backward(ex, dh, dh, t, &b->embedding_norm, &b->embedding_norm_state);
    embedding_map_gradient(ex, &g, dh, t, d, &b->word);
    embedding_backward(ex, &g, in->ids, &b->word);
    embedding_backward(ex, &g, in->positions, &b->position);
    embedding_backward(ex, &g, in->type_ids, &b->type);
    exec_release(ex, mark);
}

/* Bind one part of what the layers keep, in `places` places that the layers use in turn. */
static void bind_part(bert *b, exec *ex, const sequences *seq, arena *kept, int64_t places,
                      bert_bind_fn *bind)
{
    const size_t start = kept->used;
    size_t end = start;
    for (int64_t l = 0; l < b->base.cfg->num_hidden_layers; l++) {
        if (l % places == 0)
            kept->used = start;
        bind(b, ex, &b->layers[l], seq, kept);
        end = kept->used > end ? kept->used : end;
    }
    kept->used = end;
}

/* Where the layers need not keep a part they share it: two places for inputs and outputs, as a
 * layer's output is the next one's input. */
void bert_bind_batch(model *m, exec *ex, const model_input *in, arena *kept)
{
    bert *b = (bert *)m;
    const int64_t layers = m->cfg->num_hidden_layers;
    const bool keep = ex->training && !m->options.recompute;
    layernorm_state_bind(ex, &b->embedding_norm_state, kept, in->seq.tokens, m->cfg->hidden_size);
    bind_part(b, ex, &in->seq, kept, ex->training ? layers : 2, bert_layer_bind_output);
    bind_part(b, ex, &in->seq, kept, keep ? layers : 2, bert_layer_bind_input);
    bind_part(b, ex, &in->seq, kept, keep ? layers : 1, bert_layer_bind_inner);
}

void bert_forward(model *m, exec *ex, const model_input *in, float *h)
{
    bert *b = (bert *)m;
    const int64_t layers = m->cfg->num_hidden_layers, t = in->seq.tokens;
    const int64_t n = t * m->cfg->hidden_size;
    const size_t mark = exec_mark(ex);
    float *other = exec_take(ex, n, sizeof(float));
    float *mixed = exec_take(ex, n, sizeof(float)), *qkv = exec_take(ex, 3 * n, sizeof(float));
    /* layer l writes its output to buffer[(l + 1) % 2]: the last one to h */
    float *buffer[2] = {layers % 2 == 0 ? h : other, layers % 2 == 0 ? other : h};
    bert_forward_rows rows = {.model = b, .after = -1, .before = 0};
    rows.out = linear_input_source(&b->layers[0].x, buffer[0]);
    rows.qkv = attention_source(&b->layers[0].attention_state, qkv);
    embed_forward(b, ex, in, rows.out);
    bert_rows_forward(&rows, ex, t);
    for (int64_t l = 0; l < layers; l++) {
        bert_layer *layer = &b->layers[l], *next = layer + 1;
        float *context = linear_input_source(&layer->context, mixed);
        attention_forward(ex, context, rows.qkv, &in->seq, &layer->attention,
                          &layer->attention_state);
        rows.after = l;
        rows.before = l + 1 < layers ? l + 1 : -1;
        rows.mixed = context;
        rows.h = rows.out;
        rows.out = buffer[(l + 1) % 2];
        if (l + 1 < layers) {
            rows.out = linear_input_source(&next->x, rows.out);
            rows.qkv = attention_source(&next->attention_state, qkv);
        }
        bert_rows_forward(&rows, ex, t);
    }
    exec_release(ex, mark);
}

/* The input of layer `index` from what the layer below kept, then what layer `index` did not keep.
 * The gradients of a layer above that serve as scratch are not needed any more. */
static void recompute_layer(bert *b, exec *ex, int64_t index, const bert_gradients *g,
                            const model_input *in)
{
    const int64_t t = in->seq.tokens;
    float *h = linear_input_source(&b->layers[index].x, g->a);
    if (index == 0) {
        layernorm_output(ex, h, t, &b->embedding_norm, &b->embedding_norm_state);
        dropout_apply(ex, h, h, t * b->base.cfg->hidden_size, 0, b->base.options.dropout.hidden,
                      STREAM_EMBEDDING_DROPOUT);
    } else {
        const bert_layer *below = &b->layers[index - 1];
        layernorm_output(ex, h, t, &below->norm2, &below->norm2_state);
    }
    bert_layer_again(b, ex, index, h, g->mixed, g->up, &in->seq);
}

void bert_backward(model *m, exec *ex, const model_input *in, float *dh)
{
    bert *b = (bert *)m;
    const size_t mark = exec_mark(ex);
    bert_gradients g;
    bert_gradients_take(b, ex, &g, dh, in->seq.tokens);
    for (int64_t l = m->cfg->num_hidden_layers - 1; l >= 0; l--) {
        if (m->options.recompute)
            recompute_layer(b, ex, l, &g, in);
        bert_layer_backward(b, ex, l, &g, &in->seq);
    }
    bert_rows_backward(b, ex, -1, &g, in->seq.tokens);
    if (bert_embeddings_trained(b))
        embed_backward(b, ex, in, g.out);
    exec_release(ex, mark);
}
