/* io/model_config and io/json_util: what is read, refused with which text, and written back. */
#include "support/test_folder.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/json_util.h"
#include "models/model.h"

static mts_ctx ctx;

/* The five keys that must be there; more may be pasted behind. */
#define SIZES                                                                                      \
    "\"vocab_size\":30522,\"hidden_size\":384,\"num_hidden_layers\":6,"                            \
    "\"num_attention_heads\":12,\"intermediate_size\":1536"
#define DISTILBERT "\"vocab_size\":30522,\"dim\":768,\"n_layers\":6"

static void put_config(const char *text)
{
    folder_put_text("config.json", text);
}

/* The text of folder/config.json; free with mem_free. */
static char *get_config(void)
{
    char *path = NULL, *text = NULL;
    assert_ok(path_join(&ctx, &path, folder_root(), "config.json"));
    assert_ok(file_read_all(&ctx, path, 1 << 20, &text, NULL));
    mem_free(path);
    return text;
}

/* -------------------------------------------------------------------------------- config ---- */

static void reads_what_transformers_writes(void **state)
{
    (void)state;
    model_config cfg;
    put_config("{\"architectures\":[\"BertModel\"],\"attention_probs_dropout_prob\":0.2,"
               "\"classifier_dropout\":null,\"gradient_checkpointing\":false,"
               "\"hidden_act\":\"gelu_new\",\"hidden_dropout_prob\":0,\"initializer_range\":0.05,"
               "\"layer_norm_eps\":1e-05,\"max_position_embeddings\":128,\"model_type\":\"bert\","
               "\"pad_token_id\":3,\"position_embedding_type\":\"absolute\",\"is_decoder\":false,"
               "\"id2label\":{\"1\":\"yes\",\"0\":\"no\",\"2\":\"caf\\u00e9\"},"
               "\"problem_type\":\"single_label_classification\",\"type_vocab_size\":1," SIZES "}");
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_int_equal(cfg.vocab_size, 30522);
    assert_int_equal(cfg.hidden_size, 384);
    assert_int_equal(cfg.num_hidden_layers, 6);
    assert_int_equal(cfg.num_attention_heads, 12);
    assert_int_equal(cfg.intermediate_size, 1536);
    assert_int_equal(cfg.max_position_embeddings, 128);
    assert_int_equal(cfg.type_vocab_size, 1);
    assert_int_equal(cfg.pad_token_id, 3);
    assert_int_equal(cfg.hidden_act, MODEL_ACT_GELU_TANH);
    assert_true(cfg.hidden_dropout_prob == 0 && cfg.attention_probs_dropout_prob == 0.2);
    assert_true(cfg.classifier_dropout == -1 && cfg.layer_norm_eps == 1e-5);
    assert_true(cfg.initializer_range == 0.05);
    assert_string_equal(cfg.architecture, "BertModel");
    assert_int_equal(cfg.num_labels, 3);
    assert_string_equal(cfg.labels[0], "no");
    assert_string_equal(cfg.labels[1], "yes");
    assert_string_equal(cfg.labels[2], "caf\xc3\xa9");
    assert_int_equal(cfg.problem_type, MODEL_PROBLEM_SINGLE_LABEL);
    assert_false(model_config_is_regression(&cfg));
    model_config_deinit(&cfg);
}

static void fills_in_the_defaults(void **state)
{
    (void)state;
    model_config cfg, defaults;
    put_config("{" SIZES "}");
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_ok(model_config_init(&ctx, &defaults));
    assert_int_equal(cfg.max_position_embeddings, 512);
    assert_int_equal(cfg.type_vocab_size, 2);
    assert_int_equal(cfg.pad_token_id, 0);
    assert_int_equal(cfg.hidden_act, MODEL_ACT_GELU);
    assert_true(cfg.hidden_dropout_prob == 0.1 && cfg.attention_probs_dropout_prob == 0.1);
    assert_true(cfg.classifier_dropout == -1 && cfg.layer_norm_eps == 1e-12);
    assert_int_equal(cfg.num_labels, 2);
    assert_string_equal(cfg.labels[1], "LABEL_1");
    assert_int_equal(cfg.problem_type, MODEL_PROBLEM_NONE);
    assert_null(cfg.architecture);
    assert_int_equal(defaults.hidden_size, 768);
    assert_int_equal(defaults.num_labels, 2);
    model_config_deinit(&cfg);
    model_config_deinit(&defaults);
    put_config("{\"num_labels\":1," SIZES "}");
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_int_equal(cfg.num_labels, 1);
    assert_true(model_config_is_regression(&cfg));
    model_config_deinit(&cfg);
}

static void knows_the_activations(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        model_act act;
    } cases[] = {{"gelu", MODEL_ACT_GELU},
                 {"gelu_new", MODEL_ACT_GELU_TANH},
                 {"gelu_pytorch_tanh", MODEL_ACT_GELU_TANH},
                 {"relu", MODEL_ACT_RELU},
                 {"silu", MODEL_ACT_SILU},
                 {"swish", MODEL_ACT_SILU},
                 {"tanh", MODEL_ACT_TANH}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        model_config cfg;
        snprintf(text, sizeof text, "{\"hidden_act\":\"%s\"," SIZES "}", cases[i].name);
        put_config(text);
        assert_ok(model_load_config(&ctx, folder_root(), &cfg));
        assert_int_equal(cfg.hidden_act, cases[i].act);
        model_config_deinit(&cfg);
    }
}

/* Fields put before the sizes; the first of two equal keys would be a duplicate, so sizes are given
 * whole where they are the fault. */
static const struct {
    const char *text;
    mts_status status;
    const char *part;
} broken[] = {
    {"[]", MTS_ERR_BAD_FILE, "config.json: expected an object, found an array"},
    {"", MTS_ERR_BAD_FILE, "config.json:1:"},
    {"{\n\"a\": 1,\n\"a\": 2}", MTS_ERR_BAD_FILE, "config.json:3:3: duplicate object key"},
    {"{\"a\": NaN," SIZES "}", MTS_ERR_BAD_FILE, "invalid token"},
    {"{\"hidden_dropout_prob\":1e999," SIZES "}", MTS_ERR_BAD_FILE, "real number overflow"},
    {"{\"model_type\":\"xlm-roberta\"," SIZES "}", MTS_ERR_UNSUPPORTED,
     "model_type: expected \"bert\", \"roberta\", \"distilbert\", \"electra\", \"llama\", "
     "\"mistral\", \"qwen2\", \"qwen3\", \"gemma3_text\", \"falcon\", found \"xlm-roberta\""},
    {"{\"model_type\":\"roberta\",\"pad_token_id\":null," SIZES "}", MTS_ERR_UNSUPPORTED,
     "pad_token_id: expected a number, found null"},
    {"{\"model_type\":\"roberta\",\"pad_token_id\":-1," SIZES "}", MTS_ERR_BAD_FILE,
     "pad_token_id: expected an integer 0..16777216"},
    {"{\"model_type\":\"roberta\",\"max_position_embeddings\":2," SIZES "}", MTS_ERR_BAD_FILE,
     "max_position_embeddings: expected more than pad_token_id 1 and one, found 2"},
    {"{\"model_type\":\"distilbert\",\"vocab_size\":9,\"hidden_size\":8}", MTS_ERR_BAD_FILE,
     "dim: expected, but absent"},
    {"{\"model_type\":\"distilbert\"," DISTILBERT ",\"n_heads\":5}", MTS_ERR_BAD_FILE,
     "dim: expected a multiple of n_heads 5, found 768"},
    {"{\"model_type\":\"distilbert\"," DISTILBERT ",\"n_heads\":12,\"activation\":\"mish\"}",
     MTS_ERR_UNSUPPORTED, "activation: expected gelu"},
    {"{\"model_type\":\"distilbert\"," DISTILBERT ",\"n_heads\":12,\"qa_dropout\":2}",
     MTS_ERR_BAD_FILE, "qa_dropout: expected a number 0..1"},
    {"{\"model_type\":\"electra\",\"embedding_size\":0," SIZES "}", MTS_ERR_BAD_FILE,
     "embedding_size: expected an integer 1..65536"},
    {"{\"model_type\":7," SIZES "}", MTS_ERR_BAD_FILE,
     "model_type: expected a string, found an int"},
    {"{\"position_embedding_type\":\"relative_key\"," SIZES "}", MTS_ERR_UNSUPPORTED, "absolute"},
    {"{\"is_decoder\":true," SIZES "}", MTS_ERR_UNSUPPORTED, "only an encoder"},
    {"{\"is_decoder\":1," SIZES "}", MTS_ERR_UNSUPPORTED, "only an encoder"},
    {"{\"is_decoder\":2," SIZES "}", MTS_ERR_BAD_FILE, "is_decoder: expected an integer 0..1"},
    {"{\"is_decoder\":\"no\"," SIZES "}", MTS_ERR_BAD_FILE, "expected true or false, found a str"},
    {"{\"quantization_config\":{}," SIZES "}", MTS_ERR_UNSUPPORTED,
     "quantization_config: load_in_4bit: of quantized checkpoints only NF4 of bitsandbytes is "
     "supported: expected true"},
    {"{\"quantization_config\":[]," SIZES "}", MTS_ERR_BAD_FILE, "expected an object, found an"},
    {"{\"quantization_config\":{\"quant_method\":\"gptq\"}," SIZES "}", MTS_ERR_UNSUPPORTED,
     "quant_method: of quantized checkpoints only NF4 of bitsandbytes is supported: expected "
     "bitsandbytes, found gptq"},
    {"{\"quantization_config\":{\"load_in_4bit\":true}," SIZES "}", MTS_ERR_UNSUPPORTED,
     "bnb_4bit_quant_type: of quantized checkpoints only NF4 of bitsandbytes is supported: "
     "expected nf4, found fp4"},
    {"{\"quantization_config\":{\"load_in_4bit\":1}," SIZES "}", MTS_ERR_BAD_FILE,
     "load_in_4bit: expected true or false"},
    {"{\"quantization_config\":{\"load_in_8bit\":true}," SIZES "}", MTS_ERR_UNSUPPORTED,
     "load_in_8bit: of quantized checkpoints only NF4 of bitsandbytes is supported, not LLM.int8"},
    {"{}", MTS_ERR_BAD_FILE, "vocab_size: expected, but absent"},
    {"{\"vocab_size\":null}", MTS_ERR_BAD_FILE, "vocab_size: expected, but absent"},
    {"{\"vocab_size\":\"9\"}", MTS_ERR_BAD_FILE,
     "vocab_size: expected an integer 1..16777216, found a string"},
    {"{\"vocab_size\":0}", MTS_ERR_BAD_FILE, "expected an integer 1..16777216, found 0"},
    {"{\"vocab_size\":16777217}", MTS_ERR_BAD_FILE, "found 16777217"},
    {"{\"vocab_size\":99999999999999999999}", MTS_ERR_BAD_FILE, "found a real"},
    {"{\"vocab_size\":9.5}", MTS_ERR_BAD_FILE, "expected an integer 1..16777216, found a real"},
    {"{\"vocab_size\":0.0}", MTS_ERR_BAD_FILE, "expected an integer 1..16777216, found 0"},
    {"{\"vocab_size\":9,\"hidden_size\":10,\"num_hidden_layers\":1,\"num_attention_heads\":3,"
     "\"intermediate_size\":1}",
     MTS_ERR_BAD_FILE, "hidden_size: expected a multiple of num_attention_heads 3, found 10"},
    {"{\"vocab_size\":9,\"hidden_size\":10,\"num_hidden_layers\":1,\"num_attention_heads\":2}",
     MTS_ERR_BAD_FILE, "intermediate_size: expected, but absent"},
    {"{\"pad_token_id\":30522," SIZES "}", MTS_ERR_BAD_FILE, "below vocab_size 30522, found 30522"},
    {"{\"pad_token_id\":-30523," SIZES "}", MTS_ERR_BAD_FILE, "below vocab_size 30522, found -305"},
    {"{\"pad_token_id\":\"0\"," SIZES "}", MTS_ERR_BAD_FILE, "pad_token_id: expected an integer"},
    {"{\"max_position_embeddings\":-5," SIZES "}", MTS_ERR_BAD_FILE, "1..1048576, found -5"},
    {"{\"hidden_dropout_prob\":1.5," SIZES "}", MTS_ERR_BAD_FILE,
     "expected a number 0..1, found 1.5"},
    {"{\"classifier_dropout\":-0.1," SIZES "}", MTS_ERR_BAD_FILE, "found -0.1"},
    {"{\"layer_norm_eps\":0," SIZES "}", MTS_ERR_BAD_FILE,
     "layer_norm_eps: expected a number 1e-30"},
    {"{\"layer_norm_eps\":[]," SIZES "}", MTS_ERR_BAD_FILE, "found an array"},
    {"{\"hidden_act\":\"mish\"," SIZES "}", MTS_ERR_UNSUPPORTED, "found \"mish\""},
    {"{\"problem_type\":\"other\"," SIZES "}", MTS_ERR_BAD_FILE,
     "problem_type: expected regression"},
    {"{\"architectures\":7," SIZES "}", MTS_ERR_BAD_FILE, "expected an array"},
    {"{\"architectures\":[1]," SIZES "}", MTS_ERR_BAD_FILE, "expected strings, found an integer"},
    {"{\"id2label\":[\"a\"]," SIZES "}", MTS_ERR_BAD_FILE,
     "id2label: expected an object of 1..65536"},
    {"{\"id2label\":{}," SIZES "}", MTS_ERR_BAD_FILE, "id2label: expected an object of 1..65536"},
    {"{\"id2label\":{\"1\":\"a\"}," SIZES "}", MTS_ERR_BAD_FILE, "expected the keys 0..0"},
    {"{\"id2label\":{\"0\":\"a\",\"00\":\"b\"}," SIZES "}", MTS_ERR_BAD_FILE,
     "each of the keys 0..1 once, found 0 twice"},
    {"{\"id2label\":{\"0\":\"a\",\"0x1\":\"b\"}," SIZES "}", MTS_ERR_BAD_FILE, "the keys 0..1"},
    {"{\"id2label\":{\"0\":\"a\",\"1 1\":\"b\"}," SIZES "}", MTS_ERR_BAD_FILE, "the keys 0..1"},
    {"{\"id2label\":{\"0\":\"a\",\"18446744073709551617\":\"b\"}," SIZES "}", MTS_ERR_BAD_FILE,
     "the keys 0..1"},
    {"{\"id2label\":{\"0\":\"a\",\"-1\":\"b\"}," SIZES "}", MTS_ERR_BAD_FILE, "the keys 0..1"},
    {"{\"id2label\":{\"\":\"a\"}," SIZES "}", MTS_ERR_BAD_FILE, "the keys 0..0"},
    {"{\"id2label\":{\"0\":[1]}," SIZES "}", MTS_ERR_BAD_FILE, "expected names, found an array"},
    {"{\"num_labels\":3,\"id2label\":{\"0\":\"a\",\"1\":\"b\"}," SIZES "}", MTS_ERR_BAD_FILE,
     "num_labels: expected 2 as in id2label, found 3"},
    {"{\"num_labels\":0," SIZES "}", MTS_ERR_BAD_FILE, "1..65536, found 0"},
};

static void refuses_broken_configs(void **state)
{
    (void)state;
    model_config cfg;
    assert_fails(model_load_config(&ctx, folder_root(), &cfg), MTS_ERR_NOT_FOUND,
                 "config.json: cannot op");
    model_config_deinit(&cfg);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        put_config(broken[i].text);
        assert_fails(model_load_config(&ctx, folder_root(), &cfg), broken[i].status,
                     broken[i].part);
        model_config_deinit(&cfg);
    }
}

/* What transformers 4.57.6 and 5.24.0, or one of them, read: the labels that they have then, and
 * what is written, which both can read. */
static void accepts_what_transformers_reads(void **state)
{
    static const struct {
        const char *text, *labels, *written;
    } cases[] = {
        {"\"id2label\":{\"0\":0,\"1\":1}", "0 1 ", "\"1\": \"1\"\n"},
        {"\"id2label\":{\"0\":true,\"1\":null,\"2\":1.5,\"3\":false}", "True None 1.5 False ",
         "\"2\": \"1.5\","},
        {"\"id2label\":null", "LABEL_0 LABEL_1 ", "\"0\": \"LABEL_0\","},
        {"\"id2label\":{\"1\":\"b\",\"0\":\"a\"},\"label2id\":null", "a b ", "\"0\": \"a\","},
        {"\"id2label\":{\" 00\":\"a\",\"+01 \":\"b\"}", "a b ", "\"a\""},
        {"\"id2label\":{\"0\":\"a\",\"1\":\"a\"}", "a a ", "\"1\": \"a\"\n"},
        {"\"label2id\":{\"neg\":0,\"pos\":1}", "LABEL_0 LABEL_1 ", "\"LABEL_1\": 1\n"},
        {"\"label2id\":{\"neg\":0,\"pos\":\"1\",\"x\":2},\"num_labels\":3",
         "LABEL_0 LABEL_1 LABEL_2 ", "\"LABEL_2\": 2\n"},
        {"\"num_labels\":3.0", "LABEL_0 LABEL_1 LABEL_2 ", "\"2\": \"LABEL_2\"\n"},
        {"\"num_labels\":null,\"problem_type\":null", "LABEL_0 LABEL_1 ", "\"LABEL_1\": 1\n"},
        {"\"type_vocab_size\":2.0,\"max_position_embeddings\":64.0", "LABEL_0 LABEL_1 ",
         "\"max_position_embeddings\": 64,"},
        {"\"initializer_range\":0,\"hidden_dropout_prob\":1,\"classifier_dropout\":1.0",
         "LABEL_0 LABEL_1 ", "\"initializer_range\": 0.0,"},
        {"\"is_decoder\":0,\"add_cross_attention\":null", "LABEL_0 LABEL_1 ",
         "\"is_decoder\": false,"},
        {"\"pad_token_id\":null,\"hidden_act\":null,\"layer_norm_eps\":null", "LABEL_0 LABEL_1 ",
         "\"hidden_act\": \"gelu\","},
        {"\"pad_token_id\":null,\"hidden_dropout_prob\":null", "LABEL_0 LABEL_1 ",
         "\"pad_token_id\": null,"},
        {"\"layer_norm_eps\":null,\"classifier_dropout\":null", "LABEL_0 LABEL_1 ",
         "\"layer_norm_eps\": 1e-12,"},
        {"\"pad_token_id\":-1,\"dtype\":{\"\":\"float16\"}", "LABEL_0 LABEL_1 ",
         "\"dtype\": \"float32\","},
        {"\"architectures\":\"BertModel\",\"torch_dtype\":null", "LABEL_0 LABEL_1 ",
         "\"torch_dtype\": \"float32\","},
        {"\"architectures\":null,\"model_type\":null", "LABEL_0 LABEL_1 ", "\"architectures\": ["},
        {"\"task_specific\":{\"n\":1000000000000000019884624838656}", "LABEL_0 LABEL_1 ",
         "\"n\": 1e30"},
        {"\"hidden_act\":\"gelu_python\"", "LABEL_0 LABEL_1 ", "\"hidden_act\": \"gelu_python\","},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024], labels[256] = "";
        model_config cfg;
        snprintf(text, sizeof text, "{%s," SIZES "}", cases[i].text);
        put_config(text);
        if (model_load_config(&ctx, folder_root(), &cfg) != MTS_OK)
            fail_msg("%s: %s", cases[i].text, ctx.error);
        for (int64_t k = 0; k < cfg.num_labels; k++) {
            strcat(labels, cfg.labels[k]);
            strcat(labels, " ");
        }
        assert_string_equal(labels, cases[i].labels);
        assert_int_equal(cfg.hidden_act, MODEL_ACT_GELU);
        assert_ok(model_config_save(&ctx, &cfg, "bert", "BertForSequenceClassification",
                                    folder_root(), "config.json"));
        char *written = get_config();
        if (strstr(written, cases[i].written) == NULL)
            fail_msg("'%s' is not in %s", cases[i].written, written);
        mem_free(written);
        model_config_deinit(&cfg);
        assert_ok(model_load_config(&ctx, folder_root(), &cfg)); /* what is written can be read */
        model_config_deinit(&cfg);
    }
}

static void saves_with_unknown_keys_kept(void **state)
{
    (void)state;
    static const char *const names[] = {"entailment", "neutral", "caf\xc3\xa9 \"x\""};
    model_config cfg;
    char *text = NULL;
    put_config("{\"zebra\":[1,{\"b\":0.1}],\"torch_dtype\":\"float16\",\"num_labels\":5,"
               "\"layer_norm_eps\":1e-12,\"_name\":null," SIZES "}");
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_ok(model_config_set_labels(&ctx, &cfg, names, 3, false));
    assert_int_equal(cfg.num_labels, 3);
    assert_ok(model_config_set_string(&ctx, &cfg, "finetuning_task", "mnli"));
    assert_ok(model_config_save(&ctx, &cfg, "bert", "BertForSequenceClassification", folder_root(),
                                "config.json"));
    model_config_deinit(&cfg);
    text = get_config();
    assert_string_equal(
        text, "{\n  \"_name\": null,\n  \"architectures\": [\n"
              "    \"BertForSequenceClassification\"\n  ],\n"
              "  \"attention_probs_dropout_prob\": 0.1,\n  \"classifier_dropout\": null,\n"
              "  \"finetuning_task\": \"mnli\",\n  \"hidden_act\": \"gelu\",\n"
              "  \"hidden_dropout_prob\": 0.1,\n  \"hidden_size\": 384,\n  \"id2label\": {\n"
              "    \"0\": \"entailment\",\n    \"1\": \"neutral\",\n"
              "    \"2\": \"caf\\u00E9 \\\"x\\\"\"\n  },\n  \"initializer_range\": 0.02,\n"
              "  \"intermediate_size\": 1536,\n  \"label2id\": {\n"
              "    \"caf\\u00E9 \\\"x\\\"\": 2,\n    \"entailment\": 0,\n    \"neutral\": 1\n  },\n"
              "  \"layer_norm_eps\": 1e-12,\n  \"max_position_embeddings\": 512,\n"
              "  \"model_type\": \"bert\",\n  \"num_attention_heads\": 12,\n"
              "  \"num_hidden_layers\": 6,\n  \"pad_token_id\": 0,\n"
              "  \"problem_type\": \"single_label_classification\",\n"
              "  \"torch_dtype\": \"float32\",\n  \"type_vocab_size\": 2,\n"
              "  \"vocab_size\": 30522,\n  \"zebra\": [\n    1,\n    {\n      \"b\": 0.1\n    }\n"
              "  ]\n}\n");
    mem_free(text);
    assert_ok(model_load_config(&ctx, folder_root(), &cfg));
    assert_string_equal(cfg.labels[2], names[2]);
    assert_string_equal(cfg.architecture, "BertForSequenceClassification");
    model_config_deinit(&cfg);
}

/* Made from nothing: every field survives a round trip. */
static void saves_a_new_config(void **state)
{
    (void)state;
    model_config cfg, back;
    char *text = NULL;
    assert_ok(model_config_init(&ctx, &cfg));
    cfg.hidden_size = 32;
    cfg.num_attention_heads = 4;
    cfg.hidden_act = MODEL_ACT_GELU_TANH;
    cfg.classifier_dropout = 0.3;
    cfg.layer_norm_eps = 1.0 / 3 * 1e-6;
    assert_ok(model_config_set_labels(&ctx, &cfg, NULL, 1, true));
    assert_ok(model_config_save(&ctx, &cfg, "bert", "BertForSequenceClassification", folder_root(),
                                "config.json"));
    assert_ok(model_load_config(&ctx, folder_root(), &back));
    assert_int_equal(back.hidden_size, 32);
    assert_int_equal(back.vocab_size, cfg.vocab_size);
    assert_int_equal(back.hidden_act, MODEL_ACT_GELU_TANH);
    assert_true(back.classifier_dropout == 0.3 && back.layer_norm_eps == cfg.layer_norm_eps);
    assert_int_equal(back.problem_type, MODEL_PROBLEM_REGRESSION);
    assert_true(model_config_is_regression(&back));
    assert_string_equal(back.labels[0], "LABEL_0");
    text = get_config();
    assert_non_null(strstr(text, "\"dtype\": \"float32\""));
    assert_null(strstr(text, "torch_dtype"));
    mem_free(text);
    model_config_deinit(&cfg);
    model_config_deinit(&back);
}

static void refuses_bad_labels(void **state)
{
    (void)state;
    static const char *const twice[] = {"a", "b", "a"}, *const bytes[] = {"a", "\xc3("};
    model_config cfg;
    assert_ok(model_config_init(&ctx, &cfg));
    assert_fails(model_config_set_labels(&ctx, &cfg, twice, 3, false), MTS_ERR_ARGUMENT,
                 "label 2:");
    assert_fails(model_config_set_labels(&ctx, &cfg, bytes, 2, false), MTS_ERR_ARGUMENT, "UTF-8");
    assert_fails(model_config_set_labels(&ctx, &cfg, NULL, 1, false), MTS_ERR_ARGUMENT, "2..65536");
    assert_fails(model_config_set_labels(&ctx, &cfg, NULL, 65537, false), MTS_ERR_ARGUMENT,
                 "65537");
    assert_fails(model_config_set_labels(&ctx, &cfg, NULL, 2, true), MTS_ERR_ARGUMENT, "1 output");
    assert_int_equal(cfg.num_labels, 2);
    assert_string_equal(cfg.labels[0], "LABEL_0");
    assert_fails(model_config_save(&ctx, &cfg, "bert", "BertForSequenceClassification",
                                   "/nonexistent", "config.json"),
                 MTS_ERR_NOT_FOUND, "/nonexistent");
    model_config_deinit(&cfg);
}

/* ---------------------------------------------------------------------------------- json ---- */

static void dumps_as_python_does(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"[]", "[]"},
        {"{}", "{}"},
        {"[1,-2,true,false,null,\"a\\nb\"]", "[1, -2, true, false, null, \"a\\nb\"]"},
        {"{\"b\":[{}],\"a\":{\"c\":1}}", "{\"b\": [{}], \"a\": {\"c\": 1}}"},
        {"[0.1,1e-12,2.0,1e22,0.30000000000000004,-0.0]",
         "[0.1, 1e-12, 2.0, 1e22, 0.30000000000000004, -0.0]"},
        {"[\"\\ud83d\\ude00\"]", "[\"\\uD83D\\uDE00\"]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *json = NULL;
        char *text = NULL;
        assert_ok(json_util_parse(&ctx, "t", cases[i][0], strlen(cases[i][0]), &json));
        assert_ok(json_util_dump(&ctx, json, 0, false, &text));
        assert_string_equal(text, cases[i][1]);
        mem_free(text);
        json_decref(json);
    }
}

/* Doubles of all exponents come back bit for bit. */
static void dumps_reals_exactly(void **state)
{
    (void)state;
    uint64_t bits = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        double value, back;
        char *text = NULL;
        json_t *json = NULL;
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value))
            continue;
        json = json_pack("[f]", value);
        assert_ok(json_util_dump(&ctx, json, 0, false, &text));
        json_decref(json);
        assert_ok(json_util_parse(&ctx, "t", text, strlen(text), &json));
        back = json_real_value(json_array_get(json, 0));
        assert_memory_equal(&back, &value, sizeof value);
        json_decref(json);
        mem_free(text);
    }
}

/* Our check of UTF-8 agrees with jansson's on bytes around every limit of the encoding. */
static void checks_utf8(void **state)
{
    (void)state;
    static const unsigned char edges[] = {0x01, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                          0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed,
                                          0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    const size_t n = sizeof edges;
    int good = 0, bad = 0;
    for (size_t i = 0; i < n * n * n * n; i++) {
        const char text[] = {(char)edges[i % n], (char)edges[i / n % n], (char)edges[i / n / n % n],
                             (char)edges[i / n / n / n], '\0'};
        json_t *ours = NULL, *theirs = json_string(text);
        mts_status st = json_util_new_string(&ctx, "text", text, &ours);
        assert_int_equal(st, theirs != NULL ? MTS_OK : MTS_ERR_ARGUMENT);
        good += st == MTS_OK;
        bad += st != MTS_OK;
        json_decref(ours);
        json_decref(theirs);
    }
    assert_true(good > 500 && bad > 100000);
}

static void getters_leave_the_default(void **state)
{
    (void)state;
    json_t *json = json_pack("{s:n, s:i, s:f}", "null", "int", 3, "real", 0.5);
    int64_t i = 7;
    double r = 7;
    bool b = true;
    const char *s = "seven";
    assert_ok(json_util_int(&ctx, "f", json, "null", 0, 1, &i));
    assert_ok(json_util_int(&ctx, "f", json, "absent", 0, 1, &i));
    assert_ok(json_util_real(&ctx, "f", json, "absent", 0, 1, &r));
    assert_ok(json_util_bool(&ctx, "f", json, "absent", &b));
    assert_ok(json_util_string(&ctx, "f", json, "absent", &s));
    assert_true(i == 7 && r == 7 && b);
    assert_string_equal(s, "seven");
    assert_ok(json_util_int(&ctx, "f", json, "int", 3, 3, &i));
    assert_ok(json_util_real(&ctx, "f", json, "int", 3, 3, &r));
    assert_true(i == 3 && r == 3);
    assert_fails(json_util_int(&ctx, "f", json, "real", 0, 1, &i), MTS_ERR_BAD_FILE,
                 "f: real: expected an integer 0..1, found a real");
    assert_fails(json_util_string(&ctx, "f", json, "int", &s), MTS_ERR_BAD_FILE,
                 "f: int: expected a string, found an integer");
    json_decref(json);
    json = json_pack("{s:f, s:f, s:f}", "whole", 8.0, "huge", 1e300, "below", -3.0);
    assert_ok(json_util_int(&ctx, "f", json, "whole", 0, 8, &i));
    assert_int_equal(i, 8);
    assert_fails(json_util_int(&ctx, "f", json, "whole", 0, 7, &i), MTS_ERR_BAD_FILE, "found 8");
    assert_fails(json_util_int(&ctx, "f", json, "below", 0, 7, &i), MTS_ERR_BAD_FILE, "found -3");
    assert_fails(json_util_int(&ctx, "f", json, "huge", INT64_MIN, INT64_MAX, &i), MTS_ERR_BAD_FILE,
                 "found a real");
    json_decref(json);
}

/* What RoBERTa, DistilBERT and ELECTRA mean by what is absent, and by their own names. */
static void knows_the_relatives_of_bert(void **state)
{
    static const struct {
        const char *text;
        int64_t hidden, intermediate, padding, length;
        double classifier, answers;
    } files[] = {
        {"{\"model_type\":\"roberta\"," SIZES "}", 384, 1536, 1, 510, -1, 0},
        {"{\"model_type\":\"roberta\",\"pad_token_id\":0," SIZES "}", 384, 1536, 0, 511, -1, 0},
        {"{\"model_type\":\"electra\",\"vocab_size\":9,\"hidden_size\":256,"
         "\"num_hidden_layers\":2,\"num_attention_heads\":4}",
         256, 1024, 0, 512, -1, 0},
        {"{\"model_type\":\"distilbert\"," DISTILBERT ",\"n_heads\":12}", 768, 3072, 0, 512, 0.2,
         0.1},
        {"{\"model_type\":\"distilbert\"," DISTILBERT ",\"n_heads\":12,\"hidden_dim\":40,"
         "\"seq_classif_dropout\":0.3,\"qa_dropout\":0,\"hidden_size\":7}",
         768, 40, 0, 512, 0.3, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        model_config cfg;
        put_config(files[i].text);
        assert_ok(model_load_config(&ctx, folder_root(), &cfg));
        assert_int_equal(cfg.hidden_size, files[i].hidden);
        assert_int_equal(cfg.intermediate_size, files[i].intermediate);
        assert_int_equal(cfg.pad_token_id, files[i].padding);
        assert_int_equal(model_max_length(&cfg), files[i].length);
        assert_true(cfg.classifier_dropout == files[i].classifier);
        assert_true(cfg.answers_dropout == files[i].answers);
        model_config_deinit(&cfg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_transformers_writes, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(fills_in_the_defaults, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(knows_the_activations, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(refuses_broken_configs, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(knows_the_relatives_of_bert, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(accepts_what_transformers_reads, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(saves_with_unknown_keys_kept, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(saves_a_new_config, folder_open, folder_close),
        cmocka_unit_test(refuses_bad_labels),
        cmocka_unit_test(dumps_as_python_does),
        cmocka_unit_test(dumps_reals_exactly),
        cmocka_unit_test(checks_utf8),
        cmocka_unit_test(getters_leave_the_default),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
