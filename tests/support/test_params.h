/* A small table of parameters with values and gradients, for tests of src/optim. */
#ifndef MTS_TESTS_SUPPORT_TEST_PARAMS_H
#define MTS_TESTS_SUPPORT_TEST_PARAMS_H

#include "tensor/exec.h"
#include "tensor/param.h"

enum { TEST_PARAMS_MAX = 8 };

typedef struct test_params {
    param **items; /* [count] */
    int64_t count, elements;
    float *value, *grad; /* [elements] of all parameters, in order */
} test_params;

/* An empty table, and one more parameter "p0", "p1", ... of zeros; rows 1: a vector. */
void test_params_add(test_params *t, int64_t rows, int64_t cols, bool decay);
void test_params_free(test_params *t);

/* Where the values of parameter p begin among those of all. */
int64_t test_params_offset(const test_params *t, int64_t p);

/* Five parameters, 93,904 elements: several pieces of every kind, with and without decay. */
test_params test_params_mixed(void);

/* Uniform in (-scale, scale), a function of seed and element. */
void test_params_fill(float *x, int64_t n, float scale, uint64_t seed);

/* An execution context with what optimizers use of it. */
exec test_params_exec(const float_kernels *fk, int threads, uint64_t seed);

/* The builds of the float kernels that this machine can run; generic is the first. */
const float_kernels *const *test_params_kernels(int *count);

#endif
