/* The execution context.  See exec.h. */
#include "tensor/exec.h"
#include "tensor/work.h"

#include <stdio.h>
#include <string.h>

#if defined(_OPENMP)
#include <omp.h>
#endif

void exec_dry(exec *dry, const exec *ex)
{
    *dry = *ex;
    dry->dry = true;
    dry->outliers = NULL;
    dry->watch = NULL;
    dry->tally = NULL;
    dry->listener = NULL;
    arena_measure(&dry->scratch);
}

void *exec_take(exec *ex, int64_t count, size_t size)
{
    return arena_take(&ex->scratch, (size_t)count, size);
}

void exec_report_anomaly(exec *ex, const char *what, const char *where)
{
    if (ex->owner != NULL)
        ex = ex->owner;
#pragma omp critical(mts_exec_anomaly)
    if (ex->anomaly[0] == '\0')
        snprintf(ex->anomaly, sizeof ex->anomaly, "NaN or infinity in %s of %s", what, where);
}

typedef struct max_job {
    const exec *ex;
    const float *x;
    uint32_t max_bits;
} max_job;

static void max_piece(void *arg, int64_t begin, int64_t end)
{
    max_job *job = arg;
    uint32_t bits = job->ex->fk->max_abs_bits(job->x + begin, end - begin);
#pragma omp critical(mts_exec_max)
    if (bits > job->max_bits)
        job->max_bits = bits;
}

uint32_t exec_max_abs_bits(const exec *ex, const float *x, int64_t n)
{
    max_job job = {ex, x, 0};
    exec_parallel(ex, n, 1 << 16, max_piece, &job);
    return job.max_bits;
}

void exec_check_finite(exec *ex, const float *x, int64_t n, const char *what, const char *where)
{
    if (exec_max_abs_bits(ex, x, n) >= FLOAT_INFINITY_BITS)
        exec_report_anomaly(ex, what, where);
}

void exec_parallel(const exec *ex, int64_t n, int64_t grain,
                   void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
    const int64_t pieces = (n + grain - 1) / grain;
    if (ex->dry)
        return;
    if (pieces <= 1 || ex->threads == 1) {
        for (int64_t p = 0; p < pieces; p++)
            fn(arg, p * grain, (p + 1) * grain < n ? (p + 1) * grain : n);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(ex->threads)
    for (int64_t p = 0; p < pieces; p++)
        fn(arg, p * grain, (p + 1) * grain < n ? (p + 1) * grain : n);
}

/* A context for one thread of several. */
static exec make_fork(exec *ex)
{
    exec fork = *ex; /* copied before a thread may write ex->anomaly */
    fork.threads = 1;
    fork.owner = ex->owner == NULL ? ex : ex->owner;
    fork.thread_ready = true;
    return fork;
}

/* What the first of all n takes, for each thread. */
static void measure_fork(exec *ex, int64_t n, int64_t grain,
                         void (*fn)(void *arg, exec *fork, int64_t begin, int64_t end), void *arg)
{
    const size_t mark = exec_mark(ex);
    exec fork = make_fork(ex);
    arena_measure(&fork.scratch);
    work_repeat(ex, (double)n / (double)grain);
    fn(arg, &fork, 0, grain);
    work_repeat(ex, (double)grain / (double)n);
    exec_take(ex, ex->threads, fork.scratch.peak);
    exec_release(ex, mark);
}

void exec_parallel_fork(exec *ex, int64_t n, int64_t grain,
                        void (*fn)(void *arg, exec *fork, int64_t begin, int64_t end), void *arg)
{
    if (n <= grain) {
        if (n > 0)
            fn(arg, ex, 0, n);
        return;
    }
    if (ex->dry) {
        measure_fork(ex, n, grain, fn, arg);
        return;
    }
    const int64_t pieces = (n + grain - 1) / grain;
    const exec template = make_fork(ex);
#pragma omp parallel num_threads(ex->threads)
    {
#if defined(_OPENMP)
        const int thread = omp_get_thread_num();
#else
        const int thread = 0;
#endif
        exec fork = template;
        fork.scratch = arena_part(&ex->scratch, thread, ex->threads);
        if (ex->family->thread_begin != NULL)
            ex->family->thread_begin();
#pragma omp for schedule(dynamic)
        for (int64_t p = 0; p < pieces; p++) {
            fork.scratch.used = 0;
            fn(arg, &fork, p * grain, (p + 1) * grain < n ? (p + 1) * grain : n);
        }
        if (ex->family->thread_end != NULL)
            ex->family->thread_end();
#pragma omp critical(mts_exec_join)
        arena_join(&ex->scratch, &fork.scratch, ex->threads);
    }
}

void exec_copy(const exec *ex, void *y, const void *x, size_t bytes)
{
    if (!ex->dry)
        memcpy(y, x, bytes);
}

void exec_clear(const exec *ex, void *x, size_t bytes)
{
    if (!ex->dry)
        memset(x, 0, bytes);
}
