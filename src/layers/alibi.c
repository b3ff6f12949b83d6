/* Linear biases of attention.  See alibi.h. */
#include "layers/alibi.h"

#include <math.h>

/* 2^(-8 / n), n a power of two: by square roots, which are the same on every machine. */
static double ratio(int64_t n)
{
    double x = 1.0 / 256;
    for (; n > 1; n /= 2)
        x = sqrt(x);
    return x;
}

void alibi_slopes(float *slope, int64_t heads)
{
    int64_t power = 1;
    while (2 * power <= heads)
        power *= 2;
    double m = ratio(power);
    const double step = m, between = ratio(2 * power);
    for (int64_t h = 0; h < power; h++, m *= step)
        slope[h] = (float)m;
    m = between;
    for (int64_t h = power; h < heads; h++, m *= between * between)
        slope[h] = (float)m;
}

/* Round x[n] to bfloat16. */
static void round_to_bf16(const exec *ex, float *x, int64_t n)
{
    enum { STRIP = 512 };
    uint16_t y[STRIP];
    for (int64_t i = 0; i < n; i += STRIP) {
        const int64_t m = n - i < STRIP ? n - i : STRIP;
        ex->fk->to_bf16(y, x + i, m);
        ex->fk->from_bf16(x + i, y, m);
    }
}

const float *alibi_bias(exec *ex, int64_t length, float slope)
{
    float *bias = exec_take(ex, length, sizeof(float));
    if (ex->dry)
        return bias;
    for (int64_t j = 0; j < length; j++)
        bias[j] = (float)j;
    round_to_bf16(ex, bias, length);
    round_to_bf16(ex, &slope, 1);
    for (int64_t j = 0; j < length; j++)
        bias[j] *= slope;
    round_to_bf16(ex, bias, length);
    return bias;
}
