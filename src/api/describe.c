/*
 * mts_cpu_describe and mts_model_describe of the public header.
 *
 * Path: cli/cmd_info.c -> here.
 */
#include <stdio.h>
#include <string.h>

#include "options/options.h"
#include "api/describe_gguf.h"
#include "api/describe_need.h"
#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "cpu/cpu_features.h"
#include "io/gguf_model.h"
#include "io/nf4_tensors.h"
#include "io/safetensors.h"
#include "network/network_io.h"
#include "tensor/float_gemm.h"
#include "train/model_tokenizer.h"
#include "train/run_need.h"
#include "train/settings.h"
#include "train/step_time.h"

mts_status mts_cpu_describe(mts_ctx *ctx, char *text, size_t text_bytes)
{
    mts_status st = MTS_OK;
    const gemm_family *family;
    char features[256], library[64];
    MTS_CHECK(text != NULL && text_bytes > 0, MTS_ERR_ARGUMENT,
              "mts_cpu_describe: text must be given");
    MTS_TRY(kernels_select(ctx, &family));
    float_gemm_library(library, sizeof library);
    cpu_features_describe(cpu_features(), features, sizeof features);
    snprintf(text, text_bytes, "features: %s; integer kernels: %s; float products: %s", features,
             family->name, library);
cleanup:
    return st;
}

/* For which run the memory is meant. */
static mts_status describe_run(mts_ctx *ctx, const mts_options *o, const network_limits *limits,
                               json_t *out)
{
    mts_status st = MTS_OK;
    const num_format format = settings_format(o), *f = &format;
    MTS_TRY(json_util_set(ctx, out, "precision", json_string(o->precision)));
    if (strcmp(o->method, "full") != 0)
        MTS_TRY(json_util_set(ctx, out, "method", json_string(o->method)));
    if (o->base_bits != NULL)
        MTS_TRY(json_util_set(ctx, out, "base_bits", json_string(o->base_bits)));
    MTS_TRY(json_util_set(ctx, out, "optim", json_string(o->optim)));
    MTS_TRY(json_util_set(ctx, out, "rows_of_a_batch", json_integer(limits->train_rows)));
    MTS_TRY(json_util_set(ctx, out, "tokens_of_a_row", json_integer(limits->max_length)));
    if (options_wants_final_eval(o))
        MTS_TRY(json_util_set(ctx, out, "rows_of_an_evaluation_batch",
                              json_integer(limits->eval_rows)));
    MTS_TRY(
        json_util_set(ctx, out, "gradient_checkpointing", json_boolean(o->gradient_checkpointing)));
    if (f->kind == FORMAT_DFP) { /* what the architecture has a say in */
        MTS_TRY(json_util_set(ctx, out, "attention_bits", json_integer(f->attention_bits)));
        MTS_TRY(json_util_set(ctx, out, "scales", json_string(settings_scales_name(f->scales))));
    }
cleanup:
    return st;
}

/* How long forward and backward of such a step take. */
static mts_status describe_time(mts_ctx *ctx, const run_shape *shape, json_t *root)
{
    mts_status st = MTS_OK;
    double seconds = 0;
    json_t *time = NULL;
    if (!shape->o->calibrate)
        return MTS_OK;
    MTS_TRY(step_time_measure(ctx, shape, &seconds));
    time = json_pack("{s:f, s:f}", "seconds", seconds, "tokens_per_second",
                     (double)shape->limits.train_tokens *
                         (double)shape->o->gradient_accumulation_steps / seconds);
    MTS_CHECK(time != NULL, MTS_ERR_MEMORY, "out of memory: description");
    MTS_TRY(json_util_set(ctx, root, "time_of_a_step_about", json_incref(time)));
cleanup:
    json_decref(time);
    return st;
}

/* Memory of a training run with full batches of the longest sequences, and of its evaluation if
 * the options ask for one; its files and its work. */
static mts_status describe_memory(mts_ctx *ctx, const mts_options *given, const char *dir,
                                  const model_config *cfg, json_t *root)
{
    mts_status st = MTS_OK;
    mts_options own = *given;
    const mts_options *o = &own;
    json_t *memory = json_object();
    settings_complete(&own, cfg);
    const int64_t asked = settings_max_length(o, cfg, head_class_of_config(cfg)->name);
    const int64_t most = model_max_length(cfg), length = asked < most ? asked : most;
    const int64_t rows = o->per_device_train_batch_size;
    const int64_t eval_rows = options_wants_final_eval(o) ? o->per_device_eval_batch_size : 1;
    const run_shape shape = {
        .o = o,
        .cfg = cfg,
        .head = head_class_of_config(cfg),
        .dir = dir,
        .training = true,
        .limits = {.train_rows = rows,
                   .train_tokens = rows * length,
                   .eval_rows = eval_rows,
                   .eval_tokens = eval_rows * length,
                   .max_length = length},
    };
    run_need need;
    MTS_CHECK(memory != NULL, MTS_ERR_MEMORY, "out of memory: description");
    MTS_TRY(settings_check_length(ctx, o->max_seq_length, cfg));
    MTS_TRY(settings_check_tokens(ctx, shape.limits.train_tokens, "train"));
    MTS_TRY(settings_check_tokens(ctx, shape.limits.eval_tokens, "eval"));
    MTS_TRY(describe_run(ctx, o, &shape.limits, memory));
    MTS_TRY(run_need_make(ctx, &shape, &need));
    MTS_TRY(describe_need_memory(ctx, &need, memory));
    MTS_TRY(json_util_set(ctx, root, "training_memory", json_incref(memory)));
    MTS_TRY(describe_need(ctx, &shape, &need, root));
    MTS_TRY(describe_time(ctx, &shape, root));
cleanup:
    json_decref(memory);
    return st;
}

static mts_status describe_config(mts_ctx *ctx, const model_config *cfg, json_t *out)
{
    mts_status st = MTS_OK;
    param_list params = {0};
    const char *prefix;
    MTS_TRY(json_util_set(
        ctx, out, "architecture",
        json_string(cfg->architecture == NULL ? model_config_type(cfg) : cfg->architecture)));
    MTS_TRY(json_util_set(ctx, out, "layers", json_integer(cfg->num_hidden_layers)));
    MTS_TRY(json_util_set(ctx, out, "hidden_size", json_integer(cfg->hidden_size)));
    MTS_TRY(json_util_set(ctx, out, "heads", json_integer(cfg->num_attention_heads)));
    MTS_TRY(json_util_set(ctx, out, "intermediate_size", json_integer(cfg->intermediate_size)));
    MTS_TRY(json_util_set(ctx, out, "vocab_size", json_integer(cfg->vocab_size)));
    MTS_TRY(json_util_set(ctx, out, "positions", json_integer(model_max_length(cfg))));
    MTS_TRY(json_util_set(ctx, out, "labels", json_integer(cfg->num_labels)));
    MTS_TRY(network_declare(ctx, cfg, head_class_of_config(cfg), &params, &prefix));
    MTS_TRY(json_util_set(ctx, out, "parameters", json_integer(params.elements)));
cleanup:
    param_list_deinit(&params);
    return st;
}

/* Of a model with a head: the names of its labels, and what it was trained with. */
static mts_status describe_training(mts_ctx *ctx, const char *dir, const model_config *cfg,
                                    json_t *out)
{
    static const char *const copied[] = {"problem_type", "finetuning_task"};
    mts_status st = MTS_OK;
    json_t *names = json_array();
    mts_options checked;
    json_t *stored = json_object_get(cfg->json, SETTINGS_KEY);
    MTS_CHECK(names != NULL, MTS_ERR_MEMORY, "out of memory: description");
    for (int64_t i = 0; i < cfg->num_labels; i++)
        MTS_CHECK(json_array_append_new(names, json_string(cfg->labels[i])) == 0, MTS_ERR_MEMORY,
                  "out of memory: description");
    if (json_object_get(cfg->json, "id2label") != NULL)
        MTS_TRY(json_util_set(ctx, out, "label_names", json_incref(names)));
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        json_t *value = json_object_get(cfg->json, copied[i]);
        if (json_is_string(value))
            MTS_TRY(json_util_set(ctx, out, copied[i], json_incref(value)));
    }
    mts_options_default(&checked);
    MTS_TRY(mts_options_from_model(ctx, &checked, dir));
    if (stored != NULL)
        MTS_TRY(json_util_set(ctx, out, "trained_with", json_incref(stored)));
cleanup:
    json_decref(names);
    return st;
}

/* Bytes of all tensors on disk, how many there are, and matrices in 4 bits if there are any. */
static mts_status describe_file(mts_ctx *ctx, const char *dir, json_t *out)
{
    mts_status st = MTS_OK;
    safetensors *file = NULL;
    nf4_tensors packed = {0};
    size_t bytes = 0;
    MTS_TRY(safetensors_open_dir(ctx, dir, &file));
    MTS_TRY(nf4_tensors_open(ctx, file, &packed));
    for (size_t i = 0; i < safetensors_count(file); i++)
        bytes += safetensors_at(file, i)->bytes;
    MTS_TRY(describe_put_bytes(ctx, out, "tensors", safetensors_count(file)));
    if (packed.count > 0)
        MTS_TRY(describe_put_bytes(ctx, out, "matrices_in_nf4", packed.count));
    MTS_TRY(describe_put_bytes(ctx, out, "bytes_on_disk", bytes));
cleanup:
    nf4_tensors_close(&packed);
    safetensors_close(file);
    return st;
}

/* Whether the file can be trained. */
static mts_status try_gguf(mts_ctx *ctx, const char *path, model_config *cfg)
{
    mts_status st = MTS_OK;
    tokenizer *tok = NULL;
    MTS_TRY(model_load_config(ctx, path, cfg));
    MTS_TRY(network_check_weights(ctx, cfg, head_class_of_config(cfg), path, HEAD_NEEDED));
    MTS_TRY(model_tokenizer_open(ctx, path, &tok, NULL));
cleanup:
    tokenizer_close(tok);
    return st;
}

/* A GGUF file: what it holds, and the memory of its training or why there is none. */
static mts_status describe_gguf_model(mts_ctx *ctx, const mts_options *o, const char *path,
                                      json_t *out)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    char reason[512], text[sizeof reason + 8] = "yes";
    MTS_TRY(describe_gguf(ctx, path, out));
    st = try_gguf(ctx, path, &cfg);
    if (st == MTS_ERR_MEMORY)
        goto cleanup;
    if (st != MTS_OK) {
        snprintf(text, sizeof text, "no: %s", utf8_quote(reason, sizeof reason, ctx->error));
        ctx->error[0] = '\0';
    }
    MTS_TRY(json_util_set(ctx, out, "training", json_string(text)));
    if (strcmp(text, "yes") != 0)
        goto cleanup;
    MTS_TRY(describe_memory(ctx, o, path, &cfg, out));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

mts_status mts_model_describe(mts_ctx *ctx, const mts_options *options, char **json)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    mts_options own;
    json_t *root = NULL;
    char *file = NULL;
    MTS_CHECK(json != NULL, MTS_ERR_ARGUMENT, "mts_model_describe: json must be given");
    *json = NULL;
    MTS_TRY(options_take(ctx, options, &own));
    options = &own;
    MTS_TRY(options_check_describe(ctx, options));
    root = json_object();
    MTS_CHECK(root != NULL, MTS_ERR_MEMORY, "out of memory: description");
    MTS_TRY(gguf_model_find(ctx, options->model_name_or_path, &file));
    if (file != NULL || describe_gguf_is_file(options->model_name_or_path)) {
        MTS_TRY(describe_gguf_model(ctx, options, file != NULL ? file : options->model_name_or_path,
                                    root));
        MTS_TRY(json_util_dump(ctx, root, 0, false, json));
        goto cleanup;
    }
    MTS_TRY(model_load_config(ctx, options->model_name_or_path, &cfg));
    MTS_TRY(describe_config(ctx, &cfg, root));
    MTS_TRY(describe_training(ctx, options->model_name_or_path, &cfg, root));
    MTS_TRY(describe_file(ctx, options->model_name_or_path, root));
    MTS_TRY(describe_memory(ctx, options, options->model_name_or_path, &cfg, root));
    MTS_TRY(json_util_dump(ctx, root, 0, false, json));
cleanup:
    mem_free(file);
    json_decref(root);
    model_config_deinit(&cfg);
    return st;
}
