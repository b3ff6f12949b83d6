/*
 * How well the number format of a network stands for its floats, layer by layer.
 *                                                tensor/format_watch.h, FORMATS.md (14)
 *
 * Path: train_step -> network_watch_formats, network_learn; log_step -> network_describe_formats.
 */
#ifndef MTS_NETWORK_NETWORK_FORMATS_H
#define MTS_NETWORK_NETWORK_FORMATS_H

#include <jansson.h>

#include "network/network.h"

/* Begin to watch the batches of network_learn, with nothing noted, or stop; what was noted stays.
 * Without options.watch_formats, nothing. */
void network_watch_formats(network *net, bool on);

/*
 * *out: what was noted, drop with json_decref; MTS_ERR_MEMORY.
 *
 *     {"encoder.layer.0.output.dense": {"input": {...}, "weight": {...},
 *                                       "gradient_input": {...}, "gradient_weight": {...}}, ...}
 *
 * with the numbers of format_quality in each (null: no value).  What was not mapped (the gradient
 * for a frozen weight) is left out.  Where outliers are told apart, "input" has their number as
 * "outliers", and "input_outliers" is their part of the input, if there are any.
 */
MTS_NODISCARD mts_status network_describe_formats(mts_ctx *ctx, const network *net, json_t **out);

#endif
