/*
 * The choice of the next token from logits.
 *
 * In the order of transformers' generate:
 *   repetition_penalty   logits of tokens that are in the text already: z / penalty, or where they
 *                        are negative z * penalty                                   [Keskar2019]
 *   temperature          z / temperature; 0: the first of the most probable tokens, and nothing of
 *                        what follows
 *   top_k                only the k largest, and those equal to the smallest of these
 *   top_p                only the most probable that together reach p                [Holtzman2020]
 *   a draw               from the softmax of what is left
 *
 * Draws are functions of the seed, the text's number and the token's place in it (base/rng.h), and
 * the softmax is that of kernels/float: the same logits and seed give the same token on every
 * machine.
 */
#ifndef MTS_TEXT_TOKEN_SAMPLER_H
#define MTS_TEXT_TOKEN_SAMPLER_H

#include "base/status.h"
#include "kernels/float_kernels.h"

typedef struct sampling_rules {
    double temperature;        /* 0, or 0.01 and more */
    int64_t top_k;             /* 0: all */
    double top_p;              /* above 0, at most 1: all */
    double repetition_penalty; /* above 0; 1: none */
    uint64_t seed;
} sampling_rules;

/* Owns its arrays. */
typedef struct token_sampler {
    sampling_rules rules;
    const float_kernels *kernels;
    int64_t vocabulary;
    int32_t *order;     /* [vocabulary]: candidates */
    float *probability; /* [vocabulary] */
    bool *seen;         /* [vocabulary] */
} token_sampler;

/* MTS_ERR_MEMORY.  Freed by token_sampler_deinit in every case. */
MTS_NODISCARD mts_status token_sampler_init(mts_ctx *ctx, token_sampler *s,
                                            const sampling_rules *rules, int64_t vocabulary,
                                            const float_kernels *kernels);
void token_sampler_deinit(token_sampler *s);

/* The token behind before[n] of text number `text`; logits [vocabulary], all finite, are changed.
 */
int32_t token_sampler_next(token_sampler *s, float *logits, const int32_t *before, int64_t n,
                           uint64_t text);

#endif
