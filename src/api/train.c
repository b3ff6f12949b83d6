/*
 * mts_train, mts_eval of the public header.
 *
 * Path: cli/cmd_train.c -> mts_train -> train_run.
 */
#include "train/train.h"

#include "api/output_check.h"
#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "options/options.h"
#include "train/rank_plot.h"

/* Hand the metrics to the caller as text. */
static mts_status give_metrics(mts_ctx *ctx, const json_t *results, char **text)
{
    if (text == NULL || results == NULL)
        return MTS_OK;
    return json_util_dump(ctx, results, 0, false, text);
}

mts_status mts_train(mts_ctx *ctx, const mts_options *options, const mts_callbacks *callbacks,
                     char **metrics_json)
{
    mts_status st = MTS_OK;
    mts_options own;
    json_t *results = NULL;
    if (metrics_json != NULL)
        *metrics_json = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_train(ctx, &own));
    MTS_TRY(train_run(ctx, &own, callbacks, options_wants_final_eval(&own), &results));
    MTS_TRY(give_metrics(ctx, results, metrics_json));
cleanup:
    json_decref(results);
    return st;
}

/* The files that an evaluation writes into output_dir are not its data. */
static mts_status check_eval_files(mts_ctx *ctx, const mts_options *options)
{
    static const char *const names[] = {"eval_results.json",
                                        "all_results.json",
                                        "eval_predictions.json",
                                        "eval_nbest_predictions.json",
                                        "eval_null_odds.json",
                                        RANK_PLOT_FILE,
                                        NULL};
    mts_status st = MTS_OK;
    char *path = NULL;
    for (int i = 0; options->output_dir != NULL && names[i] != NULL; i++) {
        mem_free(path);
        path = NULL;
        MTS_TRY(path_join(ctx, &path, options->output_dir, names[i]));
        MTS_TRY(output_check_data(ctx, options, path));
    }
cleanup:
    mem_free(path);
    return st;
}

mts_status mts_eval(mts_ctx *ctx, const mts_options *options, const mts_callbacks *callbacks,
                    char **metrics_json)
{
    mts_status st = MTS_OK;
    mts_options own;
    json_t *results = NULL;
    if (metrics_json != NULL)
        *metrics_json = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_eval(ctx, &own));
    MTS_TRY(check_eval_files(ctx, &own));
    MTS_TRY(eval_run(ctx, &own, callbacks, &results));
    MTS_TRY(give_metrics(ctx, results, metrics_json));
cleanup:
    json_decref(results);
    return st;
}
