/*
 * Lists of outlier features in folders (--outliers feature): a training finds those of its model
 * and keeps them, evaluation and prediction go by them; folders without lists, and hostile ones.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/run_folder.h"
#include "support/test_copy.h"

enum { LABELS = 3, DEV_ROWS = 20, FILE_BYTES = 1 << 22, NOTE_BYTES = 2048 };

/* The inputs of the tiny model's linear layers; those that are the output of a layer norm have the
 * outliers that were planted (tiny_task.h). */
static const struct {
    const char *name;
    bool planted;
} inputs[] = {
    {"encoder.layer.0.attention.self.query_key_value", true},
    {"encoder.layer.0.attention.output.dense", false},
    {"encoder.layer.0.intermediate.dense", true},
    {"encoder.layer.0.output.dense", false},
    {"encoder.layer.1.attention.self.query_key_value", true},
    {"encoder.layer.1.attention.output.dense", false},
    {"encoder.layer.1.intermediate.dense", true},
    {"encoder.layer.1.output.dense", false},
    {"pooler.dense", true},
    {"classifier", false},
};

enum { INPUTS = sizeof inputs / sizeof inputs[0] };

/* Notes of a run, one a line. */
static bool listen(void *user, const mts_event *e)
{
    char *notes = user;
    const size_t n = strlen(notes);
    if (e->kind == MTS_EVENT_NOTE)
        snprintf(notes + n, NOTE_BYTES - n, "%s\n", e->text);
    return true;
}

static json_t *load_json(const char *dir, const char *name)
{
    char path[RUN_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    json_t *root = json_load_file(path, 0, NULL);
    if (root == NULL)
        fail_msg("%s: no JSON", path);
    return root;
}

static mts_options planted_run(const char *output_dir)
{
    static run_path planted;
    mts_options o = run_folder_options();
    planted = run_folder_path("outliers");
    o.model_name_or_path = planted.text;
    o.outliers = "feature";
    o.max_steps = 5;
    o.output_dir = output_dir;
    o.overwrite_output_dir = true;
    return o;
}

/* A model trained with outliers, once for all tests that only read it. */
static run_path trained(void)
{
    const run_path out = run_folder_path("trained");
    if (!dir_exists(out.text)) {
        const mts_options o = planted_run(out.text);
        run_folder_require(mts_train(ctx, &o, NULL, NULL));
    }
    return out;
}

/* A copy of the trained model; *config: its config.json, for save_config. */
static run_path copy_of_trained(const char *name, json_t **config)
{
    static const char *const files[] = {"model.safetensors", "vocab.txt", "tokenizer_config.json",
                                        "config.json"};
    const run_path from = trained(), to = run_folder_path("%s", name);
    run_folder_require(file_make_dirs(ctx, to.text));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const run_path a = run_folder_path("trained/%s", files[i]);
        const run_path b = run_folder_path("%s/%s", name, files[i]);
        if (file_exists(a.text))
            run_folder_require(test_copy_file(ctx, a.text, b.text));
    }
    *config = load_json(from.text, "config.json");
    return to;
}

static void save_config(const run_path *dir, const json_t *config)
{
    char path[RUN_PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/config.json", dir->text);
    assert_int_equal(json_dump_file(config, path, 0), 0);
}

/* Options as the command has them for a folder. */
static mts_options options_for(const run_path *dir)
{
    mts_options o = run_folder_options();
    run_folder_require(mts_options_from_model(ctx, &o, dir->text));
    o.model_name_or_path = dir->text;
    return o;
}

/* eval_loss of a folder; notes may be NULL. */
static double loss_of(const mts_options *o, char *notes)
{
    const mts_callbacks callbacks = {notes == NULL ? NULL : listen, notes};
    char *text = NULL;
    run_folder_require(mts_eval(ctx, o, &callbacks, &text));
    json_t *metrics = json_loads(text, 0, NULL);
    const double loss = json_number_value(json_object_get(metrics, "eval_loss"));
    json_decref(metrics);
    mts_string_free(text);
    return loss;
}

/* The logits that a predictor gives the texts of dev.tsv, and their mean loss. */
static double predict(const mts_options *o, float logits[DEV_ROWS][LABELS])
{
    const run_path dev = run_folder_path("dev.tsv");
    const char *text[DEV_ROWS], *label[DEV_ROWS];
    char *content = NULL;
    double loss = 0.0;
    int64_t n = 0;
    mts_predictor *p = NULL;
    run_folder_require(file_read_all(ctx, dev.text, FILE_BYTES, &content, NULL));
    for (char *line = strchr(content, '\n') + 1; *line != '\0'; n++) {
        char *tab = strchr(line, '\t'), *end = strchr(line, '\n');
        assert_true(n < DEV_ROWS);
        text[n] = line;
        label[n] = tab + 1;
        *tab = *end = '\0';
        line = end + 1;
    }
    run_folder_require(mts_predictor_open(ctx, o, &p));
    assert_int_equal(mts_predictor_num_labels(p), LABELS);
    run_folder_require(mts_predictor_run(p, text, NULL, n, &logits[0][0]));
    for (int64_t i = 0; i < n; i++) {
        double sum = 0.0;
        int right = -1;
        for (int c = 0; c < LABELS; c++) {
            sum += exp((double)logits[i][c]);
            right = strcmp(mts_predictor_label(p, c), label[i]) == 0 ? c : right;
        }
        assert_true(right >= 0);
        loss += log(sum) - (double)logits[i][right];
    }
    mts_predictor_close(p);
    mem_free(content);
    return loss / (double)n;
}

static bool holds(const json_t *array, json_int_t number)
{
    for (size_t i = 0; i < json_array_size(array); i++)
        if (json_integer_value(json_array_get(array, i)) == number)
            return true;
    return false;
}

/* ---------------------------------------------------------------------------------- folder --- */

/* config.json: the options, and one rising list for each linear layer. */
static void folder(void **state)
{
    const run_path out = trained();
    json_t *config = load_json(out.text, "config.json");
    const json_t *settings = json_object_get(config, "mantissa");
    const json_t *lists = json_object_get(settings, "outlier_features");
    (void)state;
    assert_string_equal(json_string_value(json_object_get(settings, "outliers")), "feature");
    assert_int_equal(json_integer_value(json_object_get(settings, "outlier_bits")), 12);
    assert_true(json_number_value(json_object_get(settings, "outlier_threshold")) == 5.0);
    assert_null(json_object_get(settings, "outlier_update"));
    assert_int_equal(json_object_size(lists), INPUTS);
    for (int i = 0; i < INPUTS; i++) {
        const json_t *list = json_object_get(lists, inputs[i].name);
        if (!json_is_array(list))
            fail_msg("no list of %s", inputs[i].name);
        for (size_t k = 1; k < json_array_size(list); k++)
            assert_true(json_integer_value(json_array_get(list, k - 1)) <
                        json_integer_value(json_array_get(list, k)));
        if (inputs[i].planted && (!holds(list, 5) || !holds(list, 40)))
            fail_msg("%s: the planted features are not there", inputs[i].name);
    }
    json_decref(config);
    const mts_options o = options_for(&out);
    assert_string_equal(o.outliers, "feature");
    assert_int_equal(o.outlier_bits, 12);
}

/* A run tells what it found. */
static void notes(void **state)
{
    const run_path out = run_folder_path("notes");
    char text[NOTE_BYTES] = "";
    const mts_callbacks callbacks = {listen, text};
    mts_options o = planted_run(out.text);
    (void)state;
    o.max_steps = 1;
    run_folder_require(mts_train(ctx, &o, &callbacks, NULL));
    assert_non_null(strstr(text, "outliers: "));
    assert_non_null(strstr(text, " of 584 features, in ")); /* 2 (3 48 + 100) + 2 48 */
    assert_non_null(strstr(text, " of 10 inputs"));
    o.outlier_threshold = 1e6;
    text[0] = '\0';
    run_folder_require(mts_train(ctx, &o, &callbacks, NULL));
    assert_non_null(strstr(text, "outliers: 0 of 584 features, in 0 of 10 inputs\n"));
    o.outlier_threshold = 1.0;
    text[0] = '\0';
    run_folder_require(mts_train(ctx, &o, &callbacks, NULL));
    assert_non_null(strstr(text, "inputs had more than there is room for"));
    assert_non_null(strstr(text, "the largest 8 are kept"));
    o.outliers = "none";
    text[0] = '\0';
    run_folder_require(mts_train(ctx, &o, &callbacks, NULL));
    assert_null(strstr(text, "outliers: "));
}

/* eval and predict of the folder are the training's own final evaluation, and go by the lists. */
static void same_evaluation(void **state)
{
    float logits[DEV_ROWS][LABELS], other[DEV_ROWS][LABELS];
    const run_path out = trained();
    json_t *config, *results = load_json(out.text, "eval_results.json");
    const double expected = json_number_value(json_object_get(results, "eval_loss"));
    mts_options o = options_for(&out);
    (void)state;
    assert_true(loss_of(&o, NULL) == expected);
    assert_true(fabs(predict(&o, logits) - expected) < 1e-6 * expected);
    o.per_device_eval_batch_size = 3; /* a row becomes what it is whatever is beside it */
    assert_true(fabs(loss_of(&o, NULL) - expected) < 1e-6 * expected);
    (void)predict(&o, other);
    assert_memory_equal(logits, other, sizeof logits);

    const run_path emptied = copy_of_trained("emptied", &config);
    json_t *lists = json_object_get(json_object_get(config, "mantissa"), "outlier_features");
    for (int i = 0; i < INPUTS; i++)
        assert_int_equal(json_object_set_new(lists, inputs[i].name, json_array()), 0);
    save_config(&emptied, config);
    o = options_for(&emptied);
    assert_true(loss_of(&o, NULL) != expected);
    (void)predict(&o, other);
    assert_memory_not_equal(logits, other, sizeof logits);
    json_decref(config);
    json_decref(results);
}

/* A folder that was trained without: the lists are found in the rows at hand, and that is told. */
static void folder_without_lists(void **state)
{
    const run_path out = run_folder_path("plain");
    float with[DEV_ROWS][LABELS], without[DEV_ROWS][LABELS];
    char text[NOTE_BYTES] = "";
    mts_options o = planted_run(out.text);
    (void)state;
    o.outliers = "none";
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    json_t *config = load_json(out.text, "config.json");
    const json_t *settings = json_object_get(config, "mantissa");
    assert_true(json_is_object(settings));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)settings, key, value)
        assert_null(strstr(key, "outlier"));
    json_decref(config);

    o = options_for(&out);
    assert_string_equal(o.outliers, "auto"); /* of an encoder: none */
    const double plain = loss_of(&o, text);
    assert_null(strstr(text, "outliers: "));
    (void)predict(&o, without);
    o.outliers = "feature";
    assert_true(loss_of(&o, text) != plain);
    assert_non_null(strstr(text, "has no lists of outliers: they are found in the rows"));
    assert_non_null(strstr(text, "outliers: "));
    (void)predict(&o, with);
    assert_memory_not_equal(with, without, sizeof with);
}

/* Fine-tuning a folder that has lists: with outliers they are found anew, without they go. */
static void trained_again(void **state)
{
    const run_path from = trained(), out = run_folder_path("again");
    mts_options o = planted_run(out.text);
    (void)state;
    o.model_name_or_path = from.text;
    o.outlier_threshold = 1.5;
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    json_t *old = load_json(from.text, "config.json"), *config = load_json(out.text, "config.json");
    assert_false(
        json_equal(json_object_get(json_object_get(config, "mantissa"), "outlier_features"),
                   json_object_get(json_object_get(old, "mantissa"), "outlier_features")));
    json_decref(config);
    o.outliers = "none";
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    config = load_json(out.text, "config.json");
    assert_null(json_object_get(json_object_get(config, "mantissa"), "outlier_features"));
    json_decref(config);
    json_decref(old);
}

/* ---------------------------------------------------------------------------------- hostile -- */

static void refused(mts_status st, const char *what, const char *part)
{
    const char *text = mts_error_text(ctx);
    if (st != MTS_ERR_BAD_FILE || strstr(text, part) == NULL ||
        strstr(text, "config.json: mantissa.outlier_features") == NULL ||
        strchr(text, '\n') != NULL)
        fail_msg("%s: %s: '%s', expected '%s'", what, mts_status_name(st), text, part);
}

/* The folder is refused with one line, by each that reads it. */
static void check_hostile(const run_path *dir, const char *what, const char *part)
{
    mts_options o = options_for(dir);
    mts_predictor *p = NULL;
    char *text = NULL;
    refused(mts_eval(ctx, &o, NULL, &text), what, part);
    assert_null(text);
    refused(mts_predictor_open(ctx, &o, &p), what, part);
    assert_null(p);
}

static void hostile(void **state)
{
    static const struct {
        const char *lists, *one; /* of all, or of the last input, whose input has 48 features */
        const char *part;
    } cases[] = {
        {"3", NULL, "expected an object, found"},
        {"null", NULL, "expected an object, found"},
        {"[]", NULL, "expected an object, found"},
        {"{}", NULL, "expected an array of encoder.layer.0.attention.self"},
        {NULL, "null", "expected an array of classifier, found null"},
        {NULL, "{\"0\": 1}", "expected an array of classifier"},
        {NULL, "\"5\"", "expected an array of classifier"},
        {NULL, "[0, 1, 2, 3, 4, 5, 6, 7, 8]", "expected at most 8 features, found 9"},
        {NULL, "[4, 3]", "expected rising numbers from 0 to 47"},
        {NULL, "[4, 4]", "expected rising numbers"},
        {NULL, "[-1]", "expected rising numbers"},
        {NULL, "[0, 48]", "expected rising numbers"},
        {NULL, "[1.0]", "expected rising numbers"},
        {NULL, "[true]", "expected rising numbers"},
        {NULL, "[[1]]", "expected rising numbers"},
        {NULL, "[2147483648]", "expected rising numbers"},
        {NULL, "[4294967297]", "expected rising numbers"},
        {NULL, "[9223372036854775807]", "expected rising numbers"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *config;
        const run_path dir = copy_of_trained("hostile", &config);
        json_t *settings = json_object_get(config, "mantissa");
        const char *text = cases[i].lists != NULL ? cases[i].lists : cases[i].one;
        json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
        assert_non_null(value);
        if (cases[i].lists != NULL)
            assert_int_equal(json_object_set_new(settings, "outlier_features", value), 0);
        else
            assert_int_equal(json_object_set_new(json_object_get(settings, "outlier_features"),
                                                 "classifier", value),
                             0);
        save_config(&dir, config);
        check_hostile(&dir, text, cases[i].part);
        json_decref(config);
    }
}

/* A list of a million numbers, and a missing layer. */
static void huge_and_missing(void **state)
{
    json_t *config, *list = json_array();
    const run_path dir = copy_of_trained("huge", &config);
    json_t *lists = json_object_get(json_object_get(config, "mantissa"), "outlier_features");
    (void)state;
    for (int i = 0; i < 1000000; i++)
        assert_int_equal(json_array_append_new(list, json_integer(i)), 0);
    assert_int_equal(json_object_set_new(lists, "pooler.dense", list), 0);
    save_config(&dir, config);
    check_hostile(&dir, "huge", "pooler.dense: expected at most 8 features, found 1000000");
    assert_int_equal(json_object_del(lists, "pooler.dense"), 0);
    save_config(&dir, config);
    check_hostile(&dir, "missing", "expected an array of pooler.dense");
    json_decref(config);
}

/* A checkpoint is read by the same rules; one without lists is not of such a run. */
static void hostile_checkpoint(void **state)
{
    const run_path out = run_folder_path("stopped"), from = run_folder_path("stopped/checkpoint-2");
    mts_options o = planted_run(out.text);
    (void)state;
    o.save_steps = 2;
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    json_t *config = load_json(from.text, "config.json");
    json_t *settings = json_object_get(config, "mantissa");
    json_t *lists = json_object_get(settings, "outlier_features");
    assert_int_equal(json_object_size(lists), INPUTS);
    o.resume_from_checkpoint = from.text;
    assert_int_equal(json_object_set_new(lists, "classifier", json_integer(1)), 0);
    save_config(&from, config);
    refused(mts_train(ctx, &o, NULL, NULL), "checkpoint", "expected an array of classifier");
    assert_int_equal(json_object_del(settings, "outlier_features"), 0);
    save_config(&from, config);
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(mts_error_text(ctx), "config.json: expected mantissa.outlier_features"));
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folder),           cmocka_unit_test(notes),
        cmocka_unit_test(same_evaluation),  cmocka_unit_test(folder_without_lists),
        cmocka_unit_test(trained_again),    cmocka_unit_test(hostile),
        cmocka_unit_test(huge_and_missing), cmocka_unit_test(hostile_checkpoint),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
