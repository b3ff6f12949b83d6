/*
 * A model as the trainer sees it: token ids in, hidden states out, and back.
 *
 * Path: network_create -> model_class_find -> create, declare, bind; network_learn -> forward,
 *       backward.  To add an architecture: one file with a model_class, one row in model.c.
 */
#ifndef MTS_MODELS_MODEL_H
#define MTS_MODELS_MODEL_H

#include "io/model_config.h"
#include "layers/attention_cache.h"
#include "layers/loss_classes.h"
#include "tensor/param.h"

/* A batch as models and heads see it; all arrays borrowed for the call. */
typedef struct model_input {
    sequences seq;
    const int32_t *ids, *type_ids, *positions; /* [seq.tokens] */
    attention_cache *cache; /* of the tokens before these, of the one sequence; NULL: none, as in
                               training */
} model_input;

/* Dropout probabilities in force. */
typedef struct dropout_rates {
    float hidden, attention, classifier;
    float answers; /* of what gives the scores of answers' ends */
} dropout_rates;

/* Low-rank adapters beside the linear layers, layers/low_rank.h. */
typedef struct adapter_options {
    int64_t rank;       /* 0: none, and all parameters are trained */
    float scale, alpha; /* see low_rank.h, as for the next three */
    bool rslora;
    float dropout;
    const float *weights; /* [rank], or NULL; borrowed */
    const char *targets; /* ends of names of modules ("q_proj,v_proj"), or "all-linear"; borrowed */
} adapter_options;

/* What a model is made for. */
typedef struct model_options {
    dropout_rates dropout;
    float embedding_dropout; /* of architectures that tell it from dropout.hidden */
    adapter_options adapter;
    bool recompute;    /* keep only the layers' inputs, compute the rest again in the backward
                       ("gradient checkpointing" [Chen2016]): the same bits, less memory */
    loss_options loss; /* of a head of classes */
} model_options;

typedef struct model_class model_class;

/* What every model has; first member of the struct of each architecture. */
typedef struct model {
    const model_class *class;
    const model_config *cfg; /* borrowed */
    model_options options;
    bool words_shared; /* the head's backward, which is before, writes the gradient of the table of
                          words: the model's adds to it */
} model;

/* Numbers of random streams: an architecture has those from MODEL_STREAM_FIRST on for what is there
 * once, where these are not enough those from MODEL_STREAM_MORE on, and those from
 * LAYER_STREAM_FIRST on for its layers; a head those from HEAD_STREAM_FIRST on. */
enum {
    MODEL_STREAM_FIRST = 1,
    HEAD_STREAM_FIRST = 6,
    MODEL_STREAM_MORE = 24,
    LAYER_STREAM_FIRST = 32
};

/* How an architecture names and shapes the head over the first token of a text:
 *     z = out(dropout(N(act(dense(h[first])))))                 see heads/first_token.h */
typedef struct first_token_names {
    const char *dense, *out; /* e.g. "bert.pooler.dense", "classifier" */
    activation_kind act;
    bool drops_input; /* dense reads dropout(h[first]) */
    const char
        *saved; /* modules that an adapter's folder saves whole; NULL: head_class.peft_saved */
    const char *norm; /* N, a layer norm; NULL: none */
    bool no_bias;     /* dense has none */
    bool norm_bias;   /* N has a beta */
    float norm_eps;
    bool own_dropout; /* classifier_dropout is not of a head for tokens: it has the hidden one */
    bool mean;        /* of all tokens of the text, in place of the first */
    bool of_tokens;   /* heads for tokens have dense and N of these names, too; that for answers has
                         out, that for tags HEAD_TOKENS_OUT */
} first_token_names;

/* What an architecture has for options of number formats that are not given; 0: as the others. */
typedef struct format_defaults {
    scale_kind scales;
    int attention_bits;      /* this, or those of the precision where they are more */
    int outlier_weight_bits; /* this, or the other weights' where they are more */
    double outlier_threshold;
} format_defaults;

struct model_class {
    const char *name;               /* as in class names of transformers: "Bert" + "ForX" */
    const char *const *model_types; /* of config.json; NULL behind the last */
    const char *prefix;             /* of parameter names, "bert.": files may lack it */
    const char *words;              /* name of the table of words, which a head over the vocabulary
                                       may share; NULL: no such head */
    first_token_names first_token;  /* names NULL: no such head */
    bool positions_behind_padding;  /* the first position is pad_token_id + 1; tokens of that id do
                                       not count, and have that position */
    bool adapts;                    /* its layers can have adapters */
    const char *all_linear; /* the targets that an adapter's folder names where they are all; NULL:
                               "all-linear", which PEFT would also take for a head that is saved */
    bool tells_outliers;    /* --outliers auto means feature: its inputs have some, and without them
                            integers lose much */
    format_defaults formats;
    const char *usual_head; /* name of the head that training takes where nothing else is said;
                               NULL: the task decides */

    /* Names of keys of config.json that are not BERT's; NULL: there are none. */
    const model_config_key *keys;
    /* Refuse a config.json of these types that would load, but compute something else. */
    model_config_check_fn *check;
    /* Set what this architecture means by keys that are absent, or has other keys for; NULL: there
     * are none, and intermediate_size must be there. */
    void (*complete)(model_config *cfg);
    /* Set what config.json says of first_token; NULL: nothing. */
    void (*complete_head)(const model_config *cfg, first_token_names *names);
    /* *out: a model for cfg, without memory for numbers.  MTS_ERR_MEMORY. */
    mts_status (*create)(mts_ctx *ctx, const model_config *cfg, const model_options *options,
                         model **out);
    void (*destroy)(model *m);
    /* Declare all parameters, in the order in which they lie in memory. */
    void (*declare)(model *m, param_list *params);
    /* Once, when the parameters have memory: packed and mapped copies take place from `packed`. */
    void (*bind)(model *m, exec *ex, arena *packed);
    /* For each batch: place from `kept` for what the forward keeps. */
    void (*bind_batch)(model *m, exec *ex, const model_input *in, arena *kept);
    /* h [seq.tokens][hidden_size]: the hidden states, overwritten. */
    void (*forward)(model *m, exec *ex, const model_input *in, float *h);
    /* Set the shape of what is kept of each token, for forwards with in->cache; NULL: there are
     * none, and no text is generated. */
    void (*cache_shape)(const model *m, attention_cache *shape);
    /* All gradients of trained parameters from dh [seq.tokens][hidden_size], which is overwritten.
     */
    void (*backward)(model *m, exec *ex, const model_input *in, float *dh);
};

/* The class of a config.json's model_type ("" if absent), or NULL. */
const model_class *model_class_find(const char *model_type);

/* model_config_load, for an architecture that is here and can compute what the file asks for:
 * otherwise MTS_ERR_UNSUPPORTED. */
MTS_NODISCARD mts_status model_load_config(mts_ctx *ctx, const char *dir, model_config *cfg);

/* The class for a configuration, by its model_type, or NULL. */
const model_class *model_class_of_config(const model_config *cfg);

/* The most tokens of a row: as many as there are positions for tokens. */
int64_t model_max_length(const model_config *cfg);

/* Rows of one piece, for layers that run piece by piece over the rows between two attentions: a
 * multiple of the panels of every kernel and of the blocks of exponents; all of them where they
 * share an exponent, where every product reads its weight anew, and in the float formats. */
int64_t model_piece_rows(const exec *ex, int64_t tokens);

/* Whether a linear layer of this whole name ("model.layers.3.self_attn.q_proj") is among the
 * targets of adapters as in PEFT: is one, or ends in one behind a point. */
bool model_adapts_module(const adapter_options *o, const char *module);

/* The first name at or behind `targets`, of *bytes; NULL: none is left. */
const char *model_next_target(const char *targets, size_t *bytes);
/* Whether a declared adapter has this name as its target. */
bool model_target_is_met(const param_list *params, const char *word, size_t bytes);
/* Whether it is the name of a module that is trained as a whole beside adapters. */
bool model_target_is_saved(const param_list *params, const char *word, size_t bytes);

/* The activation function that config.json's hidden_act names. */
activation_kind model_act_kind(model_act act);

#endif
