/* Learning rate schedules.  See schedule.h. */
#include "optim/schedule.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

/* In the order of schedule_kind. */
static const char *const names[] = {"linear", "cosine", "constant", "constant_with_warmup"};

schedule_kind schedule_kind_of(const char *text)
{
    const int count = (int)(sizeof names / sizeof names[0]);
    int kind = 0;
    while (kind < count && strcmp(names[kind], text) != 0)
        kind++;
    assert(kind < count);
    return (schedule_kind)kind;
}

int64_t schedule_steps(double steps, int64_t total)
{
    return (int64_t)(steps < 1 ? ceil((double)total * steps) : steps);
}

int64_t schedule_warmup_steps(double warmup_steps, double warmup_ratio, int64_t total)
{
    return warmup_steps > 0 ? schedule_steps(warmup_steps, total)
                            : (int64_t)ceil((double)total * warmup_ratio);
}

static double at_least(double low, double x)
{
    return x < low ? low : x;
}

double schedule_factor(const schedule *s, int64_t step)
{
    const double at = (double)step, n = (double)s->steps, w = (double)s->warmup;
    if (s->kind == SCHEDULE_CONSTANT)
        return 1.0;
    if (at < w)
        return at / at_least(1.0, w);
    switch (s->kind) {
    case SCHEDULE_LINEAR:
        return at_least(0.0, (n - at) / at_least(1.0, n - w));
    case SCHEDULE_COSINE:
        return at_least(0.0, 0.5 * (1.0 + cos(pi * ((at - w) / at_least(1.0, n - w)))));
    case SCHEDULE_CONSTANT:
    case SCHEDULE_CONSTANT_WITH_WARMUP:
        break;
    }
    return 1.0;
}
