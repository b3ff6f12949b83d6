/*
 * mts_predictor_* and mts_test_rows_* of the public header over train/predictor,
 * tasks/text_answers and tasks/test_rows.
 *
 * Path: cli/cmd_predict.c -> mts_predictor_run, mts_predictor_answer -> predictor_run_rows.
 */
#include "api/predictor_calls.h"

#include <string.h>

#include "options/options.h"
#include "tasks/label_kind.h"
#include "tasks/test_rows.h"
#include "train/adapter_folder.h"
#include "train/settings.h"

mts_status mts_predictor_open(mts_ctx *ctx, const mts_options *options, mts_predictor **out)
{
    mts_status st = MTS_OK;
    mts_options own;
    mts_predictor *p = NULL;
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_predictor_open: out must be given");
    *out = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_predict(ctx, &own));
    MTS_TRY(mem_calloc(ctx, &p, 1, sizeof *p, "predictor"));
    MTS_TRY(predictor_open(ctx, &own, &p->inner));
    p->rules = text_answers_rules(&own);
    p->overlap = own.doc_stride;
    p->label_bound = label_kind_bound(own.label_threshold);
    *out = p;
    p = NULL;
cleanup:
    mts_predictor_close(p);
    return st;
}

void mts_predictor_close(mts_predictor *p)
{
    if (p == NULL)
        return;
    text_answers_deinit(&p->answers);
    word_tags_deinit(&p->tags);
    predictor_close(p->inner);
    mem_free(p);
}

int64_t mts_predictor_num_labels(const mts_predictor *p)
{
    return p->inner->net->cfg.num_labels;
}

const char *mts_predictor_label(const mts_predictor *p, int64_t index)
{
    const model_config *cfg = &p->inner->net->cfg;
    return index >= 0 && index < cfg->num_labels ? cfg->labels[index] : NULL;
}

bool mts_predictor_is_regression(const mts_predictor *p)
{
    return model_config_is_regression(&p->inner->net->cfg);
}

bool mts_predictor_is_multi_label(const mts_predictor *p)
{
    const model_config *cfg = &p->inner->net->cfg;
    return cfg->problem_type == MODEL_PROBLEM_MULTI_LABEL ||
           (cfg->num_labels == 1 && !model_config_is_regression(cfg));
}

bool mts_predictor_in_set(const mts_predictor *p, float logit)
{
    return (double)logit > p->label_bound;
}

int64_t mts_predictor_cut_rows(const mts_predictor *p)
{
    return p->inner->cut_rows;
}

bool mts_predictor_answers_questions(const mts_predictor *p)
{
    return p->inner->net->options.head->target == TARGET_SPAN;
}

static const char *what_it_does(const mts_predictor *p)
{
    return mts_predictor_answers_questions(p) ? PREDICTOR_ANSWERS
           : mts_predictor_tags_words(p)      ? PREDICTOR_TAGS
                                              : PREDICTOR_LABELS;
}

mts_status predictor_check_call(mts_predictor *p, const char *call, bool given, const char *does)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->inner->ctx;
    MTS_CHECK(given, MTS_ERR_ARGUMENT, "%s: expected texts and room for the result, found NULL",
              call);
    MTS_CHECK(strcmp(what_it_does(p), does) == 0, MTS_ERR_ARGUMENT,
              "%s: expected a model that %s, found one that %s", call, does, what_it_does(p));
cleanup:
    return st;
}

mts_status mts_predictor_run(mts_predictor *p, const char *const *text_a, const char *const *text_b,
                             int64_t n, float *logits)
{
    mts_status st = MTS_OK;
    if (p == NULL)
        return MTS_ERR_ARGUMENT;
    MTS_TRY(predictor_check_call(p, "mts_predictor_run", text_a != NULL && logits != NULL && n >= 0,
                                 PREDICTOR_LABELS));
    MTS_TRY(predictor_run_texts(p->inner, text_a, text_b, n, logits));
cleanup:
    return st;
}

mts_status mts_predictor_answer(mts_predictor *p, const char *const *questions,
                                const char *const *paragraphs, int64_t n)
{
    mts_status st = MTS_OK;
    window_options windows;
    if (p == NULL)
        return MTS_ERR_ARGUMENT;
    text_answers_deinit(&p->answers);
    MTS_TRY(predictor_check_call(p, "mts_predictor_answer",
                                 questions != NULL && paragraphs != NULL && n >= 0,
                                 PREDICTOR_ANSWERS));
    if (n == 0)
        return MTS_OK;
    windows = (window_options){.tokenizer = p->inner->tokenizer,
                               .max_length = p->inner->max_seq_length,
                               .overlap = p->overlap,
                               .threads = p->inner->threads};
    MTS_TRY(text_answers_encode(p->inner->ctx, &p->answers, questions, paragraphs, n, &windows));
    MTS_TRY(predictor_run_rows(p->inner, &p->answers.rows, p->answers.logits));
    MTS_TRY(text_answers_find(p->inner->ctx, &p->answers, paragraphs, &p->rules));
cleanup:
    if (st != MTS_OK)
        text_answers_deinit(&p->answers);
    return st;
}

const mts_answer *mts_predictor_answer_at(const mts_predictor *p, int64_t index)
{
    return index >= 0 && index < p->answers.n ? &p->answers.answers[index] : NULL;
}

struct mts_test_rows {
    test_rows *inner;
};

/* Tells the callbacks one line. */
static void note(void *user, const char *text)
{
    const mts_callbacks *callbacks = user;
    const mts_event event = {.kind = MTS_EVENT_NOTE, .text = text};
    if (callbacks != NULL && callbacks->on_event != NULL)
        callbacks->on_event(callbacks->user, &event);
}

mts_status mts_test_rows_open(mts_ctx *ctx, const mts_options *options,
                              const mts_callbacks *callbacks, mts_test_rows **out)
{
    mts_status st = MTS_OK;
    mts_options own;
    mts_test_rows *rows = NULL;
    model_config cfg = {0};
    mts_callbacks heard = {0};
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_test_rows_open: out must be given");
    *out = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_test_rows(ctx, &own));
    MTS_TRY(mem_calloc(ctx, &rows, 1, sizeof *rows, "test rows"));
    if (own.model_name_or_path != NULL)
        MTS_TRY(adapter_folder_load_config(ctx, own.model_name_or_path, own.adapter_name_or_path,
                                           &cfg));
    if (callbacks != NULL)
        heard = *callbacks;
    MTS_TRY(test_rows_open(ctx, &own, cfg.json == NULL ? NULL : head_class_of_config(&cfg)->name,
                           json_object_get(cfg.json, SETTINGS_KEY), note, &heard, &rows->inner));
    *out = rows;
    rows = NULL;
cleanup:
    model_config_deinit(&cfg);
    mts_test_rows_close(rows);
    return st;
}

void mts_test_rows_close(mts_test_rows *rows)
{
    if (rows == NULL)
        return;
    test_rows_close(rows->inner);
    mem_free(rows);
}

int64_t mts_test_rows_count(const mts_test_rows *rows)
{
    return rows->inner->n;
}

const char *const *mts_test_rows_text_a(const mts_test_rows *rows)
{
    return rows->inner->text_a;
}

const char *const *mts_test_rows_text_b(const mts_test_rows *rows)
{
    return rows->inner->text_b;
}

const char *const *mts_test_rows_ids(const mts_test_rows *rows)
{
    return rows->inner->ids;
}
