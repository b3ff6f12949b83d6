/* Allocation with alignment, overflow checks and failure injection.  See memory.h. */
#include "base/memory.h"

#include <assert.h>
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

mts_status arena_init(mts_ctx *ctx, arena *a, size_t bytes, const char *what)
{
    a->used = 0;
    a->bytes = bytes;
    return mem_calloc(ctx, &a->base, bytes, 1, what);
}

void arena_deinit(arena *a)
{
    mem_free(a->base);
    *a = (arena){0};
}

size_t arena_need(size_t count, size_t size)
{
    assert(size == 0 || count <= (SIZE_MAX - 63) / size);
    return (count * size + 63) / 64 * 64;
}

void *arena_take(arena *a, size_t count, size_t size)
{
    size_t need = arena_need(count, size);
    assert(need <= a->bytes - a->used);
    void *p = a->base + a->used;
    a->used += need;
    return p;
}
