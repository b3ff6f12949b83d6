/*
 * The activation function between two linear layers, y = f(x), dx = dy f'(x), element by element.
 *
 * In dynamic fixed point the forward keeps the slope f'(x) as mantissas of activation_bits b with
 * the fixed unit 2^-(b-2): every slope is within (-1, 2).  A quarter (b <= 8) or half of the bytes
 * of x, and the backward computes no exponential.  FORMATS.md (11).  The float formats keep x.
 */
#ifndef MTS_LAYERS_NONLINEARITY_H
#define MTS_LAYERS_NONLINEARITY_H

#include "tensor/exec.h"

typedef struct nonlinearity {
    int id; /* of its random stream */
    activation_kind kind;
} nonlinearity;

/* What backward needs of one forward. */
typedef struct nonlinearity_state {
    int64_t first; /* of a part (nonlinearity_state_from), within the whole */
    void *slope;   /* dynamic fixed point: mantissas [n] */
    float *x;      /* float formats: [n], written by the caller */
} nonlinearity_state;

void nonlinearity_state_bind(const exec *ex, nonlinearity_state *state, arena *a, int64_t n);
/* The state of the elements from `begin` on, in its storage. */
nonlinearity_state nonlinearity_state_from(const exec *ex, const nonlinearity_state *state,
                                           int64_t begin);

/* Where the producer should write x: the state's own floats in the float formats, else `scratch`.
 */
float *nonlinearity_source(const nonlinearity_state *state, float *scratch);

/* y[n] = f(x); y may be x but in the float formats; x as nonlinearity_source gave it.  In
 * evaluation nothing is kept. */
void nonlinearity_forward(const exec *ex, float *y, const float *x, int64_t n,
                          const nonlinearity *f, nonlinearity_state *state);
/* dx[n], may be dy. */
void nonlinearity_backward(const exec *ex, float *dx, const float *dy, int64_t n,
                           const nonlinearity *f, const nonlinearity_state *state);

#endif
