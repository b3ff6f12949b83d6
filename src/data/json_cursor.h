/*
 * Reading a JSON text from front to back, in place: for large data files, of which a tree of all
 * values would take many times the memory of the file.
 *
 * Path: squad_json_read -> json_cursor_key, json_cursor_item, json_cursor_string, ...
 *
 * A reader asks for what it expects, in the order of the text, and skips what it does not know:
 *
 *     for (int64_t n = 0;;) {
 *         MTS_TRY(json_cursor_key(c, &n, &key));
 *         if (key == NULL)
 *             break;
 *         ... exactly one value, by json_cursor_string, another loop, or json_cursor_skip ...
 *     }
 *
 * Strings are decoded where they stand, with a NUL behind, and stay valid as long as the text.
 * Everything read or skipped is checked [RFC 8259]: UTF-8, escapes, numbers, no NUL in strings, at
 * most JSON_CURSOR_DEPTH levels.  Duplicate keys are the reader's business.
 * Errors are MTS_ERR_BAD_FILE "file:line:column: expected ..., found ...", column in bytes.
 */
#ifndef MTS_DATA_JSON_CURSOR_H
#define MTS_DATA_JSON_CURSOR_H

#include "base/status.h"

enum { JSON_CURSOR_DEPTH = 512 };

/* What a value is, by its first character. */
typedef enum json_kind {
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_BOOL,
    JSON_KIND_NULL,
} json_kind;

typedef struct json_cursor {
    mts_ctx *ctx;
    const char *file; /* for error texts; borrowed, as the text */
    char *text;
    size_t bytes, at;
    size_t line_start; /* where the present line begins */
    int64_t line;      /* from 1 */
    int depth;         /* objects and arrays that are open */
} json_cursor;

/* At the beginning of text[bytes], which is changed and has a NUL behind; a byte-order mark there
 * is skipped. */
void json_cursor_init(json_cursor *c, mts_ctx *ctx, const char *file, char *text, size_t bytes);

/* *kind: of the value that comes next. */
MTS_NODISCARD mts_status json_cursor_peek(json_cursor *c, json_kind *kind);

/*
 * The next key of an object; *n: how many there were before, 0 opens the object.  NULL: the object
 * has ended.  Then exactly one value must be read.
 */
MTS_NODISCARD mts_status json_cursor_key(json_cursor *c, int64_t *n, const char **key);

/* The same for an array: whether there is one more item, which must be read. */
MTS_NODISCARD mts_status json_cursor_item(json_cursor *c, int64_t *n, bool *more);

/* *text: the string's bytes with a NUL behind, *length (may be NULL) without it. */
MTS_NODISCARD mts_status json_cursor_string(json_cursor *c, const char **text, size_t *length);

/* The same of a string, or of an integer as it is written: for ids. */
MTS_NODISCARD mts_status json_cursor_id(json_cursor *c, const char **text);

/* An integer of 64 bits, written without point and exponent. */
MTS_NODISCARD mts_status json_cursor_integer(json_cursor *c, int64_t *value);

/* Any one value. */
MTS_NODISCARD mts_status json_cursor_skip(json_cursor *c);

/* Nothing but blanks is left. */
MTS_NODISCARD mts_status json_cursor_end(json_cursor *c);

/* MTS_ERR_BAD_FILE with "file:line:column: " before the text, for what the reader finds wrong. */
mts_status json_cursor_fail(const json_cursor *c, const char *fmt, ...) MTS_PRINTF(2, 3);

#endif
