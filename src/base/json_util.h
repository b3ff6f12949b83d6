/*
 * JSON in and out, with checks: jansson behind one-line errors.
 *
 * Path: config.json, tokenizer files, safetensors headers, checkpoint state and metrics go through
 * here.
 * Input is hostile: duplicate keys, invalid UTF-8, NUL in strings, numbers out of range and nesting
 * above 2048 are refused by the parser.
 * Output is as Python's json.dumps writes it: ASCII, and each real number in the fewest of 15, 16
 * or 17 digits that give the same double back.
 */
#ifndef MTS_BASE_JSON_UTIL_H
#define MTS_BASE_JSON_UTIL_H

#include <jansson.h>

#include "base/status.h"

/* A limit for json_util_load_object: larger than any configuration file. */
#define JSON_UTIL_CONFIG_BYTES ((size_t)64 << 20)

/*
 * *out: the array or object in text[bytes]; drop with json_decref.  file: name for error texts.
 * MTS_ERR_BAD_FILE ("file:line:column: reason"), MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status json_util_parse(mts_ctx *ctx, const char *file, const char *text,
                                         size_t bytes, json_t **out);

/*
 * As json_util_parse, of an object, and an integer beyond 64 bits is taken for a real: Python
 * writes 10^30 where there is no limit (model_max_length).
 */
MTS_NODISCARD mts_status json_util_parse_wide(mts_ctx *ctx, const char *file, const char *text,
                                              size_t bytes, json_t **out);

/* As json_util_parse, of a file of at most limit bytes, which must hold an object.  Also
 * MTS_ERR_NOT_FOUND, MTS_ERR_IO. */
MTS_NODISCARD mts_status json_util_load_object(mts_ctx *ctx, const char *path, size_t limit,
                                               json_t **out);

/* The same with json_util_parse_wide. */
MTS_NODISCARD mts_status json_util_load_wide(mts_ctx *ctx, const char *path, size_t limit,
                                             json_t **out);

/*
 * Typed fields of an object.  *value holds the default: it is unchanged if key is absent or null.
 * Otherwise the field must have the type (and min <= field <= max; 8.0 is an integer too, as Python
 * may write it), or MTS_ERR_BAD_FILE:
 * "file: key: expected an integer 1..512, found a string".  A string is owned by object.  file may
 * be NULL where the caller knows the place better (status_prefix): then the text begins with key.
 */
MTS_NODISCARD mts_status json_util_int(mts_ctx *ctx, const char *file, const json_t *object,
                                       const char *key, int64_t min, int64_t max, int64_t *value);
MTS_NODISCARD mts_status json_util_real(mts_ctx *ctx, const char *file, const json_t *object,
                                        const char *key, double min, double max, double *value);
MTS_NODISCARD mts_status json_util_bool(mts_ctx *ctx, const char *file, const json_t *object,
                                        const char *key, bool *value);
MTS_NODISCARD mts_status json_util_string(mts_ctx *ctx, const char *file, const json_t *object,
                                          const char *key, const char **value);

/* MTS_ERR_BAD_FILE "file: key: expected, but absent" unless key is there and not null. */
MTS_NODISCARD mts_status json_util_require(mts_ctx *ctx, const char *file, const json_t *object,
                                           const char *key);

/* "string", "an array", ..., of NULL "nothing": for error texts. */
const char *json_util_type_name(const json_t *value);

/* *out: a new JSON string.  MTS_ERR_ARGUMENT if text is not UTF-8; what names it in the text. */
MTS_NODISCARD mts_status json_util_new_string(mts_ctx *ctx, const char *what, const char *text,
                                              json_t **out);

/*
 * object[key] = value, whose reference is taken in every case; a NULL value or a failure of jansson
 * is MTS_ERR_MEMORY, so that json_util_set(ctx, o, "n", json_integer(3)) is checked as a whole.
 */
MTS_NODISCARD mts_status json_util_set(mts_ctx *ctx, json_t *object, const char *key,
                                       json_t *value);

/*
 * *out: value as text, NUL-terminated; free with mem_free.  indent 0: one line, ", " and ": "
 * between; else that many spaces per level.  sorted: keys in byte order, otherwise as inserted.
 */
MTS_NODISCARD mts_status json_util_dump(mts_ctx *ctx, const json_t *value, int indent, bool sorted,
                                        char **out);

/* Write value to path atomically: sorted, indented by 2, newline at the end, as transformers. */
MTS_NODISCARD mts_status json_util_save(mts_ctx *ctx, const json_t *value, const char *path);

#endif
