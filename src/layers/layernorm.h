/*
 * Layer norm y = gamma (x - mean) / sqrt(var + eps) + beta per row [Ba2016], forward and backward.
 * In dynamic fixed point all sums, the square root and the division of every element are integer
 * arithmetic; the reciprocal of a row and the last combination of exact sums are float:
 *
 *   Xq = map(x, b)   S1 = sum Xq   S2 = sum Xq^2      V = n S2 - S1^2 = n^2 var 2^(-2e), exact
 *   sigma = isqrt(V + n^2 eps 2^(-2e))                the input's exponent e cancels in x^
 *   x^q = R((n Xq - S1) / sigma * 2^-ex)              b bits, exponent ex by row
 *   y = (gammaq x^q) 2^(eg+ex) + betaq 2^eb
 *   backward, G = map(dy, b): h = G gammaq            H1 = sum h, H2 = sum h x^q, exact
 *   dx = (h - H1/n - x^q 2^(2ex) H2/n) 2^(eG+eg) / std
 *   dgamma = sum_rows G x^q 2^(eG+ex)                 dbeta = sum_rows G 2^eG
 *
 * Without beta it is the RMS norm y = gamma x / sqrt(mean(x^2) + eps) [Zhang2019]: the same with 0
 * for S1, H1, the mean and beta; or a layer norm whose beta is 0 (layernorm_centre).  Some models
 * have 1 + gamma in gamma's place (layernorm_offset).
 *
 * b is num_format.norm_bits.  Exponents of Xq and G: per tensor, or per row in the row and block
 * modes (a row is where layer norm's sums end).  FORMATS.md (7).
 */
#ifndef MTS_LAYERS_LAYERNORM_H
#define MTS_LAYERS_LAYERNORM_H

#include "tensor/exec.h"
#include "tensor/param.h"

typedef struct layernorm {
    const char *name;
    int id;
    int64_t n;
    float epsilon;
    param *gamma, *beta;       /* beta NULL: 0 */
    bool centred;              /* the mean is subtracted; else RMS norm */
    float *zeros;              /* [n], in beta's place where a centred norm has none */
    float offset;              /* the gain is offset + gamma */
    float *gain;               /* [n], where the offset is not 0; as gamma_q */
    int16_t *gamma_q, *beta_q; /* mapped once per change; owned by the model's arena */
    float gamma_scale, beta_scale;
    uint64_t version;
    bool version_stochastic;
} layernorm;

/* What backward needs of one forward. */
typedef struct layernorm_state {
    int64_t first_row; /* of a part (layernorm_state_rows), within the whole */
    int16_t *xhat_q;   /* dynamic fixed point: [rows][n] */
    float *xhat_scale; /* [rows] */
    float *xhat;       /* float formats: [rows][n] */
    float *rstd;       /* [rows] */
} layernorm_state;

void layernorm_bind(const exec *ex, layernorm *ln, arena *a, const char *name, int id, param *gamma,
                    param *beta, int64_t n, float epsilon);
/* Let the gain of ln, which is bound, be offset + gamma. */
void layernorm_offset(layernorm *ln, arena *a, float offset);
/* Let ln, which is bound without beta, be a layer norm and no RMS norm. */
void layernorm_centre(layernorm *ln, arena *a);
void layernorm_state_bind(const exec *ex, layernorm_state *state, arena *a, int64_t rows,
                          int64_t n);
/* Rows from `begin` on of a state or a gradient (below) of n columns, in its storage. */
layernorm_state layernorm_state_rows(const layernorm_state *state, int64_t n, int64_t begin);

/* Make the gain, and map it and beta, once per change.  layernorm_forward does it where it was not
 * done; needed before a forward of several threads. */
void layernorm_prepare(exec *ex, layernorm *ln);

/* y[rows][n]; y may be x. */
void layernorm_forward(exec *ex, float *y, const float *x, int64_t rows, layernorm *ln,
                       layernorm_state *state);

/* y[rows][n] again, the same bits, from what the forward kept; gamma and beta are unchanged. */
void layernorm_output(exec *ex, float *y, int64_t rows, const layernorm *ln,
                      const layernorm_state *state);

/*
 * Backward in two parts, since gamma and beta need all rows:
 *   layernorm_backward_input   dx[rows][n] from dy, which may be dx; fills g->q and g->scale
 *   layernorm_backward_params  gradients of gamma and beta, as ex->accumulate_grads says, from g;
 *                              not of those that are not trained
 */
typedef struct layernorm_gradient {
    int16_t *q;      /* dynamic fixed point: [rows][n], the mapped dy */
    float *scale;    /* [rows] */
    const float *dy; /* float formats: dy itself, set by the caller */
} layernorm_gradient;

void layernorm_gradient_take(exec *ex, layernorm_gradient *g, int64_t rows, int64_t n);
/* Whether g keeps a copy of dy; else dy itself must stay until layernorm_backward_params. */
bool layernorm_keeps_gradient(const exec *ex);
layernorm_gradient layernorm_gradient_rows(const layernorm_gradient *g, int64_t n, int64_t begin);

void layernorm_backward_input(exec *ex, float *dx, const float *dy, int64_t rows,
                              const layernorm *ln, const layernorm_state *state,
                              const layernorm_gradient *g);
void layernorm_backward_params(exec *ex, const layernorm_gradient *g, int64_t rows,
                               const layernorm *ln, const layernorm_state *state);

/* Both parts; dx may be dy. */
void layernorm_backward(exec *ex, float *dx, const float *dy, int64_t rows, layernorm *ln,
                        const layernorm_state *state);

#endif
