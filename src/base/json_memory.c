/* jansson's allocations, watched.  See json_memory.h. */
#include "base/json_memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { RESERVE_BYTES = 1 << 14 }; /* a token of 8 KiB can still be finished */

typedef struct parsing {
    const char *text;
    size_t bytes;
    void *reserve; /* freed at the first failure */
    bool failed;
} parsing;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_llong fail_countdown = -1;
static atomic_llong allocations;
static _Thread_local parsing
    *current; /* of this thread; NULL: jansson is used for something else */

static void *noting_malloc(size_t bytes)
{
    void *p = NULL;
    atomic_fetch_add(&allocations, 1);
    if (current != NULL && current->failed)
        return NULL;
    if (atomic_load(&fail_countdown) < 0 || atomic_fetch_sub(&fail_countdown, 1) != 0)
        p = malloc(bytes);
    if (p == NULL && current != NULL) {
        current->failed = true;
        free(current->reserve);
        current->reserve = NULL;
        p = malloc(bytes);
    }
    return p;
}

/* The text byte by byte, until it ends or memory does. */
static size_t next_byte(void *buffer, size_t size, void *data)
{
    parsing *p = data;
    if (size == 0 || p->bytes == 0 || p->failed)
        return 0;
    *(char *)buffer = *p->text++;
    p->bytes--;
    return 1;
}

static void replace(json_malloc_t from, json_malloc_t to)
{
    json_malloc_t take = NULL;
    json_free_t give = NULL;
    json_get_alloc_funcs(&take, &give);
    if (take == from && give == free)
        json_set_alloc_funcs(to, free);
}

static void watch(void)
{
    replace(malloc, noting_malloc);
}

/* A library that is unloaded must not leave its function behind. */
MTS_AT_UNLOAD static void unwatch(void)
{
    replace(noting_malloc, malloc);
}

void json_memory_watch(void)
{
    pthread_once(&once, watch);
}

json_t *json_memory_parse(const char *text, size_t bytes, size_t flags, json_error_t *error,
                          bool *failed)
{
    json_t *root = NULL;
    json_memory_watch();
    parsing p = {.text = text, .bytes = bytes, .reserve = malloc(RESERVE_BYTES)};
    *failed = p.reserve == NULL;
    if (*failed)
        return NULL;
    error->text[0] = '\0';
    current = &p;
    root = json_load_callback(next_byte, &p, flags, error);
    current = NULL;
    free(p.reserve);
    *failed = p.failed || (root == NULL && (error->text[0] == '\0' ||
                                            json_error_code(error) == json_error_out_of_memory));
    if (!*failed)
        return root;
    json_decref(root); /* it may lack a part */
    return NULL;
}

int64_t json_memory_fail_after(int64_t n)
{
    json_memory_watch();
    atomic_store(&fail_countdown, (long long)n);
    return (int64_t)atomic_exchange(&allocations, 0);
}
