/* Making a decoder: memory of its own, and layers bound to their parameters.  See decoder.h. */
#include <stdio.h>
#include <string.h>

#include "layers/alibi.h"
#include "models/adapted_layer.h"
#include "models/decoder_internal.h"

enum { NAME_BYTES = 64, NAMES_PER_LAYER = 12 };

mts_status decoder_create(mts_ctx *ctx, const model_config *cfg, const model_options *options,
                          model **out)
{
    mts_status st = MTS_OK;
    const size_t layers = (size_t)cfg->num_hidden_layers;
    const int64_t heads = cfg->num_attention_heads;
    decoder *d = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &d, 1, sizeof *d, "model"));
    d->base = (model){.class = model_class_of_config(cfg), .cfg = cfg, .options = *options};
    MTS_TRY(decoder_config_read(ctx, "config.json", cfg->json, &d->config));
    MTS_TRY(mem_calloc(ctx, &d->layers, layers, sizeof *d->layers, "layers"));
    MTS_TRY(mem_calloc(ctx, &d->names, layers * NAMES_PER_LAYER, NAME_BYTES, "layer names"));
    if (d->config.alibi) {
        MTS_TRY(mem_calloc(ctx, &d->slopes, (size_t)heads, sizeof *d->slopes, "slopes"));
        alibi_slopes(d->slopes, heads);
    }
    *out = &d->base;
    d = NULL;
cleanup:
    if (d != NULL)
        decoder_destroy(&d->base);
    return st;
}

void decoder_destroy(model *m)
{
    decoder *d = (decoder *)m;
    if (d == NULL)
        return;
    mem_free(d->layers);
    mem_free(d->names);
    mem_free(d->slopes);
    mem_free(d);
}

/* --------------------------------------------------------------------------------- layers ---- */

/* What is bound now: layer l of d, and how many names of its pool are used. */
typedef struct binding {
    decoder *d;
    exec *ex;
    arena *packed;
    int64_t l, used;
} binding;

/* What is behind the last point of a module's name. */
static const char *last_word(const char *name)
{
    return strrchr(name, '.') + 1;
}

/* The next name of the model's pool, e.g. "layers.3.mlp.down_proj". */
static const char *make_name(binding *b, const char *what)
{
    char *name = b->d->names + b->used * NAME_BYTES;
    b->used += 1;
    snprintf(name, NAME_BYTES, "%s.%lld.%s", last_word(b->d->config.names.layers), (long long)b->l,
             what);
    return name;
}

static int stream(const binding *b, int which)
{
    return decoder_stream(b->l, which);
}

/* A norm over the hidden size, if it is there. */
static void bind_norm(binding *b, decoder_norm *n, const char *name, int id)
{
    const decoder_config *c = &b->d->config;
    if (n->gamma == NULL)
        return;
    layernorm_bind(b->ex, &n->norm, b->packed, name, id, n->gamma, n->beta,
                   b->d->base.cfg->hidden_size, c->norm_eps);
    layernorm_offset(&n->norm, b->packed, c->norm_offset);
    if (c->layer_norm && n->beta == NULL)
        layernorm_centre(&n->norm, b->packed);
}

static void bind_norms(binding *b, decoder_layer *layer)
{
    const decoder_names *n = &b->d->config.names;
    const char *second = n->norm2 == NULL ? n->norm1 : n->norm2;
    bind_norm(b, &layer->norm1, make_name(b, n->norm1), stream(b, DECODER_STREAM_NORM1));
    bind_norm(b, &layer->norm2, make_name(b, second), stream(b, DECODER_STREAM_NORM2));
    if (n->out_norm != NULL)
        bind_norm(b, &layer->out_norm, make_name(b, n->out_norm),
                  decoder_more_stream(b->d, b->l, DECODER_STREAM_OUT_NORM));
    if (n->down_norm != NULL)
        bind_norm(b, &layer->down_norm, make_name(b, n->down_norm),
                  decoder_more_stream(b->d, b->l, DECODER_STREAM_DOWN_NORM));
}

/* The norm of `heads` heads from number `first` of qkv on, if it is there. */
static void bind_head_norm(binding *b, head_norm *h, const char *name, int which, param *gamma,
                           int64_t first, int64_t heads)
{
    const decoder_config *c = &b->d->config;
    const attention *a = &b->d->layers[b->l].attention;
    if (gamma == NULL)
        return;
    *h = (head_norm){.first = first * a->head_dim, .heads = heads, .ld = attention_in_width(a)};
    layernorm_bind(b->ex, &h->norm, b->packed, make_name(b, name),
                   decoder_more_stream(b->d, b->l, which), gamma, NULL, a->head_dim, c->norm_eps);
    layernorm_offset(&h->norm, b->packed, c->norm_offset);
}

static void bind_attention(binding *b, decoder_layer *layer)
{
    decoder *d = b->d;
    const decoder_config *c = &d->config;
    const bool windowed = c->windowed[b->l];
    layer->attention = (attention){
        .name = make_name(b, c->names.attention),
        .id = stream(b, DECODER_STREAM_ATTENTION),
        .heads = d->base.cfg->num_attention_heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .causal = !c->both_ways,
        /* Both ways, all that there is counts as a window, too: scores are then made by blocks of
         * rows, and a long text takes no [length][length]. */
        .window = windowed       ? c->window
                  : c->both_ways ? d->base.cfg->max_position_embeddings
                                 : 0,
        .grouped = c->grouped_qkv,
        .scale = c->attention_scale,
        .slopes = d->slopes,
        .dropout = d->base.options.dropout.attention,
    };
    const attention *a = &layer->attention;
    layer->rope = &d->rope[windowed && c->local_rope ? 1 : 0];
    bind_head_norm(b, &layer->q_norm, c->names.q_norm, DECODER_STREAM_Q_NORM, layer->q_gamma, 0,
                   a->heads);
    bind_head_norm(b, &layer->k_norm, c->names.k_norm, DECODER_STREAM_K_NORM, layer->k_gamma,
                   a->heads, a->kv_heads);
}

/* A linear layer, its adapter and its input. */
static void bind_linear(binding *b, linear *lin, const char *name, int id, param *weight,
                        param *bias, int64_t out, int64_t in)
{
    linear_bind(b->ex, lin, b->packed, make_name(b, name), stream(b, id), weight, bias, out, in);
}

static void bind_adapter(binding *b, low_rank *lr, linear *lin, int first)
{
    adapted_layer_bind(b->ex, lr, lin, b->packed, stream(b, first));
}

static void bind_dropouts(binding *b, decoder_layer *layer)
{
    const dropout_rates *rates = &b->d->base.options.dropout;
    if (!b->d->config.drops)
        return;
    layer->out_dropout = (decoder_dropout){
        rates->attention, decoder_more_stream(b->d, b->l, DECODER_STREAM_OUT_DROPOUT)};
    layer->down_dropout = (decoder_dropout){
        rates->hidden, decoder_more_stream(b->d, b->l, DECODER_STREAM_DOWN_DROPOUT)};
}

static void bind_layer(binding *b)
{
    const model_config *cfg = b->d->base.cfg;
    const decoder_config *c = &b->d->config;
    decoder_layer *layer = &b->d->layers[b->l];
    const decoder_layer_params *p = &layer->params;
    const int64_t w = cfg->hidden_size, f = c->intermediate;
    bind_attention(b, layer);
    layer->gated = (gated){
        .name = make_name(b, c->names.mlp),
        .act = {stream(b, DECODER_STREAM_SLOPE), model_act_kind(c->act)},
        .act_id = stream(b, DECODER_STREAM_ACT),
        .gate_id = stream(b, DECODER_STREAM_GATE),
        .n = f,
        .plain = !c->gated,
    };
    const int64_t in = attention_in_width(&layer->attention);
    const int64_t out = attention_out_width(&layer->attention);
    bind_linear(b, &layer->qkv, c->names.qkv_report, DECODER_STREAM_QKV, p->qkv_weight, p->qkv_bias,
                in, w);
    bind_linear(b, &layer->out, c->names.out, DECODER_STREAM_OUT, p->out_weight, p->out_bias, w,
                out);
    bind_linear(b, &layer->up, c->names.up_report, DECODER_STREAM_GATE_UP, p->up_weight, p->up_bias,
                gated_in_width(&layer->gated), w);
    bind_linear(b, &layer->down, c->names.down, DECODER_STREAM_DOWN, p->down_weight, p->down_bias,
                w, f);
    bind_norms(b, layer);
    bind_dropouts(b, layer);
    bind_adapter(b, &layer->qkv_adapter, &layer->qkv, DECODER_STREAM_QKV_ADAPTER);
    bind_adapter(b, &layer->out_adapter, &layer->out, DECODER_STREAM_OUT_ADAPTER);
    bind_adapter(b, &layer->up_adapter, &layer->up, DECODER_STREAM_GATE_UP_ADAPTER);
    bind_adapter(b, &layer->down_adapter, &layer->down, DECODER_STREAM_DOWN_ADAPTER);
    linear_input_name(&layer->x, &layer->qkv, stream(b, DECODER_STREAM_X));
    linear_input_name(&layer->context, &layer->out, stream(b, DECODER_STREAM_CONTEXT));
    linear_input_name(&layer->y, &layer->up, stream(b, DECODER_STREAM_Y));
    linear_input_name(&layer->g, &layer->down, stream(b, DECODER_STREAM_G));
}

void decoder_bind(model *m, exec *ex, arena *packed)
{
    decoder *d = (decoder *)m;
    const decoder_names *n = &d->config.names;
    binding b = {.d = d, .ex = ex, .packed = packed};
    embedding_init(&d->word, last_word(n->words), DECODER_STREAM_WORD, d->word_table);
    d->word.padding = d->config.padding;
    if (n->embedding_norm != NULL)
        bind_norm(&b, &d->embedding_norm, last_word(n->embedding_norm),
                  DECODER_STREAM_EMBEDDING_NORM);
    if (d->config.drops)
        d->embedding_dropout =
            (decoder_dropout){m->options.embedding_dropout, DECODER_STREAM_EMBEDDING_DROPOUT};
    bind_norm(&b, &d->final_norm, last_word(n->final_norm), DECODER_STREAM_FINAL_NORM);
    for (b.l = 0; b.l < m->cfg->num_hidden_layers; b.l++)
        bind_layer(&b);
}
