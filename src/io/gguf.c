/*
 * GGUF reader: opening a file.  See gguf.h.
 *
 * The keys and the descriptions of the tensors are read piece by piece into one growing buffer,
 * `header`: how long they are is known only behind the last of them.  Values of keys stay there.
 * At the end the names are copied, which gives them a NUL, and both lists are sorted by name, which
 * finds names that occur twice and serves look-up by bisection.
 */
#include "io/gguf.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/utf8.h"
#include "io/gguf_internal.h"

enum {
    START_BYTES = 4 + 4 + 8 + 8,
    KEY_BYTES_MIN = 8 + 1 + 4 + 1, /* a name of one character, a value of one byte */
    TENSOR_BYTES_MIN = 8 + 1 + 4 + 4 + 8,
    FIRST_ROOM = 64,       /* of lists, then twice as much each time */
    FIRST_LOAD = 64 << 10, /* of the header, the same */
    DEFAULT_ALIGNMENT = 32,
};

static const struct {
    const char *name;
    size_t size; /* 0: not fixed */
} kinds[GGUF_KIND_COUNT] = {
    [GGUF_KIND_U8] = {"u8", 1},     [GGUF_KIND_I8] = {"i8", 1},
    [GGUF_KIND_U16] = {"u16", 2},   [GGUF_KIND_I16] = {"i16", 2},
    [GGUF_KIND_U32] = {"u32", 4},   [GGUF_KIND_I32] = {"i32", 4},
    [GGUF_KIND_F32] = {"f32", 4},   [GGUF_KIND_BOOL] = {"bool", 1},
    [GGUF_KIND_TEXT] = {"text", 0}, [GGUF_KIND_ARRAY] = {"array", 0},
    [GGUF_KIND_U64] = {"u64", 8},   [GGUF_KIND_I64] = {"i64", 8},
    [GGUF_KIND_F64] = {"f64", 8},
};

const char *gguf_kind_name(gguf_kind kind)
{
    return kinds[kind].name;
}

size_t gguf_kind_size(gguf_kind kind)
{
    return kinds[kind].size;
}

/* ------------------------------------------------------------------------------- pieces ---- */

mts_status gguf_load(gguf_parser *p, uint64_t bytes)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    const file_reader *r = &p->file->source;
    uint64_t wanted = 0;
    MTS_CHECK(bytes <= r->bytes - p->at, MTS_ERR_BAD_FILE,
              "%s: %s: expected %" PRIu64 " more bytes at byte %zu, found %zu: cut or damaged",
              r->path, p->part, bytes, p->at, r->bytes - p->at);
    if (bytes <= p->loaded - p->at)
        goto cleanup;
    MTS_CHECK(bytes <= GGUF_HEADER_BYTES_MAX - p->at, MTS_ERR_UNSUPPORTED,
              "%s: %s: expected at most %" PRIu64 " bytes before the tensors' data, found more",
              r->path, p->part, GGUF_HEADER_BYTES_MAX);
    wanted = 2 * (uint64_t)p->loaded;
    if (wanted < FIRST_LOAD)
        wanted = FIRST_LOAD;
    if (wanted < p->at + bytes)
        wanted = p->at + bytes;
    if (wanted > GGUF_HEADER_BYTES_MAX)
        wanted = GGUF_HEADER_BYTES_MAX;
    if (wanted > r->bytes)
        wanted = r->bytes;
    MTS_TRY(mem_grow(ctx, &p->file->header, p->loaded, (size_t)wanted, 1, "header of the tensors"));
    MTS_TRY(file_reader_read(ctx, r, p->loaded, p->file->header + p->loaded,
                             (size_t)wanted - p->loaded));
    p->loaded = (size_t)wanted;
cleanup:
    return st;
}

/* Take bytes as they are. */
static mts_status take(gguf_parser *p, void *out, size_t bytes)
{
    mts_status st = gguf_load(p, bytes);
    if (st != MTS_OK)
        return st;
    memcpy(out, p->file->header + p->at, bytes);
    p->at += bytes;
    return MTS_OK;
}

mts_status gguf_take_u32(gguf_parser *p, uint32_t *value)
{
    return take(p, value, sizeof *value);
}

mts_status gguf_take_u64(gguf_parser *p, uint64_t *value)
{
    return take(p, value, sizeof *value);
}

/* Pass over bytes, which are loaded then. */
static mts_status skip(gguf_parser *p, uint64_t bytes)
{
    mts_status st = gguf_load(p, bytes);
    if (st == MTS_OK)
        p->at += (size_t)bytes;
    return st;
}

static bool has_control_characters(const uint8_t *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] == 0x7f)
            return true;
    return false;
}

mts_status gguf_take_name(gguf_parser *p, const char *kind)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    const char *path = p->file->path;
    const uint8_t *name = NULL;
    uint64_t n = 0;
    size_t bad_at = 0;
    MTS_TRY(gguf_take_u64(p, &n));
    MTS_CHECK(n > 0 && n <= GGUF_NAME_BYTES_MAX, MTS_ERR_BAD_FILE,
              "%s: %s: expected a name of 1 to %d bytes, found %" PRIu64, path, p->part,
              GGUF_NAME_BYTES_MAX, n);
    MTS_TRY(skip(p, n));
    name = p->file->header + p->at - n;
    MTS_CHECK(utf8_is_valid((const char *)name, (size_t)n, &bad_at), MTS_ERR_BAD_FILE,
              "%s: %s: expected a name in UTF-8, found another byte at %zu of it", path, p->part,
              bad_at);
    MTS_CHECK(!has_control_characters(name, (size_t)n), MTS_ERR_BAD_FILE,
              "%s: %s: the name holds control characters", path, p->part);
    snprintf(p->part, sizeof p->part, "%s %.*s", kind,
             (int)utf8_whole((const char *)name, n < 64 ? (size_t)n : 64), (const char *)name);
cleanup:
    return st;
}

/* --------------------------------------------------------------------------------- keys ---- */

static mts_status check_bools(gguf_parser *p, uint64_t count)
{
    const uint8_t *data = p->file->header + p->at - count;
    for (uint64_t i = 0; i < count; i++)
        if (data[i] > 1)
            return status_set(p->ctx, MTS_ERR_BAD_FILE,
                              "%s: %s: expected a bool of 0 or 1, found %d", p->file->path, p->part,
                              data[i]);
    return MTS_OK;
}

static mts_status take_kind(gguf_parser *p, gguf_kind *kind)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    uint32_t number = 0;
    MTS_TRY(gguf_take_u32(p, &number));
    MTS_CHECK(number < GGUF_KIND_COUNT, MTS_ERR_UNSUPPORTED,
              "%s: %s: value type %" PRIu32 " is not known", p->file->path, p->part, number);
    *kind = (gguf_kind)number;
cleanup:
    return st;
}

/* Pass over count values of a kind with a size, or texts. */
static mts_status skip_values(gguf_parser *p, gguf_kind kind, uint64_t count)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    const bool text = kind == GGUF_KIND_TEXT;
    const size_t size = text ? sizeof(uint64_t) : kinds[kind].size; /* at least */
    const size_t left = p->file->source.bytes - p->at;
    MTS_CHECK(count <= 1 || count <= left / size, MTS_ERR_BAD_FILE,
              "%s: %s: %" PRIu64 " elements of type %s do not fit in the %zu bytes that are "
              "left: cut or damaged",
              p->file->path, p->part, count, kinds[kind].name, left);
    if (!text) {
        MTS_TRY(skip(p, count * size));
        if (kind == GGUF_KIND_BOOL)
            MTS_TRY(check_bools(p, count));
    }
    for (uint64_t i = 0; text && i < count; i++) {
        uint64_t n = 0;
        MTS_TRY(gguf_take_u64(p, &n));
        MTS_TRY(skip(p, n));
    }
cleanup:
    return st;
}

static mts_status take_key(gguf_parser *p, gguf_key *key)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    key->place = p->at;
    key->count = 1;
    MTS_TRY(gguf_take_name(p, "key"));
    MTS_TRY(take_kind(p, &key->kind));
    key->element = key->kind;
    if (key->kind == GGUF_KIND_TEXT) {
        MTS_TRY(gguf_take_u64(p, &key->count));
        MTS_TRY(skip(p, key->count));
        goto cleanup;
    }
    if (key->kind == GGUF_KIND_ARRAY) {
        MTS_TRY(take_kind(p, &key->element));
        MTS_CHECK(key->element != GGUF_KIND_ARRAY, MTS_ERR_UNSUPPORTED,
                  "%s: %s: an array of arrays is not supported", p->file->path, p->part);
        MTS_TRY(gguf_take_u64(p, &key->count));
    }
    MTS_TRY(skip_values(p, key->element, key->count));
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- header ---- */

/* "GGUF", the version, the counts of tensors and keys. */
static mts_status take_start(gguf_parser *p, uint64_t *tensors, uint64_t *keys)
{
    mts_status st = MTS_OK;
    mts_ctx *ctx = p->ctx;
    const char *path = p->file->path;
    const size_t bytes = p->file->source.bytes;
    char magic[5] = "", quote[UTF8_QUOTE_BYTES];
    MTS_CHECK(bytes >= 4, MTS_ERR_BAD_FILE,
              "%s: expected a GGUF file of at least %d bytes, found %zu", path, START_BYTES, bytes);
    MTS_TRY(take(p, magic, 4));
    MTS_CHECK(memcmp(magic, "GGUF", 4) == 0, MTS_ERR_BAD_FILE,
              "%s: expected a GGUF file, which begins with \"GGUF\", found \"%s\"", path,
              utf8_quote(quote, sizeof quote, magic));
    MTS_TRY(gguf_take_u32(p, &p->file->version));
    MTS_CHECK((p->file->version & 0xffff) != 0 || p->file->version == 0, MTS_ERR_UNSUPPORTED,
              "%s: expected a little-endian GGUF file, found a big-endian one", path);
    MTS_CHECK(p->file->version == 2 || p->file->version == 3, MTS_ERR_UNSUPPORTED,
              "%s: expected GGUF version 2 or 3, found %" PRIu32, path, p->file->version);
    MTS_TRY(gguf_take_u64(p, tensors));
    MTS_TRY(gguf_take_u64(p, keys));
    MTS_CHECK(*keys <= (bytes - p->at) / KEY_BYTES_MIN, MTS_ERR_BAD_FILE,
              "%s: header: %" PRIu64 " keys do not fit in the %zu bytes that are "
              "left: cut or damaged",
              path, *keys, bytes - p->at);
    MTS_CHECK(*tensors <= (bytes - p->at) / TENSOR_BYTES_MIN, MTS_ERR_BAD_FILE,
              "%s: header: %" PRIu64 " tensors do not fit in the %zu bytes that are "
              "left: cut or damaged",
              path, *tensors, bytes - p->at);
cleanup:
    return st;
}

/* Make room for one element more in a list of `count`. */
static mts_status grow_list(mts_ctx *ctx, void *list, size_t count, size_t *room, size_t size,
                            const char *what)
{
    if (count < *room)
        return MTS_OK;
    const size_t wanted = *room == 0 ? FIRST_ROOM : 2 * *room;
    mts_status st = mem_grow(ctx, list, *room, wanted, size, what);
    if (st == MTS_OK)
        *room = wanted;
    return st;
}

static mts_status take_lists(gguf_parser *p, uint64_t keys, uint64_t tensors)
{
    mts_status st = MTS_OK;
    gguf *file = p->file;
    for (uint64_t i = 0; i < keys; i++) {
        snprintf(p->part, sizeof p->part, "key %" PRIu64 " of %" PRIu64, i + 1, keys);
        MTS_TRY(grow_list(p->ctx, &file->keys, file->key_count, &file->key_room, sizeof *file->keys,
                          "list of keys"));
        MTS_TRY(take_key(p, &file->keys[file->key_count]));
        file->key_count++;
    }
    for (uint64_t i = 0; i < tensors; i++) {
        snprintf(p->part, sizeof p->part, "tensor %" PRIu64 " of %" PRIu64, i + 1, tensors);
        MTS_TRY(grow_list(p->ctx, &file->tensors, file->tensor_count, &file->tensor_room,
                          sizeof *file->tensors, "list of tensors"));
        MTS_TRY(gguf_take_tensor(p, &file->tensors[file->tensor_count]));
        file->tensor_count++;
    }
cleanup:
    return st;
}

/* -------------------------------------------------------------------------------- names ---- */

static uint64_t load_u64(const uint8_t *data)
{
    uint64_t value = 0;
    memcpy(&value, data, sizeof value);
    return value;
}

/* The text behind its length at `place` of the header, copied to *to, which is zeroed and moves
 * behind it and its NUL. */
static const char *copy_text(const gguf *file, uint64_t place, char **to)
{
    const size_t n = (size_t)load_u64(file->header + place);
    char *text = *to;
    memcpy(text, file->header + place + sizeof(uint64_t), n);
    *to += n + 1;
    return text;
}

/* Where the value of a key begins: behind its name and type; of an array behind its type and
 * count, of a text at its length. */
static uint64_t place_of_value(const gguf *file, const gguf_key *key)
{
    const uint64_t name = sizeof(uint64_t) + load_u64(file->header + key->place);
    return key->place + name + sizeof(uint32_t) +
           (key->kind == GGUF_KIND_ARRAY ? sizeof(uint32_t) + sizeof(uint64_t) : 0);
}

/* Names and values, now that the header does not move any more. */
static mts_status set_names(mts_ctx *ctx, gguf *file)
{
    mts_status st = MTS_OK;
    size_t bytes = 0;
    char *to = NULL;
    for (size_t i = 0; i < file->key_count; i++) {
        const gguf_key *key = &file->keys[i];
        bytes += (size_t)load_u64(file->header + key->place) + 1;
        bytes += key->kind == GGUF_KIND_TEXT ? (size_t)key->count + 1 : 0;
    }
    for (size_t i = 0; i < file->tensor_count; i++)
        bytes += (size_t)load_u64(file->header + file->tensors[i].place) + 1;
    MTS_TRY(mem_calloc(ctx, &file->names, bytes, 1, "names of tensors"));
    to = file->names;
    for (size_t i = 0; i < file->key_count; i++) {
        gguf_key *key = &file->keys[i];
        const uint64_t place = place_of_value(file, key);
        key->name = copy_text(file, key->place, &to);
        key->data = key->kind == GGUF_KIND_TEXT ? (const uint8_t *)copy_text(file, place, &to)
                                                : file->header + place;
    }
    for (size_t i = 0; i < file->tensor_count; i++)
        file->tensors[i].name = copy_text(file, file->tensors[i].place, &to);
cleanup:
    return st;
}

static int compare_keys(const void *a, const void *b)
{
    const gguf_key *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int compare_tensors(const void *a, const void *b)
{
    const gguf_tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Each name may occur once among the keys, and once among the tensors. */
static mts_status sort_keys(mts_ctx *ctx, gguf *file)
{
    if (file->key_count > 1)
        qsort(file->keys, file->key_count, sizeof *file->keys, compare_keys);
    for (size_t i = 1; i < file->key_count; i++)
        if (strcmp(file->keys[i].name, file->keys[i - 1].name) == 0)
            return status_set(ctx, MTS_ERR_BAD_FILE, "%s: key %.200s occurs twice", file->path,
                              file->keys[i].name);
    return MTS_OK;
}

static mts_status sort_tensors(mts_ctx *ctx, gguf *file)
{
    if (file->tensor_count > 1)
        qsort(file->tensors, file->tensor_count, sizeof *file->tensors, compare_tensors);
    for (size_t i = 1; i < file->tensor_count; i++)
        if (strcmp(file->tensors[i].name, file->tensors[i - 1].name) == 0)
            return status_set(ctx, MTS_ERR_BAD_FILE, "%s: tensor %.200s occurs twice", file->path,
                              file->tensors[i].name);
    return MTS_OK;
}

/* -------------------------------------------------------------------------- open, close ---- */

static mts_status find_alignment(mts_ctx *ctx, const gguf *file, int64_t *alignment)
{
    mts_status st = MTS_OK;
    *alignment = DEFAULT_ALIGNMENT;
    MTS_TRY(gguf_find_int(ctx, file, "general.alignment", 1, INT64_C(1) << 31, alignment));
    MTS_CHECK((*alignment & (*alignment - 1)) == 0, MTS_ERR_BAD_FILE,
              "%s: key general.alignment: expected a power of two, found %" PRId64, file->path,
              *alignment);
cleanup:
    return st;
}

mts_status gguf_open(mts_ctx *ctx, const char *path, gguf **out)
{
    mts_status st = MTS_OK;
    gguf_parser p = {.ctx = ctx, .part = "header"};
    gguf *file = NULL;
    uint64_t tensors = 0, keys = 0;
    int64_t alignment = 0;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &file, 1, sizeof *file, "GGUF file"));
    p.file = file;
    MTS_TRY(mem_strdup(ctx, &file->path, path));
    MTS_TRY(file_reader_open(ctx, file->path, &file->source));
    MTS_TRY(take_start(&p, &tensors, &keys));
    MTS_TRY(take_lists(&p, keys, tensors));
    MTS_TRY(set_names(ctx, file));
    MTS_TRY(sort_keys(ctx, file));
    MTS_TRY(find_alignment(ctx, file, &alignment));
    MTS_TRY(gguf_place_tensors(ctx, file, p.at, (uint64_t)alignment));
    MTS_TRY(sort_tensors(ctx, file));
    *out = file;
    file = NULL;
cleanup:
    gguf_close(file);
    return st;
}

void gguf_close(gguf *file)
{
    if (file == NULL)
        return;
    file_reader_close(&file->source);
    mem_free(file->path);
    mem_free(file->header);
    mem_free(file->names);
    mem_free(file->keys);
    mem_free(file->tensors);
    mem_free(file);
}

int gguf_version(const gguf *file)
{
    return (int)file->version;
}

/* ------------------------------------------------------------------------------ look-up ---- */

size_t gguf_tensor_count(const gguf *file)
{
    return file->tensor_count;
}

const gguf_tensor *gguf_tensor_at(const gguf *file, size_t index)
{
    return &file->tensors[index];
}

const gguf_tensor *gguf_find_tensor(const gguf *file, const char *name)
{
    const gguf_tensor key = {.name = name};
    if (file->tensor_count == 0)
        return NULL;
    return bsearch(&key, file->tensors, file->tensor_count, sizeof key, compare_tensors);
}

size_t gguf_key_count(const gguf *file)
{
    return file->key_count;
}

const gguf_key *gguf_key_at(const gguf *file, size_t index)
{
    return &file->keys[index];
}

const gguf_key *gguf_find_key(const gguf *file, const char *name)
{
    const gguf_key key = {.name = name};
    if (file->key_count == 0)
        return NULL;
    return bsearch(&key, file->keys, file->key_count, sizeof key, compare_keys);
}
