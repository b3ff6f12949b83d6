/*
 * Optimizer updates and the gradient's norm, element by element, in float.
 *
 *   AdamW [Loshchilov2019], in the order of operations of torch.optim.AdamW:
 *     w *= 1 - lr wd;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2
 *     w -= lr / (1-b1^t) * m / (sqrt(v) / sqrt(1-b2^t) + eps)
 *   v is cut to FLT_MAX: an infinite one would never decay.
 */
#include "kernels/float_kernels.h"
#include "kernels/float/float_lanes.h"

#include <float.h>
#include <math.h>

#include "kernels/float/float_table.h"

void FK(adamw)(float *restrict w, float *restrict m, float *restrict v, const float *restrict g,
               int64_t n, const adamw_args *args)
{
    const float decay = 1.0f - args->learning_rate * args->weight_decay;
    const float step = args->learning_rate / args->correction1;
    const float inverse2 = 1.0f / args->correction2;
    const float b1 = args->beta1, b2 = args->beta2, eps = args->epsilon;
    const float c1 = 1.0f - b1, c2 = 1.0f - b2, gs = args->grad_scale;
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * gs;
        float mi = b1 * m[i] + c1 * gi;
        float vi = b2 * v[i] + c2 * gi * gi;
        vi = vi < FLT_MAX ? vi : FLT_MAX;
        m[i] = mi;
        v[i] = vi;
        w[i] = w[i] * decay - step * (mi / (sqrtf(vi) * inverse2 + eps));
    }
}

void FK(sgd)(float *restrict w, float *restrict buf, const float *restrict g, int64_t n,
             float learning_rate, float momentum, float weight_decay, float grad_scale)
{
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * grad_scale + weight_decay * w[i];
        float bi = momentum * buf[i] + gi;
        buf[i] = bi;
        w[i] -= learning_rate * bi;
    }
}

double FK(sum_squares)(const float *x, int64_t n)
{
    double acc[LANES] = {0};
    int64_t base = 0;
    for (; base + LANES <= n; base += LANES)
        for (int l = 0; l < LANES; l++)
            acc[l] += (double)x[base + l] * (double)x[base + l];
    for (int64_t i = base; i < n; i++)
        acc[i - base] += (double)x[i] * (double)x[i];
    double total = 0.0;
    for (int l = 0; l < LANES; l++)
        total += acc[l];
    return total;
}
