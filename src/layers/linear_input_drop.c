/* Dropout of mapped inputs.  See linear_input_drop.h. */
#include "layers/linear_input_drop.h"

enum { ROW_GRAIN = 16 };

/* to = from where an element is kept, else 0; elements of `size` bytes, all zero bits being 0. */
typedef struct drop_job {
    void *to;
    const void *from;
    size_t size;
    int64_t cols;           /* of to and from */
    const int32_t *feature; /* [cols]: which columns of the input they are; NULL: all of them */
    int64_t width;          /* columns of the input */
    int64_t first_row;
    uint32_t threshold;
    rng_key key;
} drop_job;

static bool is_kept(const drop_job *job, int64_t row, int64_t col)
{
    const int64_t feature = job->feature == NULL ? col : job->feature[col];
    return rng_draw(job->key, (uint32_t)((job->first_row + row) * job->width + feature)) >=
           job->threshold;
}

#define DROP(type)                                                                                 \
    do {                                                                                           \
        for (int64_t i = begin; i < end; i++)                                                      \
            for (int64_t j = 0; j < job->cols; j++)                                                \
                ((type *)job->to)[i * job->cols + j] =                                             \
                    is_kept(job, i, j) ? ((const type *)job->from)[i * job->cols + j] : (type)0;   \
    } while (0)

static void drop_rows(void *arg, int64_t begin, int64_t end)
{
    const drop_job *job = arg;
    if (job->size == sizeof(int8_t))
        DROP(int8_t);
    else if (job->size == sizeof(int16_t))
        DROP(int16_t);
    else
        DROP(float);
}

static drop_job job_of(const exec *ex, int64_t width, int64_t first_row, float p, int stream)
{
    return (drop_job){.width = width,
                      .first_row = first_row,
                      .threshold = (uint32_t)((double)p * 4294967296.0), /* as fk->dropout */
                      .key = rng_make_key(ex->seed, ex->step, (uint64_t)stream, RNG_DROPOUT)};
}

/* A copy of from[rows][cols] in scratch with what is dropped as zero; NULL stays NULL. */
static void *drop(exec *ex, const drop_job *like, const void *from, size_t size, int64_t rows,
                  int64_t cols)
{
    if (from == NULL)
        return NULL;
    drop_job job = *like;
    job.from = from;
    job.size = size;
    job.cols = cols;
    job.to = exec_take(ex, rows * cols, size);
    exec_parallel(ex, rows, ROW_GRAIN, drop_rows, &job);
    return job.to;
}

static size_t mantissa_bytes(const qmatrix *m)
{
    return m->bits <= 8 ? sizeof(int8_t) : sizeof(int16_t);
}

linear_input linear_input_drop(exec *ex, const linear_input *x, float p, int stream)
{
    linear_input out = *x;
    drop_job job = job_of(ex, x->cols, x->first_row, p, stream);
    out.f = drop(ex, &job, x->f, sizeof(float), x->rows, x->cols);
    out.bf16 = drop(ex, &job, x->bf16, sizeof(uint16_t), x->rows, x->cols);
    out.q.q = drop(ex, &job, x->q.q, mantissa_bytes(&x->q), x->rows, x->cols);
    if (x->outlier.q != NULL) {
        job.feature = x->outliers->feature;
        out.outlier.q =
            drop(ex, &job, x->outlier.q, mantissa_bytes(&x->outlier), x->rows, x->outlier.cols);
    }
    return out;
}

void linear_input_drop_gradient(exec *ex, float *y, int64_t rows, int64_t cols, int64_t first_row,
                                float p, int stream)
{
    drop_job job = job_of(ex, cols, first_row, p, stream);
    job.to = y;
    job.from = y;
    job.size = sizeof(float);
    job.cols = cols;
    exec_parallel(ex, rows, ROW_GRAIN, drop_rows, &job);
}
