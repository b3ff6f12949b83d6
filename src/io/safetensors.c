/*
 * safetensors reader.  See safetensors.h.
 *
 * A shard is opened, its header read and parsed, its tensors appended to one array and checked as a
 * range: sorted by place they must cover the data exactly.  At the end the array is sorted by name,
 * which finds names that occur twice and serves look-up by bisection.
 */
#include "io/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "base/utf8.h"

#define INDEX_BYTES_MAX ((size_t)100000000)

enum {
    LENGTH_BYTES = 8,
    SHAPE_TEXT_BYTES = 4 + 22 * ST_DIMS_MAX, /* brackets; 20 digits and a comma per dimension */
};

struct safetensors {
    char **paths; /* one per shard */
    file_reader *sources;
    size_t shards;
    st_tensor *tensors;
    size_t count;
};

/* ------------------------------------------------------------------------------- header ---- */

static mts_status parse_dtype(mts_ctx *ctx, const json_t *entry, st_tensor *t)
{
    const json_t *value = json_object_get(entry, "dtype");
    char quote[UTF8_QUOTE_BYTES];
    if (!json_is_string(value))
        return status_set(ctx, MTS_ERR_BAD_FILE,
                          "%s: tensor %.200s: dtype: expected a string, found %s", t->file, t->name,
                          json_util_type_name(value));
    for (int i = 0; i < ST_DTYPE_COUNT; i++) {
        if (strcmp(safetensors_dtype_name((st_dtype)i), json_string_value(value)) == 0) {
            t->dtype = (st_dtype)i;
            return MTS_OK;
        }
    }
    utf8_quote(quote, sizeof quote, json_string_value(value));
    return status_set(ctx, MTS_ERR_UNSUPPORTED, "%s: tensor %.200s: dtype \"%s\" is not known",
                      t->file, t->name, quote);
}

static mts_status parse_shape(mts_ctx *ctx, const json_t *entry, st_tensor *t)
{
    mts_status st = MTS_OK;
    const json_t *value = json_object_get(entry, "shape");
    size_t n = json_array_size(value);
    MTS_CHECK(json_is_array(value), MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: shape: expected an array, found %s", t->file, t->name,
              json_util_type_name(value));
    MTS_CHECK(n <= ST_DIMS_MAX, MTS_ERR_UNSUPPORTED,
              "%s: tensor %.200s: expected at most %d dimensions, found %zu", t->file, t->name,
              ST_DIMS_MAX, n);
    t->ndim = (int)n;
    for (size_t i = 0; i < n; i++) {
        const json_t *dim = json_array_get(value, i);
        MTS_CHECK(json_is_integer(dim) && json_integer_value(dim) >= 0, MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s: shape: expected integers from 0, found %s", t->file, t->name,
                  json_is_integer(dim) ? "a negative one" : json_util_type_name(dim));
        t->shape[i] = (int64_t)json_integer_value(dim);
    }
    MTS_TRY(safetensors_measure(ctx, t));
cleanup:
    return st;
}

/* The data of a shard: where it begins in the file, and how long it is. */
typedef struct data_part {
    uint64_t begin, bytes;
} data_part;

/* Place the tensor in the data of its file. */
static mts_status parse_offsets(mts_ctx *ctx, const json_t *entry, data_part data, st_tensor *t)
{
    mts_status st = MTS_OK;
    const json_t *value = json_object_get(entry, "data_offsets");
    const json_t *first = json_array_get(value, 0), *second = json_array_get(value, 1);
    uint64_t begin = 0, end = 0;
    MTS_CHECK(json_array_size(value) == 2 && json_is_integer(first) && json_is_integer(second),
              MTS_ERR_BAD_FILE, "%s: tensor %.200s: data_offsets: expected two integers", t->file,
              t->name);
    MTS_CHECK(
        json_integer_value(first) >= 0 && json_integer_value(first) <= json_integer_value(second),
        MTS_ERR_BAD_FILE,
        "%s: tensor %.200s: data_offsets: expected 0 <= begin <= end, found %lld and %lld", t->file,
        t->name, (long long)json_integer_value(first), (long long)json_integer_value(second));
    begin = (uint64_t)json_integer_value(first);
    end = (uint64_t)json_integer_value(second);
    MTS_CHECK(end <= data.bytes, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: ends at byte %" PRIu64 " of the data, which has %" PRIu64,
              t->file, t->name, end, data.bytes);
    MTS_CHECK(end - begin == t->bytes, MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: its shape needs %zu bytes, data_offsets span %" PRIu64, t->file,
              t->name, t->bytes, end - begin);
    t->offset = data.begin + begin;
cleanup:
    return st;
}

static bool has_control_characters(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    }
    return false;
}

static mts_status parse_tensor(mts_ctx *ctx, const char *name, const json_t *entry, data_part data,
                               st_tensor *t)
{
    mts_status st = MTS_OK;
    char *copy = NULL;
    MTS_CHECK(!has_control_characters(name), MTS_ERR_BAD_FILE,
              "%s: the name of a tensor holds control characters", t->file);
    MTS_TRY(mem_strdup(ctx, &copy, name));
    t->name = copy;
    MTS_CHECK(json_is_object(entry), MTS_ERR_BAD_FILE,
              "%s: tensor %.200s: expected an object, found %s", t->file, name,
              json_util_type_name(entry));
    MTS_TRY(parse_dtype(ctx, entry, t));
    MTS_TRY(parse_shape(ctx, entry, t));
    MTS_TRY(parse_offsets(ctx, entry, data, t));
cleanup:
    return st;
}

static mts_status check_metadata(mts_ctx *ctx, const char *path, json_t *metadata)
{
    if (!json_is_object(metadata))
        return status_set(ctx, MTS_ERR_BAD_FILE, "%s: __metadata__: expected an object, found %s",
                          path, json_util_type_name(metadata));
    void *it = json_object_iter(metadata);
    for (; it != NULL; it = json_object_iter_next(metadata, it)) {
        const json_t *value = json_object_iter_value(it);
        if (!json_is_string(value))
            return status_set(ctx, MTS_ERR_BAD_FILE,
                              "%s: __metadata__: expected only strings, found %s", path,
                              json_util_type_name(value));
    }
    return MTS_OK;
}

static int compare_place(const void *a, const void *b)
{
    const st_tensor *x = a, *y = b;
    if (x->offset != y->offset)
        return x->offset < y->offset ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty ones first */
}

/* tensors[count] must cover the data without gap and overlap.  Sorts them by place. */
static mts_status check_cover(mts_ctx *ctx, const char *path, st_tensor *tensors, size_t count,
                              data_part data)
{
    mts_status st = MTS_OK;
    const uint64_t end = data.begin + data.bytes;
    uint64_t place = data.begin;
    if (count > 1)
        qsort(tensors, count, sizeof *tensors, compare_place);
    for (size_t i = 0; i < count; i++) {
        MTS_CHECK(tensors[i].offset >= place, MTS_ERR_BAD_FILE,
                  "%s: tensor %.200s overlaps tensor %.200s", path, tensors[i].name,
                  tensors[i - 1].name);
        MTS_CHECK(tensors[i].offset == place, MTS_ERR_BAD_FILE,
                  "%s: a hole of %" PRIu64 " bytes before tensor %.200s", path,
                  tensors[i].offset - place, tensors[i].name);
        place += tensors[i].bytes;
    }
    MTS_CHECK(place == end, MTS_ERR_BAD_FILE,
              "%s: %" PRIu64 " bytes after the last tensor belong to none", path, end - place);
cleanup:
    return st;
}

/* *text[*bytes]: the JSON text behind the first eight bytes; free with mem_free. */
static mts_status read_header(mts_ctx *ctx, const file_reader *r, char **text, size_t *bytes)
{
    mts_status st = MTS_OK;
    const char *path = r->path;
    uint64_t n = 0;
    MTS_CHECK(r->bytes >= LENGTH_BYTES, MTS_ERR_BAD_FILE,
              "%s: expected at least %d bytes, found %zu", path, LENGTH_BYTES, r->bytes);
    MTS_TRY(file_reader_read(ctx, r, 0, &n, sizeof n));
    MTS_CHECK(n <= ST_HEADER_BYTES_MAX, MTS_ERR_BAD_FILE,
              "%s: header: expected at most %zu bytes, found %" PRIu64, path, ST_HEADER_BYTES_MAX,
              n);
    MTS_CHECK(n <= r->bytes - LENGTH_BYTES, MTS_ERR_BAD_FILE,
              "%s: header of %" PRIu64 " bytes is cut: the file has %zu bytes", path, n, r->bytes);
    MTS_TRY(mem_calloc(ctx, text, (size_t)n + 1, 1, "header of the tensors"));
    MTS_TRY(file_reader_read(ctx, r, LENGTH_BYTES, *text, (size_t)n));
    MTS_CHECK((*text)[0] == '{', MTS_ERR_BAD_FILE, "%s: header: expected to begin with '{'", path);
    *bytes = (size_t)n;
cleanup:
    return st;
}

/* Open shard number `shard` (its path is set) and append its tensors. */
static mts_status read_shard(mts_ctx *ctx, safetensors *s, size_t shard)
{
    mts_status st = MTS_OK;
    const char *path = s->paths[shard];
    file_reader *source = &s->sources[shard];
    char *header = NULL;
    size_t header_bytes = 0, before = s->count;
    data_part data;
    json_t *root = NULL;
    MTS_TRY(file_reader_open(ctx, path, source));
    MTS_TRY(read_header(ctx, source, &header, &header_bytes));
    MTS_TRY(json_util_parse(ctx, path, header, header_bytes, &root));
    MTS_TRY(mem_grow(ctx, &s->tensors, before, before + json_object_size(root), sizeof *s->tensors,
                     "list of tensors"));
    data.begin = LENGTH_BYTES + header_bytes;
    data.bytes = source->bytes - data.begin;
    for (void *it = json_object_iter(root); it != NULL; it = json_object_iter_next(root, it)) {
        const char *name = json_object_iter_key(it);
        json_t *entry = json_object_iter_value(it);
        if (strcmp(name, "__metadata__") == 0) {
            MTS_TRY(check_metadata(ctx, path, entry));
            continue;
        }
        st_tensor *t = &s->tensors[s->count++];
        t->file = path;
        t->source = source;
        MTS_TRY(parse_tensor(ctx, name, entry, data, t));
    }
    MTS_TRY(check_cover(ctx, path, s->tensors + before, s->count - before, data));
cleanup:
    mem_free(header);
    json_decref(root);
    return st;
}

/* -------------------------------------------------------------------------- open, close ---- */

static int compare_tensor_names(const void *a, const void *b)
{
    const st_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Sort by name; each may occur once. */
static mts_status sort_by_name(mts_ctx *ctx, safetensors *s)
{
    if (s->count > 1)
        qsort(s->tensors, s->count, sizeof *s->tensors, compare_tensor_names);
    for (size_t i = 1; i < s->count; i++) {
        const st_tensor *t = &s->tensors[i];
        if (strcmp(t->name, t[-1].name) == 0)
            return status_set(ctx, MTS_ERR_BAD_FILE, "tensor %.200s is both in %s and in %s",
                              t->name, t[-1].file, t->file);
    }
    return MTS_OK;
}

/* *out: no tensors yet, `shards` paths to be set and read. */
static mts_status create(mts_ctx *ctx, size_t shards, safetensors **out)
{
    mts_status st = MTS_OK;
    safetensors *s = NULL;
    MTS_TRY(mem_calloc(ctx, &s, 1, sizeof *s, "safetensors"));
    MTS_TRY(mem_calloc(ctx, &s->sources, shards, sizeof *s->sources, "list of shards"));
    MTS_TRY(mem_calloc(ctx, &s->paths, shards, sizeof *s->paths, "list of shards"));
    s->shards = shards;
    *out = s;
    s = NULL;
cleanup:
    safetensors_close(s);
    return st;
}

mts_status safetensors_open_file(mts_ctx *ctx, const char *path, safetensors **out)
{
    mts_status st = MTS_OK;
    safetensors *s = NULL;
    *out = NULL;
    MTS_TRY(create(ctx, 1, &s));
    MTS_TRY(mem_strdup(ctx, &s->paths[0], path));
    MTS_TRY(read_shard(ctx, s, 0));
    MTS_TRY(sort_by_name(ctx, s));
    *out = s;
    s = NULL;
cleanup:
    safetensors_close(s);
    return st;
}

void safetensors_close(safetensors *s)
{
    if (s == NULL)
        return;
    for (size_t i = 0; i < s->count; i++)
        mem_free((void *)(uintptr_t)s->tensors[i].name);
    for (size_t i = 0; i < s->shards; i++) {
        file_reader_close(&s->sources[i]);
        mem_free(s->paths[i]);
    }
    mem_free(s->tensors);
    mem_free(s->sources);
    mem_free(s->paths);
    mem_free(s);
}

/* A shard must be a plain file beside the index: no folder, nothing hidden, no way up. */
static bool is_shard_name(const char *name)
{
    return name[0] != '\0' && name[0] != '.' && strchr(name, '/') == NULL &&
           strchr(name, '\\') == NULL && strstr(name, "..") == NULL &&
           !has_control_characters(name);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* *names (free with mem_free; strings owned by map), *count: the distinct shards of the index. */
static mts_status list_shards(mts_ctx *ctx, const char *path, json_t *map, const char ***names,
                              size_t *count)
{
    mts_status st = MTS_OK;
    size_t n = 0;
    MTS_CHECK(json_is_object(map) && json_object_size(map) > 0, MTS_ERR_BAD_FILE,
              "%s: weight_map: expected an object that is not empty, found %s", path,
              json_util_type_name(map));
    MTS_TRY(mem_calloc(ctx, names, json_object_size(map), sizeof **names, "list of shards"));
    for (void *it = json_object_iter(map); it != NULL; it = json_object_iter_next(map, it)) {
        const json_t *value = json_object_iter_value(it);
        MTS_CHECK(json_is_string(value), MTS_ERR_BAD_FILE,
                  "%s: weight_map: expected file names, found %s", path,
                  json_util_type_name(value));
        MTS_CHECK(is_shard_name(json_string_value(value)), MTS_ERR_BAD_FILE,
                  "%s: weight_map: a shard must be a file name in the same folder, without \"/\" "
                  "and \"..\"",
                  path);
        (*names)[n++] = json_string_value(value);
    }
    qsort(*names, n, sizeof **names, compare_strings);
    *count = 1;
    for (size_t i = 1; i < n; i++) {
        if (strcmp((*names)[i], (*names)[*count - 1]) != 0)
            (*names)[(*count)++] = (*names)[i];
    }
cleanup:
    return st;
}

/* Each tensor of the index must be in the shard that the index says. */
static mts_status check_index(mts_ctx *ctx, const char *path, json_t *map, const safetensors *s)
{
    for (void *it = json_object_iter(map); it != NULL; it = json_object_iter_next(map, it)) {
        const char *shard = json_string_value(json_object_iter_value(it));
        const st_tensor *t = safetensors_find(s, json_object_iter_key(it));
        const char *slash = t == NULL ? NULL : strrchr(t->file, '/');
        if (t == NULL || strcmp(slash == NULL ? t->file : slash + 1, shard) != 0)
            return status_set(ctx, MTS_ERR_BAD_FILE,
                              "%s: a tensor it places in %.200s is not there%s%.200s", path, shard,
                              t == NULL ? "" : ": ", t == NULL ? "" : t->name);
    }
    return MTS_OK;
}

/* Open the shards that the index file names; they lie in dir. */
static mts_status open_index(mts_ctx *ctx, const char *dir, const char *index, safetensors **out)
{
    mts_status st = MTS_OK;
    safetensors *s = NULL;
    json_t *root = NULL, *map = NULL;
    const char **names = NULL;
    size_t count = 0;
    MTS_TRY(json_util_load_object(ctx, index, INDEX_BYTES_MAX, &root));
    map = json_object_get(root, "weight_map");
    MTS_TRY(list_shards(ctx, index, map, &names, &count));
    MTS_TRY(create(ctx, count, &s));
    for (size_t i = 0; i < count; i++) {
        MTS_TRY(path_join(ctx, &s->paths[i], dir, names[i]));
        MTS_TRY(read_shard(ctx, s, i));
    }
    MTS_TRY(sort_by_name(ctx, s));
    MTS_TRY(check_index(ctx, index, map, s));
    *out = s;
    s = NULL;
cleanup:
    safetensors_close(s);
    mem_free((void *)names);
    json_decref(root);
    return st;
}

mts_status safetensors_open_dir(mts_ctx *ctx, const char *dir, safetensors **out)
{
    mts_status st = MTS_OK;
    char *single = NULL, *index = NULL, *pickle = NULL;
    *out = NULL;
    MTS_TRY(path_join(ctx, &single, dir, "model.safetensors"));
    MTS_TRY(path_join(ctx, &index, dir, "model.safetensors.index.json"));
    MTS_TRY(path_join(ctx, &pickle, dir, "pytorch_model.bin"));
    if (file_exists(single)) {
        MTS_TRY(safetensors_open_file(ctx, single, out));
    } else if (file_exists(index)) {
        MTS_TRY(open_index(ctx, dir, index, out));
    } else {
        MTS_CHECK(!file_exists(pickle), MTS_ERR_UNSUPPORTED,
                  "%s: only safetensors weights can be read; convert it to model.safetensors",
                  pickle);
        MTS_CHECK(dir_exists(dir), MTS_ERR_NOT_FOUND, "%s: no such folder", dir);
        MTS_CHECK(false, MTS_ERR_NOT_FOUND,
                  "%s: neither model.safetensors nor model.safetensors.index.json is there", dir);
    }
cleanup:
    mem_free(single);
    mem_free(index);
    mem_free(pickle);
    return st;
}

/* ------------------------------------------------------------------------------ look-up ---- */

size_t safetensors_count(const safetensors *file)
{
    return file->count;
}

const st_tensor *safetensors_at(const safetensors *file, size_t index)
{
    return &file->tensors[index];
}

const st_tensor *safetensors_find(const safetensors *file, const char *name)
{
    st_tensor key = {.name = name};
    if (file->count == 0)
        return NULL;
    return bsearch(&key, file->tensors, file->count, sizeof key, compare_tensor_names);
}

/* text[bytes]: "[2, 3]". */
static void print_shape(char *text, size_t bytes, int ndim, const int64_t *shape)
{
    size_t used = (size_t)snprintf(text, bytes, "[");
    for (int i = 0; i < ndim; i++)
        used +=
            (size_t)snprintf(text + used, bytes - used, "%s%" PRId64, i == 0 ? "" : ", ", shape[i]);
    snprintf(text + used, bytes - used, "]");
}

mts_status safetensors_require(mts_ctx *ctx, const safetensors *file, const char *name, int ndim,
                               const int64_t *shape, const st_tensor **out)
{
    char want[SHAPE_TEXT_BYTES], have[SHAPE_TEXT_BYTES];
    const st_tensor *t = safetensors_find(file, name);
    if (t == NULL)
        return status_set(ctx, MTS_ERR_BAD_FILE, "%s: tensor %.200s: expected, but absent",
                          file->paths[0], name);
    bool same = t->ndim == ndim;
    for (int i = 0; same && i < ndim; i++)
        same = t->shape[i] == shape[i];
    if (!same) {
        print_shape(want, sizeof want, ndim, shape);
        print_shape(have, sizeof have, t->ndim, t->shape);
        return status_set(ctx, MTS_ERR_BAD_FILE, "%s: tensor %.200s: expected shape %s, found %s",
                          t->file, name, want, have);
    }
    *out = t;
    return MTS_OK;
}
