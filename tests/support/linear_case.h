/*
 * A linear layer alone, with an input, an output gradient, and what comes of them, for tests of its
 * products.  Everything fails the running cmocka test when it cannot do its work.
 */
#ifndef MTS_TESTS_SUPPORT_LINEAR_CASE_H
#define MTS_TESTS_SUPPORT_LINEAR_CASE_H

#include "layers/linear.h"
#include "support/test_model.h"

enum { LINEAR_CASE_ID = 5, LINEAR_CASE_INPUT_ID = 6 };

typedef struct linear_case {
    exec ex;
    int64_t rows, out, in;
    param weight, bias;
    linear lin;
    linear_input act;
    arena storage;
    size_t input_mark;      /* of storage, before the input */
    float *x, *y, *dy, *dx; /* dy is also C of L = sum C Y */
} linear_case;

/* The same numbers for each format.  family: NULL: as kernels_select says. */
void linear_case_init(linear_case *c, const gemm_family *family, const num_format *format,
                      int64_t rows, int64_t out, int64_t in);
void linear_case_deinit(linear_case *c);

/* The outlier features of the input, rising; no more than there is room for. */
void linear_case_set_outliers(linear_case *c, const int32_t *feature, int64_t count);

/* y; and dx and the gradients of the parameters, too. */
void linear_case_forward(linear_case *c);
void linear_case_run(linear_case *c);

#endif
