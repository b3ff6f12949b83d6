/* A model with a head on it: made, measured, run.  See network.h. */
#include "network/network.h"

#include <stdio.h>
#include <string.h>

#include "layers/arithmetic.h"
#include "network/network_cache.h"
#include "network/network_files.h"
#include "tensor/stored_nf4.h"

/* ----------------------------------------------------------------------------- a batch ------- */

/* Places for what the forward keeps of a batch. */
static void bind_batch(network *net, exec *ex, arena *kept, const model_input *in)
{
    kept->used = 0;
    net->body->class->bind_batch(net->body, ex, in, kept);
    net->head->class->bind_batch(net->head, ex, in, kept);
}

/* A phase of network_learn begins. */
static void enter(network *net, const exec *ex, network_phase phase)
{
    if (ex->dry)
        return;
    net->place =
        (network_place){phase, phase == NETWORK_BACKWARD ? net->cfg.num_hidden_layers : -1};
    if (phase == NETWORK_HEAD && net->on_place != NULL) {
        net->place.layer = 0;
        net->on_place(net->on_place_user, &net->place);
    }
}

/* What is computed again in the backward belongs to the layer that follows. */
static void on_layer(void *user, bool backward)
{
    network *net = user;
    network_place *p = &net->place;
    if (backward != (p->phase == NETWORK_BACKWARD))
        return;
    p->layer += backward ? -1 : 1;
    net->on_place(net->on_place_user, p);
}

void network_listen(network *net, network_place_fn *on_place, void *user)
{
    net->on_place = on_place;
    net->on_place_user = user;
    net->listener = (exec_listener){on_layer, net};
}

/* Whether what follows is the head's, for work.h. */
static void in_head(const exec *ex, bool now)
{
    if (ex->tally != NULL)
        ex->tally->in_head = now;
}

static double learn(network *net, exec *ex, arena *kept, const model_input *in, const targets *t,
                    float scale)
{
    const int64_t n = in->seq.tokens * net->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    bind_batch(net, ex, kept, in);
    float *dh = exec_take(ex, n, sizeof(float));
    const size_t forward = exec_mark(ex);
    float *h = exec_take(ex, n, sizeof(float));
    enter(net, ex, NETWORK_FORWARD);
    net->body->class->forward(net->body, ex, in, h);
    enter(net, ex, NETWORK_HEAD);
    in_head(ex, true);
    const double loss = net->head->class->learn(net->head, ex, in, h, t, scale, dh);
    in_head(ex, false);
    exec_release(ex, forward);
    enter(net, ex, NETWORK_BACKWARD);
    net->body->class->backward(net->body, ex, in, dh);
    exec_release(ex, mark);
    return loss;
}

static double predict(network *net, exec *ex, arena *kept, const model_input *in, const targets *t,
                      float *out)
{
    const size_t mark = exec_mark(ex);
    bind_batch(net, ex, kept, in);
    float *h = exec_take(ex, in->seq.tokens * net->cfg.hidden_size, sizeof(float));
    net->body->class->forward(net->body, ex, in, h);
    const double loss = net->head->class->predict(net->head, ex, in, h, t, out);
    exec_release(ex, mark);
    return loss;
}

double network_learn(network *net, const network_pass *pass, const model_input *in,
                     const targets *t, float scale)
{
    net->ex.training = true;
    net->ex.step = pass->step;
    net->ex.accumulate_grads = pass->accumulate;
    net->ex.listener = net->on_place == NULL ? NULL : &net->listener;
    const double loss = learn(net, &net->ex, &net->kept, in, t, scale);
    net->ex.listener = NULL;
    if (net->ex.watch != NULL)
        format_watch_gather(net->ex.watch);
    return loss;
}

double network_forward(network *net, const network_pass *pass, const model_input *in,
                       const targets *t, float *out)
{
    net->ex.training = true;
    net->ex.step = pass->step;
    return predict(net, &net->ex, &net->kept, in, t, out);
}

double network_predict(network *net, const model_input *in, const targets *t, float *out)
{
    net->ex.training = false;
    return predict(net, &net->ex, &net->kept, in, t, out);
}

int64_t network_outputs(const network *net, const model_input *in)
{
    return head_units(net->options.head, in) * net->options.head->width(&net->cfg);
}

int64_t network_max_outputs(const network *net)
{
    const network_limits *l = &net->options.limits;
    const model_input in = {.seq = {.count = l->eval_rows, .tokens = l->eval_tokens}};
    return network_outputs(net, &in);
}

void network_use_ranks(network *net, int64_t rank, int64_t first)
{
    net->ex.rank = rank;
    for (int64_t i = 0; i < net->params.count; i++) {
        param *p = net->params.items[i];
        p->first_rank = first;
        p->end_rank = p->ranks == PARAM_RANKS_NONE ? 0 : rank;
    }
}

void network_set_version(network *net, uint64_t version)
{
    net->ex.weight_version = version;
}

void network_weights_changed(network *net)
{
    net->ex.weight_version++;
}

mts_status network_check(mts_ctx *ctx, network *net)
{
    mts_status st = MTS_OK;
    MTS_CHECK(net->ex.anomaly[0] == '\0', MTS_ERR_NUMERIC, "%s", net->ex.anomaly);
    MTS_TRY(arena_check(ctx, &net->packed, "packed weights"));
    MTS_TRY(arena_check(ctx, &net->kept, "activations"));
    MTS_TRY(arena_check(ctx, &net->ex.scratch, "scratch"));
cleanup:
    net->ex.anomaly[0] = '\0';
    return st;
}

mts_status network_check_values(mts_ctx *ctx, network *net)
{
    const param_list *list = &net->params;
    for (int64_t i = 0; i < list->count && net->ex.anomaly[0] == '\0'; i++) {
        const param *p = list->items[i];
        if (p->storage == PARAM_IN_MEMORY) /* the others do not change */
            exec_check_finite(&net->ex, p->value, param_size(p), "the values", p->name);
    }
    return network_check(ctx, net);
}

/* ------------------------------------------------------------------------------- memory ------ */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Run a batch of this size dry; the peak of what it keeps goes into the plan where it is larger. */
static void measure_batch(network *net, exec *dry, bool training, int64_t rows, int64_t tokens,
                          network_plan *plan)
{
    const model_input in = {.seq = {rows, tokens, net->options.limits.max_length, NULL}};
    const targets none = {0};
    arena kept;
    arena_measure(&kept);
    dry->training = training;
    dry->weight_version++; /* weights are packed in this batch, too */
    dry->base_version++;
    if (training)
        (void)learn(net, dry, &kept, &in, &none, 1.0f);
    else
        (void)predict(net, dry, &kept, &in, &none, NULL);
    plan->activations = larger(plan->activations, kept.peak);
}

/* What the functions that bind and run the network take, by running them dry. */
static void measure(network *net, network_plan *plan)
{
    const network_limits *l = &net->options.limits;
    exec dry;
    arena packed;
    exec_dry(&dry, &net->ex);
    arena_measure(&packed);
    *plan = (network_plan){.parameters =
                               (size_t)param_list_memory_elements(&net->params) * sizeof(float)};
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        if (network_quantises(net, p))
            plan->parameters += stored_nf4_bytes(p->rows, p->cols);
        if (p->trained && net->options.model.adapter.rank > 0)
            plan->adapters += (size_t)param_size(p) * sizeof(float);
    }
    net->body->class->bind(net->body, &dry, &packed);
    net->head->class->bind(net->head, &dry, &packed);
    plan->packed_weights = packed.peak;
    if (l->eval_tokens > 0)
        measure_batch(net, &dry, false, l->eval_rows, l->eval_tokens, plan);
    if (l->cache_tokens > 0)
        plan->activations = larger(plan->activations, network_cache_measure(net, &dry));
    if (l->train_tokens > 0) {
        work_tally work = {.repeats = 1.0};
        dry.tally = &work;
        measure_batch(net, &dry, true, l->train_rows, l->train_tokens, plan);
        memcpy(plan->work, work.macs, sizeof plan->work);
        plan->gradients = (size_t)param_list_trained_elements(&net->params) * sizeof(float);
    }
    plan->scratch = dry.scratch.peak;
}

/* --------------------------------------------------------------------------------- life ------ */

/* Note which matrices a 4-bit base has in 4 bits: those of linear layers among the first of_model
 * parameters, which are those of the model.  A head's matrix serves small pieces of a batch: it
 * stays. */
static void mark_quantised(param_list *params, int64_t of_model)
{
    for (int64_t i = 0; i < of_model; i++) {
        param *p = params->items[i];
        p->quantised = p->part == PARAM_BODY && p->role == PARAM_WEIGHT;
    }
}

/* With an adapter the model's own parameters are as they are, and matrices need no memory; those
 * that a 4-bit base keeps are never streamed.  What a head has below its outputs is frozen, too,
 * and may not be in the file. */
static void freeze_body(param_list *params, param_storage storage)
{
    for (int64_t i = 0; i < params->count; i++) {
        param *p = params->items[i];
        if (p->part == PARAM_HEAD)
            param_freeze(p);
        if (p->part != PARAM_BODY)
            continue;
        param_freeze(p);
        if (!p->vector)
            p->storage = storage == PARAM_STREAMED && !p->quantised ? PARAM_STORED : storage;
    }
}

/* Whether it is one of the names that stand for all linear layers, which not each model has. */
static bool is_among_all(const model_class *class, const char *name)
{
    size_t n;
    if (class->all_linear == NULL)
        return false;
    for (const char *word = class->all_linear; (word = model_next_target(word, &n)) != NULL;
         word += n)
        if (strncmp(word, name, n) == 0 && name[n] == '\0')
            return true;
    return false;
}

/* Every target is the name of a linear layer that has an adapter now, or, as PEFT has it, of one
 * that is trained as a whole. */
static mts_status check_targets(mts_ctx *ctx, const param_list *params, const model_class *class,
                                const char *names)
{
    mts_status st = MTS_OK;
    size_t n;
    int64_t count = 0;
    if (params->status != MTS_OK || strcmp(names, "all-linear") == 0)
        return MTS_OK; /* that failure is told elsewhere */
    for (const char *word = names; (word = model_next_target(word, &n)) != NULL; word += n) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", n < 60 ? (int)n : 60, word);
        const bool met = model_target_is_met(params, word, n);
        count += met;
        const bool passed = model_target_is_saved(params, word, n) || is_among_all(class, name);
        MTS_CHECK(met || (passed && (count > 0 || word[n] != '\0')), MTS_ERR_ARGUMENT,
                  "target_modules: expected all-linear or ends of names of linear layers, found "
                  "\"%s\", which none ends in",
                  name);
    }
    MTS_CHECK(count > 0, MTS_ERR_ARGUMENT, "target_modules: expected names, found none");
cleanup:
    return st;
}

/* The model, the head and their parameters, without memory for numbers.  net->cfg is set. */
static mts_status make_parts(mts_ctx *ctx, network *net, const head_class *kind,
                             const model_options *options, param_storage frozen)
{
    mts_status st = MTS_OK;
    int64_t of_model;
    const model_class *class = model_class_of_config(&net->cfg);
    MTS_CHECK(class != NULL, MTS_ERR_UNSUPPORTED,
              "config.json: model_type: this architecture is not supported");
    MTS_CHECK(head_fits(kind, class), MTS_ERR_UNSUPPORTED,
              "config.json: a model of type \"%s\" has no head for %s here",
              model_config_type(&net->cfg), kind->name);
    MTS_CHECK(options->adapter.rank == 0 || class->adapts, MTS_ERR_UNSUPPORTED,
              "config.json: a model of type \"%s\" has no adapters here",
              model_config_type(&net->cfg));
    MTS_TRY(class->create(ctx, &net->cfg, options, &net->body));
    MTS_TRY(head_create(ctx, kind, class, &net->cfg, options, &net->head));
    class->declare(net->body, &net->params);
    of_model = net->params.count;
    kind->declare(net->head, &net->params);
    if (net->params.status == MTS_OK)
        mark_quantised(&net->params, of_model);
    if (options->adapter.rank > 0)
        freeze_body(&net->params, frozen);
    if (options->adapter.rank > 0)
        MTS_TRY(check_targets(ctx, &net->params, class, options->adapter.targets));
    net->body->words_shared = net->head->uses_words;
    MTS_CHECK(net->params.status == MTS_OK, net->params.status, "out of memory: parameters");
cleanup:
    return st;
}

/* The same, ready to be run. */
static mts_status prepare(mts_ctx *ctx, network *net, const network_options *o)
{
    mts_status st = MTS_OK;
    net->options = *o;
    net->ex = (exec){.family = o->family, .threads = o->threads, .seed = o->seed};
    arithmetic_select(&net->ex, &o->format);
    if (o->family == NULL)
        MTS_TRY(kernels_select(ctx, &net->ex.family));
    net->ex.fk = float_kernels_for(net->ex.family);
    net->ex.streams_weights = o->frozen == PARAM_STREAMED;
    MTS_TRY(make_parts(ctx, net, o->head, &o->model, o->frozen));
cleanup:
    return st;
}

mts_status network_declare(mts_ctx *ctx, const model_config *cfg, const head_class *kind,
                           param_list *params, const char **prefix)
{
    const network_options none = {.head = kind};
    return network_declare_for(ctx, cfg, &none, params, prefix);
}

mts_status network_declare_for(mts_ctx *ctx, const model_config *cfg,
                               const network_options *options, param_list *params,
                               const char **prefix)
{
    mts_status st = MTS_OK;
    network *net = NULL;
    MTS_TRY(mem_calloc(ctx, &net, 1, sizeof *net, "network"));
    net->cfg = *cfg; /* borrowed */
    MTS_TRY(make_parts(ctx, net, options->head, &options->model, options->frozen));
    *params = net->params;
    *prefix = net->body->class->prefix;
    net->params = (param_list){0};
cleanup:
    if (net != NULL)
        net->cfg = (model_config){0};
    network_destroy(net);
    return st;
}

bool network_quantises(const network *net, const param *p)
{
    return net->options.frozen_nf4 && p->quantised && p->storage != PARAM_IN_MEMORY;
}

mts_status network_plan_make(mts_ctx *ctx, const model_config *cfg, const network_options *options,
                             const char *dir, network_plan *plan)
{
    mts_status st = MTS_OK;
    network *net = NULL;
    MTS_TRY(mem_calloc(ctx, &net, 1, sizeof *net, "network"));
    net->cfg = *cfg; /* borrowed */
    MTS_TRY(prepare(ctx, net, options));
    measure(net, plan);
    if (dir != NULL)
        MTS_TRY(network_plan_files(ctx, net, dir, plan));
cleanup:
    if (net != NULL)
        net->cfg = (model_config){0};
    network_destroy(net);
    return st;
}

/* Layers get their parameters and memory, and register to be watched. */
static mts_status bind_parts(mts_ctx *ctx, network *net)
{
    mts_status st = MTS_OK;
    const network_options *o = &net->options;
    if (o->watch_formats)
        MTS_TRY(mem_calloc(ctx, &net->watch, 1, sizeof *net->watch, "network"));
    net->ex.watch = net->watch;
    net->body->class->bind(net->body, &net->ex, &net->packed);
    net->head->class->bind(net->head, &net->ex, &net->packed);
    net->ex.watch = NULL;
    if (o->watch_formats)
        MTS_TRY(format_watch_allocate(ctx, net->watch, o->limits.train_tokens));
cleanup:
    return st;
}

mts_status network_create(mts_ctx *ctx, model_config *cfg, const network_options *options,
                          network **out)
{
    mts_status st = MTS_OK;
    network *net = NULL;
    network_plan plan;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &net, 1, sizeof *net, "network"));
    net->cfg = *cfg; /* borrowed until all is well */
    MTS_TRY(prepare(ctx, net, options));
    measure(net, &plan);
    MTS_TRY(param_list_allocate(ctx, &net->params, options->limits.train_tokens > 0));
    MTS_TRY(arena_init(ctx, &net->packed, plan.packed_weights, "packed weights"));
    MTS_TRY(arena_init(ctx, &net->kept, plan.activations, "activations"));
    MTS_TRY(arena_init(ctx, &net->ex.scratch, plan.scratch, "scratch"));
    MTS_TRY(bind_parts(ctx, net));
    *cfg = (model_config){0};
    *out = net;
    net = NULL;
cleanup:
    if (net != NULL)
        net->cfg = (model_config){0};
    network_destroy(net);
    return st;
}

void network_destroy(network *net)
{
    if (net == NULL)
        return;
    if (net->body != NULL)
        net->body->class->destroy(net->body);
    head_destroy(net->head);
    param_list_deinit(&net->params);
    if (net->watch != NULL)
        format_watch_deinit(net->watch);
    mem_free(net->watch);
    arena_deinit(&net->packed);
    arena_deinit(&net->kept);
    attention_cache_deinit(&net->cache);
    arena_deinit(&net->ex.scratch);
    model_config_deinit(&net->cfg);
    mem_free(net);
}
