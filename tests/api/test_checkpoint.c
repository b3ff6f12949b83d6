/*
 * Checkpoints of whole runs: exact resumption for each optimizer and way of batching, the limit on
 * their number, the best model, and how many steps an epoch has.
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
#include "support/test_copy.h"
#include "support/run_folder.h"

static void train(const mts_options *o, const char *output_dir)
{
    mts_options options = *o;
    options.output_dir = output_dir;
    if (mts_train(ctx, &options, NULL, NULL) != MTS_OK)
        fail_msg("%s", mts_error_text(ctx));
}

static json_t *load_json(const char *dir, const char *name)
{
    char path[RUN_PATH_BYTES + 64];
    json_error_t error;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    json_t *root = json_load_file(path, 0, &error);
    if (root == NULL)
        fail_msg("%s: %s", path, error.text);
    return root;
}

/* The value of `key` in the last line of the log of step `step` that has it; NaN if there is none.
 */
static double log_value(const char *dir, int64_t step, const char *key)
{
    json_t *root = load_json(dir, "trainer_state.json");
    const json_t *history = json_object_get(root, "log_history");
    double value = NAN;
    for (size_t i = 0; i < json_array_size(history); i++) {
        const json_t *line = json_array_get(history, i), *found = json_object_get(line, key);
        if (found != NULL && json_integer_value(json_object_get(line, "step")) == step)
            value = json_number_value(found);
    }
    json_decref(root);
    return value;
}

static int64_t state_integer(const char *dir, const char *key)
{
    json_t *root = load_json(dir, "trainer_state.json");
    const int64_t value = json_integer_value(json_object_get(root, key));
    json_decref(root);
    return value;
}

/* ------------------------------------------------------------------------------- resumption ----
 */

typedef struct resume_case {
    const char *name, *optim, *precision, *schedule;
    double momentum, epochs;
    int64_t accumulation, batch;
    bool grouped, regression, stochastic;
    const char *outlier_update; /* NULL: outliers are not told apart */
} resume_case;

static const resume_case resume_cases[] = {
    {"adamw", "adamw", "int8", "cosine", 0, 0.5, 1, 4, false, false, false, NULL},
    {"adamw_8bit", "adamw_8bit", "int8", "cosine", 0, 0.5, 1, 4, false, false, false, NULL},
    {"sgd", "sgd", "int12", "linear", 0.9, 0.5, 1, 4, false, false, false, NULL},
    {"sgd_int16", "sgd_int16", "int8", "linear", 0.9, 0.5, 1, 4, false, false, false, NULL},
    {"sgd_int16 plain", "sgd_int16", "int16", "constant", 0, 0.5, 1, 4, false, false, false, NULL},
    {"remainder", "adamw", "int8", "linear", 0, 2, 3, 8, false, false, false, NULL},
    {"grouped", "adamw", "int10", "linear", 0, 1.2, 1, 8, true, false, false, NULL},
    {"regression", "adamw", "int8", "linear", 0, 0.7, 1, 4, false, true, false, NULL},
    {"fp32", "adamw", "fp32", "linear", 0, 0.5, 1, 4, false, false, false, NULL},
    {"bf16", "sgd", "bf16", "linear", 0.5, 0.5, 1, 4, false, false, false, NULL},
    {"stochastic", "adamw", "int8", "linear", 0, 0.5, 1, 4, false, false, true, NULL},
    {"outliers", "adamw", "int8", "linear", 0, 0.5, 1, 4, false, false, false, "once"},
    {"outliers by step", "sgd", "int8", "linear", 0.5, 0.7, 2, 4, false, false, true, "step"},
};

static void resume_everywhere(const resume_case *c)
{
    const run_path score = run_folder_path("score.tsv"), whole = run_folder_path("whole");
    const run_path planted = run_folder_path("outliers");
    mts_options o = run_folder_options();
    o.optim = c->optim;
    o.precision = c->precision;
    o.lr_scheduler_type = c->schedule;
    o.sgd_momentum = c->momentum;
    o.num_train_epochs = c->epochs;
    o.gradient_accumulation_steps = c->accumulation;
    o.per_device_train_batch_size = c->batch;
    o.group_by_length = c->grouped;
    o.rounding = c->stochastic ? "stochastic" : o.rounding;
    o.save_steps = 1;
    if (c->outlier_update != NULL) {
        o.model_name_or_path = planted.text;
        o.outliers = "feature";
        o.outlier_threshold = 2.5; /* near some features, which come and go */
        o.outlier_update = c->outlier_update;
    }
    if (c->regression) {
        o.do_regression = true;
        o.train_file = o.validation_file = score.text;
    }
    train(&o, whole.text);
    const int64_t steps = state_integer(whole.text, "global_step");
    assert_int_equal(run_folder_count(whole.text, "checkpoint-"), steps);
    printf("%s: %d steps\n", c->name, (int)steps);
    for (int64_t step = 1; step < steps; step += 2) {
        const run_path from = run_folder_path("whole/checkpoint-%d", (int)step);
        const run_path last = run_folder_path("whole/checkpoint-%d", (int)steps);
        const run_path parts = run_folder_path("parts");
        const run_path end = run_folder_path("parts/checkpoint-%d", (int)steps);
        mts_options again = o;
        again.resume_from_checkpoint = from.text;
        again.save_steps = (double)steps;
        train(&again, parts.text);
        run_folder_assert_same(whole.text, parts.text, "model.safetensors");
        run_folder_assert_checkpoint(last.text, end.text);
        assert_true(log_value(whole.text, steps, "loss") == log_value(parts.text, steps, "loss"));
        assert_int_equal(file_remove_tree(ctx, parts.text), MTS_OK);
    }
    assert_int_equal(file_remove_tree(ctx, whole.text), MTS_OK);
}

static void test_resume_is_exact(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resume_cases / sizeof resume_cases[0]; i++)
        resume_everywhere(&resume_cases[i]);
}

/* ---------------------------------------------------------------------- limit and best model ----
 */

static void test_limit_keeps_the_last(void **state)
{
    (void)state;
    const run_path out = run_folder_path("limit");
    mts_options o = run_folder_options();
    o.max_steps = 7;
    o.save_steps = 2;
    o.save_total_limit = 2;
    train(&o, out.text);
    assert_int_equal(run_folder_count(out.text, "checkpoint-"), 2);
    assert_true(dir_exists(run_folder_path("limit/checkpoint-6").text));
    assert_true(dir_exists(run_folder_path("limit/checkpoint-7").text)); /* the last step's */
    assert_int_equal(run_folder_count(out.text, "tmp-"), 0);
}

static bool stop_after_4(void *user, const mts_event *e)
{
    (void)user;
    return e->kind != MTS_EVENT_STEP || e->done < 4;
}

/* Checkpoints of later steps, of a run before, do not count and are left alone. */
static void test_limit_leaves_later_ones(void **state)
{
    const run_path out = run_folder_path("later"), from = run_folder_path("later/checkpoint-2");
    const mts_callbacks callbacks = {stop_after_4, NULL};
    mts_options o = run_folder_options();
    (void)state;
    o.max_steps = 6;
    o.save_steps = 1;
    train(&o, out.text);
    o.output_dir = out.text;
    o.resume_from_checkpoint = from.text;
    o.save_total_limit = 2;
    assert_int_equal(mts_train(ctx, &o, &callbacks, NULL), MTS_ERR_INTERRUPTED);
    assert_int_equal(run_folder_count(out.text, "checkpoint-"), 4);
    for (int step = 3; step <= 6; step++)
        assert_true(dir_exists(run_folder_path("later/checkpoint-%d", step).text));
}

/* The first step of those with the best value of a metric in the log. */
static int64_t best_step(const char *dir, const char *key, bool greater, int64_t steps)
{
    int64_t best = -1;
    double value = NAN;
    for (int64_t step = 1; step <= steps; step++) {
        const double now = log_value(dir, step, key);
        if (!isnan(now) && (best < 0 || (greater ? now > value : now < value))) {
            best = step;
            value = now;
        }
    }
    return best;
}

/* A learning rate that does not learn: the best evaluation is not the last. */
static void keep_best(const char *metric, bool greater, bool outliers, int64_t *best)
{
    const run_path out = run_folder_path("best");
    mts_options o = run_folder_options();
    o.outliers = outliers ? "feature" : "none";
    o.outlier_threshold = 1.6; /* near many features */
    o.outlier_update = "step";
    o.max_steps = 12;
    o.learning_rate = 0.05;
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = o.save_steps = 1;
    o.save_total_limit = 1;
    o.load_best_model_at_end = true;
    o.metric_for_best_model = metric;
    o.overwrite_output_dir = true;
    train(&o, out.text);
    char key[64];
    snprintf(key, sizeof key, "eval_%s", metric == NULL ? "loss" : metric);
    *best = best_step(out.text, key, greater, 12);
    const run_path kept = run_folder_path("best/checkpoint-%d", (int)*best);
    run_folder_assert_same(out.text, kept.text, "model.safetensors");
    run_folder_assert_same(out.text, kept.text, "config.json"); /* its outliers, too */
    assert_true(dir_exists(run_folder_path("best/checkpoint-12").text));
    assert_int_equal(run_folder_count(out.text, "checkpoint-"), *best == 12 ? 1 : 2);
    json_t *root = load_json(out.text, "trainer_state.json");
    assert_string_equal(json_string_value(json_object_get(root, "best_model_checkpoint")),
                        kept.text);
    assert_true(json_number_value(json_object_get(root, "best_metric")) ==
                log_value(out.text, *best, key));
    json_decref(root);
    /* the evaluation at the end is that of the best model */
    root = load_json(out.text, "eval_results.json");
    assert_true(json_number_value(json_object_get(root, key)) == log_value(out.text, *best, key));
    json_decref(root);
}

static void test_best_model_is_kept(void **state)
{
    (void)state;
    int64_t by_loss, by_accuracy, with_outliers;
    keep_best(NULL, false, false, &by_loss);
    keep_best("accuracy", true, false, &by_accuracy);
    keep_best(NULL, false, true, &with_outliers);
    printf("best by loss: step %d, by accuracy: step %d, with outliers: step %d\n", (int)by_loss,
           (int)by_accuracy, (int)with_outliers);
    assert_int_not_equal(by_loss, 12);
    assert_int_not_equal(by_accuracy, 12);
    assert_int_not_equal(with_outliers, 12);
}

/* Of evaluations without a checkpoint none can be loaded: the best of the others is. */
static void test_best_of_those_saved(void **state)
{
    (void)state;
    const run_path out = run_folder_path("sparse");
    mts_options o = run_folder_options();
    o.max_steps = 12;
    o.learning_rate = 0.05;
    o.seed = 4;
    o.lr_scheduler_type = "constant";
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = 1;
    o.save_steps = 4;
    o.load_best_model_at_end = true;
    train(&o, out.text);
    int64_t best = 4;
    for (int64_t step = 4; step <= 12; step += 4)
        if (log_value(out.text, step, "eval_loss") < log_value(out.text, best, "eval_loss"))
            best = step;
    const int64_t of_all = best_step(out.text, "eval_loss", false, 12);
    printf("best of all: step %d, of those saved: step %d\n", (int)of_all, (int)best);
    assert_true(of_all % 4 != 0 && best != 12); /* else this test shows nothing */
    const run_path kept = run_folder_path("sparse/checkpoint-%d", (int)best);
    run_folder_assert_same(out.text, kept.text, "model.safetensors");
    json_t *root = load_json(out.text, "trainer_state.json");
    assert_string_equal(json_string_value(json_object_get(root, "best_model_checkpoint")),
                        kept.text);
    json_decref(root);

    /* Without that checkpoint a resumed run could not end as asked: it does not begin. */
    const run_path last = run_folder_path("sparse/checkpoint-12");
    o.output_dir = out.text;
    o.resume_from_checkpoint = last.text;
    assert_int_equal(file_remove_tree(ctx, kept.text), MTS_OK);
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_NOT_FOUND);
    assert_non_null(strstr(mts_error_text(ctx), "best checkpoint"));
    o.load_best_model_at_end = false;
    train(&o, out.text);
}

/* The folder was moved between kill and resumption: the best checkpoint is still found. */
static void test_best_model_of_a_moved_folder(void **state)
{
    (void)state;
    const run_path out = run_folder_path("first"), moved = run_folder_path("moved");
    const run_path from = run_folder_path("moved/checkpoint-8");
    mts_options o = run_folder_options();
    o.max_steps = 12;
    o.learning_rate = 0.05;
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = o.save_steps = 1;
    o.load_best_model_at_end = true;
    train(&o, out.text);
    const run_path whole = run_folder_path("first-model");
    assert_int_equal(file_make_dirs(ctx, whole.text), MTS_OK);
    const run_path a = run_folder_path("first/model.safetensors");
    const run_path b = run_folder_path("first-model/model.safetensors");
    assert_int_equal(test_copy_file(ctx, a.text, b.text), MTS_OK);
    assert_int_equal(rename(out.text, moved.text), 0);
    o.resume_from_checkpoint = from.text;
    train(&o, moved.text);
    run_folder_assert_same(whole.text, moved.text, "model.safetensors");
}

/* A run that goes on in the folder of another: the other's checkpoint of that step is not it. */
static void test_best_model_of_another_folder(void **state)
{
    (void)state;
    const run_path out = run_folder_path("mine"), other = run_folder_path("theirs");
    const run_path from = run_folder_path("mine/checkpoint-11");
    mts_options o = run_folder_options();
    o.max_steps = 12;
    o.learning_rate = 0.05;
    o.eval_strategy = o.save_strategy = "steps";
    o.eval_steps = o.save_steps = 1;
    o.load_best_model_at_end = true;
    train(&o, out.text);
    assert_true(best_step(out.text, "eval_loss", false, 12) <
                11); /* else this test shows nothing */
    o.seed = 7;
    train(&o, other.text);
    o.seed = run_folder_options().seed;
    o.resume_from_checkpoint = from.text;
    o.output_dir = other.text;
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_ARGUMENT);
    o.overwrite_output_dir = true;
    train(&o, other.text);
    run_folder_assert_same(out.text, other.text, "model.safetensors");
}

/* ------------------------------------------------------------------------ batches and epochs ----
 */

static int64_t steps_of(double epochs, int64_t batch, int64_t accumulation)
{
    const run_path out = run_folder_path("epochs");
    mts_options o = run_folder_options();
    o.num_train_epochs = epochs;
    o.per_device_train_batch_size = batch;
    o.gradient_accumulation_steps = accumulation;
    o.save_strategy = "no";
    o.overwrite_output_dir = true;
    train(&o, out.text);
    return state_integer(out.text, "global_step");
}

/* 60 rows; steps as transformers counts them: the last of an epoch may have fewer batches. */
static void test_steps_of_an_epoch(void **state)
{
    (void)state;
    assert_int_equal(steps_of(1.0, 4, 1), 15);
    assert_int_equal(steps_of(1.5, 4, 1), 23);
    assert_int_equal(steps_of(0.01, 4, 1), 1);
    assert_int_equal(steps_of(1.0, 8, 1), 8);
    assert_int_equal(steps_of(2.0, 8, 3), 6);
    assert_int_equal(steps_of(1.0, 64, 1), 1);
    assert_int_equal(steps_of(1.0, 4, 100), 1);
}

/* Two batches of 4 are a batch of 8, in fp32 without dropout: loss and gradient of each step, also
 * of the last of the epoch, which has but one of 4 rows. */
static void test_accumulation_is_a_larger_batch(void **state)
{
    enum { STEPS = 8 };
    (void)state;
    const run_path one = run_folder_path("one"), two = run_folder_path("two");
    mts_options o = run_folder_options();
    o.precision = "fp32";
    o.optim = "sgd";
    o.hidden_dropout = o.attention_dropout = o.classifier_dropout = 0.0;
    o.max_steps = STEPS;
    o.save_strategy = "no";
    o.per_device_train_batch_size = 8;
    train(&o, one.text);
    o.per_device_train_batch_size = 4;
    o.gradient_accumulation_steps = 2;
    train(&o, two.text);
    for (int64_t step = 1; step <= STEPS; step++) {
        const double a = log_value(one.text, step, "loss"), b = log_value(two.text, step, "loss");
        const double ga = log_value(one.text, step, "grad_norm");
        const double gb = log_value(two.text, step, "grad_norm");
        if (!(fabs(a - b) < 1e-5 * a && fabs(ga - gb) < 1e-4 * ga))
            fail_msg("step %d: loss %.9g and %.9g, gradient norm %.9g and %.9g", (int)step, a, b,
                     ga, gb);
    }
}

/* Which rows a grouped epoch has: test_batching.c.  Here: the option reaches the sampler. */
static void test_grouping_changes_the_run(void **state)
{
    (void)state;
    const run_path plain = run_folder_path("plain"), grouped = run_folder_path("grouped");
    mts_options o = run_folder_options();
    o.max_steps = 3;
    o.save_strategy = "no";
    train(&o, plain.text);
    o.group_by_length = true;
    train(&o, grouped.text);
    assert_true(log_value(plain.text, 1, "loss") != log_value(grouped.text, 1, "loss"));
}

/* The first forward of "mixed", the default rounding, is that of "nearest"; its update is not. */
static void test_rounding_changes_the_run(void **state)
{
    static const char *const names[] = {"mixed", "stochastic", "nearest"};
    double first[3], second[3];
    (void)state;
    assert_string_equal(run_folder_options().rounding, "mixed");
    for (int i = 0; i < 3; i++) {
        const run_path out = run_folder_path("rounding-%d", i);
        mts_options o = run_folder_options();
        o.max_steps = 2;
        o.save_strategy = "no";
        o.rounding = names[i];
        train(&o, out.text);
        first[i] = log_value(out.text, 1, "loss");
        second[i] = log_value(out.text, 2, "loss");
    }
    assert_true(first[0] == first[2] && first[0] != first[1]);
    assert_true(second[0] != second[2] && second[0] != second[1]);
}

/* The names under which a checkpoint keeps what a resumed run must share: those of the first
 * version, so that its checkpoints stay readable.  Numbers are the same whatever their type. */
static void test_items_of_a_checkpoint(void **state)
{
    static const char *const names[] = {"activation_bits",
                                        "adam_beta1",
                                        "adam_beta2",
                                        "adam_epsilon",
                                        "attention_bits",
                                        "attention_dropout",
                                        "classifier_dropout",
                                        "data_seed",
                                        "exponent_group",
                                        "gradient_accumulation_steps",
                                        "gradient_bits",
                                        "group_by_length",
                                        "hidden_dropout",
                                        "learning_rate",
                                        "lr_scheduler_type",
                                        "max_grad_norm",
                                        "metric_for_best_model",
                                        "norm_bits",
                                        "optim",
                                        "per_device_train_batch_size",
                                        "precision",
                                        "rounding",
                                        "seed",
                                        "sgd_momentum",
                                        "train_checksum",
                                        "train_samples",
                                        "train_tokens",
                                        "warmup_ratio",
                                        "warmup_steps",
                                        "weight_bits",
                                        "weight_decay"};
    static const char *const of_integers[] = {"activation_bits", "attention_bits", "exponent_group",
                                              "gradient_bits",   "norm_bits",      "rounding",
                                              "weight_bits"};
    static const char *const of_outliers[] = {"outliers", "outlier_bits", "outlier_threshold",
                                              "outlier_update", "outlier_weight_bits"};
    const size_t count = sizeof names / sizeof names[0];
    const run_path out = run_folder_path("items"), from = run_folder_path("items/checkpoint-1");
    const run_path file = run_folder_path("items/checkpoint-1/trainer_state.json");
    mts_options o = run_folder_options();
    (void)state;
    o.max_steps = 2;
    o.save_steps = 1;
    train(&o, out.text);
    json_t *root = load_json(from.text, "trainer_state.json");
    json_t *callbacks = json_object_get(root, "stateful_callbacks");
    json_t *items = json_object_get(json_object_get(callbacks, "mantissa"), "run");
    assert_int_equal(json_object_size(items), count);
    for (size_t i = 0; i < count; i++)
        if (json_object_get(items, names[i]) == NULL)
            fail_msg("there is no %s", names[i]);
    assert_true(json_is_integer(json_object_get(items, "warmup_steps")));
    assert_true(json_is_real(json_object_get(items, "weight_decay")));
    assert_int_equal(json_object_set_new(items, "warmup_steps", json_real(0.0)), 0);
    assert_int_equal(json_object_set_new(items, "weight_decay", json_integer(0)), 0);
    assert_int_equal(json_dump_file(root, file.text, 0), 0);
    o.resume_from_checkpoint = from.text;
    train(&o, out.text);
    assert_int_equal(json_object_set_new(items, "later", json_integer(1)), 0);
    assert_int_equal(json_dump_file(root, file.text, 0), 0);
    o.output_dir = out.text;
    assert_int_equal(mts_train(ctx, &o, NULL, NULL), MTS_ERR_BAD_FILE);
    assert_non_null(strstr(mts_error_text(ctx), "--later 1, this run nothing"));
    json_decref(root);

    o = run_folder_options();
    o.max_steps = 1;
    o.outliers = "feature";
    o.overwrite_output_dir = true;
    train(&o, out.text);
    root = load_json(from.text, "trainer_state.json");
    callbacks = json_object_get(root, "stateful_callbacks");
    items = json_object_get(json_object_get(callbacks, "mantissa"), "run");
    assert_int_equal(json_object_size(items), count + 5);
    for (size_t i = 0; i < 5; i++)
        assert_non_null(json_object_get(items, of_outliers[i]));
    json_decref(root);

    o = run_folder_options();
    o.max_steps = 1;
    o.precision = "fp32";
    o.overwrite_output_dir = true;
    train(&o, out.text);
    root = load_json(from.text, "trainer_state.json");
    callbacks = json_object_get(root, "stateful_callbacks");
    items = json_object_get(json_object_get(callbacks, "mantissa"), "run");
    assert_int_equal(json_object_size(items), count - sizeof of_integers / sizeof of_integers[0]);
    for (size_t i = 0; i < sizeof of_integers / sizeof of_integers[0]; i++)
        assert_null(json_object_get(items, of_integers[i]));
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resume_is_exact),
        cmocka_unit_test(test_limit_keeps_the_last),
        cmocka_unit_test(test_limit_leaves_later_ones),
        cmocka_unit_test(test_best_model_is_kept),
        cmocka_unit_test(test_best_of_those_saved),
        cmocka_unit_test(test_best_model_of_a_moved_folder),
        cmocka_unit_test(test_best_model_of_another_folder),
        cmocka_unit_test(test_steps_of_an_epoch),
        cmocka_unit_test(test_accumulation_is_a_larger_batch),
        cmocka_unit_test(test_grouping_changes_the_run),
        cmocka_unit_test(test_rounding_changes_the_run),
        cmocka_unit_test(test_items_of_a_checkpoint),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
