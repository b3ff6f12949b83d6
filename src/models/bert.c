/* BERT from token ids to hidden states, and back to the gradients.  See bert.h. */
#include "models/bert.h"

#include "layers/dropout.h"
#include "models/bert_internal.h"

/* Positions of the tokens of each row behind that of the padding, which does not count. */
static void count_positions(const bert *b, const exec *ex, const model_input *in)
{
    const int32_t padding = (int32_t)b->base.cfg->pad_token_id;
    for (int64_t i = 0; i < in->seq.count && !ex->dry; i++) {
        int32_t last = padding;
        for (int64_t t = in->seq.offset[i]; t < in->seq.offset[i + 1]; t++)
            b->positions[t] = in->ids[t] == padding ? padding : ++last;
    }
}

static const int32_t *positions_of(const bert *b, const model_input *in)
{
    return b->base.class->positions_behind_padding ? b->positions : in->positions;
}

/* h = dropout(LN(word + position + type)), or h Wp + b of that. */
static void embed_forward(bert *b, exec *ex, const model_input *in, float *h)
{
    const int64_t t = in->seq.tokens, w = b->word_table->cols;
    const bool projects = b->projection_weight != NULL;
    const float p = b->base.options.dropout.hidden;
    const size_t mark = exec_mark(ex);
    float *sum = exec_take(ex, t * w, sizeof(float));
    float *e =
        projects ? linear_input_source(&b->projected, exec_take(ex, t * w, sizeof(float))) : h;
    if (b->base.class->positions_behind_padding)
        count_positions(b, ex, in);
    embedding_forward(ex, sum, in->ids, t, &b->word, false);
    embedding_forward(ex, sum, positions_of(b, in), t, &b->position, true);
    if (b->type_table != NULL)
        embedding_forward(ex, sum, in->type_ids, t, &b->type, true);
    layernorm_forward(ex, e, sum, t, &b->embedding_norm, &b->embedding_norm_state);
    dropout_apply(ex, e, e, t * w, 0, p, STREAM_EMBEDDING_DROPOUT);
    if (projects) {
        linear_input_set(ex, &b->projected, e);
        linear_forward(ex, h, &b->projected, &b->projection);
    }
    exec_release(ex, mark);
}

static void embed_backward(bert *b, exec *ex, const model_input *in, float *dh)
{
    const int64_t t = in->seq.tokens, w = b->word_table->cols;
    const float p = b->base.options.dropout.hidden;
    const size_t mark = exec_mark(ex);
    const bool wanted = bert_embeddings_trained(b);
    embedding_gradient g;
    float *de = dh;
    if (b->projection_weight != NULL) {
        de = wanted ? exec_take(ex, t * w, sizeof(float)) : NULL;
        /* forward: h = e Wp + b */
        linear_backward(ex, de, dh, &b->projected, &b->projection);
    }
    if (wanted) {
        /* forward: e = dropout(LN(word + position + type)) */
        dropout_apply(ex, de, de, t * w, 0, p, STREAM_EMBEDDING_DROPOUT);
        layernorm_backward(ex, de, de, t, &b->embedding_norm, &b->embedding_norm_state);
        embedding_map_gradient(ex, &g, de, t, w, &b->word);
        embedding_backward(ex, &g, in->ids, &b->word);
        embedding_backward(ex, &g, positions_of(b, in), &b->position);
        if (b->type_table != NULL)
            embedding_backward(ex, &g, in->type_ids, &b->type);
    }
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
    const int64_t t = in->seq.tokens, w = b->word_table->cols;
    layernorm_state_bind(ex, &b->embedding_norm_state, kept, t, w);
    if (b->projection_weight != NULL)
        linear_input_bind(ex, &b->projected, kept, t, w);
    if (m->class->positions_behind_padding)
        b->positions = arena_take(kept, (size_t)t, sizeof *b->positions);
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
    if (index == 0 && b->projection_weight != NULL) {
        linear_forward(ex, h, &b->projected, &b->projection);
    } else if (index == 0) {
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
    if (bert_input_trained(b))
        embed_backward(b, ex, in, g.out);
    exec_release(ex, mark);
}
