/* Preparing a run: data, tokens, model, memory.  See run.h. */
#include "train/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "network/network_io.h"
#include "train/adapter_folder.h"
#include "train/checkpoint.h"
#include "train/class_weights.h"
#include "train/evaluate.h"
#include "train/label_options.h"
#include "train/model_tokenizer.h"
#include "train/outlier_lists.h"
#include "train/output_files.h"
#include "train/run_need.h"
#include "train/run_network.h"
#include "options/options.h"
#include "train/settings.h"
#include "train/train_log.h"

double run_epoch(const run *r)
{
    return (double)r->state.global_step / (double)r->steps.per_epoch;
}

bool run_logs_step(const run *r, int64_t step)
{
    return step % r->steps.logging == 0 || step == r->steps.total;
}

bool run_emit(run *r, const mts_event *event)
{
    if (r->callbacks == NULL || r->callbacks->on_event == NULL)
        return true;
    if (!r->callbacks->on_event(r->callbacks->user, event))
        r->stop = true;
    return !r->stop;
}

void run_note(run *r, const char *fmt, ...)
{
    char text[RUN_NOTE_BYTES];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    run_emit(r, &(mts_event){.kind = MTS_EVENT_NOTE, .text = text});
}

mts_status run_note_failure(run *r, mts_status st, const char *what)
{
    if (st == MTS_OK || st == MTS_ERR_MEMORY)
        return st;
    run_note(r, "%s: %s", what, r->ctx->error);
    r->ctx->error[0] = '\0';
    return MTS_OK;
}

model_input run_input(const run *r)
{
    const batch *b = &r->data.batch;
    return (model_input){
        .seq = {.count = b->n,
                .tokens = b->total_tokens,
                .max_length = b->max_len,
                .offset = b->offsets},
        .ids = b->ids,
        .type_ids = b->type_ids,
        .positions = b->positions,
    };
}

mts_status run_check_numeric(run *r, double loss)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    st = network_check(ctx, r->net);
    if (st == MTS_ERR_NUMERIC)
        status_prefix(ctx, "step %lld", (long long)r->state.global_step + 1);
    if (st != MTS_OK)
        return st;
    MTS_CHECK(isfinite(loss), MTS_ERR_NUMERIC, "step %lld: the loss is %f",
              (long long)r->state.global_step + 1, loss);
cleanup:
    return st;
}

mts_status run_check_weights(run *r, const char *where)
{
    mts_status st = MTS_OK;
    st = network_check_values(r->ctx, r->net);
    if (st != MTS_OK)
        status_prefix(r->ctx, "%s", where);
    return st;
}

static bool tokenizing(void *user, int64_t done, int64_t total)
{
    return run_emit(
        user, &(mts_event){
                  .kind = MTS_EVENT_PROGRESS, .text = "tokenizing", .done = done, .total = total});
}

static void note_line(void *user, const char *text)
{
    run_note(user, "%s", text);
}

/* How the task's data is read in this run. */
static task_reading reading_of(run *r)
{
    return (task_reading){.tokenizer = r->tokenizer,
                          .max_length = r->max_seq_length,
                          .threads = r->threads,
                          .progress = tokenizing,
                          .note = note_line,
                          .user = r};
}

static mts_status load_data(run *r, run_purpose purpose)
{
    mts_status st = MTS_OK;
    const task_reading reading = reading_of(r);
    const task_class *class = r->task->class;
    if (purpose.train)
        MTS_TRY(class->encode(r->ctx, r->task, TASK_TRAIN, 0, &reading, &r->data.train));
    r->data.eval_sets = purpose.evaluate ? class->sets(r->task, TASK_EVAL) : 0;
    for (int64_t i = 0; i < r->data.eval_sets; i++)
        MTS_TRY(class->encode(r->ctx, r->task, TASK_EVAL, i, &reading, &r->data.eval[i]));
    r->data.test_sets = purpose.predict ? class->sets(r->task, TASK_TEST) : 0;
    for (int64_t i = 0; i < r->data.test_sets; i++)
        MTS_TRY(class->encode(r->ctx, r->task, TASK_TEST, i, &reading, &r->data.test[i]));
cleanup:
    return st;
}

/* Task and model agree on labels; what evaluation will need to know of a training is noted beside
 * them. */
static mts_status fit_task(run *r, model_config *cfg, bool train)
{
    mts_status st = MTS_OK;
    const task_reading reading = reading_of(r);
    MTS_TRY(r->task->class->fit(r->ctx, r->task, r->origin.model_dir, cfg, train, &reading));
    if (train)
        MTS_TRY(settings_store(r->ctx, r->o, r->task, cfg));
cleanup:
    return st;
}

/* The largest training and evaluation batches; both plans hold at least one token. */
static mts_status plan_batches(run *r, network_limits *limits)
{
    mts_status st = MTS_OK;
    batch_plan all = {0}, plan;
    *limits = (network_limits){.eval_rows = 1, .eval_tokens = 1};
    if (r->training) {
        MTS_TRY(batch_plan_rows(r->ctx, &all, &r->data.train, r->o->per_device_train_batch_size));
        limits->train_rows = all.max_rows;
        limits->train_tokens = all.max_tokens;
    }
    for (int64_t i = 0; i < r->data.eval_sets + r->data.test_sets; i++) {
        const encoded_dataset *e =
            i < r->data.eval_sets ? &r->data.eval[i] : &r->data.test[i - r->data.eval_sets];
        MTS_TRY(batch_plan_rows(r->ctx, &plan, e, r->o->per_device_eval_batch_size));
        all = batch_plan_union(&all, &plan);
        if (plan.max_rows > limits->eval_rows)
            limits->eval_rows = plan.max_rows;
        if (plan.max_tokens > limits->eval_tokens)
            limits->eval_tokens = plan.max_tokens;
    }
    limits->max_length = all.max_len;
    MTS_TRY(batch_init(r->ctx, &r->data.batch, &all));
cleanup:
    return st;
}

/* Only a training that begins may make a pooler or classifier that the model does not have; beside
 * an adapter the outputs are of its folder. */
static head_source wanted_head(const run *r)
{
    if ((!r->training || r->origin.resume_dir != NULL) && r->adapter.rank == 0)
        return HEAD_NEEDED;
    return r->task->other_labels ? HEAD_NEW : HEAD_IF_THERE;
}

/* The ranks that --method dylora trains, and their weights. */
static mts_status prepare_ranks(run *r)
{
    mts_status st = MTS_OK;
    MTS_TRY(rank_list_parse(r->ctx, r->o->ranks, r->adapter.rank, &r->ranks));
    if (strcmp(r->o->rank_weighting, "matryoshka") == 0) {
        MTS_TRY(mem_calloc(r->ctx, &r->rank_weights, (size_t)r->adapter.rank, sizeof(float),
                           "weights of ranks"));
        rank_list_weights(&r->ranks, r->adapter.alpha, r->rank_weights);
    }
cleanup:
    return st;
}

/* The adapter that is trained or evaluated, if one is. */
static mts_status prepare_adapter(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    MTS_TRY(adapter_folder_check_model(ctx, o->model_name_or_path));
    MTS_CHECK(r->training || o->rank == 0 || o->adapter_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "option --rank needs --adapter_name_or_path");
    MTS_TRY(run_adapter_config(ctx, o, r->training, &r->adapter));
    MTS_CHECK(r->adapter.rank > 0 || !options_has_4bit_base(o), MTS_ERR_ARGUMENT,
              "--base_bits 4 needs --adapter_name_or_path");
    if (r->adapter.rank == 0 || !r->training)
        return MTS_OK;
    if (strcmp(o->method, "dylora") == 0)
        MTS_TRY(prepare_ranks(r));
cleanup:
    return st;
}

mts_status run_save_weights(const run *r, const char *dir)
{
    mts_status st = MTS_OK;
    peft_config c = r->adapter; /* shallow */
    char *all = NULL;
    MTS_TRY(network_save(r->ctx, r->net, dir));
    if (r->adapter.rank == 0)
        return MTS_OK;
    snprintf(c.task, sizeof c.task, "%s", r->net->options.head->peft_task);
    c.saved = head_class_saved(r->net->options.head, r->net->body->class);
    if (strcmp(c.targets, "all-linear") == 0 && r->net->body->class->all_linear != NULL) {
        MTS_TRY(mem_strdup(r->ctx, &all, r->net->body->class->all_linear));
        c.targets = all;
    }
    MTS_TRY(peft_config_save(r->ctx, &c, r->o->model_name_or_path, dir));
cleanup:
    mem_free(all);
    return st;
}

/* Whether the run fits into memory: before data is read with the least batches there can be, and
 * again with those that it has. */
static mts_status check_memory(run *r, const model_config *cfg, const network_limits *limits,
                               bool whole)
{
    const run_shape shape = {
        .o = r->o,
        .cfg = cfg,
        .head = r->head,
        .dir = r->origin.model_dir,
        .training = r->training,
        .limits = *limits,
    };
    return run_need_check(r->ctx, &shape, whole);
}

static mts_status create_model(run *r, model_config *cfg)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    network_options options = run_network_options(r->o, cfg, r->head, &r->adapter, r->training);
    options.model.adapter.weights = r->rank_weights;
    MTS_TRY(settings_check_rows(ctx, r->tokenizer, r->max_seq_length, cfg, r->origin.model_dir));
    options.model.loss.label_smoothing = (float)r->o->label_smoothing_factor;
    if (r->training && r->o->class_weights != NULL)
        MTS_TRY(class_weights_balanced(ctx, &r->data.train, cfg->num_labels, &r->class_weights));
    options.model.loss.class_weight = r->class_weights;
    MTS_TRY(plan_batches(r, &options.limits));
    MTS_TRY(settings_check_tokens(ctx, options.limits.train_tokens, "train"));
    MTS_TRY(settings_check_tokens(ctx, options.limits.eval_tokens, "eval"));
    MTS_TRY(network_check_weights(ctx, cfg, options.head, r->origin.model_dir, wanted_head(r)));
    MTS_TRY(check_memory(r, cfg, &options.limits, true));
    MTS_TRY(network_create(ctx, cfg, &options, &r->net));
    MTS_TRY(mem_calloc(ctx, &r->outputs, (size_t)network_max_outputs(r->net), sizeof(float),
                       "outputs"));
cleanup:
    return st;
}

static void note_head(run *r, const network_load_report *report)
{
    const int64_t labels = r->net->cfg.num_labels;
    const bool per_row = r->net->options.head->unit == HEAD_PER_ROW; /* an output for each label */
    if (report->initialized_head != NULL)
        run_note(r, "%s has no %s: it was initialised", r->origin.model_dir,
                 report->initialized_head);
    if (report->output_left)
        run_note(r, "%s has a head for %s: it was initialised", r->origin.model_dir, r->task->why);
    else if (report->initialized_output != NULL && !per_row)
        run_note(r, "%s has no head for %s: it was initialised", r->origin.model_dir,
                 r->task->head);
    else if (report->initialized_output != NULL)
        run_note(r, "%s has no head for %lld label%s: it was initialised", r->origin.model_dir,
                 (long long)labels, labels == 1 ? "" : "s");
}

static mts_status load_weights(run *r)
{
    mts_status st = MTS_OK;
    network_load_report report;
    const char *resume = r->origin.resume_dir, *adapter = NULL;
    const head_source source = wanted_head(r);
    bool initialised = true; /* outputs that neither the model's file nor the adapter's has */
    if (r->adapter.rank > 0)
        adapter = resume != NULL ? resume : r->o->adapter_name_or_path;
    MTS_TRY(network_load(r->ctx, r->net, r->origin.model_dir, source, &report));
    if (adapter != NULL)
        MTS_TRY(network_load_adapter(r->ctx, r->net, adapter,
                                     r->training && resume == NULL ? source : HEAD_NEEDED,
                                     &initialised));
    if (initialised && adapter != NULL)
        run_note(r, "%s has outputs for other labels: they are not used", adapter);
    if (initialised)
        note_head(r, &report);
    if (report.unused > 0)
        run_note(r, "%s: %lld tensor%s of the file not used, the first is %s", r->origin.model_dir,
                 (long long)report.unused, report.unused == 1 ? "" : "s", report.first_unused);
    if (!r->training && r->o->rank > 0)
        network_use_ranks(r->net, r->o->rank, 0);
cleanup:
    return st;
}

/* Lists of outliers: a training that begins finds its own, one that is resumed has those of its
 * checkpoint. */
static mts_status prepare_outliers(run *r)
{
    mts_status st = MTS_OK;
    char text[RUN_NOTE_BYTES];
    const run_data *d = &r->data;
    const outlier_source source = {
        .dir = r->origin.model_dir,
        .adapter_dir = r->o->adapter_name_or_path,
        .keep = !r->training,
        .rows = r->training        ? &d->train
                : d->eval_sets > 0 ? &d->eval[0]
                                   : &d->test[0],
        .batch_size =
            r->training ? r->o->per_device_train_batch_size : r->o->per_device_eval_batch_size,
        .seed = (uint64_t)r->o->seed,
    };
    bool calibrated = false;
    if (r->origin.resume_dir != NULL)
        return outlier_lists_load(r->ctx, r->net, r->origin.resume_dir);
    MTS_TRY(outlier_lists_prepare(r->ctx, r->net, &r->data.batch, &source, &calibrated));
    if (calibrated && !r->training)
        run_note(r, "%s has no lists of outliers: they are found in the rows of this run",
                 r->origin.model_dir);
    if (calibrated) {
        outlier_lists_describe(r->net, text, sizeof text);
        run_note(r, "%s", text);
    }
cleanup:
    return st;
}

static void plan_steps(run *r)
{
    const int64_t accumulation = r->o->gradient_accumulation_steps;
    r->steps.batches_per_epoch = sampler_batch_count(&r->data.sampler);
    r->steps.per_epoch = (r->steps.batches_per_epoch + accumulation - 1) / accumulation;
    const double steps = r->o->num_train_epochs * (double)r->steps.per_epoch;
    r->steps.total = r->o->max_steps > 0 ? r->o->max_steps : (int64_t)steps;
    if (r->o->max_steps <= 0 && (double)r->steps.total < steps)
        r->steps.total++;
    r->steps.logging = schedule_steps(r->o->logging_steps, r->steps.total);
    r->steps.save = schedule_steps(r->o->save_steps, r->steps.total);
    r->steps.eval =
        r->o->eval_steps > 0 ? schedule_steps(r->o->eval_steps, r->steps.total) : r->steps.logging;
    r->schedule = (schedule){
        .kind = schedule_kind_of(r->o->lr_scheduler_type),
        .steps = r->steps.total,
        .warmup = schedule_warmup_steps(r->o->warmup_steps, r->o->warmup_ratio, r->steps.total),
    };
}

/* Evaluations that were asked for and will not be. */
static void note_eval_steps(run *r)
{
    if (strcmp(r->o->eval_strategy, "steps") == 0 && r->steps.eval > r->steps.total)
        run_note(r,
                 "no evaluation before the last step: --eval_steps is %lld, the run has %lld steps",
                 (long long)r->steps.eval, (long long)r->steps.total);
}

static mts_status prepare_training(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    const uint64_t data_seed = (uint64_t)(o->data_seed >= 0 ? o->data_seed : o->seed);
    const optimizer_options options = settings_optimizer(o);
    MTS_TRY(sampler_init(ctx, &r->data.sampler, &r->data.train, settings_sampler(o),
                         o->per_device_train_batch_size, data_seed));
    plan_steps(r);
    note_eval_steps(r);
    MTS_TRY(evaluate_check_best(r));
    MTS_TRY(optimizer_create(ctx, &options, r->net->params.trained, r->net->params.trained_count,
                             &r->opt));
    r->state.log_history = json_array();
    MTS_CHECK(r->state.log_history != NULL, MTS_ERR_MEMORY, "out of memory: training log");
    if (r->origin.resume_dir != NULL)
        MTS_TRY(checkpoint_load(r, r->origin.resume_dir));
cleanup:
    return st;
}

mts_status run_prepare(run *r, mts_ctx *ctx, const mts_options *o, const mts_callbacks *callbacks,
                       run_purpose purpose)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    const char *known = NULL; /* head of the folder that is evaluated, and what it stores */
    const json_t *stored = NULL;
    const network_limits least = {purpose.train, purpose.train, 1, 1, 1, 0};
    r->ctx = ctx;
    r->own = *o;
    r->o = o = &r->own;
    r->callbacks = callbacks;
    r->threads = settings_threads(o);
    r->training = purpose.train;
    if (purpose.train)
        MTS_TRY(checkpoint_find_resume(r));
    MTS_TRY(prepare_adapter(r));
    r->origin.model_dir = r->origin.resume_dir != NULL && r->adapter.rank == 0
                              ? r->origin.resume_dir
                              : o->model_name_or_path;
    MTS_TRY(adapter_folder_load_config(ctx, r->origin.model_dir, o->adapter_name_or_path, &cfg));
    settings_complete(&r->own, &cfg);
    r->format = settings_format(o);
    known =
        purpose.train ? model_class_of_config(&cfg)->usual_head : head_class_of_config(&cfg)->name;
    r->max_seq_length = settings_max_length(o, &cfg, known);
    MTS_TRY(model_tokenizer_open(ctx, r->origin.model_dir, &r->tokenizer,
                                 purpose.train ? &r->tokenizer_files : NULL));
    if (o->chat_template_path != NULL)
        MTS_TRY(tokenizer_set_chat_template(ctx, r->tokenizer, o->chat_template_path,
                                            purpose.train ? &r->tokenizer_files : NULL));
    if (o->chat_template_date != NULL)
        MTS_TRY(tokenizer_set_chat_date(ctx, r->tokenizer, o->chat_template_date));
    if (o->do_lower_case >= 0)
        MTS_TRY(tokenizer_set_lower_case(ctx, r->tokenizer, o->do_lower_case == 1));
    stored = purpose.train ? NULL : json_object_get(cfg.json, SETTINGS_KEY);
    MTS_TRY(task_open(ctx, o, known, stored, &r->task));
    if (purpose.train)
        MTS_TRY(
            tokenizer_write_rules(ctx, r->tokenizer, r->task->class->tags, &r->tokenizer_files));
    if (purpose.train)
        MTS_TRY(output_files_check_inputs(r));
    MTS_TRY(fit_task(r, &cfg, purpose.train));
    r->head = head_class_find(r->task->head);
    MTS_CHECK(r->head != NULL, MTS_ERR_UNSUPPORTED, "the head \"%s\" of this task is not here",
              r->task->head);
    MTS_TRY(label_options_check(ctx, o, r->head));
    MTS_TRY(check_memory(r, &cfg, &least, false));
    MTS_TRY(load_data(r, purpose));
    mem_trim();
    MTS_TRY(create_model(r, &cfg));
    MTS_TRY(load_weights(r));
    if (purpose.train)
        MTS_TRY(prepare_training(r));
    MTS_TRY(prepare_outliers(r));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

void run_deinit(run *r)
{
    task_close(r->task);
    tokenizer_close(r->tokenizer);
    tokenizer_files_deinit(&r->tokenizer_files);
    encoded_dataset_deinit(&r->data.train);
    for (int i = 0; i < TASK_MAX_SETS; i++) {
        encoded_dataset_deinit(&r->data.eval[i]);
        encoded_dataset_deinit(&r->data.test[i]);
    }
    batch_deinit(&r->data.batch);
    sampler_deinit(&r->data.sampler);
    sampler_deinit(&r->data.eval_sampler);
    network_destroy(r->net);
    peft_config_deinit(&r->adapter);
    mem_free(r->rank_weights);
    mem_free(r->class_weights);
    optimizer_destroy(r->opt);
    mem_free(r->outputs);
    mem_free(r->state.best_checkpoint);
    json_decref(r->state.log_history);
    mem_free(r->origin.resume_dir);
    train_log_close(r);
    mem_free(r->log.path);
}
