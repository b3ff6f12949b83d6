/*
 * mts_merge and mts_export on folders made here, number by number.
 *
 *   sums      W + s B A of the first ranks where all is exact, in several blocks of rows; what is
 *             no weight is copied; names without the architecture's prefix
 *   types     rounding, too large for float16, not finite
 *   shards    where they end; a tensor larger than a shard
 *   other     an adapter of another base; a base that is no floats
 *   gguf      the adapter's file: scale, order of rows, what is refused
 *   callers   interruption, and what is left after a failure: nothing
 *   memory    each allocation fails in turn
 */
#include "support/test_folder.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "io/gguf.h"
#include "io/peft.h"
#include "io/safetensors.h"

enum { ROWS = 700, COLS = 1000, RANK = 4, USED = 3 }; /* more elements than two blocks */

static mts_ctx ctx;
static float w[ROWS * COLS], a[RANK * COLS], b[ROWS * RANK];
static int64_t rows = ROWS; /* that are written */
static const char layer[] = "layers.0.mlp.up_proj.weight";

/* Small multiples of powers of two: every sum is exact. */
static void fill(void)
{
    for (int i = 0; i < ROWS * COLS; i++)
        w[i] = (float)(i % 31 - 15);
    for (int i = 0; i < RANK * COLS; i++)
        a[i] = (float)(i % 7 - 3) * 0.5f;
    for (int i = 0; i < ROWS * RANK; i++)
        b[i] = (float)(i % 5 - 2);
}

static void add(safetensors_writer *writer, const char *name, st_dtype dtype, int64_t n,
                int64_t cols, const void *data)
{
    const int64_t shape[] = {n, cols};
    assert_ok(safetensors_writer_add(writer, name, dtype, 2, shape, data));
}

/* "base": a layer, a norm of 4 numbers in float16, one number that is no weight.  "adapter". */
static void make_folders(const char *config)
{
    static const uint16_t norm[] = {0x3c00, 0x4000, 0x7e00, 0x8001}; /* one is NaN */
    static const int64_t count = 12345, four = 4;
    safetensors_writer *writer = NULL;
    fill();
    assert_ok(file_make_dirs(&ctx, folder_at("base")));
    assert_ok(file_make_dirs(&ctx, folder_at("adapter")));
    folder_put_text("base/config.json", "{\"model_type\": \"llama\", \"torch_dtype\": \"float32\","
                                        "\"num_attention_heads\": 4}");
    folder_put_text("adapter/adapter_config.json", config);
    assert_ok(safetensors_writer_open(&ctx, folder_at("base/model.safetensors"), &writer));
    add(writer, layer, ST_DTYPE_F32, rows, COLS, w);
    assert_ok(safetensors_writer_add(writer, "norm.weight", ST_DTYPE_F16, 1, &four, norm));
    assert_ok(safetensors_writer_add(writer, "count", ST_DTYPE_I64, 0, NULL, &count));
    assert_ok(safetensors_writer_commit(writer));
    safetensors_writer_close(writer);
    assert_ok(
        safetensors_writer_open(&ctx, folder_at("adapter/adapter_model.safetensors"), &writer));
    add(writer, "base_model.model.model.layers.0.mlp.up_proj.lora_A.weight", ST_DTYPE_F32, RANK,
        COLS, a);
    add(writer, "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight", ST_DTYPE_F32, rows,
        RANK, b);
    assert_ok(safetensors_writer_commit(writer));
    safetensors_writer_close(writer);
}

static const char plain[] = "{\"r\": 4, \"lora_alpha\": 6, \"target_modules\": [\"up_proj\"]}";

static int make_plain(void **state)
{
    const int st = folder_open(state);
    make_folders(plain);
    return st;
}

static mts_options options_of(const char *out, int64_t rank)
{
    static char paths[3][4096];
    mts_options o;
    mts_options_default(&o);
    snprintf(paths[0], sizeof paths[0], "%s", folder_at("base"));
    snprintf(paths[1], sizeof paths[1], "%s", folder_at("adapter"));
    snprintf(paths[2], sizeof paths[2], "%s", folder_at(out));
    o.model_name_or_path = paths[0];
    o.adapter_name_or_path = paths[1];
    o.output_dir = paths[2];
    o.rank = rank;
    return o;
}

/* The layer's values in a folder that was written. */
static void read_layer(const char *dir, float *out)
{
    safetensors *file = NULL;
    assert_ok(safetensors_open_dir(&ctx, folder_at(dir), &file));
    const st_tensor *t = safetensors_find(file, layer);
    assert_non_null(t);
    assert_ok(safetensors_read_f32(&ctx, t, out, ROWS * COLS));
    safetensors_close(file);
}

/* w + s b a: with 3 of 4 ranks s is 6 / 3. */
static float expected(int64_t row, int64_t col, int ranks, float s)
{
    float sum = 0;
    for (int k = 0; k < ranks; k++)
        sum += b[row * RANK + k] * a[k * COLS + col];
    return w[row * COLS + col] + s * sum;
}

static void assert_layer(const char *dir, int ranks, float s)
{
    static float found[ROWS * COLS];
    read_layer(dir, found);
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t j = 0; j < COLS; j++)
            if (found[i * COLS + j] != expected(i, j, ranks, s))
                fail_msg("[%d][%d]: %g, expected %g", (int)i, (int)j, (double)found[i * COLS + j],
                         (double)expected(i, j, ranks, s));
}

static void sums(void **state)
{
    mts_options o = options_of("out", USED);
    safetensors *file = NULL;
    uint16_t norm[4];
    int64_t count = 0;
    char *text = NULL;
    (void)state;
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_layer("out", USED, 2.0f);
    assert_ok(safetensors_open_dir(&ctx, folder_at("out"), &file));
    assert_int_equal(safetensors_count(file), 3);
    assert_ok(safetensors_read_raw(&ctx, safetensors_find(file, "norm.weight"), ST_DTYPE_F16, norm,
                                   sizeof norm));
    assert_int_equal(norm[2], 0x7e00); /* as it was */
    assert_ok(safetensors_read_raw(&ctx, safetensors_find(file, "count"), ST_DTYPE_I64, &count,
                                   sizeof count));
    assert_int_equal(count, 12345);
    safetensors_close(file);
    assert_ok(file_read_all(&ctx, folder_at("out/config.json"), 4096, &text, NULL));
    assert_non_null(strstr(text, "\"torch_dtype\": \"float32\""));
    assert_null(strstr(text, "\"dtype\""));
    mem_free(text);
    o = options_of("all", 0);
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_layer("all", RANK, 1.5f);
}

static void root_scale(void **state)
{
    mts_options o = options_of("out", 0);
    (void)state;
    make_folders("{\"r\": 4, \"lora_alpha\": 6, \"target_modules\": [\"up_proj\"],"
                 "\"use_rslora\": true}");
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_layer("out", RANK, 3.0f);
    o = options_of("part", 1);
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_layer("part", 1, 6.0f);
}

/* Nothing but these is in the test's folder. */
static void assert_nothing_left(void)
{
    file_list list;
    assert_ok(file_list_dir(&ctx, folder_root(), &list));
    for (size_t i = 0; i < list.count; i++)
        if (strcmp(list.names[i], "base") != 0 && strcmp(list.names[i], "adapter") != 0)
            fail_msg("left behind: %s", list.names[i]);
    file_list_deinit(&list);
}

static void types(void **state)
{
    mts_options o = options_of("out", 0);
    safetensors *file = NULL;
    static float found[ROWS * COLS];
    (void)state;
    o.dtype = "bfloat16";
    assert_fails(mts_merge(&ctx, &o, NULL), MTS_ERR_BAD_FILE,
                 "tensor norm.weight: element 2 is NaN or infinite");
    folder_put_text("base/config.json", "{\"dtype\": \"float32\"}");
    assert_nothing_left();

    safetensors_writer *writer = NULL; /* without that norm, and with a large number */
    w[5] = 70000.0f;
    assert_ok(safetensors_writer_open(&ctx, folder_at("base/model.safetensors"), &writer));
    add(writer, "model.layers.0.mlp.up_proj.weight", ST_DTYPE_F32, ROWS, COLS, w);
    assert_ok(safetensors_writer_commit(writer));
    safetensors_writer_close(writer);
    o.dtype = "float16";
    assert_fails(mts_merge(&ctx, &o, NULL), MTS_ERR_BAD_FILE, "element 5 is not finite in F16");
    assert_nothing_left();
    o.dtype = "bfloat16";
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_ok(safetensors_open_dir(&ctx, folder_at("out"), &file));
    const st_tensor *t = safetensors_find(file, "model.layers.0.mlp.up_proj.weight");
    assert_int_equal(t->dtype, ST_DTYPE_BF16);
    assert_ok(safetensors_read_f32(&ctx, t, found, ROWS * COLS));
    for (int i = 0; i < ROWS * COLS; i++) /* 8 bits */
        assert_true(fabs((double)found[i] - (double)expected(i / COLS, i % COLS, RANK, 1.5f)) <=
                    fabs((double)found[i]) / 256);
    safetensors_close(file);
}

static void shards(void **state)
{
    static const char *const files[] = {"config.json", "model-00001-of-00002.safetensors",
                                        "model-00002-of-00002.safetensors",
                                        "model.safetensors.index.json"};
    mts_options o = options_of("out", USED);
    file_list list;
    (void)state;
    o.max_shard_size =
        "1KB"; /* the layer alone has more; before it the count, behind it the norm */
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_ok(file_list_dir(&ctx, folder_at("out"), &list));
    assert_int_equal(list.count, 5);
    file_list_deinit(&list);
    assert_layer("out", USED, 2.0f);
    o = options_of("two", USED);
    o.max_shard_size = "2800008"; /* to the byte */
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_ok(file_list_dir(&ctx, folder_at("two"), &list));
    assert_int_equal(list.count, 4);
    for (int i = 0; i < 4; i++)
        assert_string_equal(list.names[i], files[i]);
    file_list_deinit(&list);
    assert_layer("two", USED, 2.0f);
    o = options_of("one", USED);
    o.max_shard_size = "2800016";
    assert_ok(mts_merge(&ctx, &o, NULL));
    assert_true(file_exists(folder_at("one/model.safetensors")));
}

static void sizes(void **state)
{
    static const char *const bad[] = {"",
                                      "0",
                                      "GB",
                                      "-1GB",
                                      "1.5GB",
                                      "5 GB",
                                      "5TB",
                                      "5GBx",
                                      "1e9",
                                      "99999999999GB",
                                      "1000000000000000000000000000000000000000"};
    mts_options o = options_of("none", 0);
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        o.max_shard_size = bad[i];
        assert_fails(mts_merge(&ctx, &o, NULL), MTS_ERR_ARGUMENT,
                     i == 0 ? "max_shard_size" : "option --max_shard_size: expected a size");
    }
    o.max_shard_size = "1gib";
    assert_ok(mts_merge(&ctx, &o, NULL));
}

static bool stop_at_second(void *user, const mts_event *event)
{
    int *count = user;
    assert_int_equal(event->kind, MTS_EVENT_PROGRESS);
    assert_int_equal(event->total, 3);
    return ++*count < 2;
}

static void interrupted(void **state)
{
    const mts_options o = options_of("out", 0);
    int count = 0;
    const mts_callbacks callbacks = {.on_event = stop_at_second, .user = &count};
    (void)state;
    assert_fails(mts_merge(&ctx, &o, &callbacks), MTS_ERR_INTERRUPTED, "nothing was written");
    assert_nothing_left();
}

static void other_base(void **state)
{
    const mts_options o = options_of("out", 0);
    (void)state;
    rows = 2;
    make_folders(plain);
    rows = ROWS;
    safetensors_writer *writer = NULL;
    assert_ok(safetensors_writer_open(&ctx, folder_at("base/model.safetensors"), &writer));
    add(writer, layer, ST_DTYPE_F32, ROWS, COLS, w);
    assert_ok(safetensors_writer_commit(writer));
    safetensors_writer_close(writer);
    assert_fails(mts_merge(&ctx, &o, NULL), MTS_ERR_BAD_FILE, "expected shape [700, 1000]");
    assert_non_null(strstr(ctx.error, "found [2, 1000]: an adapter of another base"));
    assert_ok(safetensors_writer_open(&ctx, folder_at("base/model.safetensors"), &writer));
    add(writer, layer, ST_DTYPE_I16, 2, COLS, w);
    assert_ok(safetensors_writer_commit(writer));
    safetensors_writer_close(writer);
    assert_fails(mts_merge(&ctx, &o, NULL), MTS_ERR_UNSUPPORTED, "expected F32, F16 or BF16");
    folder_put_text("base/config.json", "{\"quantization_config\": {}}");
    assert_fails(mts_merge(&ctx, &o, NULL), MTS_ERR_UNSUPPORTED, "only NF4 of bitsandbytes");
    assert_nothing_left();
}

/* The adapter's GGUF file, of another base, and of one without names. */
static void gguf_files(void **state)
{
    mts_options o = options_of("x.gguf", USED);
    gguf *file = NULL;
    double alpha = 0;
    static float out[ROWS * USED];
    (void)state;
    assert_ok(mts_export(&ctx, &o));
    assert_ok(gguf_open(&ctx, folder_at("x.gguf"), &file));
    assert_ok(gguf_find_real(&ctx, file, "adapter.lora.alpha", 0, 100, &alpha));
    assert_true(alpha == 6.0);
    assert_ok(
        gguf_read_rows(&ctx, gguf_find_tensor(file, "blk.0.ffn_up.weight.lora_b"), 0, ROWS, out));
    for (int i = 0; i < ROWS * USED; i++)
        assert_true(out[i] == b[i / USED * RANK + i % USED]);
    gguf_close(file);
    assert_fails(mts_export(&ctx, &o), MTS_ERR_ARGUMENT, "is already there");
    o = options_of("y.gguf", 0);
    folder_put_text("base/config.json", "{\"model_type\": \"gemma\", \"num_attention_heads\": 4}");
    assert_fails(mts_export(&ctx, &o), MTS_ERR_UNSUPPORTED, "found \"gemma\"");
    folder_put_text("base/config.json", "{\"model_type\": \"falcon\", \"num_attention_heads\": 4}");
    assert_fails(mts_export(&ctx, &o), MTS_ERR_UNSUPPORTED, "has no name in GGUF files");
    folder_put_text("base/config.json", "{\"model_type\": \"llama\"}");
    assert_fails(mts_export(&ctx, &o), MTS_ERR_BAD_FILE, "num_attention_heads");
    folder_put_text("adapter/adapter_config.json",
                    "{\"r\": 4, \"lora_alpha\": 0, \"target_modules\": [\"up_proj\"]}");
    folder_put_text("base/config.json", "{\"model_type\": \"llama\", \"num_attention_heads\": 4}");
    assert_fails(mts_export(&ctx, &o), MTS_ERR_UNSUPPORTED, "lora_alpha");
    o.model_name_or_path = NULL;
    folder_put_text("adapter/adapter_config.json",
                    "{\"r\": 4, \"lora_alpha\": 1, \"target_modules\": [\"up_proj\"],"
                    "\"base_model_name_or_path\": \"some/model\"}");
    assert_fails(mts_export(&ctx, &o), MTS_ERR_NOT_FOUND, "give --model_name_or_path");
    assert_false(file_exists(folder_at("y.gguf")));
}

/* The order in its GGUF file of the B of an adapter of rank 1, of one module: 0, 1, 2, ... */
static void assert_order(const char *config, const char *module, const char *tensor, int64_t n,
                         const int *wanted)
{
    static const float numbers[] = {0, 1, 2, 3, 4, 5, 6, 7};
    const mts_options o = options_of("order.gguf", 0);
    char name[256];
    float found[8];
    safetensors_writer *writer = NULL;
    gguf *file = NULL;
    folder_put_text("base/config.json", config);
    folder_put_text("adapter/adapter_config.json", "{\"r\": 1, \"target_modules\": [\"x\"]}");
    assert_ok(
        safetensors_writer_open(&ctx, folder_at("adapter/adapter_model.safetensors"), &writer));
    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", module);
    add(writer, name, ST_DTYPE_F32, 1, 4, numbers);
    snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", module);
    add(writer, name, ST_DTYPE_F32, n, 1, numbers);
    assert_ok(safetensors_writer_commit(writer));
    safetensors_writer_close(writer);
    assert_ok(mts_export(&ctx, &o));
    assert_ok(gguf_open(&ctx, folder_at("order.gguf"), &file));
    snprintf(name, sizeof name, "%s.lora_b", tensor);
    assert_non_null(gguf_find_tensor(file, name));
    assert_ok(gguf_read_rows(&ctx, gguf_find_tensor(file, name), 0, n, found));
    for (int64_t i = 0; i < n; i++)
        assert_int_equal((int)found[i], wanted[i]);
    gguf_close(file);
    assert_ok(file_remove(&ctx, folder_root(), "order.gguf"));
}

static void gguf_rows(void **state)
{
    static const char heads[] = "\"num_attention_heads\": 2, \"num_key_value_heads\": 1}";
    static const int pairs[] = {0, 2, 1, 3, 4, 6, 5, 7}, same[] = {0, 1, 2, 3, 4, 5, 6, 7},
                     kinds[] = {0, 1, 4, 5, 2, 6, 3, 7};
    char llama[128], mistral[128], qwen[128];
    (void)state;
    snprintf(llama, sizeof llama, "{\"model_type\": \"llama\", %s", heads);
    snprintf(mistral, sizeof mistral, "{\"model_type\": \"mistral\", %s", heads);
    snprintf(qwen, sizeof qwen, "{\"model_type\": \"qwen2\", %s", heads);
    assert_order(llama, "model.layers.11.self_attn.q_proj", "blk.11.attn_q.weight", 8, pairs);
    assert_order(llama, "model.layers.0.self_attn.k_proj", "blk.0.attn_k.weight", 4, pairs);
    assert_order(mistral, "model.layers.0.self_attn.k_proj", "blk.0.attn_k.weight", 4, pairs);
    assert_order(llama, "model.layers.0.self_attn.v_proj", "blk.0.attn_v.weight", 8, same);
    assert_order(qwen, "model.layers.0.self_attn.q_proj", "blk.0.attn_q.weight", 8, same);
    assert_order("{\"model_type\": \"falcon\", \"num_attention_heads\": 4, \"num_kv_heads\": 2,"
                 "\"new_decoder_architecture\": true}",
                 "transformer.h.3.self_attention.query_key_value", "blk.3.attn_qkv.weight", 8,
                 kinds);
    assert_order("{\"model_type\": \"falcon\", \"num_attention_heads\": 6, \"num_kv_heads\": 6}",
                 "transformer.h.3.self_attention.query_key_value", "blk.3.attn_qkv.weight", 8,
                 same);
}

/* ------------------------------------------------------------------------- failing memory ---- */

static mts_status merge_small(void)
{
    mts_options o = options_of("out", 1);
    o.max_shard_size = "1KB";
    return mts_merge(&ctx, &o, NULL);
}

static mts_status export_peft(void)
{
    const mts_options o = options_of("out", 1);
    return mts_export(&ctx, &o);
}

static mts_status export_gguf(void)
{
    const mts_options o = options_of("out.gguf", 1);
    return mts_export(&ctx, &o);
}

/* What is complete when an allocation fails, behind the renaming, stays. */
static void fail_each(mts_status (*call)(void), bool jansson, int at_least)
{
    mts_status st = MTS_ERR_MEMORY;
    int64_t n = 0;
    for (; st != MTS_OK; n++) {
        assert_true(n < 10000);
        assert_ok(file_remove_tree(&ctx, folder_at("out")));
        assert_ok(file_remove(&ctx, folder_root(), "out.gguf"));
        mem_fail_after(jansson ? -1 : n);
        json_memory_fail_after(jansson ? n : -1);
        st = call();
        const int64_t ours = mem_fail_after(-1), theirs = json_memory_fail_after(-1);
        if (st != ((jansson ? theirs : ours) > n ? MTS_ERR_MEMORY : MTS_OK))
            fail_msg("allocation %d gave %s: %s", (int)n, mts_status_name(st), ctx.error);
    }
    assert_true(n > at_least);
    assert_ok(file_remove_tree(&ctx, folder_at("out")));
    assert_ok(file_remove(&ctx, folder_root(), "out.gguf"));
    assert_nothing_left();
}

static void failing_memory(void **state)
{
    static mts_status (*const calls[])(void) = {merge_small, export_peft, export_gguf};
    mts_ctx *watched = NULL; /* makes jansson's allocations countable */
    (void)state;
    rows = 2;
    make_folders(plain);
    rows = ROWS;
    assert_ok(mts_ctx_create(&watched));
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        fail_each(calls[i], false, 20);
        fail_each(calls[i], true, 20);
    }
    mts_ctx_destroy(watched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sums, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(root_scale, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(types, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(shards, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(sizes, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(interrupted, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(other_base, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(gguf_files, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(gguf_rows, make_plain, folder_close),
        cmocka_unit_test_setup_teardown(failing_memory, make_plain, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
