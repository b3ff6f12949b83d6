/*
 * Whatever allocation fails in the readers and writers of model files, or in base/file: an error
 * that says so, and nothing leaks (with a sanitizer).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "io/model_config.h"
#include "io/safetensors.h"

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
static char folder[64], shards[96], target[128], config[128], file_a[128], file_b[128], dir_a[128],
    dir_b[128];

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

static void put(const char *path, const char *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    assert_int_equal(close(fd), 0);
}

/* --------------------------------------------------------------------------------- JSON ---- */

static mts_status load_label_save(void)
{
    static const char *const names[] = {"entailment", "neutral", "contradiction"};
    mts_status st = MTS_OK;
    model_config cfg;
    MTS_TRY(model_config_load(&ctx, folder, &cfg));
    MTS_TRY(model_config_set_labels(&ctx, &cfg, names, 3, false));
    MTS_TRY(model_config_set_string(&ctx, &cfg, "finetuning_task", "mnli"));
    MTS_TRY(model_config_save(&ctx, &cfg, dir_b));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

static void failing_configs(void **state)
{
    (void)state;
    put(config, valid, sizeof valid - 1);
    assert_int_equal(file_make_dirs(&ctx, dir_b), MTS_OK);
    fail_each_allocation(load_label_save, 15, 15);
    assert_int_equal(file_remove_tree(&ctx, dir_b), MTS_OK);
}

/* All of base/file that allocates. */
static mts_status use_files(void)
{
    mts_status st = MTS_OK;
    char *text = NULL;
    file_list list = {0};
    MTS_TRY(file_make_dirs(&ctx, dir_a));
    MTS_TRY(file_copy(&ctx, config, file_a));
    MTS_TRY(file_make_dirs(&ctx, dir_b));
    MTS_TRY(file_copy(&ctx, config, file_b));
    MTS_TRY(file_commit_dir(&ctx, dir_a, dir_b));
    MTS_TRY(file_read_all(&ctx, config, TEXT_MAX, &text, NULL));
    MTS_TRY(file_list_dir(&ctx, dir_b, &list));
    MTS_TRY(file_remove_tree(&ctx, dir_b));
cleanup:
    file_list_deinit(&list);
    mem_free(text);
    return st;
}

static void failing_files(void **state)
{
    (void)state;
    put(config, valid, sizeof valid - 1);
    fail_each_allocation(use_files, 10, 0);
}

/* -------------------------------------------------------------------------- safetensors ---- */

static mts_status write_valid(void)
{
    static const float weights[] = {1, -2, 0.5f, 3, -0.25f, 8};
    static const int64_t shape[] = {2, 3}, three[] = {3};
    mts_status st = MTS_OK;
    safetensors_writer *w = NULL;
    MTS_TRY(safetensors_writer_open(&ctx, target, &w));
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

static mts_status open_folder(void)
{
    safetensors *file = NULL;
    mts_status st = safetensors_open_dir(&ctx, shards, &file);
    assert_true((st == MTS_OK) == (file != NULL));
    safetensors_close(file);
    return st;
}

static void failing_writes(void **state)
{
    (void)state;
    file_list list;
    fail_each_allocation(write_valid, 10, 10);
    assert_int_equal(file_list_dir(&ctx, shards, &list), MTS_OK);
    assert_int_equal(list.count, 1); /* no temporary is left */
    file_list_deinit(&list);
}

static void failing_opens(void **state)
{
    (void)state;
    char path[256];
    static const char *const index = "{\"weight_map\":{\"a.bias\":\"s.safetensors\","
                                     "\"b\":\"s.safetensors\",\"z\":\"t.safetensors\"}}";
    static const char *const other = "\x3a\0\0\0\0\0\0\0{\"z\":{\"dtype\":\"U8\",\"shape\":[2],"
                                     "\"data_offsets\":[0,2]}}          ab";
    snprintf(path, sizeof path, "%s/s.safetensors", shards);
    assert_int_equal(file_copy(&ctx, target, path), MTS_OK);
    snprintf(path, sizeof path, "%s/t.safetensors", shards);
    put(path, other, 8 + 0x3a + 2);
    snprintf(path, sizeof path, "%s/model.safetensors.index.json", shards);
    put(path, index, strlen(index));
    fail_each_allocation(open_folder, 15, 15);
}

static int setup(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/mantissa_failing_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(dir_a, sizeof dir_a, "%s/a", folder);
    snprintf(dir_b, sizeof dir_b, "%s/b", folder);
    snprintf(file_a, sizeof file_a, "%s/a/new", folder);
    snprintf(file_b, sizeof file_b, "%s/b/old", folder);
    snprintf(shards, sizeof shards, "%s/shards", folder);
    snprintf(target, sizeof target, "%s/shards/target", folder);
    return file_make_dirs(&ctx, shards) != MTS_OK;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(&ctx, folder) != MTS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failing_configs),
        cmocka_unit_test(failing_files),
        cmocka_unit_test(failing_writes),
        cmocka_unit_test(failing_opens),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
