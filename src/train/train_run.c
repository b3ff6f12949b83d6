/* The training loop: steps, log lines, evaluation, checkpoints, results.  See train.h. */
#include "train/train.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json_util.h"
#include "network/network_formats.h"
#include "network/network_io.h"
#include "train/checkpoint.h"
#include "train/checkpoint_folder.h"
#include "train/disk_space.h"
#include "train/eval_ranks.h"
#include "train/evaluate.h"
#include "train/outlier_lists.h"
#include "train/results.h"
#include "train/train_log.h"
#include "train/train_state.h"
#include "train/within_step.h"

/* Speed over the last steps: exponential average of seconds and tokens of a step. */
typedef struct pace {
    double seconds, tokens;
} pace;

static void pace_add(pace *p, double seconds, double tokens)
{
    const double keep = p->seconds == 0.0 ? 0.0 : 0.95;
    p->seconds = keep * p->seconds + (1.0 - keep) * fmax(seconds, 1e-9); /* coarse clocks */
    p->tokens = keep * p->tokens + (1.0 - keep) * tokens;
}

static bool is(const char *text, const char *expected)
{
    return strcmp(text, expected) == 0;
}

/* Whether a thing with this strategy is due after the present step.  As in transformers it is after
 * the last one in any case: that may be the best model, and a later run may go on from it. */
static bool is_due(const run *r, const char *strategy, int64_t every)
{
    const int64_t step = r->state.global_step;
    if (is(strategy, "no"))
        return false;
    return step % (is(strategy, "epoch") ? r->steps.per_epoch : every) == 0 ||
           step == r->steps.total;
}

static bool is_save_due(const run *r)
{
    return is_due(r, r->o->save_strategy, r->steps.save);
}

/* Remember the best evaluation; its checkpoint is the one this step writes.  Where the best model
 * is to be loaded at the end, those without a checkpoint cannot be it. */
static mts_status note_best(run *r, const json_t *results)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    train_state *s = &r->state;
    char key[EVALUATE_KEY_BYTES];
    evaluate_best_key(r, key);
    const json_t *value = json_object_get(results, key);
    const bool saved = is_save_due(r);
    double now = NAN;
    bool better = false;
    MTS_CHECK(value != NULL, MTS_ERR_ARGUMENT,
              "option --metric_for_best_model: the evaluation has no %s", key);
    now = json_is_number(value) ? json_number_value(value) : NAN;
    early_stopping_note(r, now, evaluate_greater_is_better(r, key));
    better = evaluate_greater_is_better(r, key) ? now > s->best_metric : now < s->best_metric;
    if (isnan(now) || (s->has_best && !better) || (r->o->load_best_model_at_end && !saved))
        return MTS_OK;
    s->has_best = true;
    s->best_metric = now;
    s->best_step = s->global_step;
    mem_free(s->best_checkpoint);
    s->best_checkpoint = NULL;
    if (!saved)
        return MTS_OK;
    MTS_TRY(checkpoint_folder_path(ctx, &s->best_checkpoint, r->o->output_dir, s->global_step));
cleanup:
    return st;
}

/* How the numbers of the step were mapped: in the metrics file only, for readers of log_history
 * expect numbers and texts. */
static mts_status log_formats(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *line = json_object(), *formats = NULL;
    MTS_CHECK(line != NULL, MTS_ERR_MEMORY, "out of memory: training log");
    MTS_TRY(network_describe_formats(ctx, r->net, &formats));
    MTS_TRY(json_util_set(ctx, line, "formats", json_incref(formats)));
    MTS_TRY(train_log_show(r, line));
cleanup:
    json_decref(formats);
    json_decref(line);
    return st;
}

static mts_status log_step(run *r, const step_result *step, const pace *speed)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *line = json_object();
    MTS_CHECK(line != NULL, MTS_ERR_MEMORY, "out of memory: training log");
    MTS_TRY(json_util_set(ctx, line, "loss",
                          json_real(r->state.loss_sum / (double)r->state.loss_count)));
    MTS_TRY(json_util_set(ctx, line, "grad_norm", json_real(step->grad_norm)));
    MTS_TRY(json_util_set(ctx, line, "learning_rate", json_real(step->learning_rate)));
    MTS_TRY(json_util_set(ctx, line, "tokens_per_second",
                          json_real(round(speed->tokens / speed->seconds))));
    r->state.loss_sum = 0.0;
    r->state.loss_count = 0;
    MTS_TRY(train_log_add(r, line));
    if (r->o->log_formats)
        MTS_TRY(log_formats(r));
cleanup:
    json_decref(line);
    return st;
}

static mts_status evaluate_and_log(run *r)
{
    mts_status st = MTS_OK;
    json_t *results = NULL;
    MTS_TRY(evaluate_sets(r, &results));
    MTS_TRY(note_best(r, results));
    MTS_TRY(train_log_add(r, results));
cleanup:
    json_decref(results);
    return st;
}

/* Evaluate; once the caller wants to stop, leave it to the resumed run. */
static mts_status evaluate_or_defer(run *r)
{
    mts_status st = MTS_OK;
    r->state.evaluation_due = true;
    if (r->stop)
        return MTS_OK;
    st = evaluate_and_log(r);
    if (st == MTS_OK)
        r->state.evaluation_due = false;
    return st == MTS_ERR_INTERRUPTED ? MTS_OK : st;
}

/* Of the last step the model itself is still to be written, and may be where the larger checkpoint
 * is not: the failure is told, and the run goes on. */
static mts_status save_checkpoint(run *r)
{
    train_state *s = &r->state;
    const mts_status st = checkpoint_save(r);
    if (st == MTS_OK || st == MTS_ERR_NUMERIC || r->stop || s->global_step < r->steps.total)
        return st;
    if (s->best_checkpoint != NULL && s->best_step == s->global_step) {
        mem_free(s->best_checkpoint); /* the best model is the one at hand */
        s->best_checkpoint = NULL;
    }
    return run_note_failure(r, st, "no checkpoint of the last step");
}

/* What follows an optimizer step. */
static mts_status after_step(run *r, const step_result *step, const pace *speed)
{
    mts_status st = MTS_OK;
    const mts_options *o = r->o;
    r->state.loss_sum += step->loss;
    r->state.loss_count++;
    r->state.total_loss += step->loss;
    const mts_event event = {
        .kind = MTS_EVENT_STEP,
        .done = r->state.global_step,
        .total = r->steps.total,
        .epoch = run_epoch(r),
        .loss = step->loss,
        .learning_rate = step->learning_rate,
        .grad_norm = step->grad_norm,
        .tokens_per_second = speed->tokens / speed->seconds,
        .seconds_left = speed->seconds * (double)(r->steps.total - r->state.global_step),
    };
    run_emit(r, &event);
    if (run_logs_step(r, r->state.global_step))
        MTS_TRY(log_step(r, step, speed));
    if (r->data.eval_sets > 0 && is_due(r, o->eval_strategy, r->steps.eval))
        MTS_TRY(evaluate_or_defer(r));
    if (r->stop || is_save_due(r))
        MTS_TRY(save_checkpoint(r));
cleanup:
    return st;
}

static mts_status train_loop(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    pace speed = {0};
    const int64_t begin = r->state.global_step;
    r->data.sampler_stale = true;
    network_listen(r->net, within_step_tell, r);
    if (r->state.evaluation_due && r->data.eval_sets > 0)
        MTS_TRY(evaluate_or_defer(r));
    while (r->state.global_step < r->steps.total && !r->stop && !early_stopping_due(r)) {
        const double start = clock_seconds();
        step_result step;
        r->within.start = start;
        r->within.seconds = speed.seconds;
        MTS_TRY(train_step(r, &step));
        pace_add(&speed, clock_seconds() - start, (double)step.tokens);
        MTS_TRY(after_step(r, &step, &speed));
    }
    if (early_stopping_due(r))
        run_note(r, "stopped after step %lld: %lld evaluations without a better value",
                 (long long)r->state.global_step, (long long)r->state.stopping.count);
    MTS_CHECK(!r->stop || r->state.global_step > begin, MTS_ERR_INTERRUPTED,
              "interrupted before the first step: nothing was trained yet, and no checkpoint "
              "written: to begin, give the same command again");
    MTS_CHECK(!r->stop, MTS_ERR_INTERRUPTED,
              "interrupted after step %lld of %lld; a checkpoint was written: to go on, give the "
              "same command and --resume_from_checkpoint last",
              (long long)r->state.global_step, (long long)r->steps.total);
cleanup:
    return st;
}

/* The weights of the best checkpoint, if that is wanted, and its lists of outliers. */
static mts_status load_best(run *r)
{
    mts_status st = MTS_OK;
    network_load_report report;
    if (r->o->load_best_model_at_end && r->state.best_checkpoint == NULL)
        run_note(r, "no checkpoint was written at an evaluation: the model is the last one, not "
                    "the best; give --save_steps that --eval_steps divides");
    if (!r->o->load_best_model_at_end || r->state.best_checkpoint == NULL)
        return MTS_OK;
    if (r->adapter.rank > 0)
        MTS_TRY(network_load_adapter(r->ctx, r->net, r->state.best_checkpoint, HEAD_NEEDED, NULL));
    else
        MTS_TRY(network_load(r->ctx, r->net, r->state.best_checkpoint, HEAD_NEEDED, &report));
    MTS_TRY(outlier_lists_load(r->ctx, r->net, r->state.best_checkpoint));
    run_note(r, "loaded the best model, %s", r->state.best_checkpoint);
cleanup:
    return st;
}

/* *out: train_results.json, of so many seconds since first_step. */
static mts_status make_train_results(const run *r, int64_t first_step, double seconds, json_t **out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    json_t *values = json_object();
    const double all = (double)(r->state.global_step > 0 ? r->state.global_step : 1);
    const double steps = (double)(r->state.global_step - first_step);
    const double samples = steps / (double)r->steps.per_epoch * (double)r->data.train.n;
    const double time = fmax(seconds, 1e-9); /* coarse clocks */
    MTS_CHECK(values != NULL, MTS_ERR_MEMORY, "out of memory: train_results.json");
    MTS_TRY(json_util_set(ctx, values, "epoch", json_real(run_epoch(r))));
    MTS_TRY(json_util_set(ctx, values, "total_flos", json_real(0.0))); /* not counted */
    MTS_TRY(json_util_set(ctx, values, "train_loss", json_real(r->state.total_loss / all)));
    MTS_TRY(json_util_set(ctx, values, "train_runtime", json_real(seconds)));
    MTS_TRY(json_util_set(ctx, values, "train_samples", json_integer(r->data.train.n)));
    MTS_TRY(json_util_set(ctx, values, "train_samples_per_second", json_real(samples / time)));
    MTS_TRY(json_util_set(ctx, values, "train_steps", json_integer(r->state.global_step)));
    MTS_TRY(json_util_set(ctx, values, "train_steps_per_second", json_real(steps / time)));
    *out = json_incref(values);
cleanup:
    json_decref(values);
    return st;
}

static mts_status run_training(run *r)
{
    mts_status st = MTS_OK;
    const double start = clock_seconds();
    const int64_t first_step = r->state.global_step;
    json_t *values = NULL;
    MTS_TRY(disk_space_check(r));
    MTS_TRY(checkpoint_begin(r));
    MTS_TRY(train_log_open(r));
    MTS_TRY(train_loop(r));
    MTS_TRY(load_best(r));
    MTS_TRY(make_train_results(r, first_step, clock_seconds() - start, &values));
    MTS_TRY(train_log_add(r, values));
    MTS_TRY(results_save_model(r));
    MTS_TRY(results_save(r->ctx, r->o->output_dir, "train", values));
cleanup:
    json_decref(values);
    return st;
}

/* The final model's evaluation; after training it belongs to the log. */
static mts_status final_evaluation(run *r, json_t **results)
{
    mts_status st = MTS_OK;
    MTS_TRY(evaluate_sets(r, results));
    if (r->training) {
        MTS_TRY(json_util_set(r->ctx, *results, "epoch", json_real(run_epoch(r))));
        MTS_TRY(train_log_add(r, *results));
        MTS_TRY(train_state_save(r, r->o->output_dir));
    }
    MTS_TRY(results_save(r->ctx, r->o->output_dir, "eval", *results));
cleanup:
    return st;
}

mts_status train_run(mts_ctx *ctx, const mts_options *o, const mts_callbacks *callbacks,
                     bool evaluate, json_t **results)
{
    mts_status st = MTS_OK;
    run r = {0};
    const bool during = o->do_train && !is(o->eval_strategy, "no");
    const run_purpose purpose = {o->do_train, evaluate || during, o->do_predict};
    *results = NULL;
    MTS_TRY(file_make_dirs(ctx, o->output_dir));
    MTS_TRY(run_prepare(&r, ctx, o, callbacks, purpose));
    if (o->do_train)
        MTS_TRY(run_training(&r));
    if (evaluate)
        MTS_TRY(final_evaluation(&r, results));
    if (o->do_predict)
        MTS_TRY(evaluate_predict(&r));
cleanup:
    if (st != MTS_OK) {
        json_decref(*results);
        *results = NULL;
    }
    run_deinit(&r);
    return st;
}

mts_status eval_run(mts_ctx *ctx, const mts_options *o, const mts_callbacks *callbacks,
                    json_t **results)
{
    mts_status st = MTS_OK;
    run r = {0};
    *results = NULL;
    MTS_TRY(run_prepare(&r, ctx, o, callbacks, (run_purpose){.evaluate = true}));
    if (o->ranks != NULL)
        MTS_TRY(eval_ranks(&r, results));
    else
        MTS_TRY(eval_once(&r, results));
    if (o->output_dir != NULL)
        MTS_TRY(results_save(ctx, o->output_dir, "eval", *results));
cleanup:
    if (st != MTS_OK) {
        json_decref(*results);
        *results = NULL;
    }
    run_deinit(&r);
    return st;
}
