/*
 * config.json of a model: sizes, dropout, labels; read, labelled anew, written back.
 *
 * Path: model_load_config (models/model.h) -> model_config_load; models size themselves by it,
 *       train sets the labels, save writes it beside the weights.
 * A GGUF file has no config.json: gguf_config.c makes what it would hold.
 * Keys we do not know are kept and written back as they were.  What only some architecture has is
 * checked by its model_class.
 * Of quantized checkpoints only NF4 (io/quantization_config.h).
 */
#ifndef MTS_IO_MODEL_CONFIG_H
#define MTS_IO_MODEL_CONFIG_H

#include "base/status.h"

struct json_t;

/* hidden_act.  GELU is x Phi(x) with erf; GELU_TANH its tanh approximation ("gelu_new"). */
typedef enum model_act {
    MODEL_ACT_GELU,
    MODEL_ACT_GELU_TANH,
    MODEL_ACT_RELU,
    MODEL_ACT_SILU,
    MODEL_ACT_TANH,
} model_act;

/* problem_type; NONE: not said, then one label means regression (as transformers does). */
typedef enum model_problem {
    MODEL_PROBLEM_NONE,
    MODEL_PROBLEM_REGRESSION,
    MODEL_PROBLEM_SINGLE_LABEL,
    MODEL_PROBLEM_MULTI_LABEL,
} model_problem;

typedef struct model_config {
    int64_t vocab_size;              /* 1..2^24 */
    int64_t hidden_size;             /* 1..65536, a multiple of num_attention_heads */
    int64_t num_hidden_layers;       /* 1..1024 */
    int64_t num_attention_heads;     /* 1..1024 */
    int64_t intermediate_size;       /* 1..2^20; other keys: model_class.complete */
    int64_t max_position_embeddings; /* 1..2^20 */
    int64_t type_vocab_size;         /* 1..65536 */
    int64_t pad_token_id;            /* below vocab_size; below 0: counted from its end */
    model_act hidden_act;
    double hidden_dropout_prob; /* dropout: 0..1 */
    double attention_probs_dropout_prob;
    double classifier_dropout; /* -1: null, that is hidden_dropout_prob */
    double answers_dropout;    /* before the scores of answers' ends: model_class.complete */
    double embedding_dropout;  /* -1 likewise; set by model_class.complete */
    double layer_norm_eps;     /* 1e-30..0.1 */
    double initializer_range;  /* 0..10 */
    model_problem problem_type;
    int64_t num_labels;       /* 1..65536 */
    char **labels;            /* [num_labels], names of id2label; of a value that is no text,
                                 what Python prints of it */
    const char *architecture; /* first of "architectures", or NULL; owned by json */
    struct json_t *json;      /* the whole object, with the keys unknown to us */
} model_config;

/* The key of a fine-tuned folder's object of our own, which the other programs pass over. */
#define MODEL_CONFIG_SETTINGS "mantissa"
/* The key in that object of the lists of outlier features, network/network_outliers.h. */
#define MODEL_CONFIG_OUTLIERS "outlier_features"

/*
 * Fill *cfg with the defaults of transformers' BertConfig (BERT-base, two labels) and an empty
 * object.  In every case give cfg to model_config_deinit afterwards.  MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status model_config_init(mts_ctx *ctx, model_config *cfg);

/* MTS_ERR_NOT_FOUND, with a text for those who expect a download, unless dir is there. */
MTS_NODISCARD mts_status model_config_check_dir(mts_ctx *ctx, const char *dir);

/* *json: the object of dir/config.json, or what stands for it if dir is, or holds, a GGUF file;
 * *file: that file's path.  In every case json_decref and mem_free them.  Nothing of it is checked.
 * The errors of json_util_load_wide and gguf_model.h. */
MTS_NODISCARD mts_status model_config_read(mts_ctx *ctx, const char *dir, char **file,
                                           struct json_t **json);

/* Refuses what an architecture would compute otherwise; called with the object that was read. */
typedef mts_status model_config_check_fn(mts_ctx *ctx, const char *file, struct json_t *json);

/* A key that an architecture has by another name: "dim" for hidden_size. */
typedef struct model_config_key {
    const char *key;  /* of a field of model_config; NULL behind the last */
    const char *name; /* in the file */
} model_config_key;

/* What the architecture has to say before the file is read: refuse it, and set *keys to its own
 * names of keys, static, or NULL. */
typedef mts_status model_config_begin_fn(mts_ctx *ctx, const char *file, struct json_t *json,
                                         const model_config_key **keys);

/*
 * Read dir/config.json, or what stands for it if dir is, or holds, a GGUF file (gguf_model_find);
 * begin (may be NULL) comes before anything else of it; cfg as for
 * model_config_init.  Absent keys get BertConfig's defaults, except the four sizes (vocab_size to
 * num_attention_heads above), which must be there.  model_type may be absent (early BERT files).
 * What transformers 4 or 5 reads is read: null for a default, 8.0 for 8, 0 for false, label2id
 * without id2label (which means nothing).  Errors of gguf_model.h; MTS_ERR_NOT_FOUND, MTS_ERR_IO;
 * MTS_ERR_BAD_FILE: wrong
 * type, range or contradiction; MTS_ERR_UNSUPPORTED: an activation that is not here, an
 * unsupported quantized checkpoint; status of begin.
 */
MTS_NODISCARD mts_status model_config_load(mts_ctx *ctx, const char *dir,
                                           model_config_begin_fn *begin, model_config *cfg);

/* *act: the activation function that this key names; unchanged if absent.  MTS_ERR_BAD_FILE,
 * MTS_ERR_UNSUPPORTED: one that is not here. */
MTS_NODISCARD mts_status model_config_read_act(mts_ctx *ctx, const char *file,
                                               const struct json_t *json, const char *key,
                                               model_act *act);

/* For checks.  MTS_ERR_UNSUPPORTED: the key is there, with another value than `expected`. */
MTS_NODISCARD mts_status model_config_expect(mts_ctx *ctx, const char *file,
                                             const struct json_t *json, const char *key,
                                             const char *expected);
/* *value: a boolean, which may be written as 0 or 1; in json it becomes one, for transformers 5.
 * Unchanged if absent.  MTS_ERR_BAD_FILE. */
MTS_NODISCARD mts_status model_config_switch(mts_ctx *ctx, const char *file, struct json_t *json,
                                             const char *key, bool *value);

/*
 * Set labels[n], label2id and problem_type.  names[n]: distinct UTF-8 texts, or NULL for LABEL_0...
 * regression needs n 1, classification n 2..65536: else MTS_ERR_ARGUMENT.  names is not kept.
 */
MTS_NODISCARD mts_status model_config_set_labels(mts_ctx *ctx, model_config *cfg,
                                                 const char *const *names, int64_t n,
                                                 bool regression);

/*
 * Let cfg have the head, the labels and the settings of another configuration, the object `other`
 * of `file`: labels that are not there stay.  MTS_ERR_BAD_FILE, MTS_ERR_MEMORY.
 */
MTS_NODISCARD mts_status model_config_take_head(mts_ctx *ctx, const char *file,
                                                const struct json_t *other, model_config *cfg);

/* problem_type of the labels that are set; of NONE the file does not say it.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status model_config_set_problem(mts_ctx *ctx, model_config *cfg,
                                                  model_problem problem);

/* Whether the head has one real output: problem_type says so, or says nothing of one label. */
bool model_config_is_regression(const model_config *cfg);

/* Set a key of the file that this struct has no field for, e.g. "finetuning_task". */
MTS_NODISCARD mts_status model_config_set_string(mts_ctx *ctx, model_config *cfg, const char *key,
                                                 const char *value);

/* model_type, "" if the file does not say it; owned by cfg. */
const char *model_config_type(const model_config *cfg);

/*
 * Write dir/name (config.json) atomically: the object as loaded, with the labels and strings set
 * above, architectures [architecture], model_type where it was absent, the type of the weights
 * float32 ("dtype", or "torch_dtype" if the file had that), and of a BERT those fields of cfg
 * whose keys were absent; without quantization_config.
 */
MTS_NODISCARD mts_status model_config_save(mts_ctx *ctx, const model_config *cfg,
                                           const char *model_type, const char *architecture,
                                           const char *dir, const char *name);

void model_config_deinit(model_config *cfg);

#endif
