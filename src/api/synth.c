/*
 * mts_synth of the public header: a folder of a known model's shape, with random weights.
 *
 * Path: cli/cmd_synth.c -> mts_synth -> random_weights.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/model_files.h"
#include "api/partial_folder.h"
#include "api/synth_shapes.h"
#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "io/quantization_config.h"
#include "models/model.h"
#include "network/random_weights.h"
#include "options/options.h"
#include "text/byte_tokenizer_json.h"
#include "train/settings.h"

static bool packs(const mts_options *o)
{
    return o->base_bits == NULL || strcmp(o->base_bits, "4") == 0;
}

/* *config: of the folder. */
static mts_status make_config(mts_ctx *ctx, const mts_options *o, json_t **config)
{
    mts_status st = MTS_OK;
    json_t *quantization = NULL;
    MTS_TRY(synth_shape_config(ctx, o->like, o->layers, config));
    if (packs(o)) {
        MTS_TRY(quantization_config_make(ctx, &quantization));
        MTS_TRY(json_util_set(ctx, *config, QUANTIZATION_CONFIG, quantization));
    }
cleanup:
    return st;
}

/* *plan: what must be the same for a run to go on with another one's files. */
static mts_status make_plan(mts_ctx *ctx, const mts_options *o, uint64_t shard_bytes,
                            json_t *config, json_t **plan)
{
    mts_status st = MTS_OK;
    *plan = json_pack("{s:s, s:I, s:I, s:O}", "version", MTS_VERSION, "shard_bytes",
                      (json_int_t)shard_bytes, "seed", (json_int_t)o->seed, "config", config);
    MTS_CHECK(*plan != NULL, MTS_ERR_MEMORY, "out of memory: plan");
cleanup:
    return st;
}

/* Write json as a file of the folder, by this function of the tokenizer. */
static mts_status write_json(mts_ctx *ctx, const output_folder *f, const char *name,
                             mts_status (*make)(mts_ctx *ctx, json_t **out))
{
    mts_status st = MTS_OK;
    char *path = NULL;
    json_t *json = NULL;
    MTS_TRY(make(ctx, &json));
    MTS_TRY(path_join(ctx, &path, f->temporary, name));
    MTS_TRY(json_util_save(ctx, json, path));
cleanup:
    json_decref(json);
    mem_free(path);
    return st;
}

/* *cfg: the configuration as the program reads it, from a file beside the folder. */
static mts_status load_config(mts_ctx *ctx, const partial_folder *p, const json_t *config,
                              model_config *cfg)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    MTS_TRY(path_join(ctx, &path, p->place, "config.json"));
    MTS_TRY(json_util_save(ctx, config, path));
    MTS_TRY(model_load_config(ctx, p->place, cfg));
cleanup:
    mem_free(path);
    return st;
}

/* All files: config.json is the last. */
static mts_status write_folder(mts_ctx *ctx, const mts_options *o, const partial_folder *p,
                               json_t *config, random_request *request)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    MTS_TRY(load_config(ctx, p, config, &cfg));
    request->config = &cfg;
    request->pack = packs(o);
    request->seed = (uint64_t)o->seed;
    request->dir = p->folder.temporary;
    request->threads = settings_threads(o);
    MTS_TRY(random_weights(ctx, request));
    MTS_TRY(write_json(ctx, &p->folder, "tokenizer.json", byte_tokenizer_json));
    MTS_TRY(write_json(ctx, &p->folder, "tokenizer_config.json", byte_tokenizer_config_json));
    MTS_TRY(model_files_write_config(ctx, config, "bfloat16", &p->folder));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

mts_status mts_synth(mts_ctx *ctx, const mts_options *options, const mts_callbacks *callbacks)
{
    mts_status st = MTS_OK;
    mts_options own;
    random_request request = {.callbacks = callbacks};
    partial_folder p = {0};
    json_t *config = NULL, *plan = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    MTS_TRY(options_check_synth(ctx, &own));
    MTS_TRY(options_parse_size(ctx, "max_shard_size", own.max_shard_size, &request.shard_bytes));
    MTS_TRY(make_config(ctx, &own, &config));
    MTS_TRY(make_plan(ctx, &own, request.shard_bytes, config, &plan));
    MTS_TRY(partial_folder_begin(ctx, own.output_dir, ".safetensors", plan, &p));
    MTS_TRY(partial_folder_note(ctx, &p, callbacks));
    MTS_TRY(write_folder(ctx, &own, &p, config, &request));
    MTS_TRY(partial_folder_commit(ctx, &p));
cleanup:
    partial_folder_close(&p, partial_folder_goes_on(st));
    json_decref(plan);
    json_decref(config);
    return st;
}
