/* io/model_config: a config.json that is accepted holds its promises, and is accepted again in the
 * form in which it is written. */
#include "fuzz/fuzz_target.h"

#include <string.h>

#include "models/model.h"

static void require_promises(const model_config *cfg)
{
    FUZZ_REQUIRE(cfg->vocab_size >= 1 && cfg->hidden_size >= 1 && cfg->num_hidden_layers >= 1);
    FUZZ_REQUIRE(cfg->hidden_size % cfg->num_attention_heads == 0);
    FUZZ_REQUIRE(cfg->pad_token_id >= -cfg->vocab_size && cfg->pad_token_id < cfg->vocab_size);
    FUZZ_REQUIRE(cfg->hidden_dropout_prob >= 0.0 && cfg->hidden_dropout_prob <= 1.0);
    FUZZ_REQUIRE(cfg->num_labels >= 1);
    for (int64_t i = 0; i < cfg->num_labels; i++)
        FUZZ_REQUIRE(cfg->labels[i] != NULL);
}

static void require_same(const model_config *a, const model_config *b)
{
    FUZZ_REQUIRE(a->vocab_size == b->vocab_size && a->hidden_size == b->hidden_size);
    FUZZ_REQUIRE(a->num_hidden_layers == b->num_hidden_layers);
    FUZZ_REQUIRE(a->num_attention_heads == b->num_attention_heads);
    FUZZ_REQUIRE(a->intermediate_size == b->intermediate_size);
    FUZZ_REQUIRE(a->max_position_embeddings == b->max_position_embeddings);
    FUZZ_REQUIRE(a->type_vocab_size == b->type_vocab_size && a->pad_token_id == b->pad_token_id);
    FUZZ_REQUIRE(a->hidden_act == b->hidden_act && a->problem_type == b->problem_type);
    FUZZ_REQUIRE(a->hidden_dropout_prob == b->hidden_dropout_prob);
    FUZZ_REQUIRE(a->attention_probs_dropout_prob == b->attention_probs_dropout_prob);
    FUZZ_REQUIRE(a->classifier_dropout == b->classifier_dropout);
    FUZZ_REQUIRE(a->layer_norm_eps == b->layer_norm_eps);
    FUZZ_REQUIRE(a->num_labels == b->num_labels);
    for (int64_t i = 0; i < a->num_labels; i++)
        FUZZ_REQUIRE(strcmp(a->labels[i], b->labels[i]) == 0);
}

static bool run(const uint8_t *data, size_t size)
{
    model_config cfg = {0}, again = {0};
    fuzz_put("config.json", data, size);
    const mts_status st = model_load_config(&fuzz_ctx, fuzz_folder(), &cfg);
    if (st == MTS_OK) {
        require_promises(&cfg);
        FUZZ_REQUIRE(model_config_save(&fuzz_ctx, &cfg, "bert", "BertForSequenceClassification",
                                       fuzz_folder(), "config.json") == MTS_OK);
        FUZZ_REQUIRE(model_load_config(&fuzz_ctx, fuzz_folder(), &again) == MTS_OK);
        require_same(&cfg, &again);
        model_config_deinit(&again);
    } else {
        fuzz_require_refusal(st);
    }
    model_config_deinit(&cfg);
    return st == MTS_OK;
}

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"architectures\":[\"BertModel\"],\"attention_probs_dropout_prob\":0.1,"
               "\"classifier_dropout\":null,\"dtype\":\"float32\",\"hidden_act\":\"gelu\","
               "\"hidden_dropout_prob\":0.1,\"hidden_size\":384,\"id2label\":{\"0\":\"a\","
               "\"1\":\"b\"},\"initializer_range\":0.02,\"intermediate_size\":1536,"
               "\"label2id\":{\"a\":0,\"b\":1},\"layer_norm_eps\":1e-12,"
               "\"max_position_embeddings\":512,\"model_type\":\"bert\","
               "\"num_attention_heads\":12,\"num_hidden_layers\":6,\"pad_token_id\":0,"
               "\"problem_type\":\"single_label_classification\",\"type_vocab_size\":2,"
               "\"use_cache\":true,\"\\u00e9\\n\":[[],{},{\"x\":[-1.5e300]}],"
               "\"vocab_size\":30522}"),
    FUZZ_BYTES("{\"vocab_size\":9,\"hidden_size\":4,\"num_hidden_layers\":1,"
               "\"num_attention_heads\":2,\"intermediate_size\":8,\"num_labels\":1,"
               "\"hidden_act\":\"gelu_new\",\"problem_type\":\"regression\","
               "\"torch_dtype\":\"float16\",\"classifier_dropout\":0.3}"),
    FUZZ_BYTES("{\"model_type\":\"gemma3_text\",\"vocab_size\":9,\"hidden_size\":4,"
               "\"num_hidden_layers\":2,\"num_attention_heads\":2,\"intermediate_size\":8,"
               "\"layer_types\":[\"full_attention\",\"sliding_attention\"],"
               "\"sliding_window\":3,\"rope_parameters\":{\"full_attention\":{\"rope_theta\":"
               "5e5,\"rope_type\":\"linear\",\"factor\":2},\"sliding_attention\":null}}"),
    FUZZ_BYTES("{\"model_type\":\"falcon\",\"vocab_size\":9,\"hidden_size\":8,"
               "\"num_hidden_layers\":2,\"num_attention_heads\":4,\"num_kv_heads\":2,"
               "\"new_decoder_architecture\":true,\"bias\":true,\"alibi\":false,"
               "\"num_ln_in_parallel_attn\":1,\"ffn_hidden_size\":12}"),
};

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
                                    "0.99",
                                    "null",
                                    "true",
                                    "1e400",
                                    "9223372036854775807",
                                    "\"relu\"",
                                    "\"silu\"",
                                    "\"2\":\"c\"",
                                    "\"num_labels\":3",
                                    "\"id2label\":",
                                    "\"label2id\":",
                                    "\"problem_type\":null",
                                    "\"multi_label_classification\"",
                                    "\"position_embedding_type\":\"absolute\"",
                                    "\"is_decoder\":true",
                                    "\"quantization_config\":{}",
                                    "\"pruned_heads\":{}",
                                    "\\u0000",
                                    "\xff",
                                    NULL};

const fuzz_target fuzz_target_config = {
    .name = "config",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .whole = true,
    .words = words,
};
