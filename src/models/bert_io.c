/* Loading and saving the weights of BERT.  See bert_io.h. */
#include "models/bert_io.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "io/safetensors.h"

enum { IRWIN_HALL_TERMS = 12 }; /* the variance of the sum of 12 uniforms is 1 */

static const char prefix[] = "bert.";

/* If name ends in `from`, write it to out with `to` instead. */
static bool replace_ending(char *out, size_t bytes, const char *name, const char *from,
                           const char *to)
{
    const size_t n = strlen(name), f = strlen(from);
    if (n < f || strcmp(name + n - f, from) != 0)
        return false;
    snprintf(out, bytes, "%.*s%s", (int)(n - f), name, to);
    return true;
}

/* The tensor of a parameter under any of its names; NULL if there is none. */
static const st_tensor *find_tensor(const safetensors *file, const char *name)
{
    char old[sizeof((param *)0)->name + 16];
    const bool has_old =
        replace_ending(old, sizeof old, name, "LayerNorm.weight", "LayerNorm.gamma") ||
        replace_ending(old, sizeof old, name, "LayerNorm.bias", "LayerNorm.beta");
    const char *names[2] = {name, has_old ? old : NULL};
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        const st_tensor *t = safetensors_find(file, names[i]);
        if (t == NULL && strncmp(names[i], prefix, sizeof prefix - 1) == 0)
            t = safetensors_find(file, names[i] + sizeof prefix - 1);
        if (t != NULL)
            return t;
    }
    return NULL;
}

static bool has_shape(const st_tensor *t, const param *p)
{
    if (p->vector)
        return t->ndim == 1 && t->shape[0] == p->cols;
    return t->ndim == 2 && t->shape[0] == p->rows && t->shape[1] == p->cols;
}

static void initialize(const bert *model, param *p, int64_t index)
{
    const int64_t n = p->rows * p->cols;
    const float range = (float)model->cfg.initializer_range;
    const rng_key key = rng_make_key(model->ex.seed, 0, (uint64_t)index, RNG_INIT);
    for (int64_t i = 0; i < n; i++) {
        float sum = -0.5f * IRWIN_HALL_TERMS;
        for (int k = 0; k < IRWIN_HALL_TERMS; k++)
            sum += rng_uniform(key, (uint32_t)(i * IRWIN_HALL_TERMS + k));
        p->value[i] = p->vector ? 0.0f : sum * range;
    }
}

/* *tensor: the one of a parameter, of its shape; NULL if there is none and `head` allows that.
 * used (may be NULL): says of each tensor of the file whether a parameter has its name. */
static mts_status choose_tensor(mts_ctx *ctx, const safetensors *file, const char *dir,
                                const param *p, bool in_head, bert_head head, bool *used,
                                const st_tensor **tensor)
{
    mts_status st = MTS_OK;
    const st_tensor *t = find_tensor(file, p->name);
    const bool fits = t != NULL && has_shape(t, p);
    *tensor = fits ? t : NULL;
    if (t != NULL && used != NULL)
        used[t - safetensors_at(file, 0)] = true;
    if (fits || (in_head && head != BERT_HEAD_NEEDED))
        return MTS_OK;
    MTS_CHECK(t != NULL || !in_head, MTS_ERR_BAD_FILE,
              "%s: no classification head: there is no tensor %s; fine-tuning (mantissa train) "
              "makes one",
              dir, p->name);
    MTS_CHECK(t != NULL, MTS_ERR_BAD_FILE, "%s: no tensor %s", dir, p->name);
    MTS_CHECK(fits, MTS_ERR_BAD_FILE,
              "%s: tensor %s: config.json asks for shape [%lld, %lld], the file has %d "
              "dimensions, the first %lld",
              t->file, p->name, (long long)p->rows, (long long)p->cols, t->ndim,
              (long long)(t->ndim > 0 ? t->shape[0] : 0));
cleanup:
    return st;
}

/* Of the pooler and the classifier, which are the last parameters. */
static bool is_in_head(int64_t i, int64_t count)
{
    return i >= count - PARAM_HEADS;
}

mts_status bert_check_weights(mts_ctx *ctx, const model_config *cfg, const char *dir,
                              bert_head head)
{
    mts_status st = MTS_OK;
    const int64_t count = param_table_count(cfg);
    safetensors *file = NULL;
    MTS_TRY(safetensors_open_dir(ctx, dir, &file));
    for (int64_t i = 0; i < count; i++) {
        const param p = param_table_describe(cfg, i);
        const st_tensor *t;
        MTS_TRY(choose_tensor(ctx, file, dir, &p, is_in_head(i, count), head, NULL, &t));
    }
cleanup:
    safetensors_close(file);
    return st;
}

static void report_unused(const safetensors *file, const bool *used, bert_load_report *report)
{
    static const char buffer[] = "position_ids";
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const st_tensor *t = safetensors_at(file, i);
        const size_t n = strlen(t->name), b = sizeof buffer - 1;
        if (used[i] || (n >= b && strcmp(t->name + n - b, buffer) == 0))
            continue;
        if (report->unused++ == 0)
            snprintf(report->first_unused, sizeof report->first_unused, "%s", t->name);
    }
}

/* Load parameter i; in the head it may be initialised instead: report says so. */
static mts_status load_param(mts_ctx *ctx, bert *model, const safetensors *file, const char *dir,
                             int64_t i, bert_head head, bool *used, bert_load_report *report)
{
    mts_status st = MTS_OK;
    param *p = &model->params.items[i];
    const int64_t count = model->params.count;
    const bool in_classifier = i >= count - PARAM_HEADS + PARAM_CLASSIFIER_WEIGHT;
    const bool leave = in_classifier && head == BERT_HEAD_NEW;
    const st_tensor *t = NULL;
    MTS_TRY(choose_tensor(ctx, file, dir, p, is_in_head(i, count), head, used, &t));
    if (t != NULL && !leave)
        return safetensors_read_f32(ctx, t, p->value, p->rows * p->cols);
    initialize(model, p, i);
    report->classifier_left = report->classifier_left || t != NULL;
    *(in_classifier ? &report->classifier_initialized : &report->pooler_initialized) = true;
cleanup:
    return st;
}

mts_status bert_load(mts_ctx *ctx, bert *model, const char *dir, bert_head head,
                     bert_load_report *report)
{
    mts_status st = MTS_OK;
    safetensors *file = NULL;
    bool *used = NULL;
    *report = (bert_load_report){0};
    MTS_TRY(safetensors_open_dir(ctx, dir, &file));
    MTS_TRY(mem_calloc(ctx, &used, safetensors_count(file), sizeof *used, "list of tensors"));
    for (int64_t i = 0; i < model->params.count; i++)
        MTS_TRY(load_param(ctx, model, file, dir, i, head, used, report));
    report_unused(file, used, report);
    bert_weights_changed(model);
cleanup:
    mem_free(used);
    safetensors_close(file);
    return st;
}

mts_status bert_save(mts_ctx *ctx, const bert *model, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    safetensors_writer *w = NULL;
    MTS_TRY(path_join(ctx, &path, dir, "model.safetensors"));
    MTS_TRY(safetensors_writer_open(ctx, path, &w));
    for (int64_t i = 0; i < model->params.count; i++) {
        const param *p = &model->params.items[i];
        const int64_t shape[2] = {p->rows, p->cols};
        MTS_TRY(safetensors_writer_add(w, p->name, ST_DTYPE_F32, p->vector ? 1 : 2,
                                       p->vector ? shape + 1 : shape, p->value));
    }
    MTS_TRY(safetensors_writer_commit(w));
    MTS_TRY(model_config_save(ctx, &model->cfg, dir));
cleanup:
    safetensors_writer_close(w);
    mem_free(path);
    return st;
}
