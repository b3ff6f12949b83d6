/*
 * The models that mts_synth can make: config.json of each.
 *
 * To add one: a row in synth_shapes.c, its word in the choices of `like` in option_table.c.
 */
#ifndef MTS_API_SYNTH_SHAPES_H
#define MTS_API_SYNTH_SHAPES_H

#include "base/status.h"

struct json_t;

/* *config: a new object, config.json of the model `name`, with `layers` layers unless that is 0;
 * its special token is that of the tokenizer of bytes.  MTS_ERR_ARGUMENT: no such model;
 * MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status synth_shape_config(mts_ctx *ctx, const char *name, int64_t layers,
                                            struct json_t **config);

#endif
