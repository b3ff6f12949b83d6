/*
 * io/safetensors, a sharded folder: the index and two shards.
 * Input: the index and the headers of a.safetensors and b.safetensors, each ended by NUL; then the
 * data of a, with its length in front, and the data of b.
 */
#include "fuzz/fuzz_target.h"

#include "fuzz/use_safetensors.h"

static bool run(const uint8_t *data, size_t size)
{
    fuzz_bytes rest = {(const char *)data, size};
    safetensors *file = NULL;
    const fuzz_bytes index = fuzz_take_part(&rest);
    const fuzz_bytes header_a = fuzz_take_part(&rest), header_b = fuzz_take_part(&rest);
    const fuzz_bytes data_a = fuzz_take_counted(&rest);
    fuzz_put("model.safetensors.index.json", index.data, index.size);
    put_safetensors("a.safetensors", header_a, data_a);
    put_safetensors("b.safetensors", header_b, rest);
    const mts_status st = safetensors_open_dir(&fuzz_ctx, fuzz_folder(), &file);
    if (st == MTS_OK) {
        use_safetensors(file, size);
    } else {
        static const mts_status allowed[] = {MTS_ERR_BAD_FILE, MTS_ERR_UNSUPPORTED,
                                             MTS_ERR_NOT_FOUND, MTS_ERR_IO, MTS_OK};
        FUZZ_REQUIRE(file == NULL);
        fuzz_require_error(st, allowed); /* a shard may be absent, or be no file: "." */
    }
    safetensors_close(file);
    return st == MTS_OK;
}

#define HEADERS                                                                                    \
    "{\"x\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}   \0"                         \
    "{\"y\":{\"dtype\":\"F16\",\"shape\":[],\"data_offsets\":[0,2]}}   \0"

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"metadata\":{\"total_size\":4},\"weight_map\":"
               "{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}\0" HEADERS "\x02\0ab\0<"),
    FUZZ_BYTES("{\"weight_map\":{\"x\":\"a.safetensors\"}}\0" HEADERS "\x02\0yz"),
};

static const char *const words[] = {
    "{",       "}",     ",",       "\"",   "weight_map",          "\"a.safetensors\"",
    "\"x\":",  "\"y\"", "\"\":",   "null", "\"c.safetensors\"",   "\"../x\"",
    "\"/\"",   "\".\"", "\\u0000", "\xff", "9223372036854775807", "\"b.safetensors\"",
    "\"F32\"", "[0]",   "\"U8\"",  "[]",   "data_offsets",        "metadata",
    NULL};

const fuzz_target fuzz_target_shards = {
    .name = "shards",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .words = words,
};
