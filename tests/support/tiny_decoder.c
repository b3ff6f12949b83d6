/* A tiny decoder.  See tiny_decoder.h. */
#include "support/tiny_decoder.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "network/network_io.h"
#include "support/byte_tokenizer.h"

enum { SEED = 11 };

static const char decoder_config_text[] =
    "{\"architectures\": [\"LlamaForCausalLM\"], \"model_type\": \"llama\", \"hidden_size\": 40,"
    "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"num_key_value_heads\": 2,"
    "\"head_dim\": 12, \"intermediate_size\": 72, \"vocab_size\": 258,"
    "\"max_position_embeddings\": 64, \"hidden_act\": \"silu\", \"rms_norm_eps\": 1e-5,"
    "\"rope_theta\": 10000.0, \"tie_word_embeddings\": false, \"eos_token_id\": 256}\n";

static const char modernbert_config_text[] =
    "{\"architectures\": [\"ModernBertForSequenceClassification\"], \"model_type\": \"modernbert\","
    "\"hidden_size\": 40, \"num_hidden_layers\": 3, \"num_attention_heads\": 4,"
    "\"intermediate_size\": 36, \"vocab_size\": 258, \"max_position_embeddings\": 96,"
    "\"local_attention\": 6, \"global_attn_every_n_layers\": 3, \"mlp_dropout\": 0.1,"
    "\"attention_dropout\": 0.1, \"embedding_dropout\": 0.1, \"classifier_dropout\": 0.1}\n";

static mts_status write_config(mts_ctx *ctx, const char *dir, const char *config)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    file_writer *w = NULL;
    MTS_TRY(path_join(ctx, &path, dir, "config.json"));
    MTS_TRY(file_writer_open(ctx, path, &w));
    MTS_TRY(file_writer_write(w, config, strlen(config)));
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(path);
    return st;
}

/* Matrices uniform of variance 1 / columns; norms 1. */
static void fill_parameters(const param_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        param *p = list->items[i];
        const rng_key key = rng_make_key(SEED, 0, (uint64_t)i, RNG_INIT);
        const float range = sqrtf(3.0f / (float)p->cols);
        for (int64_t k = 0; k < p->rows * p->cols; k++)
            p->value[k] = p->vector ? 1.0f : range * (2.0f * rng_uniform(key, (uint32_t)k) - 1.0f);
    }
}

static mts_status write_model(mts_ctx *ctx, const char *dir, const char *config, const char *task)
{
    mts_status st = MTS_OK;
    const network_options options = {
        .head = head_class_find(task),
        .format = {.kind = FORMAT_FP32},
        .threads = 1,
        .seed = SEED,
        .limits = {.eval_rows = 1, .eval_tokens = 1, .max_length = 1},
    };
    model_config cfg = {0};
    network *net = NULL;
    MTS_TRY(file_make_dirs(ctx, dir));
    MTS_TRY(byte_tokenizer_write(ctx, dir));
    MTS_TRY(write_config(ctx, dir, config));
    MTS_TRY(model_load_config(ctx, dir, &cfg));
    MTS_TRY(network_create(ctx, &cfg, &options, &net));
    fill_parameters(&net->params);
    MTS_TRY(network_save(ctx, net, dir));
cleanup:
    network_destroy(net);
    model_config_deinit(&cfg);
    return st;
}

mts_status tiny_decoder_write(mts_ctx *ctx, const char *dir)
{
    return write_model(ctx, dir, decoder_config_text, "next token");
}

mts_status tiny_modernbert_write(mts_ctx *ctx, const char *dir)
{
    return write_model(ctx, dir, modernbert_config_text, "classification");
}
