/* Preparing a run: data, tokens, model, memory.  See run.h. */
#include "train/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/utf8.h"
#include "models/bert_io.h"
#include "train/checkpoint.h"
#include "train/output_files.h"
#include "train/settings.h"
#include "train/train_log.h"

double run_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double run_epoch(const run *r)
{
    return (double)r->state.global_step / (double)r->steps_per_epoch;
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

static bool tokenizing(void *user, int64_t done, int64_t total)
{
    return run_emit(
        user, &(mts_event){
                  .kind = MTS_EVENT_PROGRESS, .text = "tokenizing", .done = done, .total = total});
}

/* Encode the rows of d, the file at path, and free d. */
static mts_status encode(run *r, const char *path, dataset *d, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    char text[RUN_NOTE_BYTES];
    if (dataset_quotes_note(d, path, text, sizeof text))
        run_note(r, "%s", text);
    MTS_TRY(encoded_dataset_build(r->ctx, out, d, r->tokenizer, r->max_seq_length, r->threads,
                                  tokenizing, r));
    if (out->cut > 0)
        run_note(r, "%s: %lld of %lld rows were cut to --max_seq_length %lld tokens", path,
                 (long long)out->cut, (long long)out->n, (long long)r->max_seq_length);
cleanup:
    dataset_deinit(d);
    return st;
}

static mts_status load_data(run *r, run_purpose purpose)
{
    mts_status st = MTS_OK;
    dataset d = {0};
    if (purpose.train) {
        MTS_TRY(task_load_train(r->ctx, &r->task, &d));
        MTS_TRY(encode(r, r->task.train_path, &d, &r->train));
    }
    r->eval_sets = purpose.evaluate ? task_eval_count(&r->task) : 0;
    for (int64_t i = 0; i < r->eval_sets; i++) {
        MTS_TRY(task_load_eval(r->ctx, &r->task, i, &d));
        MTS_TRY(encode(r, r->task.eval_paths[i], &d, &r->eval[i]));
    }
    r->test_sets = purpose.predict ? task_test_count(&r->task) : 0;
    for (int64_t i = 0; i < r->test_sets; i++) {
        MTS_TRY(task_load_test(r->ctx, &r->task, i, &d));
        MTS_TRY(encode(r, r->task.test_paths[i], &d, &r->test[i]));
    }
cleanup:
    dataset_deinit(&d);
    return st;
}

/* The classes of the data in the order that the model has them in; other names: a new head. */
static mts_status take_order_of_labels(run *r, const model_config *cfg)
{
    mts_status st = MTS_OK;
    task_match match;
    MTS_TRY(task_match_labels(r->ctx, &r->task, (const char *const *)cfg->labels, cfg->num_labels,
                              model_config_is_regression(cfg), &match));
    r->new_head = match == TASK_MATCH_NAMES && r->resume_dir == NULL;
    utf8_quote(r->model_label, sizeof r->model_label, cfg->labels[0]);
cleanup:
    return st;
}

/* The model's labels: set from the task before training, taken from the model otherwise.  What
 * evaluation will need to know of the training is noted beside them. */
static mts_status agree_on_labels(run *r, model_config *cfg, bool train)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    MTS_CHECK(cfg->problem_type != MODEL_PROBLEM_MULTI_LABEL, MTS_ERR_UNSUPPORTED,
              "%s: config.json: problem_type multi_label_classification: such a model can be used "
              "for prediction, but not trained or evaluated, for which a text has one label",
              r->model_dir);
    if (train) {
        MTS_TRY(take_order_of_labels(r, cfg));
        MTS_TRY(model_config_set_labels(r->ctx, cfg, (const char *const *)r->task.label_names,
                                        r->task.num_labels, r->task.regression));
        if (r->task.glue != NULL)
            MTS_TRY(model_config_set_string(r->ctx, cfg, "finetuning_task", r->task.name));
        MTS_TRY(settings_store(r->ctx, r->o, cfg));
    } else {
        MTS_TRY(task_set_labels(r->ctx, &r->task, (const char *const *)cfg->labels, cfg->num_labels,
                                model_config_is_regression(cfg)));
    }
cleanup:
    return st;
}

/* The largest training and evaluation batches; both plans hold at least one token. */
static mts_status plan_batches(run *r, bert_limits *limits)
{
    mts_status st = MTS_OK;
    batch_plan all = {0}, plan;
    *limits = (bert_limits){.eval_rows = 1, .eval_tokens = 1};
    if (r->training) {
        MTS_TRY(batch_plan_rows(r->ctx, &all, &r->train, r->o->per_device_train_batch_size));
        limits->train_rows = all.max_rows;
        limits->train_tokens = all.max_tokens;
        limits->recompute = r->o->gradient_checkpointing;
    }
    for (int64_t i = 0; i < r->eval_sets + r->test_sets; i++) {
        const encoded_dataset *e = i < r->eval_sets ? &r->eval[i] : &r->test[i - r->eval_sets];
        MTS_TRY(batch_plan_rows(r->ctx, &plan, e, r->o->per_device_eval_batch_size));
        all = batch_plan_union(&all, &plan);
        if (plan.max_rows > limits->eval_rows)
            limits->eval_rows = plan.max_rows;
        if (plan.max_tokens > limits->eval_tokens)
            limits->eval_tokens = plan.max_tokens;
    }
    limits->max_length = all.max_len;
    MTS_TRY(batch_init(r->ctx, &r->batch, &all));
cleanup:
    return st;
}

/* Only a training that begins may make a pooler or classifier that the model does not have. */
static bert_head wanted_head(const run *r)
{
    if (!r->training || r->resume_dir != NULL)
        return BERT_HEAD_NEEDED;
    return r->new_head ? BERT_HEAD_NEW : BERT_HEAD_IF_THERE;
}

static mts_status create_model(run *r, model_config *cfg)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    bert_limits limits;
    const bert_dropout dropout = settings_dropout(r->o, cfg);
    const int64_t labels = cfg->num_labels;
    size_t count = 0;
    const int64_t vocab = tokenizer_vocab_size(r->tokenizer);
    MTS_CHECK(vocab <= cfg->vocab_size, MTS_ERR_BAD_FILE,
              "%s: the tokenizer has %lld tokens, config.json's vocab_size is %lld", r->model_dir,
              (long long)vocab, (long long)cfg->vocab_size);
    MTS_CHECK(r->max_seq_length <= cfg->max_position_embeddings, MTS_ERR_ARGUMENT,
              "option --max_seq_length: the model has %lld positions, found %lld: give at most "
              "as many",
              (long long)cfg->max_position_embeddings, (long long)r->max_seq_length);
    MTS_CHECK(cfg->type_vocab_size >= 2, MTS_ERR_UNSUPPORTED,
              "%s: config.json: type_vocab_size: expected at least 2 (pairs), found %lld",
              r->model_dir, (long long)cfg->type_vocab_size);
    MTS_TRY(plan_batches(r, &limits));
    MTS_TRY(settings_check_tokens(ctx, limits.train_tokens, "train"));
    MTS_TRY(settings_check_tokens(ctx, limits.eval_tokens, "eval"));
    count = (size_t)(r->batch.plan.max_rows * labels);
    MTS_TRY(bert_check_weights(ctx, cfg, r->model_dir, wanted_head(r)));
    MTS_TRY(bert_create(ctx, cfg, &r->format, r->threads, (uint64_t)r->o->seed, &dropout, &limits,
                        &r->model));
    MTS_TRY(mem_calloc(ctx, &r->logits, count, sizeof(float), "logits"));
    MTS_TRY(mem_calloc(ctx, &r->dlogits, count, sizeof(float), "gradients of logits"));
cleanup:
    return st;
}

static void note_head(run *r, const bert_load_report *report)
{
    const int64_t labels = r->model->cfg.num_labels;
    char own[UTF8_QUOTE_BYTES];
    if (report->pooler_initialized)
        run_note(r, "%s has no pooler: it was initialised", r->model_dir);
    if (report->classifier_left)
        run_note(r,
                 "%s has a head for other labels (\"%s\", ...) than the data (\"%s\", ...): it was "
                 "initialised",
                 r->model_dir, r->model_label,
                 utf8_quote(own, sizeof own, r->model->cfg.labels[0]));
    else if (report->classifier_initialized)
        run_note(r, "%s has no head for %lld label%s: it was initialised", r->model_dir,
                 (long long)labels, labels == 1 ? "" : "s");
}

static mts_status load_weights(run *r)
{
    mts_status st = MTS_OK;
    bert_load_report report;
    MTS_TRY(bert_load(r->ctx, r->model, r->model_dir, wanted_head(r), &report));
    note_head(r, &report);
    if (report.unused > 0)
        run_note(r, "%s: %lld tensor%s of the file not used, the first is %s", r->model_dir,
                 (long long)report.unused, report.unused == 1 ? "" : "s", report.first_unused);
cleanup:
    return st;
}

static void plan_steps(run *r)
{
    const int64_t accumulation = r->o->gradient_accumulation_steps;
    r->batches_per_epoch = sampler_batch_count(&r->sampler);
    r->steps_per_epoch = (r->batches_per_epoch + accumulation - 1) / accumulation;
    const double steps = r->o->num_train_epochs * (double)r->steps_per_epoch;
    r->total_steps = r->o->max_steps > 0 ? r->o->max_steps : (int64_t)steps;
    if (r->o->max_steps <= 0 && (double)r->total_steps < steps)
        r->total_steps++;
    r->logging_steps = schedule_steps(r->o->logging_steps, r->total_steps);
    r->save_steps = schedule_steps(r->o->save_steps, r->total_steps);
    r->eval_steps =
        r->o->eval_steps > 0 ? schedule_steps(r->o->eval_steps, r->total_steps) : r->logging_steps;
    r->schedule = (schedule){
        .kind = schedule_kind_of(r->o->lr_scheduler_type),
        .steps = r->total_steps,
        .warmup = schedule_warmup_steps(r->o->warmup_steps, r->o->warmup_ratio, r->total_steps),
    };
}

/* Evaluations that were asked for and will not be. */
static void note_eval_steps(run *r)
{
    if (strcmp(r->o->eval_strategy, "steps") == 0 && r->eval_steps > r->total_steps)
        run_note(r,
                 "no evaluation before the last step: --eval_steps is %lld, the run has %lld steps",
                 (long long)r->eval_steps, (long long)r->total_steps);
}

static mts_status prepare_training(run *r)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = r->ctx;
    const mts_options *o = r->o;
    const uint64_t data_seed = (uint64_t)(o->data_seed >= 0 ? o->data_seed : o->seed);
    const optimizer_options options = settings_optimizer(o);
    MTS_TRY(sampler_init(ctx, &r->sampler, &r->train, settings_sampler(o),
                         o->per_device_train_batch_size, data_seed));
    plan_steps(r);
    note_eval_steps(r);
    MTS_TRY(run_check_best_metric(r));
    MTS_TRY(
        optimizer_create(ctx, &options, r->model->params.items, r->model->params.count, &r->opt));
    r->state.log_history = json_array();
    MTS_CHECK(r->state.log_history != NULL, MTS_ERR_MEMORY, "out of memory: training log");
    if (r->resume_dir != NULL)
        MTS_TRY(checkpoint_load(r, r->resume_dir));
cleanup:
    return st;
}

/* A user's own files: what was taken for text and label, and as what. */
static void note_columns(run *r)
{
    const task_spec *t = &r->task;
    char a[UTF8_QUOTE_BYTES], b[UTF8_QUOTE_BYTES] = "", label[UTF8_QUOTE_BYTES], kind[32];
    if (t->glue != NULL)
        return;
    utf8_quote(a, sizeof a, t->text_columns[0]);
    if (t->text_columns[1] != NULL)
        utf8_quote(b, sizeof b, t->text_columns[1]);
    utf8_quote(label, sizeof label, t->label_column != NULL ? t->label_column : "label");
    snprintf(kind, sizeof kind, "%lld classes", (long long)t->num_labels);
    run_note(r, "text in column \"%s\"%s%s%s, label in column \"%s\": %s", a,
             b[0] != '\0' ? " and \"" : "", b, b[0] != '\0' ? "\"" : "", label,
             t->regression ? "a number" : kind);
}

mts_status run_prepare(run *r, mts_ctx *ctx, const mts_options *o, const mts_callbacks *callbacks,
                       run_purpose purpose)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    r->ctx = ctx;
    r->o = o;
    r->callbacks = callbacks;
    r->format = settings_format(o);
    r->threads = settings_threads(o);
    r->training = purpose.train;
    if (purpose.train)
        MTS_TRY(checkpoint_find_resume(r));
    r->model_dir = r->resume_dir != NULL ? r->resume_dir : o->model_name_or_path;
    MTS_TRY(model_config_load(ctx, r->model_dir, &cfg));
    r->max_seq_length = settings_max_length(o, &cfg);
    MTS_TRY(tokenizer_open(ctx, r->model_dir, &r->tokenizer));
    if (o->do_lower_case >= 0)
        MTS_TRY(tokenizer_set_lower_case(ctx, r->tokenizer, o->do_lower_case == 1));
    if (purpose.train)
        MTS_TRY(tokenizer_files_read(ctx, &r->tokenizer_files, r->model_dir));
    if (purpose.train && o->do_lower_case >= 0)
        MTS_TRY(tokenizer_files_set_lower_case(ctx, &r->tokenizer_files, o->do_lower_case == 1));
    MTS_TRY(task_resolve(ctx, o, &r->task));
    if (purpose.train) {
        MTS_TRY(output_files_check_inputs(r));
        note_columns(r);
    }
    MTS_TRY(agree_on_labels(r, &cfg, purpose.train));
    MTS_TRY(load_data(r, purpose));
    MTS_TRY(create_model(r, &cfg));
    MTS_TRY(load_weights(r));
    if (purpose.train)
        MTS_TRY(prepare_training(r));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

void run_deinit(run *r)
{
    task_deinit(&r->task);
    tokenizer_close(r->tokenizer);
    tokenizer_files_deinit(&r->tokenizer_files);
    encoded_dataset_deinit(&r->train);
    for (int i = 0; i < TASK_MAX_SETS; i++) {
        encoded_dataset_deinit(&r->eval[i]);
        encoded_dataset_deinit(&r->test[i]);
    }
    batch_deinit(&r->batch);
    sampler_deinit(&r->sampler);
    sampler_deinit(&r->eval_sampler);
    bert_destroy(r->model);
    optimizer_destroy(r->opt);
    mem_free(r->logits);
    mem_free(r->dlogits);
    mem_free(r->state.best_checkpoint);
    json_decref(r->state.log_history);
    mem_free(r->resume_dir);
    train_log_close(r);
    mem_free(r->log_path);
}
