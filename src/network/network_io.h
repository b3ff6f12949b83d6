/*
 * Weights of a network between a transformers folder, or a GGUF file, and its parameters.
 *
 * Reading a folder accepts names with and without the architecture's prefix ("bert."), and gamma /
 * beta for
 * a layer norm's weight and bias (early files); F32, F16 and BF16.  Writing uses transformers'
 * present names, F32.  A GGUF file is only read (io/gguf_model.h).
 */
#ifndef MTS_NETWORK_NETWORK_IO_H
#define MTS_NETWORK_NETWORK_IO_H

#include "network/network.h"

/* What to do about parameters of the head that the file does not have. */
typedef enum head_source {
    HEAD_NEEDED,   /* an error: evaluation, prediction */
    HEAD_IF_THERE, /* what is missing, or has another shape, is initialised */
    HEAD_NEW,      /* likewise, and the outputs in any case: they are for other labels */
} head_source;

/*
 * Which parameters got initial values: weights normal with the configuration's initializer_range (a
 * sum of 12 uniforms, keyed by the seed), biases zero.  And which tensors of the file the network
 * has no place for; not counted: position_ids and rope_freqs.weight, which are no weights.
 */
typedef struct network_load_report {
    const char
        *initialized_head; /* the first parameter of PARAM_HEAD, or NULL; owned by the list */
    const char *initialized_output; /* likewise of PARAM_OUTPUT */
    bool output_left; /* the file has outputs that would fit, and HEAD_NEW was asked for */
    int64_t unused;
    char first_unused[PARAM_NAME_BYTES]; /* name of the first one in byte order, cut to fit */
} network_load_report;

/*
 * Whether all parameters that such a network needs are in dir, with their shapes, before memory is
 * taken for them: errors and source as of network_load.
 */
MTS_NODISCARD mts_status network_check_weights(mts_ctx *ctx, const model_config *cfg,
                                               const head_class *kind, const char *dir,
                                               head_source source);

/*
 * Fill all parameters from dir.
 * MTS_ERR_NOT_FOUND, _IO, _MEMORY; _BAD_FILE: a tensor is missing or has another shape.
 */
MTS_NODISCARD mts_status network_load(mts_ctx *ctx, network *net, const char *dir,
                                      head_source source, network_load_report *report);

/* Whether it has adapters: then only these, and a head, are trained and written. */
bool network_has_adapter(const network *net);

/* Fill the parameters of the adapter, and of the head beside it, from the folder of one (PEFT's
 * adapter_model.safetensors).  source: HEAD_NEW leaves the outputs as they are, HEAD_IF_THERE those
 * of another shape; *left (NULL: not wanted): some were left.  MTS_ERR_NOT_FOUND, _IO, _MEMORY;
 * _BAD_FILE: of another adapter. */
MTS_NODISCARD mts_status network_load_adapter(mts_ctx *ctx, network *net, const char *dir,
                                              head_source source, bool *left);

/*
 * Write dir/model.safetensors and dir/config.json, each atomically; the lists of outliers go into
 * the latter.  With an adapter adapter_model.safetensors and NETWORK_ADAPTER_CONFIG: transformers
 * takes a folder with a config.json for a whole model.  dir exists.
 */
#define NETWORK_ADAPTER_CONFIG "mantissa_config.json"
MTS_NODISCARD mts_status network_save(mts_ctx *ctx, network *net, const char *dir);

/* The name of the latter file. */
const char *network_config_name(const network *net);

#endif
