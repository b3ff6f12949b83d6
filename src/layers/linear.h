/*
 * Linear layer Y = X W^T + b, forward and backward, in the working number format.
 *
 *   forward     Xq = map(X, b_a)   Wq = map(W, b_w)     Y  = Xq Wq^T 2^(eX+eW) + b
 *   backward    Gq = map(dL/dY, b_g)                    dX = Gq Wq 2^(eG+eW)
 *                                                       dW = Gq^T Xq 2^(eG+eX),  db = sum G
 *                                                                     [Tayaranian2023 section 3]
 * With exponents by row, the scales that run along a reduction are folded (powers of two: exactly)
 * into the gradient before it is mapped: dX = map(G diag(2^eW)) Wq, dW = map(diag(2^eX) G)^T Xq,
 * the latter with one exponent per output feature.  FORMATS.md (6).
 *
 * Path: model_class.forward -> linear_forward -> gemm_run -> micro-kernel.
 */
#ifndef MTS_LAYERS_LINEAR_H
#define MTS_LAYERS_LINEAR_H

#include "layers/linear_input.h"
#include "tensor/format_watch.h"
#include "tensor/gemm.h"
#include "tensor/param.h"
#include "tensor/work.h"

struct low_rank;

enum { LOW_RANK_PARTS = 3 }; /* the most matrices that one layer's weight is made of */

typedef struct linear {
    const char *name; /* borrowed */
    int id;           /* of its random streams */
    int64_t out, in;
    param *weight; /* value[out][in]; several parameters may follow each other in memory and act as
                      one matrix (query, key, value) */
    param *bias;   /* or NULL */
    gemm_operand straight, transposed; /* the packed weight; in the model's arena, as the next */
    float *row_scale;                  /* of the weight's rows, for folding (row group) */
    uint16_t *bf16;                    /* the weight in bf16 */
    uint64_t version; /* of the weight that was packed, + 1 (frozen: base_version); 0: none */
    bool version_stochastic;
    outlier_list outliers;       /* of its input; capacity 0: not told apart */
    gemm_operand outlier_weight; /* their columns of the weight */
    const outlier_list *listed; /* the list that counts: that, or of the layer whose input it has */
    uint64_t outlier_version;   /* of the list that was packed */
    struct low_rank *low_rank;  /* its adapter, layers/low_rank.h; NULL: none */
    layer_watch watch;          /* how well its matrices are mapped */
} linear;

/* Storage for the packed weight comes from a, which keeps owning it.  bias NULL: none. */
void linear_bind(exec *ex, linear *lin, arena *a, const char *name, int id, param *weight,
                 param *bias, int64_t out, int64_t in);

/* Say of which layer `in` is the input; id: of its random streams. */
void linear_input_name(linear_input *in, linear *lin, int id);

/* Map and pack the weight, once per change (and once more to be watched).  linear_forward does it
 * where it was not done; needed before a forward of several threads. */
void linear_prepare(exec *ex, linear *lin);

/* For work.h: a product of so many rows with the weight of lin is done. */
void linear_count_work(const exec *ex, work_part part, int64_t rows, const linear *lin);

/* y[rows][out] = x W^T + b; overwritten. */
void linear_forward(exec *ex, float *y, const linear_input *x, linear *lin);

/* What the backward needs of a forward whose y is not wanted again: an adapter keeps something. */
void linear_forward_again(exec *ex, const linear_input *x, linear *lin);

/*
 * Backward in two parts, since the parameters need all rows and the input does not.  Whoever makes
 * dy gives it to linear_backward_rows piece by piece, which collects beside dx what the second part
 * must know of all rows.
 */
typedef struct linear_sums {
    float *bias_sums; /* [ceil(rows / LINEAR_SUM_ROWS)][out]: sums over so many rows, in order; NULL
                          in an adapter, which has no bias */
    uint32_t *col_max; /* exponents by row: bits of the largest |dy[i][j] 2^eX[i]|; else NULL */
} linear_sums;

typedef struct linear_gradient {
    linear_sums sums;
    /* of an adapter, layers/low_rank.h */
    float *dt; /* [rows][rank of all parts] */
    linear_sums down, up[LOW_RANK_PARTS];
} linear_gradient;

enum { LINEAR_SUM_ROWS = 32 };

/* Storage from ex->scratch for gradients of lin, ready for linear_backward_rows. */
void linear_gradient_take(exec *ex, linear_gradient *g, int64_t rows, const linear *lin);

/* The same for one after another of `count` layers of one shape, whose adapters may differ; they
 * lie `stride` bytes apart, lin is the first. */
void linear_gradient_take_most(exec *ex, linear_gradient *g, int64_t rows, const linear *lin,
                               size_t stride, int64_t count);

/* dx[x->rows][in] = dy W, overwritten (NULL: not wanted); dy[x->rows][out] is collected in g.  x is
 * the input of the forward, or rows of it from a multiple of LINEAR_SUM_ROWS on; each row once;
 * several threads may share g. */
void linear_backward_rows(exec *ex, float *dx, const float *dy, const linear_input *x,
                          const linear *lin, const linear_gradient *g);

/* Weight and bias gradients from all of dy[x->rows][out] and what was collected of it; overwritten
 * or accumulated as ex->accumulate_grads says.  A parameter that is not trained is passed over.  g
 * is ready for the next linear_backward_rows then. */
void linear_backward_params(exec *ex, const linear_gradient *g, const float *dy,
                            const linear_input *x, const linear *lin);

/* All of it; dx NULL: not wanted. */
void linear_backward(exec *ex, float *dx, const float *dy, const linear_input *x,
                     const linear *lin);

/* For adapters: linear_bind without a bias, for the same input as `like` (NULL: one of its own);
 * a part of linear_backward_rows. */
void linear_bind_like(exec *ex, linear *lin, arena *a, const char *name, int id, param *weight,
                      int64_t out, int64_t in, const linear *like);
void linear_sums_collect(exec *ex, const linear_sums *sums, const float *dy, const linear_input *x,
                         const linear *lin);

#endif
