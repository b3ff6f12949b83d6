/*
 * Float matrix products of the fp32 and bf16 formats (the baselines): oneDNN where the build has
 * it, plain C otherwise.  Integers never come here.
 */
#ifndef MTS_TENSOR_FLOAT_GEMM_H
#define MTS_TENSOR_FLOAT_GEMM_H

#include "tensor/exec.h"

/*
 * c[m][n] = op(a) op(b) (+ c if accumulate), row-major; op(a) is m x k: a[m][k], or a[k][m] when
 * trans_a; op(b) is k x n: b[k][n], or b[n][k] when trans_b.  Row strides lda, ldb, ldc in
 * elements.
 */
void float_gemm(const exec *ex, float *c, int64_t ldc, const float *a, int64_t lda, bool trans_a,
                const float *b, int64_t ldb, bool trans_b, int64_t m, int64_t n, int64_t k,
                bool accumulate);

/*
 * The same on bfloat16 operands with float sums.  Dense operands only.  MTS_ERR_UNSUPPORTED cannot
 * happen: where the library has no bf16 product the operands are widened and multiplied in float.
 */
void bf16_gemm(exec *ex, float *c, const uint16_t *a, bool trans_a, const uint16_t *b, bool trans_b,
               int64_t m, int64_t n, int64_t k, bool accumulate);

/* y[n] = x rounded to bfloat16, nearest even. */
void bf16_convert(const exec *ex, uint16_t *y, const float *x, int64_t n);

/* text[bytes]: "oneDNN 2.6.3" or "plain C". */
void float_gemm_library(char *text, size_t bytes);

#endif
