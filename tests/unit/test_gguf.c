/*
 * io/gguf: keys, shapes and values of hand-made files.  Broken ones: test_gguf_broken.c.
 *
 * For gates/check_gguf.py:
 *   test_gguf --dump FILE      keys and tensors as JSON; floats and u64 as texts
 *   test_gguf --floats FILE    all values as float32, tensor by tensor in the order of that JSON
 *   test_gguf --make VERSION FILE    the file of gguf_make_valid
 */
#include "support/gguf_bytes.h"
#include "support/test_folder.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/gguf.h"

static mts_ctx ctx;
static gguf_bytes b;

/* Open what b holds. */
static mts_status open_bytes(gguf **file)
{
    folder_put("f.gguf", b.data, b.size);
    return gguf_open(&ctx, folder_at("f.gguf"), file);
}

/* ------------------------------------------------------------------- what is well-formed ---- */

static void reads_every_type_of_value(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        gguf *file = NULL;
        int64_t value = -7;
        double real = 0;
        bool yes = false;
        const char *text = NULL;
        gguf_make_valid(&b, version);
        assert_ok(open_bytes(&file));
        assert_int_equal(gguf_version(file), version);
        assert_int_equal(gguf_key_count(file), 17);
        for (size_t i = 1; i < gguf_key_count(file); i++)
            assert_true(strcmp(gguf_key_at(file, i - 1)->name, gguf_key_at(file, i)->name) < 0);
        const struct {
            const char *key;
            int64_t value;
        } ints[] = {{"x.u8", 255}, {"x.i8", -128},       {"x.u16", 65535},        {"x.i16", -32768},
                    {"x.i32", -1}, {"x.i64", INT64_MIN}, {"llama.block_count", 2}};
        for (size_t i = 0; i < sizeof ints / sizeof ints[0]; i++) {
            assert_ok(gguf_find_int(&ctx, file, ints[i].key, INT64_MIN, INT64_MAX, &value));
            assert_true(value == ints[i].value);
        }
        value = -7;
        assert_ok(gguf_find_int(&ctx, file, "none", 0, 1, &value));
        assert_int_equal(value, -7);
        assert_ok(gguf_find_real(&ctx, file, "x.f64", 0, 1, &real));
        assert_true(real == 0.1);
        assert_ok(gguf_find_real(&ctx, file, "llama.rope.freq_base", 0, 1e30, &real));
        assert_true(real == 10000);
        assert_ok(gguf_find_bool(&ctx, file, "x.bool", &yes));
        assert_true(yes);
        assert_ok(gguf_find_text(&ctx, file, "x.text", &text));
        assert_string_equal(text, "\xc3\xa9t\xc3\xa9\n");
        assert_ok(gguf_find_text(&ctx, file, "none", &text));
        assert_string_equal(text, "\xc3\xa9t\xc3\xa9\n");
        assert_ok(gguf_require_key(&ctx, file, "x.text"));
        gguf_close(file);
    }
    gguf_close(NULL);
}

static void reads_arrays(void **state)
{
    (void)state;
    gguf *file = NULL;
    const gguf_key *array = NULL;
    const char *text = NULL;
    size_t bytes = 0;
    gguf_make_valid(&b, 3);
    assert_ok(open_bytes(&file));
    assert_ok(gguf_find_ints(&ctx, file, "x.ints", -3, 7, &array));
    assert_int_equal(array->count, 3);
    assert_int_equal(gguf_int_at(array, 0), 7);
    assert_int_equal(gguf_int_at(array, 1), -3);
    assert_int_equal(gguf_int_at(array, 2), 0);
    assert_ok(gguf_find_reals(&ctx, file, "x.reals", &array));
    assert_int_equal(array->count, 2);
    assert_true(gguf_real_at(array, 0) == (double)(1.0F / 3));
    assert_true(gguf_real_at(array, 1) == 0 && signbit(gguf_real_at(array, 1)));
    assert_ok(gguf_find_texts(&ctx, file, "x.texts", &array));
    gguf_texts texts = gguf_texts_of(array);
    static const char *const expected[] = {"a", "", "\xc4\xa0the"};
    for (int i = 0; i < 3; i++) {
        assert_true(gguf_next_text(&texts, &text, &bytes));
        assert_int_equal(bytes, strlen(expected[i]));
        assert_memory_equal(text, expected[i], bytes);
    }
    assert_false(gguf_next_text(&texts, &text, &bytes));
    assert_ok(gguf_find_ints(&ctx, file, "x.none", 0, 0, &array));
    assert_int_equal(array->count, 0);
    assert_ok(gguf_find_texts(&ctx, file, "none", &array));
    assert_null(array);
    assert_ok(gguf_find_reals(&ctx, file, "none", &array));
    assert_null(array);
    assert_ok(gguf_find_ints(&ctx, file, "none", 0, 1, &array));
    assert_null(array);
    gguf_close(file);
}

static void refuses_other_types_of_value(void **state)
{
    (void)state;
    gguf *file = NULL;
    const gguf_key *array = NULL;
    int64_t value = 5;
    double real = 5;
    bool yes = false;
    const char *text = "old";
    gguf_make_valid(&b, 3);
    assert_ok(open_bytes(&file));
#define INT(key, min, max) gguf_find_int(&ctx, file, key, min, max, &value)
    assert_fails(INT("x.u8", 0, 254), MTS_ERR_BAD_FILE,
                 "f.gguf: key x.u8: expected an integer 0..254, found 255");
    assert_fails(INT("x.i8", -127, 0), MTS_ERR_BAD_FILE, "found -128");
    assert_fails(INT("x.u64", 0, INT64_MAX), MTS_ERR_BAD_FILE, "found 18446744073709551615");
    assert_fails(INT("x.f64", 0, 1), MTS_ERR_BAD_FILE, "an integer 0..1, found 0.1");
    assert_fails(INT("x.text", 0, 1), MTS_ERR_BAD_FILE, "found a text");
    assert_fails(INT("x.bool", 0, 1), MTS_ERR_BAD_FILE, "found a bool");
    assert_fails(INT("x.ints", 0, 1), MTS_ERR_BAD_FILE, "found an array of i32");
#undef INT
    assert_fails(gguf_find_real(&ctx, file, "x.u8", 0, 300, &real), MTS_ERR_BAD_FILE,
                 "expected a float 0..300, found 255");
    assert_fails(gguf_find_real(&ctx, file, "x.f64", 0.2, 1, &real), MTS_ERR_BAD_FILE,
                 "expected a float 0.2..1, found 0.1");
    assert_fails(gguf_find_real(&ctx, file, "x.f64", 0, 0.05, &real), MTS_ERR_BAD_FILE, "found");
    assert_fails(gguf_find_bool(&ctx, file, "x.u8", &yes), MTS_ERR_BAD_FILE, "a bool, found 255");
    assert_fails(gguf_find_text(&ctx, file, "x.texts", &text), MTS_ERR_BAD_FILE,
                 "expected a text, found an array of text");
    assert_fails(gguf_find_ints(&ctx, file, "x.reals", 0, 9, &array), MTS_ERR_BAD_FILE,
                 "expected an array of integers, found an array of f32");
    assert_fails(gguf_find_ints(&ctx, file, "x.ints", 0, 9, &array), MTS_ERR_BAD_FILE,
                 "element 1: expected an integer 0..9, found -3");
    assert_fails(gguf_find_ints(&ctx, file, "x.i32", 0, 9, &array), MTS_ERR_BAD_FILE, "found -1");
    assert_fails(gguf_find_reals(&ctx, file, "x.ints", &array), MTS_ERR_BAD_FILE, "array of flo");
    assert_fails(gguf_find_reals(&ctx, file, "x.f64", &array), MTS_ERR_BAD_FILE, "found 0.1");
    assert_fails(gguf_find_texts(&ctx, file, "x.ints", &array), MTS_ERR_BAD_FILE, "array of text");
    assert_fails(gguf_find_texts(&ctx, file, "x.text", &array), MTS_ERR_BAD_FILE, "found a text");
    assert_fails(gguf_require_key(&ctx, file, "gone"), MTS_ERR_BAD_FILE,
                 "f.gguf: key gone: expected, but absent");
    assert_int_equal(value, 5);
    assert_true(real == 5 && !yes);
    assert_string_equal(text, "old");
    gguf_close(file);
}

/* Values that are refused only by the look-up that wants them. */
static void refuses_odd_values(void **state)
{
    (void)state;
    gguf *file = NULL;
    const gguf_key *array = NULL;
    double real = 0;
    const char *text = NULL;
    gguf_start(&b, 3, 0, 6);
    gguf_put_f32(&b, "nan", NAN);
    gguf_put_f32(&b, "inf", INFINITY);
    gguf_put_name(&b, "bytes", "a\xff");
    gguf_put_key(&b, "nul", GGUF_KIND_TEXT);
    gguf_put_int(&b, 3, 8);
    gguf_put_bytes(&b, "a\0b", 3);
    gguf_put_array(&b, "wide", GGUF_KIND_U64, 2);
    gguf_put_int(&b, 1, 8);
    gguf_put_int(&b, UINT64_MAX, 8);
    gguf_put_array(&b, "nans", GGUF_KIND_F64, 1);
    gguf_put_int(&b, UINT64_C(0x7ff8) << 48, 8);
    assert_ok(open_bytes(&file));
    assert_fails(gguf_find_real(&ctx, file, "nan", -1, 1, &real), MTS_ERR_BAD_FILE, "found nan");
    assert_fails(gguf_find_real(&ctx, file, "inf", 0, INFINITY, &real), MTS_ERR_BAD_FILE, "inf");
    assert_fails(gguf_find_text(&ctx, file, "bytes", &text), MTS_ERR_BAD_FILE, "expected UTF-8");
    assert_fails(gguf_find_text(&ctx, file, "nul", &text), MTS_ERR_BAD_FILE, "without NUL");
    assert_fails(gguf_find_ints(&ctx, file, "wide", 0, INT64_MAX, &array), MTS_ERR_BAD_FILE,
                 "element 1: expected an integer 0..9223372036854775807, found more than");
    assert_fails(gguf_find_reals(&ctx, file, "nans", &array), MTS_ERR_BAD_FILE, "element 0 is NaN");
    gguf_close(file);
}

static void shapes_are_in_the_order_of_safetensors(void **state)
{
    (void)state;
    gguf *file = NULL;
    static const float values[24] = {0};
    gguf_start(&b, 3, 3, 1);
    gguf_put_u32(&b, "general.alignment", 8);
    gguf_put_text(&b, "four");
    gguf_put_int(&b, 4, 4);
    for (uint64_t n = 1; n <= 4; n++)
        gguf_put_int(&b, n, 8);
    gguf_put_int(&b, GGUF_F32, 4);
    gguf_put_int(&b, 0, 8);
    gguf_put_text(&b, "one");
    gguf_put_int(&b, 0, 4);
    gguf_put_int(&b, GGUF_F32, 4);
    gguf_put_int(&b, 96, 8);
    gguf_put_tensor(&b, "a", 3, 2, GGUF_F16, 104); /* "one" is padded to 8 bytes */
    gguf_pad(&b, 8);
    gguf_put_bytes(&b, values, 96);
    gguf_put_int(&b, 0x3fc00000, 4); /* 1.5 */
    gguf_pad(&b, 8);
    for (int i = 0; i < 6; i++)
        gguf_put_int(&b, 0x3c00 + (uint64_t)i, 2);
    assert_ok(open_bytes(&file));
    assert_int_equal(gguf_tensor_count(file), 3);
    const gguf_tensor *t = gguf_find_tensor(file, "four");
    assert_int_equal(t->ndim, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(t->shape[i], 4 - i);
    assert_int_equal(t->rows, 24);
    assert_int_equal(t->cols, 1);
    assert_int_equal(t->bytes, 96);
    t = gguf_find_tensor(file, "one");
    float value = 0, row[3];
    assert_int_equal(t->ndim, 0);
    assert_int_equal(t->rows * t->cols, 1);
    assert_ok(gguf_read_rows(&ctx, t, 0, 1, &value));
    assert_true(value == 1.5F);
    t = gguf_find_tensor(file, "a");
    assert_ptr_equal(t, gguf_tensor_at(file, 0));
    assert_string_equal(t->name, "a");
    assert_true(t->ndim == 2 && t->shape[0] == 2 && t->shape[1] == 3);
    assert_ok(gguf_read_rows(&ctx, t, 1, 1, row));
    for (int i = 0; i < 3; i++)
        assert_true(row[i] == 1 + (float)(3 + i) / 1024);
    assert_null(gguf_find_tensor(file, "b"));
    gguf_close(file);
    gguf_start(&b, 3, 0, 0);
    assert_ok(open_bytes(&file));
    assert_null(gguf_find_tensor(file, "a"));
    assert_null(gguf_find_key(file, "a"));
    gguf_close(file);
}

/* ------------------------------------------------------------------------------- values ---- */

/* Of the tensors of gguf_make_valid: bits of the first, second and last element of the first row,
 * and FNV-1a of the bytes of both rows: gates/check_gguf.py --golden, by the package gguf. */
static const struct {
    const char *name;
    int64_t cols;
    uint32_t first, second, last, hash;
} golden[] = {
    {"t.F32", 2, 0x344f2a05, 0x8e3be99, 0x8e3be99, 0x27f806c3},
    {"t.F16", 4, 0x3ea20000, 0x3feb4000, 0x3a7dc000, 0x3daf85d},
    {"t.BF16", 4, 0x344f0000, 0xbe990000, 0x122d0000, 0x67897c8f},
    {"t.Q8_0", 32, 0xbf8c1b00, 0xbf23b800, 0x3ed61800, 0xd5a789c1},
    {"t.Q4_0", 32, 0xbd172000, 0x3cc98000, 0x3c498000, 0xc967b21e},
    {"t.Q4_1", 32, 0xbec10800, 0xbea18c00, 0xbea7d800, 0xddd8ff49},
    {"t.Q5_0", 32, 0x3d7be000, 0xbd972000, 0xbe0a8800, 0x18535f60},
    {"t.Q5_1", 32, 0xbec10800, 0xbdf33000, 0xbec10800, 0x4348c46c},
    {"t.Q4_K", 256, 0x41ddadf0, 0x41ebf220, 0x40da8100, 0x81758908},
    {"t.Q6_K", 256, 0x4210e098, 0xc202db60, 0x41c55e20, 0x2fae183f},
};

static uint32_t bits_of(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void decodes_every_type(void **state)
{
    (void)state;
    gguf *file = NULL;
    gguf_make_valid(&b, 3);
    assert_ok(open_bytes(&file));
    assert_int_equal(gguf_tensor_count(file), sizeof golden / sizeof golden[0]);
    for (size_t k = 0; k < sizeof golden / sizeof golden[0]; k++) {
        float all[2 * GGUF_BLOCK_MAX], row[GGUF_BLOCK_MAX];
        uint32_t hash = 2166136261U;
        const gguf_tensor *t = gguf_find_tensor(file, golden[k].name);
        assert_non_null(t);
        assert_int_equal(t->cols, golden[k].cols);
        assert_int_equal(t->rows, 2);
        assert_ok(gguf_read_rows(&ctx, t, 0, 2, all));
        assert_int_equal(bits_of(all[0]), golden[k].first);
        assert_int_equal(bits_of(all[1]), golden[k].second);
        assert_int_equal(bits_of(all[t->cols - 1]), golden[k].last);
        for (size_t i = 0; i < 2 * (size_t)t->cols * sizeof *all; i++)
            hash = (hash ^ ((const uint8_t *)all)[i]) * 16777619U;
        assert_int_equal(hash, golden[k].hash);
        assert_ok(gguf_read_rows(&ctx, t, 1, 1, row)); /* the second row alone */
        assert_memory_equal(row, all + t->cols, (size_t)t->cols * sizeof *row);
    }
    gguf_close(file);
}

/* Rows of several chunks, in place in the caller's memory: as one row, and row by row. */
static void reads_long_rows(void **state)
{
    (void)state;
    static const uint32_t types[] = {GGUF_F32, GGUF_F16, GGUF_Q8_0, GGUF_Q4_1, GGUF_Q6_K};
    enum { BLOCKS = 768, ROWS = 3, ALL = ROWS * BLOCKS };
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        const gguf_type *type = gguf_type_find(types[k]);
        uint8_t block[GGUF_BLOCK_BYTES];
        gguf *file = NULL;
        float whole[ALL], expected[ALL];
        const size_t n = gguf_block(types[k], block);
        const uint64_t cols = types[k] == GGUF_Q6_K ? 768 : 736; /* no multiple of a chunk */
        gguf_start(&b, 3, 1, 0);
        gguf_put_tensor(&b, "t", cols, ROWS, types[k], 0);
        gguf_pad(&b, 32);
        const size_t begin = b.size, bytes = (size_t)(ROWS * cols / type->elements) * type->bytes;
        while (b.size - begin < bytes) {
            gguf_put_bytes(&b, block, n);
            block[4] ^= 0x15; /* not the scales */
            block[5] = (uint8_t)(block[5] + 16);
            block[5] &= 0xbf;
        }
        assert_int_equal(b.size - begin, bytes);
        type->decode(b.data + begin, (int64_t)(ROWS * cols / type->elements), expected);
        assert_ok(open_bytes(&file));
        const gguf_tensor *t = gguf_find_tensor(file, "t");
        assert_ok(gguf_read_rows(&ctx, t, 0, ROWS, whole));
        assert_memory_equal(whole, expected, ROWS * cols * sizeof *whole);
        memset(whole, 0, sizeof whole);
        for (int64_t r = ROWS - 1; r >= 0; r--)
            assert_ok(gguf_read_rows(&ctx, t, r, 1, whole + r * (int64_t)cols));
        assert_memory_equal(whole, expected, ROWS * cols * sizeof *whole);
        gguf_close(file);
    }
}

static void refuses_rows_and_values(void **state)
{
    (void)state;
    gguf *file = NULL;
    float out[512];
    gguf_start(&b, 3, 3, 0);
    gguf_put_tensor(&b, "bad", 2, 2, GGUF_F16, 0);
    gguf_put_tensor(&b, "ints", 8, 0, 26, 32);
    gguf_put_tensor(&b, "k", 256, 0, 13, 64);
    gguf_pad(&b, 32);
    gguf_put_int(&b, UINT64_C(0x7c00) << 48, 8);
    gguf_pad(&b, 32);
    for (int i = 0; i < 32 + 176; i++)
        gguf_put_int(&b, 0, 1);
    assert_ok(open_bytes(&file));
    const gguf_tensor *bad = gguf_find_tensor(file, "bad");
    assert_ok(gguf_read_rows(&ctx, bad, 0, 1, out));
    assert_ok(gguf_read_rows(&ctx, bad, 2, 0, out));
    assert_fails(gguf_read_rows(&ctx, bad, 0, 2, out), MTS_ERR_BAD_FILE,
                 "f.gguf: tensor bad: element 3 is NaN or infinite");
    assert_fails(gguf_read_rows(&ctx, bad, 1, 1, out), MTS_ERR_BAD_FILE, "element 3 is NaN");
    assert_fails(gguf_read_rows(&ctx, bad, 1, 2, out), MTS_ERR_ARGUMENT,
                 "expected rows 0 to 1, found 2 from 1 on");
    assert_fails(gguf_read_rows(&ctx, bad, -1, 1, out), MTS_ERR_ARGUMENT, "found 1 from -1 on");
    assert_fails(gguf_read_rows(&ctx, bad, 0, -1, out), MTS_ERR_ARGUMENT, "found -1 from 0 on");
    assert_fails(gguf_read_rows(&ctx, bad, 3, 0, out), MTS_ERR_ARGUMENT, "found 0 from 3 on");
    assert_fails(gguf_read_rows(&ctx, gguf_find_tensor(file, "ints"), 0, 1, out),
                 MTS_ERR_UNSUPPORTED, "tensor ints: expected elements of type F32, F16");
    assert_fails(gguf_read_rows(&ctx, gguf_find_tensor(file, "k"), 0, 1, out), MTS_ERR_UNSUPPORTED,
                 "found Q5_K");
    assert_int_equal(truncate(folder_at("f.gguf"), (off_t)bad->offset + 4), 0);
    assert_fails(gguf_read_rows(&ctx, bad, 1, 1, out), MTS_ERR_IO, "was cut while it was read");
    gguf_close(file);
}

/* A header that does not fit in the first piece that is read: names and values stay right. */
static void reads_a_long_header(void **state)
{
    (void)state;
    enum { TEXTS = 30000 };
    gguf *file = NULL;
    const gguf_key *array = NULL;
    const char *text = NULL;
    size_t bytes = 0;
    int64_t value = 0;
    FILE *out = fopen(folder_at("long.gguf"), "wb");
    assert_non_null(out);
    gguf_start(&b, 3, 1, 3);
    gguf_put_u32(&b, "first", 41);
    gguf_put_array(&b, "texts", GGUF_KIND_TEXT, TEXTS);
    size_t all = b.size;
    assert_int_equal(fwrite(b.data, 1, b.size, out), b.size);
    for (int i = 0; i < TEXTS; i++) {
        char number[16];
        snprintf(number, sizeof number, "<%d>", i);
        b.size = 0;
        gguf_put_text(&b, number);
        all += b.size;
        assert_int_equal(fwrite(b.data, 1, b.size, out), b.size);
    }
    b.size = 0;
    gguf_put_u32(&b, "last", 43);
    gguf_put_tensor(&b, "t", 1, 0, GGUF_F32, 0);
    while ((all + b.size) % 32 != 0)
        gguf_put_int(&b, 0, 1);
    gguf_put_int(&b, 0x40000000, 4);
    assert_int_equal(fwrite(b.data, 1, b.size, out), b.size);
    assert_int_equal(fclose(out), 0);
    assert_ok(gguf_open(&ctx, folder_at("long.gguf"), &file));
    assert_ok(gguf_find_int(&ctx, file, "first", 41, 41, &value));
    assert_ok(gguf_find_int(&ctx, file, "last", 43, 43, &value));
    assert_int_equal(value, 43);
    assert_ok(gguf_find_texts(&ctx, file, "texts", &array));
    gguf_texts texts = gguf_texts_of(array);
    for (int i = 0; i < TEXTS; i++) {
        char number[16];
        snprintf(number, sizeof number, "<%d>", i);
        assert_true(gguf_next_text(&texts, &text, &bytes));
        assert_int_equal(bytes, strlen(number));
        assert_memory_equal(text, number, bytes);
    }
    float two = 0;
    assert_ok(gguf_read_rows(&ctx, gguf_find_tensor(file, "t"), 0, 1, &two));
    assert_true(two == 2);
    gguf_close(file);
}

/* ----------------------------------------------------------------------------- programs ---- */

static json_t *number_of(const gguf_key *key, uint64_t i)
{
    char text[64];
    if (key->element == GGUF_KIND_BOOL)
        return json_boolean(key->data[i]);
    if (key->element == GGUF_KIND_F32 || key->element == GGUF_KIND_F64)
        snprintf(text, sizeof text, "%a", gguf_real_at(key, i));
    else if (key->element == GGUF_KIND_U64) /* may be beyond JSON's integers here */
        snprintf(text, sizeof text, "%" PRIu64, (uint64_t)gguf_int_at(key, i));
    if (key->element == GGUF_KIND_F32 || key->element == GGUF_KIND_F64 ||
        key->element == GGUF_KIND_U64)
        return json_string(text);
    return json_integer((json_int_t)gguf_int_at(key, i));
}

static json_t *value_of(const gguf_key *key)
{
    const char *text = NULL;
    size_t bytes = 0;
    if (key->kind == GGUF_KIND_TEXT)
        return json_stringn((const char *)key->data, (size_t)key->count);
    if (key->kind != GGUF_KIND_ARRAY)
        return number_of(key, 0);
    json_t *list = json_array();
    gguf_texts texts = gguf_texts_of(key);
    if (key->element == GGUF_KIND_TEXT)
        while (gguf_next_text(&texts, &text, &bytes))
            json_array_append_new(list, json_stringn(text, bytes));
    else
        for (uint64_t i = 0; i < key->count; i++)
            json_array_append_new(list, number_of(key, i));
    return list;
}

static void dump(const gguf *file)
{
    json_t *root = json_object(), *keys = json_object(), *tensors = json_array();
    for (size_t i = 0; i < gguf_key_count(file); i++) {
        const gguf_key *key = gguf_key_at(file, i);
        json_object_set_new(keys, key->name,
                            json_pack("[s, s, o]", gguf_kind_name(key->kind),
                                      gguf_kind_name(key->element), value_of(key)));
    }
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const gguf_tensor *t = gguf_tensor_at(file, i);
        json_t *shape = json_array();
        for (int k = 0; k < t->ndim; k++)
            json_array_append_new(shape, json_integer((json_int_t)t->shape[k]));
        json_array_append_new(tensors,
                              json_pack("{s:s, s:s, s:o, s:I, s:I, s:b}", "name", t->name, "type",
                                        t->type->name, "shape", shape, "bytes",
                                        (json_int_t)t->bytes, "offset", (json_int_t)t->offset,
                                        "decoded", t->type->decode != NULL));
    }
    json_object_set_new(root, "version", json_integer(gguf_version(file)));
    json_object_set_new(root, "keys", keys);
    json_object_set_new(root, "tensors", tensors);
    json_dumpf(root, stdout, JSON_COMPACT);
    json_decref(root);
}

/* In pieces of some rows, as a reader of large models does it. */
static mts_status write_floats(const gguf *file)
{
    mts_status st = MTS_OK;
    float *values = NULL;
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const gguf_tensor *t = gguf_tensor_at(file, i);
        const int64_t step = t->rows < 7 ? t->rows : 7;
        if (t->type->decode == NULL)
            continue;
        values = malloc((size_t)(step * t->cols) * sizeof *values);
        for (int64_t row = 0; row < t->rows; row += step) {
            const int64_t n = t->rows - row < step ? t->rows - row : step;
            MTS_TRY(gguf_read_rows(&ctx, t, row, n, values));
            fwrite(values, sizeof *values, (size_t)(n * t->cols), stdout);
        }
        free(values);
        values = NULL;
    }
cleanup:
    free(values);
    return st;
}

static int run_program(int argc, char **argv)
{
    gguf *file = NULL;
    if (argc == 4 && strcmp(argv[1], "--make") == 0) {
        FILE *out = fopen(argv[3], "wb");
        gguf_make_valid(&b, (uint32_t)atoi(argv[2]));
        if (out == NULL || fwrite(b.data, 1, b.size, out) != b.size || fclose(out) != 0) {
            perror(argv[3]);
            return 1;
        }
        return 0;
    }
    mts_status st = argc == 3 ? gguf_open(&ctx, argv[2], &file) : MTS_ERR_ARGUMENT;
    if (st == MTS_OK && strcmp(argv[1], "--dump") == 0)
        dump(file);
    else if (st == MTS_OK && strcmp(argv[1], "--floats") == 0)
        st = write_floats(file);
    if (st != MTS_OK)
        fprintf(stderr, "%s\n", ctx.error);
    gguf_close(file);
    return st == MTS_OK ? 0 : 1;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_program(argc, argv);
    const struct CMUnitTest tests[] = {
        TEST(reads_every_type_of_value),
        TEST(reads_arrays),
        TEST(refuses_other_types_of_value),
        TEST(refuses_odd_values),
        TEST(shapes_are_in_the_order_of_safetensors),
        TEST(decodes_every_type),
        TEST(reads_long_rows),
        TEST(refuses_rows_and_values),
        TEST(reads_a_long_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
