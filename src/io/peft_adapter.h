/*
 * A low-rank adapter in PEFT's folder, layer by layer, without the model it belongs to: what goes
 * out of it as another adapter or into a model's weights.
 *
 *   W + s B A     A [ranks][in], B [out][ranks]: the first ranks of the file's; s: peft_scale of
 *                 `config`, whose rank is that number (of DyLoRA alpha / ranks, [Valipour2023])
 *
 * Path: mts_export -> peft_adapter_save, gguf_adapter_save; mts_merge -> network/merge_weights.c.
 */
#ifndef MTS_IO_PEFT_ADAPTER_H
#define MTS_IO_PEFT_ADAPTER_H

#include "io/peft.h"
#include "io/safetensors.h"

typedef struct peft_module {
    char *name; /* of the layer in transformers: "model.layers.0.self_attn.q_proj"; owned */
    int64_t in, out;
    const st_tensor *a, *b;
} peft_module;

typedef struct peft_adapter {
    peft_config config;   /* rank: those in use */
    int64_t stored_ranks; /* in the file */
    char *path;           /* of the weights */
    safetensors *file;
    peft_module *modules; /* in byte order of names */
    size_t count;
    const st_tensor **saved; /* parameters of the model itself that were trained (modules_to_save):
                                PEFT_PREFIX and the name there */
    size_t saved_count;
} peft_adapter;

/*
 * Open the adapter in dir; rank: how many of its ranks are in use, 0: all.  In every case give *out
 * to peft_adapter_close.  The errors of peft_config_load and safetensors_open_file;
 * MTS_ERR_ARGUMENT: it does not have so many ranks; MTS_ERR_BAD_FILE: tensors that are no pairs of
 * A and B of that rank.
 */
MTS_NODISCARD mts_status peft_adapter_open(mts_ctx *ctx, const char *dir, int64_t rank,
                                           peft_adapter *out);
void peft_adapter_close(peft_adapter *a);

/* *a [ranks][in], *b [out][ranks] of a layer; free with mem_free.  The errors of
 * safetensors_read_f32. */
MTS_NODISCARD mts_status peft_adapter_read(mts_ctx *ctx, const peft_adapter *adapter,
                                           const peft_module *module, float **a, float **b);

/* Write the ranks in use as an adapter of PEFT into dir, which exists: the configuration of `from`,
 * the folder it was opened from, with that rank, and the weights in float32. */
MTS_NODISCARD mts_status peft_adapter_save(mts_ctx *ctx, const peft_adapter *adapter,
                                           const char *from, const char *dir);

#endif
