/* Lists of outlier features of a run.  See outlier_lists.h. */
#include "train/outlier_lists.h"

#include <jansson.h>
#include <stdio.h>

#include "base/file.h"
#include "base/json_util.h"
#include "data/sampler.h"
#include "network/network_io.h"
#include "network/network_outliers.h"

/* A forward of the batch, for what the inputs are. */
static mts_status watch_batch(mts_ctx *ctx, network *net, const batch *b)
{
    mts_status st = MTS_OK;
    float *outputs = NULL;
    const model_input in = {
        .seq = {b->n, b->total_tokens, b->max_len, b->offsets},
        .ids = b->ids,
        .type_ids = b->type_ids,
        .positions = b->positions,
    };
    MTS_TRY(mem_calloc(ctx, &outputs, (size_t)network_outputs(net, &in), sizeof(float), "outputs"));
    (void)network_predict(net, &in, NULL, outputs);
    MTS_TRY(network_check(ctx, net));
cleanup:
    mem_free(outputs);
    return st;
}

static mts_status calibrate(mts_ctx *ctx, network *net, batch *b, const outlier_source *source)
{
    mts_status st = MTS_OK;
    sampler order = {0};
    int64_t batches;
    network_watch_outliers(net, true);
    network_forget_watched(net);
    MTS_TRY(
        sampler_init(ctx, &order, source->rows, SAMPLER_RANDOM, source->batch_size, source->seed));
    batches = sampler_batch_count(&order);
    for (int64_t i = 0; i < batches && i < OUTLIER_CALIBRATION_BATCHES; i++) {
        int64_t n;
        const int64_t *rows = sampler_batch(&order, i, &n);
        batch_fill(b, source->rows, rows, n);
        MTS_TRY(watch_batch(ctx, net, b));
        network_find_outliers(net);
    }
    network_forget_watched(net);
cleanup:
    network_watch_outliers(net, false);
    sampler_deinit(&order);
    return st;
}

/* *found: an adapter's folder has lists, which are taken.  (PEFT's own has no such file.) */
static mts_status take_of_adapter(mts_ctx *ctx, network *net, const char *dir, bool *found)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *config = NULL;
    MTS_TRY(path_join(ctx, &file, dir, NETWORK_ADAPTER_CONFIG));
    if (file_exists(file)) {
        MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &config));
        MTS_TRY(network_take_outliers(ctx, net, config, file, found));
    }
cleanup:
    json_decref(config);
    mem_free(file);
    return st;
}

mts_status outlier_lists_take(mts_ctx *ctx, network *net, const char *dir, const char *adapter_dir,
                              bool *found)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    *found = false;
    if (!network_has_outliers(net))
        return MTS_OK;
    if (adapter_dir != NULL)
        MTS_TRY(take_of_adapter(ctx, net, adapter_dir, found));
    if (!*found) {
        MTS_TRY(path_join(ctx, &file, dir, "config.json"));
        MTS_TRY(network_take_outliers(ctx, net, net->cfg.json, file, found));
    }
cleanup:
    mem_free(file);
    return st;
}

mts_status outlier_lists_prepare(mts_ctx *ctx, network *net, batch *b, const outlier_source *source,
                                 bool *calibrated)
{
    mts_status st = MTS_OK;
    bool found = false;
    *calibrated = false;
    if (!network_has_outliers(net))
        return MTS_OK;
    if (source->keep)
        MTS_TRY(outlier_lists_take(ctx, net, source->dir, source->adapter_dir, &found));
    if (!found) {
        MTS_TRY(calibrate(ctx, net, b, source));
        *calibrated = true;
    }
cleanup:
    return st;
}

mts_status outlier_lists_load(mts_ctx *ctx, network *net, const char *dir)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *config = NULL;
    bool found = false;
    if (!network_has_outliers(net))
        return MTS_OK;
    MTS_TRY(path_join(ctx, &file, dir, network_config_name(net)));
    MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &config));
    MTS_TRY(network_take_outliers(ctx, net, config, file, &found));
    MTS_CHECK(found, MTS_ERR_BAD_FILE, "%s: expected mantissa.%s", file, MODEL_CONFIG_OUTLIERS);
cleanup:
    json_decref(config);
    mem_free(file);
    return st;
}

void outlier_lists_describe(const network *net, char *text, size_t bytes)
{
    const outlier_totals t = network_outlier_totals(net);
    int n = snprintf(text, bytes, "outliers: %lld of %lld features, in %lld of %lld inputs",
                     (long long)t.outliers, (long long)t.features, (long long)t.with_outliers,
                     (long long)t.inputs);
    if (t.most > 0 && n > 0 && (size_t)n < bytes)
        n += snprintf(text + n, bytes - (size_t)n, "; the most, %lld, in that of %s",
                      (long long)t.most, t.most_name);
    if (t.cut > 0 && n > 0 && (size_t)n < bytes)
        snprintf(text + n, bytes - (size_t)n,
                 "; %lld input%s had more than there is room for, the first, of %s, %lld: the "
                 "largest %lld are kept",
                 (long long)t.cut, t.cut == 1 ? "" : "s", t.cut_name, (long long)t.cut_found,
                 (long long)t.cut_kept);
}
