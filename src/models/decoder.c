/* A decoder from token ids to hidden states, and back to the gradients.  See decoder.h. */
#include "models/decoder.h"

#include "base/json_util.h"
#include "layers/dropout.h"
#include "models/decoder_internal.h"

/* Of attention's products: wide enough that they are not what an int8 model loses, and narrow
 * enough that a chunk of the depth is 2048 tokens (FORMATS.md (4)).  Of the few columns of weights
 * that outliers meet: what these multiply is large, and so would be what 8 bits lose of it. */
enum { ATTENTION_BITS = 11, OUTLIER_WEIGHT_BITS = 12 };

/* Refuses what is not computed.  A head asks for tie_word_embeddings itself, so what the family
 * means where that is absent becomes part of the object. */
static mts_status check(mts_ctx *ctx, const char *file, json_t *json)
{
    mts_status st = MTS_OK;
    decoder_config c;
    const json_t *tied = json_object_get(json, "tie_word_embeddings");
    MTS_TRY(decoder_config_read(ctx, file, json, &c));
    if (c.tied && (tied == NULL || json_is_null(tied)))
        MTS_TRY(json_util_set(ctx, json, "tie_word_embeddings", json_true()));
cleanup:
    return st;
}

/* There is no dropout but that of attention, which has another key; every position is one type.
 * The rest has other keys in some families. */
static void complete(model_config *cfg)
{
    const json_t *p = json_object_get(cfg->json, "attention_dropout");
    mts_ctx checked = {0}; /* it was read before, without an error */
    decoder_config c;
    cfg->hidden_dropout_prob = 0.0;
    cfg->attention_probs_dropout_prob = json_is_number(p) ? json_number_value(p) : 0.0;
    if (decoder_config_read(&checked, "config.json", cfg->json, &c) == MTS_OK) {
        cfg->intermediate_size = c.intermediate;
        cfg->hidden_act = c.act;
    }
}

static void cache_shape(const model *m, attention_cache *shape)
{
    const decoder *d = (const decoder *)m;
    *shape = (attention_cache){.layers = m->cfg->num_hidden_layers,
                               .kv_heads = d->config.kv_heads,
                               .head_dim = d->config.head_dim};
}

/* What all decoders share. */
#define DECODER_FUNCTIONS                                                                          \
    .adapts = true, .tells_outliers = true,                                                        \
    .formats = {SCALES_LARGEST, ATTENTION_BITS, OUTLIER_WEIGHT_BITS, 2.5},                         \
    .usual_head = "next token", .check = check, .complete = complete, .create = decoder_create,    \
    .destroy = decoder_destroy, .declare = decoder_declare, .bind = decoder_bind,                  \
    .bind_batch = decoder_bind_batch, .forward = decoder_forward, .backward = decoder_backward,    \
    .cache_shape = cache_shape

static const char *const model_types[] = {"llama", "mistral", "qwen2", "qwen3", NULL};
static const char *const gemma3_types[] = {"gemma3_text", NULL};
static const char *const falcon_types[] = {"falcon", NULL};

const model_class decoder_class = {
    .name = "Llama",
    .model_types = model_types,
    .prefix = "model.",
    .words = "model.embed_tokens.weight",
    DECODER_FUNCTIONS,
};

const model_class gemma3_class = {
    .name = "Gemma3",
    .model_types = gemma3_types,
    .prefix = "model.",
    .words = "model.embed_tokens.weight",
    DECODER_FUNCTIONS,
};

const model_class falcon_class = {
    .name = "Falcon",
    .model_types = falcon_types,
    .prefix = "transformer.",
    .words = "transformer.word_embeddings.weight",
    DECODER_FUNCTIONS,
};

/* ----------------------------------------------------------------------------- a batch ------- */

static void bind_norm(exec *ex, decoder_norm *n, arena *kept, int64_t tokens)
{
    if (n->gamma != NULL)
        layernorm_state_bind(ex, &n->state, kept, tokens, n->norm.n);
}

/* What the next layer's forward reads while the present one's is still needed in the backward. */
static void bind_input(exec *ex, decoder_layer *layer, const sequences *seq, arena *kept)
{
    const int64_t t = seq->tokens, w = layer->qkv.in;
    linear_input_bind(ex, &layer->x, kept, t, w);
    bind_norm(ex, &layer->norm1, kept, t);
    if (layer->q_gamma != NULL) {
        head_norm_bind(ex, &layer->q_norm, kept, t);
        head_norm_bind(ex, &layer->k_norm, kept, t);
    }
    attention_state_bind(ex, &layer->attention_state, kept, &layer->attention, t, seq->count);
}

static void bind_inner(exec *ex, decoder_layer *layer, const sequences *seq, arena *kept)
{
    const int64_t t = seq->tokens, w = layer->qkv.in, f = layer->gated.n;
    linear_input_bind(ex, &layer->context, kept, t, layer->out.in);
    bind_norm(ex, &layer->out_norm, kept, t);
    bind_norm(ex, &layer->norm2, kept, t);
    linear_input_bind(ex, &layer->y, kept, t, w);
    gated_state_bind(ex, &layer->gated_state, kept, &layer->gated, t);
    linear_input_bind(ex, &layer->g, kept, t, f);
    bind_norm(ex, &layer->down_norm, kept, t);
}

/* Bind one part of what the layers keep, in `places` places that the layers use in turn. */
static void bind_part(decoder *d, exec *ex, const sequences *seq, arena *kept, int64_t places,
                      void (*bind)(exec *, decoder_layer *, const sequences *, arena *))
{
    const size_t start = kept->used;
    size_t end = start;
    for (int64_t l = 0; l < d->base.cfg->num_hidden_layers; l++) {
        if (l % places == 0)
            kept->used = start;
        bind(ex, &d->layers[l], seq, kept);
        end = kept->used > end ? kept->used : end;
    }
    kept->used = end;
}

/* How many tables of rotary positions there are. */
static int ropes(const decoder *d)
{
    return d->config.local_rope ? 2 : 1;
}

void decoder_bind_batch(model *m, exec *ex, const model_input *in, arena *kept)
{
    decoder *d = (decoder *)m;
    const int64_t layers = m->cfg->num_hidden_layers, t = in->seq.tokens, w = m->cfg->hidden_size;
    const bool again = ex->training && m->options.recompute;
    const bool keep = ex->training && !again;
    for (int k = 0; k < ropes(d); k++) {
        rope_table_bind(&d->rope[k], kept, &d->config.rope[k], in->seq.max_length);
        d->rope[k].first = in->cache == NULL ? 0 : in->cache->used;
    }
    bind_norm(ex, &d->embedding_norm, kept, t);
    bind_norm(ex, &d->final_norm, kept, t);
    d->inputs = again ? arena_take(kept, (size_t)(layers * t * w), sizeof(float)) : NULL;
    bind_part(d, ex, &in->seq, kept, keep ? layers : 2, bind_input);
    bind_part(d, ex, &in->seq, kept, keep ? layers : 1, bind_inner);
}

/* Turn q and k of qkv[tokens][in width], or their gradients back. */
static void turn(const decoder_layer *layer, exec *ex, float *qkv, const model_input *in,
                 bool backward)
{
    const attention *a = &layer->attention;
    const attention_columns c = attention_query_keys(a);
    for (int64_t i = 0; i < c.runs; i++)
        rope_apply(ex, layer->rope, qkv + i * c.stride, attention_in_width(a), c.heads, a->head_dim,
                   in->positions, in->seq.tokens, backward);
}

/* h[n] *= the scale of words, forward and backward. */
typedef struct scale_job {
    float *h, scale;
} scale_job;

static void scale_piece(void *arg, int64_t begin, int64_t end)
{
    const scale_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->h[i] *= job->scale;
}

static void scale_words(const decoder *d, exec *ex, float *h, int64_t tokens)
{
    enum { GRAIN = 1 << 13 };
    scale_job job = {h, d->config.embedding_scale};
    if (job.scale != 1.0f)
        exec_parallel(ex, tokens * d->base.cfg->hidden_size, GRAIN, scale_piece, &job);
}

/* h = dropout(N(word)), scaled; norm and dropout where the model has them. */
static void embed(decoder *d, exec *ex, const model_input *in, float *h)
{
    const int64_t t = in->seq.tokens;
    embedding_forward(ex, h, in->ids, t, &d->word, false);
    scale_words(d, ex, h, t);
    if (d->embedding_norm.gamma != NULL)
        layernorm_forward(ex, h, h, t, &d->embedding_norm.norm, &d->embedding_norm.state);
    dropout_apply(ex, h, h, t * d->base.cfg->hidden_size, 0, d->embedding_dropout.p,
                  d->embedding_dropout.stream);
}

static void embed_backward(decoder *d, exec *ex, const model_input *in, float *dh)
{
    const int64_t t = in->seq.tokens, w = d->base.cfg->hidden_size;
    const bool accumulate = ex->accumulate_grads;
    embedding_gradient words;
    dropout_apply(ex, dh, dh, t * w, 0, d->embedding_dropout.p, d->embedding_dropout.stream);
    if (d->embedding_norm.gamma != NULL)
        layernorm_backward(ex, dh, dh, t, &d->embedding_norm.norm, &d->embedding_norm.state);
    scale_words(d, ex, dh, t);
    ex->accumulate_grads = accumulate || d->base.words_shared;
    embedding_map_gradient(ex, &words, dh, t, w, &d->word);
    embedding_backward(ex, &words, in->ids, &d->word);
    ex->accumulate_grads = accumulate;
}

/* Where the input of layer l is kept for recomputation, or NULL. */
static float *input_of(const decoder *d, const model_input *in, int64_t l)
{
    return d->inputs == NULL ? NULL : d->inputs + l * in->seq.tokens * d->base.cfg->hidden_size;
}

/* The attention of layer l, from the projections at rows->qkv; where its output goes. */
static void attend(decoder *d, exec *ex, decoder_forward_rows *rows, int64_t l, float *mixed,
                   const model_input *in)
{
    decoder_layer *layer = &d->layers[l];
    float *context = linear_input_source(&layer->context, mixed);
    turn(layer, ex, rows->qkv, in, false);
    if (in->cache == NULL)
        attention_forward(ex, context, rows->qkv, &in->seq, &layer->attention,
                          &layer->attention_state);
    else
        attention_extend(ex, context, rows->qkv, &in->seq, &layer->attention,
                         &layer->attention_state, in->cache, l);
    rows->mixed = context;
}

void decoder_forward(model *m, exec *ex, const model_input *in, float *h)
{
    decoder *d = (decoder *)m;
    const int64_t layers = m->cfg->num_hidden_layers, t = in->seq.tokens;
    const size_t mark = exec_mark(ex);
    float *mixed = exec_take(ex, t * d->layers[0].out.in, sizeof(float));
    float *qkv = exec_take(ex, t * d->layers[0].qkv.out, sizeof(float));
    decoder_forward_rows rows = {.model = d, .after = -1, .before = 0, .h = h};
    for (int k = 0; k < ropes(d); k++)
        rope_table_fill(ex, &d->rope[k], &d->config.rope[k]);
    embed(d, ex, in, h);
    rows.qkv = attention_source(&d->layers[0].attention_state, qkv);
    rows.input = input_of(d, in, 0);
    decoder_rows_forward(&rows, ex, t);
    for (int64_t l = 0; l < layers; l++) {
        attend(d, ex, &rows, l, mixed, in);
        rows.after = l;
        rows.before = l + 1 < layers ? l + 1 : -1;
        if (l + 1 < layers) {
            rows.qkv = attention_source(&d->layers[l + 1].attention_state, qkv);
            rows.input = input_of(d, in, l + 1);
        }
        decoder_rows_forward(&rows, ex, t);
    }
    layernorm_forward(ex, h, h, t, &d->final_norm.norm, &d->final_norm.state);
    exec_release(ex, mark);
}

/* What layer l did not keep, from its input.  Gradients of the layer above that serve as scratch
 * are not needed any more. */
static void recompute_layer(decoder *d, exec *ex, int64_t l, const decoder_gradients *g,
                            const model_input *in)
{
    const int64_t t = in->seq.tokens;
    const size_t mark = exec_mark(ex);
    float *h = exec_take(ex, t * d->base.cfg->hidden_size, sizeof(float));
    float *qkv = exec_take(ex, t * d->layers[l].qkv.out, sizeof(float));
    decoder_forward_rows rows = {.model = d, .after = -1, .before = l, .h = h};
    exec_copy(ex, h, input_of(d, in, l), (size_t)(t * d->base.cfg->hidden_size) * sizeof(float));
    rows.qkv = attention_source(&d->layers[l].attention_state, qkv);
    decoder_rows_forward(&rows, ex, t);
    attend(d, ex, &rows, l, g->mixed, in);
    rows.after = l;
    rows.before = -1;
    rows.again = true;
    decoder_rows_forward(&rows, ex, t);
    exec_release(ex, mark);
}

void decoder_backward(model *m, exec *ex, const model_input *in, float *dh)
{
    decoder *d = (decoder *)m;
    const int64_t t = in->seq.tokens;
    const size_t mark = exec_mark(ex);
    decoder_gradients g;
    /* forward: out = N(h) */
    layernorm_backward(ex, dh, dh, t, &d->final_norm.norm, &d->final_norm.state);
    decoder_gradients_take(d, ex, &g, dh, t);
    for (int64_t l = m->cfg->num_hidden_layers - 1; l >= 0; l--) {
        decoder_layer *layer = &d->layers[l];
        if (m->options.recompute)
            recompute_layer(d, ex, l, &g, in);
        decoder_rows_backward(d, ex, l, &g, t);
        attention_backward(ex, g.qkv, g.mixed, &in->seq, &layer->attention,
                           &layer->attention_state);
        turn(layer, ex, g.qkv, in, true);
    }
    decoder_rows_backward(d, ex, -1, &g, t);
    embed_backward(d, ex, in, dh);
    exec_release(ex, mark);
}
