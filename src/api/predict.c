/*
 * mts_predictor_* and mts_test_rows_* of the public header over train/predictor, tasks/test_rows.
 *
 * Path: cli/cmd_predict.c -> mts_predictor_run -> predictor_run.
 */
#include "train/predictor.h"

#include "options/options.h"
#include "tasks/test_rows.h"
#include "train/settings.h"

struct mts_predictor {
    predictor *inner;
};

mts_status mts_predictor_open(mts_ctx *ctx, const mts_options *options, mts_predictor **out)
{
    mts_status st = MTS_OK;
    mts_predictor *p = NULL;
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_predictor_open: out must be given");
    *out = NULL;
    MTS_TRY(options_check_predict(ctx, options));
    MTS_TRY(mem_calloc(ctx, &p, 1, sizeof *p, "predictor"));
    MTS_TRY(predictor_open(ctx, options, &p->inner));
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

int64_t mts_predictor_cut_rows(const mts_predictor *p)
{
    return p->inner->cut_rows;
}

mts_status mts_predictor_run(mts_predictor *p, const char *const *text_a, const char *const *text_b,
                             int64_t n, float *logits)
{
    if (p == NULL || text_a == NULL || logits == NULL || n < 0)
        return p == NULL ? MTS_ERR_ARGUMENT
                         : status_set(p->inner->ctx, MTS_ERR_ARGUMENT,
                                      "mts_predictor_run: texts and logits must be given");
    return predictor_run(p->inner, text_a, text_b, n, logits);
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
    mts_test_rows *rows = NULL;
    model_config cfg = {0};
    mts_callbacks heard = {0};
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_test_rows_open: out must be given");
    *out = NULL;
    MTS_TRY(options_check_test_rows(ctx, options));
    MTS_TRY(mem_calloc(ctx, &rows, 1, sizeof *rows, "test rows"));
    if (options->model_name_or_path != NULL)
        MTS_TRY(model_config_load(ctx, options->model_name_or_path, &cfg));
    if (callbacks != NULL)
        heard = *callbacks;
    MTS_TRY(test_rows_open(ctx, options, cfg.json == NULL ? NULL : head_class_of_config(&cfg)->name,
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
