/* Reading the weight of a linear layer.  See linear_weight.h. */
#include "layers/linear_weight.h"

enum { PIECE_FLOATS = 1 << 18, ROW_GRAIN = 8 };

int64_t linear_weight_piece(const linear *lin)
{
    if (lin->weight->storage == PARAM_IN_MEMORY)
        return lin->out;
    const int64_t rows = PIECE_FLOATS / lin->in / GROUP_BLOCK_SIZE * GROUP_BLOCK_SIZE;
    const int64_t least = rows < GROUP_BLOCK_SIZE ? GROUP_BLOCK_SIZE : rows;
    return least < lin->out ? least : lin->out;
}

typedef struct read_job {
    const param *weight;
    float *out; /* [rows][n] */
    int64_t first, n;
} read_job;

static void read_rows(void *arg, int64_t begin, int64_t end)
{
    const read_job *job = arg;
    for (int64_t i = begin; i < end; i++)
        param_read(job->weight, job->first + i, 0, job->n, job->out + i * job->n);
}

const float *linear_weight_rows(exec *ex, const linear *lin, int64_t first, int64_t n)
{
    if (lin->weight->storage == PARAM_IN_MEMORY)
        return lin->weight->value + (ex->dry ? 0 : first * lin->in);
    read_job job = {lin->weight, exec_take(ex, n * lin->in, sizeof(float)), first, lin->in};
    exec_parallel(ex, n, ROW_GRAIN, read_rows, &job);
    return job.out;
}

void linear_weight_forget(const exec *ex, const linear *lin)
{
    const param *p = lin->weight;
    if (ex->dry || p->storage == PARAM_IN_MEMORY)
        return;
    for (int64_t rows = 0; rows < lin->out; rows += p->rows, p = p->next)
        param_forget(p);
}
