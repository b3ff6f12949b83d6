/*
 * A trainable parameter: where its numbers live and how the optimizer treats it.  The model's table
 * of parameters (models/param_table.h) drives allocation, files, checkpoints and printing.
 */
#ifndef MTS_TENSOR_PARAM_H
#define MTS_TENSOR_PARAM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct param {
    char name[128];      /* as in the model file, without the "bert." prefix */
    int64_t rows, cols;  /* vectors: rows = 1 */
    bool vector;         /* one dimension in files */
    bool decay;          /* weight decay applies (not to biases and layer norm) */
    float *value, *grad; /* [rows][cols], owned by the table */
    int64_t offset;      /* of value in the table's storage, in elements */
} param;

#endif
