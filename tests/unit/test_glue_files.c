/*
 * The real GLUE files: every row's texts and label are what Python reads from them.
 *
 * MANTISSA_TEST_DATA: a folder with glue/CoLA/train.tsv and so on (the subsets whose row numbers
 * are below); skipped without it.  Golden values by gates/check_tables.py --golden.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/text_classification.h"

static mts_ctx ctx;
static char glue_folder[1024];

/* hash: FNV-1a of the lines "text_a TAB (text_b TAB) label with 3 decimals LF". */
static const struct {
    const char *folder, *file;
    int64_t rows;
    uint64_t hash;
} goldens[] = {
    {"CoLA", "train.tsv", 8551, UINT64_C(0xc4725ec71d4e8239)},
    {"CoLA", "dev.tsv", 1043, UINT64_C(0xc5b7cbe9b82ab38f)},
    {"SST-2", "train.tsv", 67349, UINT64_C(0xc7697037c75e06a4)},
    {"SST-2", "dev.tsv", 872, UINT64_C(0x2795f7f131102282)},
    {"MRPC", "train.tsv", 3668, UINT64_C(0x8bce3d86db3913b6)},
    {"MRPC", "dev.tsv", 408, UINT64_C(0xf17e173d1a0121ab)},
    {"STS-B", "train.tsv", 5749, UINT64_C(0x71318aea290ff862)},
    {"STS-B", "dev.tsv", 1500, UINT64_C(0x7de3163e3074abb5)},
    {"QQP", "train.tsv", 30003, UINT64_C(0x377c1f7fd3c0c6c0)},
    {"QQP", "dev.tsv", 2866, UINT64_C(0xef4c0712b7539043)},
    {"MNLI", "train.tsv", 9999, UINT64_C(0x3a02f0bace37871b)},
    {"MNLI", "dev_mismatched.tsv", 1000, UINT64_C(0xeff8d13e634a27d4)},
    {"MNLI", "dev_matched.tsv", 1000, UINT64_C(0xcf0f89919a1c3b18)},
    {"QNLI", "train.tsv", 9999, UINT64_C(0x53221380ee8c0d94)},
    {"QNLI", "dev.tsv", 5463, UINT64_C(0xe4a7b11461d588f2)},
    {"RTE", "train.tsv", 2490, UINT64_C(0x96e3a568ded81ce2)},
    {"RTE", "dev.tsv", 277, UINT64_C(0xe09395ba01a9f7ae)},
    {"WNLI", "train.tsv", 635, UINT64_C(0x74ce5ea6328f8ebe)},
    {"WNLI", "dev.tsv", 71, UINT64_C(0x7130a86716d157bd)},
};

static uint64_t fnv1a(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_dataset(const dataset *d)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (int64_t i = 0; i < d->n; i++) {
        char label[64];
        snprintf(label, sizeof label, "%.3f\n",
                 d->targets.kind == TARGET_SCORE ? (double)d->targets.score[i]
                                                 : (double)d->targets.index[i]);
        hash = fnv1a(fnv1a(hash, d->text_a[i]), "\t");
        if (d->text_b != NULL)
            hash = fnv1a(fnv1a(hash, d->text_b[i]), "\t");
        hash = fnv1a(hash, label);
    }
    return hash;
}

static const task_reading reading = {.threads = 1};

/* Open the task; with a training file agree with a model that has no labels yet. */
static mts_status resolve(const mts_options *o, text_classification **out)
{
    task *t = NULL;
    model_config cfg = {0};
    mts_status st = task_open(&ctx, o, NULL, NULL, &t);
    if (st == MTS_OK)
        st = model_config_init(&ctx, &cfg);
    if (st == MTS_OK && o->train_file != NULL)
        st = t->class->fit(&ctx, t, "model", &cfg, true, &reading);
    model_config_deinit(&cfg);
    *out = (text_classification *)t;
    return st;
}

/* Load a file of a task: its training file, or the evaluation set whose path ends so. */
static mts_status load_file(text_classification *t, const char *file, dataset *d)
{
    if (strcmp(file, "train.tsv") == 0)
        return text_classification_load(&ctx, t, TASK_TRAIN, 0, &reading, false, d);
    for (int64_t i = 0; i < t->base.class->sets(&t->base, TASK_EVAL); i++) {
        if (strcmp(strrchr(t->eval_paths[i], '/') + 1, file) == 0)
            return text_classification_load(&ctx, t, TASK_EVAL, i, &reading, false, d);
    }
    return MTS_ERR_ARGUMENT;
}

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof goldens / sizeof goldens[0]; i++) {
        const mts_options o = {.do_regression = -1,
                               .assistant_only_loss = -1,
                               .completion_only_loss = -1,
                               .task_name = goldens[i].folder,
                               .data_dir = glue_folder,
                               .max_train_samples = -1,
                               .max_eval_samples = -1};
        text_classification *t = NULL;
        dataset d = {0};
        if (resolve(&o, &t) != MTS_OK || load_file(t, goldens[i].file, &d) != MTS_OK)
            fail_msg("%s/%s: %s", goldens[i].folder, goldens[i].file, ctx.error);
        if (d.n != goldens[i].rows || hash_dataset(&d) != goldens[i].hash)
            fail_msg("%s/%s: expected %lld rows and hash %016llx, found %lld and %016llx",
                     goldens[i].folder, goldens[i].file, (long long)goldens[i].rows,
                     (unsigned long long)goldens[i].hash, (long long)d.n,
                     (unsigned long long)hash_dataset(&d));
        dataset_deinit(&d);
        task_close(&t->base);
    }
}

/* The labels of a GLUE file read as one's own file are found, sorted, and not numbered as GLUE. */
static void test_as_own_file(void **state)
{
    char path[1100];
    mts_options o = {.do_regression = -1,
                     .assistant_only_loss = -1,
                     .completion_only_loss = -1,
                     .train_file = path,
                     .max_train_samples = 3};
    text_classification *t = NULL;
    dataset d = {0};
    (void)state;
    snprintf(path, sizeof path, "%s/MNLI/train.tsv", glue_folder);
    assert_int_equal(resolve(&o, &t), MTS_OK);
    assert_int_equal(t->num_labels, 3);
    assert_string_equal(t->label_names[0], "contradiction");
    assert_string_equal(t->label_names[1], "entailment");
    assert_string_equal(t->label_names[2], "neutral");
    assert_int_equal(text_classification_load(&ctx, t, TASK_TRAIN, 0, &reading, false, &d), MTS_OK);
    assert_int_equal(d.n, 3);
    assert_int_equal(d.targets.index[0], 1);
    dataset_deinit(&d);
    task_close(&t->base);
    o.label_column_name = "score";
    snprintf(path, sizeof path, "%s/STS-B/train.tsv", glue_folder);
    assert_int_equal(resolve(&o, &t), MTS_OK);
    assert_true(t->kind == &label_kind_score);
    task_close(&t->base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_as_own_file),
    };
    const char *data = getenv("MANTISSA_TEST_DATA");
    if (data == NULL) {
        printf("skipped: MANTISSA_TEST_DATA is not set (a folder with glue/)\n");
        return 77;
    }
    snprintf(glue_folder, sizeof glue_folder, "%s/glue", data);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
