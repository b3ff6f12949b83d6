/* Typed targets.  See targets.h. */
#include "data/targets.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

enum { ARRAYS = 5 };

/* One array of a kind: its pointer in the struct and the value of that, the size of an element, and
 * how many there are. */
typedef struct target_array {
    void *place, *data;
    size_t size;
    int64_t per_row, per_token;
} target_array;

/* The arrays of t's kind; returns how many. */
static int arrays_of(targets *t, target_array out[ARRAYS])
{
    switch (t->kind) {
    case TARGET_NONE:
        return 0;
    case TARGET_CLASS:
        out[0] = (target_array){&t->index, t->index, sizeof *t->index, 1, 0};
        return 1;
    case TARGET_SCORE:
        out[0] = (target_array){&t->score, t->score, sizeof *t->score, 1, 0};
        return 1;
    case TARGET_SET:
        out[0] = (target_array){&t->set, t->set, sizeof *t->set, t->width, 0};
        return 1;
    case TARGET_SPAN:
        out[0] = (target_array){&t->begin, t->begin, sizeof *t->begin, 1, 0};
        out[1] = (target_array){&t->end, t->end, sizeof *t->end, 1, 0};
        return 2;
    case TARGET_TAGS:
    case TARGET_NEXT:
        out[0] = (target_array){&t->index, t->index, sizeof *t->index, 0, 1};
        return 1;
    }
    return 0;
}

static int64_t count_of(const target_array *a, int64_t rows, int64_t tokens)
{
    return a->per_row * rows + a->per_token * tokens;
}

mts_status targets_init(mts_ctx *ctx, targets *out, target_kind kind, int64_t width, int64_t rows,
                        int64_t tokens)
{
    mts_status st = MTS_OK;
    target_array arrays[ARRAYS];
    *out = (targets){.kind = kind, .width = width};
    const int n = arrays_of(out, arrays);
    for (int i = 0; i < n; i++)
        MTS_TRY(mem_calloc(ctx, arrays[i].place, (size_t)count_of(&arrays[i], rows, tokens),
                           arrays[i].size, "targets"));
cleanup:
    return st;
}

void targets_deinit(targets *t)
{
    mem_free(t->index);
    mem_free(t->score);
    mem_free(t->set);
    mem_free(t->begin);
    mem_free(t->end);
    *t = (targets){0};
}

size_t targets_bytes(target_kind kind, int64_t width, int64_t rows, int64_t tokens)
{
    targets t = {.kind = kind, .width = width};
    target_array arrays[ARRAYS];
    const int n = arrays_of(&t, arrays);
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += (size_t)count_of(&arrays[i], rows, tokens) * arrays[i].size;
    return bytes;
}

void targets_copy(targets *to, int64_t to_row, int64_t to_token, const targets *from,
                  int64_t from_row, int64_t from_token, int64_t tokens)
{
    targets source = *from; /* the same arrays, through a struct of our own */
    target_array a[ARRAYS], b[ARRAYS];
    const int n = arrays_of(to, a);
    (void)arrays_of(&source, b);
    for (int i = 0; i < n; i++) {
        const int64_t begin = count_of(&a[i], to_row, to_token);
        const int64_t first = count_of(&b[i], from_row, from_token);
        memcpy((char *)a[i].data + (size_t)begin * a[i].size,
               (const char *)b[i].data + (size_t)first * a[i].size,
               (size_t)count_of(&a[i], 1, tokens) * a[i].size);
    }
}

/* Numbers of 4 bytes are hashed whole, others by bytes. */
static uint64_t hash_numbers(const void *data, int64_t n, size_t size, uint64_t h)
{
    const unsigned char *bytes = data;
    const size_t step = size == sizeof(uint32_t) ? size : 1;
    for (size_t at = 0; at < (size_t)n * size; at += step) {
        uint32_t bits = bytes[at];
        if (step == sizeof bits)
            memcpy(&bits, bytes + at, sizeof bits);
        h = rng_splitmix64(h ^ bits);
    }
    return h;
}

uint64_t targets_hash_row(const targets *t, int64_t row, int64_t first_token, int64_t tokens,
                          uint64_t h)
{
    targets source = *t;
    target_array arrays[ARRAYS];
    const int n = arrays_of(&source, arrays);
    if (t->kind == TARGET_CLASS) { /* the first version had classes as floats */
        const float value = (float)t->index[row];
        return hash_numbers(&value, 1, sizeof value, h);
    }
    for (int i = 0; i < n; i++) {
        const int64_t begin = count_of(&arrays[i], row, first_token);
        h = hash_numbers((const char *)arrays[i].data + (size_t)begin * arrays[i].size,
                         count_of(&arrays[i], 1, tokens), arrays[i].size, h);
    }
    return h;
}
