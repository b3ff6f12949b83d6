/*
 * The table of options: one row each.  The command line's flags, --help, the range checks and the
 * defaults are all made from it.
 *
 * Path: cli -> mts_options_set -> this table -> mts_options.
 * Names and defaults are those of transformers' TrainingArguments and run_glue.py where they
 * exist; where ours differ (logging only) the results of a run are not affected.
 */
#include "api/options.h"

#define TRAIN MTS_USE_TRAIN
#define EVAL MTS_USE_EVAL
#define PREDICT MTS_USE_PREDICT
#define INFO MTS_USE_INFO
#define RUN (TRAIN | EVAL | PREDICT)

#define FIELD(field) .name = #field, .offset = offsetof(mts_options, field)
#define TEXT(field, uses, text)                                                                    \
    {                                                                                              \
        FIELD(field), .type = MTS_OPTION_STRING, .group = GROUP, .used_by = (uses), .help = (text) \
    }
#define CHOICE(field, standard, list, uses, text)                                                  \
    {                                                                                              \
        FIELD(field), .type = MTS_OPTION_STRING, .default_text = (standard), .choices = (list),    \
                      .group = GROUP, .used_by = (uses), .help = (text)                            \
    }
#define SWITCH(field, standard, uses, text)                                                        \
    {                                                                                              \
        FIELD(field), .type = MTS_OPTION_BOOL, .default_text = (standard), .group = GROUP,         \
                      .used_by = (uses), .help = (text)                                            \
    }
#define TRISTATE(field, uses, text)                                                                \
    {                                                                                              \
        FIELD(field), .type = MTS_OPTION_TRISTATE, .default_text = "auto", .min = -1, .max = 1,    \
                      .group = GROUP, .used_by = (uses), .help = (text)                            \
    }
#define NUMBER(kind, field, standard, low, high, uses, text)                                       \
    {                                                                                              \
        FIELD(field), .type = (kind), .default_text = (standard), .min = (low), .max = (high),     \
                      .group = GROUP, .used_by = (uses), .help = (text)                            \
    }
#define INT(...) NUMBER(MTS_OPTION_INT, __VA_ARGS__)
#define REAL(...) NUMBER(MTS_OPTION_REAL, __VA_ARGS__)

#define LARGE 9007199254740991.0 /* 2^53 - 1: the largest integer that min and max can hold */
#define ROWS_MAX 1e9
#define TASKS "cola|mnli|mrpc|qnli|qqp|rte|sst2|stsb|wnli|squad|squad_v2"

static const mts_option_info options[] = {
#define GROUP "What to do"
    SWITCH(do_train, "true", TRAIN,
           "fine-tune; without it only --do_eval and --do_predict act, with "
           "the precision and length of the folder's training"),
    TRISTATE(do_eval, TRAIN,
             "evaluate the final model; auto: when there is validation data (--validation_file or "
             "--task_name)"),
    SWITCH(do_predict, "false", TRAIN,
           "label --test_file (or the task's test set) with the final model, into "
           "predict_results.txt of the output folder"),
#undef GROUP

#define GROUP "Model and data"
    TEXT(model_name_or_path, RUN | INFO,
         "model folder: config.json, model.safetensors, vocab.txt or tokenizer.json"),
    TEXT(output_dir, TRAIN | EVAL, "folder to write; eval: for eval_results.json"),
    CHOICE(
        task_name, NULL, TASKS, RUN,
        "GLUE task, read from --data_dir, or question answering (squad, squad_v2), from --data_dir "
        "or from files"),
    TEXT(data_dir, RUN,
         "folder with the task's train.tsv, dev.tsv and test.tsv, or the folder above it"),
    TEXT(train_file, TRAIN,
         "training data with named columns: .csv (RFC 4180), .tsv (a quote is an ordinary "
         "character, as in GLUE's files), .jsonl or .json (one object a line)"),
    TEXT(validation_file, TRAIN | EVAL,
         "evaluation data with named columns: .csv, .tsv (no quoting), .jsonl or .json (one object "
         "a line)"),
    TEXT(test_file, TRAIN | PREDICT,
         "data to label with named columns: .csv, .tsv (no quoting), .jsonl or .json (one object a "
         "line); train: with --do_predict"),
    TEXT(text_column_names, RUN, "one or two column names, separated by a comma [found by name]"),
    TEXT(label_column_name, RUN, "column of the label; predict: which is no text [label]"),
    SWITCH(do_regression, "false", TRAIN, "the label is a number to predict, not a class"),
    TRISTATE(
        do_lower_case, RUN,
        "lower-case the text; auto: as the model's tokenizer says; train stores it in the folder"),
    INT(max_seq_length, "0", 0, 65536, RUN | INFO,
        "longer texts are cut to so many tokens, 3 or more (question answering: into windows of so "
        "many); 0: 128 (question answering: 384), or the model's positions if these are fewer"),
    INT(max_train_samples, "-1", -1, ROWS_MAX, TRAIN, "use the first so many rows; -1: all"),
    INT(max_eval_samples, "-1", -1, ROWS_MAX, TRAIN | EVAL, "use the first so many rows; -1: all"),
    INT(max_predict_samples, "-1", -1, ROWS_MAX, TRAIN | PREDICT,
        "use the first so many rows; -1: all"),
#undef GROUP

#define GROUP "Question answering"
    SWITCH(version_2_with_negative, "false", RUN,
           "some questions have no answer in their text; --task_name squad_v2 says so as well"),
    INT(doc_stride, "128", 0, 65535, RUN,
        "tokens that two windows of a long text have in common; below --max_seq_length"),
    INT(n_best_size, "20", 1, 65536, RUN, "answers to choose from, and to list for each question"),
    INT(max_answer_length, "30", 1, 65536, RUN, "tokens of the longest answer"),
    REAL(null_score_diff_threshold, "0", -1e9, 1e9, RUN,
         "no answer where its score is higher than that of the best answer by more than this; with "
         "--version_2_with_negative"),
#undef GROUP

#define GROUP "Schedule"
    REAL(num_train_epochs, "3", 0, 1e6, TRAIN, "passes over the training data"),
    INT(max_steps, "-1", -1, ROWS_MAX, TRAIN, "optimizer steps; -1: as the epochs say"),
    INT(per_device_train_batch_size, "8", 1, 65536, TRAIN | INFO, "rows per forward pass"),
    INT(per_device_eval_batch_size, "8", 1, 65536, RUN | INFO,
        "rows per forward pass in evaluation"),
    INT(gradient_accumulation_steps, "1", 1, 65536, TRAIN, "forward passes per optimizer step"),
    SWITCH(group_by_length, "false", TRAIN, "put rows of similar length into a batch (faster)"),
    SWITCH(gradient_checkpointing, "false", TRAIN | INFO,
           "compute activations again in the backward: less memory, more time, the same weights"),
    REAL(learning_rate, "5e-5", 0, 1000, TRAIN, "peak learning rate"),
    CHOICE(lr_scheduler_type, "linear", "linear|cosine|constant|constant_with_warmup", TRAIN,
           "learning rate after the warm-up"),
    REAL(warmup_ratio, "0", 0, 1, TRAIN, "part of all steps in which the rate rises from 0"),
    REAL(warmup_steps, "0", 0, ROWS_MAX, TRAIN,
         "the same, as a number of steps; below 1: as --warmup_ratio"),
    INT(seed, "42", 0, LARGE, TRAIN, "of shuffling, dropout, new weights and rounding"),
    INT(data_seed, "-1", -1, LARGE, TRAIN, "of shuffling; -1: --seed"),
#undef GROUP

#define GROUP "Optimizer"
    CHOICE(optim, "adamw", "adamw|adamw_8bit|sgd|sgd_int16", TRAIN | INFO,
           "adamw, adamw_8bit (both moments in 8 bits) and sgd keep fp32 master weights; "
           "sgd_int16 keeps 16-bit integer state"),
    REAL(weight_decay, "0", 0, 1000, TRAIN, "not applied to biases and LayerNorm"),
    REAL(adam_beta1, "0.9", 0, 1, TRAIN, "below 1"),
    REAL(adam_beta2, "0.999", 0, 1, TRAIN, "below 1"),
    REAL(adam_epsilon, "1e-8", 0, 1, TRAIN, "added to the root of the second moment"),
    REAL(sgd_momentum, "0", 0, 1, TRAIN | INFO, "below 1; of sgd and sgd_int16"),
    REAL(max_grad_norm, "1", 0, 1e9, TRAIN, "clip the norm of all gradients; 0: do not clip"),
    REAL(hidden_dropout, "-1", -1, 1, TRAIN, "below 1; -1: as config.json says"),
    REAL(attention_dropout, "-1", -1, 1, TRAIN, "below 1; -1: as config.json says"),
    REAL(classifier_dropout, "-1", -1, 1, TRAIN, "below 1; -1: as config.json says"),
#undef GROUP

#define GROUP "Number format"
    CHOICE(precision, "int8", "fp32|bf16|int16|int12|int10|int8", RUN | INFO,
           "arithmetic of forward and backward; intN: N-bit dynamic fixed point"),
    INT(weight_bits, "0", 0, 16, RUN | INFO, "4 to 16; 0: as --precision says"),
    INT(activation_bits, "0", 0, 16, RUN | INFO, "4 to 16; 0: as --precision says"),
    INT(gradient_bits, "0", 0, 16, TRAIN | INFO, "4 to 16; 0: as --precision says"),
    INT(attention_bits, "0", 0, 16, RUN | INFO,
        "of the products Q K' and P V; 4 to 16; 0: as --precision says"),
    INT(norm_bits, "0", 0, 16, RUN | INFO, "of LayerNorm; 4 to 16; 0: 16, which costs nothing"),
    CHOICE(rounding, "mixed", "mixed|stochastic|nearest", TRAIN,
           "when mapping to integers; mixed: gradients stochastically (unbiased), the rest to "
           "nearest; stochastic: everything, as in the paper; evaluation rounds to nearest"),
    CHOICE(exponent_group, "row", "tensor|row|block", RUN | INFO,
           "elements that share an exponent"),
#undef GROUP

#define GROUP "Evaluation, logging, checkpoints"
    CHOICE(eval_strategy, "no", "no|epoch|steps", TRAIN, "evaluate during training"),
    REAL(eval_steps, "0", 0, ROWS_MAX, TRAIN,
         "with --eval_strategy steps, and after the last one; 0: as --logging_steps; below 1: part "
         "of all steps"),
    REAL(logging_steps, "50", 0, ROWS_MAX, TRAIN,
         "steps between two lines of the metrics file; below 1: part of all steps"),
    CHOICE(save_strategy, "steps", "no|epoch|steps", TRAIN,
           "write checkpoints; the last one after the last step"),
    REAL(save_steps, "500", 0, ROWS_MAX, TRAIN,
         "with --save_strategy steps; below 1: part of all steps"),
    INT(save_total_limit, "0", 0, ROWS_MAX, TRAIN, "keep so many checkpoints; 0: all"),
    SWITCH(load_best_model_at_end, "false", TRAIN,
           "the final model is the best one evaluated, not the last"),
    TEXT(metric_for_best_model, TRAIN,
         "which is the best model: loss, accuracy, f1, ... as the evaluation names them [loss, as "
         "in "
         "transformers, for every task]"),
    TEXT(resume_from_checkpoint, TRAIN, "a checkpoint folder, or: last"),
    SWITCH(overwrite_output_dir, "false", TRAIN, "write over the run that is in the output folder"),
    TEXT(metrics_file, TRAIN, "JSON lines [metrics.jsonl in the output folder]"),
#undef GROUP

#define GROUP "Machine"
    INT(num_threads, "0", 0, 1024, RUN | INFO,
        "0: as many as there are processors this process may use"),
#undef GROUP
};

/* Other spellings of a name, and of a value, that mean the same in transformers' scripts. */
const option_alias option_name_aliases[] = {
    {"evaluation_strategy", NULL, "eval_strategy"},
    {NULL, NULL, NULL},
};

const option_alias option_value_aliases[] = {
    {"optim", "adamw_torch", "adamw"},
    {"optim", "adamw_torch_fused", "adamw"},
    {"optim", "adamw_hf", "adamw"},
    {"optim", "adamw_bnb_8bit", "adamw_8bit"},
    {"resume_from_checkpoint", "true", "last"},
    {"resume_from_checkpoint", "True", "last"},
    {"task_name", "CoLA", "cola"},
    {"task_name", "MNLI", "mnli"},
    {"task_name", "MRPC", "mrpc"},
    {"task_name", "QNLI", "qnli"},
    {"task_name", "QQP", "qqp"},
    {"task_name", "RTE", "rte"},
    {"task_name", "SST-2", "sst2"},
    {"task_name", "STS-B", "stsb"},
    {"task_name", "SST2", "sst2"},
    {"task_name", "STSB", "stsb"},
    {"task_name", "sst-2", "sst2"},
    {"task_name", "sts-b", "stsb"},
    {"task_name", "WNLI", "wnli"},
    {NULL, NULL, NULL},
};

/* Options of transformers' scripts that do not exist here, where they change nothing. */
const option_idle option_idles[] = {
    {"bf16", false, true, NULL},
    {"dataloader_drop_last", false, true, NULL},
    {"dataloader_num_workers", false, false, "0"},
    {"disable_tqdm", true, true, NULL},
    {"fp16", false, true, NULL},
    {"ignore_mismatched_sizes", true, false, NULL},
    {"label_smoothing_factor", false, false, "0"},
    {"no_cuda", true, false, NULL},
    {"overwrite_cache", true, true, NULL},
    {"pad_to_max_length", false, true, NULL},
    {"push_to_hub", false, true, NULL},
    {"report_to", false, false, "none"},
    {"trust_remote_code", false, true, NULL},
    {"use_cpu", true, false, NULL},
    {"use_fast_tokenizer", true, true, NULL},
    {NULL, false, false, NULL},
};

/* The same with other values, and more of them: what to do instead. */
const option_hint option_hints[] = {
    {"bf16", "use --precision bf16"},
    {"cache_dir", "models and data are read from local folders only"},
    {"config_name", "config.json is read from --model_name_or_path"},
    {"dataloader_drop_last", "the last batch of an epoch is used as it is"},
    {"dataloader_num_workers", "rows are tokenized once, by all threads; leave it out"},
    {"dataset_name", "use --train_file and --validation_file, or --task_name with --data_dir"},
    {"disable_tqdm", "the bar is drawn on a terminal only; leave it out"},
    {"fp16", "use --precision bf16, int16, int12, int10 or int8"},
    {"greater_is_better", "a smaller value is better for a loss, a greater one otherwise"},
    {"ignore_mismatched_sizes", "a head that does not fit the labels is always made new"},
    {"label_smoothing_factor", "label smoothing is not available"},
    {"logging_dir", "use --metrics_file"},
    {"logging_strategy", "use --logging_steps"},
    {"no_cuda", "everything runs on the CPU; leave it out"},
    {"overwrite_cache", "there is no cache of tokenized data; leave it out"},
    {"pad_to_max_length", "nothing is padded: rows are concatenated; leave it out"},
    {"push_to_hub", "the result is a local folder; leave it out"},
    {"report_to", "use --metrics_file"},
    {"tokenizer_name", "the tokenizer is read from --model_name_or_path"},
    {"token", "models and data are read from local folders only"},
    {"train_sampling_strategy", "use --group_by_length"},
    {"trust_remote_code", "no code is read from model folders; leave it out"},
    {"use_cpu", "everything runs on the CPU; leave it out"},
    {"use_fast_tokenizer", "there is one tokenizer; leave it out"},
    {NULL, NULL},
};

size_t mts_option_count(void)
{
    return sizeof options / sizeof options[0];
}

const mts_option_info *mts_option_at(size_t index)
{
    return index < mts_option_count() ? &options[index] : NULL;
}
