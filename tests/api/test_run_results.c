/*
 * What a run leaves behind beside the model: predictions, the log of several steps, the result
 * files, evaluations by epoch; and numbers that are not finite, which it must notice.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "support/test_copy.h"
#include "support/run_folder.h"

enum { LABELS = 3, DEV_ROWS = 20, STEPS_PER_EPOCH = 15, FILE_BYTES = 1 << 22 };

static void train(const mts_options *o, const char *output_dir)
{
    mts_options options = *o;
    options.output_dir = output_dir;
    run_folder_require(mts_train(ctx, &options, NULL, NULL));
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

static double number_of(const char *dir, const char *file, const char *key)
{
    json_t *root = load_json(dir, file);
    const json_t *value = json_object_get(root, key);
    if (!json_is_number(value))
        fail_msg("%s/%s: no number %s", dir, file, key);
    const double number = json_number_value(value);
    json_decref(root);
    return number;
}

/* ------------------------------------------------------------------------------- predictions ----
 */

/* The texts of a file of rows "text<TAB>label"; they point into *content. */
static int64_t read_texts(const char *name, char **content, const char *text[2 * DEV_ROWS])
{
    const run_path path = run_folder_path("%s", name);
    int64_t n = 0;
    run_folder_require(file_read_all(ctx, path.text, FILE_BYTES, content, NULL));
    for (char *line = strchr(*content, '\n') + 1; *line != '\0'; n++) {
        char *tab = strchr(line, '\t'), *end = strchr(line, '\n');
        assert_true(n < 2 * DEV_ROWS);
        text[n] = line;
        *tab = *end = '\0';
        line = end + 1;
    }
    return n;
}

/* predict_results.txt of a run is what a predictor says of the same texts. */
static void check_predictions(const char *data, bool regression)
{
    const run_path out = run_folder_path("predictions"), test = run_folder_path("%s", data);
    const run_path found = run_folder_path("predictions/predict_results.txt");
    mts_options o = run_folder_options();
    const char *text[2 * DEV_ROWS];
    char *content = NULL, *lines = NULL;
    float logits[2 * DEV_ROWS][LABELS];
    bool differ = false;
    mts_predictor *p = NULL;
    o.train_file = o.validation_file = o.test_file = test.text;
    o.do_predict = true;
    o.do_regression = regression;
    o.per_device_eval_batch_size = 6;
    o.learning_rate = 5e-3;
    o.max_steps = 10;
    o.overwrite_output_dir = true;
    train(&o, out.text);
    o.model_name_or_path = out.text;
    run_folder_require(mts_predictor_open(ctx, &o, &p));
    const int64_t n = read_texts(data, &content, text), labels = mts_predictor_num_labels(p);
    assert_true(n % o.per_device_eval_batch_size != 0 && n > o.per_device_eval_batch_size);
    run_folder_require(mts_predictor_run(p, text, NULL, n, &logits[0][0]));
    run_folder_require(file_read_all(ctx, found.text, FILE_BYTES, &lines, NULL));
    char *line = strtok(lines, "\n");
    assert_string_equal(line, "index\tprediction");
    for (int64_t i = 0; i < n; i++) {
        const float *z = &logits[0][0] + i * labels;
        char expected[64];
        int64_t best = 0;
        for (int64_t c = 1; c < labels; c++)
            best = z[c] > z[best] ? c : best;
        if (regression)
            snprintf(expected, sizeof expected, "%d\t%.3f", (int)i, (double)z[0]);
        else
            snprintf(expected, sizeof expected, "%d\t%s", (int)i, mts_predictor_label(p, best));
        line = strtok(NULL, "\n");
        assert_non_null(line);
        assert_string_equal(line, expected);
        differ = differ || z[best] != logits[0][0];
    }
    assert_null(strtok(NULL, "\n"));
    assert_true(differ); /* else this test shows nothing */
    mts_predictor_close(p);
    mem_free(lines);
    mem_free(content);
}

static void test_predictions(void **state)
{
    (void)state;
    check_predictions("dev.tsv", false);
    check_predictions("score.tsv", true);
}

/* --do_lower_case of a prediction wins over the folder, which lowers. */
static void test_lower_case_of_a_prediction(void **state)
{
    const run_path out = run_folder_path("lower");
    const char *upper = "THE CAT SLEEPS", *lower = "the cat sleeps";
    mts_options o = run_folder_options();
    (void)state;
    o.max_steps = 1;
    train(&o, out.text);
    o.model_name_or_path = out.text;
    for (int64_t wanted = -1; wanted <= 1; wanted++) {
        float a[LABELS], b[LABELS];
        mts_predictor *p = NULL;
        o.do_lower_case = wanted;
        run_folder_require(mts_predictor_open(ctx, &o, &p));
        run_folder_require(mts_predictor_run(p, &upper, NULL, 1, a));
        run_folder_require(mts_predictor_run(p, &lower, NULL, 1, b));
        assert_int_equal(memcmp(a, b, sizeof a) == 0, wanted != 0);
        mts_predictor_close(p);
    }
}

/* ---------------------------------------------------------------------------------- the log ----
 */

/* loss[step] of the lines that have one, NaN elsewhere. */
static void read_losses(const char *dir, double *loss, int steps)
{
    json_t *root = load_json(dir, "trainer_state.json");
    const json_t *history = json_object_get(root, "log_history");
    for (int i = 0; i <= steps; i++)
        loss[i] = NAN;
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *line = json_array_get(history, i), *value = json_object_get(line, "loss");
        const json_int_t step = json_integer_value(json_object_get(line, "step"));
        const double epoch = json_number_value(json_object_get(line, "epoch"));
        assert_true(step >= 1 && step <= steps);
        assert_true(fabs(epoch - (double)step / STEPS_PER_EPOCH) < 1e-12);
        if (value != NULL)
            loss[step] = json_number_value(value);
    }
    json_decref(root);
}

/* A line of the log has the mean loss of the steps since the line before, also where a checkpoint
 * lies between; the result file that of all steps. */
static void test_log_of_several_steps(void **state)
{
    enum { STEPS = 10, EVERY = 4 };
    const run_path each = run_folder_path("each"), some = run_folder_path("some");
    const run_path rest = run_folder_path("rest"), from = run_folder_path("some/checkpoint-6");
    double single[STEPS + 1], mean[STEPS + 1], resumed[STEPS + 1], total = 0;
    mts_options o = run_folder_options();
    (void)state;
    o.max_steps = STEPS;
    o.save_steps = 6;
    train(&o, each.text);
    o.logging_steps = EVERY;
    train(&o, some.text);
    o.resume_from_checkpoint = from.text;
    train(&o, rest.text);
    read_losses(each.text, single, STEPS);
    read_losses(some.text, mean, STEPS);
    read_losses(rest.text, resumed, STEPS);
    for (int step = 1; step <= STEPS; step++) {
        double sum = 0;
        total += single[step];
        if (step % EVERY != 0 && step != STEPS) {
            assert_true(isnan(mean[step]) && isnan(resumed[step]));
            continue;
        }
        const int first = (step - 1) / EVERY * EVERY + 1; /* the last interval is a short one */
        for (int k = first; k <= step; k++)
            sum += single[k];
        assert_true(fabs(mean[step] - sum / (step - first + 1)) < 1e-12);
        assert_true(resumed[step] == mean[step]);
    }
    const run_path *const all[] = {&each, &some, &rest};
    for (int i = 0; i < 3; i++) {
        const double loss = number_of(all[i]->text, "train_results.json", "train_loss");
        assert_true(fabs(loss - total / STEPS) < 1e-12);
        assert_true(number_of(all[i]->text, "train_results.json", "train_steps") == STEPS);
        assert_true(number_of(all[i]->text, "train_results.json", "train_samples") == 60);
        assert_true(number_of(all[i]->text, "trainer_state.json", "epoch") ==
                    (double)STEPS / STEPS_PER_EPOCH);
    }
}

/* The lines of metrics.jsonl with "formats", one behind the other; *steps: theirs as digits.  Each
 * follows the line of the same step that has the loss. */
static char *read_formats(const char *dir, char steps[16])
{
    char path[RUN_PATH_BYTES + 32], *text = NULL, *lines = NULL, *rest = NULL;
    size_t bytes = 0, used = 0, count = 0;
    json_int_t loss_step = 0;
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    run_folder_require(file_read_all(ctx, path, FILE_BYTES, &text, &bytes));
    run_folder_require(mem_calloc(ctx, &lines, bytes + 1, 1, "lines"));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *object = json_loads(line, 0, NULL);
        const json_t *formats = json_object_get(object, "formats");
        const json_int_t step = json_integer_value(json_object_get(object, "step"));
        assert_non_null(object);
        if (json_object_get(object, "loss") != NULL)
            loss_step = step;
        if (formats != NULL) {
            assert_int_equal(json_object_size(object), 3); /* and step, epoch */
            assert_int_equal(json_object_size(formats), 10);
            assert_int_equal(step, loss_step);
            steps[count++] = (char)('0' + step);
            used += (size_t)snprintf(lines + used, bytes - used, "%s\n", line);
        }
        json_decref(object);
    }
    steps[count] = '\0';
    mem_free(text);
    return lines;
}

/* --log_formats: a line of its own for each line of the log, not in log_history; the model is the
 * same, and the numbers are from any number of threads, and of a run that is resumed. */
static void test_formats_in_the_log(void **state)
{
    const run_path plain = run_folder_path("unwatched"), one = run_folder_path("watched");
    const run_path three = run_folder_path("watched-3"), rest = run_folder_path("watched-rest");
    const run_path from = run_folder_path("watched/checkpoint-3");
    mts_options o = run_folder_options();
    char steps[16], *a, *b;
    (void)state;
    o.max_steps = 7;
    o.logging_steps = 2;
    o.save_steps = 3;
    o.eval_strategy = "steps"; /* packs the weights between two steps */
    o.eval_steps = 1;
    o.gradient_accumulation_steps = 2;
    train(&o, plain.text);
    a = read_formats(plain.text, steps);
    assert_string_equal(steps, "");
    mem_free(a);
    o.log_formats = true;
    train(&o, one.text);
    o.num_threads = 3;
    train(&o, three.text);
    a = read_formats(one.text, steps);
    assert_string_equal(steps, "2467");
    b = read_formats(three.text, steps);
    assert_string_equal(a, b);
    mem_free(b);
    o.resume_from_checkpoint = from.text;
    train(&o, rest.text);
    b = read_formats(rest.text, steps);
    assert_string_equal(steps, "467");
    assert_string_equal(strchr(a, '\n') + 1, b);
    mem_free(b);
    mem_free(a);
    const run_path *const watched[] = {&one, &three, &rest};
    for (int i = 0; i < 3; i++) {
        run_folder_assert_same(plain.text, watched[i]->text, "model.safetensors");
        json_t *root = load_json(watched[i]->text, "trainer_state.json");
        const json_t *history = json_object_get(root, "log_history");
        assert_true(json_array_size(history) >= 12);
        for (size_t k = 0; k < json_array_size(history); k++)
            assert_null(json_object_get(json_array_get(history, k), "formats"));
        json_decref(root);
    }
}

/* all_results.json is the union of the other result files; both have the epoch. */
static void test_all_results(void **state)
{
    static const char *const parts[] = {"train_results.json", "eval_results.json"};
    const run_path out = run_folder_path("all");
    mts_options o = run_folder_options();
    (void)state;
    o.max_steps = 1;
    train(&o, out.text);
    json_t *all = load_json(out.text, "all_results.json");
    size_t keys = 0;
    for (int i = 0; i < 2; i++) {
        json_t *part = load_json(out.text, parts[i]);
        const char *key = NULL;
        json_t *value = NULL;
        json_object_foreach(part, key, value)
            assert_true(json_equal(json_object_get(all, key), value));
        keys += json_object_size(part) - (i > 0 && json_object_get(part, "epoch") != NULL);
        json_decref(part);
    }
    assert_int_equal(json_object_size(all), keys);
    json_decref(all);
}

/* ------------------------------------------------------------------ evaluations, checkpoints ----
 */

/* "epoch": at each end of one, and at the end of training, which may lie within; then the final
 * model's evaluation. */
static void test_by_epoch(void **state)
{
    const run_path out = run_folder_path("by-epoch");
    mts_options o = run_folder_options();
    int evaluations = 0;
    (void)state;
    o.num_train_epochs = 1.5;
    o.eval_strategy = o.save_strategy = "epoch";
    train(&o, out.text);
    json_t *root = load_json(out.text, "trainer_state.json");
    const json_t *history = json_object_get(root, "log_history");
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *line = json_array_get(history, i);
        const json_int_t step = json_integer_value(json_object_get(line, "step"));
        if (json_object_get(line, "eval_loss") == NULL)
            continue;
        assert_int_equal(step, evaluations == 0 ? STEPS_PER_EPOCH : 23);
        evaluations++;
    }
    json_decref(root);
    assert_int_equal(evaluations, 3);
    assert_int_equal(run_folder_count(out.text, "checkpoint-"), 2);
    assert_true(dir_exists(run_folder_path("by-epoch/checkpoint-15").text));
    assert_true(dir_exists(run_folder_path("by-epoch/checkpoint-23").text));
}

/* A correlation with a constant is not defined: no evaluation is the best one, and the run ends
 * with the last weights. */
static void test_undefined_metric_is_never_the_best(void **state)
{
    const run_path out = run_folder_path("undefined"), constant = run_folder_path("constant.tsv");
    const run_path score = run_folder_path("score.tsv"),
                   last = run_folder_path("undefined/checkpoint-3");
    mts_options o = run_folder_options();
    FILE *file = fopen(constant.text, "w");
    (void)state;
    assert_non_null(file);
    assert_true(fputs("text\tlabel\nThe cat sleeps\t1.5\nA saw\t1.5\nA soup\t1.5\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    o.train_file = score.text;
    o.validation_file = constant.text;
    o.do_regression = true;
    o.max_steps = 3;
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = o.save_steps = 1;
    o.load_best_model_at_end = true;
    o.metric_for_best_model = "pearson";
    train(&o, out.text);
    json_t *root = load_json(out.text, "trainer_state.json");
    assert_true(json_is_null(json_object_get(root, "best_metric")));
    assert_true(json_is_null(json_object_get(root, "best_model_checkpoint")));
    json_decref(root);
    run_folder_assert_same(out.text, last.text, "model.safetensors");
}

/* ------------------------------------------------------------------------ infinite and NaN ----
 */

/* All numbers of the row of a word in the word embeddings of a folder become `value`. */
static void set_word(const char *dir, const char *word, float value)
{
    char path[RUN_PATH_BYTES + 32], *bytes = NULL;
    size_t count = 0;
    uint64_t header;
    mts_tokenizer *tokenizer = NULL;
    mts_encoding encoding;
    file_writer *writer = NULL;
    run_folder_require(mts_tokenizer_open(ctx, dir, &tokenizer));
    run_folder_require(mts_tokenizer_encode(tokenizer, word, NULL, 0, &encoding));
    assert_int_equal(encoding.length, 3);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    run_folder_require(file_read_all(ctx, path, FILE_BYTES, &bytes, &count));
    memcpy(&header, bytes, sizeof header);
    json_t *root = json_loadb(bytes + 8, header, 0, NULL);
    const json_t *entry = json_object_get(root, "bert.embeddings.word_embeddings.weight");
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const int64_t cols = json_integer_value(json_array_get(json_object_get(entry, "shape"), 1));
    const int64_t begin = json_integer_value(json_array_get(offsets, 0));
    for (int64_t j = 0; j < cols; j++)
        memcpy(bytes + 8 + header + begin + 4 * (encoding.ids[1] * cols + j), &value, 4);
    run_folder_require(file_writer_open(ctx, path, &writer));
    run_folder_require(file_writer_write(writer, bytes, count));
    run_folder_require(file_writer_commit(writer));
    file_writer_close(writer);
    json_decref(root);
    mem_free(bytes);
    mts_encoding_free(&encoding);
    mts_tokenizer_close(tokenizer);
}

/* A text whose sums overflow is an error, in evaluation, prediction and for a test set; to the
 * predictor it does no lasting harm. */
static void test_overflow_is_noticed(void **state)
{
    const run_path out = run_folder_path("overflow"), dev = run_folder_path("dev.tsv");
    const char *good = "A saw is made of steel", *bad = "The cat sleeps";
    mts_options o = run_folder_options();
    mts_predictor *p = NULL;
    char *metrics = NULL;
    float before[LABELS], after[LABELS];
    (void)state;
    o.precision = "fp32";
    o.max_steps = 1;
    o.save_strategy = "no";
    train(&o, out.text);
    set_word(out.text, "cat", 3e38f);
    o.model_name_or_path = out.text;
    run_folder_require(mts_predictor_open(ctx, &o, &p));
    run_folder_require(mts_predictor_run(p, &good, NULL, 1, before));
    assert_int_equal(mts_predictor_run(p, &bad, NULL, 1, after), MTS_ERR_NUMERIC);
    run_folder_require(mts_predictor_run(p, &good, NULL, 1, after));
    assert_memory_equal(before, after, sizeof before);
    mts_predictor_close(p);
    assert_int_equal(mts_eval(ctx, &o, NULL, &metrics), MTS_ERR_NUMERIC);
    assert_null(metrics);
    o.output_dir = out.text;
    o.do_train = false;
    o.do_eval = 0;
    o.do_predict = true;
    o.test_file = dev.text;
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_NUMERIC);
    assert_false(file_exists(run_folder_path("overflow/predict_results.txt").text));
}

/* Gradients that are finite in each row of a batch but not in their sum: the step is refused before
 * it changes anything, and the parameter is named. */
static void test_gradients_that_overflow(void **state)
{
    enum { ROWS = 64 };
    static const char *const precisions[] = {"fp32", "int8"};
    const run_path out = run_folder_path("gradients"), large = run_folder_path("large.tsv");
    FILE *file = fopen(large.text, "w");
    (void)state;
    assert_non_null(file);
    assert_true(fputs("text\tlabel\n", file) >= 0);
    for (int i = 0; i < ROWS; i++)
        assert_true(fputs("The cat sleeps\t2e38\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    for (int i = 0; i < 2; i++) {
        mts_options o = run_folder_options();
        o.precision = precisions[i];
        o.train_file = o.validation_file = large.text;
        o.do_regression = true;
        o.per_device_train_batch_size = ROWS;
        o.max_steps = 1;
        o.output_dir = out.text;
        o.overwrite_output_dir = true;
        assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_NUMERIC);
        const char *expected = "step 1: NaN or infinity in the gradient of classifier.";
        if (strstr(mts_error_text(ctx), expected) == NULL)
            fail_msg("expected '%s', found '%s'", expected, mts_error_text(ctx));
        assert_int_equal(run_folder_count(out.text, "model.safetensors"), 0);
    }
}

/* Weights that no text of the run meets, and that its last step made infinite, are not written:
 * neither as a checkpoint nor as the result. */
static void test_infinite_weights_are_not_written(void **state)
{
    static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt"};
    static const char *const strategies[] = {"steps", "no"};
    const run_path model = run_folder_path("huge");
    mts_options o = run_folder_options();
    (void)state;
    run_folder_require(file_make_dirs(ctx, model.text));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const run_path a = run_folder_path("model/%s", files[i]);
        const run_path b = run_folder_path("huge/%s", files[i]);
        run_folder_require(test_copy_file(ctx, a.text, b.text));
    }
    set_word(model.text, "[MASK]", 3e38f);
    o.model_name_or_path = model.text;
    o.learning_rate = 0.01;
    o.weight_decay = 300; /* w becomes -2 w */
    o.max_steps = 1;
    o.save_steps = 1;
    for (int i = 0; i < 2; i++) {
        const run_path out = run_folder_path("infinite-%d", i);
        o.save_strategy = strategies[i];
        o.output_dir = out.text;
        assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_NUMERIC);
        assert_non_null(strstr(mts_error_text(ctx), "word_embeddings"));
        assert_int_equal(run_folder_count(out.text, "checkpoint-"), 0);
        assert_int_equal(run_folder_count(out.text, "model.safetensors"), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_predictions),
        cmocka_unit_test(test_lower_case_of_a_prediction),
        cmocka_unit_test(test_log_of_several_steps),
        cmocka_unit_test(test_formats_in_the_log),
        cmocka_unit_test(test_all_results),
        cmocka_unit_test(test_by_epoch),
        cmocka_unit_test(test_undefined_metric_is_never_the_best),
        cmocka_unit_test(test_overflow_is_noticed),
        cmocka_unit_test(test_gradients_that_overflow),
        cmocka_unit_test(test_infinite_weights_are_not_written),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
