/* Making a BERT model: its parameters, and layers bound to them.  See bert.h. */
#include "models/bert.h"

#include <stdio.h>

#include "models/adapted_layer.h"
#include "models/bert_internal.h"

enum { NAME_BYTES = 80, NAMES_PER_LAYER = 7 };

mts_status bert_create(mts_ctx *ctx, const model_config *cfg, const model_options *options,
                       model **out)
{
    mts_status st = MTS_OK;
    const size_t layers = (size_t)cfg->num_hidden_layers;
    bert *m = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &m, 1, sizeof *m, "model"));
    m->base = (model){.class = &bert_class, .cfg = cfg, .options = *options};
    MTS_TRY(mem_calloc(ctx, &m->layers, layers, sizeof *m->layers, "layers"));
    MTS_TRY(mem_calloc(ctx, &m->names, layers * NAMES_PER_LAYER, NAME_BYTES, "layer names"));
    *out = &m->base;
    m = NULL;
cleanup:
    if (m != NULL)
        bert_destroy(&m->base);
    return st;
}

void bert_destroy(model *m)
{
    bert *b = (bert *)m;
    if (b == NULL)
        return;
    mem_free(b->layers);
    mem_free(b->names);
    mem_free(b);
}

/* ---------------------------------------------------------------------------- parameters ---- */

/* "bert.encoder.layer.<l>.<what>.weight" or ".bias"; rows 0: a vector. */
static param *declare_weight(param_list *list, int64_t l, const char *what, int64_t rows,
                             int64_t cols)
{
    return param_declare(list, PARAM_WEIGHT, rows, cols, "bert.encoder.layer.%lld.%s.weight",
                         (long long)l, what);
}

static param *declare_bias(param_list *list, int64_t l, const char *what, int64_t n)
{
    return param_declare(list, PARAM_BIAS, 0, n, "bert.encoder.layer.%lld.%s.bias", (long long)l,
                         what);
}

static void declare_norm(param_list *list, int64_t l, const char *what, int64_t n, param **gamma,
                         param **beta)
{
    *gamma = param_declare(list, PARAM_NORM, 0, n, "bert.encoder.layer.%lld.%s.weight",
                           (long long)l, what);
    *beta = param_declare(list, PARAM_NORM, 0, n, "bert.encoder.layer.%lld.%s.bias", (long long)l,
                          what);
}

/* Query, key and value behind each other: they act as one matrix. */
static void declare_layer(const model_config *cfg, int64_t l, bert_layer_params *p,
                          param_list *list)
{
    const int64_t d = cfg->hidden_size, f = cfg->intermediate_size;
    p->qkv_weight = declare_weight(list, l, "attention.self.query", d, d);
    declare_weight(list, l, "attention.self.key", d, d);
    declare_weight(list, l, "attention.self.value", d, d);
    p->qkv_bias = declare_bias(list, l, "attention.self.query", d);
    declare_bias(list, l, "attention.self.key", d);
    declare_bias(list, l, "attention.self.value", d);
    p->out_weight = declare_weight(list, l, "attention.output.dense", d, d);
    p->out_bias = declare_bias(list, l, "attention.output.dense", d);
    declare_norm(list, l, "attention.output.LayerNorm", d, &p->norm1_gamma, &p->norm1_beta);
    p->up_weight = declare_weight(list, l, "intermediate.dense", f, d);
    p->up_bias = declare_bias(list, l, "intermediate.dense", f);
    p->down_weight = declare_weight(list, l, "output.dense", d, f);
    p->down_bias = declare_bias(list, l, "output.dense", d);
    declare_norm(list, l, "output.LayerNorm", d, &p->norm2_gamma, &p->norm2_beta);
}

static void declare_adapters(bert *b, int64_t l, param_list *list)
{
    static const char *const qkv[] = {"attention.self.query", "attention.self.key",
                                      "attention.self.value"};
    static const char *const out[] = {"attention.output.dense"};
    static const char *const up[] = {"intermediate.dense"};
    static const char *const down[] = {"output.dense"};
    const adapter_options *o = &b->base.options.adapter;
    bert_layer *layer = &b->layers[l];
    const int64_t d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    const int64_t qkv_outs[] = {d, d, d};
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "bert.encoder.layer.%lld.", (long long)l);
    adapted_layer_declare(o, &layer->qkv_adapter, &(adapted_layer){path, qkv, qkv_outs, 3, d},
                          list);
    adapted_layer_declare(o, &layer->out_adapter, &(adapted_layer){path, out, &d, 1, d}, list);
    adapted_layer_declare(o, &layer->up_adapter, &(adapted_layer){path, up, &f, 1, d}, list);
    adapted_layer_declare(o, &layer->down_adapter, &(adapted_layer){path, down, &d, 1, f}, list);
}

void bert_declare(model *m, param_list *list)
{
    bert *b = (bert *)m;
    const model_config *cfg = m->cfg;
    const int64_t d = cfg->hidden_size;
    b->word_table = param_declare(list, PARAM_TABLE, cfg->vocab_size, d,
                                  "bert.embeddings.word_embeddings.weight");
    b->position_table = param_declare(list, PARAM_TABLE, cfg->max_position_embeddings, d,
                                      "bert.embeddings.position_embeddings.weight");
    b->type_table = param_declare(list, PARAM_TABLE, cfg->type_vocab_size, d,
                                  "bert.embeddings.token_type_embeddings.weight");
    b->norm_gamma = param_declare(list, PARAM_NORM, 0, d, "bert.embeddings.LayerNorm.weight");
    b->norm_beta = param_declare(list, PARAM_NORM, 0, d, "bert.embeddings.LayerNorm.bias");
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_layer(cfg, l, &b->layers[l].params, list);
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_adapters(b, l, list);
}

/* --------------------------------------------------------------------------------- layers ---- */

/* The next name of the model's pool, e.g. "encoder.layer.3.intermediate.dense". */
static const char *make_name(bert *b, int64_t *used, int64_t layer, const char *what)
{
    char *name = b->names + *used * NAME_BYTES;
    *used += 1;
    snprintf(name, NAME_BYTES, "encoder.layer.%lld.%s", (long long)layer, what);
    return name;
}

static void bind_layer(bert *b, exec *ex, arena *packed, int64_t l, int64_t *used)
{
    const model_config *cfg = b->base.cfg;
    bert_layer *layer = &b->layers[l];
    const bert_layer_params *p = &layer->params;
    const int64_t d = cfg->hidden_size, f = cfg->intermediate_size;
    const float eps = (float)cfg->layer_norm_eps;
    const char *qkv = make_name(b, used, l, "attention.self.query_key_value");
    const char *out = make_name(b, used, l, "attention.output.dense");
    const char *up = make_name(b, used, l, "intermediate.dense");
    const char *down = make_name(b, used, l, "output.dense");
    linear_bind(ex, &layer->qkv, packed, qkv, bert_stream(l, STREAM_QKV), p->qkv_weight,
                p->qkv_bias, 3 * d, d);
    linear_bind(ex, &layer->out, packed, out, bert_stream(l, STREAM_OUT), p->out_weight,
                p->out_bias, d, d);
    linear_bind(ex, &layer->up, packed, up, bert_stream(l, STREAM_UP), p->up_weight, p->up_bias, f,
                d);
    linear_bind(ex, &layer->down, packed, down, bert_stream(l, STREAM_DOWN), p->down_weight,
                p->down_bias, d, f);
    layernorm_bind(ex, &layer->norm1, packed, make_name(b, used, l, "attention.output.LayerNorm"),
                   bert_stream(l, STREAM_NORM1), p->norm1_gamma, p->norm1_beta, d, eps);
    layernorm_bind(ex, &layer->norm2, packed, make_name(b, used, l, "output.LayerNorm"),
                   bert_stream(l, STREAM_NORM2), p->norm2_gamma, p->norm2_beta, d, eps);
    layer->act = (nonlinearity){bert_stream(l, STREAM_SLOPE), model_act_kind(cfg->hidden_act)};
    layer->attention = (attention){
        .name = make_name(b, used, l, "attention.self"),
        .id = bert_stream(l, STREAM_ATTENTION),
        .heads = cfg->num_attention_heads,
        .kv_heads = cfg->num_attention_heads,
        .head_dim = d / cfg->num_attention_heads,
        .dropout = b->base.options.dropout.attention,
    };
    adapted_layer_bind(ex, &layer->qkv_adapter, &layer->qkv, packed,
                       bert_stream(l, STREAM_QKV_ADAPTER));
    adapted_layer_bind(ex, &layer->out_adapter, &layer->out, packed,
                       bert_stream(l, STREAM_OUT_ADAPTER));
    adapted_layer_bind(ex, &layer->up_adapter, &layer->up, packed,
                       bert_stream(l, STREAM_UP_ADAPTER));
    adapted_layer_bind(ex, &layer->down_adapter, &layer->down, packed,
                       bert_stream(l, STREAM_DOWN_ADAPTER));
    linear_input_name(&layer->x, &layer->qkv, bert_stream(l, STREAM_X));
    linear_input_name(&layer->context, &layer->out, bert_stream(l, STREAM_CONTEXT));
    linear_input_name(&layer->h1, &layer->up, bert_stream(l, STREAM_H1));
    linear_input_name(&layer->g, &layer->down, bert_stream(l, STREAM_G));
}

void bert_bind(model *m, exec *ex, arena *packed)
{
    bert *b = (bert *)m;
    int64_t used = 0;
    embedding_init(&b->word, "embeddings.word_embeddings", STREAM_WORD, b->word_table);
    embedding_init(&b->position, "embeddings.position_embeddings", STREAM_POSITION,
                   b->position_table);
    embedding_init(&b->type, "embeddings.token_type_embeddings", STREAM_TYPE, b->type_table);
    layernorm_bind(ex, &b->embedding_norm, packed, "embeddings.LayerNorm", STREAM_EMBEDDING_NORM,
                   b->norm_gamma, b->norm_beta, m->cfg->hidden_size, (float)m->cfg->layer_norm_eps);
    for (int64_t l = 0; l < m->cfg->num_hidden_layers; l++)
        bind_layer(b, ex, packed, l, &used);
}
