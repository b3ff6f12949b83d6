/* A language model that generates text.  See generator.h. */
#include "train/generator.h"

#include <string.h>

#include "network/network_io.h"
#include "network/network_outliers.h"
#include "train/adapter_folder.h"
#include "train/model_tokenizer.h"
#include "train/outlier_lists.h"
#include "train/run_network.h"
#include "train/settings.h"

/* ----------------------------------------------------------------------------- opening ------- */

/* The adapter that is used, if one is. */
static mts_status open_adapter(generator *g, const mts_options *o)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = g->ctx;
    if (o->adapter_name_or_path == NULL)
        return MTS_OK;
    MTS_TRY(peft_config_load(ctx, o->adapter_name_or_path, &g->adapter));
    MTS_CHECK(o->rank <= g->adapter.rank, MTS_ERR_ARGUMENT,
              "option --rank: %s has %lld ranks, found %lld", o->adapter_name_or_path,
              (long long)g->adapter.rank, (long long)o->rank);
cleanup:
    return st;
}

static mts_status check_model(generator *g, const mts_options *o, const model_config *cfg)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = g->ctx;
    const model_class *class = model_class_of_config(cfg);
    MTS_CHECK(class != NULL && class->cache_shape != NULL, MTS_ERR_UNSUPPORTED,
              "%s: expected a language model, which generates text, found one of type \"%s\"",
              o->model_name_or_path, model_config_type(cfg));
    MTS_TRY(settings_check_vocabulary(ctx, g->tokenizer, cfg, o->model_name_or_path));
cleanup:
    return st;
}

static mts_status load_outliers(generator *g, const mts_options *o)
{
    bool found;
    const mts_status st =
        outlier_lists_take(g->ctx, g->net, o->model_name_or_path, o->adapter_name_or_path, &found);
    g->calibrate = network_has_outliers(g->net) && !found;
    return st;
}

static mts_status make_network(generator *g, const mts_options *o, model_config *cfg)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = g->ctx;
    const head_class *kind = head_class_usual(cfg);
    network_options options = {.head = kind,
                               .format = settings_format(o),
                               .threads = settings_threads(o),
                               .limits = {.cache_tokens = 1}};
    network_load_report report;
    run_network_adapter(o, &g->adapter, &options);
    MTS_TRY(network_check_weights(ctx, cfg, kind, o->model_name_or_path, HEAD_NEEDED));
    MTS_TRY(network_create(ctx, cfg, &options, &g->net));
    MTS_TRY(network_load(ctx, g->net, o->model_name_or_path, HEAD_NEEDED, &report));
    if (g->adapter.rank > 0)
        MTS_TRY(network_load_adapter(ctx, g->net, o->adapter_name_or_path, HEAD_NEEDED, NULL));
    network_use_ranks(g->net, o->rank, 0);
    MTS_TRY(load_outliers(g, o));
cleanup:
    return st;
}

mts_status generator_open(mts_ctx *ctx, const mts_options *given, generator **out)
{
    mts_status st = MTS_OK;
    generator *g = NULL;
    model_config cfg = {0};
    mts_options own = *given;
    const mts_options *o = &own;
    const sampling_rules rules = {.temperature = o->temperature,
                                  .top_k = o->top_k,
                                  .top_p = o->top_p,
                                  .repetition_penalty = o->repetition_penalty,
                                  .seed = (uint64_t)o->seed};
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &g, 1, sizeof *g, "generator"));
    g->ctx = ctx;
    g->max_new_tokens = o->max_new_tokens;
    MTS_TRY(adapter_folder_check_model(ctx, o->model_name_or_path));
    MTS_TRY(open_adapter(g, o));
    MTS_TRY(adapter_folder_load_config(ctx, o->model_name_or_path, o->adapter_name_or_path, &cfg));
    settings_complete(&own, &cfg);
    MTS_TRY(model_tokenizer_open(ctx, o->model_name_or_path, &g->tokenizer, NULL));
    if (o->chat_template_path != NULL)
        MTS_TRY(tokenizer_set_chat_template(ctx, g->tokenizer, o->chat_template_path, NULL));
    if (o->chat_template_date != NULL)
        MTS_TRY(tokenizer_set_chat_date(ctx, g->tokenizer, o->chat_template_date));
    MTS_TRY(check_model(g, o, &cfg));
    MTS_TRY(stop_tokens_read(ctx, &g->stops, o->model_name_or_path, &cfg));
    mem_trim();
    MTS_TRY(make_network(g, o, &cfg));
    MTS_TRY(token_sampler_init(ctx, &g->sampler, &rules, g->net->cfg.vocab_size, g->net->ex.fk));
    *out = g;
    g = NULL;
cleanup:
    model_config_deinit(&cfg);
    generator_close(g);
    return st;
}

void generator_close(generator *g)
{
    if (g == NULL)
        return;
    text_stream_deinit(&g->stream);
    generation_deinit(&g->last);
    token_sampler_deinit(&g->sampler);
    stop_tokens_deinit(&g->stops);
    network_destroy(g->net);
    peft_config_deinit(&g->adapter);
    tokenizer_close(g->tokenizer);
    mem_free(g);
}

/* ----------------------------------------------------------------------------- running ------- */

/* Who hears the pieces of the text that is made. */
typedef struct listener {
    generator *g;
    generator_piece *heard;
    void *user;
    bool left; /* it said stop */
} listener;

static mts_status tell(void *user, const generation *text, bool *go_on)
{
    mts_status st = MTS_OK;
    listener *l = user;
    const char *piece;
    size_t bytes;
    const int64_t n = text->count - (text->stopped ? 1 : 0);
    MTS_TRY(text_stream_next(l->g->ctx, &l->g->stream, text->ids, n, false, &piece, &bytes));
    l->left = l->heard != NULL && !l->heard(l->user, piece, bytes);
    *go_on = *go_on && !l->left;
cleanup:
    return st;
}

/* What was held back, and the whole of it. */
static mts_status finish(listener *l)
{
    mts_status st = MTS_OK;
    generator *g = l->g;
    const char *piece;
    size_t bytes;
    const int64_t n = g->last.count - (g->last.stopped ? 1 : 0);
    MTS_TRY(text_stream_next(g->ctx, &g->stream, g->last.ids, n, true, &piece, &bytes));
    if (l->heard != NULL && bytes > 0)
        l->left = !l->heard(l->user, piece, bytes) || l->left;
    g->text = g->stream.text + g->stream.begin;
    g->text_bytes = g->stream.given - g->stream.begin;
cleanup:
    return st;
}

/* How many leading tokens of ids[n] the cache holds. */
static int64_t count_kept(const generator *g, const int32_t *ids, int64_t n)
{
    int64_t kept = 0;
    while (kept < n && kept < g->net->cache.used && kept < g->last.count &&
           g->last.ids[kept] == ids[kept])
        kept++;
    return kept;
}

/* Lists of outliers by the inputs that the prompt has. */
static mts_status calibrate(generator *g, const int32_t *ids, int64_t n)
{
    mts_status st = MTS_OK;
    const int64_t positions = g->net->cfg.max_position_embeddings;
    n = n < positions ? n : positions;
    MTS_TRY(network_cache_reserve(g->ctx, g->net, n));
    network_cache_cut(g->net, 0);
    network_watch_outliers(g->net, true);
    network_forget_watched(g->net);
    MTS_TRY(network_extend(g->ctx, g->net, ids, n, NULL));
    network_find_outliers(g->net);
    network_forget_watched(g->net);
    network_cache_cut(g->net, 0);
    g->calibrate = false;
cleanup:
    network_watch_outliers(g->net, false);
    return st;
}

mts_status generator_run(generator *g, const int32_t *ids, int64_t n, bool reuse,
                         generator_piece *heard, void *user)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = g->ctx;
    listener l = {g, heard, user, false};
    const int64_t positions = g->net->cfg.max_position_embeddings;
    const int64_t room = g->max_new_tokens < positions ? g->max_new_tokens : positions;
    generate_job job = {.net = g->net,
                        .sampler = &g->sampler,
                        .stops = &g->stops,
                        .max_new_tokens = g->max_new_tokens,
                        .text = g->texts,
                        .kept = reuse ? count_kept(g, ids, n) : 0,
                        .on_token = tell,
                        .user = &l};
    generation_deinit(&g->last);
    text_stream_deinit(&g->stream);
    g->text = "";
    g->text_bytes = 0;
    MTS_CHECK(n > 0, MTS_ERR_ARGUMENT, "the prompt has no tokens: expected at least one");
    if (g->calibrate)
        MTS_TRY(calibrate(g, ids, n));
    MTS_TRY(generation_init(ctx, &g->last, ids, n, room));
    MTS_TRY(text_stream_begin(ctx, &g->stream, g->tokenizer, ids, n));
    MTS_TRY(generate_tokens(ctx, &job, &g->last));
    MTS_TRY(finish(&l));
    g->texts++;
    MTS_CHECK(!l.left, MTS_ERR_INTERRUPTED, "interrupted after %lld tokens",
              (long long)(g->last.count - g->last.prompt));
cleanup:
    if (st != MTS_OK)
        network_cache_cut(g->net, 0);
    return st;
}

mts_status generator_run_text(generator *g, const char *prompt, generator_piece *heard, void *user)
{
    mts_status st = MTS_OK;
    mts_encoding row = {0};
    MTS_TRY(tokenizer_encode(g->ctx, g->tokenizer, prompt, NULL, 0, &row));
    MTS_TRY(generator_run(g, row.ids, row.length, false, heard, user));
cleanup:
    tokenizer_free_encoding(&row);
    return st;
}
