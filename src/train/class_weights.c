/* Weights of classes.  See class_weights.h. */
#include "train/class_weights.h"

#include "base/memory.h"

mts_status class_weights_balanced(mts_ctx *ctx, const encoded_dataset *rows, int64_t classes,
                                  float **out)
{
    mts_status st = MTS_OK;
    int64_t *count = NULL, present = 0;
    *out = NULL;
    MTS_TRY(mem_calloc(ctx, &count, (size_t)classes, sizeof count[0], "counts of classes"));
    MTS_TRY(mem_calloc(ctx, out, (size_t)classes, sizeof **out, "weights of classes"));
    for (int64_t i = 0; i < rows->n; i++)
        present += count[rows->targets.index[i]]++ == 0;
    for (int64_t c = 0; c < classes; c++)
        if (count[c] > 0)
            (*out)[c] = (float)((double)rows->n / ((double)present * (double)count[c]));
cleanup:
    mem_free(count);
    return st;
}

double class_weights_sum(const float *weight, const encoded_dataset *rows, const int64_t *index,
                         int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)weight[rows->targets.index[index[i]]];
    return sum;
}
