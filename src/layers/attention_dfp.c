/* The small matrices inside attention in dynamic fixed point.  See attention_internal.h. */
#include "layers/arithmetic.h"

static void state_bind(const exec *ex, attention_state *state, arena *a, const attention *attn,
                       int64_t tokens, int64_t count)
{
    const size_t bytes = (size_t)format_elem_bytes(ex->format.attention_bits);
    const int64_t heads = attn->heads + 2 * attn->kv_heads;
    state->q = arena_take(a, (size_t)(tokens * attention_in_width(attn)), bytes);
    state->scale = arena_take(a, (size_t)(count * heads), sizeof(float));
}

/* The rows of a source one behind the other: mapped as one run, not one short row by one. */
static const float *gather(attention_head *hd, const head_source *from)
{
    const int64_t cols = from->cols;
    if (from->ldx == cols)
        return from->x;
    float *rows = exec_take(hd->ex, from->rows * cols, sizeof(float));
    for (int64_t i = 0; i < from->rows; i++)
        exec_copy(hd->ex, rows + i * cols, from->x + i * from->ldx, (size_t)cols * sizeof(float));
    return rows;
}

/* Which part a stream belongs to: K and V have heads of their own, all else goes by Q's. */
static int part_of(int stream)
{
    return stream == PART_K || stream == PART_V ? stream : PART_Q;
}

/* Map from->x to mantissas at q, with one scale at *scale or one for each row in scratch. */
static head_matrix map_source(attention_head *hd, const head_source *from, void *q, float *scale)
{
    exec *ex = hd->ex;
    const attention *attn = hd->job->attn;
    const bool is_value = from->stream <= STREAM_P;
    const bool by_row = from->by_row && ex->format.group != GROUP_TENSOR;
    const uint64_t stream = (uint64_t)attn->id * STREAMS + (uint64_t)from->stream;
    const int p = part_of(from->stream);
    const uint64_t head = (uint64_t)(hd->sequence * part_heads(attn, p) + part_head(hd, p));
    const map_args args = {
        .key = rng_make_key(ex->seed, ex->step, stream << 32 | head, RNG_ROUND_ACTIVATION),
        .first_row = from->first_row,
        .stochastic = is_value ? exec_stochastic_values(ex) : exec_stochastic_gradients(ex),
        .scales = is_value ? ex->format.scales : SCALES_POWER,
        .row_mul = from->row_mul,
        .what = from->what,
        .where = attn->name,
    };
    qmatrix m = {.rows = from->rows,
                 .cols = from->cols,
                 .bits = ex->format.attention_bits,
                 .group = by_row ? GROUP_ROW : GROUP_TENSOR,
                 .q = q,
                 .scale = by_row ? exec_take(ex, from->rows, sizeof(float)) : scale};
    qmatrix_map_serial(ex, &m, gather(hd, from), from->cols, &args);
    return (head_matrix){.view = {.q = q,
                                  .rows = m.rows,
                                  .cols = m.cols,
                                  .ld = m.cols,
                                  .bits = m.bits,
                                  .scale = by_row || ex->dry ? 0.0f : *scale,
                                  .row_scale = by_row ? m.scale : NULL}};
}

static head_matrix matrix(attention_head *hd, const head_source *from)
{
    const size_t bytes = (size_t)format_elem_bytes(hd->ex->format.attention_bits);
    float scale = 0.0f;
    return map_source(hd, from, exec_take(hd->ex, from->rows * from->cols, bytes), &scale);
}

/* Where the mantissas of Q, K or V of this head are kept. */
static void *part_mantissas(const attention_head *hd, int which)
{
    const attention_job *job = hd->job;
    const attention *a = job->attn;
    const int64_t heads_before = which == PART_Q ? 0 : a->heads + (which - PART_K) * a->kv_heads;
    const int64_t elements = (job->seq->tokens * heads_before + hd->first * part_heads(a, which) +
                              part_head(hd, which) * hd->length) *
                             hd->dh;
    return (uint8_t *)job->state->q + elements * format_elem_bytes(hd->ex->format.attention_bits);
}

static float *part_scale(const attention_head *hd, int which)
{
    const attention_job *job = hd->job;
    const attention *a = job->attn;
    const int64_t heads_before = which == PART_Q ? 0 : a->heads + (which - PART_K) * a->kv_heads;
    return job->state->scale + job->seq->count * heads_before +
           hd->sequence * part_heads(a, which) + part_head(hd, which);
}

static head_matrix part(attention_head *hd, int which, const float *x)
{
    const head_source from = {.x = x,
                              .ldx = attention_in_width(hd->job->attn),
                              .rows = hd->length,
                              .cols = hd->dh,
                              .stream = STREAM_Q + which,
                              .what = "query, key or value"};
    return map_source(hd, &from, part_mantissas(hd, which), part_scale(hd, which));
}

static head_matrix kept_part(attention_head *hd, int which)
{
    return (head_matrix){.view = {.q = part_mantissas(hd, which),
                                  .rows = hd->length,
                                  .cols = hd->dh,
                                  .ld = hd->dh,
                                  .bits = hd->ex->format.attention_bits,
                                  .scale = hd->ex->dry ? 0.0f : *part_scale(hd, which)}};
}

static void multiply(attention_head *hd, float *c, int64_t ldc, const head_matrix *a, direction da,
                     const head_matrix *b, direction db, bool add)
{
    exec *ex = hd->ex;
    const size_t mark = exec_mark(ex);
    const int bits = ex->format.attention_bits;
    const gemm_plan plan = gemm_plan_make(ex->family, bits, bits, false);
    gemm_operand pa, pb;
    gemm_pack_view(ex, &pa, &ex->scratch, &plan, GEMM_A, &a->view, da == TRANSPOSED);
    gemm_pack_view(ex, &pb, &ex->scratch, &plan, GEMM_B, &b->view, db == TRANSPOSED);
    gemm_run_serial(ex, c, ldc, &pa, &pb, NULL, add);
    exec_release(ex, mark);
}

const attention_arithmetic attention_dfp = {
    .state_bind = state_bind,
    .part = part,
    .kept_part = kept_part,
    .matrix = matrix,
    .multiply = multiply,
};
