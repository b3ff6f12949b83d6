/*
 * Every option of training reaches the run: another value gives another model and is refused when a
 * checkpoint is resumed; the options that must not change a run do not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "support/test_copy.h"
#include "support/run_folder.h"

enum { STEPS = 4 };

static mts_options short_run(void)
{
    mts_options o = run_folder_options();
    o.max_steps = STEPS;
    o.save_steps = 1;
    o.overwrite_output_dir = true;
    return o;
}

static void set(mts_options *o, const char *name, const char *text)
{
    if (mts_options_set(ctx, o, name, text) != MTS_OK)
        fail_msg("%s", mts_error_text(ctx));
}

static void train(const mts_options *o, const char *output_dir)
{
    mts_options options = *o;
    options.output_dir = output_dir;
    if (mts_train(ctx, &options, NULL, NULL) != MTS_OK)
        fail_msg("%s", mts_error_text(ctx));
}

static bool same_model(const char *a, const char *b)
{
    char path_a[RUN_PATH_BYTES + 32], path_b[RUN_PATH_BYTES + 32];
    snprintf(path_a, sizeof path_a, "%s/model.safetensors", a);
    snprintf(path_b, sizeof path_b, "%s/model.safetensors", b);
    assert_true(file_exists(path_a) && file_exists(path_b));
    return run_folder_same(path_a, path_b);
}

/* An option, another value of it, and what the refusal of a checkpoint names; beside outliers of a
 * model that has some, or not. */
typedef struct option_case {
    const char *optim, *name, *text, *item;
    const char *outliers; /* NULL: none */
} option_case;

static const option_case acting[] = {
    {"adamw", "seed", "43", "--seed ", NULL},
    {"adamw", "data_seed", "7", "--data_seed ", NULL},
    {"adamw", "optim", "sgd", "--optim ", NULL},
    {"adamw", "learning_rate", "2e-3", "--learning_rate ", NULL},
    {"adamw", "weight_decay", "0.1", "--weight_decay ", NULL},
    {"adamw", "adam_beta1", "0.8", "--adam_beta1 ", NULL},
    {"adamw", "adam_beta2", "0.9", "--adam_beta2 ", NULL},
    {"adamw", "adam_epsilon", "1e-3", "--adam_epsilon ", NULL},
    {"sgd", "sgd_momentum", "0.5", "--sgd_momentum ", NULL},
    {"sgd", "max_grad_norm", "0.1", "--max_grad_norm ", NULL},
    {"adamw", "lr_scheduler_type", "cosine", "--lr_scheduler_type ", NULL},
    {"adamw", "warmup_ratio", "0.5", "--warmup_ratio ", NULL},
    {"adamw", "warmup_steps", "2", "--warmup_steps ", NULL},
    {"adamw", "max_train_samples", "30", "train_samples", NULL},
    {"adamw", "max_seq_length", "12", "train_tokens", NULL},
    {"adamw", "do_lower_case", "false", "train_checksum", NULL},
    {"adamw", "per_device_train_batch_size", "5", "--per_device_train_batch_size ", NULL},
    {"adamw", "gradient_accumulation_steps", "2", "--gradient_accumulation_steps ", NULL},
    {"adamw", "group_by_length", "true", "--group_by_length ", NULL},
    {"adamw", "train_sampling_strategy", "group_by_length", "--group_by_length ", NULL},
    {"adamw", "train_sampling_strategy", "sequential", "--train_sampling_strategy ", NULL},
    {"adamw", "precision", "int12", "--precision ", NULL},
    {"adamw", "weight_bits", "7", "--weight_bits ", NULL},
    {"adamw", "activation_bits", "7", "--activation_bits ", NULL},
    {"adamw", "gradient_bits", "7", "--gradient_bits ", NULL},
    {"adamw", "attention_bits", "7", "--attention_bits ", NULL},
    {"adamw", "norm_bits", "8", "--norm_bits ", NULL},
    {"adamw", "rounding", "nearest", "--rounding ", NULL},
    {"adamw", "exponent_group", "tensor", "--exponent_group ", NULL},
    {"adamw", "scales", "largest", "--scales ", NULL},
    {"adamw", "outliers", "none", "--outlier_bits ", "feature"}, /* its first item */
    {"adamw", "outlier_threshold", "1.5", "--outlier_threshold ", "feature"},
    {"adamw", "outlier_bits", "9", "--outlier_bits ", "feature"},
    {"adamw", "outlier_weight_bits", "12", "--outlier_weight_bits ", "feature"},
    {"adamw", "outlier_update", "step", "--outlier_update ", "feature"},
    {"adamw", "hidden_dropout", "0.3", "--hidden_dropout ", NULL},
    {"adamw", "attention_dropout", "0.3", "--attention_dropout ", NULL},
    {"adamw", "classifier_dropout", "0.3", "--classifier_dropout ", NULL},
    {"adamw", "label_smoothing_factor", "0.1", "--label_smoothing_factor ", NULL},
};

/* Another value, another model: with the first ones in a run, and refused in the middle of one. */
static void test_each_option_acts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof acting / sizeof acting[0]; i++) {
        const option_case *c = &acting[i];
        const char *kind = c->outliers == NULL ? "" : "-outliers";
        const run_path plain = run_folder_path("%s%s", c->optim, kind);
        const run_path from = run_folder_path("%s%s/checkpoint-2", c->optim, kind);
        const run_path planted = run_folder_path("outliers"), out = run_folder_path("other");
        mts_options o = short_run();
        o.optim = c->optim;
        if (c->outliers != NULL) {
            o.model_name_or_path = planted.text;
            o.outliers = c->outliers;
            o.outlier_threshold = 3;
        }
        if (!dir_exists(plain.text))
            train(&o, plain.text);
        set(&o, c->name, c->text);
        train(&o, out.text);
        if (same_model(plain.text, out.text))
            fail_msg("--%s %s: the same model as without it", c->name, c->text);
        o.output_dir = out.text;
        o.resume_from_checkpoint = from.text;
        if (mts_train(ctx, &o, NULL, NULL) != MTS_ERR_BAD_FILE ||
            strstr(mts_error_text(ctx), c->item) == NULL)
            fail_msg("--%s %s: resumed, or refused for another reason than %s: %s", c->name,
                     c->text, c->item, mts_error_text(ctx));
    }
}

/* The same model, also of a run that is resumed so. */
static void test_other_options_do_not(void **state)
{
    static const char *const idle[][2] = {
        {"gradient_checkpointing", "true"},
        {"num_threads", "2"},
        {"train_sampling_strategy", "random"},
        {"per_device_eval_batch_size", "3"},
        {"logging_steps", "3"},
        {"save_total_limit", "1"},
        {"save_strategy", "no"},
        {"max_eval_samples", "2"},
        {"do_eval", "false"},
        {"adam_epsilon", "1e-8"},
        {"norm_bits", "16"},
        {"scales", "power_of_two"},
        {"outliers", "none"},
        {"outlier_threshold", "1.5"},
        {"outlier_bits", "9"},
        {"outlier_weight_bits", "12"},
        {"outlier_update", "step"},
        {"hidden_dropout", "0.1"},
        {"attention_dropout", "0.1"},
        {"classifier_dropout", "0.1"},
        {"warmup_ratio", "0"},
        {"log_formats", "true"},
    };
    const run_path plain = run_folder_path("adamw"), out = run_folder_path("idle");
    const run_path from = run_folder_path("adamw/checkpoint-2");
    mts_options o = short_run();
    (void)state;
    train(&o, plain.text);
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++) {
        o = short_run();
        set(&o, idle[i][0], idle[i][1]);
        train(&o, out.text);
        if (!same_model(plain.text, out.text))
            fail_msg("--%s %s: another model", idle[i][0], idle[i][1]);
        o.resume_from_checkpoint = from.text;
        train(&o, out.text);
        if (!same_model(plain.text, out.text))
            fail_msg("--%s %s: another model when resumed", idle[i][0], idle[i][1]);
    }
}

/* Dropout of config.json, as far as no option is given; that of the classifier is, where the file
 * has none, the hidden one. */
static void test_dropout_of_the_model(void **state)
{
    static const char *const files[] = {"model.safetensors", "vocab.txt"};
    const run_path model = run_folder_path("dropping"), by_file = run_folder_path("by-file");
    const run_path by_option = run_folder_path("by-option"), plain = run_folder_path("plain");
    const run_path from = run_folder_path("model/config.json");
    const run_path to = run_folder_path("dropping/config.json");
    mts_options o = short_run();
    (void)state;
    assert_int_equal(file_make_dirs(ctx, model.text), MTS_OK);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const run_path a = run_folder_path("model/%s", files[i]);
        const run_path b = run_folder_path("dropping/%s", files[i]);
        assert_int_equal(test_copy_file(ctx, a.text, b.text), MTS_OK);
    }
    json_t *root = json_load_file(from.text, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_object_set_new(root, "hidden_dropout_prob", json_real(0.2)), 0);
    assert_int_equal(json_object_set_new(root, "attention_probs_dropout_prob", json_real(0.3)), 0);
    assert_int_equal(json_object_set_new(root, "classifier_dropout", json_real(0.4)), 0);
    assert_int_equal(json_dump_file(root, to.text, 0), 0);
    json_decref(root);
    o.model_name_or_path = model.text;
    train(&o, by_file.text);
    o = short_run();
    o.hidden_dropout = 0.2;
    o.attention_dropout = 0.3;
    o.classifier_dropout = 0.4;
    train(&o, by_option.text);
    assert_true(same_model(by_file.text, by_option.text));

    /* The tiny model's file says 0.1 and nothing of the classifier. */
    o = short_run();
    o.hidden_dropout = 0.2;
    train(&o, plain.text);
    o.classifier_dropout = 0.2;
    train(&o, by_option.text);
    assert_true(same_model(plain.text, by_option.text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_option_acts),
        cmocka_unit_test(test_other_options_do_not),
        cmocka_unit_test(test_dropout_of_the_model),
    };
    return cmocka_run_group_tests(tests, run_folder_open, run_folder_close);
}
