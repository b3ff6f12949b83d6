/*
 * The input of linear layers in the working number format, kept from forward to backward:
 * mantissas in dynamic fixed point, bfloat16, or the floats themselves.
 *
 * Path: bert_forward -> activation_set -> qmatrix_map.
 */
#ifndef MTS_LAYERS_ACTIVATION_H
#define MTS_LAYERS_ACTIVATION_H

#include "tensor/qmatrix.h"

typedef struct activation {
    const char *where; /* name for reports; borrowed */
    int id;            /* of its random stream */
    int64_t rows, cols;
    int64_t first_row; /* of a part (activation_rows), within the whole */
    qmatrix q;         /* FORMAT_DFP */
    uint16_t *bf16;    /* FORMAT_BF16 */
    float *f;          /* FORMAT_FP32 */
} activation;

/* Its shape, and storage from a, which keeps owning it. */
void activation_bind(activation *act, arena *a, const num_format *format, int64_t rows,
                     int64_t cols);

/* Rows [begin, end) of act, in its storage; in block groups begin is a multiple of the block. */
activation activation_rows(const activation *act, int64_t begin, int64_t end);

/* Where the producer should write x: the activation's own floats in fp32 (no copy is made then),
 * else `scratch`. */
float *activation_source(const exec *ex, activation *act, float *scratch);

/* act = x in the working format; x as returned by activation_source. */
void activation_set(exec *ex, activation *act, const float *x);

/* The same of any x: for whoever did not write x to activation_source. */
void activation_copy(exec *ex, activation *act, const float *x);

#endif
