/*
 * NF4: codes and scales against those of bitsandbytes, blocks that cross rows, ends, ties, what is
 * read back from any place on.  `test_nf4 --quantize N` takes N floats from the standard input and
 * writes what becomes of them.
 */
#include "support/test_check.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/dynamic_map.h"
#include "tensor/nf4.h"

static mts_ctx ctx;

/* A quantised matrix, and its view. */
typedef struct packed {
    nf4_view view;
    uint8_t *codes, *absmax;
    float *plain, *nested;
} packed;

static void packed_free(packed *p)
{
    mem_free(p->codes);
    mem_free(p->absmax);
    mem_free(p->plain);
    mem_free(p->nested);
}

static mts_status packed_make(packed *p, const float *x, int64_t rows, int64_t cols)
{
    mts_status st = MTS_OK;
    const int64_t n = rows * cols, blocks = nf4_blocks(n);
    static dynamic_map map;
    *p = (packed){0};
    MTS_TRY(mem_calloc(&ctx, &p->codes, (size_t)nf4_code_bytes(n), 1, "codes"));
    MTS_TRY(mem_calloc(&ctx, &p->absmax, (size_t)blocks, 1, "codes"));
    MTS_TRY(mem_calloc(&ctx, &p->plain, (size_t)blocks, sizeof(float), "scales"));
    MTS_TRY(mem_calloc(&ctx, &p->nested, (size_t)nf4_nested_blocks(n), sizeof(float), "scales"));
    dynamic_map_make(&map, true);
    p->view = (nf4_view){.rows = rows,
                         .cols = cols,
                         .codes = p->codes,
                         .absmax = p->absmax,
                         .nested_absmax = p->nested};
    memcpy(p->view.nested_map, map.value, sizeof map.value);
    nf4_quantize(x, n, p->codes, p->plain);
    nf4_quantize_scales(p->plain, blocks, map.value, p->absmax, p->nested, &p->view.nested_offset);
cleanup:
    return st;
}

/* Numbers of all magnitudes between 2^-12 and 1: of element i, the i-th of a generator. */
static void fill(float *x, int64_t n, uint32_t seed)
{
    uint32_t state = seed;
    for (int64_t i = 0; i < n; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        const int mantissa = (int)(state >> 8 & 0xffff) - 0x8000, shift = (int)(state >> 24) % 13;
        x[i] = ldexpf((float)mantissa, -15 - shift);
    }
}

/* FNV-1a [Fowler1991] */
static uint32_t checksum(const void *data, size_t bytes)
{
    uint32_t hash = UINT32_C(2166136261);
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * UINT32_C(16777619);
    return hash;
}

/* ----------------------------------------------------------------------------------- tests ---- */

/* What bitsandbytes 0.50.0 gives on a CPU. */
static const struct {
    int64_t rows, cols;
    uint32_t codes, plain, absmax, nested, offset, values;
} golden[] = {
    {1, 1, 0x720b75b6, 0x3cb576e3, 0x050c5d1f, 0x4b95f515, 0x3cb576e3, 0x3cb576e3},
    {1, 2, 0xfa0c4bce, 0x95ff88ed, 0x050c5d1f, 0x4b95f515, 0x95ff88ed, 0x864a6e1d},
    {3, 65, 0xa35c6407, 0xed8499b6, 0xa64a7376, 0xff53291a, 0xea356b3f, 0xabf05317},
    {7, 45, 0x0f0e023a, 0xe6e434d8, 0xf75e5321, 0x441359b5, 0xfb710f9c, 0x67ff340a},
    {20, 64, 0x96719fc7, 0xb2eb1f80, 0xacb83832, 0x242765be, 0x2c8cf8dd, 0xde85113e},
    {33, 1000, 0x6168c0d5, 0xddcb0587, 0x3bf753c2, 0xad81b93c, 0xbf8ceede, 0x30c3866b},
    {130, 2048, 0x1b954669, 0xa218d625, 0xec6c1351, 0x9cf1524c, 0xc40a090c, 0x10795a83},
};

static void test_is_that_of_bitsandbytes(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof golden / sizeof golden[0]; c++) {
        const int64_t n = golden[c].rows * golden[c].cols, blocks = nf4_blocks(n);
        float *x = NULL;
        packed p;
        assert_ok(mem_calloc(&ctx, &x, (size_t)n, sizeof *x, "numbers"));
        fill(x, n, (uint32_t)c + 1);
        assert_ok(packed_make(&p, x, golden[c].rows, golden[c].cols));
        assert_int_equal(checksum(p.codes, (size_t)nf4_code_bytes(n)), golden[c].codes);
        assert_int_equal(checksum(p.plain, (size_t)blocks * 4), golden[c].plain);
        assert_int_equal(checksum(p.absmax, (size_t)blocks), golden[c].absmax);
        assert_int_equal(checksum(p.nested, (size_t)nf4_nested_blocks(n) * 4), golden[c].nested);
        assert_int_equal(checksum(&p.view.nested_offset, 4), golden[c].offset);
        nf4_dequantize(&p.view, 0, n, x);
        assert_int_equal(checksum(x, (size_t)n * 4), golden[c].values);
        packed_free(&p);
        mem_free(x);
    }
}

/* Without double quantisation every number becomes the nearest one. */
static void test_takes_the_nearest(void **state)
{
    (void)state;
    enum { N = 64 };
    float x[N], y[N], scale;
    uint8_t codes[N / 2];
    for (int i = 0; i < N; i++)
        x[i] = 3.0f * (float)(i - 31) / 32.0f;
    nf4_quantize(x, N, codes, &scale);
    assert_true(scale == 3.0f);
    const nf4_view view = {.rows = 1, .cols = N, .codes = codes, .plain_absmax = &scale};
    nf4_dequantize(&view, 0, N, y);
    for (int i = 0; i < N; i++) {
        float best = FLT_MAX;
        for (int c = 0; c < 16; c++)
            best = fminf(best, fabsf(nf4_value[c] * scale - x[i]));
        assert_true(fabsf(y[i] - x[i]) == best);
    }
}

/* The upper half of a byte is the even element; of two equally near codes the lower one wins. */
static void test_order_and_ties(void **state)
{
    (void)state;
    const float middle = (nf4_value[8] + nf4_value[7]) / 2.0f;
    float x[64] = {1.0f, -1.0f, middle, nextafterf(middle, 1.0f)}, scale;
    uint8_t codes[32];
    nf4_quantize(x, 64, codes, &scale);
    assert_int_equal(codes[0], 0xf0);
    assert_int_equal(codes[1], 0x78);
    assert_int_equal(codes[31], 0x77);
}

/* An odd number of elements is filled up with a zero; a last block of zeros has the least scale. */
static void test_ends(void **state)
{
    (void)state;
    float x[65] = {-2.0f}, scale[2];
    uint8_t codes[33];
    nf4_quantize(x, 65, codes, scale);
    assert_int_equal(codes[0], 0x07);
    assert_int_equal(codes[32], 0x77);
    assert_true(scale[0] == 2.0f && scale[1] == 1e-38f);
    nf4_quantize(x + 1, 64, codes, scale);
    assert_true(scale[0] == 0.0f);
    assert_int_equal(codes[0], 0x77);
}

/* Scales that are all equal have nothing left for the second level. */
static void test_equal_scales(void **state)
{
    (void)state;
    float x[4 * 64];
    packed p;
    for (int i = 0; i < 4 * 64; i++)
        x[i] = i % 2 == 0 ? 0.375f : -0.375f;
    assert_ok(packed_make(&p, x, 2, 128));
    assert_true(p.view.nested_offset == 0.375f && p.nested[0] == 0.0f && p.absmax[0] == 0);
    assert_true(nf4_block_scale(&p.view, 3) == 0.375f);
    packed_free(&p);
}

/* A difference so small that its reciprocal is infinite: no undefined conversion. */
static void test_tiny_differences(void **state)
{
    (void)state;
    float x[128] = {0};
    packed p;
    x[0] = 1e-39f;
    assert_ok(packed_make(&p, x, 2, 64));
    assert_true(p.nested[0] > 0.0f && 1.0f / p.nested[0] > FLT_MAX);
    assert_int_equal(p.absmax[0], 255);
    assert_int_equal(p.absmax[1], 0);
    packed_free(&p);
}

/* What is read does not depend on where one begins and how much one takes. */
static void test_reads_from_any_place(void **state)
{
    (void)state;
    enum { ROWS = 7, COLS = 45, N = ROWS * COLS };
    float x[N], all[N], part[N];
    packed p;
    fill(x, N, 77);
    assert_ok(packed_make(&p, x, ROWS, COLS));
    nf4_dequantize(&p.view, 0, N, all);
    for (int first = 0; first < N; first++) {
        const int n = (first * 31 + 5) % (N - first) + 1;
        memset(part, 0xff, sizeof part);
        nf4_dequantize(&p.view, first, n, part);
        assert_memory_equal(part, all + first, (size_t)n * sizeof(float));
        uint32_t behind = 0;
        if (n < N) {
            memcpy(&behind, part + n, sizeof behind);
            assert_int_equal(behind, UINT32_MAX);
        }
    }
    packed_free(&p);
}

static void test_gathers(void **state)
{
    (void)state;
    enum { ROWS = 7, COLS = 145, N = ROWS * COLS, PICKED = 6 };
    static const int32_t at[PICKED] = {0, 1, 63, 64, 100, COLS - 1};
    float x[N], all[N], picked[PICKED];
    packed p;
    fill(x, N, 78);
    assert_ok(packed_make(&p, x, ROWS, COLS));
    nf4_dequantize(&p.view, 0, N, all);
    for (int row = 0; row < ROWS; row++) {
        nf4_gather(&p.view, row * COLS, at, PICKED, picked);
        for (int i = 0; i < PICKED; i++)
            assert_memory_equal(&picked[i], &all[row * COLS + at[i]], sizeof(float));
    }
    packed_free(&p);
}

/* A matrix may be quantised piece by piece, of whole blocks. */
static void test_quantises_by_pieces(void **state)
{
    (void)state;
    enum { N = 64 * 5 + 13 };
    float x[N], scale[6], scales[6];
    uint8_t codes[N / 2 + 1], pieces[N / 2 + 1];
    fill(x, N, 5);
    nf4_quantize(x, N, codes, scale);
    nf4_quantize(x, 128, pieces, scales);
    nf4_quantize(x + 128, N - 128, pieces + 64, scales + 2);
    assert_memory_equal(codes, pieces, sizeof codes);
    assert_memory_equal(scale, scales, sizeof scale);
}

/* ------------------------------------------------------------------------- for the gate ---- */

static void put(const void *data, int64_t count, size_t size)
{
    fwrite(data, size, (size_t)count, stdout);
}

/* Codes, scales, their codes, nested scales, offset, map, values: one behind the other. */
static int quantize_input(int64_t n)
{
    mts_status st = MTS_OK;
    float *x = NULL;
    packed p = {0};
    MTS_TRY(mem_calloc(&ctx, &x, (size_t)n, sizeof *x, "numbers"));
    if (fread(x, sizeof *x, (size_t)n, stdin) != (size_t)n) {
        fprintf(stderr, "expected %lld floats\n", (long long)n);
        st = MTS_ERR_IO;
        goto cleanup;
    }
    MTS_TRY(packed_make(&p, x, 1, n));
    nf4_dequantize(&p.view, 0, n, x);
    put(p.codes, nf4_code_bytes(n), 1);
    put(p.plain, nf4_blocks(n), sizeof(float));
    put(p.absmax, nf4_blocks(n), 1);
    put(p.nested, nf4_nested_blocks(n), sizeof(float));
    put(&p.view.nested_offset, 1, sizeof(float));
    put(p.view.nested_map, 256, sizeof(float));
    put(x, n, sizeof(float));
cleanup:
    packed_free(&p);
    mem_free(x);
    return st == MTS_OK && fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--quantize") == 0)
        return quantize_input(strtoll(argv[2], NULL, 10));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_that_of_bitsandbytes),
        cmocka_unit_test(test_takes_the_nearest),
        cmocka_unit_test(test_order_and_ties),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_equal_scales),
        cmocka_unit_test(test_tiny_differences),
        cmocka_unit_test(test_reads_from_any_place),
        cmocka_unit_test(test_gathers),
        cmocka_unit_test(test_quantises_by_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
