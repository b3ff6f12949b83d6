/* Language modelling: options, scores, and the class.  See language_modeling.h. */
#include "tasks/language_modeling.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

enum { OUTPUTS = 2 }; /* of each token: -log p of its target, the most probable token */

static language_modeling *self(task *t)
{
    return (language_modeling *)t;
}

static const language_modeling *self_const(const task *t)
{
    return (const language_modeling *)t;
}

static void close_task(task *t)
{
    for (int i = 0; i < LANGUAGE_SPLITS; i++)
        mem_free(self(t)->paths[i]);
    mem_free(t);
}

/* The model decides. */
static bool is_wanted(const mts_options *o, const char *head)
{
    return o->task_name == NULL && head != NULL && strcmp(head, "next token") == 0;
}

static mts_status open_task(mts_ctx *ctx, const mts_options *o, const json_t *stored, task **out)
{
    mts_status st = MTS_OK;
    const char *const files[] = {o->train_file, o->validation_file, o->test_file};
    language_modeling *t = NULL;
    bool any = false;
    (void)stored;
    *out = NULL;
    MTS_CHECK(o->test_file == NULL, MTS_ERR_ARGUMENT,
              "option --test_file: a language model gives no labels or answers to predict");
    MTS_CHECK(o->text_column_names == NULL && o->label_column_name == NULL &&
                  o->label_separator == NULL && o->do_regression != 1,
              MTS_ERR_ARGUMENT,
              "option --%s: a language model has no labels, and finds its texts by their keys: "
              "messages, prompt and completion, instruction and output, question and answer, text",
              o->text_column_names != NULL   ? "text_column_names"
              : o->label_column_name != NULL ? "label_column_name"
              : o->label_separator != NULL   ? "label_separator"
                                             : "do_regression");
    MTS_TRY(mem_calloc(ctx, &t, 1, sizeof *t, "task"));
    t->base.class = &language_modeling_class;
    t->end = -1;
    t->packing = o->packing;
    t->assistant_only = o->assistant_only_loss == 1;
    t->completion_only = o->completion_only_loss;
    t->max_samples[TASK_TRAIN] = o->max_train_samples;
    t->max_samples[TASK_EVAL] = o->max_eval_samples;
    t->max_samples[TASK_TEST] = o->max_predict_samples;
    for (int i = 0; i < LANGUAGE_SPLITS; i++) {
        any = any || files[i] != NULL;
        if (files[i] != NULL)
            MTS_TRY(mem_strdup(ctx, &t->paths[i], files[i]));
    }
    MTS_CHECK(any, MTS_ERR_ARGUMENT,
              "language modelling: expected train_file or validation_file, found none");
    *out = &t->base;
    t = NULL;
cleanup:
    if (t != NULL)
        close_task(&t->base);
    return st;
}

/* The end-of-text token is the (first) one of config.json. */
static mts_status fit(mts_ctx *ctx, task *base, const char *model_dir, model_config *cfg,
                      bool train, const task_reading *r)
{
    mts_status st = MTS_OK;
    language_modeling *t = self(base);
    const json_t *end = json_object_get(cfg->json, "eos_token_id");
    (void)train, (void)r;
    t->base.head = "next token";
    if (json_is_array(end))
        end = json_array_get(end, 0);
    if (end == NULL || json_is_null(end))
        return MTS_OK;
    MTS_CHECK(json_is_integer(end), MTS_ERR_BAD_FILE,
              "%s: config.json: eos_token_id: expected an integer or a list of integers, found %s",
              model_dir, json_util_type_name(end));
    MTS_CHECK(json_integer_value(end) >= 0 && json_integer_value(end) < cfg->vocab_size,
              MTS_ERR_BAD_FILE, "%s: config.json: eos_token_id: expected 0 to %lld, found %lld",
              model_dir, (long long)cfg->vocab_size - 1, (long long)json_integer_value(end));
    t->end = (int32_t)json_integer_value(end);
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- sets ---- */

static int64_t count_sets(const task *t, task_split split)
{
    return split != TASK_TEST && self_const(t)->paths[split] != NULL;
}

static const char *suffix_of(const task *t, int64_t set)
{
    (void)t, (void)set;
    return "";
}

static const char *input_at(const task *t, int64_t i)
{
    for (int split = 0; split < LANGUAGE_SPLITS; split++)
        if (self_const(t)->paths[split] != NULL && i-- == 0)
            return self_const(t)->paths[split];
    return NULL;
}

static mts_status encode(mts_ctx *ctx, task *base, task_split split, int64_t set,
                         const task_reading *r, encoded_dataset *out)
{
    mts_status st = MTS_OK;
    const language_modeling *t = self(base);
    const language_reading how = {.end = t->end,
                                  .max_samples = t->max_samples[split],
                                  .completion_only = t->completion_only,
                                  .assistant_only = t->assistant_only,
                                  .packing = t->packing && split == TASK_TRAIN};
    (void)set;
    *out = (encoded_dataset){0};
    MTS_CHECK(t->paths[split] != NULL, MTS_ERR_ARGUMENT, "train_file: expected a file, found none");
    MTS_TRY(language_rows_read(ctx, t->paths[split], &how, r, out));
cleanup:
    return st;
}

static mts_status store(mts_ctx *ctx, const task *t, json_t *object)
{
    (void)ctx, (void)t, (void)object;
    return MTS_OK;
}

/* ------------------------------------------------------------------------------- scores ---- */

/* Sums over the tokens with a target. */
typedef struct scores {
    task_scores base;
    double loss;
    int64_t tokens, right;
} scores;

static int64_t metrics(const task *t, int64_t set, task_metric out[TASK_METRICS_MAX])
{
    (void)t, (void)set;
    snprintf(out[0].name, sizeof out[0].name, "perplexity");
    out[0].greater_is_better = false;
    snprintf(out[1].name, sizeof out[1].name, "accuracy");
    out[1].greater_is_better = true;
    return 2;
}

static mts_status scores_begin(mts_ctx *ctx, const task *base, task_split split, int64_t set,
                               const encoded_dataset *rows, task_scores **out)
{
    mts_status st = MTS_OK;
    scores *s = NULL;
    (void)split, (void)set, (void)rows;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &s, 1, sizeof *s, "scores"));
    s->base.class = base->class;
    *out = &s->base;
cleanup:
    return st;
}

static mts_status scores_add(mts_ctx *ctx, task_scores *base, const batch *b, const int64_t *index,
                             const float *outputs)
{
    scores *s = (scores *)base;
    (void)ctx, (void)index;
    for (int64_t t = 0; t < b->total_tokens; t++) {
        const int32_t target = b->targets.index[t];
        if (target < 0)
            continue;
        s->loss += (double)outputs[OUTPUTS * t];
        s->right += (int64_t)outputs[OUTPUTS * t + 1] == target;
        s->tokens++;
    }
    return MTS_OK;
}

/* The loss is that of all tokens alike, not of rows or batches. */
static mts_status scores_finish(mts_ctx *ctx, task_scores *base, const char *dir, json_t *out)
{
    mts_status st = MTS_OK;
    const scores *s = (const scores *)base;
    const double n = (double)(s->tokens > 0 ? s->tokens : 1), loss = s->loss / n;
    (void)dir;
    if (out == NULL)
        return MTS_OK;
    MTS_TRY(task_put_number(ctx, out, "eval_loss", loss));
    MTS_TRY(task_put_number(ctx, out, "eval_perplexity", exp(loss)));
    MTS_TRY(task_put_number(ctx, out, "eval_accuracy", (double)s->right / n));
    MTS_TRY(json_util_set(ctx, out, "eval_tokens", json_integer(s->tokens)));
cleanup:
    return st;
}

static void scores_close(task_scores *s)
{
    mem_free(s);
}

static const char *const result_files[] = {NULL};

const task_class language_modeling_class = {
    .name = "language_modeling",
    .result_files = result_files,
    .usual_length = 1024, /* TRL's default */
    .documents = true,
    .wanted = is_wanted,
    .open = open_task,
    .close = close_task,
    .fit = fit,
    .sets = count_sets,
    .suffix = suffix_of,
    .input = input_at,
    .encode = encode,
    .store = store,
    .metrics = metrics,
    .scores_begin = scores_begin,
    .scores_add = scores_add,
    .scores_finish = scores_finish,
    .scores_close = scores_close,
};
