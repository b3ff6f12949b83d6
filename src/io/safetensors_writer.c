/*
 * safetensors writer.  See safetensors.h.
 *
 * The header is a JSON object with insertion order kept, so its text, and with it the whole file,
 * is the one that the safetensors library writes for the same tensors.
 */
#include "io/safetensors.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"

enum { DATA_ALIGN = 8 };

struct safetensors_writer {
    mts_ctx *ctx;
    char *path;
    st_tensor *tensors;
    size_t count, capacity;
};

mts_status safetensors_writer_open(mts_ctx *ctx, const char *path, safetensors_writer **out)
{
    mts_status st = MTS_OK;
    safetensors_writer *w = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &w, 1, sizeof *w, "safetensors writer"));
    w->ctx = ctx;
    MTS_TRY(mem_strdup(ctx, &w->path, path));
    *out = w;
    w = NULL;
cleanup:
    safetensors_writer_close(w);
    return st;
}

void safetensors_writer_close(safetensors_writer *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < w->count; i++)
        mem_free((void *)(uintptr_t)w->tensors[i].name);
    mem_free(w->tensors);
    mem_free(w->path);
    mem_free(w);
}

/* UTF-8 is checked by json_util_new_string. */
static mts_status check_name(mts_ctx *ctx, const char *path, const char *name)
{
    mts_status st = MTS_OK;
    json_t *text = NULL;
    MTS_CHECK(name[0] != '\0' && strcmp(name, "__metadata__") != 0, MTS_ERR_ARGUMENT,
              "%s: \"%s\" cannot be the name of a tensor", path, name);
    for (const char *c = name; *c != '\0'; c++)
        MTS_CHECK((unsigned char)*c >= 0x20 && *c != 0x7f, MTS_ERR_ARGUMENT,
                  "%s: the name of a tensor holds control characters", path);
    MTS_TRY(json_util_new_string(ctx, "name of a tensor", name, &text));
cleanup:
    json_decref(text);
    return st;
}

/* t: name, type, dimensions, and where its elements come from. */
static mts_status add(safetensors_writer *w, st_tensor t, const int64_t *shape)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    const char *name = t.name;
    const int ndim = t.ndim;
    char *copy = NULL;
    t.file = w->path;
    MTS_TRY(check_name(ctx, w->path, name));
    MTS_CHECK(ndim >= 0 && ndim <= ST_DIMS_MAX, MTS_ERR_ARGUMENT,
              "%s: tensor %.200s: expected 0..%d dimensions, found %d", w->path, name, ST_DIMS_MAX,
              ndim);
    for (int i = 0; i < ndim; i++) {
        MTS_CHECK(shape[i] >= 0, MTS_ERR_ARGUMENT,
                  "%s: tensor %.200s: expected dimensions from 0, found %" PRId64, w->path, name,
                  shape[i]);
        t.shape[i] = shape[i];
    }
    if (safetensors_measure(ctx, &t) != MTS_OK) {
        st = MTS_ERR_ARGUMENT; /* with the text of measure; here it is the caller's doing */
        goto cleanup;
    }
    MTS_CHECK(t.data != NULL || t.write != NULL || t.bytes == 0, MTS_ERR_ARGUMENT,
              "%s: tensor %.200s has no data", w->path, name);
    if (w->count == w->capacity) {
        size_t larger = w->capacity == 0 ? 64 : 2 * w->capacity;
        MTS_TRY(mem_grow(ctx, &w->tensors, w->capacity, larger, sizeof t, "list of tensors"));
        w->capacity = larger;
    }
    MTS_TRY(mem_strdup(ctx, &copy, name));
    t.name = copy;
    w->tensors[w->count++] = t;
cleanup:
    return st;
}

mts_status safetensors_writer_add(safetensors_writer *w, const char *name, st_dtype dtype, int ndim,
                                  const int64_t *shape, const void *data)
{
    return add(w, (st_tensor){.name = name, .dtype = dtype, .ndim = ndim, .data = data}, shape);
}

mts_status safetensors_writer_add_stream(safetensors_writer *w, const char *name, st_dtype dtype,
                                         int ndim, const int64_t *shape,
                                         safetensors_write_fn *write, void *user)
{
    return add(
        w, (st_tensor){.name = name, .dtype = dtype, .ndim = ndim, .write = write, .user = user},
        shape);
}

static int compare_names(const void *a, const void *b)
{
    const st_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Larger elements first, so that all are aligned; then by name. */
static int compare_layout(const void *a, const void *b)
{
    const st_tensor *x = a, *y = b;
    return x->dtype != y->dtype ? (int)y->dtype - (int)x->dtype : strcmp(x->name, y->name);
}

static mts_status sort_tensors(safetensors_writer *w)
{
    if (w->count < 2)
        return MTS_OK;
    qsort(w->tensors, w->count, sizeof *w->tensors, compare_names);
    for (size_t i = 1; i < w->count; i++) {
        if (compare_names(&w->tensors[i - 1], &w->tensors[i]) == 0)
            return status_set(w->ctx, MTS_ERR_ARGUMENT, "%s: tensor %.200s is declared twice",
                              w->path, w->tensors[i].name);
    }
    qsort(w->tensors, w->count, sizeof *w->tensors, compare_layout);
    return MTS_OK;
}

/* header[name] = {"dtype": ..., "shape": [...], "data_offsets": [begin, begin + bytes]} */
static mts_status add_entry(mts_ctx *ctx, json_t *header, const st_tensor *t, uint64_t begin)
{
    mts_status st = MTS_OK;
    json_t *shape = json_array(), *entry = NULL;
    MTS_CHECK(shape != NULL, MTS_ERR_MEMORY, "out of memory: safetensors header");
    for (int i = 0; i < t->ndim; i++)
        MTS_CHECK(json_array_append_new(shape, json_integer(t->shape[i])) == 0, MTS_ERR_MEMORY,
                  "out of memory: safetensors header");
    entry = json_pack("{s:s, s:O, s:[I, I]}", "dtype", safetensors_dtype_name(t->dtype), "shape",
                      shape, "data_offsets", (json_int_t)begin, (json_int_t)(begin + t->bytes));
    MTS_CHECK(entry != NULL, MTS_ERR_MEMORY, "out of memory: safetensors header");
    MTS_TRY(json_util_set(ctx, header, t->name, json_incref(entry)));
cleanup:
    json_decref(shape);
    json_decref(entry);
    return st;
}

/* *header: {"__metadata__": ..., tensors in the order of the data}; drop with json_decref. */
static mts_status build_header(safetensors_writer *w, json_t **header)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    uint64_t place = 0;
    *header = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    MTS_CHECK(*header != NULL, MTS_ERR_MEMORY, "out of memory: safetensors header");
    for (size_t i = 0; i < w->count; i++) {
        MTS_CHECK(w->tensors[i].bytes <= INT64_MAX - place, MTS_ERR_ARGUMENT,
                  "%s: the sizes of all tensors overflow", w->path);
        MTS_TRY(add_entry(ctx, *header, &w->tensors[i], place));
        place += w->tensors[i].bytes;
    }
cleanup:
    return st;
}

/* *text: the header padded with spaces to *bytes, a multiple of DATA_ALIGN; free with mem_free. */
static mts_status print_header(safetensors_writer *w, char **text, size_t *bytes)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    json_t *header = NULL;
    size_t n = 0;
    MTS_TRY(build_header(w, &header));
    n = json_dumpb(header, NULL, 0, JSON_COMPACT);
    MTS_CHECK(n > 0, MTS_ERR_MEMORY, "out of memory: safetensors header");
    *bytes = (n + DATA_ALIGN - 1) / DATA_ALIGN * DATA_ALIGN;
    MTS_CHECK(*bytes <= ST_HEADER_BYTES_MAX, MTS_ERR_ARGUMENT,
              "%s: header: expected at most %zu bytes, found %zu", w->path, ST_HEADER_BYTES_MAX,
              *bytes);
    MTS_TRY(mem_calloc(ctx, text, *bytes, 1, "safetensors header"));
    memset(*text, ' ', *bytes);
    MTS_CHECK(json_dumpb(header, *text, n, JSON_COMPACT) == n, MTS_ERR_MEMORY,
              "out of memory: safetensors header");
cleanup:
    json_decref(header);
    return st;
}

static mts_status write_tensor(mts_ctx *ctx, const st_tensor *t, file_writer *file)
{
    mts_status st = MTS_OK;
    const uint64_t before = file_writer_bytes(file);
    if (t->write == NULL)
        return file_writer_write(file, t->data, t->bytes);
    MTS_TRY(t->write(t->user, file));
    MTS_CHECK(file_writer_bytes(file) - before == t->bytes, MTS_ERR_ARGUMENT,
              "%s: tensor %.200s: expected %zu bytes to be written, found %" PRIu64, t->file,
              t->name, t->bytes, file_writer_bytes(file) - before);
cleanup:
    return st;
}

mts_status safetensors_writer_commit(safetensors_writer *w)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    size_t bytes = 0;
    uint64_t length = 0;
    file_writer *file = NULL;
    MTS_TRY(sort_tensors(w));
    MTS_TRY(print_header(w, &text, &bytes));
    length = bytes;
    MTS_TRY(file_writer_open(w->ctx, w->path, &file));
    MTS_TRY(file_writer_write(file, &length, sizeof length));
    MTS_TRY(file_writer_write(file, text, bytes));
    for (size_t i = 0; i < w->count; i++)
        MTS_TRY(write_tensor(w->ctx, &w->tensors[i], file));
    MTS_TRY(file_writer_commit(file));
cleanup:
    file_writer_close(file);
    mem_free(text);
    return st;
}
