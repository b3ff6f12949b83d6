/*
 * One run of training or evaluation: everything it holds, and how it is prepared.
 *
 * Path: mts_train -> train_run -> run_prepare, train_step (each step), evaluate_sets,
 *       checkpoint_save.
 */
#ifndef MTS_TRAIN_RUN_H
#define MTS_TRAIN_RUN_H

#include <jansson.h>

#include "base/utf8.h"
#include "data/batch.h"
#include "data/sampler.h"
#include "io/peft.h"
#include "network/network.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "options/rank_list.h"
#include "tasks/task.h"
#include "text/tokenizer.h"
#include "text/tokenizer_files.h"
#include "train/early_stopping.h"
#include "train/train_log.h"

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
    early_stopping stopping;
    json_t *log_history; /* array, as transformers' trainer_state.json has it */
} train_state;

/* The rows of a run, and the batches that are made of them. */
typedef struct run_data {
    encoded_dataset train, eval[TASK_MAX_SETS], test[TASK_MAX_SETS];
    int64_t eval_sets, test_sets;
    batch batch; /* the present one */
    sampler sampler, eval_sampler;
    bool sampler_stale; /* the sampler is not yet in the order of the present epoch */
} run_data;

/* The step in progress, for who watches. */
typedef struct run_within {
    double start;           /* clock_seconds */
    double seconds;         /* of a step, as the last ones took; 0: there was none */
    int64_t batch, batches; /* from 0 */
} run_within;

/* How long a run is, and how often something is done; in optimizer steps. */
typedef struct run_steps {
    int64_t total, per_epoch;
    int64_t batches_per_epoch;
    int64_t logging, eval, save; /* of the options */
} run_steps;

/* Where a run begins. */
typedef struct run_origin {
    const char *model_dir; /* where the weights and the tokenizer come from */
    char *resume_dir;      /* checkpoint to go on from, or NULL; owned */
    bool starts_fresh;   /* what output_dir holds is not of this run: begins with a clean folder */
    int64_t rotate_from; /* older checkpoints could not be removed and are left alone */
} run_origin;

/* Owns what it points to, but for ctx, what o points to, and callbacks. */
typedef struct run {
    mts_ctx *ctx;
    const mts_options *o;
    const mts_callbacks *callbacks;
    num_format format;
    int64_t max_seq_length; /* of the options, or the default for this model */
    int threads;
    bool training;

    run_origin origin;
    task *task;
    const head_class *head; /* of task->head */
    tokenizer *tokenizer;
    tokenizer_files tokenizer_files;
    run_data data;

    mts_options own;      /* o, with what it leaves to the model filled in */
    peft_config adapter;  /* rank 0: none */
    rank_list ranks;      /* of --method dylora */
    float *rank_weights;  /* [adapter.rank]: with --rank_weighting matryoshka; else NULL */
    float *class_weights; /* [num_labels]: with --class_weights; else NULL */
    network *net;
    optimizer *opt;
    schedule schedule;
    float *outputs; /* of the head for the largest batch of evaluation */

    run_steps steps;
    train_state state;
    run_within within;
    train_log log;
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

/* Write the weights into dir: of the model, or of its adapter with its configuration. */
MTS_NODISCARD mts_status run_save_weights(const run *r, const char *dir);

/* Whether there is a line in the log after this optimizer step, counted from 1. */
bool run_logs_step(const run *r, int64_t step);

/* Passes over the training data done. */
double run_epoch(const run *r);

/* The batch in r->data.batch as the network takes it. */
model_input run_input(const run *r);

/* MTS_ERR_NUMERIC with the layer's name if the network met NaN or infinity; MTS_ERR_MEMORY: it took
 * more than planned. */
MTS_NODISCARD mts_status run_check_numeric(run *r, double loss);

/* MTS_ERR_NUMERIC with the name of a parameter that is not finite: such a model is not written, for
 * it could not be read again.  where: the folder it would go to. */
MTS_NODISCARD mts_status run_check_weights(run *r, const char *where);

#endif
