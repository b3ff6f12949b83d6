/* Layer norm over all rows: what layernorm.c shares with the number formats. */
#ifndef MTS_LAYERS_LAYERNORM_INTERNAL_H
#define MTS_LAYERS_LAYERNORM_INTERNAL_H

#include "layers/layernorm.h"

/* A forward or backward under way; read by every thread. */
typedef struct norm_job {
    exec *ex;
    const layernorm *ln;
    const layernorm_state *state;
    const float *in; /* forward: x; backward: dy */
    float *out;      /* forward: y; backward: dx */
    int64_t rows;
    layernorm_gradient g; /* backward */
    /* dynamic fixed point with one exponent for the whole input: that of its unit */
    bool by_tensor, failed;
    int tensor_exponent;
} norm_job;

/* [n]: what x^ is multiplied with. */
MTS_INLINE const float *layernorm_gain(const layernorm *ln)
{
    return ln->offset != 0.0f ? ln->gain : ln->gamma->value;
}

/* [n]: what is added to it; not of an RMS norm. */
MTS_INLINE const float *layernorm_shift(const layernorm *ln)
{
    return ln->beta != NULL ? ln->beta->value : ln->zeros;
}

#endif
