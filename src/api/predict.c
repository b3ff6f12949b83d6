/*
 * mts_predictor_* and mts_test_rows_* of the public header over train/predictor, train/test_rows.
 *
 * Path: cli/cmd_predict.c -> mts_predictor_run -> predictor_run.
 */
#include "train/predictor.h"

#include "options/options.h"
#include "train/test_rows.h"

struct mts_predictor {
    predictor *inner;
};

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
    return p->inner->model->cfg.num_labels;
}

const char *mts_predictor_label(const mts_predictor *p, int64_t index)
{
    const model_config *cfg = &p->inner->model->cfg;
    return index >= 0 && index < cfg->num_labels ? cfg->labels[index] : NULL;
}

bool mts_predictor_is_regression(const mts_predictor *p)
{
    return model_config_is_regression(&p->inner->model->cfg);
}

bool mts_predictor_is_multi_label(const mts_predictor *p)
{
    const model_config *cfg = &p->inner->model->cfg;
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

mts_status mts_test_rows_open(mts_ctx *ctx, const mts_options *options,
                              const mts_callbacks *callbacks, mts_test_rows **out)
{
    mts_status st = MTS_OK;
    mts_options own;
    mts_test_rows *rows = NULL;
    MTS_CHECK(out != NULL, MTS_ERR_ARGUMENT, "mts_test_rows_open: out must be given");
    *out = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_test_rows(ctx, &own));
    MTS_TRY(mem_calloc(ctx, &rows, 1, sizeof *rows, "test rows"));
    MTS_TRY(test_rows_open(ctx, &own, callbacks, &rows->inner));
    *out = rows;
    rows = NULL;
cleanup:
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
