/*
 * Whatever allocation fails in the readers and writers of model files, or in base/file: an error
 * that says so, and nothing leaks (with a sanitizer).
 */
#include "support/gguf_bytes.h"
#include "support/test_copy.h"
#include "support/test_folder.h"
#include "support/test_model.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/describe_gguf.h"
#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "models/model.h"
#include "io/safetensors.h"
#include "network/network_outliers.h"
#include "network/weight_file.h"
#include "support/nf4_file.h"
#include "tensor/outliers.h"

enum { TEXT_MAX = 4096 };

static const char valid[] =
    "{\"architectures\":[\"BertModel\"],\"attention_probs_dropout_prob\":0.1,"
    "\"classifier_dropout\":null,\"dtype\":\"float32\",\"hidden_act\":\"gelu\","
    "\"hidden_dropout_prob\":0.1,\"hidden_size\":384,\"id2label\":{\"0\":\"a\",\"1\":\"b\"},"
    "\"initializer_range\":0.02,\"intermediate_size\":1536,\"label2id\":{\"a\":0,\"b\":1},"
    "\"layer_norm_eps\":1e-12,\"max_position_embeddings\":512,\"model_type\":\"bert\","
    "\"num_attention_heads\":12,\"num_hidden_layers\":6,\"pad_token_id\":0,"
    "\"problem_type\":\"single_label_classification\",\"type_vocab_size\":2,\"use_cache\":true,"
    "\"\\u00e9\\n\":[[],{},{\"x\":[-1.5e300]}],\"vocab_size\":30522}";

static mts_ctx ctx;

/* Run call with the n-th allocation failing, n = 0, 1, ..., until it succeeds: first ours, then
 * jansson's.  Every failure must be told, as what it is. */
static void fail_each_allocation(mts_status (*call)(void), int at_least, int at_least_json)
{
    for (int jansson = 0; jansson < 2; jansson++) {
        int64_t n = 0;
        mts_status st = MTS_ERR_MEMORY;
        for (; st != MTS_OK; n++) {
            assert_true(n < 10000);
            ctx.error[0] = '\0';
            mem_fail_after(jansson ? -1 : n);
            json_memory_fail_after(jansson ? n : -1);
            st = call();
            const int64_t ours = mem_fail_after(-1), theirs = json_memory_fail_after(-1);
            const bool failed = (jansson ? theirs : ours) > n;
            if (st != (failed ? MTS_ERR_MEMORY : MTS_OK))
                fail_msg("allocation %d gave %s: %s", (int)n, mts_status_name(st), ctx.error);
            assert_true(st == MTS_OK || strstr(ctx.error, "out of memory") != NULL);
        }
        assert_true(n > (jansson ? at_least_json : at_least));
    }
}

/* --------------------------------------------------------------------------------- JSON ---- */

static mts_status load_label_save(void)
{
    static const char *const names[] = {"entailment", "neutral", "contradiction"};
    mts_status st = MTS_OK;
    model_config cfg;
    MTS_TRY(model_load_config(&ctx, folder_root(), &cfg));
    MTS_TRY(model_config_set_labels(&ctx, &cfg, names, 3, false));
    MTS_TRY(model_config_set_string(&ctx, &cfg, "finetuning_task", "mnli"));
    MTS_TRY(model_config_save(&ctx, &cfg, "bert", "BertForSequenceClassification", folder_at("b"),
                              "config.json"));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

static void failing_configs(void **state)
{
    (void)state;
    folder_put("config.json", valid, sizeof valid - 1);
    assert_int_equal(file_make_dirs(&ctx, folder_at("b")), MTS_OK);
    fail_each_allocation(load_label_save, 15, 15);
    assert_int_equal(file_remove_tree(&ctx, folder_at("b")), MTS_OK);
}

static network *net;

/* Lists of outlier features, to and from the configuration. */
static mts_status keep_lists(void)
{
    mts_status st = MTS_OK;
    bool found = false;
    MTS_TRY(network_store_outliers(&ctx, net));
    MTS_TRY(network_take_outliers(&ctx, net, net->cfg.json, "config.json", &found));
    assert_true(found);
cleanup:
    return st;
}

static void failing_lists(void **state)
{
    test_bert t;
    num_format format = test_format_dfp(8, GROUP_ROW, false);
    (void)state;
    format.outlier_bits = 12;
    test_bert_init(&t, &(test_shape){0}, &format, 1, NULL);
    net = t.net;
    test_set_outliers(&net->ex, 5);
    assert_int_equal(json_object_set_new(net->cfg.json, MODEL_CONFIG_SETTINGS, json_object()), 0);
    fail_each_allocation(keep_lists, 9, 60); /* ten lists of five numbers */
    for (const outlier_list *list = net->ex.outliers; list != NULL; list = list->next)
        assert_int_equal(list->count, 5);
    test_bert_deinit(&t);
}

/* All of base/file that allocates. */
static mts_status use_files(void)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    file_list list = {0};
    MTS_TRY(file_make_dirs(&ctx, folder_at("a")));
    MTS_TRY(test_copy_file(&ctx, folder_at("config.json"), folder_at("a/new")));
    MTS_TRY(file_make_dirs(&ctx, folder_at("b")));
    MTS_TRY(test_copy_file(&ctx, folder_at("config.json"), folder_at("b/old")));
    MTS_TRY(file_commit_dir(&ctx, folder_at("a"), folder_at("b")));
    MTS_TRY(file_read_all(&ctx, folder_at("config.json"), TEXT_MAX, &text, NULL));
    MTS_TRY(file_list_dir(&ctx, folder_at("b"), &list));
    MTS_TRY(file_remove_tree(&ctx, folder_at("b")));
cleanup:
    file_list_deinit(&list);
    mem_free(text);
    return st;
}

static void failing_files(void **state)
{
    (void)state;
    folder_put("config.json", valid, sizeof valid - 1);
    fail_each_allocation(use_files, 10, 0);
}

/* -------------------------------------------------------------------------- safetensors ---- */

static mts_status write_valid(void)
{
    static const float weights[] = {1, -2, 0.5f, 3, -0.25f, 8};
    static const int64_t shape[] = {2, 3}, three[] = {3};
    mts_status st = MTS_OK;
    safetensors_writer *w = NULL;
    MTS_TRY(safetensors_writer_open(&ctx, folder_at("shards/target"), &w));
    MTS_TRY(safetensors_writer_add(w, "a.weight", ST_DTYPE_F32, 2, shape, weights));
    MTS_TRY(safetensors_writer_add(w, "a.bias", ST_DTYPE_F16, 1, three, weights));
    MTS_TRY(safetensors_writer_add(w, "b", ST_DTYPE_BF16, 1, three, weights));
    MTS_TRY(safetensors_writer_add(w, "c", ST_DTYPE_I64, 0, NULL, weights));
    MTS_TRY(safetensors_writer_add(w, "d", ST_DTYPE_U8, 1, three, weights));
    MTS_TRY(safetensors_writer_commit(w));
cleanup:
    safetensors_writer_close(w);
    return st;
}

static mts_status open_shards(void)
{
    safetensors *file = NULL;
    mts_status st = safetensors_open_dir(&ctx, folder_at("shards"), &file);
    assert_true((st == MTS_OK) == (file != NULL));
    safetensors_close(file);
    return st;
}

static void failing_writes(void **state)
{
    (void)state;
    file_list list;
    assert_ok(file_make_dirs(&ctx, folder_at("shards")));
    fail_each_allocation(write_valid, 10, 10);
    assert_int_equal(file_list_dir(&ctx, folder_at("shards"), &list), MTS_OK);
    assert_int_equal(list.count, 1); /* no temporary is left */
    file_list_deinit(&list);
}

static void failing_opens(void **state)
{
    (void)state;
    static const char *const index = "{\"weight_map\":{\"a.bias\":\"s.safetensors\","
                                     "\"b\":\"s.safetensors\",\"z\":\"t.safetensors\"}}";
    static const char *const other = "\x3a\0\0\0\0\0\0\0{\"z\":{\"dtype\":\"U8\",\"shape\":[2],"
                                     "\"data_offsets\":[0,2]}}          ab";
    assert_ok(file_make_dirs(&ctx, folder_at("shards")));
    assert_ok(write_valid());
    assert_ok(test_copy_file(&ctx, folder_at("shards/target"), folder_at("shards/s.safetensors")));
    folder_put("shards/t.safetensors", other, 8 + 0x3a + 2);
    folder_put_text("shards/model.safetensors.index.json", index);
    fail_each_allocation(open_shards, 15, 15);
}

static mts_status read_nf4(void)
{
    mts_status st = MTS_OK;
    float values[45];
    weight_file w;
    weight_tensor t;
    MTS_TRY(weight_file_open(&ctx, folder_root(), &w));
    assert_true(weight_file_find(&w, "w.weight", "", &t));
    MTS_TRY(weight_file_read(&ctx, &w, &t, values, 45));
cleanup:
    weight_file_close(&w);
    return st;
}

static void failing_nf4(void **state)
{
    (void)state;
    static nf4_file file;
    nf4_file_make(&file, 3, 15, true, 1);
    assert_ok(nf4_file_write(&ctx, &file, folder_at("model.safetensors")));
    fail_each_allocation(read_nf4, 15, 15);
}

/* --------------------------------------------------------------------------------- GGUF ---- */

/* What 'mantissa info' does with a GGUF file. */
static mts_status describe_file(void)
{
    json_t *out = json_object();
    if (out == NULL)
        return status_set(&ctx, MTS_ERR_MEMORY, "out of memory: test");
    const mts_status st = describe_gguf(&ctx, folder_at("f.gguf"), out);
    json_decref(out);
    return st;
}

static void failing_gguf(void **state)
{
    (void)state;
    static gguf_bytes bytes;
    gguf_make_valid(&bytes, 3);
    folder_put("f.gguf", bytes.data, bytes.size);
    fail_each_allocation(describe_file, 6, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(failing_configs, folder_open, folder_close),
        cmocka_unit_test(failing_lists),
        cmocka_unit_test_setup_teardown(failing_files, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(failing_writes, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(failing_opens, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(failing_nf4, folder_open, folder_close),
        cmocka_unit_test_setup_teardown(failing_gguf, folder_open, folder_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
