/*
 * mts_train, mts_eval and mts_predictor through the public header: events, results, stopping at
 * every event, wrong calls, and every allocation failing once.
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
#include "support/test_copy.h"
#include "support/run_folder.h"

enum { STEPS = 6, LABELS = 3, DEV_ROWS = 20 };

/* A run of 6 steps with two evaluations and two checkpoints. */
static mts_options small_run(const char *output_dir)
{
    mts_options o = run_folder_options();
    o.output_dir = output_dir;
    o.max_steps = STEPS;
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = o.save_steps = 3;
    return o;
}

static double number_of(const char *json, const char *key)
{
    json_t *root = json_loads(json, 0, NULL);
    const json_t *value = json_object_get(root, key);
    if (!json_is_number(value))
        fail_msg("no number %s in %s", key, json);
    const double number = json_number_value(value);
    json_decref(root);
    return number;
}

/* ------------------------------------------------------------------------------------ events ----
 */

/* The events of a run as letters: n note, p progress, s step, m metrics, c checkpoint; repeated
 * progress is written once. */
typedef struct recorder {
    char letters[128];
    size_t count;
    int64_t steps;
    int stop_at; /* the event to answer with false, from 0; -1: none */
    int seen;
} recorder;

static bool record(void *user, const mts_event *e)
{
    static const char letters[] = "npsmc";
    recorder *r = user;
    if (e->kind == MTS_EVENT_WITHIN_STEP) /* test_within_step */
        return true;
    const char letter = letters[e->kind];
    if (letter != 'p' || r->count == 0 || r->letters[r->count - 1] != 'p')
        if (r->count + 1 < sizeof r->letters)
            r->letters[r->count++] = letter;
    if (e->kind == MTS_EVENT_STEP) {
        assert_int_equal(e->done, ++r->steps);
        assert_int_equal(e->total, STEPS);
        assert_true(e->loss > 0 && e->grad_norm > 0 && e->learning_rate > 0);
        assert_true(e->tokens_per_second > 0 && e->seconds_left >= 0);
        assert_true(fabs(e->epoch - (double)e->done / 15) < 1e-12);
    } else {
        assert_non_null(e->text);
    }
    if (e->kind == MTS_EVENT_PROGRESS)
        assert_true(e->done >= 0 && e->done <= e->total);
    if (e->kind == MTS_EVENT_METRICS)
        assert_true(number_of(e->text, "eval_loss") > 0);
    if (e->kind == MTS_EVENT_CHECKPOINT)
        assert_true(dir_exists(e->text));
    return r->seen++ != r->stop_at;
}

static void test_events_and_results(void **state)
{
    (void)state;
    const run_path out = run_folder_path("whole");
    recorder seen = {.stop_at = -1};
    const mts_callbacks callbacks = {record, &seen};
    mts_options o = small_run(out.text);
    char *trained = NULL, *evaluated = NULL;
    run_folder_require(mts_train(ctx, &o, &callbacks, &trained));
    /* columns; rows of both files are read and some of each cut; the head is new; 3 steps,
     * evaluation, checkpoint, twice; final evaluation */
    assert_string_equal(seen.letters, "npnpnnssspmcssspmcpm");
    assert_int_equal(number_of(trained, "eval_samples"), DEV_ROWS);

    mts_options again = run_folder_options();
    again.model_name_or_path = out.text;
    run_folder_require(mts_eval(ctx, &again, NULL, &evaluated));
    assert_true(number_of(evaluated, "eval_loss") == number_of(trained, "eval_loss"));
    assert_true(number_of(evaluated, "eval_accuracy") == number_of(trained, "eval_accuracy"));
    mts_string_free(trained);
    mts_string_free(evaluated);

    /* The same without callbacks and without a wish for the metrics. */
    const run_path quiet = run_folder_path("quiet");
    o.output_dir = quiet.text;
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    run_folder_assert_same(out.text, quiet.text, "model.safetensors");
}

/* ------------------------------------------------------------------------------- predictions ----
 */

/* The rows of dev.tsv; texts and labels point into *content. */
static void read_dev(char **content, const char *text[DEV_ROWS], const char *label[DEV_ROWS])
{
    const run_path path = run_folder_path("dev.tsv");
    mts_ctx own;
    assert_int_equal(file_read_all(&own, path.text, 1 << 16, content, NULL), MTS_OK);
    char *line = strchr(*content, '\n') + 1;
    for (int i = 0; i < DEV_ROWS; i++) {
        char *tab = strchr(line, '\t'), *end = strchr(line, '\n');
        text[i] = line;
        label[i] = tab + 1;
        *tab = *end = '\0';
        line = end + 1;
    }
}

/* The rows of a data file are the texts that were read by hand; those that were cut are counted. */
static void check_test_rows(mts_predictor *p, const mts_options *run, const char *const *text)
{
    const run_path dev = run_folder_path("dev.tsv");
    recorder seen = {.stop_at = -1};
    const mts_callbacks callbacks = {record, &seen};
    mts_options o = *run;
    mts_test_rows *rows = NULL;
    mts_predictor *shorter = NULL;
    float logits[DEV_ROWS * LABELS];
    o.test_file = dev.text;
    run_folder_require(mts_test_rows_open(ctx, &o, &callbacks, &rows));
    assert_string_equal(seen.letters, "n");
    assert_int_equal(mts_test_rows_count(rows), DEV_ROWS);
    assert_null(mts_test_rows_text_b(rows));
    for (int i = 0; i < DEV_ROWS; i++)
        assert_string_equal(mts_test_rows_text_a(rows)[i], text[i]);
    assert_false(mts_predictor_is_multi_label(p));
    o.max_seq_length = 8;
    run_folder_require(mts_predictor_open(ctx, &o, &shorter));
    run_folder_require(
        mts_predictor_run(shorter, mts_test_rows_text_a(rows), NULL, DEV_ROWS, logits));
    assert_true(mts_predictor_cut_rows(shorter) > mts_predictor_cut_rows(p));
    mts_predictor_close(shorter);
    mts_test_rows_close(rows);
    mts_test_rows_close(NULL);
    o.test_file = NULL;
    assert_int_equal(mts_test_rows_open(ctx, &o, NULL, &rows), MTS_ERR_ARGUMENT);
    assert_null(rows);
    assert_int_equal(mts_test_rows_open(ctx, &o, NULL, NULL), MTS_ERR_ARGUMENT);
}

static void test_predictions_are_the_evaluation(void **state)
{
    (void)state;
    const run_path out = run_folder_path("predicting");
    mts_options o = small_run(out.text);
    char *content = NULL, *metrics = NULL;
    const char *text[DEV_ROWS], *label[DEV_ROWS];
    float all[DEV_ROWS][LABELS], one[LABELS];
    mts_predictor *p = NULL;
    double loss = 0;
    int correct = 0;
    o.learning_rate = 5e-3;
    o.max_steps = 30;
    o.save_strategy = "no";
    o.load_best_model_at_end = false;
    run_folder_require(mts_train(ctx, &o, NULL, &metrics));
    o.model_name_or_path = out.text;
    run_folder_require(mts_predictor_open(ctx, &o, &p));
    assert_int_equal(mts_predictor_num_labels(p), LABELS);
    assert_false(mts_predictor_is_regression(p));
    assert_null(mts_predictor_label(p, LABELS));
    assert_null(mts_predictor_label(p, -1));
    read_dev(&content, text, label);
    run_folder_require(mts_predictor_run(p, text, NULL, DEV_ROWS, &all[0][0]));
    for (int i = 0; i < DEV_ROWS; i++) {
        int best = 0, truth = 0;
        double sum = 0;
        for (int c = 0; c < LABELS; c++) {
            best = all[i][c] > all[i][best] ? c : best;
            truth = strcmp(mts_predictor_label(p, c), label[i]) == 0 ? c : truth;
        }
        for (int c = 0; c < LABELS; c++)
            sum += exp((double)all[i][c] - (double)all[i][truth]);
        loss += log(sum) / DEV_ROWS;
        correct += best == truth;
        /* a row alone has the same logits as among others */
        run_folder_require(mts_predictor_run(p, &text[i], NULL, 1, one));
        assert_memory_equal(one, all[i], sizeof one);
    }
    assert_true(number_of(metrics, "eval_accuracy") == (double)correct / DEV_ROWS);
    assert_true(fabs(number_of(metrics, "eval_loss") - loss) < 1e-5 * loss);
    run_folder_require(mts_predictor_run(p, text, NULL, 0, one));
    assert_int_equal(mts_predictor_run(p, NULL, NULL, 1, one), MTS_ERR_ARGUMENT);
    assert_int_equal(mts_predictor_run(NULL, text, NULL, 1, one), MTS_ERR_ARGUMENT);
    check_test_rows(p, &o, text);
    mts_predictor_close(p);
    mts_predictor_close(NULL);
    mts_string_free(metrics);
    mem_free(content);
}

/* ------------------------------------------------------------------------------- lower case ----
 */

/* The files of a tiny model; if config is given, with tokenizer.json and tokenizer_config.json. */
static void write_cased_model(const char *name, const char *config)
{
    static const char *const files[] = {"config.json", "model.safetensors", "vocab.txt"};
    const run_path to = run_folder_path("%s", name);
    run_folder_require(file_make_dirs(ctx, to.text));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const run_path a = run_folder_path("model/%s", files[i]);
        const run_path b = run_folder_path("%s/%s", name, files[i]);
        run_folder_require(test_copy_file(ctx, a.text, b.text));
    }
    if (config == NULL)
        return;
    const run_path vocab = run_folder_path("model/vocab.txt");
    const run_path config_path = run_folder_path("%s/tokenizer_config.json", name);
    const run_path json_path = run_folder_path("%s/tokenizer.json", name);
    json_t *ids = json_object();
    json_t *root = json_pack("{s:{s:s, s:n, s:b}, s:{s:s}, s:{s:s}, s:f}", "normalizer", "type",
                             "BertNormalizer", "strip_accents", "lowercase", 1, "pre_tokenizer",
                             "type", "BertPreTokenizer", "model", "type", "WordPiece", "kept", 0.1);
    char *content = NULL, *line = NULL;
    run_folder_require(file_read_all(ctx, vocab.text, 1 << 16, &content, NULL));
    json_int_t id = 0;
    for (line = strtok(content, "\n"); line != NULL; line = strtok(NULL, "\n"))
        assert_int_equal(json_object_set_new(ids, line, json_integer(id++)), 0);
    json_t *around =
        json_pack("{s:s, s:[s, O], s:[s, O]}", "type", "BertProcessing", "sep", "[SEP]",
                  json_object_get(ids, "[SEP]"), "cls", "[CLS]", json_object_get(ids, "[CLS]"));
    assert_int_equal(json_object_set_new(root, "post_processor", around), 0);
    assert_int_equal(json_object_set_new(json_object_get(root, "model"), "vocab", ids), 0);
    assert_int_equal(json_dump_file(root, json_path.text, 0), 0);
    json_decref(root);
    mem_free(content);
    json_t *settings = json_loads(config, 0, NULL);
    assert_int_equal(json_dump_file(settings, config_path.text, 0), 0);
    json_decref(settings);
}

static json_t *load(const char *dir, const char *name)
{
    char path[RUN_PATH_BYTES + 32];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return json_load_file(path, 0, NULL);
}

/* Tokens of "CAT" in a folder, with the folder's own settings: as those of "cat"? */
static bool knows_upper_case(const char *dir)
{
    mts_tokenizer *t = NULL;
    mts_encoding upper, lower;
    run_folder_require(mts_tokenizer_open(ctx, dir, &t));
    run_folder_require(mts_tokenizer_encode(t, "CAT", NULL, 0, &upper));
    run_folder_require(mts_tokenizer_encode(t, "cat", NULL, 0, &lower));
    const bool same = upper.length == lower.length && upper.ids[1] == lower.ids[1];
    mts_encoding_free(&upper);
    mts_encoding_free(&lower);
    mts_tokenizer_close(t);
    return same;
}

/* Train with do_lower_case `wanted`: the folder and its checkpoint tokenise as the training did. */
static void train_cased(const char *model, int64_t wanted)
{
    const run_path from = run_folder_path("%s", model), out = run_folder_path("lower");
    const run_path checkpoint = run_folder_path("lower/checkpoint-3");
    mts_options o = small_run(out.text), again = small_run(NULL);
    char *trained = NULL, *evaluated = NULL;
    o.model_name_or_path = from.text;
    o.do_lower_case = wanted;
    o.load_best_model_at_end = false;
    o.overwrite_output_dir = true;
    run_folder_require(mts_train(ctx, &o, NULL, &trained));
    assert_int_equal(knows_upper_case(out.text), wanted == 1);
    assert_int_equal(knows_upper_case(checkpoint.text), wanted == 1);
    again.model_name_or_path = out.text;
    run_folder_require(mts_eval(ctx, &again, NULL, &evaluated)); /* "The" and "A" are cased */
    assert_true(number_of(evaluated, "eval_loss") == number_of(trained, "eval_loss"));
    mts_string_free(trained);
    mts_string_free(evaluated);
}

static void test_lower_case_is_stored(void **state)
{
    (void)state;
    const run_path out = run_folder_path("lower"), from = run_folder_path("fast");
    write_cased_model("plain", NULL);
    write_cased_model("fast", "{\"model_max_length\": 512, \"do_lower_case\": true}");
    train_cased("plain", 0);
    train_cased("plain", 1);
    train_cased("fast", 0);
    json_t *before = load(from.text, "tokenizer.json"), *after = load(out.text, "tokenizer.json");
    json_t *config = load(out.text, "tokenizer_config.json");
    const json_t *rules = json_object_get(after, "normalizer");
    assert_true(json_is_false(json_object_get(rules, "lowercase")));
    assert_true(json_is_null(json_object_get(rules, "strip_accents")));
    assert_true(json_is_false(json_object_get(config, "do_lower_case")));
    assert_int_equal(json_integer_value(json_object_get(config, "model_max_length")), 512);
    /* all else is as it was */
    assert_int_equal(json_object_set(json_object_get(before, "normalizer"), "lowercase",
                                     json_object_get(rules, "lowercase")),
                     0);
    assert_true(json_equal(before, after));
    json_decref(before);
    json_decref(after);
    json_decref(config);
    train_cased("fast", 1); /* as it was: the same bytes */
    run_folder_assert_same(from.text, out.text, "tokenizer.json");
    run_folder_assert_same(from.text, out.text, "tokenizer_config.json");
}

/* ---------------------------------------------------------------------------------- stopping ----
 */

/* Stop at event `at`, go on, and compare with the whole run.  False: there are fewer events. */
static bool stop_at(const char *whole, const mts_options *options, int at)
{
    const run_path out = run_folder_path("stopped");
    recorder seen = {.stop_at = at};
    const mts_callbacks callbacks = {record, &seen};
    mts_options o = *options;
    char *metrics = NULL;
    o.output_dir = out.text;
    const mts_status st = mts_train(ctx, &o, &callbacks, &metrics);
    mts_string_free(metrics);
    if (seen.seen <= at)
        return false;
    const int checkpoints = run_folder_count(out.text, "checkpoint-");
    if (seen.steps > 0 && seen.steps < STEPS) {
        assert_int_equal(st, MTS_ERR_INTERRUPTED);
        const run_path last = run_folder_path("stopped/checkpoint-%d", (int)seen.steps);
        if (!dir_exists(last.text))
            fail_msg("stopped at event %d, after step %d: no checkpoint", at, (int)seen.steps);
    }
    if (st != MTS_OK && checkpoints > 0) {
        o.resume_from_checkpoint = "last";
        run_folder_require(mts_train(ctx, &o, NULL, NULL));
    } else if (st != MTS_OK) { /* before the first step: the same call again begins */
        assert_int_equal(st, MTS_ERR_INTERRUPTED);
        assert_int_equal(seen.steps, 0);
        assert_null(strstr(mts_error_text(ctx), "a checkpoint was written"));
        run_folder_require(mts_train(ctx, &o, NULL, NULL));
    }
    const run_path end_a = run_folder_path("to-be-stopped/checkpoint-%d", STEPS);
    const run_path end_b = run_folder_path("stopped/checkpoint-%d", STEPS);
    run_folder_assert_same(whole, out.text, "model.safetensors");
    run_folder_assert_checkpoint(end_a.text, end_b.text);
    run_folder_require(file_remove_tree(ctx, out.text));
    return true;
}

static void test_stop_at_each_event(void **state)
{
    (void)state;
    const run_path out = run_folder_path("to-be-stopped");
    mts_options o = small_run(out.text);
    int at = 0;
    o.load_best_model_at_end = true;
    o.metric_for_best_model = "accuracy";
    run_folder_require(mts_train(ctx, &o, NULL, NULL));
    while (stop_at(out.text, &o, at))
        at++;
    printf("stopped at each of %d events\n", at);
    assert_true(at > 20);
}

/* ------------------------------------------------------------------------------- wrong calls ----
 */

static void test_wrong_calls(void **state)
{
    (void)state;
    const run_path out = run_folder_path("wrong");
    mts_options o = small_run(out.text);
    mts_predictor *p = NULL;
    char *metrics = NULL;
    assert_int_equal(mts_train(ctx, NULL, NULL, NULL), MTS_ERR_ARGUMENT);
    assert_int_equal(mts_eval(ctx, NULL, NULL, &metrics), MTS_ERR_ARGUMENT);
    assert_null(metrics);
    assert_int_equal(mts_predictor_open(ctx, &o, NULL), MTS_ERR_ARGUMENT);
    o.precision = "int7";
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_ARGUMENT);
    o = small_run(NULL);
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_ARGUMENT);
    o = small_run(out.text);
    o.train_file = "none.tsv";
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_NOT_FOUND);
    assert_non_null(strstr(mts_error_text(ctx), "none.tsv"));
    o = small_run(out.text);
    o.model_name_or_path = "none";
    assert_int_equal(mts_eval(ctx, &o, NULL, &metrics), MTS_ERR_NOT_FOUND);
    assert_int_equal(mts_predictor_open(ctx, &o, &p), MTS_ERR_NOT_FOUND);
    assert_null(p);
    mts_string_free(NULL);
}

/* -------------------------------------------------------------------------------- no memory ----
 */

/* A run as short as can be, with everything in it: resumption, evaluation, checkpoint, test set. */
static mts_status shortest_run(const char *out)
{
    const run_path test = run_folder_path("dev.tsv"), from = run_folder_path("start/checkpoint-1");
    mts_options o = run_folder_options();
    char *metrics = NULL;
    o.output_dir = out;
    o.max_train_samples = o.max_eval_samples = o.max_predict_samples = 3;
    o.max_steps = 2;
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = o.save_steps = 1;
    o.do_predict = true;
    o.test_file = test.text;
    o.load_best_model_at_end = true;
    o.log_formats = true;
    if (strcmp(out, run_folder_path("start").text) != 0) {
        o.resume_from_checkpoint = from.text;
        o.save_total_limit = 1;
    }
    const mts_status st = mts_train(ctx, &o, NULL, &metrics);
    assert_true(st == MTS_OK || metrics == NULL);
    mts_string_free(metrics);
    return st;
}

/* What is there under its final name is what the undisturbed run wrote. */
static void assert_undamaged(const char *whole, const char *out)
{
    const run_path end = run_folder_path("short/checkpoint-2");
    const run_path end_whole = run_folder_path("start/checkpoint-2");
    const run_path model = run_folder_path("short/model.safetensors");
    if (dir_exists(end.text))
        run_folder_assert_checkpoint(end_whole.text, end.text);
    if (file_exists(model.text))
        run_folder_assert_same(whole, out, "model.safetensors");
    assert_int_equal(run_folder_count(out, "tmp-checkpoint"), 0);
}

/* The allocation after `after` others fails.  False: the run makes fewer. */
static bool fail_once(int64_t after)
{
    const run_path whole = run_folder_path("start"), out = run_folder_path("short");
    mem_fail_after(after);
    const mts_status st = shortest_run(out.text);
    const bool reached = mem_fail_after(-1) > after;
    if (reached && st != MTS_ERR_MEMORY)
        fail_msg("allocation %lld failed: %s: %s", (long long)after, mts_status_name(st),
                 mts_error_text(ctx));
    if (!reached)
        run_folder_require(st);
    assert_undamaged(whole.text, out.text);
    if (dir_exists(out.text))
        run_folder_require(file_remove_tree(ctx, out.text));
    return reached;
}

/* Allocations of the library.  Those of the JSON library: test_json_memory, test_json_failures. */
static void test_each_allocation_fails(void **state)
{
    (void)state;
    const run_path whole = run_folder_path("start");
    int64_t tried = 0;
    run_folder_require(shortest_run(whole.text));
    while (fail_once(tried))
        tried++;
    printf("%lld allocations failed once each\n", (long long)tried);
    assert_true(tried > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_and_results),
        cmocka_unit_test(test_predictions_are_the_evaluation),
        cmocka_unit_test(test_lower_case_is_stored),
        cmocka_unit_test(test_stop_at_each_event),
        cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
