/*
 * Labelling texts with a fine-tuned folder: rows are encoded, put into batches and run forward.
 *
 * Path: cmd_predict -> mts_predictor_run -> predictor_run -> network_predict.
 */
#ifndef MTS_TRAIN_PREDICTOR_H
#define MTS_TRAIN_PREDICTOR_H

#include "data/batch.h"
#include "data/sampler.h"
#include "network/network.h"
#include "text/tokenizer.h"

typedef struct predictor {
    mts_ctx *ctx;
    tokenizer *tokenizer;
    network *net;
    int64_t max_seq_length, batch_size;
    int64_t cut_rows; /* of all rows so far: had more than max_seq_length tokens */
    int threads;
    batch batch; /* room for batch_size rows of max_seq_length tokens */
} predictor;

/* Options: model_name_or_path, precision and widths, max_seq_length, per_device_eval_batch_size,
 * do_lower_case, num_threads.  Any status of loading a folder. */
MTS_NODISCARD mts_status predictor_open(mts_ctx *ctx, const mts_options *o, predictor **out);
void predictor_close(predictor *p);

/* logits[n][num_labels]; text_b may be NULL.  MTS_ERR_MEMORY, MTS_ERR_ARGUMENT, MTS_ERR_NUMERIC. */
MTS_NODISCARD mts_status predictor_run(predictor *p, const char *const *text_a,
                                       const char *const *text_b, int64_t n, float *logits);

#endif
