/*
 * Small files of a model folder read whole, and JSON values read with their types checked.
 *
 * Path: tokenizer files -> text_file -> tokenizer_json / tokenizer_config / vocab_txt.  Model
 * weights and data sets are not read here.
 */
#ifndef MTS_TEXT_TEXT_FILE_H
#define MTS_TEXT_TEXT_FILE_H

#include <jansson.h>

#include "base/status.h"

enum { TEXT_FILE_MAX_BYTES = 256 * 1024 * 1024, TEXT_FILE_QUOTE_BYTES = 64 };

/* *out: "dir/name", owned by the caller (mem_free).  MTS_ERR_MEMORY. */
mts_status text_file_join(mts_ctx *ctx, const char *dir, const char *name, char **out);

/* Whether something of that name exists (of any kind). */
bool text_file_exists(const char *path);

/*
 * *out: the bytes of a regular file with a NUL behind, owned by the caller (mem_free); *bytes: how
 * many.  MTS_ERR_NOT_FOUND, MTS_ERR_IO, MTS_ERR_UNSUPPORTED (over TEXT_FILE_MAX_BYTES),
 * MTS_ERR_MEMORY.
 */
mts_status text_file_read(mts_ctx *ctx, const char *path, char **out, size_t *bytes);

/*
 * *out: the JSON object in a file, owned by the caller (json_decref).  Duplicate keys are an error.
 * As text_file_read, and MTS_ERR_BAD_FILE with path:line:column.
 */
mts_status text_file_read_json(mts_ctx *ctx, const char *path, json_t **out);

/* text made fit for an error message: control bytes become '?', long texts are cut.  Returns out.
 */
const char *text_file_quote(char out[TEXT_FILE_QUOTE_BYTES], const char *text);

/*
 * *out: object[key], or left as it is if the key is absent or null.  The string is borrowed from
 * object.  MTS_ERR_BAD_FILE for another type (text_json_int: or outside [min, max]).
 */
mts_status text_json_bool(mts_ctx *ctx, const json_t *object, const char *key, bool *out);
mts_status text_json_int(mts_ctx *ctx, const json_t *object, const char *key, int64_t min,
                         int64_t max, int64_t *out);
mts_status text_json_string(mts_ctx *ctx, const json_t *object, const char *key, const char **out);

/* "object", "array", "string", ... for error messages. */
const char *text_json_type_name(const json_t *value);

#endif
