/* Forward passes over evaluation and test sets.  See run.h. */
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "layers/loss.h"

bert_input run_input(const run *r)
{
    const batch *b = &r->batch;
    return (bert_input){
        .seq = {.count = b->n,
                .tokens = b->total_tokens,
                .max_length = b->max_len,
                .offset = b->offsets},
        .ids = b->ids,
        .type_ids = b->type_ids,
        .positions = b->positions,
    };
}

void run_forward(run *r)
{
    const bert_input in = run_input(r);
    bert_forward(r->model, &in, r->logits);
}

mts_status run_check_numeric(run *r, double loss)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const exec *ex = &r->model->ex;
    MTS_CHECK(ex->anomaly[0] == '\0', MTS_ERR_NUMERIC, "step %lld: %s",
              (long long)r->state.global_step + 1, ex->anomaly);
    MTS_CHECK(isfinite(loss), MTS_ERR_NUMERIC, "step %lld: the loss is %f",
              (long long)r->state.global_step + 1, loss);
    MTS_TRY(bert_check_memory(ctx, r->model));
cleanup:
    return st;
}

mts_status run_check_weights(run *r, const char *where)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    exec *ex = &r->model->ex;
    const param_table *t = &r->model->params;
    for (int64_t i = 0; i < t->count && ex->anomaly[0] == '\0'; i++) {
        const param *p = &t->items[i];
        exec_check_finite(ex, p->value, p->rows * p->cols, "the values", p->name);
    }
    MTS_CHECK(ex->anomaly[0] == '\0', MTS_ERR_NUMERIC, "%s: %s", where, ex->anomaly);
cleanup:
    return st;
}

/* Called after each batch with its logits. */
typedef mts_status batch_fn(run *r, void *user);

/* Run every batch of rows through the model in evaluation mode. */
static mts_status for_each_batch(run *r, const encoded_dataset *rows, const char *phase,
                                 batch_fn *fn, void *user)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const bool was_training = r->model->ex.training;
    int64_t count = 0;
    sampler_deinit(&r->eval_sampler);
    MTS_TRY(sampler_init(ctx, &r->eval_sampler, rows, SAMPLER_SEQUENTIAL,
                         r->o->per_device_eval_batch_size, 0));
    count = sampler_batch_count(&r->eval_sampler);
    r->model->ex.training = false;
    for (int64_t i = 0; i < count; i++) {
        int64_t n;
        const int64_t *index = sampler_batch(&r->eval_sampler, i, &n);
        batch_fill(&r->batch, rows, index, n);
        run_forward(r);
        MTS_TRY(fn(r, user));
        const mts_event event = {
            .kind = MTS_EVENT_PROGRESS, .text = phase, .done = i + 1, .total = count};
        MTS_CHECK(run_emit(r, &event), MTS_ERR_INTERRUPTED, "%s was interrupted", phase);
    }
cleanup:
    r->model->ex.training = was_training;
    return st;
}

typedef struct eval_sums {
    metrics metrics;
    double loss;
    int64_t rows;
} eval_sums;

static mts_status add_batch(run *r, void *user)
{
    eval_sums *sums = user;
    const batch *b = &r->batch;
    const double loss =
        r->task.regression
            ? loss_squared_error(&r->model->ex, NULL, r->logits, b->labels, b->n, 1.0f)
            : loss_cross_entropy(&r->model->ex, NULL, r->logits, b->labels, b->n,
                                 r->task.num_labels, 1.0f);
    sums->loss += loss * (double)b->n;
    sums->rows += b->n;
    metrics_add(&sums->metrics, r->logits, b->labels, b->n);
    return run_check_numeric(r, loss);
}

static mts_status put_number(mts_ctx *ctx, json_t *object, const char *key, double value)
{
    return json_util_set(ctx, object, key, isfinite(value) ? json_real(value) : json_null());
}

/* Seconds, rows and batches of them. */
static mts_status put_speed(const run *r, const encoded_dataset *rows, const char *suffix,
                            double seconds, json_t *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char key[METRIC_KEY_BYTES];
    const double time = fmax(seconds, 1e-9); /* coarse clocks */
    snprintf(key, sizeof key, "eval_runtime%s", suffix);
    MTS_TRY(put_number(ctx, out, key, seconds));
    snprintf(key, sizeof key, "eval_samples_per_second%s", suffix);
    MTS_TRY(put_number(ctx, out, key, (double)rows->n / time));
    snprintf(key, sizeof key, "eval_steps_per_second%s", suffix);
    MTS_TRY(put_number(ctx, out, key, (double)sampler_batch_count(&r->eval_sampler) / time));
cleanup:
    return st;
}

static mts_status evaluate_set(run *r, int64_t set, json_t *out)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const encoded_dataset *rows = &r->eval[set];
    const char *suffix = task_set_suffix(&r->task, set);
    const double start = run_clock();
    eval_sums sums = {0};
    metric_list list;
    char key[METRIC_KEY_BYTES];
    MTS_TRY(metrics_init(ctx, &sums.metrics, r->task.metric, r->task.num_labels,
                         r->task.positive_label, rows->n));
    MTS_TRY(for_each_batch(r, rows, "evaluating", add_batch, &sums));
    MTS_TRY(metrics_result(ctx, &sums.metrics, suffix, &list));
    snprintf(key, sizeof key, "eval_loss%s", suffix);
    MTS_TRY(put_number(ctx, out, key, sums.loss / (double)sums.rows));
    for (int64_t i = 0; i < list.n; i++)
        MTS_TRY(put_number(ctx, out, list.items[i].key, list.items[i].value));
    snprintf(key, sizeof key, "eval_samples%s", suffix);
    MTS_TRY(json_util_set(ctx, out, key, json_integer(rows->n)));
    MTS_TRY(put_speed(r, rows, suffix, run_clock() - start, out));
cleanup:
    metrics_deinit(&sums.metrics);
    return st;
}

enum { METRIC_NAMES_BYTES = 512 };

/* Append the names of the metrics of a set to names, and look for `key` among them: the keys of a
 * single row are those of all. */
static mts_status list_metrics(run *r, int64_t set, const char *key, bool *found,
                               char names[METRIC_NAMES_BYTES])
{
    mts_status st = MTS_OK;
    const char *suffix = task_set_suffix(&r->task, set);
    const float label = 0.0f;
    double ignored;
    metrics m = {0};
    metric_list list;
    size_t used = strlen(names);
    char loss[METRIC_KEY_BYTES];
    snprintf(loss, sizeof loss, "eval_loss%s", suffix);
    MTS_TRY(
        metrics_init(r->ctx, &m, r->task.metric, r->task.num_labels, r->task.positive_label, 1));
    metrics_add(&m, r->logits, &label, 1);
    MTS_TRY(metrics_result(r->ctx, &m, suffix, &list));
    *found = *found || strcmp(key, loss) == 0 || strcmp(key, loss + 5) == 0 ||
             metric_list_find(&list, key, &ignored);
    used += (size_t)snprintf(names + used, METRIC_NAMES_BYTES - used, "%s%s", used == 0 ? "" : ", ",
                             loss + 5);
    for (int64_t i = 0; i < list.n; i++) /* at most 5 of METRIC_KEY_BYTES in each of two sets */
        used += (size_t)snprintf(names + used, METRIC_NAMES_BYTES - used, ", %s",
                                 list.items[i].key + 5);
cleanup:
    metrics_deinit(&m);
    return st;
}

void run_best_metric_key(const run *r, char key[RUN_METRIC_KEY_BYTES])
{
    const char *wanted = r->o->metric_for_best_model == NULL ? "loss" : r->o->metric_for_best_model;
    snprintf(key, RUN_METRIC_KEY_BYTES, "%s%s", strncmp(wanted, "eval_", 5) == 0 ? "" : "eval_",
             wanted);
}

mts_status run_check_best_metric(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const char *wanted = r->o->metric_for_best_model;
    char names[METRIC_NAMES_BYTES] = "";
    bool found = false;
    if (wanted == NULL)
        return MTS_OK;
    for (int64_t i = 0; i < r->eval_sets; i++)
        MTS_TRY(list_metrics(r, i, wanted, &found, names));
    MTS_CHECK(found || r->eval_sets == 0, MTS_ERR_ARGUMENT,
              "option --metric_for_best_model: the evaluation has no %s, expected one of %s",
              wanted, names);
cleanup:
    return st;
}

mts_status run_evaluate(run *r, json_t **results)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    char *text = NULL;
    *results = json_object();
    MTS_CHECK(*results != NULL, MTS_ERR_MEMORY, "out of memory: metrics");
    for (int64_t i = 0; i < r->eval_sets; i++)
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

typedef struct test_output {
    file_writer *file;
    int64_t row;
} test_output;

static mts_status write_predictions(run *r, void *user)
{
    mts_status st = MTS_OK;
    test_output *out = user;
    const int64_t labels = r->task.num_labels;
    MTS_TRY(run_check_numeric(r, 0.0));
    for (int64_t i = 0; i < r->batch.n; i++) {
        const float *z = r->logits + i * labels;
        int64_t best = 0;
        for (int64_t c = 1; c < labels; c++)
            best = z[c] > z[best] ? c : best;
        char text[64];
        const int n = snprintf(text, sizeof text, "%lld\t", (long long)out->row);
        MTS_TRY(file_writer_write(out->file, text, (size_t)n));
        if (r->task.regression) {
            const int digits = snprintf(text, sizeof text, "%.3f", (double)z[0]);
            MTS_TRY(file_writer_write(out->file, text, (size_t)digits));
        } else {
            const char *label = r->task.label_names[best];
            MTS_TRY(file_writer_write(out->file, label, strlen(label)));
        }
        MTS_TRY(file_writer_write(out->file, "\n", 1));
        out->row++;
    }
cleanup:
    return st;
}

static mts_status predict_set(run *r, int64_t set)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    static const char header[] = "index\tprediction\n";
    char name[64];
    char *path = NULL;
    test_output out = {0};
    snprintf(name, sizeof name, "predict_results%s.txt", task_set_suffix(&r->task, set));
    MTS_TRY(path_join(ctx, &path, r->o->output_dir, name));
    MTS_TRY(file_writer_open(ctx, path, &out.file));
    MTS_TRY(file_writer_write(out.file, header, sizeof header - 1));
    MTS_TRY(for_each_batch(r, &r->test[set], "predicting", write_predictions, &out));
    MTS_TRY(file_writer_commit(out.file));
cleanup:
    file_writer_close(out.file);
    mem_free(path);
    return st;
}

mts_status run_predict_tests(run *r)
{
    mts_status st = MTS_OK;
    for (int64_t i = 0; i < r->test_sets; i++)
        MTS_TRY(predict_set(r, i));
cleanup:
    return st;
}
