/* Options -> adapter and network.  See run_network.h. */
#include "train/run_network.h"

#include <string.h>

#include "options/options.h"
#include "train/adapter_folder.h"
#include "train/settings.h"

static bool is(const char *text, const char *expected)
{
    return strcmp(text, expected) == 0;
}

/* The adapter of a folder: all of it, or its first ranks. */
static mts_status load_config(mts_ctx *ctx, const mts_options *o, bool training, peft_config *out)
{
    mts_status st = MTS_OK;
    const char *dir = o->adapter_name_or_path;
    const bool dylora = training && is(o->method, "dylora");
    const bool matryoshka = is(o->rank_weighting, "matryoshka");
    MTS_TRY(peft_config_load(ctx, dir, out));
    MTS_CHECK(training || o->rank <= out->rank, MTS_ERR_ARGUMENT,
              "option --rank: %s has %lld ranks, found %lld", dir, (long long)out->rank,
              (long long)o->rank);
    MTS_CHECK(
        !dylora || out->rslora == matryoshka, MTS_ERR_UNSUPPORTED,
        "%s: use_rslora: --rank_weighting %s trains ranks that are scaled by alpha / %s, this "
        "adapter's are not",
        dir, o->rank_weighting, matryoshka ? "sqrt(rank)" : "rank");
cleanup:
    return st;
}

/* A new adapter, as the options say. */
static mts_status make_config(mts_ctx *ctx, const mts_options *o, peft_config *out)
{
    *out = (peft_config){.rank = o->lora_r, .alpha = o->lora_alpha, .rslora = o->use_rslora};
    if (is(o->rank_weighting, "matryoshka"))
        out->rslora = true; /* its ranks' scales */
    return mem_strdup(ctx, &out->targets,
                      o->target_modules == NULL ? "all-linear" : o->target_modules);
}

mts_status run_adapter_config(mts_ctx *ctx, const mts_options *o, bool training, peft_config *out)
{
    mts_status st = MTS_OK;
    *out = (peft_config){0};
    if (o->adapter_name_or_path != NULL)
        MTS_TRY(load_config(ctx, o, training, out));
    else if (training && !is(o->method, "full"))
        MTS_TRY(make_config(ctx, o, out));
    if (training && out->rank > 0 && o->lora_dropout >= 0)
        out->dropout = o->lora_dropout;
cleanup:
    return st;
}

void run_network_adapter(const mts_options *o, const peft_config *adapter, network_options *options)
{
    if (adapter->rank == 0)
        return;
    options->model.adapter = adapter_folder_options(adapter);
    options->frozen = settings_base_storage(o);
    options->frozen_nf4 = options_has_4bit_base(o);
}

network_options run_network_options(const mts_options *o, const model_config *cfg,
                                    const head_class *kind, const peft_config *adapter,
                                    bool training)
{
    network_options options = {
        .head = kind,
        .format = settings_format(o),
        .threads = settings_threads(o),
        .seed = (uint64_t)o->seed,
        .model = {.dropout = settings_dropout(o, cfg),
                  .embedding_dropout = settings_embedding_dropout(o, cfg),
                  .recompute = training && o->gradient_checkpointing},
        .watch_formats = training && o->log_formats,
    };
    run_network_adapter(o, adapter, &options);
    if (adapter->rank > 0)
        options.model.adapter.dropout = settings_dropout_float(adapter->dropout);
    return options;
}
