/* A low-rank adapter in PEFT's folder.  See peft_adapter.h. */
#include "io/peft_adapter.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

static const char end_a[] = ".lora_A.weight", end_b[] = ".lora_B.weight";
enum { END_BYTES = sizeof end_a - 1, NAME_BYTES = 1024 };

/* ------------------------------------------------------------------------------ reading ---- */

/* Bytes of the layer's name in that of a tensor, behind the prefix; 0: it does not end so. */
static size_t module_bytes(const char *name, const char *end)
{
    const size_t prefix = strlen(PEFT_PREFIX), n = strlen(name);
    if (n <= prefix + END_BYTES || strcmp(name + n - END_BYTES, end) != 0)
        return 0;
    return n - prefix - END_BYTES;
}

static mts_status check_shapes(mts_ctx *ctx, const peft_adapter *out, const peft_module *m)
{
    mts_status st = MTS_OK;
    const int64_t r = out->stored_ranks;
    MTS_CHECK(m->a->ndim == 2 && m->a->shape[0] == r && m->b->ndim == 2 && m->b->shape[1] == r &&
                  m->a->shape[1] > 0 && m->b->shape[0] > 0,
              MTS_ERR_BAD_FILE,
              "%s: module %.200s: expected A of %" PRId64 " rows and B of as many columns, as r in "
              "" PEFT_CONFIG ", found others",
              out->path, m->name, r);
cleanup:
    return st;
}

/* Append the layer whose A is the tensor `a`. */
static mts_status add_module(mts_ctx *ctx, peft_adapter *out, const st_tensor *a, size_t bytes)
{
    mts_status st = MTS_OK;
    const size_t prefix = strlen(PEFT_PREFIX);
    peft_module *m = &out->modules[out->count];
    char name[NAME_BYTES];
    MTS_CHECK(bytes + prefix + END_BYTES < sizeof name, MTS_ERR_UNSUPPORTED,
              "%s: a name of %zu bytes", out->path, bytes);
    MTS_TRY(mem_strndup(ctx, &m->name, a->name + prefix, bytes));
    out->count++;
    snprintf(name, sizeof name, PEFT_PREFIX "%s%s", m->name, end_b);
    m->a = a;
    m->b = safetensors_find(out->file, name);
    MTS_CHECK(m->b != NULL, MTS_ERR_BAD_FILE, "%s: no tensor %.300s", out->path, name);
    MTS_TRY(check_shapes(ctx, out, m));
    m->in = a->shape[1];
    m->out = m->b->shape[0];
cleanup:
    return st;
}

static mts_status find_modules(mts_ctx *ctx, peft_adapter *out)
{
    mts_status st = MTS_OK;
    const size_t count = safetensors_count(out->file);
    size_t seconds = 0;
    MTS_TRY(mem_calloc(ctx, &out->modules, count, sizeof *out->modules, "list of modules"));
    MTS_TRY(mem_calloc(ctx, &out->saved, count, sizeof *out->saved, "list of tensors"));
    for (size_t i = 0; i < count; i++) {
        const st_tensor *t = safetensors_at(out->file, i);
        const size_t bytes = module_bytes(t->name, end_a);
        MTS_CHECK(strncmp(t->name, PEFT_PREFIX, strlen(PEFT_PREFIX)) == 0, MTS_ERR_BAD_FILE,
                  "%s: expected names that begin with " PEFT_PREFIX ", found %.200s", out->path,
                  t->name);
        MTS_CHECK(strstr(t->name, "lora_embedding_") == NULL &&
                      strstr(t->name, "lora_magnitude_") == NULL,
                  MTS_ERR_UNSUPPORTED, "%s: tensor %.200s is not supported", out->path, t->name);
        if (bytes > 0)
            MTS_TRY(add_module(ctx, out, t, bytes));
        else if (module_bytes(t->name, end_b) > 0)
            seconds++;
        else
            out->saved[out->saved_count++] = t;
    }
    MTS_CHECK(out->count > 0 && seconds == out->count, MTS_ERR_BAD_FILE,
              "%s: expected pairs of lora_A and lora_B, found %zu and %zu", out->path, out->count,
              seconds);
cleanup:
    return st;
}

/* The number of ranks in use becomes config.rank, of which peft_scale makes their scale. */
static mts_status use_ranks(mts_ctx *ctx, const char *dir, int64_t rank, peft_adapter *out)
{
    mts_status st = MTS_OK;
    out->stored_ranks = out->config.rank;
    MTS_CHECK(rank <= out->stored_ranks, MTS_ERR_ARGUMENT,
              "option --rank: %s has %" PRId64 " ranks, found %" PRId64, dir, out->stored_ranks,
              rank);
    if (rank > 0)
        out->config.rank = rank;
cleanup:
    return st;
}

mts_status peft_adapter_open(mts_ctx *ctx, const char *dir, int64_t rank, peft_adapter *out)
{
    mts_status st = MTS_OK;
    *out = (peft_adapter){0};
    MTS_TRY(peft_config_load(ctx, dir, &out->config));
    MTS_TRY(use_ranks(ctx, dir, rank, out));
    MTS_TRY(path_join(ctx, &out->path, dir, PEFT_WEIGHTS));
    MTS_TRY(safetensors_open_file(ctx, out->path, &out->file));
    MTS_TRY(find_modules(ctx, out));
cleanup:
    return st;
}

void peft_adapter_close(peft_adapter *a)
{
    for (size_t i = 0; i < a->count; i++)
        mem_free(a->modules[i].name);
    mem_free(a->modules);
    mem_free((void *)a->saved);
    safetensors_close(a->file);
    mem_free(a->path);
    peft_config_deinit(&a->config);
    *a = (peft_adapter){0};
}

mts_status peft_adapter_read(mts_ctx *ctx, const peft_adapter *adapter, const peft_module *module,
                             float **a, float **b)
{
    mts_status st = MTS_OK;
    const int64_t used = adapter->config.rank, stored = adapter->stored_ranks;
    *a = *b = NULL;
    MTS_TRY(mem_calloc(ctx, a, (size_t)(used * module->in), sizeof **a, "adapter"));
    MTS_TRY(mem_calloc(ctx, b, (size_t)(stored * module->out), sizeof **b, "adapter"));
    MTS_TRY(safetensors_read_part(ctx, module->a, 0, used * module->in, *a));
    MTS_TRY(safetensors_read_f32(ctx, module->b, *b, stored * module->out));
    for (int64_t i = 1; used < stored && i < module->out; i++)
        memmove(*b + i * used, *b + i * stored, (size_t)used * sizeof **b);
cleanup:
    if (st != MTS_OK) {
        mem_free(*a);
        mem_free(*b);
        *a = *b = NULL;
    }
    return st;
}

/* ------------------------------------------------------------------------------ writing ---- */

/* The configuration of `from` with the ranks in use; what is unknown here stays. */
static mts_status save_config(mts_ctx *ctx, const peft_adapter *adapter, const char *from,
                              const char *dir)
{
    mts_status st = MTS_OK;
    char *in = NULL, *out = NULL;
    json_t *json = NULL;
    MTS_TRY(path_join(ctx, &in, from, PEFT_CONFIG));
    MTS_TRY(path_join(ctx, &out, dir, PEFT_CONFIG));
    MTS_TRY(json_util_load_object(ctx, in, JSON_UTIL_CONFIG_BYTES, &json));
    MTS_TRY(json_util_set(ctx, json, "r", json_integer(adapter->config.rank)));
    MTS_TRY(json_util_save(ctx, json, out));
cleanup:
    json_decref(json);
    mem_free(in);
    mem_free(out);
    return st;
}

/* One of the two tensors of a layer, or one that is as it was. */
typedef struct part {
    mts_ctx *ctx;
    const peft_adapter *adapter;
    const peft_module *module; /* NULL: saved */
    const st_tensor *saved;
    bool second; /* B */
} part;

static mts_status write_part(void *user, file_writer *file)
{
    const part *p = user;
    mts_status st = MTS_OK;
    float *a = NULL, *b = NULL;
    if (p->module == NULL)
        return safetensors_copy(p->ctx, p->saved, file);
    const size_t count =
        (size_t)p->adapter->config.rank * (size_t)(p->second ? p->module->out : p->module->in);
    MTS_TRY(peft_adapter_read(p->ctx, p->adapter, p->module, &a, &b));
    MTS_TRY(file_writer_write(file, p->second ? b : a, count * sizeof *a));
cleanup:
    mem_free(a);
    mem_free(b);
    return st;
}

/* parts: room for all, which lives until commit. */
static mts_status add_parts(mts_ctx *ctx, const peft_adapter *adapter, part *parts,
                            safetensors_writer *w)
{
    mts_status st = MTS_OK;
    part *p = parts;
    for (size_t i = 0; i < 2 * adapter->count; i++, p++) {
        const peft_module *m = &adapter->modules[i / 2];
        const int64_t r = adapter->config.rank;
        *p = (part){.ctx = ctx, .adapter = adapter, .module = m, .second = i % 2 == 1};
        const int64_t a[] = {r, m->in}, b[] = {m->out, r};
        MTS_TRY(safetensors_writer_add_stream(w, p->second ? m->b->name : m->a->name, ST_DTYPE_F32,
                                              2, p->second ? b : a, write_part, p));
    }
    for (size_t i = 0; i < adapter->saved_count; i++, p++) {
        const st_tensor *t = adapter->saved[i];
        *p = (part){.ctx = ctx, .adapter = adapter, .saved = t};
        MTS_TRY(
            safetensors_writer_add_stream(w, t->name, t->dtype, t->ndim, t->shape, write_part, p));
    }
cleanup:
    return st;
}

mts_status peft_adapter_save(mts_ctx *ctx, const peft_adapter *adapter, const char *from,
                             const char *dir)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    part *parts = NULL;
    safetensors_writer *w = NULL;
    MTS_TRY(mem_calloc(ctx, &parts, 2 * adapter->count + adapter->saved_count, sizeof *parts,
                       "list of tensors"));
    MTS_TRY(path_join(ctx, &path, dir, PEFT_WEIGHTS));
    MTS_TRY(safetensors_writer_open(ctx, path, &w));
    MTS_TRY(add_parts(ctx, adapter, parts, w));
    MTS_TRY(safetensors_writer_commit(w));
    MTS_TRY(save_config(ctx, adapter, from, dir));
cleanup:
    safetensors_writer_close(w);
    mem_free(path);
    mem_free(parts);
    return st;
}
