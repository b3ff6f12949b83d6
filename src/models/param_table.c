/* Names, shapes and storage of a BERT classifier's parameters.  See param_table.h. */
#include "models/param_table.h"

#include <assert.h>
#include <stdio.h>

/* Shape codes of a row: D hidden, F intermediate, V words, P positions, T types, C classes. */
typedef struct param_row {
    const char *name;
    char rows, cols; /* rows '1': a vector */
    bool decay;
} param_row;

static const param_row embedding_rows[] = {
    {"bert.embeddings.word_embeddings.weight", 'V', 'D', true},
    {"bert.embeddings.position_embeddings.weight", 'P', 'D', true},
    {"bert.embeddings.token_type_embeddings.weight", 'T', 'D', true},
    {"bert.embeddings.LayerNorm.weight", '1', 'D', false},
    {"bert.embeddings.LayerNorm.bias", '1', 'D', false},
};

/* In the order of PARAM_QUERY_WEIGHT ... */
static const param_row layer_rows[] = {
    {"attention.self.query.weight", 'D', 'D', true},
    {"attention.self.key.weight", 'D', 'D', true},
    {"attention.self.value.weight", 'D', 'D', true},
    {"attention.self.query.bias", '1', 'D', false},
    {"attention.self.key.bias", '1', 'D', false},
    {"attention.self.value.bias", '1', 'D', false},
    {"attention.output.dense.weight", 'D', 'D', true},
    {"attention.output.dense.bias", '1', 'D', false},
    {"attention.output.LayerNorm.weight", '1', 'D', false},
    {"attention.output.LayerNorm.bias", '1', 'D', false},
    {"intermediate.dense.weight", 'F', 'D', true},
    {"intermediate.dense.bias", '1', 'F', false},
    {"output.dense.weight", 'D', 'F', true},
    {"output.dense.bias", '1', 'D', false},
    {"output.LayerNorm.weight", '1', 'D', false},
    {"output.LayerNorm.bias", '1', 'D', false},
};

static const param_row head_rows[] = {
    {"bert.pooler.dense.weight", 'D', 'D', true},
    {"bert.pooler.dense.bias", '1', 'D', false},
    {"classifier.weight", 'C', 'D', true},
    {"classifier.bias", '1', 'C', false},
};

static int64_t extent(const model_config *cfg, char code)
{
    switch (code) {
    case 'D':
        return cfg->hidden_size;
    case 'F':
        return cfg->intermediate_size;
    case 'V':
        return cfg->vocab_size;
    case 'P':
        return cfg->max_position_embeddings;
    case 'T':
        return cfg->type_vocab_size;
    case 'C':
        return cfg->num_labels;
    default:
        return 1;
    }
}

static int64_t sum_elements(const model_config *cfg, const param_row *rows, int n)
{
    int64_t total = 0;
    for (int i = 0; i < n; i++)
        total += extent(cfg, rows[i].rows) * extent(cfg, rows[i].cols);
    return total;
}

int64_t param_table_count_elements(const model_config *cfg)
{
    return sum_elements(cfg, embedding_rows, PARAM_LAYERS) +
           cfg->num_hidden_layers * sum_elements(cfg, layer_rows, PARAM_PER_LAYER) +
           sum_elements(cfg, head_rows, PARAM_HEADS);
}

int64_t param_table_count(const model_config *cfg)
{
    return PARAM_LAYERS + cfg->num_hidden_layers * PARAM_PER_LAYER + PARAM_HEADS;
}

param param_table_describe(const model_config *cfg, int64_t i)
{
    const int64_t inner = i - PARAM_LAYERS;
    const int64_t head = inner - cfg->num_hidden_layers * PARAM_PER_LAYER;
    const bool in_layer = inner >= 0 && head < 0;
    const param_row *row = in_layer    ? &layer_rows[inner % PARAM_PER_LAYER]
                           : inner < 0 ? &embedding_rows[i]
                                       : &head_rows[head];
    param p = {.rows = extent(cfg, row->rows),
               .cols = extent(cfg, row->cols),
               .vector = row->rows == '1',
               .decay = row->decay};
    assert(i >= 0 && head < PARAM_HEADS);
    if (in_layer)
        snprintf(p.name, sizeof p.name, "bert.encoder.layer.%lld.%s",
                 (long long)(inner / PARAM_PER_LAYER), row->name);
    else
        snprintf(p.name, sizeof p.name, "%s", row->name);
    return p;
}

mts_status param_table_init(mts_ctx *ctx, param_table *t, const model_config *cfg, bool with_grad)
{
    mts_status st = MTS_OK;
    const int64_t elements = param_table_count_elements(cfg);
    *t = (param_table){.layers = cfg->num_hidden_layers, .count = param_table_count(cfg)};
    MTS_TRY(mem_calloc(ctx, &t->items, (size_t)t->count, sizeof *t->items, "parameter table"));
    MTS_TRY(mem_calloc(ctx, &t->value, (size_t)elements, sizeof(float), "parameters"));
    if (with_grad)
        MTS_TRY(mem_calloc(ctx, &t->grad, (size_t)elements, sizeof(float), "gradients"));
    for (int64_t i = 0; i < t->count; i++) {
        param *p = &t->items[i];
        *p = param_table_describe(cfg, i);
        p->offset = t->elements;
        p->value = t->value + t->elements;
        p->grad = t->grad == NULL ? NULL : t->grad + t->elements;
        t->elements += p->rows * p->cols;
    }
    assert(t->elements == elements);
cleanup:
    if (st != MTS_OK)
        param_table_deinit(t);
    return st;
}

mts_status param_table_init_dry(mts_ctx *ctx, param_table *t, const model_config *cfg)
{
    mts_status st = MTS_OK;
    arena nowhere;
    arena_measure(&nowhere);
    *t = (param_table){.layers = cfg->num_hidden_layers, .count = param_table_count(cfg)};
    MTS_TRY(mem_calloc(ctx, &t->items, (size_t)t->count, sizeof *t->items, "parameter table"));
    for (int64_t i = 0; i < t->count; i++) {
        param *p = &t->items[i];
        *p = param_table_describe(cfg, i);
        p->value = arena_take(&nowhere, (size_t)(p->rows * p->cols), sizeof(float));
        p->grad = arena_take(&nowhere, (size_t)(p->rows * p->cols), sizeof(float));
    }
cleanup:
    return st;
}

void param_table_deinit(param_table *t)
{
    mem_free(t->items);
    mem_free(t->value);
    mem_free(t->grad);
    *t = (param_table){0};
}

param *param_table_layer(param_table *t, int64_t layer, int which)
{
    return &t->items[PARAM_LAYERS + layer * PARAM_PER_LAYER + which];
}

param *param_table_head(param_table *t, int which)
{
    return &t->items[PARAM_LAYERS + t->layers * PARAM_PER_LAYER + which];
}
