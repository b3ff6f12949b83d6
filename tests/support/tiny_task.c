/* A tiny model and its data.  See tiny_task.h. */
#include "support/tiny_task.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "models/bert.h"
#include "network/network_io.h"

enum { CLASSES = 3, NOUNS = 6, PLACES = 8, TEXT_BYTES = 256, SEED = 7 };

static const char *const class_names[CLASSES] = {"animal", "dish", "tool"};
static const char *const nouns[CLASSES][NOUNS] = {
    {"cat", "dog", "horse", "mouse", "sheep", "goat"},
    {"bread", "cheese", "soup", "cake", "rice", "salad"},
    {"hammer", "saw", "drill", "file", "plane", "chisel"},
};
static const char *const verbs[CLASSES] = {"sleeps", "smells good", "is made of steel"};
static const char *const places[PLACES] = {
    "in the old barn",  "on our long kitchen table", "behind it",    "under a blue cloth",
    "near the harbour", "beside my two brothers",    "not far away", "",
};
/* Words of the sentences that are tokens; all others are put together from letters. */
static const char *const known_words[] = {
    "the",   "a",    "in",      "on",    "our",   "it",    "is",    "of",   "my",     "not",
    "cat",   "dog",  "horse",   "mouse", "bread", "soup",  "cake",  "rice", "hammer", "saw",
    "drill", "file", "kitchen", "table", "steel", "sleep", "##s",   "good", "smell",  "made",
    "old",   "two",  "blue",    "away",  "far",   ".",     "today",
};

static int64_t draw(uint32_t index, int64_t n)
{
    return (int64_t)(rng_draw(rng_make_key(SEED, 0, 1, RNG_SHUFFLE), index) % (uint32_t)n);
}

/* Row i: a sentence about a noun of class i % 3. */
static void make_text(int64_t i, char text[TEXT_BYTES])
{
    const int64_t label = i % CLASSES;
    const uint32_t key = (uint32_t)(4 * i);
    const char *noun = nouns[label][draw(key, NOUNS)];
    const char *place = places[draw(key + 1, PLACES)];
    snprintf(text, TEXT_BYTES, "%s %s %s%s%s%s", draw(key + 2, 2) == 0 ? "The" : "A", noun,
             verbs[label], place[0] == '\0' ? "" : " ", place, draw(key + 3, 2) == 0 ? "." : "");
}

/* rows first .. first + n - 1; with_score: a number as label instead of the class's name. */
static mts_status write_rows(mts_ctx *ctx, const char *dir, const char *name, int64_t first,
                             int64_t n, bool with_score)
{
    static const char header[] = "text\tlabel\n";
    mts_status st = MTS_OK;
    char *path = NULL;
    file_writer *w = NULL;
    MTS_TRY(path_join(ctx, &path, dir, name));
    MTS_TRY(file_writer_open(ctx, path, &w));
    MTS_TRY(file_writer_write(w, header, sizeof header - 1));
    for (int64_t i = first; i < first + n; i++) {
        char text[TEXT_BYTES], line[TEXT_BYTES + 32];
        make_text(i, text);
        const int bytes =
            with_score ? snprintf(line, sizeof line, "%s\t%.2f\n", text,
                                  (double)(i % CLASSES) + 0.01 * (double)strlen(text))
                       : snprintf(line, sizeof line, "%s\t%s\n", text, class_names[i % CLASSES]);
        MTS_TRY(file_writer_write(w, line, (size_t)bytes));
    }
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(path);
    return st;
}

/* vocab.txt; *size: its lines. */
static mts_status write_vocab(mts_ctx *ctx, const char *dir, int64_t *size)
{
    static const char special[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    mts_status st = MTS_OK;
    char *path = NULL;
    file_writer *w = NULL;
    char line[64];
    *size = 5;
    MTS_TRY(path_join(ctx, &path, dir, "vocab.txt"));
    MTS_TRY(file_writer_open(ctx, path, &w));
    MTS_TRY(file_writer_write(w, special, sizeof special - 1));
    for (size_t i = 0; i < sizeof known_words / sizeof known_words[0]; i++, ++*size) {
        const int bytes = snprintf(line, sizeof line, "%s\n", known_words[i]);
        MTS_TRY(file_writer_write(w, line, (size_t)bytes));
    }
    for (const char *c = "abcdefghijklmnopqrstuvwxyz"; *c != '\0'; c++) {
        const bool twice = *c == 's' || *c == 'a'; /* one of the two is a known word */
        const int bytes = twice ? snprintf(line, sizeof line, "%s%c\n", *c == 's' ? "" : "##", *c)
                                : snprintf(line, sizeof line, "%c\n##%c\n", *c, *c);
        MTS_TRY(file_writer_write(w, line, (size_t)bytes));
        *size += twice ? 1 : 2;
    }
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(path);
    return st;
}

/* Uniform of variance 1 / columns, larger than a real initialisation; vectors as transformers. */
static void fill_parameters(const param_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        param *p = list->items[i];
        const rng_key key = rng_make_key(SEED, 0, (uint64_t)i, RNG_INIT);
        const bool gamma = p->role == PARAM_NORM && strstr(p->name, ".weight") != NULL;
        const float range = sqrtf(3.0f / (float)p->cols);
        for (int64_t k = 0; k < p->rows * p->cols; k++) {
            const float uniform = 2.0f * rng_uniform(key, (uint32_t)k) - 1.0f;
            p->value[k] = p->vector ? (gamma ? 1.0f : 0.0f) : range * uniform;
        }
    }
}

/* Two outlier features behind each layer norm. */
static void plant_outliers(const param_list *list)
{
    for (int64_t i = 0; i < list->count; i++)
        if (strstr(list->items[i]->name, "LayerNorm.bias") != NULL) {
            list->items[i]->value[5] = 25.0f;
            list->items[i]->value[40] = -25.0f;
        }
}

static mts_status write_model(mts_ctx *ctx, const char *dir, const char *name, bool planted)
{
    mts_status st = MTS_OK;
    char *folder = NULL;
    const network_options options = {
        .head = head_class_find("classification"),
        .format = {.kind = FORMAT_FP32},
        .threads = 1,
        .seed = SEED,
        .limits = {.eval_rows = 1, .eval_tokens = 1, .max_length = 1},
    };
    model_config cfg = {0};
    network *net = NULL;
    MTS_TRY(path_join(ctx, &folder, dir, name));
    MTS_TRY(file_make_dirs(ctx, folder));
    MTS_TRY(model_config_init(ctx, &cfg));
    MTS_TRY(model_config_set_labels(ctx, &cfg, NULL, 2, false));
    MTS_TRY(write_vocab(ctx, folder, &cfg.vocab_size));
    cfg.hidden_size = 48;
    cfg.num_hidden_layers = 2;
    cfg.num_attention_heads = 4;
    cfg.intermediate_size = 100;
    cfg.max_position_embeddings = 32;
    MTS_TRY(network_create(ctx, &cfg, &options, &net));
    fill_parameters(&net->params);
    if (planted)
        plant_outliers(&net->params);
    MTS_TRY(network_save(ctx, net, folder));
cleanup:
    network_destroy(net);
    model_config_deinit(&cfg);
    mem_free(folder);
    return st;
}

/* config.json of each, around its vocab_size. */
static const struct {
    const char *name, *config;
} relatives[] = {
    {"roberta", "{\"model_type\": \"roberta\", \"hidden_size\": 48, \"num_hidden_layers\": 2, "
                "\"num_attention_heads\": 4, \"intermediate_size\": 100, "
                "\"max_position_embeddings\": 33, \"pad_token_id\": 0, \"vocab_size\": %lld}"},
    {"distilbert", "{\"model_type\": \"distilbert\", \"dim\": 48, \"n_layers\": 2, \"n_heads\": 4, "
                   "\"hidden_dim\": 100, \"max_position_embeddings\": 32, \"vocab_size\": %lld}"},
    {"electra", "{\"model_type\": \"electra\", \"embedding_size\": 20, \"hidden_size\": 48, "
                "\"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"intermediate_size\": 100, "
                "\"max_position_embeddings\": 32, \"vocab_size\": %lld}"},
};

static mts_status write_text(mts_ctx *ctx, const char *dir, const char *name, const char *text)
{
    mts_status st = MTS_OK;
    char *path = NULL;
    file_writer *w = NULL;
    MTS_TRY(path_join(ctx, &path, dir, name));
    MTS_TRY(file_writer_open(ctx, path, &w));
    MTS_TRY(file_writer_write(w, text, strlen(text)));
    MTS_TRY(file_writer_commit(w));
cleanup:
    file_writer_close(w);
    mem_free(path);
    return st;
}

/* A folder by its config.json; the head is as if it were trained. */
static mts_status write_relative(mts_ctx *ctx, const char *dir, const char *name,
                                 const char *config)
{
    mts_status st = MTS_OK;
    char *folder = NULL, text[512];
    int64_t words = 0;
    const network_options options = {
        .head = head_class_find("classification"),
        .format = {.kind = FORMAT_FP32},
        .threads = 1,
        .limits = {.eval_rows = 1, .eval_tokens = 1, .max_length = 1},
    };
    model_config cfg = {0};
    network *net = NULL;
    MTS_TRY(path_join(ctx, &folder, dir, name));
    MTS_TRY(file_make_dirs(ctx, folder));
    MTS_TRY(write_vocab(ctx, folder, &words));
    snprintf(text, sizeof text, config, (long long)words);
    MTS_TRY(write_text(ctx, folder, "config.json", text));
    MTS_TRY(model_load_config(ctx, folder, &cfg));
    MTS_TRY(network_create(ctx, &cfg, &options, &net));
    fill_parameters(&net->params);
    MTS_TRY(network_save(ctx, net, folder));
cleanup:
    network_destroy(net);
    model_config_deinit(&cfg);
    mem_free(folder);
    return st;
}

mts_status tiny_task_write_relatives(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    for (size_t i = 0; i < sizeof relatives / sizeof relatives[0]; i++)
        MTS_TRY(write_relative(ctx, dir, relatives[i].name, relatives[i].config));
cleanup:
    return st;
}

mts_status tiny_task_write(mts_ctx *ctx, const char *dir)
{
    mts_status st = MTS_OK;
    MTS_TRY(write_model(ctx, dir, "model", false));
    MTS_TRY(write_model(ctx, dir, "outliers", true));
    MTS_TRY(write_rows(ctx, dir, "train.tsv", 0, 60, false));
    MTS_TRY(write_rows(ctx, dir, "dev.tsv", 100, 20, false));
    MTS_TRY(write_rows(ctx, dir, "score.tsv", 200, 40, true));
cleanup:
    return st;
}
