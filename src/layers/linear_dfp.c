/* Linear layer in dynamic fixed point: map, pack, multiply.  See linear.h, arithmetic.h. */
#include "layers/arithmetic.h"
#include "layers/linear_outliers.h"
#include "layers/linear_stream.h"
#include "layers/linear_weight.h"

static gemm_plan plan_for(const exec *ex, int bits_a, int bits_b)
{
    return gemm_plan_make(ex->family, bits_a, bits_b, ex->format.group == GROUP_BLOCK);
}

/* Whether exponents run along a reduction and are folded into the gradient; see linear.h. */
static bool folds_rows(const num_format *f)
{
    return f->group == GROUP_ROW;
}

static void input_bind(const exec *ex, linear_input *in, arena *a)
{
    const num_format *f = &ex->format;
    qmatrix_bind(&in->q, a, in->rows, in->cols, f->activation_bits, f->group);
    linear_outliers_input_bind(ex, in, a);
}

static void input_set(exec *ex, linear_input *in, const float *x)
{
    const map_args args = {
        .col_mul = linear_outliers_keep(in),
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)in->id, RNG_ROUND_ACTIVATION),
        .first_row = in->first_row,
        .stochastic = exec_stochastic_values(ex),
        .scales = ex->format.scales,
        .what = "the input",
        .where = in->where,
        .record = layer_record(in->watch, WATCHED_INPUT),
    };
    qmatrix_map(ex, &in->q, x, in->cols, &args);
    linear_outliers_input_set(ex, in, x);
}

static void weight_bind(exec *ex, linear *lin, arena *a)
{
    const num_format *f = &ex->format;
    const bool by_block = f->group == GROUP_BLOCK;
    const gemm_plan forward = plan_for(ex, f->activation_bits, f->weight_bits);
    const gemm_plan backward = plan_for(ex, f->gradient_bits, f->weight_bits);
    if (lin->weight->storage == PARAM_STREAMED) {
        lin->straight.plan = forward;
        lin->transposed.plan = backward;
    } else {
        gemm_operand_bind(&lin->straight, a, &forward, GEMM_B, lin->out, lin->in, by_block);
        gemm_operand_bind(&lin->transposed, a, &backward, GEMM_B, lin->in, lin->out, by_block);
    }
    lin->row_scale = arena_take(a, (size_t)lin->out, sizeof(float));
    linear_outliers_bind(ex, lin, a);
}

/* w = map(weight), piece by piece where it is in a file: exponents of rows and of blocks lie within
 * a piece. */
static void map_weight(exec *ex, qmatrix *w, const linear *lin)
{
    const bool whole = ex->format.group == GROUP_TENSOR;
    const int64_t piece = whole ? lin->out : linear_weight_piece(lin);
    map_args args = {
        .key = rng_make_key(ex->seed, ex->weight_version, (uint64_t)lin->id, RNG_ROUND_WEIGHT),
        .stochastic = exec_stochastic_values(ex),
        .scales = ex->format.scales,
        .what = "the weight",
        .where = lin->name,
        .record = layer_record(&lin->watch, WATCHED_WEIGHT),
    };
    for (int64_t first = 0; first < lin->out; first += piece) {
        const size_t mark = exec_mark(ex);
        const int64_t n = lin->out - first < piece ? lin->out - first : piece;
        qmatrix part = qmatrix_rows(w, first, first + n);
        args.first_row = first;
        qmatrix_map(ex, &part, linear_weight_rows(ex, lin, first, n), lin->in, &args);
        exec_release(ex, mark);
        if (ex->dry)
            break; /* the first piece takes the most */
    }
}

static void weight_set(exec *ex, linear *lin)
{
    const num_format *f = &ex->format;
    const size_t mark = exec_mark(ex);
    qmatrix w;
    if (lin->weight->storage == PARAM_STREAMED) {
        linear_stream_set(ex, lin);
        linear_weight_forget(ex, lin);
        return;
    }
    qmatrix_bind(&w, &ex->scratch, lin->out, lin->in, f->weight_bits, f->group);
    map_weight(ex, &w, lin);
    gemm_operand_fill(ex, &lin->straight, &w, false);
    gemm_operand_fill(ex, &lin->transposed, &w, true);
    if (folds_rows(f))
        exec_copy(ex, lin->row_scale, w.scale, (size_t)lin->out * sizeof(float));
    exec_release(ex, mark);
    linear_outliers_weight_set(ex, lin);
    linear_weight_forget(ex, lin);
}

static void forward(exec *ex, float *y, const linear_input *x, const linear *lin)
{
    const float *bias = lin->bias == NULL ? NULL : lin->bias->value;
    gemm_operand a;
    gemm_pack(ex, &a, &ex->scratch, &lin->straight.plan, GEMM_A, &x->q, false);
    if (lin->weight->storage == PARAM_STREAMED)
        linear_stream_forward(ex, y, &a, bias, lin);
    else
        gemm_run(ex, y, lin->out, &a, &lin->straight, bias, false);
    linear_outliers_forward(ex, y, x, lin);
    if (lin->weight->storage == PARAM_STREAMED)
        linear_weight_forget(ex, lin);
}

/* ------------------------------------------------------------------------------ backward ---- */

/* With exponents by row: the maxima of the columns of the gradient, for the map of dW = G^T X. */
static void gradient_take(exec *ex, linear_sums *g, int64_t out)
{
    if (!folds_rows(&ex->format))
        return;
    g->col_max = exec_take(ex, out, sizeof(uint32_t));
    exec_clear(ex, g->col_max, (size_t)out * sizeof(uint32_t));
}

static map_args gradient_args(const exec *ex, const linear_input *x, const linear *lin, rng_use use)
{
    return (map_args){
        .key = rng_make_key(ex->seed, ex->step, (uint64_t)lin->id, use),
        .first_row = x->first_row,
        .stochastic = exec_stochastic_gradients(ex),
        .what = "the output gradient",
        .where = lin->name,
    };
}

/* The gradient as dX = G W takes it; which: the product that it is for. */
static void map_for_input(exec *ex, qmatrix *q, const float *dy, const linear_input *x,
                          const linear *lin, watched_matrix which)
{
    const num_format *f = &ex->format;
    map_args args = gradient_args(ex, x, lin, RNG_ROUND_GRADIENT_DX);
    args.col_mul = folds_rows(f) ? lin->row_scale : NULL;
    args.record = layer_record(&lin->watch, which);
    qmatrix_bind(q, &ex->scratch, x->rows, lin->out, f->gradient_bits, f->group);
    qmatrix_map(ex, q, dy, lin->out, &args);
}

/* The gradient as dW = G^T X takes it: one map for both products but in exponents by row. */
static void map_for_params(exec *ex, qmatrix *q, const linear_sums *g, const float *dy,
                           const linear_input *x, const linear *lin)
{
    if (!folds_rows(&ex->format)) {
        map_for_input(ex, q, dy, x, lin, WATCHED_GRADIENT_WEIGHT);
        return;
    }
    map_args args = gradient_args(ex, x, lin, RNG_ROUND_GRADIENT_DW);
    args.row_mul = x->q.scale;
    args.col_max = g->col_max;
    args.record = layer_record(&lin->watch, WATCHED_GRADIENT_WEIGHT);
    qmatrix_bind(q, &ex->scratch, x->rows, lin->out, ex->format.gradient_bits, GROUP_COLUMN);
    qmatrix_map(ex, q, dy, lin->out, &args);
}

static void input_gradient(exec *ex, float *dx, const float *dy, const linear_input *x,
                           const linear *lin)
{
    qmatrix q;
    gemm_operand a;
    map_for_input(ex, &q, dy, x, lin, WATCHED_GRADIENT_INPUT);
    gemm_pack(ex, &a, &ex->scratch, &lin->transposed.plan, GEMM_A, &q, false);
    if (lin->weight->storage == PARAM_STREAMED) {
        linear_stream_input_gradient(ex, dx, &a, lin);
        linear_weight_forget(ex, lin);
    } else {
        gemm_run(ex, dx, lin->in, &a, &lin->transposed, NULL, false);
    }
}

static void weight_gradient(exec *ex, const linear_sums *g, const float *dy, const linear_input *x,
                            const linear *lin)
{
    const num_format *f = &ex->format;
    const gemm_plan plan = plan_for(ex, f->gradient_bits, f->activation_bits);
    qmatrix q;
    gemm_operand a, b;
    map_for_params(ex, &q, g, dy, x, lin);
    const size_t mark = exec_mark(ex);
    gemm_pack(ex, &a, &ex->scratch, &plan, GEMM_A, &q, true);
    gemm_pack(ex, &b, &ex->scratch, &plan, GEMM_B, &x->q, true);
    gemm_run(ex, lin->weight->grad, lin->in, &a, &b, NULL, ex->accumulate_grads);
    exec_release(ex, mark);
    linear_outliers_weight_gradient(ex, dy, &q, x, lin);
    if (g->col_max != NULL) /* ready for the next linear_backward_rows */
        exec_clear(ex, g->col_max, (size_t)lin->out * sizeof(uint32_t));
}

const linear_arithmetic linear_dfp = {
    .input_bind = input_bind,
    .input_set = input_set,
    .weight_bind = weight_bind,
    .weight_set = weight_set,
    .forward = forward,
    .gradient_take = gradient_take,
    .input_gradient = input_gradient,
    .weight_gradient = weight_gradient,
};
