/*
 * Writing of GGUF files: what gguf_open reads of them, the places of tensors, and what is refused,
 * after which there is no file.
 */
#include "support/test_check.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "io/gguf_writer.h"
#include "support/test_folder.h"

static mts_ctx ctx;

typedef struct source {
    const void *data;
    size_t bytes;
} source;

static mts_status write_source(void *user, file_writer *file)
{
    const source *s = user;
    return file_writer_write(file, s->data, s->bytes);
}

static gguf_writer *begin(void)
{
    gguf_writer *w = NULL;
    assert_ok(gguf_writer_open(&ctx, folder_at("w.gguf"), &w));
    return w;
}

static void round_trip(void **state)
{
    static const float matrix[6] = {1, 2, 3, -4, 5.5f, 6}, vector[1] = {7};
    static const uint8_t blocks[2 * 34] = {0x00, 0x3c, 1, 2, 3}; /* Q8_0: scale 1 */
    static const int64_t shape[] = {2, 3}, one[] = {1}, wide[] = {1, 2, 32};
    source a = {matrix, sizeof matrix}, b = {vector, sizeof vector}, c = {blocks, sizeof blocks};
    gguf_writer *w = begin();
    gguf *file = NULL;
    const char *text = NULL;
    double real = 0;
    float out[64];
    (void)state;
    assert_ok(gguf_writer_put_text(w, "general.architecture", "caf\xc3\xa9"));
    assert_ok(gguf_writer_put_f32(w, "adapter.lora.alpha", 0.1f));
    assert_ok(gguf_writer_put_text(w, "empty", ""));
    assert_ok(gguf_writer_add(w, "z", GGUF_F32, 2, shape, write_source, &a));
    assert_ok(gguf_writer_add(w, "b", GGUF_F32, 1, one, write_source, &b));
    assert_ok(gguf_writer_add(w, "c", GGUF_Q8_0, 3, wide, write_source, &c));
    assert_ok(gguf_writer_commit(w));
    gguf_writer_close(w);
    gguf_writer_close(NULL);

    assert_ok(gguf_open(&ctx, folder_at("w.gguf"), &file));
    assert_int_equal(gguf_version(file), 3);
    assert_int_equal(gguf_key_count(file), 3);
    assert_ok(gguf_find_text(&ctx, file, "general.architecture", &text));
    assert_string_equal(text, "caf\xc3\xa9");
    assert_ok(gguf_find_text(&ctx, file, "empty", &text));
    assert_string_equal(text, "");
    assert_ok(gguf_find_real(&ctx, file, "adapter.lora.alpha", 0, 1, &real));
    assert_true(real == (double)0.1f);
    assert_int_equal(gguf_tensor_count(file), 3);
    const gguf_tensor *t = gguf_find_tensor(file, "z");
    assert_int_equal(t->ndim, 2);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->shape[1], 3);
    assert_ok(gguf_read_rows(&ctx, t, 0, 2, out));
    assert_memory_equal(out, matrix, sizeof matrix);
    assert_int_equal(gguf_find_tensor(file, "b")->offset, t->offset + 32); /* in the order given */
    assert_ok(gguf_read_rows(&ctx, gguf_find_tensor(file, "c"), 0, 1, out));
    assert_true(out[0] == 1.0f && out[2] == 3.0f && out[31] == 0.0f);
    gguf_close(file);
}

static void nothing_in_it(void **state)
{
    gguf_writer *w = begin();
    gguf *file = NULL;
    (void)state;
    assert_ok(gguf_writer_commit(w));
    gguf_writer_close(w);
    assert_ok(gguf_open(&ctx, folder_at("w.gguf"), &file));
    assert_int_equal(gguf_tensor_count(file) + gguf_key_count(file), 0);
    gguf_close(file);
}

static void refused(void **state)
{
    static const int64_t two[] = {2}, none[] = {0}, odd[] = {33};
    static const int64_t huge[] = {INT64_MAX / 4, 16};
    source s = {two, 8};
    gguf_writer *w = begin();
    (void)state;
    assert_ok(gguf_writer_put_f32(w, "a", 1));
    assert_fails(gguf_writer_put_text(w, "a", "x"), MTS_ERR_ARGUMENT, "key a is declared twice");
    assert_fails(gguf_writer_put_text(w, "", "x"), MTS_ERR_ARGUMENT, "cannot be a name");
    assert_fails(gguf_writer_put_text(w, "x\n", "x"), MTS_ERR_ARGUMENT, "cannot be a name");
    assert_fails(gguf_writer_put_text(w, "\xff", "x"), MTS_ERR_ARGUMENT, "cannot be a name");
    assert_fails(gguf_writer_put_text(w, "b", "\xff"), MTS_ERR_ARGUMENT, "not UTF-8");
    assert_ok(gguf_writer_add(w, "t", GGUF_F32, 1, two, write_source, &s));
    assert_fails(gguf_writer_add(w, "t", GGUF_F32, 1, two, write_source, &s), MTS_ERR_ARGUMENT,
                 "tensor t is declared twice");
    assert_fails(gguf_writer_add(w, "u", 4, 1, two, write_source, &s), MTS_ERR_ARGUMENT, "type 4");
    assert_fails(gguf_writer_add(w, "u", 9999, 1, two, write_source, &s), MTS_ERR_ARGUMENT,
                 "type 9999");
    assert_fails(gguf_writer_add(w, "u", GGUF_F32, 5, two, write_source, &s), MTS_ERR_ARGUMENT,
                 "expected 1..4 dimensions");
    assert_fails(gguf_writer_add(w, "u", GGUF_F32, 1, none, write_source, &s), MTS_ERR_ARGUMENT,
                 "dimensions from 1");
    assert_fails(gguf_writer_add(w, "u", GGUF_Q8_0, 1, odd, write_source, &s), MTS_ERR_ARGUMENT,
                 "whole blocks");
    assert_fails(gguf_writer_add(w, "u", GGUF_F32, 2, huge, write_source, &s), MTS_ERR_ARGUMENT,
                 "overflows");
    s.bytes = 7; /* not as many as it has */
    assert_fails(gguf_writer_commit(w), MTS_ERR_ARGUMENT,
                 "expected 8 bytes to be written, found 7");
    gguf_writer_close(w);
    file_list list;
    assert_ok(file_list_dir(&ctx, folder_root(), &list));
    assert_int_equal(list.count, 0);
    file_list_deinit(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(nothing_in_it, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refused, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
