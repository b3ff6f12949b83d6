/*
 * Allocation: every allocation of the library goes through here, so that it can be counted,
 * made to fail in tests, and is 64-byte aligned (one cache line, one AMX tile row).
 */
#ifndef MTS_BASE_MEMORY_H
#define MTS_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/* Give freed memory back to the system, where the C library can: after much was read and dropped,
 * before large arrays are made. */
void mem_trim(void);

/* Tests: let the n-th allocation from now on fail (0 = the next one); -1: never.  Returns how many
 * allocations were made since the last call. */
int64_t mem_fail_after(int64_t n);

/*
 * An arena: memory handed out in 64-byte steps and given back by setting `used` back.
 *
 * How much one needs is measured, by running the code that takes from it on an arena that has no
 * memory: arena_measure makes one.  It hands out addresses that may be computed with, but never
 * read or written (that traps), and `peak` is then what the code needs.
 *
 * Taking more than an arena has is a mistake in the program.  It never writes over anything:
 * such a piece gets memory of its own, and arena_check returns the error of the run.
 */
typedef struct arena {
    uint8_t *base;
    size_t bytes, used;
    size_t peak;               /* the largest `used` since arena_init or arena_measure */
    size_t beyond;             /* bytes taken that were not there */
    struct arena_extra *extra; /* the memory of those; freed by arena_deinit */
    bool measures;             /* made by arena_measure */
} arena;

/* MTS_ERR_MEMORY; zeroed memory. */
MTS_NODISCARD mts_status arena_init(mts_ctx *ctx, arena *a, size_t bytes, const char *what);
/* An arena that only measures; arena_deinit is not needed. */
void arena_measure(arena *a);
void arena_deinit(arena *a);

/* 64-byte aligned, uninitialised memory of count * size bytes.  Never NULL. */
void *arena_take(arena *a, size_t count, size_t size);

/* MTS_ERR_MEMORY ("internal error ... more than planned") if more was taken than a has. */
MTS_NODISCARD mts_status arena_check(mts_ctx *ctx, const arena *a, const char *what);

/* Part `index` of `parts` equal ones of what is left in a, for one thread each.  Nothing may be
 * taken from a until each is joined, one at a time. */
arena arena_part(const arena *a, int index, int parts);
void arena_join(arena *a, arena *part, int parts);

#endif
