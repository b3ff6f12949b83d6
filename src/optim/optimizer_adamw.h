/*
 * What AdamW in float and AdamW with 8-bit moments have in common.  For optimizer_adamw*.c.
 */
#ifndef MTS_OPTIM_OPTIMIZER_ADAMW_H
#define MTS_OPTIM_OPTIMIZER_ADAMW_H

#include "kernels/float_kernels.h"
#include "optim/optimizer_class.h"

/* adamw_8bit keeps the moments of parameters with fewer elements in float. */
enum { ADAMW_8BIT_MIN = 4096 };

/* Set beta_powers to 1; an optimizer_class.init.  Cannot fail. */
MTS_NODISCARD mts_status adamw_init(mts_ctx *ctx, optimizer *opt, param *const *params);

/* Take the powers of the betas to this step; args[param.decay] of the kernels. */
void adamw_begin(optimizer *opt, double learning_rate, float grad_scale, adamw_args args[2]);

#endif
