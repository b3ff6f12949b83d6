/* Text generation.  See generate.h. */
#include "train/generate.h"

#include <string.h>

#include "base/file.h"
#include "base/json_util.h"

/* --------------------------------------------------------------------------- stop tokens ----- */

static mts_status add_stop(mts_ctx *ctx, stop_tokens *stops, const char *file, const json_t *id,
                           int64_t vocabulary)
{
    mts_status st = MTS_OK;
    MTS_CHECK(json_is_integer(id), MTS_ERR_BAD_FILE,
              "%s: eos_token_id: expected an integer or a list of integers, found %s", file,
              json_util_type_name(id));
    MTS_CHECK(json_integer_value(id) >= 0 && json_integer_value(id) < vocabulary, MTS_ERR_BAD_FILE,
              "%s: eos_token_id: expected 0 to %lld, found %lld", file, (long long)vocabulary - 1,
              (long long)json_integer_value(id));
    stops->ids[stops->count++] = (int32_t)json_integer_value(id);
cleanup:
    return st;
}

/* Of an object; *found: it has some. */
static mts_status take_stops(mts_ctx *ctx, stop_tokens *stops, const char *file, const json_t *json,
                             int64_t vocabulary, bool *found)
{
    mts_status st = MTS_OK;
    const json_t *end = json_object_get(json, "eos_token_id");
    const size_t n = json_is_array(end) ? json_array_size(end) : 1;
    *found = end != NULL && !json_is_null(end);
    if (!*found)
        return MTS_OK;
    MTS_TRY(mem_calloc(ctx, &stops->ids, n, sizeof stops->ids[0], "stop tokens"));
    for (size_t i = 0; i < n; i++)
        MTS_TRY(add_stop(ctx, stops, file, json_is_array(end) ? json_array_get(end, i) : end,
                         vocabulary));
cleanup:
    return st;
}

mts_status stop_tokens_read(mts_ctx *ctx, stop_tokens *stops, const char *dir,
                            const model_config *cfg)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    json_t *json = NULL;
    bool found = false;
    *stops = (stop_tokens){0};
    MTS_TRY(path_join(ctx, &path, dir, "generation_config.json"));
    if (file_exists(path)) {
        MTS_TRY(json_util_load_wide(ctx, path, JSON_UTIL_CONFIG_BYTES, &json));
        MTS_TRY(take_stops(ctx, stops, path, json, cfg->vocab_size, &found));
    }
    if (!found)
        MTS_TRY(take_stops(ctx, stops, "config.json", cfg->json, cfg->vocab_size, &found));
cleanup:
    json_decref(json);
    mem_free(path);
    return st;
}

void stop_tokens_deinit(stop_tokens *stops)
{
    mem_free(stops->ids);
    *stops = (stop_tokens){0};
}

static bool is_stop(const stop_tokens *stops, int32_t id)
{
    for (int64_t i = 0; i < stops->count; i++)
        if (stops->ids[i] == id)
            return true;
    return false;
}

/* -------------------------------------------------------------------------------- tokens ----- */

mts_status generation_init(mts_ctx *ctx, generation *g, const int32_t *ids, int64_t n, int64_t more)
{
    mts_status st = MTS_OK;
    *g = (generation){.prompt = n, .count = n};
    MTS_TRY(mem_calloc(ctx, &g->ids, (size_t)(n + more), sizeof g->ids[0], "a text"));
    memcpy(g->ids, ids, (size_t)n * sizeof g->ids[0]);
cleanup:
    return st;
}

void generation_deinit(generation *g)
{
    mem_free(g->ids);
    *g = (generation){0};
}

/* Room for the text at its longest.  Growing costs a copy: longer texts come soon. */
static mts_status reserve(mts_ctx *ctx, network *net, int64_t tokens, int64_t positions)
{
    const int64_t doubled = 2 * net->cache.room;
    if (tokens <= net->cache.room)
        return network_cache_reserve(ctx, net, tokens);
    tokens = tokens < doubled ? doubled : tokens;
    return network_cache_reserve(ctx, net, tokens < positions ? tokens : positions);
}

static mts_status add_token(mts_ctx *ctx, const generate_job *job, generation *g, float *logits,
                            bool *go_on)
{
    mts_status st = MTS_OK;
    const int64_t kept = job->net->cache.used;
    MTS_TRY(network_extend(ctx, job->net, g->ids + kept, g->count - kept, logits));
    g->ids[g->count] = token_sampler_next(job->sampler, logits, g->ids, g->count, job->text);
    g->stopped = is_stop(job->stops, g->ids[g->count]);
    g->count++;
    *go_on = !g->stopped;
    if (job->on_token != NULL)
        MTS_TRY(job->on_token(job->user, g, go_on));
cleanup:
    return st;
}

mts_status generate_tokens(mts_ctx *ctx, const generate_job *job, generation *g)
{
    mts_status st = MTS_OK;
    network *net = job->net;
    const int64_t positions = net->cfg.max_position_embeddings;
    int64_t end = g->prompt + job->max_new_tokens;
    float *logits = NULL;
    bool go_on = true;
    MTS_CHECK(g->prompt < positions, MTS_ERR_ARGUMENT,
              "the prompt has %lld tokens: expected fewer than the model has positions, %lld",
              (long long)g->prompt, (long long)positions);
    end = end < positions ? end : positions;
    MTS_TRY(mem_calloc(ctx, &logits, (size_t)net->cfg.vocab_size, sizeof *logits, "logits"));
    MTS_TRY(reserve(ctx, net, end, positions));
    network_cache_cut(net, job->kept < g->prompt ? job->kept : g->prompt - 1);
    while (g->count < end && go_on)
        MTS_TRY(add_token(ctx, job, g, logits, &go_on));
cleanup:
    mem_free(logits);
    return st;
}
