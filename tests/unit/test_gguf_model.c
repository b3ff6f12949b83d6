/*
 * io/gguf_model: a GGUF file as a model: where it is found, names, order of rows, the object in
 * place of config.json, and what is refused with which text.
 */
#include "support/gguf_tiny.h"
#include "support/test_folder.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "io/gguf_model.h"
#include "network/network_io.h"

static mts_ctx ctx;
static gguf_bytes b;

static const char *put_tiny(const gguf_tiny *t)
{
    gguf_make_tiny(&b, t);
    folder_put("f.gguf", b.data, b.size);
    return folder_at("f.gguf");
}

/* ------------------------------------------------------------------------------- finding ----- */

static void finds_files(void **state)
{
    (void)state;
    char *file = NULL;
    assert_ok(file_make_dirs(&ctx, folder_at("m")));
    assert_ok(gguf_model_find(&ctx, folder_at("none"), &file));
    assert_null(file);
    assert_ok(gguf_model_find(&ctx, folder_at("m"), &file));
    assert_null(file);
    folder_put_text("m/x.gguf", "x");
    folder_put_text("m/.gguf", "x"); /* a name of its own it has not */
    folder_put_text("m/x.gguf.txt", "x");
    assert_ok(gguf_model_find(&ctx, folder_at("m"), &file));
    assert_string_equal(file, folder_at("m/x.gguf"));
    mem_free(file);
    assert_ok(gguf_model_find(&ctx, folder_at("m/x.gguf.txt"), &file));
    assert_string_equal(file, folder_at("m/x.gguf.txt"));
    mem_free(file);
    folder_put_text("m/y.gguf", "x");
    assert_fails(gguf_model_find(&ctx, folder_at("m"), &file), MTS_ERR_ARGUMENT,
                 "expected config.json or one GGUF file, found several: give one of them");
    assert_null(file);
    folder_put_text("m/config.json", "{}");
    assert_ok(gguf_model_find(&ctx, folder_at("m"), &file));
    assert_null(file);
}

/* --------------------------------------------------------------------------------- names ----- */

static void maps_names(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"model.embed_tokens.weight", "token_embd.weight"},
        {"model.norm.weight", "output_norm.weight"},
        {"lm_head.weight", "output.weight"},
        {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight"},
        {"model.layers.17.self_attn.k_proj.bias", "blk.17.attn_k.bias"},
        {"model.layers.1.self_attn.v_proj.weight", "blk.1.attn_v.weight"},
        {"model.layers.1.self_attn.o_proj.weight", "blk.1.attn_output.weight"},
        {"model.layers.1.mlp.gate_proj.weight", "blk.1.ffn_gate.weight"},
        {"model.layers.1.mlp.up_proj.weight", "blk.1.ffn_up.weight"},
        {"model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight"},
        {"model.layers.1.self_attn.q_norm.weight", "blk.1.attn_q_norm.weight"},
        {"model.layers.1.self_attn.k_norm.weight", "blk.1.attn_k_norm.weight"},
        {"model.layers.1.input_layernorm.weight", "blk.1.attn_norm.weight"},
        {"model.layers.123.post_attention_layernorm.weight", "blk.123.ffn_norm.weight"},
    };
    static const char *const none[] = {"",
                                       "model",
                                       "weight",
                                       ".weight",
                                       "model.norm",
                                       "model.norm.gamma",
                                       "norm.weight",
                                       "model.layers.weight",
                                       "model.layers..weight",
                                       "model.layers.1.weight",
                                       "model.layers.1weight",
                                       "model.layers.x.mlp.up_proj.weight",
                                       "model.layers.1.mlp.up.weight",
                                       "model.layers.1.mlp.up_proj.lora_A.weight",
                                       "model.layers.9999999999.mlp.up_proj.weight",
                                       "classifier.weight"};
    char name[GGUF_MODEL_NAME_BYTES];
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        assert_true(gguf_model_name(pairs[i][0], name));
        assert_string_equal(name, pairs[i][1]);
    }
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(gguf_model_name(none[i], name));
}

/* --------------------------------------------------------------------------------- rows ------ */

/* Row r of the tensor is number order[r mod 8] of its head in the file. */
static void expect_rows(const gguf_model *m, const char *name, int64_t rows, int64_t cols,
                        const int *order)
{
    float values[256];
    const gguf_tensor *t = gguf_find_tensor(m->file, name);
    assert_non_null(t);
    assert_ok(gguf_model_read(&ctx, m, t, values));
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            assert_true(values[r * cols + c] == (float)(r / 8 * 8 + order[r % 8]) + (float)c / 64);
}

static void expect_vector(const gguf_model *m, const char *name, int64_t n, const int *order)
{
    float values[16];
    assert_ok(gguf_model_read(&ctx, m, gguf_find_tensor(m->file, name), values));
    for (int64_t i = 0; i < n; i++)
        assert_true(values[i] == (float)(i / 8 * 8 + order[i % 8]) / 64);
}

static const int plain[8] = {0, 1, 2, 3, 4, 5, 6, 7};
static const int halves[8] = {0, 2, 4, 6, 1, 3, 5, 7};

static void reorders_rows(void **state)
{
    (void)state;
    for (int qwen = 0; qwen < 2; qwen++) {
        gguf_model m;
        const int *order = qwen ? plain : halves;
        assert_ok(gguf_model_open(
            &ctx, put_tiny(&(gguf_tiny){.architecture = qwen ? "qwen2" : "llama", .biases = true}),
            &m));
        expect_rows(&m, "blk.0.attn_q.weight", 16, 16, order);
        expect_rows(&m, "blk.0.attn_k.weight", 8, 16, order);
        expect_rows(&m, "blk.0.attn_v.weight", 8, 16, plain);
        expect_rows(&m, "blk.0.attn_output.weight", 16, 16, plain);
        expect_rows(&m, "token_embd.weight", 6, 16, plain);
        expect_vector(&m, "blk.0.attn_q.bias", 16, order);
        expect_vector(&m, "blk.0.attn_k.bias", 8, order);
        expect_vector(&m, "blk.0.attn_v.bias", 8, plain);
        gguf_model_close(&m);
    }
}

static void refuses_rows_that_are_no_heads(void **state)
{
    (void)state;
    gguf_model m;
    float values[256];
    const char *path = put_tiny(&(gguf_tiny){.key = "attention.head_count", .value = 3});
    assert_ok(gguf_model_open(&ctx, path, &m));
    assert_fails(gguf_model_read(&ctx, &m, gguf_find_tensor(m.file, "blk.0.attn_q.weight"), values),
                 MTS_ERR_BAD_FILE, "expected 3 heads of the same even number of rows");
    gguf_model_close(&m);
}

/* The parameters of a network get them. */
static void loads_a_network(void **state)
{
    (void)state;
    const char *path = put_tiny(&(gguf_tiny){.tensor = "blk.0.more", .count = 3});
    const network_options options = {.head = head_class_find("next token"),
                                     .format = {.kind = FORMAT_FP32},
                                     .threads = 1,
                                     .limits = {.eval_rows = 1, .eval_tokens = 4, .max_length = 4}};
    network *net = NULL;
    network_load_report report;
    model_config cfg;
    int found = 0;
    assert_ok(model_load_config(&ctx, path, &cfg));
    assert_ok(network_check_weights(&ctx, &cfg, options.head, path, HEAD_NEEDED));
    assert_ok(network_create(&ctx, &cfg, &options, &net));
    assert_ok(network_load(&ctx, net, path, HEAD_NEEDED, &report));
    assert_int_equal(report.unused, 1);
    assert_string_equal(report.first_unused, "blk.0.more");
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        if (strcmp(p->name, "model.layers.0.self_attn.k_proj.weight") == 0)
            for (int r = 0; r < 8; r++, found++)
                assert_true(p->value[16 * r + 1] == (float)halves[r] + 1.0F / 64);
    }
    assert_int_equal(found, 8);
    network_destroy(net);
}

/* ------------------------------------------------------------------------- configuration ----- */

static json_int_t int_of(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    if (!json_is_integer(value))
        fail_msg("%s: no integer", key);
    return json_integer_value(value);
}

static void makes_a_configuration(void **state)
{
    (void)state;
    model_config cfg;
    assert_ok(model_load_config(&ctx, put_tiny(&(gguf_tiny){0}), &cfg));
    assert_int_equal(cfg.vocab_size, GGUF_TINY_VOCAB);
    assert_int_equal(cfg.hidden_size, 16);
    assert_int_equal(cfg.num_hidden_layers, 1);
    assert_int_equal(cfg.num_attention_heads, 2);
    assert_int_equal(cfg.intermediate_size, 4);
    assert_int_equal(cfg.max_position_embeddings, 32);
    assert_int_equal(cfg.hidden_act, MODEL_ACT_SILU);
    assert_string_equal(cfg.architecture, "LlamaForCausalLM");
    assert_string_equal(model_config_type(&cfg), "llama");
    assert_int_equal(int_of(cfg.json, "num_key_value_heads"), 1);
    assert_int_equal(int_of(cfg.json, "head_dim"), 8);
    assert_int_equal(int_of(cfg.json, "bos_token_id"), 0);
    assert_true(json_is_null(json_object_get(cfg.json, "pad_token_id")));
    assert_true(json_is_true(json_object_get(cfg.json, "tie_word_embeddings")));
    assert_true(json_is_false(json_object_get(cfg.json, "attention_bias")));
    assert_true(json_real_value(json_object_get(cfg.json, "rms_norm_eps")) == (double)1e-5F);
    assert_true(json_real_value(json_object_get(cfg.json, "rope_theta")) == 1e4);
    assert_null(json_object_get(cfg.json, "rope_scaling"));
    model_config_deinit(&cfg);

    assert_ok(model_load_config(
        &ctx, put_tiny(&(gguf_tiny){.architecture = "qwen2", .biases = true}), &cfg));
    assert_string_equal(cfg.architecture, "Qwen2ForCausalLM");
    model_config_deinit(&cfg);

    assert_ok(model_load_config(
        &ctx, put_tiny(&(gguf_tiny){.biases = true, .tensor = "output.weight", .count = 1}), &cfg));
    assert_true(json_is_true(json_object_get(cfg.json, "attention_bias")));
    assert_true(json_is_false(json_object_get(cfg.json, "tie_word_embeddings")));
    model_config_deinit(&cfg);
}

/* The numbers of the tensor as they are made are of no formula. */
static void knows_llama3_frequencies(void **state)
{
    (void)state;
    model_config cfg;
    static const gguf_tiny right = {.tensor = GGUF_MODEL_FREQUENCIES,
                                    .count = 4,
                                    .real_key = "rope.freq_base",
                                    .real = 5e5F},
                           other = {.tensor = GGUF_MODEL_FREQUENCIES, .count = 5};
    assert_fails(model_load_config(&ctx, put_tiny(&right), &cfg), MTS_ERR_UNSUPPORTED,
                 "tensor rope_freqs.weight: only the frequencies of Llama 3.1 are supported");
    model_config_deinit(&cfg);
    assert_fails(model_load_config(&ctx, put_tiny(&other), &cfg), MTS_ERR_BAD_FILE,
                 "tensor rope_freqs.weight: expected 4 numbers, half the width of a head, found 5");
    model_config_deinit(&cfg);
    /* pairs of 6.3, 167, 4443 and 118142 positions a turn: the third lies in between */
    const double smooth = (8192 / (6.283185307179586 * sqrt(5e5)) - 1) / 3;
    for (int wrong = 0; wrong < 3; wrong++) {
        const double third = 1 / ((1 - smooth) / 8 + smooth);
        const float divisors[4] = {1, wrong == 1 ? 1.001F : 1,
                                   (float)(wrong == 2 ? third * 1.001 : third), 8};
        gguf_make_tiny(&b, &right);
        memcpy(b.data + b.size - 32, divisors, sizeof divisors);
        folder_put("f.gguf", b.data, b.size);
        const mts_status st = model_load_config(&ctx, folder_at("f.gguf"), &cfg);
        const json_t *scaling = json_object_get(cfg.json, "rope_scaling");
        assert_int_equal(st, wrong > 0 ? MTS_ERR_UNSUPPORTED : MTS_OK);
        if (wrong == 0) {
            assert_string_equal(json_string_value(json_object_get(scaling, "rope_type")), "llama3");
            assert_true(json_real_value(json_object_get(scaling, "factor")) == 8);
            assert_true(json_real_value(json_object_get(scaling, "low_freq_factor")) == 1);
            assert_true(json_real_value(json_object_get(scaling, "high_freq_factor")) == 4);
            assert_int_equal(int_of(scaling, "original_max_position_embeddings"), 8192);
        }
        model_config_deinit(&cfg);
    }
}

static void knows_linear_scaling(void **state)
{
    (void)state;
    model_config cfg;
    static const gguf_tiny files[] = {
        {.text_key = "llama.rope.scaling.type",
         .text = "linear",
         .real_key = "rope.scaling.factor",
         .real = 4},
        {.real_key = "rope.scale_linear", .real = 4},
        {.text_key = "llama.rope.scaling.type",
         .text = "none",
         .real_key = "rope.scaling.factor",
         .real = 4},
    };
    for (int i = 0; i < 3; i++) {
        assert_ok(model_load_config(&ctx, put_tiny(&files[i]), &cfg));
        const json_t *scaling = json_object_get(cfg.json, "rope_scaling");
        assert_int_equal(scaling != NULL, i < 2);
        if (i < 2) {
            assert_string_equal(json_string_value(json_object_get(scaling, "rope_type")), "linear");
            assert_true(json_real_value(json_object_get(scaling, "factor")) == 4);
        }
        model_config_deinit(&cfg);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        gguf_tiny file;
        mts_status status;
        const char *text;
    } broken[] = {
        {{.without = "general.architecture"},
         MTS_ERR_BAD_FILE,
         "key general.architecture: expected, but absent"},
        {{.text_key = "general.architecture", .text = "falcon\033"},
         MTS_ERR_UNSUPPORTED,
         "key general.architecture: expected \"llama\", \"qwen2\", \"qwen3\", found \"falcon \""},
        {{.text_key = "general.architecture"}, MTS_ERR_BAD_FILE, "expected a text, found"},
        {{.without = "attention.head_count"},
         MTS_ERR_BAD_FILE,
         "key llama.attention.head_count: expected, but absent"},
        {{.architecture = "qwen2", .without = "block_count"},
         MTS_ERR_BAD_FILE,
         "key qwen2.block_count: expected, but absent"},
        {{.without = "embedding_length"},
         MTS_ERR_BAD_FILE,
         "llama.embedding_length: expected, but"},
        {{.without = "feed_forward_length"}, MTS_ERR_BAD_FILE, "llama.feed_forward_length: "},
        {{.without = "context_length"}, MTS_ERR_BAD_FILE, "llama.context_length: expected, but"},
        {{.without = "attention.layer_norm_rms_epsilon"},
         MTS_ERR_BAD_FILE,
         "llama.attention.layer_norm_rms_epsilon: expected, but absent"},
        {{.without = "tokenizer.ggml.tokens"},
         MTS_ERR_BAD_FILE,
         "key tokenizer.ggml.tokens: expected, but absent"},
        {{.key = "attention.head_count", .value = 0},
         MTS_ERR_BAD_FILE,
         "llama.attention.head_count: expected an integer 1..1024"},
        {{.key = "attention.head_count", .value = 4000000000}, MTS_ERR_BAD_FILE, "1..1024"},
        {{.key = "attention.head_count", .value = 3},
         MTS_ERR_BAD_FILE,
         "hidden_size: expected a multiple of num_attention_heads 3, found 16"},
        {{.key = "attention.head_count_kv", .value = 3},
         MTS_ERR_BAD_FILE,
         "num_key_value_heads: expected a divisor of 2"},
        {{.key = "attention.head_count_kv", .value = 0},
         MTS_ERR_BAD_FILE,
         "llama.attention.head_count_kv: expected an integer 1..1024"},
        {{.key = "embedding_length", .value = 1 << 30}, MTS_ERR_BAD_FILE, "1..65536"},
        {{.key = "block_count", .value = 1 << 30}, MTS_ERR_BAD_FILE, "1..1024"},
        {{.key = "feed_forward_length", .value = 0}, MTS_ERR_BAD_FILE, "1..1048576"},
        {{.key = "attention.key_length", .value = 1 << 20}, MTS_ERR_BAD_FILE, "1..1024"},
        {{.key = "attention.value_length", .value = 4},
         MTS_ERR_UNSUPPORTED,
         "llama.attention.value_length: only the width of a head, 8, is supported, found 4"},
        {{.key = "rope.dimension_count", .value = 4},
         MTS_ERR_UNSUPPORTED,
         "llama.rope.dimension_count: only the width of a head, 8, is supported, found 4"},
        {{.key = "rope.freq_base", .value = 1},
         MTS_ERR_BAD_FILE,
         "rope.freq_base: expected a float"},
        {{.text_key = "llama.rope.scaling.type", .text = "yarn"},
         MTS_ERR_UNSUPPORTED,
         "llama.rope.scaling.type: expected none or linear, found \"yarn\""},
        {{.key = "expert_count", .value = 8},
         MTS_ERR_UNSUPPORTED,
         "llama.expert_count: mixtures of experts are not supported, found 8"},
        {{.key = "attention.sliding_window", .value = 31},
         MTS_ERR_UNSUPPORTED,
         "windows of attention are not supported, found 31 of 32 positions"},
        {{.key = "split.count", .value = 2}, MTS_ERR_UNSUPPORTED, "one of 2 files of a model"},
        {{.key = "tokenizer.ggml.bos_token_id", .value = 6},
         MTS_ERR_BAD_FILE,
         "tokenizer.ggml.bos_token_id: expected an integer 0..5"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        model_config cfg;
        assert_fails(model_load_config(&ctx, put_tiny(&broken[i].file), &cfg), broken[i].status,
                     broken[i].text);
        assert_non_null(strstr(ctx.error, "/f.gguf: "));
        model_config_deinit(&cfg);
    }
}

/* Metadata that agree with themselves, but not with the tensors: before memory is taken. */
static void refuses_other_tensors(void **state)
{
    (void)state;
    static const struct {
        gguf_tiny file;
        const char *text;
    } broken[] = {
        {{.without = "blk.0.attn_v.weight"}, "no tensor model.layers.0.self_attn.v_proj.weight"},
        {{.without = "token_embd.weight"}, "no tensor model.embed_tokens.weight"},
        {{.key = "block_count", .value = 1024}, "no tensor model.layers.1.self_attn.q_proj.weight"},
        {{.key = "embedding_length", .value = 32},
         "model.embed_tokens.weight: its metadata asks for shape [6, 32], the file has 2 "
         "dimensions, the first 6"},
        {{.key = "feed_forward_length", .value = 1 << 20}, "asks for shape [1048576, 16]"},
        {{.key = "attention.key_length", .value = 16}, "asks for shape [32, 16]"},
        {{.key = "attention.head_count_kv", .value = 2}, "asks for shape [16, 16], the file has 2"},
        {{.architecture = "qwen2"}, "no tensor model.layers.0.self_attn.q_proj.bias"},
        {{.architecture = "qwen3"}, "no tensor model.layers.0.self_attn.q_norm.weight"},
        {{.tensor = "output.weight", .count = 16}, "asks for shape [6, 16], the file has 1"},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *path = put_tiny(&broken[i].file);
        model_config cfg;
        assert_ok(model_load_config(&ctx, path, &cfg));
        assert_fails(
            network_check_weights(&ctx, &cfg, head_class_find("next token"), path, HEAD_NEEDED),
            MTS_ERR_BAD_FILE, broken[i].text);
        model_config_deinit(&cfg);
    }
}

/* An element type without values here: likewise. */
static void refuses_element_types(void **state)
{
    (void)state;
    enum { TYPE_Q5_K = 13, TYPE_I32 = 26 };
    static const char name[] = "output_norm.weight";
    uint32_t type = TYPE_I32;
    model_config cfg;
    gguf_make_tiny(&b, &(gguf_tiny){0});
    for (size_t i = 0; i + sizeof name < b.size; i++)
        if (memcmp(b.data + i, name, sizeof name - 1) == 0)
            memcpy(b.data + i + sizeof name - 1 + 4 + 8, &type, sizeof type);
    folder_put("f.gguf", b.data, b.size);
    assert_ok(model_load_config(&ctx, folder_at("f.gguf"), &cfg));
    assert_fails(network_check_weights(&ctx, &cfg, head_class_find("next token"),
                                       folder_at("f.gguf"), HEAD_NEEDED),
                 MTS_ERR_UNSUPPORTED, "tensor output_norm.weight: expected F32, F16");
    model_config_deinit(&cfg);
}

static mts_status read_all(void)
{
    mts_status st = MTS_OK;
    gguf_model m = {0};
    json_t *json = NULL;
    char *file = NULL;
    MTS_TRY(gguf_model_find(&ctx, folder_root(), &file));
    MTS_TRY(gguf_model_open(&ctx, file, &m));
    MTS_TRY(gguf_model_config(&ctx, &m, &json));
cleanup:
    json_decref(json);
    gguf_model_close(&m);
    mem_free(file);
    return st;
}

/* Of the library and of jansson. */
static void failing_memory(void **state)
{
    (void)state;
    put_tiny(&(gguf_tiny){.biases = true,
                          .text_key = "llama.rope.scaling.type",
                          .text = "linear",
                          .real_key = "rope.scaling.factor",
                          .real = 4});
    for (int kind = 0; kind < 2; kind++) {
        int64_t (*const fail_after)(int64_t) = kind == 0 ? mem_fail_after : json_memory_fail_after;
        mts_status st = MTS_ERR_MEMORY;
        int64_t n = 0;
        for (; st != MTS_OK; n++) {
            fail_after(n);
            st = read_all();
            fail_after(-1);
            assert_true(st == MTS_OK || st == MTS_ERR_MEMORY);
        }
        assert_true(n > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_files, folder_open, folder_close),
        cmocka_unit_test(maps_names),
        cmocka_unit_test_setup_teardown(reorders_rows, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_rows_that_are_no_heads, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(loads_a_network, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(makes_a_configuration, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(knows_llama3_frequencies, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(knows_linear_scaling, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_other_tensors, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_element_types, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(failing_memory, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
