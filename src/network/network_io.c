/* Loading and saving the weights of a network.  See network_io.h. */
#include "network/network_io.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "io/peft.h"
#include "io/safetensors.h"
#include "network/network_outliers.h"

enum { IRWIN_HALL_TERMS = 12 }; /* the variance of the sum of 12 uniforms is 1 */

/* Where weights come from. */
typedef struct weight_source {
    const safetensors *file;
    const char *dir; /* for texts, as is the head */
    const char *head;
    const char *prefix; /* of names, which the file may lack */
    head_source source;
    bool *used; /* by number of tensor: a parameter has its name; may be NULL */
} weight_source;

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
static const st_tensor *find_tensor(const weight_source *from, const char *name)
{
    char old[PARAM_NAME_BYTES + 16];
    const bool has_old =
        replace_ending(old, sizeof old, name, "LayerNorm.weight", "LayerNorm.gamma") ||
        replace_ending(old, sizeof old, name, "LayerNorm.bias", "LayerNorm.beta");
    const char *names[2] = {name, has_old ? old : NULL};
    const size_t prefix = strlen(from->prefix);
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        const st_tensor *t = safetensors_find(from->file, names[i]);
        if (t == NULL && strncmp(names[i], from->prefix, prefix) == 0)
            t = safetensors_find(from->file, names[i] + prefix);
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

/* *tensor: the one of a parameter, of its shape; NULL if there is none and the source allows that.
 */
static mts_status choose_tensor(mts_ctx *ctx, const weight_source *from, const param *p,
                                const st_tensor **tensor)
{
    mts_status st = MTS_OK;
    const bool in_head = p->part != PARAM_BODY;
    if (p->part == PARAM_ADAPTER) { /* in a folder of its own */
        *tensor = NULL;
        return MTS_OK;
    }
    const st_tensor *t = find_tensor(from, p->name);
    const bool fits = t != NULL && has_shape(t, p);
    *tensor = fits ? t : NULL;
    if (t != NULL && from->used != NULL)
        from->used[t - safetensors_at(from->file, 0)] = true;
    if (fits || (in_head && from->source != HEAD_NEEDED))
        return MTS_OK;
    MTS_CHECK(t != NULL || !in_head, MTS_ERR_BAD_FILE,
              "%s: no %s head: there is no tensor %s; fine-tuning (mantissa train) makes one",
              from->dir, from->head, p->name);
    MTS_CHECK(t != NULL, MTS_ERR_BAD_FILE, "%s: no tensor %s", from->dir, p->name);
    MTS_CHECK(fits, MTS_ERR_BAD_FILE,
              "%s: tensor %s: config.json asks for shape [%lld, %lld], the file has %d "
              "dimensions, the first %lld",
              t->file, p->name, (long long)p->rows, (long long)p->cols, t->ndim,
              (long long)(t->ndim > 0 ? t->shape[0] : 0));
cleanup:
    return st;
}

mts_status network_check_weights(mts_ctx *ctx, const model_config *cfg, const head_class *kind,
                                 const char *dir, head_source source)
{
    mts_status st = MTS_OK;
    safetensors *file = NULL;
    param_list params = {0};
    weight_source from = {.dir = dir, .head = kind->name, .source = source};
    MTS_TRY(network_declare(ctx, cfg, kind, &params, &from.prefix));
    MTS_TRY(safetensors_open_dir(ctx, dir, &file));
    from.file = file;
    for (int64_t i = 0; i < params.count; i++) {
        const st_tensor *t;
        MTS_TRY(choose_tensor(ctx, &from, params.items[i], &t));
    }
cleanup:
    safetensors_close(file);
    param_list_deinit(&params);
    return st;
}

static void initialize(const network *net, param *p)
{
    const int64_t n = param_size(p);
    const float range = (float)net->cfg.initializer_range;
    const rng_key key = rng_make_key(net->ex.seed, 0, (uint64_t)p->index, RNG_INIT);
    for (int64_t i = 0; i < n; i++) {
        float sum = -0.5f * IRWIN_HALL_TERMS;
        for (int k = 0; k < IRWIN_HALL_TERMS; k++)
            sum += rng_uniform(key, (uint32_t)(i * IRWIN_HALL_TERMS + k));
        p->value[i] = p->vector ? 0.0f : sum * range;
    }
}

/* As PEFT does: A uniform ("Kaiming" with a slope of sqrt 5), B zero. */
static void initialize_adapter(const network *net, param *p)
{
    const rng_key key = rng_make_key(net->ex.seed, 0, (uint64_t)p->index, RNG_INIT);
    for (int64_t i = 0; i < param_size(p); i++)
        p->value[i] = (2.0f * rng_uniform(key, (uint32_t)i) - 1.0f) * p->init_bound;
}

static void report_unused(const weight_source *from, network_load_report *report)
{
    static const char buffer[] = "position_ids";
    for (size_t i = 0; i < safetensors_count(from->file); i++) {
        const st_tensor *t = safetensors_at(from->file, i);
        const size_t n = strlen(t->name), b = sizeof buffer - 1;
        if (from->used[i] || (n >= b && strcmp(t->name + n - b, buffer) == 0))
            continue;
        if (report->unused++ == 0)
            snprintf(report->first_unused, sizeof report->first_unused, "%s", t->name);
    }
}

/* Load one parameter; of the head it may be initialised instead: report says so. */
static mts_status load_param(mts_ctx *ctx, const network *net, const weight_source *from, param *p,
                             network_load_report *report)
{
    mts_status st = MTS_OK;
    const bool leave = p->part == PARAM_OUTPUT && from->source == HEAD_NEW;
    const char **first =
        p->part == PARAM_OUTPUT ? &report->initialized_output : &report->initialized_head;
    const st_tensor *t = NULL;
    if (p->part == PARAM_ADAPTER) {
        initialize_adapter(net, p);
        return MTS_OK;
    }
    MTS_TRY(choose_tensor(ctx, from, p, &t));
    if (t != NULL && !leave)
        return safetensors_read_f32(ctx, t, p->value, param_size(p));
    initialize(net, p);
    report->output_left = report->output_left || t != NULL;
    if (*first == NULL)
        *first = p->name;
cleanup:
    return st;
}

mts_status network_load(mts_ctx *ctx, network *net, const char *dir, head_source source,
                        network_load_report *report)
{
    mts_status st = MTS_OK;
    safetensors *file = NULL;
    weight_source from = {.dir = dir,
                          .head = net->options.head->name,
                          .prefix = net->body->class->prefix,
                          .source = source};
    *report = (network_load_report){0};
    MTS_TRY(safetensors_open_dir(ctx, dir, &file));
    from.file = file;
    MTS_TRY(
        mem_calloc(ctx, &from.used, safetensors_count(file), sizeof *from.used, "list of tensors"));
    for (int64_t i = 0; i < net->params.count; i++)
        MTS_TRY(load_param(ctx, net, &from, net->params.items[i], report));
    report_unused(&from, report);
    network_weights_changed(net);
cleanup:
    mem_free(from.used);
    safetensors_close(file);
    return st;
}

/* Tensors in the folder of an adapter. */
static int64_t count_written(const network *net)
{
    int64_t n = 0;
    for (int64_t i = 0; i < net->params.count; i++)
        n += net->params.items[i]->part != PARAM_BODY;
    return n;
}

/* model.safetensors with all parameters; of a network with an adapter adapter_model.safetensors
 * with those of the adapter. */
static mts_status save_weights(mts_ctx *ctx, const network *net, const char *dir)
{
    mts_status st = MTS_OK;
    const bool adapter = network_has_adapter(net);
    char *path = NULL, name[PARAM_NAME_BYTES + 32];
    safetensors_writer *w = NULL;
    MTS_TRY(path_join(ctx, &path, dir, adapter ? PEFT_WEIGHTS : "model.safetensors"));
    MTS_TRY(safetensors_writer_open(ctx, path, &w));
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        const int64_t shape[2] = {p->rows, p->cols};
        if (adapter && p->part == PARAM_BODY)
            continue;
        snprintf(name, sizeof name, "%s%s", adapter ? PEFT_PREFIX : "", p->name);
        MTS_TRY(safetensors_writer_add(w, name, ST_DTYPE_F32, p->vector ? 1 : 2,
                                       p->vector ? shape + 1 : shape, p->value));
    }
    MTS_TRY(safetensors_writer_commit(w));
cleanup:
    safetensors_writer_close(w);
    mem_free(path);
    return st;
}

/* The name of the class in transformers.  Other model types than the first have other names there:
 * as it was read, if that is one of this head. */
static void make_architecture(const network *net, char *out, size_t bytes)
{
    const model_class *class = net->body->class;
    const char *read = net->cfg.architecture, *ending = net->options.head->architecture;
    const char *type = model_config_type(&net->cfg);
    const size_t n = read == NULL ? 0 : strlen(read), m = strlen(ending);
    const bool other = *type != '\0' && strcmp(type, class->model_types[0]) != 0;
    if (other && n > m && strcmp(read + n - m, ending) == 0)
        snprintf(out, bytes, "%s", read);
    else
        snprintf(out, bytes, "%s%s", class->name, ending);
}

mts_status network_save(mts_ctx *ctx, network *net, const char *dir)
{
    mts_status st = MTS_OK;
    char architecture[128];
    MTS_TRY(save_weights(ctx, net, dir));
    MTS_TRY(network_store_outliers(ctx, net));
    make_architecture(net, architecture, sizeof architecture);
    MTS_TRY(model_config_save(ctx, &net->cfg, net->body->class->model_types[0], architecture, dir,
                              network_config_name(net)));
cleanup:
    return st;
}

const char *network_config_name(const network *net)
{
    return network_has_adapter(net) ? NETWORK_ADAPTER_CONFIG : "config.json";
}

bool network_has_adapter(const network *net)
{
    return net->options.model.adapter.rank > 0;
}

mts_status network_load_adapter(mts_ctx *ctx, network *net, const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL, name[PARAM_NAME_BYTES + 32];
    safetensors *file = NULL;
    MTS_TRY(path_join(ctx, &path, dir, PEFT_WEIGHTS));
    MTS_TRY(safetensors_open_file(ctx, path, &file));
    for (int64_t i = 0; i < net->params.count; i++) {
        param *p = net->params.items[i];
        if (p->part == PARAM_BODY)
            continue;
        snprintf(name, sizeof name, "%s%s", PEFT_PREFIX, p->name);
        const st_tensor *t = safetensors_find(file, name);
        MTS_CHECK(t != NULL, MTS_ERR_BAD_FILE, "%s: no tensor %s", path, name);
        MTS_CHECK(has_shape(t, p), MTS_ERR_BAD_FILE,
                  "%s: tensor %s: expected shape [%lld, %lld], found %d dimensions, the first %lld",
                  path, name, (long long)p->rows, (long long)p->cols, t->ndim,
                  (long long)(t->ndim > 0 ? t->shape[0] : 0));
        MTS_TRY(safetensors_read_f32(ctx, t, p->value, param_size(p)));
    }
    MTS_CHECK((int64_t)safetensors_count(file) == count_written(net), MTS_ERR_BAD_FILE,
              "%s: expected %lld tensors, found %zu", path, (long long)count_written(net),
              safetensors_count(file));
    network_weights_changed(net);
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}
