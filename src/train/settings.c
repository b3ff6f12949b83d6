/* Options -> number format, dropout, threads.  See settings.h. */
#include "train/settings.h"

#include <string.h>

#include "base/json_util.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

/* Layer norm has no matrix product: 16 bits cost nothing there, and 8 would raise the error
 * of int8 logits 1.5 to 3 times (docs/FORMATS.md (7)). */
enum { NORM_BITS = 16 };

static int bits_or(int64_t given, int standard)
{
    return given > 0 ? (int)given : standard;
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
    return f;
}

const char *const settings_stored[] = {"precision",      "weight_bits", "activation_bits",
                                       "attention_bits", "norm_bits",   "exponent_group",
                                       "max_seq_length", NULL};

/* In the order of settings_stored. */
static mts_status fill_stored(mts_ctx *ctx, const mts_options *o, const model_config *cfg,
                              json_t *object)
{
    mts_status st = MTS_OK;
    const num_format f = settings_format(o);
    MTS_TRY(json_util_set(ctx, object, "precision", json_string(o->precision)));
    if (f.kind == FORMAT_DFP) {
        MTS_TRY(json_util_set(ctx, object, "weight_bits", json_integer(f.weight_bits)));
        MTS_TRY(json_util_set(ctx, object, "activation_bits", json_integer(f.activation_bits)));
        MTS_TRY(json_util_set(ctx, object, "attention_bits", json_integer(f.attention_bits)));
        MTS_TRY(json_util_set(ctx, object, "norm_bits", json_integer(f.norm_bits)));
        MTS_TRY(json_util_set(ctx, object, "exponent_group", json_string(o->exponent_group)));
    }
    MTS_TRY(json_util_set(ctx, object, "max_seq_length",
                          json_integer(settings_max_length(o, cfg, NULL))));
cleanup:
    return st;
}

mts_status settings_store(mts_ctx *ctx, const mts_options *o, const task *t, model_config *cfg)
{
    mts_status st = MTS_OK;
    json_t *object = json_object();
    MTS_CHECK(object != NULL, MTS_ERR_MEMORY, "out of memory: settings");
    MTS_TRY(fill_stored(ctx, o, cfg, object));
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
    return cfg->max_position_embeddings < usual ? cfg->max_position_embeddings : usual;
}

/* A probability below 1 as a float below 1: 1 / (1 - p) must be finite. */
static float dropout_float(double p)
{
    const float largest = 0x1.fffffep-1f;
    return (float)p < largest ? (float)p : largest;
}

dropout_rates settings_dropout(const mts_options *o, const model_config *cfg)
{
    const double hidden = o->hidden_dropout >= 0 ? o->hidden_dropout : cfg->hidden_dropout_prob;
    const double probabilities =
        o->attention_dropout >= 0 ? o->attention_dropout : cfg->attention_probs_dropout_prob;
    double classifier = cfg->classifier_dropout >= 0 ? cfg->classifier_dropout : hidden;
    if (o->classifier_dropout >= 0)
        classifier = o->classifier_dropout;
    return (dropout_rates){dropout_float(hidden), dropout_float(probabilities),
                           dropout_float(classifier)};
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
