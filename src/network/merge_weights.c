/* The weights of a model with an adapter in them.  See merge_weights.h. */
#include "network/merge_weights.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/memory.h"
#include "heads/head.h"
#include "network/network.h"
#include "network/shard_files.h"
#include "network/weight_file.h"
#include "tensor/stored_nf4.h"

enum { BLOCK_ELEMENTS = 1 << 18, NAME_BYTES = 512 };

typedef struct merging merging;

/* A tensor that is written. */
typedef struct item {
    merging *m;
    char *name;             /* owned */
    weight_tensor base;     /* where its values are, */
    const st_tensor *saved; /* or, unless NULL, there: in the adapter's file */
    int ndim;
    const int64_t *shape;
    const peft_module *module; /* what is added; NULL: nothing */
    st_dtype dtype;
    bool as_it_is;        /* its bytes are copied */
    bool unpacked;        /* its values are read by way of `stored`: it is in 4 bits, or */
    bool rounded;         /* was beside the adapter */
    stored_matrix stored; /* while it is written */
    int64_t rows, cols;
    uint64_t bytes;
    int64_t shard; /* from 0 */
} item;

struct merging {
    mts_ctx *ctx;
    const merge_request *request;
    weight_file file;
    item *items;
    int64_t count, shards, done;
    exec ex;              /* for its threads */
    float *block, *delta; /* [BLOCK_ELEMENTS] or a row, [row] */
    int64_t block_elements;
};

/* ------------------------------------------------------------------------------ planning ---- */

static const st_tensor *in_folder(const merging *m, const weight_tensor *t)
{
    return m->file.folder != NULL ? safetensors_at(m->file.folder, t->index) : NULL;
}

static bool is_float(st_dtype dtype)
{
    return dtype == ST_DTYPE_F32 || dtype == ST_DTYPE_F16 || dtype == ST_DTYPE_BF16;
}

/* Set the type that it is written in, of one stored in that of the base, and its size. */
static void set_form(item *it, st_dtype stored, int ndim, const int64_t *shape)
{
    const merge_request *r = it->m->request;
    it->dtype = is_float(stored) && !r->as_base ? r->dtype : stored;
    it->ndim = ndim;
    it->shape = shape;
    it->rows = 1;
    it->cols = ndim > 0 ? shape[ndim - 1] : 1;
    for (int i = 0; i < ndim - 1; i++)
        it->rows *= shape[i]; /* which fits, as the file's reader has checked */
    it->bytes = (uint64_t)(it->rows * it->cols) * safetensors_dtype_size(it->dtype);
}

/* The type of a folder's first float: that of what is not packed. */
static st_dtype first_float(const merging *m)
{
    for (size_t i = 0; i < safetensors_count(m->file.folder); i++) {
        const st_tensor *t = safetensors_at(m->file.folder, i);
        if (is_float(t->dtype) && !nf4_tensors_is_part(&m->file.nf4, t))
            return t->dtype;
    }
    return ST_DTYPE_F32;
}

/* Append the tensor t of the base. */
static mts_status add_item(merging *m, const char *name, const weight_tensor *t)
{
    item *it = &m->items[m->count];
    const st_tensor *stored = in_folder(m, t);
    const bool packed = weight_file_nf4(&m->file, t) != NULL;
    const st_dtype own = stored != NULL ? stored->dtype : ST_DTYPE_F32;
    const st_dtype dtype = packed ? first_float(m) : own;
    *it = (item){.m = m, .base = *t, .unpacked = packed};
    set_form(it, dtype, t->ndim, t->shape);
    it->as_it_is = stored != NULL && !packed && it->dtype == dtype;
    m->count++;
    return mem_strdup(m->ctx, &it->name, name);
}

/* Room for so many tensors of the base, and what the adapter has beside them. */
static mts_status make_room(merging *m, size_t count)
{
    return mem_calloc(m->ctx, &m->items, count + m->request->adapter->saved_count, sizeof *m->items,
                      "list of tensors");
}

static mts_status list_folder(merging *m)
{
    mts_status st = MTS_OK;
    const size_t count = weight_file_count(&m->file);
    MTS_TRY(make_room(m, count));
    for (size_t i = 0; i < count; i++) {
        const weight_tensor t = weight_file_at(&m->file, i);
        if (!nf4_tensors_is_part(&m->file.nf4, safetensors_at(m->file.folder, t.index)))
            MTS_TRY(add_item(m, t.name, &t));
    }
cleanup:
    return st;
}

/* All that transformers' model has, by its names. */
static mts_status list_gguf(merging *m)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = m->ctx;
    model_config cfg = {0};
    param_list params = {0};
    const char *prefix;
    MTS_TRY(model_load_config(ctx, m->request->base, &cfg));
    MTS_TRY(network_declare(ctx, &cfg, head_class_usual(&cfg), &params, &prefix));
    MTS_TRY(make_room(m, (size_t)params.count));
    for (int64_t i = 0; i < params.count; i++) {
        const param *p = params.items[i];
        weight_tensor t;
        MTS_CHECK(weight_file_find(&m->file, p->name, prefix, &t), MTS_ERR_BAD_FILE,
                  "%s: no tensor %s", m->request->base, p->name);
        MTS_TRY(weight_file_check(ctx, &m->file, &t));
        MTS_CHECK(t.ndim == (p->vector ? 1 : 2) && t.shape[t.ndim - 1] == p->cols &&
                      (p->vector || t.shape[0] == p->rows),
                  MTS_ERR_BAD_FILE, "%s: tensor %s: another shape than its metadata asks for",
                  t.file, t.name);
        MTS_TRY(add_item(m, p->name, &t));
    }
cleanup:
    param_list_deinit(&params);
    model_config_deinit(&cfg);
    return st;
}

/* The item that a parameter of the adapter's names is, or NULL. */
static item *find_item(const merging *m, const char *name)
{
    weight_tensor t;
    if (!weight_file_find(&m->file, name, m->request->prefix, &t))
        return NULL;
    for (int64_t i = 0; i < m->count; i++)
        if (m->items[i].base.name != NULL && m->items[i].base.index == t.index)
            return &m->items[i];
    return NULL;
}

/* Let the layer's weight get what the adapter adds. */
static mts_status attach(merging *m, const peft_module *module)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = m->ctx;
    const peft_adapter *a = m->request->adapter;
    char name[NAME_BYTES];
    item *found = NULL;
    const st_tensor *t = NULL;
    if ((size_t)snprintf(name, sizeof name, "%s.weight", module->name) < sizeof name)
        found = find_item(m, name);
    MTS_CHECK(found != NULL, MTS_ERR_BAD_FILE,
              "%s: module %.200s is not in %s: an adapter of another base", a->path, module->name,
              m->request->base);
    MTS_CHECK(found->ndim == 2 && found->rows == module->out && found->cols == module->in,
              MTS_ERR_BAD_FILE,
              "%s: module %.200s: expected shape [%" PRId64 ", %" PRId64
              "], as %s has, found [%" PRId64 ", %" PRId64 "]: an adapter of another base",
              a->path, module->name, found->rows, found->cols, m->request->base, module->out,
              module->in);
    t = in_folder(m, &found->base);
    MTS_CHECK(t == NULL || found->unpacked || is_float(t->dtype), MTS_ERR_UNSUPPORTED,
              "%s: tensor %.200s: expected F32, F16 or BF16, found %s", found->base.file,
              found->base.name, safetensors_dtype_name(t->dtype));
    found->module = module;
    found->as_it_is = false;
cleanup:
    return st;
}

/* A parameter that was trained beside the adapter takes the place of the base's, or is new. */
static mts_status replace(merging *m, const st_tensor *saved)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = m->ctx;
    const char *name = saved->name + strlen(PEFT_PREFIX);
    item *found = find_item(m, name);
    bool same = found != NULL && found->ndim == saved->ndim;
    for (int i = 0; same && i < saved->ndim; i++)
        same = found->shape[i] == saved->shape[i];
    MTS_CHECK(is_float(saved->dtype), MTS_ERR_UNSUPPORTED,
              "%s: tensor %.200s: expected F32, F16 or BF16, found %s", saved->file, saved->name,
              safetensors_dtype_name(saved->dtype));
    MTS_CHECK(same || m->request->new_head, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: %s has none of this shape, and no file beside the adapter "
              "describes a model that has",
              saved->file, saved->name, m->request->base);
    if (found == NULL) {
        found = &m->items[m->count];
        *found = (item){.m = m};
        MTS_TRY(mem_strdup(ctx, &found->name, name));
        m->count++;
    }
    set_form(found, same ? found->dtype : saved->dtype, saved->ndim, saved->shape);
    found->saved = saved;
    found->unpacked = found->as_it_is = false;
cleanup:
    return st;
}

/* Let all that was in 4 bits beside the adapter have those values. */
static mts_status round_base(merging *m)
{
    mts_status st = MTS_OK;
    model_config cfg = {0};
    param_list params = {0};
    const char *prefix;
    MTS_TRY(model_load_config(m->ctx, m->request->base, &cfg));
    MTS_TRY(network_declare(m->ctx, &cfg, head_class_of_config(&cfg), &params, &prefix));
    for (int64_t i = 0; i < params.count; i++) {
        item *it = params.items[i]->quantised ? find_item(m, params.items[i]->name) : NULL;
        if (it == NULL || it->unpacked || it->ndim != 2)
            continue;
        it->unpacked = it->rounded = true;
        it->as_it_is = false;
    }
cleanup:
    param_list_deinit(&params);
    model_config_deinit(&cfg);
    return st;
}

static mts_status make_plan(merging *m)
{
    mts_status st = MTS_OK;
    const peft_adapter *a = m->request->adapter;
    MTS_TRY(m->file.folder != NULL ? list_folder(m) : list_gguf(m));
    if (m->request->nf4_base)
        MTS_TRY(round_base(m));
    for (size_t i = 0; i < a->count; i++)
        MTS_TRY(attach(m, &a->modules[i]));
    for (size_t i = 0; i < a->saved_count; i++)
        MTS_TRY(replace(m, a->saved[i]));
cleanup:
    return st;
}

static int compare_items(const void *a, const void *b)
{
    return strcmp(((const item *)a)->name, ((const item *)b)->name);
}

/* Give each tensor its file: one is filled after the other. */
static void choose_shards(merging *m)
{
    uint64_t used = 0;
    qsort(m->items, (size_t)m->count, sizeof *m->items, compare_items);
    m->shards = 1;
    for (int64_t i = 0; i < m->count; i++) {
        const uint64_t bytes = m->items[i].bytes, most = m->request->shard_bytes;
        if (used > 0 && (bytes > most || used > most - bytes)) {
            m->shards++;
            used = 0;
        }
        m->items[i].shard = m->shards - 1;
        used += bytes;
    }
}

/* -------------------------------------------------------------------------------- values ---- */

/* Open the values of a matrix that is in 4 bits, or make them. */
static mts_status open_stored(item *it)
{
    mts_status st = MTS_OK;
    merging *m = it->m;
    stored_matrix plain = {0};
    MTS_TRY(weight_file_store(m->ctx, &m->file, &it->base, &it->stored));
    if (it->rounded) {
        plain = it->stored;
        it->stored = (stored_matrix){0};
        MTS_TRY(stored_nf4_make(m->ctx, &m->ex, &plain, &it->stored));
    }
cleanup:
    stored_matrix_close(&plain);
    return st;
}

static mts_status read_block(const item *it, int64_t first, int64_t rows, float *out)
{
    mts_ctx *ctx = it->m->ctx;
    for (int64_t i = 0; it->unpacked && i < rows; i++)
        stored_matrix_read(&it->stored, first + i, 0, it->cols, out + i * it->cols);
    if (it->unpacked)
        return MTS_OK;
    if (it->saved != NULL)
        return safetensors_read_part(ctx, it->saved, first * it->cols, rows * it->cols, out);
    return weight_file_read_rows(ctx, &it->m->file, &it->base, first, rows, out);
}

/* row[cols] += scale * b[ranks] A */
static void add_row(float *row, float *delta, const float *b, const float *a, int64_t ranks,
                    int64_t cols, float scale)
{
    for (int64_t j = 0; j < cols; j++)
        delta[j] = b[0] * a[j];
    for (int64_t k = 1; k < ranks; k++)
        for (int64_t j = 0; j < cols; j++)
            delta[j] += b[k] * a[k * cols + j];
    for (int64_t j = 0; j < cols; j++)
        row[j] += scale * delta[j];
}

/* Values of the type it is written in, in the place of the floats; the index of the first that is
 * not finite there, or count. */
static int64_t convert(float *values, int64_t count, st_dtype dtype)
{
    uint8_t *out = (uint8_t *)values;
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = bits_of_float(values[i]);
        uint16_t half = 0;
        bool finite = (bits & 0x7f800000u) != 0x7f800000u;
        if (dtype == ST_DTYPE_F32) {
            if (!finite)
                return i;
            continue;
        }
        half = dtype == ST_DTYPE_BF16 ? bf16_of_float(values[i]) : f16_of_float(values[i]);
        finite = finite && (dtype == ST_DTYPE_BF16 ? (half & 0x7f80u) != 0x7f80u
                                                   : (half & 0x7c00u) != 0x7c00u);
        if (!finite)
            return i;
        memcpy(out + 2 * i, &half, sizeof half); /* behind it nothing was converted yet */
    }
    return count;
}

static mts_status write_block(const item *it, int64_t first, int64_t rows, const float *a,
                              const float *b, file_writer *file)
{
    mts_status st = MTS_OK;
    merging *m = it->m;
    mts_ctx *ctx = m->ctx;
    const peft_config *c = &m->request->adapter->config;
    const int64_t count = rows * it->cols;
    int64_t good = 0;
    MTS_TRY(read_block(it, first, rows, m->block));
    for (int64_t i = 0; a != NULL && i < rows; i++)
        add_row(m->block + i * it->cols, m->delta, b + (first + i) * c->rank, a, c->rank, it->cols,
                (float)peft_scale(c));
    good = convert(m->block, count, it->dtype);
    MTS_CHECK(good == count, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: element %" PRId64 " is not finite in %s", m->request->base,
              it->name, first * it->cols + good, safetensors_dtype_name(it->dtype));
    MTS_TRY(file_writer_write(file, m->block, (size_t)count * safetensors_dtype_size(it->dtype)));
cleanup:
    return st;
}

/* Tell how far it came. */
static mts_status report(merging *m)
{
    const mts_callbacks *c = m->request->callbacks;
    const mts_event event = {
        .kind = MTS_EVENT_PROGRESS, .text = "merging", .done = m->done, .total = m->count};
    if (c != NULL && c->on_event != NULL && !c->on_event(c->user, &event))
        return status_set(m->ctx, MTS_ERR_INTERRUPTED, "interrupted: nothing was written");
    return MTS_OK;
}

static mts_status write_item(void *user, file_writer *file)
{
    item *it = user;
    mts_status st = MTS_OK;
    merging *m = it->m;
    const int64_t block = m->block_elements / (it->cols > 0 ? it->cols : 1);
    float *a = NULL, *b = NULL;
    if (it->unpacked)
        MTS_TRY(open_stored(it));
    if (it->module != NULL)
        MTS_TRY(peft_adapter_read(m->ctx, m->request->adapter, it->module, &a, &b));
    if (it->as_it_is)
        MTS_TRY(safetensors_copy(m->ctx, in_folder(m, &it->base), file));
    for (int64_t i = 0; !it->as_it_is && i < it->rows; i += block)
        MTS_TRY(write_block(it, i, it->rows - i < block ? it->rows - i : block, a, b, file));
    m->done++;
    MTS_TRY(report(m));
cleanup:
    stored_matrix_close(&it->stored);
    mem_free(a);
    mem_free(b);
    return st;
}

/* -------------------------------------------------------------------------------- files ---- */

static mts_status write_shard(merging *m, int64_t shard)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = m->ctx;
    char *path = NULL;
    safetensors_writer *w = NULL;
    MTS_TRY(shard_file_path(ctx, m->request->dir, shard, m->shards, &path));
    MTS_TRY(safetensors_writer_open(ctx, path, &w));
    for (int64_t i = 0; i < m->count; i++) {
        item *it = &m->items[i];
        if (it->shard == shard)
            MTS_TRY(safetensors_writer_add_stream(w, it->name, it->dtype, it->ndim, it->shape,
                                                  write_item, it));
    }
    MTS_TRY(safetensors_writer_commit(w));
cleanup:
    safetensors_writer_close(w);
    mem_free(path);
    return st;
}

static mts_status take_memory(merging *m)
{
    mts_status st = MTS_OK;
    int64_t widest = 1;
    for (int64_t i = 0; i < m->count; i++)
        if (!m->items[i].as_it_is && m->items[i].cols > widest)
            widest = m->items[i].cols;
    m->block_elements = widest > BLOCK_ELEMENTS ? widest : BLOCK_ELEMENTS;
    MTS_TRY(mem_calloc(m->ctx, &m->block, (size_t)m->block_elements, sizeof *m->block, "rows"));
    MTS_TRY(mem_calloc(m->ctx, &m->delta, (size_t)widest, sizeof *m->delta, "row"));
cleanup:
    return st;
}

mts_status merge_weights(mts_ctx *ctx, const merge_request *request)
{
    mts_status st = MTS_OK;
    merging m = {.ctx = ctx, .request = request, .ex = {.threads = 1}};
    MTS_TRY(weight_file_open(ctx, request->base, &m.file));
    MTS_TRY(make_plan(&m));
    choose_shards(&m);
    MTS_TRY(take_memory(&m));
    for (int64_t i = 0; i < m.shards; i++)
        MTS_TRY(write_shard(&m, i));
    MTS_TRY(shard_files_write_index(ctx, request->dir, m.shards));
cleanup:
    for (int64_t i = 0; i < m.count; i++)
        mem_free(m.items[i].name);
    mem_free(m.items);
    mem_free(m.block);
    mem_free(m.delta);
    weight_file_close(&m.file);
    return st;
}
