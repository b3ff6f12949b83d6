/* Making a decoder: its parameters, and layers bound to them.  See decoder.h. */
#include "models/decoder_internal.h"

#include <stdio.h>

#include "models/adapted_layer.h"

enum { NAME_BYTES = 64, NAMES_PER_LAYER = 8 };

mts_status decoder_create(mts_ctx *ctx, const model_config *cfg, const model_options *options,
                          model **out)
{
    mts_status st = MTS_OK;
    const size_t layers = (size_t)cfg->num_hidden_layers;
    decoder *d = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &d, 1, sizeof *d, "model"));
    d->base = (model){.class = &decoder_class, .cfg = cfg, .options = *options};
    MTS_TRY(decoder_config_read(ctx, "config.json", cfg->json, &d->config));
    MTS_TRY(mem_calloc(ctx, &d->layers, layers, sizeof *d->layers, "layers"));
    MTS_TRY(mem_calloc(ctx, &d->names, layers * NAMES_PER_LAYER, NAME_BYTES, "layer names"));
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
    mem_free(d);
}

/* ---------------------------------------------------------------------------- parameters ---- */

static param *declare_weight(param_list *list, int64_t l, const char *what, int64_t rows,
                             int64_t cols)
{
    return param_declare(list, PARAM_WEIGHT, rows, cols, "model.layers.%lld.%s.weight",
                         (long long)l, what);
}

/* NULL unless `there`. */
static param *declare_bias(param_list *list, bool there, int64_t l, const char *what, int64_t n)
{
    return there ? param_declare(list, PARAM_BIAS, 0, n, "model.layers.%lld.%s.bias", (long long)l,
                                 what)
                 : NULL;
}

static param *declare_norm(param_list *list, int64_t l, const char *what, int64_t n)
{
    return param_declare(list, PARAM_NORM, 0, n, "model.layers.%lld.%s.weight", (long long)l, what);
}

/* Query, key and value behind each other act as one matrix, and so do gate and up. */
static void declare_layer(const decoder *d, int64_t l, decoder_layer_params *p, param_list *list)
{
    const model_config *cfg = d->base.cfg;
    const decoder_config *c = &d->config;
    const int64_t w = cfg->hidden_size, f = cfg->intermediate_size;
    const int64_t q = cfg->num_attention_heads * c->head_dim, kv = c->kv_heads * c->head_dim;
    p->qkv_weight = declare_weight(list, l, "self_attn.q_proj", q, w);
    declare_weight(list, l, "self_attn.k_proj", kv, w);
    declare_weight(list, l, "self_attn.v_proj", kv, w);
    p->qkv_bias = declare_bias(list, c->qkv_bias, l, "self_attn.q_proj", q);
    declare_bias(list, c->qkv_bias, l, "self_attn.k_proj", kv);
    declare_bias(list, c->qkv_bias, l, "self_attn.v_proj", kv);
    p->out_weight = declare_weight(list, l, "self_attn.o_proj", w, q);
    p->out_bias = declare_bias(list, c->out_bias, l, "self_attn.o_proj", w);
    p->gate_weight = declare_weight(list, l, "mlp.gate_proj", f, w);
    declare_weight(list, l, "mlp.up_proj", f, w);
    p->gate_bias = declare_bias(list, c->mlp_bias, l, "mlp.gate_proj", f);
    declare_bias(list, c->mlp_bias, l, "mlp.up_proj", f);
    p->down_weight = declare_weight(list, l, "mlp.down_proj", w, f);
    p->down_bias = declare_bias(list, c->mlp_bias, l, "mlp.down_proj", w);
    p->norm1_gamma = declare_norm(list, l, "input_layernorm", w);
    p->norm2_gamma = declare_norm(list, l, "post_attention_layernorm", w);
}

static void declare_adapters(decoder *d, int64_t l, param_list *list)
{
    static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    static const char *const out[] = {"self_attn.o_proj"};
    static const char *const gate_up[] = {"mlp.gate_proj", "mlp.up_proj"};
    static const char *const down[] = {"mlp.down_proj"};
    const adapter_options *o = &d->base.options.adapter;
    const model_config *cfg = d->base.cfg;
    decoder_layer *layer = &d->layers[l];
    const int64_t w = cfg->hidden_size, f = cfg->intermediate_size;
    const int64_t q = cfg->num_attention_heads * d->config.head_dim;
    const int64_t kv = d->config.kv_heads * d->config.head_dim;
    const int64_t qkv_outs[] = {q, kv, kv}, gate_up_outs[] = {f, f};
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "model.layers.%lld.", (long long)l);
    adapted_layer_declare(o, &layer->qkv_adapter, &(adapted_layer){path, qkv, qkv_outs, 3, w},
                          list);
    adapted_layer_declare(o, &layer->out_adapter, &(adapted_layer){path, out, &w, 1, q}, list);
    adapted_layer_declare(o, &layer->gate_up_adapter,
                          &(adapted_layer){path, gate_up, gate_up_outs, 2, w}, list);
    adapted_layer_declare(o, &layer->down_adapter, &(adapted_layer){path, down, &w, 1, f}, list);
}

void decoder_declare(model *m, param_list *list)
{
    decoder *d = (decoder *)m;
    const model_config *cfg = m->cfg;
    d->word_table = param_declare(list, PARAM_WEIGHT, cfg->vocab_size, cfg->hidden_size,
                                  "model.embed_tokens.weight");
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_layer(d, l, &d->layers[l].params, list);
    d->final_gamma = param_declare(list, PARAM_NORM, 0, cfg->hidden_size, "model.norm.weight");
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_adapters(d, l, list);
}

/* --------------------------------------------------------------------------------- layers ---- */

/* The next name of the model's pool, e.g. "layers.3.mlp.down_proj". */
static const char *make_name(decoder *d, int64_t *used, int64_t layer, const char *what)
{
    char *name = d->names + *used * NAME_BYTES;
    *used += 1;
    snprintf(name, NAME_BYTES, "layers.%lld.%s", (long long)layer, what);
    return name;
}

static void bind_layer(decoder *d, exec *ex, arena *packed, int64_t l, int64_t *used)
{
    const model_config *cfg = d->base.cfg;
    const decoder_config *c = &d->config;
    decoder_layer *layer = &d->layers[l];
    const decoder_layer_params *p = &layer->params;
    const int64_t w = cfg->hidden_size, f = cfg->intermediate_size;
    layer->attention = (attention){
        .name = make_name(d, used, l, "self_attn"),
        .id = decoder_stream(l, DECODER_STREAM_ATTENTION),
        .heads = cfg->num_attention_heads,
        .kv_heads = c->kv_heads,
        .head_dim = c->head_dim,
        .causal = true,
        .dropout = d->base.options.dropout.attention,
    };
    const int64_t in = attention_in_width(&layer->attention);
    const int64_t out = attention_out_width(&layer->attention);
    linear_bind(ex, &layer->qkv, packed, make_name(d, used, l, "self_attn.qkv_proj"),
                decoder_stream(l, DECODER_STREAM_QKV), p->qkv_weight, p->qkv_bias, in, w);
    linear_bind(ex, &layer->out, packed, make_name(d, used, l, "self_attn.o_proj"),
                decoder_stream(l, DECODER_STREAM_OUT), p->out_weight, p->out_bias, w, out);
    linear_bind(ex, &layer->gate_up, packed, make_name(d, used, l, "mlp.gate_up_proj"),
                decoder_stream(l, DECODER_STREAM_GATE_UP), p->gate_weight, p->gate_bias, 2 * f, w);
    linear_bind(ex, &layer->down, packed, make_name(d, used, l, "mlp.down_proj"),
                decoder_stream(l, DECODER_STREAM_DOWN), p->down_weight, p->down_bias, w, f);
    layernorm_bind(ex, &layer->norm1, packed, make_name(d, used, l, "input_layernorm"),
                   decoder_stream(l, DECODER_STREAM_NORM1), p->norm1_gamma, NULL, w, c->norm_eps);
    layernorm_bind(ex, &layer->norm2, packed, make_name(d, used, l, "post_attention_layernorm"),
                   decoder_stream(l, DECODER_STREAM_NORM2), p->norm2_gamma, NULL, w, c->norm_eps);
    layer->gated =
        (gated){.name = make_name(d, used, l, "mlp"),
                .act = {decoder_stream(l, DECODER_STREAM_SLOPE), model_act_kind(cfg->hidden_act)},
                .act_id = decoder_stream(l, DECODER_STREAM_ACT),
                .gate_id = decoder_stream(l, DECODER_STREAM_GATE),
                .n = f};
    adapted_layer_bind(ex, &layer->qkv_adapter, &layer->qkv, packed,
                       decoder_stream(l, DECODER_STREAM_QKV_ADAPTER));
    adapted_layer_bind(ex, &layer->out_adapter, &layer->out, packed,
                       decoder_stream(l, DECODER_STREAM_OUT_ADAPTER));
    adapted_layer_bind(ex, &layer->gate_up_adapter, &layer->gate_up, packed,
                       decoder_stream(l, DECODER_STREAM_GATE_UP_ADAPTER));
    adapted_layer_bind(ex, &layer->down_adapter, &layer->down, packed,
                       decoder_stream(l, DECODER_STREAM_DOWN_ADAPTER));
    linear_input_name(&layer->x, &layer->qkv, decoder_stream(l, DECODER_STREAM_X));
    linear_input_name(&layer->context, &layer->out, decoder_stream(l, DECODER_STREAM_CONTEXT));
    linear_input_name(&layer->y, &layer->gate_up, decoder_stream(l, DECODER_STREAM_Y));
    linear_input_name(&layer->g, &layer->down, decoder_stream(l, DECODER_STREAM_G));
}

void decoder_bind(model *m, exec *ex, arena *packed)
{
    decoder *d = (decoder *)m;
    int64_t used = 0;
    embedding_init(&d->word, "embed_tokens", DECODER_STREAM_WORD, d->word_table);
    layernorm_bind(ex, &d->final_norm, packed, "norm", DECODER_STREAM_FINAL_NORM, d->final_gamma,
                   NULL, m->cfg->hidden_size, d->config.norm_eps);
    for (int64_t l = 0; l < m->cfg->num_hidden_layers; l++)
        bind_layer(d, ex, packed, l, &used);
}
