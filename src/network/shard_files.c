/* The files that weights are cut into.  See shard_files.h. */
#include "network/shard_files.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/file.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "io/safetensors.h"

enum { NAME_BYTES = 64 };

static void name_shard(int64_t shard, int64_t shards, char name[NAME_BYTES])
{
    if (shards == 1)
        snprintf(name, NAME_BYTES, "model.safetensors");
    else
        snprintf(name, NAME_BYTES, "model-%05" PRId64 "-of-%05" PRId64 ".safetensors", shard + 1,
                 shards);
}

mts_status shard_file_path(mts_ctx *ctx, const char *dir, int64_t shard, int64_t shards,
                           char **path)
{
    char name[NAME_BYTES];
    name_shard(shard, shards, name);
    return path_join(ctx, path, dir, name);
}

/* Note the tensors of a file in map; *bytes: grows by theirs. */
static mts_status map_shard(mts_ctx *ctx, const char *dir, int64_t shard, int64_t shards,
                            json_t *map, uint64_t *bytes)
{
    mts_status st = MTS_OK;
    char *path = NULL, name[NAME_BYTES];
    safetensors *file = NULL;
    name_shard(shard, shards, name);
    MTS_TRY(shard_file_path(ctx, dir, shard, shards, &path));
    MTS_TRY(safetensors_open_file(ctx, path, &file));
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const st_tensor *t = safetensors_at(file, i);
        MTS_TRY(json_util_set(ctx, map, t->name, json_string(name)));
        *bytes += t->bytes;
    }
cleanup:
    safetensors_close(file);
    mem_free(path);
    return st;
}

mts_status shard_files_write_index(mts_ctx *ctx, const char *dir, int64_t shards)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    uint64_t bytes = 0;
    json_t *map = NULL, *root = NULL;
    if (shards == 1)
        return MTS_OK;
    map = json_object();
    root = json_object();
    MTS_CHECK(map != NULL && root != NULL, MTS_ERR_MEMORY, "out of memory: index of shards");
    for (int64_t i = 0; i < shards; i++)
        MTS_TRY(map_shard(ctx, dir, i, shards, map, &bytes));
    MTS_TRY(
        json_util_set(ctx, root, "metadata", json_pack("{s:I}", "total_size", (json_int_t)bytes)));
    MTS_TRY(json_util_set(ctx, root, "weight_map", json_incref(map)));
    MTS_TRY(path_join(ctx, &path, dir, "model.safetensors.index.json"));
    MTS_TRY(json_util_save(ctx, root, path));
cleanup:
    json_decref(map);
    json_decref(root);
    mem_free(path);
    return st;
}
