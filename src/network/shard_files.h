/*
 * The files that a model's weights are cut into, as transformers names them.
 *
 *   model.safetensors                          if there is one
 *   model-00001-of-00003.safetensors ...       and model.safetensors.index.json
 *
 * Path: merge_weights, weights_write -> here.
 */
#ifndef MTS_NETWORK_SHARD_FILES_H
#define MTS_NETWORK_SHARD_FILES_H

#include "base/status.h"

/* *path: of file number `shard`, from 0, of so many in dir; mem_free.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status shard_file_path(mts_ctx *ctx, const char *dir, int64_t shard,
                                         int64_t shards, char **path);

/* Write dir/model.safetensors.index.json, which says what is in the files that are there; nothing
 * if there is one.  The errors of safetensors_open_file, MTS_ERR_IO, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status shard_files_write_index(mts_ctx *ctx, const char *dir, int64_t shards);

#endif
