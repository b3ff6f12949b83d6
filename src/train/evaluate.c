/* Forward passes over evaluation and test sets.  See evaluate.h. */
#include "train/evaluate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json_util.h"

/* What one pass over a set in evaluation mode gives. */
typedef struct set_result {
    double loss;  /* mean of the rows, if they have targets */
    double steps; /* batches */
} set_result;

/* Run every batch of rows through the network; the outputs go to scores. */
static mts_status score_rows(run *r, const encoded_dataset *rows, const char *phase,
                             task_scores *scores, set_result *result)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    int64_t count = 0;
    sampler_deinit(&r->data.eval_sampler);
    MTS_TRY(sampler_init(ctx, &r->data.eval_sampler, rows, SAMPLER_SEQUENTIAL,
                         r->o->per_device_eval_batch_size, 0));
    count = sampler_batch_count(&r->data.eval_sampler);
    *result = (set_result){.steps = (double)count};
    for (int64_t i = 0; i < count; i++) {
        int64_t n;
        const int64_t *index = sampler_batch(&r->data.eval_sampler, i, &n);
        batch_fill(&r->data.batch, rows, index, n);
        const model_input in = run_input(r);
        const targets *t = r->data.batch.has_targets ? &r->data.batch.targets : NULL;
        const double loss = network_predict(r->net, &in, t, r->outputs);
        result->loss += loss * (double)n;
        MTS_TRY(run_check_numeric(r, loss));
        MTS_TRY(scores->class->scores_add(ctx, scores, &r->data.batch, index, r->outputs));
        const mts_event event = {
            .kind = MTS_EVENT_PROGRESS, .text = phase, .done = i + 1, .total = count};
        MTS_CHECK(run_emit(r, &event), MTS_ERR_INTERRUPTED, "%s was interrupted", phase);
    }
    result->loss /= (double)rows->n;
cleanup:
    return st;
}

/* Seconds, rows and batches of them. */
static mts_status put_speed(const run *r, const encoded_dataset *rows, const char *suffix,
                            double steps, double seconds, json_t *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char key[EVALUATE_KEY_BYTES];
    const double time = fmax(seconds, 1e-9); /* coarse clocks */
    snprintf(key, sizeof key, "eval_runtime%s", suffix);
    MTS_TRY(task_put_number(ctx, out, key, seconds));
    snprintf(key, sizeof key, "eval_samples_per_second%s", suffix);
    MTS_TRY(task_put_number(ctx, out, key, (double)rows->n / time));
    snprintf(key, sizeof key, "eval_steps_per_second%s", suffix);
    MTS_TRY(task_put_number(ctx, out, key, steps / time));
cleanup:
    return st;
}

static mts_status evaluate_set(run *r, int64_t set, json_t *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const encoded_dataset *rows = &r->data.eval[set];
    const task_class *class = r->task->class;
    const char *suffix = class->suffix(r->task, set);
    const double start = clock_seconds();
    task_scores *scores = NULL;
    set_result result;
    char key[EVALUATE_KEY_BYTES];
    MTS_TRY(class->scores_begin(ctx, r->task, TASK_EVAL, set, rows, &scores));
    MTS_TRY(score_rows(r, rows, "evaluating", scores, &result));
    snprintf(key, sizeof key, "eval_loss%s", suffix);
    if (rows->targets.kind != TARGET_NONE)
        MTS_TRY(task_put_number(ctx, out, key, result.loss));
    MTS_TRY(class->scores_finish(ctx, scores, r->o->output_dir, out));
    snprintf(key, sizeof key, "eval_samples%s", suffix);
    MTS_TRY(json_util_set(ctx, out, key, json_integer(rows->n)));
    MTS_TRY(put_speed(r, rows, suffix, result.steps, clock_seconds() - start, out));
cleanup:
    class->scores_close(scores);
    return st;
}

/* -------------------------------------------------------------------------- best metric ---- */

/* all[n]: the metrics of a set, its loss among them; returns n. */
static int64_t list_metrics(const run *r, int64_t set, task_metric all[TASK_METRICS_MAX + 1])
{
    int64_t n = 0;
    if (r->data.eval[set].targets.kind != TARGET_NONE) {
        snprintf(all[0].name, sizeof all[0].name, "loss%s", r->task->class->suffix(r->task, set));
        all[0].greater_is_better = false;
        n++;
    }
    return n + r->task->class->metrics(r->task, set, all + n);
}

/* *found: the metric of this name, with or without "eval_", of any set. */
static bool find_metric(const run *r, const char *name, task_metric *found)
{
    task_metric all[TASK_METRICS_MAX + 1];
    if (strncmp(name, "eval_", 5) == 0)
        name += 5;
    for (int64_t set = 0; set < r->data.eval_sets; set++) {
        const int64_t n = list_metrics(r, set, all);
        for (int64_t i = 0; i < n; i++) {
            *found = all[i];
            if (strcmp(all[i].name, name) == 0)
                return true;
        }
    }
    return false;
}

bool evaluate_greater_is_better(const run *r, const char *key)
{
    task_metric metric;
    return find_metric(r, key, &metric) && metric.greater_is_better;
}

void evaluate_best_key(const run *r, char key[EVALUATE_KEY_BYTES])
{
    const char *wanted = r->o->metric_for_best_model == NULL ? "loss" : r->o->metric_for_best_model;
    snprintf(key, EVALUATE_KEY_BYTES, "%s%s", strncmp(wanted, "eval_", 5) == 0 ? "" : "eval_",
             wanted);
}

enum { METRIC_NAMES_BYTES = 800 };

/* The names of the metrics of all sets, for an error text. */
static void name_metrics(const run *r, char names[METRIC_NAMES_BYTES])
{
    task_metric all[TASK_METRICS_MAX + 1];
    size_t used = 0;
    names[0] = '\0';
    for (int64_t set = 0; set < r->data.eval_sets; set++) {
        const int64_t n = list_metrics(r, set, all);
        for (int64_t i = 0; i < n && used + sizeof all[i].name + 2 < METRIC_NAMES_BYTES; i++)
            used += (size_t)snprintf(names + used, METRIC_NAMES_BYTES - used, "%s%s",
                                     used == 0 ? "" : ", ", all[i].name);
    }
}

mts_status evaluate_check_best(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *wanted = r->o->metric_for_best_model;
    char names[METRIC_NAMES_BYTES];
    task_metric metric;
    if (wanted == NULL || r->data.eval_sets == 0)
        return MTS_OK;
    name_metrics(r, names);
    MTS_CHECK(find_metric(r, wanted, &metric), MTS_ERR_ARGUMENT,
              "option --metric_for_best_model: the evaluation has no %s, expected one of %s",
              wanted, names);
cleanup:
    return st;
}

/* ----------------------------------------------------------------------------- all sets ---- */

mts_status evaluate_sets(run *r, json_t **results)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *text = NULL;
    *results = json_object();
    MTS_CHECK(*results != NULL, MTS_ERR_MEMORY, "out of memory: metrics");
    for (int64_t i = 0; i < r->data.eval_sets; i++)
        MTS_TRY(evaluate_set(r, i, *results));
    MTS_TRY(json_util_dump(ctx, *results, 0, false, &text));
    run_emit(r, &(mts_event){.kind = MTS_EVENT_METRICS, .text = text});
cleanup:
    mem_free(text);
    if (st != MTS_OK) {
        json_decref(*results);
        *results = NULL;
    }
    return st;
}

static mts_status predict_set(run *r, int64_t set)
{
    mts_status st = MTS_OK;
    const task_class *class = r->task->class;
    task_scores *scores = NULL;
    set_result result;
    MTS_TRY(class->scores_begin(r->ctx, r->task, TASK_TEST, set, &r->data.test[set], &scores));
    MTS_TRY(score_rows(r, &r->data.test[set], "predicting", scores, &result));
    MTS_TRY(class->scores_finish(r->ctx, scores, r->o->output_dir, NULL));
cleanup:
    class->scores_close(scores);
    return st;
}

mts_status evaluate_predict(run *r)
{
    mts_status st = MTS_OK;
    for (int64_t i = 0; i < r->data.test_sets; i++)
        MTS_TRY(predict_set(r, i));
cleanup:
    return st;
}
