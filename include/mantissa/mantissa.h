/*
 * Mantissa: fine-tune language models in integers, on CPUs.  The one public header.
 *
 *   Simple use:   create a context, fill an mts_options, call mts_train / mts_eval, or open an
 *                 mts_predictor or mts_generator and feed it texts.  Everything else serves these.
 *   Errors:       every function that can fail returns an mts_status; the text, with what, where,
 *                 expected and found, is in mts_error_text(ctx) until the next call on that ctx.
 *   Threads:      a context serves one thread at a time; two contexts are independent.  Inside a
 *                 call, OpenMP threads are used as mts_options.num_threads says.
 *   Ownership:    _create/_open hand over an object that _destroy/_close frees (NULL is allowed).
 *                 Strings and structs returned by pointer belong to the object they came from.
 *   Environment:  MANTISSA_KERNEL=ref|avx2|avx512vnni|amx forces a family of integer kernels; an
 *                 unknown or unsupported name is an error.  The library never prints or exits.
 */
#ifndef MANTISSA_MANTISSA_H
#define MANTISSA_MANTISSA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MTS_API __attribute__((visibility("default")))
#define MTS_NODISCARD __attribute__((warn_unused_result))
#else
#define MTS_API
#define MTS_NODISCARD
#endif

#define MTS_VERSION "0.1.0"

/* ------------------------------------------------------------------ status and context ---- */

typedef enum mts_status {
    MTS_OK = 0,
    MTS_ERR_ARGUMENT,    /* an option or argument is out of range, or does not fit the others    */
    MTS_ERR_NOT_FOUND,   /* a file or folder does not exist                                      */
    MTS_ERR_IO,          /* the operating system refused: permission, full disk, short read      */
    MTS_ERR_BAD_FILE,    /* a file exists but its content is malformed or contradicts itself     */
    MTS_ERR_UNSUPPORTED, /* well-formed, but not something this version can do                   */
    MTS_ERR_MEMORY,      /* an allocation failed                                                 */
    MTS_ERR_NUMERIC,     /* NaN or infinity in training; the text names the layer and the step   */
    MTS_ERR_INTERRUPTED, /* the caller's on_event returned false; stopped after a step: a
                            checkpoint was written; the text says how to go on                */
} mts_status;

typedef struct mts_ctx mts_ctx;

/* A short constant name of a status, e.g. "bad file"; never NULL. */
MTS_API const char *mts_status_name(mts_status status);

/*
 * *out: a new context.  MTS_ERR_MEMORY.
 * What is opened or run with a context keeps a pointer to it: destroy it last, after every
 * mts_predictor and mts_tokenizer that was opened with it.
 * jansson: if its allocation functions are malloc and free, the first context puts in the place of
 * malloc a function that calls it and notes a failure.  Functions of the host program's own stay.
 */
MTS_NODISCARD MTS_API mts_status mts_ctx_create(mts_ctx **out);
MTS_API void mts_ctx_destroy(mts_ctx *ctx);

/* Text of the last error on this context ("" if none).  Valid until the next call on ctx. */
MTS_API const char *mts_error_text(const mts_ctx *ctx);

/* ------------------------------------------------------------------------------ options ---- */

/*
 * All options of train, eval, predict and generate.  Strings are borrowed: the caller keeps them
 * alive until the call returns.  A NULL string means "not given".  The rows of one table
 * (mts_option_at) have these names; the command line, --help and the checks are made from it.
 *
 * Growth: new fields come at the end only.  `size`, set by mts_options_default, tells the library
 * how much of the struct the caller's header knows: it never reads or writes behind that, so that a
 * program need not be compiled anew for a newer library.
 */
typedef struct mts_options {
    size_t size; /* bytes; set by mts_options_default */

    /* what `mantissa train` does */
    bool do_train;   /* fine-tune; default true */
    int64_t do_eval; /* evaluate the final model: 1, 0, or -1: when there is validation data */
    bool do_predict; /* label the test data into predict_results.txt of output_dir */

    /* model and data */
    const char *model_name_or_path; /* folder, or GGUF file, of the model to start from or use */
    const char *output_dir;         /* folder to write; made if it is not there */
    const char *task_name;          /* cola | mnli | ... | wnli | squad | squad_v2 | ner */
    const char *data_dir;           /* folder with the task's files, or the one above it */
    const char *train_file;         /* .csv, .tsv, .jsonl, .json: instead of task_name; ner needs
                                       both, squad may have both */
    const char *validation_file;
    const char *test_file;
    const char *text_column_names; /* one or two names, comma separated; NULL: found by name */
    const char *label_column_name; /* NULL: "label" */
    int64_t do_regression;     /* 1: the label is a number; 0: a class; -1: as the labels look */
    int64_t do_lower_case;     /* 1, 0, or -1: as the model's tokenizer says */
    int64_t max_seq_length;    /* tokens that a text is cut to, 3 to 65536; 0: 128 (question
                                  answering: 384), or the model's positions if these are fewer */
    int64_t max_train_samples; /* rows: use the first so many; -1: all; likewise below */
    int64_t max_eval_samples;
    int64_t max_predict_samples;

    /* question answering */
    bool version_2_with_negative; /* some questions have no answer in their text, as in squad_v2 */
    int64_t doc_stride;  /* tokens that two windows of a long text have in common; default 128 */
    int64_t n_best_size; /* answers to choose from and to list for a question; default 20 */
    int64_t max_answer_length;        /* tokens of the longest answer; default 30 */
    double null_score_diff_threshold; /* logits: "no answer" if it is ahead by more; default 0 */

    /* schedule */
    double num_train_epochs;             /* passes over the training data; default 3 */
    int64_t max_steps;                   /* optimizer steps; -1: as the epochs say */
    int64_t per_device_train_batch_size; /* rows of a forward pass; default 8 */
    int64_t per_device_eval_batch_size;  /* the same, in evaluation and prediction */
    int64_t gradient_accumulation_steps; /* forward passes of an optimizer step; default 1 */
    bool group_by_length;                /* rows of similar length share a batch: faster */
    bool gradient_checkpointing;   /* less memory, about a quarter more time, the same weights */
    const char *lr_scheduler_type; /* linear | cosine | constant | constant_with_warmup */
    double learning_rate;          /* the highest of the schedule; default 5e-5 */
    double warmup_ratio;           /* part of all steps in which the rate rises from 0; 0 to 1 */
    double warmup_steps; /* the same in steps: a whole number, or below 1: part of all steps;
                            likewise the other numbers of steps below */
    int64_t seed;        /* of shuffling, dropout, new weights and rounding; default 42 */
    int64_t data_seed;   /* of shuffling; -1: as seed */

    /* optimizer */
    const char *optim;     /* adamw | adamw_8bit | sgd | sgd_int16 */
    double weight_decay;   /* per unit of the learning rate; not of biases and LayerNorm */
    double adam_beta1;     /* decay of the first moment, below 1; default 0.9 */
    double adam_beta2;     /* of the second, below 1; default 0.999 */
    double adam_epsilon;   /* added to the root of the second moment; default 1e-8 */
    double sgd_momentum;   /* below 1; of sgd and sgd_int16 */
    double max_grad_norm;  /* the norm of all gradients is clipped to it; 0: it is not */
    double hidden_dropout; /* probability, below 1; -1: as config.json says; likewise below */
    double attention_dropout;
    double classifier_dropout;

    /* number format */
    const char *precision; /* fp32 | bf16 | int16 | int12 | int10 | int8 */
    int64_t weight_bits;   /* 4 to 16; 0: as precision says; likewise below */
    int64_t activation_bits;
    int64_t gradient_bits;
    int64_t attention_bits;     /* of the products Q K' and P V; 0: as the architecture has it */
    int64_t norm_bits;          /* of LayerNorm; 0: 16 */
    const char *rounding;       /* mixed | stochastic | nearest; evaluation: nearest */
    const char *exponent_group; /* elements that share an exponent: tensor | row | block */

    /* evaluation, logging, checkpoints */
    const char *eval_strategy;          /* during training: no | epoch | steps */
    double eval_steps;                  /* 0: as logging_steps */
    double logging_steps;               /* steps between two lines of the log; default 50 */
    const char *save_strategy;          /* checkpoints: no | epoch | steps */
    double save_steps;                  /* default 500 */
    int64_t save_total_limit;           /* keep so many checkpoints; 0: all */
    bool load_best_model_at_end;        /* the final model is the best evaluated, not the last */
    const char *metric_for_best_model;  /* loss, accuracy, f1, ...; NULL: loss */
    const char *resume_from_checkpoint; /* a folder, or "last"; NULL: begin anew */
    bool overwrite_output_dir;          /* another run's files in output_dir may be replaced */
    const char *metrics_file;           /* JSON lines; NULL: output_dir/metrics.jsonl */

    /* machine */
    int64_t num_threads; /* 0: all processors this process may use; at most 1024 */

    const char *train_sampling_strategy; /* random | sequential | group_by_length; NULL: as the
                                            field group_by_length says */

    /* outliers among the features of the inputs of linear layers; of integer precisions */
    const char *outliers;       /* auto | none | feature: they have bits and exponents of their own;
                                   auto: those of language models */
    double outlier_threshold;   /* an outlier's largest magnitude is over so many times the median
                                   feature's; 1 or more; 0: as the architecture has it */
    int64_t outlier_bits;       /* 9 to 15; default 12 */
    const char *outlier_update; /* once: found before training; step: anew in each step */

    bool log_formats; /* a line of metrics_file beside each log line of training: how well every
                         linear layer's numbers were mapped; of integer precisions */

    /* low-rank adapters (LoRA) beside a frozen model */
    const char *method;         /* what is trained: full | lora | dylora */
    int64_t lora_r;             /* rank; default 8 */
    double lora_alpha;          /* the adapter's output is scaled by alpha / rank; default 16 */
    bool use_rslora;            /* by alpha / sqrt(rank) instead */
    const char *target_modules; /* ends of names of linear layers, separated by commas; default
                                   all-linear */
    const char *adapter_name_or_path; /* a folder of an adapter (PEFT's): training goes on from it,
                                         evaluation and prediction use it; NULL: none */
    const char *dylora_update; /* the ranks that a step of dylora trains, having drawn b: all | last
                                  (of 1 to b, or those that the next smaller of `ranks` lacks) */
    /* evaluation, prediction, export and merge use the first so many ranks of the adapter, scaled
     * by alpha / rank, or alpha / sqrt(rank) where it has use_rslora; 0: all */
    int64_t rank;
    const char *ranks; /* of dylora: those that are drawn from, "1..8" or "1,2,4,8", rising, up to
                          lora_r; NULL: 1 to lora_r.  Evaluation: with each of these; NULL: with
                          `rank` */
    const char *rank_weighting; /* of dylora: sample: a step draws one | matryoshka: a step trains
                                   all, weighted, to be used scaled by alpha / sqrt(rank) */
    double lora_dropout; /* of the adapters' inputs; -1: as the adapter that training goes on from,
                            0 for a new one */

    /* what goes out: mts_export, mts_merge, mts_quantize */
    const char *format;         /* peft | gguf; NULL: gguf if output_dir ends in ".gguf" */
    const char *dtype;          /* of the merged weights: auto | float32 | bfloat16 | float16 */
    const char *max_shard_size; /* of a file of them, e.g. "5GB" (the default), "500MB", "2GiB" */

    /* rows of language models */
    bool packing;                   /* training: several rows in one of max_seq_length tokens */
    int64_t assistant_only_loss;    /* of dialogues learn what the assistant says: 1, 0, or -1: 0 */
    int64_t completion_only_loss;   /* learn completions, not prompts: 1, 0, or -1: where there are
                                       completions */
    const char *base_bits;          /* of the linear layers of a model beside an adapter: 16: as the
                                       file has them | 4: NF4 with double quantisation, unpacked
                                       panel by panel in every product; NULL: 16, of a base
                                       in NF4: 4.  mts_synth: of what is written; NULL: 4 */
    const char *chat_template_path; /* a Jinja template, or a folder with chat_template.jinja, in
                                       place of the model's; NULL: the model's */
    const char *chat_template_date; /* 2024-07-26 or the like: what strftime_now tells templates;
                                       NULL: they have no such function */

    const char *scales; /* of the mantissas of weights and activations, in integer precisions:
                           power_of_two | largest; NULL: as the architecture has it */
    int64_t outlier_weight_bits; /* of the columns of weights that outliers meet; 4 to 16; 0: as the
                                    architecture has it */

    int64_t label_all_tokens; /* token classification: every token of a word has its tag: 1, 0, or
                                 -1: only the first; evaluation: as the model was trained */

    /* mts_synth */
    const char *like; /* falcon-40b | falcon-7b | falcon-tiny | llama-7b | llama-tiny */
    int64_t layers;   /* of the model; 0: as many as that has */

    bool skip_memory_check; /* begin even if the run needs more memory than is free */

    /* sets of labels */
    const char *label_separator; /* between the labels in a cell; NULL: they are arrays of JSON;
                                    evaluation: as the model was trained */
    double label_threshold;      /* a label is predicted where its probability is above; 0.5 */

    /* the loss of classes, and the end of training */
    double label_smoothing_factor; /* part of a target that all classes share; 0 to below 1 */
    const char *class_weights;     /* balanced: each class counts alike, whatever the number of its
                                      rows; NULL: each row does */
    int64_t early_stopping_patience; /* training ends after so many evaluations in a row without a
                                        better metric_for_best_model; 0: it does not */
    double early_stopping_threshold; /* better is better by more than this; default 0 */

    /* generation */
    int64_t max_new_tokens; /* of a text, behind its prompt; default 128 */
    double temperature;     /* logits are divided by it; default 0: the most probable token */
    int64_t top_k;          /* draw from the k most probable tokens only; 0: from all */
    double top_p;           /* draw from the most probable tokens that together reach p; 1: all */
    double repetition_penalty; /* above 1: less of what the text has already; default 1 */

    bool generate_answers; /* evaluation: also generate an answer to each row, and compare the
                              number behind "####" */

    bool calibrate; /* mts_model_describe: measure how long a step takes */
} mts_options;

typedef enum mts_option_type {
    MTS_OPTION_STRING,
    MTS_OPTION_BOOL,
    MTS_OPTION_TRISTATE, /* int64_t: 0, 1, or -1 ("auto") */
    MTS_OPTION_INT,
    MTS_OPTION_REAL,
} mts_option_type;

/* Which calls an option has an effect on; a set of these is in mts_option_info.used_by. */
typedef enum mts_use {
    MTS_USE_TRAIN = 1,
    MTS_USE_EVAL = 2,
    MTS_USE_PREDICT = 4,
    MTS_USE_INFO = 8,
    MTS_USE_EXPORT = 16,
    MTS_USE_MERGE = 32,
    MTS_USE_ROWS = 64,
    MTS_USE_QUANTIZE = 128,
    MTS_USE_GENERATE = 256,
    MTS_USE_SYNTH = 512,
} mts_use;

/* One row of the option table.  Owned by the library, constant.  New fields come at the end. */
typedef struct mts_option_info {
    const char *name; /* as in the struct; the flag is --name, dashes and underscores alike */
    mts_option_type type;
    const char *default_text; /* NULL: not given */
    double min, max;          /* inclusive, for INT and REAL */
    const char *choices;      /* "a|b|c" for a STRING with fixed choices, else NULL */
    const char *group;        /* heading in --help */
    const char *help;
    unsigned used_by; /* set of mts_use: the calls on which this option has an effect */
    size_t offset;    /* of the field in mts_options */
} mts_option_info;

MTS_API size_t mts_option_count(void);
MTS_API const mts_option_info *mts_option_at(size_t index);
/* NULL if unknown.  Accepts dashes for underscores. */
MTS_API const mts_option_info *mts_option_find(const char *name);

/* Whether this is an option of transformers' scripts that does not exist here, with a value by
 * which it changes nothing ("report_to", "none"; "fp16", "false").  NULL: false. */
MTS_API bool mts_option_is_idle(const char *name, const char *text);

/* Fill options[size] with the defaults of the table.  A program calls mts_options_default, which
 * passes the size that its header knows. */
MTS_API void mts_options_default_sized(mts_options *options, size_t size);

static inline void mts_options_default(mts_options *options)
{
    mts_options_default_sized(options, sizeof *options);
}

/*
 * Parse text into the named field, range-checked.  text is borrowed for STRING.  Names and values
 * that transformers spells otherwise are accepted (optim adamw_torch is adamw, adamw_bnb_8bit is
 * adamw_8bit); where mts_option_is_idle is true nothing is set.  MTS_ERR_ARGUMENT: the text of an
 * unknown name suggests the nearest one; also an option that the caller's header does not have.
 */
MTS_NODISCARD MTS_API mts_status mts_options_set(mts_ctx *ctx, mts_options *options,
                                                 const char *name, const char *text);
/*
 * Set what the fine-tuned folder dir was trained with, as its config.json (of an adapter's folder
 * mantissa_config.json) says: the options for which mts_option_is_stored is true (precision and
 * widths, max_seq_length, those of question answering).  What it does not say stays as it is.  On
 * failure nothing is set.  MTS_ERR_NOT_FOUND, MTS_ERR_IO, MTS_ERR_BAD_FILE: also settings that
 * contradict each other or the model.
 */
MTS_NODISCARD MTS_API mts_status mts_options_from_model(mts_ctx *ctx, mts_options *options,
                                                        const char *dir);
/* Whether that function may set the option. */
MTS_API bool mts_option_is_stored(const mts_option_info *info);
/* Check ranges and combinations.  MTS_ERR_ARGUMENT. */
MTS_NODISCARD MTS_API mts_status mts_options_check(mts_ctx *ctx, const mts_options *options);

/* ----------------------------------------------------------------------------- training ---- */

typedef enum mts_event_kind {
    MTS_EVENT_NOTE,        /* text: one line a user should see (a head was initialised, ...)      */
    MTS_EVENT_PROGRESS,    /* text: the phase ("tokenizing", ...); done of total                  */
    MTS_EVENT_STEP,        /* one optimizer step is done: every numeric field is valid            */
    MTS_EVENT_METRICS,     /* text: JSON object of an evaluation                                  */
    MTS_EVENT_CHECKPOINT,  /* text: path of the checkpoint just completed                         */
    MTS_EVENT_WITHIN_STEP, /* text: the phase of a step ("forward", "head", "backward"), told when
                             a layer of it begins; done of total, in parts of about equal work */
    MTS_EVENT_TEXT         /* text: generated, whole characters; `done` bytes, maybe with NUL     */
} mts_event_kind;

/* Read it through the pointer: new fields come at the end only. */
typedef struct mts_event {
    mts_event_kind kind;
    const char *text;         /* valid during the callback */
    int64_t done, total;      /* steps, or of a phase its own unit; total -1: not known */
    double epoch;             /* passes over the training data done */
    double loss;              /* of this step */
    double learning_rate;     /* of this step */
    double grad_norm;         /* before clipping */
    double tokens_per_second; /* over the last steps */
    double seconds_left;      /* of the training */
    int64_t step, steps;      /* MTS_EVENT_WITHIN_STEP, as all below: the step, from 1, and of how
                                 many */
    int64_t batch, batches;   /* of the step, from 1 */
    int64_t layer, layers;    /* of the phase, from 1; of the head 0 */
} mts_event;

/* on_event may be NULL; it is called from the calling thread.  Return false to stop cleanly.  This
 * struct does not grow: what more there is to tell comes as events. */
typedef struct mts_callbacks {
    bool (*on_event)(void *user, const mts_event *event);
    void *user;
} mts_callbacks;

/* One evaluation's result: a JSON object {"eval_loss":..,"eval_accuracy":..}. Caller frees. */
MTS_API void mts_string_free(char *text);

/*
 * Fine-tune (do_train), evaluate (do_eval) and label the test set (do_predict) as options say;
 * writes output_dir.  *metrics_json (may be NULL) receives the final evaluation or NULL; free with
 * mts_string_free.  Without do_train the options count as they are: mts_options_from_model fills in
 * what the folder was trained with.  Any status; MTS_ERR_ARGUMENT also where another run is in
 * output_dir and overwrite_output_dir is not set, and where the run would write over what it reads.
 */
MTS_NODISCARD MTS_API mts_status mts_train(mts_ctx *ctx, const mts_options *options,
                                           const mts_callbacks *callbacks, char **metrics_json);

/* Evaluate a fine-tuned folder on validation data.  *metrics_json as above, never NULL if ok. */
MTS_NODISCARD MTS_API mts_status mts_eval(mts_ctx *ctx, const mts_options *options,
                                          const mts_callbacks *callbacks, char **metrics_json);

/* ------------------------------------------------------------------- what adapters become ---- */

/*
 * Write the adapter in adapter_name_or_path, or its first `rank` ranks, to output_dir:
 * a folder that PEFT opens (a new one, or an empty one that is there), or, as format
 * says, a GGUF file for llama.cpp: adapter_model.gguf in such a folder, or output_dir itself, a new
 * file, if that ends in ".gguf".  The order of rows in it depends on the base model: that is
 * model_name_or_path; else as mantissa_config.json beside the adapter says; else the model that
 * the adapter names.  What appears is complete, or nothing does.
 * MTS_ERR_ARGUMENT: options, ranks that it does not have, an output_dir that holds something;
 * MTS_ERR_UNSUPPORTED: in GGUF files an architecture, a layer or parameters that they have no name
 * for; MTS_ERR_NOT_FOUND, _IO, _BAD_FILE, _MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_export(mts_ctx *ctx, const mts_options *options);

/*
 * Write the model model_name_or_path, a folder or a GGUF file, with the adapter (as above) added to
 * its weights, as a folder that transformers opens: config.json, the tokenizer's files, the weights
 * in the type `dtype`, in files of max_shard_size.  A head that was trained with the adapter takes
 * the place of the model's.  Memory does not grow with the model.  callbacks (may be NULL) hears
 * how far it came; MTS_ERR_INTERRUPTED if it says so: nothing was written.
 * MTS_ERR_BAD_FILE: also an adapter of another model; otherwise as above.
 */
MTS_NODISCARD MTS_API mts_status mts_merge(mts_ctx *ctx, const mts_options *options,
                                           const mts_callbacks *callbacks);

/*
 * Write the language model model_name_or_path, a folder or a GGUF file, to the folder output_dir (a
 * new one, or an empty one that is there) with its layers' matrices in 4 bits: NF4 with double
 * quantisation, code for code as bitsandbytes makes it, all else in bfloat16, in files of
 * max_shard_size.  transformers opens it with bitsandbytes (not a Falcon: 5.23 leaves its layers
 * out of 4-bit loading), and so does every function here that takes a model's folder.  Memory does
 * not grow with the model.  callbacks (may be NULL) hears how far it came; MTS_ERR_INTERRUPTED
 * if it says so: then, and where the program was killed or the disk was full, OUTPUT_DIR.partial
 * holds what is finished, and the same call goes on with it.
 * MTS_ERR_ARGUMENT: options, an output_dir that holds something; MTS_ERR_UNSUPPORTED: no language
 * model, or quantized already; MTS_ERR_NOT_FOUND, _IO, _BAD_FILE, _MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_quantize(mts_ctx *ctx, const mts_options *options,
                                              const mts_callbacks *callbacks);

/*
 * Write a model of the shape of the language model `like` (with `layers` layers) to the folder
 * output_dir, as above: its config.json, every tensor by name and shape, and a tokenizer whose
 * tokens are bytes.  Matrices are random by `seed`, normal with the configuration's
 * initializer_range; those of the layers in NF4, or with base_bits 16 in bfloat16: then
 * mts_quantize makes the same folder of it.  A model of fewer layers begins as the whole one does.
 * MTS_ERR_ARGUMENT: options, an output_dir that holds something; MTS_ERR_INTERRUPTED as above;
 * MTS_ERR_IO, _MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_synth(mts_ctx *ctx, const mts_options *options,
                                           const mts_callbacks *callbacks);

/* --------------------------------------------------------------------------- prediction ---- */

typedef struct mts_predictor mts_predictor;

/* Open a fine-tuned folder (options: model_name_or_path, precision, bits, max_seq_length, ...).
 * ctx must outlive it: calls on the predictor are calls on ctx. */
MTS_NODISCARD MTS_API mts_status mts_predictor_open(mts_ctx *ctx, const mts_options *options,
                                                    mts_predictor **out);
MTS_API void mts_predictor_close(mts_predictor *predictor);

/* Number of outputs per row (1 for regression) and name of an output; owned by the predictor. */
MTS_API int64_t mts_predictor_num_labels(const mts_predictor *predictor);
MTS_API const char *mts_predictor_label(const mts_predictor *predictor, int64_t index);
MTS_API bool mts_predictor_is_regression(const mts_predictor *predictor);
/*
 * Whether the labels of a classifier do not exclude each other (problem_type
 * multi_label_classification, or a single label): the probability of each is then the sigmoid of
 * its logit, otherwise the softmax over all of them.
 */
MTS_API bool mts_predictor_is_multi_label(const mts_predictor *predictor);
/* Of such a model: whether a label with this logit is in the set that is predicted, for its
 * probability is above label_threshold. */
MTS_API bool mts_predictor_in_set(const mts_predictor *predictor, float logit);
/* Of the rows predicted so far, how many had more than max_seq_length tokens and were cut. */
MTS_API int64_t mts_predictor_cut_rows(const mts_predictor *predictor);

/* Whether it answers questions about paragraphs: then mts_predictor_answer is its call; whether it
 * tags words: mts_predictor_tag; otherwise mts_predictor_run. */
MTS_API bool mts_predictor_answers_questions(const mts_predictor *predictor);
MTS_API bool mts_predictor_tags_words(const mts_predictor *predictor);

/*
 * logits[n][num_labels] (out, caller's) of n rows; text_b may be NULL (single texts) or hold n
 * second texts.  UTF-8; invalid bytes become U+FFFD.  MTS_ERR_ARGUMENT: NULL, or a model that
 * answers questions or tags words; MTS_ERR_NUMERIC: NaN or infinity in a layer; MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_predictor_run(mts_predictor *predictor,
                                                   const char *const *text_a,
                                                   const char *const *text_b, int64_t n,
                                                   float *logits);

/* The answer to one question: a part of its paragraph. */
typedef struct mts_answer {
    const char *text; /* with a NUL behind; "": the paragraph has no answer, begin and end are 0 */
    int64_t begin, end; /* its bytes in the paragraph, end behind the last */
    double score;       /* probability among the n_best_size best answers, "no answer" included */
    /* Score of "no answer" less that of the best answer, in logits; 0 unless
     * version_2_with_negative. */
    double null_odds;
} mts_answer;

/*
 * Answer n questions, each about the paragraph of the same index, by doc_stride, n_best_size,
 * max_answer_length, version_2_with_negative and null_score_diff_threshold of the predictor's
 * options.  Long paragraphs are read in windows of max_seq_length tokens; nothing is cut.  UTF-8 as
 * above.  MTS_ERR_ARGUMENT: NULL, a model that labels texts, a question that leaves no room for its
 * paragraph; MTS_ERR_NUMERIC, MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_predictor_answer(mts_predictor *predictor,
                                                      const char *const *questions,
                                                      const char *const *paragraphs, int64_t n);
/* Answer number index of the last call, or NULL if out of range; owned by the predictor, until the
 * next call. */
MTS_API const mts_answer *mts_predictor_answer_at(const mts_predictor *predictor, int64_t index);

/* The tags of one sentence. */
typedef struct mts_tagging {
    int64_t n;                /* words */
    int64_t tagged;           /* those behind were cut away: the sentence has more tokens than
                                 max_seq_length */
    const char *const *words; /* [n] */
    const char *const *tags;  /* [n]: labels; NULL: cut away; "O": also of a word without tokens */
    const double *scores;     /* [n]: the tag's probability; 0: no tag, or no tokens */
} mts_tagging;

/*
 * Tag the words of n sentences.  A sentence is its words with blanks between them; or, where there
 * is a line feed in it, with one behind each word, which may then hold blanks or be empty.  UTF-8
 * as above.  MTS_ERR_ARGUMENT: NULL, or another model; MTS_ERR_NUMERIC, MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_predictor_tag(mts_predictor *predictor,
                                                   const char *const *sentences, int64_t n);
/* Sentence number index of the last call, or NULL if out of range; owned by the predictor, until
 * the next call. */
MTS_API const mts_tagging *mts_predictor_tags_at(const mts_predictor *predictor, int64_t index);

/*
 * Whether a result may be written to path: MTS_ERR_ARGUMENT if that is a data file which the
 * options name, a file of the model folder, or would become one; links and other spellings are
 * seen.  Before anything is opened.  MTS_ERR_IO, MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_check_output(mts_ctx *ctx, const mts_options *options,
                                                  const char *path);

typedef struct mts_test_rows mts_test_rows;

/*
 * *out: the texts of data to predict, read as mts_train reads it for do_predict: test_file with
 * text_column_names and label_column_name (which is not read), or the test set of task_name in
 * data_dir (of mnli both, one behind the other); max_predict_samples of each.  Columns that are not
 * given are those that the folder model_name_or_path (may be NULL) was trained on.  callbacks (may
 * be NULL) hears notes.  MTS_ERR_ARGUMENT: options; MTS_ERR_NOT_FOUND, _IO, _BAD_FILE: a file, or
 * that folder; MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_test_rows_open(mts_ctx *ctx, const mts_options *options,
                                                    const mts_callbacks *callbacks,
                                                    mts_test_rows **out);
MTS_API void mts_test_rows_close(mts_test_rows *rows);
MTS_API int64_t mts_test_rows_count(const mts_test_rows *rows);
/* Arrays of all texts, owned by rows; text_b: NULL if rows are single texts. */
MTS_API const char *const *mts_test_rows_text_a(const mts_test_rows *rows);
MTS_API const char *const *mts_test_rows_text_b(const mts_test_rows *rows);
/* The ids by which a file of questions names its rows; NULL: they have none.  Owned by rows. */
MTS_API const char *const *mts_test_rows_ids(const mts_test_rows *rows);

/* --------------------------------------------------------------------------- generation ---- */

typedef struct mts_generator mts_generator;

/*
 * Open a language model to generate text (options: model_name_or_path, adapter_name_or_path, rank,
 * precision, bits, and those of generation).  ctx must outlive it: calls on the generator are calls
 * on ctx.  MTS_ERR_UNSUPPORTED: a model of another kind; any status of loading a folder.
 */
MTS_NODISCARD MTS_API mts_status mts_generator_open(mts_ctx *ctx, const mts_options *options,
                                                    mts_generator **out);
MTS_API void mts_generator_close(mts_generator *generator);

/* What a call generated; owned by the generator, until the next call. */
typedef struct mts_generation {
    const char *text;   /* behind the prompt, without special tokens; UTF-8, a NUL behind it */
    int64_t bytes;      /* of it: it may hold NUL */
    const int32_t *ids; /* the tokens that were generated */
    int64_t count;
    int64_t prompt_count; /* tokens of the prompt */
    bool stopped; /* an end-of-text token ended it, the last of ids; else max_new_tokens or the
                     model's positions did */
} mts_generation;

/*
 * Generate behind a prompt (UTF-8; invalid bytes become U+FFFD), token by token.  callbacks (may be
 * NULL) hears MTS_EVENT_TEXT, and ends the text by returning false.  The n-th text of a generator
 * draws by the seed and n.  MTS_ERR_ARGUMENT: NULL, a prompt of no tokens, or of as many as the
 * model has positions; MTS_ERR_INTERRUPTED; MTS_ERR_NUMERIC; MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_generator_run(mts_generator *generator, const char *prompt,
                                                   const mts_callbacks *callbacks);
/*
 * The same as a dialogue, by the model's chat template: the user says `text`, and what the model
 * answers is heard and remembered.  MTS_ERR_NOT_FOUND: the model has no template;
 * MTS_ERR_UNSUPPORTED: Jinja that is not reproduced; MTS_ERR_ARGUMENT also: the template refuses
 * the dialogue.  After an error the dialogue is as before the call.
 */
MTS_NODISCARD MTS_API mts_status mts_generator_chat(mts_generator *generator, const char *text,
                                                    const mts_callbacks *callbacks);
/* Begin a new dialogue; system (may be NULL): what the model is told before it.  Errors as above.
 */
MTS_NODISCARD MTS_API mts_status mts_generator_chat_begin(mts_generator *generator,
                                                          const char *system);
/* What the last successful call made; NULL: there was none. */
MTS_API const mts_generation *mts_generator_last(const mts_generator *generator);

/* ---------------------------------------------------------------------------- tokenizer ---- */

typedef struct mts_tokenizer mts_tokenizer;

/* One encoded text or pair, of BERT [CLS] a [SEP] (b [SEP]).  Arrays of `length`, owned by the
 * struct. */
typedef struct mts_encoding {
    int64_t length;
    int32_t *ids;
    int32_t *type_ids;
    int32_t *begin; /* byte offsets into the text the token came from; 0,0 for special tokens */
    int32_t *end;
    bool cut; /* the texts have more tokens than max_length has room for */
} mts_encoding;

/* model_dir holds vocab.txt and/or tokenizer.json, tokenizer_config.json; no model is needed.  Or
 * it is, or holds, a GGUF file.  ctx must outlive it. */
MTS_NODISCARD MTS_API mts_status mts_tokenizer_open(mts_ctx *ctx, const char *model_dir,
                                                    mts_tokenizer **out);
MTS_API void mts_tokenizer_close(mts_tokenizer *tokenizer);
/* text_b may be NULL; max_length 0: no truncation, otherwise longest-first truncation. */
MTS_NODISCARD MTS_API mts_status mts_tokenizer_encode(mts_tokenizer *tokenizer, const char *text_a,
                                                      const char *text_b, int64_t max_length,
                                                      mts_encoding *out);
MTS_API void mts_encoding_free(mts_encoding *encoding);
/*
 * *text: what ids[count] stand for, UTF-8 of `bytes` bytes with a NUL behind; it may hold NUL, and
 * what does not make up UTF-8 is U+FFFD.  Free with mts_string_free.  skip_special: special
 * tokens are left out.  MTS_ERR_UNSUPPORTED: a tokenizer of this kind does not decode (WordPiece);
 * MTS_ERR_ARGUMENT: an id out of range; MTS_ERR_MEMORY.
 */
MTS_NODISCARD MTS_API mts_status mts_tokenizer_decode(mts_tokenizer *tokenizer, const int32_t *ids,
                                                      int64_t count, bool skip_special, char **text,
                                                      size_t *bytes);
/* The text of an id, or NULL if out of range; owned by the tokenizer. */
MTS_API const char *mts_tokenizer_token(const mts_tokenizer *tokenizer, int32_t id);
MTS_API int64_t mts_tokenizer_vocab_size(const mts_tokenizer *tokenizer);

/* ------------------------------------------------------------------------ training rows ---- */

typedef struct mts_train_rows mts_train_rows;

/* One row as a language model is trained on it.  Owned by the mts_train_rows. */
typedef struct mts_train_row {
    int64_t length;
    const int32_t *ids;    /* [length] */
    const int32_t *labels; /* [length]: the id where it is learned, else -100; the first of a
                              sequence, which nothing comes before, never is */
    int64_t sequences;     /* of a packed row; else 1 */
    const int64_t *begins; /* [sequences]: token at which each begins, the first at 0 */
} mts_train_row;

/*
 * The rows that mts_train would make of options->train_file for the model in model_name_or_path, by
 * max_seq_length, max_train_samples, packing, assistant_only_loss, completion_only_loss and
 * chat_template_path.  The model needs a config.json, but no weights.  ctx must outlive it.
 * MTS_ERR_UNSUPPORTED: not a language model; the errors of reading data.
 */
MTS_NODISCARD MTS_API mts_status mts_train_rows_open(mts_ctx *ctx, const mts_options *options,
                                                     const mts_callbacks *callbacks,
                                                     mts_train_rows **out);
MTS_API void mts_train_rows_close(mts_train_rows *rows);
MTS_API int64_t mts_train_rows_count(const mts_train_rows *rows);
/* *out: row number index; false if out of range.  Valid until the next call on rows. */
MTS_API bool mts_train_rows_at(mts_train_rows *rows, int64_t index, mts_train_row *out);

/* --------------------------------------------------------------------------------- info ---- */

/* One line: processor features found, and the integer kernel family in use.  Fails if
 * MANTISSA_KERNEL asks for something this machine cannot do. */
MTS_NODISCARD MTS_API mts_status mts_cpu_describe(mts_ctx *ctx, char *text, size_t text_bytes);

/*
 * A model folder in JSON: architecture, parameters, labels, what it was trained with, bytes on
 * disk, and what a training run with these options takes: training_memory (planned, by part, and
 * for which batch, length and format), resident_memory, training_files (on disk), work_of_a_step
 * (products) and, with calibrate, time_of_a_step_about (measured).  Of a GGUF file, given in place
 * of the folder: version, architecture, sizes, tokenizer, its tensors by element type, whether it
 * can be trained, and if so the same of a training run.  Free with mts_string_free.
 */
MTS_NODISCARD MTS_API mts_status mts_model_describe(mts_ctx *ctx, const mts_options *options,
                                                    char **json);

#ifdef __cplusplus
}
#endif
#endif
