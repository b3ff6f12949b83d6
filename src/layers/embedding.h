/*
 * Embedding look-up y[t] = W[index[t]] (summed over several tables by the caller), forward and
 * backward in the working number format.                                       [Tayaranian2023]
 *
 *   forward     y[t] += Wq[index[t]] 2^eW            the table mapped like a weight
 *   backward    dW[v] = sum over t with index[t] = v of Gq[t] 2^eG, in double:
 *                                  exact per tensor, in the order of tokens by row
 *
 * A row is mapped when it is looked up; its draws depend on (step, row, column) only, so the result
 * is that of mapping the whole table.  Exponents: per tensor, or per row.
 */
#ifndef MTS_LAYERS_EMBEDDING_H
#define MTS_LAYERS_EMBEDDING_H

#include "tensor/exec.h"
#include "tensor/param.h"
#include "tensor/qmatrix.h"

typedef struct embedding {
    const char *name;
    int id;
    param *table;        /* value[rows][cols] */
    int64_t padding;     /* a row without a gradient, as PyTorch's padding_idx; -1: none */
    int tensor_exponent; /* of the table's unit in the tensor mode, found once per change */
    uint64_t version;
    bool failed;
} embedding;

void embedding_init(embedding *e, const char *name, int id, param *table);

/* y[n][cols] = (or += if accumulate) rows of the table. */
void embedding_forward(exec *ex, float *y, const int32_t *index, int64_t n, embedding *e,
                       bool accumulate);

/* A gradient dy[n][cols] mapped once for all tables that share it. */
typedef struct embedding_gradient {
    const float *dy; /* float formats */
    qmatrix q;       /* dynamic fixed point */
    int64_t n, cols;
} embedding_gradient;

/* Storage from ex->scratch; the caller releases it after the last embedding_backward. */
void embedding_map_gradient(exec *ex, embedding_gradient *g, const float *dy, int64_t n,
                            int64_t cols, const embedding *e);

/* table->grad: overwritten (all rows) or accumulated, as ex->accumulate_grads says; nothing
 * if the table is not trained. */
void embedding_backward(exec *ex, const embedding_gradient *g, const int32_t *index, embedding *e);

#endif
