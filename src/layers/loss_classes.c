/* Cross entropy with weights and smoothing.  See loss_classes.h. */
#include "layers/loss_classes.h"

#include <assert.h>
#include <math.h>

#include "layers/loss.h"

static float weight_of(const loss_options *o, int64_t class_)
{
    return o->class_weight == NULL ? 1.0f : o->class_weight[class_];
}

/* log sum_c exp(z_c). */
static double log_sum(const float *z, int64_t classes)
{
    double max = (double)z[0], sum = 0.0;
    for (int64_t c = 1; c < classes; c++)
        max = fmax(max, (double)z[c]);
    for (int64_t c = 0; c < classes; c++)
        sum += exp((double)z[c] - max);
    return max + log(sum);
}

/* A row's part of the loss times D, in double: no weight depends on it. */
static double row_loss(const float *z, int64_t y, int64_t classes, const loss_options *o)
{
    const double log_all = log_sum(z, classes), e = (double)o->label_smoothing;
    double smooth = 0.0;
    for (int64_t c = 0; c < classes && e > 0.0; c++)
        smooth += (double)weight_of(o, c) * (log_all - (double)z[c]);
    return (1.0 - e) * (double)weight_of(o, y) * (log_all - (double)z[y]) +
           e / (double)classes * smooth;
}

/* dz[classes] of a row; scaled: scale / D. */
static void row_gradient(const exec *ex, float *dz, const float *z, int64_t y, int64_t classes,
                         float scaled, const loss_options *o)
{
    const float e = o->label_smoothing;
    const float hard = (1.0f - e) * weight_of(o, y), soft = e / (float)classes;
    float all = 0.0f;
    for (int64_t c = 0; c < classes; c++)
        all += weight_of(o, c);
    ex->fk->softmax_forward(dz, z, classes, 1.0f);
    for (int64_t c = 0; c < classes; c++) {
        const float of_class = hard * (dz[c] - (c == y ? 1.0f : 0.0f));
        dz[c] = (of_class + soft * (dz[c] * all - weight_of(o, c))) * scaled;
    }
}

double loss_classes(const exec *ex, float *dz, const float *z, const int32_t *index, int64_t n,
                    int64_t classes, float scale, const loss_options *o)
{
    double total = 0.0, weights = 0.0;
    if (o->label_smoothing == 0.0f && o->class_weight == NULL)
        return loss_cross_entropy(ex, dz, z, index, n, classes, scale);
    if (ex->dry)
        return 0.0;
    for (int64_t i = 0; i < n; i++) {
        assert(index[i] >= 0 && index[i] < classes);
        weights += (double)weight_of(o, index[i]);
    }
    for (int64_t i = 0; i < n; i++) {
        total += row_loss(z + i * classes, index[i], classes, o);
        if (dz != NULL)
            row_gradient(ex, dz + i * classes, z + i * classes, index[i], classes,
                         weights == 0.0 ? 0.0f : scale / (float)weights, o);
    }
    return weights == 0.0 ? 0.0 : total / weights;
}
