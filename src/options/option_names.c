/*
 * Names and values of other programs: which mean an option of ours, which change nothing, and
 * what to do instead of the others.
 *
 * Path: mts_options_set, mts_option_find, mts_option_is_idle -> here.
 */
#include "options/options.h"

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
