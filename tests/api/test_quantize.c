/*
 * mts_quantize on a tiny decoder: every number of what is written, shards, runs that are stopped
 * and go on, what is refused and what is left then.
 */
#include "support/test_folder.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/disk_room.h"
#include "base/half.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "network/weight_file.h"
#include "support/test_copy.h"
#include "support/tiny_decoder.h"
#include "support/tiny_task.h"

enum { ELEMENTS_MAX = 1 << 15, MATRICES = 14 /* two layers of seven */, ALL = 21 };

static mts_ctx ctx;

/* What a run told, and when it is to be stopped. */
typedef struct told {
    char note[128];
    int64_t done, total, events, stop; /* stop: at that event; 0: never */
} told;

static bool listen(void *user, const mts_event *e)
{
    told *t = user;
    if (e->kind == MTS_EVENT_NOTE)
        snprintf(t->note, sizeof t->note, "%s", e->text);
    if (e->kind != MTS_EVENT_PROGRESS)
        return true;
    t->done = e->done;
    t->total = e->total;
    return ++t->events != t->stop;
}

static mts_status quantize(const char *base, const char *out, const char *shard, told *t)
{
    char paths[2][4096];
    const mts_callbacks callbacks = {listen, t};
    mts_options o;
    mts_options_default(&o);
    snprintf(paths[0], sizeof paths[0], "%s", folder_at(base));
    snprintf(paths[1], sizeof paths[1], "%s", folder_at(out));
    o.model_name_or_path = paths[0];
    o.output_dir = paths[1];
    if (shard != NULL)
        o.max_shard_size = shard;
    return mts_quantize(&ctx, &o, t != NULL ? &callbacks : NULL);
}

static int make_base(void **state)
{
    const int st = folder_open(state);
    assert_ok(tiny_decoder_write(&ctx, folder_at("base")));
    return st;
}

static void assert_same_file(const char *a, const char *b)
{
    char *bytes[2];
    size_t n[2];
    assert_ok(file_read_all(&ctx, folder_at(a), 1 << 24, &bytes[0], &n[0]));
    assert_ok(file_read_all(&ctx, folder_at(b), 1 << 24, &bytes[1], &n[1]));
    if (n[0] != n[1] || memcmp(bytes[0], bytes[1], n[0]) != 0)
        fail_msg("%s is not %s", a, b);
    mem_free(bytes[0]);
    mem_free(bytes[1]);
}

static void assert_absent(const char *name)
{
    if (access(folder_at(name), F_OK) == 0)
        fail_msg("%s is there", name);
}

/* ------------------------------------------------------------------------------ numbers ---- */

/* The weight `name` of the base, rounded to bfloat16: its elements. */
static int64_t rounded(const weight_file *base, const char *name, float *x)
{
    weight_tensor t;
    assert_true(weight_file_find(base, name, "", &t));
    const int64_t n = t.shape[0] * (t.ndim > 1 ? t.shape[1] : 1);
    assert_true(n <= ELEMENTS_MAX);
    assert_ok(weight_file_read(&ctx, base, &t, x, n));
    for (int64_t i = 0; i < n; i++)
        x[i] = float_of_bf16(bf16_of_float(x[i]));
    return n;
}

/* A matrix in 4 bits is what nf4_quantize makes of the whole. */
static void check_matrix(const nf4_tensor *t, const float *x, int64_t n)
{
    static uint8_t codes[ELEMENTS_MAX / 2], absmax[ELEMENTS_MAX / NF4_BLOCK];
    static float scales[ELEMENTS_MAX / NF4_BLOCK];
    float nested[2], offset;
    nf4_view view;
    void *memory = NULL;
    assert_ok(mem_calloc(&ctx, &memory, nf4_tensor_bytes(t), 1, "matrix"));
    assert_ok(nf4_tensor_view(&ctx, t, memory, &view));
    assert_true(view.rows * view.cols == n && t->codes->ndim == 2 && t->codes->shape[1] == 1);
    nf4_quantize(x, n, codes, scales);
    nf4_quantize_scales(scales, nf4_blocks(n), view.nested_map, absmax, nested, &offset);
    assert_memory_equal(view.codes, codes, (size_t)nf4_code_bytes(n));
    assert_memory_equal(view.absmax, absmax, (size_t)nf4_blocks(n));
    assert_memory_equal(view.nested_absmax, nested, (size_t)nf4_nested_blocks(n) * sizeof(float));
    assert_true(view.nested_offset == offset);
    mem_free(memory);
}

/* All weights of the folder `out` are those of the base. */
static void check_numbers(const char *out)
{
    static float x[ELEMENTS_MAX], y[ELEMENTS_MAX];
    weight_file base, made;
    int matrices = 0, all = 0;
    assert_ok(weight_file_open(&ctx, folder_at("base"), &base));
    assert_ok(weight_file_open(&ctx, folder_at(out), &made));
    for (size_t i = 0; i < weight_file_count(&base); i++) {
        const weight_tensor there = weight_file_at(&base, i);
        const int64_t n = rounded(&base, there.name, x);
        weight_tensor t;
        assert_true(weight_file_find(&made, there.name, "", &t));
        const nf4_tensor *packed = weight_file_nf4(&made, &t);
        assert_true((packed != NULL) == (strstr(t.name, "_proj.weight") != NULL));
        matrices += packed != NULL;
        all++;
        if (packed != NULL) {
            check_matrix(packed, x, n);
        } else {
            assert_int_equal(safetensors_at(made.folder, t.index)->dtype, ST_DTYPE_BF16);
            assert_ok(weight_file_read(&ctx, &made, &t, y, n));
            assert_memory_equal(x, y, (size_t)n * sizeof *x);
        }
    }
    assert_true(matrices == MATRICES && all == ALL);
    assert_int_equal(weight_file_count(&made), ALL + 5 * MATRICES);
    weight_file_close(&base);
    weight_file_close(&made);
}

static void test_numbers(void **state)
{
    (void)state;
    told t = {.stop = 0};
    char *config = NULL;
    assert_ok(quantize("base", "out", NULL, &t));
    assert_true(t.done == ALL && t.total == ALL && t.note[0] == '\0');
    check_numbers("out");
    assert_same_file("base/tokenizer.json", "out/tokenizer.json");
    assert_ok(file_read_all(&ctx, folder_at("out/config.json"), 1 << 20, &config, NULL));
    assert_non_null(strstr(config, "\"bnb_4bit_quant_type\": \"nf4\""));
    assert_non_null(strstr(config, "\"dtype\": \"bfloat16\""));
    mem_free(config);
    assert_absent("out.partial");
}

/* ------------------------------------------------------------------------------- shards ---- */

/* 21 parameters in files of at most so much, but for the table of words and the head. */
static void test_shards(void **state)
{
    (void)state;
    file_list list;
    int shards = 0;
    assert_ok(file_make_dirs(&ctx, folder_at("out")));
    assert_ok(quantize("base", "out/", "10KB", NULL)); /* an empty folder may be there */
    check_numbers("out");
    assert_ok(file_list_dir(&ctx, folder_at("out"), &list));
    for (size_t i = 0; i < list.count; i++) {
        char path[512];
        safetensors *file = NULL;
        size_t bytes = 0, weights = 0;
        if (strncmp(list.names[i], "model-", 6) != 0)
            continue;
        snprintf(path, sizeof path, "out/%s", list.names[i]);
        assert_ok(safetensors_open_file(&ctx, folder_at(path), &file));
        for (size_t k = 0; k < safetensors_count(file); k++) {
            const char *name = safetensors_at(file, k)->name;
            bytes += safetensors_at(file, k)->bytes;
            weights += strcmp(name + strlen(name) - 7, ".weight") == 0;
        }
        assert_true(bytes <= 10000 || weights == 1);
        safetensors_close(file);
        shards++;
    }
    file_list_deinit(&list);
    assert_true(shards > 3);
    assert_absent("out/model.safetensors");
}

/* ------------------------------------------------------------------ stopped and gone on ---- */

/* The folder `out` has what "whole" has. */
static void assert_is_whole(const char *out)
{
    file_list whole, list;
    assert_ok(file_list_dir(&ctx, folder_at("whole"), &whole));
    assert_ok(file_list_dir(&ctx, folder_at(out), &list));
    assert_int_equal(list.count, whole.count);
    for (size_t i = 0; i < list.count; i++) {
        char paths[2][512];
        assert_string_equal(list.names[i], whole.names[i]);
        snprintf(paths[0], sizeof paths[0], "whole/%s", list.names[i]);
        snprintf(paths[1], sizeof paths[1], "%s/%s", out, list.names[i]);
        assert_same_file(paths[0], paths[1]);
    }
    file_list_deinit(&list);
    file_list_deinit(&whole);
}

/* The first finished shard of out.partial: its name. */
static void first_shard(char name[256])
{
    file_list list;
    assert_ok(file_list_dir(&ctx, folder_at("out.partial/model"), &list));
    assert_true(list.count > 0);
    snprintf(name, 256, "%s", list.names[0]);
    file_list_deinit(&list);
}

/* Wherever it is stopped, it goes on; what was finished is the same file as before. */
static void test_goes_on(void **state)
{
    (void)state;
    told whole = {.stop = 0};
    char name[256], path[300];
    assert_ok(quantize("base", "whole", "20KB", &whole));
    for (int64_t stop = 1; stop <= whole.events; stop += 4) {
        told t = {.stop = stop}, rest = {.stop = 0};
        assert_fails(quantize("base", "out", "20KB", &t), MTS_ERR_INTERRUPTED, "goes on behind");
        assert_absent("out");
        folder_put_text("out.partial/model/model-00009-of-00009.safetensors.tmp-1", "cut");
        folder_put_text("out.partial/model/model.safetensors.index.json", "{");
        const bool some = t.done > 5;
        if (some) {
            first_shard(name);
            snprintf(path, sizeof path, "out.partial/model/%s", name);
            assert_int_equal(link(folder_at(path), folder_at("kept")), 0);
        }
        assert_ok(quantize("base", "out", "20KB", &rest));
        assert_is_whole("out");
        assert_absent("out.partial");
        if (some) {
            snprintf(path, sizeof path, "out/%s", name);
            assert_true(file_is_same(folder_at(path), folder_at("kept")));
            assert_int_equal(unlink(folder_at("kept")), 0);
            assert_non_null(strstr(rest.note, "finished files of weights"));
            assert_true(rest.events <= whole.events);
        }
        assert_ok(file_remove_tree(&ctx, folder_at("out")));
    }
}

/* Another size of files, or another base: begun anew. */
static void test_begins_anew(void **state)
{
    (void)state;
    told t = {.stop = 30}, rest = {.stop = 0};
    assert_ok(quantize("base", "whole", "30KB", NULL));
    assert_fails(quantize("base", "out", "20KB", &t), MTS_ERR_INTERRUPTED, "goes on");
    assert_ok(quantize("base", "out", "30KB", &rest));
    assert_true(rest.note[0] == '\0');
    assert_is_whole("out");
    assert_ok(file_remove_tree(&ctx, folder_at("out")));

    t = (told){.stop = 30};
    assert_fails(quantize("base", "out", "30KB", &t), MTS_ERR_INTERRUPTED, "goes on");
    assert_ok(test_copy_file(&ctx, folder_at("base/model.safetensors"), folder_at("copy")));
    assert_ok(file_move(&ctx, folder_root(), "copy", folder_at("base"), "model.safetensors"));
    rest = (told){.stop = 0};
    assert_ok(quantize("base", "out", "30KB", &rest));
    assert_true(rest.note[0] == '\0');
    assert_is_whole("out");
}

/* ----------------------------------------------------------------------------- refusals ---- */

static void test_folders_that_are_there(void **state)
{
    (void)state;
    assert_ok(file_make_dirs(&ctx, folder_at("out")));
    folder_put_text("out/mine", "x");
    assert_fails(quantize("base", "out", NULL, NULL), MTS_ERR_ARGUMENT, "already holds mine");
    assert_absent("out.partial");
    assert_ok(file_make_dirs(&ctx, folder_at("new.partial")));
    folder_put_text("new.partial/mine", "x");
    assert_fails(quantize("base", "new", NULL, NULL), MTS_ERR_ARGUMENT,
                 "new.partial is in the way: it is no unfinished folder of this command");
    assert_true(file_exists(folder_at("new.partial/mine")));
    folder_put_text("last.partial", "x");
    assert_fails(quantize("base", "last", NULL, NULL), MTS_ERR_ARGUMENT, "found a file: move it");
    assert_fails(quantize("base", "new2", "5 apples", NULL), MTS_ERR_ARGUMENT, "max_shard_size");
}

/* A disk that is too small is told before anything is written. */
static void test_room(void **state)
{
    (void)state;
    disk_room_pretend(1000);
    assert_fails(quantize("base", "new", NULL, NULL), MTS_ERR_IO, "the disk has room for 0.001 MB");
    assert_absent("new");
    disk_room_pretend(1 << 24);
    assert_ok(quantize("base", "new", NULL, NULL));
    disk_room_pretend(-1);
}

static void test_other_models(void **state)
{
    (void)state;
    assert_ok(tiny_task_write(&ctx, folder_at("task")));
    assert_fails(quantize("task/model", "out", NULL, NULL), MTS_ERR_UNSUPPORTED,
                 "expected a language model, found bert");
    assert_ok(quantize("base", "once", NULL, NULL));
    assert_fails(quantize("once", "out", NULL, NULL), MTS_ERR_UNSUPPORTED, "is quantized already");
    assert_fails(quantize("nowhere", "out", NULL, NULL), MTS_ERR_NOT_FOUND, "no such folder");
    assert_absent("out");
    assert_absent("out.partial");
}

/* The base with one number of a matrix, or of a norm, replaced by `bits`. */
static void spoil(const char *name, uint32_t bits)
{
    safetensors *file = NULL;
    assert_ok(safetensors_open_dir(&ctx, folder_at("base"), &file));
    const st_tensor *t = safetensors_find(file, name);
    assert_non_null(t);
    const uint64_t offset = t->offset;
    safetensors_close(file);
    FILE *f = fopen(folder_at("base/model.safetensors"), "r+b");
    assert_non_null(f);
    assert_int_equal(fseek(f, (long)offset + 8, SEEK_SET), 0);
    assert_int_equal(fwrite(&bits, sizeof bits, 1, f), 1);
    assert_int_equal(fclose(f), 0);
}

static void test_bad_numbers(void **state)
{
    (void)state;
    static const char matrix[] = "model.layers.1.mlp.up_proj.weight", norm[] = "model.norm.weight";
    static const struct {
        const char *name;
        uint32_t bits;
        const char *text;
    } cases[] = {
        {matrix, 0x7fc00000u, "model.layers.1.mlp.up_proj.weight: element 2 is NaN or infinite"},
        {matrix, 0x7f7fffffu,
         "model.layers.1.mlp.up_proj.weight: element 2 is too large for bfloat16"},
        {norm, 0xff800000u, "model.norm.weight: element 2 is NaN or infinite"},
        {norm, 0xff7fffffu, "model.norm.weight: element 2 is too large for bfloat16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_ok(tiny_decoder_write(&ctx, folder_at("base")));
        spoil(cases[i].name, cases[i].bits);
        assert_fails(quantize("base", "out", "20KB", NULL), MTS_ERR_BAD_FILE, cases[i].text);
        assert_absent("out");
        assert_absent("out.partial"); /* the same would come out again */
    }
}

/* A model that the file does not hold, or not in this shape. */
static void test_other_shapes(void **state)
{
    (void)state;
    char *text = NULL, changed[4096];
    assert_ok(file_read_all(&ctx, folder_at("base/config.json"), 1 << 20, &text, NULL));
    const char *at = strstr(text, "\"intermediate_size\": 72");
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s\"intermediate_size\": 80%s", (int)(at - text), text,
             at + strlen("\"intermediate_size\": 72"));
    folder_put_text("base/config.json", changed);
    assert_fails(quantize("base", "out", NULL, NULL), MTS_ERR_BAD_FILE,
                 "gate_proj.weight: expected shape [80, 40], as its configuration asks for");
    at = strstr(text, "\"num_hidden_layers\": 2");
    assert_non_null(at);
    snprintf(changed, sizeof changed, "%.*s\"num_hidden_layers\": 3%s", (int)(at - text), text,
             at + strlen("\"num_hidden_layers\": 2"));
    folder_put_text("base/config.json", changed);
    assert_fails(quantize("base", "out", NULL, NULL), MTS_ERR_BAD_FILE,
                 "no tensor model.layers.2.");
    mem_free(text);
}

/* Whatever allocation fails: an error that says so, and the next call makes the folder. */
static void test_failing_memory(void **state)
{
    (void)state;
    assert_ok(quantize("base", "whole", "20KB", NULL));
    for (int jansson = 0; jansson < 2; jansson++) {
        mts_status st = MTS_ERR_MEMORY;
        for (int64_t n = 0; st != MTS_OK; n += 1 + n / 8) { /* all of the first, then some */
            assert_true(n < 200000);
            mem_fail_after(jansson ? -1 : n);
            json_memory_fail_after(jansson ? n : -1);
            st = quantize("base", "out", "20KB", NULL);
            const int64_t ours = mem_fail_after(-1), theirs = json_memory_fail_after(-1);
            const bool failed = (jansson ? theirs : ours) > n;
            if (st != (failed ? MTS_ERR_MEMORY : MTS_OK))
                fail_msg("allocation %d gave %s: %s", (int)n, mts_status_name(st), ctx.error);
            if (st != MTS_OK)
                assert_absent("out");
            if (st != MTS_OK && n % 3 == 0)
                assert_ok(file_remove_tree(&ctx, folder_at("out.partial")));
        }
        assert_is_whole("out");
        assert_ok(file_remove_tree(&ctx, folder_at("out")));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_base, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_numbers),
        TEST(test_shards),
        TEST(test_goes_on),
        TEST(test_begins_anew),
        TEST(test_folders_that_are_there),
        TEST(test_room),
        TEST(test_other_models),
        TEST(test_bad_numbers),
        TEST(test_other_shapes),
        TEST(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
