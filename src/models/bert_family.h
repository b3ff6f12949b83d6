/*
 * The families of encoders with BERT's layers: how each names its parameters and its keys of
 * config.json, and what those it leaves out mean (transformers' defaults).
 *
 *   BERT         as in bert.h                                                      [Devlin2019]
 *   RoBERTa      positions begin behind that of the padding                        [Liu2019]
 *   DistilBERT   no types                                                          [Sanh2019]
 *   ELECTRA      the discriminator: narrower embeddings, which a matrix widens     [Clark2020]
 *
 * To add a family: one model_class and one row in bert_family.c, the class in model.c.
 */
#ifndef MTS_MODELS_BERT_FAMILY_H
#define MTS_MODELS_BERT_FAMILY_H

#include "models/model.h"

/* They differ in names and keys, and in what bert_family says. */
extern const model_class bert_class, roberta_class, distilbert_class, electra_class;

/* Names of parameters, without ".weight" and ".bias"; those of a layer are behind its number. */
typedef struct bert_names {
    const char *words, *positions;
    const char *types; /* NULL: there are none */
    const char *norm;
    const char *projection; /* from embeddings to layers; NULL: both have one width */
    const char *layers;     /* "bert.encoder.layer" */
    const char *qkv[3], *out, *norm1, *up, *down, *norm2;
    const char *attention, *qkv_report; /* names for reports */
} bert_names;

typedef struct bert_family {
    const model_class *class;
    bert_names names;
} bert_family;

/* Of this model_type; of one that is not here: BERT's. */
const bert_family *bert_family_find(const char *model_type);

/* Numbers of an embedding: embedding_size where the family has a projection, else hidden_size. */
int64_t bert_embedding_size(const bert_family *family, const model_config *cfg);

#endif
