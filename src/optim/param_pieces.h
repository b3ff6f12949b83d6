/*
 * All parameters cut into fixed pieces, so that one parallel loop covers the whole model.
 *
 * A piece lies within one parameter; pieces are in the list's order.  Used by the optimizers,
 * whose states are arrays over all elements in the same order (piece.offset points into them).
 */
#ifndef MTS_OPTIM_PARAM_PIECES_H
#define MTS_OPTIM_PARAM_PIECES_H

#include "base/memory.h"
#include "tensor/param.h"

typedef struct param_piece {
    int64_t param;  /* index of the parameter */
    int64_t begin;  /* first element within it */
    int64_t n;      /* elements, 1 .. size */
    int64_t offset; /* of the first element among those of all parameters */
} param_piece;

typedef struct param_pieces {
    param_piece *items; /* owned */
    int64_t count;
    int64_t elements; /* of all parameters */
} param_pieces;

/* Pieces of at most `size` elements of params[count]; empty parameters have none.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status param_pieces_init(mts_ctx *ctx, param_pieces *pieces, param *const *params,
                                           int64_t count, int64_t size);
void param_pieces_deinit(param_pieces *pieces);

#endif
