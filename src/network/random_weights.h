/*
 * Random weights of a language model, written as a folder: for tests and measurements of models
 * that are not at hand.
 *
 *   matrices    normal with mean 0 and standard deviation initializer_range, as transformers makes
 *               a new model, in bfloat16: the 2^15 magnitudes of equal probability, with a sign
 *   gains       1; biases 0
 *
 * A number is a function of the seed, the name of its parameter, its row and its column: a model
 * with fewer layers begins as the whole one does, and what is written does not depend on threads.
 *
 * Path: mts_synth -> here -> write_weights.h.
 */
#ifndef MTS_NETWORK_RANDOM_WEIGHTS_H
#define MTS_NETWORK_RANDOM_WEIGHTS_H

#include "io/model_config.h"

typedef struct random_request {
    const model_config *config; /* of a language model */
    bool pack;                  /* the matrices of the layers are in NF4 */
    uint64_t seed;
    uint64_t shard_bytes; /* likewise below as in weights_request */
    const char *dir;
    int threads;
    const mts_callbacks *callbacks;
} random_request;

/* The errors of weights_write; MTS_ERR_UNSUPPORTED: no language model. */
MTS_NODISCARD mts_status random_weights(mts_ctx *ctx, const random_request *request);

#endif
