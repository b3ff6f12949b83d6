/* Inputs of linear layers: what is the same in every number format.  See linear_input.h. */
#include "layers/linear_input.h"

#include <string.h>

#include "layers/arithmetic.h"
#include "layers/low_rank.h"

void linear_input_bind(const exec *ex, linear_input *in, arena *a, int64_t rows, int64_t cols)
{
    *in = (linear_input){.where = in->where,
                         .id = in->id,
                         .outliers = in->outliers,
                         .watch = in->watch,
                         .low_rank = in->low_rank,
                         .rows = rows,
                         .cols = cols};
    ex->arithmetic->linear->input_bind(ex, in, a);
    if (in->low_rank != NULL)
        low_rank_input_bind(ex, in->low_rank, a, rows);
}

linear_input linear_input_rows(const linear_input *in, int64_t begin, int64_t end)
{
    linear_input part = *in;
    part.rows = end - begin;
    part.first_row = in->first_row + begin;
    if (in->f != NULL)
        part.f += begin * in->cols;
    if (in->bf16 != NULL)
        part.bf16 += begin * in->cols;
    if (in->q.q != NULL)
        part.q = qmatrix_rows(&in->q, begin, end);
    if (in->outlier.q != NULL)
        part.outlier = qmatrix_rows(&in->outlier, begin, end);
    return part;
}

float *linear_input_source(const linear_input *in, float *scratch)
{
    return in->f != NULL ? in->f : scratch;
}

void linear_input_set(exec *ex, linear_input *in, const float *x)
{
    ex->arithmetic->linear->input_set(ex, in, x);
}

typedef struct copy_job {
    float *to;
    const float *from;
} copy_job;

enum { COPY_GRAIN = 1 << 14 };

static void copy_piece(void *arg, int64_t begin, int64_t end)
{
    const copy_job *job = arg;
    memcpy(job->to + begin, job->from + begin, (size_t)(end - begin) * sizeof(float));
}

void linear_input_copy(exec *ex, linear_input *in, const float *x)
{
    if (in->f != NULL) {
        copy_job job = {in->f, x};
        exec_parallel(ex, in->rows * in->cols, COPY_GRAIN, copy_piece, &job);
        x = in->f;
    }
    linear_input_set(ex, in, x);
}
