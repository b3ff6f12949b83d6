/* Layers with a window of attention.  See decoder_window.h. */
#include "models/decoder_window.h"

#include <string.h>

#include "base/json_util.h"

enum { WINDOW_DEFAULT = 4096, POSITIONS_MAX = 1 << 30 };

/* *window: 0 where it is null. */
static mts_status read_window(mts_ctx *ctx, const char *file, const json_t *json, int64_t least,
                              int64_t *window)
{
    if (json_is_null(json_object_get(json, "sliding_window")))
        *window = 0;
    return json_util_int(ctx, file, json, "sliding_window", least, POSITIONS_MAX, window);
}

static mts_status count_layers(mts_ctx *ctx, const char *file, const json_t *json, int64_t *layers)
{
    *layers = 0;
    return json_util_int(ctx, file, json, "num_hidden_layers", 1, DECODER_LAYERS_MAX, layers);
}

mts_status decoder_window_types(mts_ctx *ctx, const char *file, const json_t *json, bool *windowed,
                                bool *given)
{
    mts_status st = MTS_OK;
    const json_t *list = json_object_get(json, "layer_types");
    int64_t layers;
    *given = list != NULL && !json_is_null(list);
    MTS_TRY(count_layers(ctx, file, json, &layers));
    if (!*given)
        return MTS_OK;
    MTS_CHECK(json_is_array(list) && (int64_t)json_array_size(list) == layers, MTS_ERR_BAD_FILE,
              "%s: layer_types: expected an array of %lld, one for each layer, found %s", file,
              (long long)layers,
              json_is_array(list) ? "another length" : json_util_type_name(list));
    for (int64_t l = 0; l < layers; l++) {
        const json_t *item = json_array_get(list, (size_t)l);
        const char *type = json_is_string(item) ? json_string_value(item) : "";
        windowed[l] = strcmp(type, "sliding_attention") == 0;
        MTS_CHECK(windowed[l] || strcmp(type, "full_attention") == 0, MTS_ERR_UNSUPPORTED,
                  "%s: layer_types: expected full_attention or sliding_attention, found \"%.40s\"",
                  file, type);
    }
cleanup:
    return st;
}

/* A window must have a width where a layer has one. */
static mts_status check_width(mts_ctx *ctx, const char *file, const decoder_config *c)
{
    mts_status st = MTS_OK;
    for (int64_t l = 0; l < DECODER_LAYERS_MAX; l++)
        MTS_CHECK(
            !c->windowed[l] || c->window > 0, MTS_ERR_BAD_FILE,
            "%s: sliding_window: expected a number for layers of sliding_attention, found none",
            file);
cleanup:
    return st;
}

mts_status decoder_window_none(mts_ctx *ctx, const char *file, const json_t *json)
{
    mts_status st = MTS_OK;
    decoder_config c = {.window = 0};
    bool given;
    int64_t positions = 2048;
    MTS_TRY(
        json_util_int(ctx, file, json, "max_position_embeddings", 1, POSITIONS_MAX, &positions));
    MTS_TRY(read_window(ctx, file, json, 0, &c.window));
    MTS_CHECK(c.window == 0 || c.window >= positions, MTS_ERR_UNSUPPORTED,
              "%s: sliding_window: a model of this type has no windows of attention, found %lld of "
              "%lld positions",
              file, (long long)c.window, (long long)positions);
    MTS_TRY(decoder_window_types(ctx, file, json, c.windowed, &given));
    for (int64_t l = 0; l < DECODER_LAYERS_MAX; l++)
        MTS_CHECK(!c.windowed[l], MTS_ERR_UNSUPPORTED,
                  "%s: layer_types: a model of this type has no windows of attention", file);
cleanup:
    return st;
}

mts_status decoder_window_everywhere(mts_ctx *ctx, const char *file, const json_t *json,
                                     decoder_config *out)
{
    mts_status st = MTS_OK;
    out->window = WINDOW_DEFAULT;
    MTS_TRY(read_window(ctx, file, json, 1, &out->window));
    for (int64_t l = 0; l < DECODER_LAYERS_MAX; l++)
        out->windowed[l] = out->window > 0;
cleanup:
    return st;
}

mts_status decoder_window_of_last_layers(mts_ctx *ctx, const char *file, const json_t *json,
                                         decoder_config *out)
{
    mts_status st = MTS_OK;
    bool use = false, given;
    int64_t first = 28, layers;
    out->window = WINDOW_DEFAULT;
    MTS_TRY(count_layers(ctx, file, json, &layers));
    MTS_TRY(json_util_bool(ctx, file, json, "use_sliding_window", &use));
    MTS_TRY(read_window(ctx, file, json, 1, &out->window));
    MTS_TRY(json_util_int(ctx, file, json, "max_window_layers", 0, POSITIONS_MAX, &first));
    if (!use)
        out->window = 0;
    MTS_TRY(decoder_window_types(ctx, file, json, out->windowed, &given));
    for (int64_t l = first; l < layers && !given; l++)
        out->windowed[l] = out->window > 0;
    MTS_TRY(check_width(ctx, file, out));
cleanup:
    return st;
}

mts_status decoder_window_by_pattern(mts_ctx *ctx, const char *file, const json_t *json,
                                     decoder_config *out)
{
    mts_status st = MTS_OK;
    bool given;
    int64_t pattern = 6, layers;
    out->window = WINDOW_DEFAULT;
    MTS_TRY(count_layers(ctx, file, json, &layers));
    MTS_TRY(read_window(ctx, file, json, 1, &out->window));
    MTS_TRY(json_util_int(ctx, file, json, "sliding_window_pattern", 1, POSITIONS_MAX, &pattern));
    MTS_TRY(decoder_window_types(ctx, file, json, out->windowed, &given));
    for (int64_t l = 0; l < layers && !given; l++)
        out->windowed[l] = (l + 1) % pattern != 0;
    MTS_TRY(check_width(ctx, file, out));
cleanup:
    return st;
}
