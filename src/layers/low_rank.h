/*
 * A low-rank adapter of a linear layer (LoRA): beside the frozen weight, two small trained ones.
 *                                                                                     [Hu2022]
 *   y = x W^T + s (x A^T) B^T        A [r][in], B [out][r], s = alpha / r
 *
 *   forward    t = s x A^T                          y += t B^T
 *   backward   dB = dy^T t      dt = s dy B         dA = dt^T x         dx += dt A
 *
 * The products are those of linear layers in the working format: x is mapped once, for W and A; t,
 * A and B have maps of their own.  A layer whose weight is several matrices one behind the other
 * (query, key, value) has a part for each that is adapted: A and B of its own.
 *
 * With ex->rank b > 0 only the first b ranks are used, with s_b = alpha / b, or alpha / sqrt(b)
 * [Valipour2023]: the columns of t and dt of the others are zero, and so are their gradients.
 *
 * With weights, all ranks are trained at once [Modoranu2026]: in training, and there only,
 *
 *   y = x W^T + x A^T P B^T       P diagonal, P_i = sum of s_r over the trained ranks r >= i
 *                                 forward  t = x A^T P        backward  dt = dy B P
 *
 * which is the sum over the trained ranks r of s_r times the product of the first r ranks.  An
 * adapter is evaluated, and written, at one rank b: the first b ranks scaled by s_b, without P.
 *
 * With dropout, in training, the input of A is dropout(x) (linear_input_drop.h): of the numbers to
 * which x was mapped for W, those that are dropped are zero for A, so that x is mapped once.  The
 * exponents are those of all of x, and 1 / (1 - p) is a factor of s.  All parts of a layer drop the
 * same; in PEFT each draws by itself.
 *
 * Path: linear_forward -> low_rank_forward -> linear_forward of A and B.
 */
#ifndef MTS_LAYERS_LOW_RANK_H
#define MTS_LAYERS_LOW_RANK_H

#include "layers/linear.h"

typedef struct low_rank_part {
    int64_t first, out; /* columns of the layer's output */
    param *a, *b;       /* [rank][in], [out][rank] */
    linear up;          /* b: from t */
    linear_input t;     /* kept from forward to backward */
} low_rank_part;

typedef struct low_rank {
    int64_t rank;
    float scale;   /* s */
    float alpha;   /* of which s is made anew where only the first b ranks are used: alpha / b */
    bool rslora;   /* or alpha / sqrt(b) */
    float dropout; /* p of A's input, below 1 */
    const float *weights; /* [rank]: P; borrowed; NULL: s in training too */
    int count;            /* parts; 0: no adapter */
    low_rank_part part[LOW_RANK_PARTS];
    linear down; /* to t of all parts: their a's, which lie behind each other in memory */
} low_rank;

/* Numbers of random streams that an adapter of so many parts needs. */
static inline int low_rank_streams(int parts)
{
    return 1 + 2 * parts;
}

/*
 * Let lin, which is bound, have the adapter lr, whose rank, scale, count, parts' columns and
 * parameters are set, and the numbers of its training; lr is kept by lin.  first_id: of its
 * streams.  Storage from a, as for linear_bind.  To be called before linear_input_name.
 */
void low_rank_bind(exec *ex, low_rank *lr, linear *lin, arena *a, int first_id);

/* Parts of a layer's adapter; 0: it has none. */
static inline int low_rank_parts(const linear *lin)
{
    return lin->low_rank == NULL ? 0 : lin->low_rank->count;
}

/* What linear.c calls; see there. */
void low_rank_input_bind(const exec *ex, low_rank *lr, arena *a, int64_t rows);
void low_rank_prepare(exec *ex, low_rank *lr);
/* y += t B^T; y NULL: only what the backward needs. */
void low_rank_forward(exec *ex, float *y, const linear_input *x, const linear *lin);
/* Also for layers of the same shape with as many parts or fewer, which may be others. */
void low_rank_gradient_take(exec *ex, linear_gradient *g, int64_t rows, const linear *lin);
void low_rank_backward_rows(exec *ex, float *dx, const float *dy, const linear_input *x,
                            const linear *lin, const linear_gradient *g);
void low_rank_backward_params(exec *ex, const linear_gradient *g, const float *dy,
                              const linear_input *x, const linear *lin);

#endif
