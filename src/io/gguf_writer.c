/* Writer of GGUF files.  See gguf_writer.h. */
#include "io/gguf_writer.h"

#include <inttypes.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"

enum { ALIGNMENT = 32, VERSION = 3 };

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "GGUF data is little-endian; this code writes it without conversion"
#endif

typedef struct written_tensor {
    char *name; /* owned */
    const gguf_type *type;
    uint32_t number; /* of the type */
    int ndim;
    int64_t shape[GGUF_DIMS_MAX];
    uint64_t bytes;
    gguf_write_fn *write;
    void *user;
} written_tensor;

/* Bytes that grow. */
typedef struct byte_list {
    uint8_t *data;
    size_t size, room;
} byte_list;

struct gguf_writer {
    mts_ctx *ctx;
    char *path;
    byte_list keys; /* as they are to be in the file */
    uint64_t key_count;
    char **key_names; /* owned, and each of them */
    size_t key_room;
    written_tensor *tensors;
    size_t tensor_count, tensor_room;
};

mts_status gguf_writer_open(mts_ctx *ctx, const char *path, gguf_writer **out)
{
    mts_status st = MTS_OK;
    gguf_writer *w = NULL;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &w, 1, sizeof *w, "GGUF writer"));
    w->ctx = ctx;
    MTS_TRY(mem_strdup(ctx, &w->path, path));
    *out = w;
    w = NULL;
cleanup:
    gguf_writer_close(w);
    return st;
}

void gguf_writer_close(gguf_writer *w)
{
    if (w == NULL)
        return;
    for (uint64_t i = 0; i < w->key_count; i++)
        mem_free(w->key_names[i]);
    for (size_t i = 0; i < w->tensor_count; i++)
        mem_free(w->tensors[i].name);
    mem_free(w->key_names);
    mem_free(w->tensors);
    mem_free(w->keys.data);
    mem_free(w->path);
    mem_free(w);
}

/* -------------------------------------------------------------------------------- bytes ---- */

static mts_status put_bytes(mts_ctx *ctx, byte_list *list, const void *data, size_t bytes)
{
    mts_status st = MTS_OK;
    if (bytes > list->room - list->size) {
        const size_t larger = 2 * list->room + bytes + 256;
        MTS_TRY(mem_grow(ctx, &list->data, list->room, larger, 1, "GGUF header"));
        list->room = larger;
    }
    memcpy(list->data + list->size, data, bytes);
    list->size += bytes;
cleanup:
    return st;
}

static mts_status put_u32(mts_ctx *ctx, byte_list *list, uint32_t value)
{
    return put_bytes(ctx, list, &value, sizeof value);
}

static mts_status put_u64(mts_ctx *ctx, byte_list *list, uint64_t value)
{
    return put_bytes(ctx, list, &value, sizeof value);
}

static mts_status put_text(mts_ctx *ctx, byte_list *list, const char *text)
{
    mts_status st = MTS_OK;
    MTS_TRY(put_u64(ctx, list, strlen(text)));
    MTS_TRY(put_bytes(ctx, list, text, strlen(text)));
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- keys ---- */

static mts_status check_name(gguf_writer *w, const char *name)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    char quoted[UTF8_QUOTE_BYTES];
    const size_t n = strlen(name);
    bool plain = n > 0 && n <= GGUF_NAME_BYTES_MAX && utf8_is_valid(name, n, NULL);
    for (size_t i = 0; i < n; i++)
        plain = plain && (unsigned char)name[i] >= 0x20 && name[i] != 0x7f;
    MTS_CHECK(plain, MTS_ERR_ARGUMENT, "%s: \"%s\" cannot be a name", w->path,
              utf8_quote(quoted, sizeof quoted, name));
cleanup:
    return st;
}

/* Name and kind of a key; its value follows. */
static mts_status begin_key(gguf_writer *w, const char *name, gguf_kind kind)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    MTS_TRY(check_name(w, name));
    for (uint64_t i = 0; i < w->key_count; i++)
        MTS_CHECK(strcmp(w->key_names[i], name) != 0, MTS_ERR_ARGUMENT,
                  "%s: key %.200s is declared twice", w->path, name);
    if (w->key_count == w->key_room) {
        const size_t larger = w->key_room == 0 ? 16 : 2 * w->key_room;
        MTS_TRY(
            mem_grow(ctx, &w->key_names, w->key_room, larger, sizeof *w->key_names, "GGUF keys"));
        w->key_room = larger;
    }
    MTS_TRY(mem_strdup(ctx, &w->key_names[w->key_count], name));
    w->key_count++;
    MTS_TRY(put_text(ctx, &w->keys, name));
    MTS_TRY(put_u32(ctx, &w->keys, (uint32_t)kind));
cleanup:
    return st;
}

mts_status gguf_writer_put_text(gguf_writer *w, const char *name, const char *text)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    MTS_CHECK(utf8_is_valid(text, strlen(text), NULL), MTS_ERR_ARGUMENT,
              "%s: key %.200s: the text is not UTF-8", w->path, name);
    MTS_TRY(begin_key(w, name, GGUF_KIND_TEXT));
    MTS_TRY(put_text(ctx, &w->keys, text));
cleanup:
    return st;
}

mts_status gguf_writer_put_f32(gguf_writer *w, const char *name, float value)
{
    mts_status st = MTS_OK;
    MTS_TRY(begin_key(w, name, GGUF_KIND_F32));
    MTS_TRY(put_bytes(w->ctx, &w->keys, &value, sizeof value));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------ tensors ---- */

/* Set t's bytes. */
static mts_status measure(gguf_writer *w, written_tensor *t)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    int64_t blocks = 1;
    for (int i = 0; i < t->ndim; i++) {
        const bool row = i == t->ndim - 1;
        const int64_t n = row ? t->shape[i] / t->type->elements : t->shape[i];
        MTS_CHECK(t->shape[i] >= 1 && (!row || t->shape[i] % t->type->elements == 0),
                  MTS_ERR_ARGUMENT,
                  "%s: tensor %.200s: expected dimensions from 1 and rows of whole blocks, found "
                  "%" PRId64,
                  w->path, t->name, t->shape[i]);
        MTS_CHECK(blocks <= INT64_MAX / 8 / t->type->bytes / n, MTS_ERR_ARGUMENT,
                  "%s: tensor %.200s: its size overflows", w->path, t->name);
        blocks *= n;
    }
    t->bytes = (uint64_t)blocks * t->type->bytes;
cleanup:
    return st;
}

mts_status gguf_writer_add(gguf_writer *w, const char *name, uint32_t type, int ndim,
                           const int64_t *shape, gguf_write_fn *write, void *user)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    written_tensor t = {
        .type = gguf_type_find(type), .number = type, .ndim = ndim, .write = write, .user = user};
    MTS_TRY(check_name(w, name));
    MTS_CHECK(ndim >= 1 && ndim <= GGUF_DIMS_MAX && t.type != NULL && t.type->elements > 0,
              MTS_ERR_ARGUMENT,
              "%s: tensor %.200s: expected 1..%d dimensions and a type that is known, found %d "
              "and type %" PRIu32,
              w->path, name, GGUF_DIMS_MAX, ndim, type);
    for (size_t i = 0; i < w->tensor_count; i++)
        MTS_CHECK(strcmp(w->tensors[i].name, name) != 0, MTS_ERR_ARGUMENT,
                  "%s: tensor %.200s is declared twice", w->path, name);
    memcpy(t.shape, shape, (size_t)ndim * sizeof *shape);
    if (w->tensor_count == w->tensor_room) {
        const size_t larger = w->tensor_room == 0 ? 64 : 2 * w->tensor_room;
        MTS_TRY(mem_grow(ctx, &w->tensors, w->tensor_room, larger, sizeof t, "list of tensors"));
        w->tensor_room = larger;
    }
    MTS_TRY(mem_strdup(ctx, &t.name, name));
    MTS_TRY(measure(w, &t));
    w->tensors[w->tensor_count++] = t;
    t.name = NULL;
cleanup:
    mem_free(t.name);
    return st;
}

/* ------------------------------------------------------------------------------- writing ---- */

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* head: all before the data, but its padding. */
static mts_status make_header(const gguf_writer *w, byte_list *head)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = w->ctx;
    uint64_t place = 0;
    MTS_TRY(put_bytes(ctx, head, "GGUF", 4));
    MTS_TRY(put_u32(ctx, head, VERSION));
    MTS_TRY(put_u64(ctx, head, w->tensor_count));
    MTS_TRY(put_u64(ctx, head, w->key_count));
    if (w->keys.size > 0)
        MTS_TRY(put_bytes(ctx, head, w->keys.data, w->keys.size));
    for (size_t i = 0; i < w->tensor_count; i++) {
        const written_tensor *t = &w->tensors[i];
        MTS_TRY(put_text(ctx, head, t->name));
        MTS_TRY(put_u32(ctx, head, (uint32_t)t->ndim));
        for (int d = t->ndim - 1; d >= 0; d--) /* first the one that lies together */
            MTS_TRY(put_u64(ctx, head, (uint64_t)t->shape[d]));
        MTS_TRY(put_u32(ctx, head, t->number));
        MTS_TRY(put_u64(ctx, head, place));
        MTS_CHECK(t->bytes <= INT64_MAX / 2 - place, MTS_ERR_ARGUMENT,
                  "%s: the sizes of all tensors overflow", w->path);
        place = round_up(place + t->bytes);
    }
cleanup:
    return st;
}

/* Zeros up to a multiple of the alignment. */
static mts_status write_padding(file_writer *file)
{
    static const uint8_t zeros[ALIGNMENT];
    const uint64_t bytes = file_writer_bytes(file);
    return file_writer_write(file, zeros, (size_t)(round_up(bytes) - bytes));
}

static mts_status write_tensor(mts_ctx *ctx, const char *path, const written_tensor *t,
                               file_writer *file)
{
    mts_status st = MTS_OK;
    const uint64_t before = file_writer_bytes(file);
    MTS_TRY(t->write(t->user, file));
    MTS_CHECK(file_writer_bytes(file) - before == t->bytes, MTS_ERR_ARGUMENT,
              "%s: tensor %.200s: expected %" PRIu64 " bytes to be written, found %" PRIu64, path,
              t->name, t->bytes, file_writer_bytes(file) - before);
    MTS_TRY(write_padding(file));
cleanup:
    return st;
}

mts_status gguf_writer_commit(gguf_writer *w)
{
    mts_status st = MTS_OK;
    byte_list head = {0};
    file_writer *file = NULL;
    MTS_TRY(make_header(w, &head));
    MTS_TRY(file_writer_open(w->ctx, w->path, &file));
    MTS_TRY(file_writer_write(file, head.data, head.size));
    MTS_TRY(write_padding(file));
    for (size_t i = 0; i < w->tensor_count; i++)
        MTS_TRY(write_tensor(w->ctx, w->path, &w->tensors[i], file));
    MTS_TRY(file_writer_commit(file));
cleanup:
    file_writer_close(file);
    mem_free(head.data);
    return st;
}
