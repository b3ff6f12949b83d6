/*
 * Tensors in 4 bits in safetensors files: found and read as they were made, with and without double
 * quantisation; each part that is missing or spoilt is refused, by name.
 */
#include "support/test_folder.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "network/weight_file.h"
#include "support/nf4_file.h"

enum { ROWS = 7, COLS = 45, COUNT = ROWS * COLS };

static mts_ctx ctx;
static nf4_file file;

static void write_model(void)
{
    assert_ok(nf4_file_write(&ctx, &file, folder_at("model.safetensors")));
}

/* ------------------------------------------------------------------------------- reading ---- */

static void test_reads_what_was_made(void **state)
{
    (void)state;
    for (int nested = 0; nested < 2; nested++) {
        float expected[COUNT], found[COUNT];
        weight_file w;
        weight_tensor t;
        nf4_file_make(&file, ROWS, COLS, nested != 0, 3);
        nf4_dequantize(&file.view, 0, COUNT, expected);
        write_model();
        assert_ok(weight_file_open(&ctx, folder_root(), &w));
        assert_true(weight_file_find(&w, "w.weight", "", &t));
        assert_int_equal(t.ndim, 2);
        assert_true(t.shape[0] == ROWS && t.shape[1] == COLS);
        assert_ok(weight_file_check(&ctx, &w, &t));
        assert_ok(weight_file_read(&ctx, &w, &t, found, COUNT));
        assert_memory_equal(found, expected, sizeof found);
        stored_matrix stored;
        assert_ok(weight_file_store(&ctx, &w, &t, &stored));
        memset(found, 0, sizeof found);
        for (int64_t i = 0; i < ROWS; i++)
            stored_matrix_read(&stored, i, 0, COLS, found + i * COLS);
        assert_memory_equal(found, expected, sizeof found);
        stored_matrix_close(&stored);
        assert_fails(weight_file_read_rows(&ctx, &w, &t, 0, 1, found), MTS_ERR_UNSUPPORTED,
                     "w.weight is quantized to 4 bits: expected floats");
        weight_file_close(&w);
    }
}

/* The parts belong to the weight, the bias is a tensor as any other. */
static void test_parts_are_no_weights(void **state)
{
    (void)state;
    weight_file w;
    int weights = 0;
    nf4_file_make(&file, ROWS, COLS, true, 4);
    write_model();
    assert_ok(weight_file_open(&ctx, folder_root(), &w));
    assert_int_equal(weight_file_count(&w), NF4_FILE_PARTS + 1);
    for (size_t i = 0; i < weight_file_count(&w); i++) {
        const weight_tensor t = weight_file_at(&w, i);
        const bool is_weight = strcmp(t.name, "w.weight") == 0, is_bias = !strcmp(t.name, "w.bias");
        assert_true(weight_file_is_buffer(&w, &t) == !(is_weight || is_bias));
        assert_true((weight_file_nf4(&w, &t) != NULL) == is_weight);
        weights += is_weight + is_bias;
    }
    assert_int_equal(weights, 2);
    weight_file_close(&w);
}

/* bnb_4bit_quant_storage may be another type: the bytes are the same. */
static void test_other_storage(void **state)
{
    (void)state;
    float expected[64], found[64];
    weight_file w;
    weight_tensor t;
    nf4_file_make(&file, 8, 8, true, 5);
    nf4_dequantize(&file.view, 0, 64, expected);
    file.parts[0].dtype = ST_DTYPE_BF16;
    file.parts[0].count /= 2;
    write_model();
    assert_ok(weight_file_open(&ctx, folder_root(), &w));
    assert_true(weight_file_find(&w, "w.weight", "", &t));
    assert_ok(weight_file_read(&ctx, &w, &t, found, 64));
    assert_memory_equal(found, expected, sizeof found);
    weight_file_close(&w);
}

/* The parts may be in another file of the folder. */
static void test_parts_in_other_shards(void **state)
{
    (void)state;
    static const char index[] = "{\"weight_map\":{\"w.weight\":\"a.safetensors\","
                                "\"w.weight.absmax\":\"b.safetensors\"}}";
    float expected[COUNT], found[COUNT];
    weight_file w;
    weight_tensor t;
    for (int shard = 0; shard < 2; shard++) {
        nf4_file_make(&file, ROWS, COLS, true, 6);
        file.without_bias = shard != 0;
        for (int i = 0; i < NF4_FILE_PARTS; i++)
            file.parts[i].absent = (i == 0) == (shard != 0);
        assert_ok(
            nf4_file_write(&ctx, &file, folder_at(shard == 0 ? "a.safetensors" : "b.safetensors")));
    }
    folder_put_text("model.safetensors.index.json", index);
    nf4_dequantize(&file.view, 0, COUNT, expected);
    assert_ok(weight_file_open(&ctx, folder_root(), &w));
    assert_true(weight_file_find(&w, "w.weight", "", &t));
    assert_ok(weight_file_read(&ctx, &w, &t, found, COUNT));
    assert_memory_equal(found, expected, sizeof found);
    weight_file_close(&w);
}

/* ------------------------------------------------------------------------------ refusals ---- */

static mts_status open_and_read(void)
{
    mts_status st = MTS_OK;
    float out[COUNT];
    weight_file w;
    weight_tensor t;
    write_model();
    MTS_TRY(weight_file_open(&ctx, folder_root(), &w));
    assert_true(weight_file_find(&w, "w.weight", "", &t));
    MTS_TRY(weight_file_read(&ctx, &w, &t, out, COUNT));
cleanup:
    weight_file_close(&w);
    return st;
}

static void test_refuses_missing_parts(void **state)
{
    (void)state;
    static const char *const texts[NF4_FILE_PARTS] = {
        "w.weight.quant_state.bitsandbytes__nf4 says how to read another one, which is not there",
        "tensor w.weight is in 4 bits, but has no absmax",
        "tensor w.weight.absmax: expected 5 elements of F32, found 5 of U8",
        "tensor w.weight is in 4 bits, but has no nested_quant_map",
        "tensor w.weight is in 4 bits, but has no quant_map",
    };
    for (int i = 0; i < NF4_FILE_STATE; i++) {
        nf4_file_make(&file, ROWS, COLS, true, 7);
        file.parts[i].absent = true;
        assert_fails(open_and_read(), MTS_ERR_BAD_FILE, texts[i]);
    }
    nf4_file_make(&file, ROWS, COLS, true, 7);
    file.parts[NF4_FILE_STATE].absent = true; /* then it is a tensor of bytes */
    assert_fails(open_and_read(), MTS_ERR_ARGUMENT, "expected 315 elements, found 158");
}

static void test_refuses_other_sizes(void **state)
{
    (void)state;
    for (int i = 0; i < NF4_FILE_STATE; i++) {
        char text[64];
        nf4_file_make(&file, ROWS, COLS, true, 8);
        file.parts[i].count--;
        snprintf(text, sizeof text, "w.weight%s", i == 0 ? NF4_STATE : file.parts[i].ending);
        assert_fails(open_and_read(), MTS_ERR_BAD_FILE, text);
        assert_non_null(strstr(ctx.error, i == 0 ? "is not the 157 bytes" : "expected "));
    }
}

/* One state, and what is said of it. */
static const struct {
    const char *from, *to; /* a piece of the state is replaced */
    mts_status status;
    const char *part;
} states[] = {
    {"\"nf4\"", "\"fp4\"", MTS_ERR_UNSUPPORTED, "quant_type: expected nf4, found fp4"},
    {"\"quant_type\"", "\"type\"", MTS_ERR_BAD_FILE, "quant_type: expected, but absent"},
    {"64", "128", MTS_ERR_UNSUPPORTED, "blocksize: expected 64, found 128"},
    {"64", "\"64\"", MTS_ERR_BAD_FILE, "blocksize: expected an integer"},
    {"256", "64", MTS_ERR_UNSUPPORTED, "nested_blocksize: expected 256, found 64"},
    {"float32", "float16", MTS_ERR_UNSUPPORTED, "nested_dtype: expected float32, found float16"},
    {"[7, 45]", "[7, 46]", MTS_ERR_BAD_FILE, "shape: [7, 46] in 4 bits is not the 158 bytes"},
    {"[7, 45]", "[315]", MTS_ERR_BAD_FILE, "shape: expected two integers"},
    {"[7, 45]", "[-7, -45]", MTS_ERR_BAD_FILE, "shape: expected two integers from 1"},
    {"[7, 45]", "[0, 45]", MTS_ERR_BAD_FILE, "shape: expected two integers from 1"},
    {"[7, 45]", "[7.0, 45]", MTS_ERR_BAD_FILE, "shape: expected two integers from 1"},
    {"[7, 45]", "[4611686018427387904, 4]", MTS_ERR_BAD_FILE, "is not the 158 bytes"},
    {"\"nested_offset\": 0", "\"nested_offset\": 1e39, \"x\": 0", MTS_ERR_BAD_FILE,
     "nested_offset: expected a number"},
    {"\"nested_offset\": 0", "\"nested_offset\": NaN, \"x\": 0", MTS_ERR_BAD_FILE, "invalid token"},
    {"\"nested_offset\"", "\"offset\"", MTS_ERR_BAD_FILE, "nested_offset: expected, but absent"},
    {"{", "[", MTS_ERR_BAD_FILE, "bitsandbytes__nf4:1:"},
};

static void test_refuses_other_states(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        char text[1024];
        nf4_file_make(&file, ROWS, COLS, true, 9);
        const char *at = strstr(file.state, states[i].from);
        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - file.state), file.state, states[i].to,
                 at + strlen(states[i].from));
        file.parts[NF4_FILE_STATE].data = text;
        file.parts[NF4_FILE_STATE].count = (int64_t)strlen(text);
        assert_fails(open_and_read(), states[i].status, states[i].part);
    }
}

static void test_refuses_long_states(void **state)
{
    (void)state;
    static char text[1 << 13];
    nf4_file_make(&file, ROWS, COLS, true, 9);
    memset(text, ' ', sizeof text);
    file.parts[NF4_FILE_STATE].data = text;
    file.parts[NF4_FILE_STATE].count = sizeof text;
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "expected at most 4096 bytes, found 8192");
}

static void test_refuses_fp4(void **state)
{
    (void)state;
    nf4_file_make(&file, ROWS, COLS, true, 9);
    file.parts[NF4_FILE_STATE].ending = ".quant_state.bitsandbytes__fp4";
    assert_fails(open_and_read(), MTS_ERR_UNSUPPORTED, "is in FP4; of the 4-bit types only NF4");
}

static void test_refuses_other_numbers(void **state)
{
    (void)state;
    float map[256];
    nf4_file_make(&file, ROWS, COLS, true, 10);
    memcpy(map, nf4_value, sizeof nf4_value);
    map[3] = nextafterf(map[3], 0.0f);
    file.parts[4].data = map;
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "quant_map: expected the 16 numbers of NF4");

    nf4_file_make(&file, ROWS, COLS, true, 10);
    file.view.nested_map[9] = file.view.nested_map[7];
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "expected 256 rising numbers in [-1, 1]");
    nf4_file_make(&file, ROWS, COLS, true, 10);
    file.view.nested_map[255] = nextafterf(1.0f, 2.0f);
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "expected 256 rising numbers in [-1, 1]");

    nf4_file_make(&file, ROWS, COLS, true, 10);
    file.nested[0] = INFINITY;
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "nested_absmax: element 0 is NaN or infinite");
    nf4_file_make(&file, ROWS, COLS, true, 10);
    file.nested[0] = FLT_MAX;
    snprintf(strstr(file.state, "\"nested_offset"), 64, "\"nested_offset\": 9e37}");
    file.parts[NF4_FILE_STATE].count = (int64_t)strlen(file.state);
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "nested_offset make infinite scales");

    nf4_file_make(&file, ROWS, COLS, false, 10);
    file.plain[1] = NAN;
    assert_fails(open_and_read(), MTS_ERR_BAD_FILE, "absmax: element 1 is NaN or infinite");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_reads_what_was_made),   TEST(test_parts_are_no_weights),
        TEST(test_other_storage),         TEST(test_parts_in_other_shards),
        TEST(test_refuses_missing_parts), TEST(test_refuses_other_sizes),
        TEST(test_refuses_other_states),  TEST(test_refuses_long_states),
        TEST(test_refuses_fp4),           TEST(test_refuses_other_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
