/*
 * The loops of the integer GEMM.  See gemm.h.
 *
 * A job is a block of A panels of the size that the family asks for, against a range of B panels;
 * inside, B panel by B panel, all A panels of the block.  One tile is computed over the whole depth
 * before it is stored, so sums never leave the thread.
 */
#include "tensor/gemm.h"

#include <assert.h>

enum { JOBS_PER_THREAD = 16, TILE_MAX = 64 * 64 };

typedef struct gemm_job {
    const exec *ex;
    float *c;
    int64_t ldc;
    const gemm_operand *a, *b;
    const float *bias;
    bool accumulate;
    int64_t block_panels, blocks; /* A panels of a block, number of blocks */
    int64_t splits;               /* ranges of B panels */
} gemm_job;

static size_t chunk_panel_bytes(const gemm_operand *op, int64_t chunk)
{
    return chunk == op->chunks - 1 ? op->last_panel_bytes : op->panel_bytes;
}

static const uint8_t *panel_at(const gemm_operand *op, int64_t which, int64_t chunk, int64_t panel)
{
    const size_t full = (size_t)op->panels * op->panel_bytes;
    const size_t one_piece =
        (size_t)(op->chunks - 1) * full + (size_t)op->panels * op->last_panel_bytes;
    return op->data + (size_t)which * one_piece + (size_t)chunk * full +
           (size_t)panel * chunk_panel_bytes(op, chunk);
}

static int64_t chunk_depth(const gemm_operand *op, int64_t chunk)
{
    return chunk == op->chunks - 1 ? op->depth - chunk * op->plan.chunk : op->plan.chunk;
}

/* The most tiles of one chunk: two pieces on both sides. */
enum { PIECES_MAX = 4 };

/* What the first piece of a side counts. */
static double high_weight(const gemm_plan *plan, gemm_side side)
{
    if (plan->pieces[side] == 1)
        return 1.0;
    return plan->half_bits[side] > 0 ? (double)(1 << plan->half_bits[side]) : 256.0;
}

/* acc (double, exact) = or += the sum of the piece products of one chunk of one tile. */
static void add_chunk(const gemm_job *job, double *acc, int32_t tile[PIECES_MAX][TILE_MAX],
                      int64_t chunk, int64_t pa, int64_t pb, bool first)
{
    const gemm_operand *a = job->a, *b = job->b;
    const gemm_kernel *kernel = a->plan.kernel;
    const int na = a->plan.pieces[GEMM_A], nb = a->plan.pieces[GEMM_B];
    const bool halves = a->plan.half_bits[GEMM_A] > 0;
    const double high_a = high_weight(&a->plan, GEMM_A), high_b = high_weight(&a->plan, GEMM_B);
    const int32_t *tiles[PIECES_MAX];
    double weight[PIECES_MAX];
    int count = 0;
    for (int x = 0; x < na; x++)
        for (int y = 0; y < nb; y++, count++) {
            const bool a_low = na == 2 && x == 1 && !halves, b_low = nb == 2 && y == 1 && !halves;
            kernel->tile[a_low][b_low](tile[count], panel_at(a, x, chunk, pa),
                                       panel_at(b, y, chunk, pb), chunk_depth(a, chunk));
            tiles[count] = tile[count];
            weight[count] = (x == 0 ? high_a : 1.0) * (y == 0 ? high_b : 1.0);
        }
    job->ex->fk->tile_add(acc, tiles, weight, count, (int64_t)kernel->mr * kernel->nr, first);
}

/* Where panels [begin, end) of both operands meet. */
typedef struct panel_range {
    int64_t a0, a1, b0, b1;
} panel_range;

/* Where finished tiles go: those of A panels pa, pa + 1, ..., one above the other. */
typedef struct tile_place {
    const int32_t *tile;
    int64_t pa, pb, panels, chunk;
} tile_place;

static void store_tiles(const gemm_job *job, const tile_place *t)
{
    const gemm_operand *a = job->a, *b = job->b;
    const int64_t mr = a->plan.kernel->mr, nr = a->plan.kernel->nr;
    const int64_t i0 = t->pa * mr, j0 = t->pb * nr;
    const int64_t rows = a->rows - i0 < t->panels * mr ? a->rows - i0 : t->panels * mr;
    const int64_t cols = b->rows - j0 < nr ? b->rows - j0 : nr;
    const bool first = t->chunk == 0;
    job->ex->fk->tile_store_s32(
        job->c + i0 * job->ldc + j0, job->ldc, t->tile, nr, rows, cols,
        a->scale + t->chunk * a->rows + i0, b->scale + t->chunk * b->rows + j0,
        first && job->bias != NULL ? job->bias + j0 : NULL, job->accumulate || !first);
}

/*
 * All tiles of a range whose sums are int32 tiles: the usual case.  One tile, or with scales by
 * block one for each chunk, which adds to what the chunks before have left in C.
 *
 * A tile is stored while the next is being multiplied, so that a matrix unit does not idle until
 * the last sums are out and converted; to vector kernels it makes no difference.
 */
static void run_whole_tiles(const gemm_job *job, const panel_range *at)
{
    MTS_ALIGN64 int32_t tile[2][TILE_MAX];
    const gemm_operand *a = job->a, *b = job->b;
    gemm_tile_fn *multiply = a->plan.kernel->tile[0][0];
    tile_place last = {.tile = NULL};
    int turn = 0;
    for (int64_t pb = at->b0; pb < at->b1; pb++)
        for (int64_t pa = at->a0; pa < at->a1; pa++)
            for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
                multiply(tile[turn], panel_at(a, 0, chunk, pa), panel_at(b, 0, chunk, pb),
                         chunk_depth(a, chunk));
                if (last.tile != NULL)
                    store_tiles(job, &last);
                last = (tile_place){tile[turn], pa, pb, 1, chunk};
                turn = 1 - turn;
            }
    if (last.tile != NULL)
        store_tiles(job, &last);
}

/* The same with a kernel that multiplies several A panels with one B panel. */
static void run_whole_strips(const gemm_job *job, const panel_range *at)
{
    MTS_ALIGN64 int32_t tiles[TILE_MAX];
    const gemm_operand *a = job->a, *b = job->b;
    const gemm_kernel *kernel = a->plan.kernel;
    for (int64_t pb = at->b0; pb < at->b1; pb++)
        for (int64_t pa = at->a0; pa < at->a1; pa += kernel->strip_panels) {
            const int64_t left = at->a1 - pa;
            const int64_t panels = left < kernel->strip_panels ? left : kernel->strip_panels;
            for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
                kernel->strip(tiles, panel_at(a, 0, chunk, pa), chunk_panel_bytes(a, chunk), panels,
                              panel_at(b, 0, chunk, pb), chunk_depth(a, chunk));
                store_tiles(job, &(tile_place){tiles, pa, pb, panels, chunk});
            }
        }
}

/* tile = one half of A with the whole of B; spare: of the lower half of B, if there are two */
static void multiply_half(const gemm_job *job, int32_t *tile, int32_t *spare, const uint8_t *half,
                          int64_t chunk, int64_t pb)
{
    const gemm_operand *b = job->b;
    const gemm_kernel *kernel = b->plan.kernel;
    const int64_t depth = chunk_depth(b, chunk);
    kernel->tile[0][0](tile, half, panel_at(b, 0, chunk, pb), depth);
    if (b->plan.pieces[GEMM_B] == 1)
        return;
    kernel->tile[0][0](spare, half, panel_at(b, 1, chunk, pb), depth);
    job->ex->fk->tile_join(tile, spare, b->plan.half_bits[GEMM_B],
                           (int64_t)kernel->mr * kernel->nr);
}

/* All tiles of a range whose A is in two halves, and B in one or two. */
static void run_joined_tiles(const gemm_job *job, const panel_range *at)
{
    MTS_ALIGN64 int32_t hi[TILE_MAX], lo[TILE_MAX], spare[TILE_MAX];
    const gemm_operand *a = job->a;
    const gemm_kernel *kernel = a->plan.kernel;
    for (int64_t pb = at->b0; pb < at->b1; pb++)
        for (int64_t pa = at->a0; pa < at->a1; pa++)
            for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
                multiply_half(job, hi, spare, panel_at(a, 0, chunk, pa), chunk, pb);
                multiply_half(job, lo, spare, panel_at(a, 1, chunk, pa), chunk, pb);
                job->ex->fk->tile_join(hi, lo, a->plan.half_bits[GEMM_A],
                                       (int64_t)kernel->mr * kernel->nr);
                store_tiles(job, &(tile_place){hi, pa, pb, 1, chunk});
            }
}

/* One tile of C of several chunks or pieces: A panel pa, B panel pb. */
static void run_tile(const gemm_job *job, int64_t pa, int64_t pb)
{
    MTS_ALIGN64 int32_t tile[PIECES_MAX][TILE_MAX];
    MTS_ALIGN64 double acc[TILE_MAX];
    const gemm_operand *a = job->a, *b = job->b;
    const gemm_kernel *kernel = a->plan.kernel;
    const int64_t i0 = pa * kernel->mr, j0 = pb * kernel->nr;
    const int64_t rows = a->rows - i0 < kernel->mr ? a->rows - i0 : kernel->mr;
    const int64_t cols = b->rows - j0 < kernel->nr ? b->rows - j0 : kernel->nr;
    float *c = job->c + i0 * job->ldc + j0;
    const float *bias = job->bias == NULL ? NULL : job->bias + j0;
    const bool by_block = a->scale_chunks > 1 || b->scale_chunks > 1;
    for (int64_t chunk = 0; chunk < a->chunks; chunk++) {
        add_chunk(job, acc, tile, chunk, pa, pb, chunk == 0 || by_block);
        if (by_block || chunk == a->chunks - 1)
            job->ex->fk->tile_store_f64(c, job->ldc, acc, kernel->nr, rows, cols,
                                        a->scale + (by_block ? chunk : 0) * a->rows + i0,
                                        b->scale + (by_block ? chunk : 0) * b->rows + j0,
                                        chunk == 0 || !by_block ? bias : NULL,
                                        job->accumulate || (by_block && chunk > 0));
    }
}

static void run_job(const gemm_job *job, int64_t index)
{
    const gemm_operand *a = job->a, *b = job->b;
    const int64_t block = index / job->splits, split = index % job->splits;
    const int64_t a0 = block * job->block_panels;
    const panel_range at = {
        .a0 = a0,
        .a1 = a0 + job->block_panels < a->panels ? a0 + job->block_panels : a->panels,
        .b0 = b->panels * split / job->splits,
        .b1 = b->panels * (split + 1) / job->splits,
    };
    const bool one_piece = a->plan.pieces[GEMM_A] == 1 && a->plan.pieces[GEMM_B] == 1;
    const bool one_sum = a->chunks == 1 || a->scale_chunks > 1 || b->scale_chunks > 1;
    if (a->plan.half_bits[GEMM_A] > 0 && one_sum) {
        run_joined_tiles(job, &at);
        return;
    }
    if (one_piece && one_sum) {
        if (a->plan.kernel->strip != NULL)
            run_whole_strips(job, &at);
        else
            run_whole_tiles(job, &at);
        return;
    }
    for (int64_t pb = at.b0; pb < at.b1; pb++)
        for (int64_t pa = at.a0; pa < at.a1; pa++)
            run_tile(job, pa, pb);
}

static gemm_job make_job(const exec *ex, float *c, int64_t ldc, const gemm_operand *a,
                         const gemm_operand *b, const float *bias, bool accumulate)
{
    assert(a->side == GEMM_A && b->side == GEMM_B && a->depth == b->depth);
    assert(a->plan.kernel == b->plan.kernel && a->plan.chunk == b->plan.chunk);
    gemm_job job = {ex, c, ldc, a, b, bias, accumulate, 0, 0, 1};
    const int64_t panel_total = (int64_t)a->panel_bytes * a->chunks * a->plan.pieces[GEMM_A];
    const int64_t fit = (int64_t)ex->family->block_bytes / panel_total;
    job.block_panels = fit < 1 ? 1 : fit;
    job.blocks = (a->panels + job.block_panels - 1) / job.block_panels;
    return job;
}

static void threads_begin(const gemm_family *family)
{
    if (family->thread_begin != NULL)
        family->thread_begin();
}

static void threads_end(const gemm_family *family)
{
    if (family->thread_end != NULL)
        family->thread_end();
}

void gemm_run_serial(const exec *ex, float *c, int64_t ldc, const gemm_operand *a,
                     const gemm_operand *b, const float *bias, bool accumulate)
{
    const gemm_job job = make_job(ex, c, ldc, a, b, bias, accumulate);
    if (ex->dry)
        return;
    if (!ex->thread_ready)
        threads_begin(ex->family);
    for (int64_t i = 0; i < job.blocks; i++)
        run_job(&job, i);
    if (!ex->thread_ready)
        threads_end(ex->family);
}

void gemm_run(exec *ex, float *c, int64_t ldc, const gemm_operand *a, const gemm_operand *b,
              const float *bias, bool accumulate)
{
    if (ex->threads == 1) {
        gemm_run_serial(ex, c, ldc, a, b, bias, accumulate);
        return;
    }
    gemm_job job = make_job(ex, c, ldc, a, b, bias, accumulate);
    if (ex->dry)
        return;
    const int64_t wanted = (int64_t)ex->threads * JOBS_PER_THREAD;
    if (job.blocks < wanted)
        job.splits = (wanted + job.blocks - 1) / job.blocks;
    if (job.splits > b->panels)
        job.splits = b->panels;
#pragma omp parallel num_threads(ex->threads)
    {
        threads_begin(ex->family);
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < job.blocks * job.splits; i++)
            run_job(&job, i);
        threads_end(ex->family);
    }
}
