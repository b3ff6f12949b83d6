/*
 * One run of training or evaluation: everything it holds, and its phases.
 *
 * Path: mts_train -> train_run -> run_prepare, train_step (each step), run_evaluate,
 * checkpoint_save.
 */
#ifndef MTS_TRAIN_RUN_H
#define MTS_TRAIN_RUN_H

#include <jansson.h>

#include "base/utf8.h"
#include "data/batch.h"
#include "data/sampler.h"
#include "network/network.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "tasks/task.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"

/* Where training stands; all of it is in a checkpoint. */
typedef struct train_state {
    int64_t global_step; /* optimizer steps done */
    int64_t micro_step;  /* batches done: the key of roundings and dropout */
    double loss_sum;     /* since the last log line */
    int64_t loss_count;
    double total_loss; /* over all steps */
    bool has_best;
    double best_metric;
    int64_t best_step;
    char *best_checkpoint;
    bool
        evaluation_due; /* the evaluation after global_step was put off: the caller wants to stop */
    json_t *log_history; /* array, as transformers' trainer_state.json has it */
} train_state;

typedef struct run {
    mts_ctx *ctx;
    const mts_options *o;
    const mts_callbacks *callbacks;
    num_format format;
    int64_t max_seq_length; /* of the options, or the default for this model */
    int threads;
    bool training;

    task *task;
    tokenizer *tokenizer;
    tokenizer_files tokenizer_files;
    encoded_dataset train, eval[TASK_MAX_SETS], test[TASK_MAX_SETS];
    int64_t eval_sets, test_sets;
    batch batch;
    sampler sampler, eval_sampler;
    bool sampler_stale; /* the sampler is not yet in the order of the present epoch */
    schedule schedule;

    network *net;
    optimizer *opt;
    float *outputs; /* of the head for the largest batch of evaluation */
    train_state state;
    int64_t batches_per_epoch, steps_per_epoch, total_steps;
    int64_t logging_steps, eval_steps, save_steps; /* of the options, in steps */
    const char *model_dir; /* where the weights and the tokenizer come from */
    char *resume_dir;      /* checkpoint to go on from, or NULL */
    bool starts_fresh;   /* what output_dir holds is not of this run: begins with a clean folder */
    int64_t rotate_from; /* older checkpoints could not be removed and are left alone */
    char *log_path;      /* where metrics go; this and below: train_log.h */
    bool log_special;    /* a device or pipe, written in place by log_fd while log_open */
    bool log_open;
    int log_fd;
    bool stop; /* on_event returned false */
} run;

/* What a run is for: decides which data is read and what memory the model gets. */
typedef struct run_purpose {
    bool train, evaluate, predict;
} run_purpose;

/*
 * Read data and model, allocate everything, load the weights (of the checkpoint when resuming).
 * r is zeroed by the caller and must be given to run_deinit in every case.
 */
MTS_NODISCARD mts_status run_prepare(run *r, mts_ctx *ctx, const mts_options *o,
                                     const mts_callbacks *callbacks, run_purpose purpose);
void run_deinit(run *r);

#define RUN_NOTE_BYTES 1024

/* Tell the caller; false: the caller wants to stop, now or since an earlier event.  printf style
 * for notes. */
bool run_emit(run *r, const mts_event *event);
void run_note(run *r, const char *fmt, ...) MTS_PRINTF(2, 3);

/* A failure the run can do without: the note "what: <error text>" and MTS_OK; but MTS_ERR_MEMORY
 * stays. */
MTS_NODISCARD mts_status run_note_failure(run *r, mts_status st, const char *what);

/* Seconds on a monotonic clock. */
double run_clock(void);

/* Passes over the training data done. */
double run_epoch(const run *r);

/* The batch in r->batch as the network takes it. */
model_input run_input(const run *r);

/* Whether the greater of two values of a metric is the better one; key as in the results. */
bool run_greater_is_better(const run *r, const char *key);

/* The key of metric_for_best_model among the results, eval_loss if there is none. */
#define RUN_METRIC_KEY_BYTES 128
void run_best_metric_key(const run *r, char key[RUN_METRIC_KEY_BYTES]);

/* MTS_ERR_ARGUMENT: the evaluation sets do not have metric_for_best_model.  Before the first step.
 */
MTS_NODISCARD mts_status run_check_best_metric(run *r);

/* Evaluate all evaluation sets: *results is a new JSON object eval_loss, eval_accuracy, ... */
MTS_NODISCARD mts_status run_evaluate(run *r, json_t **results);

/* Predict the test sets, into files of output_dir. */
MTS_NODISCARD mts_status run_predict_tests(run *r);

/* MTS_ERR_NUMERIC with the layer's name if the network met NaN or infinity; MTS_ERR_MEMORY: it took
 * more than planned. */
MTS_NODISCARD mts_status run_check_numeric(run *r, double loss);

/* MTS_ERR_NUMERIC with the name of a parameter that is not finite: such a model is not written, for
 * it could not be read again.  where: the folder it would go to. */
MTS_NODISCARD mts_status run_check_weights(run *r, const char *where);

#endif
