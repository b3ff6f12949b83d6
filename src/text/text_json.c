/* The small JSON files of a model folder.  See text_json.h. */
#include "text/text_json.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

const char *text_json_quote(char out[TEXT_JSON_QUOTE_BYTES], const char *text)
{
    size_t n = 0;
    for (; text[n] != '\0' && n < TEXT_JSON_QUOTE_BYTES - 4; n++) {
        unsigned char c = (unsigned char)text[n];
        out[n] = c < 0x20 || c == 0x7F ? '?' : text[n];
    }
    memcpy(out + n, text[n] == '\0' ? "" : "...", text[n] == '\0' ? 1 : 4);
    return out;
}

mts_status text_json_read(mts_ctx *ctx, const char *path, json_t **out)
{
    mts_status st = MTS_OK;
    char *content = NULL;
    size_t bytes = 0;
    json_t *json = NULL;
    json_error_t error;
    char why[TEXT_JSON_QUOTE_BYTES];

    MTS_TRY(file_read_all(ctx, path, TEXT_MAX_FILE_BYTES, &content, &bytes));
    json = json_loadb(content, bytes, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        MTS_CHECK(json_error_code(&error) != json_error_out_of_memory, MTS_ERR_MEMORY,
                  "out of memory: reading %s", path);
        MTS_CHECK(false, MTS_ERR_BAD_FILE, "%s:%d:%d: %s", path, error.line, error.column,
                  text_json_quote(why, error.text));
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
