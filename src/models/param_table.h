/*
 * The parameters of a BERT classifier as one table {name, shape, decay, place}: it drives
 * allocation, file names, checkpoints, the optimizer and printing.
 *
 * All values lie in one float array, all gradients in another, at the same offsets, in the table's
 * order, without gaps: query, key and value of a layer follow each other and act as one matrix.
 */
#ifndef MTS_MODELS_PARAM_TABLE_H
#define MTS_MODELS_PARAM_TABLE_H

#include "base/memory.h"
#include "io/model_config.h"
#include "tensor/param.h"

/* Position of the parameters of one encoder layer, after PARAM_LAYERS + layer * PARAM_PER_LAYER. */
enum {
    PARAM_WORD,
    PARAM_POSITION,
    PARAM_TYPE,
    PARAM_EMBEDDING_GAMMA,
    PARAM_EMBEDDING_BETA,
    PARAM_LAYERS,
};
enum {
    PARAM_QUERY_WEIGHT,
    PARAM_KEY_WEIGHT,
    PARAM_VALUE_WEIGHT,
    PARAM_QUERY_BIAS,
    PARAM_KEY_BIAS,
    PARAM_VALUE_BIAS,
    PARAM_OUT_WEIGHT,
    PARAM_OUT_BIAS,
    PARAM_NORM1_GAMMA,
    PARAM_NORM1_BETA,
    PARAM_UP_WEIGHT,
    PARAM_UP_BIAS,
    PARAM_DOWN_WEIGHT,
    PARAM_DOWN_BIAS,
    PARAM_NORM2_GAMMA,
    PARAM_NORM2_BETA,
    PARAM_PER_LAYER,
};
/* After the layers. */
enum {
    PARAM_POOLER_WEIGHT,
    PARAM_POOLER_BIAS,
    PARAM_CLASSIFIER_WEIGHT,
    PARAM_CLASSIFIER_BIAS,
    PARAM_HEADS,
};

typedef struct param_table {
    param *items;
    int64_t count;
    int64_t elements; /* of all parameters */
    int64_t layers;
    float *value, *grad; /* [elements]; grad is NULL without training */
} param_table;

/* Shapes and names for a configuration; allocates value, and grad if with_grad.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status param_table_init(mts_ctx *ctx, param_table *t, const model_config *cfg,
                                          bool with_grad);
/* The same without memory for the numbers: value and grad are addresses that nothing may use, for
 * a dry run.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status param_table_init_dry(mts_ctx *ctx, param_table *t,
                                              const model_config *cfg);
void param_table_deinit(param_table *t);

/* Number of elements without allocating anything. */
int64_t param_table_count_elements(const model_config *cfg);

/* Number of parameters, likewise. */
int64_t param_table_count(const model_config *cfg);

/* Parameter i, i in [0, param_table_count(cfg)), without a place: offset 0, value and grad NULL. */
param param_table_describe(const model_config *cfg, int64_t i);

param *param_table_layer(param_table *t, int64_t layer, int which);
param *param_table_head(param_table *t, int which);

#endif
