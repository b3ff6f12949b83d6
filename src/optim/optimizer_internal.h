/*
 * Inside of an optimizer: its arrays, and what each kind supplies.  For optimizer*.c only.
 */
#ifndef MTS_OPTIM_OPTIMIZER_INTERNAL_H
#define MTS_OPTIM_OPTIMIZER_INTERNAL_H

#include "optim/optimizer.h"
#include "optim/param_pieces.h"

/* A piece has whole blocks of 8-bit numbers, but for the last one of a parameter. */
enum { OPTIMIZER_MAX_STATES = 8, OPTIMIZER_PIECE = 16384 };
_Static_assert(OPTIMIZER_PIECE % DYNAMIC_BLOCK == 0, "no block is shared by two threads");

typedef struct int16_work int16_work;           /* optimizer_sgd_int16.c */
typedef struct adamw_8bit_work adamw_8bit_work; /* optimizer_adamw_8bit.c */

struct optimizer {
    optimizer_options options;
    int64_t count; /* of parameters */
    param_pieces pieces;
    optimizer_state states[OPTIMIZER_MAX_STATES];
    int state_count;
    int16_work *work;           /* SGD_INT16, else NULL */
    adamw_8bit_work *work_8bit; /* ADAMW_8BIT, else NULL */
};

/* data of the array called name, or NULL if this optimizer has none. */
void *optimizer_state_data(const optimizer *opt, const char *name);

/* Steps done; during a step, the number of this one: t = 1, 2, ... */
int64_t optimizer_steps_done(const optimizer *opt);

void adamw_init(optimizer *opt);
void adamw_step(exec *ex, optimizer *opt, const param *params, double learning_rate,
                float grad_scale);
/* Take the powers of the betas to this step; args[param.decay] of the kernels. */
void adamw_begin(optimizer *opt, double learning_rate, float grad_scale, adamw_args args[2]);

/* Bytes of adamw_8bit_work. */
size_t adamw_8bit_bytes(int64_t tensors);
/* Places of the parameters in the arrays, and the maps.  MTS_ERR_MEMORY. */
MTS_NODISCARD mts_status adamw_8bit_init(mts_ctx *ctx, optimizer *opt, const param *params);
void adamw_8bit_destroy(adamw_8bit_work *work);
void adamw_8bit_step(exec *ex, optimizer *opt, const param *params, double learning_rate,
                     float grad_scale);

void sgd_step(exec *ex, optimizer *opt, const param *params, double learning_rate,
              float grad_scale);

/* Bytes of int16_work. */
size_t sgd_int16_bytes(int64_t tensors, int64_t pieces);
/* The state from the values of params.  MTS_ERR_MEMORY, MTS_ERR_NUMERIC. */
MTS_NODISCARD mts_status sgd_int16_init(mts_ctx *ctx, optimizer *opt, const param *params);
void sgd_int16_destroy(int16_work *work);
/* Check the exponents and mantissas, set what is derived from them.  MTS_ERR_BAD_FILE. */
MTS_NODISCARD mts_status sgd_int16_restored(mts_ctx *ctx, optimizer *opt, const param *params);
void sgd_int16_step(exec *ex, optimizer *opt, const param *params, double learning_rate,
                    float grad_scale);

#endif
