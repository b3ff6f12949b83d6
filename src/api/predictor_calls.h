/*
 * mts_predictor of the public header: for the files of src/api that have one of its calls each.
 *
 * Path: predict.c opens, closes and describes it.
 */
#ifndef MTS_API_PREDICTOR_CALLS_H
#define MTS_API_PREDICTOR_CALLS_H

#include "tasks/text_answers.h"
#include "tasks/word_tags.h"
#include "train/predictor.h"

struct mts_predictor {
    predictor *inner;
    answer_rules rules; /* this and below: for a model that answers questions */
    int64_t overlap;
    double label_bound;   /* of a model of sets of labels */
    text_answers answers; /* of the last call */
    word_tags tags;       /* of the last call; of a model that tags words */
};

/* What models do, for predictor_check_call. */
#define PREDICTOR_LABELS "labels texts"
#define PREDICTOR_ANSWERS "answers questions"
#define PREDICTOR_TAGS "tags words"

/* The arguments of a call are there, and the model does what the call is for.  MTS_ERR_ARGUMENT. */
MTS_NODISCARD mts_status predictor_check_call(mts_predictor *p, const char *call, bool given,
                                              const char *does);

#endif
