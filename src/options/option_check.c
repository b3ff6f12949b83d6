/*
 * Options: ranges of a filled struct, combinations that contradict each other, and what each call
 * needs.
 *
 * Path: mts_train / mts_eval / mts_predictor_open -> options_check_<call> -> mts_options_check.
 * Only the options are looked at; no file is opened here.
 */
#include "options/options.h"

#include <math.h>
#include <string.h>

#include "options/rank_list.h"
#include "tensor/format.h"

static bool is(const char *text, const char *expected)
{
    return strcmp(text, expected) == 0;
}

/* Whether text is one of the row's choices, as it is spelled there. */
static bool is_choice(const option_row *row, const char *text)
{
    const char *word = option_row_word(row, text);
    return word != NULL && is(word, text);
}

static mts_status check_range(mts_ctx *ctx, const mts_options *options, const option_row *row)
{
    mts_status st = MTS_OK;
    const mts_option_info *info = &row->info;
    const char *field = (const char *)options + info->offset;
    if (info->type == MTS_OPTION_STRING) {
        const char *text = NULL;
        memcpy(&text, field, sizeof text);
        MTS_CHECK(text != NULL || info->default_text == NULL, MTS_ERR_ARGUMENT,
                  "option --%s: expected one of %s, found NULL", info->name, info->choices);
        MTS_CHECK(text == NULL || info->choices == NULL || is_choice(row, text), MTS_ERR_ARGUMENT,
                  "option --%s: expected one of %s, found '%s'", info->name, info->choices, text);
    } else if (info->type == MTS_OPTION_REAL) {
        double value = 0;
        memcpy(&value, field, sizeof value);
        MTS_CHECK(value >= info->min && value <= info->max, MTS_ERR_ARGUMENT,
                  "option --%s: expected %.16g to %.16g, found %.9g", info->name, info->min,
                  info->max, value);
    } else if (info->type != MTS_OPTION_BOOL) {
        int64_t value = 0;
        memcpy(&value, field, sizeof value);
        MTS_CHECK((double)value >= info->min && (double)value <= info->max, MTS_ERR_ARGUMENT,
                  "option --%s: expected %.16g to %.16g, found %lld", info->name, info->min,
                  info->max, (long long)value);
    }

cleanup:
    return st;
}

bool options_tell_outliers(const mts_options *options)
{
    return options_precision_bits(options) > 0 && is(options->outliers, "feature");
}

bool options_has_4bit_base(const mts_options *options)
{
    return options->base_bits != NULL && is(options->base_bits, "4");
}

bool options_can_stream(const mts_options *options)
{
    return options_precision_bits(options) == 0 || is(options->exponent_group, "row");
}

int64_t options_precision_bits(const mts_options *options)
{
    return format_precision_bits(options->precision);
}

/* What a range of inclusive bounds cannot say of a real number. */
static mts_status check_real(mts_ctx *ctx, const mts_options *o, const option_row *row)
{
    mts_status st = MTS_OK;
    const char *name = row->info.name;
    double value = 0;
    memcpy(&value, (const char *)o + row->info.offset, sizeof value);
    if ((row->marks & OPTION_BELOW_ONE) != 0) {
        MTS_CHECK(value < 1, MTS_ERR_ARGUMENT, "option --%s: expected a value below 1, found %.9g",
                  name, value);
        MTS_CHECK(value >= 0 || value == -1, MTS_ERR_ARGUMENT,
                  "option --%s: expected -1 (as the model or adapter says) or 0 to 1, found %.9g",
                  name, value);
    }
    MTS_CHECK((row->marks & OPTION_STEPS) == 0 || value < 1 || value == floor(value),
              MTS_ERR_ARGUMENT,
              "option --%s: expected a whole number, or below 1 a part of all steps, found %.9g",
              name, value);

cleanup:
    return st;
}

/* Widths in bits. */
static mts_status check_bits(mts_ctx *ctx, const mts_options *o, const option_row *row)
{
    mts_status st = MTS_OK;
    int64_t bits = 0;
    memcpy(&bits, (const char *)o + row->info.offset, sizeof bits);
    MTS_CHECK(bits == 0 || bits >= 4, MTS_ERR_ARGUMENT,
              "option --%s: expected 0 or 4 to 16, found %lld", row->info.name, (long long)bits);
    MTS_CHECK(bits == 0 || options_precision_bits(o) > 0, MTS_ERR_ARGUMENT,
              "option --%s needs an integer --precision, found %s", row->info.name, o->precision);

cleanup:
    return st;
}

static mts_status check_row(mts_ctx *ctx, const mts_options *o, const option_row *row)
{
    mts_status st = MTS_OK;
    const bool integer = (row->marks & OPTION_INTEGER) != 0;
    MTS_TRY(check_range(ctx, o, row));
    if (row->info.type == MTS_OPTION_REAL)
        MTS_TRY(check_real(ctx, o, row));
    if (integer && row->info.type == MTS_OPTION_INT)
        MTS_TRY(check_bits(ctx, o, row));

cleanup:
    return st;
}

static mts_status check_optimizer(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const bool adam = is(o->optim, "adamw") || is(o->optim, "adamw_8bit");
    /* our own option, so nobody pastes it with another optimizer by habit: it was meant to act */
    MTS_CHECK(o->sgd_momentum == 0 || !adam, MTS_ERR_ARGUMENT,
              "--sgd_momentum needs --optim sgd or sgd_int16, found %s", o->optim);
    /* where sqrt(v) is 0 the step is divided by epsilon alone; a quotient must not overflow */
    MTS_CHECK(
        !is(o->optim, "adamw") || (float)o->adam_epsilon > 0.0f, MTS_ERR_ARGUMENT,
        "--optim adamw needs an --adam_epsilon above 0: the moments of a weight whose gradient "
        "is 0 are both 0");
    MTS_CHECK(!is(o->optim, "adamw_8bit") || o->adam_epsilon >= 1e-30, MTS_ERR_ARGUMENT,
              "--optim adamw_8bit needs --adam_epsilon 1e-30 or more, found %.9g: a second moment "
              "of 8 bits may be 0",
              o->adam_epsilon);

cleanup:
    return st;
}

bool options_is_question_answering(const mts_options *o)
{
    return o->task_name != NULL && (is(o->task_name, "squad") || is(o->task_name, "squad_v2"));
}

bool options_expects_no_answer(const mts_options *o)
{
    return o->version_2_with_negative || (o->task_name != NULL && is(o->task_name, "squad_v2"));
}

int64_t options_usual_length(const mts_options *o)
{
    return options_is_question_answering(o) ? 384 : 128; /* as run_qa.py, run_glue.py */
}

static mts_status check_data(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const bool files = o->train_file != NULL || o->validation_file != NULL || o->test_file != NULL;
    const bool answers = options_is_question_answering(o);
    const bool tags = o->task_name != NULL && is(o->task_name, "ner");
    MTS_CHECK(!tags || files, MTS_ERR_ARGUMENT,
              "--task_name ner needs --train_file, --validation_file or --test_file");
    MTS_CHECK(o->task_name == NULL || !files || answers || tags, MTS_ERR_ARGUMENT,
              "give --task_name, or --train_file / --validation_file / --test_file, not both");
    MTS_CHECK(o->data_dir == NULL || !files, MTS_ERR_ARGUMENT,
              "give --data_dir, or --train_file / --validation_file / --test_file, not both");
    MTS_CHECK(o->task_name == NULL || o->data_dir != NULL || files, MTS_ERR_ARGUMENT,
              "--task_name %s needs --data_dir, the folder with the task's files%s", o->task_name,
              answers ? ", or --train_file / --validation_file / --test_file" : "");
    MTS_CHECK(o->task_name != NULL || o->data_dir == NULL, MTS_ERR_ARGUMENT,
              "--data_dir needs --task_name; other data is given file by file");
    MTS_CHECK(o->task_name == NULL || o->do_regression != 1, MTS_ERR_ARGUMENT,
              "--do_regression: --task_name %s already says what is predicted", o->task_name);
    MTS_CHECK(o->task_name == NULL || tags ||
                  (o->text_column_names == NULL && o->label_column_name == NULL),
              MTS_ERR_ARGUMENT,
              "--text_column_names and --label_column_name are known for --task_name %s",
              o->task_name);
    MTS_CHECK(o->task_name == NULL || o->label_separator == NULL, MTS_ERR_ARGUMENT,
              "--label_separator: a text has one label in --task_name %s", o->task_name);
    MTS_CHECK(o->label_separator == NULL || o->do_regression != 1, MTS_ERR_ARGUMENT,
              "--label_separator contradicts --do_regression");
    MTS_CHECK(o->label_separator == NULL || o->label_separator[0] != '\0', MTS_ERR_ARGUMENT,
              "option --label_separator: expected a text, found an empty one");

cleanup:
    return st;
}

static mts_status check_question_answering(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const bool answers = options_is_question_answering(o);
    const int64_t length = o->max_seq_length > 0 ? o->max_seq_length : options_usual_length(o);
    MTS_CHECK(!o->version_2_with_negative || o->task_name == NULL || answers, MTS_ERR_ARGUMENT,
              "--version_2_with_negative needs --task_name squad or squad_v2, found %s",
              o->task_name);
    MTS_CHECK(!answers || o->doc_stride < length, MTS_ERR_ARGUMENT,
              "option --doc_stride: expected less than --max_seq_length %lld, found %lld",
              (long long)length, (long long)o->doc_stride);

cleanup:
    return st;
}

static mts_status check_limits(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const struct {
        const char *name;
        int64_t rows;
    } limits[] = {{"max_train_samples", o->max_train_samples},
                  {"max_eval_samples", o->max_eval_samples},
                  {"max_predict_samples", o->max_predict_samples}};
    MTS_CHECK(o->max_seq_length == 0 || o->max_seq_length >= 3, MTS_ERR_ARGUMENT,
              "option --max_seq_length: expected 3 to 65536, or 0 for 128 (question answering: "
              "384) or as "
              "many as the model has positions, found %lld",
              (long long)o->max_seq_length);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        MTS_CHECK(limits[i].rows != 0, MTS_ERR_ARGUMENT,
                  "option --%s: expected at least 1, or -1 for all rows, found 0", limits[i].name);

cleanup:
    return st;
}

/* The first option that acts on adapters only and is not as by default; NULL: none. */
static const char *changed_of_adapter(const mts_options *o)
{
    mts_options usual;
    mts_options_default(&usual);
    const struct {
        const char *name;
        bool changed;
    } rows[] = {{"lora_r", o->lora_r != usual.lora_r},
                {"lora_alpha", o->lora_alpha != usual.lora_alpha},
                {"use_rslora", o->use_rslora},
                {"target_modules", o->target_modules != NULL},
                {"dylora_update", !is(o->dylora_update, usual.dylora_update)},
                {"ranks", o->ranks != NULL},
                {"rank_weighting", !is(o->rank_weighting, usual.rank_weighting)},
                {"lora_dropout", o->lora_dropout != usual.lora_dropout}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].changed)
            return rows[i].name;
    return NULL;
}

/* What --method dylora alone has. */
static mts_status check_dylora(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const bool dylora = is(o->method, "dylora"), sampled = is(o->rank_weighting, "sample");
    rank_list ranks;
    MTS_CHECK(dylora || is(o->method, "full") || is(o->dylora_update, "all"), MTS_ERR_ARGUMENT,
              "--dylora_update %s needs --method dylora, found %s", o->dylora_update, o->method);
    MTS_CHECK(dylora || o->ranks == NULL, MTS_ERR_ARGUMENT,
              "--ranks needs --method dylora, found %s", o->method);
    MTS_CHECK(dylora || sampled, MTS_ERR_ARGUMENT,
              "--rank_weighting %s needs --method dylora, found %s", o->rank_weighting, o->method);
    MTS_CHECK(
        !dylora || !sampled || is(o->optim, "adamw"), MTS_ERR_ARGUMENT,
        "--method dylora needs --optim adamw, found %s: ranks that a step does not use are to "
        "stay as they are",
        o->optim);
    MTS_CHECK(!dylora || !o->use_rslora, MTS_ERR_ARGUMENT,
              "--method dylora has its own scales (--rank_weighting): it has no --use_rslora");
    MTS_CHECK(sampled || is(o->dylora_update, "all"), MTS_ERR_ARGUMENT,
              "--dylora_update %s contradicts --rank_weighting %s, which trains all ranks",
              o->dylora_update, o->rank_weighting);
    if (dylora && o->adapter_name_or_path == NULL) /* else its rank is known later */
        MTS_TRY(rank_list_parse(ctx, o->ranks, o->lora_r, &ranks));
cleanup:
    return st;
}

static mts_status check_adapter(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const char *changed = is(o->method, "full") ? changed_of_adapter(o) : NULL;
    /* else all parameters would be trained, which nobody who gives these means */
    MTS_CHECK(changed == NULL, MTS_ERR_ARGUMENT, "--%s needs --method lora or dylora, found full",
              changed);
    MTS_CHECK(!o->do_train || o->adapter_name_or_path == NULL || !is(o->method, "full"),
              MTS_ERR_ARGUMENT, "--adapter_name_or_path needs --method lora or dylora, found %s",
              o->method);
    MTS_TRY(check_dylora(ctx, o));
    MTS_CHECK(o->base_bits == NULL || !o->do_train || !is(o->method, "full"), MTS_ERR_ARGUMENT,
              "--base_bits needs --method lora or dylora, found full");
    MTS_CHECK(o->target_modules == NULL || o->target_modules[0] != '\0', MTS_ERR_ARGUMENT,
              "option --target_modules: expected all-linear or names, found nothing");
cleanup:
    return st;
}

static mts_status check_outliers(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    MTS_CHECK(!is(o->outliers, "feature") || options_tell_outliers(o), MTS_ERR_ARGUMENT,
              "--outliers %s needs an integer --precision, found %s", o->outliers, o->precision);
    MTS_CHECK(o->outlier_threshold == 0 || o->outlier_threshold >= 1, MTS_ERR_ARGUMENT,
              "option --outlier_threshold: expected 0 or 1 to 1000000000, found %.9g",
              o->outlier_threshold);

cleanup:
    return st;
}

static mts_status check_steps(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    MTS_CHECK(o->logging_steps > 0, MTS_ERR_ARGUMENT,
              "option --logging_steps: expected more than 0, found 0");
    MTS_CHECK(o->save_steps > 0, MTS_ERR_ARGUMENT,
              "option --save_steps: expected more than 0, found 0");

cleanup:
    return st;
}

static mts_status check_schedule(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const bool warmup = o->warmup_steps > 0 || o->warmup_ratio > 0;
    MTS_CHECK(o->warmup_steps == 0 || o->warmup_ratio == 0, MTS_ERR_ARGUMENT,
              "give --warmup_steps or --warmup_ratio, not both");
    MTS_CHECK(!warmup || !is(o->lr_scheduler_type, "constant"), MTS_ERR_ARGUMENT,
              "--lr_scheduler_type constant has no warm-up; use constant_with_warmup");
    MTS_CHECK(o->train_sampling_strategy == NULL || !o->group_by_length ||
                  is(o->train_sampling_strategy, "group_by_length"),
              MTS_ERR_ARGUMENT, "--group_by_length contradicts --train_sampling_strategy %s",
              o->train_sampling_strategy);
    MTS_CHECK(o->max_steps != 0, MTS_ERR_ARGUMENT,
              "option --max_steps: expected at least 1, or -1 for as the epochs say, found 0");
    MTS_CHECK(o->max_steps > 0 || o->num_train_epochs > 0, MTS_ERR_ARGUMENT,
              "option --num_train_epochs: expected more than 0, found 0");

cleanup:
    return st;
}

/* As transformers has it: parts of all steps are multiples up to the sixth decimal. */
static bool is_multiple(double large, double small)
{
    const double scale = large < 1 && small < 1 ? 1e6 : 1;
    const bool comparable = (large < 1) == (small < 1);
    return comparable && fmod(round(large * scale), round(small * scale)) == 0;
}

static mts_status check_strategies(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const bool evaluates = !is(o->eval_strategy, "no");
    const double eval_steps = o->eval_steps > 0 ? o->eval_steps : o->logging_steps;
    MTS_CHECK(!evaluates || o->do_eval != 0, MTS_ERR_ARGUMENT,
              "--eval_strategy %s contradicts --do_eval false", o->eval_strategy);
    MTS_CHECK(o->early_stopping_patience == 0 || evaluates, MTS_ERR_ARGUMENT,
              "--early_stopping_patience needs --eval_strategy epoch or steps, found no");
    MTS_CHECK(o->early_stopping_patience == 0 || o->load_best_model_at_end ||
                  o->metric_for_best_model != NULL,
              MTS_ERR_ARGUMENT,
              "--early_stopping_patience needs --metric_for_best_model or "
              "--load_best_model_at_end");
    MTS_CHECK(o->early_stopping_threshold == 0 || o->early_stopping_patience > 0, MTS_ERR_ARGUMENT,
              "--early_stopping_threshold needs --early_stopping_patience");
    if (!o->load_best_model_at_end)
        return MTS_OK;
    MTS_CHECK(evaluates && !is(o->save_strategy, "no"), MTS_ERR_ARGUMENT,
              "--load_best_model_at_end needs --eval_strategy and --save_strategy epoch or steps, "
              "found %s and %s",
              o->eval_strategy, o->save_strategy);
    MTS_CHECK(is(o->eval_strategy, o->save_strategy), MTS_ERR_ARGUMENT,
              "--load_best_model_at_end needs equal --eval_strategy and --save_strategy, "
              "found %s and %s",
              o->eval_strategy, o->save_strategy);
    MTS_CHECK(is(o->eval_strategy, "epoch") || is_multiple(o->save_steps, eval_steps),
              MTS_ERR_ARGUMENT,
              "--load_best_model_at_end needs --save_steps to be a multiple of --eval_steps, "
              "found %.9g and %.9g",
              o->save_steps, eval_steps);

cleanup:
    return st;
}

static mts_status check_formats(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    MTS_CHECK(!o->log_formats || options_precision_bits(o) > 0, MTS_ERR_ARGUMENT,
              "--log_formats needs an integer --precision, found %s", o->precision);
    MTS_CHECK(o->scales == NULL || options_precision_bits(o) > 0, MTS_ERR_ARGUMENT,
              "--scales needs an integer --precision, found %s", o->precision);
    MTS_CHECK(!options_has_4bit_base(o) || options_can_stream(o), MTS_ERR_ARGUMENT,
              "--base_bits 4 needs --exponent_group row, found %s", o->exponent_group);

cleanup:
    return st;
}

mts_status mts_options_check(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    mts_options own;
    MTS_TRY(options_take(ctx, options, &own));
    options = &own;
    for (size_t i = 0; i < mts_option_count(); i++)
        MTS_TRY(check_row(ctx, options, option_row_at(i)));
    MTS_TRY(check_optimizer(ctx, options));
    MTS_TRY(check_data(ctx, options));
    MTS_TRY(check_question_answering(ctx, options));
    MTS_TRY(check_outliers(ctx, options));
    MTS_TRY(check_limits(ctx, options));
    MTS_TRY(check_steps(ctx, options));
    MTS_TRY(check_schedule(ctx, options));
    MTS_TRY(check_strategies(ctx, options));
    MTS_TRY(check_formats(ctx, options));

cleanup:
    return st;
}

bool options_wants_final_eval(const mts_options *options)
{
    const bool has_data = options->data_dir != NULL || options->validation_file != NULL;
    return options->do_eval == 1 || !is(options->eval_strategy, "no") ||
           (options->do_eval == -1 && has_data);
}

mts_status options_check_eval(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    mts_options usual;
    rank_list ranks;
    mts_options_default(&usual);
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the folder of a fine-tuned model");
    MTS_CHECK(options->data_dir != NULL || options->validation_file != NULL, MTS_ERR_ARGUMENT,
              "evaluation data is missing: give --validation_file, or --task_name and "
              "--data_dir");
    MTS_CHECK(options->ranks == NULL || options->adapter_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "option --ranks needs --adapter_name_or_path");
    MTS_CHECK(options->generate_answers || options->max_new_tokens == usual.max_new_tokens,
              MTS_ERR_ARGUMENT, "--max_new_tokens needs --generate_answers here");
    MTS_CHECK(options->ranks == NULL || options->rank == 0, MTS_ERR_ARGUMENT,
              "give --rank or --ranks, not both");
    if (options->ranks != NULL)
        MTS_TRY(rank_list_parse(ctx, options->ranks, 0, &ranks));

cleanup:
    return st;
}

mts_status options_check_predict(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the folder of a fine-tuned model");

cleanup:
    return st;
}

mts_status options_check_train_rows(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the folder of a language model");
    MTS_CHECK(options->train_file != NULL, MTS_ERR_ARGUMENT,
              "rows are made of --train_file, which is missing");

cleanup:
    return st;
}

/* The rules of a draw, where none is made. */
static mts_status check_sampling(mts_ctx *ctx, const mts_options *o)
{
    mts_status st = MTS_OK;
    const char *idle = o->top_k != 0 ? "top_k" : o->top_p != 1.0 ? "top_p" : NULL;
    MTS_CHECK(o->temperature == 0.0 || o->temperature >= 0.01, MTS_ERR_ARGUMENT,
              "option --temperature: expected 0 or 0.01 to 100, found %.9g", o->temperature);
    MTS_CHECK(o->top_p > 0.0, MTS_ERR_ARGUMENT, "option --top_p: expected more than 0, found 0");
    MTS_CHECK(idle == NULL || o->temperature > 0.0, MTS_ERR_ARGUMENT,
              "--%s needs --temperature above 0: without it the most probable token is taken",
              idle);
cleanup:
    return st;
}

mts_status options_check_generate(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_TRY(check_sampling(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the folder of a language model");
    MTS_CHECK(options->rank == 0 || options->adapter_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "option --rank needs --adapter_name_or_path");
    MTS_CHECK(!options_has_4bit_base(options) || options->adapter_name_or_path != NULL,
              MTS_ERR_ARGUMENT, "--base_bits 4 needs --adapter_name_or_path");
cleanup:
    return st;
}

mts_status options_check_test_rows(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->data_dir != NULL || options->test_file != NULL, MTS_ERR_ARGUMENT,
              "data to predict is missing: give --test_file, or --task_name and --data_dir");

cleanup:
    return st;
}

mts_status options_check_describe(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_TRY(check_adapter(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "option --model_name_or_path: expected a model folder, found nothing");
cleanup:
    return st;
}

mts_status options_check_train(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    const bool task = options != NULL && options->data_dir != NULL;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_TRY(check_adapter(ctx, options));
    MTS_CHECK(
        options->do_train || options->do_eval == 1 || options->do_predict, MTS_ERR_ARGUMENT,
        "nothing to do: --do_train is false, and neither --do_eval nor --do_predict is given");
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the folder of the model to fine-tune");
    MTS_CHECK(options->output_dir != NULL, MTS_ERR_ARGUMENT,
              "--output_dir is missing: the folder for the fine-tuned model and the results");
    MTS_CHECK(!options->do_train || task || options->train_file != NULL, MTS_ERR_ARGUMENT,
              "training data is missing: give --train_file, or --task_name and --data_dir");
    MTS_CHECK(!options_wants_final_eval(options) || task || options->validation_file != NULL,
              MTS_ERR_ARGUMENT, "evaluation is asked for, but --validation_file is missing");
    MTS_CHECK(!options->do_predict || task || options->test_file != NULL, MTS_ERR_ARGUMENT,
              "--do_predict needs --test_file, or --task_name and --data_dir");

cleanup:
    return st;
}

bool options_name_gguf(const char *path)
{
    static const char end[] = ".gguf";
    const size_t n = strlen(path), m = sizeof end - 1;
    return n > m && strcmp(path + n - m, end) == 0;
}

bool options_exports_gguf(const mts_options *options)
{
    if (options->format == NULL)
        return options_name_gguf(options->output_dir);
    return is(options->format, "gguf");
}

static mts_status check_adapter_out(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->adapter_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--adapter_name_or_path is missing: the folder of an adapter");
    MTS_CHECK(options->output_dir != NULL, MTS_ERR_ARGUMENT,
              "--output_dir is missing: the folder to write");
cleanup:
    return st;
}

mts_status options_check_export(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    MTS_TRY(check_adapter_out(ctx, options));
    MTS_CHECK(options_exports_gguf(options) || !options_name_gguf(options->output_dir),
              MTS_ERR_ARGUMENT, "--format peft contradicts the name of --output_dir, %s",
              options->output_dir);
cleanup:
    return st;
}

mts_status options_check_merge(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    uint64_t bytes;
    MTS_TRY(check_adapter_out(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the model that the adapter belongs to");
    MTS_TRY(options_parse_size(ctx, "max_shard_size", options->max_shard_size, &bytes));
cleanup:
    return st;
}

mts_status options_check_quantize(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    uint64_t bytes;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->model_name_or_path != NULL, MTS_ERR_ARGUMENT,
              "--model_name_or_path is missing: the model to quantize");
    MTS_CHECK(options->output_dir != NULL, MTS_ERR_ARGUMENT,
              "--output_dir is missing: the folder to write");
    MTS_TRY(options_parse_size(ctx, "max_shard_size", options->max_shard_size, &bytes));
cleanup:
    return st;
}

mts_status options_check_synth(mts_ctx *ctx, const mts_options *options)
{
    mts_status st = MTS_OK;
    uint64_t bytes;
    MTS_TRY(mts_options_check(ctx, options));
    MTS_CHECK(options->like != NULL, MTS_ERR_ARGUMENT,
              "--like is missing: the model whose shape is wanted");
    MTS_CHECK(options->output_dir != NULL, MTS_ERR_ARGUMENT,
              "--output_dir is missing: the folder to write");
    MTS_TRY(options_parse_size(ctx, "max_shard_size", options->max_shard_size, &bytes));
cleanup:
    return st;
}
