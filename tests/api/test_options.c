/* The option table, parsing, range checks, suggestions, and combinations that must be refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tasks/glue.h"
#include "options/options.h"

static mts_ctx *ctx;

static int open_ctx(void **state)
{
    (void)state;
    return mts_ctx_create(&ctx) == MTS_OK ? 0 : -1;
}

static int close_ctx(void **state)
{
    (void)state;
    mts_ctx_destroy(ctx);
    return 0;
}

static mts_options defaults(void)
{
    mts_options o;
    mts_options_default(&o);
    return o;
}

static void assert_text_has(const char *part)
{
    if (strstr(mts_error_text(ctx), part) == NULL)
        fail_msg("'%s' is not in '%s'", part, mts_error_text(ctx));
}

static size_t field_bytes(const mts_option_info *info)
{
    return info->type == MTS_OPTION_BOOL ? sizeof(bool) : 8;
}

/* Setting is refused, with `part` in the text, and nothing is changed. */
static void refuse(const char *name, const char *text, const char *part)
{
    mts_options o = defaults();
    const mts_options before = defaults();
    assert_int_equal(mts_options_set(ctx, &o, name, text), MTS_ERR_ARGUMENT);
    assert_text_has(part);
    for (size_t i = 0; i < mts_option_count(); i++) {
        const mts_option_info *info = mts_option_at(i);
        assert_memory_equal((const char *)&o + info->offset, (const char *)&before + info->offset,
                            field_bytes(info));
    }
}

/* Every row: documented, unique, its default parses, and its field is its own. */
static void test_every_row(void **state)
{
    (void)state;
    unsigned char used[sizeof(mts_options)] = {0};
    for (size_t i = 0; i < mts_option_count(); i++) {
        const mts_option_info *info = mts_option_at(i);
        mts_options o = defaults();
        assert_non_null(info->group);
        assert_true(strlen(info->help) > 3);
        assert_true(info->used_by != 0);
        assert_ptr_equal(mts_option_find(info->name), info);
        if (info->default_text != NULL)
            assert_int_equal(mts_options_set(ctx, &o, info->name, info->default_text), MTS_OK);
        const bool numeric = info->type == MTS_OPTION_INT || info->type == MTS_OPTION_REAL;
        assert_true(!numeric || (info->default_text != NULL && info->min < info->max));
        for (size_t k = 0; k < field_bytes(info); k++)
            assert_int_equal(used[info->offset + k]++, 0);
    }
    assert_null(mts_option_at(mts_option_count()));
    mts_options o = defaults();
    assert_int_equal(mts_options_check(ctx, &o), MTS_OK);
}

/* The values that decide a run's result are Trainer's. */
static void test_trainer_defaults(void **state)
{
    (void)state;
    const mts_options o = defaults();
    assert_true(o.learning_rate == 5e-5 && o.num_train_epochs == 3 && o.weight_decay == 0);
    assert_true(o.adam_beta1 == 0.9 && o.adam_beta2 == 0.999 && o.adam_epsilon == 1e-8);
    assert_true(o.max_grad_norm == 1 && o.warmup_ratio == 0 && o.warmup_steps == 0);
    assert_int_equal(o.per_device_train_batch_size, 8);
    assert_int_equal(o.gradient_accumulation_steps, 1);
    assert_int_equal(o.seed, 42);
    assert_int_equal(o.max_steps, -1);
    assert_int_equal(o.save_steps, 500);
    assert_string_equal(o.lr_scheduler_type, "linear");
    assert_string_equal(o.optim, "adamw");
    assert_string_equal(o.eval_strategy, "no");
    assert_true(o.do_train && o.do_eval == -1 && !o.do_predict && !o.group_by_length);
    assert_null(o.model_name_or_path);
    assert_string_equal(o.precision, "int8");
}

static void test_set_each_type(void **state)
{
    (void)state;
    mts_options o = defaults();
    assert_int_equal(mts_options_set(ctx, &o, "learning-rate", "2e-5"), MTS_OK);
    assert_true(o.learning_rate == 2e-5);
    assert_int_equal(mts_options_set(ctx, &o, "seed", "9007199254740991"), MTS_OK);
    assert_int_equal(o.seed, INT64_C(9007199254740991));
    assert_int_equal(mts_options_set(ctx, &o, "output_dir", "/tmp/o"), MTS_OK);
    assert_string_equal(o.output_dir, "/tmp/o");
    assert_int_equal(mts_options_set(ctx, &o, "group_by-length", "True"), MTS_OK);
    assert_true(o.group_by_length);
    assert_int_equal(mts_options_set(ctx, &o, "do_eval", "0"), MTS_OK);
    assert_int_equal(o.do_eval, 0);
    assert_int_equal(mts_options_set(ctx, &o, "do_eval", "auto"), MTS_OK);
    assert_int_equal(o.do_eval, -1);
    assert_int_equal(mts_options_set(ctx, &o, "precision", "int12"), MTS_OK);
    assert_int_equal(options_precision_bits(&o), 12);
}

/* A choice is found however it is spelled, and each task of the table by its name and the folder of
 * the official download. */
static void test_choices(void **state)
{
    static const char *const tasks[] = {"CoLA", "MNLI",  "MRPC",  "QNLI", "QQP",
                                        "RTE",  "SST-2", "STS-B", "WNLI"};
    (void)state;
    mts_options o = defaults();
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++) {
        assert_int_equal(mts_options_set(ctx, &o, "task_name", tasks[i]), MTS_OK);
        const glue_task *task = glue_task_find(tasks[i]);
        assert_non_null(task);
        assert_string_equal(o.task_name, task->name);
        assert_string_equal(task->folder, tasks[i]);
    }
    int64_t others = 0;
    for (size_t i = 0; i < mts_option_count(); i++) {
        const option_row *row = option_row_at(i);
        assert_true((row->words == NULL) == (row->info.choices == NULL));
        const char *choices = row->info.choices;
        for (const char *w = row->words; w != NULL && *w != '\0'; w += strlen(w) + 1) {
            assert_ptr_equal(option_row_word(row, w), w);
            assert_memory_equal(choices, w, strlen(w));
            choices += strlen(w) + 1;
            if (strcmp(row->info.name, "task_name") == 0)
                others += glue_task_find(w) == NULL;
        }
        assert_true(choices == NULL || choices[-1] == '\0'); /* the same words in both */
    }
    assert_int_equal(others, 3); /* question answering, token classification */
    assert_int_equal(mts_options_set(ctx, &o, "task_name", "SQuAD-v2"), MTS_OK);
    assert_string_equal(o.task_name, "squad_v2");
    refuse("precision", "_", "expected one of");
    refuse("task_name", "squad3", "expected one of");
}

static void test_aliases_of_transformers(void **state)
{
    (void)state;
    mts_options o = defaults();
    assert_int_equal(mts_options_set(ctx, &o, "evaluation_strategy", "epoch"), MTS_OK);
    assert_string_equal(o.eval_strategy, "epoch");
    assert_int_equal(mts_options_set(ctx, &o, "optim", "adamw_torch"), MTS_OK);
    assert_string_equal(o.optim, "adamw");
    assert_int_equal(mts_options_set(ctx, &o, "optim", "adamw_bnb_8bit"), MTS_OK);
    assert_string_equal(o.optim, "adamw_8bit");
    assert_int_equal(mts_options_set(ctx, &o, "task_name", "SST-2"), MTS_OK);
    assert_string_equal(o.task_name, "sst2");
    assert_int_equal(mts_options_set(ctx, &o, "resume_from_checkpoint", "True"), MTS_OK);
    assert_string_equal(o.resume_from_checkpoint, "last");
    assert_int_equal(mts_options_set(ctx, &o, "resume_from_checkpoint", "False"), MTS_OK);
    assert_null(o.resume_from_checkpoint);
    assert_int_equal(mts_options_set(ctx, &o, "activation_checkpointing", "True"), MTS_OK);
    assert_true(o.gradient_checkpointing);
    assert_int_equal(mts_options_set(ctx, &o, "per_gpu_train_batch_size", "5"), MTS_OK);
    assert_int_equal(mts_options_set(ctx, &o, "per-gpu-eval-batch-size", "6"), MTS_OK);
    assert_true(o.per_device_train_batch_size == 5 && o.per_device_eval_batch_size == 6);
}

static void test_refused_values(void **state)
{
    (void)state;
    refuse("seed", "-1", "expected 0 to 9007199254740991, found -1");
    refuse("seed", "4 2", "expected a whole number, found '4 2'");
    refuse("seed", "1e3", "whole number");
    refuse("seed", "", "whole number");
    refuse("learning_rate", "nan", "expected a number");
    refuse("learning_rate", "inf", "expected a number");
    refuse("learning_rate", "0x1p3", "expected a number");
    refuse("learning_rate", "5,5", "expected a number");
    refuse("learning_rate", "-1", "expected 0 to 1000");
    refuse("weight_bits", "17", "expected 0 to 16, found 17");
    refuse("outlier_bits", "8", "expected 9 to 15, found 8");
    refuse("outlier_bits", "16", "expected 9 to 15, found 16");
    refuse("outlier_threshold", "-1", "expected 0 to 1000000000");
    refuse("outliers", "features", "expected one of auto|none|feature");
    refuse("outlier_update", "epoch", "expected one of once|step");
    refuse("precision", "int7", "fp32|bf16|int16|int12|int10|int8");
    refuse("precision", "int", "expected one of");
    refuse("precision", "", "expected one of");
    refuse("precision", "fp32|bf16", "expected one of");
    refuse("output_dir", "", "empty");
    refuse("do_train", "maybe", "expected true or false, found 'maybe'");
    refuse("do_train", "auto", "expected true or false");
    refuse("do_eval", "perhaps", "true, auto or false");
}

/* What other trainers are told and is so here anyway is no error, and changes nothing. */
static void test_idle(void **state)
{
    static const char *const idle[][2] = {{"report_to", "none"},
                                          {"report-to", "none"},
                                          {"overwrite_cache", "true"},
                                          {"use_cpu", "True"},
                                          {"no_cuda", "1"},
                                          {"pad_to_max_length", "False"},
                                          {"disable_tqdm", "false"},
                                          {"use_fast_tokenizer", "0"},
                                          {"push_to_hub", "False"},
                                          {"fp16", "False"},
                                          {"bf16", "false"},
                                          {"use_cpu", "false"}, /* the defaults */
                                          {"no_cuda", "False"},
                                          {"ignore_mismatched_sizes", "false"},
                                          {"pad_to_max_length", "true"},
                                          {"save_safetensors", "True"},
                                          {"use_mps_device", "false"},
                                          {"jit_mode_eval", "False"},
                                          {"fp16_backend", "auto"},
                                          {"half_precision_backend", "cpu_amp"},
                                          {"logging_dir", "runs/of today"},
                                          {"logging_strategy", "steps"},
                                          {"local_rank", "-1"},
                                          {"local_rank", "0"},
                                          {"preprocessing_num_workers", "8"},

                                          {"include_num_input_tokens_seen", "no"},
                                          {"adafactor", "False"},
                                          {"dataloader_num_workers", "0"}};
    static const char *const busy[][2] = {
        {"report_to", "all"},  {"use_cpu", "maybe"}, {"no_cuda", ""},
        {"fp16", "True"},      {"bf16", "1"},        {"push_to_hub", "true"},
        {"fp16", "no way"},    {"seed", "42"},       {"save_safetensors", "false"},
        {"local_rank", "1"},   {"eval_delay", "2"},  {"logging_strategy", "epoch"},
        {"nonsense", "false"}, {"", "false"},        {"dataloader_num_workers", "4"}};
    (void)state;
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++) {
        mts_options o, before;
        memset(&o, 0, sizeof o);
        mts_options_default(&o);
        memcpy(&before, &o, sizeof o);
        assert_true(mts_option_is_idle(idle[i][0], idle[i][1]));
        assert_int_equal(mts_options_set(ctx, &o, idle[i][0], idle[i][1]), MTS_OK);
        assert_memory_equal(&o, &before, sizeof o);
    }
    for (size_t i = 0; i < sizeof busy / sizeof busy[0]; i++)
        assert_false(mts_option_is_idle(busy[i][0], busy[i][1]));
    assert_false(mts_option_is_idle(NULL, "false"));
    assert_false(mts_option_is_idle("fp16", NULL));
    refuse("dataloader_num_workers", "4", "leave it out");
    refuse("save_safetensors", "false", "safetensors only");
    refuse("local_rank", "1", "one process");
    for (size_t i = 0; option_idles[i].name != NULL; i++)
        assert_null(mts_option_find(option_idles[i].name));
}

static void test_unknown_names(void **state)
{
    (void)state;
    refuse("learning_rat", "1", "did you mean --learning_rate?");
    refuse("per_cpu_train_batch_size", "1", "did you mean --per_device_train_batch_size?");
    refuse("num-epochs", "1", "unknown option --num_epochs");
    refuse("fp16", "true", "use --precision bf16");
    refuse("report-to", "wandb", "--metrics_file");
    refuse("zzzzzzzz", "1", "unknown option --zzzzzzzz");
    assert_null(strstr(mts_error_text(ctx), "mean"));
    refuse("", "1", "unknown option --");
    char longest[2000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    refuse(longest, "1", "unknown option --xxxx");
    assert_null(mts_option_find(longest));
    assert_null(mts_option_find(NULL));
    assert_int_equal(mts_options_set(ctx, NULL, "seed", "1"), MTS_ERR_ARGUMENT);
}

/* A host program's locale does not change what a number is. */
static void test_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
    bool found = false;
    for (size_t i = 0; i < 3 && !found; i++)
        found = setlocale(LC_ALL, names[i]) != NULL;
    mts_options o = defaults();
    assert_int_equal(mts_options_set(ctx, &o, "learning_rate", "2.5e-1"), MTS_OK);
    assert_true(o.learning_rate == 0.25);
    setlocale(LC_ALL, "C");
}

/* One combination: pairs of name and text up to NULL; the check fails with `part`, or passes. */
static void combine(const char *part, ...)
{
    mts_options o = defaults();
    va_list args;
    va_start(args, part);
    for (const char *name = va_arg(args, const char *); name != NULL;
         name = va_arg(args, const char *))
        assert_int_equal(mts_options_set(ctx, &o, name, va_arg(args, const char *)), MTS_OK);
    va_end(args);
    const mts_status st = mts_options_check(ctx, &o);
    if (part == NULL && st != MTS_OK)
        fail_msg("refused: %s", mts_error_text(ctx));
    if (part != NULL) {
        assert_int_equal(st, MTS_ERR_ARGUMENT);
        assert_text_has(part);
    }
}

static void test_combinations(void **state)
{
    (void)state;
    combine("expected 0 or 4 to 16, found 3", "weight_bits", "3", NULL);
    combine("--norm_bits needs an integer --precision, found bf16", "precision", "bf16",
            "norm_bits", "8", NULL);
    combine("--log_formats needs an integer --precision, found bf16", "precision", "bf16",
            "log_formats", "true", NULL);
    combine(NULL, "precision", "int12", "log_formats", "true", NULL);
    combine(NULL, "precision", "int16", "weight_bits", "8", "activation_bits", "12", NULL);
    combine("--outliers feature needs an integer --precision, found fp32", "precision", "fp32",
            "outliers", "feature", NULL);
    combine("found bf16", "outliers", "feature", "precision", "bf16", NULL);
    combine(NULL, "outliers", "feature", "precision", "int12", "outlier_bits", "15", NULL);
    combine(NULL, "outliers", "none", "precision", "fp32", NULL);
    combine("option --outlier_threshold: expected 0 or 1 to 1000000000, found 0.9",
            "outlier_threshold", "0.9", NULL);
    combine(NULL, "outlier_threshold", "0", NULL);
    combine(NULL, "outlier_threshold", "1", NULL);
    combine("--scales needs an integer --precision, found bf16", "precision", "bf16", "scales",
            "power_of_two", NULL);
    combine(NULL, "precision", "int10", "scales", "largest", NULL);
    combine("not both", "task_name", "rte", "data_dir", "d", "train_file", "a.csv", NULL);
    combine("needs --data_dir", "task_name", "rte", NULL);
    combine("needs --task_name", "data_dir", "d", NULL);
    combine("already says", "task_name", "rte", "data_dir", "d", "do_regression", "true", NULL);
    combine("are known", "task_name", "rte", "data_dir", "d", "label_column_name", "x", NULL);
    combine("one label in --task_name rte", "task_name", "rte", "data_dir", "d", "label_separator",
            ",", NULL);
    combine("contradicts --do_regression", "do_regression", "true", "label_separator", ",", NULL);
    combine("at least 1, or -1", "max_eval_samples", "0", NULL);
    combine("not both", "warmup_steps", "5", "warmup_ratio", "0.1", NULL);
    combine("constant_with_warmup", "lr_scheduler_type", "constant", "warmup_steps", "5", NULL);
    combine(NULL, "lr_scheduler_type", "constant_with_warmup", "warmup_steps", "5", NULL);
    combine("not both", "warmup_steps", "0.1", "warmup_ratio", "0.1", NULL);
    combine("a whole number, or below 1", "warmup_steps", "1.5", NULL);
    combine("a whole number, or below 1", "save_steps", "10.25", NULL);
    combine("option --save_steps: expected more than 0", "save_steps", "0", NULL);
    combine("option --logging_steps: expected more than 0", "logging_steps", "0", NULL);
    combine(NULL, "warmup_steps", "0.1", "save_steps", "0.5", "logging_steps", "0.01", NULL);
    combine("contradicts --train_sampling_strategy random", "group_by_length", "true",
            "train_sampling_strategy", "random", NULL);
    combine(NULL, "group_by_length", "true", "train_sampling_strategy", "group_by_length", NULL);
    combine("--max_steps", "max_steps", "0", NULL);
    combine("--num_train_epochs", "num_train_epochs", "0", NULL);
    combine(NULL, "num_train_epochs", "0", "max_steps", "7", NULL);
    combine("below 1", "adam_beta2", "1", NULL);
    combine("--adam_epsilon 1e-30 or more, found 0", "optim", "adamw_8bit", "adam_epsilon", "0",
            NULL);
    combine(NULL, "optim", "adamw_8bit", "adam_epsilon", "1e-30", NULL);
    combine("above 0", "optim", "adamw", "adam_epsilon", "0", NULL);
    combine("above 0", "optim", "adamw", "adam_epsilon", "1e-60", NULL); /* 0 in float */
    combine(NULL, "optim", "sgd", "adam_epsilon", "0", NULL);
    combine("below 1", "hidden_dropout", "1", NULL);
    combine("expected -1", "attention_dropout", "-0.5", NULL);
    combine("needs --optim sgd", "sgd_momentum", "0.5", NULL);
    combine(NULL, "sgd_momentum", "0.5", "optim", "sgd", NULL);
    combine("contradicts", "eval_strategy", "epoch", "do_eval", "false", NULL);
    combine("needs --eval_strategy", "load_best_model_at_end", "true", NULL);
    combine("needs equal", "load_best_model_at_end", "true", "eval_strategy", "epoch", NULL);
    combine("multiple of --eval_steps", "load_best_model_at_end", "true", "eval_strategy", "steps",
            "eval_steps", "300", NULL);
    combine(NULL, "load_best_model_at_end", "true", "eval_strategy", "steps", "eval_steps", "250",
            NULL);
    combine(NULL, "load_best_model_at_end", "true", "eval_strategy", "steps", NULL);
    combine("found 500 and 60", "load_best_model_at_end", "true", "eval_strategy", "steps",
            "logging_steps", "60", NULL);
    combine(NULL, "load_best_model_at_end", "true", "eval_strategy", "steps", "eval_steps", "0.1",
            "save_steps", "0.3", NULL);
    combine("found 0.3 and 0.2", "load_best_model_at_end", "true", "eval_strategy", "steps",
            "eval_steps", "0.2", "save_steps", "0.3", NULL);
    combine("found 0.3 and 50", "load_best_model_at_end", "true", "eval_strategy", "steps",
            "save_steps", "0.3", NULL);
}

/* The options of run_qa.py: its defaults and ranges, and what they are combined with. */
static void test_question_answering(void **state)
{
    (void)state;
    const mts_options o = defaults();
    assert_true(o.doc_stride == 128 && o.n_best_size == 20 && o.max_answer_length == 30);
    assert_true(!o.version_2_with_negative && o.null_score_diff_threshold == 0);
    refuse("n_best_size", "0", "expected 1 to");
    refuse("max_answer_length", "0", "expected 1 to");
    refuse("doc_stride", "-1", "expected 0 to");
    refuse("null_score_diff_threshold", "nan", "expected a number");
    combine(NULL, "task_name", "squad", "data_dir", "d", NULL);
    combine(NULL, "task_name", "squad_v2", "train_file", "t.json", NULL);
    combine(NULL, "task_name", "ner", "train_file", "t.conll", NULL);
    combine(NULL, "task_name", "ner", "train_file", "t.json", "text_column_name", "w",
            "label_column_name", "t", "label_all_tokens", "true", NULL);
    combine("--task_name ner needs --train_file", "task_name", "ner", "data_dir", "d", NULL);
    combine("--data_dir, the folder with the task's files, or --train_file", "task_name", "squad",
            NULL);
    combine("give --data_dir, or --train_file", "task_name", "squad", "data_dir", "d", "train_file",
            "t.json", NULL);
    combine("already says", "task_name", "squad", "data_dir", "d", "do_regression", "true", NULL);
    combine("less than --max_seq_length 384, found 384", "task_name", "squad", "data_dir", "d",
            "doc_stride", "384", NULL);
    combine(NULL, "task_name", "squad", "data_dir", "d", "doc_stride", "383", NULL);
    combine("less than --max_seq_length 64, found 128", "task_name", "squad", "data_dir", "d",
            "max_seq_length", "64", NULL);
    combine(NULL, "max_seq_length", "64", NULL);
    combine("needs --task_name squad or squad_v2, found rte", "task_name", "rte", "data_dir", "d",
            "version_2_with_negative", "true", NULL);
    combine(NULL, "version_2_with_negative", "true", "task_name", "squad", "data_dir", "d",
            "null_score_diff_threshold", "-1.5", NULL);
}

/* A struct filled by a program, not by mts_options_set, is checked as well. */
static void test_filled_by_hand(void **state)
{
    (void)state;
    mts_options o = defaults();
    o.learning_rate = (double)NAN;
    assert_int_equal(mts_options_check(ctx, &o), MTS_ERR_ARGUMENT);
    assert_text_has("--learning_rate");
    o = defaults();
    o.max_seq_length = 2;
    assert_int_equal(mts_options_check(ctx, &o), MTS_ERR_ARGUMENT);
    o = defaults();
    o.rounding = "up";
    assert_int_equal(mts_options_check(ctx, &o), MTS_ERR_ARGUMENT);
    assert_text_has("mixed|stochastic|nearest, found 'up'");
    o = defaults();
    o.optim = NULL;
    assert_int_equal(mts_options_check(ctx, &o), MTS_ERR_ARGUMENT);
    o = defaults();
    o.do_eval = 2;
    assert_int_equal(mts_options_check(ctx, &o), MTS_ERR_ARGUMENT);
    assert_int_equal(mts_options_check(ctx, NULL), MTS_ERR_ARGUMENT);
}

/* A program built with an older header, whose struct ends before num_threads as a later version's
 * would before its last field: nothing behind its end is read or written. */
static void test_older_header(void **state)
{
    const size_t known = offsetof(mts_options, num_threads) + sizeof(int64_t);
    assert_true(known < sizeof(mts_options));
    struct {
        mts_options options;
        unsigned char behind[64];
    } newer;
    (void)state;
    memset(&newer, 0xa5, sizeof newer); /* newer than the library: the rest is 0 */
    mts_options_default_sized(&newer.options, sizeof newer);
    assert_int_equal(newer.options.size, sizeof newer);
    for (size_t i = 0; i < sizeof newer.behind; i++)
        assert_int_equal(newer.behind[i], 0);
    assert_int_equal(mts_options_check(ctx, &newer.options), MTS_OK);

    mts_options older;
    memset(&older, 0xa5, sizeof older);
    mts_options_default_sized(&older, known - sizeof(int64_t));
    assert_int_equal(older.num_threads, (int64_t)0xa5a5a5a5a5a5a5a5);
    assert_true(older.learning_rate == 5e-5);
    assert_int_equal(mts_options_set(ctx, &older, "num_threads", "2"), MTS_ERR_ARGUMENT);
    assert_text_has("--num_threads: the program was built with a header that does not have it");
    assert_int_equal(mts_options_set(ctx, &older, "seed", "2"), MTS_OK);
    assert_int_equal(older.num_threads, (int64_t)0xa5a5a5a5a5a5a5a5);

    mts_options own;
    older.size = known; /* the oldest that is taken: what is behind its end is as by default */
    older.num_threads = 3;
    assert_non_null(older.train_sampling_strategy);
    assert_int_equal(options_take(ctx, &older, &own), MTS_OK);
    assert_int_equal(own.size, sizeof own);
    assert_int_equal(own.num_threads, 3);
    assert_null(own.train_sampling_strategy);
    own.seed = 9;
    own.num_threads = 4;
    older.size = known - sizeof(int64_t);
    options_give(&own, &older);
    assert_int_equal(older.seed, 9);
    assert_int_equal(older.num_threads, 3);
    assert_int_equal(older.size, known - sizeof(int64_t));

    memset(&older, 0, sizeof older);
    assert_int_equal(mts_options_check(ctx, &older), MTS_ERR_ARGUMENT);
    assert_text_has("options.size is 0: fill the struct with mts_options_default first");
}

static void expect_argument_error(mts_status st, const char *part)
{
    assert_int_equal(st, MTS_ERR_ARGUMENT);
    assert_text_has(part);
}

/* What acts on adapters only is refused where all parameters would be trained. */
static void test_adapters(void **state)
{
    static const char *const words[][2] = {{"lora_r", "4"},
                                           {"lora_alpha", "8"},
                                           {"use_rslora", "true"},
                                           {"target_modules", "q_proj"},
                                           {"dylora_update", "last"},
                                           {"ranks", "1,2,8"},
                                           {"rank_weighting", "matryoshka"},
                                           {"lora_dropout", "0.1"}};
    static const char *const of_dylora[] = {"dylora_update", "ranks", "rank_weighting"};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        mts_options o = defaults();
        o.model_name_or_path = "m";
        o.output_dir = "o";
        o.train_file = "t.jsonl";
        assert_int_equal(options_check_train(ctx, &o), MTS_OK);
        assert_int_equal(mts_options_set(ctx, &o, words[i][0], words[i][1]), MTS_OK);
        expect_argument_error(options_check_train(ctx, &o), words[i][0]);
        expect_argument_error(options_check_train(ctx, &o), "needs --method lora or dylora");
        o.method = "lora";
        for (size_t k = 0; k < sizeof of_dylora / sizeof of_dylora[0]; k++)
            if (strcmp(words[i][0], of_dylora[k]) == 0) {
                expect_argument_error(options_check_train(ctx, &o),
                                      "needs --method dylora, found lora");
                o.method = "dylora";
            }
        assert_int_equal(options_check_train(ctx, &o), MTS_OK);
    }
    mts_options o = defaults();
    o.method = "lora";
    o.dylora_update = "last";
    expect_argument_error(options_check_train(ctx, &o), "needs --method dylora, found lora");
    o.method = "dylora";
    o.rank_weighting = "matryoshka";
    expect_argument_error(options_check_train(ctx, &o), "contradicts --rank_weighting matryoshka");
    o.dylora_update = "all";
    o.optim = "sgd"; /* no rank is left out of a step */
    o.ranks = "1,2,4";
    expect_argument_error(options_check_train(ctx, &o), "adapter's rank 8 (--lora_r), found 4");
    o.adapter_name_or_path = "a"; /* which has a rank of its own */
    expect_argument_error(options_check_train(ctx, &o), "--model_name_or_path is missing");
}

static void test_needs_of_each_call(void **state)
{
    (void)state;
    mts_options o = defaults();
    expect_argument_error(options_check_train(ctx, &o), "--model_name_or_path is missing");
    expect_argument_error(options_check_predict(ctx, &o), "--model_name_or_path is missing");
    o.model_name_or_path = "m";
    assert_int_equal(options_check_predict(ctx, &o), MTS_OK);
    expect_argument_error(options_check_eval(ctx, &o), "evaluation data is missing");
    expect_argument_error(options_check_train(ctx, &o), "--output_dir is missing");
    o.output_dir = "o";
    expect_argument_error(options_check_train(ctx, &o), "training data is missing");
    o.task_name = "squad";
    o.validation_file = "v.json";
    expect_argument_error(options_check_train(ctx, &o), "training data is missing");
    assert_int_equal(options_check_eval(ctx, &o), MTS_OK);
    o.task_name = o.validation_file = NULL;
    o.train_file = "t.csv";
    assert_int_equal(options_check_train(ctx, &o), MTS_OK);
    assert_false(options_wants_final_eval(&o));
    o.do_eval = 1;
    expect_argument_error(options_check_train(ctx, &o), "--validation_file is missing");
    o.validation_file = "v.csv";
    assert_int_equal(options_check_train(ctx, &o), MTS_OK);
    assert_int_equal(options_check_eval(ctx, &o), MTS_OK);
    o.do_eval = -1;
    assert_true(options_wants_final_eval(&o));
    o.do_eval = 0;
    assert_false(options_wants_final_eval(&o));
    o.do_train = false;
    expect_argument_error(options_check_train(ctx, &o), "nothing to do");
    o.do_predict = true;
    expect_argument_error(options_check_train(ctx, &o), "--do_predict needs --test_file");
    o.test_file = "x.csv";
    o.train_file = NULL;
    assert_int_equal(options_check_train(ctx, &o), MTS_OK);
    assert_int_equal(options_check_train(ctx, NULL), MTS_ERR_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_trainer_defaults),
        cmocka_unit_test(test_set_each_type),
        cmocka_unit_test(test_aliases_of_transformers),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_locale),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_question_answering),
        cmocka_unit_test(test_filled_by_hand),
        cmocka_unit_test(test_older_header),
        cmocka_unit_test(test_adapters),
        cmocka_unit_test(test_needs_of_each_call),
    };
    return cmocka_run_group_tests(tests, open_ctx, close_ctx);
}
