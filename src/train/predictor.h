/*
 * Predicting with a fine-tuned folder: encoded rows are put into batches and run forward.
 *
 * Path: cmd_predict -> mts_predictor_run, mts_predictor_answer -> predictor_run_rows ->
 *       network_predict.
 */
#ifndef MTS_TRAIN_PREDICTOR_H
#define MTS_TRAIN_PREDICTOR_H

#include "data/batch.h"
#include "data/sampler.h"
#include "io/peft.h"
#include "network/network.h"
#include "text/tokenizer.h"

typedef struct predictor {
    mts_ctx *ctx;
    tokenizer *tokenizer;
    network *net;
    peft_config adapter; /* rank 0: none */
    int64_t max_seq_length, batch_size;
    int64_t cut_rows; /* of all rows so far: had more than max_seq_length tokens */
    int threads;
    bool calibrate; /* the folder has no lists of outliers: the first rows decide them */
    batch batch;    /* room for batch_size rows of max_seq_length tokens */
} predictor;

/* Options: model_name_or_path, adapter_name_or_path, rank, precision and widths, max_seq_length,
 * per_device_eval_batch_size, do_lower_case, num_threads.  Any status of loading a folder. */
MTS_NODISCARD mts_status predictor_open(mts_ctx *ctx, const mts_options *o, predictor **out);
void predictor_close(predictor *p);

/* outputs [units][width] of the head for all rows, one behind the other; rows of at most
 * max_seq_length tokens.  MTS_ERR_MEMORY, MTS_ERR_NUMERIC. */
MTS_NODISCARD mts_status predictor_run_rows(predictor *p, const encoded_dataset *rows,
                                            float *outputs);

/* The outputs for n texts, one row each; text_b may be NULL.  MTS_ERR_ARGUMENT also. */
MTS_NODISCARD mts_status predictor_run_texts(predictor *p, const char *const *text_a,
                                             const char *const *text_b, int64_t n, float *outputs);

#endif
