/* Number formats of a network, watched.  See network_formats.h. */
#include "network/network_formats.h"

#include <math.h>

#include "base/json_util.h"

/* Digits behind the point: shares, and bits or decibels.  Enough to read, and the last bits of
 * log10, which differ between C libraries, are not among them. */
#define SHARE_UNIT 1e9
#define OTHER_UNIT 1e4

static const char *const names[WATCHED_MATRICES] = {
    [WATCHED_INPUT] = "input",
    [WATCHED_OUTLIERS] = "input_outliers",
    [WATCHED_WEIGHT] = "weight",
    [WATCHED_GRADIENT_INPUT] = "gradient_input",
    [WATCHED_GRADIENT_WEIGHT] = "gradient_weight",
};

void network_watch_formats(network *net, bool on)
{
    if (on && net->watch != NULL)
        format_watch_clear(net->watch);
    net->ex.watch = on ? net->watch : NULL;
}

/* x to a multiple of 1 / unit; NaN: null. */
static json_t *rounded(double x, double unit)
{
    return isnan(x) ? json_null() : json_real(round(x * unit) / unit);
}

/* {"saturated": ..., ...} of a matrix, as parent[name]. */
static mts_status put_matrix(mts_ctx *ctx, const layer_watch *layer, watched_matrix which,
                             json_t *parent)
{
    mts_status st = MTS_OK;
    const format_quality q = format_quality_of(&layer->record[which].total);
    json_t *object = json_object();
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: formats");
    MTS_TRY(json_util_set(ctx, object, "saturated", rounded(q.saturated, SHARE_UNIT)));
    MTS_TRY(json_util_set(ctx, object, "zero", rounded(q.zero, SHARE_UNIT)));
    MTS_TRY(json_util_set(ctx, object, "effective_bits", rounded(q.effective_bits, OTHER_UNIT)));
    MTS_TRY(json_util_set(ctx, object, "snr_db", rounded(q.snr_db, OTHER_UNIT)));
    if (which == WATCHED_INPUT && layer->outliers != NULL)
        MTS_TRY(json_util_set(ctx, object, "outliers", json_integer(layer->outlier_count)));
    MTS_TRY(json_util_set(ctx, parent, names[which], json_incref(object)));
cleanup:
    json_decref(object);
    return st;
}

static mts_status put_layer(mts_ctx *ctx, const layer_watch *layer, json_t *parent)
{
    mts_status st = MTS_OK;
    json_t *object = json_object();
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: formats");
    for (int k = 0; k < WATCHED_MATRICES; k++)
        if (layer->record[k].total.elements > 0)
            MTS_TRY(put_matrix(ctx, layer, (watched_matrix)k, object));
    MTS_TRY(json_util_set(ctx, parent, layer->name, json_incref(object)));
cleanup:
    json_decref(object);
    return st;
}

mts_status network_describe_formats(mts_ctx *ctx, const network *net, json_t **out)
{
    mts_status st = MTS_OK;
    json_t *object = json_object();
    const layer_watch *first = net->watch == NULL ? NULL : net->watch->first;
    *out = NULL;
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: formats");
    for (const layer_watch *l = first; l != NULL; l = l->next)
        MTS_TRY(put_layer(ctx, l, object));
    *out = json_incref(object);
cleanup:
    json_decref(object);
    return st;
}
