/* Safetensors files for targets.  See use_safetensors.h. */
#include "fuzz/use_safetensors.h"

#include <string.h>

void put_safetensors(const char *name, fuzz_bytes header, fuzz_bytes data)
{
    const uint64_t length = header.size;
    const size_t size = sizeof length + header.size + data.size;
    char *bytes = malloc(size);
    FUZZ_REQUIRE(bytes != NULL);
    memcpy(bytes, &length, sizeof length);
    if (header.size > 0)
        memcpy(bytes + sizeof length, header.data, header.size);
    if (data.size > 0)
        memcpy(bytes + sizeof length + header.size, data.data, data.size);
    fuzz_put(name, bytes, size);
    free(bytes);
}

static void use_tensor(const safetensors *file, const st_tensor *t, size_t size)
{
    FUZZ_REQUIRE(safetensors_find(file, t->name) == t);
    FUZZ_REQUIRE(t->ndim >= 0 && t->ndim <= ST_DIMS_MAX && t->count >= 0);
    FUZZ_REQUIRE(t->bytes == (size_t)t->count * safetensors_dtype_size(t->dtype));
    FUZZ_REQUIRE(t->bytes <= size);
    void *raw = malloc(t->bytes > 0 ? t->bytes : 1);
    float *values = malloc(t->count > 0 ? (size_t)t->count * sizeof(float) : 1);
    FUZZ_REQUIRE(raw != NULL && values != NULL);
    FUZZ_REQUIRE(safetensors_read_raw(&fuzz_ctx, t, t->dtype, raw, t->bytes) == MTS_OK);
    const mts_status st = safetensors_read_f32(&fuzz_ctx, t, values, t->count);
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    free(values);
    free(raw);
}

void use_safetensors(const safetensors *file, size_t size)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        FUZZ_REQUIRE(i == 0 ||
                     strcmp(safetensors_at(file, i - 1)->name, safetensors_at(file, i)->name) < 0);
        use_tensor(file, safetensors_at(file, i), size);
    }
}
