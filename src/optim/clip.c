/* The norm of all gradients.  See clip.h. */
#include "optim/clip.h"

#include <math.h>

/* PIECE is part of the result: it fixes the order of the sum.  BATCH only bounds the stack. */
enum { PIECE = 65536, BATCH = 256 };

typedef struct norm_piece {
    const float *x;
    int64_t n;
    const char *name;
} norm_piece;

/* Pieces that wait for their sums, and the total of those before them. */
typedef struct norm_job {
    const exec *ex;
    norm_piece pieces[BATCH];
    double sums[BATCH];
    int64_t count;
    double total;
    const char *bad_param;
} norm_job;

static void sum_pieces(void *arg, int64_t begin, int64_t end)
{
    norm_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        job->sums[i] = job->ex->fk->sum_squares(job->pieces[i].x, job->pieces[i].n);
}

static void flush(norm_job *job)
{
    exec_parallel(job->ex, job->count, 1, sum_pieces, job);
    for (int64_t i = 0; i < job->count; i++) {
        job->total += job->sums[i];
        /* A finite float squared is below 2^256: only NaN or infinity can give a sum that is. */
        if (job->bad_param == NULL && !isfinite(job->sums[i]))
            job->bad_param = job->pieces[i].name;
    }
    job->count = 0;
}

clip_result clip_gradients(const exec *ex, param *const *params, int64_t count, double max_norm)
{
    norm_job job = {.ex = ex};
    for (int64_t i = 0; i < count; i++) {
        const param *p = params[i];
        const int64_t n = param_size(p);
        for (int64_t begin = 0; begin < n; begin += PIECE) {
            if (job.count == BATCH)
                flush(&job);
            job.pieces[job.count++] = (norm_piece){
                .x = p->grad + begin,
                .n = n - begin < PIECE ? n - begin : PIECE,
                .name = p->name,
            };
        }
    }
    flush(&job);
    clip_result result = {.norm = sqrt(job.total), .factor = 1.0f, .bad_param = job.bad_param};
    if (!isfinite(result.norm))
        result.factor = 0.0f;
    else if (max_norm > 0.0 && max_norm < result.norm + 1e-6)
        result.factor = (float)(max_norm / (result.norm + 1e-6));
    return result;
}
