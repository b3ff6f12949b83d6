/*
 * Keys and values of the tokens of one text so far, so that a further token costs one row through
 * the layers and one row of attention, not the whole text anew.
 *
 *   attention_extend   attention of tokens [used, used + n) of the text: their keys and values are
 *                      put behind those that are there, and each sees itself and all before it
 *
 * They are kept as floats, after rotation, in every number format.  In dynamic fixed point those of
 * a head are mapped in each call, with one exponent for all that are there: the formulas are those
 * of attention.h, on the first `used + n` tokens.  So a whole text in one call gives the bits of
 * attention_forward; token by token the exponents of earlier rows are those of what was there then.
 * In fp32 the results of both ways differ by the order of sums only.
 *
 * Path: decoder_forward (model_input.cache) -> attention_extend -> attention_head_forward.
 */
#ifndef MTS_LAYERS_ATTENTION_CACHE_H
#define MTS_LAYERS_ATTENTION_CACHE_H

#include "layers/attention.h"

typedef struct attention_cache {
    int64_t layers, kv_heads, head_dim;
    int64_t room, used; /* tokens */
    float *numbers;     /* [layers][keys, values][kv_heads][room][head_dim]; owned; NULL: dry */
} attention_cache;

/* Make room for so many tokens, not fewer than there is; what is kept stays.  The shape is set.
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status attention_cache_grow(mts_ctx *ctx, attention_cache *c, int64_t room);
void attention_cache_deinit(attention_cache *c);

/* The keys (value false) or values of a head: [room][head_dim]; in a dry run NULL. */
float *attention_cache_rows(const attention_cache *c, int64_t layer, bool value, int64_t kv_head);

/* out[tokens][out width] from qkv[tokens][in width] of the tokens behind cache->used, for which
 * there is room; seq: one sequence, of these.  cache->used stays: every layer is given the same. */
void attention_extend(exec *ex, float *out, const float *qkv, const sequences *seq,
                      const attention *attn, attention_state *state, attention_cache *cache,
                      int64_t layer);

#endif
