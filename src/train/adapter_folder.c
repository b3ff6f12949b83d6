/* An adapter's folder beside its weights.  See adapter_folder.h. */
#include "train/adapter_folder.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "heads/head.h"
#include "io/gguf_model.h"
#include "io/safetensors.h"
#include "network/network_io.h"

enum { NAME_BYTES = 160 };

adapter_options adapter_folder_options(const peft_config *c)
{
    return (adapter_options){.rank = c->rank,
                             .scale = (float)peft_scale(c),
                             .alpha = (float)c->alpha,
                             .rslora = c->rslora,
                             .targets = c->targets};
}

/* *rows: of the matrix of outputs that the folder saves; 0: it saves none of that name. */
static mts_status count_outputs(mts_ctx *ctx, const char *dir, const char *module, int64_t *rows)
{
    mts_status st = MTS_OK;
    char *path = NULL, name[NAME_BYTES];
    safetensors *file = NULL;
    const st_tensor *t;
    *rows = 0;
    MTS_TRY(path_join(ctx, &path, dir, PEFT_WEIGHTS));
    MTS_TRY(safetensors_open_file(ctx, path, &file));
    snprintf(name, sizeof name, "%s%s.weight", PEFT_PREFIX, module);
    t = safetensors_find(file, name);
    if (t != NULL && t->ndim == 2)
        *rows = t->shape[0];
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}

/* *labels: LABEL_0 ... for n outputs, as transformers names them. */
static mts_status name_labels(mts_ctx *ctx, int64_t n, json_t **labels)
{
    mts_status st = MTS_OK;
    char key[32], name[32];
    *labels = json_object();
    MTS_CHECK(*labels != NULL, MTS_ERR_MEMORY, "out of memory: labels");
    for (int64_t i = 0; i < n; i++) {
        snprintf(key, sizeof key, "%lld", (long long)i);
        snprintf(name, sizeof name, "LABEL_%lld", (long long)i);
        MTS_TRY(json_util_set(ctx, *labels, key, json_string(name)));
    }
cleanup:
    return st;
}

/* What a config.json would say of the head of PEFT's own folder. */
static mts_status describe_head(mts_ctx *ctx, const char *dir, const model_config *cfg,
                                const head_class *kind, json_t *out)
{
    mts_status st = MTS_OK;
    char architecture[NAME_BYTES];
    const model_class *class = model_class_of_config(cfg);
    const char *outputs = head_class_outputs(kind, class);
    json_t *labels = NULL;
    int64_t n = 0;
    snprintf(architecture, sizeof architecture, "%s%s", class->name, kind->architecture);
    MTS_TRY(json_util_set(ctx, out, "architectures", json_pack("[s]", architecture)));
    if (kind->needs == HEAD_NEEDS_FIRST_TOKEN)
        MTS_TRY(count_outputs(ctx, dir, outputs, &n));
    if (n > 0 && n != cfg->num_labels) {
        MTS_TRY(name_labels(ctx, n, &labels));
        MTS_TRY(json_util_set(ctx, out, "id2label", json_incref(labels)));
    }
cleanup:
    json_decref(labels);
    return st;
}

/* Of PEFT's own folder. */
static mts_status take_task(mts_ctx *ctx, const char *dir, model_config *cfg)
{
    mts_status st = MTS_OK;
    peft_config c = {0};
    json_t *json = NULL;
    char *file = NULL;
    const head_class *kind;
    if (model_class_of_config(cfg)->usual_head != NULL) /* a language model, whatever is said */
        return MTS_OK;
    MTS_TRY(path_join(ctx, &file, dir, PEFT_CONFIG));
    MTS_TRY(peft_config_load(ctx, dir, &c));
    kind = head_class_of_peft(c.task);
    MTS_CHECK(kind != NULL && head_fits(kind, model_class_of_config(cfg)), MTS_ERR_UNSUPPORTED,
              "%s: task_type: expected SEQ_CLS, QUESTION_ANS or TOKEN_CLS, found \"%s\"", file,
              c.task);
    json = json_object();
    MTS_CHECK(json != NULL, MTS_ERR_MEMORY, "out of memory: labels");
    MTS_TRY(describe_head(ctx, dir, cfg, kind, json));
    MTS_TRY(model_config_take_head(ctx, file, json, cfg));
cleanup:
    json_decref(json);
    peft_config_deinit(&c);
    mem_free(file);
    return st;
}

mts_status adapter_folder_check_model(mts_ctx *ctx, const char *model_dir)
{
    mts_status st = MTS_OK;
    char *adapter = NULL, *config = NULL, *weights = NULL;
    MTS_TRY(path_join(ctx, &adapter, model_dir, PEFT_CONFIG));
    MTS_TRY(path_join(ctx, &config, model_dir, "config.json"));
    if (!file_exists(adapter) || file_exists(config))
        goto cleanup;
    MTS_TRY(gguf_model_find(ctx, model_dir, &weights));
    MTS_CHECK(weights != NULL, MTS_ERR_ARGUMENT,
              "%s: expected the folder of a model, found that of an adapter: give its model, and "
              "this one with --adapter_name_or_path",
              model_dir);
cleanup:
    mem_free(adapter);
    mem_free(config);
    mem_free(weights);
    return st;
}

mts_status adapter_folder_load_config(mts_ctx *ctx, const char *model_dir, const char *adapter_dir,
                                      model_config *cfg)
{
    mts_status st = MTS_OK;
    char *file = NULL;
    json_t *json = NULL;
    MTS_TRY(model_load_config(ctx, model_dir, cfg));
    if (adapter_dir == NULL)
        return MTS_OK;
    MTS_TRY(path_join(ctx, &file, adapter_dir, NETWORK_ADAPTER_CONFIG));
    if (file_exists(file)) {
        MTS_TRY(json_util_load_wide(ctx, file, JSON_UTIL_CONFIG_BYTES, &json));
        MTS_TRY(model_config_take_head(ctx, file, json, cfg));
    } else {
        MTS_TRY(take_task(ctx, adapter_dir, cfg));
    }
cleanup:
    json_decref(json);
    mem_free(file);
    return st;
}
