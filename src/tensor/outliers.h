/*
 * Outlier features: the columns of a linear layer's input that are far larger than the others.
 *
 * With one exponent for all features of a row (or of the tensor, or of a block), a few large ones
 * starve the rest.  They are told apart: the regular features have the exponents and the width of
 * the format, the outliers more bits and exponents of their own.   [Ghaffari2024], FORMATS.md (13)
 *
 *     max[k]  = max over tokens of |x[t][k]|
 *     typical = the median of max over the features, the lower one of two
 *     feature k is an outlier if max[k] > threshold * typical > 0
 *
 * The list of an input stays the same while a model is trained, evaluated and used: outliers keep
 * their features during a fine-tuning [Huang2025], and what a row becomes does not depend on the
 * rows beside it.
 *
 * Path: calibrate -> forward (inputs watch) -> outlier_list_find; linear_input_set, linear_forward.
 */
#ifndef MTS_TENSOR_OUTLIERS_H
#define MTS_TENSOR_OUTLIERS_H

#include "tensor/exec.h"

typedef struct outlier_list {
    const char *name; /* of the layer; borrowed */
    int64_t cols;     /* features of the input */
    int64_t capacity; /* the most outliers, outlier_capacity(cols) */
    int64_t count;
    int64_t found;             /* features over the threshold, before the capacity was kept */
    int32_t *feature;          /* [capacity]: the outliers, rising */
    float *keep;               /* [cols]: 0 for outliers, 1 for the others */
    uint32_t *max_bits;        /* [cols]: bits of the largest magnitudes that were watched */
    uint32_t *sorted;          /* [cols]: room */
    uint64_t version;          /* counts changes of the list */
    struct outlier_list *next; /* of ex->outliers */
} outlier_list;

/* Outliers that an input of so many features can have: a sixteenth of them, rounded up to a
 * multiple of 8. */
int64_t outlier_capacity(int64_t cols);

/* An empty list for an input, with storage from the arena (which keeps owning it), into
 * ex->outliers. */
void outlier_list_bind(exec *ex, outlier_list *list, arena *a, const char *name, int64_t cols);

/* How many outliers are to be reckoned with: list->count; in a dry run the most. */
int64_t outlier_count(const exec *ex, const outlier_list *list);

/* Note the largest magnitudes of x[rows][cols]; several threads may do so. */
void outlier_list_watch(const exec *ex, outlier_list *list, const float *x, int64_t rows);

/* Make the list of what was watched since outlier_list_forget; of more features than it can hold,
 * the largest, of equal ones the first. */
void outlier_list_find(outlier_list *list, float threshold);
void outlier_list_forget(outlier_list *list);

/* Set the list: feature[count], rising, below cols; count <= capacity. */
void outlier_list_set(outlier_list *list, const int32_t *feature, int64_t count);

/* y[rows][count] = the outlier columns of x[rows][cols] */
void outlier_list_gather(const exec *ex, const outlier_list *list, float *y, const float *x,
                         int64_t rows);

#endif
