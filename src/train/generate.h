/*
 * Text generation: tokens behind a prompt, one by one.
 *
 * Path: mts_generator_run, generate_answers_score -> generate_tokens -> network_extend,
 *       token_sampler_next.
 */
#ifndef MTS_TRAIN_GENERATE_H
#define MTS_TRAIN_GENERATE_H

#include "network/network_cache.h"
#include "text/token_sampler.h"

/* Token ids that end a text; owned. */
typedef struct stop_tokens {
    int32_t *ids;
    int64_t count;
} stop_tokens;

/*
 * Those of eos_token_id, one or a list: of the folder's generation_config.json or, where that does
 * not say it, of config.json; none at all is allowed.  MTS_ERR_BAD_FILE: a type or range.
 * Freed by stop_tokens_deinit in every case.
 */
MTS_NODISCARD mts_status stop_tokens_read(mts_ctx *ctx, stop_tokens *stops, const char *dir,
                                          const model_config *cfg);
void stop_tokens_deinit(stop_tokens *stops);

/* A text: its prompt, and what was generated behind it. */
typedef struct generation {
    int32_t *ids;          /* [prompt + room for what is generated]; owned */
    int64_t prompt, count; /* tokens of the prompt, and of all */
    bool stopped;          /* it ends with a stop token, which is the last of ids */
} generation;

/* *g: the prompt ids[n], n > 0, with room for `more` tokens.  MTS_ERR_MEMORY.  Freed by
 * generation_deinit in every case. */
MTS_NODISCARD mts_status generation_init(mts_ctx *ctx, generation *g, const int32_t *ids, int64_t n,
                                         int64_t more);
void generation_deinit(generation *g);

typedef struct generate_job {
    network *net;
    token_sampler *sampler;
    const stop_tokens *stops;
    int64_t max_new_tokens; /* 1 or more */
    uint64_t text;          /* number of the text, for draws */
    int64_t kept; /* leading tokens of the prompt that the network's cache holds already */
    /* After each token; *go_on false: it was the last one.  NULL: nothing. */
    mts_status (*on_token)(void *user, const generation *g, bool *go_on);
    void *user;
} generate_job;

/*
 * Generate behind g's prompt until a stop token, max_new_tokens, the model's positions or the
 * caller end it.  g has room for max_new_tokens, or as many as the model has positions.
 * MTS_ERR_ARGUMENT: a prompt as long as the model's positions, or longer; MTS_ERR_NUMERIC,
 * MTS_ERR_MEMORY, MTS_ERR_UNSUPPORTED (no language model), and what on_token returns.
 */
MTS_NODISCARD mts_status generate_tokens(mts_ctx *ctx, const generate_job *job, generation *g);

#endif
