/* Parameters: declaring and allocating.  See param.h. */
#include "tensor/param.h"

#include <string.h>
#include <stdarg.h>
#include <stdio.h>

enum { FIRST_CAPACITY = 64, AHEAD_BYTES = 8 << 20 };

/* Room for one more in items and trained, which have the same capacity: 64, 128, 256, ... */
static mts_status reserve(param_list *list)
{
    mts_status st = MTS_OK;
    const size_t n = (size_t)list->count;
    const bool full = n >= FIRST_CAPACITY ? (n & (n - 1)) == 0 : n == 0;
    const size_t capacity = n == 0 ? FIRST_CAPACITY : 2 * n;
    if (!full)
        return MTS_OK;
    MTS_TRY(mem_grow(NULL, &list->items, n, capacity, sizeof *list->items, "parameter list"));
    MTS_TRY(mem_grow(NULL, &list->trained, n, capacity, sizeof *list->trained, "parameter list"));
cleanup:
    return st;
}

param *param_declare(param_list *list, param_role role, int64_t rows, int64_t cols,
                     const char *name, ...)
{
    param *p = NULL;
    va_list args;
    if (list->status == MTS_OK)
        list->status = reserve(list);
    if (list->status == MTS_OK)
        list->status = mem_calloc(NULL, &p, 1, sizeof *p, "parameter");
    if (list->status != MTS_OK)
        return NULL;
    va_start(args, name);
    vsnprintf(p->name, sizeof p->name, name, args);
    va_end(args);
    p->rows = rows == 0 ? 1 : rows;
    p->cols = cols;
    p->role = role;
    p->vector = rows == 0;
    p->decay = role == PARAM_WEIGHT || role == PARAM_TABLE;
    p->trained = true;
    p->part = list->part;
    p->index = list->count;
    if (list->count > 0) {
        list->items[list->count - 1]->next = p;
        p->previous = list->items[list->count - 1];
    }
    list->items[list->count++] = p;
    list->elements += param_size(p);
    return p;
}

void param_freeze(param *p)
{
    if (p != NULL)
        p->trained = false;
}

param *param_list_find(const param_list *list, const char *name)
{
    for (int64_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i]->name, name) == 0)
            return list->items[i];
    return NULL;
}

bool param_next_trained(const param *p, int64_t end, int64_t *at, int64_t *n)
{
    *at += *n;
    if (*at >= end)
        return false;
    *n = end - *at;
    if (p->end_rank == 0 || p->ranks == PARAM_RANKS_NONE)
        return true;
    const int64_t cols = p->cols;
    if (p->ranks == PARAM_RANKS_ROWS) {
        const int64_t first = p->first_rank * cols, last = p->end_rank * cols;
        *at = *at < first ? first : *at;
        *n = (last < end ? last : end) - *at;
        return *n > 0;
    }
    /* the next element at or behind *at whose column is trained, and the rest of its row's run */
    const int64_t col = *at % cols;
    if (col < p->first_rank)
        *at += p->first_rank - col;
    else if (col >= p->end_rank)
        *at += cols - col + p->first_rank;
    if (*at >= end)
        return false;
    const int64_t last = *at - *at % cols + p->end_rank;
    *n = (last < end ? last : end) - *at;
    return true;
}

/* The parameter that a row of several lies in, and its number there. */
static const param *find_row(const param *p, int64_t *row)
{
    while (*row >= p->rows) {
        *row -= p->rows;
        p = p->next;
    }
    return p;
}

void param_read(const param *p, int64_t row, int64_t col, int64_t n, float *out)
{
    p = find_row(p, &row);
    if (p->value != NULL)
        memcpy(out, p->value + row * p->cols + col, (size_t)n * sizeof(float));
    else
        stored_matrix_read(&p->stored, row, col, n, out);
}

void param_gather(const param *p, int64_t row, const int32_t *col, int64_t n, float *out)
{
    p = find_row(p, &row);
    stored_matrix_gather(&p->stored, row, col, n, out);
}

void param_read_ahead(const param *p, int64_t rows, bool backward)
{
    size_t left = AHEAD_BYTES;
    while (!backward && p != NULL && rows > 0) {
        rows -= p->rows;
        p = p->next;
    }
    if (backward)
        p = p->previous;
    for (; p != NULL && left > 0; p = backward ? p->previous : p->next) {
        const size_t bytes = p->storage == PARAM_STREAMED ? stored_matrix_want(&p->stored) : 0;
        left = bytes < left ? left - bytes : 0;
    }
}

void param_forget(const param *p)
{
    if (p->storage != PARAM_IN_MEMORY)
        stored_matrix_forget(&p->stored);
}

bool param_map_s8(const exec *ex, const param *p, int64_t row, int64_t col, int64_t n,
                  const quantize_args *args, int8_t *q)
{
    p = find_row(p, &row);
    if (p->value != NULL || args->stochastic || p->stored.class->map_s8 == NULL)
        return false;
    return p->stored.class->map_s8(ex, &p->stored, row, col, n, args, q);
}

int64_t param_list_memory_elements(const param_list *list)
{
    int64_t n = 0;
    for (int64_t i = 0; i < list->count; i++)
        n += list->items[i]->storage == PARAM_IN_MEMORY ? param_size(list->items[i]) : 0;
    return n;
}

int64_t param_list_trained_elements(const param_list *list)
{
    int64_t n = 0;
    for (int64_t i = 0; i < list->count; i++)
        n += list->items[i]->trained ? param_size(list->items[i]) : 0;
    return n;
}

mts_status param_list_allocate(mts_ctx *ctx, param_list *list, bool with_grad)
{
    mts_status st = list->status;
    float *value = NULL, *grad = NULL;
    MTS_CHECK(st == MTS_OK, st, "out of memory: parameter list");
    for (int64_t i = 0; i < list->count; i++)
        if (list->items[i]->trained)
            list->trained[list->trained_count++] = list->items[i];
    MTS_TRY(mem_calloc(ctx, &list->value, (size_t)param_list_memory_elements(list), sizeof(float),
                       "parameters"));
    if (with_grad)
        MTS_TRY(mem_calloc(ctx, &list->grad, (size_t)param_list_trained_elements(list),
                           sizeof(float), "gradients"));
    value = list->value;
    grad = list->grad;
    for (int64_t i = 0; i < list->count; i++) {
        param *p = list->items[i];
        if (p->storage != PARAM_IN_MEMORY)
            continue;
        p->value = value;
        value += param_size(p);
        if (!p->trained || !with_grad)
            continue;
        p->grad = grad;
        grad += param_size(p);
    }
cleanup:
    return st;
}

void param_list_deinit(param_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        stored_matrix_close(&list->items[i]->stored);
        mem_free(list->items[i]);
    }
    mem_free(list->items);
    mem_free(list->trained);
    mem_free(list->value);
    mem_free(list->grad);
    *list = (param_list){0};
}
