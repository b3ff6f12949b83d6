/*
 * Optimizers: from the gradients of all parameters to their next values.
 *
 * Path: train_step -> clip_gradients -> optimizer_step -> optimizer_class.step.  The learning rate
 *       comes from schedule.h.
 * Which optimizers there are: the table in optimizer.c.  To add one: optimizer_class.h.
 *
 * Everything a later step depends on is in named arrays (optimizer_state_at), so that a checkpoint
 * which keeps them byte for byte continues bit for bit.
 * A step's result depends neither on the number of threads nor on the instruction set.
 * Not done: clipping (clip.h), parameter groups with rates of their own.
 */
#ifndef MTS_OPTIM_OPTIMIZER_H
#define MTS_OPTIM_OPTIMIZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "tensor/exec.h"
#include "tensor/param.h"

typedef struct optimizer_class optimizer_class;

/* The class of this name, a choice of the option optim; or NULL. */
const optimizer_class *optimizer_class_find(const char *name);

/* Class number i >= 0 of the table, or NULL behind the last. */
const optimizer_class *optimizer_class_at(int i);

/* A class reads those that concern it. */
typedef struct optimizer_options {
    const optimizer_class *class;
    double beta1, beta2; /* AdamW; in [0, 1) */
    double epsilon;      /* AdamW; >= 0; with 8 bits > 0, as a second moment can be rounded to 0 */
    double momentum;     /* SGD, float or integer; in [0, 1); 0: no momentum buffer */
    double weight_decay; /* >= 0; on parameters whose `decay` is set */
} optimizer_options;

/* Arrays that a class may keep beside "step". */
enum { OPTIMIZER_MAX_ARRAYS = 7 };

/* What the size of a state depends on; all zero for no parameters. */
typedef struct optimizer_sizes {
    int64_t elements, tensors;            /* tensors: parameters */
    int64_t pieces;                       /* of the parallel loop */
    int64_t counts[OPTIMIZER_MAX_ARRAYS]; /* numbers of the class's arrays for the parameters */
} optimizer_sizes;

/* One more parameter, of so many elements. */
void optimizer_sizes_add(optimizer_sizes *sizes, const optimizer_class *class, int64_t elements);

/* Bytes that optimizer_create allocates for a model of these sizes. */
size_t optimizer_bytes(const optimizer_options *options, const optimizer_sizes *sizes);

typedef struct optimizer optimizer;

/*
 * *out: an optimizer for params[count], at step 0.
 *
 * options   in     copied
 * params    inout  those that are trained (param_list.trained), with gradients from the first step
 *                  on; borrowed for the call; every later call must get the same ones.  sgd_int16
 *                  overwrites the values by what int16 represents (rounded to nearest).
 * MTS_ERR_MEMORY.  MTS_ERR_NUMERIC: sgd_int16, and a value is NaN or infinite.
 */
MTS_NODISCARD mts_status optimizer_create(mts_ctx *ctx, const optimizer_options *options,
                                          param *const *params, int64_t count, optimizer **out);
void optimizer_destroy(optimizer *opt);

/*
 * One update of every parameter, from grad * grad_scale; the gradients are finite (clip_gradients
 * tells).  The caller then tells the model that its weights changed (network_weights_changed).
 *
 * ex             inout  threads and kernels; sgd_int16 also: seed, and anomaly if a gradient or the
 *                       new weights are not finite (that parameter then keeps its state)
 * learning_rate  in     of this step, >= 0
 * grad_scale     in     in [0, 4096]; the factor of clipping
 * Cannot fail.
 */
void optimizer_step(exec *ex, optimizer *opt, param *const *params, int64_t count,
                    double learning_rate, float grad_scale);

/* --------------------------------------------------------------------------- checkpoints ---- */

typedef enum optimizer_dtype {
    OPTIMIZER_F32,
    OPTIMIZER_F64,
    OPTIMIZER_U8,
    OPTIMIZER_I16,
    OPTIMIZER_I32,
    OPTIMIZER_I64,
} optimizer_dtype;

/* Bytes of one element. */
size_t optimizer_dtype_bytes(optimizer_dtype dtype);

/* One array of the state; owned by the optimizer. */
typedef struct optimizer_state {
    const char *name; /* constant, a word, unique within the optimizer */
    optimizer_dtype dtype;
    void *data; /* data[count] of dtype */
    int64_t count;
} optimizer_state;

/*
 * The arrays, i in [0, count).  Number 0 is "step": int64 [1], steps done.  Then those of the
 * class, in its order.  docs/FORMATS.md (10) lists them all.
 */
int optimizer_state_count(const optimizer *opt);
optimizer_state optimizer_state_at(const optimizer *opt, int i);

/*
 * To be called after the arrays were overwritten from a checkpoint: checks them, and sgd_int16 sets
 * the values of params from its state.  MTS_ERR_BAD_FILE: a number that no step could have left
 * (the text names the array, the element and the number); the optimizer must not be used then.
 */
MTS_NODISCARD mts_status optimizer_restored(mts_ctx *ctx, optimizer *opt, param *const *params,
                                            int64_t count);

#endif
