/*
 * ModernBERT: an encoder whose layers are those of the decoders (decoder.h), seen both ways.
 *                                                                          [Warner2024]
 *   h = dropout(N(word))
 *   layer:  x = N(h)     a = dropout(attention(rope(x Wqkv)) Wo)         h += a
 *           y = N(h)     f = dropout(gelu(y Wi[0..f)) * (y Wi[f..2f))) Wo     h += f
 *   out = N(h)
 *
 * N is a layer norm; the first layer's attention reads h itself.  Most layers see
 * local_attention / 2 tokens on either side and have rotary positions of their own; every
 * global_attn_every_n_layers-th sees all.  There may be biases, but usually there are none.
 *
 * Heads have N(act(dense(.))) below their outputs, over the first token or the mean of all
 * (classifier_pooling), or over each token.
 *
 * Path: model.c -> modernbert_class; decoder_config_read -> modernbert_read.
 */
#ifndef MTS_MODELS_MODERNBERT_H
#define MTS_MODELS_MODERNBERT_H

#include "models/decoder_config.h"

extern const model_class modernbert_class;

/* For its row in decoder_family.c. */
extern const decoder_names modernbert_names;
MTS_NODISCARD mts_status modernbert_read(mts_ctx *ctx, const char *file, const struct json_t *json,
                                         decoder_config *out);

#endif
