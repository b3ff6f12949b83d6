/* Allocation with alignment, overflow checks and failure injection.  See memory.h. */
#include "base/memory.h"

#include <assert.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif
#include <stdlib.h>
#include <stdatomic.h>
#include <string.h>

static atomic_llong fail_countdown = -1;
static atomic_llong allocations;

int64_t mem_fail_after(int64_t n)
{
    atomic_store(&fail_countdown, (long long)n);
    return (int64_t)atomic_exchange(&allocations, 0);
}

/* 64-byte aligned, or NULL.  The count-down goes through zero once, then stays at -1. */
static void *raw_alloc(size_t bytes)
{
    atomic_fetch_add(&allocations, 1);
    if (atomic_load(&fail_countdown) >= 0 && atomic_fetch_sub(&fail_countdown, 1) == 0)
        return NULL;
    if (bytes > SIZE_MAX - 63)
        return NULL;
    size_t rounded = (bytes + 63) / 64 * 64;
    return aligned_alloc(64, rounded == 0 ? 64 : rounded);
}

mts_status mem_calloc(mts_ctx *ctx, void *out, size_t count, size_t size, const char *what)
{
    void *p = NULL;
    if (size == 0 || count <= SIZE_MAX / size)
        p = raw_alloc(count * size);
    if (p == NULL) {
        memset(out, 0, sizeof(void *));
        return status_set(ctx, MTS_ERR_MEMORY, "out of memory: %s needs %zu x %zu bytes", what,
                          count, size);
    }
    memset(p, 0, count * size);
    memcpy(out, &p, sizeof p);
    return MTS_OK;
}

mts_status mem_grow(mts_ctx *ctx, void *ptr, size_t old_count, size_t new_count, size_t size,
                    const char *what)
{
    mts_status st = MTS_OK;
    void *old = NULL, *fresh = NULL;
    memcpy(&old, ptr, sizeof old);
    assert(new_count >= old_count);
    MTS_TRY(mem_calloc(ctx, &fresh, new_count, size, what));
    if (old != NULL)
        memcpy(fresh, old, old_count * size);
    mem_free(old);
    memcpy(ptr, &fresh, sizeof fresh);
cleanup:
    return st;
}

mts_status mem_strndup(mts_ctx *ctx, char **out, const char *text, size_t n)
{
    mts_status st = mem_calloc(ctx, out, n + 1, 1, "string");
    if (st == MTS_OK)
        memcpy(*out, text, n);
    return st;
}

mts_status mem_strdup(mts_ctx *ctx, char **out, const char *text)
{
    return mem_strndup(ctx, out, text, strlen(text));
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_trim(void)
{
#if defined(__GLIBC__)
    (void)malloc_trim(0);
#endif
}

/* ------------------------------------------------------------------------------- arenas ---- */

enum { STEP = 64 };

/* Memory for a piece that an arena had no room for; the piece lies behind it. */
struct arena_extra {
    MTS_ALIGN64 struct arena_extra *next;
};

mts_status arena_init(mts_ctx *ctx, arena *a, size_t bytes, const char *what)
{
    *a = (arena){.bytes = bytes};
    return mem_calloc(ctx, &a->base, bytes, 1, what);
}

/* The upper half of the addresses belongs to no program: a use of them traps. */
static uint8_t *nowhere(void)
{
    return (uint8_t *)(UINTPTR_MAX / 2 + 1);
}

void arena_measure(arena *a)
{
    *a = (arena){.base = nowhere(), .bytes = SIZE_MAX / 4, .measures = true};
}

static void free_extra(arena *a)
{
    while (a->extra != NULL) {
        struct arena_extra *next = a->extra->next;
        mem_free(a->extra);
        a->extra = next;
    }
}

void arena_deinit(arena *a)
{
    free_extra(a);
    if (!a->measures)
        mem_free(a->base);
    *a = (arena){0};
}

/* count * size in whole steps; SIZE_MAX / STEP * STEP where that is too much for any memory. */
static size_t bytes_of(size_t count, size_t size)
{
    const size_t most = SIZE_MAX / STEP * STEP;
    if (size != 0 && count > (most - STEP) / size)
        return most;
    return (count * size + STEP - 1) / STEP * STEP;
}

/* Memory for a piece that is not there. */
static void *take_extra(arena *a, size_t bytes)
{
    const size_t total = bytes_of(bytes + sizeof(struct arena_extra), 1);
    struct arena_extra *extra = bytes < total ? raw_alloc(total) : NULL;
    a->beyond += bytes;
    if (extra == NULL)
        return nowhere(); /* a mistake in the program met a full machine: its next use traps */
    extra->next = a->extra;
    a->extra = extra;
    return extra + 1;
}

void *arena_take(arena *a, size_t count, size_t size)
{
    const size_t bytes = bytes_of(count, size);
    uint8_t *p = a->base + a->used;
    if (bytes > a->bytes - a->used) {
        if (!a->measures)
            return take_extra(a, bytes);
        a->peak = SIZE_MAX; /* more than any memory: arena_init will fail */
        return a->base;
    }
    a->used += bytes;
    if (a->used > a->peak)
        a->peak = a->used;
    return p;
}

mts_status arena_check(mts_ctx *ctx, const arena *a, const char *what)
{
    mts_status st = MTS_OK;
    MTS_CHECK(a->beyond == 0, MTS_ERR_MEMORY,
              "internal error: %s took %zu bytes more than the %zu that were planned", what,
              a->beyond, a->bytes);
cleanup:
    return st;
}

arena arena_part(const arena *a, int index, int parts)
{
    const size_t bytes = (a->bytes - a->used) / (size_t)parts / STEP * STEP;
    return (arena){.base = a->base + a->used + (size_t)index * bytes, .bytes = bytes};
}

void arena_join(arena *a, arena *part, int parts)
{
    const size_t peak = a->used + (size_t)parts * part->peak;
    a->peak = peak > a->peak ? peak : a->peak;
    a->beyond += part->beyond;
    free_extra(part);
    *part = (arena){0};
}
