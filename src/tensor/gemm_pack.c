/* Packing operands of the integer GEMM.  See gemm.h. */
#include "tensor/gemm.h"

#include <assert.h>

enum { PACK_BYTES = 64 << 10 }; /* packed at a time by one thread */

static int side_width(const gemm_plan *plan, gemm_side side)
{
    return side == GEMM_A ? plan->kernel->mr : plan->kernel->nr;
}

static size_t side_panel_bytes(const gemm_plan *plan, gemm_side side, int64_t depth)
{
    return side == GEMM_A ? gemm_panel_bytes_a(plan->kernel, depth)
                          : gemm_panel_bytes_b(plan->kernel, depth);
}

/* Everything of an operand but its storage. */
static gemm_operand shape_operand(const gemm_plan *plan, gemm_side side, int64_t rows,
                                  int64_t depth, bool by_block)
{
    const int width = side_width(plan, side);
    assert(depth < GEMM_DEPTH_MAX);
    gemm_operand op = {
        .plan = *plan, .side = side, .rows = rows, .depth = depth, .by_block = by_block};
    op.panels = (rows + width - 1) / width;
    op.chunks = (depth + plan->chunk - 1) / plan->chunk;
    op.panel_bytes = side_panel_bytes(plan, side, depth < plan->chunk ? depth : plan->chunk);
    op.last_panel_bytes = side_panel_bytes(plan, side, depth - (op.chunks - 1) * plan->chunk);
    op.scale_chunks = by_block ? op.chunks : 1;
    return op;
}

static size_t piece_bytes(const gemm_operand *op)
{
    return (size_t)op->panels * ((size_t)(op->chunks - 1) * op->panel_bytes + op->last_panel_bytes);
}

void gemm_operand_bind(gemm_operand *op, arena *a, const gemm_plan *plan, gemm_side side,
                       int64_t rows, int64_t depth, bool by_block)
{
    *op = shape_operand(plan, side, rows, depth, by_block);
    op->depth_room = depth;
    op->data = arena_take(a, (size_t)op->plan.pieces[op->side], piece_bytes(op));
    op->scale = arena_take(a, (size_t)(op->scale_chunks * op->rows), sizeof(float));
}

void gemm_operand_shorten(gemm_operand *op, int64_t depth)
{
    const gemm_operand old = *op;
    assert(depth <= old.depth_room);
    *op = shape_operand(&old.plan, old.side, old.rows, depth, old.by_block);
    op->depth_room = old.depth_room;
    op->data = old.data;
    op->scale = old.scale;
}

typedef struct pack_job {
    gemm_operand *op;
    pack_source source[2]; /* of each piece; the same, but for halves */
} pack_job;

/* Panels are numbered piece-major, then chunk, then panel: the order in memory. */
static void pack_panels(void *arg, int64_t begin, int64_t end)
{
    const pack_job *job = arg;
    const gemm_operand *op = job->op;
    const gemm_kernel *kernel = op->plan.kernel;
    const int64_t width = side_width(&op->plan, op->side);
    gemm_pack_fn *pack = op->side == GEMM_A ? kernel->pack_a : kernel->pack_b;
    for (int64_t at = begin; at < end; at++) {
        const int64_t panel = at % op->panels, chunk = at / op->panels % op->chunks;
        const int64_t which = at / op->panels / op->chunks;
        const bool last = chunk == op->chunks - 1;
        const bool whole = op->plan.pieces[op->side] == 1 || op->plan.half_bits[op->side] > 0;
        const gemm_piece p = whole ? PIECE_ALL : which == 0 ? PIECE_HI : PIECE_LO;
        uint8_t *dst = op->data + (size_t)which * piece_bytes(op) +
                       (size_t)chunk * (size_t)op->panels * op->panel_bytes +
                       (size_t)panel * (last ? op->last_panel_bytes : op->panel_bytes);
        const int64_t first = panel * width, depth0 = chunk * op->plan.chunk;
        const int64_t rows = op->rows - first < width ? op->rows - first : width;
        const int64_t depth = last ? op->depth - depth0 : op->plan.chunk;
        pack(dst, &job->source[which], first, rows, depth0, depth, p);
    }
}

/* Scales of the operand's rows: op->scale[chunk][row]. */
static void expand_scales(gemm_operand *op, const qmatrix *m, bool transposed)
{
    const int64_t block_cols = (m->cols + GROUP_BLOCK_SIZE - 1) / GROUP_BLOCK_SIZE;
    const bool folded = m->group == GROUP_ROW && transposed;
    assert(m->group != GROUP_COLUMN || transposed);
    for (int64_t c = 0; c < op->scale_chunks; c++)
        for (int64_t r = 0; r < op->rows; r++) {
            const int64_t rb = r / GROUP_BLOCK_SIZE;
            float s;
            if (m->group == GROUP_TENSOR)
                s = m->scale[0];
            else if (m->group == GROUP_BLOCK)
                s = transposed ? m->scale[c * block_cols + rb] : m->scale[rb * block_cols + c];
            else
                s = folded ? 1.0f : m->scale[r];
            op->scale[c * op->rows + r] = s;
        }
}

/* x = 2^bits hi + lo */
static void split_halves(int8_t *hi, int8_t *lo, const int16_t *q, int64_t n, int bits)
{
    for (int64_t i = 0; i < n; i++) {
        hi[i] = (int8_t)(q[i] >> bits);
        lo[i] = (int8_t)(q[i] & ((1 << bits) - 1));
    }
}

/* Where the pieces of m are read: in m, or the halves from copies in scratch. */
static void make_sources(exec *ex, pack_source source[2], const gemm_operand *op, const qmatrix *m,
                         bool transposed)
{
    source[0] = (pack_source){m->q, m->cols, format_elem_bytes(m->bits), transposed};
    source[1] = source[0];
    const int half_bits = op->plan.half_bits[op->side];
    if (half_bits == 0)
        return;
    const int64_t n = m->rows * m->cols;
    int8_t *hi = exec_take(ex, n, 1), *lo = exec_take(ex, n, 1);
    if (!ex->dry)
        split_halves(hi, lo, m->q, n, half_bits);
    source[0] = (pack_source){hi, m->cols, 1, transposed};
    source[1] = (pack_source){lo, m->cols, 1, transposed};
}

void gemm_operand_fill(exec *ex, gemm_operand *op, const qmatrix *m, bool transposed)
{
    const size_t mark = exec_mark(ex);
    pack_job job = {.op = op};
    assert(op->rows == (transposed ? m->cols : m->rows));
    assert(op->depth == (transposed ? m->rows : m->cols));
    make_sources(ex, job.source, op, m, transposed);
    if (!ex->dry) {
        expand_scales(op, m, transposed);
        const int64_t grain = PACK_BYTES / (int64_t)op->panel_bytes;
        exec_parallel(ex, op->plan.pieces[op->side] * op->chunks * op->panels,
                      grain < 1 ? 1 : grain, pack_panels, &job);
    }
    exec_release(ex, mark);
}

void gemm_pack(exec *ex, gemm_operand *op, arena *a, const gemm_plan *plan, gemm_side side,
               const qmatrix *m, bool transposed)
{
    const int64_t rows = transposed ? m->cols : m->rows;
    const int64_t depth = transposed ? m->rows : m->cols;
    gemm_operand_bind(op, a, plan, side, rows, depth, m->group == GROUP_BLOCK);
    gemm_operand_fill(ex, op, m, transposed);
}

void gemm_pack_view(const exec *ex, gemm_operand *op, arena *a, const gemm_plan *plan,
                    gemm_side side, const qview *view, bool transposed)
{
    const int64_t rows = transposed ? view->cols : view->rows;
    const int64_t depth = transposed ? view->rows : view->cols;
    gemm_operand_bind(op, a, plan, side, rows, depth, false);
    if (ex->dry)
        return;
    for (int64_t r = 0; r < rows; r++)
        op->scale[r] = view->row_scale == NULL ? view->scale
                       : transposed            ? 1.0f
                                               : view->row_scale[r];
    const pack_source source = {view->q, view->ld, format_elem_bytes(view->bits), transposed};
    pack_job job = {op, {source, source}};
    assert(plan->half_bits[side] == 0);
    pack_panels(&job, 0, plan->pieces[side] * op->chunks * op->panels);
}
