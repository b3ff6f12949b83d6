/* Options -> number format, dropout, threads.  See settings.h. */
#include "train/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_util.h"
#include "io/quantization_config.h"
#include "options/options.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

/* Layer norm has no matrix product: 16 bits cost nothing there, and 8 would raise the error
 * of int8 logits 1.5 to 3 times (docs/FORMATS.md (7)). */
enum { NORM_BITS = 16 };

/* The largest magnitude of an outlier over the median feature's, at least. */
enum { OUTLIER_THRESHOLD = 5 };

static int bits_or(int64_t given, int standard)
{
    return given > 0 ? (int)given : standard;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static group_kind group_of(const char *name)
{
    if (strcmp(name, "tensor") == 0)
        return GROUP_TENSOR;
    return strcmp(name, "block") == 0 ? GROUP_BLOCK : GROUP_ROW;
}

static rounding_kind rounding_of(const char *name)
{
    if (strcmp(name, "nearest") == 0)
        return ROUNDING_NEAREST;
    return strcmp(name, "stochastic") == 0 ? ROUNDING_STOCHASTIC : ROUNDING_MIXED;
}

const char *settings_scales_name(scale_kind scales)
{
    return scales == SCALES_LARGEST ? "largest" : "power_of_two";
}

static scale_kind scales_of(const char *name)
{
    const bool largest = name != NULL && strcmp(name, settings_scales_name(SCALES_LARGEST)) == 0;
    return largest ? SCALES_LARGEST : SCALES_POWER;
}

/* Whether outliers are told apart where nothing is said of them. */
static bool tells_outliers(const mts_options *o, const model_class *class)
{
    return class->tells_outliers && options_precision_bits(o) > 0;
}

/* Of formats, where an integer precision is asked for. */
static void complete_formats(mts_options *o, const format_defaults *usual)
{
    const int64_t bits = options_precision_bits(o);
    if (o->scales == NULL && usual->scales != SCALES_POWER)
        o->scales = settings_scales_name(usual->scales);
    if (o->attention_bits == 0 && usual->attention_bits > bits)
        o->attention_bits = usual->attention_bits;
    if (!options_tell_outliers(o))
        return;
    if (o->outlier_threshold == 0)
        o->outlier_threshold =
            usual->outlier_threshold > 0 ? usual->outlier_threshold : OUTLIER_THRESHOLD;
    if (o->outlier_weight_bits == 0)
        o->outlier_weight_bits =
            larger(bits_or(o->weight_bits, (int)bits), usual->outlier_weight_bits);
}

void settings_complete(mts_options *o, const model_config *cfg)
{
    const model_class *class = model_class_of_config(cfg);
    const bool adapter = strcmp(o->method, "full") != 0 || o->adapter_name_or_path != NULL;
    if (strcmp(o->outliers, "auto") == 0)
        o->outliers = tells_outliers(o, class) ? "feature" : "none";
    if (options_precision_bits(o) > 0)
        complete_formats(o, &class->formats);
    if (adapter && o->base_bits == NULL && options_can_stream(o) &&
        quantization_config_of(cfg->json) != NULL)
        o->base_bits = "4";
}

num_format settings_format(const mts_options *o)
{
    num_format f = {.kind = FORMAT_DFP};
    if (strcmp(o->precision, "fp32") == 0)
        return (num_format){.kind = FORMAT_FP32};
    if (strcmp(o->precision, "bf16") == 0)
        return (num_format){.kind = FORMAT_BF16};
    const int bits = format_precision_bits(o->precision);
    f.weight_bits = bits_or(o->weight_bits, bits);
    f.activation_bits = bits_or(o->activation_bits, bits);
    f.gradient_bits = bits_or(o->gradient_bits, bits);
    f.attention_bits = bits_or(o->attention_bits, bits);
    f.norm_bits = bits_or(o->norm_bits, NORM_BITS);
    f.rounding = rounding_of(o->rounding);
    f.group = group_of(o->exponent_group);
    f.scales = scales_of(o->scales);
    if (options_tell_outliers(o)) {
        f.outlier_bits = (int)o->outlier_bits;
        f.outlier_weight_bits = bits_or(o->outlier_weight_bits, f.weight_bits);
        f.outlier_threshold = (float)o->outlier_threshold;
    }
    return f;
}

/* A float as the shortest decimal that gives it back: 0.1, not 0.10000000149011612. */
static double shortest(float x)
{
    char text[32];
    for (int digits = 6;; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)x);
        if (digits == 9 || strtof(text, NULL) == x)
            return strtod(text, NULL);
    }
}

param_storage settings_base_storage(const mts_options *o)
{
    return options_has_4bit_base(o) ? PARAM_STREAMED : PARAM_STORED;
}

sampler_kind settings_sampler(const mts_options *o)
{
    const char *name = o->train_sampling_strategy;
    if (name != NULL && strcmp(name, "sequential") == 0)
        return SAMPLER_SEQUENTIAL;
    return o->group_by_length || (name != NULL && strcmp(name, "group_by_length") == 0)
               ? SAMPLER_BY_LENGTH
               : SAMPLER_RANDOM;
}

mts_options settings_effective(const mts_options *o, const model_config *cfg)
{
    mts_options e = *o;
    const model_class *class = model_class_of_config(cfg);
    const num_format f = settings_format(o);
    const dropout_rates dropout = settings_dropout(o, cfg);
    if (strcmp(o->outliers, "none") == 0 && !tells_outliers(o, class))
        e.outliers = "auto"; /* which says as much */
    e.weight_bits = f.weight_bits;
    e.activation_bits = f.activation_bits;
    e.gradient_bits = f.gradient_bits;
    e.attention_bits = f.attention_bits;
    e.norm_bits = f.norm_bits;
    /* folders and checkpoints of the first versions say nothing of scales: they are powers */
    if (f.scales == SCALES_POWER)
        e.scales = class->formats.scales == SCALES_POWER ? NULL : settings_scales_name(f.scales);
    e.max_seq_length = settings_max_length(o, cfg, NULL);
    e.hidden_dropout = shortest(dropout.hidden);
    e.attention_dropout = shortest(dropout.attention);
    e.classifier_dropout = shortest(dropout.classifier);
    e.version_2_with_negative = options_expects_no_answer(o);
    /* as the checkpoints of the first version have it, which had no other order */
    e.group_by_length = settings_sampler(o) == SAMPLER_BY_LENGTH;
    e.train_sampling_strategy = settings_sampler(o) == SAMPLER_SEQUENTIAL ? "sequential" : NULL;
    return e;
}

mts_status settings_store(mts_ctx *ctx, const mts_options *o, const task *t, model_config *cfg)
{
    mts_status st = MTS_OK;
    const mts_options effective = settings_effective(o, cfg);
    json_t *object = json_object();
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: settings");
    MTS_TRY(options_put_json(ctx, &effective, OPTION_STORED, t->class->answers, object));
    MTS_TRY(t->class->store(ctx, t, object));
    MTS_TRY(json_util_set(ctx, cfg->json, SETTINGS_KEY, json_incref(object)));
cleanup:
    json_decref(object);
    return st;
}

int64_t settings_max_length(const mts_options *o, const model_config *cfg, const char *head)
{
    if (o->max_seq_length > 0)
        return o->max_seq_length;
    const int64_t usual = task_class_of(o, head)->usual_length;
    const int64_t most = model_max_length(cfg);
    return most < usual ? most : usual;
}

float settings_dropout_float(double p)
{
    const float largest = 0x1.fffffep-1f;
    return (float)p < largest ? (float)p : largest;
}

dropout_rates settings_dropout(const mts_options *o, const model_config *cfg)
{
    const double hidden = o->hidden_dropout >= 0 ? o->hidden_dropout : cfg->hidden_dropout_prob;
    const double probabilities =
        o->attention_dropout >= 0 ? o->attention_dropout : cfg->attention_probs_dropout_prob;
    const bool as_hidden =
        cfg->classifier_dropout < 0 ||
        (task_class_of(o, NULL)->tags && model_class_of_config(cfg)->first_token.own_dropout);
    double classifier = as_hidden ? hidden : cfg->classifier_dropout;
    if (o->classifier_dropout >= 0)
        classifier = o->classifier_dropout;
    return (dropout_rates){settings_dropout_float(hidden), settings_dropout_float(probabilities),
                           settings_dropout_float(classifier),
                           settings_dropout_float(cfg->answers_dropout)};
}

float settings_embedding_dropout(const mts_options *o, const model_config *cfg)
{
    const bool as_hidden = o->hidden_dropout >= 0 || cfg->embedding_dropout < 0;
    return as_hidden ? settings_dropout(o, cfg).hidden
                     : settings_dropout_float(cfg->embedding_dropout);
}

optimizer_options settings_optimizer(const mts_options *o)
{
    return (optimizer_options){
        .class = optimizer_class_find(o->optim),
        .beta1 = o->adam_beta1,
        .beta2 = o->adam_beta2,
        .epsilon = o->adam_epsilon,
        .momentum = o->sgd_momentum,
        .weight_decay = o->weight_decay,
    };
}

mts_status settings_check_tokens(mts_ctx *ctx, int64_t tokens, const char *which)
{
    mts_status st = MTS_OK;
    MTS_CHECK(tokens < GEMM_DEPTH_MAX, MTS_ERR_ARGUMENT,
              "batches of %lld tokens are too large, the limit is %lld: give a smaller "
              "--per_device_%s_batch_size or --max_seq_length",
              (long long)tokens, (long long)GEMM_DEPTH_MAX - 1, which);
cleanup:
    return st;
}

mts_status settings_check_vocabulary(mts_ctx *ctx, const tokenizer *tok, const model_config *cfg,
                                     const char *dir)
{
    mts_status st = MTS_OK;
    const int64_t vocab = tokenizer_vocab_size(tok);
    MTS_CHECK(vocab <= cfg->vocab_size, MTS_ERR_BAD_FILE,
              "%s: the tokenizer has %lld tokens, config.json's vocab_size is %lld", dir,
              (long long)vocab, (long long)cfg->vocab_size);
cleanup:
    return st;
}

mts_status settings_check_length(mts_ctx *ctx, int64_t max_length, const model_config *cfg)
{
    mts_status st = MTS_OK;
    const int64_t positions = model_max_length(cfg);
    MTS_CHECK(max_length <= positions, MTS_ERR_ARGUMENT,
              "option --max_seq_length: the model has %lld positions, found %lld: give at most "
              "as many",
              (long long)positions, (long long)max_length);
cleanup:
    return st;
}

mts_status settings_check_rows(mts_ctx *ctx, const tokenizer *tok, int64_t max_length,
                               const model_config *cfg, const char *dir)
{
    mts_status st = MTS_OK;
    const int64_t types = tokenizer_type_count(tok);
    MTS_TRY(settings_check_vocabulary(ctx, tok, cfg, dir));
    MTS_TRY(settings_check_length(ctx, max_length, cfg));
    MTS_CHECK(cfg->type_vocab_size >= types, MTS_ERR_UNSUPPORTED,
              "%s: config.json: type_vocab_size: expected at least %lld (pairs), found %lld", dir,
              (long long)types, (long long)cfg->type_vocab_size);
cleanup:
    return st;
}

int settings_threads(const mts_options *o)
{
    if (o->num_threads > 0)
        return (int)o->num_threads;
#if defined(_OPENMP)
    return omp_get_num_procs();
#else
    return 1;
#endif
}
