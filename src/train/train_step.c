/* One optimizer step.  See train.h. */
#include "train/train.h"

#include <math.h>
#include <string.h>

#include "network/network_formats.h"
#include "network/network_outliers.h"
#include "optim/clip.h"
#include "optim/schedule.h"
#include "train/class_weights.h"

/* Forward and backward of one batch; its mean loss. */
static mts_status micro_step(run *r, bool accumulate, float gradient_scale, double *loss)
{
    mts_status st = MTS_OK;
    const model_input in = run_input(r);
    const network_pass pass = {.accumulate = accumulate, .step = (uint64_t)r->state.micro_step};
    network_watch_outliers(r->net, strcmp(r->o->outlier_update, "step") == 0);
    *loss = network_learn(r->net, &pass, &in, &r->data.batch.targets, gradient_scale);
    network_watch_outliers(r->net, false);
    MTS_TRY(run_check_numeric(r, *loss));
    r->state.micro_step++;
cleanup:
    return st;
}

/* DyLoRA draws a rank for each step, the same for all layers and micro-batches [Valipour2023]; with
 * weights all are trained in each. */
static void draw_rank(run *r)
{
    const rng_key key =
        rng_make_key((uint64_t)r->o->seed, (uint64_t)r->state.global_step, 0, RNG_RANK);
    if (strcmp(r->o->method, "dylora") != 0 || r->rank_weights != NULL)
        return;
    const int64_t at = rng_draw(key, 0) % (uint32_t)r->ranks.count;
    const int64_t below = at == 0 ? 0 : r->ranks.rank[at - 1];
    network_use_ranks(r->net, r->ranks.rank[at],
                      strcmp(r->o->dylora_update, "last") == 0 ? below : 0);
}

/* What of a batch counts for the loss of a step: its tokens with a target, where tokens are
 * predicted; its rows by the weights of their classes, where these have any; else every batch
 * alike. */
static double weight_of_batch(const run *r, int64_t index)
{
    const encoded_dataset *e = &r->data.train;
    int64_t n, weight = 0;
    const int64_t *rows = sampler_batch(&r->data.sampler, index, &n);
    if (r->class_weights != NULL)
        return class_weights_sum(r->class_weights, e, rows, n);
    if (e->targets.kind != TARGET_NEXT && e->targets.kind != TARGET_TAGS)
        return 1;
    for (int64_t i = 0; i < n; i++)
        for (int64_t t = e->offsets[rows[i]]; t < e->offsets[rows[i] + 1]; t++)
            weight += e->targets.index[t] != TARGET_IGNORED;
    return (double)weight;
}

mts_status train_step(run *r, step_result *result)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    network *net = r->net;
    const int64_t in_epoch = r->state.global_step % r->steps.per_epoch;
    const int64_t first = in_epoch * o->gradient_accumulation_steps;
    const int64_t left = r->steps.batches_per_epoch - first;
    const int64_t count =
        left < o->gradient_accumulation_steps ? left : o->gradient_accumulation_steps;
    double all = 0; /* of the batches' weights */
    clip_result clip;
    *result = (step_result){0};
    if (in_epoch == 0 || r->data.sampler_stale)
        sampler_set_epoch(&r->data.sampler, r->state.global_step / r->steps.per_epoch);
    r->data.sampler_stale = false;
    draw_rank(r);
    network_watch_formats(net, run_logs_step(r, r->state.global_step + 1));
    for (int64_t i = 0; i < count; i++)
        all += weight_of_batch(r, first + i);
    for (int64_t i = 0; i < count; i++) {
        int64_t n;
        double loss;
        const double weight = weight_of_batch(r, first + i);
        const int64_t *rows = sampler_batch(&r->data.sampler, first + i, &n);
        batch_fill(&r->data.batch, &r->data.train, rows, n);
        r->within.batch = i;
        r->within.batches = count;
        MTS_TRY(micro_step(r, i > 0, (float)weight / (float)all, &loss));
        result->loss += loss * weight / all;
        result->tokens += r->data.batch.total_tokens;
    }
    clip =
        clip_gradients(&net->ex, net->params.trained, net->params.trained_count, o->max_grad_norm);
    MTS_CHECK(
        isfinite(clip.norm), MTS_ERR_NUMERIC, "step %lld: NaN or infinity in the gradient of %s",
        (long long)r->state.global_step + 1, clip.bad_param == NULL ? "the model" : clip.bad_param);
    result->grad_norm = clip.norm;
    result->learning_rate = o->learning_rate * schedule_factor(&r->schedule, r->state.global_step);
    optimizer_step(&net->ex, r->opt, net->params.trained, net->params.trained_count,
                   result->learning_rate, clip.factor);
    network_use_ranks(net, 0, 0);
    network_weights_changed(net);
    if (strcmp(o->outlier_update, "step") == 0) {
        network_find_outliers(net);
        network_forget_watched(net);
    }
    MTS_TRY(run_check_numeric(r, result->loss)); /* what the optimizer met */
    r->state.global_step++;
cleanup:
    network_watch_formats(net, false);
    return st;
}
