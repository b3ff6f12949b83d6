/*
 * network/network_io: the names that files of other programs have, parts that are missing and get their
 * first values, and tensors that a model has no place for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "io/safetensors.h"
#include "network/network_io.h"
#include "support/test_model.h"

enum { WIDTH = 64, LABELS = 5, NAME_BYTES = 160 };

static mts_ctx ctx;
static char folder[64], file_path[96];

#define assert_ok(call) assert_string_equal(mts_status_name(call), "ok")

static int open_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/mantissa_test_bert_io_XXXXXX");
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(file_path, sizeof file_path, "%s/model.safetensors", folder);
    return 0;
}

static int close_folder(void **state)
{
    (void)state;
    return file_remove_tree(&ctx, folder) != MTS_OK;
}

static const test_shape shape = {.width = WIDTH, .labels = LABELS};

static void model_init(test_bert *t, uint64_t seed)
{
    const num_format format = test_format_float(FORMAT_FP32);
    test_bert_init(t, &shape, &format, 1, NULL);
    t->net->ex.seed = seed;
}

/* The name of a parameter in a file; false: it is not in the file. */
typedef bool rename_fn(char out[NAME_BYTES], const char *name);

/* The model's parameters under other names, and `extra` beside them if not NULL. */
static void write_renamed(const network *net, rename_fn *rename, const char *extra)
{
    const int64_t one = 1;
    const float number = 0.0f;
    safetensors_writer *w = NULL;
    assert_ok(safetensors_writer_open(&ctx, file_path, &w));
    for (int64_t i = 0; i < net->params.count; i++) {
        const param *p = net->params.items[i];
        const int64_t sizes[2] = {p->rows, p->cols};
        char name[NAME_BYTES];
        if (rename(name, p->name))
            assert_ok(safetensors_writer_add(w, name, ST_DTYPE_F32, p->vector ? 1 : 2,
                                             p->vector ? sizes + 1 : sizes, p->value));
    }
    if (extra != NULL)
        assert_ok(safetensors_writer_add(w, extra, ST_DTYPE_F32, 1, &one, &number));
    assert_ok(safetensors_writer_commit(w));
    safetensors_writer_close(w);
}

/* name with its ending `from` replaced by `to`, if it has it. */
static void replace_ending(char name[NAME_BYTES], const char *from, const char *to)
{
    const size_t n = strlen(name), f = strlen(from);
    if (n >= f && strcmp(name + n - f, from) == 0)
        snprintf(name + n - f, NAME_BYTES - (n - f), "%s", to);
}

static bool as_it_is(char out[NAME_BYTES], const char *name)
{
    snprintf(out, NAME_BYTES, "%s", name);
    return true;
}

static bool without_prefix(char out[NAME_BYTES], const char *name)
{
    return as_it_is(out, strncmp(name, "bert.", 5) == 0 ? name + 5 : name);
}

static bool early(char out[NAME_BYTES], const char *name)
{
    as_it_is(out, name);
    replace_ending(out, "LayerNorm.weight", "LayerNorm.gamma");
    replace_ending(out, "LayerNorm.bias", "LayerNorm.beta");
    return true;
}

static bool early_without_prefix(char out[NAME_BYTES], const char *name)
{
    char plain[NAME_BYTES];
    without_prefix(plain, name);
    return early(out, plain);
}

static bool without_head(char out[NAME_BYTES], const char *name)
{
    return as_it_is(out, name) && strncmp(name, "classifier.", 11) != 0 &&
           strncmp(name, "bert.pooler.", 12) != 0;
}

static bool without_classifier(char out[NAME_BYTES], const char *name)
{
    return as_it_is(out, name) && strncmp(name, "classifier.", 11) != 0;
}

static bool without_a_bias(char out[NAME_BYTES], const char *name)
{
    return as_it_is(out, name) && strcmp(name, "bert.encoder.layer.1.output.dense.bias") != 0;
}

/* Names of other programs, with and without a tensor that has no place. */
static void test_names(void **state)
{
    static rename_fn *const renames[] = {as_it_is, without_prefix, early, early_without_prefix};
    static const char *const extras[] = {NULL, "bert.embeddings.position_ids", "cls.other.bias"};
    (void)state;
    for (size_t i = 0; i < sizeof renames / sizeof renames[0]; i++)
        for (int e = 0; e < 3; e++) {
            test_bert a, b;
            network_load_report report;
            model_init(&a, 0);
            model_init(&b, 0);
            write_renamed(a.net, renames[i], extras[e]);
            const size_t bytes = (size_t)b.net->params.elements * sizeof(float);
            memset(b.net->params.value, 0, bytes);
            const uint64_t version = b.net->ex.weight_version;
            assert_ok(network_load(&ctx, b.net, folder, HEAD_NEEDED, &report));
            assert_memory_equal(a.net->params.value, b.net->params.value, bytes);
            assert_true(b.net->ex.weight_version != version); /* packed weights are stale */
            assert_null(report.initialized_head);
            assert_null(report.initialized_output);
            assert_int_equal(report.unused, e == 2);
            if (e == 2)
                assert_string_equal(report.first_unused, extras[e]);
            test_bert_deinit(&a);
            test_bert_deinit(&b);
        }
}

/* Mean 0 and the standard deviation of the configuration, within 5 sigma. */
static void assert_initial(const network *net, const param *p)
{
    const double n = (double)(p->rows * p->cols), range = net->cfg.initializer_range;
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < p->rows * p->cols; i++) {
        sum += (double)p->value[i];
        squares += (double)p->value[i] * (double)p->value[i];
        assert_true(!p->vector || p->value[i] == 0.0f);
    }
    if (p->vector)
        return;
    assert_true(fabs(sum / n) < 5 * range / sqrt(n));
    assert_true(fabs(squares / n / (range * range) - 1) < 5 * sqrt(2 / n));
}

/* A head that is missing, or of another number of labels: an error, or initial values that depend
 * on the seed alone. */
static void test_missing_head(void **state)
{
    static rename_fn *const renames[] = {without_head, without_classifier};
    (void)state;
    for (int i = 0; i < 2; i++) {
        test_bert source, t[3];
        network_load_report report;
        model_init(&source, 0);
        write_renamed(source.net, renames[i], NULL);
        for (int k = 0; k < 3; k++) {
            model_init(&t[k], k == 2 ? 8 : 7);
            const param_list *table = &t[k].net->params;
            for (int64_t e = 0; e < table->elements; e++)
                table->value[e] = 1.0f;
            assert_int_equal(network_load(&ctx, t[k].net, folder, HEAD_NEEDED, &report),
                             MTS_ERR_BAD_FILE);
            assert_ok(network_load(&ctx, t[k].net, folder, HEAD_IF_THERE, &report));
            assert_true((report.initialized_head != NULL) == (i == 0));
            assert_string_equal(report.initialized_output, "classifier.weight");
            assert_int_equal(report.unused, 0);
            for (int64_t p = 0; p < table->count; p++)
                if (table->items[p]->part == PARAM_OUTPUT ||
                    (i == 0 && table->items[p]->part == PARAM_HEAD))
                    assert_initial(t[k].net, table->items[p]);
        }
        const int64_t n = source.net->params.elements;
        test_assert_same("seed 7", t[0].net->params.value, t[1].net->params.value, n);
        assert_memory_not_equal(t[0].net->params.value, t[2].net->params.value,
                                (size_t)n * sizeof(float));
        test_bert_deinit(&source);
        for (int k = 0; k < 3; k++)
            test_bert_deinit(&t[k]);
    }
}

/* Anything else that is missing is an error in any case. */
static void test_missing_parameter(void **state)
{
    test_bert t;
    network_load_report report;
    (void)state;
    model_init(&t, 0);
    write_renamed(t.net, without_a_bias, NULL);
    for (int source = HEAD_NEEDED; source <= HEAD_NEW; source++) {
        assert_int_equal(network_load(&ctx, t.net, folder, (head_source)source, &report),
                         MTS_ERR_BAD_FILE);
        assert_non_null(strstr(ctx.error, "bert.encoder.layer.1.output.dense.bias"));
    }
    test_bert_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_missing_head),
        cmocka_unit_test(test_missing_parameter),
    };
    test_print_seed();
    return cmocka_run_group_tests(tests, open_folder, close_folder);
}
