/* Making a BERT model: memory by plan, layers bound to their parameters.  See bert.h. */
#include "models/bert.h"

#include <stdio.h>
#include <string.h>

#include "layers/arithmetic.h"
#include "models/bert_internal.h"

enum { NAME_BYTES = 80, NAMES_PER_LAYER = 7 };

static size_t max_size(size_t a, size_t b)
{
    return a > b ? a : b;
}

static attention make_attention(const model_config *cfg, const bert_dropout *dropout)
{
    return (attention){.width = cfg->hidden_size,
                       .heads = cfg->num_attention_heads,
                       .dropout = dropout == NULL ? 0.0f : dropout->attention};
}

static mts_status init_exec(mts_ctx *ctx, exec *ex, const num_format *format, int threads,
                            uint64_t seed)
{
    mts_status st = MTS_OK;
    *ex = (exec){.threads = threads, .seed = seed};
    arithmetic_select(ex, format);
    MTS_TRY(kernels_select(ctx, &ex->family));
    ex->fk = float_kernels_for(ex->family);
cleanup:
    return st;
}

/* The next name of the model's pool, e.g. "encoder.layer.3.intermediate.dense". */
static const char *make_name(bert *model, int64_t *used, int64_t layer, const char *what)
{
    char *name = model->names + *used * NAME_BYTES;
    *used += 1;
    if (layer >= 0)
        snprintf(name, NAME_BYTES, "encoder.layer.%lld.%s", (long long)layer, what);
    else
        snprintf(name, NAME_BYTES, "%s", what);
    return name;
}

static void name_input(linear_input *act, const char *name, int id)
{
    act->where = name;
    act->id = id;
}

static void bind_layer(bert *m, int64_t l, int64_t *used)
{
    exec *ex = &m->ex;
    bert_layer *layer = &m->layers[l];
    param_table *t = &m->params;
    const int64_t d = m->cfg.hidden_size, f = m->cfg.intermediate_size;
    const float eps = (float)m->cfg.layer_norm_eps;
    const char *qkv = make_name(m, used, l, "attention.self.query_key_value");
    const char *out = make_name(m, used, l, "attention.output.dense");
    const char *up = make_name(m, used, l, "intermediate.dense");
    const char *down = make_name(m, used, l, "output.dense");
    linear_bind(ex, &layer->qkv, &m->packed, qkv, bert_stream(l, STREAM_QKV),
                param_table_layer(t, l, PARAM_QUERY_WEIGHT),
                param_table_layer(t, l, PARAM_QUERY_BIAS), 3 * d, d);
    linear_bind(ex, &layer->out, &m->packed, out, bert_stream(l, STREAM_OUT),
                param_table_layer(t, l, PARAM_OUT_WEIGHT), param_table_layer(t, l, PARAM_OUT_BIAS),
                d, d);
    linear_bind(ex, &layer->up, &m->packed, up, bert_stream(l, STREAM_UP),
                param_table_layer(t, l, PARAM_UP_WEIGHT), param_table_layer(t, l, PARAM_UP_BIAS), f,
                d);
    linear_bind(ex, &layer->down, &m->packed, down, bert_stream(l, STREAM_DOWN),
                param_table_layer(t, l, PARAM_DOWN_WEIGHT),
                param_table_layer(t, l, PARAM_DOWN_BIAS), d, f);
    layernorm_bind(ex, &layer->norm1, &m->packed,
                   make_name(m, used, l, "attention.output.LayerNorm"),
                   bert_stream(l, STREAM_NORM1), param_table_layer(t, l, PARAM_NORM1_GAMMA),
                   param_table_layer(t, l, PARAM_NORM1_BETA), d, eps);
    layernorm_bind(ex, &layer->norm2, &m->packed, make_name(m, used, l, "output.LayerNorm"),
                   bert_stream(l, STREAM_NORM2), param_table_layer(t, l, PARAM_NORM2_GAMMA),
                   param_table_layer(t, l, PARAM_NORM2_BETA), d, eps);
    layer->act = (nonlinearity){bert_stream(l, STREAM_SLOPE), m->act};
    layer->at = make_attention(&m->cfg, &m->dropout);
    layer->at.name = make_name(m, used, l, "attention.self");
    layer->at.id = bert_stream(l, STREAM_ATTENTION);
    name_input(&layer->x, qkv, bert_stream(l, STREAM_X));
    name_input(&layer->context, out, bert_stream(l, STREAM_CONTEXT));
    name_input(&layer->h1, up, bert_stream(l, STREAM_H1));
    name_input(&layer->g, down, bert_stream(l, STREAM_G));
}

static void bind_model(bert *m)
{
    exec *ex = &m->ex;
    param_table *t = &m->params;
    const int64_t d = m->cfg.hidden_size;
    int64_t used = 0;
    embedding_init(&m->word, "embeddings.word_embeddings", STREAM_WORD, &t->items[PARAM_WORD]);
    embedding_init(&m->position, "embeddings.position_embeddings", STREAM_POSITION,
                   &t->items[PARAM_POSITION]);
    embedding_init(&m->type, "embeddings.token_type_embeddings", STREAM_TYPE,
                   &t->items[PARAM_TYPE]);
    layernorm_bind(ex, &m->embedding_norm, &m->packed, "embeddings.LayerNorm",
                   STREAM_EMBEDDING_NORM, &t->items[PARAM_EMBEDDING_GAMMA],
                   &t->items[PARAM_EMBEDDING_BETA], d, (float)m->cfg.layer_norm_eps);
    for (int64_t l = 0; l < m->cfg.num_hidden_layers; l++)
        bind_layer(m, l, &used);
    linear_bind(ex, &m->pooler, &m->packed, "pooler.dense", STREAM_POOLER,
                param_table_head(t, PARAM_POOLER_WEIGHT), param_table_head(t, PARAM_POOLER_BIAS), d,
                d);
    linear_bind(ex, &m->classifier, &m->packed, "classifier", STREAM_CLASSIFIER,
                param_table_head(t, PARAM_CLASSIFIER_WEIGHT),
                param_table_head(t, PARAM_CLASSIFIER_BIAS), m->cfg.num_labels, d);
    name_input(&m->pooled_in, "pooler.dense", STREAM_POOLER_INPUT);
    name_input(&m->pooled, "classifier", STREAM_CLASSIFIER_INPUT);
}

static activation_kind activation_of(model_act act)
{
    switch (act) {
    case MODEL_ACT_GELU:
        return ACTIVATION_GELU;
    case MODEL_ACT_GELU_TANH:
        return ACTIVATION_GELU_TANH;
    case MODEL_ACT_RELU:
        return ACTIVATION_RELU;
    case MODEL_ACT_SILU:
        return ACTIVATION_SILU;
    case MODEL_ACT_TANH:
        return ACTIVATION_TANH;
    }
    return ACTIVATION_GELU;
}

/* What the model needs of one batch of this shape: bound, run and, with training, run backward on
 * arenas that only measure. */
static void dry_run(bert *m, bert_plan *plan, const bert_input *in, bool training)
{
    const exec real = m->ex;
    float *logits;
    exec_dry(&m->ex, &real);
    m->ex.training = training;
    arena_measure(&m->packed);
    arena_measure(&m->acts);
    bind_model(m);
    logits = (float *)m->acts.base; /* not touched; the caller's otherwise */
    if (in->seq.tokens > 0)
        bert_forward(m, in, logits);
    if (training)
        bert_backward(m, in, logits);
    plan->packed_weights = m->packed.peak;
    plan->activations = max_size(plan->activations, m->acts.peak);
    plan->scratch = max_size(plan->scratch, m->ex.scratch.peak);
    m->ex = real;
    m->packed = m->acts = (arena){0};
}

static bert_plan plan_for(bert *m, const bert_limits *l)
{
    const bert_input train = {.seq = {l->train_rows, l->train_tokens, l->max_length, NULL}};
    const bert_input eval = {.seq = {l->eval_rows, l->eval_tokens, l->max_length, NULL}};
    const bool training = l->train_tokens > 0;
    const size_t elements = (size_t)param_table_count_elements(&m->cfg) * sizeof(float);
    bert_plan plan = {.parameters = elements, .gradients = training ? elements : 0};
    if (training)
        dry_run(m, &plan, &train, true);
    dry_run(m, &plan, &eval, false);
    return plan;
}

/* All but what holds numbers; cfg is copied as it is. */
static mts_status make_parts(mts_ctx *ctx, bert *m, const model_config *cfg,
                             const num_format *format, int threads, uint64_t seed,
                             const bert_limits *limits)
{
    mts_status st = MTS_OK;
    const size_t layers = (size_t)cfg->num_hidden_layers;
    MTS_TRY(init_exec(ctx, &m->ex, format, threads, seed));
    MTS_TRY(mem_calloc(ctx, &m->layers, layers, sizeof *m->layers, "layers"));
    MTS_TRY(mem_calloc(ctx, &m->names, layers * NAMES_PER_LAYER, NAME_BYTES, "layer names"));
    m->cfg = *cfg;
    m->recompute = limits->recompute;
    m->act = activation_of(cfg->hidden_act);
cleanup:
    return st;
}

mts_status bert_plan_make(mts_ctx *ctx, const model_config *cfg, const num_format *format,
                          int threads, const bert_limits *limits, bert_plan *plan)
{
    mts_status st = MTS_OK;
    bert *m = NULL;
    MTS_TRY(mem_calloc(ctx, &m, 1, sizeof *m, "model"));
    MTS_TRY(make_parts(ctx, m, cfg, format, threads, 0, limits));
    MTS_TRY(param_table_init_dry(ctx, &m->params, cfg));
    *plan = plan_for(m, limits);
cleanup:
    if (m != NULL)
        m->cfg = (model_config){0}; /* the caller's */
    bert_destroy(m);
    return st;
}

mts_status bert_create(mts_ctx *ctx, model_config *cfg, const num_format *format, int threads,
                       uint64_t seed, const bert_dropout *dropout, const bert_limits *limits,
                       bert **out)
{
    mts_status st = MTS_OK;
    bert *m = NULL;
    bert_plan plan;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &m, 1, sizeof *m, "model"));
    MTS_TRY(make_parts(ctx, m, cfg, format, threads, seed, limits));
    MTS_TRY(param_table_init(ctx, &m->params, cfg, limits->train_tokens > 0));
    plan = plan_for(m, limits);
    MTS_TRY(arena_init(ctx, &m->packed, plan.packed_weights, "packed weights"));
    MTS_TRY(arena_init(ctx, &m->acts, plan.activations, "activations"));
    MTS_TRY(arena_init(ctx, &m->ex.scratch, plan.scratch, "scratch"));
    m->dropout = *dropout;
    bind_model(m);
    *cfg = (model_config){0};
    *out = m;
    m = NULL;
cleanup:
    if (m != NULL)
        m->cfg = (model_config){0}; /* the caller's */
    bert_destroy(m);
    return st;
}

void bert_destroy(bert *m)
{
    if (m == NULL)
        return;
    model_config_deinit(&m->cfg);
    param_table_deinit(&m->params);
    arena_deinit(&m->packed);
    arena_deinit(&m->acts);
    arena_deinit(&m->ex.scratch);
    mem_free(m->layers);
    mem_free(m->names);
    mem_free(m);
}
