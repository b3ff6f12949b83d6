/*
 * Allocation: every allocation of the library goes through here, so that it can be counted,
 * made to fail in tests, and is 64-byte aligned (one cache line, one AMX tile row).
 */
#ifndef MTS_BASE_MEMORY_H
#define MTS_BASE_MEMORY_H

#include "base/status.h"

/*
 * *out: count * size bytes, zeroed, 64-byte aligned; freed by mem_free.  count * size is checked
 * for overflow; zero bytes give a valid pointer.  MTS_ERR_MEMORY (the text says `what` and how
 * much).
 */
MTS_NODISCARD mts_status mem_calloc(mts_ctx *ctx, void *out, size_t count, size_t size,
                                    const char *what);

/* Grow (never shrink below content) *ptr from old_count to new_count elements; keeps the content,
 * zeroes the rest.  On failure *ptr is unchanged and still owned by the caller. */
MTS_NODISCARD mts_status mem_grow(mts_ctx *ctx, void *ptr, size_t old_count, size_t new_count,
                                  size_t size, const char *what);

/* *out: a copy of the first n bytes of text with a NUL behind. */
MTS_NODISCARD mts_status mem_strndup(mts_ctx *ctx, char **out, const char *text, size_t n);
MTS_NODISCARD mts_status mem_strdup(mts_ctx *ctx, char **out, const char *text);

void mem_free(void *ptr);

/* Tests: let the n-th allocation from now on fail (0 = the next one); -1: never.  Returns how many
 * allocations were made since the last call. */
int64_t mem_fail_after(int64_t n);

/* An arena: one allocation, handed out in 64-byte steps, reset as a whole. */
typedef struct arena {
    uint8_t *base;
    size_t bytes, used;
} arena;

MTS_NODISCARD mts_status arena_init(mts_ctx *ctx, arena *a, size_t bytes, const char *what);
void arena_deinit(arena *a);
/* Never fails: the plan made the arena large enough (asserted). Uninitialised memory. */
void *arena_take(arena *a, size_t count, size_t size);
/* Bytes that arena_take(count, size) uses. */
size_t arena_need(size_t count, size_t size);

#endif
