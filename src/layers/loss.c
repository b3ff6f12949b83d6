/* Cross entropy and squared error.  See loss.h. */
#include "layers/loss.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* -log softmax(z)[index], in double: no weight depends on it (but the choice of the
 * best model may). */
static double row_loss(const float *z, int64_t index, int64_t classes)
{
    double max = (double)z[0], sum = 0.0;
    for (int64_t c = 1; c < classes; c++)
        max = (double)z[c] > max ? (double)z[c] : max;
    for (int64_t c = 0; c < classes; c++)
        sum += exp((double)z[c] - max);
    return log(sum) - ((double)z[index] - max);
}

static int64_t count_rows(const int32_t *index, int64_t n)
{
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++)
        count += index[i] >= 0;
    return count;
}

double loss_cross_entropy(const exec *ex, float *dz, const float *z, const int32_t *index,
                          int64_t n, int64_t classes, float scale)
{
    double total = 0.0;
    if (ex->dry)
        return 0.0;
    const int64_t count = count_rows(index, n);
    const float weight = count == 0 ? 0.0f : scale / (float)count;
    for (int64_t i = 0; i < n; i++) {
        const float *row = z + i * classes;
        float *gradient = dz == NULL ? NULL : dz + i * classes;
        assert(index[i] < classes);
        if (index[i] >= 0)
            total += row_loss(row, index[i], classes);
        if (gradient == NULL)
            continue;
        if (index[i] < 0) {
            memset(gradient, 0, (size_t)classes * sizeof(float));
            continue;
        }
        ex->fk->softmax_forward(gradient, row, classes, 1.0f);
        for (int64_t c = 0; c < classes; c++)
            gradient[c] = (gradient[c] - (c == index[i] ? 1.0f : 0.0f)) * weight;
    }
    return count == 0 ? 0.0 : total / (double)count;
}

double loss_of_probabilities(float *p, int64_t index, int64_t classes, float weight)
{
    const double loss = -log((double)p[index]);
    p[index] -= 1.0f;
    for (int64_t c = 0; c < classes; c++)
        p[c] *= weight;
    return loss;
}

double loss_squared_error(const exec *ex, float *dz, const float *z, const float *y, int64_t n,
                          float scale)
{
    const float weight = 2.0f * scale / (float)n;
    double total = 0.0;
    if (ex->dry)
        return 0.0;
    for (int64_t i = 0; i < n; i++) {
        const float error = z[i] - y[i];
        total += (double)error * (double)error;
        if (dz != NULL)
            dz[i] = error * weight;
    }
    return total / (double)n;
}
