/* Making a BERT model: its parameters, and layers bound to them.  See bert.h. */
#include "models/bert.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "models/adapted_layer.h"
#include "models/bert_internal.h"

enum { NAME_BYTES = 80, NAMES_PER_LAYER = 7 };

mts_status bert_create(mts_ctx *ctx, const model_config *cfg, const model_options *options,
                       model **out)
{
    mts_status st = MTS_OK;
    const size_t layers = (size_t)cfg->num_hidden_layers;
    const bert_family *family = bert_family_find(model_config_type(cfg));
    bert *m = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &m, 1, sizeof *m, "model"));
    m->base = (model){.class = family->class, .cfg = cfg, .options = *options};
    m->family = family;
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

/* Parameters of one layer: "<layers>.<l>.<what>.weight" or ".bias". */
typedef struct layer_list {
    param_list *list;
    const char *layers;
    long long l;
} layer_list;

static param *declare_weight(const layer_list *to, const char *what, int64_t rows, int64_t cols)
{
    return param_declare(to->list, PARAM_WEIGHT, rows, cols, "%s.%lld.%s.weight", to->layers, to->l,
                         what);
}

static param *declare_bias(const layer_list *to, const char *what, int64_t n)
{
    return param_declare(to->list, PARAM_BIAS, 0, n, "%s.%lld.%s.bias", to->layers, to->l, what);
}

static void declare_norm(const layer_list *to, const char *what, int64_t n, param **gamma,
                         param **beta)
{
    *gamma =
        param_declare(to->list, PARAM_NORM, 0, n, "%s.%lld.%s.weight", to->layers, to->l, what);
    *beta = param_declare(to->list, PARAM_NORM, 0, n, "%s.%lld.%s.bias", to->layers, to->l, what);
}

/* Query, key and value behind each other: they act as one matrix. */
static void declare_layer(const bert *b, int64_t l, bert_layer_params *p, param_list *list)
{
    const bert_names *n = &b->family->names;
    const layer_list to = {list, n->layers, (long long)l};
    const int64_t d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    p->qkv_weight = declare_weight(&to, n->qkv[0], d, d);
    declare_weight(&to, n->qkv[1], d, d);
    declare_weight(&to, n->qkv[2], d, d);
    p->qkv_bias = declare_bias(&to, n->qkv[0], d);
    declare_bias(&to, n->qkv[1], d);
    declare_bias(&to, n->qkv[2], d);
    p->out_weight = declare_weight(&to, n->out, d, d);
    p->out_bias = declare_bias(&to, n->out, d);
    declare_norm(&to, n->norm1, d, &p->norm1_gamma, &p->norm1_beta);
    p->up_weight = declare_weight(&to, n->up, f, d);
    p->up_bias = declare_bias(&to, n->up, f);
    p->down_weight = declare_weight(&to, n->down, d, f);
    p->down_bias = declare_bias(&to, n->down, d);
    declare_norm(&to, n->norm2, d, &p->norm2_gamma, &p->norm2_beta);
}

static void declare_adapters(bert *b, int64_t l, param_list *list)
{
    const adapter_options *o = &b->base.options.adapter;
    const bert_names *n = &b->family->names;
    bert_layer *layer = &b->layers[l];
    const int64_t d = b->base.cfg->hidden_size, f = b->base.cfg->intermediate_size;
    const int64_t qkv_outs[] = {d, d, d};
    char path[NAME_BYTES];
    snprintf(path, sizeof path, "%s.%lld.", n->layers, (long long)l);
    adapted_layer_declare(o, &layer->qkv_adapter, &(adapted_layer){path, n->qkv, qkv_outs, 3, d},
                          list);
    adapted_layer_declare(o, &layer->out_adapter, &(adapted_layer){path, &n->out, &d, 1, d}, list);
    adapted_layer_declare(o, &layer->up_adapter, &(adapted_layer){path, &n->up, &f, 1, d}, list);
    adapted_layer_declare(o, &layer->down_adapter, &(adapted_layer){path, &n->down, &d, 1, f},
                          list);
}

/* From embeddings of width w to the layers. */
static void declare_projection(bert *b, int64_t w, param_list *list)
{
    const char *name = b->family->names.projection;
    const int64_t d = b->base.cfg->hidden_size;
    b->projection_weight = param_declare(list, PARAM_WEIGHT, d, w, "%s.weight", name);
    b->projection_bias = param_declare(list, PARAM_BIAS, 0, d, "%s.bias", name);
    adapted_layer_declare(&b->base.options.adapter, &b->projection_adapter,
                          &(adapted_layer){"", &name, &d, 1, w}, list);
}

void bert_declare(model *m, param_list *list)
{
    bert *b = (bert *)m;
    const bert_names *n = &b->family->names;
    const model_config *cfg = m->cfg;
    const int64_t w = bert_embedding_size(b->family, cfg);
    b->word_table = param_declare(list, PARAM_TABLE, cfg->vocab_size, w, "%s.weight", n->words);
    b->position_table = param_declare(list, PARAM_TABLE, cfg->max_position_embeddings, w,
                                      "%s.weight", n->positions);
    if (n->types != NULL)
        b->type_table =
            param_declare(list, PARAM_TABLE, cfg->type_vocab_size, w, "%s.weight", n->types);
    b->norm_gamma = param_declare(list, PARAM_NORM, 0, w, "%s.weight", n->norm);
    b->norm_beta = param_declare(list, PARAM_NORM, 0, w, "%s.bias", n->norm);
    if (w != cfg->hidden_size)
        declare_projection(b, w, list);
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_layer(b, l, &b->layers[l].params, list);
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_adapters(b, l, list);
}

/* --------------------------------------------------------------------------------- layers ---- */

/* A name without the architecture's prefix, for reports. */
static const char *short_name(const bert *b, const char *name)
{
    return name + strlen(b->base.class->prefix);
}

/* The next name of the model's pool, e.g. "encoder.layer.3.intermediate.dense". */
static const char *make_name(bert *b, int64_t *used, int64_t layer, const char *what)
{
    char *name = b->names + *used * NAME_BYTES;
    *used += 1;
    snprintf(name, NAME_BYTES, "%s.%lld.%s", short_name(b, b->family->names.layers),
             (long long)layer, what);
    return name;
}

static void bind_layer(bert *b, exec *ex, arena *packed, int64_t l, int64_t *used)
{
    const model_config *cfg = b->base.cfg;
    bert_layer *layer = &b->layers[l];
    const bert_layer_params *p = &layer->params;
    const bert_names *n = &b->family->names;
    const int64_t d = cfg->hidden_size, f = cfg->intermediate_size;
    const float eps = (float)cfg->layer_norm_eps;
    const char *qkv = make_name(b, used, l, n->qkv_report);
    const char *out = make_name(b, used, l, n->out);
    const char *up = make_name(b, used, l, n->up);
    const char *down = make_name(b, used, l, n->down);
    linear_bind(ex, &layer->qkv, packed, qkv, bert_stream(l, STREAM_QKV), p->qkv_weight,
                p->qkv_bias, 3 * d, d);
    linear_bind(ex, &layer->out, packed, out, bert_stream(l, STREAM_OUT), p->out_weight,
                p->out_bias, d, d);
    linear_bind(ex, &layer->up, packed, up, bert_stream(l, STREAM_UP), p->up_weight, p->up_bias, f,
                d);
    linear_bind(ex, &layer->down, packed, down, bert_stream(l, STREAM_DOWN), p->down_weight,
                p->down_bias, d, f);
    layernorm_bind(ex, &layer->norm1, packed, make_name(b, used, l, n->norm1),
                   bert_stream(l, STREAM_NORM1), p->norm1_gamma, p->norm1_beta, d, eps);
    layernorm_bind(ex, &layer->norm2, packed, make_name(b, used, l, n->norm2),
                   bert_stream(l, STREAM_NORM2), p->norm2_gamma, p->norm2_beta, d, eps);
    layer->act = (nonlinearity){bert_stream(l, STREAM_SLOPE), model_act_kind(cfg->hidden_act)};
    layer->attention = (attention){
        .name = make_name(b, used, l, n->attention),
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

/* The word that transformers leaves without a gradient, -1: none. */
static int64_t padding_word(const model_config *cfg)
{
    if (json_is_null(json_object_get(cfg->json, "pad_token_id")))
        return -1;
    return cfg->pad_token_id + (cfg->pad_token_id < 0 ? cfg->vocab_size : 0);
}

static void bind_projection(bert *b, exec *ex, arena *packed)
{
    linear_bind(ex, &b->projection, packed, short_name(b, b->family->names.projection),
                STREAM_PROJECTION, b->projection_weight, b->projection_bias,
                b->base.cfg->hidden_size, b->word_table->cols);
    adapted_layer_bind(ex, &b->projection_adapter, &b->projection, packed,
                       STREAM_PROJECTION_ADAPTER);
    linear_input_name(&b->projected, &b->projection, STREAM_PROJECTED);
}

void bert_bind(model *m, exec *ex, arena *packed)
{
    bert *b = (bert *)m;
    const bert_names *n = &b->family->names;
    int64_t used = 0;
    embedding_init(&b->word, short_name(b, n->words), STREAM_WORD, b->word_table);
    embedding_init(&b->position, short_name(b, n->positions), STREAM_POSITION, b->position_table);
    if (n->types != NULL)
        embedding_init(&b->type, short_name(b, n->types), STREAM_TYPE, b->type_table);
    b->word.padding = padding_word(m->cfg);
    if (m->class->positions_behind_padding)
        b->position.padding = m->cfg->pad_token_id;
    layernorm_bind(ex, &b->embedding_norm, packed, short_name(b, n->norm), STREAM_EMBEDDING_NORM,
                   b->norm_gamma, b->norm_beta, b->word_table->cols, (float)m->cfg->layer_norm_eps);
    if (b->projection_weight != NULL)
        bind_projection(b, ex, packed);
    for (int64_t l = 0; l < m->cfg->num_hidden_layers; l++)
        bind_layer(b, ex, packed, l, &used);
}
