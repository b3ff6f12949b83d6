/*
 * Counter-based random numbers: a draw is a pure function of (seed, step, tensor, use, element), so
 * it depends neither on threads, nor on the instruction set, nor on what was drawn before.
 *
 *   key     = splitmix64 chain over seed, step, tensor, use                    [Steele2014]
 *   draw(i) = mix(i ^ key.a) with key.b added between the two multiplications: a
 *             two-round hash of xor-shifts and products (Wellons 2018), a bijection of the element
 *             index for each key.
 *
 * 32 bits per draw.  FORMATS.md (3).
 */
#ifndef MTS_BASE_RNG_H
#define MTS_BASE_RNG_H

#include <stdint.h>

#include "base/compiler.h"

typedef struct rng_key {
    uint32_t a, b;
} rng_key;

/* What a draw is used for; keeps the streams of one tensor independent. */
typedef enum rng_use {
    RNG_ROUND_WEIGHT = 1,
    RNG_ROUND_ACTIVATION,
    RNG_ROUND_GRADIENT_DX,
    RNG_ROUND_GRADIENT_DW,
    RNG_DROPOUT,
    RNG_SHUFFLE,
    RNG_INIT,
    RNG_ROUND_STATE,
    RNG_ROUND_NORM,
    RNG_ROUND_OUTLIER,
    RNG_ROUND_OUTLIER_WEIGHT,
    RNG_ROUND_OUTLIER_GRADIENT,
    RNG_RANK,
    RNG_TOKEN,
} rng_use;

MTS_INLINE uint64_t rng_splitmix64(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Key of one tensor at one step for one use. */
MTS_INLINE rng_key rng_make_key(uint64_t seed, uint64_t step, uint64_t tensor, rng_use use)
{
    uint64_t h = rng_splitmix64(seed);
    h = rng_splitmix64(h ^ step);
    h = rng_splitmix64(h ^ (tensor * 16 + (uint64_t)use));
    return (rng_key){(uint32_t)h, (uint32_t)(h >> 32)};
}

/* 32 uniform bits for element i. */
MTS_INLINE uint32_t rng_draw(rng_key key, uint32_t i)
{
    uint32_t x = i ^ key.a;
    x = (x ^ (x >> 16)) * UINT32_C(0x21f0aaad);
    x += key.b;
    x = (x ^ (x >> 15)) * UINT32_C(0x735a2d97);
    return x ^ (x >> 15);
}

/* Uniform in [0, 1): a multiple of 2^-24, exact in float. */
MTS_INLINE float rng_uniform(rng_key key, uint32_t i)
{
    return (float)(int32_t)(rng_draw(key, i) >> 8) * 0x1p-24f;
}

#endif
