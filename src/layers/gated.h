/*
 * The gated activation between two linear layers, g = f(u) * v, element by element; u and v are the
 * two halves of one linear layer's output, side by side [rows][2 n].           [Shazeer2020]
 *
 *   dv = dg f(u)     du = dg v f'(u)
 *
 * Without a gate it is g = f(u), du = dg f'(u), with u alone [rows][n].
 *
 * In dynamic fixed point the forward keeps f(u) and v as mantissas of activation_bits with one
 * exponent for each row, and the slope f'(u) as nonlinearity.h does: 3 bytes for each element at 8
 * bits.  FORMATS.md (11).  The float formats keep u and v.
 */
#ifndef MTS_LAYERS_GATED_H
#define MTS_LAYERS_GATED_H

#include "layers/nonlinearity.h"
#include "tensor/qmatrix.h"

typedef struct gated {
    const char *name;    /* for reports; borrowed */
    nonlinearity act;    /* its stream is that of the slopes */
    int act_id, gate_id; /* of the random streams of f(u) and v */
    int64_t n;           /* columns of g */
    bool plain;          /* no gate */
} gated;

/* Columns of u and v. */
MTS_INLINE int64_t gated_in_width(const gated *f)
{
    return f->plain ? f->n : 2 * f->n;
}

/* What backward needs of one forward. */
typedef struct gated_state {
    int64_t first_row;        /* of a part, within the whole */
    nonlinearity_state slope; /* dynamic fixed point */
    qmatrix act, gate;        /* the same: f(u) and v; with a gate */
    float *uv;                /* float formats: [rows][in width], written by the caller */
} gated_state;

void gated_state_bind(const exec *ex, gated_state *state, arena *a, const gated *f, int64_t rows);
/* Rows [begin, end), in its storage. */
gated_state gated_state_rows(const exec *ex, const gated_state *state, const gated *f,
                             int64_t begin, int64_t end);

/* Where the producer should write u and v: the state's own floats in the float formats. */
float *gated_source(const gated_state *state, float *scratch);

/* g[rows][n] from uv[rows][in width], as gated_source gave it; in evaluation nothing is kept. */
void gated_forward(exec *ex, float *g, const float *uv, int64_t rows, const gated *f,
                   gated_state *state);
/* duv[rows][in width] from dg[rows][n]. */
void gated_backward(exec *ex, float *duv, const float *dg, int64_t rows, const gated *f,
                    const gated_state *state);

#endif
