/*
 * JSON text parsed by jansson, with its failed allocations noticed.
 *
 * Path: base/json_util and data/table_jsonl parse through json_memory_parse.
 *
 * jansson's lexer forgets that an allocation failed: it goes on with a token that lacks a byte.
 * That becomes a wrong token or another value, and where the byte is the quote at the end, jansson
 * runs past its memory.  So jansson is given a malloc that notes a failure and answers this one
 * from a reserve; after that there is no more memory and no more text, where jansson stops cleanly.
 *
 * The functions are those of the process.  They are replaced once, and only where they
 * are malloc and free, by a function that calls malloc, and free itself: whatever the host program
 * allocates or frees through jansson stays compatible.  A host that has set functions of its own,
 * before or after, keeps them; then a failure inside the lexer is as jansson leaves it.
 */
#ifndef MTS_BASE_JSON_MEMORY_H
#define MTS_BASE_JSON_MEMORY_H

#include <jansson.h>

#include "base/status.h"

/* Give jansson the malloc that notes a failure.  The first call does it, later ones nothing. */
void json_memory_watch(void);

/* As json_loadb.  *failed: NULL was returned because memory is short, and not for the text. */
json_t *json_memory_parse(const char *text, size_t bytes, size_t flags, json_error_t *error,
                          bool *failed);

/* For tests: jansson's n-th allocation from now on fails once, n = 0, 1, ...; -1: none.  Returns
 * how many there were since the last call. */
int64_t json_memory_fail_after(int64_t n);

#endif
