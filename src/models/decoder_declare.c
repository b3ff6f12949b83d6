/* The parameters of a decoder and of its adapters.  See decoder.h. */
#include <stdio.h>

#include "models/adapted_layer.h"
#include "models/decoder_internal.h"

/* A linear layer as modules in transformers, which behind each other act as one matrix: query, key
 * and value; gate and up. */
typedef struct module_list {
    const char *const *name; /* [count] */
    int64_t out[LOW_RANK_PARTS];
    int count;
} module_list;

static module_list qkv_modules(const decoder *d)
{
    const decoder_config *c = &d->config;
    const int64_t q = d->base.cfg->num_attention_heads * c->head_dim;
    const int64_t kv = c->kv_heads * c->head_dim;
    if (c->fused_qkv)
        return (module_list){c->names.qkv, {q + 2 * kv}, 1};
    return (module_list){c->names.qkv, {q, kv, kv}, 3};
}

static module_list up_modules(const decoder *d)
{
    const int64_t f = d->config.intermediate;
    return (module_list){d->config.names.up, {f, f}, d->config.gated ? 2 : 1};
}

/* ---------------------------------------------------------------------------- parameters ---- */

/* The first of parameters that lie behind each other; biases unless `bias` is NULL. */
static void declare_modules(const decoder *d, int64_t l, const module_list *m, int64_t in,
                            param **weight, param **bias, param_list *list)
{
    const char *layers = d->config.names.layers;
    for (int i = 0; i < m->count; i++) {
        param *p = param_declare(list, PARAM_WEIGHT, m->out[i], in, "%s.%lld.%s.weight", layers,
                                 (long long)l, m->name[i]);
        *weight = i == 0 ? p : *weight;
    }
    for (int i = 0; i < m->count && bias != NULL; i++) {
        param *p = param_declare(list, PARAM_BIAS, 0, m->out[i], "%s.%lld.%s.bias", layers,
                                 (long long)l, m->name[i]);
        *bias = i == 0 ? p : *bias;
    }
}

/* module: NULL for none. */
static void declare_norm(const decoder *d, int64_t l, const char *module, decoder_norm *n,
                         param_list *list)
{
    const char *layers = d->config.names.layers;
    const int64_t w = d->base.cfg->hidden_size;
    if (module == NULL)
        return;
    n->gamma =
        param_declare(list, PARAM_NORM, 0, w, "%s.%lld.%s.weight", layers, (long long)l, module);
    if (d->config.layer_norm)
        n->beta =
            param_declare(list, PARAM_NORM, 0, w, "%s.%lld.%s.bias", layers, (long long)l, module);
}

static param *declare_head_norm(const decoder *d, int64_t l, const char *module, param_list *list)
{
    const decoder_config *c = &d->config;
    return module == NULL ? NULL
                          : param_declare(list, PARAM_NORM, 0, c->head_dim, "%s.%lld.%s.weight",
                                          c->names.layers, (long long)l, module);
}

static void declare_layer(decoder *d, int64_t l, param_list *list)
{
    const decoder_config *c = &d->config;
    const decoder_names *n = &c->names;
    decoder_layer *layer = &d->layers[l];
    decoder_layer_params *p = &layer->params;
    const int64_t w = d->base.cfg->hidden_size;
    const int64_t q = d->base.cfg->num_attention_heads * c->head_dim;
    const module_list qkv = qkv_modules(d), up = up_modules(d);
    const module_list out = {&n->out, {w}, 1}, down = {&n->down, {w}, 1};
    declare_modules(d, l, &qkv, w, &p->qkv_weight, c->qkv_bias ? &p->qkv_bias : NULL, list);
    declare_modules(d, l, &out, q, &p->out_weight, c->out_bias ? &p->out_bias : NULL, list);
    declare_modules(d, l, &up, w, &p->up_weight, c->mlp_bias ? &p->up_bias : NULL, list);
    declare_modules(d, l, &down, c->intermediate, &p->down_weight,
                    c->mlp_bias ? &p->down_bias : NULL, list);
    declare_norm(d, l, n->norm1, &layer->norm1, list);
    declare_norm(d, l, n->norm2, &layer->norm2, list);
    declare_norm(d, l, n->out_norm, &layer->out_norm, list);
    declare_norm(d, l, n->down_norm, &layer->down_norm, list);
    layer->q_gamma = declare_head_norm(d, l, n->q_norm, list);
    layer->k_gamma = declare_head_norm(d, l, n->k_norm, list);
    if (n->norm2 == NULL) {
        layer->norm2.gamma = layer->norm1.gamma;
        layer->norm2.beta = layer->norm1.beta;
    }
}

/* ------------------------------------------------------------------------------ adapters ---- */

static void declare_adapter(const decoder *d, int64_t l, low_rank *lr, const module_list *m,
                            int64_t in, param_list *list)
{
    char path[PARAM_NAME_BYTES];
    const adapted_layer layer = {path, m->name, m->out, m->count, in};
    snprintf(path, sizeof path, "%s.%lld.", d->config.names.layers, (long long)l);
    adapted_layer_declare(&d->base.options.adapter, lr, &layer, list);
}

static void declare_adapters(decoder *d, int64_t l, param_list *list)
{
    const decoder_config *c = &d->config;
    decoder_layer *layer = &d->layers[l];
    const int64_t w = d->base.cfg->hidden_size;
    const module_list qkv = qkv_modules(d), up = up_modules(d);
    const module_list out = {&c->names.out, {w}, 1}, down = {&c->names.down, {w}, 1};
    declare_adapter(d, l, &layer->qkv_adapter, &qkv, w, list);
    declare_adapter(d, l, &layer->out_adapter, &out, d->base.cfg->num_attention_heads * c->head_dim,
                    list);
    declare_adapter(d, l, &layer->up_adapter, &up, w, list);
    declare_adapter(d, l, &layer->down_adapter, &down, c->intermediate, list);
}

void decoder_declare(model *m, param_list *list)
{
    decoder *d = (decoder *)m;
    const model_config *cfg = m->cfg;
    const decoder_names *n = &d->config.names;
    const int64_t w = cfg->hidden_size;
    d->word_table = param_declare(list, PARAM_TABLE, cfg->vocab_size, w, "%s.weight", n->words);
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_layer(d, l, list);
    d->final_norm.gamma = param_declare(list, PARAM_NORM, 0, w, "%s.weight", n->final_norm);
    if (d->config.layer_norm)
        d->final_norm.beta = param_declare(list, PARAM_NORM, 0, w, "%s.bias", n->final_norm);
    for (int64_t l = 0; l < cfg->num_hidden_layers; l++)
        declare_adapters(d, l, list);
}
