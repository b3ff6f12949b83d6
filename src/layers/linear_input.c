/* Inputs of linear layers: what is the same in every number format.  See linear_input.h. */
#include "layers/linear_input.h"

#include "layers/arithmetic.h"

void linear_input_bind(const exec *ex, linear_input *in, arena *a, int64_t rows, int64_t cols)
{
    *in = (linear_input){.where = in->where, .id = in->id, .rows = rows, .cols = cols};
    ex->arithmetic->linear->input_bind(ex, in, a);
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
