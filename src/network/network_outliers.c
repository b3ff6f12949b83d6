/* Outlier features of a network.  See network_outliers.h. */
#include "network/network_outliers.h"

#include <jansson.h>

#include "base/json_util.h"
#include "tensor/outliers.h"

static const char lists_key[] = MODEL_CONFIG_OUTLIERS;

bool network_has_outliers(const network *net)
{
    return net->ex.outliers != NULL;
}

void network_watch_outliers(network *net, bool on)
{
    net->ex.watch_outliers = on;
}

void network_find_outliers(network *net)
{
    for (outlier_list *list = net->ex.outliers; list != NULL; list = list->next)
        outlier_list_find(list, net->ex.format.outlier_threshold);
}

void network_forget_watched(network *net)
{
    for (outlier_list *list = net->ex.outliers; list != NULL; list = list->next)
        outlier_list_forget(list);
}

outlier_totals network_outlier_totals(const network *net)
{
    outlier_totals t = {0};
    for (const outlier_list *list = net->ex.outliers; list != NULL; list = list->next) {
        t.inputs++;
        t.features += list->cols;
        t.with_outliers += list->count > 0;
        t.outliers += list->count;
        if (list->count > t.most) {
            t.most = list->count;
            t.most_name = list->name;
        }
        if (list->found > list->count && t.cut++ == 0) {
            t.cut_name = list->name;
            t.cut_found = list->found;
            t.cut_kept = list->count;
        }
    }
    return t;
}

/* ----------------------------------------------------------------------------- in a folder --- */

static mts_status put_list(mts_ctx *ctx, const outlier_list *list, json_t *object)
{
    mts_status st = MTS_OK;
    json_t *array = json_array();
    MTS_CHECK(array != NULL, MTS_ERR_MEMORY, "out of memory: %s", lists_key);
    for (int64_t i = 0; i < list->count; i++)
        MTS_CHECK(json_array_append_new(array, json_integer(list->feature[i])) == 0, MTS_ERR_MEMORY,
                  "out of memory: %s", lists_key);
    MTS_TRY(json_util_set(ctx, object, list->name, json_incref(array)));
cleanup:
    json_decref(array);
    return st;
}

mts_status network_store_outliers(mts_ctx *ctx, network *net)
{
    mts_status st = MTS_OK;
    json_t *settings = json_object_get(net->cfg.json, MODEL_CONFIG_SETTINGS);
    json_t *lists = NULL;
    if (settings == NULL)
        return MTS_OK;
    json_object_del(settings, lists_key);
    if (!network_has_outliers(net))
        return MTS_OK;
    lists = json_object();
    MTS_CHECK(lists != NULL, MTS_ERR_MEMORY, "out of memory: %s", lists_key);
    for (const outlier_list *list = net->ex.outliers; list != NULL; list = list->next)
        MTS_TRY(put_list(ctx, list, lists));
    MTS_TRY(json_util_set(ctx, settings, lists_key, json_incref(lists)));
cleanup:
    json_decref(lists);
    return st;
}

/* The list of one input from its array, whose numbers must rise. */
static mts_status take_list(mts_ctx *ctx, const char *file, outlier_list *list, const json_t *array)
{
    mts_status st = MTS_OK;
    const size_t count = json_array_size(array);
    int32_t *feature = NULL;
    json_int_t last = -1;
    MTS_CHECK(json_is_array(array), MTS_ERR_BAD_FILE,
              "%s: mantissa.%s: expected an array of %s, found %s", file, lists_key, list->name,
              json_util_type_name(array));
    MTS_CHECK(count <= (size_t)list->capacity, MTS_ERR_BAD_FILE,
              "%s: mantissa.%s.%s: expected at most %lld features, found %zu", file, lists_key,
              list->name, (long long)list->capacity, count);
    MTS_TRY(mem_calloc(ctx, &feature, count + 1, sizeof *feature, "outlier features"));
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(array, i);
        const json_int_t k = json_is_integer(item) ? json_integer_value(item) : -1;
        MTS_CHECK(k > last && k < list->cols, MTS_ERR_BAD_FILE,
                  "%s: mantissa.%s.%s: expected rising numbers from 0 to %lld", file, lists_key,
                  list->name, (long long)list->cols - 1);
        feature[i] = (int32_t)k;
        last = k;
    }
    outlier_list_set(list, feature, (int64_t)count);
    list->found = list->count;
cleanup:
    mem_free(feature);
    return st;
}

mts_status network_take_outliers(mts_ctx *ctx, network *net, const json_t *config, const char *file,
                                 bool *found)
{
    mts_status st = MTS_OK;
    const json_t *settings = json_object_get(config, MODEL_CONFIG_SETTINGS);
    const json_t *lists = json_object_get(settings, lists_key);
    *found = false;
    if (lists == NULL || !network_has_outliers(net))
        return MTS_OK;
    MTS_CHECK(json_is_object(lists), MTS_ERR_BAD_FILE,
              "%s: mantissa.%s: expected an object, found %s", file, lists_key,
              json_util_type_name(lists));
    for (outlier_list *list = net->ex.outliers; list != NULL; list = list->next)
        MTS_TRY(take_list(ctx, file, list, json_object_get(lists, list->name)));
    *found = true;
cleanup:
    return st;
}
