/*
 * Which layers of a decoder have a window of attention, by config.json: a token sees the last
 * sliding_window tokens, itself among them.  One function for each way in which families say it.
 *
 * Path: decoder_family.read -> here.
 */
#ifndef MTS_MODELS_DECODER_WINDOW_H
#define MTS_MODELS_DECODER_WINDOW_H

#include "models/decoder_config.h"

/* windowed[num_hidden_layers]: as layer_types says, if it is there; *given: it is. */
MTS_NODISCARD mts_status decoder_window_types(mts_ctx *ctx, const char *file,
                                              const struct json_t *json, bool *windowed,
                                              bool *given);
/* None: sliding_window and layer_types may not ask for one. */
MTS_NODISCARD mts_status decoder_window_none(mts_ctx *ctx, const char *file,
                                             const struct json_t *json);
/* Mistral: every layer, unless sliding_window is null. */
MTS_NODISCARD mts_status decoder_window_everywhere(mts_ctx *ctx, const char *file,
                                                   const struct json_t *json, decoder_config *out);
/* Qwen: with use_sliding_window, those of layer_types, else those from max_window_layers on. */
MTS_NODISCARD mts_status decoder_window_of_last_layers(mts_ctx *ctx, const char *file,
                                                       const struct json_t *json,
                                                       decoder_config *out);
/* Gemma 3: those of layer_types, else all but every sliding_window_pattern-th. */
MTS_NODISCARD mts_status decoder_window_by_pattern(mts_ctx *ctx, const char *file,
                                                   const struct json_t *json, decoder_config *out);

#endif
