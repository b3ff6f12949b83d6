/*
 * The table of options: one row each.  The command line's flags, --help, the range checks and the
 * defaults are all made from it, and what a fine-tuned folder and a checkpoint keep of them.
 *
 * Path: cli -> mts_options_set -> this table -> mts_options.
 * Names and defaults are those of transformers' TrainingArguments, run_glue.py and run_qa.py where
 * they exist; where ours differ (logging only) the results of a run are not affected.
 */
#include "options/options.h"

#define TRAIN MTS_USE_TRAIN
#define EVAL MTS_USE_EVAL
#define PREDICT MTS_USE_PREDICT
#define INFO MTS_USE_INFO
#define EXPORT MTS_USE_EXPORT
#define MERGE MTS_USE_MERGE
#define ROWS MTS_USE_ROWS
#define QUANTIZE MTS_USE_QUANTIZE
#define GENERATE MTS_USE_GENERATE
#define SYNTH MTS_USE_SYNTH
#define RUN (TRAIN | EVAL | PREDICT)
#define STORED OPTION_STORED
#define RESUMED OPTION_RESUMED
#define INTEGER OPTION_INTEGER
#define ANSWERS OPTION_ANSWERS
#define STEPS OPTION_STEPS
#define OUTLIERS OPTION_OUTLIERS
#define ADAPTER OPTION_ADAPTER
#define BELOW_ONE OPTION_BELOW_ONE
#define GIVEN OPTION_GIVEN
#define CHANGED OPTION_CHANGED

/* marks: a set of mts_use and of option_mark. */
#define ROW(field, kind, set, text, ...)                                                           \
    .marks = (set), .info = {.name = #field,                                                       \
                             .offset = offsetof(mts_options, field),                               \
                             .type = (kind),                                                       \
                             .used_by = (set)&OPTION_USES,                                         \
                             .group = GROUP,                                                       \
                             .help = (text),                                                       \
                             __VA_ARGS__}
#define TEXT(field, marks, text)                                                                   \
    {                                                                                              \
        ROW(field, MTS_OPTION_STRING, marks, text, .default_text = NULL)                           \
    }
/* A text with a default. */
#define WORD(field, standard, marks, text)                                                         \
    {                                                                                              \
        ROW(field, MTS_OPTION_STRING, marks, text, .default_text = (standard))                     \
    }
/* list: a macro that puts a text between the words. */
#define CHOICE(field, standard, list, marks, text)                                                 \
    {                                                                                              \
        .words = list("\0") "\0", ROW(field, MTS_OPTION_STRING, marks, text,                       \
                                      .default_text = (standard), .choices = list("|"))            \
    }
#define SWITCH(field, standard, marks, text)                                                       \
    {                                                                                              \
        ROW(field, MTS_OPTION_BOOL, marks, text, .default_text = (standard))                       \
    }
#define TRISTATE(field, marks, text)                                                               \
    {                                                                                              \
        ROW(field, MTS_OPTION_TRISTATE, marks, text, .default_text = "auto", .min = -1, .max = 1)  \
    }
#define NUMBER(kind, field, standard, low, high, marks, text)                                      \
    {                                                                                              \
        ROW(field, kind, marks, text, .default_text = (standard), .min = (low), .max = (high))     \
    }
#define INT(...) NUMBER(MTS_OPTION_INT, __VA_ARGS__)
#define REAL(...) NUMBER(MTS_OPTION_REAL, __VA_ARGS__)

#define LARGE 9007199254740991.0 /* 2^53 - 1: the largest integer that min and max can hold */
#define ROWS_MAX 1e9

#define TASKS(_)                                                                                   \
    "cola" _ "mnli" _ "mrpc" _ "qnli" _ "qqp" _ "rte" _ "sst2" _ "stsb" _ "wnli" _ "squad" _       \
    "squad_v2" _ "ner"
#define SCHEDULERS(_) "linear" _ "cosine" _ "constant" _ "constant_with_warmup"
#define OPTIMIZERS(_) "adamw" _ "adamw_8bit" _ "sgd" _ "sgd_int16"
#define PRECISIONS(_) "fp32" _ "bf16" _ "int16" _ "int12" _ "int10" _ "int8"
#define ROUNDINGS(_) "mixed" _ "stochastic" _ "nearest"
#define GROUPS(_) "tensor" _ "row" _ "block"
#define SCALES(_) "power_of_two" _ "largest"
#define OUTLIER_KINDS(_) "auto" _ "none" _ "feature"
#define OUTLIER_UPDATES(_) "once" _ "step"
#define METHODS(_) "full" _ "lora" _ "dylora" _ "qlora" _ "qdylora"
#define BASE_BITS(_) "16" _ "4"
#define RANK_UPDATES(_) "all" _ "last"
#define RANK_WEIGHTINGS(_) "sample" _ "matryoshka"
#define SAMPLINGS(_) "random" _ "sequential" _ "group_by_length"
#define ADAPTER_FORMATS(_) "peft" _ "gguf"
#define DTYPES(_) "auto" _ "float32" _ "bfloat16" _ "float16"
#define SHAPES(_) "falcon-40b" _ "falcon-7b" _ "falcon-tiny" _ "llama-7b" _ "llama-tiny"
#define CLASS_WEIGHTS(_) "balanced"
#define STRATEGIES(_) "no" _ "epoch" _ "steps"

static const option_row rows[] = {
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
    TEXT(model_name_or_path, RUN | GENERATE | INFO | EXPORT | MERGE | QUANTIZE,
         "model folder: config.json, model.safetensors, vocab.txt or tokenizer.json; or a GGUF "
         "file of a language model"),
    TEXT(output_dir, TRAIN | EVAL | EXPORT | MERGE | QUANTIZE | SYNTH,
         "folder to write; eval: for eval_results.json; export: or a name that ends in .gguf"),
    CHOICE(
        task_name, NULL, TASKS, RUN,
        "GLUE task, read from --data_dir; question answering (squad, squad_v2), from --data_dir or "
        "from files; or token classification (ner), from files"),
    TEXT(data_dir, RUN,
         "folder with the task's train.tsv, dev.tsv and test.tsv, or the folder above it"),
    TEXT(train_file, TRAIN | INFO | ROWS,
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
    TRISTATE(
        do_regression, TRAIN,
        "the label is a number to predict, not a class; auto: if there are fractions among them"),
    TEXT(label_separator, TRAIN | EVAL,
         "a text has a set of labels, with this between them in its field; train stores it in the "
         "folder; in JSON lines an array is a set of labels without it"),
    REAL(label_threshold, "0.5", 0, 1, RUN | STORED | CHANGED,
         "of sets of labels: a label is predicted where its probability is above"),
    TRISTATE(
        do_lower_case, RUN,
        "lower-case the text; auto: as the model's tokenizer says; train stores it in the folder"),
    INT(max_seq_length, "0", 0, 65536, RUN | INFO | STORED | ROWS,
        "longer texts are cut to so many tokens, 3 or more (question answering: into windows of so "
        "many); 0: 128 (question answering: 384), or the model's positions if these are fewer"),
    INT(max_train_samples, "-1", -1, ROWS_MAX, TRAIN | ROWS, "use the first so many rows; -1: all"),
    INT(max_eval_samples, "-1", -1, ROWS_MAX, TRAIN | EVAL, "use the first so many rows; -1: all"),
    INT(max_predict_samples, "-1", -1, ROWS_MAX, TRAIN | PREDICT,
        "use the first so many rows; -1: all"),
#undef GROUP

#define GROUP "Rows of language models"
    SWITCH(packing, "false", TRAIN | ROWS,
           "put several training rows into one of --max_seq_length tokens, where they do not see "
           "each other (best fit, decreasing: TRL's strategy bfd)"),
    TRISTATE(assistant_only_loss, TRAIN | EVAL | ROWS | STORED | GIVEN,
             "of rows of messages learn only what the assistant says; auto: all of them"),
    TRISTATE(completion_only_loss, TRAIN | EVAL | ROWS | STORED | GIVEN,
             "learn completions and not the prompts before them; auto: where there are "
             "completions"),
    TEXT(chat_template_path, TRAIN | EVAL | GENERATE | ROWS,
         "Jinja template of dialogues, or a folder with chat_template.jinja, in place of the "
         "model's; train writes it into the output folder"),
    TEXT(chat_template_date, TRAIN | EVAL | GENERATE | ROWS,
         "date for chat templates that tell today's, as 2024-07-26 [none: the date that stands in "
         "the template, so that rows are the same on every day]"),
#undef GROUP

#define GROUP "Question answering"
    SWITCH(version_2_with_negative, "false", RUN | STORED | ANSWERS,
           "some questions have no answer in their text; --task_name squad_v2 says so as well"),
    INT(doc_stride, "128", 0, 65535, RUN | STORED | ANSWERS,
        "tokens that two windows of a long text have in common; below --max_seq_length"),
    INT(n_best_size, "20", 1, 65536, RUN | STORED | ANSWERS,
        "answers to choose from, and to list for each question"),
    INT(max_answer_length, "30", 1, 65536, RUN | STORED | ANSWERS, "tokens of the longest answer"),
    REAL(null_score_diff_threshold, "0", -1e9, 1e9, RUN | STORED | ANSWERS,
         "no answer where its score is higher than that of the best answer by more than this; with "
         "--version_2_with_negative"),
#undef GROUP

#define GROUP "Token classification"
    TRISTATE(
        label_all_tokens, TRAIN | EVAL,
        "give every token of a word its tag, of B-X all but the first I-X, and count them like "
        "words; auto: only the first token has it; eval: as the model was trained"),
#undef GROUP

#define GROUP "Schedule"
    REAL(num_train_epochs, "3", 0, 1e6, TRAIN, "passes over the training data"),
    INT(max_steps, "-1", -1, ROWS_MAX, TRAIN, "optimizer steps; -1: as the epochs say"),
    INT(per_device_train_batch_size, "8", 1, 65536, TRAIN | INFO | RESUMED,
        "rows per forward pass"),
    INT(per_device_eval_batch_size, "8", 1, 65536, RUN | INFO,
        "rows per forward pass in evaluation"),
    INT(gradient_accumulation_steps, "1", 1, 65536, TRAIN | INFO | RESUMED,
        "forward passes per optimizer step"),
    SWITCH(group_by_length, "false", TRAIN | RESUMED,
           "put rows of similar length into a batch (faster)"),
    CHOICE(train_sampling_strategy, NULL, SAMPLINGS, TRAIN | RESUMED,
           "order of the rows in an epoch; group_by_length as the option of that name [random]"),
    SWITCH(gradient_checkpointing, "false", TRAIN | INFO,
           "compute activations again in the backward: less memory, more time, the same weights"),
    REAL(learning_rate, "5e-5", 0, 1000, TRAIN | RESUMED, "peak learning rate"),
    CHOICE(lr_scheduler_type, "linear", SCHEDULERS, TRAIN | RESUMED,
           "learning rate after the warm-up"),
    REAL(warmup_ratio, "0", 0, 1, TRAIN | RESUMED,
         "part of all steps in which the rate rises from 0"),
    REAL(warmup_steps, "0", 0, ROWS_MAX, TRAIN | RESUMED | STEPS,
         "the same, as a number of steps; below 1: as --warmup_ratio"),
    INT(seed, "42", 0, LARGE, TRAIN | GENERATE | SYNTH | RESUMED,
        "of shuffling, dropout, new weights and rounding; generate: of the draws; synth: of the "
        "weights"),
    INT(data_seed, "-1", -1, LARGE, TRAIN | RESUMED, "of shuffling; -1: --seed"),
#undef GROUP

#define GROUP "Optimizer"
    CHOICE(optim, "adamw", OPTIMIZERS, TRAIN | INFO | RESUMED,
           "adamw, adamw_8bit (both moments in 8 bits) and sgd keep fp32 master weights; "
           "sgd_int16 keeps 16-bit integer state"),
    REAL(weight_decay, "0", 0, 1000, TRAIN | RESUMED, "not applied to biases and LayerNorm"),
    REAL(adam_beta1, "0.9", 0, 1, TRAIN | RESUMED | BELOW_ONE, "below 1"),
    REAL(adam_beta2, "0.999", 0, 1, TRAIN | RESUMED | BELOW_ONE, "below 1"),
    REAL(adam_epsilon, "1e-8", 0, 1, TRAIN | RESUMED, "added to the root of the second moment"),
    REAL(sgd_momentum, "0", 0, 1, TRAIN | INFO | RESUMED | BELOW_ONE,
         "below 1; of sgd and sgd_int16"),
    REAL(max_grad_norm, "1", 0, 1e9, TRAIN | RESUMED,
         "clip the norm of all gradients; 0: do not clip"),
    REAL(label_smoothing_factor, "0", 0, 1, TRAIN | EVAL | STORED | RESUMED | CHANGED | BELOW_ONE,
         "of classes: part of each target that all classes share, in training and in the loss of "
         "evaluations; below 1; eval: as the training"),
    CHOICE(class_weights, NULL, CLASS_WEIGHTS, TRAIN | RESUMED,
           "balanced: in training a row counts by n / (k n_c), n rows, k classes, n_c rows of its "
           "own class [all rows alike]"),
    REAL(hidden_dropout, "-1", -1, 1, TRAIN | RESUMED | BELOW_ONE,
         "below 1; -1: as config.json says"),
    REAL(attention_dropout, "-1", -1, 1, TRAIN | RESUMED | BELOW_ONE,
         "below 1; -1: as config.json says"),
    REAL(classifier_dropout, "-1", -1, 1, TRAIN | RESUMED | BELOW_ONE,
         "below 1; -1: as config.json says"),
#undef GROUP

#define GROUP "Number format"
    CHOICE(precision, "int8", PRECISIONS, RUN | GENERATE | INFO | STORED | RESUMED,
           "arithmetic of forward and backward; intN: N-bit dynamic fixed point"),
    INT(weight_bits, "0", 0, 16, RUN | GENERATE | INFO | STORED | RESUMED | INTEGER,
        "4 to 16; 0: as --precision says"),
    INT(activation_bits, "0", 0, 16, RUN | GENERATE | INFO | STORED | RESUMED | INTEGER,
        "4 to 16; 0: as --precision says"),
    INT(gradient_bits, "0", 0, 16, TRAIN | INFO | RESUMED | INTEGER,
        "4 to 16; 0: as --precision says"),
    INT(attention_bits, "0", 0, 16, RUN | GENERATE | INFO | STORED | RESUMED | INTEGER,
        "of the products Q K' and P V; 4 to 16; 0: as --precision says, but 11 or more of language "
        "models"),
    INT(norm_bits, "0", 0, 16, RUN | GENERATE | INFO | STORED | RESUMED | INTEGER,
        "of LayerNorm; 4 to 16; 0: 16, which costs nothing"),
    CHOICE(rounding, "mixed", ROUNDINGS, TRAIN | RESUMED | INTEGER,
           "when mapping to integers; mixed: gradients stochastically (unbiased), the rest to "
           "nearest; stochastic: everything, as in the paper; evaluation rounds to nearest"),
    CHOICE(exponent_group, "row", GROUPS, RUN | GENERATE | INFO | STORED | RESUMED | INTEGER,
           "elements that share an exponent"),
    CHOICE(scales, NULL, SCALES, RUN | GENERATE | INFO | STORED | RESUMED | INTEGER,
           "what a mantissa of weights and activations is multiplied with: a power of two, or what "
           "makes the largest magnitude of a group the largest mantissa, with half the noise "
           "[power_of_two; of language models largest]"),
    CHOICE(outliers, "auto", OUTLIER_KINDS, RUN | GENERATE | INFO | STORED | RESUMED | OUTLIERS,
           "feature: features of linear layers' inputs that are far larger than the others have "
           "exponents and a width of their own, in 8-bit halves; of integer precisions; auto: "
           "feature for language models, none for the others"),
    REAL(outlier_threshold, "0", 0, 1e9, RUN | GENERATE | STORED | RESUMED | OUTLIERS,
         "with --outliers: the largest magnitude of an outlier is over so many times the median "
         "feature's, 1 or more; 0: 5, of language models 2.5"),
    INT(outlier_bits, "12", 9, 15, RUN | GENERATE | INFO | STORED | RESUMED | OUTLIERS,
        "with --outliers: their width, more than that of the other activations"),
    INT(outlier_weight_bits, "0", 0, 16,
        RUN | GENERATE | INFO | STORED | RESUMED | INTEGER | OUTLIERS,
        "with --outliers: width of the columns of weights that outliers meet, 4 to 16; 0: as the "
        "other weights, of language models 12 or more"),
    CHOICE(outlier_update, "once", OUTLIER_UPDATES, TRAIN | RESUMED | OUTLIERS,
           "with --outliers: find them once, before training, or anew in each step, for the next"),
#undef GROUP

#define GROUP "Adapter"
    CHOICE(
        method, "full", METHODS, TRAIN | INFO | RESUMED | ADAPTER,
        "full: all parameters are trained; lora: low-rank adapters beside a frozen model, written "
        "as PEFT's (adapter_model.safetensors); dylora: the same, with a rank b of 1 to --lora_r "
        "drawn for each step, of which the first b ranks are used, so that every rank is good by "
        "itself; qlora, qdylora: these with --base_bits 4"),
    CHOICE(
        base_bits, NULL, BASE_BITS, RUN | GENERATE | INFO | MERGE | SYNTH | STORED | RESUMED,
        "with an adapter: the linear layers of the frozen model: 16: as the file has them; 4: in "
        "NF4 with double quantisation, an eighth of the memory of fp32, unpacked panel by panel "
        "in every product; eval, predict, generate and merge: as the adapter was trained [16; of a "
        "base in NF4: 4]; synth: of the layers' matrices that are written [4]"),
    INT(lora_r, "8", 1, 4096, TRAIN | INFO | RESUMED | ADAPTER,
        "with --method lora or dylora: the rank"),
    REAL(lora_alpha, "16", 0, 1e9, TRAIN | RESUMED | ADAPTER,
         "with --method lora or dylora: the adapter's output is scaled by alpha / rank"),
    SWITCH(use_rslora, "false", TRAIN | RESUMED | ADAPTER,
           "with --method lora: by alpha / sqrt(rank) instead"),
    TEXT(target_modules, TRAIN | INFO | RESUMED | ADAPTER,
         "with --method lora or dylora: the linear layers that get one, ends of their names "
         "separated by "
         "commas, e.g. q_proj,v_proj [all-linear]"),
    CHOICE(dylora_update, "all", RANK_UPDATES, TRAIN | RESUMED | ADAPTER,
           "with --method dylora: train all of the b ranks in use, or the last of them: those that "
           "the next smaller rank of --ranks lacks"),
    TEXT(ranks, TRAIN | EVAL | RESUMED | ADAPTER,
         "with --method dylora: the ranks that are drawn from, rising, the last of them --lora_r: "
         "1..64, or 1,2,4,8 [1..lora_r]; eval: evaluate each of these, into a table, and with "
         "--output_dir into eval_ranks.svg, the loss by rank"),
    CHOICE(rank_weighting, "sample", RANK_WEIGHTINGS, TRAIN | RESUMED | ADAPTER,
           "with --method dylora: sample: draw a rank for each step; matryoshka: train all of "
           "--ranks in each, rank i weighted by the sum of alpha / sqrt(r) over the ranks r from i "
           "on; each is then used scaled by alpha / sqrt(rank) (--lora_alpha 1 in the paper)"),
    REAL(lora_dropout, "-1", -1, 1, TRAIN | INFO | RESUMED | ADAPTER | BELOW_ONE,
         "with --method lora or dylora: of the adapters' inputs; below 1; -1: as the folder of "
         "--adapter_name_or_path says, 0 for a new one"),
    INT(rank, "0", 0, 4096, EVAL | PREDICT | GENERATE | EXPORT | MERGE,
        "with --adapter_name_or_path: use its first so many ranks, scaled by alpha / rank, or by "
        "alpha / sqrt(rank) where it has use_rslora; 0: all"),
    TEXT(adapter_name_or_path, RUN | GENERATE | INFO | EXPORT | MERGE,
         "folder of an adapter: train goes on from it (with --method lora, and its rank, alpha and "
         "targets), eval, predict and generate use it, export and merge read it"),
    CHOICE(format, NULL, ADAPTER_FORMATS, EXPORT,
           "peft: a folder; gguf: a file for llama.cpp, adapter_model.gguf in the output folder "
           "[as the name of --output_dir ends]"),
    CHOICE(dtype, "auto", DTYPES, MERGE,
           "type of the weights; auto: as in the model, of a GGUF file float32"),
    WORD(max_shard_size, "5GB", MERGE | QUANTIZE | SYNTH,
         "the weights are cut into files of at most so much"),
    CHOICE(like, NULL, SHAPES, SYNTH, "the model whose shape is written"),
    INT(layers, "0", 0, 1024, SYNTH, "so many layers; 0: as many as that model has"),
#undef GROUP

#define GROUP "Generation"
    INT(max_new_tokens, "128", 1, ROWS_MAX, GENERATE | EVAL,
        "tokens behind a prompt, fewer if an end-of-text token comes; eval: with "
        "--generate_answers"),
    REAL(temperature, "0", 0, 100, GENERATE,
         "draw tokens, by logits divided by it, 0.01 or more; 0: take the most probable"),
    INT(top_k, "0", 0, 1 << 24, GENERATE,
        "with --temperature: draw from the k most probable tokens; 0: from all"),
    REAL(top_p, "1", 0, 1, GENERATE,
         "with --temperature: draw from the most probable tokens that together reach p"),
    REAL(repetition_penalty, "1", 0.01, 100, GENERATE,
         "above 1: tokens that the text has already become less probable"),
    SWITCH(generate_answers, "false", EVAL,
           "also generate an answer to each row (most probable tokens, at most --max_new_tokens) "
           "and compare the number behind #### with that of the row's answer, as GSM8K does"),
#undef GROUP

#define GROUP "Evaluation, logging, checkpoints"
    CHOICE(eval_strategy, "no", STRATEGIES, TRAIN, "evaluate during training"),
    REAL(eval_steps, "0", 0, ROWS_MAX, TRAIN | STEPS,
         "with --eval_strategy steps, and after the last one; 0: as --logging_steps; below 1: part "
         "of all steps"),
    REAL(logging_steps, "50", 0, ROWS_MAX, TRAIN | STEPS,
         "steps between two lines of the metrics file; below 1: part of all steps"),
    CHOICE(save_strategy, "steps", STRATEGIES, TRAIN,
           "write checkpoints; the last one after the last step"),
    REAL(save_steps, "500", 0, ROWS_MAX, TRAIN | STEPS,
         "with --save_strategy steps; below 1: part of all steps"),
    INT(save_total_limit, "0", 0, ROWS_MAX, TRAIN, "keep so many checkpoints; 0: all"),
    SWITCH(load_best_model_at_end, "false", TRAIN,
           "the final model is the best one evaluated, not the last"),
    TEXT(metric_for_best_model, TRAIN | RESUMED,
         "which is the best model: loss, accuracy, f1, ... as the evaluation names them [loss, as "
         "in "
         "transformers, for every task]"),
    INT(early_stopping_patience, "0", 0, ROWS_MAX, TRAIN | RESUMED | CHANGED,
        "end training after so many evaluations in a row in which --metric_for_best_model was not "
        "better than the best before; 0: never"),
    REAL(early_stopping_threshold, "0", 0, 1e9, TRAIN | RESUMED | CHANGED,
         "with --early_stopping_patience: better is better by more than this"),
    TEXT(resume_from_checkpoint, TRAIN, "a checkpoint folder, or: last"),
    SWITCH(overwrite_output_dir, "false", TRAIN, "write over the run that is in the output folder"),
    TEXT(metrics_file, TRAIN, "JSON lines [metrics.jsonl in the output folder]"),
    SWITCH(
        log_formats, "false", TRAIN,
        "beside each log line, another in the metrics file: how well every linear layer's input, "
        "weight and gradients were mapped to integers (docs/FORMATS.md 14)"),
#undef GROUP

#define GROUP "Machine"
    INT(num_threads, "0", 0, 1024, RUN | GENERATE | INFO | QUANTIZE | SYNTH,
        "0: as many as there are processors this process may use"),
    SWITCH(calibrate, "false", INFO,
           "measure how long a step takes: forward and backward with the model's first two layers, "
           "from which that of all is worked out; some seconds, or about a minute for a large one"),
    SWITCH(skip_memory_check, "false", TRAIN | EVAL,
           "begin even if the plan of memory (mantissa info) is more than is free"),
#undef GROUP
};

size_t mts_option_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const mts_option_info *mts_option_at(size_t index)
{
    return index < mts_option_count() ? &rows[index].info : NULL;
}

const option_row *option_row_at(size_t index)
{
    return &rows[index];
}
