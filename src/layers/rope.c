/* Rotary positions.  See rope.h. */
#include "layers/rope.h"

#include <assert.h>

enum { TOKEN_GRAIN = 32, POSITION_GRAIN = 64 };

/* x^n, n >= 0, by squaring. */
static double power(double x, int64_t n)
{
    double result = 1.0;
    for (; n > 0; n /= 2) {
        if (n % 2 == 1)
            result *= x;
        x *= x;
    }
    return result;
}

/* The largest double r with r^n <= x (x >= 1, n >= 1): by halving an interval, so that only
 * products decide it. */
static double root(double x, int64_t n)
{
    double low = 1.0, high = x;
    for (;;) {
        const double middle = low + (high - low) / 2.0;
        if (middle <= low || middle >= high)
            return low;
        if (power(middle, n) <= x)
            low = middle;
        else
            high = middle;
    }
}

#define TWO_PI 6.283185307179586476925

static double scaled(const rope_options *o, double frequency)
{
    if (o->scaling == ROPE_LINEAR)
        return frequency / o->factor;
    if (o->scaling != ROPE_LLAMA3)
        return frequency;
    const double length = TWO_PI / frequency; /* tokens of one turn */
    if (length < o->original_length / o->high_factor)
        return frequency;
    if (length > o->original_length / o->low_factor)
        return frequency / o->factor;
    const double smooth =
        (o->original_length / length - o->low_factor) / (o->high_factor - o->low_factor);
    return (1.0 - smooth) * frequency / o->factor + smooth * frequency;
}

void rope_frequencies(const rope_options *o, double *frequency)
{
    const int64_t half = o->dims / 2;
    if (half == 0)
        return;
    const double step = root(o->base, half);
    for (int64_t i = 0; i < half; i++)
        frequency[i] = scaled(o, 1.0 / power(step, i));
}

void rope_sine_cosine(double angle, double *s, double *c)
{
    /* pi/2 in three parts; products of the first two with n < 2^30 are exact or nearly so */
    static const double part[3] = {1.57079632673412561417e+00, 6.07710050630396597660e-11,
                                   2.02226624879595063154e-21};
    const double n = (double)(int64_t)(angle * 6.36619772367581382433e-01 + 0.5);
    const double r = ((angle - n * part[0]) - n * part[1]) - n * part[2], x = r * r;
    /* Taylor series: |r| <= pi/4, the first term left out is below 2^-57 */
    const double sine =
        r + r * x *
                (-1.0 / 6 +
                 x * (1.0 / 120 +
                      x * (-1.0 / 5040 + x * (1.0 / 362880 +
                                              x * (-1.0 / 39916800 + x * (1.0 / 6227020800.0 -
                                                                          x / 1307674368000.0))))));
    const double cosine =
        1.0 +
        x * (-0.5 +
             x * (1.0 / 24 + x * (-1.0 / 720 +
                                  x * (1.0 / 40320 +
                                       x * (-1.0 / 3628800 +
                                            x * (1.0 / 479001600 + x * (-1.0 / 87178291200.0 +
                                                                        x / 20922789888000.0)))))));
    const int quarter = (int)((int64_t)n & 3);
    *s = quarter == 0 ? sine : quarter == 1 ? cosine : quarter == 2 ? -sine : -cosine;
    *c = quarter == 0 ? cosine : quarter == 1 ? -sine : quarter == 2 ? -cosine : sine;
}

void rope_table_bind(rope_table *t, arena *a, const rope_options *o, int64_t count)
{
    *t = (rope_table){.half = o->dims / 2, .count = count};
    t->cosine = arena_take(a, (size_t)(count * t->half), sizeof(float));
    t->sine = arena_take(a, (size_t)(count * t->half), sizeof(float));
}

typedef struct fill_job {
    rope_table *table;
    const double *frequency;
} fill_job;

static void fill_positions(void *arg, int64_t begin, int64_t end)
{
    const fill_job *job = arg;
    const rope_table *t = job->table;
    for (int64_t p = begin; p < end; p++)
        for (int64_t i = 0; i < t->half; i++) {
            double s, c;
            rope_sine_cosine((double)(t->first + p) * job->frequency[i], &s, &c);
            t->cosine[p * t->half + i] = (float)c;
            t->sine[p * t->half + i] = (float)s;
        }
}

void rope_table_fill(const exec *ex, rope_table *t, const rope_options *o)
{
    enum { MOST = 1024 };
    double frequency[MOST];
    fill_job job = {t, frequency};
    assert(t->half <= MOST);
    if (ex->dry || t->half == 0)
        return;
    rope_frequencies(o, frequency);
    exec_parallel(ex, t->count, POSITION_GRAIN, fill_positions, &job);
}

typedef struct rope_job {
    const exec *ex;
    const rope_table *table;
    float *x;
    int64_t ld, heads, head_dim;
    const int32_t *positions;
    bool backward;
} rope_job;

static void turn_tokens(void *arg, int64_t begin, int64_t end)
{
    const rope_job *job = arg;
    const int64_t half = job->table->half;
    for (int64_t t = begin; t < end; t++) {
        const int64_t at = (job->positions[t] - job->table->first) * half;
        const float *cosine = job->table->cosine + at, *sine = job->table->sine + at;
        for (int64_t h = 0; h < job->heads; h++) {
            float *x = job->x + t * job->ld + h * job->head_dim;
            if (job->backward)
                job->ex->fk->rotate_back(x, cosine, sine, half);
            else
                job->ex->fk->rotate(x, cosine, sine, half);
        }
    }
}

void rope_apply(const exec *ex, const rope_table *t, float *x, int64_t ld, int64_t heads,
                int64_t head_dim, const int32_t *positions, int64_t tokens, bool backward)
{
    rope_job job = {ex, t, x, ld, heads, head_dim, positions, backward};
    if (t->half > 0)
        exec_parallel(ex, tokens, TOKEN_GRAIN, turn_tokens, &job);
}
