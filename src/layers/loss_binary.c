/* Binary cross entropy.  See loss_binary.h. */
#include "layers/loss_binary.h"

#include <math.h>

/* In double: no weight depends on it (but the choice of the best model may). */
static double label_loss(double z, bool in_set)
{
    return fmax(z, 0.0) - (in_set ? z : 0.0) + log1p(exp(-fabs(z)));
}

/* sigmoid(z) - y as the softmax of z and 0, which is the same bits in every build; for y = 1 the
 * other probability, so that nothing cancels. */
static float label_gradient(const exec *ex, float z, bool in_set)
{
    const float pair[2] = {z, 0.0f};
    float p[2];
    ex->fk->softmax_forward(p, pair, 2, 1.0f);
    return in_set ? -p[1] : p[0];
}

double loss_binary_cross_entropy(const exec *ex, float *dz, const float *z, const uint8_t *set,
                                 int64_t n, int64_t labels, float scale)
{
    const float weight = scale / (float)(n * labels);
    double total = 0.0;
    if (ex->dry)
        return 0.0;
    for (int64_t i = 0; i < n * labels; i++) {
        const bool in_set = set[i] != 0;
        total += label_loss((double)z[i], in_set);
        if (dz != NULL)
            dz[i] = label_gradient(ex, z[i], in_set) * weight;
    }
    return total / (double)(n * labels);
}
