/*
 * quantization_config of a config.json: how the weights of a folder are packed.
 *
 * Path: model_config_load -> quantization_config_check;
 *       mts_quantize -> write_config, mts_synth -> make_config -> quantization_config_make.
 * Read: weights in NF4 by bitsandbytes (io/nf4_tensors.h).  Which of them are, the file says.
 */
#ifndef MTS_IO_QUANTIZATION_CONFIG_H
#define MTS_IO_QUANTIZATION_CONFIG_H

#include "base/status.h"

struct json_t;

#define QUANTIZATION_CONFIG "quantization_config"

/* config: the object of config.json at `file`.  MTS_ERR_UNSUPPORTED: another method, or a type
 * other than NF4; MTS_ERR_BAD_FILE: a value of another type. */
MTS_NODISCARD mts_status quantization_config_check(mts_ctx *ctx, const char *file,
                                                   const struct json_t *config);

/* That of a configuration, or NULL: its weights are not packed. */
const struct json_t *quantization_config_of(const struct json_t *config);

/* *out: a new object as transformers writes it: NF4 with double quantisation, computed with in
 * bfloat16.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status quantization_config_make(mts_ctx *ctx, struct json_t **out);

#endif
