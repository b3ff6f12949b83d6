/*
 * Heads: from hidden states to a loss and its gradient, or to outputs.
 *
 * Path: network_learn -> model forward -> head_class.learn -> model backward;
 *       network_predict -> model forward -> head_class.predict -> task_class (answers, scores).
 * To add a head: one file with a head_class, one row in head.c.
 */
#ifndef MTS_HEADS_HEAD_H
#define MTS_HEADS_HEAD_H

#include "data/targets.h"
#include "models/model.h"

typedef struct head_class head_class;

/* What every head has; first member of the struct of each kind. */
typedef struct head {
    const head_class *class;
    const model_class *model;      /* of the model below: names of parameters follow it */
    const model_config *cfg;       /* borrowed */
    first_token_names first_token; /* the model's, with what its config.json says */
    float dropout;                 /* dropout_rates.classifier */
    float answers_dropout;         /* dropout_rates.answers */
    adapter_options adapter;       /* of what lies below the outputs */
    loss_options loss;             /* of classes */
    bool uses_words;               /* set by declare: it shares the model's table of words */
} head;

/* Of what a head gives outputs. */
typedef enum head_unit { HEAD_PER_ROW, HEAD_PER_TOKEN } head_unit;

/* What of the model's class it is made for. */
typedef enum head_need {
    HEAD_NEEDS_NOTHING,
    HEAD_NEEDS_FIRST_TOKEN, /* model_class.first_token */
    HEAD_NEEDS_WORDS,       /* model_class.words */
} head_need;

struct head_class {
    const char *name; /* as tasks ask for it: "classification" */
    const char
        *architecture; /* behind the model's name in config.json: "ForSequenceClassification" */
    target_kind target;
    head_unit unit;
    head_need needs;
    /* In an adapter's folder (io/peft.h): what PEFT calls the task, and the modules that it saves
     * whole, the outputs; NULL: none. */
    const char *peft_task, *peft_saved;
    /* The name of the layer of outputs, unless the model says otherwise; NULL: as the model says */
    const char *outputs;

    /* The number of outputs of each unit. */
    int64_t (*width)(const model_config *cfg);
    /* Functions as those of model_class of the same names, after the model's. */
    mts_status (*create)(mts_ctx *ctx, head **out); /* *out's fields are set by the caller */
    void (*declare)(head *h, param_list *params);
    void (*bind)(head *h, exec *ex, arena *packed);
    void (*bind_batch)(head *h, exec *ex, const model_input *in, arena *kept);
    /* The mean loss over the rows; dx [tokens][hidden] overwritten by `scale` times its gradient,
     * and gradients of the head's parameters.  One call, so that outputs over a large vocabulary
     * never need a matrix of all tokens. */
    double (*learn)(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                    float scale, float *dx);
    /* z [vocabulary]: the outputs over the vocabulary for the one row x [hidden]; NULL: there are
     * none. */
    void (*logits)(head *h, exec *ex, const float *x, float *z);
    /* out [units][width]; returns the mean loss if t is given (not NULL), else 0. */
    double (*predict)(head *h, exec *ex, const model_input *in, const float *x, const targets *t,
                      float *out);
};

/* The head of that name, or NULL. */
const head_class *head_class_find(const char *name);

/* The first head of that peft_task, or NULL. */
const head_class *head_class_of_peft(const char *task);

/* The head of a fine-tuned model folder, by "architectures" and "problem_type" of its config.json;
 * where these do not say it, that for a class or a score of a text. */
const head_class *head_class_of_config(const model_config *cfg);

/* The head that training takes for such a model where nothing else is said; NULL: the task
 * decides. */
const head_class *head_class_usual(const model_config *cfg);

/* The name of the layer whose outputs the head's are; of heads that need first_token or have a name
 * of their own. */
const char *head_class_outputs(const head_class *class, const model_class *of);

/* The modules that the folder of an adapter of such a model saves whole: peft_saved, unless the
 * model says otherwise.  NULL: none. */
const char *head_class_saved(const head_class *class, const model_class *of);
/* Whether a module of this name is one of them, or is in one. */
bool head_saves_module(const head *h, const char *module);

/* Whether a model of that class can have the head. */
bool head_fits(const head_class *class, const model_class *of);

/* Units of a batch: rows or tokens. */
int64_t head_units(const head_class *class, const model_input *in);

/* *out: a new head of `class` for a model.  MTS_ERR_MEMORY.  Freed by head_destroy. */
MTS_NODISCARD mts_status head_create(mts_ctx *ctx, const head_class *class, const model_class *of,
                                     const model_config *cfg, const model_options *options,
                                     head **out);
void head_destroy(head *h);

/* The numbers of random streams that a head's own layers use, from HEAD_STREAM_FIRST on.  They
 * decide the bits of trained models: none is ever renumbered. */
enum {
    STREAM_HEAD_DENSE = HEAD_STREAM_FIRST,
    STREAM_HEAD_OUT,
    STREAM_HEAD_DENSE_INPUT,
    STREAM_HEAD_OUT_INPUT,
    STREAM_HEAD_DROPOUT,
    STREAM_HEAD_DENSE_ADAPTER, /* 3: low_rank_streams(1) */
    STREAM_HEAD_INPUT_DROPOUT = STREAM_HEAD_DENSE_ADAPTER + 3,
    STREAM_HEAD_NORM,
};

#endif
