/*
 * The small JSON files of a model folder: read whole, values taken out with their types checked.
 *
 * Path: tokenizer files -> text_json -> tokenizer_json, tokenizer_config.  Also what error messages
 * quote from such files is made fit to print here.  Does not write JSON.
 */
#ifndef MTS_TEXT_TEXT_JSON_H
#define MTS_TEXT_TEXT_JSON_H

#include <jansson.h>

#include "base/status.h"

enum { TEXT_MAX_FILE_BYTES = 256 * 1024 * 1024, TEXT_JSON_QUOTE_BYTES = 64 };

/*
 * *out: the JSON object in a file, owned by the caller (json_decref).  Duplicate keys are an error.
 * As file_read_all, and MTS_ERR_BAD_FILE with path:line:column.
 */
MTS_NODISCARD mts_status text_json_read(mts_ctx *ctx, const char *path, json_t **out);

/* text made fit for an error message: control bytes become '?', long texts are cut; returns out. */
const char *text_json_quote(char out[TEXT_JSON_QUOTE_BYTES], const char *text);

/*
 * *out: object[key], or left as it is if the key is absent or null.  The string is borrowed from
 * object.  MTS_ERR_BAD_FILE for another type (text_json_int: or outside [min, max]).
 */
MTS_NODISCARD mts_status text_json_bool(mts_ctx *ctx, const json_t *object, const char *key,
                                        bool *out);
MTS_NODISCARD mts_status text_json_int(mts_ctx *ctx, const json_t *object, const char *key,
                                       int64_t min, int64_t max, int64_t *out);
MTS_NODISCARD mts_status text_json_string(mts_ctx *ctx, const json_t *object, const char *key,
                                          const char **out);

/* "object", "array", "string", ... for error messages. */
const char *text_json_type_name(const json_t *value);

#endif
