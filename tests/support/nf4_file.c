/* A safetensors file with a matrix in 4 bits.  See nf4_file.h. */
#include "support/nf4_file.h"

#include <stdio.h>
#include <string.h>

#include "tensor/dynamic_map.h"

/* Uniform in [-1, 1). */
static void fill(float *x, int64_t n, uint32_t seed)
{
    uint32_t state = seed;
    for (int64_t i = 0; i < n; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        x[i] = (float)((int)(state >> 8) - (1 << 23)) / (float)(1 << 23);
    }
}

static void write_state(nf4_file *f, int64_t rows, int64_t cols, bool nested)
{
    int n = snprintf(f->state, sizeof f->state,
                     "{\"quant_type\": \"nf4\", \"blocksize\": 64, \"dtype\": \"bfloat16\", "
                     "\"shape\": [%lld, %lld]",
                     (long long)rows, (long long)cols);
    if (nested)
        n += snprintf(f->state + n, sizeof f->state - (size_t)n,
                      ", \"nested_blocksize\": 256, \"nested_dtype\": \"float32\", "
                      "\"nested_offset\": %.17g",
                      (double)f->view.nested_offset);
    snprintf(f->state + n, sizeof f->state - (size_t)n, "}");
}

void nf4_file_make(nf4_file *f, int64_t rows, int64_t cols, bool nested, uint32_t seed)
{
    static dynamic_map map;
    static float x[NF4_FILE_ELEMENTS];
    const int64_t n = rows * cols;
    memset(f, 0, sizeof *f);
    dynamic_map_make(&map, true);
    fill(x, n, seed);
    nf4_quantize(x, n, f->codes, f->plain);
    f->view = (nf4_view){.rows = rows, .cols = cols, .codes = f->codes};
    if (nested) {
        nf4_quantize_scales(f->plain, nf4_blocks(n), map.value, f->absmax, f->nested,
                            &f->view.nested_offset);
        f->view.absmax = f->absmax;
        f->view.nested_absmax = f->nested;
        memcpy(f->view.nested_map, map.value, sizeof map.value);
    } else {
        f->view.plain_absmax = f->plain;
    }
    write_state(f, rows, cols, nested);
    const nf4_file_part parts[NF4_FILE_PARTS] = {
        {"", ST_DTYPE_U8, nf4_code_bytes(n), f->codes, false},
        {NF4_ABSMAX, nested ? ST_DTYPE_U8 : ST_DTYPE_F32, nf4_blocks(n),
         nested ? (const void *)f->absmax : (const void *)f->plain, false},
        {NF4_NESTED_ABSMAX, ST_DTYPE_F32, 1, f->nested, !nested},
        {NF4_NESTED_MAP, ST_DTYPE_F32, 256, f->view.nested_map, !nested},
        {NF4_QUANT_MAP, ST_DTYPE_F32, 16, nf4_value, false},
        {NF4_STATE, ST_DTYPE_U8, (int64_t)strlen(f->state), f->state, false},
    };
    memcpy(f->parts, parts, sizeof parts);
}

mts_status nf4_file_write(mts_ctx *ctx, const nf4_file *f, const char *path)
{
    mts_status st = MTS_OK;
    static const float bias[] = {1.0f, -2.0f};
    static const int64_t two[] = {2};
    safetensors_writer *w = NULL;
    MTS_TRY(safetensors_writer_open(ctx, path, &w));
    for (int i = 0; i < NF4_FILE_PARTS; i++) {
        const nf4_file_part *p = &f->parts[i];
        char name[128];
        snprintf(name, sizeof name, "w.weight%s", p->ending);
        if (!p->absent)
            MTS_TRY(safetensors_writer_add(w, name, p->dtype, 1, &p->count, p->data));
    }
    if (!f->without_bias)
        MTS_TRY(safetensors_writer_add(w, "w.bias", ST_DTYPE_F32, 1, two, bias));
    MTS_TRY(safetensors_writer_commit(w));
cleanup:
    safetensors_writer_close(w);
    return st;
}
