/*
 * io/json_util and io/model_config under mutation: whatever the bytes, an error of one line or a
 * value that survives dump and parse; whatever allocation fails, in these or in base/file, nothing
 * leaks. The seed is printed; MANTISSA_TEST_SEED sets it.
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
#include "base/json_util.h"
#include "base/json_memory.h"
#include "base/memory.h"
#include "base/rng.h"
#include "io/model_config.h"

enum { TEXT_MAX = 4096, MUTATIONS = 20000 };

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
static char folder[64], config[128], file_a[128], file_b[128], dir_a[128], dir_b[128];
static uint64_t seed = 20240301;
static uint32_t draws;
static int accepted, refused;

static uint32_t draw(uint32_t below)
{
    rng_key key = rng_make_key(seed, 0, 0, RNG_INIT);
    return rng_draw(key, draws++) % below;
}

/* ----------------------------------------------------------------------- failing memory ---- */

/* Run call with the n-th allocation failing, n = 0, 1, ..., until it succeeds: first ours, then
 * jansson's.  Every failure must be told, as what it is. */
static void fail_each_allocation(mts_status (*call)(void), int at_least)
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
        assert_true(jansson || n > at_least);
    }
}

/* ----------------------------------------------------------------------------- mutation ---- */

/* No fsync: this is done ten thousands of times. */
static void put(const char *path, const char *data, size_t bytes)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
    assert_int_equal(close(fd), 0);
}

static void assert_refusal(mts_status st)
{
    assert_true(st == MTS_ERR_BAD_FILE || st == MTS_ERR_UNSUPPORTED);
    assert_true(ctx.error[0] != '\0' && strchr(ctx.error, '\n') == NULL);
}

/* As JSON: what is accepted must come back equal from either form of the dump. */
static void try_parse(const char *data, size_t bytes)
{
    json_t *json = NULL, *back = NULL, *wide = NULL;
    char *text = NULL;
    ctx.error[0] = '\0';
    mts_status st = json_util_parse_wide(&ctx, "input", data, bytes, &wide);
    assert_true((st == MTS_OK) == json_is_object(wide));
    if (st != MTS_OK)
        assert_refusal(st);
    json_decref(wide);
    ctx.error[0] = '\0';
    st = json_util_parse(&ctx, "input", data, bytes, &json);
    if (st != MTS_OK) {
        assert_refusal(st);
        return;
    }
    for (int indent = 0; indent <= 2; indent += 2) {
        assert_int_equal(json_util_dump(&ctx, json, indent, indent != 0, &text), MTS_OK);
        assert_int_equal(json_util_parse(&ctx, "dump", text, strlen(text), &back), MTS_OK);
        assert_true(json_equal(json, back));
        json_decref(back);
        mem_free(text);
    }
    json_decref(json);
}

/* As config.json: what is accepted must hold its promises. */
static void try_config(const char *data, size_t bytes)
{
    model_config cfg;
    put(config, data, bytes);
    ctx.error[0] = '\0';
    mts_status st = model_config_load(&ctx, folder, &cfg);
    if (st == MTS_OK) {
        assert_true(cfg.hidden_size % cfg.num_attention_heads == 0);
        assert_true(cfg.pad_token_id < cfg.vocab_size && cfg.num_labels >= 1);
        for (int64_t i = 0; i < cfg.num_labels; i++)
            assert_non_null(cfg.labels[i]);
        accepted++;
    } else {
        assert_refusal(st);
        refused++;
    }
    model_config_deinit(&cfg);
}

static void try_bytes(const char *data, size_t bytes)
{
    try_parse(data, bytes);
    try_config(data, bytes);
}

static void truncations(void **state)
{
    (void)state;
    accepted = refused = 0;
    for (size_t n = 0; n < sizeof valid; n++)
        try_bytes(valid, n);
    assert_int_equal(accepted, 1);
    assert_int_equal(refused, sizeof valid - 1);
}

static void bit_flips(void **state)
{
    (void)state;
    char data[sizeof valid];
    accepted = refused = 0;
    memcpy(data, valid, sizeof valid);
    for (size_t bit = 0; bit < 8 * (sizeof valid - 1); bit++) {
        data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
        try_bytes(data, sizeof valid - 1);
        data[bit / 8] = valid[bit / 8];
    }
    assert_true(accepted > 100 && refused > 1000);
}

static void random_mutations(void **state)
{
    (void)state;
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
                                        "\\",
                                        "\\u0000",
                                        "\xff",
                                        "null",
                                        "{}",
                                        "[]",
                                        "-0",
                                        "true",
                                        "1e400",
                                        "NaN",
                                        "\n",
                                        "\t",
                                        "\\ud800",
                                        "\"1\"",
                                        "1e-400",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "0.1"};
    char data[TEXT_MAX];
    accepted = refused = 0;
    for (int i = 0; i < MUTATIONS; i++) {
        size_t bytes = sizeof valid - 1;
        memcpy(data, valid, bytes);
        for (uint32_t k = draw(3); k < 3; k++) {
            const char *word = words[draw(sizeof words / sizeof words[0])];
            size_t n = strlen(word), place = draw((uint32_t)bytes), cut = draw(6);
            if (data[place] >= '0' && data[place] <= '9' && draw(2) == 0) {
                data[place] = (char)('0' + draw(10));
                continue;
            }
            cut = cut < bytes - place ? cut : bytes - place;
            memmove(data + place + n, data + place + cut, bytes - place - cut);
            memcpy(data + place, word, n);
            bytes += n - cut;
        }
        try_bytes(data, bytes);
    }
    print_message("%d accepted, %d refused\n", accepted, refused);
    assert_true(accepted > MUTATIONS / 100 && refused > MUTATIONS / 10);
}

/* The parser's limit of nesting is met by ours in the dump. */
static void deep_nesting(void **state)
{
    (void)state;
    static char text[20000];
    json_t *json = NULL;
    for (size_t depth = 1; depth < sizeof text / 2; depth = depth < 2040 ? depth * 2 : depth + 1) {
        if (depth > 2060)
            depth = sizeof text / 2;
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        try_parse(text, 2 * depth);
    }
    memset(text, '[', sizeof text);
    assert_int_equal(json_util_parse(&ctx, "deep", text, sizeof text, &json), MTS_ERR_BAD_FILE);
    assert_null(json);
}

/* ------------------------------------------------------------------------ memory failures ---- */

static mts_status load_label_save(void)
{
    static const char *const names[] = {"entailment", "neutral", "contradiction"};
    mts_status st = MTS_OK;
    model_config cfg;
    MTS_TRY(model_config_load(&ctx, folder, &cfg));
    MTS_TRY(model_config_set_labels(&ctx, &cfg, names, 3, false));
    MTS_TRY(model_config_set_string(&ctx, &cfg, "finetuning_task", "mnli"));
    MTS_TRY(model_config_save(&ctx, &cfg, "BertForSequenceClassification", dir_b));
cleanup:
    model_config_deinit(&cfg);
    return st;
}

static void failing_configs(void **state)
{
    (void)state;
    put(config, valid, sizeof valid - 1);
    assert_int_equal(file_make_dirs(&ctx, dir_b), MTS_OK);
    fail_each_allocation(load_label_save, 15);
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
    fail_each_allocation(use_files, 10);
}

static int setup(void **state)
{
    (void)state;
    const char *text = getenv("MANTISSA_TEST_SEED");
    if (text != NULL)
        seed = strtoull(text, NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    strcpy(folder, "/tmp/mantissa_fuzz_json_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(config, sizeof config, "%s/config.json", folder);
    snprintf(dir_a, sizeof dir_a, "%s/a", folder);
    snprintf(dir_b, sizeof dir_b, "%s/b", folder);
    snprintf(file_a, sizeof file_a, "%s/a/new", folder);
    snprintf(file_b, sizeof file_b, "%s/b/old", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return file_remove_tree(&ctx, folder) != MTS_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(truncations),      cmocka_unit_test(bit_flips),
        cmocka_unit_test(random_mutations), cmocka_unit_test(deep_nesting),
        cmocka_unit_test(failing_configs),  cmocka_unit_test(failing_files),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
