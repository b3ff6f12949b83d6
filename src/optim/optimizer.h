/*
 * Optimizers: from the gradients of all parameters to their next values.
 *
 *   adamw      Loshchilov & Hutter, ICLR 2019, as torch.optim.AdamW              optimizer_adamw.c
 *   adamw_8bit the same with moments in 8 bits [Dettmers2022]               optimizer_adamw_8bit.c
 *   sgd        momentum and coupled weight decay, as torch.optim.SGD             optimizer_sgd.c
 *   sgd_int16  integer SGD, int16 state [Ghaffari2022] optimizer_sgd_int16.c
 *
 * Path: train_step -> clip_gradients -> optimizer_step.  The learning rate comes from schedule.h.
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

typedef enum optimizer_kind {
    OPTIMIZER_ADAMW,
    OPTIMIZER_ADAMW_8BIT,
    OPTIMIZER_SGD,
    OPTIMIZER_SGD_INT16,
} optimizer_kind;

typedef struct optimizer_options {
    optimizer_kind kind;
    double beta1, beta2; /* AdamW; in [0, 1) */
    double epsilon;      /* AdamW; >= 0; 8BIT: > 0, as a second moment can be rounded to 0 */
    double momentum;     /* SGD and SGD_INT16; in [0, 1); 0: no momentum buffer */
    double weight_decay; /* >= 0; on parameters whose `decay` is set */
} optimizer_options;

typedef struct optimizer optimizer;

/* The kind named by the option optim, whose choices were checked (asserted). */
optimizer_kind optimizer_kind_of(const char *text);

/* ADAMW_8BIT keeps the moments of parameters with fewer elements in float. */
enum { OPTIMIZER_8BIT_MIN = 4096 };

/* What the size of a state depends on; all zero for no parameters. */
typedef struct optimizer_sizes {
    int64_t elements, tensors; /* tensors: parameters */
    int64_t pieces;            /* of the parallel loop */
    int64_t large;             /* elements of the parameters with OPTIMIZER_8BIT_MIN or more ... */
    int64_t blocks;            /* ... and their blocks of 8-bit numbers */
} optimizer_sizes;

/* One more parameter, of so many elements. */
void optimizer_sizes_add(optimizer_sizes *sizes, int64_t elements);

/* Bytes that optimizer_create allocates for a model of these sizes. */
size_t optimizer_bytes(const optimizer_options *options, const optimizer_sizes *sizes);

/*
 * *out: an optimizer for params[count], at step 0.
 *
 * options   in     copied
 * params    inout  borrowed for the call; every later call must get the same table.  SGD_INT16
 *                  overwrites the values by what int16 represents (rounded to nearest).
 * MTS_ERR_MEMORY.  MTS_ERR_NUMERIC: SGD_INT16, and a value is NaN or infinite.
 */
MTS_NODISCARD mts_status optimizer_create(mts_ctx *ctx, const optimizer_options *options,
                                          const param *params, int64_t count, optimizer **out);
void optimizer_destroy(optimizer *opt);

/*
 * One update of every parameter, from grad * grad_scale; the gradients are finite (clip_gradients
 * tells).  The caller then tells the model that its weights changed (bert_weights_changed).
 *
 * ex             inout  threads and kernels; SGD_INT16 also: seed, and anomaly if a gradient or the
 *                       new weights are not finite (that parameter then keeps its state)
 * learning_rate  in     of this step, >= 0
 * grad_scale     in     in [0, 4096]; the factor of clipping
 * Cannot fail.
 */
void optimizer_step(exec *ex, optimizer *opt, const param *params, int64_t count,
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

/* One array of the state; owned by the optimizer. */
typedef struct optimizer_state {
    const char *name; /* constant, a word, unique within the optimizer */
    optimizer_dtype dtype;
    void *data; /* data[count] of dtype */
    int64_t count;
} optimizer_state;

/*
 * The arrays, i in [0, count).  Number 0 is "step": int64 [1], steps done.  Then, with N elements
 * and T parameters, in the table's order:
 *
 *   ADAMW       exp_avg f32[N], exp_avg_sq f32[N], beta_powers f64[2] (beta1^t, beta2^t)
 *   ADAMW_8BIT  exp_avg_code u8[L], exp_avg_absmax f32[B], exp_avg_sq_code u8[L],
 *               exp_avg_sq_absmax f32[B], exp_avg f32[N - L], exp_avg_sq f32[N - L], beta_powers
 *               (L elements of the large parameters in B blocks; the rest belongs to the others)
 *   SGD         momentum_buffer f32[N]                                          (with momentum)
 *   SGD_INT16   weight i16[N], weight_exponent i32[T],
 *               momentum_buffer i16[N], momentum_exponent i32[T]  (the last two with momentum)
 */
int optimizer_state_count(const optimizer *opt);
optimizer_state optimizer_state_at(const optimizer *opt, int i);

/*
 * To be called after the arrays were overwritten from a checkpoint: checks them, and SGD_INT16 sets
 * the values of params from its state.  MTS_ERR_BAD_FILE: a number that no step could have left
 * (the text names the array, the element and the number); the optimizer must not be used then.
 */
MTS_NODISCARD mts_status optimizer_restored(mts_ctx *ctx, optimizer *opt, const param *params,
                                            int64_t count);

#endif
