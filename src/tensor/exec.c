/* The execution context.  See exec.h. */
#include "tensor/exec.h"

#include <stdio.h>

void *exec_take(exec *ex, int64_t count, size_t size)
{
    return arena_take(&ex->scratch, (size_t)count, size);
}

void exec_report_anomaly(exec *ex, const char *what, const char *where)
{
#pragma omp critical(mts_exec_anomaly)
    if (ex->anomaly[0] == '\0')
        snprintf(ex->anomaly, sizeof ex->anomaly, "NaN or infinity in %s of %s", what, where);
}

typedef struct finite_job {
    const exec *ex;
    const float *x;
    uint32_t max_bits;
} finite_job;

static void finite_piece(void *arg, int64_t begin, int64_t end)
{
    finite_job *job = arg;
    uint32_t bits = job->ex->fk->max_abs_bits(job->x + begin, end - begin);
#pragma omp critical(mts_exec_finite)
    if (bits > job->max_bits)
        job->max_bits = bits;
}

void exec_check_finite(exec *ex, const float *x, int64_t n, const char *what, const char *where)
{
    finite_job job = {ex, x, 0};
    exec_parallel(ex, n, 1 << 16, finite_piece, &job);
    if (job.max_bits >= UINT32_C(0x7f800000))
        exec_report_anomaly(ex, what, where);
}

void exec_parallel(const exec *ex, int64_t n, int64_t grain,
                   void (*fn)(void *arg, int64_t begin, int64_t end), void *arg)
{
    const int64_t pieces = (n + grain - 1) / grain;
    if (pieces <= 1 || ex->threads == 1) {
        for (int64_t p = 0; p < pieces; p++)
            fn(arg, p * grain, (p + 1) * grain < n ? (p + 1) * grain : n);
        return;
    }
#pragma omp parallel for schedule(dynamic) num_threads(ex->threads)
    for (int64_t p = 0; p < pieces; p++)
        fn(arg, p * grain, (p + 1) * grain < n ? (p + 1) * grain : n);
}
