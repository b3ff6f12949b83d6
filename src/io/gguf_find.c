/*
 * Typed values of a GGUF file's keys.  See gguf.h.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"
#include "io/gguf_internal.h"

enum { VALUE_TEXT_BYTES = 48 };

static bool is_integer(gguf_kind kind)
{
    switch (kind) {
    case GGUF_KIND_U8:
    case GGUF_KIND_I8:
    case GGUF_KIND_U16:
    case GGUF_KIND_I16:
    case GGUF_KIND_U32:
    case GGUF_KIND_I32:
    case GGUF_KIND_U64:
    case GGUF_KIND_I64:
        return true;
    default:
        return false;
    }
}

static bool is_real(gguf_kind kind)
{
    return kind == GGUF_KIND_F32 || kind == GGUF_KIND_F64;
}

/* An integer and whether it is of int64_t: u64 may be larger. */
static int64_t load_int(const gguf_key *key, uint64_t index, bool *fits)
{
    const uint8_t *data = key->data + index * gguf_kind_size(key->element);
    uint64_t wide = 0;
    memcpy(&wide, data, gguf_kind_size(key->element)); /* little-endian: the low bytes */
    *fits = key->element != GGUF_KIND_U64 || wide <= INT64_MAX;
    switch (key->element) {
    case GGUF_KIND_I8:
        return (int8_t)wide;
    case GGUF_KIND_I16:
        return (int16_t)wide;
    case GGUF_KIND_I32:
        return (int32_t)wide;
    default:
        return (int64_t)wide;
    }
}

int64_t gguf_int_at(const gguf_key *array, uint64_t index)
{
    bool fits = false;
    return load_int(array, index, &fits);
}

double gguf_real_at(const gguf_key *array, uint64_t index)
{
    const uint8_t *data = array->data + index * gguf_kind_size(array->element);
    float single = 0;
    double value = 0;
    if (array->element == GGUF_KIND_F64) {
        memcpy(&value, data, sizeof value);
        return value;
    }
    memcpy(&single, data, sizeof single);
    return (double)single;
}

/* text[bytes]: what a key holds: "a text", "an array of u32", or its number. */
static void print_value(char *text, size_t bytes, const gguf_key *key)
{
    bool fits = false;
    if (key->kind == GGUF_KIND_ARRAY)
        snprintf(text, bytes, "an array of %s", gguf_kind_name(key->element));
    else if (is_real(key->kind))
        snprintf(text, bytes, "%.9g", gguf_real_at(key, 0));
    else if (!is_integer(key->kind))
        snprintf(text, bytes, "a %s", gguf_kind_name(key->kind));
    else if (key->kind == GGUF_KIND_U64)
        snprintf(text, bytes, "%" PRIu64, (uint64_t)load_int(key, 0, &fits));
    else
        snprintf(text, bytes, "%" PRId64, load_int(key, 0, &fits));
}

/* MTS_ERR_BAD_FILE with what was expected and what the key holds. */
static mts_status refuse(mts_ctx *ctx, const gguf *file, const gguf_key *key, const char *expected)
{
    char found[VALUE_TEXT_BYTES];
    print_value(found, sizeof found, key);
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s: key %.200s: expected %s, found %s", file->path,
                      key->name, expected, found);
}

mts_status gguf_require_key(mts_ctx *ctx, const gguf *file, const char *name)
{
    if (gguf_find_key(file, name) != NULL)
        return MTS_OK;
    return status_set(ctx, MTS_ERR_BAD_FILE, "%s: key %.200s: expected, but absent", file->path,
                      name);
}

/* ------------------------------------------------------------------------------ scalars ---- */

mts_status gguf_find_int(mts_ctx *ctx, const gguf *file, const char *name, int64_t min, int64_t max,
                         int64_t *value)
{
    const gguf_key *key = gguf_find_key(file, name);
    char expected[80];
    bool fits = false;
    if (key == NULL)
        return MTS_OK;
    const int64_t found = is_integer(key->kind) ? load_int(key, 0, &fits) : 0;
    if (!fits || found < min || found > max) {
        snprintf(expected, sizeof expected, "an integer %" PRId64 "..%" PRId64, min, max);
        return refuse(ctx, file, key, expected);
    }
    *value = found;
    return MTS_OK;
}

mts_status gguf_find_real(mts_ctx *ctx, const gguf *file, const char *name, double min, double max,
                          double *value)
{
    const gguf_key *key = gguf_find_key(file, name);
    char expected[80];
    if (key == NULL)
        return MTS_OK;
    const double found = is_real(key->kind) ? gguf_real_at(key, 0) : (double)NAN;
    if (!isfinite(found) || found < min || found > max) {
        snprintf(expected, sizeof expected, "a float %.9g..%.9g", min, max);
        return refuse(ctx, file, key, expected);
    }
    *value = found;
    return MTS_OK;
}

mts_status gguf_find_bool(mts_ctx *ctx, const gguf *file, const char *name, bool *value)
{
    const gguf_key *key = gguf_find_key(file, name);
    if (key == NULL)
        return MTS_OK;
    if (key->kind != GGUF_KIND_BOOL)
        return refuse(ctx, file, key, "a bool");
    *value = key->data[0] != 0;
    return MTS_OK;
}

mts_status gguf_find_text(mts_ctx *ctx, const gguf *file, const char *name, const char **value)
{
    mts_status st = MTS_OK;
    const gguf_key *key = gguf_find_key(file, name);
    const char *text = NULL;
    if (key == NULL)
        return MTS_OK;
    if (key->kind != GGUF_KIND_TEXT)
        return refuse(ctx, file, key, "a text");
    text = (const char *)key->data;
    MTS_CHECK(memchr(text, '\0', (size_t)key->count) == NULL &&
                  utf8_is_valid(text, (size_t)key->count, NULL),
              MTS_ERR_BAD_FILE, "%s: key %.200s: expected UTF-8 without NUL, found other bytes",
              file->path, name);
    *value = text;
cleanup:
    return st;
}

/* ------------------------------------------------------------------------------- arrays ---- */

mts_status gguf_find_ints(mts_ctx *ctx, const gguf *file, const char *name, int64_t min,
                          int64_t max, const gguf_key **array)
{
    mts_status st = MTS_OK;
    const gguf_key *key = gguf_find_key(file, name);
    *array = NULL;
    if (key == NULL)
        return MTS_OK;
    if (key->kind != GGUF_KIND_ARRAY || !is_integer(key->element))
        return refuse(ctx, file, key, "an array of integers");
    for (uint64_t i = 0; i < key->count; i++) {
        bool fits = false;
        const int64_t value = load_int(key, i, &fits);
        MTS_CHECK(fits && value >= min && value <= max, MTS_ERR_BAD_FILE,
                  "%s: key %.200s: element %" PRIu64 ": expected an integer %" PRId64 "..%" PRId64
                  ", found %s%" PRId64,
                  file->path, name, i, min, max, fits ? "" : "more than ",
                  fits ? value : INT64_MAX);
    }
    *array = key;
cleanup:
    return st;
}

mts_status gguf_find_reals(mts_ctx *ctx, const gguf *file, const char *name, const gguf_key **array)
{
    mts_status st = MTS_OK;
    const gguf_key *key = gguf_find_key(file, name);
    *array = NULL;
    if (key == NULL)
        return MTS_OK;
    if (key->kind != GGUF_KIND_ARRAY || !is_real(key->element))
        return refuse(ctx, file, key, "an array of floats");
    for (uint64_t i = 0; i < key->count; i++)
        MTS_CHECK(isfinite(gguf_real_at(key, i)), MTS_ERR_BAD_FILE,
                  "%s: key %.200s: element %" PRIu64 " is NaN or infinite", file->path, name, i);
    *array = key;
cleanup:
    return st;
}

mts_status gguf_find_texts(mts_ctx *ctx, const gguf *file, const char *name, const gguf_key **array)
{
    const gguf_key *key = gguf_find_key(file, name);
    *array = NULL;
    if (key == NULL)
        return MTS_OK;
    if (key->kind != GGUF_KIND_ARRAY || key->element != GGUF_KIND_TEXT)
        return refuse(ctx, file, key, "an array of texts");
    *array = key;
    return MTS_OK;
}

gguf_texts gguf_texts_of(const gguf_key *array)
{
    return (gguf_texts){array->data, array->count};
}

bool gguf_next_text(gguf_texts *texts, const char **text, size_t *bytes)
{
    uint64_t n = 0;
    if (texts->left == 0)
        return false;
    memcpy(&n, texts->next, sizeof n);
    *text = (const char *)texts->next + sizeof n;
    *bytes = (size_t)n;
    texts->next += sizeof n + n;
    texts->left--;
    return true;
}
