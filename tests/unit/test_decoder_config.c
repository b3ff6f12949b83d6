/*
 * config.json of decoders: what each family's keys mean, also where they are absent, and what is
 * refused because it would be computed otherwise.
 */
#include "support/test_folder.h"

#include <math.h>

#include "base/json_util.h"
#include "models/decoder_config.h"

static mts_ctx ctx;

#define SIZES "\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":8"
#define LLAMA "\"intermediate_size\":96," SIZES

static mts_status read_text(const char *text, decoder_config *c)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    const mts_status st = decoder_config_read(&ctx, "config.json", json, c);
    json_decref(json);
    return st;
}

static decoder_config config_of(const char *text)
{
    decoder_config c;
    assert_ok(read_text(text, &c));
    return c;
}

/* windowed[4] as a text, "FWWF". */
static void assert_layers(const decoder_config *c, const char *expected)
{
    for (int l = 0; l < 4; l++)
        if (c->windowed[l] != (expected[l] == 'W'))
            fail_msg("layer %d, expected %s", l, expected);
}

/* ------------------------------------------------------------------------------- windows ---- */

static void windows(void **state)
{
    static const struct {
        const char *text;
        int64_t window;
        const char *layers;
    } cases[] = {
        {"{\"model_type\":\"llama\"," LLAMA "}", 0, "FFFF"},
        {"{\"model_type\":\"llama\",\"sliding_window\":null," LLAMA "}", 0, "FFFF"},
        {"{\"model_type\":\"mistral\"," LLAMA "}", 4096, "WWWW"},
        {"{\"model_type\":\"mistral\",\"sliding_window\":null," LLAMA "}", 0, "FFFF"},
        {"{\"model_type\":\"mistral\",\"sliding_window\":7," LLAMA "}", 7, "WWWW"},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7," LLAMA "}", 0, "FFFF"},
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7,\"use_sliding_window\":true," LLAMA "}", 7,
         "FFFF"}, /* max_window_layers is 28 */
        {"{\"model_type\":\"qwen2\",\"sliding_window\":7,\"use_sliding_window\":true,"
         "\"max_window_layers\":3," LLAMA "}",
         7, "FFFW"},
        {"{\"model_type\":\"qwen3\",\"use_sliding_window\":true,\"max_window_layers\":0," LLAMA "}",
         4096, "WWWW"},
        {"{\"model_type\":\"qwen3\",\"use_sliding_window\":true,\"max_window_layers\":0,"
         "\"layer_types\":[\"full_attention\",\"sliding_attention\",\"full_attention\","
         "\"full_attention\"]," LLAMA "}",
         4096, "FWFF"},
        {"{\"model_type\":\"gemma3_text\",\"sliding_window_pattern\":2," LLAMA "}", 4096, "WFWF"},
        {"{\"model_type\":\"gemma3_text\",\"sliding_window\":512," LLAMA "}", 512, "WWWW"},
        {"{\"model_type\":\"falcon\"," SIZES "}", 0, "FFFF"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const decoder_config c = config_of(cases[i].text);
        assert_int_equal(c.window, cases[i].window);
        assert_layers(&c, cases[i].layers);
    }
}

/* ------------------------------------------------------------------------------ families ---- */

static void llama_and_qwen(void **state)
{
    decoder_config c = config_of("{\"model_type\":\"llama\",\"num_key_value_heads\":2," LLAMA "}");
    (void)state;
    assert_true(c.gated && !c.parallel && !c.fused_qkv && !c.layer_norm && !c.alibi && !c.tied);
    assert_true(c.act == MODEL_ACT_SILU && c.norm_offset == 0.0f && c.embedding_scale == 1.0f);
    assert_int_equal(c.kv_heads, 2);
    assert_int_equal(c.head_dim, 8);
    assert_int_equal(c.intermediate, 96);
    assert_int_equal(c.rope[0].dims, 8);
    assert_null(c.names.q_norm);
    c = config_of("{\"model_type\":\"qwen2\"," LLAMA "}");
    assert_true(c.qkv_bias && !c.out_bias);
    c = config_of("{\"model_type\":\"qwen3\"," LLAMA "}");
    assert_true(!c.qkv_bias && c.names.q_norm != NULL && c.names.k_norm != NULL);
    assert_int_equal(c.head_dim, 128);
    c = config_of("{\"model_type\":\"qwen3\",\"head_dim\":16,\"attention_bias\":true," LLAMA "}");
    assert_true(c.qkv_bias && c.out_bias && c.head_dim == 16);
}

static void gemma3(void **state)
{
    decoder_config c =
        config_of("{\"model_type\":\"gemma3_text\",\"query_pre_attn_scalar\":16,"
                  "\"rope_scaling\":{\"rope_type\":\"linear\",\"factor\":8}," LLAMA "}");
    (void)state;
    assert_true(c.tied && c.norm_offset == 1.0f && c.embedding_scale == 8.0f && c.local_rope);
    assert_true(c.act == MODEL_ACT_GELU_TANH && c.attention_scale == 0.25f);
    assert_true(c.names.out_norm != NULL && c.names.down_norm != NULL);
    assert_true(c.rope[0].base == 1e6 && c.rope[1].base == 1e4);
    assert_true(c.rope[0].scaling == ROPE_LINEAR && c.rope[1].scaling == ROPE_PLAIN);
    c = config_of("{\"model_type\":\"gemma3_text\",\"rope_theta\":5000,"
                  "\"rope_local_base_freq\":300,\"tie_word_embeddings\":false," LLAMA "}");
    assert_true(c.rope[0].base == 5000.0 && c.rope[1].base == 300.0 && !c.tied);
    c = config_of("{\"model_type\":\"gemma3_text\",\"rope_parameters\":{\"full_attention\":{"
                  "\"rope_type\":\"default\",\"rope_theta\":77},\"sliding_attention\":{"
                  "\"rope_theta\":88,\"rope_type\":\"linear\",\"factor\":2}}," LLAMA "}");
    assert_true(c.rope[0].base == 77.0 && c.rope[0].scaling == ROPE_PLAIN);
    assert_true(c.rope[1].base == 88.0 && c.rope[1].scaling == ROPE_LINEAR);
}

static void falcon(void **state)
{
    decoder_config c = config_of("{\"model_type\":\"falcon\"," SIZES "}"); /* as 7B */
    (void)state;
    assert_true(c.fused_qkv && c.layer_norm && c.parallel && !c.gated && !c.alibi && c.tied);
    assert_true(c.act == MODEL_ACT_GELU && !c.qkv_bias && !c.mlp_bias && c.norm_eps == 1e-5f);
    assert_int_equal(c.kv_heads, 1);
    assert_int_equal(c.intermediate, 256);
    assert_null(c.names.norm2);
    c = config_of("{\"model_type\":\"falcon\",\"new_decoder_architecture\":true,"
                  "\"num_kv_heads\":2,\"ffn_hidden_size\":70,\"bias\":true," SIZES "}");
    assert_true(c.kv_heads == 2 && c.intermediate == 70 && c.out_bias);
    assert_string_equal(c.names.norm1, "ln_attn");
    assert_string_equal(c.names.norm2, "ln_mlp");
    c = config_of("{\"model_type\":\"falcon\",\"new_decoder_architecture\":true,"
                  "\"num_ln_in_parallel_attn\":1," SIZES "}");
    assert_true(c.kv_heads == 8 && c.names.norm2 == NULL);
    c = config_of("{\"model_type\":\"falcon\",\"alibi\":true,\"parallel_attn\":false,"
                  "\"multi_query\":false," SIZES "}");
    assert_true(c.alibi && !c.parallel && c.kv_heads == 8 && c.rope[0].dims == 0);
    assert_string_equal(c.names.norm2, "post_attention_layernorm");
}

static void rotary(void **state)
{
    decoder_config c = config_of("{\"model_type\":\"llama\",\"partial_rotary_factor\":0.5,"
                                 "\"rope_scaling\":{\"type\":\"linear\",\"factor\":3}," LLAMA "}");
    (void)state;
    assert_true(c.rope[0].dims == 4 && c.rope[0].scaling == ROPE_LINEAR && !c.local_rope);
    assert_true(c.rope[0].factor == 3.0 && c.rope[0].base == 1e4);
    c = config_of("{\"model_type\":\"llama\",\"max_position_embeddings\":640,\"rope_parameters\":{"
                  "\"rope_type\":\"llama3\",\"rope_theta\":500,\"factor\":8}," LLAMA "}");
    assert_true(c.rope[0].scaling == ROPE_LLAMA3 && c.rope[0].base == 500.0);
    assert_true(c.rope[0].original_length == 640.0);
}

/* ------------------------------------------------------------------------------- refused ---- */

static void refused(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"{\"model_type\":\"llama\"," SIZES "}", "intermediate_size: expected, but absent"},
        {"{\"model_type\":\"llama\",\"sliding_window\":7," LLAMA "}",
         "has no windows of attention"},
        {"{\"model_type\":\"llama\",\"layer_types\":[\"sliding_attention\",\"full_attention\","
         "\"full_attention\",\"full_attention\"]," LLAMA "}",
         "has no windows of attention"},
        {"{\"model_type\":\"falcon\",\"sliding_window\":7," SIZES "}",
         "has no windows of attention"},
        {"{\"model_type\":\"mistral\",\"sliding_window\":0," LLAMA "}", "expected an integer 1.."},
        {"{\"model_type\":\"qwen3\",\"layer_types\":[\"full_attention\"]," LLAMA "}",
         "layer_types: expected an array of 4"},
        {"{\"model_type\":\"qwen3\",\"layer_types\":\"full_attention\"," LLAMA "}",
         "layer_types: expected an array of 4, one for each layer, found a string"},
        {"{\"model_type\":\"qwen3\",\"layer_types\":[\"full_attention\",\"chunked_attention\","
         "\"full_attention\",\"full_attention\"]," LLAMA "}",
         "found \"chunked_attention\""},
        {"{\"model_type\":\"qwen3\",\"layer_types\":[1,2,3,4]," LLAMA "}",
         "layer_types: expected full_attention or sliding_attention"},
        {"{\"model_type\":\"qwen2\",\"layer_types\":[\"full_attention\",\"sliding_attention\","
         "\"full_attention\",\"full_attention\"]," LLAMA "}",
         "sliding_window: expected a number for layers of sliding_attention"},
        {"{\"model_type\":\"gemma3_text\",\"sliding_window\":null," LLAMA "}",
         "sliding_window: expected a number for layers of sliding_attention"},
        {"{\"model_type\":\"gemma3_text\",\"final_logit_softcapping\":30.0," LLAMA "}",
         "final_logit_softcapping: expected null, found a real"},
        {"{\"model_type\":\"gemma3_text\",\"attn_logit_softcapping\":50," LLAMA "}",
         "attn_logit_softcapping: expected null"},
        {"{\"model_type\":\"gemma3_text\",\"use_bidirectional_attention\":true," LLAMA "}",
         "use_bidirectional_attention: expected false"},
        {"{\"model_type\":\"gemma3_text\",\"hidden_activation\":\"mish\"," LLAMA "}",
         "hidden_activation: expected gelu"},
        {"{\"model_type\":\"gemma3_text\",\"rope_parameters\":{\"rope_theta\":7}," LLAMA "}",
         "rope_parameters: expected full_attention and sliding_attention"},
        {"{\"model_type\":\"gemma3_text\",\"rope_parameters\":{\"full_attention\":7}," LLAMA "}",
         "expected an object"},
        {"{\"model_type\":\"qwen3\",\"rope_parameters\":{\"full_attention\":{}}," LLAMA "}",
         "expected the same for all layers"},
        {"{\"model_type\":\"llama\",\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4}," LLAMA
         "}",
         "expected default, linear or llama3, found \"yarn\""},
        {"{\"model_type\":\"falcon\",\"hidden_dropout\":0.1," SIZES "}",
         "expected 0, found 0.1 and 0"},
        {"{\"model_type\":\"falcon\",\"attention_dropout\":0.1," SIZES "}",
         "expected 0, found 0 and 0.1"},
        {"{\"model_type\":\"falcon\",\"new_decoder_architecture\":true,\"parallel_attn\":"
         "false," SIZES "}",
         "parallel_attn: expected true with new_decoder_architecture"},
        {"{\"model_type\":\"falcon\",\"num_ln_in_parallel_attn\":2," SIZES "}",
         "num_ln_in_parallel_attn: expected 1 without"},
        {"{\"model_type\":\"falcon\",\"num_ln_in_parallel_attn\":3," SIZES "}",
         "expected an integer 1..2"},
        {"{\"model_type\":\"falcon\",\"multi_query\":false,\"num_kv_heads\":2," SIZES "}",
         "num_kv_heads: expected 8, the heads"},
        {"{\"model_type\":\"falcon\",\"new_decoder_architecture\":true,\"num_kv_heads\":3," SIZES
         "}",
         "num_kv_heads: expected a divisor of 8"},
        {"{\"model_type\":\"falcon\",\"activation\":\"mish\"," SIZES "}",
         "activation: expected gelu"},
        {"{\"model_type\":\"falcon\",\"alibi\":\"yes\"," SIZES "}", "expected true or false"},
        {"{\"model_type\":\"modernbert\",\"local_attention\":1," SIZES "}", "found 1"},
        {"{\"model_type\":\"modernbert\",\"global_attn_every_n_layers\":0," SIZES "}", "found 0"},
        {"{\"model_type\":\"modernbert\",\"local_rope_theta\":null," SIZES "}",
         "local_rope_theta: expected a number"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        decoder_config c;
        const mts_status st = read_text(cases[i].text, &c);
        if (st != MTS_ERR_UNSUPPORTED && st != MTS_ERR_BAD_FILE)
            fail_msg("%s: status %d", cases[i].text, st);
        assert_fails(st, st, cases[i].part);
    }
}

/* What an absent key means, and the keys of transformers 4. */
static void modernbert(void **state)
{
    (void)state;
    decoder_config c = config_of("{\"model_type\":\"modernbert\"," SIZES "}");
    assert_true(c.both_ways && c.bare_first && c.drops && c.layer_norm && !c.norm_bias);
    assert_true(c.fused_qkv && c.fused_up && !c.grouped_qkv && !c.qkv_bias && !c.mlp_bias);
    assert_int_equal(c.window, 64);
    assert_true(!c.windowed[0] && c.windowed[1] && c.windowed[2]);
    assert_true(c.rope[0].base == 160000.0 && c.rope[1].base == 10000.0 && c.local_rope);
    assert_int_equal(c.intermediate, 1152);
    c = config_of("{\"model_type\":\"modernbert\",\"local_attention\":33,\"norm_bias\":true,"
                  "\"global_attn_every_n_layers\":1,\"global_rope_theta\":50,"
                  "\"local_rope_theta\":7,\"attention_bias\":true,\"intermediate_size\":9," SIZES
                  "}");
    assert_int_equal(c.window, 16);
    assert_true(!c.windowed[0] && !c.windowed[1] && c.norm_bias && c.qkv_bias && c.out_bias);
    assert_true(c.rope[0].base == 50.0 && c.rope[1].base == 7.0);
    assert_int_equal(c.intermediate, 9);
}

/* A whole file: what other parts ask of it. */
static void whole_files(void **state)
{
    model_config cfg;
    (void)state;
    folder_put_text("config.json",
                    "{\"model_type\":\"falcon\",\"activation\":\"relu\",\"vocab_size\""
                    ":9," SIZES "}");
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_int_equal(cfg.intermediate_size, 256);
    assert_true(cfg.hidden_act == MODEL_ACT_RELU && cfg.hidden_dropout_prob == 0.0);
    assert_true(json_is_true(json_object_get(cfg.json, "tie_word_embeddings")));
    assert_null(json_object_get(cfg.json, "intermediate_size"));
    assert_string_equal(model_class_of_config(&cfg)->words, "transformer.word_embeddings.weight");
    model_config_deinit(&cfg);
    folder_put_text("config.json", "{\"model_type\":\"gemma3_text\",\"tie_word_embeddings\":false,"
                                   "\"vocab_size\":9," LLAMA "}");
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_true(json_is_false(json_object_get(cfg.json, "tie_word_embeddings")));
    assert_string_equal(model_class_of_config(&cfg)->name, "Gemma3");
    model_config_deinit(&cfg);
}

/* --------------------------------------------------------------------------- the padding ---- */

static void padding(void **state)
{
#define WORDS ",\"vocab_size\":60000}"
    static const struct {
        const char *text;
        int64_t padding;
    } cases[] = {
        {"{\"model_type\":\"llama\"," LLAMA WORDS, -1},
        {"{\"model_type\":\"llama\",\"pad_token_id\":null," LLAMA WORDS, -1},
        {"{\"model_type\":\"llama\",\"pad_token_id\":2," LLAMA WORDS, 2},
        {"{\"model_type\":\"llama\",\"pad_token_id\":-1," LLAMA WORDS, 59999},
        {"{\"model_type\":\"gemma3_text\"," LLAMA WORDS, 0},
        {"{\"model_type\":\"gemma3_text\",\"pad_token_id\":null," LLAMA WORDS, -1},
        {"{\"model_type\":\"modernbert\"," LLAMA WORDS, 50283},
        {"{\"model_type\":\"falcon\",\"pad_token_id\":2," SIZES WORDS, -1},
    };
#undef WORDS
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(config_of(cases[i].text).padding, cases[i].padding);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padding), cmocka_unit_test(windows),     cmocka_unit_test(llama_and_qwen),
        cmocka_unit_test(gemma3),  cmocka_unit_test(falcon),      cmocka_unit_test(rotary),
        cmocka_unit_test(refused), cmocka_unit_test(whole_files), cmocka_unit_test(modernbert),
    };
    return cmocka_run_group_tests(tests, folder_open, folder_close);
}
