/*
 * BERT without a head, forward and backward, and its relatives (bert_family.h).  [Devlin2019]
 *
 *   h = dropout(LN(word + position + type))            ELECTRA: h Wp + b of that
 *   layer:  a  = attention(h Wqkv + b) Wo + b          h1 = LN(dropout(a) + h)
 *           f  = gelu(h1 Wup + b) Wdown + b            h  = LN(dropout(f) + h1)
 *
 * Sequences are concatenated without padding: a padded position is never computed, which changes no
 * number of a real one.
 *
 * Path: network_learn -> bert_forward / bert_backward (by bert_class) -> linear_forward ...
 */
#ifndef MTS_MODELS_BERT_H
#define MTS_MODELS_BERT_H

#include "layers/embedding.h"
#include "layers/layernorm.h"
#include "layers/linear.h"
#include "layers/low_rank.h"
#include "layers/nonlinearity.h"
#include "models/bert_family.h"

/* Parameters of one layer. */
typedef struct bert_layer_params {
    param *qkv_weight, *qkv_bias; /* of query; key and value lie behind */
    param *out_weight, *out_bias, *norm1_gamma, *norm1_beta;
    param *up_weight, *up_bias, *down_weight, *down_bias, *norm2_gamma, *norm2_beta;
} bert_layer_params;

typedef struct bert_layer {
    bert_layer_params params;
    linear qkv, out, up, down;
    low_rank qkv_adapter, out_adapter, up_adapter, down_adapter; /* without parts: none */
    nonlinearity act;
    layernorm norm1, norm2;
    attention attention;
    /* kept from forward to backward */
    linear_input x, context, h1, g;
    attention_state attention_state;
    layernorm_state norm1_state, norm2_state;
    nonlinearity_state act_state;
} bert_layer;

typedef struct bert {
    model base;
    const bert_family *family;
    param *word_table, *position_table;
    param *type_table; /* NULL: no types */
    param *norm_gamma, *norm_beta;
    param *projection_weight, *projection_bias; /* NULL: embeddings are as wide as layers */
    embedding word, position, type;
    layernorm embedding_norm;
    linear projection;
    low_rank projection_adapter; /* without a part: none */
    bert_layer *layers;          /* [num_hidden_layers] */
    char *names;                 /* of layers, for reports */
    /* kept from forward to backward */
    layernorm_state embedding_norm_state;
    linear_input projected; /* the input of projection */
    int32_t *positions;     /* [tokens]; NULL: the batch's */
} bert;

#endif
