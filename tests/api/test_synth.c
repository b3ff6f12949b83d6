/*
 * mts_synth: shapes of known models, the distribution of the numbers, what they depend on, runs
 * that are stopped and go on.
 */
#include "support/test_folder.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "api/synth_shapes.h"
#include "base/file.h"
#include "base/json_memory.h"
#include "base/json_util.h"
#include "base/memory.h"
#include "heads/head.h"
#include "network/network.h"
#include "network/weight_file.h"

static mts_ctx ctx;

/* How many numbers of progress a run told, and at which one it is to be stopped. */
typedef struct told {
    int64_t events, stop; /* 0: never */
    bool kept;            /* it went on with files of another run */
} told;

static bool listen(void *user, const mts_event *e)
{
    told *t = user;
    t->kept |= e->kind == MTS_EVENT_NOTE && strstr(e->text, "finished files of weights") != NULL;
    return e->kind != MTS_EVENT_PROGRESS || ++t->events != t->stop;
}

typedef struct made {
    const char *like, *base_bits, *shard;
    int64_t layers, seed, threads;
    told *told;
} made;

static mts_status synth(const char *out, made m)
{
    char path[4096];
    const mts_callbacks callbacks = {listen, m.told};
    mts_options o;
    mts_options_default(&o);
    snprintf(path, sizeof path, "%s", folder_at(out));
    o.output_dir = path;
    o.like = m.like;
    o.base_bits = m.base_bits;
    o.layers = m.layers;
    o.max_shard_size = m.shard != NULL ? m.shard : "5GB";
    o.seed = m.seed;
    o.num_threads = m.threads;
    return mts_synth(&ctx, &o, m.told != NULL ? &callbacks : NULL);
}

static mts_status quantize(const char *base, const char *out, const char *shard)
{
    char paths[2][4096];
    mts_options o;
    mts_options_default(&o);
    snprintf(paths[0], sizeof paths[0], "%s", folder_at(base));
    snprintf(paths[1], sizeof paths[1], "%s", folder_at(out));
    o.model_name_or_path = paths[0];
    o.output_dir = paths[1];
    o.max_shard_size = shard;
    return mts_quantize(&ctx, &o, NULL);
}

static void assert_absent(const char *name)
{
    if (access(folder_at(name), F_OK) == 0)
        fail_msg("%s is there", name);
}

/* Whether two files of the folder have the same bytes. */
static bool same_file(const char *a, const char *b)
{
    char *bytes[2] = {NULL, NULL};
    size_t n[2];
    assert_ok(file_read_all(&ctx, folder_at(a), 1 << 24, &bytes[0], &n[0]));
    assert_ok(file_read_all(&ctx, folder_at(b), 1 << 24, &bytes[1], &n[1]));
    const bool same = n[0] == n[1] && memcmp(bytes[0], bytes[1], n[0]) == 0;
    mem_free(bytes[0]);
    mem_free(bytes[1]);
    return same;
}

static void assert_same_folder(const char *a, const char *b)
{
    file_list lists[2];
    assert_ok(file_list_dir(&ctx, folder_at(a), &lists[0]));
    assert_ok(file_list_dir(&ctx, folder_at(b), &lists[1]));
    assert_int_equal(lists[0].count, lists[1].count);
    for (size_t i = 0; i < lists[0].count; i++) {
        char paths[2][512];
        assert_string_equal(lists[0].names[i], lists[1].names[i]);
        snprintf(paths[0], sizeof paths[0], "%s/%s", a, lists[0].names[i]);
        snprintf(paths[1], sizeof paths[1], "%s/%s", b, lists[0].names[i]);
        if (!same_file(paths[0], paths[1]))
            fail_msg("%s is not %s", paths[0], paths[1]);
    }
    file_list_deinit(&lists[0]);
    file_list_deinit(&lists[1]);
}

/* ------------------------------------------------------------------------------- shapes ---- */

/* Parameters of a model like this one, as its configuration says. */
static int64_t parameters(const char *like, int64_t layers)
{
    model_config cfg = {0};
    param_list params = {0};
    json_t *json = NULL;
    const char *prefix;
    assert_ok(synth_shape_config(&ctx, like, layers, &json));
    assert_ok(json_util_save(&ctx, json, folder_at("config.json")));
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_ok(network_declare(&ctx, &cfg, head_class_find("next token"), &params, &prefix));
    const int64_t count = params.elements;
    param_list_deinit(&params);
    model_config_deinit(&cfg);
    json_decref(json);
    return count;
}

/* What transformers counts: sum(p.numel() for p in Model(config).parameters()) */
static void test_shapes(void **state)
{
    (void)state;
    json_t *json = NULL;
    assert_true(parameters("falcon-40b", 0) == INT64_C(41303293952));
    assert_true(parameters("falcon-7b", 0) == INT64_C(6921720704));
    assert_true(parameters("llama-7b", 0) == INT64_C(6738415616));
    const int64_t layer = parameters("llama-7b", 2) - parameters("llama-7b", 1);
    assert_true(layer == 4 * 4096 * 4096 + 3 * 4096 * 11008 + 2 * 4096);
    assert_fails(synth_shape_config(&ctx, "gpt-5", 0, &json), MTS_ERR_ARGUMENT, "gpt-5");
}

/* ------------------------------------------------------------------------------ numbers ---- */

/* *x: the values of a tensor of the folder; how many. */
static int64_t values(const char *dir, const char *name, float **x)
{
    weight_file file;
    weight_tensor t;
    assert_ok(weight_file_open(&ctx, folder_at(dir), &file));
    assert_true(weight_file_find(&file, name, "", &t));
    const int64_t n = t.shape[0] * (t.ndim > 1 ? t.shape[1] : 1);
    assert_ok(mem_calloc(&ctx, x, (size_t)n, sizeof **x, "values"));
    assert_ok(weight_file_read(&ctx, &file, &t, *x, n));
    weight_file_close(&file);
    return n;
}

/* Moments within 5 sigma, and independent neighbours, in rows and in columns. */
static void test_normal(void **state)
{
    (void)state;
    static const double deviation = 0.02;
    const int64_t cols = 64;
    float *x = NULL;
    double sum[5] = {0}, near = 0, below = 0;
    assert_ok(synth("out", (made){.like = "falcon-tiny", .base_bits = "16", .seed = 3}));
    const int64_t n = values("out", "transformer.word_embeddings.weight", &x);
    assert_int_equal(n, 512 * cols);
    for (int64_t i = 0; i < n; i++) {
        const double z = x[i] / deviation;
        double power = 1;
        for (int k = 1; k < 5; k++)
            sum[k] += power *= z;
        near += i + 1 < n ? z * x[i + 1] / deviation : 0;
        below += i + cols < n ? z * x[i + cols] / deviation : 0;
    }
    const double sigma = 1 / sqrt((double)n);
    assert_true(fabs(sum[1] / (double)n) < 5 * sigma);
    assert_true(fabs(sum[2] / (double)n - 1) < 5 * sqrt(2) * sigma);
    assert_true(fabs(sum[3] / (double)n) < 5 * sqrt(15) * sigma);
    assert_true(fabs(sum[4] / (double)n - 3) < 5 * sqrt(96) * sigma);
    assert_true(fabs(near / (double)n) < 5 * sigma && fabs(below / (double)n) < 5 * sigma);
    mem_free(x);
}

static void test_vectors(void **state)
{
    (void)state;
    static const char *const names[] = {"transformer.h.1.ln_mlp.bias",
                                        "transformer.h.1.ln_mlp.weight"};
    assert_ok(synth("out", (made){.like = "falcon-tiny"}));
    for (int k = 0; k < 2; k++) {
        float *x = NULL;
        const int64_t n = values("out", names[k], &x);
        assert_int_equal(n, 64);
        for (int64_t i = 0; i < n; i++)
            assert_true(x[i] == (float)k);
        mem_free(x);
    }
}

/* In 4 bits it is what quantize makes of the same in bfloat16; config.json and tokenizer too. */
static void test_is_quantized(void **state)
{
    (void)state;
    static const char *const names[] = {"falcon-tiny", "llama-tiny"};
    for (int i = 0; i < 2; i++) {
        assert_ok(synth("plain", (made){.like = names[i], .base_bits = "16", .shard = "30KB"}));
        assert_ok(synth("four", (made){.like = names[i], .shard = "20KB"}));
        assert_ok(quantize("plain", "packed", "20KB"));
        assert_same_folder("four", "packed");
        assert_true(file_exists(folder_at("four/model.safetensors.index.json")));
        assert_ok(file_remove_tree(&ctx, folder_at("plain")));
        assert_ok(file_remove_tree(&ctx, folder_at("four")));
        assert_ok(file_remove_tree(&ctx, folder_at("packed")));
    }
}

/* What the numbers depend on: the seed, name and place, not threads or layers behind. */
static void test_depends(void **state)
{
    (void)state;
    float *x = NULL, *y = NULL;
    assert_ok(synth("one", (made){.like = "llama-tiny", .seed = 5, .threads = 1}));
    assert_ok(synth("three", (made){.like = "llama-tiny", .seed = 5, .threads = 3}));
    assert_same_folder("one", "three");
    assert_ok(synth("seed", (made){.like = "llama-tiny", .seed = 6}));
    assert_false(same_file("one/model.safetensors", "seed/model.safetensors"));
    assert_ok(synth("short", (made){.like = "llama-tiny", .seed = 5, .layers = 1}));
    static const char *const there[] = {"model.layers.0.mlp.up_proj.weight", "lm_head.weight"};
    for (int i = 0; i < 2; i++) {
        const int64_t n = values("one", there[i], &x);
        assert_int_equal(values("short", there[i], &y), n);
        assert_memory_equal(x, y, (size_t)n * sizeof *x);
        mem_free(x);
        mem_free(y);
    }
    const int64_t n = values("one", "model.layers.0.mlp.up_proj.weight", &x);
    assert_int_equal(values("one", "model.layers.0.mlp.gate_proj.weight", &y), n);
    assert_memory_not_equal(x, y, (size_t)n * sizeof *x);
    mem_free(y);
    assert_int_equal(values("one", "model.layers.1.mlp.up_proj.weight", &y), n);
    assert_memory_not_equal(x, y, (size_t)n * sizeof *x);
    assert_memory_not_equal(x, x + 40, 40 * sizeof *x);
    mem_free(x);
    mem_free(y);
}

/* ---------------------------------------------------------------------------- tokenizer ---- */

static void test_tokenizer(void **state)
{
    (void)state;
    static const char text[] = "a\xc3\xa9 \"\\<|endoftext|>\n";
    static const int32_t expected[] = {'a', 0xc3, 0xa9, ' ', '"', '\\', 256, '\n'};
    mts_tokenizer *tok = NULL;
    mts_encoding row;
    assert_ok(synth("out", (made){.like = "llama-tiny", .layers = 1}));
    assert_ok(mts_tokenizer_open(&ctx, folder_at("out"), &tok));
    assert_int_equal(mts_tokenizer_vocab_size(tok), 257);
    assert_ok(mts_tokenizer_encode(tok, text, NULL, 0, &row));
    assert_int_equal(row.length, sizeof expected / sizeof expected[0]);
    assert_memory_equal(row.ids, expected, sizeof expected);
    mts_encoding_free(&row);
    mts_tokenizer_close(tok);
}

/* ------------------------------------------------------------------ stopped and gone on ---- */

static void test_goes_on(void **state)
{
    (void)state;
    told whole = {.stop = 0};
    made m = {.like = "llama-tiny", .shard = "20KB", .told = &whole};
    int kept = 0;
    assert_ok(synth("whole", m));
    for (int64_t stop = 1; stop <= whole.events; stop += 3) {
        told t = {.stop = stop}, rest = {.stop = 0};
        m.told = &t;
        assert_fails(synth("out", m), MTS_ERR_INTERRUPTED, "goes on behind");
        assert_absent("out");
        folder_put_text("out.partial/model/model.safetensors.index.json", "{");
        m.told = &rest;
        assert_ok(synth("out", m));
        kept += rest.kept;
        assert_same_folder("out", "whole");
        assert_absent("out.partial");
        assert_ok(file_remove_tree(&ctx, folder_at("out")));
    }
    assert_true(kept > 3);
}

/* Another seed, shape or width: begun anew. */
static void test_begins_anew(void **state)
{
    (void)state;
    const made others[] = {
        {.like = "llama-tiny", .shard = "20KB", .seed = 8},
        {.like = "llama-tiny", .shard = "20KB", .layers = 1},
        {.like = "llama-tiny", .shard = "20KB", .base_bits = "16"},
        {.like = "llama-tiny", .shard = "30KB"},
        {.like = "falcon-tiny", .shard = "20KB"},
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        told t = {.stop = 30}, rest = {.stop = 0};
        made m = others[i];
        assert_ok(synth("whole", m));
        assert_fails(synth("out", (made){.like = "llama-tiny", .shard = "20KB", .told = &t}),
                     MTS_ERR_INTERRUPTED, "goes on");
        m.told = &rest;
        assert_ok(synth("out", m));
        assert_false(rest.kept);
        assert_same_folder("out", "whole");
        assert_ok(file_remove_tree(&ctx, folder_at("out")));
        assert_ok(file_remove_tree(&ctx, folder_at("whole")));
    }
}

static void test_refusals(void **state)
{
    (void)state;
    assert_fails(synth("out", (made){.like = NULL}), MTS_ERR_ARGUMENT, "--like is missing");
    assert_fails(synth("out", (made){.like = "bert"}), MTS_ERR_ARGUMENT, "like");
    assert_fails(synth("out", (made){.like = "llama-tiny", .layers = 1025}), MTS_ERR_ARGUMENT,
                 "layers");
    assert_fails(synth("out", (made){.like = "llama-tiny", .shard = "5 apples"}), MTS_ERR_ARGUMENT,
                 "max_shard_size");
    assert_ok(file_make_dirs(&ctx, folder_at("full")));
    folder_put_text("full/mine", "x");
    assert_fails(synth("full", (made){.like = "llama-tiny"}), MTS_ERR_ARGUMENT,
                 "already holds mine");
    assert_absent("out");
    assert_absent("out.partial");
    assert_absent("full.partial");
}

/* Whatever allocation fails: an error that says so, and the next call makes the folder. */
static void test_failing_memory(void **state)
{
    (void)state;
    const made m = {.like = "llama-tiny", .layers = 1, .shard = "20KB"};
    assert_ok(synth("whole", m));
    for (int jansson = 0; jansson < 2; jansson++) {
        mts_status st = MTS_ERR_MEMORY;
        for (int64_t n = 0; st != MTS_OK; n += 1 + n / 8) { /* all of the first, then some */
            assert_true(n < 200000);
            mem_fail_after(jansson ? -1 : n);
            json_memory_fail_after(jansson ? n : -1);
            st = synth("out", m);
            const int64_t ours = mem_fail_after(-1), theirs = json_memory_fail_after(-1);
            const bool failed = (jansson ? theirs : ours) > n;
            if (st != (failed ? MTS_ERR_MEMORY : MTS_OK))
                fail_msg("allocation %d gave %s: %s", (int)n, mts_status_name(st), ctx.error);
            if (st != MTS_OK)
                assert_absent("out");
        }
        assert_same_folder("out", "whole");
        assert_ok(file_remove_tree(&ctx, folder_at("out")));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_open, folder_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_shapes),   TEST(test_normal),         TEST(test_vectors), TEST(test_is_quantized),
        TEST(test_depends),  TEST(test_tokenizer),      TEST(test_goes_on), TEST(test_begins_anew),
        TEST(test_refusals), TEST(test_failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
