/*
 * io/nf4_tensors: a file with tensors in 4 bits is refused, or every number of every one is finite.
 * Input: a safetensors file without the length of its header: the header, NUL, the data.
 */
#include "fuzz/fuzz_target.h"

#include <math.h>
#include <string.h>

#include "fuzz/use_safetensors.h"
#include "support/nf4_file.h"

/* Read it; together the tensors have at most `size` bytes. */
static bool use_tensor(const nf4_tensor *t, size_t size)
{
    const int64_t n = t->shape[0] * t->shape[1];
    FUZZ_REQUIRE(t->shape[0] > 0 && t->shape[1] > 0 && n > 0 && n <= 2 * (int64_t)size);
    FUZZ_REQUIRE(nf4_tensor_bytes(t) <= 5 * size + 256);
    float *values = malloc((size_t)n * sizeof *values);
    FUZZ_REQUIRE(values != NULL);
    const mts_status st = nf4_tensor_read(&fuzz_ctx, t, values);
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    for (int64_t i = 0; st == MTS_OK && i < n; i++)
        FUZZ_REQUIRE(isfinite(values[i]));
    free(values);
    return st == MTS_OK;
}

static bool use_file(const safetensors *file, size_t size)
{
    nf4_tensors tensors;
    const mts_status st = nf4_tensors_open(&fuzz_ctx, file, &tensors);
    bool good = st == MTS_OK;
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    for (size_t i = 0; good && i < tensors.count; i++) {
        FUZZ_REQUIRE(nf4_tensors_find(&tensors, tensors.items[i].codes) == &tensors.items[i]);
        FUZZ_REQUIRE(nf4_tensors_is_part(&tensors, tensors.items[i].state));
        good = use_tensor(&tensors.items[i], size);
    }
    nf4_tensors_close(&tensors);
    return good;
}

static bool run(const uint8_t *data, size_t size)
{
    fuzz_bytes rest = {(const char *)data, size};
    safetensors *file = NULL;
    char path[4096];
    bool good = false;
    const fuzz_bytes header = fuzz_take_part(&rest);
    put_safetensors("target", header, rest);
    snprintf(path, sizeof path, "%s/target", fuzz_folder());
    const mts_status st = safetensors_open_file(&fuzz_ctx, path, &file);
    if (st == MTS_OK)
        good = use_file(file, size);
    else
        fuzz_require_refusal(st);
    safetensors_close(file);
    return good;
}

enum { SEEDS = 3, LENGTH = 8, SEED_BYTES = 1 << 14 };

/* The bytes of a file with NUL behind its header, without the length in front. */
static fuzz_bytes seed_of(const nf4_file *f, char bytes[SEED_BYTES])
{
    char path[4096];
    snprintf(path, sizeof path, "%s/seed", fuzz_folder());
    FUZZ_REQUIRE(nf4_file_write(&fuzz_ctx, f, path) == MTS_OK);
    FILE *file = fopen(path, "rb");
    FUZZ_REQUIRE(file != NULL);
    const size_t n = fread(bytes, 1, SEED_BYTES, file);
    FUZZ_REQUIRE(fclose(file) == 0 && n > LENGTH && n < SEED_BYTES);
    uint64_t header;
    memcpy(&header, bytes, sizeof header);
    memmove(bytes, bytes + LENGTH, (size_t)header);
    memmove(bytes + header + 1, bytes + LENGTH + header, n - LENGTH - (size_t)header);
    bytes[header] = '\0';
    fuzz_remove("seed");
    return (fuzz_bytes){bytes, n - LENGTH + 1};
}

/* Small matrices, the second without double quantisation. */
static size_t make_seeds(fuzz_bytes *out, size_t room)
{
    static char bytes[SEEDS][SEED_BYTES];
    static nf4_file f;
    for (size_t i = 0; i < SEEDS && i < room; i++) {
        nf4_file_make(&f, 1 + (int64_t)i, 33, i != 1, (uint32_t)i);
        out[i] = seed_of(&f, bytes[i]);
    }
    return SEEDS < room ? SEEDS : room;
}

static const char *const words[] = {"w.weight",
                                    ".absmax",
                                    ".nested_absmax",
                                    ".nested_quant_map",
                                    ".quant_map",
                                    ".quant_state.bitsandbytes__nf4",
                                    ".quant_state.bitsandbytes__fp4",
                                    "\"U8\"",
                                    "\"F32\"",
                                    "\"BF16\"",
                                    "\"nf4\"",
                                    "\"shape\": [1, 33]",
                                    "\"blocksize\": 64",
                                    "\"nested_offset\": 1e38",
                                    "null",
                                    "9223372036854775807",
                                    "\x7f\x80",
                                    "\xff\xff\x7f\x7f",
                                    "{",
                                    "}",
                                    NULL};

const fuzz_target fuzz_target_nf4 = {
    .name = "nf4",
    .run = run,
    .make_seeds = make_seeds,
    .whole = true,
    .words = words,
};
