/* Frozen weights in NF4.  See stored_nf4.h. */
#include "tensor/stored_nf4.h"

#include <string.h>

#include "base/memory.h"
#include "tensor/dynamic_map.h"

enum { BLOCKS = 64, PIECE_BLOCKS = 1024 }; /* looked up, and quantised, at a time */

static void read_nf4(const stored_matrix *m, int64_t row, int64_t col, int64_t n, float *out)
{
    const stored_nf4_parts *own = m->own;
    nf4_dequantize(&own->view, row * m->cols + col, n, out);
}

static void gather_nf4(const stored_matrix *m, int64_t row, const int32_t *col, int64_t n,
                       float *out)
{
    const stored_nf4_parts *own = m->own;
    nf4_gather(&own->view, row * m->cols, col, n, out);
}

static bool map_s8(const exec *ex, const stored_matrix *m, int64_t row, int64_t col, int64_t n,
                   const quantize_args *args, int8_t *q)
{
    const nf4_view *v = &((const stored_nf4_parts *)m->own)->view;
    int64_t block = (row * m->cols + col) / NF4_BLOCK, left = n / NF4_BLOCK;
    if (m->cols % NF4_BLOCK != 0 || n % NF4_BLOCK != 0)
        return false;
    while (left > 0) {
        const int64_t count = left < BLOCKS ? left : BLOCKS;
        float number[BLOCKS * 16];
        int8_t mantissa[BLOCKS * 16];
        for (int64_t b = 0; b < count; b++) {
            const float scale = nf4_block_scale(v, block + b);
            for (int c = 0; c < 16; c++)
                number[b * 16 + c] = nf4_value[c] * scale;
        }
        ex->fk->quantize_s8(mantissa, number, count * 16, args);
        ex->family->look_up_s8(q, v->codes + block * (NF4_BLOCK / 2), mantissa, count);
        q += count * NF4_BLOCK;
        block += count;
        left -= count;
    }
    return true;
}

static size_t want_nf4(const stored_matrix *m)
{
    const stored_nf4_parts *own = m->own;
    file_map_want(&own->codes);
    file_map_want(&own->scales);
    return own->codes.length + own->scales.length;
}

static void forget_nf4(const stored_matrix *m)
{
    const stored_nf4_parts *own = m->own;
    file_map_forget(&own->codes);
    file_map_forget(&own->scales);
}

static void close_nf4(stored_matrix *m)
{
    stored_nf4_parts *own = m->own;
    if (own == NULL)
        return;
    file_map_close(&own->codes);
    file_map_close(&own->scales);
    mem_free(own->memory);
    mem_free(own);
    m->own = NULL;
}

static const stored_class stored_nf4 = {.read = read_nf4,
                                        .map_s8 = map_s8,
                                        .gather = gather_nf4,
                                        .want = want_nf4,
                                        .forget = forget_nf4,
                                        .close = close_nf4};

mts_status stored_nf4_open(mts_ctx *ctx, const stored_nf4_parts *parts, stored_matrix *out)
{
    mts_status st = MTS_OK;
    stored_nf4_parts *own = NULL;
    MTS_TRY(mem_calloc(ctx, &own, 1, sizeof *own, "4-bit weight"));
    *own = *parts;
    *out = (stored_matrix){
        .class = &stored_nf4, .rows = parts->view.rows, .cols = parts->view.cols, .own = own};
cleanup:
    return st;
}

/* ---------------------------------------------------------------------------- quantising ---- */

typedef struct make_job {
    const stored_matrix *from;
    uint8_t *codes;
    float *absmax;
    int64_t elements;
} make_job;

/* x[n] = elements from `first` on, which may begin and end within rows. */
static void read_elements(const stored_matrix *m, int64_t first, int64_t n, float *x)
{
    float room[STORED_COLS];
    while (n > 0) {
        const int64_t row = first / m->cols, at = first % m->cols;
        const int64_t col = at / STORED_COLS * STORED_COLS;
        const int64_t cols = m->cols - col < STORED_COLS ? m->cols - col : STORED_COLS;
        const int64_t skip = at - col, part = cols - skip < n ? cols - skip : n;
        stored_matrix_read(m, row, col, cols, room);
        for (int64_t i = 0; i < part; i++)
            x[i] = room[skip + i];
        first += part;
        x += part;
        n -= part;
    }
}

static void quantize_blocks(void *arg, int64_t begin, int64_t end)
{
    const make_job *job = arg;
    float x[16 * NF4_BLOCK];
    for (int64_t b = begin; b < end; b += 16) {
        const int64_t first = b * NF4_BLOCK, blocks = end - b < 16 ? end - b : 16;
        const int64_t left = job->elements - first;
        const int64_t n = left < blocks * NF4_BLOCK ? left : blocks * NF4_BLOCK;
        read_elements(job->from, first, n, x);
        nf4_quantize(x, n, job->codes + first / 2, job->absmax + b);
    }
}

size_t stored_nf4_bytes(int64_t rows, int64_t cols)
{
    const int64_t n = rows * cols;
    return (size_t)(nf4_code_bytes(n) + nf4_blocks(n)) +
           (size_t)nf4_nested_blocks(n) * sizeof(float);
}

mts_status stored_nf4_make(mts_ctx *ctx, const exec *ex, const stored_matrix *from,
                           stored_matrix *out)
{
    mts_status st = MTS_OK;
    const int64_t n = from->rows * from->cols, blocks = nf4_blocks(n);
    stored_nf4_parts parts = {.view = {.rows = from->rows, .cols = from->cols}};
    make_job job = {.from = from, .elements = n};
    dynamic_map map;
    float *nested;
    uint8_t *absmax;
    *out = (stored_matrix){0};
    MTS_TRY(mem_calloc(ctx, &parts.memory, stored_nf4_bytes(from->rows, from->cols), 1,
                       "4-bit weight"));
    MTS_TRY(mem_calloc(ctx, &job.absmax, (size_t)blocks, sizeof(float), "scales of blocks"));
    nested = parts.memory; /* the floats come first */
    absmax = (uint8_t *)(nested + nf4_nested_blocks(n));
    job.codes = absmax + blocks;
    exec_parallel(ex, blocks, PIECE_BLOCKS, quantize_blocks, &job);
    dynamic_map_make(&map, true);
    memcpy(parts.view.nested_map, map.value, sizeof parts.view.nested_map);
    nf4_quantize_scales(job.absmax, blocks, parts.view.nested_map, absmax, nested,
                        &parts.view.nested_offset);
    parts.view.codes = job.codes;
    parts.view.absmax = absmax;
    parts.view.nested_absmax = nested;
    MTS_TRY(stored_nf4_open(ctx, &parts, out));
    parts.memory = NULL;
cleanup:
    mem_free(parts.memory);
    mem_free(job.absmax);
    return st;
}
