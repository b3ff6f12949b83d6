/*
 * Weights of a BERT model between a transformers folder and the parameter table.
 *
 * Reading accepts names with and without the "bert." prefix, and gamma / beta for layer norm's
 * weight and bias (early files); F32, F16 and BF16.  Writing uses transformers' present names, F32.
 */
#ifndef MTS_MODELS_BERT_IO_H
#define MTS_MODELS_BERT_IO_H

#include "models/bert.h"

/* Which parts were not in the file and got initial values: weights normal with the configuration's
 * initializer_range (a sum of 12 uniforms, keyed by the seed), biases zero.  And which tensors of
 * the file the model has no place for; not counted: position_ids, which are no weights. */
typedef struct bert_load_report {
    bool pooler_initialized, classifier_initialized;
    bool classifier_left; /* the file has one that would fit, and BERT_HEAD_NEW was asked for */
    int64_t unused;
    char first_unused[128]; /* name of the first one in byte order, cut to fit */
} bert_load_report;

typedef enum bert_head {
    BERT_HEAD_NEEDED,   /* a missing pooler or classifier is an error: evaluation, prediction */
    BERT_HEAD_IF_THERE, /* what is missing, or has another shape, is initialised */
    BERT_HEAD_NEW,      /* the classifier is initialised in any case: it is for other labels */
} bert_head;

/*
 * Whether all parameters that cfg asks for are in dir, with their shapes, before memory is taken
 * for them: errors and head as of bert_load.
 */
MTS_NODISCARD mts_status bert_check_weights(mts_ctx *ctx, const model_config *cfg, const char *dir,
                                            bert_head head);

/*
 * Fill all parameters from dir.
 * MTS_ERR_NOT_FOUND, _IO, _MEMORY; _BAD_FILE: a tensor is missing or has another shape.
 */
MTS_NODISCARD mts_status bert_load(mts_ctx *ctx, bert *model, const char *dir, bert_head head,
                                   bert_load_report *report);

/* Write dir/model.safetensors and dir/config.json, each atomically.  dir exists. */
MTS_NODISCARD mts_status bert_save(mts_ctx *ctx, const bert *model, const char *dir);

#endif
