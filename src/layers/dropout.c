/* Dropout and sums.  See dropout.h. */
#include "layers/dropout.h"

#include <string.h>

/* Work over a whole matrix, cut into pieces by exec_parallel. */
typedef struct element_job {
    const exec *ex;
    float *y;
    const float *a, *b;
    float p;
    rng_key key;
    int64_t first; /* draw of element 0 */
} element_job;

enum { GRAIN = 1 << 13 };

static rng_key key_of(const exec *ex, int stream)
{
    return rng_make_key(ex->seed, ex->step, (uint64_t)stream, RNG_DROPOUT);
}

static void apply_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    float *y = job->y + begin;
    const float *x = job->a + begin;
    if (job->p > 0.0f)
        job->ex->fk->dropout(y, x, end - begin, job->p, job->key, (uint32_t)(job->first + begin));
    else
        memcpy(y, x, (size_t)(end - begin) * sizeof(float));
}

void dropout_apply(exec *ex, float *y, const float *x, int64_t n, int64_t first, float p,
                   int stream)
{
    element_job job = {.ex = ex, .y = y, .a = x, .p = p, .key = key_of(ex, stream), .first = first};
    if (!ex->training)
        job.p = 0.0f;
    if (job.p > 0.0f || y != x)
        exec_parallel(ex, n, GRAIN, apply_piece, &job);
}

static void add_after_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    float *y = job->y + begin;
    if (job->p > 0.0f)
        job->ex->fk->dropout(y, y, end - begin, job->p, job->key, (uint32_t)(job->first + begin));
    job->ex->fk->add(y, y, job->a + begin, end - begin);
}

void dropout_add(exec *ex, float *y, const float *residual, int64_t n, int64_t first, float p,
                 int stream)
{
    element_job job = {.ex = ex, .y = y, .a = residual, .key = key_of(ex, stream), .first = first};
    job.p = ex->training ? p : 0.0f;
    exec_parallel(ex, n, GRAIN, add_after_piece, &job);
}

static void add_piece(void *arg, int64_t begin, int64_t end)
{
    const element_job *job = arg;
    job->ex->fk->add(job->y + begin, job->a + begin, job->b + begin, end - begin);
}

void matrix_add(exec *ex, float *y, const float *a, const float *b, int64_t n)
{
    element_job job = {.ex = ex, .y = y, .a = a, .b = b};
    exec_parallel(ex, n, GRAIN, add_piece, &job);
}
