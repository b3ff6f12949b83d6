/* Lists of outlier features.  See outliers.h. */
#include "tensor/outliers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/qmatrix.h"

enum { CAPACITY_STEP = 8, CAPACITY_SHARE = 16, GATHER_GRAIN = 64 };

int64_t outlier_capacity(int64_t cols)
{
    const int64_t share = CAPACITY_SHARE * CAPACITY_STEP;
    const int64_t n = (cols + share - 1) / share * CAPACITY_STEP;
    return n < cols ? n : cols;
}

void outlier_list_bind(exec *ex, outlier_list *list, arena *a, const char *name, int64_t cols)
{
    outlier_list **end = &ex->outliers;
    *list = (outlier_list){.name = name, .cols = cols, .capacity = outlier_capacity(cols)};
    list->feature = arena_take(a, (size_t)list->capacity, sizeof(int32_t));
    list->keep = arena_take(a, (size_t)cols, sizeof(float));
    list->max_bits = arena_take(a, (size_t)cols, sizeof(uint32_t));
    list->sorted = arena_take(a, (size_t)cols, sizeof(uint32_t));
    if (!ex->dry)
        outlier_list_forget(list);
    while (*end != NULL)
        end = &(*end)->next;
    *end = list;
}

int64_t outlier_count(const exec *ex, const outlier_list *list)
{
    return ex->dry ? list->capacity : list->count;
}

void outlier_list_watch(const exec *ex, outlier_list *list, const float *x, int64_t rows)
{
    if (!ex->dry)
        qmatrix_column_max(ex, list->max_bits, x, list->cols, rows, list->cols, NULL);
}

void outlier_list_forget(outlier_list *list)
{
    memset(list->max_bits, 0, (size_t)list->cols * sizeof(uint32_t));
}

static int compare_bits(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void outlier_list_set(outlier_list *list, const int32_t *feature, int64_t count)
{
    assert(count <= list->capacity);
    if (count == list->count &&
        (count == 0 || memcmp(list->feature, feature, (size_t)count * sizeof *feature) == 0))
        return;
    for (int64_t k = 0; k < list->cols; k++)
        list->keep[k] = 1.0f;
    for (int64_t i = 0; i < count; i++) {
        list->feature[i] = feature[i];
        list->keep[feature[i]] = 0.0f;
    }
    list->count = count;
    list->version++;
}

/* The capacity ends among features of this magnitude: of those, `room` are kept. */
typedef struct capacity_cut {
    uint32_t bits;
    int64_t room;
} capacity_cut;

static capacity_cut cut_of(const outlier_list *list)
{
    const uint32_t *end = list->sorted + list->cols;
    capacity_cut cut = {*(end - list->capacity), 0};
    for (int64_t i = 1; i <= list->capacity; i++)
        cut.room += *(end - i) == cut.bits;
    return cut;
}

void outlier_list_find(outlier_list *list, float threshold)
{
    const int64_t n = list->cols;
    int32_t *feature = (int32_t *)list->sorted; /* not used any more when this is written */
    int64_t count = 0;
    memcpy(list->sorted, list->max_bits, (size_t)n * sizeof(uint32_t));
    qsort(list->sorted, (size_t)n, sizeof(uint32_t), compare_bits);
    const float typical = float_of(list->sorted[(n - 1) / 2]);
    capacity_cut cut = cut_of(list);
    list->found = 0;
    for (int64_t k = 0; k < n; k++) {
        const uint32_t bits = list->max_bits[k];
        const bool over = typical > 0.0f && float_of(bits) > threshold * typical;
        list->found += over;
        if (over && (bits > cut.bits || (bits == cut.bits && cut.room-- > 0)))
            feature[count++] = (int32_t)k;
    }
    outlier_list_set(list, feature, count);
}

typedef struct gather_job {
    const outlier_list *list;
    float *y;
    const float *x;
} gather_job;

static void gather_rows(void *arg, int64_t begin, int64_t end)
{
    const gather_job *job = arg;
    const outlier_list *list = job->list;
    for (int64_t t = begin; t < end; t++)
        for (int64_t i = 0; i < list->count; i++)
            job->y[t * list->count + i] = job->x[t * list->cols + list->feature[i]];
}

void outlier_list_gather(const exec *ex, const outlier_list *list, float *y, const float *x,
                         int64_t rows)
{
    gather_job job = {list, y, x};
    exec_parallel(ex, rows, GATHER_GRAIN, gather_rows, &job);
}
