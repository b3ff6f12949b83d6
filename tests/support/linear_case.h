/*
 * A linear layer alone, with an input, an output gradient, and what comes of them, for tests of its
 * products.  Everything fails the running cmocka test when it cannot do its work.
 */
#ifndef MTS_TESTS_SUPPORT_LINEAR_CASE_H
#define MTS_TESTS_SUPPORT_LINEAR_CASE_H

#include "layers/linear.h"
#include "layers/low_rank.h"
#include "support/test_model.h"

enum { LINEAR_CASE_ID = 5, LINEAR_CASE_INPUT_ID = 6, LINEAR_CASE_ADAPTER_ID = 7 };

/* An adapter to make: its parts' columns of the output. */
typedef struct linear_case_adapter {
    int64_t rank;
    float scale;
    float dropout;
    const float *weights; /* [rank], or NULL; borrowed */
    int count;            /* 0: none */
    struct {
        int64_t first, out;
    } part[LOW_RANK_PARTS];
} linear_case_adapter;

typedef struct linear_case {
    exec ex;
    int64_t rows, out, in;
    param weight, bias;
    linear lin;
    linear_input act;
    arena storage;
    size_t input_mark;      /* of storage, before the input */
    float *x, *y, *dy, *dx; /* dy is also C of L = sum C Y */
    low_rank adapter;
    param down, a[LOW_RANK_PARTS], b[LOW_RANK_PARTS]; /* a are parts of down, all A */
} linear_case;

/* The same numbers for each format.  family: NULL: as kernels_select says. */
void linear_case_init(linear_case *c, const gemm_family *family, const num_format *format,
                      int64_t rows, int64_t out, int64_t in);
/* The same with an adapter, which contributes about as much as the weight and the bias, both of
 * which are not trained then. */
void linear_case_init_adapted(linear_case *c, const gemm_family *family, const num_format *format,
                              int64_t rows, int64_t out, int64_t in,
                              const linear_case_adapter *adapter);
void linear_case_deinit(linear_case *c);

/* The outlier features of the input, rising; no more than there is room for. */
void linear_case_set_outliers(linear_case *c, const int32_t *feature, int64_t count);

/* y; and dx and the gradients of the parameters, too. */
void linear_case_forward(linear_case *c);
void linear_case_run(linear_case *c);

#endif
