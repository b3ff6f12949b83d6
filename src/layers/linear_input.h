/*
 * The input of a linear layer in the working number format, kept from forward to backward:
 * mantissas in dynamic fixed point, bfloat16, or the floats themselves.
 *
 * Path: model_class.forward -> linear_input_set -> qmatrix_map.
 */
#ifndef MTS_LAYERS_LINEAR_INPUT_H
#define MTS_LAYERS_LINEAR_INPUT_H

#include "tensor/format_watch.h"
#include "tensor/outliers.h"
#include "tensor/qmatrix.h"

typedef struct linear_input {
    const char *where;         /* name for reports; borrowed */
    int id;                    /* of its random streams */
    outlier_list *outliers;    /* of the layer that it is the input of; NULL: not told apart */
    const layer_watch *watch;  /* of that layer, or NULL */
    struct low_rank *low_rank; /* its adapter, or NULL */
    int64_t rows, cols;
    int64_t first_row; /* of a part (linear_input_rows), within the whole */
    qmatrix outlier;   /* [rows][outliers]: what q leaves out; q NULL: there are none */
    /* the numbers: one of these, the others are NULL */
    qmatrix q;      /* dynamic fixed point */
    uint16_t *bf16; /* bf16 */
    float *f;       /* fp32 */
} linear_input;

/* Its shape, and storage from a, which keeps owning it; what linear_input_name set stays. */
void linear_input_bind(const exec *ex, linear_input *in, arena *a, int64_t rows, int64_t cols);

/* Rows [begin, end) of in, in its storage; in block groups begin is a multiple of the block. */
linear_input linear_input_rows(const linear_input *in, int64_t begin, int64_t end);

/* Where the producer should write x: the input's own floats in fp32 (no copy is made then), else
 * `scratch`. */
float *linear_input_source(const linear_input *in, float *scratch);

/* in = x in the working format; x as returned by linear_input_source. */
void linear_input_set(exec *ex, linear_input *in, const float *x);

/* The same of any x: for whoever did not write it to linear_input_source. */
void linear_input_copy(exec *ex, linear_input *in, const float *x);

#endif
