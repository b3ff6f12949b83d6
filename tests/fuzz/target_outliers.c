/* network/network_outliers: the lists of outlier features of a config.json are refused, or are
 * lists of this network that are read again as they are stored. */
#include "fuzz/fuzz_target.h"

#include <jansson.h>
#include <string.h>

#include "base/json_util.h"
#include "base/memory.h"
#include "network/network_outliers.h"
#include "tensor/outliers.h"

/* A network of one layer: six inputs of 20 and 40 features. */
static network *make_network(void)
{
    const network_options options = {
        .head = head_class_find("classification"),
        .format = {.kind = FORMAT_DFP,
                   .weight_bits = 8,
                   .activation_bits = 8,
                   .gradient_bits = 8,
                   .attention_bits = 8,
                   .norm_bits = 16,
                   .group = GROUP_ROW,
                   .outlier_bits = 12,
                   .outlier_threshold = 5.0f},
        .threads = 1,
        .limits = {.eval_rows = 1, .eval_tokens = 1, .max_length = 1},
    };
    model_config cfg = {0};
    network *net = NULL;
    FUZZ_REQUIRE(model_config_init(&fuzz_ctx, &cfg) == MTS_OK);
    FUZZ_REQUIRE(model_config_set_labels(&fuzz_ctx, &cfg, NULL, 2, false) == MTS_OK);
    cfg.vocab_size = 5;
    cfg.hidden_size = 20;
    cfg.num_hidden_layers = 1;
    cfg.num_attention_heads = 2;
    cfg.intermediate_size = 40;
    cfg.max_position_embeddings = 4;
    FUZZ_REQUIRE(network_create(&fuzz_ctx, &cfg, &options, &net) == MTS_OK);
    FUZZ_REQUIRE(json_object_set_new(net->cfg.json, MODEL_CONFIG_SETTINGS, json_object()) == 0);
    model_config_deinit(&cfg);
    return net;
}

static void require_lists(const network *net)
{
    for (const outlier_list *list = net->ex.outliers; list != NULL; list = list->next) {
        FUZZ_REQUIRE(list->count >= 0 && list->count <= list->capacity);
        for (int64_t i = 0; i < list->count; i++) {
            FUZZ_REQUIRE(list->feature[i] >= 0 && list->feature[i] < list->cols);
            FUZZ_REQUIRE(i == 0 || list->feature[i - 1] < list->feature[i]);
        }
    }
}

/* What is stored says the same. */
static void require_stored(network *net, const json_t *lists)
{
    bool found = false;
    FUZZ_REQUIRE(network_store_outliers(&fuzz_ctx, net) == MTS_OK);
    const json_t *settings = json_object_get(net->cfg.json, MODEL_CONFIG_SETTINGS);
    const json_t *stored = json_object_get(settings, MODEL_CONFIG_OUTLIERS);
    const char *name;
    json_t *list;
    json_object_foreach((json_t *)(uintptr_t)stored, name, list)
        FUZZ_REQUIRE(json_equal(list, json_object_get(lists, name)));
    FUZZ_REQUIRE(network_take_outliers(&fuzz_ctx, net, net->cfg.json, "again", &found) == MTS_OK);
    FUZZ_REQUIRE(found);
}

static bool run(const uint8_t *data, size_t size)
{
    json_t *root = NULL;
    bool found = false;
    mts_status st = json_util_parse_wide(&fuzz_ctx, "config.json", (const char *)data, size, &root);
    if (st == MTS_OK) {
        network *net = make_network();
        st = network_take_outliers(&fuzz_ctx, net, root, "config.json", &found);
        require_lists(net);
        if (st == MTS_OK && found)
            require_stored(net, json_object_get(json_object_get(root, MODEL_CONFIG_SETTINGS),
                                                MODEL_CONFIG_OUTLIERS));
        network_destroy(net);
    }
    if (st != MTS_OK)
        fuzz_require_refusal(st);
    json_decref(root);
    return st == MTS_OK;
}

#define LAYER "encoder.layer.0."

static const fuzz_bytes seeds[] = {
    FUZZ_BYTES("{\"mantissa\":{\"outlier_features\":{"
               "\"" LAYER "attention.self.query_key_value\":[0,19],"
               "\"" LAYER "attention.output.dense\":[],"
               "\"" LAYER "intermediate.dense\":[1,2,3,4,5,6,7,8],"
               "\"" LAYER "output.dense\":[39],"
               "\"pooler.dense\":[7],\"classifier\":[11,12]}}}"),
    FUZZ_BYTES("{\"mantissa\":{\"precision\":\"int8\"}}"),
    FUZZ_BYTES("{\"hidden_size\":20}"),
};

static const char *const words[] = {"{",
                                    "}",
                                    "[",
                                    "]",
                                    ",",
                                    ":",
                                    "\"",
                                    "0",
                                    "-1",
                                    "7",
                                    "8",
                                    "19",
                                    "20",
                                    "40",
                                    "1.0",
                                    "1e9",
                                    "null",
                                    "true",
                                    "4294967296",
                                    "9223372036854775807",
                                    "9223372036854775808",
                                    "\"classifier\":",
                                    "\"pooler.dense\":[],",
                                    "\"outlier_features\":",
                                    "[1,2,3,4,5,6,7,8,9]",
                                    "\xff",
                                    NULL};

const fuzz_target fuzz_target_outliers = {
    .name = "outliers",
    .run = run,
    .seeds = seeds,
    .n_seeds = FUZZ_COUNT(seeds),
    .whole = true,
    .words = words,
};
