/* The rows of the table of heads, one file each; head.c lists them. */
#ifndef MTS_HEADS_HEADS_H
#define MTS_HEADS_HEADS_H

#include "heads/head.h"

extern const head_class head_classification; /* one class of a text: cross entropy */
extern const head_class head_regression;     /* one score of a text: squared error */
extern const head_class head_spans;          /* first and last token of an answer */
extern const head_class head_tokens;         /* a class for each token */
extern const head_class head_multi_label;    /* a set of labels of a text: binary cross entropy */
extern const head_class head_next_token;     /* the token behind each: a language model */

#endif
