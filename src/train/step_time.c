/* How long a step will take.  See step_time.h. */
#include "train/step_time.h"

#include "base/clock.h"
#include "base/rng.h"
#include "network/network_io.h"
#include "network/network_outliers.h"
#include "train/run_network.h"

enum { REPEATS = 3 }; /* of which the fastest counts */

/* A batch of equal rows of random tokens, with targets that are all 0. */
typedef struct random_batch {
    int32_t *ids, *type_ids, *positions;
    int64_t *offsets;
    targets targets;
    model_input in;
} random_batch;

static void random_batch_deinit(random_batch *b)
{
    mem_free(b->ids);
    mem_free(b->type_ids);
    mem_free(b->positions);
    mem_free(b->offsets);
    targets_deinit(&b->targets);
}

static mts_status random_batch_init(mts_ctx *ctx, const run_shape *shape, random_batch *b)
{
    mts_status st = MTS_OK;
    const int64_t rows = shape->limits.train_rows, length = shape->limits.max_length;
    const int64_t tokens = rows * length;
    const rng_key key = rng_make_key(1, 0, 0, RNG_SHUFFLE);
    MTS_TRY(mem_calloc(ctx, &b->ids, (size_t)tokens, sizeof *b->ids, "tokens"));
    MTS_TRY(mem_calloc(ctx, &b->type_ids, (size_t)tokens, sizeof *b->type_ids, "tokens"));
    MTS_TRY(mem_calloc(ctx, &b->positions, (size_t)tokens, sizeof *b->positions, "tokens"));
    MTS_TRY(mem_calloc(ctx, &b->offsets, (size_t)rows + 1, sizeof *b->offsets, "rows"));
    for (int64_t t = 0; t < tokens; t++) {
        b->ids[t] = (int32_t)(rng_draw(key, (uint32_t)t) % (uint32_t)shape->cfg->vocab_size);
        b->positions[t] = (int32_t)(t % length);
    }
    for (int64_t i = 0; i <= rows; i++)
        b->offsets[i] = i * length;
    MTS_TRY(
        targets_init(ctx, &b->targets, shape->head->target, shape->cfg->num_labels, rows, tokens));
    b->in =
        (model_input){{rows, tokens, length, b->offsets}, b->ids, b->type_ids, b->positions, NULL};
cleanup:
    return st;
}

/* *seconds: of forward and backward with the model's first layers, the fastest of some. */
static mts_status time_layers(mts_ctx *ctx, const run_shape *shape, const peft_config *adapter,
                              const random_batch *b, int64_t layers, double *seconds)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    network *net = NULL;
    network_options wanted;
    network_load_report report;
    MTS_TRY(model_load_config(ctx, shape->dir, &cfg));
    cfg.num_hidden_layers = layers;
    wanted = run_network_options(shape->o, &cfg, shape->head, adapter, true);
    wanted.limits = shape->limits;
    wanted.limits.eval_rows = wanted.limits.eval_tokens = 0;
    MTS_TRY(network_create(ctx, &cfg, &wanted, &net));
    MTS_TRY(network_load(ctx, net, shape->dir, HEAD_IF_THERE, &report));
    network_watch_outliers(net, true);
    network_learn(net, &(network_pass){0}, &b->in, &b->targets, 1.0f);
    network_find_outliers(net);
    network_watch_outliers(net, false);
    network_learn(net, &(network_pass){0}, &b->in, &b->targets, 1.0f); /* packs anew */
    for (int i = 0; i < REPEATS; i++) {
        const double from = clock_seconds();
        network_learn(net, &(network_pass){0}, &b->in, &b->targets, 1.0f);
        const double spent = clock_seconds() - from;
        *seconds = i == 0 || spent < *seconds ? spent : *seconds;
    }
    MTS_TRY(network_check(ctx, net));
cleanup:
    network_destroy(net);
    model_config_deinit(&cfg);
    return st;
}

mts_status step_time_measure(mts_ctx *ctx, const run_shape *shape, double *seconds)
{
    mts_status st = MTS_OK;
    peft_config adapter = {0};
    random_batch batch = {0};
    const int64_t layers = shape->cfg->num_hidden_layers;
    double one = 0, two = 0;
    MTS_TRY(run_adapter_config(ctx, shape->o, true, &adapter));
    MTS_TRY(random_batch_init(ctx, shape, &batch));
    MTS_TRY(time_layers(ctx, shape, &adapter, &batch, 1, &one));
    if (layers > 1)
        MTS_TRY(time_layers(ctx, shape, &adapter, &batch, 2, &two));
    *seconds = one + (layers > 1 && two > one ? (double)(layers - 1) * (two - one) : 0.0);
    *seconds *= (double)shape->o->gradient_accumulation_steps;
cleanup:
    random_batch_deinit(&batch);
    peft_config_deinit(&adapter);
    return st;
}
