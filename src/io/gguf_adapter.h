/*
 * A low-rank adapter as a GGUF file, which llama.cpp applies to a GGUF file of the base model.
 *
 *   keys      general.architecture (the base's), general.type "adapter", adapter.type "lora",
 *             adapter.lora.alpha
 *   tensors   NAME.lora_a [rank][in], NAME.lora_b [out][rank], float32, with the NAME of the weight
 *             in the base's file, e.g. blk.0.attn_q.weight
 *
 * llama.cpp scales by adapter.lora.alpha / rank, so alpha sqrt(rank) stands there for rsLoRA.
 * The rows of lora_b are in the order of the base's rows in such a file: those of q and k reordered
 * for architecture llama (gguf_model.h); of Falcon's query_key_value all of q, then of k, then of
 * v, where transformers has a group of q, one k and one v for each head of keys and values.
 * Source: convert_lora_to_gguf.py, conversion/ and src/llama-adapter.cpp of llama.cpp.
 *
 * Path: mts_export -> here -> gguf_writer.
 */
#ifndef MTS_IO_GGUF_ADAPTER_H
#define MTS_IO_GGUF_ADAPTER_H

#include "io/peft_adapter.h"

struct json_t;

/*
 * Write the ranks in use to path, complete or not at all.  base: config.json of the model that the
 * adapter belongs to; base_name: of that file, for texts.
 * MTS_ERR_UNSUPPORTED: another architecture, a layer that has no name in GGUF files, parameters of
 * the model itself, an alpha of 0; MTS_ERR_BAD_FILE: rows that are no heads of that base;
 * MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status gguf_adapter_save(mts_ctx *ctx, const peft_adapter *adapter,
                                           const struct json_t *base, const char *base_name,
                                           const char *path);

#endif
