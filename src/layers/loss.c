/* Cross entropy and squared error.  See loss.h. */
#include "layers/loss.h"

#include <assert.h>
#include <math.h>

/* -log softmax(z)[label], in double: no weight depends on it (but the choice of the
 * best model may). */
static double row_loss(const float *z, int64_t label, int64_t classes)
{
    double max = (double)z[0], sum = 0.0;
    for (int64_t c = 1; c < classes; c++)
        max = (double)z[c] > max ? (double)z[c] : max;
    for (int64_t c = 0; c < classes; c++)
        sum += exp((double)z[c] - max);
    return log(sum) - ((double)z[label] - max);
}

double loss_cross_entropy(const exec *ex, float *dlogits, const float *logits, const float *labels,
                          int64_t n, int64_t classes, float scale)
{
    const float weight = scale / (float)n;
    double total = 0.0;
    if (ex->dry)
        return total;
    for (int64_t i = 0; i < n; i++) {
        const float *z = logits + i * classes;
        const int64_t label = (int64_t)labels[i];
        assert(label >= 0 && label < classes);
        total += row_loss(z, label, classes);
        if (dlogits == NULL)
            continue;
        float *dz = dlogits + i * classes;
        ex->fk->softmax_forward(dz, z, classes, 1.0f);
        for (int64_t c = 0; c < classes; c++)
            dz[c] = (dz[c] - (c == label ? 1.0f : 0.0f)) * weight;
    }
    return total / (double)n;
}

double loss_squared_error(const exec *ex, float *dlogits, const float *logits, const float *labels,
                          int64_t n, float scale)
{
    const float weight = 2.0f * scale / (float)n;
    double total = 0.0;
    if (ex->dry)
        return total;
    for (int64_t i = 0; i < n; i++) {
        const float error = logits[i] - labels[i];
        total += (double)error * (double)error;
        if (dlogits != NULL)
            dlogits[i] = error * weight;
    }
    return total / (double)n;
}
