/*
 * A network: a model with a head on it, its parameters and all its memory.  What is trained,
 * evaluated, written and read.
 *
 *   network_learn     forward, loss, backward of one batch
 *   network_predict   forward of one batch
 *   network_plan_make the memory of one, without making it: the same functions run on arenas that
 *                     only measure
 *
 * Path: train_step -> network_learn -> model_class.forward -> linear_forward ...
 */
#ifndef MTS_NETWORK_NETWORK_H
#define MTS_NETWORK_NETWORK_H

#include "heads/head.h"
#include "tensor/format_watch.h"
#include "tensor/work.h"

/* The largest batches it must be ready for. */
typedef struct network_limits {
    int64_t train_rows, train_tokens; /* 0: no training */
    int64_t eval_rows, eval_tokens;
    int64_t max_length;   /* tokens of the longest row of either */
    int64_t cache_tokens; /* of the longest text that is generated (network_cache.h); 0: none */
} network_limits;

/* Everything that decides the memory of a network, and how it computes. */
typedef struct network_options {
    const head_class *head;
    const gemm_family *family; /* integer kernels; NULL: as kernels_select says */
    num_format format;
    int threads;
    uint64_t seed;
    model_options model;
    param_storage frozen; /* where the matrices of a model with an adapter are; streamed: those of
                             its linear layers, the others are stored */
    bool frozen_nf4;      /* those of the linear layers are quantised when they are loaded, unless
                             the file has them so */
    network_limits limits;
    bool watch_formats; /* memory for network_formats.h, beside the plan */
} network_options;

/* Bytes by part, and what a training batch multiplies. */
typedef struct network_plan {
    size_t parameters, gradients, packed_weights, activations, scratch;
    size_t adapters;         /* of the parameters: what is trained beside a frozen model */
    size_t mapped;           /* of files, that frozen parameters stay in */
    size_t mapped_in_use;    /* of these, what is in memory at a time */
    double work[WORK_PARTS]; /* tensor/work.h */
} network_plan;

/* Where a batch stands in training. */
typedef struct network_pass {
    bool accumulate; /* gradients of parameters: += (later batches of a step) instead of = */
    uint64_t step;   /* counts batches in training: key of roundings and dropout */
} network_pass;

/* Where network_learn is. */
typedef enum network_phase { NETWORK_FORWARD, NETWORK_HEAD, NETWORK_BACKWARD } network_phase;

typedef struct network_place {
    network_phase phase;
    int64_t layer; /* from 0; of the head none: 0 */
} network_place;

/* Told of each layer when it begins, and of the head. */
typedef void network_place_fn(void *user, const network_place *place);

typedef struct network {
    exec ex;
    model_config cfg; /* owned */
    network_options options;
    model *body;
    head *head;
    param_list params;
    arena packed, kept;
    attention_cache cache; /* network_cache.h */
    network_place place;
    network_place_fn *on_place; /* with its user; or NULL */
    void *on_place_user;
    exec_listener listener;
    format_watch *watch; /* with options.watch_formats; owned */
} network;

/* Declare the parameters of such a network into an empty list, without making one; *prefix: of the
 * architecture's names.  MTS_ERR_UNSUPPORTED, MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status network_declare(mts_ctx *ctx, const model_config *cfg,
                                         const head_class *kind, param_list *params,
                                         const char **prefix);

/* The same, with the adapters of options. */
MTS_NODISCARD mts_status network_declare_for(mts_ctx *ctx, const model_config *cfg,
                                             const network_options *options, param_list *params,
                                             const char **prefix);

/* *plan: of such a network.  dir: the model's folder or file, as for network_load, which says what
 * is mapped and what is in 4 bits already; NULL: not known, a frozen parameter takes no memory, or
 * is quantised.  MTS_ERR_UNSUPPORTED, MTS_ERR_MEMORY; with dir also those of network_load. */
MTS_NODISCARD mts_status network_plan_make(mts_ctx *ctx, const model_config *cfg,
                                           const network_options *options, const char *dir,
                                           network_plan *plan);

/*
 * *out: a network with all memory for its limits; parameters are zero until loaded.  Takes over
 * cfg's content on success.  MTS_ERR_MEMORY; MTS_ERR_UNSUPPORTED: an architecture that is not here;
 * MTS_ERR_ARGUMENT / _UNSUPPORTED from kernels_select.
 */
MTS_NODISCARD mts_status network_create(mts_ctx *ctx, model_config *cfg,
                                        const network_options *options, network **out);
void network_destroy(network *net);

/* Whether loading makes 4 bits of a parameter, unless the file has it so. */
bool network_quantises(const network *net, const param *p);

/* Mean loss of the batch, and all gradients (times scale) of trained parameters.  NaN, infinity and
 * more memory than planned are remembered for network_check. */
double network_learn(network *net, const network_pass *pass, const model_input *in,
                     const targets *t, float scale);

/* From now on on_place (NULL: nobody) is told where network_learn is. */
void network_listen(network *net, network_place_fn *on_place, void *user);

/* out [units][width] of the head, without dropout and rounded to nearest; the mean loss if t is not
 * NULL.  For network_check as above. */
double network_predict(network *net, const model_input *in, const targets *t, float *out);

/* The forward alone, with the dropout and rounding of training: for tests. */
double network_forward(network *net, const network_pass *pass, const model_input *in,
                       const targets *t, float *out);

/* Outputs of the head, units * width: for a batch, and for the largest of evaluation. */
int64_t network_outputs(const network *net, const model_input *in);
int64_t network_max_outputs(const network *net);

/*
 * Of an adapter the first `rank` ranks are used from now on, with a scale of alpha / rank (0: all
 * of them, as it was made), and steps train ranks [first, rank) only.
 */
void network_use_ranks(network *net, int64_t rank, int64_t first);

/* Parameters changed: packed copies are stale.  Once after loading, once per optimizer step. */
void network_weights_changed(network *net);
/* The number of those changes is the key of the weights' roundings: set it when training resumes.
 */
void network_set_version(network *net, uint64_t version);

/* MTS_ERR_NUMERIC: the first NaN or infinity met since the last call ("NaN or infinity in the input
 * of ..."); MTS_ERR_MEMORY: more memory was taken than planned, an error of the program. */
MTS_NODISCARD mts_status network_check(mts_ctx *ctx, network *net);
/* The same of the values of all parameters. */
MTS_NODISCARD mts_status network_check_values(mts_ctx *ctx, network *net);

#endif
