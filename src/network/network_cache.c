/* A text that grows.  See network_cache.h. */
#include "network/network_cache.h"

#include <assert.h>

bool network_generates(const network *net)
{
    return net->body->class->cache_shape != NULL && net->head->class->logits != NULL;
}

/* Hidden states of the tokens of in, and the logits behind the last of them, unless NULL. */
static void forward(network *net, exec *ex, arena *kept, const model_input *in, bool last,
                    float *logits)
{
    const int64_t w = net->cfg.hidden_size;
    const size_t mark = exec_mark(ex);
    kept->used = 0;
    net->body->class->bind_batch(net->body, ex, in, kept);
    net->head->class->bind_batch(net->head, ex, in, kept);
    float *h = exec_take(ex, in->seq.tokens * w, sizeof(float));
    net->body->class->forward(net->body, ex, in, h);
    if (last)
        net->head->class->logits(net->head, ex, h + (in->seq.tokens - 1) * w, logits);
    exec_release(ex, mark);
}

size_t network_cache_measure(network *net, exec *dry)
{
    const int64_t tokens = net->options.limits.cache_tokens;
    const int64_t n = tokens < NETWORK_CACHE_PIECE ? tokens : NETWORK_CACHE_PIECE;
    attention_cache cache = {0};
    const model_input in = {.seq = {1, n, n, NULL}, .cache = &cache};
    arena kept;
    net->body->class->cache_shape(net->body, &cache);
    cache.room = tokens;
    cache.used = tokens - n;
    arena_measure(&kept);
    dry->training = false;
    dry->weight_version++; /* weights are packed in this batch, too */
    forward(net, dry, &kept, &in, true, NULL);
    return kept.peak;
}

/* An arena of at least so many bytes; its content is lost. */
static mts_status widen(mts_ctx *ctx, arena *a, size_t bytes, const char *what)
{
    if (bytes <= a->bytes)
        return MTS_OK;
    arena_deinit(a);
    return arena_init(ctx, a, bytes, what);
}

mts_status network_cache_reserve(mts_ctx *ctx, network *net, int64_t tokens)
{
    mts_status st = MTS_OK;
    network_options options = net->options;
    network_plan plan;
    MTS_CHECK(network_generates(net), MTS_ERR_UNSUPPORTED,
              "a model of type \"%s\" does not generate text here", model_config_type(&net->cfg));
    if (net->cache.numbers != NULL && tokens <= net->cache.room)
        return MTS_OK;
    if (net->cache.numbers == NULL)
        net->body->class->cache_shape(net->body, &net->cache);
    options.limits.cache_tokens = tokens;
    MTS_TRY(network_plan_make(ctx, &net->cfg, &options, NULL, &plan));
    MTS_TRY(widen(ctx, &net->kept, plan.activations, "activations"));
    MTS_TRY(widen(ctx, &net->ex.scratch, plan.scratch, "scratch"));
    MTS_TRY(attention_cache_grow(ctx, &net->cache, tokens));
    net->options.limits.cache_tokens = tokens;
cleanup:
    if (st != MTS_OK) /* an arena may be gone: nobody goes on with the others */
        attention_cache_deinit(&net->cache);
    return st;
}

void network_cache_cut(network *net, int64_t tokens)
{
    if (tokens < net->cache.used)
        net->cache.used = tokens;
}

mts_status network_extend(mts_ctx *ctx, network *net, const int32_t *ids, int64_t n, float *logits)
{
    mts_status st = MTS_OK;
    static const int32_t types[NETWORK_CACHE_PIECE]; /* all 0 */
    int32_t positions[NETWORK_CACHE_PIECE];
    assert(net->cache.used + n <= net->cache.room);
    net->ex.training = false;
    for (int64_t first = 0; first < n; first += NETWORK_CACHE_PIECE) {
        const int64_t rest = n - first;
        const int64_t count = rest < NETWORK_CACHE_PIECE ? rest : NETWORK_CACHE_PIECE;
        const int64_t offset[2] = {0, count};
        const model_input in = {.seq = {1, count, count, offset},
                                .ids = ids + first,
                                .type_ids = types,
                                .positions = positions,
                                .cache = &net->cache};
        for (int64_t i = 0; i < count; i++)
            positions[i] = (int32_t)(net->cache.used + i);
        forward(net, &net->ex, &net->kept, &in, count == rest && logits != NULL, logits);
        net->cache.used += count;
        MTS_TRY(network_check(ctx, net));
    }
cleanup:
    return st;
}
