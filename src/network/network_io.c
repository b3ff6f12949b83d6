/* Loading and saving the weights of a network.  See network_io.h. */
#include "network/network_io.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "io/peft.h"
#include "io/safetensors.h"
#include "network/network_outliers.h"
#include "network/weight_file.h"
#include "tensor/stored_nf4.h"

enum { CHECK_ROWS = 64, IRWIN_HALL_TERMS = 12 }; /* the variance of the sum of 12 uniforms is 1 */

/* Where weights come from. */
typedef struct weight_source {
    const weight_file *file;
    const char *dir; /* for texts, as is the head */
    const char *head;
    const char *prefix; /* of names, which the file may lack */
    head_source source;
    bool adapter; /* beside one a head's parameters below its outputs are frozen, and not written */
    bool *used;   /* by number of tensor: a parameter has its name; may be NULL */
} weight_source;

static bool has_shape(int ndim, const int64_t *shape, const param *p)
{
    if (p->vector)
        return ndim == 1 && shape[0] == p->cols;
    return ndim == 2 && shape[0] == p->rows && shape[1] == p->cols;
}

/* *tensor: the one of a parameter, of its shape; *fits false: there is none, and the source allows
 * that. */
static mts_status choose_tensor(mts_ctx *ctx, const weight_source *from, const param *p,
                                weight_tensor *tensor, bool *fits)
{
    mts_status st = MTS_OK;
    const bool in_head = p->part != PARAM_BODY;
    *fits = false;
    if (p->part == PARAM_ADAPTER) /* in a folder of its own */
        return MTS_OK;
    const bool there = weight_file_find(from->file, p->name, from->prefix, tensor);
    *fits = there && has_shape(tensor->ndim, tensor->shape, p);
    if (there && from->used != NULL)
        from->used[tensor->index] = true;
    if (*fits)
        return weight_file_check(ctx, from->file, tensor);
    MTS_CHECK(!from->adapter || p->part != PARAM_HEAD, MTS_ERR_UNSUPPORTED,
              "%s: no tensor %s of the right shape: beside an adapter it is frozen, and an "
              "adapter's folder does not hold it; use --method full",
              from->dir, p->name);
    if (in_head && from->source != HEAD_NEEDED)
        return MTS_OK;
    MTS_CHECK(there || !in_head, MTS_ERR_BAD_FILE,
              "%s: no %s head: there is no tensor %s; fine-tuning (mantissa train) makes one",
              from->dir, from->head, p->name);
    MTS_CHECK(there, MTS_ERR_BAD_FILE, "%s: no tensor %s", from->dir, p->name);
    MTS_CHECK(false, MTS_ERR_BAD_FILE,
              "%s: tensor %s: %s asks for shape [%lld, %lld], the file has %d dimensions, the "
              "first %lld",
              tensor->file, p->name, from->file->folder != NULL ? "config.json" : "its metadata",
              (long long)p->rows, (long long)p->cols, tensor->ndim,
              (long long)(tensor->ndim > 0 ? tensor->shape[0] : 0));
cleanup:
    return st;
}

mts_status network_check_weights(mts_ctx *ctx, const model_config *cfg, const head_class *kind,
                                 const char *dir, head_source source)
{
    mts_status st = MTS_OK;
    weight_file file = {0};
    param_list params = {0};
    weight_source from = {.file = &file, .dir = dir, .head = kind->name, .source = source};
    MTS_TRY(network_declare(ctx, cfg, kind, &params, &from.prefix));
    MTS_TRY(weight_file_open(ctx, dir, &file));
    for (int64_t i = 0; i < params.count; i++) {
        weight_tensor t;
        bool fits;
        MTS_TRY(choose_tensor(ctx, &from, params.items[i], &t, &fits));
    }
cleanup:
    weight_file_close(&file);
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
    for (size_t i = 0; i < weight_file_count(from->file); i++) {
        const weight_tensor t = weight_file_at(from->file, i);
        if (from->used[i] || weight_file_is_buffer(from->file, &t))
            continue;
        if (report->unused++ == 0)
            snprintf(report->first_unused, sizeof report->first_unused, "%s", t.name);
    }
}

typedef struct check_job {
    const param *p;
    const float_kernels *fk;
    int64_t bad; /* a row with NaN or infinity, or -1 */
} check_job;

static void check_rows(void *arg, int64_t begin, int64_t end)
{
    check_job *job = arg;
    float x[STORED_COLS];
    for (int64_t i = begin; i < end; i++)
        for (int64_t j = 0; j < job->p->cols; j += STORED_COLS) {
            const int64_t n = job->p->cols - j < STORED_COLS ? job->p->cols - j : STORED_COLS;
            param_read(job->p, i, j, n, x);
            if (job->fk->max_abs_bits(x, n) >= FLOAT_INFINITY_BITS)
                __atomic_store_n(&job->bad, i, __ATOMIC_RELAXED);
        }
}

/* Let p be where it is in the file; all of it is read once, since later nobody could refuse it. */
static mts_status store_param(mts_ctx *ctx, const network *net, const weight_source *from,
                              const weight_tensor *t, param *p)
{
    mts_status st = MTS_OK;
    check_job job = {.p = p, .fk = net->ex.fk, .bad = -1};
    stored_matrix plain = {0};
    stored_matrix_close(&p->stored);
    MTS_TRY(weight_file_store(ctx, from->file, t, &p->stored));
    exec_parallel(&net->ex, p->rows, CHECK_ROWS, check_rows, &job);
    stored_matrix_forget(&p->stored);
    MTS_CHECK(job.bad < 0, MTS_ERR_BAD_FILE, "%s: tensor %s: row %lld has NaN or infinity", t->file,
              t->name, (long long)job.bad);
    if (net->options.frozen_nf4 && p->quantised && p->stored.class == &stored_units) {
        plain = p->stored;
        MTS_TRY(stored_nf4_make(ctx, &net->ex, &plain, &p->stored));
    }
cleanup:
    stored_matrix_close(&plain);
    return st;
}

/* Load one parameter; of the head it may be initialised instead: report says so. */
static mts_status load_param(mts_ctx *ctx, const network *net, const weight_source *from, param *p,
                             network_load_report *report)
{
    mts_status st = MTS_OK;
    const bool leave = p->part == PARAM_OUTPUT && from->source == HEAD_NEW;
    const char **first =
        p->part == PARAM_OUTPUT ? &report->initialized_output : &report->initialized_head;
    weight_tensor t;
    bool fits = false;
    if (p->part == PARAM_ADAPTER) {
        initialize_adapter(net, p);
        return MTS_OK;
    }
    MTS_TRY(choose_tensor(ctx, from, p, &t, &fits));
    if (p->storage != PARAM_IN_MEMORY)
        return store_param(ctx, net, from, &t, p);
    if (fits && !leave)
        return weight_file_read(ctx, from->file, &t, p->value, param_size(p));
    initialize(net, p);
    report->output_left = report->output_left || fits;
    if (*first == NULL)
        *first = p->name;
cleanup:
    return st;
}

mts_status network_load(mts_ctx *ctx, network *net, const char *dir, head_source source,
                        network_load_report *report)
{
    mts_status st = MTS_OK;
    weight_file file = {0};
    weight_source from = {.file = &file,
                          .dir = dir,
                          .head = net->options.head->name,
                          .prefix = net->body->class->prefix,
                          .source = source,
                          .adapter = network_has_adapter(net)};
    *report = (network_load_report){0};
    MTS_TRY(weight_file_open(ctx, dir, &file));
    MTS_TRY(mem_calloc(ctx, &from.used, weight_file_count(&file), sizeof *from.used,
                       "list of tensors"));
    for (int64_t i = 0; i < net->params.count; i++)
        MTS_TRY(load_param(ctx, net, &from, net->params.items[i], report));
    report_unused(&from, report);
    net->ex.base_version++;
    network_weights_changed(net);
cleanup:
    mem_free(from.used);
    weight_file_close(&file);
    return st;
}

/* Tensors in the folder of an adapter. */
static int64_t count_written(const network *net)
{
    int64_t n = 0;
    for (int64_t i = 0; i < net->params.count; i++)
        n += net->params.items[i]->trained;
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
        if (adapter && !p->trained)
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

mts_status network_load_adapter(mts_ctx *ctx, network *net, const char *dir, head_source source,
                                bool *left)
{
    mts_status st = MTS_OK;
    char *path = NULL, name[PARAM_NAME_BYTES + 32];
    safetensors *file = NULL;
    bool any = false;
    MTS_TRY(path_join(ctx, &path, dir, PEFT_WEIGHTS));
    MTS_TRY(safetensors_open_file(ctx, path, &file));
    for (int64_t i = 0; i < net->params.count; i++) {
        param *p = net->params.items[i];
        if (!p->trained)
            continue;
        snprintf(name, sizeof name, "%s%s", PEFT_PREFIX, p->name);
        const st_tensor *t = safetensors_find(file, name);
        MTS_CHECK(t != NULL, MTS_ERR_BAD_FILE, "%s: no tensor %s", path, name);
        if (p->part == PARAM_OUTPUT &&
            (source == HEAD_NEW || (source == HEAD_IF_THERE && !has_shape(t->ndim, t->shape, p)))) {
            any = true;
            continue;
        }
        MTS_CHECK(has_shape(t->ndim, t->shape, p), MTS_ERR_BAD_FILE,
                  "%s: tensor %s: expected shape [%lld, %lld], found %d dimensions, the first %lld",
                  path, name, (long long)p->rows, (long long)p->cols, t->ndim,
                  (long long)(t->ndim > 0 ? t->shape[0] : 0));
        MTS_TRY(safetensors_read_f32(ctx, t, p->value, param_size(p)));
    }
    MTS_CHECK((int64_t)safetensors_count(file) == count_written(net), MTS_ERR_BAD_FILE,
              "%s: expected %lld tensors, found %zu", path, (long long)count_written(net),
              safetensors_count(file));
    network_weights_changed(net);
    if (left != NULL)
        *left = any;
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}
