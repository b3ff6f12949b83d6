/*
 * io/safetensors: reads and writes the library's own bytes; refuses every broken rule by its name.
 * The real model in the folder MANTISSA_TEST_MODEL, if given, is read as a whole.
 */
#include "support/test_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/safetensors.h"

/* Written by the safetensors library 0.8.0: gates/check_safetensors.py --golden. */
static const uint8_t golden[] = {
    136, 2,   0,   0,   0,   0,   0,   0,   123, 34,  95,  95,  109, 101, 116, 97,  100, 97,  116,
    97,  95,  95,  34,  58,  123, 34,  102, 111, 114, 109, 97,  116, 34,  58,  34,  112, 116, 34,
    125, 44,  34,  105, 100, 115, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  73,
    54,  52,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  49,  44,  51,  93,  44,  34,
    100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  48,  44,  50,  52,
    93,  125, 44,  34,  101, 109, 98,  101, 100, 100, 105, 110, 103, 115, 46,  119, 101, 105, 103,
    104, 116, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  70,  51,  50,  34,  44,
    34,  115, 104, 97,  112, 101, 34,  58,  91,  50,  44,  51,  93,  44,  34,  100, 97,  116, 97,
    95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  50,  52,  44,  52,  56,  93,  125, 44,
    34,  101, 109, 112, 116, 121, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  70,
    51,  50,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  48,  44,  52,  93,  44,  34,
    100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  52,  56,  44,  52,
    56,  93,  125, 44,  34,  115, 99,  97,  108, 97,  114, 34,  58,  123, 34,  100, 116, 121, 112,
    101, 34,  58,  34,  70,  51,  50,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  93,
    44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  52,  56,
    44,  53,  50,  93,  125, 44,  34,  97,  32,  92,  34,  113, 117, 111, 116, 101, 100, 92,  34,
    32,  195, 169, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  73,  51,  50,  34,
    44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  49,  93,  44,  34,  100, 97,  116, 97,  95,
    111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  53,  50,  44,  53,  54,  93,  125, 44,  34,
    98,  114, 97,  105, 110, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,  58,  34,  66,  70,
    49,  54,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  49,  44,  50,  93,  44,  34,
    100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  53,  54,  44,  54,
    48,  93,  125, 44,  34,  104, 97,  108, 102, 34,  58,  123, 34,  100, 116, 121, 112, 101, 34,
    58,  34,  70,  49,  54,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  52,  93,  44,
    34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  54,  48,  44,
    54,  56,  93,  125, 44,  34,  115, 104, 111, 114, 116, 34,  58,  123, 34,  100, 116, 121, 112,
    101, 34,  58,  34,  73,  49,  54,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,  49,
    93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,  54,
    56,  44,  55,  48,  93,  125, 44,  34,  98,  121, 116, 101, 115, 34,  58,  123, 34,  100, 116,
    121, 112, 101, 34,  58,  34,  73,  56,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,
    51,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,
    55,  48,  44,  55,  51,  93,  125, 44,  34,  109, 97,  115, 107, 34,  58,  123, 34,  100, 116,
    121, 112, 101, 34,  58,  34,  85,  56,  34,  44,  34,  115, 104, 97,  112, 101, 34,  58,  91,
    51,  93,  44,  34,  100, 97,  116, 97,  95,  111, 102, 102, 115, 101, 116, 115, 34,  58,  91,
    55,  51,  44,  55,  54,  93,  125, 125, 32,  32,  0,   0,   0,   0,   0,   0,   0,   0,   1,
    0,   0,   0,   0,   0,   0,   0,   255, 255, 255, 255, 255, 255, 255, 255, 0,   0,   128, 63,
    0,   0,   0,   192, 0,   0,   0,   63,  0,   0,   64,  64,  0,   0,   128, 190, 0,   0,   0,
    65,  0,   0,   192, 63,  7,   0,   0,   0,   128, 63,  64,  192, 0,   60,  0,   184, 255, 123,
    1,   0,   0,   128, 128, 0,   127, 1,   2,   255,
};

static mts_ctx ctx;

/* A file of this header length, header and so many zero bytes of data. */
static void put_parts(const char *name, uint64_t length, const char *header, size_t header_bytes,
                      size_t data)
{
    uint8_t file[4096] = {0};
    assert_true(8 + header_bytes + data <= sizeof file);
    memcpy(file, &length, 8);
    memcpy(file + 8, header, header_bytes);
    folder_put(name, file, 8 + header_bytes + data);
}

static void put_header(const char *name, const char *header, size_t data)
{
    put_parts(name, strlen(header), header, strlen(header), data);
}

/* ------------------------------------------------------------------- what is well-formed ---- */

static const float weights[] = {1, -2, 0.5f, 3, -0.25f, 8};
static const float scalar[] = {1.5f};
static const uint16_t halves[] = {0x3c00, 0xb800, 0x7bff, 0x0001};
static const uint16_t brains[] = {0x3f80, 0xc040};
static const int8_t bytes3[] = {-128, 0, 127};
static const int64_t ids[] = {0, 1, -1};
static const int32_t seven[] = {7};
static const uint8_t mask[] = {1, 2, 255};
static const int16_t shorts[] = {-32768};

/* The tensors of gates/check_safetensors.py, not in the order of the file. */
static const struct {
    const char *name;
    st_dtype dtype;
    int ndim;
    int64_t shape[2];
    const void *data;
    size_t bytes;
} tensors[] = {
    {"scalar", ST_DTYPE_F32, 0, {0}, scalar, 4},
    {"embeddings.weight", ST_DTYPE_F32, 2, {2, 3}, weights, 24},
    {"half", ST_DTYPE_F16, 1, {4}, halves, 8},
    {"brain", ST_DTYPE_BF16, 2, {1, 2}, brains, 4},
    {"bytes", ST_DTYPE_I8, 1, {3}, bytes3, 3},
    {"ids", ST_DTYPE_I64, 2, {1, 3}, ids, 24},
    {"empty", ST_DTYPE_F32, 2, {0, 4}, NULL, 0},
    {"a \"quoted\" \xc3\xa9", ST_DTYPE_I32, 1, {1}, seven, 4},
    {"mask", ST_DTYPE_U8, 1, {3}, mask, 3},
    {"short", ST_DTYPE_I16, 1, {1}, shorts, 2},
};

enum { TENSORS = sizeof tensors / sizeof tensors[0] };

static void reads_the_librarys_file(void **state)
{
    (void)state;
    safetensors *file = NULL;
    folder_put("g.safetensors", golden, sizeof golden);
    assert_ok(safetensors_open_file(&ctx, folder_at("g.safetensors"), &file));
    assert_int_equal(safetensors_count(file), TENSORS);
    assert_null(safetensors_find(file, "scala"));
    assert_null(safetensors_find(file, "__metadata__"));
    for (int i = 0; i < TENSORS; i++) {
        uint8_t raw[32];
        const st_tensor *t = safetensors_find(file, tensors[i].name);
        assert_non_null(t);
        assert_string_equal(t->name, tensors[i].name);
        assert_string_equal(t->file, folder_at("g.safetensors"));
        assert_int_equal(t->dtype, tensors[i].dtype);
        assert_int_equal(t->ndim, tensors[i].ndim);
        for (int k = 0; k < t->ndim; k++)
            assert_int_equal(t->shape[k], tensors[i].shape[k]);
        assert_int_equal(t->bytes, tensors[i].bytes);
        assert_ok(safetensors_read_raw(&ctx, t, t->dtype, raw, t->bytes));
        assert_true(t->bytes == 0 || memcmp(raw, tensors[i].data, t->bytes) == 0);
    }
    for (size_t i = 1; i < TENSORS; i++)
        assert_true(strcmp(safetensors_at(file, i - 1)->name, safetensors_at(file, i)->name) < 0);
    safetensors_close(file);
    safetensors_close(NULL);
}

static void writes_the_librarys_bytes(void **state)
{
    (void)state;
    safetensors_writer *w = NULL;
    char *bytes = NULL;
    size_t n = 0;
    assert_ok(safetensors_writer_open(&ctx, folder_at("w.safetensors"), &w));
    for (int i = 0; i < TENSORS; i++)
        assert_ok(safetensors_writer_add(w, tensors[i].name, tensors[i].dtype, tensors[i].ndim,
                                         tensors[i].shape, tensors[i].data));
    assert_ok(safetensors_writer_commit(w));
    safetensors_writer_close(w);
    safetensors_writer_close(NULL);
    assert_ok(file_read_all(&ctx, folder_at("w.safetensors"), 1 << 20, &bytes, &n));
    assert_int_equal(n, sizeof golden);
    assert_memory_equal(bytes, golden, sizeof golden);
    mem_free(bytes);
}

static void writes_an_empty_file(void **state)
{
    (void)state;
    safetensors_writer *w = NULL;
    safetensors *file = NULL;
    assert_ok(safetensors_writer_open(&ctx, folder_at("e"), &w));
    assert_ok(safetensors_writer_commit(w));
    safetensors_writer_close(w);
    assert_ok(safetensors_open_file(&ctx, folder_at("e"), &file));
    assert_int_equal(safetensors_count(file), 0);
    assert_null(safetensors_find(file, "x"));
    safetensors_close(file);
    put_header("e", "{}", 0);
    assert_ok(safetensors_open_file(&ctx, folder_at("e"), &file));
    safetensors_close(file);
}

static void writer_refuses(void **state)
{
    (void)state;
    safetensors_writer *w = NULL;
    const int64_t negative[] = {2, -1};
    const int64_t huge[] = {INT64_C(1) << 40, INT64_C(1) << 40};
    const int64_t wide[] = {INT64_MAX};
    const int64_t one[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    assert_ok(safetensors_writer_open(&ctx, folder_at("w"), &w));
#define ADD(name, ndim, shape, data)                                                               \
    safetensors_writer_add(w, name, ST_DTYPE_F32, ndim, shape, data)
    assert_fails(ADD("", 0, NULL, scalar), MTS_ERR_ARGUMENT, "cannot be the name");
    assert_fails(ADD("__metadata__", 0, NULL, scalar), MTS_ERR_ARGUMENT, "cannot be the name");
    assert_fails(ADD("a\nb", 0, NULL, scalar), MTS_ERR_ARGUMENT, "control characters");
    assert_fails(ADD("\xff", 0, NULL, scalar), MTS_ERR_ARGUMENT, "expected UTF-8");
    assert_fails(ADD("x", -1, one, scalar), MTS_ERR_ARGUMENT, "0..8 dimensions, found -1");
    assert_fails(ADD("x", 9, one, scalar), MTS_ERR_ARGUMENT, "0..8 dimensions, found 9");
    assert_fails(ADD("x", 2, negative, scalar), MTS_ERR_ARGUMENT, "found -1");
    assert_fails(ADD("x", 2, huge, scalar), MTS_ERR_ARGUMENT, "overflows");
    assert_fails(ADD("x", 1, wide, scalar), MTS_ERR_ARGUMENT, "bytes overflows");
    assert_fails(ADD("x", 1, one, NULL), MTS_ERR_ARGUMENT, "has no data");
    assert_ok(ADD("twice", 8, one, scalar));
    assert_ok(ADD("once", 0, NULL, scalar));
    assert_ok(safetensors_writer_add(w, "twice", ST_DTYPE_I8, 0, NULL, bytes3));
    assert_fails(safetensors_writer_commit(w), MTS_ERR_ARGUMENT, "twice is declared twice");
#undef ADD
    safetensors_writer_close(w);
    assert_false(file_exists(folder_at("w")));
}

/* ------------------------------------------------------------------------- conversions ---- */

/* value of a finite float16 by its definition, in double */
static double half_value(uint32_t h)
{
    int exponent = (int)(h >> 10 & 31);
    double mantissa = h & 1023, sign = h >> 15 ? -1 : 1;
    return sign * (exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25));
}

/* All 65536 bit patterns behind one odd byte; a tensor of all those from `first` to `last`. */
static st_tensor half_tensor(file_reader *source, st_dtype dtype, uint32_t first, uint32_t last)
{
    uint8_t bytes[1 + 2 * 65536] = {0};
    if (source->path == NULL) {
        for (uint32_t h = 0; h < 65536; h++) {
            bytes[1 + 2 * h] = (uint8_t)h;
            bytes[2 + 2 * h] = (uint8_t)(h >> 8);
        }
        folder_put("halves", bytes, sizeof bytes);
        assert_ok(file_reader_open(&ctx, folder_at("halves"), source));
    }
    return (st_tensor){.name = "t",
                       .file = "f",
                       .dtype = dtype,
                       .count = (int64_t)(last - first) + 1,
                       .bytes = 2 * (size_t)(last - first + 1),
                       .source = source,
                       .offset = 1 + 2 * (uint64_t)first};
}

static float bf16_value(uint32_t h)
{
    const uint32_t bits = h << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void converts_every_half_exactly(void **state)
{
    (void)state;
    file_reader source = {0};
    float one, *all = test_malloc(65536 * sizeof *all);
    for (uint32_t h = 0; h < 65536; h++) {
        st_tensor t = half_tensor(&source, ST_DTYPE_F16, h, h);
        const mts_status a = safetensors_read_f32(&ctx, &t, &one, 1);
        assert_int_equal(a, (h & 0x7c00) == 0x7c00 ? MTS_ERR_BAD_FILE : MTS_OK);
        if (a == MTS_OK)
            assert_true((double)one == half_value(h) && !signbit(one) == !(h >> 15));
        t.dtype = ST_DTYPE_BF16;
        const mts_status b = safetensors_read_f32(&ctx, &t, &one, 1);
        const float expected = bf16_value(h);
        assert_int_equal(b, isfinite(expected) ? MTS_OK : MTS_ERR_BAD_FILE);
        if (b == MTS_OK)
            assert_memory_equal(&one, &expected, sizeof one);
    }
    /* many at once, from 0 and from -0 to the last finite one */
    for (uint32_t sign = 0; sign < 65536; sign += 32768) {
        st_tensor t = half_tensor(&source, ST_DTYPE_F16, sign, sign + 0x7bff);
        assert_ok(safetensors_read_f32(&ctx, &t, all, t.count));
        for (uint32_t i = 0; i < 0x7c00; i++)
            assert_true((double)all[i] == half_value(sign + i));
        t = half_tensor(&source, ST_DTYPE_BF16, sign, sign + 0x7f7f);
        assert_ok(safetensors_read_f32(&ctx, &t, all, t.count));
        for (uint32_t i = 0; i < 0x7f80; i++)
            assert_true(all[i] == bf16_value(sign + i));
    }
    file_reader_close(&source);
    test_free(all);
}

static void read_f32_checks(void **state)
{
    (void)state;
    float bad[] = {0, NAN, 1, 0, -INFINITY, 1, 0, -1e-45f, 1}, out[3];
    file_reader source;
    st_tensor t = {.name = "t", .file = "f", .dtype = ST_DTYPE_F32, .count = 3, .bytes = 12};
    folder_put("bad", bad, sizeof bad);
    assert_ok(file_reader_open(&ctx, folder_at("bad"), &source));
    t.source = &source;
    assert_fails(safetensors_read_f32(&ctx, &t, out, 3), MTS_ERR_BAD_FILE, "element 1 is NaN");
    t.offset = 12;
    assert_fails(safetensors_read_f32(&ctx, &t, out, 3), MTS_ERR_BAD_FILE, "element 1 is NaN");
    t.offset = 24;
    assert_ok(safetensors_read_f32(&ctx, &t, out, 3));
    assert_memory_equal(out, bad + 6, sizeof out);
    assert_fails(safetensors_read_f32(&ctx, &t, out, 2), MTS_ERR_ARGUMENT, "expected 2 elements");
    t.dtype = ST_DTYPE_I32;
    assert_fails(safetensors_read_f32(&ctx, &t, out, 3), MTS_ERR_UNSUPPORTED, "found I32");
    assert_fails(safetensors_read_raw(&ctx, &t, ST_DTYPE_I8, out, 12), MTS_ERR_BAD_FILE,
                 "expected 12 bytes of I8, found 12 of I32");
    assert_fails(safetensors_read_raw(&ctx, &t, ST_DTYPE_I32, out, 8), MTS_ERR_BAD_FILE,
                 "expected 8 bytes");
    file_reader_close(&source);
}

/* A file that others cut while it is open: an error, where a mapping would fault. */
static void read_of_a_file_cut_meanwhile(void **state)
{
    (void)state;
    safetensors *file = NULL;
    float out[6];
    folder_put("g", golden, sizeof golden);
    assert_ok(safetensors_open_file(&ctx, folder_at("g"), &file));
    const st_tensor *t = safetensors_find(file, "embeddings.weight");
    assert_ok(safetensors_read_f32(&ctx, t, out, 6));
    assert_int_equal(truncate(folder_at("g"), 300), 0);
    assert_fails(safetensors_read_f32(&ctx, t, out, 6), MTS_ERR_IO, "g: was cut while it was read");
    assert_fails(safetensors_read_raw(&ctx, t, t->dtype, out, t->bytes), MTS_ERR_IO, "was cut");
    safetensors_close(file);
}

static void requires_shapes(void **state)
{
    (void)state;
    safetensors *file = NULL;
    const st_tensor *t = NULL;
    const int64_t right[] = {2, 3}, wrong[] = {3, 2}, longer[] = {2, 4};
    folder_put("g", golden, sizeof golden);
    assert_ok(safetensors_open_file(&ctx, folder_at("g"), &file));
    assert_ok(safetensors_require(&ctx, file, "embeddings.weight", 2, right, &t));
    assert_ptr_equal(t, safetensors_find(file, "embeddings.weight"));
    assert_ok(safetensors_require(&ctx, file, "scalar", 0, NULL, &t));
    assert_fails(safetensors_require(&ctx, file, "embeddings.weight", 2, wrong, &t),
                 MTS_ERR_BAD_FILE, "expected shape [3, 2], found [2, 3]");
    assert_fails(safetensors_require(&ctx, file, "embeddings.weight", 2, longer, &t),
                 MTS_ERR_BAD_FILE, "expected shape [2, 4], found [2, 3]");
    assert_fails(safetensors_require(&ctx, file, "embeddings.weight", 1, right, &t),
                 MTS_ERR_BAD_FILE, "expected shape [2], found [2, 3]");
    assert_fails(safetensors_require(&ctx, file, "gone", 1, right, &t), MTS_ERR_BAD_FILE,
                 "tensor gone: expected, but absent");
    safetensors_close(file);
}

/* ------------------------------------------------------------------------ what is broken ---- */

#define F32(name, shape, begin, end)                                                               \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const struct {
    const char *header;
    size_t data;
    mts_status status;
    const char *text;
} broken[] = {
    {"{" F32("a", "[1]", "0", "4") "} x", 4, MTS_ERR_BAD_FILE, "end of file expected"},
    {" {}", 0, MTS_ERR_BAD_FILE, "expected to begin with '{'"},
    {"[]", 0, MTS_ERR_BAD_FILE, "expected to begin with '{'"},
    {"{", 0, MTS_ERR_BAD_FILE, "f:1:1"},
    {"{\"a\xff\":{}}", 0, MTS_ERR_BAD_FILE, "unable to decode byte 0xff"},
    {"{\"a\\u0000b\":{}}", 0, MTS_ERR_BAD_FILE, "\\u0000"},
    {"{\"a\\nb\":{}}", 0, MTS_ERR_BAD_FILE, "name of a tensor holds control characters"},
    {"{" F32("a", "[1]", "0", "4") "," F32("a", "[1]", "0", "4") "}", 4, MTS_ERR_BAD_FILE,
     "duplicate object key"},
    {"{\"__metadata__\":[]}", 0, MTS_ERR_BAD_FILE,
     "__metadata__: expected an object, found an arr"},
    {"{\"__metadata__\":{\"a\":1}}", 0, MTS_ERR_BAD_FILE,
     "expected only strings, found an integer"},
    {"{\"a\":3}", 0, MTS_ERR_BAD_FILE, "tensor a: expected an object, found an integer"},
    {"{\"a\":{}}", 0, MTS_ERR_BAD_FILE, "dtype: expected a string, found nothing"},
    {"{\"a\":{\"dtype\":\"F8_E4M3\"}}", 0, MTS_ERR_UNSUPPORTED, "dtype \"F8_E4M3\" is not known"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":3}}", 0, MTS_ERR_BAD_FILE,
     "expected an array, found an i"},
    {"{" F32("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, MTS_ERR_UNSUPPORTED, "found 9"},
    {"{" F32("a", "[-1]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "from 0, found a negative one"},
    {"{" F32("a", "[1.0]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "from 0, found a real"},
    {"{" F32("a", "[4294967296,4294967296]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "shape overflows"},
    {"{" F32("a", "[4294967296,1073741824]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "bytes overflows"},
    {"{" F32("a", "[9223372036854775808]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "too big integer"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[]}}", 1, MTS_ERR_BAD_FILE, "data_offsets: expected two"},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[0]}}", 1, MTS_ERR_BAD_FILE,
     "two int"},
    {"{" F32("a", "[1]", "\"0\"", "4") "}", 4, MTS_ERR_BAD_FILE, "expected two integers"},
    {"{" F32("a", "[1]", "-4", "0") "}", 4, MTS_ERR_BAD_FILE, "0 <= begin <= end, found -4 and 0"},
    {"{" F32("a", "[1]", "4", "0") "}", 4, MTS_ERR_BAD_FILE, "0 <= begin <= end, found 4 and 0"},
    {"{" F32("a", "[2]", "0", "8") "}", 7, MTS_ERR_BAD_FILE,
     "ends at byte 8 of the data, which ha"},
    {"{" F32("a", "[2]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "needs 8 bytes, data_offsets span 4"},
    {"{" F32("a", "[0]", "0", "4") "}", 4, MTS_ERR_BAD_FILE, "needs 0 bytes, data_offsets span 4"},
    {"{" F32("a", "[2]", "0", "8") "," F32("b", "[1]", "4", "8") "}", 8, MTS_ERR_BAD_FILE,
     "tensor b overlaps tensor a"},
    {"{" F32("b", "[1]", "0", "4") "," F32("a", "[1]", "0", "4") "}", 4, MTS_ERR_BAD_FILE,
     "overlaps tensor"},
    {"{" F32("b", "[1]", "8", "12") "," F32("a", "[1]", "0", "4") "}", 12, MTS_ERR_BAD_FILE,
     "a hole of 4 bytes before tensor b"},
    {"{" F32("a", "[1]", "4", "8") "}", 8, MTS_ERR_BAD_FILE, "a hole of 4 bytes before tensor a"},
    {"{" F32("a", "[1]", "0", "4") "}", 5, MTS_ERR_BAD_FILE, "1 bytes after the last tensor"},
    {"{}", 1, MTS_ERR_BAD_FILE, "1 bytes after the last tensor"},
};

static void refuses_broken_headers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        safetensors *file = NULL;
        put_header("f", broken[i].header, broken[i].data);
        assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), broken[i].status,
                     broken[i].text);
        assert_null(file);
        assert_non_null(strstr(ctx.error, folder_at("f")));
    }
}

static void refuses_broken_lengths(void **state)
{
    (void)state;
    safetensors *file = NULL;
    folder_put("f", "", 0);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE,
                 "8 bytes, found 0");
    folder_put("f", "\1\0\0\0\0\0\0", 7);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE,
                 "8 bytes, found 7");
    put_parts("f", 0, "{}", 2, 0);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE,
                 "begin with");
    put_parts("f", 3, "{}", 2, 0);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE,
                 "is cut: the file");
    put_parts("f", UINT64_MAX, "{}", 2, 0);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE,
                 "at most 100000000 bytes, found 18446744073709551615");
    put_parts("f", 100000001, "{}", 2, 0);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE,
                 "found 100000001");
    put_parts("f", 3, "{\0}", 3, 0);
    assert_fails(safetensors_open_file(&ctx, folder_at("f"), &file), MTS_ERR_BAD_FILE, "f:1:");
    assert_fails(safetensors_open_file(&ctx, folder_at("none"), &file), MTS_ERR_NOT_FOUND, "none");
    put_parts("f", 8, "{}      ", 8, 0);
    assert_ok(safetensors_open_file(&ctx, folder_at("f"), &file));
    safetensors_close(file);
}

/* ------------------------------------------------------------------------------- folders ---- */

static void put_index(const char *weight_map)
{
    char text[1024];
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":8},\"weight_map\":%s}", weight_map);
    folder_put("model.safetensors.index.json", text, strlen(text));
}

static void opens_shards(void **state)
{
    (void)state;
    safetensors *file = NULL;
    put_header("m-1.safetensors", "{" F32("a", "[1]", "0", "4") "}", 4);
    put_header("m-2.safetensors", "{" F32("c", "[2]", "4", "12") "," F32("b", "[1]", "0", "4") "}",
               12);
    put_index("{\"c\":\"m-2.safetensors\",\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}");
    assert_ok(safetensors_open_dir(&ctx, folder_root(), &file));
    assert_int_equal(safetensors_count(file), 3);
    assert_int_equal(safetensors_find(file, "c")->bytes, 8);
    assert_string_equal(safetensors_find(file, "a")->file, folder_at("m-1.safetensors"));
    assert_string_equal(safetensors_find(file, "b")->file, folder_at("m-2.safetensors"));
    safetensors_close(file);
    put_header("model.safetensors", "{" F32("only", "[1]", "0", "4") "}", 4);
    assert_ok(
        safetensors_open_dir(&ctx, folder_root(), &file)); /* a single file goes before an index */
    assert_int_equal(safetensors_count(file), 1);
    safetensors_close(file);
}

static void refuses_broken_folders(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "weight_map: expected an object that is not empty"},
        {"[1]", "weight_map: expected an object that is not empty, found an array"},
        {"{\"a\":1}", "weight_map: expected file names, found an integer"},
        {"{\"a\":\"/etc/passwd\"}", "a shard must be a file name"},
        {"{\"a\":\"../m-1.safetensors\"}", "a shard must be a file name"},
        {"{\"a\":\"..\"}", "a shard must be a file name"},
        {"{\"a\":\"sub/m-1.safetensors\"}", "a shard must be a file name"},
        {"{\"a\":\"sub\\\\m-1.safetensors\"}", "a shard must be a file name"},
        {"{\"a\":\"m\\n-1.safetensors\"}", "a shard must be a file name"},
        {"{\"a\":\".m-1.safetensors\"}", "a shard must be a file name"},
        {"{\"a\":\"m..1.safetensors\"}", "a shard must be a file name"},
        {"{\"a\":\"\"}", "a shard must be a file name"},
        {"{\"a\":\"m-1.safetensors\",\"a\":\"m-1.safetensors\"}", "duplicate object key"},
        {"{\"a\":\"m-1.safetensors\",\"z\":\"m-1.safetensors\"}", "m-1.safetensors is not there"},
        {"{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\"}", "is not there: "},
        {"{\"a\":\"m-1.safetensors\",\"b\":\"m-3.safetensors\"}", "tensor a is both in"},
    };
    safetensors *file = NULL;
    put_header("m-1.safetensors", "{" F32("a", "[1]", "0", "4") "}", 4);
    put_header("m-2.safetensors", "{" F32("b", "[1]", "0", "4") "}", 4);
    put_header("m-3.safetensors", "{" F32("b", "[1]", "0", "4") "," F32("a", "[1]", "4", "8") "}",
               8);
    assert_fails(safetensors_open_dir(&ctx, folder_root(), &file), MTS_ERR_NOT_FOUND, "neither");
    assert_fails(safetensors_open_dir(&ctx, folder_at("x"), &file), MTS_ERR_NOT_FOUND,
                 "no such folder");
    folder_put("pytorch_model.bin", "x", 1);
    assert_fails(safetensors_open_dir(&ctx, folder_root(), &file), MTS_ERR_UNSUPPORTED,
                 "only safetensors");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_index(cases[i][0]);
        assert_fails(safetensors_open_dir(&ctx, folder_root(), &file), MTS_ERR_BAD_FILE,
                     cases[i][1]);
        assert_null(file);
    }
    put_index("{\"a\":\"m-9.safetensors\"}");
    assert_fails(safetensors_open_dir(&ctx, folder_root(), &file), MTS_ERR_NOT_FOUND,
                 "m-9.safetensors");
    folder_put("model.safetensors.index.json", "[]", 2);
    assert_fails(safetensors_open_dir(&ctx, folder_root(), &file), MTS_ERR_BAD_FILE,
                 "expected an object");
}

/* Every tensor of a real model is finite, and writing it all gives a file that reads the same. */
static void copies_a_real_model(void **state)
{
    (void)state;
    const char *dir = getenv("MANTISSA_TEST_MODEL");
    safetensors *file = NULL, *copy = NULL;
    safetensors_writer *w = NULL;
    if (dir == NULL) {
        print_message("skipped: MANTISSA_TEST_MODEL does not name a model folder\n");
        skip();
    }
    assert_ok(safetensors_open_dir(&ctx, dir, &file));
    assert_ok(safetensors_writer_open(&ctx, folder_at("model.safetensors"), &w));
    void **data = test_calloc(safetensors_count(file), sizeof *data);
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const st_tensor *t = safetensors_at(file, i);
        data[i] = test_malloc(t->bytes + 1);
        assert_ok(safetensors_read_raw(&ctx, t, t->dtype, data[i], t->bytes));
        assert_ok(safetensors_writer_add(w, t->name, t->dtype, t->ndim, t->shape, data[i]));
    }
    assert_ok(safetensors_writer_commit(w));
    safetensors_writer_close(w);
    assert_ok(safetensors_open_dir(&ctx, folder_root(), &copy));
    assert_int_equal(safetensors_count(copy), safetensors_count(file));
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const st_tensor *a = safetensors_at(file, i), *b = safetensors_at(copy, i);
        assert_string_equal(a->name, b->name);
        assert_int_equal(a->bytes, b->bytes);
        void *raw = test_malloc(b->bytes + 1);
        assert_ok(safetensors_read_raw(&ctx, b, a->dtype, raw, b->bytes));
        assert_int_equal(memcmp(data[i], raw, a->bytes), 0);
        test_free(raw);
        test_free(data[i]);
        if (b->dtype == ST_DTYPE_F32) {
            float *values = test_malloc(b->bytes);
            assert_ok(safetensors_read_f32(&ctx, b, values, b->count));
            test_free(values);
        }
    }
    test_free(data);
    safetensors_close(file);
    safetensors_close(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_the_librarys_file, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(writes_the_librarys_bytes, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(writes_an_empty_file, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(writer_refuses, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(converts_every_half_exactly, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(read_f32_checks, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(read_of_a_file_cut_meanwhile, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(requires_shapes, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_broken_headers, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_broken_lengths, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(opens_shards, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_broken_folders, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(copies_a_real_model, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
