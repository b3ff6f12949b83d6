/* Small files read whole; JSON values with their types checked.  See text_file.h. */
#include "text/text_file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/memory.h"

mts_status text_file_join(mts_ctx *ctx, const char *dir, const char *name, char **out)
{
    mts_status st = MTS_OK;
    size_t dir_bytes = strlen(dir), name_bytes = strlen(name);
    char *path = NULL;
    MTS_TRY(mem_calloc(ctx, &path, dir_bytes + name_bytes + 2, 1, "file name"));
    memcpy(path, dir, dir_bytes);
    if (dir_bytes > 0 && dir[dir_bytes - 1] != '/')
        path[dir_bytes++] = '/';
    memcpy(path + dir_bytes, name, name_bytes);
    *out = path;
cleanup:
    return st;
}

bool text_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

mts_status text_file_read(mts_ctx *ctx, const char *path, char **out, size_t *bytes)
{
    mts_status st = MTS_OK;
    struct stat info;
    FILE *file = NULL;
    char *content = NULL;
    size_t got = 0;

    if (stat(path, &info) != 0) {
        int why = errno;
        MTS_CHECK(why != ENOENT && why != ENOTDIR, MTS_ERR_NOT_FOUND, "%s: no such file", path);
        MTS_CHECK(false, MTS_ERR_IO, "%s: %s", path, strerror(why));
    }
    MTS_CHECK(S_ISREG(info.st_mode), MTS_ERR_IO, "%s: not a regular file", path);
    MTS_CHECK(info.st_size <= TEXT_FILE_MAX_BYTES, MTS_ERR_UNSUPPORTED,
              "%s: %lld bytes, tokenizer files are read up to %d", path, (long long)info.st_size,
              (int)TEXT_FILE_MAX_BYTES);
    file = fopen(path, "rb");
    MTS_CHECK(file != NULL, MTS_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    MTS_TRY(mem_calloc(ctx, &content, (size_t)info.st_size + 1, 1, "a tokenizer file"));
    got = fread(content, 1, (size_t)info.st_size, file);
    MTS_CHECK(got == (size_t)info.st_size, MTS_ERR_IO, "%s: read %zu of %lld bytes", path, got,
              (long long)info.st_size);
    *out = content;
    *bytes = got;
    content = NULL;
cleanup:
    mem_free(content);
    if (file != NULL)
        fclose(file);
    return st;
}

const char *text_file_quote(char out[TEXT_FILE_QUOTE_BYTES], const char *text)
{
    size_t n = 0;
    for (; text[n] != '\0' && n < TEXT_FILE_QUOTE_BYTES - 4; n++) {
        unsigned char c = (unsigned char)text[n];
        out[n] = c < 0x20 || c == 0x7F ? '?' : text[n];
    }
    memcpy(out + n, text[n] == '\0' ? "" : "...", text[n] == '\0' ? 1 : 4);
    return out;
}

mts_status text_file_read_json(mts_ctx *ctx, const char *path, json_t **out)
{
    mts_status st = MTS_OK;
    char *content = NULL;
    size_t bytes = 0;
    json_t *json = NULL;
    json_error_t error;
    char why[TEXT_FILE_QUOTE_BYTES];

    MTS_TRY(text_file_read(ctx, path, &content, &bytes));
    json = json_loadb(content, bytes, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        MTS_CHECK(json_error_code(&error) != json_error_out_of_memory, MTS_ERR_MEMORY,
                  "out of memory: reading %s", path);
        MTS_CHECK(false, MTS_ERR_BAD_FILE, "%s:%d:%d: %s", path, error.line, error.column,
                  text_file_quote(why, error.text));
    }
    MTS_CHECK(json_is_object(json), MTS_ERR_BAD_FILE, "%s: expected a JSON object, found %s", path,
              text_json_type_name(json));
    *out = json;
    json = NULL;
cleanup:
    json_decref(json);
    mem_free(content);
    return st;
}

const char *text_json_type_name(const json_t *value)
{
    if (value == NULL)
        return "nothing";
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a real number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    }
    return "something unknown";
}

/* object[key], NULL if absent or null. */
static const json_t *get(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

mts_status text_json_bool(mts_ctx *ctx, const json_t *object, const char *key, bool *out)
{
    mts_status st = MTS_OK;
    const json_t *value = get(object, key);
    MTS_CHECK(value == NULL || json_is_boolean(value), MTS_ERR_BAD_FILE,
              "%s: expected a boolean, found %s", key, text_json_type_name(value));
    if (value != NULL)
        *out = json_is_true(value);
cleanup:
    return st;
}

mts_status text_json_int(mts_ctx *ctx, const json_t *object, const char *key, int64_t min,
                         int64_t max, int64_t *out)
{
    mts_status st = MTS_OK;
    const json_t *value = get(object, key);
    MTS_CHECK(value == NULL || json_is_integer(value), MTS_ERR_BAD_FILE,
              "%s: expected an integer, found %s", key, text_json_type_name(value));
    if (value != NULL) {
        int64_t number = (int64_t)json_integer_value(value);
        MTS_CHECK(number >= min && number <= max, MTS_ERR_BAD_FILE,
                  "%s: expected %lld to %lld, found %lld", key, (long long)min, (long long)max,
                  (long long)number);
        *out = number;
    }
cleanup:
    return st;
}

mts_status text_json_string(mts_ctx *ctx, const json_t *object, const char *key, const char **out)
{
    mts_status st = MTS_OK;
    const json_t *value = get(object, key);
    MTS_CHECK(value == NULL || json_is_string(value), MTS_ERR_BAD_FILE,
              "%s: expected a string, found %s", key, text_json_type_name(value));
    if (value != NULL)
        *out = json_string_value(value);
cleanup:
    return st;
}
