/*
 * A language model over one text that grows: a forward of the new tokens only, with the keys and
 * values of those before them (layers/attention_cache.h).
 *
 * Path: generate_tokens -> network_extend -> model_class.forward (model_input.cache),
 *       head_class.logits.
 * Memory: network_cache_reserve measures such a forward, as network_create does the others, and
 * makes room for it.
 */
#ifndef MTS_NETWORK_NETWORK_CACHE_H
#define MTS_NETWORK_NETWORK_CACHE_H

#include "network/network.h"

/* Tokens of one forward: longer texts go through in pieces of so many. */
enum { NETWORK_CACHE_PIECE = 256 };

/* Whether such a network gives logits and can keep what is before. */
bool network_generates(const network *net);

/* Room for a text of so many tokens; what is kept stays.  MTS_ERR_MEMORY; MTS_ERR_UNSUPPORTED: not
 * a network that generates. */
MTS_NODISCARD mts_status network_cache_reserve(mts_ctx *ctx, network *net, int64_t tokens);

/* Forget all but the first so many tokens of the text. */
void network_cache_cut(network *net, int64_t tokens);

/*
 * ids[n] (n > 0, each in the vocabulary) behind the text, for which there is room; logits
 * [vocab_size] of what comes behind the last, or NULL.  MTS_ERR_NUMERIC, MTS_ERR_MEMORY
 * as network_check.
 */
MTS_NODISCARD mts_status network_extend(mts_ctx *ctx, network *net, const int32_t *ids, int64_t n,
                                        float *logits);

/* For network.c: dry runs a piece of the longest text; returns the bytes that a batch keeps. */
size_t network_cache_measure(network *net, exec *dry);

#endif
