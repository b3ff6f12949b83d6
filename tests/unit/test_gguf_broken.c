/*
 * io/gguf: a file that breaks a rule of the format is refused, with the rule's own text.
 */
#include "support/gguf_bytes.h"
#include "support/test_folder.h"

#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "io/gguf.h"

static mts_ctx ctx;
static gguf_bytes b;

/* Open what b holds. */
static mts_status open_bytes(gguf **file)
{
    folder_put("f.gguf", b.data, b.size);
    return gguf_open(&ctx, folder_at("f.gguf"), file);
}

/* b is refused, with the path and `text` in the error. */
static void refused(mts_status status, const char *text)
{
    gguf *file = (gguf *)&b;
    assert_fails(open_bytes(&file), status, text);
    assert_null(file);
    assert_non_null(strstr(ctx.error, folder_at("f.gguf")));
}

static void refuses_broken_starts(void **state)
{
    (void)state;
    gguf *file = NULL;
    b.size = 0;
    refused(MTS_ERR_BAD_FILE, "expected a GGUF file of at least 24 bytes, found 0");
    gguf_put_bytes(&b, "GGU", 3);
    refused(MTS_ERR_BAD_FILE, "found 3");
    gguf_put_bytes(&b, "F", 1);
    refused(MTS_ERR_BAD_FILE, "header: expected 4 more bytes at byte 4");
    memcpy(b.data, "lmgg", 4);
    refused(MTS_ERR_BAD_FILE, "begins with \"GGUF\", found \"lmgg\"");
    memcpy(b.data, "\n\x01\xff ", 4);
    refused(MTS_ERR_BAD_FILE, "found \"  ? \"");
    gguf_start(&b, 1, 0, 0);
    refused(MTS_ERR_UNSUPPORTED, "expected GGUF version 2 or 3, found 1");
    gguf_start(&b, 4, 0, 0);
    refused(MTS_ERR_UNSUPPORTED, "found 4");
    gguf_start(&b, 0, 0, 0);
    refused(MTS_ERR_UNSUPPORTED, "found 0");
    gguf_start(&b, 0x03000000, 0, 0);
    refused(MTS_ERR_UNSUPPORTED, "expected a little-endian GGUF file, found a big-endian one");
    gguf_start(&b, 3, 0, 0);
    for (b.size = 23; b.size > 8; b.size--)
        refused(MTS_ERR_BAD_FILE, "header: expected 8 more bytes");
    b.size = 0;
    gguf_put_bytes(&b, "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 98\n",
                   67);
    refused(MTS_ERR_BAD_FILE, "this is a Git LFS pointer, not the file itself of 98 bytes");
    assert_fails(gguf_open(&ctx, folder_root(), &file), MTS_ERR_IO,
                 "expected a regular file, found a folder");
    assert_fails(gguf_open(&ctx, folder_at("none"), &file), MTS_ERR_NOT_FOUND, "none: cannot open");
}

/* What a file claims is compared with its size before memory is taken for it. */
static void refuses_absurd_counts(void **state)
{
    (void)state;
    gguf *file = NULL;
    static const uint64_t counts[] = {UINT64_C(1) << 40, UINT64_MAX, INT64_MAX, 6};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        gguf_start(&b, 3, 0, counts[i]);
        gguf_pad(&b, 100);
        folder_put("f.gguf", b.data, b.size);
        mem_fail_after(3); /* the reader, its path, the start of the file; and nothing more */
        const mts_status st = gguf_open(&ctx, folder_at("f.gguf"), &file);
        assert_true(mem_fail_after(-1) <= 3);
        assert_int_equal(st, MTS_ERR_BAD_FILE);
        assert_non_null(strstr(ctx.error, "keys do not fit in the 76 bytes that are left"));
        gguf_start(&b, 3, counts[i], 0);
        gguf_pad(&b, 100);
        refused(MTS_ERR_BAD_FILE, "tensors do not fit in the 76 bytes that are left");
        gguf_start(&b, 3, 0, 1);
        gguf_put_array(&b, "a", GGUF_KIND_U32, counts[i]);
        gguf_put_int(&b, 0, 8);
        refused(MTS_ERR_BAD_FILE, "elements of type u32 do not fit in the 8 bytes that are left");
        gguf_start(&b, 3, 0, 1);
        gguf_put_array(&b, "a", GGUF_KIND_TEXT, counts[i]);
        gguf_put_int(&b, 0, 8);
        refused(MTS_ERR_BAD_FILE, "key a: ");
        gguf_start(&b, 3, 0, 1);
        gguf_put_key(&b, "a", GGUF_KIND_TEXT);
        gguf_put_int(&b, counts[i], 8);
        refused(MTS_ERR_BAD_FILE, "key a: expected ");
    }
}

static void refuses_broken_keys(void **state)
{
    (void)state;
    gguf_start(&b, 3, 0, 1);
    gguf_put_key(&b, "", GGUF_KIND_U32);
    gguf_put_int(&b, 0, 8);
    refused(MTS_ERR_BAD_FILE, "key 1 of 1: expected a name of 1 to 65535 bytes, found 0");
    gguf_start(&b, 3, 0, 1);
    gguf_put_int(&b, 65536, 8);
    gguf_pad(&b, 64);
    refused(MTS_ERR_BAD_FILE, "found 65536");
    gguf_start(&b, 3, 0, 1);
    gguf_put_int(&b, 60, 8);
    gguf_pad(&b, 64);
    refused(MTS_ERR_BAD_FILE,
            "key 1 of 1: expected 60 more bytes at byte 32, found 32: cut or damaged");
    gguf_start(&b, 3, 0, 1);
    gguf_put_u32(&b, "a\xff", 0);
    refused(MTS_ERR_BAD_FILE, "expected a name in UTF-8, found another byte at 1 of it");
    gguf_start(&b, 3, 0, 1);
    gguf_put_u32(&b, "a\nb", 0);
    refused(MTS_ERR_BAD_FILE, "the name holds control characters");
    gguf_start(&b, 3, 0, 1);
    gguf_put_int(&b, 2, 8);
    gguf_put_bytes(&b, "a\0", 2);
    gguf_pad(&b, 64);
    refused(MTS_ERR_BAD_FILE, "the name holds control characters");
    gguf_start(&b, 3, 0, 2);
    gguf_put_u32(&b, "a", 0);
    gguf_put_u32(&b, "a", 1);
    refused(MTS_ERR_BAD_FILE, "key a occurs twice");
    gguf_start(&b, 3, 0, 1);
    gguf_put_key(&b, "a", (gguf_kind)13);
    gguf_put_int(&b, 0, 8);
    refused(MTS_ERR_UNSUPPORTED, "key a: value type 13 is not known");
    gguf_start(&b, 3, 0, 1);
    gguf_put_array(&b, "a", (gguf_kind)0x10000000, 0);
    refused(MTS_ERR_UNSUPPORTED, "key a: value type 268435456 is not known");
    gguf_start(&b, 3, 0, 1);
    gguf_put_array(&b, "a", GGUF_KIND_ARRAY, 0);
    refused(MTS_ERR_UNSUPPORTED, "key a: an array of arrays is not supported");
    gguf_start(&b, 3, 0, 1);
    gguf_put_key(&b, "a", GGUF_KIND_BOOL);
    gguf_put_int(&b, 2, 1);
    refused(MTS_ERR_BAD_FILE, "key a: expected a bool of 0 or 1, found 2");
    gguf_start(&b, 3, 0, 1);
    gguf_put_array(&b, "a", GGUF_KIND_BOOL, 2);
    gguf_put_int(&b, 0xff00, 2);
    refused(MTS_ERR_BAD_FILE, "key a: expected a bool of 0 or 1, found 255");
    gguf_start(&b, 3, 0, 2);
    gguf_put_u32(&b, "first", 0);
    gguf_put_key(&b, "second.of.them", GGUF_KIND_F64);
    gguf_put_int(&b, 0, 4);
    refused(MTS_ERR_BAD_FILE, "key second.of.them: expected 8 more bytes at byte 71, found 4: cut");
}

static void refuses_alignments(void **state)
{
    (void)state;
    static const struct {
        uint32_t value;
        const char *text;
    } cases[] = {{0, "expected an integer 1..2147483648, found 0"},
                 {24, "general.alignment: expected a power of two, found 24"},
                 {3, "expected a power of two, found 3"},
                 {UINT32_MAX, "found 4294967295"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gguf_start(&b, 3, 0, 1);
        gguf_put_u32(&b, "general.alignment", cases[i].value);
        refused(MTS_ERR_BAD_FILE, cases[i].text);
    }
    gguf_start(&b, 3, 0, 1);
    gguf_put_name(&b, "general.alignment", "32");
    refused(MTS_ERR_BAD_FILE, "expected an integer 1..2147483648, found a text");
    gguf_start(&b, 3, 1, 1);
    gguf_put_u32(&b, "general.alignment", UINT32_C(1) << 31);
    gguf_put_tensor(&b, "t", 1, 0, GGUF_F32, 0);
    gguf_put_int(&b, 0, 4);
    refused(MTS_ERR_BAD_FILE, "tensor t: expected 4 bytes from byte 2147483648 on");
}

/* A file with one tensor of this description, and 64 bytes of data. */
static void start_tensor(uint32_t ndim, const uint64_t *ne, uint32_t type, uint64_t offset)
{
    gguf_start(&b, 3, 1, 0);
    gguf_put_text(&b, "t");
    gguf_put_int(&b, ndim, 4);
    for (uint32_t i = 0; i < ndim; i++)
        gguf_put_int(&b, ne[i], 8);
    gguf_put_int(&b, type, 4);
    gguf_put_int(&b, offset, 8);
    gguf_pad(&b, 32);
    for (int i = 0; i < 64; i++)
        gguf_put_int(&b, 0, 1);
}

static void refuses_broken_tensors(void **state)
{
    (void)state;
    const uint64_t big = UINT64_C(1) << 32;
    static const struct {
        uint32_t ndim;
        uint64_t ne[5];
        uint32_t type;
        uint64_t offset;
        mts_status status;
        const char *text;
    } cases[] = {
        {5,
         {1, 1, 1, 1, 1},
         0,
         0,
         MTS_ERR_UNSUPPORTED,
         "t: expected at most 4 dimensions, found 5"},
        {2, {1, 0}, 0, 0, MTS_ERR_BAD_FILE, "tensor t: expected dimensions from 1, found 0"},
        {1, {0}, 0, 0, MTS_ERR_BAD_FILE, "tensor t: expected dimensions from 1, found 0"},
        {1, {UINT64_MAX}, 0, 0, MTS_ERR_BAD_FILE, "from 1, found 18446744073709551615"},
        {1, {INT64_MAX}, 0, 0, MTS_ERR_BAD_FILE, "tensor t: its size overflows"},
        {1, {1}, 42, 0, MTS_ERR_UNSUPPORTED, "tensor t: element type 42 is not known"},
        {1, {1}, UINT32_MAX, 0, MTS_ERR_UNSUPPORTED, "type 4294967295 is not known"},
        {1, {32}, 4, 0, MTS_ERR_UNSUPPORTED, "element type Q4_2 was taken out of the format"},
        {1, {32}, 31, 0, MTS_ERR_UNSUPPORTED, "element type Q4_0_4_4 was taken out"},
        {2,
         {48, 2},
         GGUF_Q4_0,
         0,
         MTS_ERR_BAD_FILE,
         "whole blocks of 32 elements (Q4_0), found 48"},
        {1, {128}, GGUF_Q6_K, 0, MTS_ERR_BAD_FILE, "blocks of 256 elements (Q6_K), found 128"},
        {1, {8}, 0, 4, MTS_ERR_BAD_FILE, "an offset that is a multiple of 32, found 4"},
        {1, {8}, 0, 32, MTS_ERR_BAD_FILE, "expected to begin at byte 0 of the data, behind the on"},
        {1,
         {17},
         0,
         0,
         MTS_ERR_BAD_FILE,
         "tensor t: expected 68 bytes from byte 64 on, found a file of 128 bytes: cut or damaged"},
        {1, {INT64_MAX / 8}, 0, 0, MTS_ERR_BAD_FILE, "4611686018427387900 bytes from byte 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        start_tensor(cases[i].ndim, cases[i].ne, cases[i].type, cases[i].offset);
        refused(cases[i].status, cases[i].text);
    }
    start_tensor(3, (const uint64_t[]){1, big, big}, 0, 0);
    refused(MTS_ERR_BAD_FILE, "tensor t: its shape overflows");
    start_tensor(3, (const uint64_t[]){big, big, 1}, 0, 0);
    refused(MTS_ERR_BAD_FILE, "tensor t: its size overflows");
    gguf_start(&b, 3, 2, 0);
    gguf_put_tensor(&b, "t", 8, 0, GGUF_F32, 0);
    gguf_put_tensor(&b, "t", 8, 0, GGUF_F32, 32);
    gguf_pad(&b, 32);
    b.size += 64;
    refused(MTS_ERR_BAD_FILE, "tensor t occurs twice");
    gguf_start(&b, 3, 2, 0);
    gguf_put_tensor(&b, "t", 16, 0, GGUF_F32, 0);
    gguf_put_tensor(&b, "u", 8, 0, GGUF_F32, 32);
    gguf_pad(&b, 32);
    b.size += 96;
    refused(MTS_ERR_BAD_FILE, "tensor u: expected to begin at byte 64 of the data, behind the one "
                              "before, found 32");
    gguf_start(&b, 3, 1, 0);
    gguf_put_tensor(&b, "\xc3", 8, 0, GGUF_F32, 0);
    gguf_pad(&b, 128);
    refused(MTS_ERR_BAD_FILE, "tensor 1 of 1: expected a name in UTF-8");
}

/* Cut anywhere, the file is refused, and what is behind the last tensor is of no interest. */
static void refuses_every_cut(void **state)
{
    (void)state;
    gguf *file = NULL;
    gguf_make_valid(&b, 3);
    gguf_pad(&b, 32);
    gguf_put_int(&b, 0, 8);
    assert_ok(open_bytes(&file));
    const gguf_tensor *last = gguf_find_tensor(file, "t.Q6_K");
    const uint64_t end = last->offset + last->bytes;
    gguf_close(file);
    assert_int_equal(truncate(folder_at("f.gguf"), (off_t)end), 0);
    assert_ok(gguf_open(&ctx, folder_at("f.gguf"), &file));
    gguf_close(file);
    for (uint64_t size = end; size-- > 0;) {
        assert_int_equal(truncate(folder_at("f.gguf"), (off_t)size), 0);
        assert_fails(gguf_open(&ctx, folder_at("f.gguf"), &file), MTS_ERR_BAD_FILE,
                     size < 4 ? "expected a GGUF file of at least" : "cut or damaged");
    }
}

/* A sparse file of 300 MB that claims a text of nearly as much: refused, and not read. */
static void refuses_a_huge_header(void **state)
{
    (void)state;
    gguf *file = NULL;
    gguf_start(&b, 3, 0, 1);
    gguf_put_key(&b, "a", GGUF_KIND_TEXT);
    gguf_put_int(&b, 290000000, 8);
    folder_put("f.gguf", b.data, b.size);
    assert_int_equal(truncate(folder_at("f.gguf"), 300000000), 0);
    assert_fails(gguf_open(&ctx, folder_at("f.gguf"), &file), MTS_ERR_UNSUPPORTED,
                 "key a: expected at most 268435456 bytes before the tensors' data");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(refuses_broken_starts), TEST(refuses_absurd_counts),  TEST(refuses_broken_keys),
        TEST(refuses_alignments),    TEST(refuses_broken_tensors), TEST(refuses_every_cut),
        TEST(refuses_a_huge_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
