/*
 * The global norm of all gradients, and the factor that clips it.
 *
 *   norm = sqrt(sum over parameters and elements of g^2)          in double
 *   factor = min(1, max_norm / (norm + 1e-6))      as torch.nn.utils.clip_grad_norm_ [Pascanu2013]
 *
 * Path: train_step -> clip_gradients; the factor goes to optimizer_step, which multiplies by it, so
 * the gradients themselves are read once and not written.
 * The sum is made of fixed pieces of 65536 elements, added in the list's order: its bits depend
 * neither on threads nor on the instruction set.
 */
#ifndef MTS_OPTIM_CLIP_H
#define MTS_OPTIM_CLIP_H

#include "tensor/exec.h"
#include "tensor/param.h"

typedef struct clip_result {
    double norm;           /* before clipping; infinite or NaN when a gradient is */
    float factor;          /* in [0, 1]; 0 when norm is not finite */
    const char *bad_param; /* name of the first parameter whose gradient holds NaN or infinity,
                              in the list's order, or NULL; owned by params */
} clip_result;

/*
 * ex         in   float kernels and threads
 * params     in   params[count], those that are trained; gradients are read only
 * max_norm   in   > 0, or 0: no clipping, factor 1
 * Allocates nothing; cannot fail.
 */
clip_result clip_gradients(const exec *ex, param *const *params, int64_t count, double max_norm);

#endif
