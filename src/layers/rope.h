/*
 * Rotary positions: each pair of a head's numbers is turned by an angle that grows with the token's
 * position.                                                                             [Su2024]
 *
 *   (x[i], x[i + r/2]) at position p, i < r/2:   turned by p * frequency[i]
 *   frequency[i] = base^(-2 i / r)               r: the first so many of a head's numbers turn
 *
 * The halves are those of transformers ("rotate_half"); a file with neighbouring pairs has its rows
 * reordered when it is read.  Scaling of the frequencies (rope_scaling of config.json):
 *   linear   every frequency divided by factor
 *   llama3   low ones divided by factor, high ones not, in between a straight line      [Dubey2024]
 *
 * Angles, sine and cosine are computed in double by fixed operations, so that tables are the same
 * on every machine; the rotation is float.  The backward turns the other way.
 */
#ifndef MTS_LAYERS_ROPE_H
#define MTS_LAYERS_ROPE_H

#include "tensor/exec.h"

typedef enum rope_scaling {
    ROPE_PLAIN,
    ROPE_LINEAR,
    ROPE_LLAMA3,
} rope_scaling;

typedef struct rope_options {
    int64_t dims; /* r: even, at most the head's width; 0: no rotation */
    double base;  /* at least 1 */
    rope_scaling scaling;
    double factor;                  /* linear, llama3: at least 1 */
    double low_factor, high_factor; /* llama3: high > low > 0 */
    double original_length;         /* llama3: positions before the scaling */
} rope_options;

/* frequency[dims / 2] */
void rope_frequencies(const rope_options *o, double *frequency);

/* *s, *c: sine and cosine of an angle, 0 <= angle <= 2^30; error below 2^-45 + angle 2^-52. */
void rope_sine_cosine(double angle, double *s, double *c);

/* Cosines and sines of positions [first, first + count). */
typedef struct rope_table {
    int64_t half;         /* dims / 2 */
    int64_t first, count; /* positions */
    float *cosine, *sine; /* [count][half] */
} rope_table;

/* Storage from the arena, which keeps owning it; first: 0, until it is set. */
void rope_table_bind(rope_table *t, arena *a, const rope_options *o, int64_t count);
void rope_table_fill(const exec *ex, rope_table *t, const rope_options *o);

/*
 * Turn the heads of x[tokens][ld] in place: heads of width head_dim from column 0 on, each by its
 * token's position (in the table).  backward: the other way.
 */
void rope_apply(const exec *ex, const rope_table *t, float *x, int64_t ld, int64_t heads,
                int64_t head_dim, const int32_t *positions, int64_t tokens, bool backward);

#endif
