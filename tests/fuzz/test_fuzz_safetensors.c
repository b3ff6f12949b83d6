/*
 * io/safetensors under mutation: whatever the bytes, opening gives an error or tensors that can be
 * read to the last byte (run under AddressSanitizer); whatever allocation fails, nothing leaks.
 * The seed is printed; MANTISSA_TEST_SEED sets it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "base/rng.h"
#include "io/safetensors.h"

enum { FILE_MAX = 4096, LENGTH_BYTES = 8, MUTATIONS = 20000 };

static mts_ctx ctx;
static char folder[64], target[128];
static uint8_t valid[FILE_MAX];
static size_t valid_bytes;
static uint64_t seed = 20240229;
static uint32_t draws;
static int accepted, refused;

static uint32_t draw(uint32_t below)
{
    rng_key key = rng_make_key(seed, 0, 0, RNG_INIT);
    return rng_draw(key, draws++) % below;
}

/* ----------------------------------------------------------------------- failing memory ---- */

/* Run call with the n-th allocation failing, n = 0, 1, ..., until it succeeds: first ours, then
 * jansson's.  Every failure must be told, as what it is. */
static void fail_each_allocation(mts_status (*call)(void), int at_least)
{
    for (int jansson = 0; jansson < 2; jansson++) {
        int64_t n = 0;
        mts_status st = MTS_ERR_MEMORY;
        for (; st != MTS_OK; n++) {
            assert_true(n < 10000);
            ctx.error[0] = '\0';
            mem_fail_after(jansson ? -1 : n);
            json_memory_fail_after(jansson ? n : -1);
            st = call();
            const int64_t ours = mem_fail_after(-1), theirs = json_memory_fail_after(-1);
            const bool failed = (jansson ? theirs : ours) > n;
            if (st != (failed ? MTS_ERR_MEMORY : MTS_OK))
                fail_msg("allocation %d gave %s: %s", (int)n, mts_status_name(st), ctx.error);
            assert_true(st == MTS_OK || strstr(ctx.error, "out of memory") != NULL);
        }
        assert_true(n > at_least);
    }
}

/* ----------------------------------------------------------------------------- mutation ---- */

/* Write bytes over the target file (no fsync: this is done ten thousands of times). */
static void put(const char *path, const uint8_t *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    assert_int_equal(close(fd), 0);
}

/* Use all of an opened file. */
static void exercise(const safetensors *file)
{
    for (size_t i = 0; i < safetensors_count(file); i++) {
        uint8_t raw[FILE_MAX];
        float values[FILE_MAX / 2];
        const st_tensor *t = safetensors_at(file, i);
        assert_ptr_equal(safetensors_find(file, t->name), t);
        assert_true(t->bytes <= FILE_MAX);
        assert_int_equal(t->bytes, (size_t)t->count * safetensors_dtype_size(t->dtype));
        assert_int_equal(safetensors_read_raw(&ctx, t, t->dtype, raw, t->bytes), MTS_OK);
        if (t->count <= FILE_MAX / 2) {
            mts_status st = safetensors_read_f32(&ctx, t, values, t->count);
            assert_true(st == MTS_OK || st == MTS_ERR_UNSUPPORTED || st == MTS_ERR_BAD_FILE);
        }
    }
}

static void try_bytes(const uint8_t *data, size_t bytes)
{
    safetensors *file = NULL;
    put(target, data, bytes);
    ctx.error[0] = '\0';
    mts_status st = safetensors_open_file(&ctx, target, &file);
    if (st == MTS_OK) {
        exercise(file);
        accepted++;
    } else {
        assert_true(st == MTS_ERR_BAD_FILE || st == MTS_ERR_UNSUPPORTED);
        assert_null(file);
        assert_true(ctx.error[0] != '\0' && strchr(ctx.error, '\n') == NULL);
        refused++;
    }
    safetensors_close(file);
}

static void truncations(void **state)
{
    (void)state;
    accepted = refused = 0;
    for (size_t n = 0; n <= valid_bytes; n++)
        try_bytes(valid, n);
    assert_int_equal(accepted, 1);
    assert_int_equal(refused, valid_bytes);
}

static void bit_flips(void **state)
{
    (void)state;
    uint8_t data[FILE_MAX];
    accepted = refused = 0;
    memcpy(data, valid, valid_bytes);
    for (size_t bit = 0; bit < 8 * valid_bytes; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        try_bytes(data, valid_bytes);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(accepted > 100 && refused > 1000); /* data and names may change; the rest not */
}

static void length_fields(void **state)
{
    (void)state;
    uint8_t data[FILE_MAX];
    uint64_t length = 0;
    memcpy(data, valid, valid_bytes);
    memcpy(&length, valid, sizeof length);
    accepted = refused = 0;
    for (int shift = 0; shift < 64; shift++) {
        const uint64_t power = UINT64_C(1) << shift;
        const uint64_t lengths[] = {power,          power - 1,      power + 1,         ~power,
                                    length + power, length - power, UINT64_MAX - power};
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            memcpy(data, &lengths[i], sizeof length);
            try_bytes(data, valid_bytes);
        }
    }
    assert_int_equal(accepted, 0);
}

/* Put one of the words that a parser is afraid of somewhere into the header; fix its length. */
static size_t splice(uint8_t *data, size_t bytes)
{
    static const char *const words[] = {"{",
                                        "}",
                                        "[",
                                        "]",
                                        ",",
                                        ":",
                                        "\"",
                                        "-1",
                                        "0",
                                        "1e9",
                                        "18",
                                        "\\",
                                        "\\u0000",
                                        "\\ud800",
                                        "\xff",
                                        "null",
                                        "[0]",
                                        "{}",
                                        "F64",
                                        "U8",
                                        "99",
                                        "-0",
                                        "4294967296",
                                        "\"\":{}",
                                        "shape",
                                        " ",
                                        "\xf4\x90",
                                        "1e400",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "__metadata__"};
    uint64_t length = 0;
    memcpy(&length, data, sizeof length);
    const char *word = words[draw(sizeof words / sizeof words[0])];
    size_t n = strlen(word), place = LENGTH_BYTES + draw((uint32_t)length);
    size_t cut = draw(2) == 0 ? 0 : draw(8);
    if (cut > LENGTH_BYTES + length - place)
        cut = (size_t)(LENGTH_BYTES + length - place);
    if (bytes + n > FILE_MAX)
        return bytes;
    memmove(data + place + n, data + place + cut, bytes - place - cut);
    memcpy(data + place, word, n);
    length += n - cut;
    memcpy(data, &length, sizeof length);
    return bytes + n - cut;
}

static void random_mutations(void **state)
{
    (void)state;
    uint8_t data[FILE_MAX];
    accepted = refused = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        size_t bytes = valid_bytes;
        memcpy(data, valid, bytes);
        for (uint32_t k = draw(3); k < 3; k++) {
            size_t place = LENGTH_BYTES + draw((uint32_t)(bytes - LENGTH_BYTES));
            if (draw(2) == 0)
                bytes = splice(data, bytes);
            else if (data[place] >= '0' && data[place] <= '9')
                data[place] = (uint8_t)('0' + draw(10)); /* stays JSON: reaches the later checks */
            else
                data[place] = (uint8_t)draw(256);
        }
        try_bytes(data, bytes);
    }
    print_message("%d accepted, %d refused\n", accepted, refused);
    assert_true(accepted > MUTATIONS / 100 && refused > MUTATIONS / 10);
}

/* ------------------------------------------------------------------------ memory failures ---- */

static mts_status write_valid(void)
{
    static const float weights[] = {1, -2, 0.5f, 3, -0.25f, 8};
    static const int64_t shape[] = {2, 3}, three[] = {3};
    mts_status st = MTS_OK;
    safetensors_writer *w = NULL;
    MTS_TRY(safetensors_writer_open(&ctx, target, &w));
    MTS_TRY(safetensors_writer_add(w, "a.weight", ST_DTYPE_F32, 2, shape, weights));
    MTS_TRY(safetensors_writer_add(w, "a.bias", ST_DTYPE_F16, 1, three, weights));
    MTS_TRY(safetensors_writer_add(w, "b", ST_DTYPE_BF16, 1, three, weights));
    MTS_TRY(safetensors_writer_add(w, "c", ST_DTYPE_I64, 0, NULL, weights));
    MTS_TRY(safetensors_writer_add(w, "d", ST_DTYPE_U8, 1, three, weights));
    MTS_TRY(safetensors_writer_commit(w));
cleanup:
    safetensors_writer_close(w);
    return st;
}

static mts_status open_folder(void)
{
    safetensors *file = NULL;
    mts_status st = safetensors_open_dir(&ctx, folder, &file);
    assert_true((st == MTS_OK) == (file != NULL));
    safetensors_close(file);
    return st;
}

static void failing_writes(void **state)
{
    (void)state;
    file_list list;
    fail_each_allocation(write_valid, 10);
    assert_int_equal(file_list_dir(&ctx, folder, &list), MTS_OK);
    assert_int_equal(list.count, 1); /* no temporary is left */
    file_list_deinit(&list);
}

static void failing_opens(void **state)
{
    (void)state;
    char path[256];
    static const char *const index = "{\"weight_map\":{\"a.bias\":\"s.safetensors\","
                                     "\"b\":\"s.safetensors\",\"z\":\"t.safetensors\"}}";
    static const char *const other = "\x3a\0\0\0\0\0\0\0{\"z\":{\"dtype\":\"U8\",\"shape\":[2],"
                                     "\"data_offsets\":[0,2]}}          ab";
    snprintf(path, sizeof path, "%s/s.safetensors", folder);
    put(path, valid, valid_bytes);
    snprintf(path, sizeof path, "%s/t.safetensors", folder);
    put(path, (const uint8_t *)other, 8 + 0x3a + 2);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", folder);
    put(path, (const uint8_t *)index, strlen(index));
    fail_each_allocation(open_folder, 15);
}

static int setup(void **state)
{
    (void)state;
    char *bytes = NULL;
    const char *text = getenv("MANTISSA_TEST_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    strcpy(folder, "/tmp/mantissa_fuzz_safetensors_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(target, sizeof target, "%s/target", folder);
    if (write_valid() != MTS_OK ||
        file_read_all(&ctx, target, sizeof valid, &bytes, &valid_bytes) != MTS_OK)
        return 1;
    memcpy(valid, bytes, valid_bytes);
    mem_free(bytes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(&ctx, folder) != MTS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncations),    cmocka_unit_test(bit_flips),
        cmocka_unit_test(length_fields),  cmocka_unit_test(random_mutations),
        cmocka_unit_test(failing_writes), cmocka_unit_test(failing_opens),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
